"""The Unix socket of core: for its owner only, bounded, and quiet when it stops."""

from __future__ import annotations

import asyncio
import stat

import pytest

from gateway.drivers.local_socket import LocalSocket
from gateway.errors import DriverError


async def echo(reader, writer):
    while line := await reader.readuntil(b"\n"):
        writer.write(line)
        await writer.drain()


@pytest.fixture
async def served(tmp_path):
    path = tmp_path / "run" / "s.sock"
    listening = asyncio.Event()
    task = asyncio.create_task(LocalSocket(path, echo, 64).run(listening))
    await listening.wait()
    yield path
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_lines_go_both_ways_and_only_the_owner_may_connect(served):
    assert stat.S_IMODE(served.stat().st_mode) == 0o600
    reader, writer = await asyncio.open_unix_connection(served)
    writer.write(b"hello\n")
    assert await reader.readline() == b"hello\n"
    writer.close()


async def test_a_line_that_is_too_long_ends_the_connection(served):
    reader, writer = await asyncio.open_unix_connection(served)
    writer.write(b"x" * 1000 + b"\n")
    assert await reader.read() == b""
    writer.close()


async def test_stopping_ends_open_connections_without_an_error(served, capfd):
    reader, writer = await asyncio.open_unix_connection(served)
    writer.write(b"one\n")
    await reader.readline()
    for task in asyncio.all_tasks():
        if task is not asyncio.current_task():
            task.cancel()
    assert await reader.read() == b""
    assert "Traceback" not in capfd.readouterr().err
    writer.close()


async def test_a_folder_that_cannot_be_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DriverError, match="cannot listen"):
        await LocalSocket(tmp_path / "file" / "s.sock", echo, 64).run(asyncio.Event())
    with pytest.raises(DriverError, match="choose a shorter folder"):
        await LocalSocket(tmp_path / ("x" * 120) / "s.sock", echo, 64).run(asyncio.Event())


async def test_a_stopping_core_leaves_the_socket_of_its_successor(tmp_path):
    path = tmp_path / "s.sock"
    tasks = []
    for _ in range(2):
        listening = asyncio.Event()
        tasks.append(asyncio.create_task(LocalSocket(path, echo, 64).run(listening)))
        await listening.wait()
    tasks[0].cancel()
    await asyncio.gather(tasks[0], return_exceptions=True)
    _, writer = await asyncio.open_unix_connection(path)
    writer.close()
    tasks[1].cancel()
    await asyncio.gather(tasks[1], return_exceptions=True)
