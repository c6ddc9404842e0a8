"""The main job, end to end: a card opens a door, a plate lifts a barrier, and the center has every event once."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from conftest import left_running

from gateway.errors import GatewayError
from gateway.operations.client import OperationsClient
from gateway.store.reading import JournalReading
from runtime.errors import UserError
from sim.privacy_scan import found_in
from sim.scenario import listed, load
from zhian import site_files
from zhian.community import Community, free_port, stored_events

pytestmark = [pytest.mark.site, pytest.mark.timeout(180)]
AT_A_TIME = 3
ZHIAN = [sys.executable, "-m", "zhian"]


def test_the_demo_loses_nothing_and_leaves_nothing_running(site_folder):
    words = [*ZHIAN, "demo", "--headless", "--for", "30", "--json", "--dir", str(site_folder)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=150)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["lost"] == result["duplicated"] == 0
    assert result["events_made"] == result["events_stored"] > 0
    assert min(result["granted"], result["denied"], result["plates_read"]) > 0


def test_ctrl_c_ends_the_demo_and_a_second_one_starts_right_after(site_folder):
    for attempt in ("first", "second"):
        folder = site_folder / attempt
        words = [*ZHIAN, "demo", "--headless", "--json", "--dir", str(folder)]
        with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as demo:
            for line in demo.stderr:
                if "All parts are up" in line:
                    demo.send_signal(signal.SIGINT)
                    break
            out, err = demo.communicate(timeout=60)
        assert demo.returncode == 0, err
        assert json.loads(out.splitlines()[-1])["lost"] == 0
        assert left_running(folder) == []


def test_kill_9_of_the_demo_itself_leaves_nothing_running(site_folder):
    words = [*ZHIAN, "demo", "--headless", "--dir", str(site_folder)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as demo:
        for line in demo.stdout:
            if "All parts are up" in line:
                break
        assert len(left_running(site_folder)) >= 5
        demo.kill()
        demo.wait()
    wait_until(lambda: left_running(site_folder) == [], "processes outlived the demo")


def wait_until(condition, otherwise: str, deadline_s: float = 20.0) -> None:
    asyncio.run(eventually(condition, otherwise, deadline_s))


async def eventually(condition, otherwise: str, deadline_s: float = 30.0) -> None:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + deadline_s
    while not condition():
        assert loop.time() < deadline, otherwise
        await asyncio.sleep(0.05)  # polling real processes


async def started(folder: Path, *, loop: bool = True) -> Community:
    file = next(path for path in listed() if path.stem == "daily-life")
    ports = site_files.Ports(*(free_port() for _ in range(4)))
    files = site_files.write(load(file), file, folder, ports)
    here = Community(files, lambda text: None, None)
    await here.start(here.commands(loop=loop))
    return here


def made(here: Community) -> int:
    try:
        return JournalReading(here.files.gateway_database).counts().made
    except UserError:
        return 0


async def test_kill_9_of_core_loses_no_event(site_folder):
    here = await started(site_folder)
    try:
        await eventually(lambda: made(here) >= 5, "the first events were never made")
        first = here.supervisor.pid("core")
        os.kill(first, signal.SIGKILL)
        await eventually(lambda: here.supervisor.pid("core") not in (None, first), "core was not started again")
        before = made(here)
        await eventually(lambda: made(here) >= before + 5, "the site did not go on after the crash")
    finally:
        tally = await here.stop()
    events = stored_events(here.files)
    assert tally.lost == tally.duplicated == 0
    assert tally.events_stored == len(events)
    starts = [e["data"]["cause"] for e in events if e["type"] == "zhian.gateway.started"]
    assert starts == ["start", "crash"]
    assert sorted(int(str(e["id"]).split("-")[1]) for e in events) == list(range(1, len(events) + 1))


async def test_an_operator_opens_a_door_and_is_told_when_it_cannot_be(site_folder):
    here = await started(site_folder)
    client = OperationsClient(site_folder / "run" / "operations.sock")
    try:
        status = await client.status()
        assert {p.name for p in status.portals} >= {"lobby", "garage", "north-gate"}
        await client.open_portal("lobby", "desk")
        with pytest.raises(GatewayError, match="there is no portal 'roof'"):
            await client.open_portal("roof", "desk")
    finally:
        await here.stop()
    assert any(e["type"] == "zhian.access.overridden" for e in stored_events(here.files))


async def test_no_event_names_anybody(site_folder):
    here = await started(site_folder, loop=False)
    try:
        await eventually(lambda: made(here) >= 20, "the day did not happen", 60)
    finally:
        tally = await here.stop()
    assert tally.lost == 0
    events = stored_events(here.files)
    assert len(events) >= 20
    scenario = load(here.files.scenario)
    names = [text for person in scenario.people for text in (person.name.zh, person.name.en)]
    assert [found for event in events for found in found_in(event, names)] == []
    everything = json.dumps(events, ensure_ascii=False)
    for person in scenario.people:
        pins = [person.pin] if getattr(person, "pin", None) else []
        for secret in (person.name.zh, person.name.en, *person.plates, *(str(c.number) for c in person.cards)):
            assert secret not in everything
        assert not any(f'"{pin}"' in everything for pin in pins)
        assert f'"{person.id}"' not in everything


# One of each sort; `make scenarios` plays all of them. Those on virtual time are played in tests/sim.
PLAYED = (
    "daily-life",
    "core-power",
    "broker-disk-lost",
    "gateway-gone",
    "fire-node-input",
    "lockdown",
)


@pytest.mark.timeout(600)
def test_shipped_scenarios_of_every_sort_hold():
    """AT_A_TIME together: mostly they wait for people and cars, not for the processor."""
    files = [file for file in listed() if file.stem in PLAYED]
    assert len(files) == len(PLAYED)
    with ThreadPoolExecutor(AT_A_TIME) as together:
        failed = [text for text in together.map(played, files) if text]
    assert not failed, "\n".join(failed)


def played(file: Path) -> str:
    """What was wrong with a run of this scenario; nothing where it holds."""
    done = subprocess.run([*ZHIAN, "sim", "run", str(file), "--json"], capture_output=True, text=True, timeout=170)
    if done.returncode != 0:
        return f"{file.stem}: {done.stdout}{done.stderr}"
    report = json.loads(done.stdout)
    return "" if report["ok"] and report["expectations"] else f"{file.stem}: {report}"
