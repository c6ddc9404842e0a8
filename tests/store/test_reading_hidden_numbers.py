"""What the site's pages count as number N stays N, whatever is removed from the journal since."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import pytest

from center.contract.catalogue import AccessDuress, AnyEventData, PortalOpened, StorageBroken
from gateway.store import database
from gateway.store.capacity import JournalLimits
from gateway.store.journal_rows import JournalRows, row_of
from gateway.store.reading import JournalReading

DAY_MS = 86_400_000
NOW_MS = 1_790_000_000_000
OLD_MS = NOW_MS - 40 * DAY_MS


def opened(i: int) -> PortalOpened:
    return PortalOpened(f"door-{i}")


def duress() -> AccessDuress:
    return AccessDuress("lobby", "lobby-reader", "b" * 16)


def journal_of(file: Path, *what: tuple[AnyEventData, int], limits: JournalLimits | None = None) -> JournalRows:
    rows = JournalRows(database.open_for_writing(file), limits or JournalLimits())
    rows.commit([row_of(data, time_ms, True, None, None) for data, time_ms in what], {}, 0)
    rows.commit((), {}, rows.last_seq)
    return rows


def shown(file: Path) -> dict[str | None, int]:
    """Portal -> number, as somebody without the right to see duress is shown it."""
    with contextlib.closing(JournalReading(file)) as reading:
        return {event.portal: event.seq for event in reading.newest()}


def test_numbers_stay_when_a_hidden_row_is_pruned(tmp_path: Path) -> None:
    file = tmp_path / "j.sqlite"
    rows = journal_of(
        file, (opened(1), OLD_MS), (duress(), OLD_MS), (opened(2), OLD_MS), (duress(), NOW_MS), (opened(3), NOW_MS)
    )
    assert shown(file) == {"door-1": 1, "door-2": 2, "door-3": 3}
    assert rows.prune(NOW_MS) == 3
    assert shown(file) == {"door-3": 3}
    rows.commit([row_of(opened(4), NOW_MS, True, None, None)], {}, rows.last_seq)
    assert rows.prune(NOW_MS + 40 * DAY_MS) == 2
    assert shown(file) == {"door-4": 4}
    with contextlib.closing(JournalReading(file)) as reading:
        assert reading.counts().made == reading.shown(rows.last_seq) == 4
        assert [event.seq for event in reading.newest(after_seq=3)] == [4]
        assert reading.newest(after_seq=4) == reading.newest(before_seq=4) == []
    rows.close()


def test_numbers_stay_when_a_full_journal_drops_rows_out_of_order(tmp_path: Path) -> None:
    """The least severe go first: a hidden row may go while older rows stay, and the other way round."""
    file = tmp_path / "j.sqlite"
    rows = journal_of(file, *((duress() if i in (2, 5) else opened(i), NOW_MS) for i in range(1, 9)))
    before = shown(file)
    with sqlite3.connect(file, isolation_level=None) as other:
        other.execute("DELETE FROM journal WHERE seq IN (3, 5)")
    other.close()
    assert shown(file) == {portal: seq for portal, seq in before.items() if portal != "door-3"}
    rows.close()


def test_a_small_journal_keeps_its_numbers_while_it_is_written_over(tmp_path: Path) -> None:
    file = tmp_path / "j.sqlite"
    rows = journal_of(file, limits=JournalLimits(rows_max=20))
    ever: dict[str | None, int] = {}
    for i in range(1, 120):
        data = duress() if i % 7 == 0 else opened(i)
        rows.commit([row_of(data, NOW_MS, True, None, None)], {}, rows.last_seq)
        for portal, seq in shown(file).items():
            assert ever.setdefault(portal, seq) == seq, portal
    assert len(ever) > 90
    rows.close()


@pytest.mark.parametrize("removed", [(), (1,), (2,), (1, 2), (1, 2, 3)])
def test_shown_and_asked_for_agree(tmp_path: Path, removed: tuple[int, ...]) -> None:
    """The number that a page shows is the one it may ask with."""
    file = tmp_path / "j.sqlite"
    rows = journal_of(file, *((duress() if i in (1, 3) else opened(i), NOW_MS) for i in range(1, 6)))
    with sqlite3.connect(file, isolation_level=None) as other:
        other.executemany("DELETE FROM journal WHERE seq = ?", [(seq,) for seq in removed])
    other.close()
    numbers = shown(file)
    assert numbers == {f"door-{i}": n for i, n in ((2, 1), (4, 2), (5, 3)) if i not in removed}
    with contextlib.closing(JournalReading(file)) as reading:
        for one in numbers.values():
            assert {event.seq for event in reading.newest(before_seq=one)} == {n for n in numbers.values() if n < one}
            assert {event.seq for event in reading.newest(after_seq=one)} == {n for n in numbers.values() if n > one}
    rows.close()


def test_a_commit_amid_a_look_is_not_half_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A number one too high, and lower at the next look, would tell of an alarm that is not to be seen."""
    file = tmp_path / "j.sqlite"
    rows = journal_of(file, (opened(1), NOW_MS), (opened(2), NOW_MS))
    ask, asked = JournalReading._query, 0

    def commit_before_each(self: JournalReading, *question: object) -> list:
        nonlocal asked
        asked += 1
        if asked in range(2, 8):  # not before the first question, which begins the look
            rows.commit(
                [row_of(data, NOW_MS, True, None, None) for data in (duress(), opened(rows.last_seq + 2))], {}, 0
            )
        return ask(self, *question)

    with contextlib.closing(JournalReading(file)) as reading:
        monkeypatch.setattr(JournalReading, "_query", commit_before_each)
        seen = [(event.portal, event.seq) for event in reading.newest()]
        asked = 0
        made = reading.counts().made
        monkeypatch.undo()
        final = {event.portal: event.seq for event in reading.newest()}
        assert seen
        assert all(final[portal] == seq for portal, seq in seen)
        assert made in final.values()
        assert len(final) == len(set(final.values()))
        newer = reading.newest(after_seq=seen[0][1])
        assert [event.seq for event in newer] == list(range(max(final.values()), seen[0][1], -1)), "nothing is skipped"
    rows.close()


