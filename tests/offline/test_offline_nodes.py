"""The gateway's side: what a node is told, when its cache is sent, and that its records are stored once, in order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from center.contract.catalogue import (
    AccessAttemptsExceeded,
    AccessDenied,
    AccessDuress,
    AccessGranted,
    AccessUnrecorded,
)
from firmware.wire import codes
from firmware.wire import offline as wire
from gateway.access.policy import Credential, Holder, Policy, PortalPolicy, Rule, compile_policy
from gateway.access.schedule import ALWAYS
from gateway.control.judge import Judge
from gateway.control.node_cache import NodeSettings
from gateway.control.node_records import Stored, restored
from gateway.control.offline_nodes import OfflineNode, OfflineNodes
from gateway.errors import DriverError, StoreError
from gateway.model import CredentialKind, PortalMode
from gateway.ports import NewEntry

KEYS = wire.CacheKeys(bytes(16))
CARD = CredentialKind.CARD
JOURNAL = 77


def policy(version: int = 1, card: str = "26:1") -> Policy:
    return compile_policy(
        version,
        [Holder("lin-lan", frozenset({"r"}), {})],
        [Credential(CARD, card, "lin-lan")],
        [Rule("r", frozenset({"lobby"}), ALWAYS)],
        [PortalPolicy("lobby", (frozenset({CARD}),))],
    )


class Bench:
    """Clock, store and line of one gateway."""

    certain = True

    def __init__(self) -> None:
        self.ms = 1_795_400_000_000
        self.entries: list[NewEntry] = []
        self.kept: dict[str, str] = {}
        self.full = False
        self.away = False
        self.commands: list[bytes] = []
        self.files: list[bytes] = []
        self.judge = Judge(policy(), self, bytes(32), self)
        settings = NodeSettings("r", "lobby", 5000, 15_000, 10_000, 7 * 86_400_000)
        self.node = OfflineNode(settings, self.judge, self, lambda: KEYS, Stored())
        self.nodes = OfflineNodes([self.node])

    def now_ms(self) -> int:
        return self.ms

    def monotonic_ms(self) -> int:
        return self.ms

    def local(self) -> datetime:
        return datetime.fromtimestamp(self.ms / 1000, ZoneInfo("Asia/Shanghai"))

    async def record(
        self, entries: Sequence[NewEntry], *, late_ok: bool = False, keep: Mapping[str, str | None] | None = None
    ) -> None:
        await asyncio.sleep(0)
        if self.full:
            raise StoreError("the disk is full")
        assert not late_ok
        self.entries += entries
        self.kept |= {key: value for key, value in (keep or {}).items() if value is not None}

    async def keep(self, key: str, value: str | None) -> None:
        raise AssertionError(key)

    async def manufacturer(self, device: str, data: bytes) -> bytes:
        if self.away:
            raise DriverError(f"{device} is away")
        self.commands.append(data)
        return b""

    async def transfer(self, device: str, file_type: int, data: bytes) -> None:
        assert (device, file_type) == ("r", codes.FILE_OFFLINE_CACHE)
        self.files.append(data)
        self.greet(self.node._built.content if self.node._built else bytes(8))

    def greet(self, content: bytes = bytes(8), expires_ms: int | None = None) -> None:
        expires_ms = self.ms + 7 * 86_400_000 if expires_ms is None else expires_ms
        state = wire.State(1, expires_ms, content, JOURNAL, 0, 0)
        self.nodes.told("r", bytes((wire.TELL_STATE,)) + state.encode())

    def tell(self, number: int, what: int = wire.GRANTED, reason: str = "permitted", **more: object) -> None:
        digest = more.get("digest", KEYS.card(26, 1))
        flags = int(more.get("flags", wire.CLOCK_CERTAIN))  # type: ignore[call-overload]
        record = wire.Record(
            int(more.get("journal", JOURNAL)), number, self.ms - 60_000, digest, what, wire.CARD,  # type: ignore[call-overload,arg-type]
            wire.REASONS.index(reason), flags,
        )  # fmt: skip
        self.nodes.told("r", bytes((wire.TELL_RECORD,)) + record.encode())

    @property
    def facts(self) -> list[object]:
        return [entry.data for entry in self.entries]

    def told(self, code: int) -> list[bytes]:
        return [data[1:] for data in self.commands if data[0] == code]


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.002)


@asynccontextmanager
async def running(bench: Bench):
    task = asyncio.create_task(bench.nodes.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def test_a_node_that_comes_is_told_time_and_mode_and_gets_its_cache(bench: Bench) -> None:
    async with running(bench):
        bench.greet()
        await until(lambda: bench.files and bench.told(codes.MFG_SET_TIME))
        assert wire.time_told(bench.told(codes.MFG_SET_TIME)[0]) == (True, bench.ms)
        assert bench.told(wire.SET_MODE)[0] == bytes((wire.MODE_ORDINARY,))
        await until(lambda: bench.nodes.status()[0].current)
        assert bench.nodes.status()[0].credentials == 1
        assert len(bench.files) == 1


async def test_a_reader_that_says_nothing_is_left_alone(bench: Bench) -> None:
    async with running(bench):
        bench.nodes.changed()
        bench.judge.in_force.replace(policy(2))
        bench.nodes.changed()
        for _ in range(50):
            await asyncio.sleep(0)
        assert (bench.commands, bench.files) == ([], [])


async def test_another_policy_is_another_cache_and_the_same_one_is_not_sent_again(bench: Bench) -> None:
    async with running(bench):
        bench.greet()
        await until(lambda: bench.nodes.status()[0].current)
        bench.judge.in_force.replace(policy(2))  # the same people
        bench.nodes.changed()
        await until(lambda: bench.node._built_for[0] is bench.judge.policy)
        assert len(bench.files) == 1
        bench.judge.in_force.replace(policy(3, "26:2"))
        bench.nodes.changed()
        await until(lambda: len(bench.files) == 2)


async def test_a_cache_made_while_the_clock_was_ahead_is_made_good(bench: Bench) -> None:
    async with running(bench):
        bench.greet()
        await until(lambda: bench.nodes.status()[0].current)
        assert len(bench.files) == 1
        bench.greet(bench.node._built.content, bench.ms + 400 * 86_400_000)
        await until(lambda: len(bench.files) == 2)


async def test_records_are_stored_although_the_node_cannot_be_told_anything(bench: Bench) -> None:
    async with running(bench):
        bench.away = True
        bench.greet()
        bench.tell(1)
        await until(lambda: bench.facts)
        assert bench.told(wire.STORED) == []


async def test_a_lockdown_is_told_at_once(bench: Bench) -> None:
    async with running(bench):
        bench.greet()
        await until(lambda: bench.told(wire.SET_MODE))
        bench.judge.conditions.set_mode("lobby", PortalMode.LOCKDOWN)
        bench.nodes.changed()
        await until(lambda: bench.told(wire.SET_MODE)[-1] == bytes((wire.MODE_NOBODY,)))


async def test_records_become_events_once_and_in_order_and_are_acknowledged_after(bench: Bench) -> None:
    async with running(bench):
        bench.greet()
        bench.tell(1)
        bench.tell(2, wire.DENIED, "unknown-credential", digest=bytes(8), flags=0)
        bench.tell(1)  # told again around a lost session
        await until(lambda: bench.told(wire.STORED))
        first, second = bench.facts
        assert isinstance(first, AccessGranted)
        assert isinstance(second, AccessDenied)
        assert (first.offline, first.decided_ms, first.decided_certain) == (True, bench.ms - 60_000, True)
        assert (second.reason, second.holder, second.decided_certain) == ("unknown-credential", None, False)
        assert bench.entries[0].holder == "lin-lan"
        await until(lambda: wire.stored_told(bench.told(wire.STORED)[-1]) == (JOURNAL, 2))
        assert restored(bench.kept["node/r"]) == Stored(JOURNAL, 2, 0)


async def test_a_broken_disk_stores_nothing_acknowledges_nothing_and_forgets_nothing(bench: Bench) -> None:
    async with running(bench):
        bench.full = True
        bench.greet()
        bench.tell(1)
        await until(lambda: bench.told(codes.MFG_SET_TIME))
        assert (bench.facts, bench.told(wire.STORED)) == ([], [])
        bench.full = False
        bench.tell(2)  # whatever happens next tries again
        await until(lambda: len(bench.facts) == 2)


async def test_an_acknowledgement_that_did_not_arrive_is_repeated(bench: Bench) -> None:
    async with running(bench):
        bench.greet()
        await until(lambda: bench.nodes.status()[0].current)
        bench.away = True
        bench.tell(1)
        await until(lambda: bench.facts)
        bench.nodes.device_offline("r")
        bench.away = False
        bench.greet(bench.node._built.content if bench.node._built else b"")
        bench.tell(1)
        await until(lambda: bench.told(wire.STORED))
        assert len(bench.facts) == 1


async def test_duress_lock_outs_and_losses_are_told_as_what_they_are(bench: Bench) -> None:
    async with running(bench):
        bench.greet()
        bench.tell(1, flags=wire.CLOCK_CERTAIN | wire.DURESS)
        bench.tell(2, wire.BLOCKED, "wrong-pin")
        bench.tell(3, wire.LOST, digest=(5).to_bytes(8, "little"))
        bench.tell(4, wire.LOST, digest=(7).to_bytes(8, "little"))
        bench.tell(1, journal=JOURNAL + 1)  # another node in its place
        await until(lambda: len(bench.facts) == 6)
        assert [type(fact) for fact in bench.facts] == [
            AccessGranted, AccessDuress, AccessAttemptsExceeded, AccessUnrecorded, AccessUnrecorded, AccessGranted,
        ]  # fmt: skip
        assert [fact.count for fact in bench.facts if isinstance(fact, AccessUnrecorded)] == [5, 2]


async def test_nonsense_from_a_node_is_nothing(bench: Bench) -> None:
    async with running(bench):
        for data in (b"", b"\x00", b"\x01", b"\x01" + bytes(32), b"\x02\x00", b"\x09" * 40, bytes(200)):
            bench.nodes.told("r", data)
            bench.nodes.told("nobody", data)
        for _ in range(20):
            await asyncio.sleep(0)
        assert (bench.facts, bench.commands) == ([], [])
