"""The view of a camera for faces at a door: a drawn head, or its picture on paper or on a screen, for a while.

Heads are drawn from seeds (sim/render/heads) and are nobody's. At a door that asks nothing of a face all frames of a
visit are drawn before the first is shown, so that they come at the camera's pace. Elsewhere each is drawn as the door
is then: its light falls on what is there, and who stands there reads its display and does what it says.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sim.camera import Camera
from sim.door import Door, Record
from sim.timeline import Timeline

if TYPE_CHECKING:
    from sim.render.heads.motion import Act
    from sim.render.heads.show import Frame, Stage

# Step -> how the drawing is made (sim.render.heads.show), and the facts at its beginning and end.
KINDS = {
    "walk_up": ("live", "person.stands", "person.left"),
    "show_photo": ("print_flat", "photo.shown", "photo.gone"),
    "show_screen": ("screen_video", "screen.shown", "screen.gone"),
}
# Radians. Who holds up a photo turns it to and fro, as a head would; one held still is neither believed nor accused.
PHOTO_TILT = 0.3
# What somebody who reads this word on the display does.
WORDS = {"look": "look", "left": "turn_left", "right": "turn_right", "nod": "nod", "blink": "blink"}
READS_MS, TAKES_MS = (350, 650), (950, 1200)  # from a new text to the beginning of the movement; how long that takes
FILM_S = 6  # of a video, which is played again and again
VIDEO_EVERY_MS = 2000  # whoever filmed the holder had them do something as often, in an order of their own
FOCAL_OF_HEIGHT = 560 / 360  # as the heads' own camera: a face fills about a third of the picture at arm's length


class FaceDoorway:
    """One door with a camera for faces. One visit at a time; others wait their turn."""

    def __init__(
        self,
        door: str,
        camera: Camera,
        timeline: Timeline,
        record: Record,
        *,
        size: tuple[int, int],
        fps: int,
        place: int,
        asks: Door | None = None,
    ) -> None:
        """`size` is width, height in pixels; `place` is the seed of the camera's surroundings; `asks`: the door, where
        it asks something of a face."""
        self._asks = asks
        self.camera = camera
        self._door, self._timeline, self._record = door, timeline, record
        self._size, self._fps, self._place = size, fps, place
        self._turn = asyncio.Lock()

    async def show_empty(self) -> None:
        """Nobody is there."""
        await self.camera.show(lambda: _nobody(self._size, self._place))

    async def visit(self, do: str, who: str, face: int, seed: int, for_s: float) -> None:
        """What the step `do` says is before the camera for `for_s`. `face`: whose head; `seed`: how it moves."""
        kind, shown, gone = KINDS[do]
        async with self._turn:
            frames = await asyncio.to_thread(self._drawn, kind, face, seed, for_s)
            self._record(shown, self._door, who=who)
            try:
                await self.camera.play(frames)
                self._record(gone, self._door, who=who)
            finally:
                await self.show_empty()

    def _drawn(self, kind: str, face: int, seed: int, for_s: float) -> Iterator[Frame]:
        if self._asks is None:
            return iter(drawn(kind, face, seed, self._size, self._fps, for_s))
        return followed(kind, face, seed, self._size, self._fps, for_s, Reader(self._asks, self._timeline, seed))


class Reader:
    """Somebody who stands before a door: its display in, what they do out, on the clock of the frames."""

    def __init__(self, door: Door, timeline: Timeline, seed: int) -> None:
        self._door, self._timeline = door, timeline
        self._begun_ms: float | None = None
        self._rng = random.Random(seed)
        self._read = ""
        self._acts: list[Act] = []

    def now_ms(self) -> int:
        """Since they were asked first: since they came."""
        if self._begun_ms is None:
            self._begun_ms = self._timeline.now_ms
        return round(self._timeline.now_ms - self._begun_ms)

    def acts(self, at_ms: int) -> Sequence[Act]:
        """What they have begun or will do, as of the frame of this moment."""
        from sim.render.heads.motion import Act

        text = self._door.text.lower()
        if text != self._read:
            self._read = text
            what = next((act for word, act in WORDS.items() if word in text.split()), None)
            if what is not None:
                begins_ms = at_ms + self._rng.randint(*READS_MS)
                self._acts.append(Act(what, begins_ms, self._rng.randint(*TAKES_MS)))
        return self._acts

    def lamp(self) -> bool:
        """Whether the reader's light is on."""
        return self._door.led != "off"


def followed(
    kind: str, face: int, seed: int, size: tuple[int, int], fps: int, for_s: float, reader: Reader
) -> Iterator[Frame]:
    """As `drawn`, each frame when it is asked for: the door as it is then."""
    from sim.render.heads import show

    times_ms = tuple(round(n * 1000 / fps) for n in range(max(2, round(for_s * fps))))
    stage = _stage(kind, times_ms, size, _filmed(seed, times_ms[-1]) if kind == "screen_video" else ())
    stage = replace(stage, source_frames=FILM_S * fps)
    return show.follow(kind, face, stage, show.Present(reader.now_ms, reader.acts, reader.lamp), visit=seed)


def _filmed(seed: int, until_ms: int) -> tuple[Act, ...]:
    """What the person of a video did: drawn by themselves, not by the door."""
    from sim.render.heads.motion import ACTS, Act

    rng = random.Random(f"film/{seed}")
    every = range(VIDEO_EVERY_MS // 2, until_ms, VIDEO_EVERY_MS)
    return tuple(Act(rng.choice(ACTS), at_ms, rng.randint(*TAKES_MS)) for at_ms in every)


def drawn(kind: str, face: int, seed: int, size: tuple[int, int], fps: int, for_s: float) -> Sequence[Frame]:
    """The frames of `for_s` seconds at `fps`: the same for the same numbers."""
    from sim.render.heads import show

    times_ms = tuple(round(n * 1000 / fps) for n in range(max(2, round(for_s * fps))))
    return show.play(kind, face, _stage(kind, times_ms, size, ()), visit=seed)


def _stage(kind: str, times_ms: tuple[int, ...], size: tuple[int, int], filmed: tuple[Act, ...]) -> Stage:
    from sim.render.heads import show
    from sim.render.heads.raster import Camera as Lens

    lens = Lens(size[0], size[1], FOCAL_OF_HEIGHT * min(size))
    tilt = PHOTO_TILT if kind == "print_flat" else None
    return show.Stage(times_ms=times_ms, camera=lens, tilt=tilt, source_acts=filmed)


def _nobody(size: tuple[int, int], place: int) -> Any:
    import numpy as np

    from sim.render.heads.camera import Sensor, take, wall

    rng = np.random.default_rng(place)
    return take(wall(rng, *size), Sensor(), rng)
