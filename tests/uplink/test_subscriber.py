"""Somebody else listens: the command, and docs/examples/subscriber.py, both with base dependencies."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from event_path_rig import EPOCH, REPOSITORY, District, peer, topic, until

from center.contract.catalogue import Event, PortalForced, PortalOpened
from center.contract.frame import encode_frame
from center.contract.topics import Kind


@pytest.fixture
def district(tmp_path: Path) -> District:
    return District(tmp_path)


@pytest.fixture
def subscribed(district: District) -> District:
    """With the user `wall` of role subscriber."""
    file = district.folder / "users.json"
    wall = {"username": "wall", "role": "subscriber", "password": district.password("wall")}
    file.write_text(json.dumps([*json.loads(file.read_text()), wall]))
    (district.folder / "wall.password").write_text(district.password("wall"))
    return district


class Listener:
    """A child process whose lines of stdout are collected."""

    def __init__(self, words: list[str], log: Path, **environment: str) -> None:
        self.lines: list[str] = []
        self._environment = {**os.environ, **environment}
        self._words = words
        self._log = log

    async def __aenter__(self) -> Listener:
        with self._log.open("wb") as log:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable,
                *self._words,
                cwd=REPOSITORY,
                env=self._environment,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
            )
        self._reading = asyncio.create_task(self._read())
        return self

    async def _read(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            self.lines.append(line.decode())

    def said(self) -> str:
        return self._log.read_text()

    async def __aexit__(self, *_: object) -> None:
        if self.process.returncode is None:
            self.process.terminate()
        await self.process.wait()
        await self._reading


FIRST = encode_frame(EPOCH, [Event(1, 1_790_000_000_000, True, PortalOpened("lobby"))], True)
SECOND = encode_frame(EPOCH, [Event(2, 1_790_000_000_001, True, PortalForced("lobby"))], True)
THIRD = encode_frame(EPOCH, [Event(3, 1_790_000_000_002, True, PortalOpened("lobby"))], True)
ALARM = ((Kind.ALARM, SECOND), (Kind.EVENT, SECOND))  # an alarm travels twice


def words(district: District, *more: str) -> list[str]:
    return ["-m", "zhian", "center", "subscribe", *more]


@pytest.mark.parametrize("by", ["config", "broker"])
async def test_the_command_prints_each_event_once(district: District, by: str) -> None:
    more = ["--config", str(district.config), "--json"]
    if by == "broker":
        password = str(district.folder / "center.password")
        more = ["--broker", f"mqtt://127.0.0.1:{district.port}", "--username", "center", "--password-file", password]
    async with (
        district.process("broker", "run"),
        Listener(words(district, *more), district.folder / "log") as listener,
        peer(district) as gateway,
    ):
        await until(lambda: "listening" in listener.said(), "listening")
        for kind, raw in (
            (Kind.EVENT, FIRST),
            (Kind.EVENT, FIRST),
            (Kind.EVENT, b"garbage"),
            *ALARM,
            (Kind.EVENT, FIRST),
        ):
            await gateway.publish(topic(kind), raw)
        await until(lambda: len(listener.lines) >= 2, "two events")
        listener.process.terminate()
        assert await listener.process.wait() == 0
    first, second = (json.loads(line) for line in listener.lines)
    assert (first["id"], first["type"], first["source"]) == (f"{EPOCH}-1", "zhian.portal.opened", "/east/garden/gw-1")
    assert (second["id"], second["severity"], second["simulated"]) == (f"{EPOCH}-2", "alarm", True)
    assert "left out" in listener.said()


@pytest.mark.parametrize("by", ["config", "broker"])
async def test_over_tls(tmp_path: Path, by: str) -> None:
    district = District(tmp_path, tls=True)
    more = ["--config", str(district.config), "--json"]
    if by == "broker":
        folder = tmp_path / "certificates"
        files = (("ca", "ca.pem"), ("certificate", "center.pem"), ("key", "center.key"))
        more = ["--broker", f"mqtts://127.0.0.1:{district.port}"]
        more += [word for name, file in files for word in (f"--{name}-file", str(folder / file))]
    async with (
        district.process("broker", "run"),
        Listener(words(district, *more), district.folder / "log") as listener,
        peer(district) as gateway,
    ):
        await until(lambda: "listening" in listener.said(), "listening")
        await gateway.publish(topic(Kind.EVENT), FIRST)
        await until(lambda: listener.lines, "one event")
    assert json.loads(listener.lines[0])["id"] == f"{EPOCH}-1"


async def test_only_some_types(district: District) -> None:
    more = ["--config", str(district.config), "--json", "--type", "zhian.portal.f"]
    async with (
        district.process("broker", "run"),
        Listener(words(district, *more), district.folder / "log") as listener,
        peer(district) as gateway,
    ):
        await until(lambda: "listening" in listener.said(), "listening")
        for raw in (FIRST, SECOND):
            await gateway.publish(topic(Kind.EVENT), raw)
        await until(lambda: listener.lines, "one event")
    assert [json.loads(line)["type"] for line in listener.lines] == ["zhian.portal.forced"]


def as_gateway(district: District, password: str) -> list[str]:
    secret = district.folder / "password"
    secret.write_text(password)
    return ["--broker", f"mqtt://127.0.0.1:{district.port}", "--username", "gw-1", "--password-file", str(secret)]


async def test_who_is_refused_is_told_at_once_and_tries_again(district: District) -> None:
    """When it gives up is in tests/center/test_ingest_session.py."""
    more = as_gateway(district, "wrong-password-0123")
    async with district.process("broker", "run"), Listener(words(district, *more), district.folder / "log") as listener:
        await until(lambda: listener.said().count("trying again for 5 minutes") == 2, "told twice")
        assert "refused 'gw-1' (Not authorized), or was not ready" in listener.said()
        assert listener.process.returncode is None
    assert listener.lines == []


async def test_who_may_not_listen_is_told_so(district: District) -> None:
    more = as_gateway(district, district.password("gw-1"))
    async with district.process("broker", "run"), Listener(words(district, *more), district.folder / "log") as listener:
        assert await asyncio.wait_for(listener.process.wait(), 20) == 1
    assert listener.said().startswith("zhian: the broker ")
    assert listener.said().count("\n") == 1
    assert listener.lines == []


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ([], "which broker"),
        (["--broker", "http://127.0.0.1"], "expected mqtt://"),
        (["--broker", "mqtt://127.0.0.1:port"], "expected mqtt://"),
        (["--broker", "mqtt://"], "expected mqtt://"),
        (["--broker", "mqtts://127.0.0.1"], "give --ca-file, --certificate-file and --key-file"),
        (["--broker", "mqtt://127.0.0.1", "--ca-file", "x"], "expected mqtts://"),
        (["--config", "/absent/center.toml"], "no such file"),
    ],
)
def test_wrong_use_is_one_sentence(district: District, more: list[str], expected: str) -> None:
    said = subprocess.run(
        [sys.executable, *words(district, *more)], cwd=REPOSITORY, capture_output=True, text=True, timeout=60
    )
    assert said.returncode == 1
    assert expected in said.stderr
    assert said.stderr.count("\n") == 1
    assert said.stdout == ""


async def test_an_alarm_of_a_gateway_without_a_disk_is_heard(subscribed: District) -> None:
    """It is on up/alarm only. `wall` is a user of role subscriber, as a third party is."""
    more = ["--broker", f"mqtt://127.0.0.1:{subscribed.port}", "--username", "wall"]
    more += ["--password-file", str(subscribed.folder / "wall.password"), "--json"]
    async with (
        subscribed.process("broker", "run"),
        Listener(words(subscribed, *more), subscribed.folder / "log") as listener,
        peer(subscribed) as gateway,
    ):
        await until(lambda: "listening" in listener.said(), "listening")
        await gateway.publish(topic(Kind.ALARM), SECOND)
        await until(lambda: listener.lines, "one event")
    assert json.loads(listener.lines[0])["id"] == f"{EPOCH}-2"


async def test_the_example_of_the_documentation_works(subscribed: District) -> None:
    """Each event once, also an alarm that comes on up/alarm only."""
    secret = str(subscribed.folder / "wall.password")
    words_ = ["docs/examples/subscriber.py", "127.0.0.1", str(subscribed.port), "wall", secret]
    listening = Listener(words_, subscribed.folder / "log", PYTHONPATH=str(REPOSITORY))
    async with subscribed.process("broker", "run"), listening as listener, peer(subscribed) as gateway:
        while not listener.lines:  # it does not say when it listens
            await gateway.publish(topic(Kind.EVENT), FIRST)
            assert listener.process.returncode is None, listener.said()
        for kind, raw in (*ALARM, (Kind.EVENT, THIRD)):
            await gateway.publish(topic(kind), raw)
        await until(lambda: len(listener.lines) >= 3, "three events")
    assert [json.loads(line)["id"] for line in listener.lines] == [f"{EPOCH}-{n}" for n in (1, 2, 3)]


def test_base_dependencies_are_enough() -> None:
    """What an outside subscriber installs: msgspec, zstandard, paho-mqtt (and typer for the command)."""
    program = """
import sys

class OnlyBase:
    there = {"center", "runtime", "msgspec", "zstandard", "paho"} | set(sys.stdlib_module_names)

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in self.there:
            raise ModuleNotFoundError(f"not installed: {name}", name=name)

sys.meta_path.insert(0, OnlyBase())
import center.contract.cloudevents, center.subscriber
"""
    subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, check=True, timeout=60)
