"""What an operator does with the store: retention, addresses, export, webhooks; as commands."""

from __future__ import annotations

import contextlib
import csv
import json
import sqlite3
import time
import zipfile
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import openpyxl
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_store import EPOCH, GATE, frame, store
from typer.testing import CliRunner

from center.contract.catalogue import OutboxLost, PortalForced
from center.contract.topics import GatewayName
from center.egress.export import COLUMNS, guarded, write_csv
from center.egress.ledger import DeadLetter, Ledger
from center.egress.signature import secret_text, secrets_of
from center.errors import AddressError, StoreError
from center.store import retention
from center.store.address_file import MAX_FAULTS, parse, read_file
from center.store.addresses import Address, Book
from center.store.database import SqliteDatabase
from center.store.reading import EventReading
from center.store.search import Search
from center.store.statements import DAY_MS
from center.store.writing import EventWriter
from runtime.errors import UserError
from zhian.center import app
from zhian.center_tools import moment_ms

HEADINGS = ["district", "site", "gateway", "subject", "address", "grid", "place"]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "center.toml"
    (tmp_path / "key").write_text(secret_text(bytes(32)))
    file.write_text(
        "[center]\ndata = 'data'\nrun = 'run'\n[broker]\ndata = 'broker'\nusers_file = 'users.json'\n"
        "[ingest]\nusername = 'center'\npassword_file = 'p'\nclient_id_file = 'c'\n"
        "[retention]\ndays = 30\n"
        "[[webhook]]\nname = 'police'\nurl = 'https://police.example/in'\nsecret_file = 'key'\n"
    )
    return file


@pytest.fixture
def path(config: Path) -> Path:
    return config.parent / "data" / "center.sqlite"


@pytest.fixture
def writer(path: Path) -> Iterator[EventWriter]:
    with contextlib.closing(EventWriter(path)) as open_writer:
        yield open_writer


def run(*words: object) -> str:
    """stdout of `zhian center ...`. Raises what the command raises: zhian/cli.py turns it into one sentence."""
    done = CliRunner().invoke(app, [str(word) for word in words])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.stdout


def now_ms() -> int:
    return time.time_ns() // 1_000_000


# --- retention ------------------------------------------------------------------------------------------------------


def test_retention_says_what_would_go_then_removes_it(config: Path, path: Path, writer: EventWriter) -> None:
    Ledger(SqliteDatabase(path)).begin("police")
    old = now_ms() - 40 * DAY_MS
    store(writer, frame(1, 2, 3), now_ms=old)
    store(writer, frame(4), now_ms=old + DAY_MS)
    store(writer, frame(5, 9), now_ms=now_ms())
    plan = json.loads(run("retention", "--config", config, "--dry-run", "--json"))
    assert (plan["dry_run"], plan["events"], sorted(plan["days"].values()), plan["undelivered"]) == (
        True, 4, [1, 3], {"police": 4},
    )  # fmt: skip
    assert EventReading(path).search(Search(), limit=1, oldest_first=True)[0].seq == 1
    with pytest.raises(StoreError, match="clock may be wrong"):
        run("retention", "--config", config)
    said = run("retention", "--config", config, "--trust-clock")
    assert "4 events received more than 30 days ago" in said
    assert "4 of them the webhook police had not reached" in said
    assert [event.seq for event in EventReading(path).newest()] == [9, 5]
    ((_, ack),) = store(writer, frame(2)).acknowledgements
    assert (ack.stored_upto, ack.missing) == (5, ((6, 8),)), "only the real gap is asked for"
    assert json.loads(run("retention", "--config", config, "--trust-clock", "--json"))["events"] == 0


def test_retention_in_bounded_steps_leaves_a_record(path: Path, writer: EventWriter, monkeypatch) -> None:
    monkeypatch.setattr("center.store.database._REMOVED_AT_ONCE", 7)
    old = now_ms() - 40 * DAY_MS
    store(writer, frame(*range(1, 31)), now_ms=old)
    database = SqliteDatabase(path)
    report = retention.remove(database, now_ms(), 30, trust_clock=True)
    assert report.events == 30
    with database.reading() as read:
        ((before, events, days),) = read.rows("SELECT before_ms, events, days FROM removal")
    assert (before, events, sum(json.loads(days).values())) == (report.before_ms, 30, 30)
    database.close()


def test_the_limit_is_a_utc_midnight() -> None:
    assert retention.limit_ms(10 * DAY_MS + 5, 3) == 7 * DAY_MS
    assert retention.limit_ms(10 * DAY_MS, 3) == 7 * DAY_MS


