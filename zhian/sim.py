"""`zhian sim`: scenarios, and the virtual world they run in."""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from runtime.errors import UserError

if TYPE_CHECKING:
    from zhian.community import Community

FAULTS = ("node.cut", "node.returned")  # kinds of facts that are faults, in the report
PATIENCE_S = 60.0  # beyond the timeline: starting up, and cars that still drive away

app = typer.Typer(no_args_is_help=True)


@app.command(name="list")
def list_(as_json: Annotated[bool, typer.Option("--json", help="A JSON list on stdout.")] = False) -> None:
    """The scenarios that ship with zhian."""
    from sim.scenario import listed, load

    found = [(path, load(path)) for path in listed()]
    if as_json:
        rows = [
            {"scenario": s.name, "title": {"zh": s.title.zh, "en": s.title.en}, "file": str(path)} for path, s in found
        ]
        print(json.dumps(rows, ensure_ascii=False))
        return
    for _, s in found:
        print(f"{s.name:<16} {s.duration_s:4.0f} s  {s.title.en}  {s.title.zh}")


@app.command()
def run(
    scenario: Annotated[str, typer.Argument(help="A name from `zhian sim list`, or a file.")],
    seed: Annotated[int | None, typer.Option(help="Instead of the file's own.", min=0)] = None,
    speed: Annotated[float, typer.Option(help="Times real time; a scenario states how much it allows.", min=1)] = 1.0,
    report: Annotated[Path | None, typer.Option(help="Also write the JSON report here.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The report as JSON on stdout.")] = False,
) -> None:
    """Run a scenario against real processes and check what it expects. Exit 1 if one expectation fails."""
    from runtime.stop import until_signalled

    outcome: dict[str, Any] = {}
    asyncio.run(until_signalled(_run(_find(scenario), seed, speed, outcome)))
    if not outcome:
        raise typer.Exit(1)
    if report is not None:
        report.write_text(json.dumps(outcome, ensure_ascii=False, indent=1) + "\n", "utf-8")
    if as_json:
        print(json.dumps(outcome, ensure_ascii=False))
    else:
        _print(outcome)
    raise typer.Exit(0 if outcome["ok"] else 1)


@app.command()
def world(
    scenario: Annotated[Path, typer.Option(help="The scenario file.")],
    site: Annotated[Path, typer.Option(help="The site's folder, as `zhian demo --dir` lays it out.")],
    loop: Annotated[bool, typer.Option(help="Play the steps again and again.")] = False,
    port: Annotated[int | None, typer.Option(help="Serve the simulator's page here.", min=1, max=65535)] = None,
    verbose: Annotated[bool, typer.Option(help="Log every detail.")] = False,
) -> None:
    """Only the physical world of a site: pins, buses, nodes, cameras, people. Other commands start it."""
    from runtime import log
    from runtime.stop import until_signalled
    from sim.main import run_world

    log.set_up("world", verbose=verbose)
    asyncio.run(until_signalled(run_world(scenario, site, loop=loop, page_port=port, verbose=verbose)))


def _find(scenario: str) -> Path:
    from sim.scenario import listed

    shipped = {path.stem: path for path in listed()}
    if scenario in shipped:
        return shipped[scenario]
    if Path(scenario).is_file():
        return Path(scenario).resolve()
    raise UserError(f"scenario {scenario!r}: expected a file or one of {sorted(shipped)}; see `zhian sim list`")


async def _run(file: Path, seed: int | None, speed: float, outcome: dict[str, Any]) -> None:
    from sim import expectations
    from sim.scenario import load
    from zhian import community, site_files

    community.check_platform()
    scenario = load(file)
    if speed > scenario.max_speed:
        raise UserError(f"{file}: allows --speed {scenario.max_speed:g} at most, got {speed:g}; lower it")
    ports = site_files.Ports(*(community.free_port() for _ in range(4)))
    with tempfile.TemporaryDirectory(prefix="zhian-") as folder:
        files = site_files.write(scenario, file, Path(folder), ports, seed=seed)
        here = community.Community(files, lambda text: print(text, file=sys.stderr, flush=True), None)
        await here.start(here.commands(loop=False))
        try:
            await _play(here, scenario.duration_s)
        finally:
            tally = await here.stop()
        facts = _lines(files.folder / "world.jsonl")
        events = community.stored_events(files)
        results = expectations.check([e.text for e in scenario.expect], facts, events)
        crashes = here.supervisor.crashes
    outcome.update(
        {
            "scenario": scenario.name,
            "seed": scenario.seed if seed is None else seed,
            "ok": all(r.ok for r in results) and not tally.lost and not tally.duplicated and not crashes,
            "expectations": [{"text": r.text, "ok": r.ok, "seen": r.seen} for r in results],
            "faults": [fact for fact in facts if fact["kind"] in FAULTS],
            "crashes": crashes,
            **tally.plain(),
        }
    )


async def _play(here: Community, duration_s: float) -> None:
    """Until the world says that its timeline is over, or a process fails. Raises UserError."""
    watch = asyncio.create_task(here.supervisor.watch())
    world = here.files.folder / "world.jsonl"
    deadline = asyncio.get_running_loop().time() + duration_s + PATIENCE_S
    try:
        while not any(fact["kind"] == "round.ended" for fact in await asyncio.to_thread(_lines, world)):
            if asyncio.get_running_loop().time() > deadline:
                raise UserError(f"the world did not finish its {duration_s:g} s within {PATIENCE_S:g} s more")
            await asyncio.wait({watch}, timeout=0.2)
            if watch.done():
                await watch
    finally:
        watch.cancel()


def _lines(path: Path) -> list[dict[str, Any]]:
    """The world's facts; a last line that is still being written does not count."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text("utf-8").splitlines(keepends=True) if line.endswith("\n")]


def _print(outcome: dict[str, Any]) -> None:
    for row in outcome["expectations"]:
        print(f"{'ok  ' if row['ok'] else 'FAIL'} {row['text']}")
        if not row["ok"]:
            print(f"     seen: {row['seen']}")
    for crash in outcome["crashes"]:
        print(f"FAIL {crash}")
    print(
        "events made {events_made}, stored {events_stored}, lost {lost}, stored twice {duplicated}; seed {seed}".format(
            **outcome
        )
    )
