"""How similar is similar enough: from a measured table, for the number of people enrolled and the error rate asked for.

A row says: among `gallery_size` people, at this similarity, the share of strangers taken for one of them (FPIR) is with
95 % confidence at most `fpir`. Nothing is read between the rows and nothing beyond them: where no row supports what is
asked, the answer is no, and the door asks for face and card (one comparison instead of many).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from msgspec import Meta

from gateway.errors import VisionError
from gateway.vision.models import Sha256
from runtime.toml_file import Table, load

SHIPPED = Path(__file__).parent / "thresholds.toml"
Share = Annotated[float, Meta(gt=0, lt=1)]


class Row(Table):
    """fpir: the rate that is not exceeded, with the table's confidence. strangers: independent people who were compared
    with the gallery; taken: how many of them reached the similarity. fnir: share of enrolled people not found."""

    gallery_size: Annotated[int, Meta(ge=1)]
    fpir: Share
    similarity: Annotated[float, Meta(ge=-1, le=1)]
    strangers: Annotated[int, Meta(ge=1)]
    taken: Annotated[int, Meta(ge=0)]
    upper: Share
    fnir: Annotated[float, Meta(ge=0, le=1)]


class Thresholds(Table):
    """thresholds.toml: written by training/face_accuracy.py for one model file."""

    model_sha256: Sha256
    evidence: str
    confidence: Share
    row: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Unsupported:
    """No row supports it. `gallery_size`, `fpir`: the most the table does support at that size (None: nothing)."""

    gallery_size: int
    fpir: float
    best_fpir: float | None

    def __str__(self) -> str:
        best = "none" if self.best_fpir is None else f"{self.best_fpir:g}"
        return (
            f"face alone among {self.gallery_size} people at an FPIR of {self.fpir:g}: the evidence supports {best} at"
            " that size; ask for face and card, or measure with more people (make accuracy)"
        )


def threshold_for(gallery_size: int, fpir: float, table: Thresholds) -> float | Unsupported:
    """The similarity a face alone must reach among `gallery_size` holders so that FPIR stays at most `fpir`."""
    enough = [row for row in table.row if row.gallery_size >= max(1, gallery_size)]
    fitting = [row for row in enough if row.fpir <= fpir and row.upper <= fpir]
    if not fitting:
        return Unsupported(gallery_size, fpir, min((row.fpir for row in enough), default=None))
    # The nearest size above, then the laxest rate that is still allowed: both only make the door stricter than asked.
    size = min(row.gallery_size for row in fitting)
    return max((row for row in fitting if row.gallery_size == size), key=lambda row: row.fpir).similarity


def verification_threshold(fmr: float, table: Thresholds) -> float | Unsupported:
    """The similarity one claimed holder (1:1, a card was shown) must reach: a gallery of one."""
    return threshold_for(1, fmr, table)


def read_thresholds(path: Path, model_sha256: str) -> Thresholds:
    """A table, if it is of this model. Raises ConfigError, VisionError."""
    table = load(path, Thresholds)
    if table.model_sha256 != model_sha256:
        raise VisionError(
            f"{path}: measured with model {table.model_sha256[:16]}..., expected {model_sha256[:16]}...; measure again:"
            " make accuracy"
        )
    return table
