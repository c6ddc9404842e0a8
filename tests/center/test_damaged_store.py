"""A damaged SQLite file of the center is said, set aside whole and begun anew; what it held is asked for again."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from center.contract.catalogue import Event, PortalOpened
from center.contract.frame import Frame
from center.contract.topics import GatewayName
from center.errors import StoreDamagedError, StoreError
from center.store import address_table, damage
from center.store.addresses import Address
from center.store.database import SqliteDatabase
from center.store.reading import EventReading
from center.store.writing import EventWriter, Outcome, Received

GATE = GatewayName("east", "garden", "gw-1")
NOW_MS = 1_790_000_000_000
EVENTS = 3000  # several hundred pages
ADDRESS = Address("east", "garden", "", "", "310000001", "grid-7", "园区")


def store(writer: EventWriter, *seqs: int) -> Outcome:
    events = tuple(Event(seq, NOW_MS + seq, True, PortalOpened("lobby")) for seq in seqs)
    return writer.store([Received(GATE, Frame("00000000000000aa", False, events))], NOW_MS)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A store with events and one address, at rest: no WAL."""
    path = tmp_path / "data" / "center.sqlite"
    with contextlib.closing(EventWriter(path)) as writer, contextlib.closing(SqliteDatabase(path)) as beside:
        address_table.write(beside, [ADDRESS], replace=True)
        for first in range(1, EVENTS, 1000):
            store(writer, *range(first, first + 1000))
    return path


def header(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(b"\xff" * 100)


def last_half(path: Path) -> None:
    """Pages of the largest table; the small tables come first."""
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(size // 2 // 4096 * 4096)
        file.write(b"\xa5" * (size // 2))


def cut_off(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2 // 4096 * 4096)


def another_file(path: Path) -> None:
    path.write_bytes(b"this is not a database, but it is longer than a hundred bytes" * 3)


@pytest.mark.parametrize(
    ("harm", "addresses"), [(header, False), (last_half, True), (cut_off, False), (another_file, False)]
)
def test_a_damaged_file_is_set_aside_at_start(
    path: Path, harm: Callable[[Path], None], addresses: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    harm(path)
    harmed = path.read_bytes()
    with contextlib.closing(EventWriter(path)) as writer:
        outcome = store(writer, EVENTS + 1)
        ((_, ack),) = outcome.acknowledgements
        assert (ack.stored_upto, ack.missing) == (0, ((1, EVENTS),)), "it is asked for again"
        assert store(writer, *range(1, 1001)).stored == 1000
    assert path.with_name("center.sqlite.damaged-1").read_bytes() == harmed, "nothing of it is thrown away"
    assert (address_table.read(SqliteDatabase(path)) == [ADDRESS]) is addresses
    said = "".join(capsys.readouterr())
    assert "damaged-1" in said
    assert ("import the addresses again" in said) is not addresses


def test_a_second_damage_keeps_the_first_file(path: Path) -> None:
    for number in (1, 2):
        header(path)
        EventWriter(path).close()
        assert path.with_name(f"center.sqlite.damaged-{number}").exists()


def test_damage_that_shows_while_running(path: Path) -> None:
    beside = SqliteDatabase(path)  # as a webhook has it
    with contextlib.closing(EventWriter(path)) as writer, contextlib.closing(beside):
        with beside.writing() as write:
            write.run("INSERT INTO total (name, value) VALUES ('before', 1)")  # the writer's cache is old after this
        with contextlib.closing(sqlite3.connect(path)) as other:
            other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            pages = other.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'event'").fetchall()
        with path.open("r+b") as file:
            for (page,) in pages:
                file.seek((page - 1) * 4096)
                file.write(b"\xa5" * 4096)
        with pytest.raises(StoreDamagedError, match=r"set aside as center\.sqlite\.damaged-1; a new one begins"):
            store(writer, EVENTS + 1)
        ((_, ack),) = store(writer, EVENTS + 1).acknowledgements
        assert ack.missing == ((1, EVENTS),), "what was remembered of the old file is not believed"
        with beside.writing() as write:
            assert not write.rows("SELECT 1 FROM total WHERE name = 'before'"), "others follow to the new file"
    assert EventReading(path).total("stored") == 1


def test_only_the_one_writer_sets_aside(path: Path) -> None:
    header(path)
    with pytest.raises(StoreError, match=r"damaged .* start `zhian center run` again"):
        address_table.write(SqliteDatabase(path), [ADDRESS], replace=True)
    assert not list(path.parent.glob("*.damaged-*"))


def test_what_cannot_be_read_now_is_no_damage() -> None:
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        with pytest.raises(sqlite3.Error) as e:
            connection.execute("SELECT * FROM nothing")
        assert not damage.is_damage(e.value)


def test_looking_at_the_file_at_start_takes_no_longer_than_it_may(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        damage.check(connection, path, timeout_s=-1)
        assert connection.execute("SELECT count(*) FROM event").fetchone() == (EVENTS,), "and it can be used after it"
