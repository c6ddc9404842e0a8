"""A small site for the control loops: a clock moved by hand, a journal in memory, devices that note commands."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from gateway.access.policy import Credential, Holder, PortalPolicy, Rule, compile_policy
from gateway.access.schedule import ALWAYS
from gateway.access.tokens import pin_digest
from gateway.control.judge import Judge
from gateway.errors import DriverError, StoreError
from gateway.model import Command, CredentialKind
from gateway.ports import NewEntry

SITE_KEY = bytes(range(32))


class HandClock:
    """Both clocks move only when a test moves them."""

    certain = True

    def __init__(self) -> None:
        self.ms = 1_795_400_000_000

    def now_ms(self) -> int:
        return self.ms

    def monotonic_ms(self) -> int:
        return self.ms

    def local(self) -> datetime:
        return datetime.fromtimestamp(self.ms / 1000, ZoneInfo("Asia/Shanghai"))


class Site:
    """Everything that happened, in one list, so that order can be asserted: records and commands."""

    def __init__(self) -> None:
        self.happened: list[tuple[str, object]] = []
        self.late: list[NewEntry] = []  # what could not be stored and waits in memory
        self.kept: dict[str, str | None] = {}
        self.disk_full = False
        self.device_gone = False
        self.device_answers: asyncio.Event | None = None  # a device that is slow waits for it
        self.disk_answers: asyncio.Event | None = None
        self.clock = HandClock()
        policy = compile_policy(
            1,
            [Holder("lin", frozenset({"residents"}), {"zh": "林晓", "en": "Lin"})],
            [
                Credential(CredentialKind.CARD, "26:1", "lin"),
                Credential(CredentialKind.PLATE, "京A12345", "lin"),
                Credential(CredentialKind.PIN, pin_digest(SITE_KEY, "1234", "lin"), "lin"),
            ],
            [Rule("residents", frozenset({"lobby", "garage", "gate", "vault"}), ALWAYS)],
            [
                PortalPolicy("lobby", (frozenset({CredentialKind.CARD}),)),
                PortalPolicy("garage", (frozenset({CredentialKind.CARD, CredentialKind.PIN}),)),
                PortalPolicy("gate", (frozenset({CredentialKind.PLATE}),)),
                PortalPolicy("vault", (frozenset({CredentialKind.CARD}),), high_security=True),
            ],
        )
        self.judge = Judge(policy, self.clock, SITE_KEY, self)

    async def record(
        self, entries: Sequence[NewEntry], *, late_ok: bool = False, keep: Mapping[str, str | None] | None = None
    ) -> None:
        self.kept |= keep or {}
        if self.disk_full:
            if not late_ok:
                raise StoreError("the disk is full")
            self.late += entries
            return
        await (self.disk_answers.wait() if self.disk_answers else asyncio.sleep(0))  # a commit gives the loop away
        self.happened += [("record", entry) for entry in entries]

    async def keep(self, key: str, value: str | None) -> None:
        await self.record((), keep={key: value})

    async def send(self, device: str, commands: Sequence[Command]) -> None:
        if self.device_gone:
            raise DriverError(f"{device} is gone")
        if self.device_answers is not None:
            await self.device_answers.wait()
        self.happened += [("command", command) for command in commands]

    @property
    def facts(self) -> list[str]:
        return [type(entry.data).__name__ for what, entry in self.happened if what == "record"]

    @property
    def recorded(self) -> list[object]:
        return [entry.data for what, entry in self.happened if what == "record"]

    @property
    def commands(self) -> list[object]:
        return [value for what, value in self.happened if what == "command"]


@pytest.fixture
def site() -> Site:
    return Site()


@pytest.fixture
def settle():
    """Let every task that can run do so, without waiting for time to pass."""

    async def run() -> None:
        for _ in range(50):
            await asyncio.sleep(0)

    return run
