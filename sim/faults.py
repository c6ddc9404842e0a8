"""What breaks around the doors: wires, the network, the power of processes, core's disk, the site's clock."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from sim import network as networks
from sim.action import Action
from sim.bus import Bus
from sim.clock_socket import SOCKET as CLOCK_SOCKET
from sim.clock_socket import ClockServer, offset_until
from sim.errors import ActionError, SimError
from sim.network import Network
from sim.power import SOCKET as POWER_SOCKET
from sim.power import PowerSwitches
from sim.scenario import Scenario

PARTS = ("core", "vision", "broker", "center")
COLLISION_S = 1.0

Record = Callable[..., None]
Work = Coroutine[Any, Any, None]


class Faults:
    """The buses are the world's; network, power switches and clock belong here."""

    def __init__(
        self,
        scenario: Scenario,
        run_dir: Path,
        buses: Mapping[str, Bus],
        record: Record,
        local_time: Callable[[tzinfo], datetime],
    ) -> None:
        self._scenario = scenario
        self._buses = buses
        self._record = record
        self._local_time = local_time
        ends = networks.read(run_dir / networks.FILE)
        self.network = Network(ends, record) if ends is not None else None
        self.power = PowerSwitches(run_dir / POWER_SOCKET)
        self._zone = ZoneInfo(scenario.timezone)
        offset_s = scenario.start_clock_offset_s
        if scenario.start_clock_at is not None:
            offset_s = offset_until(scenario.start_clock_at, self._local_time(self._zone))
        self.clock = ClockServer(run_dir / CLOCK_SOCKET, offset_s, synced=scenario.start_clock_synced)
        self._disturbances = 0

    async def start(self) -> None:
        """Serve the network and the clock. Raises SimError."""
        await self.clock.start()
        if self.network is not None:
            await self.network.start()
        if self.clock.offset_s:
            self._record("clock.jumped", "gateway", offset_s=round(self.clock.offset_s, 3))

    async def close(self) -> None:
        """Undo `start`."""
        if self.network is not None:
            await self.network.close()
        await self.clock.close()

    def begin(self, action: Action) -> Work | None:
        """Do what takes no time and return the rest, if any; None for what is no fault, too. Raises ActionError."""
        if action.bus is not None:
            self._wire(action, self._buses[action.bus])
        elif action.do.startswith("network_"):
            return self._network(action)
        elif action.do in ("cut_power", "return_power"):
            return self._power(str(action.part), on=action.do == "return_power")
        elif action.do in ("disk_full", "disk_free"):
            return self._disk(action.part or "core", full=action.do == "disk_full")
        elif action.do in ("disk_readonly", "disk_writable"):
            return self._read_only(on=action.do == "disk_readonly")
        elif action.do == "broker_disk_lost":
            return self._lose_disk("broker")
        elif action.do in ("time_server_lost", "time_server_back"):
            self.clock.sync(synced=action.do == "time_server_back")
            self._record("clock.synced" if self.clock.synced else "clock.alone", "gateway")
        elif action.do == "clock_jump":
            self._jump(action.offset_s or 0.0)
        elif action.do == "clock_shift":
            self._jump(self.clock.offset_s + (action.offset_s or 0.0))
        elif action.do == "clock_set":
            offset_s = self.clock.offset_s
            self._jump(
                offset_s + offset_until(str(action.to), self._local_time(self._zone) + timedelta(seconds=offset_s))
            )
        return None

    def _wire(self, action: Action, bus: Bus) -> None:
        self._disturbances += 1
        seed = self._scenario.seed * 1000 + self._disturbances
        if action.do == "noise":
            bus.noise(action.probability or 0.0, seed)
            self._record("bus.noisy", bus.name, probability=action.probability)
        elif action.do == "quiet":
            bus.noise(0.0, seed)
            self._record("bus.quiet", bus.name)
        elif action.do == "collision":
            for_s = action.for_s or COLLISION_S
            bus.collide(for_s, seed)
            self._record("bus.collided", bus.name, for_ms=round(for_s * 1000))
        elif action.do == "unplug_bus":
            if not bus.plugged:
                raise ActionError(f"the bus {bus.name} is unplugged already")
            bus.unplug()
            self._record("bus.unplugged", bus.name)
        elif action.do == "plug_bus":
            if bus.plugged:
                raise ActionError(f"the bus {bus.name} is plugged in already")
            bus.plug()
            self._record("bus.plugged", bus.name)

    def _jump(self, offset_s: float) -> None:
        self.clock.jump(offset_s)
        self._record("clock.jumped", "gateway", offset_s=round(offset_s, 3))

    async def _network(self, action: Action) -> None:
        network = self.network
        if network is None:
            raise ActionError("this site has no network to a broker; `zhian demo` and `zhian sim run` lay one out")
        details: dict[str, object] = {}
        if action.do == "network_stop":
            network.stop("stopped")
        elif action.do == "network_split":
            network.stop("split")
        elif action.do in ("network_stall", "network_one_way"):
            await _told(network.stall("stalled" if action.do == "network_stall" else "one-way"))
        elif action.do == "network_slow":
            network.slow(action.delay_ms or 0)
            details["delay_ms"] = action.delay_ms
        elif action.do == "network_duplicate":
            network.duplicate()
        elif action.do == "network_tear":
            network.tear()
        elif action.do == "network_reorder":
            network.reorder()
        else:
            details |= {"repeated": network.repeated, "torn": network.torn, "late": network.late}
            await _told(network.restore())
        if fact := NETWORK_FACTS.get(action.do):
            self._record(fact, "network", **details)

    async def _power(self, part: str, *, on: bool) -> None:
        await self.power.switch(part, on=on)
        self._record("power.returned" if on else "power.cut", part)

    async def _disk(self, part: str, *, full: bool) -> None:
        await self.power.disk(part, full=full)
        self._record("disk.full" if full else "disk.free", part)

    async def _read_only(self, *, on: bool) -> None:
        await self.power.read_only(on=on)
        self._record("disk.readonly" if on else "disk.writable", "core")

    async def _lose_disk(self, part: str) -> None:
        await self.power.lose_disk(part)
        self._record("disk.lost", part)

    def snapshot(self) -> dict[str, Any]:
        """What is broken now, for the page."""
        network = self.network
        return {
            "buses": [{"name": bus.name, "plugged": bus.plugged, "noise": bus.noisy} for bus in self._buses.values()],
            "network": {
                "mode": network.mode if network is not None else "none",
                "delay_ms": network.delay_ms if network is not None else 0,
                "duplicating": network is not None and network.duplicating,
                "holding": network is not None and network.holding,
            },
            "parts": [
                {"name": part, "power": "off" if part in self.power.off else "on"}
                for part in PARTS
                if part != "vision" or self._scenario.camera
            ],
            "disks": [{"name": part, "state": state} for part, state in sorted(self.power.disks.items())],
            "clock_offset_s": round(self.clock.offset_s, 3),
            "clock_synced": self.clock.synced,
        }


NETWORK_FACTS = {
    "network_stop": "network.stopped",
    "network_split": "network.split",
    "network_stall": "network.stalled",
    "network_one_way": "network.one-way",
    "network_slow": "network.slow",
    "network_duplicate": "network.duplicating",
    "network_reorder": "network.reordering",  # network.torn and network.reordered are told when they happen
    "network_restore": "network.restored",
}


async def _told(work: Coroutine[Any, Any, None]) -> None:
    try:
        await work
    except SimError as e:
        raise ActionError(str(e)) from e
