"""The vision process as it is started in the field against core's own end of the line: what they agree, what is left.

Both ends are the product's. After use this process's memory, its files and its log are searched for somebody's face.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import HOLDER, STRANGER, frames_of, pixels
from test_face_worker import CONFIG, put, until

from gateway.drivers.vision_link import Gallery, GalleryReference, VisionLink

PIECE = 64  # bytes of a picture or a template that would give it away
PROBE_NUMBERS = 4  # consecutive float32 of an embedding; no chance finds four of them by itself


class Core:
    """Core's end of the line; `who`: holder -> (reference, the cameras that may compare it)."""

    def __init__(self) -> None:
        self.who: dict[str, tuple[np.ndarray, tuple[str, ...]]] = {}
        self.faces, self.attacks, self.presence, self.asked_for = [], [], [], []
        told = (self.presence.append, self.faces.append, self.attacks.append)
        self.link = VisionLink(lambda plate: None, *told, gallery=self.told)

    async def told(self, model: str) -> Gallery:
        self.asked_for.append(model)
        found = [GalleryReference(h, cameras, v.astype("<f4").tobytes()) for h, (v, cameras) in self.who.items()]
        return Gallery(len(self.asked_for), tuple(found))


class Process:
    """`zhian vision run` before one door's camera."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.camera, self.said = folder, folder / "门厅", []
        self._number = 0

    async def start(self, core: Core) -> None:
        self.camera.mkdir()
        (self.folder / "gateway.toml").write_text(CONFIG.format(run=self.folder), "utf-8")
        self._server = await asyncio.start_unix_server(core.link.serve, self.folder / "vision.sock")
        words = (sys.executable, "-m", "zhian", "vision", "run", "--config", str(self.folder / "gateway.toml"))
        self.process = await asyncio.create_subprocess_exec(*words, stderr=asyncio.subprocess.PIPE)
        self._listening = asyncio.create_task(self._listen())
        await until(lambda: core.asked_for, "it asks for the gallery")

    async def _listen(self) -> None:
        async for line in self.process.stderr:
            self.said.append(line.decode())

    async def stop(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGKILL)
        await self.process.wait()
        await self._listening
        self._server.close()

    async def shows(self, frames, *, rounds: int = 1, enough=lambda: False) -> list[bytes]:
        """The frames' JPEGs, at a camera's pace, until `enough`."""
        made = []
        for _ in range(rounds):
            for frame in frames:
                made.append(cv2.imencode(".jpg", pixels(frame), [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes())
                self._number += 1
                put(self.camera, f"{self._number:08d}.jpg", made[-1])
                await asyncio.sleep(0.15)  # frames of a camera come at its pace
                if enough():
                    return made
        return made

    def heard(self, what: str) -> bool:
        return any(what in line for line in self.said)

    def memory(self) -> bytes:
        """Every page that this process can write to and that is there now (proc(5): maps, pagemap, mem)."""
        found, page = [], os.sysconf("SC_PAGE_SIZE")
        proc = Path(f"/proc/{self.process.pid}")
        with (proc / "pagemap").open("rb", 0) as pagemap, (proc / "mem").open("rb", 0) as memory:
            for line in (proc / "maps").read_text().splitlines():
                span, rights, *_ = line.split()
                if not rights.startswith("rw") or "[v" in line:
                    continue
                begin, end = (int(part, 16) // page for part in span.split("-"))
                pagemap.seek(8 * begin)
                there = np.frombuffer(pagemap.read(8 * (end - begin)), "<u8") >> np.uint64(62) > 0
                edges = np.flatnonzero(np.diff(np.concatenate([[False], there, [False]]).astype(np.int8)))
                for first, last in edges.reshape(-1, 2):
                    memory.seek(int(begin + first) * page)
                    with contextlib.suppress(OSError):  # given back meanwhile
                        found.append(memory.read(int(last - first) * page))
        return b"".join(found)

    def open_files(self) -> list[str]:
        links = Path(f"/proc/{self.process.pid}/fd").iterdir()
        return [str(link.readlink()) for link in links if link.exists()]


@dataclass
class Story:
    """What happened to one process, for the tests below to judge."""

    asked_for: str = ""
    stranger: list = field(default_factory=list)  # what was told while they stood there
    elsewhere: list = field(default_factory=list)
    holder: list = field(default_factory=list)
    claimed: list = field(default_factory=list)
    after_withdrawal: list = field(default_factory=list)
    jpegs: list[bytes] = field(default_factory=list)  # the stranger's
    after_stranger: bytes = b""  # the process's memory, once they had gone
    gallery_then: list[bytes] = field(default_factory=list)
    after_erasure: bytes = b""
    gallery_gone: list[bytes] = field(default_factory=list)
    files_before: set[str] = field(default_factory=set)
    files_after: set[str] = field(default_factory=set)
    open_files: list[str] = field(default_factory=list)
    folder: Path = Path()
    log: str = ""
    lost_after_s: float = 0.0


def visit(seed: int, frames: int):
    return frames_of(seed, tuple(range(0, 150 * frames, 150)))


def reference_of(reader, frames) -> np.ndarray:
    return reader.embed(pixels(frames[0]), reader.nearest(pixels(frames[0])).face)


def tree(folder: Path) -> set[str]:
    """Every file but what the camera itself puts there."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() and path.suffix != ".jpg"}


