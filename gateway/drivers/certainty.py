"""Whether a clock is to be believed, and what time it certainly is at least. Pure: readings in, a verdict out.

The rules, and why, are in docs/time.md.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

# A time server sets a clock back by less than this without anything being wrong.
TOLERANCE_MS = 2_000
# A crystal drifts by well below 200 parts in a million; beyond twice that plus this, somebody set the clock.
JUMP_MS = 120_000
DRIFT_PARTS_PER_MILLION = 400
# So long after it was last synchronised a clock is still believed within the same boot: below 20 minutes of drift.
HOLDOVER_MS = 30 * 24 * 3600 * 1000
# A synchronised clock below the newest stored time is refused for so long: then the stored time was the wrong one.
DOUBT_MS = 24 * 3600 * 1000
# A hardware clock so far above the newest stored time is a broken one, or a gateway that was off for very long.
AHEAD_MS = 400 * 24 * 3600 * 1000

Trust = Literal["synchronised", "hardware"]
Cause = Literal["", "not-synchronised", "behind", "ahead", "jumped", "drifted"]


@dataclass(frozen=True, slots=True)
class Reading:
    """One look: what the wall clock shows, what the monotonic one shows (same boot), and what the kernel says; ms."""

    wall_ms: int
    monotonic_ms: int
    synchronised: bool


@dataclass(frozen=True, slots=True)
class Anchor:
    """A moment at which the time was known."""

    wall_ms: int
    monotonic_ms: int

    def expected_ms(self, monotonic_ms: int) -> int:
        """What a clock should show then that ran on undisturbed."""
        return self.wall_ms + monotonic_ms - self.monotonic_ms


@dataclass(frozen=True, slots=True)
class Certainty:
    """`floor`: a moment that has certainly passed. `anchor`: when the time was last known in this boot, if it was.
    `cause`: why the clock is not believed now, "" where it is. `offset_ms`: how far off it was when it came right."""

    floor: Anchor
    anchor: Anchor | None = None
    cause: Cause = ""
    offset_ms: int = 0
    doubted_since_ms: int | None = None  # monotonic: synchronised, but below the floor
    stored: bool = True  # whether the floor is a stored time, and not merely this program's age

    def now_ms(self, reading: Reading) -> int:
        """The time: the wall clock's where that is believed, else a lower bound that runs on."""
        least_ms = self.floor.expected_ms(reading.monotonic_ms)
        return max(reading.wall_ms, self.floor.wall_ms) if not self.cause else least_ms


def look(before: Certainty, reading: Reading, trust: Trust) -> Certainty:
    """The verdict after one more reading. Call it at least every few seconds, so that a jump is seen as one."""
    if reading.synchronised:
        return _synchronised(before, reading)
    cause: Cause = ""
    if before.anchor is not None:
        away_ms = reading.monotonic_ms - before.anchor.monotonic_ms
        off_ms = abs(reading.wall_ms - before.anchor.expected_ms(reading.monotonic_ms))
        if off_ms > JUMP_MS + away_ms * DRIFT_PARTS_PER_MILLION // 1_000_000:
            cause = "jumped"
        elif away_ms > HOLDOVER_MS and trust == "synchronised":
            cause = "drifted"
    elif trust == "synchronised":
        cause = "not-synchronised"
    elif before.stored and reading.wall_ms > before.floor.wall_ms + AHEAD_MS:
        cause = "ahead"
    if not cause and reading.wall_ms < before.floor.wall_ms - TOLERANCE_MS:
        cause = "behind"
    if cause:
        return _uncertain(before, reading, cause)
    anchor = before.anchor or Anchor(reading.wall_ms, reading.monotonic_ms)
    return _certain(before, reading, anchor)


def _synchronised(before: Certainty, reading: Reading) -> Certainty:
    if reading.wall_ms < before.floor.wall_ms - TOLERANCE_MS:
        since_ms = before.doubted_since_ms if before.doubted_since_ms is not None else reading.monotonic_ms
        if reading.monotonic_ms - since_ms < DOUBT_MS:
            return replace(_uncertain(before, reading, "behind"), doubted_since_ms=since_ms)
        before = replace(before, floor=Anchor(reading.wall_ms, reading.monotonic_ms))
    return _certain(before, reading, Anchor(reading.wall_ms, reading.monotonic_ms))


def _certain(before: Certainty, reading: Reading, anchor: Anchor) -> Certainty:
    offset_ms = reading.wall_ms - before.floor.expected_ms(reading.monotonic_ms) if before.cause else before.offset_ms
    floor = Anchor(max(reading.wall_ms, before.floor.wall_ms), reading.monotonic_ms)
    return Certainty(floor, anchor, "", offset_ms)


def _uncertain(before: Certainty, reading: Reading, cause: Cause) -> Certainty:
    """The floor runs on with the monotonic clock, never with a wall clock that is not believed."""
    floor = Anchor(before.floor.expected_ms(reading.monotonic_ms), reading.monotonic_ms)
    return Certainty(floor, before.anchor, cause, 0, None, before.stored)