def test_a_file_of_the_first_release_is_brought_up(path: Path) -> None:
    """Version 1 kept no lost numbers and no totals by type: both are found again."""
    path.parent.mkdir()
    with contextlib.closing(sqlite3.connect(path)) as old:
        old.executescript(files("center.store").joinpath("schema.sql").read_text(encoding="utf-8"))
        old.executescript(
            "INSERT INTO gateway (id, district, site, gateway) VALUES (1, 'east', 'garden', 'gw-1');"
            f"INSERT INTO epoch VALUES (1, 1, '{EPOCH}', 5, 9, '[[8,9]]');"
            "INSERT INTO event SELECT value, 1, value, 0, 0, 1, 0, 'zhian.portal.opened', 0, 'lobby', '{}'"
            " FROM json_each('[1,2,5,9]');"
            "PRAGMA user_version = 1;"
        )
    with contextlib.closing(EventWriter(path)) as writer:
        (row,) = EventReading(path).coverage()
        assert (row.lost_ranges, row.missing_ranges) == (((3, 4), (8, 8)), ((6, 7),))
        outcome = store(writer, frame(1, 3, 6))
        assert (outcome.stored, outcome.redelivered) == (2, 1)
    reading = EventReading(path)
    assert reading.counts().by_type == {"zhian.portal.opened": 6}
    assert [event.row for event in reading.newest()] == [11, 10, 9, 5, 2, 1]


# --- addresses ------------------------------------------------------------------------------------------------------


def table(*rows: list[str]) -> list[list[str]]:
    return [HEADINGS, *rows]


def test_the_most_exact_entry_counts() -> None:
    site = Address("e", "s", "", "", "1", "")
    gateway = Address("e", "s", "gw", "", "2", "")
    door = Address("e", "s", "gw", "lobby", "3", "")
    book = Book([door, site, gateway])
    name = GatewayName("e", "s", "gw")
    assert [book.of(name, "lobby"), book.of(name, "yard"), book.of(GatewayName("e", "s", "other"), "lobby")] == [
        door, gateway, site,
    ]  # fmt: skip
    assert book.of(GatewayName("e", "t", "gw"), "lobby") is None


def test_every_error_of_every_row_is_told() -> None:
    parsed = parse(
        table(
            ["east", "garden", "gw-1", "lobby", "320506-1", "g-1", "1号楼"],
            ["East", "", "gw 1", "", "", "g 1", "x\ny"],
            ["", "", "", "", "", "", ""],
            ["east", "garden", "gw-1", "lobby", "320506-2", "", ""],
            ["east", "garden", "", "lobby", "320506-2", "", ""],
        ),
        "table",
    )
    assert [(fault.row, fault.column) for fault in parsed.faults] == [
        (3, "district"), (3, "site"), (3, "gateway"), (3, "address"), (3, "grid"), (3, "place"), (5, "subject"),
        (6, "gateway"),
    ]  # fmt: skip
    assert str(parsed.faults[1]) == (
        "row 3, column site: expected lower-case letters, digits and hyphens, 1 to 32, got nothing"
    )
    assert "another one in row 2" in str(parsed.faults[6])
    assert parsed.addresses == (Address("east", "garden", "gw-1", "lobby", "320506-1", "g-1", "1号楼"),)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([], "heading 'district' is missing"),
        ([["district", "site", "addres"]], "got 'addres'"),
        ([["district", "site", "小区", "address"]], "is there twice"),
    ],
)
def test_wrong_headings_are_one_sentence(rows: list[list[str]], expected: str) -> None:
    with pytest.raises(AddressError, match=expected):
        parse(rows, "table")


def test_a_file_of_faults_is_cut() -> None:
    parsed = parse(table(*[["!", "!", "", "", "!", "", ""]] * 200), "table")
    assert len(parsed.faults) == MAX_FAULTS
    assert parsed.more


@given(st.lists(st.lists(st.text(max_size=12), max_size=8), max_size=6))
def test_no_table_breaks_the_reader(rows: list[list[str]]) -> None:
    parsed = parse([HEADINGS, *rows], "table")
    assert len(parsed.addresses) + len({fault.row for fault in parsed.faults}) <= len(rows)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_csv_in_the_encodings_of_spreadsheets(tmp_path: Path, encoding: str) -> None:
    file = tmp_path / "地址.csv"
    file.write_text(
        "区域,小区,网关,通道,标准地址,网格,地址\neast,garden,gw-1,lobby,1,g,阳光花园1号楼\n", encoding=encoding
    )
    assert read_file(file).addresses == (Address("east", "garden", "gw-1", "lobby", "1", "g", "阳光花园1号楼"),)


