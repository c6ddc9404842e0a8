"""What one commit does with what has arrived: count it, recognise copies, give rows their numbers. No SQL dialects."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import msgspec

from center.contract.acknowledgement import Ack
from center.contract.catalogue import CATALOGUE, Event, EventData, OutboxLost, Severity
from center.contract.frame import Frame
from center.contract.state import GatewayState
from center.contract.topics import GatewayName
from center.store.addresses import Book
from center.store.coverage import Coverage, coverage_of, ranges_text
from center.store.statements import DAY_MS, Database, EventRow, Statements

SEVERITIES = tuple(Severity)  # index = the number in the column `severity`
# Epochs that one gateway may begin in a day. A sound one begins one when it is set up, one when it loses its store, and
# one each time it starts without a disk; without a limit a hostile one could fill the store with them.
MAX_NEW_EPOCHS_A_DAY = 100
_RANK = {severity: rank for rank, severity in enumerate(SEVERITIES)}
# What a row says of each kind of event: type, severity, and the field that names the subject ("" = the gateway itself).
_SHOWN = {kind: (told.type, _RANK[told.severity], told.subject) for kind, told in CATALOGUE.items()}
_encoder = msgspec.json.Encoder()


@dataclass(frozen=True, slots=True)
class Received:
    """A frame or state as it arrived, with the gateway that its topic names."""

    name: GatewayName
    content: Frame | GatewayState
    retained: bool = False  # kept by the broker: no sign that the gateway is alive now


@dataclass(slots=True)
class Outcome:
    """What one commit did."""

    acknowledgements: list[tuple[GatewayName, Ack]] = field(default_factory=list)
    stored: int = 0
    redelivered: int = 0
    refused: int = 0  # not stored: the epoch has too many gaps, or the gateway began too many epochs


@dataclass(slots=True)
class KnownEpoch:
    """One epoch's row and coverage as last committed."""

    id: int
    gateway_id: int
    coverage: Coverage


Known = dict[tuple[GatewayName, str], KnownEpoch]


