"""The ledger of a chaos campaign: what the gateways made against what the center stored or was told is lost."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

from center.contract.ranges import Ranges
from zhian.chaos_site import Gateway, Site

_NUMBERS = 1 << 54  # more than an epoch has
_ROWS = (
    "SELECT p.epoch, e.seq, e.type, e.data FROM event e JOIN epoch p ON p.id = e.epoch_id"
    " JOIN gateway g ON g.id = p.gateway_id WHERE g.gateway = ? ORDER BY p.id, e.seq"
)


_CORE_ROWS = _ROWS.replace("e.type, e.data", "e.type, e.time_ms, e.data")


@dataclass(slots=True)
class Ledger:
    """Sums over all gateways; all from `missing` to `forged` must be 0."""

    made: int = 0  # numbers given by the journals
    stored: int = 0  # of these, at the center
    lost: int = 0  # of these, not at the center and reported by zhian.outbox.lost
    missing: int = 0  # neither
    duplicates: int = 0  # events that the center has under two identities
    disorder: int = 0  # neighbours whose order at the center is not the order in which they were made
    unconfirmed: int = 0  # confirmed as durable to whoever recorded them, and neither stored nor reported lost
    forged: int = 0  # events under a gateway's name that it did not make
    early: int = 0  # alarms that left under a memory epoch
    redelivered: int = 0  # copies the center recognised

    @property
    def balanced(self) -> bool:
        """made = stored + reported lost, nothing twice, order kept."""
        return not (self.missing or self.duplicates or self.disorder or self.unconfirmed or self.forged)

    def plain(self) -> dict[str, int]:
        """For JSON."""
        return asdict(self)


def read(site: Site) -> Ledger:
    """Count in the databases themselves. The site must be settled."""
    ledger = Ledger()
    database = site.open_database()
    try:
        with database.reading() as center:
            for gateway in site.gateways:
                _add(ledger, gateway, center.rows(_ROWS, (gateway.name,)))
            if site.core is not None:
                _add_core(ledger, site.core.database, center.rows(_CORE_ROWS, (site.core.name,)))
            found = center.rows("SELECT value FROM total WHERE name = 'redelivered'")
            ledger.redelivered = int(found[0][0]) if found else 0
    finally:
        database.close()
    return ledger


def _add_core(ledger: Ledger, file: Path, rows: list[tuple[str, int, str, int, str]]) -> None:
    """A whole core, counted against its journal's own rows: number, type and time of each event.

    It goes on making events: its journal is read after the center, so what is new since then shows as missing for once.
    """
    with _reading(file) as journal:
        (epoch,) = journal.execute("SELECT value FROM meta WHERE key = 'epoch'").fetchone()
        made = {seq: (type_, at) for seq, type_, at in journal.execute("SELECT seq, type, time_ms FROM journal")}
    at_center = {seq: (type_, at) for e, seq, type_, at, _ in rows if e == epoch}
    lost = Ranges()
    for _, _, type_, _, data in rows:
        if type_ == "zhian.outbox.lost" and (told := json.loads(data))["epoch"] == epoch:
            for first, last in told["ranges"]:
                lost.add(first, last)
    reported = sum(1 for seq in made if seq not in at_center and seq in lost)
    ledger.made += len(made)
    ledger.stored += len(at_center.keys() & made.keys())
    ledger.lost += reported
    ledger.missing += len(made.keys() - at_center.keys()) - reported
    ledger.forged += sum(1 for seq, told in at_center.items() if made.get(seq) != told)
    ledger.early += len(rows) - len(at_center)
    facts = [(type_, at, data) for _, _, type_, at, data in rows]
    ledger.duplicates += len(facts) - len(set(facts))
    times = [at for _, (_, at) in sorted(at_center.items())]
    ledger.disorder += sum(1 for before, after in pairwise(times) if after < before)


def _add(ledger: Ledger, gateway: Gateway, rows: list[tuple[str, int, str, str]]) -> None:
    with _reading(gateway.database) as journal:
        meta = dict(journal.execute("SELECT key, value FROM meta").fetchall())
        highest = journal.execute("SELECT coalesce(max(seq), 0) FROM journal").fetchone()[0]
    epoch, lowest = meta["epoch"], max(1, int(meta.get("first_seq", 1)))  # above 1 where a copy was put back
    made = highest - lowest + 1
    stored = {seq for e, seq, _, _ in rows if e == epoch}
    # Epochs of the journal in their order; in a memory epoch there are only alarms.
    epochs = [*dict.fromkeys(e for e, _, type_, _ in rows if type_ == "zhian.portal.opened" and e != epoch), epoch]
    base = {e: i * _NUMBERS for i, e in enumerate(epochs)}
    lost = {e: Ranges() for e in epochs}
    portals: list[tuple[str, str]] = []  # epoch, portal
    places: dict[str, int] = {}  # portal -> where it stands in all epochs of the journal; 0: it left early
    for e, seq, type_, data in rows:
        content = json.loads(data)
        if type_ == "zhian.outbox.lost" and content["epoch"] in lost:
            for first, last in content["ranges"]:
                lost[content["epoch"]].add(first, last)
        elif type_ in ("zhian.portal.opened", "zhian.portal.forced"):
            portals.append((e, content["portal"]))
            places[content["portal"]] = base[e] + seq if e in base else 0
            ledger.forged += not content["portal"].startswith("p")
    reported = sum(1 for seq in range(lowest, highest + 1) if seq not in stored and seq in lost[epoch])
    there = {(e, seq) for e, seq, _, _ in rows}
    gone = [
        base[e] + seq
        for e in epochs
        for first, last in lost[e]
        for seq in range(max(first, lowest if e == epoch else 1), last + 1)
        if (e, seq) not in there
    ]
    ledger.made += made
    ledger.stored += len(stored)
    ledger.lost += reported
    ledger.missing += made - len(stored) - reported
    ledger.early += sum(1 for e, _, _, _ in rows if e != epoch)
    ledger.duplicates += len(portals) - len({portal for _, portal in portals})
    ledger.disorder += _disorder(portal for e, portal in portals if e == epoch)
    end = len(epochs) * _NUMBERS
    ledger.unconfirmed += sum(_unaccounted(run, upto, places, gone, end) for run, upto in gateway.confirmed.items())


def _unaccounted(run: str, upto: int, places: Mapping[str, int], gone: Sequence[int], end: int) -> int:
    """How many of the events 1..`upto` of a run are neither stored nor, between the places of those made before and
    after them, reported lost."""
    unaccounted = waiting = low = 0
    for n in range(1, upto + 2):
        place = places.get(f"p{run}-{n}", None if n <= upto else end)
        if place is None:
            waiting += 1
        elif place:
            room = bisect_left(gone, place) - bisect_right(gone, low)
            unaccounted, waiting, low = unaccounted + max(0, waiting - room), 0, place
    return unaccounted + waiting


def _disorder(portals: Iterable[str]) -> int:
    """Times that a number of one run is not above the one before it of that run."""
    newest: dict[str, int] = {}
    wrong = 0
    for portal in portals:
        run, _, number = portal.partition("-")
        if not number.isdigit():
            continue  # forged, and counted as that
        wrong += int(number) <= newest.get(run, 0)
        newest[run] = int(number)
    return wrong


@contextlib.contextmanager
def _reading(database: Path):  # type: ignore[no-untyped-def]
    connection = sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True, timeout=10)
    try:
        yield connection
    finally:
        connection.close()
