"""The site's own list holds the alarms of a time without a disk, where they belong."""

from __future__ import annotations

import sqlite3

import pytest
from journal_rig import closed, forced, moody, until
from test_journal import open_journal

from gateway.store import healing
from gateway.store.reading import JournalReading

SQLITE_FULL = sqlite3.SQLITE_FULL


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(healing, "PROBE_MIN_S", 0.02)


async def site(file):
    """1 closed; the disk is full: an alarm, closed, an alarm, closed; it heals; closed."""
    journal, disk = moody(file)
    await journal.record([closed(1)])
    disk.refuses = SQLITE_FULL
    for entry in (forced("first"), closed(2), forced("second"), closed(3, "garage")):
        await journal.record([entry], late_ok=True)
    journal.early()
    disk.refuses = None
    await until(lambda: journal.ok, "healed")
    await journal.record([closed(4)])
    return journal


def shown(events):
    return [(e.seq, e.type.removeprefix("zhian."), e.portal) for e in events]


WHOLE = [
    (5, "portal.closed", "lobby"),
    (4, "storage.healed", None),
    (3, "portal.closed", "garage"),
    (3, "portal.forced", "second"),
    (2, "portal.closed", "lobby"),
    (2, "portal.forced", "first"),
    (2, "storage.broken", None),
    (1, "portal.closed", "lobby"),
]


async def test_they_stand_where_they_were_made(tmp_path):
    file = tmp_path / "j.sqlite"
    journal = await site(file)
    reading = JournalReading(file)
    assert shown(reading.newest()) == WHOLE
    assert [e.acked for e in reading.newest()] == [False] * 8
    ((epoch, _),) = journal.early()
    await journal.acknowledge_early(epoch, 3)
    await journal.close()
    assert [e.type for e in reading.newest() if e.acked] == [
        "zhian.portal.forced",
        "zhian.portal.forced",
        "zhian.storage.broken",
    ]
    reading.close()


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 50])
async def test_turning_pages_shows_each_once(tmp_path, limit):
    file = tmp_path / "j.sqlite"
    journal = await site(file)
    reading, found, before = JournalReading(file), [], None
    while page := reading.newest(limit=limit, before_seq=before):
        found += shown(page)
        before = page[-1].seq
    assert found == WHOLE
    assert shown(reading.newest(after_seq=2)) == WHOLE[:4]
    assert shown(reading.newest(portal="first")) == [WHOLE[5]]
    reading.close()
    await journal.close()


async def test_they_are_counted_and_have_identities(tmp_path):
    file = tmp_path / "j.sqlite"
    journal = await site(file)
    ((memory_epoch, _),) = journal.early()
    reading = JournalReading(file)
    counts = reading.counts()
    assert (counts.made, counts.early, counts.by_type["zhian.portal.forced"]) == (5, 3, 2)
    assert reading.identities() == {*((journal.epoch, n) for n in range(1, 6)), *((memory_epoch, n) for n in (1, 2, 3))}
    reading.close()
    await journal.close()


async def test_a_flood_at_the_end_does_not_hide_the_next_event(tmp_path):
    file = tmp_path / "j.sqlite"
    journal = await site(file)
    await journal.close()
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE early SET before_seq = 99")  # the number that comes next, not made yet
    reading = JournalReading(file)
    assert max(e.seq for e in reading.newest()) == 5
    reading.close()
    connection.close()
    again = open_journal(file)
    await again.record([closed(6)])
    assert again.last_seq == 6
    await again.close()
