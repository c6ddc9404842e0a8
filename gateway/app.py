"""Composition root of core: the one place that constructs everything and owns every task. Keep it small."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

from center.contract import catalogue
from gateway import config as configuration
from gateway import wiring
from gateway.access.policy import Policy
from gateway.config import GatewayConfig, resolve
from gateway.control.barrier import BarrierControl
from gateway.control.devices import Devices, VisionPresence
from gateway.control.door import DoorControl
from gateway.control.judge import Judge
from gateway.drivers import gpio, local_socket, operations_link, vision_link
from gateway.drivers.clock import SimulatedClock, SystemClock, open_clock
from gateway.drivers.only_one import only_one
from gateway.drivers.osdp import OsdpBus, OsdpDevice
from gateway.errors import DriverError, StoreError
from gateway.model import PlateRead, PortalStatus, SiteStatus, UplinkStatus
from gateway.operations.messages import MAX_LINE_BYTES
from gateway.operations.operations import Operations
from gateway.portal.barrier import BarrierEvent
from gateway.ports import NewEntry
from gateway.store import database, policy_file
from gateway.store.journal import Journal
from gateway.uplink import Uplink
from runtime import systemd
from runtime.log import get

log = get("core")
STOP_DRAIN_S = 2.0  # what is not acknowledged by then stays in the outbox for the next start

FEEDBACK = {  # a barrier's input and whether it is active -> what that means to the barrier
    ("raised", True): BarrierEvent.AT_TOP,
    ("lowered", True): BarrierEvent.AT_BOTTOM,
    ("lowered", False): BarrierEvent.LEFT_BOTTOM,
    ("loop", True): BarrierEvent.LOOP_OCCUPIED,
    ("loop", False): BarrierEvent.LOOP_FREE,
}


@dataclass
class Core:
    """Everything core runs, constructed but not started."""

    file: Path
    config: GatewayConfig
    clock: SystemClock
    journal: Journal
    policy: Policy
    devices: Devices
    doors: dict[str, DoorControl]
    buses: list[OsdpBus]
    vision: VisionPresence
    uplink: Uplink | None
    barriers: dict[str, BarrierControl] = field(default_factory=dict)
    pins: dict[str, gpio.BarrierPins] = field(default_factory=dict)
    started_ms: int = 0


def build(file: Path, config: GatewayConfig) -> Core:
    """Construct everything. Nothing runs yet. Raises ConfigError, StoreError, DriverError."""
    policy = policy_file.read(resolve(file, config.policy.file))
    wiring.check_portals(file, config, policy)
    site_key = wiring.secret(file, config.site.site_key_file, 32)
    devices_on = {bus.name: _devices_on(file, config, bus.name) for bus in config.bus}  # refuse before storing anything
    connection = database.open_for_writing(configuration.database_file(file, config))
    simulated = config.simulation.clock if config.simulation else None
    clock = open_clock(
        config.site.timezone,
        Journal.newest_time_ms(connection),
        config.site.kind,
        resolve(file, simulated) if simulated else None,
    )
    journal = Journal(connection, clock, configuration.database_file(file, config))
    judge = Judge(policy, clock, site_key, journal)
    devices = Devices(judge)
    doors = {door.name: DoorControl(wiring.door_settings(door), judge, devices) for door in config.door}
    buses = [
        OsdpBus(
            bus.name,
            str(resolve(file, bus.port)),
            bus.baud,
            devices_on[bus.name],
            clock,
            devices.observe,
        )
        for bus in config.bus
    ]
    by_name = {bus.name: built for bus, built in zip(config.bus, buses, strict=True)}
    devices.attach(
        {reader.name: by_name[reader.bus] for reader in config.reader},
        {door.reader: doors[door.name] for door in config.door},
    )
    uplink_to = wiring.uplink_settings(file, config)
    core = Core(
        file=file,
        config=config,
        clock=clock,
        journal=journal,
        policy=policy,
        devices=devices,
        doors=doors,
        buses=buses,
        vision=VisionPresence(devices.loop, judge),
        uplink=Uplink(uplink_to, journal, clock) if uplink_to else None,
        started_ms=clock.now_ms(),
    )
    _add_barriers(core, judge)
    return core


def _devices_on(file: Path, config: GatewayConfig, bus: str) -> list[OsdpDevice]:
    return [wiring.osdp_device(file, config, reader) for reader in config.reader if reader.bus == bus]


async def run(file: Path) -> None:
    """Core, from start to an orderly end on cancellation."""
    config = configuration.read(file)
    with only_one(resolve(file, config.paths.data)):
        await _run(build(file, config))


async def _run(core: Core) -> None:
    cause, clean = "failed", False
    try:
        await _start(core)
        uplink = asyncio.create_task(core.uplink.run(), name="uplink") if core.uplink else None
        try:
            async with asyncio.TaskGroup() as tasks:
                await _start_tasks(core, tasks)
                if uplink is not None:
                    tasks.create_task(_fail_with(uplink), name="uplink-watch")
                systemd.ready(f"{len(core.doors) + len(core.barriers)} portals")
                log.info("core is ready", portals=[*core.doors, *core.barriers], epoch=core.journal.epoch)
        except asyncio.CancelledError:
            cause, clean = "asked", True
            raise
        finally:
            systemd.stopping()
            await _stop(core, uplink, cause)
    finally:
        await core.journal.close(clean=clean)
        log.info("core stopped", cause=cause)


async def _fail_with(task: asyncio.Task[None]) -> None:
    """Wait for `task` without owning it: the uplink outlives the portals by STOP_DRAIN_S."""
    await asyncio.shield(task)


async def _stop(core: Core, uplink: asyncio.Task[None] | None, cause: str) -> None:
    """Pins to rest first; then say goodbye, and give the center a moment to acknowledge. One fault hides no other."""
    for pins in core.pins.values():
        with contextlib.suppress(DriverError):
            await pins.close()
    try:
        await core.journal.record([NewEntry(catalogue.GatewayStopped(cause))])
    except StoreError as e:
        log.error("the end could not be recorded", error=str(e))
    if uplink is None or core.uplink is None:
        return
    deadline_ms = core.clock.monotonic_ms() + round(STOP_DRAIN_S * 1000)
    while core.uplink.connected and core.journal.acked_upto < core.journal.last_seq:
        if core.clock.monotonic_ms() > deadline_ms or uplink.done():
            break
        await asyncio.sleep(0.02)
    uplink.cancel()
    await asyncio.gather(uplink, return_exceptions=True)


async def _start(core: Core) -> None:
    names = [(h.id, h.name["zh"], h.name["en"]) for h in core.policy.holders.values()]
    await core.journal.replace_holders(names)
    cause = "start" if core.journal.ended_cleanly else "crash"
    await core.journal.mark_running()
    await core.journal.record([NewEntry(catalogue.GatewayStarted(version("zhian"), cause))])


async def _start_tasks(core: Core, tasks: asyncio.TaskGroup) -> None:
    tasks.create_task(core.devices.loop.run(), name="devices")
    if isinstance(core.clock, SimulatedClock):
        tasks.create_task(core.clock.follow(), name="simulated-clock")
    for portal in (*core.doors.values(), *core.barriers.values()):
        tasks.create_task(portal.run(), name=f"portal-{portal.settings.name}")
    for name, pins in core.pins.items():
        try:
            await pins.open()
        except DriverError as e:
            log.error("this barrier stays as it is; the other portals work", barrier=name, error=str(e))
            core.barriers[name].unusable()
    for bus in core.buses:
        tasks.create_task(bus.run(), name="bus")
    operations = Operations({**core.doors, **core.barriers}, lambda: status(core))
    link = vision_link.VisionLink(lambda plate: _plate_read(core, plate), core.vision.changed)
    for path, serve, limit in (
        (configuration.operations_socket(core.file, core.config), operations_link.OperationsLink(operations).serve, 0),
        (configuration.vision_socket(core.file, core.config), link.serve, vision_link.MAX_LINE_BYTES),
    ):
        listening = asyncio.Event()
        socket = local_socket.LocalSocket(path, serve, limit or MAX_LINE_BYTES)
        tasks.create_task(socket.run(listening), name=path.name)
        await listening.wait()


def status(core: Core) -> SiteStatus:
    """What pages show."""
    site, uplink = core.config.site, core.uplink
    doors = [("door", portal, core.devices.online[portal.settings.device]) for portal in core.doors.values()]
    barriers = [("barrier", portal, True) for portal in core.barriers.values()]
    portals = tuple(
        PortalStatus(p.settings.name, kind, p.settings.label, p.state, p.state_since_ms, online, p.last_reason)
        for kind, p, online in (*doors, *barriers)
    )
    return SiteStatus(
        district=site.district,
        site=site.site,
        gateway=site.gateway,
        label={"zh": site.label.zh, "en": site.label.en},
        simulated=site.kind == "simulated",
        version=version("zhian"),
        started_ms=core.started_ms,
        now_ms=core.clock.now_ms(),
        clock="certain" if core.clock.certain else "uncertain",
        storage_ok=core.journal.ok,
        vision_online=core.vision.online,
        portals=portals,
        uplink=UplinkStatus(
            mode=core.config.uplink.mode,
            connected=uplink is not None and uplink.connected,
            acked_upto=core.journal.acked_upto,
            made=core.journal.last_seq,
        ),
        devices=core.devices.online,
    )


def _plate_read(core: Core, plate: PlateRead) -> None:
    for barrier in core.barriers.values():
        if barrier.settings.camera == plate.camera:
            barrier.plate_read(plate)


def _add_barriers(core: Core, judge: Judge) -> None:
    if not core.config.barrier:
        return
    simulation = core.config.simulation
    factory = gpio.open_factory(str(resolve(core.file, simulation.pins)) if simulation else None)
    for barrier in core.config.barrier:
        wired = wiring.barrier_wiring(core.file, barrier)
        pins = gpio.BarrierPins(barrier.name, wired, factory, _feedback(core, barrier.name))
        core.pins[barrier.name] = pins
        core.barriers[barrier.name] = BarrierControl(wiring.barrier_settings(barrier), judge, pins)


def _feedback(core: Core, name: str) -> Callable[[str, bool], None]:
    def changed(contact: str, active: bool) -> None:
        if (event := FEEDBACK.get((contact, active))) is not None:
            core.barriers[name].feedback(event)

    return changed
