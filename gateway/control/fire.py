"""Fire: release first, everywhere at once; record after. Latched in the store, ended only by a person on site.

Each listed door has a worker of its own that makes its node agree with the latch, for as long as it takes: a dead door
delays no other, a node that comes back is told again, and one that was away at the reset is reset when it returns.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence, Set
from typing import Protocol

import msgspec

from center.contract import catalogue
from gateway.control.job_loop import JobLoop
from gateway.control.judge import Judge
from gateway.errors import DriverError, OperationRefusedError, StoreError
from gateway.model import FireRelease
from gateway.portal import fire
from gateway.portal.fire import Fire, FireEffect, FireState
from gateway.ports import Actuator
from runtime.log import get

LATCH_KEY = "fire"  # among the store's kept values: present while the release is latched
RESETS_KEY = "fire-resets"  # JSON list of devices whose reset was not acknowledged yet
ACTIVE_KEY = "fire-active"  # JSON list of inputs that are active, or were when they were last heard of
PANEL = "panel"  # the name of the gateway's own input
AGAIN_S = 0.5  # after a device that did not take the command
RESET_WAIT_S = 3.0  # how long a reset waits for the devices that answer

log = get("fire")
_names = msgspec.json.Decoder(list[str])


class Releasable(Protocol):
    """A portal that fire releases."""

    def mode_changed(self) -> None:
        """Fire began or ended for it: act at once, never wait."""
        ...


class Keeper(Protocol):
    """The store's kept values."""

    async def keep(self, key: str, value: str | None) -> None:
        """Keep over a restart. Raises StoreError where that is not durable yet; it is tried again by itself."""
        ...


