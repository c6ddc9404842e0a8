"""A store that was put back: nothing made since bears a number that the center has already."""

from __future__ import annotations

import shutil

import pytest
from journal_rig import closed, everything, types
from test_journal import open_journal

from center.contract import catalogue
from gateway.errors import StoreError
from gateway.store.journal import Journal


async def a_copy_put_back(folder) -> Journal:
    """The copy was made after 10 events, 8 of them acknowledged; 5 more were made and acknowledged; then 3 anew."""
    file, copy = folder / "gateway.sqlite", folder / "copy.sqlite"
    journal = open_journal(file)
    await journal.record([closed(number) for number in range(1, 11)])
    await journal.acknowledge(8)
    await journal.close()
    shutil.copy(file, copy)
    journal = open_journal(file)
    await journal.record([closed(number) for number in range(11, 16)])
    await journal.acknowledge(15)
    await journal.close()
    shutil.copy(copy, file)
    journal = open_journal(file)
    await journal.record([closed(number) for number in (101, 102, 103)])
    return journal


async def test_what_is_not_acknowledged_gets_a_new_identity_and_nothing_is_lost(tmp_path):
    journal = await a_copy_put_back(tmp_path)
    before = journal.epoch
    await journal.begin_epoch()
    assert journal.epoch != before
    assert (journal.acked_upto, journal.first_seq) == (8, 9), "the center is sent 9 and all above it"
    events = await journal.read(9, journal.last_seq, 100)
    assert [e.seq for e in events] == list(range(9, 16))
    assert [getattr(e.data, "open_ms", 0) for e in events[:5]] == [9, 10, 101, 102, 103]
    assert events[5].data == catalogue.StorageBroken("put-back")
    epoch = journal.epoch
    await journal.close()
    again = open_journal(tmp_path / "gateway.sqlite")
    assert (again.epoch, again.acked_upto, again.first_seq) == (epoch, 8, 9)
    await again.close()


async def test_restoring_one_backup_twice_loses_nothing(tmp_path):
    journal = await a_copy_put_back(tmp_path)
    await journal.begin_epoch()
    first = journal.epoch
    await journal.close()
    shutil.copy(tmp_path / "copy.sqlite", tmp_path / "gateway.sqlite")
    journal = open_journal(tmp_path / "gateway.sqlite")
    await journal.record([closed(201)])
    await journal.begin_epoch()
    assert journal.epoch != first
    assert types(await everything(journal))[-3:] == ["portal.closed", "storage.broken", "storage.healed"]
    await journal.close()


async def test_what_was_said_to_be_lost_of_the_epoch_before_is_said_anew(tmp_path):
    journal = open_journal(tmp_path / "gateway.sqlite")
    await journal.record([closed(number) for number in range(1, 11)])
    journal._rows._connection.execute("DELETE FROM journal WHERE seq IN (4, 5)")
    await journal.report_lost([(4, 5)], "gone")
    await journal.begin_epoch()
    await journal.report_lost([(4, 5)], "gone")
    lost = [e.data for e in await everything(journal) if isinstance(e.data, catalogue.OutboxLost)]
    assert [one.ranges for one in lost] == [((4, 5),), ((4, 5),)]
    assert lost[0].epoch != lost[1].epoch == journal.epoch
    await journal.close()


async def test_without_a_store_there_is_no_epoch_to_begin(tmp_path):
    from test_journal import StillClock

    from gateway.store import opening

    blocked = tmp_path / "data"
    blocked.write_text("")
    opened = opening.open_store(blocked / "gateway.sqlite")
    journal = Journal(opened.connection, StillClock(), blocked / "gateway.sqlite", trouble=opened.trouble)
    with pytest.raises(StoreError):
        await journal.begin_epoch()
    await journal.close()
