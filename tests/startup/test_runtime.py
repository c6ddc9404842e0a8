"""What every process of ours does around its work: stop on a signal, tell systemd, log without surprises."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from runtime import log, stop, systemd

PROCESS = """
import asyncio, sys
from runtime import stop, systemd
async def work():
    try:
        systemd.ready()
        await asyncio.Event().wait()
    finally:
        print("cleaned up", flush=True)
asyncio.run(stop.until_signalled(work()))
print("ended", flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_process_after_its_clean_up(tmp_path: Path, number: int) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
        told.bind(str(tmp_path / "notify"))
        told.settimeout(30)
        environment = os.environ | {"NOTIFY_SOCKET": str(tmp_path / "notify")}
        child = subprocess.Popen([sys.executable, "-c", PROCESS], env=environment, stdout=subprocess.PIPE, text=True)
        assert told.recv(100).startswith(b"READY=1\n")
        child.send_signal(number)
        said, _ = child.communicate(timeout=30)
    assert said.split("\n") == ["cleaned up", "ended", ""]
    assert child.returncode == 0


async def test_the_works_own_error_is_not_lost() -> None:
    async def work() -> None:
        raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        await stop.until_signalled(work())


async def test_a_cancellation_from_outside_is_not_taken_for_a_signal() -> None:
    started = asyncio.Event()

    async def work() -> None:
        started.set()
        await asyncio.Event().wait()

    outer = asyncio.create_task(stop.until_signalled(work()))
    await started.wait()
    outer.cancel()
    with pytest.raises(asyncio.CancelledError):
        await outer


def test_nobody_to_notify_is_fine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    assert systemd.notify("READY=1") is False
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nobody"))
    assert systemd.notify("READY=1") is False


def test_a_peers_text_is_escaped_and_capped() -> None:
    assert log.shown("lobby 大堂") == "lobby 大堂"
    assert log.shown("a\x1b[2Jb\n") == "a\\x1b[2Jb\\n"
    assert len(log.shown("x" * 5000)) == log.MAX_TEXT
    assert len(log.shown("\n" * 5000)) == log.MAX_TEXT


LOGS = """
import logging
from runtime import log
log.set_up("core")
log.get("osdp").warning("bad frame", text="x\\x1b[2J\\n" + "y" * 900)
logging.getLogger("paho").warning("from a library")
"""


def test_under_systemd_each_line_is_json_on_stderr() -> None:
    environment = os.environ | {"JOURNAL_STREAM": "8:1"}
    said = subprocess.run([sys.executable, "-c", LOGS], env=environment, capture_output=True, text=True, timeout=30)
    assert said.stdout == ""
    first, second = [json.loads(line) for line in said.stderr.splitlines()]
    assert first["process"] == "core"
    assert first["part"] == "osdp"
    assert first["event"] == "bad frame"
    assert "\x1b" not in first["text"]
    assert len(first["text"]) <= log.MAX_TEXT
    assert second["event"] == "from a library"


def test_on_a_terminal_lines_are_readable() -> None:
    environment = {name: value for name, value in os.environ.items() if name not in ("JOURNAL_STREAM", "ZHIAN_LOG")}
    said = subprocess.run([sys.executable, "-c", LOGS], env=environment, capture_output=True, text=True, timeout=30)
    assert said.stdout == ""
    assert "bad frame" in said.stderr
    assert "\x1b" not in said.stderr
    assert len(said.stderr.splitlines()) == 2
