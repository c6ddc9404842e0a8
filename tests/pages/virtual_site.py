"""An honest small site for the gateway's pages: a real journal file, and a core whose portals really change state."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from zoneinfo import ZoneInfo

from center.contract.catalogue import (
    AccessDenied,
    AccessGranted,
    AccessOverridden,
    DeviceLost,
    DeviceTampered,
    GatewayStarted,
    PortalClosed,
    PortalForced,
    PortalHeld,
    PortalOpened,
    VehicleSeen,
)
from gateway.errors import OperationRefusedError, OperationsUnavailableError, StoreError
from gateway.model import PortalMode, PortalStatus, SiteStatus, UplinkStatus
from gateway.ports import NewEntry
from gateway.store import database
from gateway.store.journal import Journal
from gateway.store.reading import JournalReading
from gateway.web.sources import Place

LABELS = {
    "lobby": {"zh": "一号楼大堂", "en": "Building 1 lobby"},
    "garage-lift": {"zh": "地下车库电梯厅", "en": "Garage lift hall"},
    "east-gate": {"zh": "东门行人通道", "en": "East gate, pedestrians"},
    "pump-room": {"zh": "水泵房", "en": "Pump room"},
    "main-gate": {"zh": "南门车闸", "en": "South gate barrier"},
}
PLACE = Place(
    district="demo-district",
    site="sunny-garden",
    gateway="gw-1",
    label={"zh": "阳光花园", "en": "Sunny Garden"},
    simulated=True,
    zone=ZoneInfo("Asia/Shanghai"),
    portals=LABELS,
)
TOKEN = "abcdefghijklmn23"


def now_ms() -> int:
    return time.time_ns() // 1_000_000


class SteppingClock:
    """Rises by 7.3 s with each reading, up to now: an afternoon's journal in a moment."""

    certain = True

    def __init__(self, start_ms: int) -> None:
        self._ms = start_ms

    def now_ms(self) -> int:
        self._ms = min(self._ms + 7_300, now_ms())
        return self._ms


