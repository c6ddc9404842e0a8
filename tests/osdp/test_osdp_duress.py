"""Duress looks like any other grant to whoever stands at the door, listens on the bus, or reads the page."""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from osdp_rig import Bench, LoopClock, bench, until

from center.contract import catalogue
from firmware.wire import codes
from firmware.wire.frame import FrameParser
from gateway.access.policy import Credential, Holder, PortalPolicy, Rule, compile_policy
from gateway.access.schedule import ALWAYS
from gateway.access.tokens import pin_digest
from gateway.control.devices import Devices
from gateway.control.door import DoorControl, DoorSettings
from gateway.control.judge import Judge
from gateway.model import CredentialKind, KeysEntered
from gateway.portal.door import DoorTimes
from gateway.store import database
from gateway.store.journal import Journal
from gateway.store.reading import JournalReading, RecordedEvent

SITE_KEY = bytes(range(32))
CARD_NUMBER, PIN, DURESS_PIN = 0x12345, "4729", "4728"
UNLOCK_MS = 100
ROUNDS = 8
# Whoever could tell 20 ms apart at the door would first have to hear through the bus's own jitter and the disk's.
UNNOTICED_S = 0.02

Told = tuple[bool, int, int]  # from the panel, code, length of the frame


@dataclass
class Passage:
    """What one grant looked like from outside."""

    frames: list[Told]
    indicators: list[tuple[str, object]]
    pulse_s: float
    keys_to_lock_s: float


class Site:
    """One door that wants card and PIN: real node, real bus, real journal."""

    def __init__(self, b: Bench, file: Path) -> None:
        self.b = b
        self.file = file
        pin, card = CredentialKind.PIN, CredentialKind.CARD
        policy = compile_policy(
            1,
            [Holder("zhou", frozenset({"g"}), {"zh": "周亦", "en": "Zhou Yi"})],
            [
                Credential(card, f"26:{CARD_NUMBER}", "zhou"),
                Credential(pin, pin_digest(SITE_KEY, PIN, "zhou"), "zhou"),
                Credential(pin, pin_digest(SITE_KEY, DURESS_PIN, "zhou"), "zhou", duress=True),
            ],
            [Rule("g", frozenset({"garage"}), ALWAYS)],
            [PortalPolicy("garage", (frozenset({card, pin}),))],
        )
        clock = LoopClock()
        self.journal = Journal(database.open_for_writing(file), clock, file)
        judge = Judge(policy, clock, SITE_KEY, self.journal)
        self.devices = Devices(judge)
        self.door = DoorControl(
            DoorSettings("garage", "r0", {}, DoorTimes(UNLOCK_MS, 30_000), 15_000), judge, self.devices
        )
        self._frames: list[Told] = []
        self._parsers = {True: FrameParser(), False: FrameParser()}
        self._last_raw = {True: b"", False: b""}

    def tap(self, from_panel: bool, data: bytes) -> None:
        """Note every frame that is not the bus's idle talk, and once where it is repeated: a busy machine is late."""
        for frame in self._parsers[from_panel].feed(data):
            repeated, self._last_raw[from_panel] = frame.raw == self._last_raw[from_panel], frame.raw
            if frame.code not in (codes.POLL, codes.ACK) and not repeated:
                self._frames.append((from_panel, frame.code, len(frame.raw)))

    async def passage(self, pin: str) -> Passage:
        """Card, PIN, and everything until the door is at rest again."""
        pins = self.b.pins[0]
        for noted in (self._frames, pins.relay, pins.indicators):
            noted.clear()
        pins.card(CARD_NUMBER)
        await until(lambda: ("led", "amber") in pins.indicators, "asked for the PIN")
        pins.keys(f"{pin}#")
        await until(lambda: len(pins.relay) == 2, "released and locked again")
        await until(lambda: ("buzzer", 1) in pins.indicators, "told")
        typed_s = max(s for s, o in zip(self.b.seen_s, self.b.seen, strict=True) if isinstance(o, KeysEntered))
        (released_s, _), (locked_s, _) = pins.relay
        await until(lambda: sum(told[:2] == (True, codes.BUZ) for told in self._frames) == 1, "the last command")
        return Passage(list(self._frames), list(pins.indicators), locked_s - released_s, released_s - typed_s)


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[Site]:
    """A site whose loops run."""
    async with bench(folder) as b:
        site = Site(b, folder / "journal.sqlite")
        b.also = site.devices.observe
        b.cable.tap = site.tap
        bus = b.panel()
        site.devices.attach({"r0": bus}, {"r0": site.door})
        tasks = [asyncio.create_task(work) for work in (site.door.run(), site.devices.loop.run())]
        try:
            await b.online()
            yield site
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await site.journal.close()


async def test_on_the_bus_and_at_the_door_duress_is_a_grant(tmp_path: Path) -> None:
    async with running(tmp_path) as site:
        await site.passage(PIN)  # the first one warms caches up
        normal, forced = [], []
        for _ in range(ROUNDS):
            normal.append(await site.passage(PIN))
            forced.append(await site.passage(DURESS_PIN))
    assert forced[0].frames, "something was heard"
    assert {tuple(p.frames) for p in forced} == {tuple(p.frames) for p in normal}, "same commands, same lengths"
    assert [p.indicators for p in forced] == [p.indicators for p in normal], "same light, same sound"
    for measure in ("keys_to_lock_s", "pulse_s"):
        usual, now = (statistics.median(getattr(p, measure) for p in ps) for ps in (normal, forced))
        assert abs(now - usual) < UNNOTICED_S, f"{measure}: {now:.4f} s against {usual:.4f} s"


async def test_the_alarm_goes_to_the_center_and_not_to_the_page(tmp_path: Path) -> None:
    async with running(tmp_path) as site:
        await site.passage(PIN)
        await site.passage(DURESS_PIN)
        await site.passage(PIN)
        sent = [event.data for event in await site.journal.read(1, site.journal.last_seq, 100)]
        reading = JournalReading(site.file)
        shown = reading.newest()
        counts = reading.counts()
        reading.close()
    assert sum(isinstance(data, catalogue.AccessDuress) for data in sent) == 1
    assert [row.type for row in shown].count("zhian.access.duress") == 0
    grants = [_plain(row) for row in shown if row.type == "zhian.access.granted"]
    assert len(grants) == 3
    assert grants[0] == grants[1] == grants[2], "nothing in a row tells which one it was"
    assert counts.made == len(sent) - 1, "not even in a total"


async def test_the_numbers_on_the_page_have_no_gap_where_duress_was(tmp_path: Path) -> None:
    async with running(tmp_path) as site:
        for pin in (PIN, DURESS_PIN, PIN):
            await site.passage(pin)
        reading = JournalReading(site.file)
        numbers = [row.seq for row in reading.newest()]
        reading.close()
    assert numbers == list(range(numbers[0], numbers[0] - len(numbers), -1))


def _plain(row: RecordedEvent) -> tuple[object, ...]:
    return (row.type, row.severity, row.portal, row.point, row.credential, row.reason, row.holder_name, row.plate)