class Batch:
    """One transaction. Coverage is changed on copies, which the writer takes over after the commit."""

    def __init__(
        self, database: Database, statements: Statements, known: Known, book: Book, now_ms: int, run: int
    ) -> None:
        """run: the random number of this run of ingest."""
        self._database = database
        self._statements = statements
        self._known = known
        self._book = book
        self._now_ms = now_ms
        self._run = run
        self._outcome = Outcome()
        self._gateways: dict[GatewayName, int] = {}
        self._heard: set[int] = set()
        self._answered: set[tuple[GatewayName, str]] = set()  # epochs of which a frame or state came
        self._rows: list[EventRow] = []
        self._next_row: int | None = None  # not asked for yet
        self._found_places: dict[GatewayName, dict[str, tuple[str | None, str | None]]] = {}
        self._tally: Counter[type[EventData]] = Counter()
        self.touched: Known = {}

    def apply(self, received: Received) -> None:
        """Count one frame or state."""
        if isinstance(received.content, Frame):
            self._frame(received.name, received.content)
        else:
            self._state(received.name, received.content)
        if not received.retained:
            self._heard.add(self._gateway(received.name))

    def finish(self) -> Outcome:
        """Write it all; nothing was written before except the names of gateways and epochs."""
        self._insert()
        run = self._statements
        changed = []
        for (name, epoch), touched in self.touched.items():
            coverage = touched.coverage
            changed.append(
                (
                    coverage.stored_upto,
                    coverage.known_upto,
                    ranges_text(coverage.islands),
                    ranges_text(coverage.lost),
                    coverage.lost_beyond,
                    touched.id,
                )
            )
            if (name, epoch) in self._answered:
                self._outcome.acknowledgements.append((name, coverage.acknowledgement(epoch)))
        run.many(
            "UPDATE epoch SET stored_upto = ?, known_upto = ?, islands = ?, lost = ?, lost_beyond = ? WHERE id = ?",
            changed,
        )
        run.many("UPDATE gateway SET last_seen_ms = ? WHERE id = ?", [(self._now_ms, i) for i in sorted(self._heard)])
        run.many(
            "INSERT INTO tally (type, severity, count) VALUES (?, ?, ?)"
            " ON CONFLICT (type, severity) DO UPDATE SET count = tally.count + excluded.count",
            sorted((*_SHOWN[kind][:2], count) for kind, count in self._tally.items()),
        )
        outcome = self._outcome
        totals = (("stored", outcome.stored), ("redelivered", outcome.redelivered), ("refused", outcome.refused))
        run.many(ADD_TO_TOTAL, [total for total in totals if total[1]])
        return outcome

    def _insert(self) -> None:
        if not self._rows:
            return
        self._begin_run(self._rows[0][0])
        stored = self._database.insert_events(self._statements, self._rows)
        self._statements.many(ADD_TO_TOTAL, [("row", len(self._rows))])
        self._outcome.stored += stored
        self._outcome.redelivered += len(self._rows) - stored

    def _begin_run(self, first_row: int) -> None:
        newest = self._statements.rows("SELECT id FROM run ORDER BY first_row DESC LIMIT 1")
        if not newest or newest[0][0] != self._run:
            self._statements.run("INSERT INTO run (first_row, id) VALUES (?, ?)", (first_row, self._run))

    def _frame(self, name: GatewayName, frame: Frame) -> None:
        epoch = self._epoch(name, frame.epoch)
        if epoch is None:
            self._outcome.refused += len(frame.events)
            return
        self._answered.add((name, frame.epoch))
        # A report of loss changes the coverage that the events after it meet.
        if not any(type(event.data) is OutboxLost for event in frame.events) and epoch.coverage.follows(
            [event.seq for event in frame.events]
        ):
            epoch.coverage.cover(frame.events[0].seq, frame.events[-1].seq)
            self._take(epoch.id, name, frame.events, frame.simulated)
        else:
            self._take(epoch.id, name, self._new_ones(name, epoch.coverage, frame.events), frame.simulated)

    def _new_ones(self, name: GatewayName, coverage: Coverage, events: Sequence[Event]) -> list[Event]:
        """Events to store, counted as covered; copies and what breaks a limit are counted instead."""
        new = []
        for event in events:
            if coverage.stores(event.seq):
                self._outcome.redelivered += 1
                continue
            if isinstance(event.data, OutboxLost):
                # First, and also where there is no room for the event itself: it may melt the gaps that take the room.
                self._lost(name, event.data)
            if coverage.store(event.seq):
                new.append(event)
            else:
                self._outcome.refused += 1
        return new

    def _take(self, epoch_id: int, name: GatewayName, events: Sequence[Event], simulated: bool) -> None:
        """Rows of events that are to be stored. The center's hottest loop: hardly a call of ours in it."""
        if self._next_row is None:
            # The number after the last one ever given, not after the highest one left.
            found = self._statements.rows("SELECT value FROM total WHERE name = 'row'")
            self._next_row = int(found[0][0]) + 1 if found else 1
        now_ms, own = self._now_ms, name.gateway
        encode, plain, places = _encoder.encode, msgspec.structs.asdict, self._places(name)
        take = self._rows.append
        for number, event in enumerate(events, self._next_row):
            data = event.data
            type_, rank, field_ = _SHOWN[type(data)]
            about = getattr(data, field_) if field_ else own
            place = places(about)
            take(
                (
                    number,
                    epoch_id,
                    event.seq,
                    event.time_ms,
                    now_ms,
                    event.clock_certain,
                    simulated,
                    type_,
                    rank,
                    about,
                    encode(plain(data)).decode(),
                    *place,
                )
            )
        self._next_row += len(events)
        self._tally.update(type(event.data) for event in events)

    def _places(self, name: GatewayName) -> Callable[[str], tuple[str | None, str | None]]:
        """Subject of this gateway -> address and grid cell, each looked up once a batch."""
        if not len(self._book):
            return lambda _: (None, None)
        found = self._found_places.setdefault(name, {})

        def of(about: str) -> tuple[str | None, str | None]:
            if about not in found:
                place = self._book.of(name, about)
                found[about] = (place.address or None, place.grid or None) if place else (None, None)
            return found[about]

        return of

    def _lost(self, name: GatewayName, lost: OutboxLost) -> None:
        epoch = self._epoch(name, lost.epoch, begin=False)
        if epoch is None:  # nothing is known of it, so nothing of it is missing here
            return
        for first, last in lost.ranges:
            if 1 <= first <= last <= 1 << 53:
                epoch.coverage.lose(first, last)

    def _state(self, name: GatewayName, state: GatewayState) -> None:
        gateway_id = self._gateway(name)
        if not state.online:
            self._statements.run("UPDATE gateway SET online = ? WHERE id = ?", (False, gateway_id))
            return
        self._statements.run(
            "UPDATE gateway SET online = ?, version = ?, simulated = ? WHERE id = ?",
            (True, state.version, state.simulated, gateway_id),
        )
        epoch = None if state.epoch is None else self._epoch(name, state.epoch)
        if state.epoch is None or epoch is None:
            return
        self._answered.add((name, state.epoch))
        self._statements.run("UPDATE gateway SET epoch_id = ? WHERE id = ?", (epoch.id, gateway_id))
        if state.first_seq > 1:  # recorded before there was a center: never meant for it, so neither missing nor lost
            epoch.coverage.cover(1, state.first_seq - 1)
        epoch.coverage.announce(state.last_seq)

    def _gateway(self, name: GatewayName) -> int:
        if name not in self._gateways:
            place = (name.district, name.site, name.gateway)
            found = self._statements.rows(_FIND_GATEWAY, place)
            if not found:
                self._statements.run("INSERT INTO gateway (district, site, gateway) VALUES (?, ?, ?)", place)
                found = self._statements.rows(_FIND_GATEWAY, place)
            self._gateways[name] = int(found[0][0])
        return self._gateways[name]

    def _epoch(self, name: GatewayName, epoch: str, *, begin: bool = True) -> KnownEpoch | None:
        """None where there is no such epoch and none may be begun."""
        key = (name, epoch)
        if key in self.touched:
            return self.touched[key]
        if key in self._known:
            known = self._known[key]
            found = KnownEpoch(known.id, known.gateway_id, known.coverage.copy())
            self._gateways[name] = known.gateway_id
        else:
            gateway_id = self._gateway(name)
            rows = self._statements.rows(_FIND_EPOCH, (gateway_id, epoch))
            if not rows:
                if not begin or not self._may_begin(gateway_id):
                    return None
                self._statements.run(
                    "INSERT INTO epoch (gateway_id, epoch, first_seen_ms) VALUES (?, ?, ?)",
                    (gateway_id, epoch, self._now_ms),
                )
                rows = self._statements.rows(_FIND_EPOCH, (gateway_id, epoch))
            found = KnownEpoch(int(rows[0][0]), gateway_id, coverage_of(*rows[0][1:]))
        self.touched[key] = found
        return found

    def _may_begin(self, gateway_id: int) -> bool:
        begun = self._statements.rows(
            "SELECT count(*) FROM epoch WHERE gateway_id = ? AND first_seen_ms > ?", (gateway_id, self._now_ms - DAY_MS)
        )
        return bool(begun[0][0] < MAX_NEW_EPOCHS_A_DAY)


ADD_TO_TOTAL = (
    "INSERT INTO total (name, value) VALUES (?, ?)"
    " ON CONFLICT (name) DO UPDATE SET value = total.value + excluded.value"
)
_FIND_GATEWAY = "SELECT id FROM gateway WHERE district = ? AND site = ? AND gateway = ?"
_FIND_EPOCH = (
    "SELECT id, stored_upto, known_upto, islands, lost, lost_beyond FROM epoch WHERE gateway_id = ? AND epoch = ?"
)
