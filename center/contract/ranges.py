"""Sets of event numbers as ascending inclusive ranges: what an acknowledgement speaks in. Pure."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator

Range = tuple[int, int]  # first, last; both included; 1 <= first <= last


class Ranges:
    """A set of positive integers kept as disjoint ranges that never touch. Cost grows with ranges, not numbers."""

    __slots__ = ("_firsts", "_lasts")

    def __init__(self, ranges: Iterable[Range] = ()) -> None:
        self._firsts: list[int] = []
        self._lasts: list[int] = []
        for first, last in ranges:
            self.add(first, last)

    def __iter__(self) -> Iterator[Range]:
        return iter(list(zip(self._firsts, self._lasts, strict=True)))

    def __len__(self) -> int:
        """How many ranges, not how many numbers."""
        return len(self._firsts)

    def __contains__(self, number: int) -> bool:
        i = bisect_right(self._firsts, number) - 1
        return i >= 0 and number <= self._lasts[i]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Ranges) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]  # mutable

    def __repr__(self) -> str:
        return f"Ranges({list(self)})"

    def count(self) -> int:
        """How many numbers."""
        return sum(self._lasts) - sum(self._firsts) + len(self._firsts)

    def copy(self) -> Ranges:
        """An independent copy."""
        new = Ranges()
        new._firsts, new._lasts = self._firsts[:], self._lasts[:]
        return new

    def add(self, first: int, last: int) -> None:
        """Include first..last. Raises ValueError unless 1 <= first <= last."""
        if not 1 <= first <= last:
            raise ValueError(f"a range needs 1 <= first <= last, got {first}..{last}")
        # Every range that overlaps or touches [first, last] melts into it.
        i = bisect_left(self._lasts, first - 1)
        j = bisect_right(self._firsts, last + 1)
        if i < j:
            first, last = min(first, self._firsts[i]), max(last, self._lasts[j - 1])
        self._firsts[i:j] = [first]
        self._lasts[i:j] = [last]

    def remove(self, first: int, last: int) -> None:
        """Exclude first..last; numbers that are not in it do not matter."""
        if first > last:
            return
        i = bisect_left(self._lasts, first)
        j = bisect_right(self._firsts, last)
        if i >= j:
            return
        kept: list[Range] = []
        if self._firsts[i] < first:
            kept.append((self._firsts[i], first - 1))
        if self._lasts[j - 1] > last:
            kept.append((last + 1, self._lasts[j - 1]))
        self._firsts[i:j] = [f for f, _ in kept]
        self._lasts[i:j] = [t for _, t in kept]

    def gaps(self, first: int, last: int) -> Iterator[Range]:
        """The ranges within first..last that are not in the set, ascending."""
        at = first
        for i in range(bisect_left(self._lasts, first), len(self._firsts)):
            if self._firsts[i] > last:
                break
            if at < self._firsts[i]:
                yield at, self._firsts[i] - 1
            at = self._lasts[i] + 1
        if at <= last:
            yield at, last

    def first_range(self) -> Range | None:
        """The lowest range, or None where the set is empty."""
        return (self._firsts[0], self._lasts[0]) if self._firsts else None
