"""The fire panel, its wires and locks on virtual time; sentences about locks; what an operator on site is answered."""

from __future__ import annotations

import asyncio
import json
import random
from pathlib import Path
from typing import Any

import pytest

from gateway.access.tokens import pin_digest
from sim import expectations, operator
from sim.action import Action
from sim.door import INPUTS, OUTPUTS, Door
from sim.errors import ActionError
from sim.fire_panel import BRIDGED, CUT, WHOLE, FirePanel
from sim.pins.board import Board
from sim.power import PowerSwitches
from sim.scenario import load
from zhian import power_switches, site_files
from zhian.supervisor import Supervisor

SHIPPED = Path(__file__).resolve().parents[2] / "sim" / "scenarios"


class Site:
    """Two doors and a gateway's pin behind one fire panel; `kinds` are the facts in order."""

    def __init__(self, virtual: Any) -> None:
        self.facts: list[tuple[str, str]] = []
        rng = random.Random(1)

        def door(name: str) -> Door:
            board = Board(name, virtual.timeline, rng, inputs=INPUTS, outputs=OUTPUTS)
            return Door(name, board, virtual.timeline, rng, self.record, closer_s=1)

        self.lobby, self.stairs = door("lobby"), door("stairs")
        self.header = Board("gateway", virtual.timeline, rng, inputs=("26",), outputs=())
        wired = {"lobby": (self.lobby, "node-input"), "stairs": (self.stairs, "supply")}
        self.panel = FirePanel(wired, (self.header, "26"), self.record)
        self.levels: dict[str, int] = {}
        for board, pins in ((self.header, ["26"]), (self.lobby.board, ["fire", "relay"])):
            board.plug_in(lambda message: self.levels.update({message["pin"]: message["value"]}))
            for pin in pins:
                board.setup(pin, "out" if pin == "relay" else "in", "up", 0)

    def record(self, kind: str, subject: str, **_: object) -> None:
        self.facts.append((kind, subject))


async def test_an_alarm_opens_the_loop_cuts_the_supply_and_tells_the_gateway(virtual: Any) -> None:
    site = Site(virtual)
    assert site.levels == {"26": 0, "fire": 0}, "closed at rest"
    site.panel.light()
    await virtual.pass_ms(50)
    assert site.levels == {"26": 1, "fire": 1}
    assert site.stairs.released
    assert not site.lobby.released, "the loop only tells the node: its relay must do it"
    site.panel.clear()
    await virtual.pass_ms(50)
    assert site.levels == {"26": 0, "fire": 0}
    assert not site.stairs.released
    assert ("lock.locked", "stairs") in site.facts


@pytest.mark.parametrize(("wire", "lit", "level"), [(CUT, False, 1), (BRIDGED, True, 0), (WHOLE, True, 1)])
async def test_a_cut_wire_looks_like_fire_and_a_bridge_hides_it(virtual: Any, wire: str, lit: bool, level: int) -> None:
    site = Site(virtual)
    if wire != WHOLE:
        site.panel.rewire("lobby", wire)
    if lit:
        site.panel.light()
    await virtual.pass_ms(50)
    assert site.levels["fire"] == level


async def test_a_fail_safe_lock_stays_released_while_either_its_relay_or_the_panel_says_so(virtual: Any) -> None:
    site = Site(virtual)
    board = site.stairs.board
    board.plug_in(lambda _: None)
    board.setup("relay", "out", "none", 0)
    site.panel.light()
    board.write("relay", 1)
    site.panel.clear()
    assert site.stairs.released, "the gateway's message latched it"
    board.write("relay", 0)
    assert not site.stairs.released
    assert [kind for kind, subject in site.facts if subject == "stairs"] == ["lock.released", "lock.locked"]


async def test_what_cannot_be_done_is_said(virtual: Any) -> None:
    panel = Site(virtual).panel
    panel.light()
    for again, sentence in (
        (Action(do="light_fire"), "in alarm already"),
        (Action(do="cut_fire_wire", door="garage"), "no wire goes from the fire panel to garage"),
        (Action(do="mend_fire_wire", door="lobby"), "is whole already"),
    ):
        with pytest.raises(ActionError, match=sentence):
            panel.begin(again)
    panel.clear()
    with pytest.raises(ActionError, match="at rest already"):
        panel.begin(Action(do="clear_fire"))


async def test_somebody_who_leaves_gets_out_of_a_released_door_only(virtual: Any) -> None:
    site = Site(virtual)
    site.stairs.leave()
    await virtual.pass_ms(1000)
    assert ("door.held-fast", "stairs") in site.facts
    site.panel.light()
    site.stairs.leave()
    await virtual.pass_ms(1000)
    assert ("door.opened", "stairs") in site.facts


# --- sentences ------------------------------------------------------------------------------------------------------


def fact(t_ms: float, kind: str, subject: str, **details: object) -> dict[str, Any]:
    return {"t_ms": t_ms, "kind": kind, "subject": subject, **details}


FACTS = [
    fact(500, "lock.released", "stairs"),
    fact(1000, "step", "fire", do="light_fire"),
    fact(1000, "fire.lit", "fire-panel", doors=["lobby", "stairs"]),
    fact(1040, "lock.released", "lobby"),
    fact(3000, "step", "early", do="reset_fire"),
    fact(3100, "operation.refused", "reset_fire", cause="it still burns"),
    fact(5000, "step", "late", do="reset_fire"),
    fact(5100, "operation.done", "reset_fire"),
    fact(5200, "lock.locked", "lobby"),
    fact(6000, "step", "end"),
]