def test_xlsx_with_codes_that_look_like_numbers(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    book.active.append(HEADINGS)
    book.active.append(["east", "garden", None, None, 320506001002, 3205060010020.0, "阳光花园"])
    book.save(tmp_path / "a.xlsx")
    assert read_file(tmp_path / "a.xlsx").addresses == (
        Address("east", "garden", "", "", "320506001002", "3205060010020", "阳光花园"),
    )


def test_files_that_are_no_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("center.store.address_file.MAX_UNPACKED_BYTES", 1 << 20)
    (tmp_path / "a.xlsx").write_bytes(b"not a zip file")
    (tmp_path / "b.csv").write_bytes(b"\xff\xfe\x00\x81")
    (tmp_path / "c.csv").write_text('district,site,address\n"a')
    (tmp_path / "d.ods").write_bytes(b"")
    with zipfile.ZipFile(tmp_path / "e.xlsx", "w", zipfile.ZIP_DEFLATED) as bomb:
        bomb.writestr("xl/worksheets/sheet1.xml", b"0" * (2 << 20))
    with zipfile.ZipFile(tmp_path / "f.xlsx", "w") as empty:
        empty.writestr("x", "")
    for name in ("a.xlsx", "b.csv", "c.csv", "d.ods", "e.xlsx", "f.xlsx", "absent.csv"):
        with pytest.raises(AddressError) as e:
            read_file(tmp_path / name)
        assert "\n" not in str(e.value)


def test_import_list_export_and_import_again(config: Path, tmp_path: Path) -> None:
    file = tmp_path / "in.csv"
    file.write_text(",".join(HEADINGS) + "\neast,garden,,,1,g-1,花园\neast,garden,gw-1,lobby,2,g-2,\n")
    assert "2 new" in run("addresses", "import", file, "--config", config, "--dry-run")
    assert run("addresses", "list", "--config", config) == ""
    assert json.loads(run("addresses", "import", file, "--config", config, "--json")) == {
        "rows": 2, "new": 2, "changed": 0, "same": 0, "removed": 0, "imported": True, "errors": [],
    }  # fmt: skip
    assert "east/garden/gw-1/lobby" in run("addresses", "list", "--config", config)
    again = tmp_path / "again.csv"
    assert run("addresses", "export", "--config", config, "--output", again) == f"2 entries in {again}\n"
    assert "0 new, 0 changed, 2 as before" in run("addresses", "import", again, "--config", config)
    file.write_text(",".join(HEADINGS) + "\neast,garden,gw-1,lobby,2,g-3,\neast,garden,gw-1,yard,BAD CODE,,\n")
    with pytest.raises(UserError, match="errors: 1; nothing was imported"):
        run("addresses", "import", file, "--config", config)
    file.write_text(",".join(HEADINGS) + "\neast,garden,gw-1,lobby,2,g-3,\n")
    assert "0 new, 1 changed, 0 as before, 1 removed" in run(
        "addresses", "import", file, "--config", config, "--replace"
    )
    assert [
        json.loads(line)["grid"] for line in run("addresses", "list", "--config", config, "--json").splitlines()
    ] == ["g-3"]


# --- export ---------------------------------------------------------------------------------------------------------


def test_export_to_csv_and_parquet(config: Path, writer: EventWriter, tmp_path: Path) -> None:
    store(writer, frame(1, 2), frame(3, data=PortalForced("lobby")))
    file = tmp_path / "out.csv"
    said = json.loads(run("export", "--config", config, "--output", file, "--json"))
    assert (said["events"], said["bytes"]) == (3, file.stat().st_size)
    rows = list(csv.DictReader(file.open(encoding="utf-8-sig", newline="")))
    assert tuple(rows[0]) == COLUMNS
    assert [row["id"] for row in rows] == [f"{EPOCH}-{n}" for n in (1, 2, 3)]
    parquet = tmp_path / "out.parquet"
    run("export", "--config", config, "--output", parquet, "--format", "parquet", "--severity", "alarm")
    (row,) = pq.read_table(parquet).to_pylist()
    assert tuple(row) == COLUMNS
    assert (row["seq"], row["title_zh"], row["time"].isoformat()) == (3, "强行闯入", "2026-09-21T14:13:20.003000+00:00")
    assert "0 events" in run("export", "--config", config, "--output", file, "--to", "2026-09-21")
    assert "3 events" in run(
        "export", "--config", config, "--output", file, "--from", "2026-09-21", "--to", "2026-09-22"
    )
    assert sorted(one.name for one in tmp_path.glob(".out*")) == [], "a temporary file was left"
    with pytest.raises(UserError, match="cannot be written"):
        run("export", "--config", config, "--output", tmp_path / "absent" / "x.csv")


@pytest.mark.parametrize("begin", ["=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠"])
def test_no_cell_is_a_formula(begin: str) -> None:
    assert guarded(f"{begin}cmd|' /C calc'!A0").startswith("'")
    assert guarded("a=1") == "a=1"
    assert guarded(True) == "true"
    assert guarded(7) == "7"


def test_an_event_from_outside_cannot_put_a_formula_into_a_file(
    path: Path, writer: EventWriter, tmp_path: Path
) -> None:
    """Names are checked on the way in; the guard must hold on its own, whatever wrote the store."""
    store(writer, frame(1))
    with contextlib.closing(sqlite3.connect(path)) as other:
        other.execute("UPDATE event SET subject = '=HYPERLINK(\"http://evil\")'")
        other.commit()
    write_csv(EventReading(path).every(Search(), 10), tmp_path / "x.csv")
    (row,) = csv.DictReader((tmp_path / "x.csv").open(encoding="utf-8-sig", newline=""))
    assert row["subject"].startswith("'=")


@pytest.mark.parametrize(
    ("text", "expected"),
    [("1970-01-01", -8 * 3_600_000), ("1970-01-01T00:00:01Z", 1000), ("1970-01-01T08:00:00.5", 500), (None, None)],
)
def test_times_of_options(text: str | None, expected: int | None) -> None:
    assert moment_ms(text, "--from") == expected


def test_a_time_that_is_none() -> None:
    with pytest.raises(UserError, match="--from: expected a date such as"):
        moment_ms("yesterday", "--from")


# --- webhooks -------------------------------------------------------------------------------------------------------


def test_webhooks_are_listed_and_dead_letters_tried_again(config: Path, path: Path, writer: EventWriter) -> None:
    store(writer, frame(1))
    assert "not begun" in run("webhooks", "list", "--config", config)
    assert run("webhooks", "dead", "--config", config) == "no dead letters\n"
    assert run("webhooks", "dead", "--config", config, "--json") == ""
    ledger = Ledger(SqliteDatabase(path))
    ledger.begin("police")
    document = json.dumps({"source": "/e/s/g", "id": "x-1", "type": "zhian.portal.forced"})
    ledger.bury(DeadLetter("police", 1, now_ms(), 3, "refused with HTTP 422", document, retry=False))
    assert "1 dead letters" in run("webhooks", "list", "--config", config)
    assert "zhian.portal.forced: refused with HTTP 422 (attempts: 3)" in run("webhooks", "dead", "--config", config)
    assert json.loads(run("webhooks", "dead", "--config", config, "--json"))["document"]["id"] == "x-1"
    assert "1 dead letters of police" in run("webhooks", "retry", "police", "--config", config)
    assert "to be tried again" in run("webhooks", "dead", "--config", config)
    with pytest.raises(UserError, match="expected one of"):
        run("webhooks", "retry", "fire-brigade", "--config", config)
    with pytest.raises(UserError, match="no such dead letter"):
        run("webhooks", "retry", "police", "--row", "99", "--config", config)


def test_no_webhook_at_all_is_said(config: Path, writer: EventWriter) -> None:
    text = config.read_text("utf-8")
    config.write_text(text[: text.index("[[webhook]]")], "utf-8")
    assert run("webhooks", "list", "--config", config).startswith("no webhook is configured")


def test_a_new_secret_is_one_that_can_be_used() -> None:
    assert len(secrets_of(run("webhooks", "secret"), "printed")[0]) == 32


def test_lost_numbers_of_another_gateway_are_not_ours(writer: EventWriter, path: Path) -> None:
    store(writer, frame(3))
    store(writer, frame(1, data=OutboxLost(EPOCH, ((1, 2),), "disk")), name=GatewayName("east", "garden", "gw-2"))
    by_gateway = {row.gateway: row.missing for row in EventReading(path).gateways()}
    assert by_gateway[GATE.gateway] == 2
