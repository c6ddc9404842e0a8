"""The fonts that training draws with: what ships in sim/render, own strokes, and free fonts from Debian packages.

    apt-get install fonts-noto-cjk fonts-noto-cjk-extra fonts-wqy-zenhei fonts-wqy-microhei fonts-roboto-unhinted \
        fonts-liberation fonts-dejavu-extra fonts-open-sans fonts-b612 fonts-routed-gothic fonts-opendin

UNSEEN fonts are never drawn in training: the held-out figures of docs/models.md use only them.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from sim.render.glyphs import Glyphs, bundled, from_font

TRUETYPE, OPENTYPE = Path("/usr/share/fonts/truetype"), Path("/usr/share/fonts/opentype")
NOTO_SC = 2  # face of the collection

LATIN_SEEN = {
    TRUETYPE / "opendin/OSP-DIN.ttf": 0.40,
    TRUETYPE / "roboto/unhinted/RobotoCondensed-Bold.ttf": 0.15,
    TRUETYPE / "roboto/unhinted/RobotoCondensed-Regular.ttf": 0.08,
    TRUETYPE / "routed-gothic/routed-gothic-narrow.ttf": 0.12,
    TRUETYPE / "routed-gothic/routed-gothic.ttf": 0.08,
    TRUETYPE / "open-sans/OpenSans-CondBold.ttf": 0.09,
    TRUETYPE / "dejavu/DejaVuSansCondensed-Bold.ttf": 0.08,
}
HANZI_SEEN = {
    (OPENTYPE / "noto/NotoSansCJK-Bold.ttc", NOTO_SC): 0.24,
    (OPENTYPE / "noto/NotoSansCJK-Medium.ttc", NOTO_SC): 0.14,
    (OPENTYPE / "noto/NotoSansCJK-Regular.ttc", NOTO_SC): 0.08,
    (OPENTYPE / "noto/NotoSansCJK-Black.ttc", NOTO_SC): 0.14,
    (OPENTYPE / "noto/NotoSerifCJK-Black.ttc", NOTO_SC): 0.12,
    (OPENTYPE / "noto/NotoSerifCJK-Bold.ttc", NOTO_SC): 0.06,
    (TRUETYPE / "wqy/wqy-microhei.ttc", 0): 0.22,
}
LATIN_UNSEEN = {
    TRUETYPE / "liberation/LiberationSansNarrow-Bold.ttf": 0.5,
    OPENTYPE / "b612/B612-Bold.otf": 0.5,
}
HANZI_UNSEEN = {(TRUETYPE / "wqy/wqy-zenhei.ttc", 0): 1.0}


@dataclass(frozen=True)
class Choice:
    """Sources with the share in which they are drawn."""

    sources: tuple[Glyphs, ...]
    shares: tuple[float, ...]


def _choice(
    fonts: dict[Path, float] | dict[tuple[Path, int], float], more: dict[Glyphs, float] | None = None
) -> Choice:
    sources, shares = list((more or {}).keys()), list((more or {}).values())
    for key, share in fonts.items():
        path, face = key if isinstance(key, tuple) else (key, 0)
        if not path.exists():
            sys.exit(f"training.fonts: {path} is missing; install the packages named in training/fonts.py")
        sources.append(from_font(path, face))
        shares.append(share)
    total = sum(shares)
    return Choice(tuple(sources), tuple(s / total for s in shares))


def seen() -> tuple[Choice, Choice]:
    """(hanzi, latin) to train with."""
    from training.strokes import strokes

    return _choice(HANZI_SEEN), _choice(LATIN_SEEN, {strokes(variant): 0.2 for variant in range(6)})


def unseen() -> tuple[Choice, Choice]:
    """(hanzi, latin) to measure with."""
    return _choice(HANZI_UNSEEN), _choice(LATIN_UNSEEN)


def shipped() -> tuple[Choice, Choice]:
    """Only what sim/render draws with."""
    return Choice((bundled(),), (1.0,)), Choice((bundled(),), (1.0,))
