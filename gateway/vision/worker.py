"""The vision process: one task per camera, one thread that infers, one line to core. It decides nothing."""

from __future__ import annotations

import asyncio
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
from gateway.vision.picture import decode
from gateway.vision.reader import PlateFound, PlateReader, load_default, load_vote
from gateway.vision.visit import Visits
from runtime import systemd
from runtime.log import get

NICENESS = 10  # a door's decision goes before a picture
REPORT_S = 60.0
log = get("vision")


def now_ms() -> int:
    return time.time_ns() // 1_000_000


async def run(config_file: Path) -> None:
    """Read plates of every camera in gateway.toml until cancelled. Raises ConfigError, VisionError at start."""
    config = configuration.read(config_file)
    os.nice(NICENESS)
    cv2.setNumThreads(1)
    plates = _reader(config)
    link = CoreLink(configuration.vision_socket(config_file, config), plates.entry.name, plates.entry.sha256, now_ms)
    cameras = _cameras(config_file, config)
    with ThreadPoolExecutor(1, thread_name_prefix="infer") as inference:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(link.run())
            watching = [Watch(camera, config.vision, plates, link, inference) for camera in cameras]
            for watch in watching:
                tasks.create_task(watch.camera.watch())
                tasks.create_task(watch.read())
                tasks.create_task(watch.report())
            log.info("vision is running", cameras=[c.name for c in cameras], model=plates.entry.sha256[:12])
            systemd.ready(f"{len(cameras)} cameras")


def _reader(config: GatewayConfig) -> PlateReader:
    """Ours, or the published one, which reads the text while ours says the kind. Raises VisionError."""
    threads = config.vision.threads
    if config.vision.reader == "own":
        return load_default(threads=threads)
    return load_vote(threads=threads, must_be_accepted=config.site.kind == "real", own_votes=False)


def _cameras(config_file: Path, config: GatewayConfig) -> list[FolderCamera]:
    found = []
    for camera in config.camera:
        _, _, folder = camera.source.partition(":")
        found.append(FolderCamera(camera.name, configuration.resolve(config_file, folder)))
    return found


class Watch:
    """One camera's frames to observations."""

    def __init__(
        self, camera: FolderCamera, settings: Vision, plates: PlateReader, link: CoreLink, inference: ThreadPoolExecutor
    ) -> None:
        self.camera, self._plates, self._link, self._inference = camera, plates, link, inference
        self._visits = Visits(settings.min_score, settings.agreeing_frames)
        self.bad = self.read_frames = self.observations = 0

    async def read(self) -> None:
        """Frame after frame until cancelled. A picture that cannot be decoded is counted and skipped."""
        loop = asyncio.get_running_loop()
        while True:
            frame = await self.camera.next_frame()
            try:
                found = await loop.run_in_executor(self._inference, self._find, frame)
            except VisionError as e:
                self.bad += 1
                if self.bad & (self.bad - 1) == 0:  # 1st, 2nd, 4th, 8th ...: never a flood
                    log.warning("picture skipped", camera=self.camera.name, why=str(e), skipped=self.bad)
                continue
            self.read_frames += 1
            self._see(frame, found)

    def _find(self, frame: RawFrame) -> list[PlateFound]:
        return self._plates.find(decode(frame.data, frame.name, max_bytes=MAX_FRAME_BYTES))

    def _see(self, frame: RawFrame, found: list[PlateFound]) -> None:
        legible = [f for f in found if f.reading.refused is None]
        nearest = max(legible or found, key=lambda f: f.box[2], default=None)  # the car at the arm is the largest
        seen = self._visits.frame(frame.seen_ms, nearest.reading if nearest else None)
        if seen is None:
            return
        self.observations += 1
        entry = self._plates.entry
        observed = PlateRead(
            self.camera.name, seen.text, seen.kind, seen.score, frame.seen_ms, entry.name, entry.sha256
        )
        self._link.send(observed)
        log.info("plate read", camera=self.camera.name, score=round(seen.score, 3), frames=seen.frames)

    async def report(self) -> None:
        """Once a minute say what was counted, where pictures came at all."""
        before = 0
        while True:
            await asyncio.sleep(REPORT_S)
            if self.camera.taken != before:
                before = self.camera.taken
                counts = {"frames": self.read_frames, "dropped": self.camera.dropped, "bad": self.bad}
                log.info("camera", camera=self.camera.name, visits=self.observations, **counts)
