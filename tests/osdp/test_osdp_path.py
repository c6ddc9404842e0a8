"""The control panel against real MicroPython nodes over ptys."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from pathlib import Path

import pytest
from osdp_rig import FIRMWARE_ROOT, INPUTS, KEY, MICROPYTHON, OUTPUTS, bench, until

from firmware.wire import codes, frame
from firmware.wire.commands import Output
from gateway.drivers.osdp import OsdpBus, OsdpDevice
from gateway.drivers.osdp.line import LineGoneError, open_line
from gateway.errors import DriverError
from gateway.model import (
    CardRead,
    DeviceOnline,
    DeviceRecord,
    InputChanged,
    KeysEntered,
    PowerChanged,
    PulseOutput,
    Signal,
)


async def test_a_card_is_reported_and_the_lock_released_and_locked_again(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        bus = b.panel()
        await b.online()
        b.pins[0].card(0x12345)
        await until(b.cards, "the card")
        assert CardRead("r0", 26, (0x12345 << 6).to_bytes(4, "big")) in b.seen
        await bus.send("r0", [PulseOutput("lock", 200), Signal("granted")])
        await until(lambda: len(b.pins[0].relay) == 3, "the lock back at rest")
        await until(lambda: len(b.pins[0].indicators) == 3, "light and buzzer")
        (_, at_start), (released_s, driven), (locked_s, at_end) = b.pins[0].relay
        assert (at_start, driven, at_end) == (0, 1, 0)
        assert locked_s - released_s > 0.15
        assert b.pins[0].indicators[1:] == [("led", "green"), ("buzzer", 1)]


async def test_what_the_node_sees_is_observed(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        b.pins[0].levels["contact"] = 1
        b.pins[0].edge("contact", 1)
        bus = b.panel()
        await b.online()
        pins = b.pins[0]
        assert isinstance(b.seen[0], DeviceOnline)
        assert b.seen[0].secure
        assert "serial 1005" in b.seen[0].detail
        await until(lambda: b.inputs("contact")[-1:] == [True], "the door is open")
        pins.edge("contact", 0)
        pins.edge("tamper", 0)
        pins.keys("1234#")
        pins.keys("*0")
        await until(lambda: b.inputs("contact")[-1:] == [False] and True in b.inputs("tamper"), "contact and tamper")
        await until(lambda: len([o for o in b.seen if isinstance(o, KeysEntered)]) == 2, "keys")
        assert [o.keys for o in b.seen if isinstance(o, KeysEntered)] == ["1234#", "*0"]
        pins.edge("rex", 0)
        await until(lambda: True in b.inputs("rex"), "request to exit")
        await until(lambda: pins.relay[-1][1] == 1, "the node releases its own lock")
        for signal, colour, beeps in (("granted", "green", 1), ("denied", "red", 3)):
            await bus.send("r0", [Signal(signal)])
            shown = [("led", colour), ("buzzer", beeps)]
            await until(lambda shown=shown: pins.indicators[-2:] == shown, signal)
        await bus.send("r0", [Signal("waiting")])
        await until(lambda: pins.indicators[-1] == ("led", "amber"), "waiting")


@pytest.mark.parametrize(("damage", "cards"), [(0.01, 60), (0.05, 60)])
async def test_cards_arrive_exactly_once_over_a_noisy_cable(tmp_path: Path, damage: float, cards: int) -> None:
    async with bench(tmp_path, seed=7) as b:
        bus = b.panel()
        await b.online()
        b.cable.damage = damage
        for n in range(cards):
            b.pins[0].card(n)
            await until(lambda n=n: len(b.cards()) > n, f"card {n}")
        before = b.cable.chunks
        await until(lambda: b.cable.chunks > before + 100, "traffic after the last card")
        assert b.cards() == list(range(cards))
        assert b.transitions() == ["online"]
        assert b.cable.flips > 0
        assert bus.retries > 0


async def test_commands_are_done_over_a_noisy_cable(tmp_path: Path) -> None:
    async with bench(tmp_path, seed=11) as b:
        bus = b.panel()
        await b.online()
        b.cable.damage = 0.05
        for _ in range(30):
            await bus.send("r0", [Signal("denied")])
        await until(lambda: b.beeps().count(3) >= 30, "the last beeps")
        assert b.beeps() == [3] * 30


async def test_a_node_that_is_power_cycled_returns_with_its_present_inputs(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        bus = b.panel()
        await b.online()
        await b.nodes[0].power_off()
        await until(lambda: not bus.online("r0"), "the node counts as offline")
        with pytest.raises(DriverError, match="offline"):
            await bus.send("r0", [PulseOutput("lock", 100)])
        b.pins[0].levels["contact"] = 1
        await b.nodes[0].start()
        await b.online()
        await until(lambda: b.inputs("contact") == [False, True], "the present state")
        assert b.transitions() == ["online", "timeout", "online"]
        b.pins[0].card(1)
        await until(b.cards, "a card after the return")
        assert b.pins[0].relay[-1][1] == 0


async def test_an_order_under_way_fails_when_the_node_dies(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        bus = b.panel()
        await b.online()
        b.cable.cut = True
        with pytest.raises(DriverError):
            await bus.send("r0", [PulseOutput("lock", 100)])
        b.cable.cut = False
        await until(lambda: b.transitions() == ["online", "timeout", "online"], "the node is back")
        assert [value for _, value in b.pins[0].relay] == [0], "a door must not open late"


async def test_a_wrong_key_is_reported_once(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        bus = b.panel([OsdpDevice("r0", 5, bytes(16), INPUTS, OUTPUTS)])
        await until(lambda: b.seen, "an observation")
        seen = bus.exchanges
        await until(lambda: bus.exchanges > seen + 4, "further tries")
        assert b.transitions() == ["bad-key"]
        assert len(b.seen) == 1
        assert not bus.online("r0")


async def test_an_unplugged_cable_is_reported_once_and_opened_again(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        b.panel()
        await b.online()
        for n in (2, 4):
            b.cable.unplug()
            await until(lambda n=n: len(b.transitions()) == n, "offline")
            b.cable.plug()
            await until(lambda n=n: len(b.transitions()) == n + 1, "online again")
        assert b.transitions() == ["online", "unplugged", "online", "unplugged", "online"]
        b.pins[0].card(9)
        await until(b.cards, "a card after the return")


async def test_a_port_that_does_not_exist_yet_is_waited_for(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        b.cable.unplug()
        b.panel()
        await asyncio.sleep(0)
        b.cable.plug()
        await b.online()
        assert b.transitions() == ["online"]


async def test_the_node_opens_its_bus_again(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        b.panel()
        await b.online()
        b.cable.renew_node(0)
        b.pins[0].card(5)
        await until(b.cards, "a card over the new line")
        assert b.nodes[0].running


async def test_a_dead_device_does_not_stall_the_others(tmp_path: Path) -> None:
    async with bench(tmp_path, nodes=2) as b:
        devices = [OsdpDevice(f"r{n}", address, KEY, INPUTS, OUTPUTS) for n, address in enumerate((5, 6, 40, 41))]
        bus = b.panel(devices)
        await b.online("r0")
        await b.online("r1")
        await b.nodes[1].power_off()
        await until(lambda: b.transitions("r1") == ["online", "timeout"], "r1 lost")
        await until(lambda: b.transitions("r2") == b.transitions("r3") == ["timeout"], "r2 and r3 never there")
        for n in range(20):
            b.pins[0].card(n)
            await until(lambda n=n: len(b.cards("r0")) > n, "a card", 2.0)
            await bus.send("r0", [Signal("granted")])
        assert b.transitions("r0") == ["online"]


async def test_nodes_on_one_cable_keep_apart(tmp_path: Path) -> None:
    async with bench(tmp_path, nodes=3) as b:
        bus = b.panel()
        for n in range(3):
            await b.online(f"r{n}")
        for n in range(3):
            b.pins[n].card(100 + n)
        await until(lambda: all(b.cards(f"r{n}") for n in range(3)), "three cards")
        assert [b.cards(f"r{n}") for n in range(3)] == [[100], [101], [102]]
        await asyncio.gather(*[bus.send(f"r{n}", [PulseOutput("lock", 60_000)]) for n in (0, 2)])
        await until(lambda: [pins.relay[-1][1] for pins in b.pins] == [1, 0, 1], "the locks of r0 and r2")


async def test_plain_text_on_the_cable_moves_nothing(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        b.panel()
        await b.online()
        release = Output(0, codes.OUT_TIMED_ON, 50).encode()
        for sequence in (1, 2, 3):
            b.cable.inject(frame.encode(5, sequence, codes.OUT, release))
        b.cable.inject(b"\x53\x05\xff\xff" + bytes(300))
        b.pins[0].card(3)
        await until(b.cards, "a card in spite of it")
        assert [value for _, value in b.pins[0].relay] == [0]
        # Sequence 0 ends a session by the standard, even a forged one: the panel takes the node up again.
        b.cable.inject(frame.encode(5, 0, codes.OUT, release))
        b.pins[0].card(4)
        await until(lambda: b.cards() == [3, 4], "a card after the session was broken")
        assert [value for _, value in b.pins[0].relay] == [0]


async def test_the_pins_come_back(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        bus = b.panel()
        await b.online()
        pins = b.pins[0]
        await bus.send("r0", [PulseOutput("lock", 60_000)])
        await until(lambda: pins.relay[-1][1] == 1, "the lock is released")
        for breakage in (pins.drop, lambda: pins.raw(b"no json\n"), lambda: pins.raw(b'{"op":"edge"}\n')):
            relay, hellos = len(pins.relay), len(pins.hellos)
            breakage()
            await until(lambda: len(pins.hellos) > hellos and len(pins.relay) > relay, "hello again")  # noqa: B023
            assert pins.relay[-1][1] == 1, "the relay is as it was"
        pins.card(8)
        await until(b.cards, "a card")
        assert b.transitions() == ["online"]


async def test_a_node_with_a_mains_contact_tells_of_its_battery(tmp_path: Path) -> None:
    async with bench(tmp_path, start=False) as b:
        node, pins = b.nodes[0], b.pins[0]
        node.file.write_text(json.dumps(json.loads(node.file.read_text()) | {"mains_contact": True}))
        pins.levels["mains"] = 0
        await node.start()
        b.panel()
        await b.online()
        pins.edge("mains", 1)
        await until(lambda: PowerChanged("r0", on_battery=True) in b.seen, "on battery")
        assert PowerChanged("r0", on_battery=False) in b.seen


async def test_the_node_ends_on_sigterm(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        assert await b.nodes[0].stop() == -15


async def test_a_failed_task_ends_the_node_loudly(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        # Nothing known makes a task fail, so one is replaced by a broken one.
        code = (
            "from firmware.drivers.unix import door_node\n"
            "async def broken(self):\n    raise ValueError('planted')\n"
            "door_node.UnixDoorNode.run_clock = broken\n"
            "door_node.main()\n"
        )
        program = tmp_path / "broken.py"
        program.write_text(code)
        process = await asyncio.create_subprocess_exec(
            str(MICROPYTHON), str(program), str(b.nodes[0].file),
            env={**os.environ, "MICROPYPATH": f"{FIRMWARE_ROOT}:.frozen"},
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        _, complaint = await asyncio.wait_for(process.communicate(), 20)
        assert process.returncode == 1
        assert b"planted" in complaint


async def test_nonsense_from_the_pins_does_not_end_the_node(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        for line in (
            b'{"op":"edge","pin":[],"value":1}', b'{"op":"edge","pin":"contact","value":"x"}', b"[]", b'{"op":"boo"}',
            b'{"op":"wiegand","port":"reader","bits":26,"data":"zz"}', b'{"op":"keys","port":"reader","keys":5}',
            b'{"op":"wiegand","port":"attic","bits":26,"data":"00"}', b"\xff\xfe", b"x" * 5000,
        ):  # fmt: skip
            hellos = len(b.pins[0].hellos)
            b.pins[0].raw(line + b"\n")
            await until(lambda n=hellos: len(b.pins[0].hellos) > n, f"a new connection after {line[:40]!r}")
        assert b.nodes[0].running


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"address": 127}, "address: expected 0..126, got 127"),
        ({"address": "5"}, "address: expected int"),
        ({"scbk_file": "/nowhere"}, "/nowhere: expected 32 hex digits"),
    ],
)
async def test_a_wrong_node_file_is_one_sentence(tmp_path: Path, change: dict[str, object], text: str) -> None:
    async with bench(tmp_path, start=False) as b:
        file = b.nodes[0].file
        file.write_text(json.dumps({**json.loads(file.read_text()), **change}))
        done = subprocess.run(
            [MICROPYTHON, "-m", "firmware.drivers.unix.door_node", file],
            cwd=FIRMWARE_ROOT, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 1
        assert text in done.stderr
        assert len(done.stderr.splitlines()) == 1


async def test_sending_to_nobody_is_one_sentence(tmp_path: Path) -> None:
    async with bench(tmp_path, start=False) as b:
        bus = b.panel()
        with pytest.raises(DriverError, match=r"expected one of \['r0'\], got 'r9'"):
            await bus.send("r9", [Signal("granted")])
        with pytest.raises(DriverError, match="'r0' is offline"):
            await bus.send("r0", [Signal("granted")])
        await bus.send("r0", [])


async def test_stopping_the_bus_fails_what_waits(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        bus = b.panel()
        await b.online()
        b.cable.cut = True
        sending = asyncio.create_task(bus.send("r0", [Signal("granted")]))
        exchanges = bus.exchanges
        await until(lambda: bus.exchanges > exchanges + 1, "it is under way")
        await b.stop_panel()
        with pytest.raises(DriverError, match="stopped"):
            await sending


@pytest.mark.parametrize(
    "devices",
    [
        [OsdpDevice("a", 5, b"short", {}, {})],
        [OsdpDevice("a", 127, KEY, {}, {})],
        [OsdpDevice("a", 5, KEY, {}, {}), OsdpDevice("b", 5, KEY, {}, {})],
        [OsdpDevice("a", 5, KEY, {}, {}), OsdpDevice("a", 6, KEY, {}, {})],
    ],
)
def test_devices_that_cannot_be_are_refused(devices: list[OsdpDevice]) -> None:
    with pytest.raises(DriverError, match="device 'a'"):
        OsdpBus("x", "/dev/null", 9600, devices, None, print)  # type: ignore[arg-type]


async def test_one_line_has_one_panel(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        b.panel()
        await b.online()
        with pytest.raises(LineGoneError, match="lock"):
            open_line(str(b.cable.bus_path), 9600, lambda: None)
        b.pins[0].card(1)
        await until(b.cards, "the first panel goes on")


async def test_inputs_are_told_in_order_of_time(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        b.panel()
        await b.online()
        await until(lambda: b.inputs("tamper"), "first states")
        for n in range(6):
            b.pins[0].edge("contact", (n + 1) % 2)
            await until(lambda n=n: len(b.inputs("contact")) == n + 2, "the change")
        assert b.inputs("contact") == [False, True, False, True, False, True, False]
        assert all(isinstance(o, InputChanged | PowerChanged | DeviceOnline | DeviceRecord) for o in b.seen)
