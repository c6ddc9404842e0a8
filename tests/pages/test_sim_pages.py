"""The simulator's page and REST."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from browsers import Entered, enter
from virtual_world import VirtualWorld

from sim.web import create


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
    ],
)
async def test_other_bodies_are_refused(inside: Entered, world: VirtualWorld, action: object) -> None:
    assert (await inside.act("/api/actions", json=action)).status_code == 422
    assert world.done == []


async def test_refusal_of_the_world_is_told(inside: Entered) -> None:
    answer = await inside.act("/api/actions", json={"do": "press_rex", "door": "pump-room"})
    assert answer.status_code == 409
    assert "'pump-room' is off" in answer.json()["error"]["text"]
