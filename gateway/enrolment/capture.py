"""Collects references from a camera while somebody stands before it, and says what to do. Nothing touches a disk."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import cv2
import numpy as np

from gateway.enrolment import photo
from gateway.errors import VisionError
from gateway.vision.camera_folder import MAX_FRAME_BYTES, FolderCamera, RawFrame
from gateway.vision.faces.quality import Problem
from gateway.vision.faces.reader import FaceReader, Seen
from gateway.vision.picture import Picture, decode
from runtime.log import get

WANTED = 5  # references of one holder
WANTED_PHOTOS = 2  # at least, where they are photos: with two, a fifth as many holders are missed (docs/faces.md)
SAME_PHOTO = 0.999  # cosine; the same photo once more says nothing new
APART_S = 0.7  # between two of them, so that they are not one picture five times
LEAST_ALIKE = 0.5  # cosine; a reference less like the others is of somebody else, or of nobody
SHOWN_WIDTH = 960  # px
UNWATCHED_AFTER_S = 5.0
STALE_AFTER_S = 3.0  # a picture older than this is not what is there now
ABANDONED_AFTER_S = 300.0  # without a page that shows it, an enrolment is forgotten
GOOD, BAD = (60, 170, 40), (20, 140, 220)  # BGR
log = get("enrolment")


@dataclass(frozen=True, slots=True)
class Look:
    """The last picture: with the face's box drawn in, and what is wrong with it. at_s: monotonic."""

    number: int
    jpeg: bytes
    problems: tuple[Problem, ...]
    at_s: float


@dataclass(slots=True)
class Collection:
    """The references of one holder so far; `stranger`: somebody else stepped in. photos: from photos, no camera."""

    photos: bool = False
    references: list[np.ndarray] = field(default_factory=list)
    last_s: float = float("-inf")
    stranger: bool = False
    closed: bool = False

    @property
    def complete(self) -> bool:
        return len(self.references) >= (WANTED_PHOTOS if self.photos else WANTED)

    def offer(self, reference: np.ndarray, now_s: float) -> bool:
        """Take it if it is late enough and of the same person."""
        if self.closed or len(self.references) >= WANTED or now_s - self.last_s < APART_S:
            return False
        if self.references and float(np.mean(self.references, axis=0) @ reference) < LEAST_ALIKE:
            self.stranger = True
            return False
        self.stranger = False
        self.references.append(reference.astype(np.float32))
        self.last_s = now_s
        return True

    def holds(self, reference: np.ndarray) -> bool:
        """Whether this very picture is among them."""
        return any(float(one @ reference) > SAME_PHOTO for one in self.references)

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
    """One camera, or photos. It looks only while a page watches, and collects only between `begin` and `end`."""

    def __init__(
        self,
        camera: FolderCamera,
        faces: FaceReader,
        inference: ThreadPoolExecutor,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self.camera, self._faces, self._inference, self._now_s = camera, faces, inference, now_s
        self.last: Look | None = None
        self.collection: Collection | None = None
        self._watched_s = self._unusable_s = float("-inf")

    @property
    def model_sha256(self) -> str:
        return self._faces.embedder.sha256

    def watched(self) -> None:
        """Somebody looks now."""
        self._watched_s = self._now_s()

    @property
    def unwatched_s(self) -> float:
        """For how long no page has looked."""
        return self._now_s() - self._watched_s

    @property
    def now(self) -> Look | None:
        """The last picture while it shows what is there."""
        return self.last if self.last is not None and self._now_s() - self.last.at_s < STALE_AFTER_S else None

    @property
    def unusable(self) -> bool:
        """Whether the camera sends something, and none of it is a picture."""
        return self.now is None and self._now_s() - self._unusable_s < STALE_AFTER_S

    def begin(self, *, photos: bool = False) -> None:
        self.end()
        self.collection = Collection(photos)
        self.watched()

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
            collection = self.collection
            done = collection is None or collection.photos or collection.complete
            if collection is None or done or self.unwatched_s > UNWATCHED_AFTER_S:
                frame.forget()  # nobody is looked at longer than it needs
                self.last = None
                continue
            try:
                look = await loop.run_in_executor(self._inference, self._look, frame, collection)
                self.last = look if self.collection is collection else None  # it may have ended meanwhile
            except VisionError as e:
                self._unusable_s = self._now_s()
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
                collection.offer(self._faces.embed(picture, seen.face), self._now_s())
            number = (self.last.number if self.last else 0) + 1
            return Look(
                number, _drawn(picture, seen, good=not problems and not collection.stranger), problems, self._now_s()
            )
        finally:
            picture.fill(0)

    async def photo(self, data: bytes) -> str:
        """Take one reference from a photo; what came of it, as the key of a sentence: photo.* or problem.*."""
        self.watched()
        collection = self.collection
        if collection is None or not collection.photos:
            return "photo.ended"
        return await asyncio.get_running_loop().run_in_executor(self._inference, self._photo, data, collection)

    def _photo(self, data: bytes, collection: Collection) -> str:
        try:
            picture = photo.opened(data)
        except photo.PhotoError as e:
            return e.key
        try:
            seen = self._faces.nearest(picture)
            problems = seen.quality.problems if seen else (Problem.NO_FACE,)
            if seen is None or problems:
                return f"problem.{problems[0]}"
            reference = self._faces.embed(picture, seen.face)
            if collection.holds(reference):
                return "photo.same"
            if len(collection.references) >= WANTED:
                return "photo.enough"
            if collection.offer(reference, collection.last_s + 2 * APART_S if collection.references else self._now_s()):
                return "photo.taken"
            return "photo.stranger" if collection.stranger else "photo.ended"
        finally:
            picture.fill(0)
            self._faces.forget()


def references_of(faces: FaceReader, pictures: list[tuple[str, Picture]]) -> tuple[bytes, ...]:
    """From photos instead of a camera, in order; their pixels are overwritten. Raises VisionError: the first that
    cannot be used, and why."""
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
        for _, picture in pictures:
            picture.fill(0)
        collection.forget()
        faces.forget()


def _drawn(picture: Picture, seen: Seen | None, *, good: bool) -> bytes:
    shown = picture.copy()  # forgotten like the picture itself, once it is a JPEG
    if seen is not None:
        x, y, wide, high = (round(v) for v in seen.face.box)
        colour = GOOD if good else BAD
        cv2.rectangle(shown, (x, y), (x + wide, y + high), colour, max(2, shown.shape[1] // 300), cv2.LINE_AA)
    tall, broad = shown.shape[:2]
    if broad > SHOWN_WIDTH:
        large = shown
        shown = cv2.resize(large, (SHOWN_WIDTH, round(tall * SHOWN_WIDTH / broad)), interpolation=cv2.INTER_AREA)
        large.fill(0)
    jpeg = cv2.imencode(".jpg", shown, [cv2.IMWRITE_JPEG_QUALITY, 80])[1].tobytes()
    shown.fill(0)
    return jpeg
