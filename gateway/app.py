"""Composition root of core: starts and stops what `core.build` constructed, and owns every task. Keep it small."""

from __future__ import annotations

import asyncio
import contextlib
from importlib.metadata import version
from pathlib import Path

from center.contract import catalogue
from gateway import config as configuration
from gateway.config import resolve
from gateway.core import Core, build, holder_names
from gateway.drivers import local_socket, operations_link, vision_link
from gateway.drivers.clock import SimulatedClock
from gateway.drivers.only_one import only_one
from gateway.errors import DriverError, StoreError
from gateway.model import PlateRead, PortalStatus, SiteStatus, UplinkStatus
from gateway.operations.messages import MAX_LINE_BYTES
from gateway.operations.operations import Operations
from gateway.ports import NewEntry
from gateway.store import policy_store
from runtime import core_dumps, systemd
from runtime.log import get

log = get("core")
STOP_DRAIN_S = 2.0  # what is not acknowledged by then stays in the outbox for the next start


async def run(file: Path) -> None:
    """Core, from start to an orderly end on cancellation."""
    core_dumps.forbid()
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
                systemd.ready(f"{len(core.portals)} portals")
                log.info("core is ready", portals=list(core.portals), epoch=core.journal.epoch)
        except asyncio.CancelledError:
            cause, clean = "asked", True
            raise
        finally:
            systemd.stopping()
            await _stop(core, uplink, cause)
    finally:
        await core.journal.close(clean=clean)
        core.policy.close()
        if core.faces is not None:
            core.faces.close()
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
    """A disk that cannot be written stops nothing: what is to be recorded here is recorded late."""
    await core.journal.replace_holders(holder_names(core.judge.policy))
    cause = "start" if core.journal.ended_cleanly else "crash"
    await core.journal.mark_running()
    await core.journal.record([NewEntry(catalogue.GatewayStarted(version("zhian"), cause))], late_ok=True)
    try:
        await core.desk.announce()
    except StoreError as e:
        log.warning("the policy's newest version is announced at the next start", error=str(e))
    policy_file = resolve(core.file, core.config.policy.file)
    if await asyncio.to_thread(policy_store.file_was_changed, core.policy, policy_file):
        log.warning("the policy file differs from the policy in force; zhian access import takes it over")


async def _start_tasks(core: Core, tasks: asyncio.TaskGroup) -> None:
    """Fire before anything else: it depends on no socket and no disk."""
    tasks.create_task(core.fire.run(), name="fire")
    for bus in core.buses:
        tasks.create_task(bus.run(), name="bus")
    if core.panel is not None:
        tasks.create_task(core.panel.run(), name="fire-panel")
    for name, portal in core.portals.items():
        tasks.create_task(portal.run(), name=f"portal-{name}")
    tasks.create_task(core.devices.loop.run(), name="devices")
    tasks.create_task(core.site.run(), name="site")
    tasks.create_task(core.nodes.run(), name="nodes")
    if isinstance(core.clock, SimulatedClock):
        tasks.create_task(core.clock.follow(), name="simulated-clock")
    tasks.create_task(core.clock_watch.run(), name="clock-watch")
    for scanner in core.scanners:
        tasks.create_task(scanner.run(), name="scanner")
    for name, pins in core.pins.items():
        try:
            await pins.open()
        except DriverError as e:
            log.error("this barrier stays as it is; the other portals work", barrier=name, error=str(e))
            core.barriers[name].unusable()
    await _listen(core, tasks)


async def _listen(core: Core, tasks: asyncio.TaskGroup) -> None:
    operations = Operations(
        core.portals, lambda: status(core), site=core.site, policy=core.desk, buses=core.bus_desk, faces=core.faces
    )
    link = vision_link.VisionLink(
        lambda plate: _plate_read(core, plate),
        lambda came: _vision_changed(core, came),
        core.face_control.seen if core.face_control else None,
        core.face_control.attack if core.face_control else None,
        gallery=lambda model: _gallery(core, model),
        ask=core.face_asks.ask if core.face_asks else None,
        ask_over=core.face_asks.over if core.face_asks else None,
    )
    if core.face_control is not None:
        core.face_control.claim, core.face_control.alone = link.claim, link.alone
        core.face_control.policy_changed()
    if core.face_asks is not None:
        core.face_asks.answer = link.shown
        tasks.create_task(core.face_asks.run(), name="face-asks")
    if core.faces is not None:
        core.faces.gallery_changed = link.gallery_changed
        tasks.create_task(core.faces.run(), name="faces")
    for path, serve, limit in (
        (configuration.operations_socket(core.file, core.config), operations_link.OperationsLink(operations).serve, 0),
        (configuration.vision_socket(core.file, core.config), link.serve, vision_link.MAX_LINE_BYTES),
    ):
        listening = asyncio.Event()
        socket = local_socket.LocalSocket(path, serve, limit or MAX_LINE_BYTES)
        tasks.create_task(socket.run(listening), name=path.name)
        await listening.wait()


def _vision_changed(core: Core, came: bool) -> None:
    core.vision.changed(came)
    if core.face_asks is not None:
        core.face_asks.vision_changed(came)


def status(core: Core) -> SiteStatus:
    """What pages show."""
    site, uplink = core.config.site, core.uplink
    conditions = core.judge.conditions
    portals = tuple(
        PortalStatus(
            name,
            core.kind_of[name],
            portal.settings.label,
            portal.state,
            portal.state_since_ms,
            core.devices.online.get(getattr(portal.settings, "device", ""), True),
            portal.last_reason,
            conditions.mode(name),
            conditions.fire(name),
        )
        for name, portal in core.portals.items()
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
        fire=core.fire.released,
        lockdown=core.site.lockdown,
        policy_version=core.judge.policy.version,
        node_caches=core.nodes.status(),
    )


async def _gallery(core: Core, model: str) -> vision_link.Gallery:
    """Who may be recognised before which cameras; a consent counts for the portals it names only."""
    if core.faces is None or core.face_control is None:
        return vision_link.Gallery(0, ())
    gallery = await core.faces.gallery(model)
    references = []
    for one in gallery.references:
        cameras = tuple(c for c, portal in core.face_control.cameras.items() if portal in one.portals)
        if cameras:
            references.append(vision_link.GalleryReference(one.holder, cameras, one.embedding))
    return vision_link.Gallery(gallery.version, tuple(references))


def _plate_read(core: Core, plate: PlateRead) -> None:
    for barrier in core.barriers.values():
        if barrier.settings.camera == plate.camera:
            barrier.plate_read(plate)
