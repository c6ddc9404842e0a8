"""The door node's logic, with time as a number."""

from __future__ import annotations

import pytest

from firmware.node.door import CONTACT_STABLE_MS, MAINS_STABLE_MS, MAX_PULSE_MS, REX_RELEASE_MS, REX_STABLE_MS, DoorNode
from firmware.node.events import CAPACITY, STALE_MS, EventQueue
from firmware.wire import codes
from firmware.wire.commands import Buzzer, Led, Output
from firmware.wire.replies import Inputs, Keys, LocalStatus, RawCard

CARD = b"\x01\x02\x03\x40"


def told(door: DoorNode, now_ms: int) -> list[object]:
    """Everything the node has to tell, each confirmed."""
    out: list[object] = []
    while (event := door.poll(now_ms)) is not None:
        out.append(event)
        door.events.confirm()
    return out


def at_rest() -> DoorNode:
    door = DoorNode()
    for pin, level in (("contact", 0), ("rex", 1), ("tamper", 1)):
        assert door.level(pin, level, 0)
    return door


def release(door: DoorNode, units: int, now_ms: int) -> int:
    return door.output([Output(0, codes.OUT_TIMED_ON, units)], now_ms)


def led(temporary: int, timer: int, permanent: int | None = None) -> Led:
    control = codes.LED_NOP if permanent is None else codes.LED_SET_PERMANENT
    return Led(0, 0, codes.LED_SET_TEMPORARY, (1, 0, temporary, 0), timer, control, (1, 0, permanent or 0, 0))


def test_the_lock_is_locked_when_the_node_starts() -> None:
    door = DoorNode()
    assert door.present() == [("relay", 0), ("led", codes.BLACK)]
    assert door.output_states().states == (False, False)
    assert door.effects() == []


def test_the_lock_returns_to_rest_by_itself() -> None:
    door = at_rest()
    assert release(door, 30, 1000) == 0
    assert door.effects() == [("relay", 1)]
    assert door.due_ms() == 4000
    door.tick(3999)
    assert door.effects() == []
    door.tick(4000)
    assert door.effects() == [("relay", 0)]
    assert door.due_ms() is None


def test_a_second_release_prolongs_and_never_shortens() -> None:
    door = at_rest()
    release(door, 30, 0)
    release(door, 10, 0)
    assert door.due_ms() == 3000
    release(door, 30, 1000)
    assert door.due_ms() == 4000
    door.tick(4000)
    assert door.effects() == [("relay", 1), ("relay", 0)]


def test_the_panel_can_lock_at_once() -> None:
    door = at_rest()
    release(door, 30, 0)
    assert door.output([Output(0, codes.OUT_OFF)], 10) == 0
    assert door.effects() == [("relay", 1), ("relay", 0)]


