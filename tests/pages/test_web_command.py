"""`zhian web run` as systemd and the demo run it."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

CONFIG = """
[site]
district = "demo-district"
site = "sunny-garden"
gateway = "gw-1"
label = {{ zh = "阳光花园", en = "Sunny Garden" }}
site_key_file = "site.key"
[paths]
data = "data"
run = "run"
[policy]
file = "policy.toml"
[web]
port = {port}
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    file = tmp_path / "gateway.toml"
    file.write_text(CONFIG.format(port=port), encoding="utf-8")
    return file


def command(config: Path) -> list[str]:
    return [sys.executable, "-m", "zhian", "web", "run", "--config", str(config)]


def test_it_tells_its_address_says_ready_answers_without_core_and_stops_cleanly(config: Path, tmp_path: Path) -> None:
    notified = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    notified.bind(str(tmp_path / "notify"))
    notified.settimeout(30)
    environment = os.environ | {"NOTIFY_SOCKET": str(tmp_path / "notify"), "ZHIAN_PAGE_TOKEN": "token-from-the-demo"}
    with subprocess.Popen(command(config), stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            assert process.stdout
            line = re.fullmatch(r"PAGE gateway (http://\S+/) token token-from-the-demo\n", process.stdout.readline())
            assert line
            assert notified.recv(1000).startswith(b"READY=1")
            with httpx.Client(base_url=line[1], headers={"origin": line[1].rstrip("/")}) as client:
                form = client.get("/enter").text.partition('name="csrf" content="')[2].partition('"')[0]
                entered = client.post("/enter", data={"token": "TOKEN FROM THE DEMO", "csrf": form})
                assert entered.status_code == 303
                page = client.get("/", headers={"accept-language": "zh-CN"}).text
            assert "阳光花园" in page
            assert "核心未应答" in page
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0
            assert notified.recv(1000) == b"STOPPING=1"
        finally:
            process.kill()
            notified.close()


def test_taken_port_is_one_sentence_on_stderr_and_exit_1(config: Path) -> None:
    port = int(config.read_text(encoding="utf-8").rpartition("port = ")[2])
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()
        said = subprocess.run(command(config), capture_output=True, text=True, timeout=60)
    assert said.returncode == 1
    assert said.stdout == ""
    assert re.fullmatch(
        rf"zhian: gateway page: port {port} on 127\.0\.0\.1 is taken by another program; .*\n", said.stderr
    )
