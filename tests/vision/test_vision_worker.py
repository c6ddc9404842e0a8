"""The vision process as it is started in the field, against a socket that stands for core."""

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from pathlib import Path

import cv2

from sim.render.plate import PlateKind
from sim.render.scene import approach

DEADLINE_S = 30
CONFIG = """
[site]
district = "qingshan"
site = "garden"
gateway = "gate-1"
label = {{ zh = "花园", en = "Garden" }}
site_key_file = "site.key"

[paths]
data = "data"
run = "{run}"

[policy]
file = "policy.toml"

[[camera]]
name = "lane"
profile = "folder-camera"
source = "folder:车道"
"""


class Core:
    """Listens where core listens and keeps the lines."""

    def __init__(self, path: Path) -> None:
        self.path, self.lines, self.connections = path, [], 0
        self._server, self._writers = None, []

    async def open(self):
        self._server = await asyncio.start_unix_server(self._serve, self.path)

    async def close(self):
        self._server.close()
        for writer in self._writers:
            writer.close()
        self._writers.clear()
        self.path.unlink(missing_ok=True)

    async def _serve(self, reader, writer):
        self.connections += 1
        self._writers.append(writer)
        with contextlib.suppress(OSError):
            async for line in reader:
                self.lines.append(json.loads(line))

    def of(self, kind):
        return [line for line in self.lines if line["kind"] == kind]


async def until(condition, what):
    async with asyncio.timeout(DEADLINE_S):
        while not condition():
            await asyncio.sleep(0.02)  # another process fills what we look at
    return what


def put(folder, name, data):
    (folder / f".{name}.part").write_bytes(data)
    (folder / f".{name}.part").rename(folder / name)


async def drive_up(folder, text, core, seed, first=0):
    """Frames appear one after the other until core heard of the plate."""
    before = len(core.of("plate"))
    for n, frame in enumerate(approach(text, PlateKind.BLUE, seed=seed, frames=16)):
        put(folder, f"{first + n:012d}.jpg", cv2.imencode(".jpg", frame.image)[1].tobytes())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.25):
                await until(lambda: len(core.of("plate")) > before, "plate")
    await until(lambda: len(core.of("plate")) > before, "plate")


@contextlib.asynccontextmanager
async def worker(tmp_path):
    (tmp_path / "车道").mkdir()
    config = tmp_path / "gateway.toml"
    config.write_text(CONFIG.format(run=tmp_path), "utf-8")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "zhian", "vision", "run", "--config", str(config), stderr=asyncio.subprocess.PIPE
    )
    heard = []

    async def listen():
        async for line in process.stderr:
            heard.append(line.decode())

    listening = asyncio.create_task(listen())
    try:
        yield process, tmp_path / "车道", heard
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(DEADLINE_S):
            await process.wait()
            await listening


async def test_frames_become_one_plate_line_and_bad_ones_nothing(tmp_path):
    core = Core(tmp_path / "vision.sock")
    await core.open()
    async with worker(tmp_path) as (process, folder, heard):
        await until(lambda: core.of("hello"), "hello")
        put(folder, "0.jpg", b"\xff\xd8\xff not a picture")
        await until(lambda: any("picture skipped" in line for line in heard), "the bad frame is logged")
        began = time.time()
        await drive_up(folder, "京A12345", core, seed=11, first=100)
        (plate,) = core.of("plate")
        (hello,) = core.of("hello")
        assert (plate["camera"], plate["text"], plate["plate_kind"]) == ("lane", "京A12345", "blue")
        assert 0.6 <= plate["score"] <= 1
        assert began * 1000 - 1000 <= plate["observed_ms"] <= time.time() * 1000
        assert plate["model"] == hello["model"] == "plate-reader"
        assert plate["model_sha256"] == hello["sha256"]
        beats = len(core.of("beat"))
        await until(lambda: len(core.of("beat")) > beats, "it beats on")
        assert os.getpriority(os.PRIO_PROCESS, process.pid) >= 10
        assert not any("京A12345" in line for line in heard), "no plate text in a log"
        process.send_signal(signal.SIGTERM)
        await until(lambda: process.returncode is not None, "ended")
        assert process.returncode == 0, heard
    await core.close()


async def test_core_may_come_late_and_go_away(tmp_path):
    core = Core(tmp_path / "vision.sock")
    async with worker(tmp_path) as (process, folder, heard):
        await until(lambda: any("core is not there yet" in line for line in heard), "it says so")
        await core.open()
        await until(lambda: core.of("hello"), "hello")
        await core.close()
        await core.open()
        await until(lambda: len(core.of("hello")) == 2, "hello again")
        await drive_up(folder, "沪B98765", core, seed=12)
        assert [p["text"] for p in core.of("plate")] == ["沪B98765"]
        assert sum("core is not there yet" in line for line in heard) <= 2, "once per absence"
        assert process.returncode is None
    await core.close()
