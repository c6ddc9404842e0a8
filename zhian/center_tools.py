"""`zhian center ...`: what an operator does with the store: retention, export, addresses, webhooks."""

from __future__ import annotations

import json as json_text
import time
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal
from zoneinfo import ZoneInfo

import typer

from runtime.errors import UserError

if TYPE_CHECKING:
    from center.egress.ledger import Ledger
    from center.store.statements import Database

Config = Annotated[Path, typer.Option(help="center.toml", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="JSON on stdout")]
ZONE = ZoneInfo("Asia/Shanghai")  # the one civil time of every district

addresses = typer.Typer(no_args_is_help=True, help="Standard addresses and grid cells that events are stamped with.")
webhooks = typer.Typer(no_args_is_help=True, help="Webhooks: how far they are, and what they did not take.")


def _database(config: Path) -> Database:
    from center import config as configuration
    from center.store.choice import open_database

    return open_database(config, configuration.read(config))


def _print(value: object) -> None:
    print(json_text.dumps(value, ensure_ascii=False))


def moment_ms(text: str | None, option: str) -> int | None:
    """A date (its midnight in China) or an RFC 3339 time, as milliseconds. Raises UserError."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UserError(f"{option}: expected a date such as 2026-01-31 or a time such as 2026-01-31T08:00:00+08:00,"
                        f" got {text[:40]!r}") from None  # fmt: skip
    return int((moment if moment.tzinfo else moment.replace(tzinfo=ZONE)).timestamp() * 1000)


def retention(
    config: Config,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="only say what would go")] = False,
    trust_clock: Annotated[bool, typer.Option("--trust-clock", help="I looked: this machine's clock is right")] = False,
    json: Json = False,
) -> None:
    """Remove events older than retention.days, as the running center does once a day, and say what went."""
    from center import config as configuration
    from center.store import retention as keeping

    days = configuration.read(config).retention.days
    database = _database(config)
    now_ms = time.time_ns() // 1_000_000
    try:
        if dry_run:
            report = keeping.look(database, now_ms, days)
        else:
            report = keeping.remove(database, now_ms, days, trust_clock=trust_clock)
    finally:
        database.close()
    if json:
        _print({"dry_run": dry_run, **asdict(report)})
        return
    verb = "would go" if dry_run else "removed"
    for day, count in sorted(report.days.items()):
        print(f"{day}  {count} events")
    print(f"{report.events} events received more than {days} days ago and {report.dead_letters} dead letters {verb}")
    for endpoint, count in report.undelivered.items():
        print(f"{count} of them the webhook {endpoint} had not reached")


def export(
    config: Config,
    output: Annotated[Path, typer.Option(help="the file to write", show_default=False)],
    from_: Annotated[str | None, typer.Option("--from", metavar="TIME", help="date or time, included")] = None,
    to: Annotated[str | None, typer.Option("--to", metavar="TIME", help="date or time, excluded")] = None,
    format_: Annotated[Literal["csv", "parquet"], typer.Option("--format")] = "csv",
    type_: Annotated[str | None, typer.Option("--type", help="a type, or a prefix that ends in a dot")] = None,
    severity: Annotated[str | None, typer.Option(help="this severity and above")] = None,
    gateway: Annotated[str | None, typer.Option()] = None,
    grid: Annotated[str | None, typer.Option()] = None,
    json: Json = False,
) -> None:
    """Write stored events to a file, by the gateways' own time, in the order of storing."""
    from center.egress.export import write_csv, write_parquet
    from center.store.reading import EventReading
    from center.store.search import Search

    search = Search(
        type=type_,
        severity_at_least=severity,
        gateway=gateway,
        grid=grid,
        from_ms=moment_ms(from_, "--from"),
        to_ms=moment_ms(to, "--to"),
    )
    database = _database(config)
    write = write_csv if format_ == "csv" else write_parquet
    count = write(EventReading(database).every(search, 1 << 53), output)
    database.close()
    if json:
        _print({"file": str(output), "format": format_, "events": count, "bytes": output.stat().st_size})
    else:
        print(f"{count} events in {output}")


