"""The holders who consented, as this process knows them: vectors in memory, never on disk, gone when it ends."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from gateway.vision.faces.embed import Embedding

MAX_REFERENCES = 40_000  # 192 numbers each: 31 MB


@dataclass(frozen=True, slots=True)
class Candidate:
    """The nearest holder. similarity: cosine, -1..1. margin: how much nearer than the next holder (2 where there is
    none: nobody can be further away)."""

    holder: str
    similarity: float
    margin: float


@dataclass(slots=True)
class Gallery:
    """One row per holder: the mean direction of the holder's references, so that many references do not mean many
    comparisons (and with them more false ones)."""

    version: int = 0
    holders: tuple[str, ...] = ()
    vectors: NDArray[np.float32] = field(default_factory=lambda: np.empty((0, 0), np.float32))

    @classmethod
    def of(cls, version: int, references: Iterable[tuple[str, Embedding]]) -> Gallery:
        """From (holder, reference) in any order. Raises ValueError where lengths differ or one is no direction."""
        sums: dict[str, Embedding] = {}
        for holder, reference in references:
            length = float(np.linalg.norm(reference))
            if not np.isfinite(length) or length < 1e-6:
                raise ValueError("a reference has no direction; expected finite numbers that are not all zero")
            unit = (reference / length).astype(np.float32)
            if holder in sums and sums[holder].shape != unit.shape:
                raise ValueError(
                    f"references of {unit.shape[0]} and {sums[holder].shape[0]} numbers; expected all from one model"
                )
            sums[holder] = sums[holder] + unit if holder in sums else unit
        if not sums:
            return cls(version)
        vectors = np.stack(list(sums.values()))
        vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
        return cls(version, tuple(sums), np.ascontiguousarray(vectors))

    def __len__(self) -> int:
        return len(self.holders)

    def nearest(self, probe: Embedding) -> Candidate | None:
        """1:N: the holder most like `probe` (length one); None where nobody is enrolled."""
        if not self.holders:
            return None
        similar = np.vecdot(self.vectors, probe)  # not matmul: its threads cost more than they save here
        best = int(similar.argmax())
        top = float(similar[best])
        if len(self.holders) == 1:
            return Candidate(self.holders[best], top, 2.0)
        similar[best] = -np.inf
        return Candidate(self.holders[best], top, top - float(similar.max()))

    def verify(self, holder: str, probe: Embedding) -> float | None:
        """1:1: the similarity to this holder alone; None where the holder is not enrolled."""
        if holder not in self.holders:
            return None
        return float(np.dot(self.vectors[self.holders.index(holder)], probe))

    def forget(self) -> None:
        """Overwrite what was kept."""
        self.vectors.fill(0)
        self.holders, self.vectors = (), np.empty((0, 0), np.float32)
