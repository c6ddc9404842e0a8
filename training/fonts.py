"""The fonts that training draws with: what ships in sim/render, own strokes, and free fonts from Debian packages.

    apt-get install --no-install-recommends fonts-noto-cjk fonts-noto-cjk-extra fonts-wqy-zenhei fonts-wqy-microhei \
        fonts-droid-fallback fonts-babelstone-han fonts-lxgw-wenkai fonts-arphic-ukai fonts-arphic-uming \
        fonts-arphic-gkai00mp fonts-arphic-gbsn00lp fonts-cns11643-kai fonts-cns11643-sung fonts-cwtex-heib \
        fonts-morisawa-bizud-gothic fonts-motoya-l-cedar fonts-horai-umefont fonts-ipaexfont-gothic fonts-mplus \
        fonts-unifont fonts-smiley-sans fonts-roboto-unhinted fonts-liberation fonts-dejavu-extra fonts-open-sans \
        fonts-b612 fonts-routed-gothic fonts-opendin fonts-roadgeek fonts-bebas-neue fonts-clear-sans fonts-cabin \
        fonts-cantarell fonts-dosis fonts-play fonts-yanone-kaffeesatz fonts-jetbrains-mono fonts-inconsolata \
        fonts-lato fonts-oxygen fonts-national-park fonts-hack

UNSEEN fonts are never drawn in training: the held-out figures of docs/models.md use only them.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from sim.render.glyphs import Glyphs, bundled, from_font

TRUETYPE, OPENTYPE = Path("/usr/share/fonts/truetype"), Path("/usr/share/fonts/opentype")
NOTO_SC = 2  # face of the collection

LATIN_SEEN = {
    TRUETYPE / "opendin/OSP-DIN.ttf": 0.22,
    TRUETYPE / "roboto/unhinted/RobotoCondensed-Bold.ttf": 0.06,
    TRUETYPE / "roboto/unhinted/RobotoCondensed-Regular.ttf": 0.04,
    TRUETYPE / "routed-gothic/routed-gothic-narrow.ttf": 0.08,
    TRUETYPE / "routed-gothic/routed-gothic.ttf": 0.06,
    TRUETYPE / "open-sans/OpenSans-CondBold.ttf": 0.04,
    TRUETYPE / "dejavu/DejaVuSansCondensed-Bold.ttf": 0.04,
    TRUETYPE / "roadgeek/RG2014B.ttf": 0.04,
    TRUETYPE / "roadgeek/RG2014C.ttf": 0.04,
    TRUETYPE / "roadgeek/RG2014E.ttf": 0.03,
    OPENTYPE / "bebas-neue/BebasNeue-Bold.otf": 0.03,
    OPENTYPE / "bebas-neue/BebasNeue-Regular.otf": 0.03,
    TRUETYPE / "clear-sans/ClearSans-Bold.ttf": 0.02,
    OPENTYPE / "cabin/Cabin-Bold.otf": 0.02,
    OPENTYPE / "cantarell/Cantarell-Bold.otf": 0.02,
    OPENTYPE / "dosis/Dosis-Bold.otf": 0.02,
    OPENTYPE / "dosis/Dosis-SemiBold.otf": 0.02,
    TRUETYPE / "play/Play-Bold.ttf": 0.03,
    OPENTYPE / "yanone-kaffeesatz/YanoneKaffeesatz-Bold.otf": 0.02,
    OPENTYPE / "yanone-kaffeesatz/YanoneKaffeesatz-Regular.otf": 0.02,
    TRUETYPE / "jetbrains-mono/JetBrainsMono-Bold.ttf": 0.02,
    TRUETYPE / "inconsolata/Inconsolata.otf": 0.02,
    TRUETYPE / "hack/Hack-Bold.ttf": 0.02,
    TRUETYPE / "lato/Lato-Bold.ttf": 0.02,
    TRUETYPE / "oxygen/Oxygen-Sans-Bold.ttf": 0.02,
    OPENTYPE / "national-park/NationalPark-Heavy.otf": 0.02,
}
HANZI_SEEN = {
    (OPENTYPE / "noto/NotoSansCJK-Bold.ttc", NOTO_SC): 0.12,
    (OPENTYPE / "noto/NotoSansCJK-Medium.ttc", NOTO_SC): 0.08,
    (OPENTYPE / "noto/NotoSansCJK-Regular.ttc", NOTO_SC): 0.05,
    (OPENTYPE / "noto/NotoSansCJK-Black.ttc", NOTO_SC): 0.08,
    (OPENTYPE / "noto/NotoSansCJK-Bold.ttc", 0): 0.02,  # other countries' shapes of the same characters
    (OPENTYPE / "noto/NotoSansCJK-Bold.ttc", 3): 0.02,
    (OPENTYPE / "noto/NotoSerifCJK-Black.ttc", NOTO_SC): 0.05,
    (OPENTYPE / "noto/NotoSerifCJK-Bold.ttc", NOTO_SC): 0.03,
    (TRUETYPE / "wqy/wqy-microhei.ttc", 0): 0.10,
    (TRUETYPE / "droid/DroidSansFallbackFull.ttf", 0): 0.07,
    (TRUETYPE / "babelstone/BabelStoneHan.ttf", 0): 0.03,
    (TRUETYPE / "lxgw-wenkai/LXGWWenKai-Bold.ttf", 0): 0.04,
    (TRUETYPE / "lxgw-wenkai/LXGWWenKai-Regular.ttf", 0): 0.03,
    (TRUETYPE / "arphic/ukai.ttc", 0): 0.02,
    (TRUETYPE / "arphic/uming.ttc", 0): 0.02,
    (TRUETYPE / "arphic-gkai00mp/gkai00mp.ttf", 0): 0.03,
    (TRUETYPE / "arphic-gbsn00lp/gbsn00lp.ttf", 0): 0.02,
    (TRUETYPE / "cns11643/TW-Kai-98_1.ttf", 0): 0.02,
    (TRUETYPE / "cns11643/TW-Sung-98_1.ttf", 0): 0.02,
    (TRUETYPE / "cwtex/cwheib.ttf", 0): 0.03,
    (TRUETYPE / "bizud-gothic/BIZUDGothic-Bold.ttf", 0): 0.02,
    (TRUETYPE / "bizud-gothic/BIZUDGothic-Regular.ttf", 0): 0.02,
    (TRUETYPE / "motoya-l-cedar/MTLc3m.ttf", 0): 0.02,
    (TRUETYPE / "horai-umefont/ume-tgo5.ttf", 0): 0.02,
    (OPENTYPE / "ipaexfont-gothic/ipaexg.ttf", 0): 0.02,
    (OPENTYPE / "mplus/Mplus1-Bold.otf", 0): 0.02,
    (OPENTYPE / "unifont/unifont.otf", 0): 0.02,
    (TRUETYPE / "smiley-sans/SmileySans-Oblique.ttf", 0): 0.03,
}
INSTEAD = (TRUETYPE / "wqy/wqy-microhei.ttc", 0)  # draws what a font has no shape for
NO_CHARACTER = "\ue9f3"  # for private use: what a font draws for it, it draws for all it lacks
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
        sources.append(_complete(path, face))
        shares.append(share)
    total = sum(shares)
    return Choice(tuple(sources), tuple(s / total for s in shares))


@cache
def _complete(path: Path, face: int) -> Glyphs:
    """The characters of a font, and those of INSTEAD where it has none."""
    own, instead = from_font(path, face), from_font(*INSTEAD)

    @cache
    def lacks(character: str) -> bool:
        try:
            shape, nothing = own(character), own(NO_CHARACTER)
        except ValueError:  # blank
            return not _has_ink(own, character)
        return shape.shape == nothing.shape and bool((shape == nothing).all())

    return lambda character: instead(character) if lacks(character) else own(character)


def _has_ink(glyphs: Glyphs, character: str) -> bool:
    try:
        glyphs(character)
    except ValueError:
        return False
    return True


def seen() -> tuple[Choice, Choice]:
    """(hanzi, latin) to train with."""
    from training.strokes import strokes

    return _choice(HANZI_SEEN), _choice(LATIN_SEEN, {strokes(variant): 0.03 for variant in range(8)})


def unseen() -> tuple[Choice, Choice]:
    """(hanzi, latin) to measure with."""
    return _choice(HANZI_UNSEEN), _choice(LATIN_UNSEEN)


def shipped() -> tuple[Choice, Choice]:
    """Only what sim/render draws with."""
    return Choice((bundled(),), (1.0,)), Choice((bundled(),), (1.0,))
