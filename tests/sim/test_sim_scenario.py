"""Scenario files: the shipped ones load, and each kind of mistake is one sentence that names the key."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime.errors import ConfigError
from sim import scenario
from sim.step import NEEDS

GOOD = """
name = "tiny"
title = { zh = "小", en = "Tiny" }
duration_s = 10
[[bus]]
name = "a"
[[door]]
name = "lobby"
label = { zh = "门", en = "Door" }
reader = "lobby-reader"
address = 5
bus = "a"
[[camera]]
name = "eye"
[[barrier]]
name = "gate"
label = { zh = "闸", en = "Gate" }
camera = "eye"
pins = { raise = 17, lower = 27, raised = 22, lowered = 23, loop = 24 }
[[group]]
name = "all"
portals = ["lobby", "gate"]
[[holder]]
id = "lin"
name = { zh = "林", en = "Lin" }
group = "all"
cards = [{ id = "blue", bits = 26, number = 11574338 }]
plates = ["京N7K3Q2"]
[[stranger]]
id = "other"
name = { zh = "他", en = "Other" }
[[step]]
id = "one"
at_s = 1
do = "present_card"
who = "lin"
door = "lobby"
[[expect]]
text = "lobby unlocked within 1 s of step one"
"""

PRESENT = 'do = "present_card"\nwho = "lin"\ndoor = "lobby"\n'


def load(tmp_path: Path, text: str) -> scenario.Scenario:
    path = tmp_path / "tiny.toml"
    path.write_text(text, encoding="utf-8")
    return scenario.load(path)


def test_shipped_scenarios_load_and_are_named_as_their_files() -> None:
    paths = scenario.listed()
    assert len(paths) >= 15
    for path in paths:
        assert scenario.load(path).name == path.stem


def test_everything_that_can_happen_happens_in_a_shipped_scenario() -> None:
    done = {step.do for path in scenario.listed() for step in scenario.load(path).step}
    assert done == set(NEEDS)


def test_every_shipped_scenario_expects_that_nothing_is_lost() -> None:
    for path in scenario.listed():
        loaded = scenario.load(path)
        if loaded.gateway:
            assert "no event was lost or stored twice" in [expect.text for expect in loaded.expect], path.stem


def test_shipped_cards_have_the_parity_that_readers_check() -> None:
    real = [loaded for path in scenario.listed() if not (loaded := scenario.load(path)).is_virtual]
    cards = [card for loaded in real for person in loaded.people for card in person.cards]
    assert cards
    for card in cards:  # H10301: even parity over the first 13 bits, odd over the last 13
        assert card.bits == 26
        assert (card.number >> 13).bit_count() % 2 == 0
        assert (card.number & 0x1FFF).bit_count() % 2 == 1


def test_a_good_file_has_its_defaults(tmp_path: Path) -> None:
    loaded = load(tmp_path, GOOD)
    assert loaded.barrier[0].pins.raise_ == 17
    assert (loaded.group[0].schedule, loaded.max_speed, loaded.seed) == ("always", 1.0, 1)


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ('bus = "a"', 'bus = "b"', r"door\[0\].bus: expected one of \['a'\], got 'b'"),
        ('camera = "eye"', 'camera = "ear"', r"barrier\[0\].camera: expected one of \['eye'\], got 'ear'"),
        ("lower = 27", "lower = 17", r"barrier\[0\].pins.lower: pin 17 is already barrier\[0\].pins.raise"),
        ("lower = 27", "lower = 28", r"barrier\[0\].pins.lower: .*<= 27, got 28"),
        ('["lobby", "gate"]', '["lobby", "roof"]', r"group\[0\].portals: expected one of .*'roof'"),
        ('group = "all"', 'group = "none"', r"holder\[0\].group: expected one of \['all'\], got 'none'"),
        ('id = "other"', 'id = "lin"', "'lin' is used twice"),
        ("number = 11574338", "number = 99999999", "card blue: 99999999 does not fit into 26 bits"),
        ('who = "lin"\n', "", r"step\[0\].who: this key is missing; present_card needs who and door"),
        ('who = "lin"', 'who = "wang"', r"step\[0\].who: expected one of \['lin', 'other'\]"),
        ('who = "lin"', 'who = "other"', r"step\[0\].who: 'other' has no card"),
        ('door = "lobby"', 'door = "lobby"\ncard = "red"', r"step\[0\].card: expected one of \['blue'\], got 'red'"),
        ('door = "lobby"', 'door = "lobby"\npin = "1234"', r"step\[0\].pin: present_card does not use this key"),
        ("at_s = 1", "at_s = 11", r"step\[0\].at_s: 11.0 is after duration_s = 10"),
        ('do = "present_card"', 'do = "noise"\nbus = "a"', r"step\[0\].who: noise does not use this key"),
        ('who = "lin"\ndoor = "lobby"\n', 'probability = 2.0\nbus = "a"\n', r"step\[0\].probability: .*<= 1"),
        (PRESENT, 'do = "quiet"\nbus = "b"\n', r"step\[0\].bus: expected one of \['a'\], got 'b'"),
        (PRESENT, 'do = "noise"\nbus = "a"\n', r"step\[0\].probability: this key is missing"),
        (PRESENT, 'do = "cut_power"\npart = "roof"\n', r"step\[0\].part: .*'roof'"),
        (PRESENT, 'do = "network_slow"\ndelay_ms = 0\n', r"step\[0\].delay_ms: .*>= 1"),
        (PRESENT, 'do = "clock_set"\nto = "24:00"\n', r"step\[0\].to: "),
        ("duration_s = 10", 'duration_s = 10\nstart_clock_at = "3am"', r"start_clock_at: "),
        (
            "duration_s = 10",
            'duration_s = 10\nstart_clock_at = "03:00"\nstart_clock_offset_s = 5',
            "start_clock_at: there is start_clock_offset_s too",
        ),
        ("lobby unlocked within 1 s of step one", "lobby stayed locked from step one to step two", r"'two'"),
        ('do = "present_card"', 'do = "dance"', r"step\[0\].do: .*got 'dance'"),
        ('do = "present_card"', 'do = "enter_pin"', r"step\[0\].pin: 'lin' has no PIN"),
        ("of step one", "of step two", r"expect\[0\].text: expected one of \['one'\], got 'two'"),
        ("lobby unlocked", "garage unlocked", r"expect\[0\].text: expected one of .*'garage'"),
        ("lobby unlocked within", "all is well", r"expect\[0\].text: .* is not a sentence that can be checked"),
        ("duration_s = 10", "duration = 10", "duration: this key is not known"),
        ('plates = ["京N7K3Q2"]', 'plates = ["hello12"]', r"holder\[0\].plates\[0\]"),
    ],
)
def test_a_mistake_is_one_sentence_with_file_and_key(tmp_path: Path, old: str, new: str, sentence: str) -> None:
    assert old in GOOD
    with pytest.raises(ConfigError, match=sentence) as caught:
        load(tmp_path, GOOD.replace(old, new))
    assert str(caught.value).startswith(str(tmp_path / "tiny.toml"))
    assert "\n" not in str(caught.value)
