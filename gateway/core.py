"""Everything core runs, constructed but not started: the parts and how they are plugged together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from gateway import config as configuration
from gateway import wiring
from gateway.access.policy import Policy
from gateway.config import GatewayConfig, resolve
from gateway.control.barrier import BarrierControl
from gateway.control.bus_desk import BusDesk
from gateway.control.clock_watch import ClockWatch
from gateway.control.devices import Devices, VisionPresence
from gateway.control.door import DoorControl
from gateway.control.face_asks import FaceAsks, Place
from gateway.control.faces import FaceControl, Needs
from gateway.control.fire import FireControl, Releasable
from gateway.control.judge import Judge
from gateway.control.lift import LiftControl
from gateway.control.node_records import KEY as NODE_KEY
from gateway.control.node_records import restored
from gateway.control.offline_nodes import OfflineNode, OfflineNodes
from gateway.control.site import Site
from gateway.control.turnstile import TurnstileControl
from gateway.drivers import gpio
from gateway.drivers.clock import SystemClock, open_clock
from gateway.drivers.osdp import OsdpBus, OsdpDevice
from gateway.drivers.panel_input import PanelInput
from gateway.drivers.scanner import SerialScanner
from gateway.portal.barrier import BarrierEvent
from gateway.ports import NewEntry
from gateway.store import opening, policy_store
from gateway.store.capacity import JournalLimits
from gateway.store.faces.desk import FaceDesk
from gateway.store.journal import Journal
from gateway.store.policy_desk import PolicyDesk
from gateway.store.policy_store import PolicyStore
from gateway.store.reserve import Reserve
from gateway.uplink import Uplink
from gateway.vision.pad.statement import statement
from runtime.log import get

if TYPE_CHECKING:
    from gpiozero import Factory

FEEDBACK = {  # a barrier's input and whether it is active -> what that means to the barrier
    ("raised", True): BarrierEvent.AT_TOP,
    ("lowered", True): BarrierEvent.AT_BOTTOM,
    ("lowered", False): BarrierEvent.LEFT_BOTTOM,
    ("loop", True): BarrierEvent.LOOP_OCCUPIED,
    ("loop", False): BarrierEvent.LOOP_FREE,
}
log = get("core")
Control = DoorControl | TurnstileControl | LiftControl  # portals whose devices hang on buses


@dataclass
class Core:
    """`portals`: all of them by name, in the order of the configuration's tables."""

    file: Path
    config: GatewayConfig
    clock: SystemClock
    journal: Journal
    judge: Judge
    policy: PolicyStore
    devices: Devices
    on_buses: dict[str, Control]
    buses: list[OsdpBus]
    scanners: list[SerialScanner]
    barriers: dict[str, BarrierControl]
    pins: dict[str, gpio.BarrierPins]
    fire: FireControl
    site: Site
    desk: PolicyDesk
    clock_watch: ClockWatch
    vision: VisionPresence
    uplink: Uplink | None
    panel: PanelInput | None = None
    started_ms: int = 0
    bus_desk: BusDesk | None = None
    nodes: OfflineNodes = field(default_factory=lambda: OfflineNodes(()))
    faces: FaceDesk | None = None
    face_control: FaceControl | None = None
    face_asks: FaceAsks | None = None
    kind_of: dict[str, str] = field(default_factory=dict)

    @property
    def portals(self) -> dict[str, Control | BarrierControl]:
        """Every portal by name."""
        return {**self.on_buses, **self.barriers}


def build(file: Path, config: GatewayConfig) -> Core:
    """Construct everything. Nothing runs yet. Raises ConfigError, StoreError, DriverError."""
    site_key = wiring.secret(file, config.site.site_key_file, 32)
    devices_on = {bus.name: _devices_on(file, config, bus.name) for bus in config.bus}  # refuse before storing anything
    uplink_to = wiring.uplink_settings(file, config)
    clock, journal = _journal(file, config)
    policy = _policy(file, config, clock, journal)
    judge = Judge(policy.in_force.policy, clock, site_key, journal, read_pass=policy.read_pass)
    judge.restore_presence(journal.kept)
    devices = Devices(judge, len(config.reader) + len(config.scanner))
    on_buses = _portals_on_buses(config, judge, devices)
    factory = _pin_factory(file, config)
    pins, barriers = _barriers(file, config, judge, factory, devices)
    portals = {**on_buses, **barriers}
    fire = FireControl(judge, devices, journal, config.site.gateway, *_fire_list(config, portals))
    site = Site(judge, portals, fire)

    nodes = _nodes(file, config, judge, devices, on_buses)
    site.on_mode = nodes.changed

    def looked_at_again() -> None:
        site.policy_changed()
        nodes.changed()

    def publish(now: Policy) -> None:
        judge.in_force.replace(now)
        looked_at_again()
        if core.face_control is not None:
            core.face_control.policy_changed()

    async def names_changed(now: Policy) -> None:
        await journal.replace_holders(holder_names(now))

    desk = PolicyDesk(
        policy,
        clock,
        journal,
        publish=publish,
        token=judge.token,
        incoming=resolve(file, config.paths.run),
        changed=names_changed,
    )
    core = Core(
        file=file,
        config=config,
        clock=clock,
        journal=journal,
        judge=judge,
        policy=policy,
        devices=devices,
        on_buses=on_buses,
        buses=_buses(file, config, devices_on, clock, devices),
        scanners=[
            SerialScanner(one.name, str(resolve(file, one.port)), one.baud, devices.observe) for one in config.scanner
        ],
        barriers=barriers,
        pins=pins,
        fire=fire,
        site=site,
        desk=desk,
        clock_watch=ClockWatch(judge, clock, journal, looked_at_again),
        nodes=nodes,
        vision=VisionPresence(devices.loop, judge),
        uplink=Uplink(uplink_to, journal, clock, record=lambda data: journal.record([NewEntry(data)]))
        if uplink_to
        else None,
        panel=_panel(config, factory, fire),
        started_ms=clock.now_ms(),
        kind_of=_kinds(config),
    )
    _attach(core)
    _attach_faces(core)
    fire.restore(journal.kept)
    site.restore(journal.kept)
    return core


