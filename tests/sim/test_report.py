"""The HTML report: escaped, self-contained, and a failure comes with what happened before it."""

from __future__ import annotations

import asyncio
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import typer

from runtime.errors import UserError
from sim import run_table
from sim import scenario as scenarios
from sim.report import BEFORE, Run, around, html
from sim.report_picture import LANES, Place, acknowledged_ms
from zhian import sim as command

EVIL = "<script>alert(1)</script>\"'&\x07"
T0 = 1_800_000_000_000


def fact(at_ms: int, kind: str, subject: str = "lobby", **more: object) -> dict[str, Any]:
    return {"t_ms": float(at_ms), "unix_ms": T0 + at_ms, "kind": kind, "subject": subject, **more}


def event(seq: int, at_ms: int, kind: str, subject: str = "lobby", **more: object) -> dict[str, Any]:
    return {
        "id": f"e-{seq}", "type": f"zhian.{kind}", "subject": subject, "time_ms": T0 + at_ms,
        "received_ms": T0 + at_ms + 40, "severity": "info", "data": {}, **more,
    }  # fmt: skip


def a_run(ok: bool = False, **changes: object) -> Run:
    outcome = {
        "scenario": "night", "seed": 3, "ok": ok, "seconds": 12.3,
        "expectations": [
            {"text": "lobby unlocked within 500 ms of step card", "ok": ok, "seen": f"never {EVIL}"},
            {"text": "no event was lost or stored twice", "ok": True, "seen": "2 events"},
        ],
        "faults": [fact(300, "node.cut")], "crashes": [] if ok else [f"core ended with 1 {EVIL}"],
        "logs": {} if ok else {"core": ["last words", EVIL]},
        "events_made": 2, "events_stored": 2, "lost": 0, "duplicated": 0, "alarms": 0,
    } | changes  # fmt: skip
    facts = [
        fact(0, "round.begun", "night"), fact(100, "step", "card", do="present_card"),
        fact(101, "card.presented", who=EVIL), fact(300, "node.cut"), fact(9000, "door.closed"),
    ]  # fmt: skip
    events = [event(1, 150, "access.denied", data={"reason": "revoked"}), event(2, 8000, EVIL)]
    return Run(outcome, ("夜", "Night"), [Place("lobby", "单元门", "Lobby")], facts, events, [(T0 + 400, 1)])


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        self.attributes += attrs


def test_the_report_needs_nothing_else_and_lets_nothing_through() -> None:
    text = html([a_run(), a_run(ok=True)])
    tags = Tags()
    tags.feed(text)
    assert {"script", "link", "img", "iframe", "object"}.isdisjoint(tags.names)
    assert not [name for name, _ in tags.attributes if name.startswith("on") or name in ("src", "style")]
    assert [value for name, value in tags.attributes if name == "href"] == ["#run-1", "#run-2"]
    assert "default-src 'none'" in text
    assert "http" not in text.replace("http-equiv", "")
    assert "<script" not in text
    assert "\x07" not in text
    assert text.count("alert(1)") >= 5  # shown, not dropped
    assert "url(" not in text
    assert "@import" not in text


def test_the_verdicts_faults_counts_logs_and_lanes_are_there() -> None:
    text = html([a_run()])
    assert text.count("FAIL 失败") == 3  # of all, of the run, of the one expectation
    for part in (
        "node.cut",
        "events made",
        "last words",
        "Night",
        "夜",
        "access.denied",
        *(label for _, label in LANES),
    ):
        assert part in text, part
    assert len(re.findall(r'class="mark (?:stored|acked) ', text)) == 3  # the second event was never acknowledged
    assert "FAIL" not in html([a_run(ok=True)])


def test_a_failure_shows_the_last_things_before_it_and_not_the_later_ones() -> None:
    lines = around(a_run(), "lobby unlocked within 500 ms of step card")
    assert lines[-1].startswith("0.30 s  node.cut")
    assert any("access.denied lobby (revoked)" in line for line in lines)
    assert not any("door.closed" in line for line in lines)
    many = [fact(n, f"kind-{n}") for n in range(50)]
    assert len(around(Run({}, facts=many), "the center has everything made")) == BEFORE
    assert around(Run({}), "anything") == []


def test_a_run_that_could_not_be_made_is_told() -> None:
    run = Run({"scenario": "x", "seed": 1, "ok": False, "error": f"no broker {EVIL}", "expectations": []})
    assert "no broker &lt;script&gt;" in html([run])


