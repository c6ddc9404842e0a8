"""Keys that change: rotation with the power going at any moment, the install ceremony, and moves to other settings."""

from __future__ import annotations

import asyncio
import json
import secrets
from pathlib import Path

import pytest
from osdp_rig import DEADLINE_S, INPUTS, KEY, OUTPUTS, Bench, bench, until

from firmware.node.door import DoorNode
from firmware.node.peripheral import Peripheral
from firmware.wire import codes, frame
from firmware.wire.commands import KeySet
from firmware.wire.replies import Identity
from gateway.drivers.aes import aes
from gateway.drivers.osdp import KeyFile, OsdpDevice, ceremony
from gateway.drivers.osdp.ceremony import Place
from gateway.drivers.osdp.device import Device
from gateway.drivers.osdp.order import Order
from gateway.drivers.osdp.session import Request, Session
from gateway.errors import DriverError


def key_file(folder: Path, key: bytes | None = KEY) -> KeyFile:
    file = KeyFile(folder / "r0.scbk")
    if key is not None:
        file.path.write_text(key.hex() + "\n")
        file.path.chmod(0o600)
    return file


class Flash:
    """A node's memory, which survives its power cuts."""

    def __init__(self, key: bytes) -> None:
        self.key = key

    def keep_key(self, key: bytes) -> bool:
        self.key = key
        return True

    def keep_line(self, _address: int, _baud: int) -> bool:
        return True


class Wire:
    """A panel and a node in virtual time; `cut` names the exchange of KEYSET at which the power goes."""

    def __init__(self, folder: Path, flash: Flash) -> None:
        self.file = key_file(folder) if not (folder / "r0.scbk").exists() else KeyFile(folder / "r0.scbk")
        key = self.file.key()
        assert key is not None
        config = OsdpDevice("r0", 5, key, INPUTS, OUTPUTS, self.file.staged(), self.file)
        self.device = Device(config, secrets.token_bytes, 0.01)
        identity = Identity(codes.VENDOR, 1, 1, 1, (0, 1, 0))
        self.pd = Peripheral(5, flash.key, aes, secrets.token_bytes, identity, DoorNode(), flash)
        self.now_s = 0.0

    def turn(self, heard: bool = True, answered: bool = True) -> None:
        raw = self.device.frame(self.now_s)
        answer = self.pd.receive(frame.decode(raw.lstrip(b"\xff")), int(self.now_s * 1000)) if heard else None
        reply = self.device.accept(frame.decode(answer.lstrip(b"\xff"))) if answer and answered else None
        self.now_s += 0.01
        if reply is None:
            self.device.silent(self.now_s)
        else:
            self.device.replied(reply, self.now_s)
        if (key := self.device.confirmed_key) is not None:  # as OsdpBus does
            self.device.confirmed_key = None
            if key != self.device.key:
                self.device.settle_key(key)
                self.file.promote()
        self.now_s = max(self.now_s, self.device.due_s)

    def online(self) -> bool:
        for _ in range(60):
            self.turn()
        return self.device.online is True and self.device._session.secure


@pytest.mark.parametrize("heard", [False, True])
@pytest.mark.parametrize("answered", [False, True])
@pytest.mark.parametrize("who", ["panel", "node", "both"])
async def test_the_power_may_go_at_any_moment_of_a_rotation(
    tmp_path: Path, heard: bool, answered: bool, who: str
) -> None:
    flash = Flash(KEY)
    wire = Wire(tmp_path, flash)
    assert wire.online()
    new = wire.file.stage()
    wire.device.offer_key(new)
    wire.device.give(Order([Request(codes.KEYSET, KeySet(new).encode())], wire.now_s))
    wire.turn(heard, answered)  # KEYSET goes out, arrives or not, is answered or not; then the power goes
    if who == "node":
        wire.pd = Peripheral(5, flash.key, aes, secrets.token_bytes, wire.pd._identity, DoorNode(), flash)
    else:
        again = Wire(tmp_path, flash)
        if who == "panel":
            again.pd = wire.pd
        wire = again
    assert wire.online(), "a session under whichever key the device has"
    wire.device.shake_hands_again(wire.now_s)  # a panel that lived on may have given its KEYSET meanwhile
    assert wire.online()
    assert wire.device._session.key == flash.key
    if heard:
        assert flash.key == new
    expected = (new, None) if flash.key == new else (KEY, new)
    assert (wire.file.key(), wire.file.staged()) == expected
    assert wire.file.path.stat().st_mode & 0o077 == 0


