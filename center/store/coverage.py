"""Which numbers of one epoch are stored or reported lost, and which are missing. Pure.

This is also what recognises a second copy: it survives the removal of old events, so a number that was stored once is
neither stored again nor asked for again when its event has gone.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from center.contract.acknowledgement import MAX_MISSING_RANGES, Ack
from center.contract.ranges import Range, Ranges

# Gaps one epoch may have. An honest gateway fills the lowest first and has a handful; without a limit a hostile one
# could make the center keep a range per event. What would start another island is not stored, so it stays missing.
MAX_ISLANDS = 512
# Ranges of numbers reported lost that one epoch may have. Beyond it they are only counted, and a late finding is not
# taken back.
MAX_LOST = 512


class Coverage:
    """`stored_upto` is the end of the unbroken run from 1; `islands` are covered ranges above it.

    `lost` are covered numbers that the gateway reported lost and that never arrived; `lost_beyond` counts those that
    found no room in it.
    """

    __slots__ = ("islands", "known_upto", "lost", "lost_beyond", "stored_upto")

    def __init__(
        self,
        stored_upto: int = 0,
        known_upto: int = 0,
        islands: Ranges | None = None,
        lost: Ranges | None = None,
        lost_beyond: int = 0,
    ) -> None:
        self.stored_upto = stored_upto
        self.known_upto = max(known_upto, stored_upto)
        self.islands = islands if islands is not None else Ranges()
        self.lost = lost if lost is not None else Ranges()
        self.lost_beyond = lost_beyond

    def copy(self) -> Coverage:
        """An independent copy."""
        return Coverage(self.stored_upto, self.known_upto, self.islands.copy(), self.lost.copy(), self.lost_beyond)

    def covers(self, number: int) -> bool:
        """True where this number is stored or reported lost."""
        return number <= self.stored_upto or number in self.islands

    def stores(self, number: int) -> bool:
        """True where this number's event was stored here, whether or not it has been removed since."""
        return self.covers(number) and number not in self.lost

    def room_for(self, first: int, last: int) -> bool:
        """True unless first..last would start an island over the limit."""
        if len(self.islands) < MAX_ISLANDS or first <= self.stored_upto + 1:
            return True
        return any(number in self.islands for number in (first - 1, last + 1, first, last))

    def follows(self, numbers: Sequence[int]) -> bool:
        """True where `numbers` are simply the next ones, in order, and nothing lies above them: nearly always."""
        first = self.stored_upto + 1
        if len(self.islands) or not numbers or numbers[0] != first:
            return False
        return numbers == list(range(first, first + len(numbers)))

    def cover(self, first: int, last: int) -> None:
        """Count first..last as here. Raises ValueError unless 1 <= first <= last."""
        if (
            not len(self.islands) and 1 <= first <= self.stored_upto + 1 and first <= last
        ):  # nearly always: the next one
            self.stored_upto = max(self.stored_upto, last)
            self.known_upto = max(self.known_upto, last)
            return
        self.islands.add(first, last)
        self.known_upto = max(self.known_upto, last)
        lowest = self.islands.first_range()
        while lowest is not None and lowest[0] <= self.stored_upto + 1:
            self.stored_upto = max(self.stored_upto, lowest[1])
            self.islands.remove(*lowest)
            lowest = self.islands.first_range()

    def store(self, number: int) -> bool:
        """Count one event as stored; False where it is refused because that would break a limit."""
        if number in self.lost:
            self.lost.remove(number, number)
            if len(self.lost) <= MAX_LOST:
                return True
            self.lost.add(number, number)
            return False
        if not self.room_for(number, number):
            return False
        self.cover(number, number)
        return True

    def lose(self, first: int, last: int) -> None:
        """The gateway says that it has first..last no longer. What is stored already stays stored."""
        apart = next(self.islands.gaps(first, last), None) == (first, last)
        if apart and not self.room_for(first, last):
            return
        for gap in list(self.islands.gaps(max(first, self.stored_upto + 1), last)):
            if len(self.lost) < MAX_LOST:
                self.lost.add(*gap)
            else:
                self.lost_beyond += gap[1] - gap[0] + 1
        self.cover(first, last)

    def announce(self, upto: int) -> None:
        """The gateway says that numbers up to `upto` exist."""
        self.known_upto = max(self.known_upto, upto)

    def lost_count(self) -> int:
        """How many numbers were reported lost and never arrived."""
        return self.lost.count() + self.lost_beyond

    def missing(self) -> int:
        """How many numbers are known to exist and not covered."""
        return self.known_upto - self.stored_upto - self.islands.count()

    def missing_ranges(self, limit: int) -> list[Range]:
        """The lowest `limit` ranges of missing numbers."""
        found: list[Range] = []
        for gap in self.islands.gaps(self.stored_upto + 1, self.known_upto):
            if len(found) == limit:
                break
            found.append(gap)
        return found

    def acknowledgement(self, epoch: str) -> Ack:
        """What to tell the gateway; the lowest MAX_MISSING_RANGES gaps."""
        missing = self.missing_ranges(MAX_MISSING_RANGES + 1)
        seen_upto = self.known_upto
        if len(missing) > MAX_MISSING_RANGES:
            seen_upto = missing.pop()[0] - 1
        return Ack(epoch=epoch, stored_upto=self.stored_upto, missing=tuple(missing), seen_upto=seen_upto)


def coverage_of(stored_upto: int, known_upto: int, islands: str, lost: str, lost_beyond: int = 0) -> Coverage:
    """From the store's columns, where ranges are JSON `[[first, last], ...]`."""
    return Coverage(stored_upto, known_upto, _ranges(islands), _ranges(lost), lost_beyond)


def ranges_text(ranges: Ranges) -> str:
    """Ranges as the store keeps them."""
    return msgspec.json.encode(list(ranges)).decode()


def _ranges(text: str) -> Ranges:
    return Ranges((first, last) for first, last in msgspec.json.decode(text))
