"""`zhian sim`: scenarios, and the virtual world they run in."""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from runtime.errors import UserError

if TYPE_CHECKING:
    from sim.report import Run
    from zhian.scenario_runs import Planned

ALL = "all"  # instead of names: every shipped scenario
MAX_SEEDS = 1000

app = typer.Typer(no_args_is_help=True)


@app.command(name="list")
def list_(as_json: Annotated[bool, typer.Option("--json", help="A JSON list on stdout.")] = False) -> None:
    """The scenarios that ship with zhian."""
    from sim.scenario import listed, load

    found = [(path, load(path)) for path in listed()]
    if as_json:
        rows = [
            {
                "scenario": s.name,
                "title": {"zh": s.title.zh, "en": s.title.en},
                "file": str(path),
                "duration_s": s.duration_s,
                "virtual": s.is_virtual,
            }
            for path, s in found
        ]
        print(json.dumps(rows, ensure_ascii=False))
        return
    for _, s in found:
        lasts = "virtual" if s.is_virtual else f"{s.duration_s:5.0f} s"
        print(f"{s.name:<22} {lasts}  {s.title.en}  {s.title.zh}")


@app.command()
def run(
    scenarios: Annotated[
        list[str], typer.Argument(help="Names from `zhian sim list`, files, or `all`.", metavar="SCENARIO...")
    ],
    seed: Annotated[int | None, typer.Option(help="Instead of the file's own.", min=0, max=(1 << 32) - 1)] = None,
    seeds: Annotated[int, typer.Option(help="Run so many seeds, counted up.", min=1, max=MAX_SEEDS)] = 1,
    speed: Annotated[
        float | None, typer.Option(help="Times real time; a scenario on virtual time states how much it allows.", min=1)
    ] = None,
    jobs: Annotated[
        int, typer.Option(help="Runs at the same time; more than there are cores distorts times.", min=1, max=16)
    ] = 1,
    report: Annotated[Path | None, typer.Option(help="Also write a report: .html for people, .json.")] = None,
    table: Annotated[Path | None, typer.Option(help="Also write a table of scenarios and seeds: .md, .txt.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per run on stdout.")] = False,
) -> None:
    """Run scenarios against real processes and check what they expect. Exit 1 if one expectation fails."""
    from runtime.stop import until_signalled
    from sim import run_table
    from zhian import community

    community.check_platform()
    _check_output("--report", report, (".html", ".json"))
    _check_output("--table", table, (".md", ".txt"))
    planned = _planned(scenarios, seed, seeds, speed)
    runs: list[Run] = []
    begun_s = time.monotonic()
    asyncio.run(until_signalled(_run_all(planned, runs, jobs, as_json)))
    took_s = time.monotonic() - begun_s
    if report is not None:
        _write(report, "--report", _report(report, runs, took_s))
    if table is not None:
        _write(
            table, "--table", run_table.text([done.outcome for done in runs], took_s, markdown=table.suffix == ".md")
        )
    if len(planned) > 1 and not as_json:
        print(run_table.text([done.outcome for done in runs], took_s), end="")
    raise typer.Exit(0 if len(runs) == len(planned) and all(done.outcome["ok"] for done in runs) else 1)


@app.command()
def new(
    file: Annotated[Path, typer.Argument(help="The file to write, e.g. my-site.toml.")],
    from_: Annotated[
        str | None, typer.Option("--from", help="Begin with this scenario instead of a small one.")
    ] = None,
) -> None:
    """Write a scenario to begin with, commented, that can be run at once."""
    from sim.scenario import load

    name = file.stem
    if not re.fullmatch(r"[a-z0-9-]{1,32}", name) or file.suffix != ".toml":
        raise UserError(
            f"{file}: expected a name of a-z, 0-9 and - (32 at most) that ends in .toml; choose such a name"
        )
    text = (
        resources.files("sim").joinpath("starter.toml").read_text("utf-8")
        if from_ is None
        else _find(from_).read_text("utf-8")
    )
    text = re.sub(r'^name = ".*"$', f'name = "{name}"', text, count=1, flags=re.M)
    try:
        with file.open("x", encoding="utf-8") as out:
            out.write(text)
    except FileExistsError:
        raise UserError(f"{file}: exists already and is left as it is; choose another name") from None
    except OSError as e:
        raise UserError(f"{file}: cannot be written ({e.strerror}); choose a folder that you may write to") from e
    load(file)
    print(f"{file}: written; run it with: zhian sim run {file}")


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


