"""What a face is asked for, shown at the door's reader: in time or not at all, and nothing of it is left."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.control.face_asks import (
    LATE_MS,
    LONGEST_MS,
    LOOK,
    LOOK_ROUND,
    NOTHING,
    OTHER_WAY,
    TEXTS,
    FaceAsks,
    Place,
    plan,
)
from gateway.model import FaceAsk, FaceAskOver, Shine, ShowText

STEPS = ("turn_left", "nod", "blink")
SLOTS = (False, True, True, False, True, False)
ASK = FaceAsk("lobby-camera", "ab" * 8, STEPS, 2000, SLOTS, 500, 1, 0)
CHALLENGE = replace(ASK, slots=())
LIGHT = replace(ASK, steps=())


def test_the_plan_says_when_what_is_shown() -> None:
    assert [(m.after_ms, m.command) for m in plan(ASK, display=True)] == [
        (0, ShowText(TEXTS["turn_left"], 3, 1)),
        (500, Shine(1000)),
        (2000, ShowText(TEXTS["nod"], 3, 1)),
        (2000, Shine(500)),
        (4000, ShowText(TEXTS["blink"], 3, 1)),
    ]


def test_a_lead_puts_everything_off() -> None:
    plain, led = plan(ASK, display=True), plan(replace(ASK, lead_ms=1000), display=True)
    assert led[0].command == ShowText(LOOK, 2)
    assert [(m.after_ms - 1000, m.command) for m in led[1:]] == [(m.after_ms, m.command) for m in plain]


def test_where_nothing_can_show_it_there_is_no_plan_and_the_light_alone_needs_no_display() -> None:
    assert plan(CHALLENGE, display=False) == ()
    assert plan(ASK, display=False) == ()
    assert plan(replace(CHALLENGE, steps=()), display=True) == ()
    assert [m.command for m in plan(LIGHT, display=False)] == [Shine(0), Shine(1000), Shine(500)]
    assert plan(LIGHT, display=True)[0].command == ShowText(LOOK_ROUND, 3, 1)


ASKS = st.builds(
    FaceAsk,
    st.just("lobby-camera"),
    st.just("ab" * 8),
    st.lists(st.sampled_from(sorted(TEXTS)), max_size=5).map(tuple),
    st.integers(500, 10_000),
    st.lists(st.booleans(), max_size=64).map(tuple),
    st.integers(1, 20).map(lambda n: n * 100),
    st.just(1),
    st.integers(0, 5).map(lambda n: n * 500),
)


@settings(deadline=None)
@given(ASKS)
def test_whatever_is_asked_the_light_is_as_drawn_and_all_of_it_ends_by_itself(ask: FaceAsk) -> None:
    moments = plan(ask, display=True)
    if ask.lasts_ms > LONGEST_MS:
        assert moments == ()
        return
    lit = [False] * len(ask.slots)
    for moment in moments:
        assert 0 <= moment.after_ms <= ask.lasts_ms
        if isinstance(moment.command, Shine):
            first, count = (moment.after_ms - ask.lead_ms) // ask.slot_ms, moment.command.for_ms // ask.slot_ms
            lit[first : first + count] = [True] * count
            assert moment.after_ms + moment.command.for_ms <= ask.lasts_ms
        else:
            assert moment.command.text.isascii()
            assert len(moment.command.text) <= 16
            assert moment.after_ms + 1000 * moment.command.for_s <= ask.lasts_ms + 2000
    assert tuple(lit) == ask.slots
    texts = [m.command.text for m in moments if isinstance(m.command, ShowText)]
    steps = [LOOK] * bool(ask.lead_ms) + [TEXTS[step] for step in ask.steps]
    assert texts == steps or (not ask.steps and texts in ([], [LOOK_ROUND]))


class AtDoor:
    """One portal with a display; `answers`: what the vision process was told."""

    def __init__(self, site, settle, display=True) -> None:
        self.site, self._settle, self.answers = site, settle, []
        self.asks = FaceAsks({"lobby-camera": Place("lobby", "lobby-reader", display)}, site, site.clock)
        self.asks.answer = lambda camera, ask, shown: self.answers.append((camera, ask, shown))

    async def passes(self, for_ms: int, every_ms: int = 100) -> None:
        for _ in range(for_ms // every_ms):
            self.site.clock.ms += every_ms
            self.asks.ask(replace(ASK, camera="garage"))  # not here
            next(iter(self.asks._showing.values())).loop.nudge()
            await self._settle()

    async def begins(self, ask=ASK) -> None:
        self.asks.ask(ask)
        await self._settle()


@pytest.fixture
async def at_door(site, settle):
    running = []

    def start(**more) -> AtDoor:
        one = AtDoor(site, settle, **more)
        running.append(asyncio.create_task(one.asks.run()))
        return one

    yield start
    for task in running:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_it_is_shown_step_by_step_and_then_taken_away(at_door) -> None:
    one = at_door()
    await one.begins()
    assert one.answers == [("lobby-camera", ASK.id, True)]  # once the reader has acknowledged
    await one.passes(ASK.lasts_ms)
    expected = [moment.command for moment in plan(ASK, display=True)]
    assert one.site.commands == [*expected, ShowText(NOTHING, 1), Shine(0)]
    assert len(one.answers) == 1


async def test_whoever_did_not_do_it_is_told_of_the_other_way_in(at_door, settle) -> None:
    one = at_door()
    await one.begins(CHALLENGE)
    await one.passes(CHALLENGE.lasts_ms)
    for over, said in ((FaceAskOver("lobby-camera", ASK.id, True), 0), (FaceAskOver("lobby-camera", ASK.id, False), 1)):
        one.asks.over(over)
        await settle()
        assert sum(getattr(command, "text", "") == OTHER_WAY for command in one.site.commands) == said


async def test_whoever_has_gone_is_told_nothing_more(at_door, settle) -> None:
    one = at_door()
    await one.begins()
    await one.passes(700)
    one.asks.over(FaceAskOver("lobby-camera", ASK.id, False, gone=True))
    await settle()
    assert one.site.commands[-2:] == [ShowText(NOTHING, 1), Shine(0)]
    await one.passes(ASK.lasts_ms)
    assert one.site.commands[-2:] == [ShowText(NOTHING, 1), Shine(0)]


async def test_a_reader_that_cannot_be_told_is_said_and_harms_nothing(at_door, settle) -> None:
    one = at_door()
    one.site.device_gone = True
    await one.begins()
    assert one.answers == [("lobby-camera", ASK.id, False)]
    one.site.device_gone = False
    await one.begins()
    assert one.answers[-1] == ("lobby-camera", ASK.id, True)
    one.site.device_gone = True
    await one.passes(1000)
    assert one.answers[-1] == ("lobby-camera", ASK.id, False)


async def test_where_no_display_is_a_challenge_is_refused(at_door) -> None:
    one = at_door(display=False)
    await one.begins()
    assert (one.answers, one.site.commands) == ([("lobby-camera", ASK.id, False)], [])


async def test_what_comes_too_late_is_not_what_was_asked(at_door) -> None:
    one = at_door()
    await one.begins()
    await one.passes(500 + LATE_MS + 100, every_ms=500 + LATE_MS + 100)
    assert one.answers == [("lobby-camera", ASK.id, True), ("lobby-camera", ASK.id, False)]
    assert one.site.commands[-2:] == [ShowText(NOTHING, 1), Shine(0)]


async def test_a_vision_process_that_dies_leaves_nothing_lit(at_door, settle) -> None:
    one = at_door()
    await one.begins()
    await one.passes(600)
    one.asks.vision_changed(True)  # another one came: nothing of ours
    await settle()
    assert not isinstance(one.site.commands[-1], ShowText)
    one.asks.vision_changed(False)
    await settle()
    assert one.site.commands[-2:] == [ShowText(NOTHING, 1), Shine(0)]


async def test_the_doors_own_answer_at_the_reader_comes_first(at_door, settle) -> None:
    one = at_door()
    await one.begins()
    await one.passes(600)
    before = len(one.site.commands)
    one.asks.signalled("garage-reader")
    one.asks.signalled("lobby-reader")  # a card was shown there, and its light is on its way
    await settle()
    assert one.site.commands[before:] == [ShowText(NOTHING, 1)]  # the LED is the door's now
    assert one.answers[-1] == ("lobby-camera", ASK.id, False)
    one.asks.over(FaceAskOver("lobby-camera", ASK.id, False))
    await settle()
    await one.passes(ASK.lasts_ms)
    assert len(one.site.commands) == before + 1  # no "Card / shua ka" to somebody whose card was just answered


async def test_the_doors_own_answer_also_ends_what_is_still_on_its_way_to_the_reader(at_door, settle) -> None:
    one = at_door()
    one.site.device_answers = asyncio.Event()
    await one.begins()
    one.asks.signalled("lobby-reader")
    one.site.device_answers.set()
    await settle()
    assert one.answers == [("lobby-camera", ASK.id, False)]
    await one.passes(ASK.lasts_ms)
    assert one.site.commands == [ShowText(TEXTS["turn_left"], 3, 1), ShowText(NOTHING, 1)]  # and none of its light


async def test_the_doors_own_answer_also_ends_what_waits_for_an_earlier_one_to_be_cleared(at_door, settle) -> None:
    one = at_door()
    await one.begins()
    one.site.device_answers = asyncio.Event()
    await one.begins(replace(CHALLENGE, id="cd" * 8))
    one.asks.signalled("lobby-reader")
    one.site.device_answers.set()
    await settle()
    await one.passes(ASK.lasts_ms)
    assert one.answers[-1] == ("lobby-camera", "cd" * 8, False)
    assert one.site.commands[1:] == [ShowText(NOTHING, 1), Shine(0)]  # of the first; of the second nothing was shown


async def test_another_ask_takes_its_place(at_door) -> None:
    one = at_door()
    await one.begins()
    await one.passes(600)
    second = replace(CHALLENGE, id="cd" * 8, steps=("nod",))
    await one.begins(second)
    assert one.answers[-2:] == [("lobby-camera", ASK.id, False), ("lobby-camera", second.id, True)]
    assert one.site.commands[-1] == ShowText(TEXTS["nod"], 3, 1)
