"""What similarities of labelled pictures prove, and what not: rates with bounds, and thresholds from them. Pure.

Two ways of counting are kept apart. Pictures of one person resemble each other, so comparisons are many but not
independent: shares are of comparisons, bounds are of people.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, comb, sqrt

import numpy as np
from numpy.typing import NDArray

Z95 = 1.959964  # two-sided 95 %
Scores = NDArray[np.float32]
Flags = NDArray[np.bool_]


def wilson(hits: int, of: int) -> tuple[float, float]:
    """95 % interval of a share."""
    if of == 0:
        return 0.0, 1.0
    share, z2 = hits / of, Z95 * Z95
    middle, spread = share + z2 / (2 * of), Z95 * sqrt(share * (1 - share) / of + z2 / (4 * of * of))
    return max(0.0, (middle - spread) / (1 + z2 / of)), min(1.0, (middle + spread) / (1 + z2 / of))


def upper(hits: int, of: int, confidence: float = 0.95) -> float:
    """One-sided Clopper-Pearson bound of a share: with 0 hits about 3 / of (the rule of three)."""
    if hits >= of:
        return 1.0
    low, high = hits / of, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        at_most = sum(comb(of, k) * middle**k * (1 - middle) ** (of - k) for k in range(hits + 1))
        low, high = (middle, high) if at_most > 1 - confidence else (low, middle)
    return high


@dataclass(frozen=True, slots=True)
class Pairs:
    """Labelled pairs of pictures (indices) and each picture's group: pictures of different groups are of different
    people; of one group they may or may not be of one person."""

    a: NDArray[np.int64]
    b: NDArray[np.int64]
    same: Flags
    group: NDArray[np.int64]

    def of(self, members: Flags) -> Pairs:
        """The pairs of which both pictures are members."""
        kept = members[self.a] & members[self.b]
        return Pairs(self.a[kept], self.b[kept], self.same[kept], self.group)


def halves(pairs: Pairs) -> tuple[Flags, Flags]:
    """Two sets of pictures between which no pair lies, of about as many genuine and impostor pairs each."""
    parent = list(range(len(pairs.group)))

    def root(x: int) -> int:
        while parent[x] != x:
            x = parent[x]
        return x

    for a, b in zip(pairs.a, pairs.b, strict=True):
        parent[root(int(a))] = root(int(b))
    part = np.array([root(x) for x in range(len(parent))])
    genuine, impostor = (dict.fromkeys(part.tolist(), 0) for _ in range(2))
    for a, is_same in zip(pairs.a, pairs.same, strict=True):
        (genuine if is_same else impostor)[int(part[a])] += 1
    filled, chosen = [[0, 0], [0, 0]], {}
    for one in sorted(genuine, key=lambda p: (-genuine[p] - impostor[p], p)):
        cost = [f[0] * genuine[one] + f[1] * impostor[one] for f in filled]
        at = int(cost[1] < cost[0])
        filled[at][0] += genuine[one]
        filled[at][1] += impostor[one]
        chosen[one] = at
    first = np.array([chosen[int(p)] == 0 for p in part])
    return first, ~first


def pair_scores(vectors: Scores, pairs: Pairs) -> Scores:
    """Cosines of the pairs; rows of `vectors` have length one."""
    return (vectors[pairs.a] * vectors[pairs.b]).sum(1)


def cross_scores(vectors: Scores, group: NDArray[np.int64], members: Flags | None = None) -> Scores:
    """Every comparison of pictures of different people, sorted."""
    if members is not None:
        vectors, group = vectors[members], group[members]
    rows, columns = np.triu_indices(len(vectors), 1)
    apart = group[rows] != group[columns]
    return np.sort((vectors @ vectors.T)[rows[apart], columns[apart]])


def at_fmr(cross: Scores, fmr: float) -> float:
    """The similarity that a share `fmr` of different people's comparisons reaches."""
    return float(cross[min(len(cross) - 1, int(len(cross) * (1 - fmr)))])