def test_a_rotation_that_failed_offers_the_same_key_again(tmp_path: Path) -> None:
    file = key_file(tmp_path)
    key = file.stage()
    assert KeyFile(file.path).stage() == key, "the device may have it already"
    assert file.staged_path.stat().st_mode & 0o777 == 0o600
    file.promote()
    assert (file.key(), file.staged()) == (key, None)
    assert file.stage() != key


@pytest.mark.parametrize("text", ["", "zz", codes.SCBK_D.hex(), "00" * 15])
def test_a_key_file_that_holds_no_key_of_its_own_is_refused_without_showing_it(tmp_path: Path, text: str) -> None:
    file = key_file(tmp_path)
    file.path.write_text(text)
    with pytest.raises(DriverError, match="expected 32 hex digits") as refused:
        file.key()
    assert not text or text not in str(refused.value).replace(str(tmp_path), "")


def test_a_key_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    file = key_file(tmp_path)
    file.path.chmod(0o644)
    with pytest.raises(DriverError, match="chmod 600"):
        file.key()


def place(it: Bench, baud: int = 115200) -> Place:
    return Place(str(it.cable.bus_path), baud, 5)


def panel_with(it: Bench, file: KeyFile) -> None:
    key = file.key()
    assert key is not None
    it.panel([OsdpDevice("r0", 5, key, INPUTS, OUTPUTS, file.staged(), file)])


async def test_a_real_node_gets_a_fresh_key_and_keeps_it_over_a_power_cut(tmp_path: Path) -> None:
    async with bench(tmp_path) as it:
        file = key_file(tmp_path)
        panel_with(it, file)
        await it.online()
        assert it.bus is not None
        await it.bus.rotate_key("r0")
        assert file.key() != KEY
        assert file.staged() is None
        assert it.transitions() == ["online"], "a rotation is no loss"
        it.pins[0].card(7)
        await until(lambda: it.cards() == [7], "a card under the new key")
        await it.nodes[0].power_off()
        await until(lambda: it.transitions() == ["online", "timeout"], "the node is gone")
        await it.nodes[0].start()
        await it.online()
        assert "bad-key" not in it.transitions()


async def test_the_install_ceremony_with_a_real_node(tmp_path: Path) -> None:
    async with bench(tmp_path, start=False) as it:
        node, file = it.nodes[0], key_file(tmp_path, None)
        settings = json.loads(node.file.read_text())
        Path(settings["scbk_file"]).unlink()
        node.file.write_text(json.dumps({**settings, "install_button": True}))
        it.pins[0].levels["install"] = 1
        await node.start()
        asked: list[bool] = []
        waiting = asyncio.Event()

        def tell() -> None:
            asked.append(True)
            waiting.set()

        ceremony_ = asyncio.create_task(ceremony.install_key(place(it), file, 15, tell))
        await asyncio.wait_for(waiting.wait(), DEADLINE_S)
        assert file.key() is None, "nobody has pressed the button: no key is taken"
        it.pins[0].edge("install", 0)
        identity = await asyncio.wait_for(ceremony_, DEADLINE_S)
        assert (identity.serial, asked) == (1005, [True])
        assert file.path.stat().st_mode & 0o777 == 0o600
        panel_with(it, file)
        await it.online()


async def test_no_device_in_install_mode_within_the_window_changes_nothing(tmp_path: Path) -> None:
    async with bench(tmp_path) as it:
        file = key_file(tmp_path)
        with pytest.raises(DriverError, match="no device in install mode"):
            await ceremony.install_key(place(it), file, 0.5)
        assert file.key() == KEY
        panel_with(it, file)
        await it.online()
        assert it.transitions() == ["online"]


@pytest.mark.parametrize("window_s", [0.0, -1.0, 601.0])
async def test_the_install_window_is_bounded(tmp_path: Path, window_s: float) -> None:
    with pytest.raises(DriverError, match="the window"):
        await ceremony.install_key(Place("/nowhere", 9600, 1), key_file(tmp_path), window_s)


def session_at(address: int) -> Session:
    return Session(address, KEY, secrets.token_bytes)


async def test_a_real_node_moves_to_another_address_and_stays_there(tmp_path: Path) -> None:
    async with bench(tmp_path) as it:
        assert await ceremony.set_line(place(it), session_at, 9, 115200) == Place(str(it.cable.bus_path), 115200, 9)
        await it.nodes[0].power_off()
        await it.nodes[0].start()
        it.panel([OsdpDevice("r0", 9, KEY, INPUTS, OUTPUTS)])
        await it.online()


async def test_a_move_to_an_impossible_setting_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    with pytest.raises(DriverError, match="expected an address"):
        await ceremony.set_line(Place("/nowhere", 9600, 1), session_at, 127, 9600)
