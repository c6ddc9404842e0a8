"""A node and a gateway in one process, with the node's own code, and a power switch for each: what is lost, and twice?

Time is virtual. The node's journal lies on a disk that keeps what was flushed; the write under way when its power goes
is torn at a random byte. The gateway's store keeps what was committed, with the mark up to where, in one step.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo

from center.contract.catalogue import AccessGranted, AccessUnrecorded
from firmware.node.alone import AloneDoor
from firmware.node.journal import STORE_BYTES, Journal
from firmware.node.offline import Offline
from firmware.wire import codes
from firmware.wire import offline as wire
from firmware.wire.cache_file import Blocks
from firmware.wire.errors import MessageError
from gateway.access.attempts import AttemptLimits
from gateway.access.policy import Credential, Holder, PortalPolicy, Rule, compile_policy
from gateway.access.schedule import ALWAYS
from gateway.control.node_cache import NodeSettings, build
from gateway.control.node_records import Stored, Telling, entries
from gateway.model import CredentialKind
from gateway.ports import NewEntry

SCBK = bytes(range(16))
NOW = datetime(2026, 11, 22, 9, 0, tzinfo=ZoneInfo("Asia/Shanghai"))
CARDS = 40
UNLOCK_MS = 3000
RECORD_BYTES = wire.RECORD_BYTES


class PowerCutError(Exception):
    """The node's power went while it wrote."""


@dataclass
class Disk:
    """The node's disk: `cut_in` bytes from now the power goes."""

    journal: bytearray = field(default_factory=lambda: bytearray(STORE_BYTES))
    cut_in: int | None = None

    def write(self, writes: list[tuple[int, bytes]]) -> None:
        for offset, data in writes:
            whole = len(data) if self.cut_in is None else min(len(data), self.cut_in)
            self.journal[offset : offset + whole] = data[:whole]
            if self.cut_in is not None:
                self.cut_in -= whole
                if whole < len(data):
                    raise PowerCutError


class Gateway:
    """Takes records, commits them a few at a time, acknowledges what is committed."""

    def __init__(self) -> None:
        self.stored = Stored()
        self.journal: list[NewEntry] = []
        self.waiting: list[wire.Record] = []
        self.telling = Telling("r", "lobby", lambda digest: digest.hex(), lambda _kind, _who: "a" * 16, AttemptLimits())

    def commit(self) -> None:
        made, self.stored = entries(self.waiting, self.stored, self.telling)
        self.journal += made
        self.waiting = []

    def power_off(self) -> None:
        self.waiting = []


