"""The simulator's page and REST."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from browsers import Entered, enter
from virtual_world import VirtualWorld

from sim.scenario import load
from sim.step import KEYS, NEEDS
from sim.web import actions, create
from sim.web.stages import Stages
from sim.web.texts import TEXTS


@pytest.fixture
def world() -> VirtualWorld:
    return VirtualWorld()


@pytest.fixture
async def inside(world: VirtualWorld) -> AsyncIterator[Entered]:
    entered = await enter(create(world), **{"accept-language": "en"})
    yield entered
    await entered.client.aclose()


async def test_page_and_world(inside: Entered, world: VirtualWorld) -> None:
    page = (await inside.client.get("/")).text
    for text in ("Building 1 lobby", "South gate barrier", "Zhang Wei", "粤B12345", "0:01:23"):
        assert text in page
    assert (await inside.client.get("/api/world")).json() == world.snapshot()


@pytest.mark.parametrize(
    "action",
    [
        {"do": "present_card", "who": "zhang", "door": "lobby"},
        {"do": "enter_pin", "who": "li", "door": "lobby"},
        {"do": "press_rex", "door": "lobby"},
        {"do": "force_door", "door": "lobby"},
        {"do": "drive_up", "plate": "粤B12345", "barrier": "main-gate"},
        {"do": "cut_power", "part": "core"},
        {"do": "network_restore"},
        {"do": "clock_jump", "offset_s": -3600.0},
    ],
)
async def test_actions_reach_the_world(inside: Entered, world: VirtualWorld, action: dict[str, str]) -> None:
    assert (await inside.act("/api/actions", json=action)).status_code == 200
    assert world.done == [action]


@pytest.mark.parametrize(
    "action",
    [
        {},
        [],
        "press_rex",
        {"do": "explode", "door": "lobby"},
        {"do": "press_rex"},
        {"do": "press_rex", "door": "../x"},
        {"do": "press_rex", "door": "lobby", "more": 1},
        {"do": "drive_up", "plate": "x" * 50, "barrier": "main-gate"},
        {"do": "noise", "bus": "rs485-a", "probability": 2},
        {"do": "noise", "bus": "rs485-a", "probability": "NaN"},
        {"do": "cut_power", "part": "kernel"},
        {"do": "network_slow", "delay_ms": 99_999},
    ],
)
async def test_other_bodies_are_refused(inside: Entered, world: VirtualWorld, action: object) -> None:
    assert (await inside.act("/api/actions", json=action)).status_code == 422
    assert world.done == []


async def test_refusal_of_the_world_is_told(inside: Entered) -> None:
    answer = await inside.act("/api/actions", json={"do": "press_rex", "door": "pump-room"})
    assert answer.status_code == 409
    assert "'pump-room' is off" in answer.json()["error"]["text"]


# --- the table of actions -----------------------------------------------------------------------------------------


def test_everything_that_a_world_can_do_is_offered_and_has_its_texts() -> None:
    faults = {do for fault in actions.FAULTS for do in (*fault.buttons, *fault.mends)}
    elsewhere = {"present_card", "enter_pin", "press_rex", "drive_up"}  # tokens, lists and the doors themselves
    assert faults | elsewhere == set(NEEDS)
    assert set(KEYS) == set(actions.KEYS)
    keys = {f"do.{do}" for do in NEEDS} | {f"done.{do}" for do in NEEDS}
    keys |= {f"do.area.{fault.name}" for fault in actions.FAULTS}
    keys |= {f"do.key.{choice.key}" for fault in actions.FAULTS for choice in fault.choices}
    assert sorted(keys - set(TEXTS)) == []
    for fault in actions.FAULTS:
        for do in fault.buttons:
            assert set(NEEDS[do][0]) <= {choice.key for choice in fault.choices}, do


async def test_faults_are_offered_only_for_what_is_there(inside: Entered, world: VirtualWorld) -> None:
    offered = {fault.name: fault for fault in actions.offered(world.scenario)}
    assert dict(offered["node"].choices[0][2])["lobby"] == {"zh": "一号楼大堂", "en": "Building 1 lobby"}
    assert offered["noise"].buttons == (("noise", "noise-bus noise-probability", False), ("quiet", "noise-bus", True))
    page = (await inside.client.get("/")).text
    assert "Break something" in page
    assert "Gateway vision" in page


# --- stages ---------------------------------------------------------------------------------------------------------


def test_the_stages_of_the_last_action_follow_the_facts_of_its_place() -> None:
    stages = Stages()
    assert stages.shown() is None
    for t_ms, place, kind, more in (
        (1000, "lobby", "card.presented", {}),
        (1040, "lobby", "lock.released", {}),
        (1050, "garage", "led.changed", {"colour": "red"}),
        (1060, "lobby", "led.changed", {"colour": "green"}),
        (1900, "lobby", "door.opened", {"forced": False}),
        (4000, "lobby", "led.changed", {"colour": "red"}),
    ):
        stages.see({"t_ms": t_ms, "subject": place, "kind": kind, **more})
    assert stages.shown() == {
        "place": "lobby",
        "stages": [
            ("observed", "seen.card", 0), ("decided", "decided.green", 60),
            ("moved", "moved.released", 40), ("ended", "ended.opened", 900),
        ],
    }  # fmt: skip
    stages.see({"t_ms": 9000, "subject": "garage", "kind": "door.opened", "forced": True})
    shown = stages.shown()
    assert shown is not None
    assert (shown["place"], shown["stages"][0][1], shown["stages"][1][1]) == ("garage", "seen.forced", None)


# --- recording ------------------------------------------------------------------------------------------------------


async def test_what_is_done_on_the_page_is_downloaded_as_a_scenario(
    inside: Entered, world: VirtualWorld, tmp_path: Path
) -> None:
    assert (await inside.client.get("/api/recording", headers={"accept": "application/json"})).status_code == 404
    await inside.act("/api/actions", json={"do": "press_rex", "door": "garage"})
    assert (await inside.act("/api/recording", json={"do": "start"})).status_code == 200
    await inside.act("/api/actions", json={"do": "force_door", "door": "lobby"})
    await inside.act("/api/actions", json={"do": "press_rex", "door": "pump-room"})  # the world refuses it
    await inside.act("/api/actions", json={"do": "network_slow", "delay_ms": "1000"})
    assert (await inside.act("/api/recording", json={"do": "stop"})).status_code == 200
    await inside.act("/api/actions", json={"do": "force_door", "door": "garage"})
    answer = await inside.client.get("/api/recording")
    assert answer.headers["content-disposition"] == 'attachment; filename="demo-recorded.toml"'
    file = tmp_path / "recorded.toml"
    file.write_text(answer.text, "utf-8")
    assert [(step.id, step.do) for step in load(file).step] == [
        ("1-force-door", "force_door"),
        ("2-network-slow", "network_slow"),
    ]


@pytest.mark.parametrize("body", [{}, {"do": "erase"}, {"do": "start", "more": 1}])
async def test_other_requests_to_record_are_refused(inside: Entered, body: dict[str, object]) -> None:
    assert (await inside.act("/api/recording", json=body)).status_code == 422


async def test_recording_needs_the_log_in_and_the_token(inside: Entered, world: VirtualWorld) -> None:
    assert (await inside.client.post("/api/recording", json={"do": "start"})).status_code == 403
    inside.client.cookies.clear()
    answer = await inside.client.get("/api/recording", headers={"accept": "application/json"})
    assert answer.status_code == 401
