"""The folder camera: order, bounded queue, files that are no pictures of now."""

import asyncio
import contextlib
import os
import time

import pytest

from gateway.vision import camera_folder
from gateway.vision.camera_folder import DEPTH, MAX_AGE_S, FolderCamera


@contextlib.asynccontextmanager
async def watched(folder):
    camera = FolderCamera("lane", folder)
    task = asyncio.create_task(camera.watch())
    try:
        yield camera
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def frame(camera):
    async with asyncio.timeout(10):
        return await camera.next_frame()


async def reached(condition):
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.01)  # a thread of the camera fills what we look at


async def test_frames_come_in_the_order_of_their_names(tmp_path):
    for name in ("000000000003.jpg", "000000000001.jpg", "000000000002.jpeg"):
        (tmp_path / name).write_bytes(name.encode())
    async with watched(tmp_path) as camera:
        names = [(await frame(camera)).name for _ in range(3)]
        assert names == ["000000000001.jpg", "000000000002.jpeg", "000000000003.jpg"]
        (tmp_path / "000000000000.jpg").write_bytes(b"a camera that counts from the start again")
        assert (await frame(camera)).name == "000000000000.jpg"


async def test_only_the_newest_wait_and_the_rest_is_counted(tmp_path):
    for n in range(10):
        (tmp_path / f"{n:012d}.jpg").write_bytes(b"x")
    async with watched(tmp_path) as camera:
        await reached(lambda: camera.dropped == 10 - DEPTH)
        assert (await frame(camera)).name == f"{10 - DEPTH:012d}.jpg"
        for n in range(10, 12):
            (tmp_path / f"{n:012d}.jpg").write_bytes(b"x")
        await reached(lambda: camera.dropped == 10 - DEPTH + 1)
        assert (await frame(camera)).name == f"{10 - DEPTH + 2:012d}.jpg"


async def test_a_file_from_before_is_not_a_car_of_now(tmp_path):
    old = tmp_path / "1.jpg"
    old.write_bytes(b"x")
    os.utime(old, (time.time() - MAX_AGE_S - 60,) * 2)
    async with watched(tmp_path) as camera:
        await reached(lambda: camera.refused == 1)
        (tmp_path / "2.jpg").write_bytes(b"now")
        assert (await frame(camera)).data == b"now"
        assert camera.taken == 1


async def test_other_names_folders_links_and_large_files_are_no_frames(tmp_path, monkeypatch):
    monkeypatch.setattr(camera_folder, "MAX_FRAME_BYTES", 10)
    (tmp_path / "secret.txt").write_bytes(b"x")
    (tmp_path / ".3.jpg.part").write_bytes(b"x")
    (tmp_path / "4.jpg").mkdir()
    (tmp_path / "5.jpg").symlink_to(tmp_path / "secret.txt")
    (tmp_path / "6.jpg").write_bytes(b"x" * 11)
    async with watched(tmp_path) as camera:
        await reached(lambda: camera.refused == 1)
        (tmp_path / "7.jpg").write_bytes(b"x")
        assert (await frame(camera)).name == "7.jpg"


async def test_a_stall_is_logged_once_and_its_end_too(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(camera_folder, "STALLED_AFTER_S", 0.05)
    async with watched(tmp_path / "not-there-yet") as camera:
        told = []

        def told_of(words):
            told.append(capsys.readouterr())
            return sum((out + err).count(words) for out, err in told)

        await reached(lambda: told_of("camera delivers no pictures"))
        (tmp_path / "not-there-yet").mkdir()
        for n in range(3):
            (tmp_path / "not-there-yet" / f"{n}.jpg").write_bytes(b"x")
            await frame(camera)
        await reached(lambda: told_of("camera delivers pictures again"))
        assert told_of("camera delivers no pictures") >= 1


@pytest.mark.parametrize("deleted", [True, False])
async def test_a_file_deleted_while_we_look_is_a_lost_frame_and_no_more(tmp_path, deleted):
    async with watched(tmp_path) as camera:
        for n in range(20):
            path = tmp_path / f"{n}.jpg"
            path.write_bytes(b"x")
            if deleted:
                path.unlink()
            await asyncio.sleep(0)
        (tmp_path / "last.jpg").write_bytes(b"last")
        await reached(lambda: camera.dropped or deleted)
        while (await frame(camera)).data != b"last":
            pass
