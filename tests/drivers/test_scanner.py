"""A code scanner: bytes of a line become texts, bounded; the line's coming and going is told once."""

from __future__ import annotations

import asyncio
import os

import pytest

from gateway.drivers import scanner as scanner_module
from gateway.drivers.scanner import MAX_TEXT, SerialScanner
from gateway.model import DeviceOffline, DeviceOnline, TextScanned


def scanned(*pieces: bytes) -> list[object]:
    seen: list[object] = []
    scanner = SerialScanner("qr", "nowhere", 9600, seen.append)
    for piece in pieces:
        scanner.take(piece)
    return seen


@pytest.mark.parametrize(
    ("pieces", "texts"),
    [
        ((b"HELLO\r\n",), ["HELLO"]),
        ((b"HEL", b"LO\n", b"AGAIN\r"), ["HELLO", "AGAIN"]),
        ((b"\r\n\r\n\x00",), []),
        ((b"no end",), []),
        ((b"x" * MAX_TEXT + b"\n",), ["x" * MAX_TEXT]),
        ((b"x" * (MAX_TEXT + 1) + b"\nnext\n",), ["next"]),
        (("智安\n".encode(), b"next\n"), ["next"]),
    ],
)
def test_lines_become_texts(pieces, texts):
    assert scanned(*pieces) == [TextScanned("qr", text) for text in texts]


async def test_a_line_comes_goes_and_comes_again(tmp_path, monkeypatch):
    monkeypatch.setattr(scanner_module, "AGAIN_S", 0.01)
    seen: list[object] = []
    link = tmp_path / "scanner"
    task = asyncio.create_task(SerialScanner("qr", str(link), 9600, seen.append).run())

    async def until(*expected: object) -> None:
        async with asyncio.timeout(5):
            while seen != list(expected):
                await asyncio.sleep(0.005)

    gone, online, text = DeviceOffline("qr", "unplugged"), DeviceOnline("qr", False), TextScanned("qr", "PASS")
    try:
        await until(gone)
        ours, theirs = os.openpty()
        link.symlink_to(os.ttyname(theirs))
        await until(gone, online)
        os.write(ours, b"PASS")  # a scanner that is set to send no line end
        await until(gone, online, text)
        link.unlink()
        os.close(theirs)
        os.close(ours)
        await until(gone, online, text, gone)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
