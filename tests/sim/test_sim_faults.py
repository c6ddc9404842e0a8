"""The clock's socket with its real client, the power socket with its real server, and faults through `perform`."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import sys
import time
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import pytest
from sim_rig import eventually, make_site

from gateway.drivers.clock import SimulatedClock, SystemClock, open_clock
from runtime.errors import UserError
from sim import scenario
from sim.clock_socket import ClockServer, offset_until
from sim.errors import ActionError
from sim.faults import PARTS
from sim.power import PowerSwitches
from sim.timeline import RealClock
from sim.world import World
from zhian import power_switches, read_only_disk
from zhian.supervisor import Command, Supervisor

HOUR_MS = 3_600_000


def machine_ms() -> int:
    return time.time_ns() // 1_000_000


@pytest.mark.parametrize(
    ("to", "hours"), [("03:00", 14.5), ("12:31", 1 / 60), ("12:29", 23 + 59 / 60), ("12:30", 24.0)]
)
def test_the_next_time_of_day_is_ahead(to: str, hours: float) -> None:
    now = datetime(2026, 5, 4, 12, 30, tzinfo=ZoneInfo("Asia/Shanghai"))
    assert offset_until(to, now) == pytest.approx(hours * 3600)


async def test_a_clock_is_wrong_from_the_start_and_follows_jumps(tmp_path: Path) -> None:
    server = ClockServer(tmp_path / "clock.sock", 7200)
    await server.start()
    clock = await asyncio.to_thread(SimulatedClock, "Asia/Shanghai", 0, tmp_path / "clock.sock")
    assert abs(clock.now_ms() - machine_ms() - 2 * HOUR_MS) < 5000
    assert clock.certain
    following = asyncio.create_task(clock.follow())
    await eventually(lambda: server._writers, "the gateway listens")
    server.jump(0)
    await eventually(lambda: not clock.certain, "it hears of the jump")
    assert clock.now_ms() > machine_ms() + HOUR_MS  # never backwards
    server.jump(8000)
    await eventually(lambda: clock.certain, "it has caught up")
    following.cancel()
    await server.close()


async def test_years_in_the_past_are_uncertain(tmp_path: Path) -> None:
    server = ClockServer(tmp_path / "clock.sock", -3 * 365 * 86_400)
    await server.start()
    clock = await asyncio.to_thread(SimulatedClock, "Asia/Shanghai", 0, tmp_path / "clock.sock")
    assert not clock.certain
    await server.close()


def test_a_simulated_clock_without_a_world_is_the_machines(tmp_path: Path) -> None:
    clock = SimulatedClock("Asia/Shanghai", 0, tmp_path / "clock.sock")
    assert abs(clock.now_ms() - machine_ms()) < 5000


def test_a_real_site_never_gets_a_simulated_clock(tmp_path: Path) -> None:
    assert type(open_clock("Asia/Shanghai", 0, "real", tmp_path / "clock.sock")) is SystemClock
    assert type(open_clock("Asia/Shanghai", 0, "simulated", None)) is SystemClock
    assert type(open_clock("Asia/Shanghai", 0, "simulated", tmp_path / "clock.sock")) is SimulatedClock


@pytest.mark.parametrize("line", [b"{}", b"nonsense", b'{"op":"clock","offset_ms":"1"}', b'{"op":"date"}'])
def test_a_line_that_is_none_of_the_protocol_is_refused(tmp_path: Path, line: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        SimulatedClock("Asia/Shanghai", 0, tmp_path / "clock.sock")._take(line)


# --- power and disk -------------------------------------------------------------------------------------------------

PROGRAM = """
import os, socket, sys, time
from pathlib import Path
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.sendto(b"READY=1", os.environ["NOTIFY_SOCKET"])
while True:
    try:
        with open(sys.argv[1], "a") as f:
            f.write(str(os.getpid()) + "\\n")
        said = "written"
    except OSError as e:
        said = e.strerror
    print(said, flush=True)
    print(said, file=sys.stderr, flush=True)
    time.sleep(0.05)