def _planned(names: list[str], seed: int | None, seeds: int, speed: float | None) -> list[Planned]:
    """Every run to make, checked before the first begins. Raises UserError."""
    from sim.scenario import listed, load
    from zhian.scenario_runs import Planned

    files = [file for name in names for file in (listed() if name == ALL else [_find(name)])]
    planned = []
    for file in dict.fromkeys(files):
        scenario = load(file)
        if speed is not None and speed > scenario.max_speed:
            why = "" if scenario.is_virtual else ", since processes take part in it"
            raise UserError(
                f"{scenario.name} allows --speed {scenario.max_speed:g} at most{why}; got {speed:g}; lower it"
            )
        first = scenario.seed if seed is None else seed
        if first + seeds > 1 << 32:
            raise UserError(f"--seed {first} --seeds {seeds}: seeds end at {(1 << 32) - 1}; choose a smaller seed")
        planned += [Planned(file, scenario, first + n, speed) for n in range(seeds)]
    return planned


async def _run_all(planned: list[Planned], runs: list[Run], jobs: int, as_json: bool) -> None:
    """Make the runs, `jobs` at a time, and tell about each as it ends; `runs` is in the planned order at the end.

    One that cannot be made is a failure like another. Sites share nothing: each run has its own folder and ports.
    """
    alone = len(planned) == 1
    waiting = iter(enumerate(planned))
    made: dict[int, Run] = {}

    async def work() -> None:
        for n, one in waiting:
            done = await _run_one(one, alone=alone)
            made[n] = done
            runs[:] = [made[i] for i in sorted(made)]
            if as_json:
                print(json.dumps(done.outcome, ensure_ascii=False), flush=True)
            elif alone:
                _print(done.outcome)
            if not alone:
                o = done.outcome
                verdict = o.get("skipped") or ("ok" if o["ok"] else "FAIL")
                _progress(
                    f"[{len(made)}/{len(planned)}] {o['scenario']}, seed {o['seed']}: {verdict}, {o['seconds']:.1f} s"
                )
                if not o["ok"] and not as_json:
                    _print(o, out=sys.stderr)

    async with asyncio.TaskGroup() as group:
        for _ in range(min(jobs, len(planned))):
            group.create_task(work())


async def _run_one(one: Planned, *, alone: bool) -> Run:
    from zhian import scenario_runs

    begun_s = time.monotonic()
    try:
        return await scenario_runs.run(one, _progress if alone else lambda _: None)
    except UserError as e:
        if alone:
            raise
        return scenario_runs.failed(one, e, time.monotonic() - begun_s)


def _progress(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _check_output(option: str, path: Path | None, endings: tuple[str, ...]) -> None:
    """Before anything runs: a file that could not be written at the end. Raises UserError."""
    if path is None:
        return
    if path.suffix not in endings:
        raise UserError(
            f"{option} {path}: expected a file name that ends in {' or '.join(endings)}; choose one of these"
        )
    if not path.resolve().parent.is_dir():
        raise UserError(f"{option} {path}: there is no folder {path.parent}; make it first")


def _report(report: Path, runs: list[Run], took_s: float) -> str:
    from sim.report import html

    if report.suffix == ".html":
        return html(runs, took_s)
    outcomes = [done.outcome for done in runs]
    return json.dumps(outcomes[0] if len(outcomes) == 1 else outcomes, ensure_ascii=False, indent=1) + "\n"


def _write(path: Path, option: str, text: str) -> None:
    try:
        path.write_text(text, "utf-8")
    except OSError as e:
        raise UserError(f"{option} {path}: cannot be written ({e.strerror}); choose another place") from e


def _print(outcome: dict[str, Any], out: Any = None) -> None:
    def say(text: str) -> None:
        print(text, file=out or sys.stdout, flush=True)

    if outcome.get("error"):
        say(f"FAIL {outcome['error']}")
        return
    if outcome.get("skipped"):
        say(f"skip {outcome['skipped']}")
        return
    for row in outcome["expectations"]:
        say(f"{'ok  ' if row['ok'] else 'FAIL'} {row['text']}")
        if not row["ok"]:
            say(f"     seen: {row['seen']}")
    for crash in outcome["crashes"]:
        say(f"FAIL {crash}")
    for name, lines in outcome["logs"].items():
        say(f"     the log of {name} ends with:")
        for line in lines:
            say(f"       {line}")
    say(
        "events made {events_made}, stored {events_stored}, lost {lost}, stored twice {duplicated}; seed {seed}".format(
            **outcome
        )
    )
