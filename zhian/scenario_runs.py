"""Run scenarios against real processes and gather everything that a report needs; each run has its folder and ports."""

from __future__ import annotations

import asyncio
import contextlib
import json
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from center.store.reading import MAX_ROWS, EventReading
from gateway.store.reading import JournalReading
from runtime.errors import UserError
from runtime.log import shown
from sim import expectations, privacy_scan
from sim.report import Run
from sim.report_picture import Place, is_fault
from sim.scenario import Scenario
from zhian import community, drawn_faces, site_files
from zhian.community import Community

PATIENCE_S = 60.0  # beyond the timeline: starting up, and cars that still drive away
LOOK_EVERY_S = 0.2  # for the end of the round, and for what has been acknowledged
LOG_LINES = 12  # of each crashed process
MAX_ACKED = 10_000  # changes of the acknowledged number that are kept


@dataclass(frozen=True, slots=True)
class Planned:
    """One run that shall be made."""

    file: Path
    scenario: Scenario
    seed: int
    speed: float | None = None  # at most so many times real time; None: what the scenario allows


async def run(planned: Planned, say: Callable[[str], None]) -> Run:
    """Play the scenario once and judge it. Raises UserError where the site cannot be run."""
    if planned.scenario.is_virtual:
        return await asyncio.to_thread(_run_virtual, planned)
    scenario, begun_s = planned.scenario, time.monotonic()
    if why := await asyncio.to_thread(drawn_faces.missing, scenario):
        return skipped(planned, why)
    acked: list[tuple[int, int]] = []
    with tempfile.TemporaryDirectory(prefix="zhian-") as folder:
        files = site_files.write(scenario, planned.file, Path(folder), _ports(), seed=planned.seed)
        here = Community(files, say, None)
        await here.start(here.commands(loop=False))
        async with _watched(files.gateway_database, acked):
            try:
                await _play(here, scenario.duration_s)
            finally:
                tally = await here.stop()
        facts = _lines(files.folder / "world.jsonl")
        received_ms = _received_ms(files.center_database) if scenario.gateway else {}
        events = [{**e, "received_ms": received_ms.get(str(e["id"]))} for e in community.stored_events(files)]
        results = expectations.check([e.text for e in scenario.expect], facts, events)
        results.append(nobody_named(scenario, events))
        crashes = here.supervisor.crashes
        counted = not tally.lost and not tally.duplicated and not tally.unknown
        ok = all(r.ok for r in results) and counted and not crashes
        outcome: dict[str, Any] = {
            "scenario": scenario.name,
            "seed": planned.seed,
            "ok": ok,
            "seconds": round(time.monotonic() - begun_s, 1),
            "expectations": [{"text": r.text, "ok": r.ok, "seen": r.seen} for r in results],
            "faults": [fact for fact in facts if is_fault(fact)],
            "crashes": crashes,
            "logs": {} if ok else _logs(files.log, crashes),
            **tally.plain(),
        }
    return Run(outcome, _title(scenario), _places(scenario), facts, events, acked)


def _run_virtual(planned: Planned) -> Run:
    """On virtual time: in this process, in a loop of its own."""
    from zhian import virtual_runs

    scenario = msgspec.structs.replace(planned.scenario, seed=planned.seed)
    outcome, site = virtual_runs.outcome(scenario, planned.speed)
    named = nobody_named(scenario, site.recording.events)
    outcome["expectations"].append({"text": named.text, "ok": named.ok, "seen": named.seen})
    outcome["ok"] = outcome["ok"] and named.ok
    acked = [(int(event["time_ms"]), n) for n, event in enumerate(site.recording.events, 1)]
    return Run(outcome, _title(scenario), _places(scenario), site.facts, site.recording.events, acked)


def nobody_named(scenario: Scenario, events: Sequence[Mapping[str, Any]]) -> expectations.Result:
    """Judged in every run, asked for or not: an event holds no name, plate, picture or template, nor, where faces take
    part, the id of anybody who has one."""
    cast = [text for person in scenario.people for text in (person.name.zh, person.name.en, *person.plates)]
    cast += [person.id for person in scenario.holder if person.face is not None]
    # Without the id: digits of a random epoch may look like a telephone's.
    told = [{key: value for key, value in event.items() if key != "id"} for event in events]
    found = [(str(event.get("type")), one) for event in told for one in privacy_scan.found_in(event, cast)]
    seen = f"{len(found)} times, first {found[0][1].what} in {found[0][0]}{found[0][1].where}" if found else "never"
    return expectations.Result("no event names anybody", not found, f"{seen}, in {len(events)} events")


