"""From what a node tells of its own answers to entries of the journal, each once and in order. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import msgspec

from center.contract import catalogue
from firmware.wire import offline
from firmware.wire.offline import Record
from gateway.access.attempts import AttemptLimits
from gateway.ports import NewEntry

KEY = "node/"  # among the store's kept values, followed by the device's name
_KINDS = {offline.CARD: "card", offline.PIN: "pin", offline.CARD | offline.PIN: "card-pin"}


@dataclass(frozen=True, slots=True)
class Stored:
    """Up to where a node's records are stored: its journal, the newest number, how many answers it had lost by then."""

    journal: int = 0
    number: int = 0
    lost: int = 0

    def is_new(self, record: Record) -> bool:
        """Whether the record is not stored yet. A journal that began anew counts from 1."""
        return bool(record.journal != self.journal or record.number > self.number)

    def after(self, record: Record) -> Stored:
        """The same once this record is stored, too."""
        lost = self.lost if record.journal == self.journal else 0
        return Stored(record.journal, record.number, record.count if record.what == offline.LOST else lost)

    def text(self) -> str:
        """What is kept."""
        return msgspec.json.encode(self).decode()


def restored(text: str | None) -> Stored:
    """What was kept. What cannot be read counts as nothing: better twice than not at all."""
    try:
        return msgspec.json.decode(text, type=Stored) if text is not None else Stored()
    except msgspec.MsgspecError:
        return Stored()


@dataclass(frozen=True, slots=True)
class Telling:
    """What turns a record into an event: where the node is, whose a digest is, the token of a holder, the limits."""

    device: str
    portal: str
    holder_of: Callable[[bytes], str | None]
    token: Callable[[str, str], str]
    limits: AttemptLimits


def entries(records: Iterable[Record], before: Stored, telling: Telling) -> tuple[list[NewEntry], Stored]:
    """The entries of those that are not stored yet, and up to where they go."""
    found: list[NewEntry] = []
    stored = before
    for record in records:
        if not stored.is_new(record):
            continue
        after = stored.after(record)
        lost = after.lost - (stored.lost if record.journal == stored.journal else 0)
        found += _entries(record, lost, telling)
        stored = after
    return found, stored


def _entries(record: Record, lost: int, telling: Telling) -> list[NewEntry]:
    portal, device = telling.portal, telling.device
    if record.what == offline.LOST:
        return [NewEntry(catalogue.AccessUnrecorded(portal, device, lost))] if lost > 0 else []
    if record.what == offline.BLOCKED:
        limits = telling.limits
        return [NewEntry(catalogue.AccessAttemptsExceeded(portal, device, limits.wrong, limits.lockout_s))]
    who = telling.holder_of(record.digest)
    token = telling.token("holder", who) if who is not None else None
    fact = catalogue.AccessGranted if record.what == offline.GRANTED else catalogue.AccessDenied
    data = fact(
        portal=portal,
        point=device,
        credential=_KINDS.get(record.shown, "none"),
        reason=offline.REASONS[record.reason],
        holder=token,
        offline=True,
        decided_ms=min(record.unix_ms, 1 << 53),
        decided_certain=bool(record.flags & offline.CLOCK_CERTAIN),
    )
    told = [NewEntry(data, who)]
    if record.flags & offline.DURESS:
        told.append(NewEntry(catalogue.AccessDuress(portal, device, token), who))
    return told