async def told(reader, folder: Path) -> Story:
    story, core, vision = Story(folder=folder), Core(), Process(folder)
    lin, wang, stranger = visit(HOLDER, 30), visit(2, 10), visit(STRANGER, 14)
    everything = lambda: [*core.faces, *core.attacks]  # noqa: E731
    await vision.start(core)
    try:
        story.asked_for = core.asked_for[0]
        core.who["lin-lan"] = (reference_of(reader, lin), ("lobby",))
        core.who["wang-wei"] = (reference_of(reader, wang), ("garage",))
        await core.link.gallery_changed()
        await until(lambda: vision.heard("gallery at"), "it has the gallery")
        story.files_before = tree(folder)

        story.jpegs = await vision.shows(stranger)
        story.stranger = everything()
        await asyncio.sleep(1.5)  # longer than the process waits for the next picture before it forgets
        story.after_stranger = vision.memory()
        story.gallery_then = [core.who["lin-lan"][0].tobytes()]

        await vision.shows(wang)
        story.elsewhere = everything()
        await vision.shows(lin, rounds=3, enough=lambda: bool(core.faces))
        story.holder = everything()
        core.link.claim("lobby", "lin-lan", time.time_ns() // 1_000_000 + 20_000)
        await vision.shows(lin, rounds=3, enough=lambda: len(everything()) > len(story.holder))
        story.claimed = everything()[len(story.holder) :]
        story.open_files = vision.open_files()

        story.gallery_gone = [v.astype("<f4").tobytes() for v, _ in core.who.values()]
        core.who = {}
        await core.link.gallery_changed()
        before = len(everything())
        await vision.shows(lin[:12])
        story.after_withdrawal = everything()[before:]
        await asyncio.sleep(1.0)  # as above
        story.after_erasure = vision.memory()
        story.files_after = tree(folder)
        began = time.monotonic()
        vision.process.send_signal(signal.SIGKILL)
        await until(lambda: core.presence[-1] is False, "core knows that it is gone")
        story.lost_after_s = time.monotonic() - began
    finally:
        await vision.stop()
    story.log = "".join(vision.said)
    return story


@pytest.fixture(scope="module")
def story(reader, tmp_path_factory):
    return asyncio.run(told(reader, tmp_path_factory.mktemp("both")))


def pieces_of_pictures(story):
    """From the entropy-coded part of some of the stranger's JPEGs, and rows of pixels from the middle of the faces."""
    found = []
    for jpeg in story.jpegs[4:13:4]:
        found += [jpeg[at : at + PIECE] for at in (len(jpeg) // 3, len(jpeg) // 2)]
        picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
        middle = picture.shape[0] // 2
        found.append(picture[middle, middle - 12 : middle + 12].tobytes())
    return found


def pieces_of_probes(reader, story):
    """From the embeddings that the process made of the stranger: the same file, the same model, the same numbers."""
    found = []
    for jpeg in story.jpegs[4:13:4]:
        picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
        seen = reader.nearest(picture)
        values = reader.embed(picture, seen.face)
        found += [values[at : at + PROBE_NUMBERS].tobytes() for at in (0, 96)]
        found.append(seen.face.mesh[100:103].tobytes())
    return found


def test_vision_asks_for_the_references_of_the_model_that_it_runs(reader, story):
    assert story.asked_for == reader.embedder.sha256


def test_a_holder_is_told_once_and_with_a_card_once_more(story):
    assert [(f.camera, f.holder, f.bona_fide, f.claimed) for f in story.holder] == [("lobby", "lin-lan", True, False)]
    assert [(f.camera, f.holder, f.bona_fide, f.claimed) for f in story.claimed] == [("lobby", "lin-lan", True, True)]


def test_a_holder_who_did_not_consent_to_this_door_is_nobody_here(story):
    assert story.elsewhere == []


def test_a_withdrawal_takes_effect_at_once(story):
    assert story.after_withdrawal == []


def test_a_vision_process_that_dies_is_noticed_at_once(story):
    assert story.lost_after_s < 2


def test_a_stranger_sends_nothing(story):
    assert story.stranger == []


def test_a_stranger_leaves_nothing_in_the_log(story):
    assert "skipped" not in story.log
    assert [name for name in ("lin-lan", "wang-wei", "stranger") if name in story.log] == []
    assert story.log.count("a holder's face was seen") == 2


def test_no_file_is_made_by_the_recognition_path(story):
    assert story.files_after == story.files_before
    for path in story.folder.rglob("*"):
        if path.is_file() and path.suffix != ".jpg":
            data = path.read_bytes()
            assert not any(piece in data for piece in pieces_of_pictures(story)), path
            assert b"\xff\xd8\xff" not in data, path


def test_no_picture_stays_open(story):
    assert [name for name in story.open_files if name.endswith((".jpg", ".png", ".part"))] == []


def test_memory_after_a_stranger_holds_no_picture(story):
    assert story.gallery_then[0][:16] in story.after_stranger, "the search finds what is there"
    assert [piece for piece in pieces_of_pictures(story) if piece in story.after_stranger] == []


def test_memory_after_a_stranger_holds_no_template_and_no_landmarks(reader, story):
    assert [piece for piece in pieces_of_probes(reader, story) if piece in story.after_stranger] == []


def test_memory_after_an_erasure_holds_no_reference(story):
    assert [
        one for one in story.gallery_gone if one[:16] in story.after_erasure or one[400:416] in story.after_erasure
    ] == []
