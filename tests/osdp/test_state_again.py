"""What a node tells of itself is heard again after a session was lost, and one line is one baud rate's."""

from __future__ import annotations

import os
import pty
import tty
from pathlib import Path

import pytest
from test_bus_commands import CONFIG, bus
from test_osdp_device import Line

from firmware.node.door import DoorNode
from firmware.wire import codes
from firmware.wire.replies import ManufacturerReply
from gateway.drivers.osdp.line import open_line
from gateway.model import DeviceOffline, DeviceRecord
from runtime.errors import UserError
from zhian.bus_trace import _listened

SECOND = '[[reader]]\nname = "r1"\nbus = "a"\naddress = 6\nprofile = "zhian-door-node"\nkey_file = "r1.scbk"\n'


class Teller(DoorNode):
    """Tells what it holds at the beginning of every session, as firmware.node.alone does."""

    def session_began(self) -> None:
        super().session_began()
        self.events.drop(codes.MFGREP)
        self.events.push_first(ManufacturerReply(codes.VENDOR, b"\x02held"), 0)


def test_a_state_that_was_told_in_the_last_exchange_is_told_again_after_an_absence() -> None:
    line = Line(node=Teller)
    while not line.of(DeviceRecord):
        line.turn()
    line.powered = False  # the node runs on, and hears nothing
    while not line.of(DeviceOffline):
        line.turn()
    line.powered = True
    line.seen.clear()
    line.run(3)
    assert [one.data for one in line.of(DeviceRecord)] == [b"\x02held"]
    assert line.device.online


async def test_one_device_of_several_is_not_moved_away_from_the_lines_baud_rate(tmp_path: Path) -> None:
    config = tmp_path / "gateway.toml"
    config.write_text(CONFIG.format(port="/nowhere") + SECOND)
    with pytest.raises(UserError, match="r1 would stay at 115200"):
        await bus("set-line", "r0", "--baud", "9600", "--config", str(config))


async def test_a_line_that_core_has_open_cannot_be_listened_to() -> None:
    master, slave = pty.openpty()
    tty.setraw(slave)
    line = open_line(os.ttyname(slave), 38400, lambda: None)
    try:
        with pytest.raises(UserError, match="cannot be listened to"):
            list(_listened(os.ttyname(slave), 9600, 0.1))
    finally:
        line.close()
        os.close(master)
        os.close(slave)
