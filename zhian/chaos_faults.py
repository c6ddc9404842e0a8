"""What can go wrong on the way of an event, one function each: it happens at a random instant, under load."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from center.errors import StoreError
from runtime.errors import UserError
from sim.network import Ends, Network
from zhian import chaos_hostile
from zhian.chaos_part import Part
from zhian.chaos_site import Gateway, Site

_UP_LOOKS = 1_000  # 20 s

Fault = Callable[["Campaign"], Awaitable[None]]


@dataclass(slots=True)
class Campaign:
    """One site and the dice that decide when and whom."""

    site: Site
    dice: random.Random
    connects: int = chaos_hostile.CONNECTS
    kills: int = 0
    turn: int = 0

    def gateway(self) -> Gateway:
        """Each in its turn."""
        self.turn += 1
        return self.site.gateways[self.turn % len(self.site.gateways)]

    async def moment(self, least_s: float = 0.05, most_s: float = 0.6) -> None:
        """Load goes on for a while; what happens next happens at an instant nobody chose."""
        await asyncio.sleep(self.dice.uniform(least_s, most_s))

    async def kill(self, part: Part) -> None:
        """kill -9 and count it; whoever keeps it starts it again. One that is down is waited for."""
        for _ in range(_UP_LOOKS):
            if part.pid is not None:
                await part.kill()
                self.kills += 1
                break
            await asyncio.sleep(0.02)
        await self.moment(0.1, 1.4)  # most of the time it is up again by the next one, some of the time it is not


async def kill_gateway(c: Campaign) -> None:
    await c.kill(c.gateway().part)


async def kill_center(c: Campaign) -> None:
    await c.kill(c.site.center)


async def kill_broker(c: Campaign) -> None:
    await c.kill(c.site.broker)


async def kill_core(c: Campaign) -> None:
    """The whole process that a site runs, with its buses, doors and decisions; then time to start and work again."""
    assert c.site.core is not None
    await c.kill(c.site.core.part)
    await c.moment(0.5, 6)


async def kill_database(c: Campaign) -> None:
    """The database server of the center, at once: it recovers from its own log when it is started again."""
    assert c.site.postgres is not None
    await c.kill(c.site.postgres)


async def database_away(c: Campaign) -> None:
    """Long enough that the small journal overflows; the center goes on trying."""
    assert c.site.postgres is not None
    await c.site.postgres.off()
    c.kills += 1
    await c.moment(5, 7)
    c.site.postgres.on()
    await c.moment()


async def end_session(c: Campaign) -> None:
    """The server ends the center's connection, in the middle of what it is doing."""
    await asyncio.to_thread(_end_sessions, c.site)
    await c.moment()


def _end_sessions(site: Site) -> None:
    database = site.open_database()
    try:
        with contextlib.suppress(StoreError), database.reading() as read:  # it may be down just now
            read.rows(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name = 'zhian-center' AND pid <> pg_backend_pid()"
            )
    finally:
        database.close()


async def kill_all(c: Campaign) -> None:
    """The whole building loses its power, in some order."""
    parts = c.site.parts
    c.dice.shuffle(parts)
    for part in parts:
        if part.pid is not None:
            await part.kill()
            c.kills += 1
    await c.moment()


async def center_away(c: Campaign) -> None:
    """Long enough that the small journal overflows."""
    await c.site.center.off()
    c.kills += 1
    await c.moment(5, 7)
    c.site.center.on()
    await c.moment()


async def split(c: Campaign) -> None:
    gateway = c.gateway()
    gateway.network.stop("split")
    await c.moment(0.2, 1.5)
    await gateway.network.restore()
    await c.moment()


async def stall(c: Campaign) -> None:
    gateway = c.gateway()
    await gateway.network.stall(c.dice.choice(("stalled", "one-way")))
    await c.moment(0.2, 2.0)
    await gateway.network.restore()
    await c.moment()


async def duplicate(c: Campaign) -> None:
    """Every message twice, one torn in the middle, one late and out of order."""
    gateway = c.gateway()
    gateway.network.duplicate()
    await c.moment()
    gateway.network.tear()
    await c.moment()
    gateway.network.reorder()
    await c.moment(0.5, 1.0)


async def full_disk_gateway(c: Campaign) -> None:
    gateway = c.gateway()
    gateway.part.disk(full=True)
    await c.moment(0.5, 2.0)
    gateway.part.disk(full=False)
    await _healed(gateway)


async def hung_disk_gateway(c: Campaign) -> None:
    """Its disk does not answer, neither yes nor no."""
    gateway = c.gateway()
    gateway.part.tell("hang on")
    await c.moment(1.5, 3.0)
    gateway.part.tell("hang off")
    await c.moment()
    await _healed(gateway)


async def copy_put_back(c: Campaign) -> None:
    """A copy of its database, made when all was acknowledged, is put back after a while: a new epoch has to begin."""
    gateway = c.gateway()
    copy = gateway.folder / "copy"
    await _all_written(gateway)
    await gateway.part.off()
    gateway.copy_database(copy)
    gateway.part.on()
    await c.moment(1, 2)
    gateway.part.tell("resume")
    await c.moment(1, 2)
    await _all_written(gateway)
    await gateway.part.off()
    gateway.put_back(copy)
    c.kills += 2
    gateway.part.on()
    await c.moment(1, 2)
    gateway.part.tell("resume")


