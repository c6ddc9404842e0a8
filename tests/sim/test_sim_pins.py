"""The pins protocol against its server, and gpiozero's real devices on the factory that speaks it."""

from __future__ import annotations

import asyncio
import json
import random
import re
from collections.abc import AsyncIterator, Callable
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
from gpiozero import Button, DigitalInputDevice, DigitalOutputDevice
from gpiozero.exc import PinInvalidState, PinSetInput
from sim_rig import eventually

from sim.errors import PinsError, PinsUnavailableError
from sim.pins import connection
from sim.pins.board import Board
from sim.pins.factory import SocketFactory
from sim.pins.server import MAX_LINE, PinsServer
from sim.timeline import RealClock, Timeline


class Bench:
    """A pins server with the board of a gateway (pins 17, 27 out; 22, 23 in) and of a node."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "pins.sock"
        self.timeline = Timeline(RealClock())
        rng = random.Random(1)
        self.gateway = Board("gateway", self.timeline, rng, inputs=("22", "23"), outputs=("17", "27"))
        self.node = Board("lobby", self.timeline, rng, inputs=("contact",), outputs=("relay",))
        self.levels: list[int] = []
        self.gateway.listen("17", self.levels.append)
        self.server = self.new_server()

    def new_server(self) -> PinsServer:
        return PinsServer(self.path, {"gateway": self.gateway, "lobby": self.node})


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    b = Bench(tmp_path)
    await b.server.start()
    time = asyncio.create_task(b.timeline.run())
    yield b
    time.cancel()
    await b.server.close()


class Client:
    """A device that speaks raw lines."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def connect(cls, path: Path, device: str | None = None) -> Client:
        client = cls(*await asyncio.open_unix_connection(path))
        if device:
            client.say(op="hello", device=device, version=1)
        return client

    def say(self, **message: Any) -> None:
        self.writer.write(json.dumps(message).encode() + b"\n")

    async def hear(self) -> dict[str, Any] | None:
        async with asyncio.timeout(5):
            line = await self.reader.readline()
        return json.loads(line) if line else None


# --- the protocol -------------------------------------------------------------------------------------------------


async def test_a_node_sets_up_its_pins_hears_edges_and_drives_its_relay(bench: Bench) -> None:
    levels: list[int] = []
    shown: list[tuple[str, object]] = []
    bench.node.listen("relay", levels.append)
    bench.node.on_indicator = lambda name, value: shown.append((name, value))
    node = await Client.connect(bench.path, "lobby")
    node.say(op="setup", pin="contact", mode="in", pull="up", value=0)
    assert await node.hear() == {"op": "edge", "pin": "contact", "value": 1}
    bench.node.set_contact("contact", closed=True, bounce=False)
    assert await node.hear() == {"op": "edge", "pin": "contact", "value": 0}
    bench.node.send({"op": "keys", "port": "reader", "keys": "1#"})
    assert await node.hear() == {"op": "keys", "port": "reader", "keys": "1#"}
    node.say(op="setup", pin="relay", mode="out", pull="none", value=0)
    node.say(op="write", pin="relay", value=1)
    node.say(op="indicator", name="led", value="green")
    node.say(op="indicator", name="buzzer", value=3)
    await eventually(lambda: len(shown) == 2, "indicators")
    assert (levels, shown) == ([1], [("led", "green"), ("buzzer", 3)])
    node.writer.close()
    await eventually(lambda: levels == [1, 0], "the relay falls when the node is gone")


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (b'{"op":"write","pin":"relay","value":1}\n', "the first line must be"),
        (b'{"op":"hello","device":"lobby","version":2}\n', "version 1 of the pins protocol, not 2"),
        (b'{"op":"hello","device":"attic","version":1}\n', "no device 'attic'.*gateway.*lobby"),
        (b'{"op":"dance"}\n', "expected one request as JSON"),
        (b"\xff\xfe\n", "expected one request as JSON"),
        (b'{"op":"hello","device":"lobby","version":1,"x":1}\n', "unknown field"),
        (b"[" * (MAX_LINE + 10), "longer than 4096 bytes"),
    ],
)
async def test_a_bad_first_line_is_answered_and_hung_up_on(bench: Bench, line: bytes, text: str) -> None:
    client = await Client.connect(bench.path)
    client.writer.write(line)
    answer = await client.hear()
    assert answer is not None
    assert answer["op"] == "error"
    assert re.search(text, answer["text"]), answer["text"]
    assert await client.hear() is None


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ({"op": "setup", "pin": "relay", "mode": "in", "pull": "up"}, "not wired as in"),
        ({"op": "setup", "pin": "nose", "mode": "out"}, "not wired as out"),
        ({"op": "write", "pin": "relay", "value": 1}, "before it was set up"),
        ({"op": "write", "pin": "relay", "value": 2}, "value"),
        ({"op": "indicator", "name": "led", "value": "pink"}, "pink"),
        ({"op": "hello", "device": "lobby", "version": 1}, "hello was said twice"),
    ],
)
async def test_a_bad_request_ends_the_connection(bench: Bench, message: dict[str, Any], text: str) -> None:
    node = await Client.connect(bench.path, "lobby")
    node.say(**message)
    answer = await node.hear()
    assert answer is not None
    assert text in answer["text"]
    assert await node.hear() is None
    await eventually(lambda: not bench.node.connected, "the board is free again")


