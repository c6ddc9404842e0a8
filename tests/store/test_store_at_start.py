"""What core finds at start: a damaged file is set aside, a newer one refused, a disk that refuses waited for."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from journal_rig import closed, everything, forced, types, until
from test_journal import StillClock, open_journal

from center.contract import catalogue
from gateway.errors import StoreError
from gateway.store import database, healing, opening
from gateway.store import journal as journal_module
from gateway.store.journal import Journal
from gateway.store.reserve import Reserve


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """The same waits, shorter."""
    monkeypatch.setattr(healing, "PROBE_MIN_S", 0.02)
    monkeypatch.setattr(healing, "PROBE_MAX_S", 0.1)


def start(file: Path) -> Journal:
    opened = opening.open_store(file)
    return Journal(opened.connection, StillClock(), file, trouble=opened.trouble)


async def with_events(file: Path, count: int = 500) -> str:
    journal = open_journal(file)
    await journal.mark_running()
    await journal.record([closed(number) for number in range(count)])
    epoch = journal.epoch
    await journal.close(clean=False)
    return epoch


def spoil(file: Path, offset: int, length: int) -> None:
    with file.open("r+b") as f:
        f.seek(offset)
        f.write(b"\xa5" * length)


@pytest.mark.parametrize("damage", ["header", "middle", "short", "text", "empty tables"])
async def test_a_damaged_database_is_set_aside_and_said(tmp_path, damage, capsys):
    file = tmp_path / "gateway.sqlite"
    epoch = await with_events(file)
    match damage:
        case "header":
            spoil(file, 0, 100)
        case "middle":
            spoil(file, 4096 * 3, 4096 * 4)
        case "short":
            with file.open("r+b") as f:
                f.truncate(4096 * 3 + 100)
        case "text":
            file.write_text("this is no database\n" * 300)
        case "empty tables":
            connection = sqlite3.connect(file)
            connection.execute("DELETE FROM meta")
            connection.commit()
            connection.close()
    journal = start(file)
    await journal.mark_running()
    await journal.record([closed(1)])
    assert types(await everything(journal)) == ["storage.broken", "storage.healed", "portal.closed"]
    assert (await everything(journal))[0].data == catalogue.StorageBroken("damaged")
    assert journal.epoch != epoch
    assert journal.ok
    aside = tmp_path / "gateway.sqlite.damaged-1"
    assert aside.stat().st_size > 0
    assert "was set aside and a new one begun" in capsys.readouterr().out + capsys.readouterr().err
    await journal.close()


async def test_any_one_damaged_page_after_an_orderly_end_does_not_stop_core(tmp_path):
    """Then nobody looks at the whole file, and the damage shows wherever the start happens to read."""
    whole = tmp_path / "whole.sqlite"
    journal = open_journal(whole)
    await journal.mark_running()
    await journal.keep("mode/lobby", "lockdown")
    await journal.record([closed(number) for number in range(100)])
    await journal.close()
    content = whole.read_bytes()
    for page in range(len(content) // 4096):
        file = tmp_path / str(page) / "gateway.sqlite"
        file.parent.mkdir()
        file.write_bytes(content)
        spoil(file, page * 4096, 4096)
        journal = start(file)
        await journal.mark_running()
        await journal.record([closed(1)], late_ok=True)
        await until(lambda journal=journal: journal.ok, f"it goes on with page {page} damaged")
        await journal.close()


async def test_an_empty_file_is_a_new_store(tmp_path):
    file = tmp_path / "gateway.sqlite"
    file.touch()
    journal = start(file)
    await journal.mark_running()
    await journal.record([closed(1)])
    assert types(await everything(journal)) == ["portal.closed"]
    await journal.close()


async def test_damage_that_shows_while_running_begins_a_new_epoch(tmp_path):
    file = tmp_path / "gateway.sqlite"
    epoch = await with_events(file, 3000)
    journal = start(file)
    await journal.mark_running()
    connection = sqlite3.connect(file)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    spoil(file, 4096, file.stat().st_size - 4096)
    for number in range(50):
        await journal.record([closed(number)], late_ok=True)
    await until(lambda: journal.ok and journal.epoch != epoch, "a new epoch began")
    events = await everything(journal)
    numbers = [e.data.open_ms for e in events if isinstance(e.data, catalogue.PortalClosed)]
    assert numbers[-1] == 49
    assert "storage.broken" in types(events)
    await journal.close()


def test_a_newer_schema_is_refused_and_left_alone(tmp_path):
    file = tmp_path / "gateway.sqlite"
    connection = database.open_for_writing(file)
    connection.execute("PRAGMA user_version=99")
    connection.close()
    with pytest.raises(StoreError, match="schema version 99, this program knows 4; install the release that wrote it"):
        opening.open_store(file)
    assert not [f for f in tmp_path.iterdir() if "damaged" in f.name]


async def test_doors_work_while_the_file_cannot_be_made_and_it_is_found_later(tmp_path):
    blocked = tmp_path / "data"
    blocked.write_text("a file where the folder should be")  # also for root, whom no permission stops
    file = blocked / "gateway.sqlite"
    journal = start(file)
    await journal.mark_running()
    await journal.replace_holders([("lin", "林晓", "Lin Xiao")])
    await journal.record([closed(1), forced()], late_ok=True)
    with pytest.raises(StoreError):
        await journal.record([closed(2)])
    with pytest.raises(StoreError):
        await journal.keep("fire", "on")
    with pytest.raises(StoreError):
        await journal.read(1, 10, 10)
    assert not journal.ok
    ((epoch, events),) = journal.early()
    assert types(list(events)) == ["storage.broken", "portal.forced"]
    assert (journal.epoch, journal.last_seq, journal.acked_upto) == (epoch, 0, 0)
    blocked.unlink()
    await until(lambda: journal.ok, "the disk is back")
    assert journal.epoch != epoch
    assert types(await everything(journal)) == ["portal.closed", "storage.healed"]
    await journal.close()
    again = open_journal(file)
    assert again.kept == {"fire": "on"}
    assert [len(events) for _, events in again.early()] == [2]
    await again.close()


async def test_core_can_start_and_stop_without_a_disk(tmp_path):
    blocked = tmp_path / "data"
    blocked.write_text("")
    journal = start(blocked / "gateway.sqlite")
    await journal.mark_running()
    await journal.record([closed(1)], late_ok=True)
    await journal.close()


async def test_version_1_is_brought_up_with_what_it_holds(tmp_path):
    from importlib import resources

    file = tmp_path / "gateway.sqlite"
    old = sqlite3.connect(file)
    old.executescript(resources.files("gateway.store").joinpath("schema.sql").read_text("utf-8"))
    old.execute(
        "INSERT INTO journal VALUES (1, 1790000000000, 1, 'zhian.portal.closed', 'lobby', ?, NULL, NULL)",
        (journal_module.row_of(catalogue.PortalClosed("lobby", 7), 1, True, None, None).data,),
    )
    epoch = old.execute("SELECT value FROM meta WHERE key = 'epoch'").fetchone()[0]
    old.commit()
    old.close()
    journal = start(file)
    assert journal.epoch == epoch
    assert [e.data.open_ms for e in await everything(journal)] == [7]
    assert journal.first_seq == 1
    await journal.keep("fire", "on")
    await journal.close()


def test_the_reserve_is_made_only_where_there_is_plenty(tmp_path):
    assert Reserve(tmp_path / "a.sqlite", 1 << 20).make()
    assert not Reserve(tmp_path / "b.sqlite", 1 << 60).make()
    assert not Reserve(tmp_path / "none" / "c.sqlite", 1 << 20).make()
    assert not Reserve(tmp_path / "b.sqlite").free()
