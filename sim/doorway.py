"""The view of a camera at a door: somebody walks up, stands there for a while, and walks away."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any, Protocol

from sim.camera import Camera, Picture
from sim.door import Record
from sim.timeline import Timeline

APPROACH_S = 2.5
STAY_S = 3.0


class Figures(Protocol):
    """What the renderer offers (sim.render.person)."""

    def walk_up(
        self, *, seed: int, frames: int, width: int, height: int, background_seed: int
    ) -> Iterator[Picture]: ...

    def nobody(self, *, seed: int, width: int, height: int, background_seed: int) -> Any: ...


class Doorway:
    """One door with a camera. At most one person is drawn at a time; others wait their turn."""

    def __init__(
        self,
        door: str,
        camera: Camera,
        figures: Figures,
        timeline: Timeline,
        record: Record,
        *,
        size: tuple[int, int],
        fps: int,
        place: int,
    ) -> None:
        """`size` is width, height in pixels; `place` is the seed of the camera's surroundings."""
        self.camera = camera
        self._door = door
        self._figures = figures
        self._timeline = timeline
        self._record = record
        self._size = {"width": size[0], "height": size[1], "background_seed": place}
        self._frames = max(2, round(APPROACH_S * fps))
        self._turn = asyncio.Lock()

    async def show_empty(self) -> None:
        """Nobody is there."""
        await self.camera.show(lambda: self._figures.nobody(seed=1, **self._size).image)

    async def visit(self, who: str, seed: int, for_s: float = STAY_S) -> None:
        """Somebody comes, stands there `for_s`, and goes. `seed` makes each visit look different."""
        async with self._turn:
            try:
                self._record("person.approached", self._door, who=who)
                await self.camera.play(self._figures.walk_up(seed=seed, frames=self._frames, **self._size))
                self._record("person.stands", self._door, who=who)
                await self._timeline.sleep(for_s * 1000)
                self._record("person.left", self._door, who=who)
            finally:
                await self.show_empty()
