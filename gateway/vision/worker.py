"""The vision process: one task per camera, one thread that infers, one line to core. It decides nothing.

Cameras of purpose "plates" are read here, those of purpose "face" by `faces.watch`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2

from gateway import config as configuration
from gateway.config import GatewayConfig, Vision
from gateway.errors import VisionError
from gateway.model import PlateRead
from gateway.vision.camera_folder import MAX_FRAME_BYTES, FolderCamera, RawFrame
from gateway.vision.core_link import CoreLink
from gateway.vision.faces.asking import Wanted
from gateway.vision.faces.site import Asked, open_faces
from gateway.vision.lane import Lane
from gateway.vision.picture import decode
from gateway.vision.reader import PlateReader, load_default, load_vote
from gateway.vision.refused import RefusedList
from gateway.vision.visit import Seen, Unread, Visits
from runtime import core_dumps, systemd
from runtime.log import get

NICENESS = 10  # a door's decision goes before a picture
REPORT_S = 60.0
QUIET_S = 0.25  # without a picture; then what only waits for time is looked at
log = get("vision")


def now_ms() -> int:
    return time.time_ns() // 1_000_000


async def run(config_file: Path) -> None:
    """Read plates of every camera in gateway.toml until cancelled. Raises ConfigError, VisionError at start."""
    core_dumps.forbid()
    config = configuration.read(config_file)
    os.nice(NICENESS)
    cv2.setNumThreads(1)
    plates = _reader(config)
    socket = configuration.vision_socket(config_file, config)
    cameras = _cameras(config_file, config, "plates")
    doors = _cameras(config_file, config, "face")
    faces = open_faces(_asked(config_file, config), now_ms) if doors else None
    refused = RefusedList(
        configuration.refused_plates_file(config_file, config), config.vision.refused_rows, config.vision.refused_days
    )
    with ThreadPoolExecutor(1, thread_name_prefix="infer") as inference:
        heard = faces.listener(inference) if faces is not None else None
        wants = faces.reader.embedder.sha256 if faces is not None else ""
        link = CoreLink(socket, plates.entry.name, plates.entry.sha256, now_ms, heard, wants)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(link.run())
            watching = [Watch(camera, config.vision, plates, link, inference, refused) for camera in cameras]
            for watch in watching:
                tasks.create_task(watch.camera.watch())
                tasks.create_task(watch.read())
                tasks.create_task(watch.report())
            for door in doors if faces is not None else ():
                tasks.create_task(door.watch())
                tasks.create_task(faces.watch(door, link.send, inference).read())
            named = [c.name for c in (*cameras, *doors)]
            told = {"reader": config.vision.reader, "model": plates.entry.name, "sha256": plates.entry.sha256[:12]}
            log.info("vision is running", cameras=named, faces=faces is not None, **told)
            systemd.ready(f"{len(named)} cameras")


def _asked(config_file: Path, config: GatewayConfig) -> Asked:
    asked = config.faces
    own = configuration.resolve(config_file, asked.model) if asked.model is not None else None
    is_real = config.site.kind == "real"
    wanted = {
        door.face_camera: Wanted(frozenset(door.face_asks), frozenset(door.face_asks_beside))
        for door in config.door
        if door.face_camera is not None
    }
    return Asked(own, asked.fpir, asked.fmr, asked.agreeing_frames, config.vision.threads, is_real, wanted)


def _reader(config: GatewayConfig) -> PlateReader:
    """Ours; the published one, which reads the text while ours says the kind; or the vote. Raises VisionError."""
    threads, asked = config.vision.threads, config.vision.reader
    if asked == "own":
        return load_default(threads=threads)
    return load_vote(threads=threads, must_be_accepted=config.site.kind == "real", own_votes=asked == "vote")


def _cameras(config_file: Path, config: GatewayConfig, purpose: str) -> list[FolderCamera]:
    found = []
    for camera in config.camera:
        if camera.purpose != purpose:
            continue
        _, _, folder = camera.source.partition(":")
        found.append(FolderCamera(camera.name, configuration.resolve(config_file, folder)))
    return found


class Watch:
    """One camera's frames to observations."""

    def __init__(
        self,
        camera: FolderCamera,
        settings: Vision,
        plates: PlateReader,
        link: CoreLink,
        inference: ThreadPoolExecutor,
        refused: RefusedList,
    ) -> None:
        self.camera, self._link, self._inference, self._refused = camera, link, inference, refused
        self._entry = plates.entry
        self.lane = Lane(plates, Visits(settings.min_score, settings.agreeing_frames))
        self.bad = self.read_frames = self.observations = self.unread = 0

    async def read(self) -> None:
        """Frame after frame until cancelled. A picture that cannot be decoded is counted and skipped."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                async with asyncio.timeout(QUIET_S):
                    frame = await self.camera.next_frame()
            except TimeoutError:
                self._see(self.lane.quiet(now_ms()), now_ms())
                continue
            try:
                seen = await loop.run_in_executor(self._inference, self._read, frame)
            except VisionError as e:
                self.bad += 1
                if self.bad & (self.bad - 1) == 0:  # 1st, 2nd, 4th, 8th ...: never a flood
                    log.warning("picture skipped", camera=self.camera.name, why=str(e), skipped=self.bad)
                continue
            self.read_frames += 1
            self._see(seen, frame.seen_ms)

    def _read(self, frame: RawFrame) -> list[Seen]:
        return self.lane.frame(decode(frame.data, frame.name, max_bytes=MAX_FRAME_BYTES), frame.seen_ms)

    def _see(self, seen: list[Seen], at_ms: int) -> None:
        for one in seen:
            self.observations += 1
            observed = PlateRead(
                self.camera.name,
                one.text,
                one.kind,
                one.score,
                at_ms,
                self._entry.name,
                self._entry.sha256,
                one.direction,
            )
            self._link.send(observed)
            read = {"score": round(one.score, 3), "frames": one.frames, "direction": str(one.direction)}
            log.info("plate read", camera=self.camera.name, **read)
        for unread in self.lane.take_unread():
            self._keep(unread, at_ms)

    def _keep(self, unread: Unread, at_ms: int) -> None:
        """No text in the log: the list on this site's disk alone has it."""
        self.unread += 1
        log.info("plate not read", camera=self.camera.name, why=unread.why, frames=unread.frames)
        try:
            self._refused.add(self.camera.name, unread, unread.seen_ms or at_ms)
        except VisionError as e:
            log.warning("what was not read is not kept", why=str(e))

    async def report(self) -> None:
        """Once a minute say what was counted, where pictures came at all."""
        before = 0
        while True:
            await asyncio.sleep(REPORT_S)
            if self.camera.taken != before:
                before = self.camera.taken
                counts = {"frames": self.read_frames, "dropped": self.camera.dropped, "bad": self.bad}
                counts |= {"still": self.lane.skipped, "not_read": self.unread}
                log.info("camera", camera=self.camera.name, visits=self.observations, **counts)
            with contextlib.suppress(VisionError):  # said when a row is added
                self._refused.prune(now_ms())
