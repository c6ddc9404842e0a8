"""The table of addresses in the store: replaced as a whole, read by the writer whenever its version rises."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import astuple, dataclass

from center.store.addresses import Address, Book
from center.store.batch import ADD_TO_TOTAL
from center.store.statements import Database, Statements

_COLUMNS = "district, site, gateway, subject, address, grid, place"


@dataclass(frozen=True, slots=True)
class Change:
    """What an import does to the table, in entries."""

    new: int
    changed: int
    same: int
    removed: int


def book_of(statements: Statements) -> Book:
    """Every entry, inside a transaction."""
    return Book(entries(statements))


def read(database: Database) -> list[Address]:
    """Every entry, in order. Raises StoreError."""
    with database.reading() as statements:
        return entries(statements)


def change(before: Iterable[Address], after: Iterable[Address], *, replace: bool) -> Change:
    """What `write` would do. replace: entries that are not in `after` go."""
    old = {address.key: address for address in before}
    new = {address.key: address for address in after}
    return Change(
        new=len(new.keys() - old.keys()),
        changed=sum(key in old and old[key] != address for key, address in new.items()),
        same=sum(old.get(key) == address for key, address in new.items()),
        removed=len(old.keys() - new.keys()) if replace else 0,
    )


def write(database: Database, addresses: Iterable[Address], *, replace: bool) -> None:
    """Put entries in, in one transaction. Events stored from the next commit on carry them. Raises StoreError."""
    with database.writing() as statements:
        if replace:
            statements.run("DELETE FROM address")
        statements.many(
            f"INSERT INTO address ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)"  # noqa: S608
            " ON CONFLICT (district, site, gateway, subject) DO UPDATE"
            " SET address = excluded.address, grid = excluded.grid, place = excluded.place",
            [astuple(address) for address in addresses],
        )
        statements.many(ADD_TO_TOTAL, [("addresses", 1)])


def entries(statements: Statements) -> list[Address]:
    """Every entry, in order, inside a transaction."""
    found = statements.rows(f"SELECT {_COLUMNS} FROM address ORDER BY 1, 2, 3, 4")  # noqa: S608
    return [Address(*row) for row in found]
