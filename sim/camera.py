"""A camera that looks at a lane: JPEG files that appear in a folder, whole and in the order of time.

It writes `fps` pictures a second while something moves and one a second otherwise, and keeps the newest KEPT files.
A picture of something that stands still has new sensor noise each time: no camera takes the same picture twice.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from sim.errors import SimError
from sim.timeline import Timeline

KEPT = 50  # files
IDLE_MS = 1000.0
JPEG_QUALITY = 85
GRAIN = 4  # grey levels of noise at most, each way, in pictures of something that stands still


class Picture(Protocol):
    """A frame as the renderer makes it; `image` is HxWx3 uint8, BGR."""

    @property
    def image(self) -> Any: ...


Offload = Callable[..., Awaitable[Any]]


class Camera:
    """One folder of pictures. `play` shows frames that move, `show` changes what stands still."""

    def __init__(
        self, name: str, folder: Path, timeline: Timeline, *, fps: int, offload: Offload = asyncio.to_thread
    ) -> None:
        """`offload(function, *arguments)` runs drawing and writing where they do not hold up the world."""
        self.name = name
        self.written = 0
        self._folder = folder
        self._timeline = timeline
        self._frame_ms = 1000.0 / fps
        self._offload = offload
        self._still: Any = None
        self._grain = np.random.default_rng(0)
        self._moving = asyncio.Lock()
        self._files: deque[Path] = deque()
        self._last_ms = -1

    def open(self) -> None:
        """Make the folder and empty it of what an earlier run left. Raises SimError."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            for old in [*self._folder.glob("*.jpg"), *self._folder.glob(".*.part")]:
                old.unlink()
        except OSError as e:
            raise SimError(f"camera {self.name!r}: {self._folder} cannot be used ({e.strerror}); check it") from e

    async def run(self) -> None:
        """Write the still picture once a second until cancelled."""
        while True:
            if self._still is not None and not self._moving.locked():
                await self._write(await self._offload(self._again, self._still))
            await self._timeline.sleep(IDLE_MS)

    async def show(self, draw: Callable[[], Any]) -> None:
        """From now on the picture that `draw()` returns is what the camera sees while nothing moves."""
        self._still = await self._offload(draw)

    async def play(self, frames: Iterator[Picture]) -> int:
        """Write frames at the camera's rate; the last one stays. Returns how many there were."""
        count = 0
        async with self._moving:
            while True:
                due_ms = self._timeline.now_ms + self._frame_ms
                image = await self._offload(_next_image, frames)
                if image is None:
                    return count
                await self._write(await self._offload(encode, image))
                self._still = image
                count += 1
                await self._timeline.sleep(due_ms - self._timeline.now_ms)

    def _again(self, image: Any) -> bytes:
        """The same view once more, as JPEG."""
        grain = self._grain.integers(-GRAIN, GRAIN + 1, image.shape, dtype=np.int16)
        return encode(np.clip(image + grain, 0, 255).astype(np.uint8))

    async def _write(self, jpeg: bytes) -> None:
        now_ms = max(int(self._timeline.now_ms), self._last_ms + 1)
        self._last_ms = now_ms
        path = self._folder / f"{now_ms:012d}.jpg"
        self._files.append(path)
        old = self._files.popleft() if len(self._files) > KEPT else None
        await self._offload(_replace, path, jpeg, old)
        self.written += 1


def encode(image: Any) -> bytes:
    """A picture as JPEG. Raises SimError where it is none."""
    import cv2

    ok, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    if not ok:
        raise SimError("a rendered picture could not be written as JPEG")
    return bytes(data)


def _next_image(frames: Iterator[Picture]) -> Any:
    frame = next(frames, None)
    return None if frame is None else frame.image


def _replace(path: Path, jpeg: bytes, old: Path | None) -> None:
    """Write under another name and move in, so that nobody reads half a file."""
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(jpeg)
    part.replace(path)
    if old is not None:
        old.unlink(missing_ok=True)