@pytest.mark.parametrize(
    "output",
    [
        Output(0, codes.OUT_ON),
        Output(0, 4),
        Output(1, codes.OUT_TIMED_ON, 10),
        Output(2, codes.OUT_TIMED_ON, 10),
        Output(0, codes.OUT_TIMED_ON, 0),
        Output(0, codes.OUT_TIMED_ON, MAX_PULSE_MS // 100 + 1),
        Output(0, 99),
    ],
)
def test_no_command_leaves_the_door_open(output: Output) -> None:
    door = at_rest()
    assert door.output([Output(0, codes.OUT_TIMED_ON, 10), output], 0) == codes.NAK_RECORD
    assert door.effects() == [], "all or none"


def test_the_contact_is_debounced() -> None:
    door = at_rest()
    for now_ms in range(1000, 1030, 3):
        door.level("contact", now_ms % 2, now_ms)
        door.tick(now_ms)
    assert told(door, 1030) == []
    assert door.due_ms() == 1027 + CONTACT_STABLE_MS  # the last change
    door.tick(1027 + CONTACT_STABLE_MS)
    assert told(door, 1100) == [Inputs((True, False, False, False))]
    assert door.due_ms() is None


def test_a_spike_is_no_change() -> None:
    door = at_rest()
    door.level("contact", 1, 100)
    door.level("contact", 0, 100 + CONTACT_STABLE_MS - 1)
    door.tick(1000)
    assert told(door, 1000) == []


def test_the_first_level_counts_at_once() -> None:
    door = DoorNode()
    door.level("contact", 1, 0)
    assert door.input_states().states == (True, False, False, False)
    assert told(door, 0) == [Inputs((True, False, False, False))]


def test_request_to_exit_releases_the_lock_without_a_panel() -> None:
    door = at_rest()
    door.level("rex", 0, 100)
    door.tick(100 + REX_STABLE_MS)
    assert door.effects() == [("relay", 1)]
    assert told(door, 200) == [Inputs((False, True, False, False))]
    door.tick(100 + REX_STABLE_MS + REX_RELEASE_MS)
    assert door.effects() == [("relay", 0)], "a stuck button does not keep the door open"


def test_no_command_ends_the_release_of_somebody_who_leaves() -> None:
    door = at_rest()
    door.level("rex", 0, 100)
    door.tick(100 + REX_STABLE_MS)
    end_ms = 100 + REX_STABLE_MS + REX_RELEASE_MS
    assert release(door, 10, 300) == 0
    assert door.output([Output(0, codes.OUT_OFF)], 400) == 0
    assert door.output_states().states == (True, False)
    assert door.due_ms() == end_ms
    door.tick(end_ms - 1)
    assert door.effects() == [("relay", 1)]
    door.tick(end_ms)
    assert door.effects() == [("relay", 0)]


def test_a_grant_outlasts_the_release_of_somebody_who_leaves() -> None:
    door = at_rest()
    door.level("rex", 0, 100)
    door.tick(100 + REX_STABLE_MS)
    release(door, 100, 200)
    door.tick(10_199)
    assert door.effects() == [("relay", 1)]
    door.tick(10_200)
    assert door.effects() == [("relay", 0)]


def test_the_supply_is_local_status_after_a_dip_has_become_a_failure() -> None:
    door = DoorNode(mains_contact=True)
    assert door.level("mains", 0, 0)
    assert told(door, 0) == []
    door.level("mains", 1, 1000)
    door.tick(1000 + MAINS_STABLE_MS - 1)
    assert door.local_status() == LocalStatus(False, False)
    door.tick(1000 + MAINS_STABLE_MS)
    assert told(door, 2100) == [LocalStatus(False, True)]


def test_tamper_is_local_status() -> None:
    door = at_rest()
    door.level("tamper", 0, 0)
    door.tick(1000)
    assert told(door, 1000) == [LocalStatus(True, False)]


def test_cards_and_keys_are_told_in_order() -> None:
    door = at_rest()
    door.card(26, CARD, 0)
    door.keys("12*#", 1)
    assert told(door, 2) == [RawCard(0, codes.CARD_WIEGAND, 26, CARD), Keys(0, b"12\x7f\r")]


@pytest.mark.parametrize(("bits", "data"), [(26, b"\x01\x02\x03"), (0, b""), (129, bytes(17)), (26, b"")])
def test_a_card_that_makes_no_sense_is_not_told(bits: int, data: bytes) -> None:
    door = at_rest()
    door.card(bits, data, 0)
    assert told(door, 0) == []
    assert door.refused == 1


@pytest.mark.parametrize("text", ["", "12A4", "1" * 17, "\u4e00", "1\x00"])
def test_keys_that_make_no_sense_are_not_told(text: str) -> None:
    door = at_rest()
    door.keys(text, 0)
    assert told(door, 0) == []
    assert door.refused == 1


def test_an_old_card_does_not_open_a_door() -> None:
    door = at_rest()
    door.card(26, CARD, 0)
    assert told(door, STALE_MS + 1) == [Inputs((False, False, False, False)), LocalStatus(False, False)]
    assert door.events.expired == 1


def test_after_an_old_change_the_panel_is_told_how_things_are() -> None:
    door = at_rest()
    door.level("contact", 1, 0)
    door.tick(100)
    assert told(door, 100 + STALE_MS + 1) == [Inputs((True, False, False, False)), LocalStatus(False, False)]


def test_an_event_is_told_again_until_it_is_confirmed() -> None:
    door = at_rest()
    door.card(26, CARD, 0)
    assert door.poll(1) == door.poll(2) == RawCard(0, codes.CARD_WIEGAND, 26, CARD)
    door.events.confirm()
    assert door.poll(3) is None


def test_the_queue_is_bounded_and_counts_what_it_refused() -> None:
    queue = EventQueue(capacity=3)
    assert [queue.push(n, 0) for n in range(5)] == [True, True, True, False, False]
    assert (len(queue), queue.dropped) == (3, 2)
    queue.confirm()  # nothing was taken: nothing may be lost
    assert queue.take(0) == 0


def test_an_event_taken_in_a_lost_session_is_not_confirmed_by_the_next() -> None:
    queue = EventQueue()
    queue.push("card", 0)
    assert queue.take(0) == "card"
    queue.untold()
    queue.confirm()
    assert queue.take(0) == "card"


def test_after_an_overflow_the_last_state_is_told() -> None:
    door = at_rest()
    now_ms = 0
    for n in range(CAPACITY + 3):
        now_ms += 100
        door.level("contact", (n + 1) % 2, now_ms)
        door.tick(now_ms + CONTACT_STABLE_MS)
    assert door.events.dropped == 3
    events = told(door, now_ms + 50)
    assert events[-2:] == [door.input_states(), door.local_status()]


def test_a_temporary_colour_gives_way_to_the_permanent_one() -> None:
    door = at_rest()
    assert door.led([led(codes.GREEN, 20, permanent=codes.RED)], 0) == 0
    assert door.effects() == [("led", codes.GREEN)]
    door.tick(2000)
    assert door.effects() == [("led", codes.RED)]


def test_a_colour_the_board_does_not_have_is_refused() -> None:
    door = at_rest()
    assert door.led([led(codes.GREEN, 20), led(4, 20)], 0) == codes.NAK_RECORD
    assert door.effects() == []


def test_the_buzzer_sounds() -> None:
    door = at_rest()
    assert door.buzzer(Buzzer(0, codes.TONE_DEFAULT, 1, 1, 3)) == 0
    assert door.buzzer(Buzzer(0, codes.TONE_OFF, 1, 1, 3)) == 0
    assert door.buzzer(Buzzer(1, codes.TONE_DEFAULT, 1, 1, 3)) == codes.NAK_RECORD
    assert door.effects() == [("buzzer", 3)]


def test_an_input_that_is_not_there_is_said_so() -> None:
    assert at_rest().level("garage", 1, 0) is False