def _nodes(
    file: Path, config: GatewayConfig, judge: Judge, devices: Devices, on_buses: dict[str, Control]
) -> OfflineNodes:
    """The doors whose nodes may decide alone; a node that cannot never asks for anything."""
    nodes = []
    for door in config.door if config.offline.enabled else ():
        control = on_buses[door.name]
        stored = restored(judge.recorder.kept.get(NODE_KEY + door.reader))
        keys = wiring.node_keys(file, config, door.reader)
        portal = control if isinstance(control, DoorControl) else None
        nodes.append(OfflineNode(wiring.node_settings(config, door), judge, devices, keys, stored, portal))
    found = OfflineNodes(nodes)
    devices.attach_nodes(found)
    return found


def holder_names(policy: Policy) -> list[tuple[str, str, str]]:
    """(id, Chinese, English) of every holder, for the pages."""
    return [(h.id, h.name["zh"], h.name["en"]) for h in policy.holders.values()]


def _journal(file: Path, config: GatewayConfig) -> tuple[SystemClock, Journal]:
    database = configuration.database_file(file, config)
    opened = opening.open_store(database)
    simulated = config.simulation.clock if config.simulation else None
    clock = open_clock(
        config.site.timezone,
        opened.newest_ms,
        config.site.kind,
        resolve(file, simulated) if simulated else None,
        config.time.trust,
    )
    journal = Journal(
        opened.connection,
        clock,
        database,
        trouble=opened.trouble,
        center=config.uplink.mode != "none",
        limits=JournalLimits(config.journal.rows_max, config.journal.retain_days),
        reserve=Reserve(database),
    )
    clock.remember(journal.kept.get("clock"))
    return clock, journal


def _policy(file: Path, config: GatewayConfig, clock: SystemClock, journal: Journal) -> PolicyStore:
    return policy_store.open_policy(
        configuration.policy_database(file, config),
        configuration.policy_key_file(file, config),
        policy_store.Place(
            config.site.district, config.site.site, wiring.portal_names(config), wiring.exit_readers(config)
        ),
        resolve(file, config.policy.file),
        now_ms=clock.now_ms(),
        newest_seen=policy_store.seen(journal.kept),
    )


def _devices_on(file: Path, config: GatewayConfig, bus: str) -> list[OsdpDevice]:
    return [wiring.osdp_device(file, config, reader) for reader in config.reader if reader.bus == bus]


def _buses(
    file: Path, config: GatewayConfig, devices_on: dict[str, list[OsdpDevice]], clock: SystemClock, devices: Devices
) -> list[OsdpBus]:
    return [
        OsdpBus(bus.name, str(resolve(file, bus.port)), bus.baud, devices_on[bus.name], clock, devices.observe)
        for bus in config.bus
    ]


def _portals_on_buses(config: GatewayConfig, judge: Judge, devices: Devices) -> dict[str, Control]:
    portals: dict[str, Control] = {}
    for door in config.door:
        portals[door.name] = DoorControl(wiring.door_settings(config, door), judge, devices)
    for turnstile in config.turnstile:
        portals[turnstile.name] = TurnstileControl(wiring.turnstile_settings(turnstile), judge, devices)
    for lift in config.lift:
        portals[lift.name] = LiftControl(wiring.lift_settings(lift), judge, devices)
    return portals


def _kinds(config: GatewayConfig) -> dict[str, str]:
    kinds = dict.fromkeys((door.name for door in config.door), "door")
    kinds |= dict.fromkeys((turnstile.name for turnstile in config.turnstile), "turnstile")
    kinds |= dict.fromkeys((lift.name for lift in config.lift), "lift")
    return kinds | dict.fromkeys((barrier.name for barrier in config.barrier), "barrier")


