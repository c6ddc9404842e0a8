"""How much the journal may hold and how long that lasts. Pure."""

from __future__ import annotations

from dataclasses import dataclass

# The documented rate: twenty times the mean of 500 events a day, as in a rush; docs/durability.md.
DOCUMENTED_EVENTS_PER_DAY = 10_000
REQUIRED_HOURS = 120
BYTES_PER_ROW = 320  # measured about 190 with holder and plate; the rest is pages that are not full


@dataclass(frozen=True, slots=True)
class JournalLimits:
    """`rows_max`: beyond it acknowledged rows go first, then the least severe and oldest, counted."""

    rows_max: int = 200_000
    retain_days: int = 30  # of acknowledged rows

    @property
    def chunk(self) -> int:
        """Rows removed at once where there is no room: one report of a loss, not one per event."""
        return max(1, self.rows_max // 50)


@dataclass(frozen=True, slots=True)
class Room:
    """What is left before unacknowledged events are lost."""

    rows: int
    rows_max: int
    hours: float  # at DOCUMENTED_EVENTS_PER_DAY
    limited_by: str  # rows, or disk

    @property
    def enough(self) -> bool:
        """Whether an outage of REQUIRED_HOURS that begins now is survived."""
        return self.hours >= REQUIRED_HOURS


def room(limits: JournalLimits, rows: int, unacknowledged: int, free_bytes: int) -> Room:
    """Room for new events when the center falls silent now, with `rows` in the journal and `free_bytes` on its disk.

    Acknowledged rows make room by going; the file re-uses their pages.
    """
    by_rows = max(0, limits.rows_max - unacknowledged)
    by_disk = max(0, free_bytes) // BYTES_PER_ROW + max(0, rows - unacknowledged)
    left = min(by_rows, by_disk)
    return Room(left, limits.rows_max, left * 24 / DOCUMENTED_EVENTS_PER_DAY, "rows" if by_rows <= by_disk else "disk")