def test_the_numbers_of_what_left_early_and_of_what_the_center_has_stay(tmp_path: Path) -> None:
    """They point among rows that are gone: what is hidden before them is not yet a mere count."""
    file = tmp_path / "j.sqlite"
    connection = database.open_for_writing(file)
    rows = JournalRows(connection, JournalLimits())
    first = [row_of(duress() if i == 10 else opened(i), OLD_MS, True, None, None) for i in range(1, 40)]
    rows.commit(first, {}, 0)
    alarm = row_of(StorageBroken("full"), OLD_MS, True, None, None)
    alarm.early_seq = 1
    rows.commit_late([alarm], "ab" * 8, lambda _: True, None, {}, 39)
    rows.commit([row_of(duress() if i == 59 else opened(i), OLD_MS, True, None, None) for i in range(40, 99)], {}, 39)

    def look() -> tuple[object, ...]:
        with contextlib.closing(JournalReading(file)) as reading:
            (early,) = (event.seq for event in reading.newest(limit=500) if event.portal is None)
            counts = reading.counts()
            return early, counts.acked_upto, counts.made, reading.shown(39)

    before = look()
    connection.execute("DELETE FROM journal WHERE seq <= 70")  # a full journal goes beyond what the center has
    assert look() == before
    rows.prune(OLD_MS)
    assert look() == before
    rows.acknowledge_early("ab" * 8, 1)
    rows.commit((), {}, 98)
    rows.prune(NOW_MS + 40 * DAY_MS)
    assert connection.execute("SELECT count(*) FROM hidden").fetchone() == (0,), "then a count is enough"
    with contextlib.closing(JournalReading(file)) as reading:
        assert reading.counts().made == before[2]
    rows.close()
