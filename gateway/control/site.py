"""What concerns the whole site or a portal's mode: schedules that unlock, lockdown, emergency open, fire's reset."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import Protocol

from center.contract import catalogue
from gateway.access.decide import State, unlocked_by_schedule
from gateway.control.fire import FireControl
from gateway.control.job_loop import JobLoop
from gateway.control.judge import Judge
from gateway.errors import OperationRefusedError
from gateway.model import PortalMode
from gateway.portal import mode
from gateway.portal.mode import ModeEvent
from gateway.ports import NewEntry
from runtime.log import get

LOCKDOWN_KEY = "lockdown"  # among the store's kept values: present while the site is locked down
MODE_KEY = "mode/"  # followed by a portal's name
LOOK_S = 1.0  # how often schedules and the clock are looked at; a schedule's edge is late by no more
# What an operator asked for outlives a restart, except an unlocked door: that one locks (nobody may know of it).
KEPT = (PortalMode.CARD_AND_PIN, PortalMode.LOCKDOWN, PortalMode.EMERGENCY_OPEN)

log = get("site")


class Portal(Protocol):
    """A portal that has a mode."""

    def mode_changed(self) -> None:
        """Its mode changed: act at once, never wait."""
        ...


class Site:
    """Implements gateway.operations.SiteControl. Modes live in `judge.conditions`; here they are changed."""

    def __init__(self, judge: Judge, portals: Mapping[str, Portal], fire: FireControl) -> None:
        self._judge = judge
        self.loop = JobLoop("site", judge.clock)
        self._portals = dict(portals)
        self._fire = fire
        self._scheduled: dict[str, bool] = {}
        self._nudged = asyncio.Event()
        self.lockdown = False

    def restore(self, stored: Mapping[str, str]) -> None:
        """Take up what the last run left."""
        self.lockdown = LOCKDOWN_KEY in stored
        for name in self._portals:
            was = stored.get(MODE_KEY + name)
            if was in KEPT:
                self._set(name, PortalMode(was))
            elif self.lockdown and was != PortalMode.LOCKED:
                self._set(name, PortalMode.LOCKDOWN)
        self.look()

    def state(self, portal: str) -> State:
        """What a decision at `portal` is to know now."""
        return self._judge.state(portal)

    def local_now(self) -> datetime:
        """The site's local time."""
        return self._judge.clock.local()

    def policy_changed(self) -> None:
        """Another policy is in force: look at the schedules again, at once."""
        self._nudged.set()

    async def set_mode(self, portal: str, mode_: PortalMode, operator: str) -> None:
        """An operator's word. What opens is recorded first. Raises OperationRefusedError, StoreError."""
        if portal not in self._portals:
            raise OperationRefusedError(f"there is no portal {portal!r}; this gateway has {sorted(self._portals)}")
        before = self._judge.conditions.mode(portal)
        after = mode.TABLE[before, mode.EVENT_OF[mode_]]
        token = self._judge.token("operator", operator)
        changed = NewEntry(catalogue.PortalModeChanged(portal, after, "operator", token))
        # During a lockdown an ordinary mode is an exception, which a restart must know of.
        keep = after in KEPT or (after is PortalMode.LOCKED and self.lockdown)
        kept: dict[str, str | None] = {MODE_KEY + portal: str(after) if keep else None}
        if mode.free(after, fire=False):
            late_ok = after is PortalMode.EMERGENCY_OPEN or not self._judge.high_security(portal)
            await self._judge.record(changed, late_ok=late_ok, keep=kept)
            self._set(portal, after)
        else:
            self._set(portal, after)
            await self._judge.record(changed, keep=kept)
        self.look()

    async def begin_lockdown(self, operator: str) -> None:
        """Nobody enters, everybody leaves: every portal at once, recorded after."""
        if self.lockdown:
            raise OperationRefusedError("the site is locked down already")
        self.lockdown = True
        for name in self._portals:
            self._apply(name, ModeEvent.LOCK_DOWN)
        log.warning("lockdown begun", operator=operator)
        kept: dict[str, str | None] = {LOCKDOWN_KEY: "1"}
        kept |= dict.fromkeys((MODE_KEY + name for name in self._portals), str(PortalMode.LOCKDOWN))
        begun = catalogue.LockdownBegun(self._judge.token("operator", operator), len(self._portals))
        await self._judge.record(NewEntry(begun), keep=kept)

    async def end_lockdown(self, operator: str) -> None:
        """Back to the ordinary mode, and to the schedules, wherever the lockdown still holds."""
        if not self.lockdown:
            raise OperationRefusedError("the site is not locked down")
        self.lockdown = False
        for name in self._portals:
            self._apply(name, ModeEvent.END_LOCKDOWN)
        log.warning("lockdown ended", operator=operator)
        kept: dict[str, str | None] = {LOCKDOWN_KEY: None}
        for name in self._portals:
            now = self._judge.conditions.mode(name)
            kept[MODE_KEY + name] = str(now) if now in KEPT else None
        await self._judge.record(NewEntry(catalogue.LockdownEnded(self._judge.token("operator", operator))), keep=kept)
        self.look()

    async def reset_fire(self, operator: str) -> None:
        """Raises OperationRefusedError while a fire input is active, or where nothing is released."""
        await self._fire.reset(operator)

    async def run(self) -> None:
        """Follow the schedules, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.loop.run())
            tasks.create_task(self._follow_schedules())

    async def _follow_schedules(self) -> None:
        while True:
            self.look()
            self._nudged.clear()
            try:
                async with asyncio.timeout(LOOK_S):
                    await self._nudged.wait()
            except TimeoutError:
                continue

    def look(self) -> None:
        """Move each portal as its schedule says now. Never waits."""
        for name in self._portals:
            scheduled = self._is_scheduled(name)
            was = self._scheduled.get(name, False)
            self._scheduled[name] = scheduled
            if scheduled:
                self._follow(name, ModeEvent.SCHEDULE_OPENS)
            elif was:
                self._follow(name, ModeEvent.SCHEDULE_CLOSES)

    def _is_scheduled(self, name: str) -> bool:
        policy = self._judge.policy
        portal = policy.portals.get(name)
        if portal is None:
            return False
        return unlocked_by_schedule(portal, policy, self._judge.state(name), self._judge.clock.local())

    def _follow(self, name: str, event: ModeEvent) -> None:
        before = self._judge.conditions.mode(name)
        if (after := self._apply(name, event)) is not before:
            changed = catalogue.PortalModeChanged(name, after, "schedule")
            self.loop.submit(lambda: self._judge.fact(changed))

    def _apply(self, name: str, event: ModeEvent) -> PortalMode:
        after = mode.TABLE[self._judge.conditions.mode(name), event]
        self._set(name, after)
        return after

    def _set(self, name: str, after: PortalMode) -> None:
        if self._judge.conditions.mode(name) is not after:
            self._judge.conditions.set_mode(name, after)
            self._portals[name].mode_changed()