@addresses.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help=".csv or .xlsx")],
    config: Config,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="only check and say what would change")] = False,
    replace: Annotated[bool, typer.Option("--replace", help="entries that are not in the file go")] = False,
    json: Json = False,
) -> None:
    """Check a table and, where every row is right, put it into the store. Exit 1 and no change where one is wrong."""
    from center.store import address_table
    from center.store.address_file import read_file

    parsed = read_file(file)
    database = _database(config)
    change = address_table.change(_present(database), parsed.addresses, replace=replace)
    done = not parsed.faults and not dry_run
    if done:
        address_table.write(database, parsed.addresses, replace=replace)
    database.close()
    if json:
        faults = [asdict(fault) for fault in parsed.faults]
        _print({"rows": len(parsed.addresses), **asdict(change), "imported": done, "errors": faults})
    else:
        for fault in parsed.faults:
            print(f"{file}: {fault}")
        print(f"{change.new} new, {change.changed} changed, {change.same} as before, {change.removed} removed")
    if parsed.faults:
        count = f"more than {len(parsed.faults)}" if parsed.more else str(len(parsed.faults))
        raise UserError(f"{file}: errors: {count}; nothing was imported; correct the rows named above")


def _present(database: Database) -> list:  # type: ignore[type-arg]
    """The entries there are. A store that is not there yet is made: addresses may come before the first event."""
    from center.store import address_table

    with database.writing() as write:
        return address_table.entries(write)


@addresses.command("list")
def list_addresses(config: Config, json: Json = False) -> None:
    """Every entry; * = all."""
    from center.store import address_table

    database = _database(config)
    for one in address_table.read(database):
        if json:
            _print(asdict(one))
        else:
            key = "/".join(part or "*" for part in one.key)
            print(f"{key:<48} {one.address:<24} {one.grid or '-':<16} {one.place}")
    database.close()


@addresses.command("export")
def export_addresses(
    config: Config, output: Annotated[Path, typer.Option(help="the .csv file to write", show_default=False)]
) -> None:
    """Write every entry to a CSV file that `import` reads."""
    from center.store import address_table
    from center.store.address_file import write_csv

    database = _database(config)
    count = write_csv(address_table.read(database), output)
    database.close()
    print(f"{count} entries in {output}")


@webhooks.command("list")
def list_webhooks(config: Config, json: Json = False) -> None:
    """Every endpoint of center.toml: delivered, behind, dead letters, and why it is failing."""
    from center import config as configuration
    from center.egress.endpoint import endpoints

    known = {one.endpoint: one for one in _ledger(config).progress()}
    listed = endpoints(config, configuration.read(config))
    if not listed and not json:
        print("no webhook is configured; [[webhook]] in center.toml adds one (docs/center.md)")
    for endpoint in listed:
        one = known.get(endpoint.name)
        if json:
            _print({"endpoint": endpoint.name, "url": endpoint.url} | (asdict(one) if one else {}))
        elif one is None:
            print(f"{endpoint.name}: {endpoint.url}: not begun; it begins when `zhian center run` starts")
        else:
            state = f"failing: {one.problem}" if one.failing_since_ms else "answering"
            print(
                f"{endpoint.name}: {endpoint.url}: {one.delivered} delivered, {one.behind} behind,"
                f" {one.dead_letters} dead letters, {state}"
            )


@webhooks.command()
def dead(
    config: Config,
    endpoint: Annotated[str | None, typer.Option(help="only of this one")] = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000)] = 1000,
    json: Json = False,
) -> None:
    """Dead letters, oldest first."""
    letters = list(_ledger(config).dead(endpoint, limit=limit))
    if not letters and not json:
        print("no dead letters")
    for letter in letters:
        if json:
            _print(asdict(letter) | {"document": json_text.loads(letter.document)})
        else:
            waits = ", to be tried again" if letter.retry else ""
            about = json_text.loads(letter.document)
            print(
                f"{letter.endpoint} {letter.row} {about['source']} {about['id']} {about['type']}:"
                f" {letter.problem} (attempts: {letter.attempts}{waits})"
            )


@webhooks.command()
def retry(
    config: Config,
    endpoint: Annotated[str, typer.Argument(help="the name in center.toml")],
    row: Annotated[int | None, typer.Option(help="only the dead letter of this row")] = None,
) -> None:
    """Have the running center try dead letters once more. They may then arrive after newer events."""
    from center import config as configuration
    from center.egress.endpoint import endpoints, named

    named(endpoints(config, configuration.read(config)), endpoint)
    count = _ledger(config).ask_again(endpoint, row)
    if not count:
        raise UserError(f"{endpoint}: there is no such dead letter; see zhian center webhooks dead")
    print(f"{count} dead letters of {endpoint} are tried again while `zhian center run` runs")


@webhooks.command()
def secret() -> None:
    """Print a new secret for a secret file and for the receiver."""
    import secrets

    from center.egress.signature import secret_text

    print(secret_text(secrets.token_bytes(32)))


def _ledger(config: Path) -> Ledger:
    from center.egress.ledger import Ledger

    return Ledger(_database(config))
