"""The process that is the world: `zhian sim world` runs this."""

from __future__ import annotations

import asyncio
from pathlib import Path

from runtime import log, systemd
from runtime.errors import UserError
from sim import scenario as scenarios
from sim.errors import SimError
from sim.timeline import RealClock
from sim.world import World

HOST = "127.0.0.1"


async def run_world(
    scenario_file: Path, site_dir: Path, *, loop: bool, page_port: int | None, verbose: bool = False
) -> None:
    """Run a scenario's world on the site folder that was made for it, until cancelled.

    Without `loop` the timeline is played once; the world then stays, so that whatever it started can end, and writes
    the fact `round.ended`. Raises ConfigError and SimError.
    """
    scenario = scenarios.load(scenario_file)
    if not (site_dir / "run").is_dir():
        raise SimError(f"{site_dir}: there is no folder run in it; let `zhian demo` or `zhian sim run` make the site")
    world = World(scenario, site_dir, RealClock(), loop=loop)
    if verbose:
        world.chronicle.watch = lambda fact: log.get("sim.fact").info(str(fact["kind"]), fact=str(dict(fact)))
    try:
        await _serve(world, page_port)
    except BaseExceptionGroup as e:
        raise _told(e) from e


async def _serve(world: World, page_port: int | None) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(world.run(asyncio.Event()))
        await world.started.wait()
        if page_port is not None:
            from sim.web.app import serve  # the page needs FastAPI; a world without a page does not

            group.create_task(serve(world, HOST, page_port))
        systemd.ready(f"scenario {world.scenario.name}")
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            systemd.stopping()


def _told(error: BaseException) -> BaseException:
    """The error for a person that is inside a group, if there is one; else the group."""
    if isinstance(error, BaseExceptionGroup):
        return next((told for e in error.exceptions if isinstance(told := _told(e), UserError)), error)
    return error
