"""Keeps each node's offline cache current while it is there, and stores what it decided while it was not.

Two tasks a node: one answers it at once (time, mode, records), one sends caches, which takes seconds on a slow line and
goes between polls. A node that never says that it decides alone (any other reader) is left alone.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from firmware.wire import codes, offline
from firmware.wire.errors import MessageError
from firmware.wire.offline import Record, State
from gateway.control import node_cache, node_records
from gateway.control.access_point import LIMITS
from gateway.control.judge import Judge
from gateway.control.node_cache import NODE_MODES, Built, NodeSettings
from gateway.control.node_records import Stored, Telling
from gateway.errors import DriverError, StoreError
from gateway.model import NodeCacheStatus, PortalMode
from runtime.log import get

MAX_WAITING = 256  # records of one node; its own journal holds fewer
AGAIN_S = 2.0  # after a disk or a device that did not take something
FILE_AGAIN_S = 20.0  # after a cache that did not arrive
LOOK_S = 30.0  # how often the day, the cache's age and the clock are looked at
TIME_EVERY_S = 3600.0
HOLDERS_KEPT = 8  # builds whose digests can still be told: policies and keys change while a node is away
RENEW_BEFORE_MS = 86_400_000  # of a cache that says the same: a day after it was sent

log = get("nodes")


class Line(Protocol):
    """The way to the devices: gateway.control.devices.Devices."""

    async def transfer(self, device: str, file_type: int, data: bytes) -> None: ...

    async def manufacturer(self, device: str, data: bytes) -> bytes: ...


class ReleasedByNode(Protocol):
    """A portal whose lock its node has released by itself."""

    def released_by_node(self) -> None:
        """Somebody may be pulling it just now. Never waits."""
        ...


class OfflineNode:
    """One node and its portal. `keys()` derives the keys of its cache from its present base key; it reads a file and
    may raise DriverError."""

    def __init__(
        self,
        settings: NodeSettings,
        judge: Judge,
        line: Line,
        keys: Callable[[], offline.CacheKeys],
        stored: Stored,
        portal: ReleasedByNode | None = None,
    ) -> None:
        self.settings = settings
        self._judge = judge
        self._line = line
        self._keys = keys
        self._stored = stored
        self._portal = portal
        self._held: State | None = None  # what it said last; None: away, or no node that decides alone
        self._records: deque[Record] = deque()
        self._acknowledge = False
        self._mode_told: int | None = None
        self._time_told: tuple[bool, float] | None = None
        self._built: Built | None = None
        self._built_for: tuple[object, ...] = ()
        self._holders: tuple[Mapping[bytes, str], ...] = ()
        self._answer = asyncio.Event()
        self._send = asyncio.Event()

    # --- what happens, on the loop

    def told(self, data: bytes) -> None:
        """The node told something of its own."""
        try:
            if data[:1] == bytes((offline.TELL_STATE,)):
                self._greet(State.decode(data[1:]))
            elif data[:1] == bytes((offline.TELL_RECORD,)):
                self._take(Record.decode(data[1:]))
            else:
                log.warning("a node told something unknown", device=self.settings.device, size=len(data))
        except MessageError as e:
            log.warning("a node told what makes no sense", device=self.settings.device, reason=e.reason)

    def gone(self) -> None:
        """It does not answer any more."""
        self._held = None
        self._acknowledge = False
        self._records.clear()  # it tells them again

    def changed(self) -> None:
        """Policy, mode or clock changed."""
        self._answer.set()
        self._send.set()

    def status(self) -> NodeCacheStatus:
        """What it holds."""
        held, built = self._held, self._built
        return NodeCacheStatus(
            self.settings.device,
            self.settings.portal,
            held.policy_version if held else 0,
            held.expires_ms if held else 0,
            held is not None and built is not None and held.content == built.content,
            built.credentials if built else 0,
            built.left_out if built else 0,
            built.excluded if built else None,
            len(self._records),
        )

    def _greet(self, state: State) -> None:
        """It has a session, or another cache: it is to be told the time and the mode."""
        self._held = state
        self._mode_told = self._time_told = None
        self._acknowledge = False  # what is not acknowledged is told again
        self.changed()

    def _take(self, record: Record) -> None:
        if len(self._records) >= MAX_WAITING:
            log.error("a node tells more than it can hold; it is asked again", device=self.settings.device)
            return
        if record.what == offline.GRANTED and self._portal is not None and self._just_now(record):
            self._portal.released_by_node()
        self._records.append(record)
        self._answer.set()

    def _just_now(self, record: Record) -> bool:
        if not self._judge.clock.certain or not record.flags & offline.CLOCK_CERTAIN:
            return False
        return bool(self._judge.clock.now_ms() - record.unix_ms < self.settings.unlock_ms)

    # --- answering

    async def answer(self) -> None:
        """Tell it time and mode, store its records; until cancelled."""
        while True:
            self._answer.clear()
            wait_s = LOOK_S
            for work in (self._tell, self._store, self._confirm):  # none of them waits for another to work
                try:
                    await work()
                except (DriverError, StoreError) as e:
                    log.warning("a node waits", device=self.settings.device, error=str(e))
                    wait_s = AGAIN_S
            await _wait(self._answer, wait_s)

    async def _tell(self) -> None:
        if self._held is None:
            return
        clock, device = self._judge.clock, self.settings.device
        mode = NODE_MODES.get(self._judge.conditions.mode(self.settings.portal), offline.MODE_ORDINARY)
        if mode != self._mode_told:
            await self._line.manufacturer(device, bytes((offline.SET_MODE, mode)))
            self._mode_told = mode
        now_s = clock.monotonic_ms() / 1000
        told = self._time_told
        if told is None or told[0] is not clock.certain or now_s - told[1] >= TIME_EVERY_S:
            await self._line.manufacturer(
                device, offline.set_time(codes.MFG_SET_TIME, clock.certain, clock.now_ms())
            )  # fmt: skip
            self._time_told = (clock.certain, now_s)

    async def _store(self) -> None:
        """Commit what came, so that it can be acknowledged; only then does the node let cards through again."""
        if not self._records:
            return
        if self._built is None:
            await self._build()
        records = list(self._records)
        telling = Telling(
            self.settings.device, self.settings.portal, self._holder_of, self._judge.token, LIMITS
        )  # fmt: skip
        entries, stored = node_records.entries(records, self._stored, telling)
        if entries or stored != self._stored:
            keep = {node_records.KEY + self.settings.device: stored.text()}
            await self._judge.record(*entries, late_ok=False, keep=keep)
            self._stored = stored
        done = {id(record) for record in records}  # what was told again meanwhile is another object, and acknowledged
        self._records = deque(record for record in self._records if id(record) not in done)
        self._acknowledge = True

    async def _confirm(self) -> None:
        """Acknowledge what is committed."""
        if self._acknowledge and self._held is not None:
            told = offline.stored(self._stored.journal, self._stored.number)
            await self._line.manufacturer(self.settings.device, told)
            self._acknowledge = False

    def _holder_of(self, digest: bytes) -> str | None:
        found = (holders.get(digest) for holders in self._holders)
        return next((holder for holder in found if holder is not None), None)

    # --- caches

    async def send(self) -> None:
        """Keep its cache current; until cancelled."""
        while True:
            self._send.clear()
            wait_s = LOOK_S
            try:
                if self._held is not None:
                    await self._build()
                    await self._transfer()
            except DriverError as e:
                log.warning("a node's cache could not be sent", device=self.settings.device, error=str(e))
                wait_s = FILE_AGAIN_S
            await _wait(self._send, wait_s)

    async def _build(self) -> None:
        """What it should hold, made anew where policy, day, mode or key changed."""
        judge = self._judge
        mode = judge.conditions.mode(self.settings.portal)
        now = judge.clock.local()
        keys = await asyncio.to_thread(self._keys)
        with_pins = mode is PortalMode.CARD_AND_PIN
        wanted = (judge.policy, now.date(), with_pins, keys.digest)
        if self._built is not None and _same(wanted, self._built_for):
            return
        built = await asyncio.to_thread(
            node_cache.build, judge.policy, self.settings, keys, judge.site_key, LIMITS, now, mode
        )  # fmt: skip
        self._built, self._built_for = built, wanted
        self._holders = (built.holders, *self._holders[: HOLDERS_KEPT - 1])
        if built.left_out:
            log.warning("a node's cache is full", device=self.settings.device, left_out=built.left_out)

    async def _transfer(self) -> None:
        built, held = self._built, self._held
        if built is None or held is None:
            return
        # One that ends too late was made while the clock was ahead, and may not have begun.
        if held.content == built.content and abs(held.expires_ms - built.expires_ms) <= RENEW_BEFORE_MS // 2:
            return
        await self._line.transfer(self.settings.device, codes.FILE_OFFLINE_CACHE, built.data)
        log.info("a node has its cache", device=self.settings.device, credentials=built.credentials)


def _same(wanted: tuple[object, ...], built: tuple[object, ...]) -> bool:
    """The policy is compared by identity: it is replaced as a whole, and comparing it would take a while."""
    return len(built) == len(wanted) and wanted[0] is built[0] and wanted[1:] == built[1:]


async def _wait(event: asyncio.Event, longest_s: float) -> None:
    try:
        async with asyncio.timeout(longest_s):
            await event.wait()
    except TimeoutError:
        return


class OfflineNodes:
    """All of them, by device."""

    def __init__(self, nodes: Sequence[OfflineNode]) -> None:
        self._nodes = {node.settings.device: node for node in nodes}

    def told(self, device: str, data: bytes) -> None:
        """A device told something of its own. Never waits."""
        if device in self._nodes:
            self._nodes[device].told(data)

    def device_offline(self, device: str) -> None:
        """A device went away."""
        if device in self._nodes:
            self._nodes[device].gone()

    def changed(self) -> None:
        """Policy, clock or the mode of some portal changed."""
        for node in self._nodes.values():
            node.changed()

    def status(self) -> tuple[NodeCacheStatus, ...]:
        """What each of them holds."""
        return tuple(node.status() for node in self._nodes.values())

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for node in self._nodes.values():
                tasks.create_task(node.answer())
                tasks.create_task(node.send())
