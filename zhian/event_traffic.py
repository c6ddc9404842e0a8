"""Invented traffic of one gateway, made from a seed: what dictionaries are trained on and figures are measured with.

Never from a real site: a dictionary holds pieces of what it was trained on. The rhythm follows a community of some
hundred households: a person is three events (granted, opened, closed), a car four; faults are rare.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from center.contract import catalogue as c
from center.contract.catalogue import AnyEventData, Event

EVENTS_PER_DAY = 500
_DAY_MS = 86_400_000
_START_MS = 1_767_225_600_000  # 2026-01-01T00:00:00Z
_BASE32 = "abcdefghijklmnopqrstuvwxyz234567"


@dataclass(frozen=True, slots=True)
class Community:
    """Names on one site. Every name matches catalogue.Name."""

    doors: tuple[str, ...]
    gates: tuple[str, ...]
    households: int = 200
    model: str = "plate-reader"


def events(community: Community, seed: int, count: int) -> list[Event]:
    """`count` events in order, numbered from a seeded start, times as of a year's quiet and busy hours."""
    dice = random.Random(seed)  # noqa: S311  # reproducible, not secret
    made = _data(community, dice)
    time_ms = _START_MS + dice.randrange(365 * _DAY_MS)
    seq = dice.randrange(1, 400_000)
    result: list[Event] = []
    certain = True
    for _ in range(count):
        wait_ms, data = next(made)
        time_ms += wait_ms
        if isinstance(data, c.ClockLost):
            certain = False
        elif isinstance(data, c.ClockSynced):
            certain = True
        result.append(Event(seq, time_ms, certain, data))
        seq += 1
    return result


def epoch(seed: int) -> str:
    """A store's epoch, seeded."""
    return f"{random.Random(seed ^ 0x5EED).getrandbits(64):016x}"  # noqa: S311


def _token(dice: random.Random) -> str:
    return "".join(dice.choice(_BASE32) for _ in range(16))


def _data(site: Community, dice: random.Random) -> Iterator[tuple[int, AnyEventData]]:
    """(milliseconds after the event before, data), without end. A person's token changes once a day."""
    holders = [_token(dice) for _ in range(site.households)]
    cars = [_token(dice) for _ in range(site.households // 3)]
    happened = 0
    # (how often, what): shares of a day's visits, not of its events.
    kinds = ((52, _entry), (30, _leaving), (12, _car), (4, _denied), (1, _fault), (0.6, _rare))
    weights, makers = [weight for weight, _ in kinds], [maker for _, maker in kinds]
    while True:
        pause_ms = round(dice.expovariate(1 / (3 * _DAY_MS / EVENTS_PER_DAY)))
        for wait_ms, data in dice.choices(makers, weights)[0](site, dice, holders, cars):
            yield pause_ms + wait_ms, data
            pause_ms = 0
            happened += 1
        if happened > EVENTS_PER_DAY:
            happened = 0
            holders = [_token(dice) for _ in range(site.households)]
            cars = [_token(dice) for _ in range(site.households // 3)]


_Steps = Iterator[tuple[int, AnyEventData]]


def _passage(dice: random.Random, portal: str) -> _Steps:
    yield dice.randint(300, 2500), c.PortalOpened(portal)
    open_ms = dice.randint(1500, 9000)
    if dice.random() < 0.01:
        open_ms = 30_000
        yield 30_000, c.PortalHeld(portal, open_ms)
        open_ms += dice.randint(500, 60_000)
    yield open_ms, c.PortalClosed(portal, open_ms)


def _entry(site: Community, dice: random.Random, holders: list[str], _: list[str]) -> _Steps:
    door = dice.choice(site.doors)
    how = dice.choices(("card", "pin", "card-and-pin", "pass"), (80, 8, 7, 5))[0]
    yield 0, c.AccessGranted(door, f"{door}-reader", how, "permitted", dice.choice(holders))
    yield from _passage(dice, door)


def _leaving(site: Community, dice: random.Random, _: list[str], __: list[str]) -> _Steps:
    door = dice.choice(site.doors)
    yield 0, c.ExitRequested(door)
    yield from _passage(dice, door)


def _car(site: Community, dice: random.Random, _: list[str], cars: list[str]) -> _Steps:
    gate, car = dice.choice(site.gates), dice.choice(cars)
    kind = dice.choice(("blue", "blue", "green", "yellow"))
    yield 0, c.VehicleSeen(f"{gate}-camera", gate, car, kind, dice.randint(880, 999), site.model, "9d3f60c2b1a845e7")
    yield dice.randint(3, 30), c.AccessGranted(gate, f"{gate}-camera", "plate", "permitted", car)
    yield from _passage(dice, gate)


def _denied(site: Community, dice: random.Random, holders: list[str], _: list[str]) -> _Steps:
    door = dice.choice(site.doors)
    reason = dice.choice(("unknown-credential", "outside-schedule", "no-rule", "revoked", "expired", "wrong-pin"))
    holder = None if reason == "unknown-credential" else dice.choice(holders)
    yield 0, c.AccessDenied(door, f"{door}-reader", "card", reason, holder)


def _fault(site: Community, dice: random.Random, _: list[str], __: list[str]) -> _Steps:
    device = f"{dice.choice(site.doors)}-reader"
    yield 0, c.DeviceLost(device, dice.choice(("silent", "line", "key")))
    yield dice.randint(2_000, 900_000), c.DeviceReturned(device)


def _rare(site: Community, dice: random.Random, holders: list[str], _: list[str]) -> _Steps:
    door, holder = dice.choice(site.doors), dice.choice(holders)
    steps: tuple[tuple[AnyEventData, ...], ...] = (
        (c.PortalForced(door),),
        (c.DeviceTampered(f"{door}-reader"),),
        (c.PortalFailed(door, "no-feedback"),),
        (c.GatewayStopped("asked"), c.GatewayStarted("0.1.0", "start")),
        (c.GatewayStarted("0.1.0", "crash"), c.ClockLost("no-time-source"), c.ClockSynced(dice.randint(-9000, 9000))),
        (c.VisionLost("gone"), c.VisionReturned()),
        (c.PortalModeChanged(door, "unlocked", "schedule"), c.PortalModeChanged(door, "locked", "schedule")),
        (c.PortalModeChanged(door, "card-and-pin", "operator", holder),),
        (c.FireDetected("fire-panel", "panel"), *(c.PortalReleasedByFire(d, "node-input", 40) for d in site.doors)),
        (c.FireReset(holder), c.PolicyChanged(dice.randint(2, 300), f"{dice.getrandbits(64):016x}", holder)),
        (c.LockdownBegun(holder, len(site.doors)), c.LockdownEnded(holder)),
        (c.AccessDuress(door, f"{door}-reader", holder),),
        (c.AccessAttemptsExceeded(door, f"{door}-reader", 5, 60),),
        (c.PassbackViolated(door, holder, "garage"),),
        (c.AccessOverridden(door, holder),),
        (c.DevicePowerChanged(f"{door}-node", "battery"), c.DevicePowerChanged(f"{door}-node", "mains")),
        (c.StorageBroken("full"), c.StorageHealed(dice.randint(1, 500), 0)),
        (c.OutboxLost(f"{dice.getrandbits(64):016x}", ((dice.randint(1, 9000), 9_100),), "full"),),
    )
    for data in dice.choice(steps):
        yield dice.randint(5, 5000), data
