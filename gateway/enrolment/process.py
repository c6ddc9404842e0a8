"""The process of the desk: its camera, its models, its page, until it is told to stop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from zoneinfo import ZoneInfo

import cv2

from gateway import config as configuration
from gateway.enrolment.capture import Capture
from gateway.enrolment.page import create
from gateway.enrolment.showing import Named
from gateway.errors import VisionError
from gateway.operations.client import OperationsClient
from gateway.vision.camera_folder import FolderCamera
from gateway.vision.faces.memory import overwrite_freed
from gateway.vision.faces.reader import load
from pages import serving
from runtime import core_dumps

ABANDONED_LOOK_S = 5.0


async def serve(config_file: Path, camera: str | None, host: str, port: int) -> None:
    """The desk for one camera until cancelled. Raises ConfigError, PageError, VisionError."""
    core_dumps.forbid()
    config = configuration.read(config_file)
    named = {c.name: c for c in config.camera}
    chosen = camera or next((c.name for c in config.camera if c.purpose == "face"), None)
    if chosen is None or chosen not in named:
        wanted = f"one of {', '.join(named)}" if named else "a [[camera]] in gateway.toml"
        raise VisionError(
            f"camera for enrolment: expected {wanted}, got {camera or 'none for faces'}; name it with --camera"
        )
    cv2.setNumThreads(1)
    overwrite_freed()
    faces = load(threads=config.vision.threads, must_be_accepted=config.site.kind == "real")
    source = configuration.resolve(config_file, named[chosen].source.partition(":")[2])
    client = OperationsClient(configuration.operations_socket(config_file, config))
    portals = {one.name: (one.label.zh, one.label.en) for one in (*config.door, *config.barrier)}
    label = (config.site.label.zh, config.site.label.en)
    with ThreadPoolExecutor(1, thread_name_prefix="infer") as inference:
        capture = Capture(FolderCamera(chosen, source), faces, inference)
        app = create(client, capture, Named(ZoneInfo(config.site.timezone), label, portals))
        async with asyncio.TaskGroup() as tasks:
            work = (capture.camera.watch(), capture.run(), _forgetting(app.state.forget_abandoned))
            running = [tasks.create_task(one) for one in work]
            try:
                await serving.serve(app, host=host, port=port)
            finally:
                for task in running:
                    task.cancel()
                capture.end()


async def _forgetting(forget: Callable[[], None]) -> None:
    while True:
        await asyncio.sleep(ABANDONED_LOOK_S)
        forget()
