"""What concerns the whole site or a portal's mode: schedules that unlock, lockdown, emergency open, fire's reset."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Protocol

from center.contract import catalogue
from gateway.access.decide import State, unlocked_by_schedule
from gateway.access.presence import Forgotten
from gateway.control.fire import FireControl
from gateway.control.job_loop import QUEUE_LENGTH, JobLoop
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
        # A schedule's edge may move every portal at once.
        self.loop = JobLoop("site", judge.clock, length=QUEUE_LENGTH + 4 * len(portals))
        self._portals = dict(portals)
        self._fire = fire
        self._scheduled: dict[str, bool] = {}
        self._words: dict[str, int] = dict.fromkeys(portals, 0)  # how often an operator has spoken of each portal
        self._nudged = asyncio.Event()
        self.lockdown = False
        self.on_mode: Callable[[], None] = lambda: None  # some portal's mode changed

    def restore(self, stored: Mapping[str, str]) -> None:
        """Take up what the last run left."""
        self.lockdown = LOCKDOWN_KEY in stored
        for name in self._portals:
            was = stored.get(MODE_KEY + name)
            if was in KEPT:
                self._set(name, PortalMode(was))
            elif self.lockdown and was != PortalMode.LOCKED:
                self._set(name, PortalMode.LOCKDOWN)
            elif was == PortalMode.LOCKED:
                self._judge.conditions.set_held(name, True)
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
        conditions = self._judge.conditions
        described = self._judge.policy.portals.get(portal)
        if mode_ is PortalMode.UNLOCKED and described is not None and described.interlock:
            raise OperationRefusedError(
                f"portal {portal!r} is in an interlock with {', '.join(sorted(described.interlock))} and cannot stay"
                " unlocked; open it once, or in an emergency"
            )
        after = mode.TABLE[conditions.mode(portal), mode.EVENT_OF[mode_]]
        word = self._spoken_of(portal)
        held = after is PortalMode.LOCKED and self._is_scheduled(portal)
        token = self._judge.token("operator", operator)
        changed = NewEntry(catalogue.PortalModeChanged(portal, after, "operator", token))
        # A restart must know of it: of what outlives one, of an exception from a lockdown, and of a door that is not to
        # follow its schedule.
        keep = after in KEPT or (after is PortalMode.LOCKED and (self.lockdown or held))
        kept: dict[str, str | None] = {MODE_KEY + portal: str(after) if keep else None}
        if mode.free(after, fire=False):
            late_ok = after is PortalMode.EMERGENCY_OPEN or not self._judge.high_security(portal)
            await self._judge.record(changed, late_ok=late_ok, keep=kept)
            if self._words[portal] != word:
                raise OperationRefusedError(
                    f"portal {portal!r} was told something else meanwhile, which holds; ask again if it is to open"
                )
            conditions.set_held(portal, False)
            self._set(portal, after)
        else:
            conditions.set_held(portal, held)
            self._set(portal, after)
            await self._judge.record(changed, keep=kept)
        self.look()

    def _spoken_of(self, portal: str) -> int:
        """An operator speaks of `portal`: whoever spoke before and still waits for the disk is overtaken."""
        self._words[portal] += 1
        return self._words[portal]

    async def begin_lockdown(self, operator: str) -> None:
        """Nobody enters, everybody leaves: every portal at once, recorded after."""
        if self.lockdown:
            raise OperationRefusedError("the site is locked down already")
        self.lockdown = True
        for name in self._portals:
            self._spoken_of(name)
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
            if self._judge.conditions.mode(name) is PortalMode.LOCKDOWN:
                self._scheduled[name] = False  # so that `look` gives it back to its schedule
                self._judge.conditions.set_held(name, False)
            self._apply(name, ModeEvent.END_LOCKDOWN)
        log.warning("lockdown ended", operator=operator)
        kept: dict[str, str | None] = {LOCKDOWN_KEY: None}
        for name in self._portals:
            now = self._judge.conditions.mode(name)
            held = self._judge.conditions.held(name)
            kept[MODE_KEY + name] = str(now) if now in KEPT or held else None
        await self._judge.record(NewEntry(catalogue.LockdownEnded(self._judge.token("operator", operator))), keep=kept)
        self.look()

    async def reset_fire(self, operator: str, although_unknown: bool = False) -> None:
        """Raises OperationRefusedError while a fire input is active, or where nothing is released, and, unless
        `although_unknown`, while an input that was active cannot be asked."""
        await self._fire.reset(operator, although_unknown)

    async def forget_presence(self, what: Forgotten, name: str, operator: str) -> int:
        """Release whom anti-passback holds, since they left or came unseen: a "holder" or "zone" by `name`, or "all".
        Returns how many these were. Raises OperationRefusedError, StoreError."""
        count, kept = self._judge.forget(what, name)
        if count == 0:
            raise OperationRefusedError(
                "nobody of these is in a zone, so there is nobody to forget; nothing was changed"
            )
        token = self._judge.token("operator", operator)
        data = catalogue.PresenceForgotten(what, count, token, name if what == "zone" else None)
        await self._judge.record(NewEntry(data, holder=name if what == "holder" else None), keep=kept)
        return count

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
        """Move each portal as its schedule says, at its edges. One that an operator has locked meanwhile stays so until
        the schedule has closed. Never waits."""
        for name in self._portals:
            scheduled = self._is_scheduled(name)
            was = self._scheduled.get(name, False)
            self._scheduled[name] = scheduled
            if self._judge.conditions.held(name):
                if not scheduled and self._believed(name):
                    self._judge.conditions.set_held(name, False)
                    self.loop.submit(functools.partial(self._forget_held, name))
            elif scheduled and not was:
                self._follow(name, ModeEvent.SCHEDULE_OPENS)
            elif was and not scheduled:
                self._follow(name, ModeEvent.SCHEDULE_CLOSES)

    async def _forget_held(self, name: str) -> None:
        if not self.lockdown:  # else it is an exception from that one
            await self._judge.record(keep={MODE_KEY + name: None})

    def _believed(self, name: str) -> bool:
        """Whether a schedule that is not open is closed by its hours, and not for want of a certain clock."""
        portal = self._judge.policy.portals.get(name)
        return portal is None or self._judge.clock.certain or portal.clock_uncertain == "schedules"

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
            self.on_mode()
