"""A car at a barrier: it comes up the lane in front of the camera, waits, drives through or gives up."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any, Protocol

from sim.barrier import Barrier
from sim.camera import Camera, Picture
from sim.door import Record
from sim.errors import ActionError
from sim.plates import PlateKind, kind_of
from sim.timeline import Timeline

APPROACH_S = 3.0
PATIENCE_MS = 8000.0
LOOK_MS = 100.0  # how often the driver looks at the arm
REACTION_MS = 500.0
PASSAGE_MS = 2000.0
REVERSE_MS = 1500.0


class Scenes(Protocol):
    """What the renderer offers (sim.render.scene)."""

    def approach(
        self, text: str, kind: Any, *, seed: int, frames: int, width: int, height: int, background_seed: int
    ) -> Iterator[Picture]: ...

    def empty_scene(self, *, seed: int, width: int, height: int, background_seed: int) -> Any: ...


class Lane:
    """One lane: a barrier, the camera that looks at it, and at most one car at a time; others wait their turn."""

    def __init__(
        self,
        barrier: Barrier,
        camera: Camera,
        scenes: Scenes,
        timeline: Timeline,
        record: Record,
        *,
        size: tuple[int, int],
        fps: int,
        place: int,
    ) -> None:
        """`size` is width, height in pixels; `place` is the seed of the camera's surroundings."""
        self.barrier = barrier
        self.camera = camera
        self.plate: str | None = None  # of the car that is there now
        self._scenes = scenes
        self._timeline = timeline
        self._record = record
        self._size = {"width": size[0], "height": size[1], "background_seed": place}
        self._frames = max(2, round(APPROACH_S * fps))
        self._turn = asyncio.Lock()

    async def show_empty(self) -> None:
        """Nobody is in the lane."""
        await self.camera.show(lambda: self._scenes.empty_scene(seed=1, **self._size))

    async def visit(self, plate: str, seed: int, kind: PlateKind | None = None) -> bool:
        """One car comes and goes; whether it passed. `seed` makes each visit look different; without `kind` the plate
        looks as its text says.

        Raises ActionError for a plate that cannot be drawn.
        """
        async with self._turn:
            self.plate = plate
            try:
                return await self._visit(plate, seed, kind or kind_of(plate) or PlateKind.BLUE)
            except ValueError as e:
                raise ActionError(f"the plate {plate!r} cannot be drawn: {e}") from e
            finally:
                self.barrier.under_arm = False
                self.barrier.set_loop(False)
                self.plate = None
                await self.show_empty()

    async def _visit(self, plate: str, seed: int, kind: PlateKind) -> bool:
        name = self.barrier.name
        self._record("plate.shown", name, plate=plate)
        await self.camera.play(self._scenes.approach(plate, kind, seed=seed, frames=self._frames, **self._size))
        self.barrier.set_loop(True)
        self._record("car.waiting", name, plate=plate)
        if not await self._wait_for_arm():
            self._record("car.gave-up", name, plate=plate)
            await self._timeline.sleep(REVERSE_MS)
            return False
        self.barrier.under_arm = True
        self._record("car.passing", name, plate=plate)
        await self._timeline.sleep(PASSAGE_MS)
        self.barrier.under_arm = False
        self._record("car.passed", name, plate=plate)
        return True

    async def _wait_for_arm(self) -> bool:
        until_ms = self._timeline.now_ms + PATIENCE_MS
        while self._timeline.now_ms < until_ms:
            if self.barrier.is_up:
                await self._timeline.sleep(REACTION_MS)
                if self.barrier.is_up:
                    return True
            await self._timeline.sleep(LOOK_MS)
        return False