@pytest.mark.parametrize(("seq", "found"), [(1, 10), (2, 20), (3, None)])
def test_when_an_event_was_seen_to_be_acknowledged(seq: int, found: int | None) -> None:
    assert acknowledged_ms([(10, 1), (20, 2)], {"id": f"e-{seq}"}) == found


# --- the command --------------------------------------------------------------------------------------------------


def test_new_writes_a_scenario_that_loads_and_never_overwrites(tmp_path: Path) -> None:
    file = tmp_path / "my-site.toml"
    command.new(file, None)
    made = scenarios.load(file)
    assert (made.name, bool(made.step), bool(made.expect), "#" in file.read_text("utf-8")) == ("my-site", *(True,) * 3)
    before = file.read_bytes()
    with pytest.raises(UserError, match=r"exists already.*choose another name"):
        command.new(file, None)
    assert file.read_bytes() == before
    command.new(tmp_path / "gate.toml", "daily-life")
    assert scenarios.load(tmp_path / "gate.toml").barrier
    for bad in ("My Site.toml", "x.json", ".toml"):
        with pytest.raises(UserError, match="choose such a name"):
            command.new(tmp_path / bad, None)
    with pytest.raises(UserError, match="cannot be written"):
        command.new(tmp_path / "none" / "a.toml", None)


def test_what_shall_run_is_checked_before_anything_runs(tmp_path: Path) -> None:
    planned = command._planned(["cut-node", "cut-node"], 5, 3, 1.0)
    assert [(one.scenario.name, one.seed) for one in planned] == [("cut-node", n) for n in (5, 6, 7)]
    assert {one.file for one in command._planned(["all"], None, 1, 1.0)} == set(scenarios.listed())
    with pytest.raises(UserError, match="expected a file or one of"):
        command._planned(["cut-node", "nothing"], None, 1, 1.0)
    with pytest.raises(UserError, match="choose a smaller seed"):
        command._planned(["cut-node"], (1 << 32) - 1, 2, 1.0)
    with pytest.raises(UserError, match=r"ends in \.html or \.json"):
        command.run(["cut-node"], report=tmp_path / "report.pdf")
    with pytest.raises(UserError, match="there is no folder"):
        command.run(["cut-node"], report=tmp_path / "none" / "report.html")


def test_the_report_file_is_html_or_json(tmp_path: Path) -> None:
    runs = [a_run(), a_run(ok=True)]
    assert command._report(tmp_path / "r.html", runs, 20.0) == html(runs, 20.0)
    assert "on the clock 总用时: 20 s" in html(runs, 20.0)
    assert json.loads(command._report(tmp_path / "r.json", runs[:1], 20.0))["scenario"] == "night"
    assert [one["ok"] for one in json.loads(command._report(tmp_path / "r.json", runs, 20.0))] == [False, True]
    command._write(tmp_path / "r.json", "--report", "x")
    assert (tmp_path / "r.json").read_text("utf-8") == "x"


def test_the_table_has_a_row_for_each_scenario_and_the_totals() -> None:
    outcomes = [a_run().outcome, a_run(ok=True).outcome]
    assert run_table.text(outcomes, 20.0) == (
        "scenario  first seed  run 1     run 2  mean s\n"
        "night     3           FAIL 1/2  ok     12.3\n\n"
        "1 scenarios, 2 runs, 1 failed; events lost 0, stored twice 0; 20 s on the clock, 25 s of runs\n"
    )
    assert run_table.text(outcomes, 20.0, markdown=True).splitlines()[:3] == [
        "| scenario | first seed | run 1 | run 2 | mean s |",
        "| --- | --- | --- | --- | --- |",
        "| night | 3 | FAIL 1/2 | ok | 12.3 |",
    ]


async def test_runs_go_side_by_side_and_stay_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    going, most = 0, 0

    async def one(planned: Any, *, alone: bool) -> Run:
        nonlocal going, most
        assert not alone
        going, most = going + 1, max(most, going + 1)
        for _ in range(10 - planned.seed):  # later ones end earlier
            await asyncio.sleep(0)
        going -= 1
        return Run(a_run(ok=True).outcome | {"seed": planned.seed})

    monkeypatch.setattr(command, "_run_one", one)
    runs: list[Run] = []
    await command._run_all(command._planned(["night"], 1, 5, None), runs, 2, as_json=False)
    assert [run.outcome["seed"] for run in runs] == [1, 2, 3, 4, 5]
    assert most == 2


def test_the_command_is_there() -> None:
    assert {c.name for c in typer.main.get_command(command.app).commands.values()} >= {"list", "run", "new", "world"}  # type: ignore[attr-defined]