async def test_a_newer_connection_takes_the_place_of_an_older_one(bench: Bench) -> None:
    older = await Client.connect(bench.path, "lobby")
    await eventually(lambda: bench.node.connected, "the older one is there")
    newer = await Client.connect(bench.path, "lobby")
    answer = await older.hear()
    assert answer is not None
    assert answer["text"] == "another connection took this device's place"
    assert await older.hear() is None
    newer.say(op="setup", pin="contact", mode="in", pull="up")
    assert await newer.hear() == {"op": "edge", "pin": "contact", "value": 1}
    assert bench.node.connected


async def test_a_path_that_no_socket_can_have_is_refused_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(PinsError, match="at most 107 bytes"):
        await PinsServer(tmp_path / ("x" * 120), {}).start()


# --- gpiozero -----------------------------------------------------------------------------------------------------


@pytest.fixture
async def factory(bench: Bench) -> AsyncIterator[SocketFactory]:
    made = await asyncio.to_thread(SocketFactory, str(bench.path))
    yield made
    await asyncio.to_thread(made.close)


async def in_thread(call: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    """gpiozero blocks, and the server needs the loop."""
    return await asyncio.to_thread(lambda: call(*arguments, **named))


def test_gpiozero_finds_the_factory_by_its_name() -> None:
    (found,) = entry_points(group="gpiozero_pin_factories", name="zhian-sim")
    assert found.load() is SocketFactory


async def test_an_output_device_drives_the_world(bench: Bench, factory: SocketFactory) -> None:
    relay = await in_thread(DigitalOutputDevice, 17, initial_value=False, pin_factory=factory)
    await in_thread(relay.on)
    await eventually(lambda: bench.levels == [1], "on")
    assert relay.value == 1
    await in_thread(relay.blink, 0.01, 0.01, 2, False)
    await eventually(lambda: bench.levels == [1, 0, 1, 0], "two blinks, the first while it is on")
    await in_thread(relay.on)
    await in_thread(relay.close)
    await eventually(lambda: bench.levels[-1] == 0, "closing lets go")


async def test_an_input_device_knows_its_level_at_once_and_hears_edges(bench: Bench, factory: SocketFactory) -> None:
    bench.gateway.set_contact("22", closed=True, bounce=False)
    button = await in_thread(Button, 22, hold_time=0.01, pin_factory=factory)
    other = await in_thread(DigitalInputDevice, 23, pull_up=True, pin_factory=factory)
    assert (button.is_pressed, other.value) == (True, 0)
    seen: list[str] = []
    button.when_released = lambda: seen.append("released")
    button.when_pressed = lambda: seen.append("pressed")
    bench.gateway.set_contact("22", closed=False, bounce=False)
    await eventually(lambda: seen == ["released"], "released")
    bench.gateway.set_contact("22", closed=True, bounce=False)
    await eventually(lambda: seen == ["released", "pressed"], "pressed")
    assert await in_thread(button.wait_for_press, 1) is True


async def test_bounce_reaches_a_device_that_does_not_eliminate_it(bench: Bench, factory: SocketFactory) -> None:
    plain = await in_thread(DigitalInputDevice, 22, pull_up=True, pin_factory=factory)
    quiet = await in_thread(DigitalInputDevice, 23, pull_up=True, bounce_time=0.05, pin_factory=factory)
    edges: dict[str, int] = {"plain": 0, "quiet": 0}

    def count(name: str) -> Callable[[], None]:
        def add() -> None:
            edges[name] += 1

        return add

    # gpiozero keeps only a weak hold on some callables
    calls = [count("plain"), count("quiet")]
    plain.when_activated = plain.when_deactivated = calls[0]
    quiet.when_activated = quiet.when_deactivated = calls[1]
    bench.gateway.set_contact("22", closed=True)
    bench.gateway.set_contact("23", closed=True)
    await eventually(lambda: edges["quiet"] == 1 and quiet.value == 1, "one clean edge")
    assert edges["plain"] >= 3


async def test_pins_refuse_what_the_hardware_would(factory: SocketFactory) -> None:
    button = await in_thread(Button, 22, pin_factory=factory)
    with pytest.raises(PinSetInput):
        button.pin.state = 1
    relay = await in_thread(DigitalOutputDevice, 17, pin_factory=factory)
    with pytest.raises(PinInvalidState, match="digital"):
        relay.pin.state = 0.5


async def test_the_factory_survives_a_world_that_restarts(bench: Bench, factory: SocketFactory) -> None:
    relay = await in_thread(DigitalOutputDevice, 17, pin_factory=factory)
    button = await in_thread(Button, 22, pin_factory=factory)
    await in_thread(relay.on)
    bench.gateway.set_contact("22", closed=True, bounce=False)
    await eventually(lambda: bench.levels == [1] and button.is_pressed, "on and pressed")
    await bench.server.close()
    await eventually(lambda: not factory.connection.connected, "the factory notices")
    assert button.is_pressed  # the last level stays
    await eventually(lambda: bench.levels == [1, 0], "the relay falls")
    await in_thread(relay.off)
    await in_thread(relay.on)
    bench.gateway.set_contact("22", closed=False, bounce=False)
    bench.server = bench.new_server()
    await bench.server.start()
    await eventually(lambda: bench.levels == [1, 0, 1], "the output is driven again")
    await eventually(lambda: not button.is_pressed, "the input's new level arrives")


async def test_without_a_world_the_factory_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "CONNECT_S", 0.0)
    with pytest.raises(PinsUnavailableError, match=r"pins.sock: nobody answers .*; start the world first"):
        SocketFactory(tmp_path / "pins.sock")
