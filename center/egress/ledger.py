"""What the store keeps of each webhook: how far it is, and its dead letters."""

from __future__ import annotations

from dataclasses import dataclass

from center.store.statements import Database


@dataclass(frozen=True, slots=True)
class Progress:
    """One endpoint. behind: stored events that it has not looked at yet, also such as its filter leaves out."""

    endpoint: str
    upto_row: int
    delivered: int
    behind: int
    dead_letters: int
    failing_since_ms: int  # 0 where the last attempt succeeded
    problem: str
    removed: int = 0  # events that retention took before it came to them


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One document that an endpoint did not take."""

    endpoint: str
    row: int
    made_ms: int
    attempts: int
    problem: str
    document: str
    retry: bool


class Ledger:
    """Blocking; one thread at a time; every method raises StoreError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(self, endpoint: str) -> Progress:
        """Where this endpoint goes on; a new one begins with what is stored from now on."""
        with self._database.writing() as write:
            write.run(
                "INSERT INTO webhook (endpoint, upto_row) SELECT ?, coalesce(max(value), 0) FROM total"
                " WHERE name = 'row' ON CONFLICT (endpoint) DO NOTHING",
                (endpoint,),
            )
        return next(one for one in self.progress() if one.endpoint == endpoint)

    def reached(self, endpoint: str, upto_row: int, delivered: int) -> None:
        """Everything up to `upto_row` is settled, `delivered` of it since the last call; the endpoint answers."""
        with self._database.writing() as write:
            write.run(
                "UPDATE webhook SET upto_row = ?, delivered = delivered + ?, failing_since_ms = 0, problem = ''"
                " WHERE endpoint = ?",
                (upto_row, delivered, endpoint),
            )

    def failing(self, endpoint: str, since_ms: int, problem: str) -> None:
        """The last attempt failed."""
        with self._database.writing() as write:
            write.run(
                "UPDATE webhook SET failing_since_ms = ?, problem = ? WHERE endpoint = ?",
                (since_ms, problem, endpoint),
            )

    def bury(self, letter: DeadLetter) -> None:
        """Keep it as a dead letter and go on after it, in one commit."""
        with self._database.writing() as write:
            write.run(
                "INSERT INTO dead_letter (endpoint, row, made_ms, attempts, problem, document)"
                " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (endpoint, row) DO NOTHING",
                (letter.endpoint, letter.row, letter.made_ms, letter.attempts, letter.problem, letter.document),
            )
            write.run(
                "UPDATE webhook SET upto_row = ?, failing_since_ms = 0, problem = ? WHERE endpoint = ?",
                (letter.row, letter.problem, letter.endpoint),
            )

    def dead(self, endpoint: str | None = None, *, limit: int = 1000, to_retry: bool = False) -> list[DeadLetter]:
        """Dead letters, oldest first."""
        where, values = ["1 = 1"], []
        if endpoint is not None:
            where.append("endpoint = ?")
            values.append(endpoint)
        if to_retry:
            where.append("retry = 1")
        with self._database.reading() as read:
            rows = read.rows(
                "SELECT endpoint, row, made_ms, attempts, problem, document, retry FROM dead_letter"  # noqa: S608
                f" WHERE {' AND '.join(where)} ORDER BY endpoint, row LIMIT ?",
                (*values, limit),
            )
        return [DeadLetter(*row[:6], bool(row[6])) for row in rows]

    def ask_again(self, endpoint: str, row: int | None = None) -> int:
        """Have dead letters (all, or the one of this row) tried once more by the running center; how many."""
        with self._database.writing() as write:
            if row is None:
                return write.run("UPDATE dead_letter SET retry = 1 WHERE endpoint = ?", (endpoint,))
            return write.run("UPDATE dead_letter SET retry = 1 WHERE endpoint = ? AND row = ?", (endpoint, row))

    def tried_again(self, letter: DeadLetter, problem: str | None) -> None:
        """None: it was delivered at last and is no dead letter any more."""
        key = (letter.endpoint, letter.row)
        with self._database.writing() as write:
            if problem is None:
                write.run("DELETE FROM dead_letter WHERE endpoint = ? AND row = ?", key)
                write.run("UPDATE webhook SET delivered = delivered + 1 WHERE endpoint = ?", (letter.endpoint,))
            else:
                write.run(
                    "UPDATE dead_letter SET retry = 0, attempts = attempts + 1, problem = ?"
                    " WHERE endpoint = ? AND row = ?",
                    (problem, *key),
                )

    def progress(self) -> list[Progress]:
        """Every endpoint that was ever served."""
        with self._database.reading() as read:
            rows = read.rows(
                "SELECT w.endpoint, w.upto_row, w.delivered,"
                " coalesce((SELECT value FROM total WHERE name = 'row'), 0) - w.upto_row,"
                " (SELECT count(*) FROM dead_letter d WHERE d.endpoint = w.endpoint), w.failing_since_ms, w.problem,"
                " w.removed"
                " FROM webhook w ORDER BY w.endpoint"
            )
        return [Progress(*row) for row in rows]