def failed(planned: Planned, error: UserError, took_s: float) -> Run:
    """A run that could not be made at all."""
    return _not_made(planned, took_s, {"ok": False, "error": str(error)})


def skipped(planned: Planned, why: str) -> Run:
    """A run that needs what this machine has not: neither good nor bad."""
    return _not_made(planned, 0.0, {"ok": True, "skipped": why})


def _not_made(planned: Planned, took_s: float, verdict: dict[str, Any]) -> Run:
    empty: dict[str, Any] = {"expectations": [], "faults": [], "crashes": [], "logs": {}}
    named = {"scenario": planned.scenario.name, "seed": planned.seed, "seconds": round(took_s, 1)}
    return Run(named | verdict | empty, _title(planned.scenario))


async def _play(here: Community, duration_s: float) -> None:
    """Until the world says that its timeline is over, or a process fails. Raises UserError."""
    watch = asyncio.create_task(here.supervisor.watch())
    world = here.files.folder / "world.jsonl"
    deadline = asyncio.get_running_loop().time() + duration_s + PATIENCE_S
    try:
        while not any(fact["kind"] == "round.ended" for fact in await asyncio.to_thread(_lines, world)):
            if asyncio.get_running_loop().time() > deadline:
                raise UserError(f"the world did not finish its {duration_s:g} s within {PATIENCE_S:g} s more")
            await asyncio.wait({watch}, timeout=LOOK_EVERY_S)
            if watch.done():
                await watch
    finally:
        watch.cancel()


@contextlib.asynccontextmanager
async def _watched(database: Path, acked: list[tuple[int, int]]) -> AsyncIterator[None]:
    """Meanwhile note in `acked` when the gateway's acknowledged number was seen to rise."""
    task = asyncio.create_task(_watch_acknowledged(database, acked))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _watch_acknowledged(database: Path, acked: list[tuple[int, int]]) -> None:
    reading = JournalReading(database, see_duress=True)
    try:
        while len(acked) < MAX_ACKED:
            with contextlib.suppress(UserError):  # the database is not made yet
                upto = (await asyncio.to_thread(reading.counts)).acked_upto
                if not acked or upto != acked[-1][1]:
                    acked.append((int(time.time() * 1000), upto))
            await asyncio.sleep(LOOK_EVERY_S)
    finally:
        reading.close()


def _ports() -> site_files.Ports:
    found: set[int] = set()
    while len(found) < 5:
        found.add(community.free_port())
    return site_files.Ports(*found)


def _lines(path: Path) -> list[dict[str, Any]]:
    """The world's facts; a last line that is still being written does not count."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text("utf-8").splitlines(keepends=True) if line.endswith("\n")]


def _received_ms(database: Path) -> dict[str, int]:
    """When the center stored each event, by its id."""
    reading, before = EventReading(database), None
    found: dict[str, int] = {}
    while page := reading.newest(limit=MAX_ROWS, before_row=before):
        found |= {f"{e.epoch}-{e.seq}": e.received_ms for e in page}
        before = page[-1].row
    return found


def _logs(folder: Path, crashes: Sequence[str]) -> dict[str, list[str]]:
    """The ends of the logs of the processes that the crashes name."""
    found = {}
    for name in dict.fromkeys(crash.split()[0] for crash in crashes):
        path = folder / f"{name}.log"
        lines = path.read_text("utf-8", "replace").splitlines() if path.exists() else []
        found[name] = [shown(line) for line in lines[-LOG_LINES:]]
    return found


def _title(scenario: Scenario) -> tuple[str, str]:
    return scenario.title.zh, scenario.title.en


def _places(scenario: Scenario) -> list[Place]:
    doors = [Place(d.name, d.label.zh, d.label.en, (d.reader,)) for d in scenario.door]
    return doors + [Place(b.name, b.label.zh, b.label.en, (b.camera,)) for b in scenario.barrier]
