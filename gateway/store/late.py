"""What waits in memory until the disk is well: events, kept values, and alarms that leave meanwhile. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from center.contract.catalogue import Event
from gateway.store.early_alarms import EarlyAlarms
from gateway.store.memory_ring import MemoryRing, MemoryRow

MAX_KEPT, MAX_KEY, MAX_VALUE = 1_000, 64, 65_536


@dataclass(frozen=True, slots=True)
class Batch:
    """What is being stored; `overflowed`: for so many there was no room before."""

    rows: tuple[MemoryRow, ...]
    keep: Mapping[str, str | None]
    overflowed: int


class Late:
    """While `storing`, the identity of the rows of that batch is the disk's to give: they do not leave early."""

    def __init__(self) -> None:
        self.ring = MemoryRing()
        self.early = EarlyAlarms()
        self.keep: Mapping[str, str | None] = {}  # newest value per key
        self._storing: set[int] = set()  # id() of rows

    def __len__(self) -> int:
        """How many events wait."""
        return len(self.ring)

    def remember(self, keep: Mapping[str, str | None], *, older: bool = False) -> None:
        """These values wait, too; `older` ones count only where there is no newer one."""
        self.keep = {**keep, **self.keep} if older else {**self.keep, **keep}

    def leaving(self) -> Sequence[tuple[str, Sequence[Event]]]:
        """Alarms that leave early, or have and are not acknowledged: (memory epoch, events ascending)."""
        return self.early.take(self.ring.rows, self._storing)

    def acknowledged(self, epoch: str, upto: int) -> bool:
        """The center has these early alarms; False where none of them was waiting for that."""
        if not self.early.acknowledge(epoch, upto):
            return False
        if epoch == self.early.epoch:
            for row in self.ring.rows:
                row.early_acked |= 0 < row.early_seq <= upto
        return True

    def left_unstored(self) -> bool:
        """Whether something has left that is not on the disk."""
        return any(row.early_seq for row in self.ring.rows)

    def begin(self) -> Batch:
        """All of it, to be stored; `end` or `done` follows."""
        batch = Batch(self.ring.rows, dict(self.keep), self.ring.overflowed)
        self._storing = {id(row) for row in batch.rows}
        return batch

    def end(self) -> None:
        """The storing is over, however it went."""
        self._storing = set()

    def done(self, batch: Batch) -> None:
        """It is stored: forget it, apart from what is newer."""
        self.ring.remove(batch.rows)
        self.ring.overflowed -= batch.overflowed
        unset = object()
        self.keep = {key: value for key, value in self.keep.items() if batch.keep.get(key, unset) != value}

    def take_all(self) -> tuple[list[MemoryRow], Mapping[str, str | None]]:
        """Everything, to be stored in the ordinary way."""
        rows, keep = list(self.ring.rows), self.keep
        self.ring.remove(rows)
        self.keep = {}
        return rows, keep


def check_kept(keep: Mapping[str, str | None], kept: Mapping[str, str]) -> None:
    """Raises ValueError where `keep`, beside what is `kept` already, is beyond a limit."""
    for key, value in keep.items():
        if not 0 < len(key) <= MAX_KEY or (value is not None and len(value.encode()) > MAX_VALUE):
            raise ValueError(f"kept {key[:MAX_KEY]!r}: expected a key of 1..{MAX_KEY} and at most {MAX_VALUE} bytes")
        if value is not None and key not in kept and len(kept) >= MAX_KEPT:
            raise ValueError(f"kept {key!r}: there are {MAX_KEPT} keys already; forget some")
