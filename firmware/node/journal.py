"""The node's journal of its own answers: a ring of slots that survives power, drained by the gateway. No I/O.

The store is CAPACITY + 2 slots of 32 bytes: two headers, written in turn, then record n in slot 2 + (n - 1) modulo
CAPACITY. Every change comes out of `writes` as (offset, bytes), to be written and flushed in this order. A power cut
tears at most the slot that is being written: a torn header leaves the other one, a torn record was not answered yet.
"""

from firmware.wire.cache_file import Blocks
from firmware.wire.errors import MessageError
from firmware.wire.offline import LOST, RECORD_BYTES, JournalHeader, Record

CAPACITY = 128
HEADERS_BYTES = 2 * RECORD_BYTES
STORE_BYTES = HEADERS_BYTES + CAPACITY * RECORD_BYTES
# Refusals leave so much room for grants: who came in matters more than who did not.
_FOR_GRANTS = CAPACITY // 4
_FOR_LOST = 1
# Where records reach the store after the relay, numbers are set aside in such blocks before: a block that is not used
# up when the power comes back says that an answer may have been lost.
_BLOCK = 16


class Journal:
    """Records numbered from 1, `waiting` until they are acknowledged.

    `counted`: the board cannot flush before the relay moves, so what a power cut takes is counted instead. `lost` is
    how many answers are not in the journal, in all; it never falls.
    """

    def __init__(self, slots, new_id: int, counted: bool = False):
        """`slots`: what was kept, slot by slot, of any number or content. `new_id`: a random number, for a journal
        that begins."""
        self._counted = counted
        self._writes = []
        self._generation = 0
        self._acked = 0
        self._reserved = 0  # numbers up to it may have been used, whether they reached the store or not
        self._accounted = 0  # numbers up to it are in the store or counted as lost
        self._told_lost = 0
        self.lost = 0
        self.time_s = 0
        self.mode = 0
        self._kept = Blocks(CAPACITY * RECORD_BYTES)  # as in the store: as objects, records would fill a small heap
        self.waiting = 0  # records that are not acknowledged
        self._told = 0  # up to this number, in this session
        self._next = 1
        header = self._read(slots)
        if header is None:
            self.id = new_id
            self._write_header()
        else:
            self.id, self.mode, self.lost = header.journal, header.mode, header.lost
            self.time_s = max(self.time_s, header.time_s)
            self._generation = header.generation
            self._reserved, self._accounted = header.reserved, header.accounted
            self._take_up()

    def _read(self, slots):
        """Take up the records that are whole and not acknowledged. The header, or None where none is whole."""
        headers = []
        header = None
        for place, slot in enumerate(slots):
            if place < 2:
                headers.append(slot)
                if place == 1:
                    header = _newest_header(headers)
                    self._acked = 0 if header is None else header.acked
                continue
            if header is None:
                break
            try:
                record = Record.decode(slot)
            except MessageError:
                continue
            if record.journal == header.journal and self._acked < record.number <= self._acked + CAPACITY:
                if not self._here(record.number):
                    self._keep(record.number, slot)
                self._next = max(self._next, record.number + 1)
                if record.what == LOST:
                    self._told_lost = max(self._told_lost, record.count)
                self.time_s = max(self.time_s, record.unix_ms // 1000)
        return header

    def _take_up(self) -> None:
        """Go on where the records end."""
        last = max(self._accounted, self._acked, self._next - 1)
        if self._reserved > last:
            self.lost += 1  # the shell writes each record right after its relay: no more than one was under way
            self._accounted = last = self._reserved
            self._write_header()
        self._next = last + 1
        self._told = self._acked

    @property
    def settled(self) -> bool:
        """Nothing waits, and nothing that was lost is untold."""
        return not self.waiting and self.lost <= self._told_lost

    def writes(self) -> list:
        """What is to be written to the store since the last call: (offset, bytes), in order."""
        writes = self._writes
        self._writes = []
        return writes

    def add(self, unix_ms: int, digest: bytes, what: int, shown: int, reason: int, flags: int, keep_room: bool):
        """The number of a new record, or None where there is no room: then it is counted as lost."""
        room = CAPACITY - self._window()
        if room <= (_FOR_GRANTS if keep_room else _FOR_LOST):
            self.lost += 1
            self._write_header()
            return None
        return self._append(Record(self.id, self._next, unix_ms, digest, what, shown, reason, flags))

    def take_back(self, number: int) -> None:
        """The newest record could not be stored: its number is free again, and it counts as lost."""
        if number == self._next - 1 and self._here(number):
            self._kept.put(_place(number), bytes(RECORD_BYTES))
            self.waiting -= 1
            self._told = min(self._told, number - 1)
            self._next = number
            self.lost += 1
            self._write_header()

    def to_tell(self, unix_ms: int, flags: int):
        """The oldest record that was not told in this session, or None. What was lost is told last."""
        number = self._told + 1
        while number < self._next and not self._here(number):
            number += 1
        if number == self._next and self.lost > self._told_lost and self._window() < CAPACITY:
            self._told_lost = self.lost
            self._append(Record(self.id, self._next, unix_ms, self.lost.to_bytes(8, "little"), LOST, 0, 0, flags))
        if number >= self._next:
            return None
        self._told = number
        return Record.decode(self._kept.get(_place(number), RECORD_BYTES))

    def again(self) -> None:
        """A new session: everything that is not acknowledged is told again."""
        self._told = self._acked

    def stored(self, journal: int, number: int) -> bool:
        """The gateway has these records. False where it speaks of another journal or of what was never told."""
        if journal != self.id or number > self._told:
            return False
        if number > self._acked:
            for done in range(self._acked + 1, number + 1):
                if self._here(done):
                    self.waiting -= 1
            self._acked = number
            if not self.waiting:
                self._reserved = min(self._reserved, max(number, self._accounted))
            self._write_header()
        return True

    def set_mode(self, mode: int) -> None:
        """What the portal was last told to be, kept for when nobody can tell."""
        if mode != self.mode:
            self.mode = mode
            self._write_header()

    def set_time(self, time_s: int) -> None:
        """It is at least this late (Unix s)."""
        self.time_s = time_s
        self._write_header()

    def again_kept(self) -> None:
        """A write failed: write what the header says once more."""
        self._write_header()

    def _window(self) -> int:
        """How many slots are not free."""
        return self._next - 1 - self._acked

    def _append(self, record) -> int:
        if self._counted and record.number > self._reserved:
            self._reserved = record.number + _BLOCK - 1
            self._write_header()
        slot = record.encode()
        self._keep(record.number, slot)
        self._next = record.number + 1
        self._writes.append((HEADERS_BYTES + _place(record.number), slot))
        return record.number

    def _keep(self, number: int, slot: bytes) -> None:
        self._kept.put(_place(number), slot)
        self.waiting += 1

    def _here(self, number: int) -> bool:
        """Whether there is a record of this number: where one was lost, the slot holds an older one or nothing."""
        slot = self._kept.get(_place(number), RECORD_BYTES)
        return int.from_bytes(slot[4:8], "little") == number

    def _write_header(self) -> None:
        generation = self._generation = (self._generation + 1) & 0xFFFF
        header = JournalHeader(
            self.mode, generation, self.id, self._acked, self._reserved, self._accounted, self.lost, self.time_s
        )
        self._writes.append((generation % 2 * RECORD_BYTES, header.encode()))


def _place(number: int) -> int:
    """Where the slot of this record begins, after the headers."""
    return (number - 1) % CAPACITY * RECORD_BYTES


def _newest_header(slots):
    """The header that was written last and is whole, or None."""
    newest = None
    for slot in slots:
        try:
            header = JournalHeader.decode(slot)
        except MessageError:
            continue
        if newest is None or 0 < (header.generation - newest.generation) & 0xFFFF < 0x8000:
            newest = header
    return newest