async def full_disk_center(c: Campaign) -> None:
    c.site.center.disk(full=True)
    await c.moment(0.5, 2.0)
    c.site.center.disk(full=False)
    await c.moment()


async def clock_jump(c: Campaign) -> None:
    gateway = c.gateway()
    gateway.part.tell(f"clock {c.dice.choice((-86_400_000, 3_600_000, 10 * 365 * 86_400_000, -400 * 86_400_000))}")
    await c.moment()
    if c.dice.random() < 0.5:
        await c.kill(gateway.part)
    gateway.part.tell("clock 0")


async def hostile(c: Campaign) -> None:
    await chaos_hostile.attack(c.site, c.gateway().name)
    await c.moment()


async def connects(c: Campaign) -> None:
    """They come while the broker has only just started, and the center comes back with them: it has to get in, and
    nothing may have to start it again."""
    center = c.site.center
    starts = center.starts
    await c.kill(c.site.broker)
    flooded = await chaos_hostile.flood(c.site.port, c.site.password(chaos_hostile.HOSTILE), c.connects)
    await c.moment()
    if center.starts != starts:
        raise UserError("chaos: the center ended in a flood of connections and had to be started again; see its log")
    if not flooded.let_in:
        raise UserError(f"chaos: of {flooded.opened} connections none with valid credentials was let in")


async def forgetful_broker(c: Campaign) -> None:
    """A gateway is led to a broker that acknowledges everything and drops it; then back."""
    gateway = c.gateway()
    async with chaos_hostile.ForgetfulBroker() as broker:
        await gateway.network.close()
        gateway.network = Network(Ends(gateway.ends.listen, broker.port), lambda *_, **__: None)
        await gateway.network.start()
        await c.moment(0.5, 2.0)
        await gateway.network.close()
    gateway.network = Network(gateway.ends, lambda *_, **__: None)
    await gateway.network.start()
    await c.moment()


async def broker_loses_disk(c: Campaign) -> None:
    await c.site.wipe(c.site.broker, "broker")
    c.kills += 1
    await c.moment()


async def center_loses_disk(c: Campaign) -> None:
    """Its database is gone: what the gateways still have comes again, what they do not is reported."""
    await c.site.wipe(c.site.center, "data")
    c.kills += 1
    await c.moment()


async def center_damaged(c: Campaign) -> None:
    """Its file is written over while it is down: it has to notice, and to begin a new one."""
    await c.site.center.off()
    c.kills += 1
    await asyncio.to_thread(c.site.damage, c.dice.choice(("header", "pages", "cut")))
    c.site.center.on()
    for _ in range(_UP_LOOKS):
        if c.site.set_aside == c.site.damaged:
            await c.moment()
            return
        await asyncio.sleep(0.02)
    raise UserError(f"chaos: {c.site.database} was damaged, and the center has not noticed; see its log")


async def _healed(gateway: Gateway) -> None:
    """Until it has said that its disk is well: a kill before that would lose what waits in memory (by design)."""
    for _ in range(200):
        await asyncio.sleep(0.1)
        if gateway.said.get("ok") and not gateway.said.get("in_memory"):
            return


async def _all_written(gateway: Gateway) -> None:
    """Until all it made is acknowledged, and that is on its disk: a copy made now is of a gateway that is at rest."""
    for _ in range(300):
        gateway.part.tell("pause")
        await asyncio.sleep(0.1)
        if gateway.at_rest():
            return


FAULTS: dict[str, Fault] = {
    "kill -9 of a gateway": kill_gateway,
    "kill -9 of the center": kill_center,
    "kill -9 of the broker": kill_broker,
    "kill -9 of a whole core": kill_core,
    "kill -9 of everything": kill_all,
    "center away, small journal overflows": center_away,
    "network split": split,
    "network stalls, or answers are lost": stall,
    "messages twice, torn, out of order": duplicate,
    "full disk at a gateway": full_disk_gateway,
    "hung disk at a gateway": hung_disk_gateway,
    "full disk at the center": full_disk_center,
    "clock jumps": clock_jump,
    "hostile gateway": hostile,
    "10 000 connects": connects,
    "a broker that acknowledges and drops": forgetful_broker,
    "the broker loses its disk": broker_loses_disk,
    "the center's database is damaged": center_damaged,
    "the center loses its disk": center_loses_disk,
    # Last: what was acknowledged before it is not offered to a center that loses its disk after it.
    "a gateway's database is put back": copy_put_back,
}

POSTGRES_FAULTS: dict[str, Fault] = {
    "kill -9 of the database server": kill_database,
    "kill -9 of the center": kill_center,
    "kill -9 of a gateway": kill_gateway,
    "kill -9 of a whole core": kill_core,
    "kill -9 of everything": kill_all,
    "the server ends the center's session": end_session,
    "database server away": database_away,
    "messages twice, torn, out of order": duplicate,
    "the broker loses its disk": broker_loses_disk,
}