class VirtualSite:
    """Implements gateway.web.sources.StatusClient; `away` and the fields of `status_now` are turned by tests."""

    def __init__(self, folder: Path) -> None:
        file = folder / "gateway.sqlite"
        self._clock = SteppingClock(now_ms() - 3_600_000)
        self.journal = Journal(database.open_for_writing(file), self._clock, file)
        self.reading = JournalReading(file)
        self.away = False
        self.opened: list[tuple[str, str]] = []
        self.asked: list[tuple[str, str, str]] = []
        states = {
            "lobby": ("door", "secure", True, "permitted"),
            "garage-lift": ("door", "open", True, "permitted"),
            "east-gate": ("door", "forced", True, "unknown-credential"),
            "pump-room": ("door", "secure", False, None),
            "main-gate": ("barrier", "lowered", True, "permitted"),
        }
        self.status_now = SiteStatus(
            district=PLACE.district,
            site=PLACE.site,
            gateway=PLACE.gateway,
            label=dict(PLACE.label),
            simulated=True,
            version="0.1.0",
            started_ms=now_ms() - 3_600_000,
            now_ms=now_ms(),
            clock="certain",
            storage_ok=True,
            vision_online=True,
            portals=tuple(
                PortalStatus(name, kind, LABELS[name], state, now_ms() - 95_000, online, reason)
                for name, (kind, state, online, reason) in states.items()
            ),
            uplink=UplinkStatus(mode="mqtt", connected=True, acked_upto=20, made=20),
        )

    async def status(self) -> SiteStatus:
        if self.away:
            raise OperationsUnavailableError("the gateway's core does not answer at /run/operations.sock; start it")
        return self.status_now

    async def open_portal(self, portal: str, operator: str) -> None:
        if self.away:
            raise OperationsUnavailableError("the gateway's core does not answer at /run/operations.sock; start it")
        if portal == "garage-lift":
            raise OperationRefusedError("portal 'garage-lift' was not opened: its device reported a fault")
        if portal not in LABELS:
            raise OperationRefusedError(f"there is no portal {portal!r}; this gateway has {sorted(LABELS)}")
        self.opened.append((portal, operator))
        await self.journal.record([NewEntry(AccessOverridden(portal, "a" * 16))])
        self.set_state(portal, "released" if portal != "main-gate" else "raising")

    async def set_portal_mode(self, portal: str, mode: PortalMode, operator: str) -> None:
        if portal not in LABELS:
            raise OperationRefusedError(f"there is no portal {portal!r}; this gateway has {sorted(LABELS)}")
        self.asked.append((portal, str(mode), operator))
        free = {PortalMode.EMERGENCY_OPEN: "free"}
        self.set_state(portal, free.get(mode, "secure"), mode=mode)

    async def begin_lockdown(self, operator: str) -> None:
        self.asked.append(("lockdown", "begin", operator))
        self.status_now = replace(self.status_now, lockdown=True)

    async def end_lockdown(self, operator: str) -> None:
        self.asked.append(("lockdown", "end", operator))
        self.status_now = replace(self.status_now, lockdown=False)

    async def reset_fire(self, operator: str) -> None:
        if not self.status_now.fire:
            raise OperationRefusedError("nothing is released by fire, so there is nothing to reset")
        self.asked.append(("fire", "reset", operator))
        self.status_now = replace(self.status_now, fire=False)

    def set_state(self, portal: str, state: str, **changes: object) -> None:
        """Put one portal into a state, from now on."""
        portals = tuple(
            replace(p, state=state, state_since_ms=now_ms(), **changes) if p.name == portal else p
            for p in self.status_now.portals
        )
        self.status_now = replace(self.status_now, portals=portals)

    async def live_a_while(self, rounds: int = 4) -> None:
        """Fill the journal with what happens at such a site."""
        await self.journal.replace_holders(
            [("p1", "王秀英", "Wang Xiuying"), ("p2", "陈建国", "Chen Jianguo"), ("v1", "李明", "Li Ming")]
        )
        await self.journal.record([NewEntry(GatewayStarted("0.1.0", "start"))])
        for _ in range(rounds):
            for entry in _round():
                await self.journal.record([entry])

    async def close(self) -> None:
        self.reading.close()
        await self.journal.close()


def _round() -> list[NewEntry]:
    token = "abcdefghijklmnop"
    return [
        NewEntry(AccessGranted("lobby", "lobby-reader", "card", "permitted", token), holder="p1"),
        NewEntry(PortalOpened("lobby")),
        NewEntry(PortalClosed("lobby", 4200)),
        NewEntry(AccessDenied("east-gate", "east-reader", "card", "unknown-credential")),
        NewEntry(VehicleSeen("gate-cam", "main-gate", token, "blue", 934, "plates-s", "0" * 16), plate="粤B12345"),
        NewEntry(AccessGranted("main-gate", "gate-cam", "plate", "permitted", token), holder="v1", plate="粤B12345"),
        NewEntry(PortalOpened("main-gate")),
        NewEntry(PortalClosed("main-gate", 9100)),
        NewEntry(AccessDenied("pump-room", "pump-reader", "pin", "wrong-pin", token), holder="p2"),
        NewEntry(AccessDenied("lobby", "lobby-reader", "card", "outside-schedule", token), holder="p2"),
        NewEntry(PortalHeld("garage-lift", 31_000)),
        NewEntry(DeviceLost("pump-reader", "timeout")),
        NewEntry(PortalForced("east-gate")),
        NewEntry(DeviceTampered("east-reader")),
    ]


class BrokenReading:
    """A journal that cannot be read, as before core's first start."""

    def newest(self, **_: object) -> list[object]:
        raise StoreError(
            "gateway.sqlite: cannot be read (unable to open database file); start the gateway's core first"
        )

    def shown(self, seq: int) -> int:
        raise StoreError(f"gateway.sqlite: number {seq} cannot be read")
