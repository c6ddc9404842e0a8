"""One camera under somebody's eyes: the newest picture, read while a page is open, kept until the next one."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import cv2
import numpy as np

from gateway.aiming.hints import Sight, sight
from gateway.errors import VisionError
from gateway.vision.camera_folder import MAX_FRAME_BYTES, FolderCamera, RawFrame
from gateway.vision.picture import decode
from gateway.vision.reader import PlateFound, PlateReader
from runtime.log import get

EVERY_S = 0.3  # a person turning a camera needs no more than three looks a second
UNWATCHED_AFTER_S = 5.0
SHOWN_WIDTH = 1280  # px; larger pictures are shrunk for the page
READ, REFUSED = (60, 170, 40), (40, 60, 220)  # BGR
log = get("aiming")


@dataclass(frozen=True, slots=True)
class Look:
    """The last picture that was read. `jpeg` has the outlines drawn in; `text` is None where nothing was legible."""

    number: int
    at_s: float
    jpeg: bytes
    seen: Sight | None
    text: str | None
    score: float


class Looking:
    """Reads one camera's newest pictures while `watched` is called from time to time; nothing touches a disk."""

    def __init__(self, camera: FolderCamera, plates: PlateReader, inference: ThreadPoolExecutor) -> None:
        self.camera, self._plates, self._inference = camera, plates, inference
        self.last: Look | None = None
        self._watched_s = float("-inf")

    def watched(self) -> None:
        """Somebody looks now."""
        self._watched_s = time.monotonic()

    async def run(self) -> None:
        """Until cancelled. A picture that cannot be decoded is skipped; while nobody looks, none is read."""
        loop = asyncio.get_running_loop()
        while True:
            frame = await self.camera.next_frame()
            if time.monotonic() - self._watched_s > UNWATCHED_AFTER_S:
                self.last = None
                continue
            try:
                self.last = await loop.run_in_executor(self._inference, self._look, frame)
            except VisionError as e:
                log.warning("picture skipped", camera=self.camera.name, why=str(e))
            await asyncio.sleep(EVERY_S)

    def _look(self, frame: RawFrame) -> Look:
        picture = decode(frame.data, frame.name, max_bytes=MAX_FRAME_BYTES)
        found = self._plates.find(picture)
        legible = [f for f in found if f.reading.refused is None]
        largest = max(legible or found, key=lambda f: f.box[2], default=None)
        reading = largest.reading if largest is not None and largest.reading.refused is None else None
        return Look(
            (self.last.number if self.last else 0) + 1,
            time.monotonic(),
            _drawn(picture, found),
            sight(picture, largest.corners) if largest is not None else None,
            reading.text if reading else None,
            reading.score if reading else 0.0,
        )


def _drawn(picture: np.ndarray, found: list[PlateFound]) -> bytes:
    """The picture for the page, plates outlined: green was legible, red was not."""
    shown = picture.copy()
    thick = max(2, shown.shape[1] // 400)
    for one in found:
        colour = READ if one.reading.refused is None else REFUSED
        cv2.polylines(shown, [one.corners.round().astype(np.int32)], True, colour, thick, cv2.LINE_AA)
    high, wide = shown.shape[:2]
    if wide > SHOWN_WIDTH:
        shown = cv2.resize(shown, (SHOWN_WIDTH, round(high * SHOWN_WIDTH / wide)), interpolation=cv2.INTER_AREA)
    return cv2.imencode(".jpg", shown, [cv2.IMWRITE_JPEG_QUALITY, 80])[1].tobytes()
