"""Faces at this site: models, thresholds and error rates as gateway.toml asks for them; off where they are not here."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from gateway.errors import VisionError
from gateway.vision.faces import reader as readers
from gateway.vision.faces import report, threshold
from gateway.vision.faces.asking import Asking, Wanted
from gateway.vision.faces.memory import overwrite_freed
from gateway.vision.faces.own_model import own_thresholds
from gateway.vision.faces.presentation import Judge, judge
from gateway.vision.faces.reader import FaceReader
from gateway.vision.faces.watch import Camera, Enrolled, FaceWatch, Told
from runtime.log import get

log = get("faces")


@dataclass(frozen=True, slots=True)
class Asked:
    """What gateway.toml asks for. own: TOML of the operator's embedding model. wanted: by camera, what its portal asks
    of a face, where that is not the default."""

    own: Path | None
    fpir: float
    fmr: float
    agreeing_frames: int
    threads: int
    is_real_site: bool
    wanted: Mapping[str, Wanted] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FacesOfSite:
    """What every face camera of this process shares."""

    reader: FaceReader
    enrolled: Enrolled
    judge: Judge
    agreeing_frames: int
    wanted: Mapping[str, Wanted] = field(default_factory=dict)
    watches: list[FaceWatch] = field(default_factory=list)

    def watch(self, camera: Camera, send: Callable[[Told], None], inference: ThreadPoolExecutor) -> FaceWatch:
        """One camera's watch."""
        asking = Asking(camera.name, self.wanted.get(camera.name, Wanted()), os.urandom)
        here = (camera, self.reader, self.enrolled, self.judge, send, inference)
        self.watches.append(FaceWatch(*here, agreeing_frames=self.agreeing_frames, asking=asking))
        return self.watches[-1]

    def hear(self, line: bytes, at_ms: int) -> None:
        """A line of core's, which came at that moment. One that cannot be used is logged, and nothing changes."""
        try:
            told = report.parse(line)
            if isinstance(told, report.AloneLine | report.ShownLine):
                for watch in self.watches:
                    watch.heard(told, at_ms)
            else:
                self.enrolled.take(told)
        except ValueError as e:
            log.warning("core's line was not used", why=str(e))

    def listener(self, inference: ThreadPoolExecutor) -> Callable[[bytes], None]:
        """Takes core's lines to the inferring thread, which alone touches the gallery."""

        def heard(line: bytes) -> None:
            # The moment at which it came: a frame may be under way for some tenths of a second.
            asyncio.get_running_loop().run_in_executor(inference, self.hear, line, self.enrolled.now_ms())

        return heard


def open_faces(asked: Asked, now_ms: Callable[[], int]) -> FacesOfSite | None:
    """Load what is asked for. On a simulated site without the weights faces are off, which is said once.

    Raises VisionError on a real site where the models are missing or not accepted; ConfigError for a bad TOML.
    """
    try:
        reader = readers.load(own=asked.own, threads=asked.threads, must_be_accepted=asked.is_real_site)
        sha256 = reader.embedder.sha256
        if asked.own is not None:
            table = own_thresholds(asked.own)
        else:
            table = threshold.read_thresholds(threshold.SHIPPED, sha256)
    except VisionError as e:
        if asked.is_real_site:
            raise
        log.warning("faces are off", why=str(e))
        return None
    if not overwrite_freed():
        log.warning("this system's memory allocator cannot overwrite what is freed")
    length = next(iter(reader.embedder.net.output_shapes.values()))[-1]
    enrolled = Enrolled(table, asked.fpir, asked.fmr, length, sha256, now_ms)
    return FacesOfSite(reader, enrolled, judge, asked.agreeing_frames, asked.wanted)
