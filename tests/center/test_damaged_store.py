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


def test_looking_at_the_file_at_start_takes_no_longer_than_it_may(tmp_path: Path) -> None:
    """By default long enough to meet the damage in this file; with less time it does not come so far."""
    path = tmp_path / "large.sqlite"
    with contextlib.closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as connection:
        connection.execute("PRAGMA journal_mode=OFF")
        connection.execute("PRAGMA synchronous=OFF")
        connection.execute("CREATE TABLE large (key INTEGER PRIMARY KEY, body BLOB)")
        connection.execute(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 800000)"
            " INSERT INTO large SELECT i, zeroblob(60) FROM n"
        )
    with path.open("r+b") as file:
        file.seek(4 * 4096)  # SQLite walks a tree from its other end
        file.write(b"\xa5" * 4096)
    with contextlib.closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as connection:
        damage.check(connection, path, timeout_s=0.001)
        assert connection.execute("SELECT count(*) FROM sqlite_schema").fetchone() == (1,), "and can be used after it"
        with pytest.raises(StoreDamagedError):
            damage.check(connection, path)


def spoil_events(path: Path) -> None:
    """The table of events is broken; the addresses can be read."""
    with contextlib.closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        ((page,),) = other.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'event'").fetchall()
    with path.open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(b"\xa5" * 4096)


class Killed(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("step", range(1, 6))
def test_a_kill_while_it_is_set_aside_loses_no_address(path: Path, step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before each rename and sync of the folder: the next start has the addresses, and the damaged file is kept."""
    spoil_events(path)
    harmed = path.read_bytes()
    Path(f"{path}-wal").write_bytes(b"")
    steps = 0

    def counted(real):
        def run(*given):
            nonlocal steps
            steps += 1
            if steps == step:
                raise Killed
            return real(*given)

        return run

    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", counted(Path.rename))
        patched.setattr(damage, "_sync", counted(damage._sync))
        database = SqliteDatabase(path)
        with pytest.raises(Killed):
            database.claim()
        database.close()
    with contextlib.closing(EventWriter(path)) as writer:
        assert address_table.read(SqliteDatabase(path)) == [ADDRESS]
        assert store(writer, 1).stored == 1
    assert path.with_name("center.sqlite.damaged-1").read_bytes() == harmed
    assert {one.name for one in path.parent.iterdir()} <= {
        "center.sqlite", "center.lock", "center.sqlite.damaged-1", "center.sqlite.damaged-1-wal",
        "center.sqlite.damaged-1-shm",
    }  # fmt: skip


def test_a_disk_without_room_for_a_new_file_leaves_everything(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spoil_events(path)
    with monkeypatch.context() as patched:
        patched.setattr("center.store.database.open_for_writing", full_for_new_files)
        with pytest.raises(StoreError, match=r"center\.sqlite: damaged, and a new one cannot be made .*full"):
            EventWriter(path)
    assert {one.name for one in path.parent.iterdir()} - {"center.sqlite-wal", "center.sqlite-shm"} == {
        "center.sqlite",
        "center.lock",
    }
    EventWriter(path).close()
    assert address_table.read(SqliteDatabase(path)) == [ADDRESS]


def full_for_new_files(path: Path) -> sqlite3.Connection:
    if path.name.endswith(".building"):
        path.touch()
        raise StoreError(f"{path}: the disk is full")
    return sqlite3.connect(path, isolation_level=None, check_same_thread=False)


def test_what_cannot_be_set_aside_at_first_is_set_aside_later(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A running center tries again with each commit; the file is so broken that it cannot even be opened."""
    with contextlib.closing(EventWriter(path)) as writer:
        store(writer, EVENTS + 1)
        writer._database._shut()
        header(path)

        def refuse(path: Path) -> Path:
            raise StoreError(f"{path}: cannot be set aside (Read-only file system)")

        with monkeypatch.context() as patched:
            patched.setattr(damage, "set_aside", refuse)
            for _ in range(2):
                with pytest.raises(StoreError, match="Read-only"):
                    store(writer, EVENTS + 2)
        with pytest.raises(StoreDamagedError, match="set aside as"):
            store(writer, EVENTS + 2)
        assert store(writer, EVENTS + 2).stored == 1


def test_a_reader_that_meets_damage_says_so(path: Path) -> None:
    spoil_events(path)
    with (
        pytest.raises(StoreDamagedError, match=r"damaged .* start `zhian center run` again"),
        SqliteDatabase(path).reading() as read,
    ):
        read.rows("SELECT sum(length(data)) FROM event")
    header(path)
    with pytest.raises(StoreDamagedError), SqliteDatabase(path).reading():
        pass
