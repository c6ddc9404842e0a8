"""Each rule of a profile, as a change to a good one and the sentence that must follow."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from typing import Any

import pytest

from device_profiles import shipped
from device_profiles.loading import examine

Plain = dict[str, Any]


def plain(name: str) -> Plain:
    return tomllib.loads(shipped(name).read_text(encoding="utf-8"))


def put(path: str, value: object) -> Callable[[Plain], None]:
    """A change that sets `a.b.c` to `value`, or removes it where `value` is None."""

    def change(table: Plain) -> None:
        *folders, last = path.split(".")
        for key in folders:
            table = table[key]
        if value is None:
            del table[last]
        else:
            table[last] = value

    return change


DOOR, BARRIER, CAMERA = "zhian-door-node", "generic-barrier-dry-contact", "folder-camera"
OPTICAL = {"active": "low", "pull": "up"}

ROWS = [
    (DOOR, put("osdp.bauds", []), "osdp.bauds: the list is empty"),
    (DOOR, put("osdp.secure_channel", "none"), "cards on the wire in clear"),
    (DOOR, put("inputs.rex.number", 0), "inputs: number 0 is used 2 times"),
    (DOOR, put("tamper", "input"), 'tamper: "input" needs a table [inputs.tamper]'),
    (DOOR, put("inputs.tamper", {"number": 9, "active_means": {"zh": "防拆", "en": "tamper"}}), "contradict"),
    (DOOR, put("outputs.lock.fail", None), "a lock must say what it does without power"),
    (DOOR, put("outputs.lock.fire_release", None), "a lock must say how a fire panel releases it"),
    (DOOR, put("outputs.lock.fire_release", "lock-supply"), "cutting the supply of a fail-secure lock keeps it locked"),
    (DOOR, put("inputs.fire", None), '"device-input" needs the input that the fire panel is wired to'),
    (DOOR, put("outputs.lock.fire_release", "none"), "must be released without bus and gateway"),
    (DOOR, put("outputs.alarm", {"number": 7, "purpose": "fire-release"}), 'under the name "fire"'),
    (BARRIER, put("signals.lower.mode", "pulse"), 'signals.lower.mode: expected "held"'),
    (BARRIER, put("signals.raise.pulse_ms", None), 'mode = "pulse" needs a length'),
    (BARRIER, put("signals.lower.pulse_ms", 100), 'mode = "held" has no pulse'),
    (BARRIER, put("inputs.loop", None), "a barrier without a loop would come down on a vehicle"),
    (BARRIER, put("inputs.loop", OPTICAL), "a broken wire would count as a free loop"),
    (BARRIER, put("inputs.raised", None), "inputs.raised: without this limit switch"),
    (
        BARRIER,
        put("inputs.lowered.pull", "down"),
        "inputs.lowered: a broken wire would count as an arm that has arrived",
    ),
    (BARRIER, put("times.travel_max_s", 0.5), "times.travel_max_s: expected more than travel_min_s = 1, got 0.5"),
    (BARRIER, put("status", "from-manual"), "look it up"),
    (CAMERA, put("source_kinds", []), "source_kinds: the list is empty"),
    (CAMERA, put("purposes", []), "purposes: the list is empty"),
    # of the form, not of a rule
    (DOOR, put("colour", "red"), "colour: this key is not known"),
    (DOOR, put("inputs.rex.numbr", 3), "inputs.rex.numbr: this key is not known"),
    (DOOR, put("source.quote", None), "source.quote: this key is missing"),
    (DOOR, put("label.zh", None), "label.zh: this key is missing"),
    (DOOR, put("kind", "toaster"), "kind: expected one of osdp-device, barrier, camera; got 'toaster'"),
    (DOOR, put("kind", None), "kind: expected one of osdp-device, barrier, camera; it is missing"),
    (DOOR, put("format", 2), "format: "),
    (DOOR, put("status", "certified"), "status: "),
    (CAMERA, put("max_width_px", "wide"), "max_width_px: "),
]


@pytest.mark.parametrize(("name", "change", "expected"), ROWS, ids=[row[2][:48] for row in ROWS])
def test_a_broken_rule_is_one_sentence_that_names_it(name: str, change: Callable[[Plain], None], expected: str) -> None:
    good = plain(name)
    assert examine(good, "good.toml").errors == ()
    change(good)
    found = examine(good, "mine.toml")
    assert found.profile is None
    assert len(found.errors) == 1
    assert expected in found.errors[0]
    assert found.errors[0].startswith("mine.toml: ")
    assert "\n" not in found.errors[0]


def test_one_run_shows_every_error() -> None:
    bad = plain(BARRIER)
    del bad["inputs"]["loop"]
    bad["signals"]["lower"]["mode"] = "pulse"
    bad["times"]["travel_max_s"] = 0.1
    assert len(examine(bad, "mine.toml").errors) == 3
    bad["vendro"] = bad.pop("vendor")
    bad["times"]["travel_min_s"] = "soon"
    assert len(examine(bad, "mine.toml").errors) == 3  # the form first: unknown, missing, wrong type


def test_a_loop_wired_the_other_way_round_is_fail_safe_too() -> None:
    turned = plain(BARRIER)
    turned["inputs"]["loop"] = {"active": "low", "pull": "down"}
    turned["inputs"]["raised"] = {"active": "high", "pull": "down"}
    assert examine(turned, "mine.toml").errors == ()
