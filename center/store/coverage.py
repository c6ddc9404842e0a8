"""Which numbers of one epoch are stored or reported lost, and which are missing. Pure."""

from __future__ import annotations

from center.contract.acknowledgement import MAX_MISSING_RANGES, Ack
from center.contract.ranges import Range, Ranges

# Gaps one epoch may have. An honest gateway fills the lowest first and has a handful; without a limit a hostile one
# could make the center keep a range per event. What would start another island is not stored, so it stays missing.
MAX_ISLANDS = 512


class Coverage:
    """`stored_upto` is the end of the unbroken run from 1; `islands` are covered ranges above it."""

    __slots__ = ("islands", "known_upto", "stored_upto")

    def __init__(self, stored_upto: int = 0, known_upto: int = 0, islands: Ranges | None = None) -> None:
        self.stored_upto = stored_upto
        self.known_upto = max(known_upto, stored_upto)
        self.islands = islands if islands is not None else Ranges()

    def copy(self) -> Coverage:
        """An independent copy."""
        return Coverage(self.stored_upto, self.known_upto, self.islands.copy())

    def covers(self, number: int) -> bool:
        """True where this number is stored or reported lost."""
        return number <= self.stored_upto or number in self.islands

    def room_for(self, first: int, last: int) -> bool:
        """True unless first..last would start an island over the limit."""
        if len(self.islands) < MAX_ISLANDS or first <= self.stored_upto + 1:
            return True
        return any(number in self.islands for number in (first - 1, last + 1, first, last))

    def cover(self, first: int, last: int) -> None:
        """Count first..last as here. Raises ValueError unless 1 <= first <= last."""
        self.islands.add(first, last)
        self.known_upto = max(self.known_upto, last)
        lowest = self.islands.first_range()
        while lowest is not None and lowest[0] <= self.stored_upto + 1:
            self.stored_upto = max(self.stored_upto, lowest[1])
            self.islands.remove(*lowest)
            lowest = self.islands.first_range()

    def announce(self, upto: int) -> None:
        """The gateway says that numbers up to `upto` exist."""
        self.known_upto = max(self.known_upto, upto)

    def missing(self) -> int:
        """How many numbers are known to exist and not covered."""
        return self.known_upto - self.stored_upto - self.islands.count()

    def acknowledgement(self, epoch: str) -> Ack:
        """What to tell the gateway; the lowest MAX_MISSING_RANGES gaps."""
        missing: list[Range] = []
        seen_upto = self.known_upto
        for gap in self.islands.gaps(self.stored_upto + 1, self.known_upto):
            if len(missing) == MAX_MISSING_RANGES:
                seen_upto = gap[0] - 1
                break
            missing.append(gap)
        return Ack(epoch=epoch, stored_upto=self.stored_upto, missing=tuple(missing), seen_upto=seen_upto)
