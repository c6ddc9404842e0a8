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
            {"scenario": s.name, "title": {"zh": s.title.zh, "en": s.title.en}, "file": str(path)} for path, s in found
        ]
        print(json.dumps(rows, ensure_ascii=False))
        return
    for _, s in found:
        print(f"{s.name:<16} {s.duration_s:4.0f} s  {s.title.en}  {s.title.zh}")


@app.command()
def run(
    scenarios: Annotated[
        list[str], typer.Argument(help="Names from `zhian sim list`, files, or `all`.", metavar="SCENARIO...")
    ],
    seed: Annotated[int | None, typer.Option(help="Instead of the file's own.", min=0, max=(1 << 32) - 1)] = None,
    seeds: Annotated[int, typer.Option(help="Run so many seeds, counted up.", min=1, max=MAX_SEEDS)] = 1,
    speed: Annotated[float, typer.Option(help="Times real time; a scenario states how much it allows.", min=1)] = 1.0,
    report: Annotated[Path | None, typer.Option(help="Also write a report: .html for people, .json.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per run on stdout.")] = False,
) -> None:
    """Run scenarios against real processes and check what they expect. Exit 1 if one expectation fails."""
    from runtime.stop import until_signalled
    from zhian import community

    community.check_platform()
    if report is not None and report.suffix not in (".html", ".json"):
        raise UserError(f"--report {report}: expected a file name that ends in .html or .json; choose one of the two")
    if report is not None and not report.resolve().parent.is_dir():
        raise UserError(f"--report {report}: there is no folder {report.parent}; make it first")
    planned = _planned(scenarios, seed, seeds, speed)
    runs: list[Run] = []
    asyncio.run(until_signalled(_run_all(planned, runs, as_json)))
    if report is not None:
        _write_report(report, runs)
    if len(planned) > 1 and not as_json:
        _print_table(runs)
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


def _planned(names: list[str], seed: int | None, seeds: int, speed: float) -> list[Planned]:
    """Every run to make, checked before the first begins. Raises UserError."""
    from sim.scenario import listed, load
    from zhian.scenario_runs import Planned

    files = [file for name in names for file in (listed() if name == ALL else [_find(name)])]
    planned = []
    for file in dict.fromkeys(files):
        scenario = load(file)
        if speed > scenario.max_speed:
            raise UserError(f"{file}: allows --speed {scenario.max_speed:g} at most, got {speed:g}; lower it")
        first = scenario.seed if seed is None else seed
        if first + seeds > 1 << 32:
            raise UserError(f"--seed {first} --seeds {seeds}: seeds end at {(1 << 32) - 1}; choose a smaller seed")
        planned += [Planned(file, scenario, first + n) for n in range(seeds)]
    return planned


async def _run_all(planned: list[Planned], runs: list[Run], as_json: bool) -> None:
    """Make each run and tell about it as it ends. One that cannot be made is a failure like another."""
    from zhian import scenario_runs

    alone = len(planned) == 1
    for n, one in enumerate(planned, 1):
        if not alone:
            _progress(f"[{n}/{len(planned)}] {one.scenario.name}, seed {one.seed}")
        begun_s = time.monotonic()
        try:
            done = await scenario_runs.run(one, _progress if alone else lambda _: None)
        except UserError as e:
            if alone:
                raise
            done = scenario_runs.failed(one, e, time.monotonic() - begun_s)
        runs.append(done)
        if as_json:
            print(json.dumps(done.outcome, ensure_ascii=False), flush=True)
        elif alone:
            _print(done.outcome)
        elif not done.outcome["ok"]:
            _print(done.outcome, out=sys.stderr)


def _progress(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _write_report(report: Path, runs: list[Run]) -> None:
    from sim.report import html

    if report.suffix == ".html":
        text = html(runs)
    else:
        outcomes = [done.outcome for done in runs]
        text = json.dumps(outcomes[0] if len(outcomes) == 1 else outcomes, ensure_ascii=False, indent=1) + "\n"
    try:
        report.write_text(text, "utf-8")
    except OSError as e:
        raise UserError(f"--report {report}: cannot be written ({e.strerror}); choose another place") from e


def _print(outcome: dict[str, Any], out: Any = None) -> None:
    def say(text: str) -> None:
        print(text, file=out or sys.stdout, flush=True)

    if outcome.get("error"):
        say(f"FAIL {outcome['error']}")
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


def _print_table(runs: list[Run]) -> None:
    """Scenario by seed, with the seconds that each took."""
    width = max([len("scenario"), *(len(done.outcome["scenario"]) for done in runs)])
    print(f"{'scenario':<{width}}  {'seed':>10}  result  seconds")
    for done in runs:
        o = done.outcome
        print(f"{o['scenario']:<{width}}  {o['seed']:>10}  {'ok' if o['ok'] else 'FAIL':<6}  {o['seconds']:7.1f}")
    bad = sum(not done.outcome["ok"] for done in runs)
    took_s = sum(done.outcome["seconds"] for done in runs)
    print(f"{len(runs)} runs, {bad} failed, {took_s:.0f} s in all")
