"""docs/portals.md shows the tables as they are."""

from __future__ import annotations

from diagrams import DIAGRAMS, DOCUMENT, in_document


def test_the_documents_diagrams_are_made_from_the_tables() -> None:
    assert in_document(DOCUMENT.read_text("utf-8")) == DIAGRAMS, "run: python tests/portal/diagrams.py"