@pytest.mark.parametrize(
    ("text", "ok"),
    [
        ("lobby released within 200 ms of step fire", True),
        ("lobby released within 20 ms of step fire", False),
        ("stairs released within 20 ms of step fire", True),
        ("garage released within 9 s of step fire", False),
        ("every fire door released within 200 ms of step fire", True),
        ("every fire door released within 20 ms of step fire", False),
        ("lobby stayed released from step fire to step late", True),
        ("lobby stayed released from step fire to step end", False),
        ("every fire door stayed released from step fire to step late", True),
        ("every fire door stayed released from step fire to step end", False),
        ("garage stayed released from step fire to step end", False),
        ("step early was refused", True),
        ("step early was done", False),
        ("step late was done", True),
        ("step fire was done", False),
    ],
)
def test_sentences_about_locks_and_operations(text: str, ok: bool) -> None:
    (result,) = expectations.check([text], FACTS, [])
    assert result.ok is ok, result.seen


def test_every_fire_door_without_a_panel_is_no_success() -> None:
    facts = [f for f in FACTS if f["kind"] != "fire.lit"]
    (result,) = expectations.check(["every fire door released within 200 ms of step fire"], facts, [])
    assert (result.ok, result.seen) == (False, "the fire panel releases no door")


# --- operations -----------------------------------------------------------------------------------------------------


class Operations:
    """Core's socket as far as an operation needs it: answers each request with the next of `answers`."""

    def __init__(self, answers: list[dict[str, str]]) -> None:
        self.answers = answers
        self.asked: list[dict[str, Any]] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.asked.append(json.loads(await reader.readline()))
        writer.write(json.dumps(self.answers.pop(0)).encode() + b"\n")
        writer.close()


async def test_an_operation_reaches_the_gateway_and_a_refusal_is_a_fact(tmp_path: Path) -> None:
    core = Operations([{"type": "refused", "text": "It still burns."}, {"type": "done"}, {"type": "done"}])
    server = await asyncio.start_unix_server(core.serve, tmp_path / "operations.sock")
    switches = power_switches.PowerSwitches(tmp_path / "power.sock", Supervisor(tmp_path, lambda _n, _l: None))
    await switches.start()
    power, facts = PowerSwitches(tmp_path / "power.sock"), []
    for action in (
        Action(do="reset_fire"),
        Action(do="reset_fire"),
        Action(do="set_mode", door="lobby", mode="emergency-open"),
    ):
        await operator.ask(action, power, lambda kind, subject, **told: facts.append((kind, subject, told)))
    assert [f[:2] for f in facts if f[0] != "operation.asked"] == [
        ("operation.refused", "reset_fire"),
        ("operation.done", "reset_fire"),
        ("operation.done", "set_mode"),
    ]
    assert facts[1][2] == {"cause": "It still burns."}
    assert core.asked[2]["mode"] == "emergency-open"
    server.close()
    with pytest.raises(ActionError, match="core does not answer"):
        await operator.ask(Action(do="lockdown"), power, lambda *_a, **_k: None)
    await switches.close()


# --- files of a site ------------------------------------------------------------------------------------------------


def test_the_site_is_laid_out_as_the_scenario_says(tmp_path: Path) -> None:
    file = SHIPPED / "fire-message-only.toml"
    scenario = load(file)
    files = site_files.write(scenario, file, tmp_path, site_files.Ports(1, 2, 3, 4, 5))
    gateway = files.gateway_toml.read_text()
    assert "panel_pin = 26" in gateway
    assert 'profile = "zhian-door-node-failsafe"' in gateway
    nodes = {p.stem: json.loads(p.read_text())["fire_loop"] for p in (tmp_path / "nodes").iterdir()}
    assert nodes == {"lobby-reader": True, "stairs-reader": False, "store-reader": False}


def test_a_policy_table_completes_what_is_generated(tmp_path: Path) -> None:
    file = SHIPPED / "anti-passback.toml"
    policy = site_files.policy(load(file), bytes(32))
    portals = {portal["name"]: portal for portal in policy["portal"]}
    assert portals["gate-in"] == {"name": "gate-in", "accepts": [["card"]], "enters_zone": "yard"}
    assert policy["zone"] == [{"name": "yard", "passback": "hard"}]


def test_pins_and_codes_are_digests() -> None:
    duress = site_files.policy(load(SHIPPED / "duress.toml"), bytes(32))["credential"]
    assert [c.get("duress", False) for c in duress if c["kind"] == "pin"] == [False, True]
    codes = site_files.policy(load(SHIPPED / "visitor-code.toml"), bytes(32))["credential"]
    assert codes[0]["key"] == pin_digest(bytes(32), "318204")
    assert codes[0]["uses"] == 1
    assert "valid_until" in codes[1]


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ('fire = "node-input"\nescape_route = true', "escape_route = true", "an escape route needs a hard path"),
        ('do = "bridge_fire_wire"\ndoor = "lobby"', 'do = "bridge_fire_wire"\ndoor = "store"', "expected one of"),
        ("gateway_pin = 26", "gateway_pin = 99", "gateway_pin"),
    ],
)
def test_a_scenario_that_makes_no_sense_is_refused(tmp_path: Path, old: str, new: str, sentence: str) -> None:
    text = (SHIPPED / "fire-message-only.toml").read_text()
    assert old in text
    file = tmp_path / "mine.toml"
    file.write_text(text.replace(old, new))
    with pytest.raises(Exception, match=sentence):
        load(file)