class Site:
    """One node, one gateway, a line between them, and the ledger of what people saw."""

    def __init__(self, seed: int, *, counted: bool) -> None:
        self.random = random.Random(seed)
        self.counted = counted
        self.disk = Disk()
        self.gateway = Gateway()
        self.now_ms = 0
        self.opened: Counter[int] = Counter()  # by card: how often the relay moved for it
        self.shown = 0
        self.between = 0  # grants that were on disk when the power went, and had not moved the relay
        self.cuts: Counter[str] = Counter()
        keys = wire.CacheKeys(SCBK)
        policy = compile_policy(
            1,
            [Holder("lin", frozenset({"r"}), {})],
            [Credential(CredentialKind.CARD, f"26:{n}", "lin") for n in range(CARDS)],
            [Rule("r", frozenset({"lobby"}), ALWAYS)],
            [PortalPolicy("lobby", (frozenset({CredentialKind.CARD}),))],
        )
        settings = NodeSettings("r", "lobby", UNLOCK_MS, 15_000, 10_000, 7 * 86_400_000)
        self.cache = Blocks.of(build(policy, settings, keys, bytes(32), AttemptLimits(), NOW).data)
        self.number_of = {keys.card(26, n).hex(): n for n in range(CARDS)}
        self.start_node()

    def start_node(self) -> None:
        journal = Journal(slots(bytes(self.disk.journal)), self.random.randrange(1 << 32), self.counted)
        self.door = AloneDoor(Offline(SCBK, self.cache, journal, self.now_ms), self.counted)
        self.session = False
        self.card: int | None = None
        self.relay = 0
        try:
            self.pass_time(0)
        except PowerCutError:
            self.power_cut_node("start")

    def carry_out(self) -> None:
        """As the node's shell does: in order, and again until nothing follows."""
        effects = self.door.effects()
        while effects:
            for name, value in effects:
                if name == "journal":
                    self.disk.write(value)
                    if self.disk.cut_in == 0:  # after the last byte, before the relay
                        self.between += any(granted(data) for _, data in value) and not self.counted
                        raise PowerCutError
                    self.door.journal_kept(True, self.now_ms)
                elif name == "relay":
                    if value and not self.relay and self.card is not None:
                        self.opened[self.card] += 1
                    self.relay = value
            effects = self.door.effects()

    def power_cut_node(self, why: str) -> None:
        self.cuts[why] += 1
        self.disk.cut_in = None
        self.start_node()

    def pass_time(self, duration_ms: int) -> None:
        self.now_ms += duration_ms
        self.door.tick(self.now_ms)
        self.carry_out()

    def begin_session(self) -> None:
        self.session = True
        self.gateway.waiting = []
        self.door.events.untold()
        self.door.session_began()
        self.command(wire.set_time(codes.MFG_SET_TIME, True, int(NOW.timestamp() * 1000) + self.now_ms))

    def command(self, data: bytes) -> None:
        self.door.events.confirm()
        self.door.on_manufacturer(data)
        self.carry_out()

    def poll(self) -> None:
        """One poll and its answer. Where the answer is lost, the panel asks again and gets the same bytes, which is as
        if it had arrived late; or the session ends with it."""
        self.now_ms += 20
        self.door.events.confirm()
        message = self.door.poll(self.now_ms)
        self.carry_out()
        if message is None or message.code != codes.MFGREP:
            return
        if self.random.random() < 0.03:
            self.cuts["wire, with an answer on it"] += 1
            self.begin_session()
            return
        if message.data[0] == wire.TELL_RECORD:
            self.gateway.waiting.append(wire.Record.decode(message.data[1:]))

    def outage(self) -> None:
        """The gateway is away; people come; the node's power may go at any byte it writes."""
        self.session = False
        self.pass_time(12_000)
        for _ in range(self.random.randrange(1, 6)):
            self.card = self.random.randrange(CARDS + 3)  # three of them are strangers'
            self.shown += 1
            if self.random.random() < 0.25:
                self.disk.cut_in = self.random.choice([self.random.randrange(80), RECORD_BYTES])
            try:
                self.door.card(26, (self.card << 6).to_bytes(4, "big"), self.now_ms)
                self.carry_out()
                self.pass_time(UNLOCK_MS + 500)
            except PowerCutError:
                self.power_cut_node("node, while it wrote")
                self.pass_time(12_000)
            self.card = None
            if self.random.random() < 0.1:
                self.power_cut_node("node, idle")
                self.pass_time(12_000)

    def replay(self) -> None:
        """The gateway is back, and may go again at any moment."""
        self.begin_session()
        for _ in range(60):
            self.poll()
            chance = self.random.random()
            if chance < 0.15:
                self.gateway.commit()
                if self.random.random() < 0.5 and self.gateway.stored.number:
                    self.acknowledge()
            elif chance < 0.158:
                self.cuts["wire"] += 1
                self.begin_session()
            elif chance < 0.168:
                self.cuts["gateway"] += 1
                self.gateway.power_off()
                return
            elif chance < 0.19:
                self.disk.cut_in = self.random.randrange(64)
        self.disk.cut_in = None

    def acknowledge(self) -> None:
        try:
            self.command(wire.stored(self.gateway.stored.journal, self.gateway.stored.number))
        except PowerCutError:
            self.power_cut_node("node, while it took an acknowledgement")
            self.begin_session()

    def finish(self) -> None:
        """Everything works: what is left is told."""
        self.disk.cut_in = None
        self.begin_session()
        for _ in range(600):
            self.poll()
            self.gateway.commit()
            if self.gateway.stored.number:
                self.acknowledge()

    def run(self, cuts: int) -> None:
        while sum(self.cuts.values()) < cuts:
            try:
                self.outage()
                self.replay()
            except PowerCutError:
                self.power_cut_node("node, while it told")
        self.finish()

    def ledger(self) -> dict[str, int]:
        """What the relay did against what the gateway has."""
        recorded: Counter[int] = Counter()
        counted = 0
        for entry in self.gateway.journal:
            if isinstance(entry.data, AccessGranted):
                recorded[self.number_of[entry.holder or ""]] += 1
            elif isinstance(entry.data, AccessUnrecorded):
                counted += entry.data.count
        return {
            "cuts": sum(self.cuts.values()),
            "shown": self.shown,
            "opened": sum(self.opened.values()),
            "recorded": sum(recorded.values()),
            "lost": sum((self.opened - recorded).values()),
            "recorded, not opened": sum((recorded - self.opened).values()),
            "cut between record and relay": self.between,
            "counted as lost": counted,
        }


def slots(store: bytes) -> list[bytes]:
    """As firmware.drivers.offline_files.JournalStore reads it."""
    return [store[at : at + wire.RECORD_BYTES] for at in range(0, len(store), wire.RECORD_BYTES)]


def granted(data: bytes) -> bool:
    """Whether this slot is the record of a grant."""
    try:
        return bool(wire.Record.decode(data).what == wire.GRANTED)
    except MessageError:
        return False


def main() -> None:
    """Print the table of `make chaos`: 200 cuts for each of some seeds, in both kinds of board."""
    rows = [(counted, seed) for counted in (False, True) for seed in range(10)]
    print("Offline records through cuts of power and wire (one process, the node's own code)")
    for counted, seed in rows:
        site = Site(seed, counted=counted)
        site.run(200)
        kind = "counted" if counted else "before-relay"
        print(f"{kind:13s} seed {seed}:", ", ".join(f"{what} {n}" for what, n in site.ledger().items()))
        print(" " * 13, "cuts:", ", ".join(f"{n} {why}" for why, n in sorted(site.cuts.items())))


if __name__ == "__main__":
    main()