class FireControl:
    """`portals`: every portal on the fire list. `devices`: those of them that are released through a node: portal name
    -> device. `gateway`: this gateway's name, which stands for its own input in events."""

    def __init__(
        self,
        judge: Judge,
        actuator: Actuator,
        keeper: Keeper,
        gateway: str,
        portals: Mapping[str, Releasable],
        devices: Mapping[str, str],
    ) -> None:
        self._judge = judge
        self._actuator = actuator
        self._keeper = keeper
        self._gateway = gateway
        self._portals = dict(portals)
        self._devices = dict(devices)
        self._fire = Fire()
        self._unknown: frozenset[str] = frozenset()  # inputs that were active when they were last heard of
        self._stored_active: frozenset[str] = frozenset()
        self._began_ms = 0  # monotonic, of the signal
        self._told: dict[str, bool | None] = dict.fromkeys(devices.values(), False)  # None: unknown, tell it
        self._wake = {device: asyncio.Event() for device in devices.values()}
        self._answered = asyncio.Event()
        self._reported: set[str] = set()  # portals whose release by this fire was reported
        self.loop = JobLoop("fire", judge.clock, length=100 + 4 * len(self._portals))  # every portal may report at once

    @property
    def released(self) -> bool:
        """Whether the fire list is released now."""
        return self._fire.released

    def restore(self, stored: Mapping[str, str]) -> None:
        """Take up what the last run left: a release goes on until somebody resets it."""
        if LATCH_KEY in stored:
            self._fire = Fire(FireState.LATCHED)
            self._began_ms = self._judge.clock.monotonic_ms()
            self._reported = set(self._portals)  # told before the restart
            self._unknown = self._stored_active = frozenset(_listed(stored.get(ACTIVE_KEY)))
            self._set_portals(True)
        for device in _listed(stored.get(RESETS_KEY)):
            if device in self._told:
                self._told[device] = None
        self._tell_all()

    # --- what happens

    def panel_changed(self, active: bool) -> None:
        """The gateway's own input from the fire panel."""
        self._signal(PANEL, self._gateway, active)

    def panel_lost(self) -> None:
        """The gateway's own input cannot be read any more."""
        self._lost(PANEL)

    def input_changed(self, device: str, name: str, active: bool) -> None:
        """`fire` or `fire-latched` of a node."""
        if name == "fire":
            self._signal(device, device, active)
        elif active:
            if self._told.get(device, False) is self.released:  # else it is just about to be reset
                self._found(device)
        elif self.released and device in self._told:  # it has forgotten, by a restart, that it holds its door released
            self._told[device] = None
            self._wake[device].set()

    def device_online(self, device: str) -> None:
        """It may have missed the release, or the reset."""
        if device in self._told and (self.released or self._told[device] is not False):
            self._told[device] = None
            self._wake[device].set()

    def device_offline(self, device: str) -> None:
        """What its input said last is no longer known. The node keeps its latch, the site stays released."""
        self._lost(device)

    async def reset(self, operator: str, although_unknown: bool = False) -> None:
        """End the release everywhere. Raises OperationRefusedError while a fire input is active, or without a fire,
        and, unless `although_unknown`, while an input that was active cannot be asked."""
        self._refuse_reset(although_unknown)
        self._fire, _ = fire.reset(self._fire)
        log.warning("fire release reset", operator=operator, unknown=sorted(self._unknown))
        self._unknown = self._stored_active = frozenset()
        for device in self._told:
            self._told[device] = None
        self._set_portals(False)
        self._tell_all()
        token = self._judge.token("operator", operator)
        _, kept = self._judge.forget("all")  # everybody left: anti-passback starts anew
        keep = {**kept, LATCH_KEY: None, RESETS_KEY: self._resets_due(), ACTIVE_KEY: None}
        await self._judge.fact(catalogue.FireReset(token), keep)
        try:
            async with asyncio.timeout(RESET_WAIT_S):
                while any(told is None for told in self._told.values()):
                    self._answered.clear()
                    await self._answered.wait()
        except TimeoutError:
            due = [device for device, told in self._told.items() if told is None]
            log.warning("these devices are reset when they answer again", devices=due)

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.loop.run())
            for portal, device in self._devices.items():
                tasks.create_task(self._agree(portal, device), name=f"fire-{device}")

    # ---

    def _refuse_reset(self, although_unknown: bool) -> None:
        """Raises OperationRefusedError."""
        if not self.released:
            raise OperationRefusedError("nothing is released by fire, so there is nothing to reset")
        if active := ", ".join(sorted(self._fire.active)):
            raise OperationRefusedError(
                f"fire is not reset while the fire input of {active} is active; clear the fire panel first"
            )
        if self._unknown and not although_unknown:
            silent = ", ".join(sorted(self._unknown))
            raise OperationRefusedError(
                f"fire is not reset: {silent} said fire when last heard of and cannot be asked now; repair it, "
                "or look on site that the fire is over and use zhian portal reset-fire --although-unknown"
            )

    def _lost(self, source: str) -> None:
        if source in self._fire.active:
            self._unknown |= {source}
            log.error("fire: an input that said fire cannot be asked any more", input=source)
        self._fire, _ = fire.signal(self._fire, source, False)

    def _signal(self, source: str, device: str, active: bool) -> None:
        self._unknown -= {source}
        self._fire, effect = fire.signal(self._fire, source, active)
        if effect is FireEffect.RELEASE:
            self._release(device, "panel" if source == PANEL else "node-input")
        if active and source != PANEL:
            self._report_own_release(device)
        self.loop.submit_latest("active", self._save_active)

    def _found(self, device: str) -> None:
        self._fire, effect = fire.found_released(self._fire)
        if effect is FireEffect.RELEASE:
            self._release(device, "node-input")
        self._report_own_release(device)

    def _report_own_release(self, device: str) -> None:
        """A node whose fire input is active has released its own door by itself, before it said so."""
        for portal, its in self._devices.items():
            if its == device:
                self._report_release(portal, "node-input")

    def _release(self, device: str, path: str) -> None:
        """Everything at once and without waiting: doors, barriers, then the record."""
        self._began_ms = self._judge.clock.monotonic_ms()
        self._reported = set()
        for told in self._told:
            self._told[told] = None
        self._set_portals(True)
        self._tell_all()
        log.error("fire: the fire list is released", device=device, path=path)
        self.loop.submit(lambda: self._record(catalogue.FireDetected(device, path)))
        for portal in self._portals:
            if portal not in self._devices:
                self._report_release(portal, "message")

    async def _record(self, detected: catalogue.FireDetected) -> None:
        if not self.released:  # reset already, while the disk was slow: what is over must not be kept
            await self._judge.fact(detected)
            return
        self._stored_active = self._fire.active | self._unknown
        await self._judge.fact(detected, {LATCH_KEY: "1", ACTIVE_KEY: _stored(self._stored_active)})

    async def _save_active(self) -> None:
        active = self._fire.active | self._unknown
        if active == self._stored_active or not self.released:
            return
        self._stored_active = active
        await self._keep(ACTIVE_KEY, _stored(active))

    def _set_portals(self, released: bool) -> None:
        for name in self._portals:
            self._judge.conditions.set_fire(name, released)
        for portal in self._portals.values():
            portal.mode_changed()

    def _tell_all(self) -> None:
        for wake in self._wake.values():
            wake.set()

    async def _agree(self, portal: str, device: str) -> None:
        """Make this node agree with the latch, for as long as that takes."""
        while True:
            self._wake[device].clear()
            wait_s: float | None = None
            wanted = self.released
            if self._told[device] is not wanted:
                wait_s = await self._tell(portal, device, wanted)
            try:
                async with asyncio.timeout(wait_s):
                    await self._wake[device].wait()
            except TimeoutError:
                continue

    async def _tell(self, portal: str, device: str, wanted: bool) -> float | None:
        """Returns seconds to the next try, None where the node has agreed."""
        try:
            await self._actuator.send(device, [FireRelease(wanted)])
        except DriverError as e:
            log.warning("a node did not take the fire command", device=device, released=wanted, error=str(e))
            return AGAIN_S
        if self.released is not wanted:
            return 0.0  # it changed meanwhile
        self._told[device] = wanted
        self._answered.set()
        if wanted:
            self._report_release(portal, "message")
        else:
            self.loop.submit_latest("resets", self._save_resets)
        return None

    def _report_release(self, portal: str, path: str) -> None:
        if portal in self._reported:
            return
        self._reported.add(portal)
        latency_ms = max(0, self._judge.clock.monotonic_ms() - self._began_ms)
        data = catalogue.PortalReleasedByFire(portal, path, latency_ms)
        self.loop.submit(lambda: self._judge.fact(data))

    def _resets_due(self) -> str | None:
        return _stored({device for device, told in self._told.items() if told is None and not self.released})

    async def _save_resets(self) -> None:
        await self._keep(RESETS_KEY, self._resets_due())

    async def _keep(self, key: str, value: str | None) -> None:
        try:
            await self._keeper.keep(key, value)
        except StoreError as e:
            log.warning("a state of the fire release is not stored yet", key=key, error=str(e))


def _stored(names: Set[str]) -> str | None:
    return msgspec.json.encode(sorted(names)).decode() if names else None


def _listed(stored: str | None) -> Sequence[str]:
    try:
        return _names.decode(stored) if stored is not None else ()
    except msgspec.MsgspecError as e:
        log.error("a stored list of devices cannot be read", error=str(e))
        return ()
