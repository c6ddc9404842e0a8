"""The short chaos campaign: real processes, about ten kills and each kind of lie once, and the ledger after each.

The long one is `make chaos`; its ledger is in docs/durability.md.
"""

from __future__ import annotations

import random
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from zhian import chaos, chaos_ledger
from zhian.chaos_faults import FAULTS, POSTGRES_FAULTS, Campaign
from zhian.chaos_ledger import Ledger
from zhian.chaos_part import Part

SHORT = {
    "kill -9 of a gateway": 3,
    "kill -9 of the center": 2,
    "kill -9 of the broker": 2,
    "kill -9 of everything": 1,
    "messages twice, torn, out of order": 1,
    "full disk at a gateway": 1,
    "hung disk at a gateway": 1,
    "hostile gateway": 1,
    "a broker that acknowledges and drops": 1,
    "the broker loses its disk": 1,
    "the center's database is damaged": 1,
    "the center loses its disk": 1,
    "a gateway's database is put back": 1,
}


@pytest.mark.slow
@pytest.mark.timeout(180)
async def test_the_ledger_balances_after_everything_that_can_happen(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = []
    balanced = await chaos.campaign(tmp_path / "site", SHORT, 7, rows.append, connects=500, gateways=2, core=False)
    assert balanced, [row for row in rows if not row["balanced"]]
    assert [row["fault"] for row in rows] == list(SHORT)
    assert sum(int(row["kills"]) for row in rows) >= 10
    final = rows[-1]
    assert int(final["made"]) > 200
    assert int(final["made"]) == int(final["stored"]) + int(final["lost"])
    assert int(final["center_mb"]) < 200


@pytest.mark.slow
@pytest.mark.timeout(150)
async def test_the_ledger_balances_with_a_whole_core_and_a_database_server_that_are_killed(tmp_path: Path) -> None:
    times = {"kill -9 of the database server": 2, "kill -9 of a whole core": 1}
    rows: list[dict[str, object]] = []
    balanced = await chaos.campaign(
        tmp_path / "site", times, 7, rows.append, store="postgresql", gateways=1, least_kills=3
    )
    assert balanced, rows
    assert int(rows[-1]["made"]) == int(rows[-1]["stored"]) + int(rows[-1]["lost"]) > 50


def test_the_plan_kills_as_many_as_it_is_asked_to_and_leaves_nothing_out() -> None:
    stores = (("sqlite", FAULTS, chaos.SHARES), ("postgresql", POSTGRES_FAULTS, chaos.POSTGRES_SHARES))
    for kills in (10, 75, 225, 300, 1000):
        for store, faults, shares in stores:
            times = chaos.plan(kills, store)
            assert set(times) == set(faults)
            assert sum(times[name] for name in shares) >= kills  # "everything" is several processes at once besides
            assert min(times.values()) >= 1
        assert sum(chaos._shares("both", kills).values()) == kills


# --- the ledger itself can say no -----------------------------------------------------------------------------------

EPOCH = "00000000000000aa"


def counted(tmp_path: Path, rows: list[tuple[str, int, str, str]], made: int, confirmed: int) -> Ledger:
    import sqlite3

    file = tmp_path / "gateway.sqlite"
    connection = sqlite3.connect(file)
    connection.execute("CREATE TABLE meta (key, value)")
    connection.execute("INSERT INTO meta VALUES ('epoch', ?)", (EPOCH,))
    connection.execute("CREATE TABLE journal (seq)")
    connection.execute("INSERT INTO journal VALUES (?)", (made,))
    connection.commit()
    connection.close()
    ledger = Ledger()
    chaos_ledger._add(ledger, SimpleNamespace(database=file, confirmed={"ab": confirmed}), rows)
    return ledger


def opened(seq: int, n: object, epoch: str = EPOCH) -> tuple[str, int, str, str]:
    return epoch, seq, "zhian.portal.opened", f'{{"portal":"{n}"}}'


def lost(seq: int, first: int, last: int) -> tuple[str, int, str, str]:
    return EPOCH, seq, "zhian.outbox.lost", f'{{"epoch":"{EPOCH}","ranges":[[{first},{last}]]}}'


def test_a_complete_ledger_balances(tmp_path: Path) -> None:
    ledger = counted(tmp_path, [opened(1, "pab-1"), opened(2, "pab-2"), lost(5, 3, 4)], made=5, confirmed=4)
    assert (ledger.made, ledger.stored, ledger.lost) == (5, 3, 2)
    assert ledger.balanced


def test_a_loss_elsewhere_does_not_hide_that_a_confirmed_event_is_gone(tmp_path: Path) -> None:
    """Number 2 of the run went between two that are there, and no number between them was reported lost."""
    rows = [opened(1, "pab-1"), opened(2, "pab-3"), lost(5, 3, 4)]
    assert counted(tmp_path, rows, made=5, confirmed=3).unconfirmed == 1
    rows = [opened(1, "pab-1"), opened(3, "pab-3"), lost(4, 2, 2)]
    (tmp_path / "second").mkdir()
    assert counted(tmp_path / "second", rows, made=4, confirmed=3).unconfirmed == 0


async def test_a_victim_that_is_down_is_waited_for_and_counted(tmp_path: Path) -> None:
    part = Part("sleeper", [sys.executable, "-c", "import time; time.sleep(60)"], tmp_path / "log")
    site = SimpleNamespace(gateways=[SimpleNamespace(name="gw-1"), SimpleNamespace(name="gw-2")])
    campaign = Campaign(site, random.Random(1))  # repeatable, not secret
    part.start()
    try:
        for _ in range(3):
            await campaign.kill(part)
    finally:
        await part.stop()
    assert campaign.kills == 3
    assert {campaign.gateway().name for _ in range(2)} == {"gw-1", "gw-2"}, "victims in turn"


@pytest.mark.parametrize(
    ("rows", "made", "confirmed", "what"),
    [
        ([opened(1, "pab-1")], 2, 1, "missing"),
        ([opened(1, "pab-1"), opened(2, "pab-1")], 2, 1, "duplicates"),
        ([opened(1, "pab-1"), opened(1, "pab-1", "00000000000000bb")], 1, 1, "duplicates"),
        ([opened(1, "pab-2"), opened(2, "pab-1")], 2, 2, "disorder"),
        ([opened(1, "pab-1")], 1, 2, "unconfirmed"),
        ([opened(1, "forged")], 1, 0, "forged"),
    ],
)
def test_a_fault_shows_in_its_column(tmp_path: Path, rows: list, made: int, confirmed: int, what: str) -> None:
    ledger = counted(tmp_path, rows, made, confirmed)
    assert getattr(ledger, what) == 1
    assert not ledger.balanced


# --- and the one of a whole core, which is counted against its journal's rows ----------------------------------------


def core_counted(tmp_path: Path, rows: list[tuple[str, int, str, int, str]]) -> Ledger:
    """A journal of three events: numbers 1 to 3 at 1001 to 1003 ms."""
    import sqlite3

    file = tmp_path / "core.sqlite"
    connection = sqlite3.connect(file)
    connection.execute("CREATE TABLE meta (key, value)")
    connection.execute("INSERT INTO meta VALUES ('epoch', ?)", (EPOCH,))
    connection.execute("CREATE TABLE journal (seq, type, time_ms)")
    connection.executemany("INSERT INTO journal VALUES (?, ?, ?)", [(n, GRANTED, 1000 + n) for n in (1, 2, 3)])
    connection.commit()
    connection.close()
    ledger = Ledger()
    chaos_ledger._add_core(ledger, file, rows)
    return ledger


GRANTED = "zhian.access.granted"


def granted(seq: int, epoch: str = EPOCH, at: int | None = None, holder: int | None = None) -> tuple:
    return epoch, seq, GRANTED, at or 1000 + seq, f'{{"holder":{holder or seq}}}'


def test_a_core_that_has_all_its_events_at_the_center_balances(tmp_path: Path) -> None:
    ledger = core_counted(tmp_path, [granted(1), granted(2), granted(3)])
    assert (ledger.made, ledger.stored, ledger.lost, ledger.balanced) == (3, 3, 0, True)


def test_what_a_core_reports_as_lost_is_not_missing(tmp_path: Path) -> None:
    report = ("00000000000000bb", 1, "zhian.outbox.lost", 1009, f'{{"epoch":"{EPOCH}","ranges":[[2,2]]}}')
    ledger = core_counted(tmp_path, [granted(1), granted(3), report])
    assert (ledger.made, ledger.stored, ledger.lost, ledger.balanced) == (3, 2, 1, True)


@pytest.mark.parametrize(
    ("rows", "what"),
    [
        ([granted(1), granted(3)], "missing"),
        ([granted(1), granted(2), granted(3), granted(9, "00000000000000bb", at=1003, holder=3)], "duplicates"),
        ([granted(1), granted(2), granted(3), granted(4)], "forged"),
        ([granted(1), granted(2), granted(3, at=999)], "disorder"),
    ],
)
def test_a_fault_of_a_core_shows_in_its_column(tmp_path: Path, rows: list, what: str) -> None:
    ledger = core_counted(tmp_path, rows)
    assert getattr(ledger, what) == 1
    assert not ledger.balanced
