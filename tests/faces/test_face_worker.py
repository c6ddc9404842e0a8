"""The vision process with a door's camera, as it is started in the field, against a socket that stands for core."""

import asyncio
import base64
import contextlib
import json
import signal
import sys
from pathlib import Path

import cv2
from conftest import pixels

DEADLINE_S = 60
CONFIG = """
[site]
district = "qingshan"
site = "garden"
gateway = "gate-1"
label = {{ zh = "花园", en = "Garden" }}
site_key_file = "site.key"
kind = "simulated"

[paths]
data = "data"
run = "{run}"

[policy]
file = "policy.toml"

[simulation]
pins = "pins.sock"

[faces]
fpir = 0.02

[[bus]]
name = "east"
port = "/dev/null"

[[reader]]
name = "lobby-reader"
bus = "east"
address = 1
profile = "zhian-door-node"
key_file = "lobby.key"

[[door]]
name = "lobby-door"
label = {{ zh = "门厅", en = "Lobby" }}
reader = "lobby-reader"
face_camera = "lobby"
alternative_ways_in = ["card"]

[[camera]]
name = "lobby"
profile = "folder-camera"
source = "folder:门厅"
purpose = "face"
"""


class Core:
    """Listens where core listens, hands out the gallery, keeps the lines."""

    def __init__(self, path: Path, gallery: bytes) -> None:
        self.path, self.gallery, self.lines, self.ended = path, gallery, [], asyncio.Event()

    async def open(self):
        self._server = await asyncio.start_unix_server(self._serve, self.path)

    async def _serve(self, reader, writer):
        writer.write(self.gallery)
        with contextlib.suppress(OSError):
            async for line in reader:
                self.lines.append(json.loads(line))
        self.ended.set()
        writer.close()

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


async def test_the_gallery_comes_over_the_socket_and_a_holder_goes_back(tmp_path, reader, holder, stranger):
    reference = reader.embed(pixels(holder[0]), reader.nearest(pixels(holder[0])).face)
    packed = base64.b64encode(reference.astype("<f4").tobytes()).decode()
    row = {"holder": "h1", "cameras": ["lobby"], "reference": packed}
    line = json.dumps({"kind": "gallery", "version": 1, "references": [row]}).encode() + b"\n"
    folder, config = tmp_path / "门厅", tmp_path / "gateway.toml"
    folder.mkdir()
    config.write_text(CONFIG.format(run=tmp_path), "utf-8")
    core = Core(tmp_path / "vision.sock", line)
    await core.open()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "zhian", "vision", "run", "--config", str(config), stderr=asyncio.subprocess.PIPE
    )
    heard = []

    async def listen():
        async for said in process.stderr:
            heard.append(said.decode())

    listening = asyncio.create_task(listen())
    try:
        await until(lambda: any("gallery" in said and "holders" in said for said in heard), "the gallery is taken")
        put(folder, "0.jpg", b"\xff\xd8\xff not a picture")
        await until(lambda: any("picture skipped" in said for said in heard), "a bad frame is said")
        await walk_by(folder, stranger, rounds=2, first=100)
        assert core.of("face") == []  # the passer-by left no line
        still = [holder[0]] * 4  # one picture, held still: never bona fide
        for n in range(150):  # a busy machine looks at few of them
            await walk_by(folder, still, rounds=1, first=1000 + 10 * n)
            if core.of("face") or core.of("face_attack"):
                break
        told = core.of("face") + core.of("face_attack")
        assert len(told) == 1
        assert told[0]["camera"] == "lobby"
        assert told[0].get("bona_fide", False) is False
        beats = len(core.of("beat"))
        await until(lambda: len(core.of("beat")) > beats, "it beats on")
        assert not any(row["reference"][:24] in said or "h1" in said for said in heard), "nobody is named in a log"
        process.send_signal(signal.SIGKILL)  # it crashes: core sees the line end at once and waits for nobody
        await asyncio.wait_for(core.ended.wait(), 5)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        await listening


async def walk_by(folder, frames, *, rounds, first):
    for number in range(rounds * len(frames)):
        put(
            folder, f"{first + number:08d}.jpg", cv2.imencode(".jpg", pixels(frames[number % len(frames)]))[1].tobytes()
        )
        await asyncio.sleep(0.1)  # a camera's pace: frames must not overtake each other in the folder


async def test_without_the_weights_faces_are_off_and_the_process_runs(tmp_path, monkeypatch):
    monkeypatch.setenv("ZHIAN_MODELS", str(tmp_path / "nothing"))
    (tmp_path / "门厅").mkdir()
    config = tmp_path / "gateway.toml"
    config.write_text(CONFIG.format(run=tmp_path), "utf-8")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "zhian", "vision", "run", "--config", str(config), stderr=asyncio.subprocess.PIPE
    )
    said = b""
    async with asyncio.timeout(DEADLINE_S):
        while b"vision is running" not in said:
            said += await process.stderr.readline()
    process.send_signal(signal.SIGTERM)
    said += await process.stderr.read()
    assert await process.wait() == 0
    assert "faces are off" in said.decode()
    assert "run zhian models fetch" in said.decode()


async def test_a_real_site_does_not_start_without_them(tmp_path, monkeypatch):
    monkeypatch.setenv("ZHIAN_MODELS", str(tmp_path / "nothing"))
    config = tmp_path / "gateway.toml"
    text = (
        CONFIG.format(run=tmp_path).replace('kind = "simulated"', "").replace('[simulation]\npins = "pins.sock"\n', "")
    )
    config.write_text(text, "utf-8")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "zhian", "vision", "run", "--config", str(config), stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(DEADLINE_S):
        _, said = await process.communicate()
    assert process.returncode == 1
    assert "run zhian models accept face-detector" in said.decode()
