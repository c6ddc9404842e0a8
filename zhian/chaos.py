"""`zhian chaos`: break the way of an event in every manner known, under load, and count whether the ledger balances."""

from __future__ import annotations

import asyncio
import json
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from zhian.chaos_ledger import Ledger
    from zhian.chaos_site import Site

Store = Literal["sqlite", "postgresql"]
Asked = Literal["sqlite", "postgresql", "both"]
app = typer.Typer(no_args_is_help=True)

RATE = 60.0  # events a second of each gateway
GATEWAYS = 3
TIGHT_ROWS = 200
# Of a hundred kills; every fault once at least. The faults without a kill in them come beside.
SHARES = {
    "kill -9 of a gateway": 40,
    "kill -9 of the center": 26,
    "kill -9 of the broker": 22,
    "kill -9 of a whole core": 10,
    "kill -9 of everything": 2,
}
POSTGRES_SHARES = {
    "kill -9 of the database server": 50,
    "kill -9 of the center": 20,
    "kill -9 of a gateway": 20,
    "kill -9 of a whole core": 8,
    "kill -9 of everything": 2,
}
POSTGRES_PART = 0.25  # of the kills, where both stores are asked for
BALANCE_DEADLINE_S = 45.0
OTHERS = 4  # times each other fault happens per hundred kills


