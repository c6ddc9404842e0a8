"""Virtual time: exact, the same every time, much faster than real time, and honest about what it cannot do."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import msgspec
import pytest

from runtime.errors import ConfigError, UserError
from sim import scenario as scenarios
from zhian import sim as command
from zhian import virtual_runs
from zhian.virtual_time import VirtualLoop, WorldClock

SHIPPED = [path for path in scenarios.listed() if scenarios.load(path).is_virtual]
QUICK = [path for path in SHIPPED if path.stem in ("long-night", "man-trap", "anti-passback-day", "schedule-week")]


def test_a_loop_on_virtual_time_jumps_and_never_oversleeps() -> None:
    loop, begun_s = VirtualLoop(), time.monotonic()
    clock = WorldClock(loop)

    async def sleeper() -> list[float]:
        seen = []
        for seconds in (86_400, 0.001, 1 / 3):
            await asyncio.sleep(seconds)  # on virtual time: it takes none
            seen.append(clock.elapsed_ms())
        return seen

    assert loop.run_until_complete(sleeper()) == pytest.approx([86_400_000, 86_400_001, 86_400_334.334], abs=0.002)
    loop.close()
    assert time.monotonic() - begun_s < 5


def test_a_speed_is_a_limit() -> None:
    loop, begun_s = VirtualLoop(speed=100.0), time.monotonic()
    loop.run_until_complete(asyncio.sleep(20))  # 0.2 s: how long a limited speed takes is what is tested
    loop.close()
    assert time.monotonic() - begun_s >= 0.19


def test_waiting_for_nothing_is_an_error_and_no_hang() -> None:
    loop = VirtualLoop()
    with pytest.raises(RuntimeError, match="virtual time stands still"):
        loop.run_until_complete(loop.create_future())
    loop.close()


def test_five_scenarios_at_least_are_virtual() -> None:
    assert len(SHIPPED) >= 5


@pytest.mark.parametrize("path", QUICK, ids=lambda path: path.stem)
def test_a_virtual_scenario_holds_and_is_the_same_every_time(path: Path) -> None:
    loaded = scenarios.load(path)
    first, site = virtual_runs.outcome(loaded, None)
    assert [row for row in first["expectations"] if not row["ok"]] == []
    _, other = virtual_runs.outcome(loaded, None)
    assert site.facts == other.facts
    assert site.recording.events == other.recording.events
    assert loaded.duration_s / first["seconds"] > 1000 if first["seconds"] else True


def test_an_expectation_that_is_off_by_a_millisecond_fails() -> None:
    loaded = scenarios.load(next(path for path in SHIPPED if path.stem == "long-night"))
    wrong = scenarios.Expect(text="lobby locked exactly 5.001 s after step home")
    outcome, _ = virtual_runs.outcome(msgspec.structs.replace(loaded, expect=(wrong,)), None)
    assert outcome["ok"] is False
    assert outcome["expectations"][0]["seen"] == "lock.locked of lobby after step home: 5000 ms"


def test_a_crowd_is_people_with_cards_of_their_own() -> None:
    loaded = scenarios.load(next(path for path in SHIPPED if path.stem == "thousand-people"))
    crowd = msgspec.structs.replace(loaded.crowd[0], count=3)
    made = virtual_runs.populated(msgspec.structs.replace(loaded, crowd=(crowd,), step=()))
    assert [holder.id for holder in made.holder] == ["resident-1", "resident-2", "resident-3"]
    assert len({holder.cards[0].number for holder in made.holder}) == 3
    assert [step.at_s for step in made.step] == [10, 16, 22]


def test_speed_is_refused_where_processes_take_part() -> None:
    with pytest.raises(UserError, match=r"cut-node allows --speed 1 at most, since processes.*got 5; lower it"):
        command._planned(["cut-node"], None, 1, 5.0)
    assert command._planned(["man-trap"], None, 1, 5.0)[0].speed == 5.0


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        (
            "max_speed = 1_000_000 # no process takes part: virtual time",
            "max_speed = 1",
            "only virtual time takes longer",
        ),
        ("held_open_s = 30\n", "", ""),
        ('do = "force_door"', 'do = "cut_node"', "cut_node needs processes"),
    ],
)
def test_real_and_virtual_time_allow_different_things(tmp_path: Path, old: str, new: str, sentence: str) -> None:
    text = next(path for path in SHIPPED if path.stem == "long-night").read_text("utf-8")
    assert old in text
    file = tmp_path / "s.toml"
    file.write_text(text.replace(old, new), "utf-8")
    if not sentence:
        assert scenarios.load(file).is_virtual
        return
    with pytest.raises(ConfigError, match=sentence):
        scenarios.load(file)