def _fire_list(
    config: GatewayConfig, portals: dict[str, Control | BarrierControl]
) -> tuple[dict[str, Releasable], dict[str, str]]:
    """Every portal that fire releases, and those of them that are released through a node, with it."""
    with_nodes: list[configuration.Door | configuration.Turnstile] = [*config.door, *config.turnstile]
    through_nodes = {portal.name: portal.reader for portal in with_nodes if portal.fire != "none"}
    others = [*(barrier.name for barrier in config.barrier), *(lift.name for lift in config.lift)]
    return {name: portals[name] for name in (*through_nodes, *others)}, through_nodes


def _attach(core: Core) -> None:
    config = core.config
    by_name = {bus.name: built for bus, built in zip(config.bus, core.buses, strict=True)}
    portal_of: dict[str, Control | BarrierControl] = {}
    with_nodes: list[configuration.Door | configuration.Turnstile] = [*config.door, *config.turnstile]
    for portal in with_nodes:
        portal_of[portal.reader] = core.on_buses[portal.name]
        if portal.exit_reader is not None:
            portal_of[portal.exit_reader] = core.on_buses[portal.name]
    portal_of |= {lift.reader: core.on_buses[lift.name] for lift in config.lift}
    portal_of |= {scanner.name: core.on_buses[scanner.door] for scanner in config.scanner}
    with_readers = [one for one in config.barrier if one.name in core.barriers]
    portal_of |= {one.reader: core.barriers[one.name] for one in with_readers if one.reader is not None}
    buses = {reader.name: by_name[reader.bus] for reader in config.reader}
    core.bus_desk = BusDesk(core.judge, by_name, buses)
    core.devices.attach(buses, portal_of, core.fire)


def _attach_faces(core: Core) -> None:
    """Faces are kept where a door has a camera for them, or were kept once: then they still have to expire."""
    config, folder = core.config, configuration.faces_folder(core.file, core.config)
    doors = {door.face_camera: door.name for door in config.door if door.face_camera is not None}
    if not doors and not folder.exists():
        return
    core.faces = FaceDesk(
        folder,
        core.clock,
        core.journal,
        core.desk,
        token=core.judge.token,
        statement=statement().version,
        accepted=config.faces.accepted_statement,
    )
    core.judge.face_alone = core.faces.alone_accepted
    on_buses = {name: control for name, control in core.on_buses.items() if isinstance(control, DoorControl)}
    served = {camera: (portal, on_buses[portal]) for camera, portal in doors.items()}
    needs = {
        door.face_camera: Needs(frozenset(door.face_asks), frozenset(door.face_asks_beside))
        for door in config.door
        if door.face_camera is not None
    }
    core.face_control = FaceControl(core.judge, core.devices.loop, served, needs)
    places = {camera: _face_place(config, portal) for camera, portal in doors.items()}
    core.face_asks = FaceAsks(places, core.devices, core.clock)
    core.devices.signalled = core.face_asks.signalled
    for camera, place in places.items():
        if core.judge.face_alone and not place.display and "challenge" in needs[camera].alone:
            log.warning("no display can show what a face alone is asked for; it opens nothing", portal=place.portal)


def _face_place(config: GatewayConfig, portal: str) -> Place:
    """Where the people before this door's camera can be told something."""
    door = next(one for one in config.door if one.name == portal)
    reader = next(one for one in config.reader if one.name == door.reader)
    return Place(portal, door.reader, wiring.has_display(reader))


def _pin_factory(file: Path, config: GatewayConfig) -> Factory | None:
    if not config.barrier and config.fire.panel_pin is None:
        return None
    return gpio.open_factory(str(resolve(file, config.simulation.pins)) if config.simulation else None)


def _panel(config: GatewayConfig, factory: Factory | None, fire: FireControl) -> PanelInput | None:
    if config.fire.panel_pin is None or factory is None:
        return None
    active_level = int(config.fire.active == "high")
    return PanelInput(config.fire.panel_pin, active_level, factory, fire.panel_changed, fire.panel_lost)


def _barriers(
    file: Path, config: GatewayConfig, judge: Judge, factory: Factory | None, devices: Devices
) -> tuple[dict[str, gpio.BarrierPins], dict[str, BarrierControl]]:
    pins: dict[str, gpio.BarrierPins] = {}
    barriers: dict[str, BarrierControl] = {}
    for barrier in config.barrier if factory is not None else ():
        wired = wiring.barrier_wiring(file, barrier)
        pins[barrier.name] = gpio.BarrierPins(barrier.name, wired, factory, _feedback(barriers, barrier.name))
        barriers[barrier.name] = BarrierControl(wiring.barrier_settings(barrier), judge, pins[barrier.name], devices)
    return pins, barriers


def _feedback(barriers: dict[str, BarrierControl], name: str) -> Callable[[str, bool], None]:
    def changed(contact: str, active: bool) -> None:
        if (event := FEEDBACK.get((contact, active))) is not None:
            barriers[name].feedback(event)

    return changed
