"""The service contact of a board: one install window for each press, none for a contact that stays closed."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace

import pytest

from firmware.node.door import DoorNode
from firmware.node.peripheral import INSTALL_WINDOW_MS, Peripheral

PRESS_MS = 3500


@pytest.fixture
def contact(monkeypatch: pytest.MonkeyPatch) -> Contact:
    machine = ModuleType("machine")
    machine.__dict__.update(Pin=object, ADC=object, UART=object)
    monkeypatch.setitem(sys.modules, "machine", machine)
    monkeypatch.setitem(sys.modules, "cryptolib", SimpleNamespace(aes=None))
    for name in [name for name in sys.modules if name.startswith("firmware.drivers.mcu")]:
        monkeypatch.delitem(sys.modules, name)
    return Contact()


class Keeper:
    def keep_key(self, key: bytes) -> bool:
        return True


class Contact:
    """The contact of a board that has been running; `windows` are when one was opened."""

    def __init__(self, *, closed_at_start: bool = False) -> None:
        self.now_ms = 0
        self.windows: list[int] = []
        self.level = 0 if closed_at_start else 1
        self.pd = Peripheral(1, bytes(range(16)), None, None, None, DoorNode(), Keeper())

    def board(self):  # type: ignore[no-untyped-def]
        from firmware.drivers.mcu.door_node import BoardDoorNode

        node = BoardDoorNode.__new__(BoardDoorNode)
        node._peripheral = self.pd
        node._service = SimpleNamespace(value=lambda: self.level)
        node._service_closed = node._service_spent = not self.level
        node._service_since_ms = 0
        node._shown = SimpleNamespace(carry_out=lambda *_: self.windows.append(self.now_ms))
        return node

    def hold(self, node, level: int, for_ms: int) -> None:  # type: ignore[no-untyped-def]
        self.level = level
        end_ms = self.now_ms + for_ms
        while self.now_ms < end_ms:
            self.now_ms += 5
            node._look_at_service(self.now_ms)


def test_a_contact_that_stays_closed_opens_one_window(contact: Contact) -> None:
    node = contact.board()
    contact.hold(node, 1, 1000)
    contact.hold(node, 0, 600_000)
    assert len(contact.windows) == 1
    assert not contact.pd.installing(contact.windows[0] + INSTALL_WINDOW_MS)
    contact.hold(node, 1, 50)  # it bounces
    contact.hold(node, 0, PRESS_MS)
    assert len(contact.windows) == 1
    contact.hold(node, 1, 200)
    contact.hold(node, 0, PRESS_MS)
    assert len(contact.windows) == 2


def test_a_window_that_ended_with_a_key_stays_shut_while_the_contact_is_closed(contact: Contact) -> None:
    node = contact.board()
    contact.hold(node, 1, 1000)
    contact.hold(node, 0, PRESS_MS)
    assert contact.pd.installing(contact.now_ms)
    assert contact.pd._new_key(bytes(range(1, 17))) == 0
    contact.hold(node, 0, 60_000)
    assert not contact.pd.installing(contact.now_ms)


def test_a_contact_that_was_closed_at_power_on_opens_none(contact: Contact) -> None:
    contact.level = 0
    node = contact.board()
    contact.hold(node, 0, 60_000)
    assert contact.windows == []


class Disturbed:
    """A converter whose first reading is disturbed, and a loop that is closed."""

    def __init__(self, _gpio: int) -> None:
        self.readings = [1000]

    def permille(self) -> int:
        return self.readings.pop() if self.readings else 312


def test_one_disturbed_reading_at_power_on_releases_no_door(contact: Contact) -> None:
    from firmware.drivers.mcu.pins import Levels

    board = SimpleNamespace(PINS={"fire": (27, 0, 0)}, LOOP_BANDS=(160, 490, 830), ANALOG=Disturbed)
    levels, door = Levels(board, ("fire",), ("fire",)), DoorNode(fire_loop=True)
    for now_ms in range(0, 1000, 5):
        for name, level in levels.read():
            door.level(name, level, now_ms)
        door.tick(now_ms)
        assert ("relay", 1) not in door.effects()


@pytest.mark.parametrize("from_ms", [0, 500])
def test_a_fire_releases_within_the_documented_time(from_ms: int, contact: Contact) -> None:
    """20 ms of stillness after at most two readings that the median holds back, one round each."""
    from firmware.drivers.loops import Bands, SupervisedInput

    source, door = SupervisedInput("fire", Bands(160, 490, 830)), DoorNode(fire_loop=True)
    for now_ms in range(0, from_ms + 41, 5):
        source.sample(312 if now_ms < from_ms else 662)
        door.level("fire", source.level, now_ms)
        door.tick(now_ms)
    assert ("relay", 1) in door.effects()
