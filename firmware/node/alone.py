"""A door node that decides by itself while its gateway is away: `offline` answers, this carries the answers out.

While a session lives it only passes on what people show, as any node. It is away once the panel has been silent for
`Offline.after_ms`, which is longer than any session survives; and back with the next session, in which it first tells
what it decided, while cards wait.
"""

from firmware.node.door import LOCK, MAX_PULSE_MS, REX_RELEASE_MS, DoorNode
from firmware.node.events import PEOPLE
from firmware.node.journal import HEADERS_BYTES
from firmware.wire import codes
from firmware.wire import offline as wire
from firmware.wire.replies import MAX_CARD_BITS, MAX_KEYS, ManufacturerReply

# What the gateway shows at a reader (gateway/drivers/osdp/requests.py), so that nobody sees who has answered.
ANSWER_LIGHT_MS = 3000
GRANTED_BEEPS = 1
DENIED_BEEPS = 3
# Cards wait until the records of an outage are stored, but no longer than this after the last one moved.
HOLD_MS = 5000


class AloneDoor(DoorNode):
    """`alone` is an offline.Offline. `counted`: the board's records reach the store after the relay has moved.

    One more effect: ("journal", [(offset, bytes)]) is to be written to the journal's store in order and flushed, and
    `journal_kept` called before anything else happens. `stores`, (JournalStore, CacheStore) or what has their `write`
    and `replace`, is used where the answer to the panel says that something is kept.
    """

    takes_blocks = True  # of `on_file`

    def __init__(
        self,
        alone,
        counted: bool = False,
        rex_release_ms: int = REX_RELEASE_MS,
        fire_loop: bool = False,
        latched: bool = False,
        mains_contact: bool = False,
        sensors: tuple = (),
        stores=None,
    ):
        super().__init__(rex_release_ms, fire_loop, latched, mains_contact, sensors)
        self._keeping = []  # for each "journal" effect under way: the number of the grant that waits for it, or None
        self._alone = alone
        self._stores = stores
        self._counted = counted
        self._now_ms = 0
        self._heard_ms = None  # when the panel last asked or told something; None: it counts from the next moment
        self._away = False
        self._progress_ms = 0
        self._state_untold = False
        self._owed = False  # what a command changed could not be written
        self._keep_journal()

    # --- what the pins saw

    def card(self, bits: int, data: bytes, now_ms: int) -> None:
        """A card's bits, first bit in the top of data[0]."""
        if self._decides(now_ms) and 1 <= bits <= MAX_CARD_BITS and len(data) == (bits + 7) // 8:
            self._answer(self._alone.card(bits, data, now_ms), now_ms)
        else:
            super().card(bits, data, now_ms)

    def keys(self, text: str, now_ms: int) -> None:
        """Keys pressed, `0`-`9`, `*` and `#`."""
        known = all(key in "0123456789*#" for key in text)
        if self._decides(now_ms) and known and 0 < len(text) <= MAX_KEYS:
            for answer in self._alone.keys(text, now_ms):
                self._answer(answer, now_ms)
        else:
            super().keys(text, now_ms)

    def tick(self, now_ms: int) -> None:
        """Let time pass: debounce, end pulses and waits."""
        if self._decides(now_ms):
            answer = self._alone.expire(now_ms)
            if answer is not None:
                self._answer(answer, now_ms)
        self._alone.keep_time(now_ms)
        self._keep_journal()
        super().tick(now_ms)

    def due_ms(self):
        """The next moment at which `tick` does something, or None."""
        moments = [moment for moment in (super().due_ms(), self._alone.due_ms()) if moment is not None]
        return min(moments) if moments else None

    # --- what the control panel asks

    def poll(self, now_ms: int):
        """The event to tell now, or None for nothing new."""
        self._heard(now_ms)
        self.events.hold = not self._alone.journal.settled and now_ms - self._progress_ms < HOLD_MS
        event = super().poll(now_ms)
        if event is None and self._tell_of_itself(now_ms):
            event = self.events.take(now_ms)
        return event

    def session_began(self) -> None:
        """The panel is told how things are now, and what was decided without it."""
        super().session_began()
        self._return(self._now_ms)
        self._heard_ms = None
        self.events.drop(codes.MFGREP)
        self._alone.journal.again()
        self._progress_ms = self._now_ms
        self._state_untold = True

    def output(self, outputs: list, now_ms: int) -> int:
        """Carry out output commands, all or none. A node that is away takes no release from a session that had died."""
        if self._away:
            for output in outputs:
                if output.number == LOCK and output.control != codes.OUT_NOP:
                    return codes.NAK_RECORD
        self._heard(now_ms)
        return super().output(outputs, now_ms)

    def led(self, leds: list, now_ms: int) -> int:
        """Carry out LED commands, all or none."""
        self._heard(now_ms)
        return super().led(leds, now_ms)

    def on_file(self, kind: int, data) -> int:
        """Take a file, in cache_file.Blocks; codes.FT_*."""
        if kind != codes.FILE_OFFLINE_CACHE:
            return codes.FT_UNKNOWN
        if self._away:  # of a session that had died
            return codes.FT_ABORT
        if not self._alone.take_cache(data):
            return codes.FT_MALFORMED
        # It counts from now on in any case: it may take somebody's right away. The answer is about the flash.
        self._alone.kept = self._stores is None or self._stores[1].replace(data)
        self._state_untold = True
        return codes.FT_PROCESSED if self._alone.kept else codes.FT_ABORT

    def on_manufacturer(self, data: bytes):
        """A manufacturer's command: the answer, b"" for done, None for refused. Done is also kept: a lockdown that was
        acknowledged holds through a power cut. A node that is away obeys no session that had died."""
        if self._away:
            return None
        journal = self._alone.journal
        answer = self._alone.command(data, self._now_ms)
        self._progress_ms = self._now_ms
        if self._stores is None:
            self._keep_journal()
            return answer
        writes = journal.writes()
        if writes:
            self._owed = not self._stores[0].write(writes)
        elif self._owed and data[:1] == bytes((wire.SET_MODE,)):  # said again: what did not reach the flash, too
            journal.again_kept()
            self._owed = not self._stores[0].write(journal.writes())
        return None if self._owed and data[:1] == bytes((wire.SET_MODE,)) else answer

    def new_key(self, scbk: bytes) -> None:
        """The device has another base key."""
        self._alone.new_key(scbk)

    def journal_kept(self, ok: bool, now_ms: int) -> None:
        """The writes of the last "journal" effect are in the store, or (not `ok`) could not be put there."""
        number = self._keeping.pop(0) if self._keeping else None
        if number is None:
            return
        if ok:
            self._let_in(now_ms)
            return
        self._alone.journal.take_back(number)
        self._alone.journal.writes()  # the store takes nothing now; the count is written with the next header
        self._tell_person(codes.RED, ANSWER_LIGHT_MS, DENIED_BEEPS, now_ms)

    # ---

    def _decides(self, now_ms: int) -> bool:
        """Whether the node answers itself: it has a cache, and the panel has been silent for long enough."""
        self._now_ms = now_ms
        if self._heard_ms is None:
            self._heard_ms = now_ms
        if self._alone.cache is None:
            return False
        if not self._away and now_ms - self._heard_ms >= self._alone.after_ms:
            self._away = True
            for code in PEOPLE:  # shown before: whoever it was has walked on, or will show it again
                self.events.drop(code)
        return self._away

    def _heard(self, now_ms: int) -> None:
        """The panel speaks in a session."""
        self._now_ms = now_ms
        self._return(now_ms)
        self._heard_ms = now_ms

    def _return(self, now_ms: int) -> None:
        """The panel is back: what was begun without it ends as a refusal."""
        if not self._away:
            return
        self._away = False
        answer = self._alone.expire(now_ms, True)
        if answer is not None:
            self._answer(answer, now_ms)
        self._progress_ms = now_ms

    def _tell_of_itself(self, now_ms: int) -> bool:
        """Put what the node holds, or its next record, in front. False where there is neither."""
        if self._state_untold:
            self._state_untold = False
            data = bytes((wire.TELL_STATE,)) + self._alone.state()
        else:
            record = self._alone.to_tell(now_ms)
            if record is None:
                return False
            self._keep_journal()
            self._progress_ms = now_ms
            data = bytes((wire.TELL_RECORD,)) + record.encode()
        self.events.push_first(ManufacturerReply(codes.VENDOR, data), now_ms)
        return True

    def _answer(self, answer, now_ms: int) -> None:
        """Record, then move, then show; the other way round where the board cannot flush first."""
        if answer.waiting:
            self._tell_person(codes.AMBER, self._alone.cache.header.wait_ms, 0, now_ms)
            return
        number = self._alone.record(answer, now_ms)
        if self._alone.blocked:
            self._alone.blocked = False
            self._alone.record_blocked(answer, now_ms)
        if not answer.granted:
            self._keep_journal()
            self._tell_person(codes.RED, ANSWER_LIGHT_MS, DENIED_BEEPS, now_ms)
        elif self._counted or number is None:  # what is not recorded was counted, or is about to be
            writes = self._alone.journal.writes()
            self._keep([write for write in writes if write[0] < HEADERS_BYTES])
            self._let_in(now_ms)
            self._keep([write for write in writes if write[0] >= HEADERS_BYTES])
        else:
            self._keep_journal(number)

    def _let_in(self, now_ms: int) -> None:
        self._lock.pulse(min(self._alone.cache.header.unlock_ms, MAX_PULSE_MS), now_ms)
        self._tell_person(codes.GREEN, ANSWER_LIGHT_MS, GRANTED_BEEPS, now_ms)

    def _tell_person(self, colour: int, duration_ms: int, beeps: int, now_ms: int) -> None:
        self._light.show_for(colour, duration_ms, now_ms)
        self._settle(now_ms)
        if beeps:
            self._effects.append(("buzzer", beeps))

    def _keep_journal(self, granting=None) -> None:
        self._keep(self._alone.journal.writes(), granting)

    def _keep(self, writes: list, granting=None) -> None:
        if writes:
            self._effects.append(("journal", writes))
            self._keeping.append(granting)