@app.command()
def run(
    kills: Annotated[int, typer.Option(help="kill -9 at least this many processes")] = 300,
    seed: Annotated[int, typer.Option(help="who and when")] = 1,
    store: Annotated[
        Asked, typer.Option(help="the center's: sqlite, postgresql or both, one after the other")
    ] = "both",
    folder: Annotated[Path | None, typer.Option("--dir", help="keep all files here (an empty folder)")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per row on stdout.")] = False,
) -> None:
    """A broker, a center, four gateways under load; every fault, and after each kind the ledger must balance."""
    from runtime import log

    log.set_up("chaos")
    balanced, say = True, _printer(as_json)
    with _folder(folder) as place:
        for one, share in _shares(store, kills).items():
            times = plan(share, one)
            balanced &= asyncio.run(campaign(place / one, times, seed, say, store=one, least_kills=share))
    raise typer.Exit(0 if balanced else 1)


@app.command(name="power-cuts")
def power_cuts_command(
    cuts: Annotated[int, typer.Option(help="how many")] = 10_000,
    seed: Annotated[int, typer.Option(help="what is recorded, and where it is cut")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Cut the power of the gateway's journal at any point (needs apsw). Exit 1 if a confirmed row is lost."""
    from zhian import power_cuts

    records = 20
    total = power_cuts.Tally()
    with tempfile.TemporaryDirectory(prefix="zhian-cuts-", dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as f:  # noqa: S108
        for i in range(records):
            tally = power_cuts.cut(power_cuts.record(seed + i), -(-cuts // records), seed + i, Path(f))
            for name in ("cuts", "damaged", "lost", "rows_lost", "newer"):
                setattr(total, name, getattr(total, name) + getattr(tally, name))
            print(f"{total.cuts} cuts, {total.lost + total.damaged} with a loss", file=sys.stderr, flush=True)
    shown = {name: getattr(total, name) for name in ("cuts", "damaged", "lost", "rows_lost", "newer")}
    print(json.dumps(shown) if as_json else "  ".join(f"{name} {value}" for name, value in shown.items()))
    raise typer.Exit(1 if total.lost or total.damaged else 0)


def _shares(store: Asked, kills: int) -> dict[Store, int]:
    if store != "both":
        return {store: kills}
    postgres = round(kills * POSTGRES_PART)
    return {"sqlite": kills - postgres, "postgresql": postgres}


def plan(kills: int, store: Store = "sqlite") -> dict[str, int]:
    """How often each fault happens, so that at least `kills` processes are killed."""
    from zhian.chaos_faults import FAULTS, POSTGRES_FAULTS

    faults, shares = (FAULTS, SHARES) if store == "sqlite" else (POSTGRES_FAULTS, POSTGRES_SHARES)
    others = max(1, OTHERS * kills // 100)
    times = {name: max(1, -(-kills * shares[name] // 100)) if name in shares else others for name in faults}
    for name in ("10 000 connects", "center away, small journal overflows", "the center loses its disk"):
        times |= {name: max(1, others // 6)} if name in faults else {}
    for name in ("hostile gateway", "a gateway's database is put back", "the center's database is damaged"):
        times |= {name: max(1, others // 3)} if name in faults else {}
    return times


async def campaign(
    folder: Path,
    times: dict[str, int],
    seed: int,
    say: Callable[[dict[str, object]], None],
    *,
    store: Store = "sqlite",
    connects: int = 10_000,
    gateways: int = GATEWAYS,
    core: bool = True,
    least_kills: int = 0,
) -> bool:
    """Run each fault of `times` so many times; after each kind settle, count and `say` a row. True where all balance
    and at least `least_kills` processes were killed.

    Raises UserError where the site does not settle.
    """
    from zhian.chaos_faults import FAULTS, POSTGRES_FAULTS, Campaign
    from zhian.chaos_site import Site, resident_mb

    faults = FAULTS if store == "sqlite" else POSTGRES_FAULTS
    site = Site(folder, gateways, RATE, TIGHT_ROWS, store, core=core)
    chaos = Campaign(site, random.Random(seed), connects)  # noqa: S311  # repeatable, not secret
    balanced = True
    try:
        await site.start()
        for name, often in times.items():
            site.resume()
            before, began = chaos.kills, time.monotonic()
            for _ in range(often):
                await chaos.moment()
                await faults[name](chaos)
            settled_s = await site.settle()
            ledger = await _counted(site)
            balanced = balanced and ledger.balanced
            say(
                {
                    "store": store,
                    "fault": name,
                    "times": often,
                    "kills": chaos.kills - before,
                    "seconds": round(time.monotonic() - began, 1),
                    "settled_s": round(settled_s, 1),
                    "center_mb": round(resident_mb(site.center.pid)),
                    **ledger.plain(),
                    "balanced": ledger.balanced,
                }
            )
    finally:
        await site.stop()
    if chaos.kills < least_kills:
        print(f"only {chaos.kills} of {least_kills} kills happened", file=sys.stderr)
    return balanced and chaos.kills >= least_kills


async def _counted(site: Site) -> Ledger:
    """A gateway cannot know that a center has lost what it acknowledged until the center asks: give it time to."""
    from zhian import chaos_ledger

    deadline = time.monotonic() + BALANCE_DEADLINE_S
    while True:
        ledger = await asyncio.to_thread(chaos_ledger.read, site)
        if ledger.balanced or time.monotonic() > deadline:
            return ledger
        await asyncio.sleep(0.5)


def _printer(as_json: bool) -> Callable[[dict[str, object]], None]:
    if as_json:
        return lambda row: print(json.dumps(row), flush=True)
    shown = (
        "made",
        "stored",
        "lost",
        "missing",
        "duplicates",
        "disorder",
        "unconfirmed",
        "forged",
        "early",
        "redelivered",
    )
    print(f"{'':3} {'store':<10} {'fault':<38} {'times':>5} {'kills':>5} " + " ".join(f"{one:>11}" for one in shown))

    def line(row: dict[str, object]) -> None:
        mark = "ok " if row["balanced"] else "NO "
        counts = " ".join(f"{row[one]:>11}" for one in shown)
        print(f"{mark} {row['store']:<10} {row['fault']:<38} {row['times']:>5} {row['kills']:>5} {counts}", flush=True)

    return line


@contextmanager
def _folder(given: Path | None) -> Iterator[Path]:
    from runtime.errors import UserError

    if given is not None:
        if given.exists() and any(given.iterdir()):
            raise UserError(f"--dir {given}: expected an empty folder, it has files in it; choose another")
        given.mkdir(parents=True, exist_ok=True)
        yield given.absolute()
        return
    place = Path(tempfile.mkdtemp(prefix="zhian-chaos-"))
    yield place  # after an error it stays: its sentence names the logs in it
    shutil.rmtree(place, ignore_errors=True)