"""


class Site:
    """A supervisor with one process called core that writes a file all the time."""

    def __init__(self, folder: Path, file: str = "written") -> None:
        for name in ("run", "log"):
            (folder / name).mkdir()
        self.folder = folder
        self.said: list[str] = []
        self.file = folder / file
        self.supervisor = Supervisor(folder, lambda _name, line: self.said.append(line))
        self.server = power_switches.PowerSwitches(folder / "run" / "power.sock", self.supervisor)
        self.client = PowerSwitches(folder / "run" / "power.sock")

    async def __aenter__(self) -> Site:
        await self.server.start()
        await self.supervisor.start(Command("core", [sys.executable, "-c", PROGRAM, str(self.file)]))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.server.close()
        await self.supervisor.stop()


async def test_power_is_cut_stays_off_and_returns(tmp_path: Path) -> None:
    async with Site(tmp_path) as site:
        first = site.supervisor.pid("core")
        await site.client.switch("core", on=False)
        assert site.client.off == {"core"}
        assert first is not None
        with pytest.raises(ProcessLookupError):
            os.kill(first, 0)
        with pytest.raises(ActionError, match="core has no power already"):
            await site.client.switch("core", on=False)
        await asyncio.sleep(1.0)  # longer than RESTART_AFTER_S: nothing may start
        assert site.supervisor.pid("core") == first
        await site.client.switch("core", on=True)
        await eventually(lambda: site.supervisor.pid("core") != first, "it starts again")
        with pytest.raises(ActionError, match="core has power already"):
            await site.client.switch("core", on=True)
        with pytest.raises(ActionError, match="no process 'broker'"):
            await site.client.switch("broker", on=False)
        assert site.supervisor.crashes == []


async def test_power_that_returns_at_once_is_no_crash(tmp_path: Path) -> None:
    async with Site(tmp_path) as site:
        for _ in range(7):  # more often than a process may crash in a minute
            before = site.supervisor.pid("core")
            await site.client.switch("core", on=False)
            await site.client.switch("core", on=True)
            await eventually(lambda before=before: site.supervisor.pid("core") != before, "it starts again")
        assert site.supervisor.crashes == []


async def test_a_site_whose_power_is_off_can_be_stopped(tmp_path: Path) -> None:
    async with Site(tmp_path) as site:
        await site.client.switch("core", on=False)
        async with asyncio.timeout(5):
            await site.supervisor.stop()


async def test_a_full_disk_refuses_every_write_until_it_is_free_and_outlives_a_restart(tmp_path: Path) -> None:
    async with Site(tmp_path) as site:
        await eventually(lambda: "written" in site.said, "it can write at first")
        await site.client.disk(full=True)
        await eventually(lambda: site.said[-1] == "File too large", "its writes fail")
        size = site.file.stat().st_size
        await site.client.switch("core", on=False)
        await site.client.switch("core", on=True)
        pid = site.supervisor.pid("core")
        await eventually(lambda: site.supervisor.pid("core") not in (None, pid), "it starts again")
        site.said.clear()
        await eventually(lambda: len(site.said) > 2, "it tries")
        assert set(site.said) == {"File too large"}
        assert site.file.stat().st_size == size
        assert "File too large" in (tmp_path / "log" / "core.log").read_text()
        await site.client.disk(full=False)
        await eventually(lambda: site.said[-1] == "written", "it can write again")
        new = site.supervisor.pid("core")
        assert new is not None
        soft, hard = resource.prlimit(new, resource.RLIMIT_FSIZE)
        assert soft == hard


async def test_a_read_only_disk_fails_writes_at_once_and_is_read_only_for_a_new_process(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    try:
        read_only_disk.check(tmp_path / "data")
    except UserError as e:
        pytest.skip(str(e))
    async with Site(tmp_path, "data/written") as site:
        await eventually(lambda: "written" in site.said, "it can write at first")
        await site.client.read_only(on=True)
        await eventually(lambda: site.said[-1] == "File too large", "the running process cannot write")
        await site.client.switch("core", on=False)
        await site.client.switch("core", on=True)
        await eventually(lambda: site.said[-1] == "Read-only file system", "a new one finds it read-only")
        assert site.client.disks == {"core": "read-only"}
        await site.client.read_only(on=False)
        await eventually(lambda: site.said[-1] == "written", "it can write again without a restart")
        assert site.supervisor.crashes == []


async def test_the_broker_loses_its_disk_only_while_it_is_off_and_keeps_its_accounts(tmp_path: Path) -> None:
    (tmp_path / "broker" / "jetstream").mkdir(parents=True)
    (tmp_path / "broker" / "users.json").write_text("[]")
    async with Site(tmp_path) as site:
        await site.supervisor.start(Command("broker", [sys.executable, "-c", PROGRAM, str(tmp_path / "b")]))
        with pytest.raises(ActionError, match="broker has power; cut it before"):
            await site.client.lose_disk("broker")
        with pytest.raises(ActionError, match="only the broker may lose its disk"):
            await site.client.lose_disk("core")
        await site.client.switch("broker", on=False)
        await site.client.lose_disk("broker")
        assert [path.name for path in (tmp_path / "broker").iterdir()] == ["users.json"]


@pytest.mark.parametrize(
    "line", [b"", b"nonsense\n", b'{"op":"cut","part":"world"}\n', b'{"op":"boil","part":"core"}\n']
)
async def test_a_wrong_request_is_answered_and_does_nothing(tmp_path: Path, line: bytes) -> None:
    async with Site(tmp_path) as site:
        pid = site.supervisor.pid("core")
        reader, writer = await asyncio.open_unix_connection(tmp_path / "run" / "power.sock")
        writer.write(line)
        writer.write_eof()
        answer = json.loads(await reader.readline())
        assert answer["ok"] is False
        assert answer["text"]
        assert site.supervisor.pid("core") == pid
        writer.close()


async def test_a_folder_that_is_gone_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot listen"):
        await power_switches.PowerSwitches(tmp_path / "no" / "power.sock", Supervisor(tmp_path, print)).start()


# --- the world ------------------------------------------------------------------------------------------------------


async def test_faults_without_a_supervisor_and_a_network_say_so(tmp_path: Path) -> None:
    file = next(path for path in scenario.listed() if path.stem == "collision")
    loaded = msgspec.structs.replace(scenario.load(file), step=(), expect=())
    world = World(loaded, make_site(tmp_path / "s", loaded), RealClock())
    stop = asyncio.Event()
    running = asyncio.create_task(world.run(stop))
    await world.started.wait()
    for action in (
        {"do": "noise", "bus": "rs485-a", "probability": 0.01},
        {"do": "collision", "bus": "rs485-a"},
        {"do": "quiet", "bus": "rs485-a"},
        {"do": "unplug_bus", "bus": "rs485-a"},
        {"do": "plug_bus", "bus": "rs485-a"},
        {"do": "clock_jump", "offset_s": 60},
        {"do": "open_case", "door": "lobby"},
        {"do": "hold_door", "door": "lobby", "for_s": 1},
        {"do": "cut_power", "part": "core"},
        {"do": "network_stop"},
        {"do": "disk_full"},
    ):
        await world.perform(action)
    for wrong, sentence in (
        ({"do": "plug_bus", "bus": "rs485-a"}, "plugged in already"),
        ({"do": "noise", "bus": "rs485-b", "probability": 0.01}, "bus: expected one of"),
        ({"do": "noise", "bus": "rs485-a"}, "probability is missing"),
        ({"do": "clock_set", "to": "soon"}, "cannot be done"),
        ({"do": "open_case", "door": "lobby"}, "open already"),
    ):
        with pytest.raises(ActionError, match=sentence):
            await world.perform(wrong)
    facts = world.site_dir / "world.jsonl"
    await eventually(lambda: facts.read_text().count("action.failed") == 3, "three cannot be done here")
    kinds = [json.loads(line)["kind"] for line in facts.read_text().splitlines()]
    assert [k for k in kinds if k.startswith("bus.")] == [
        *("bus.noisy", "bus.collided", "bus.quiet", "bus.unplugged", "bus.plugged")
    ]
    shown = world.snapshot()["faults"]
    assert shown["clock_offset_s"] == 60
    assert shown["network"]["mode"] == "none"
    assert [part["name"] for part in shown["parts"]] == [part for part in PARTS if part != "vision"]
    stop.set()
    await running
