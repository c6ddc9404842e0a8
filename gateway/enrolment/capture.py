"""Collects references from a camera while somebody stands before it, and says what to do. Nothing touches a disk."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import cv2
import numpy as np

from gateway.errors import VisionError
from gateway.vision.camera_folder import MAX_FRAME_BYTES, FolderCamera, RawFrame
from gateway.vision.faces.quality import Problem
from gateway.vision.faces.reader import FaceReader, Seen
from gateway.vision.picture import Picture, decode
from runtime.log import get

WANTED = 5  # references of one holder
APART_S = 0.7  # between two of them, so that they are not one picture five times
LEAST_ALIKE = 0.5  # cosine; a reference less like the others is of somebody else, or of nobody
SHOWN_WIDTH = 960  # px
UNWATCHED_AFTER_S = 5.0
GOOD, BAD = (60, 170, 40), (20, 140, 220)  # BGR
log = get("enrolment")


@dataclass(frozen=True, slots=True)
class Look:
    """The last picture: with the face's box drawn in, and what is wrong with it."""

    number: int
    jpeg: bytes
    problems: tuple[Problem, ...]


@dataclass(slots=True)
class Collection:
    """The references of one holder so far; `stranger`: somebody else stepped in."""

    references: list[np.ndarray] = field(default_factory=list)
    last_s: float = float("-inf")
    stranger: bool = False
    closed: bool = False

    @property
    def complete(self) -> bool:
        return len(self.references) >= WANTED

    def offer(self, reference: np.ndarray, now_s: float) -> bool:
        """Take it if it is late enough and of the same person."""
        if self.closed or self.complete or now_s - self.last_s < APART_S:
            return False
        if self.references and float(np.mean(self.references, axis=0) @ reference) < LEAST_ALIKE:
            self.stranger = True
            return False
        self.stranger = False
        self.references.append(reference.astype(np.float32))
        self.last_s = now_s
        return True

    def packed(self) -> tuple[bytes, ...]:
        """Little-endian float32, as EnrolFace takes them."""
        return tuple(r.astype("<f4").tobytes() for r in self.references)

    def forget(self) -> None:
        """Overwrite and drop; nothing more is taken."""
        self.closed = True
        for reference in self.references:
            reference.fill(0)
        self.references.clear()


class Capture:
    """One camera. It looks only while a page watches, and collects only between `begin` and `end`."""

    def __init__(self, camera: FolderCamera, faces: FaceReader, inference: ThreadPoolExecutor) -> None:
        self.camera, self._faces, self._inference = camera, faces, inference
        self.last: Look | None = None
        self.collection: Collection | None = None
        self._watched_s = float("-inf")

    @property
    def model_sha256(self) -> str:
        return self._faces.embedder.sha256

    def watched(self) -> None:
        """Somebody looks now."""
        self._watched_s = time.monotonic()

    def begin(self) -> None:
        self.end()
        self.collection = Collection()

    def end(self) -> None:
        """Forget what was collected and seen."""
        if self.collection is not None:
            self.collection.forget()
        self.collection = self.last = None
        self._inference.submit(self._faces.forget)  # in the thread that infers: the nets are not for two

    async def run(self) -> None:
        """Until cancelled. A picture that cannot be decoded is skipped."""
        loop = asyncio.get_running_loop()
        while True:
            frame = await self.camera.next_frame()
            if self.collection is None or time.monotonic() - self._watched_s > UNWATCHED_AFTER_S:
                self.last = None
                continue
            try:
                self.last = await loop.run_in_executor(self._inference, self._look, frame, self.collection)
            except VisionError as e:
                log.warning("picture skipped", camera=self.camera.name, why=str(e))

    def _look(self, frame: RawFrame, collection: Collection) -> Look:
        try:
            picture = decode(frame.data, frame.name, max_bytes=MAX_FRAME_BYTES)
        finally:
            frame.forget()
        try:
            seen = self._faces.nearest(picture)
            problems = seen.quality.problems if seen else (Problem.NO_FACE,)
            if seen is not None and not problems:
                collection.offer(self._faces.embed(picture, seen.face), time.monotonic())
            return Look((self.last.number if self.last else 0) + 1, _drawn(picture, seen), problems)
        finally:
            picture.fill(0)


def references_of(faces: FaceReader, pictures: list[tuple[str, Picture]]) -> tuple[bytes, ...]:
    """From photos instead of a camera, in order. Raises VisionError: the first that cannot be used, and why."""
    from gateway.vision.faces.quality import SENTENCES

    collection = Collection()
    try:
        for number, (name, picture) in enumerate(pictures):
            seen = faces.nearest(picture)
            problems = seen.quality.problems if seen else (Problem.NO_FACE,)
            if seen is None or problems:
                raise VisionError(f"{name}: {SENTENCES[problems[0]]['en']}")
            if not collection.offer(faces.embed(picture, seen.face), number * APART_S * 2):
                why = "shows somebody else than the others" if collection.stranger else f"is more than {WANTED}"
                raise VisionError(f"{name}: this photo {why}; leave it out")
        return collection.packed()
    finally:
        collection.forget()
        faces.forget()


def _drawn(picture: Picture, seen: Seen | None) -> bytes:
    shown = picture.copy()
    if seen is not None:
        x, y, wide, high = (round(v) for v in seen.face.box)
        colour = BAD if seen.quality.problems else GOOD
        cv2.rectangle(shown, (x, y), (x + wide, y + high), colour, max(2, shown.shape[1] // 300), cv2.LINE_AA)
    tall, broad = shown.shape[:2]
    if broad > SHOWN_WIDTH:
        shown = cv2.resize(shown, (SHOWN_WIDTH, round(tall * SHOWN_WIDTH / broad)), interpolation=cv2.INTER_AREA)
    return cv2.imencode(".jpg", shown, [cv2.IMWRITE_JPEG_QUALITY, 80])[1].tobytes()
