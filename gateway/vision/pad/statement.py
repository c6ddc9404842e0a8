"""What an operator has to accept before a door opens by face alone. Its version changes with every letter of it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

LANGUAGES = ("zh", "en")


@dataclass(frozen=True, slots=True)
class Statement:
    """version: the first 16 hexadecimal digits of the texts' SHA-256; an acceptance names it. texts: by language."""

    version: str
    texts: Mapping[str, str]


@lru_cache(maxsize=1)
def statement() -> Statement:
    """The statement as delivered. An acceptance of any other version is none: `is_accepted`."""
    texts = {
        language: Path(__file__).with_name(f"statement.{language}.txt").read_text(encoding="utf-8")
        for language in LANGUAGES
    }
    joined = "\0".join(texts[language] for language in LANGUAGES)
    return Statement(hashlib.sha256(joined.encode()).hexdigest()[:16], texts)


def is_accepted(version: str | None) -> bool:
    """Whether what an operator once accepted is this statement; None is what nobody has accepted."""
    return version is not None and version == statement().version
