"""The view of a camera for faces at a door: a drawn head, or its picture on paper or on a screen, for a while.

Heads are drawn from seeds (sim/render/heads) and are nobody's. All frames of a visit are drawn before the first is
shown, so that they come at the camera's pace.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sim.camera import Camera
from sim.door import Record
from sim.timeline import Timeline

if TYPE_CHECKING:
    from sim.render.heads.show import Frame

# Step -> how the drawing is made (sim.render.heads.show), and the facts at its beginning and end.
KINDS = {
    "walk_up": ("live", "person.stands", "person.left"),
    "show_photo": ("print_flat", "photo.shown", "photo.gone"),
    "show_screen": ("screen_video", "screen.shown", "screen.gone"),
}
# Radians. Who holds up a photo turns it to and fro, as a head would; one held still is neither believed nor accused.
PHOTO_TILT = 0.3
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
    ) -> None:
        """`size` is width, height in pixels; `place` is the seed of the camera's surroundings."""
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
            frames = await asyncio.to_thread(drawn, kind, face, seed, self._size, self._fps, for_s)
            self._record(shown, self._door, who=who)
            try:
                await self.camera.play(iter(frames))
                self._record(gone, self._door, who=who)
            finally:
                await self.show_empty()


def drawn(kind: str, face: int, seed: int, size: tuple[int, int], fps: int, for_s: float) -> Sequence[Frame]:
    """The frames of `for_s` seconds at `fps`: the same for the same numbers."""
    from sim.render.heads import show
    from sim.render.heads.raster import Camera as Lens

    times_ms = tuple(round(n * 1000 / fps) for n in range(max(2, round(for_s * fps))))
    lens = Lens(size[0], size[1], FOCAL_OF_HEIGHT * min(size))
    stage = show.Stage(times_ms=times_ms, camera=lens, tilt=PHOTO_TILT if kind == "print_flat" else None)
    return show.play(kind, face, stage, visit=seed)


def _nobody(size: tuple[int, int], place: int) -> Any:
    import numpy as np

    from sim.render.heads.camera import Sensor, take, wall

    rng = np.random.default_rng(place)
    return take(wall(rng, *size), Sensor(), rng)
