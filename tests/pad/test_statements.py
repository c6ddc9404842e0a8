"""The statement an operator accepts is the one that is delivered, to the letter."""

from __future__ import annotations

import re
from pathlib import Path

from gateway.vision.pad.statement import is_accepted, statement


def test_both_languages_have_the_same_points() -> None:
    texts = statement().texts
    assert set(texts) == {"zh", "en"}
    counts = {language: re.findall(r"^(\d+)\.", text, re.M) for language, text in texts.items()}
    assert counts["zh"] == counts["en"]
    assert len(counts["en"]) >= 6


def test_only_this_version_is_accepted() -> None:
    version = statement().version
    assert re.fullmatch(r"[0-9a-f]{16}", version)
    assert is_accepted(version)
    assert not is_accepted(None)
    assert not is_accepted("")
    assert not is_accepted(version[::-1])


def test_the_document_names_the_version() -> None:
    document = Path(__file__).resolve().parents[2] / "docs" / "pad.md"
    assert statement().version in document.read_text(encoding="utf-8")
