"""The power fails at any moment, 2 000 times: nothing that was confirmed is lost, no transaction is half there."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from zhian import power_cuts

CUTS = 2_000
RECORDS = 5


@pytest.fixture
def memory() -> Iterator[Path]:
    """A folder in memory where there is one: what is left by a cut need not survive another."""
    where = "/dev/shm" if Path("/dev/shm").is_dir() else None
    with tempfile.TemporaryDirectory(prefix="zhian-cut-", dir=where) as folder:
        yield Path(folder)


@pytest.mark.parametrize("seed", range(RECORDS))
def test_nothing_confirmed_is_lost_in_a_power_cut(memory: Path, seed: int) -> None:
    tally = power_cuts.cut(power_cuts.record(seed), CUTS // RECORDS, seed, memory)
    assert (tally.cuts, tally.damaged, tally.lost, tally.rows_lost) == (CUTS // RECORDS, 0, 0, 0)
    assert tally.newer > 0  # cuts fell into transactions, too


def test_the_record_holds_everything_the_journal_does_to_its_file() -> None:
    steps = power_cuts.record(1)
    synced = [step.file for step in steps if step.what == "sync"]
    assert synced.count("gateway.sqlite") > 3, "no checkpoint happened: the cuts would miss it"
    states = [step.state for step in steps if step.state is not None]
    assert any(state.early for state in states)
    assert any(b"not-kept" in data or b"full" in data for state in states for _, data in state.rows)
    assert max(len(state.rows) for state in states) <= power_cuts.LIMITS.rows_max + 40


@pytest.mark.parametrize("weak", ["synchronous=OFF", "synchronous=NORMAL", "a disk that lies"])
def test_the_control_loses_rows(memory: Path, weak: str) -> None:
    """The same judge on a weaker setting, or a disk that does not sync: it must find losses, else it proves nothing."""
    if weak.startswith("synchronous"):
        steps = power_cuts.record(1, pragma=weak)
    else:
        steps = power_cuts.lying(power_cuts.record(1))
    tally = power_cuts.cut(steps, 60, 1, memory)
    assert tally.lost + tally.damaged > 10
