"""The enrolment desk over a real store and policy, its models real, its browser httpx."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import pytest
from fastapi import FastAPI

from gateway.enrolment.capture import Capture
from gateway.enrolment.page import create
from gateway.enrolment.showing import Named
from gateway.errors import OperationRefusedError, VisionError
from gateway.operations import faces as operations
from gateway.operations.messages import EnrolFace, EnrolledFace, FaceReceipt, FacesAnswer, ListFaces, WithdrawFace
from gateway.vision.camera_folder import FolderCamera
from gateway.vision.faces.reader import FaceReader, load
from runtime.errors import UserError
from sim.render.heads import show

for room in ("store", "pages"):
    sys.path.append(str(Path(__file__).parents[1] / room))


@dataclass
class CoreOf:
    """A desk behind core's own operations, without the socket between."""

    desk: object
    asked: list[EnrolFace] = field(default_factory=list)

    async def _ask(self, request):
        try:
            return await operations.perform(self.desk, request)
        except UserError as e:
            raise OperationRefusedError(str(e), getattr(e, "code", ""), getattr(e, "about", "")) from e

    async def faces(self) -> FacesAnswer:
        return await self._ask(ListFaces())

    async def enrol_face(self, request: EnrolFace) -> EnrolledFace:
        self.asked.append(request)
        return (await self._ask(request)).face

    async def withdraw_face(self, holder: str, operator: str) -> FaceReceipt:
        return (await self._ask(WithdrawFace(holder, operator))).receipt


@dataclass
class Office:
    """Everything of one desk. `now_s`: the monotonic clock of its camera, turned by hand."""

    core: CoreOf
    capture: Capture
    app: FastAPI
    folder: Path
    camera: Path
    now_s: list[float]
    until: str  # a day within consent's longest


@pytest.fixture(scope="session")
def reader() -> FaceReader:
    cv2.setNumThreads(1)
    try:
        return load(must_be_accepted=False)
    except VisionError as e:
        pytest.skip(f"the face models are not here: {e}")


def jpeg(seed: int, visit: int = 0) -> bytes:
    """A photo of a drawn person; another visit is another day."""
    frame = show.play(show.LIVE, seed, show.Stage(times_ms=(0,)), visit=visit)[0]
    return cv2.imencode(".jpg", np.ascontiguousarray(frame.image.astype(np.uint8)))[1].tobytes()


@pytest.fixture(scope="session")
def photos() -> dict[str, bytes]:
    """Two of one person, one of another."""
    return {"lin": jpeg(4), "lin-again": jpeg(4, visit=1), "other": jpeg(1)}


@pytest.fixture
async def office(tmp_path: Path, reader: FaceReader, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Office]:
    from datetime import timedelta
    from zoneinfo import ZoneInfo

    from test_face_desk import DAY, FACES_TOO, NOW_MS, FaceRig

    monkeypatch.delenv("ZHIAN_PAGE_TOKEN", raising=False)
    rig = FaceRig(tmp_path)
    rig.policy.clock.days_later = (time.time_ns() // 1_000_000 - NOW_MS) // DAY
    await rig.policy.desk.replace(rig.policy.upload(FACES_TOO), None, "chen")
    camera = tmp_path / "camera"
    camera.mkdir()
    now_s = [1000.0]
    core = CoreOf(rig.desk)
    named = Named(ZoneInfo("Asia/Shanghai"), ("花园小区", "Garden"), {"lobby": ("单元门", "Lobby door")})
    with ThreadPoolExecutor(1) as inference:
        capture = Capture(FolderCamera("desk", camera), reader, inference, now_s=lambda: now_s[0])
        app = create(core, capture, named, lambda zone: rig.policy.clock.local())
        work = [asyncio.create_task(w) for w in (capture.camera.watch(), capture.run())]
        until = f"{rig.policy.clock.local() + timedelta(days=30):%Y-%m-%d}"
        yield Office(core, capture, app, tmp_path, camera, now_s, until)
        for task in work:
            task.cancel()
        await asyncio.gather(*work, return_exceptions=True)
    rig.desk.close()