def best_threshold(genuine: Scores, cross: Scores) -> float:
    """The similarity of the fewest errors where half of the pairs are genuine: FNMR of the genuine pairs and FMR of all
    comparisons of different people (there are many more of them than impostor pairs, so the choice is steadier)."""
    grid = np.round(np.arange(0.2, 0.6, 0.0025), 4)
    missed = np.searchsorted(np.sort(genuine), grid) / len(genuine)
    taken = 1 - np.searchsorted(cross, grid) / len(cross)
    return float(grid[int((missed + taken).argmin())])


@dataclass(frozen=True, slots=True)
class Operating:
    """One row of the threshold table (gateway.vision.faces.threshold.Row says what the fields mean)."""

    gallery_size: int
    fpir: float
    similarity: float
    strangers: int
    taken: int
    upper: float
    fnir: float


def identification(
    vectors: Scores, group: NDArray[np.int64], size: int, draws: int, seed: int = 36
) -> tuple[Scores, NDArray[np.float64], int]:
    """(thresholds, mean number of strangers taken for somebody at each, strangers) for galleries of `size` people.

    One picture a person. Gallery and strangers are disjoint people, so strangers are independent given the gallery;
    the mean is over `draws` galleries by chance.
    """
    rng = np.random.default_rng([seed, size])
    grid = np.round(np.arange(0.2, 0.9, 0.005), 3).astype(np.float32)
    people = np.unique(group)
    taken = np.zeros(len(grid))
    for _ in range(draws):
        pictures = np.array([rng.choice(np.flatnonzero(group == person)) for person in people])
        rng.shuffle(pictures)
        nearest = (vectors[pictures[size:]] @ vectors[pictures[:size]].T).max(1)
        taken += (nearest[:, None] >= grid).sum(0)
    return grid, taken / draws, len(people) - size


def not_found(
    vectors: Scores,
    group: NDArray[np.int64],
    mated: Sequence[tuple[int, int]],
    size: int,
    threshold: float,
    draws: int,
    seed: int = 36,
) -> float:
    """FNIR: share of (probe, reference) pictures of one person not found among `size` people at `threshold`."""
    rng = np.random.default_rng([seed, size, 1])
    people, missed = np.unique(group), 0
    for _ in range(draws):
        chosen = {int(p): int(rng.choice(np.flatnonzero(group == p))) for p in people}
        for probe, reference in mated:
            others = [chosen[int(p)] for p in rng.choice(people, min(size + 1, len(people)), replace=False)]
            others = [o for o in others if group[o] != group[probe]][: size - 1]
            own = float(vectors[probe] @ vectors[reference])
            nearest = float((vectors[others] @ vectors[probe]).max()) if others else -1.0
            missed += own < threshold or own <= nearest
    return missed / (draws * len(mated))


def operating_points(
    vectors: Scores,
    group: NDArray[np.int64],
    mated: Sequence[tuple[int, int]],
    sizes: Sequence[int],
    rates: Sequence[float],
    draws: int,
) -> list[Operating]:
    """Every (size, rate) that the people here can support, with the lowest similarity that does."""
    found = []
    for size in sizes:
        grid, taken, strangers = identification(vectors, group, size, draws)
        bounds: dict[int, float] = {}
        for rate in rates:
            for threshold, mean in zip(grid, taken, strict=True):
                hits = ceil(mean - 1e-9)  # of one gallery, counted up: the bound must not profit from many draws
                if hits > rate * strangers:
                    continue
                if hits not in bounds:
                    bounds[hits] = upper(hits, strangers)
                bound = bounds[hits]
                if bound <= rate:
                    fnir = not_found(vectors, group, mated, size, float(threshold), max(1, draws // 20))
                    found.append(Operating(size, rate, float(threshold), strangers, hits, bound, fnir))
                    break
    return found
