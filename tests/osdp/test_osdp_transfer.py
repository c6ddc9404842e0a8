"""Files, manufacturer's commands, texts and lights: the panel against the node's own session over a bad line."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from osdp_rig import Bench
from test_osdp_device import Line, card, online

from firmware.node.door import DoorNode
from firmware.wire import codes
from firmware.wire.commands import FileFragment, Led, Text
from firmware.wire.replies import FileStatus, ManufacturerReply
from gateway.drivers.osdp.order import Order
from gateway.drivers.osdp.session import Reply, Request
from gateway.drivers.osdp.transfer import Transfer, piece_bytes
from gateway.errors import DriverError
from gateway.model import CardRead, DeviceRecord

DATA = bytes(range(256)) * 8


class Taker(DoorNode):
    """A door that takes files and shows texts."""

    def __init__(self) -> None:
        super().__init__()
        self.files: list[tuple[int, bytes]] = []
        self.texts: list[bytes] = []
        self.says = codes.FT_PROCESSED

    def on_file(self, kind: int, data: bytes) -> int:
        self.files.append((kind, data))
        return self.says

    def on_manufacturer(self, data: bytes) -> bytes | None:
        return {b"\x01": b"", b"\x02": b"fine"}.get(data)

    def text(self, text: Text, now_ms: int) -> int:
        self.texts.append(text.text)
        return 0


def given_file(line: Line, data: bytes = DATA, baud: int = 38400) -> Transfer:
    line.device.transfer = transfer = Transfer("r0", 0x80, data, baud, line.now_s)
    return transfer


def until_over(line: Line, transfer: Transfer, seconds: float = 60) -> None:
    end_s = line.now_s + seconds
    while not transfer.over and line.now_s < end_s:
        line.turn()
    assert transfer.over


@given(st.integers(0, 2**32), st.sampled_from([0.0, 0.01, 0.05, 0.15]), st.integers(1, 3000))
@settings(max_examples=25, deadline=None)
def test_a_file_and_the_cards_of_meanwhile_arrive_once_over_a_bad_line(seed: int, damage: float, size: int) -> None:
    async def run() -> None:
        line = online(Line(seed, node=Taker))
        line.random, line.damage = random.Random(seed), damage
        data = line.random.randbytes(size)
        transfer = given_file(line, data)
        line.door.card(26, card(1), line.now_ms)
        line.run(0.1)
        line.door.card(26, card(2), line.now_ms)
        until_over(line, transfer)
        line.damage = 0.0
        line.run(2)
        await transfer.done
        assert line.door.files == [(0x80, data)]  # type: ignore[attr-defined]
        assert [o.data for o in line.of(CardRead)] == [card(1), card(2)]  # type: ignore[attr-defined]

    asyncio.run(run())


async def test_a_command_does_not_wait_for_a_file() -> None:
    line = online(Line(node=Taker))
    given_file(line, bytes(20_000))
    line.run(0.2)
    order = Order([Request(codes.OUT, b"\x00\x05\x32\x00")], line.now_s)
    line.device.give(order)
    line.turn()
    line.turn()
    assert order.over
    assert line.door.output_states().states[0]


async def test_polls_go_between_the_pieces() -> None:
    line = online(Line(node=Taker))
    given_file(line)
    purposes = []
    for _ in range(12):
        line.turn()
        purposes.append(line.device._purpose.name)
    assert purposes[:6] == ["POLL", "FILE"] * 3 or purposes[1:7] == ["POLL", "FILE"] * 3


@pytest.mark.parametrize("status", [codes.FT_UNKNOWN, codes.FT_MALFORMED, codes.FT_ABORT, -77])
async def test_a_file_that_the_device_refuses_is_an_error_with_a_reason(status: int) -> None:
    line = online(Line(node=Taker))
    line.door.says = status  # type: ignore[attr-defined]
    transfer = given_file(line)
    until_over(line, transfer)
    with pytest.raises(DriverError, match="did not take the file of 2048 bytes"):
        await transfer.done


async def test_a_device_that_takes_no_files_says_so_at_the_first_piece() -> None:
    line = online(Line())
    transfer = given_file(line)
    until_over(line, transfer)
    with pytest.raises(DriverError, match="does not know such a file"):
        await transfer.done


async def test_a_restarted_device_gets_the_file_from_its_beginning() -> None:
    line = online(Line(node=Taker))
    transfer = given_file(line)
    line.run(0.1)
    assert transfer._offset > 0
    line.power_on()
    until_over(line, transfer)
    await transfer.done
    assert line.door.files == [(0x80, DATA)]  # type: ignore[attr-defined]


async def test_a_device_that_goes_away_fails_its_file() -> None:
    line = online(Line(node=Taker))
    transfer = given_file(line)
    line.powered = False
    until_over(line, transfer)
    with pytest.raises(DriverError, match="offline"):
        await transfer.done


def answered(transfer: Transfer, status: int, *, delay_ms: int = 0, action: int = 1, longest: int = 0) -> None:
    transfer.answered(Reply(codes.FTSTAT, FileStatus(action, delay_ms, status, longest).encode()), 1.0)


async def test_a_slow_device_is_asked_again_until_it_has_finished() -> None:
    transfer = Transfer("r0", 1, b"abc", 9600, 0.0)
    transfer.request()
    answered(transfer, codes.FT_FINISHING, delay_ms=500)
    assert not transfer.over
    assert transfer.due_s == 1.5
    idle = FileFragment.decode(transfer.request().payload)
    assert (idle.offset, idle.total, idle.data) == (3, 3, b"")
    answered(transfer, codes.FT_PROCESSED)
    await transfer.done


async def test_a_device_says_what_it_can_take() -> None:
    transfer = Transfer("r0", 1, bytes(1000), 115200, 0.0)
    first = FileFragment.decode(transfer.request().payload)
    answered(transfer, codes.FT_PROCEED, action=0, longest=128)
    second = FileFragment.decode(transfer.request().payload)
    assert (len(first.data), len(second.data)) == (228, piece_bytes(115200, 128))
    assert second.offset == len(first.data)
    assert transfer.interleave is False


@pytest.mark.parametrize("payload", [b"", b"\x00" * 6, b"\x00" * 8])
async def test_an_answer_that_makes_no_sense_ends_the_file(payload: bytes) -> None:
    transfer = Transfer("r0", 1, b"abc", 9600, 0.0)
    transfer.request()
    transfer.answered(Reply(codes.FTSTAT, payload), 1.0)
    with pytest.raises(DriverError):
        await transfer.done


@pytest.mark.parametrize("baud", [9600, 38400, 115200])
def test_a_piece_fits_the_frame_and_leaves_the_line_to_others(baud: int) -> None:
    size = piece_bytes(baud)
    frame_bytes = 14 + (size + 11 + 16) // 16 * 16
    assert frame_bytes <= codes.MAX_FRAME_BYTES
    assert frame_bytes * 10 / baud <= 0.05 or size == 20


async def test_records_of_the_node_reach_the_gateway_once_each() -> None:
    line = online(Line(node=Taker))
    line.random.seed(4)
    line.damage = 0.1
    for n in range(20):
        line.door.events.push(ManufacturerReply(codes.VENDOR, bytes((n,))), line.now_ms)
        line.run(0.5)
    line.damage = 0.0
    line.run(2)
    assert [o.data for o in line.of(DeviceRecord)] == [bytes((n,)) for n in range(20)]  # type: ignore[attr-defined]
    line.door.events.push(ManufacturerReply(b"abc", b"x"), line.now_ms)
    line.run(1)
    assert len(line.of(DeviceRecord)) == 20, "what another maker's device says is not ours to believe"


async def test_the_bus_refuses_what_cannot_be_sent(tmp_path: Path) -> None:
    it = Bench(tmp_path, nodes=1)
    try:
        bus = it.panel()
        for data in (b"", bytes((1 << 20) + 1)):
            with pytest.raises(DriverError, match=r"expected 1\.\.1048576 bytes"):
                await bus.transfer("r0", 0x80, data)
        with pytest.raises(DriverError, match="offline"):
            await bus.transfer("r0", 0x80, b"x")
        with pytest.raises(DriverError, match="offline"):
            await bus.manufacturer("r0", b"\x01")
        with pytest.raises(DriverError, match="no key file"):
            await bus.rotate_key("r0")
        with pytest.raises(DriverError, match="expected one of"):
            await bus.tell("nobody", [Led(0, 0, 0, (0, 0, 0, 0), 0, 0, (0, 0, 0, 0))])
    finally:
        await it.close()
