"""The policy document as TOML: parsed strictly, compiled into the snapshot that `decide` uses."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta, field

from gateway.access.policy import Credential, Holder, Policy, PortalPolicy, Rule, compile_policy
from gateway.access.schedule import ALWAYS, Schedule, Span
from gateway.model import CredentialKind
from runtime.errors import ConfigError
from runtime.toml_file import Table, load

Id = Annotated[str, Meta(pattern=r"^[a-z0-9-]{1,32}(?!\n)$")]
Clock = Annotated[str, Meta(pattern=r"^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)(?!\n)$")]
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: tuple[str, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class NameTable(Table):
    """A person's name as people of the site write it."""

    zh: Annotated[str, Meta(min_length=1, max_length=40)]
    en: Annotated[str, Meta(min_length=1, max_length=40)]


class SpanTable(Table):
    """Local wall time on days of the week; `to` may be 24:00, and may lie before `from` (past midnight)."""

    days: Annotated[tuple[Day, ...], Meta(min_length=1, max_length=7)]
    to: Clock
    from_: Clock = field(name="from")


class ScheduleTable(Table):
    """A named schedule; `always` exists without being written."""

    id: Id
    span: tuple[SpanTable, ...]


class HolderTable(Table):
    """A person and the groups they belong to."""

    id: Id
    name: NameTable
    groups: tuple[Id, ...] = ()


class CredentialTable(Table):
    """One card, PIN or plate of a holder. `key`: card "<bits>:<value>", PIN 64 hex digits, plate its text."""

    holder: Id
    kind: Literal["card", "pin", "plate"]
    key: Annotated[str, Meta(min_length=1, max_length=64)]
    revoked: bool = False
    valid_from: datetime | None = None
    valid_until: datetime | None = None


class RuleTable(Table):
    """Members of `group` may pass `portals` while `schedule` is open."""

    group: Id
    portals: tuple[Id, ...]
    schedule: Id = "always"


Combination = Annotated[tuple[Literal["card", "pin", "plate"], ...], Meta(min_length=1, max_length=3)]


class PortalTable(Table):
    """The combinations of credential kinds a portal accepts."""

    name: Id
    accepts: Annotated[tuple[Combination, ...], Meta(min_length=1, max_length=8)]


class PolicyDocument(Table):
    """The whole file."""

    version: Annotated[int, Meta(ge=1)]
    portal: tuple[PortalTable, ...] = ()
    schedule: tuple[ScheduleTable, ...] = ()
    holder: tuple[HolderTable, ...] = ()
    credential: tuple[CredentialTable, ...] = ()
    rule: tuple[RuleTable, ...] = ()


def read(path: Path) -> Policy:
    """Parse and compile the document. Raises ConfigError (one sentence)."""
    document = load(path, PolicyDocument)
    _check_once(document, path)
    _check_values(document, path)
    schedules = {"always": ALWAYS} | {table.id: _schedule(table) for table in document.schedule}
    rules = []
    for i, rule in enumerate(document.rule):
        if rule.schedule not in schedules:
            raise ConfigError(
                f"{path}: rule[{i}].schedule: expected one of {sorted(schedules)}, got {rule.schedule!r}; add it"
            )
        rules.append(Rule(rule.group, frozenset(rule.portals), schedules[rule.schedule]))
    try:
        return compile_policy(
            document.version,
            [Holder(h.id, frozenset(h.groups), {"zh": h.name.zh, "en": h.name.en}) for h in document.holder],
            [_credential(table, i, path) for i, table in enumerate(document.credential)],
            rules,
            [
                PortalPolicy(p.name, tuple(frozenset(CredentialKind(kind) for kind in kinds) for kinds in p.accepts))
                for p in document.portal
            ],
        )
    except ValueError as e:
        raise ConfigError(f"{path}: {e}") from None


def _check_once(document: PolicyDocument, path: Path) -> None:
    listed = {
        "portal.name": [portal.name for portal in document.portal],
        "schedule.id": ["always", *(schedule.id for schedule in document.schedule)],
        "holder.id": [holder.id for holder in document.holder],
    }
    for key, names in listed.items():
        for name in names:
            if names.count(name) > 1:
                raise ConfigError(f"{path}: {key}: {name!r} stands twice or is built in; give each its own")


_KEYS = {
    "card": (re.compile(r"[1-9][0-9]{0,2}:(0|[1-9][0-9]{0,49})"), '"<bits>:<value>", such as 26:1234567'),
    "pin": (re.compile(r"[0-9a-f]{64}"), "64 hex digits (the digest, never the PIN itself)"),
    "plate": (re.compile(r"[\u4e00-\u9fff][A-Z0-9\u4e00-\u9fff]{6,7}"), "a plate without separators"),
}


def _check_values(document: PolicyDocument, path: Path) -> None:
    for i, credential in enumerate(document.credential):
        form, words = _KEYS[credential.kind]
        if not form.fullmatch(credential.key):
            got = "something else" if credential.kind == "pin" else repr(credential.key)
            raise ConfigError(f"{path}: credential[{i}].key: expected {words}, got {got}; correct it")
        begins, ends = credential.valid_from, credential.valid_until
        if begins and ends and begins.tzinfo and ends.tzinfo and begins >= ends:
            raise ConfigError(f"{path}: credential[{i}]: valid_from is not before valid_until; correct one of them")
    for i, schedule in enumerate(document.schedule):
        for j, span in enumerate(schedule.span):
            if span.from_ == "24:00":
                raise ConfigError(f"{path}: schedule[{i}].span[{j}].from: a span begins at 00:00..23:59; correct it")


def _schedule(table: ScheduleTable) -> Schedule:
    return Schedule(
        table.id,
        tuple(
            Span(frozenset(DAYS.index(day) for day in span.days), _minute(span.from_), _minute(span.to))
            for span in table.span
        ),
    )


def _minute(clock: str) -> int:
    hour, minute = clock.split(":")
    return int(hour) * 60 + int(minute)


def _credential(table: CredentialTable, i: int, path: Path) -> Credential:
    def ms(key: str, moment: datetime | None) -> int | None:
        if moment is None:
            return None
        if moment.tzinfo is None:
            raise ConfigError(
                f"{path}: credential[{i}].{key}: expected a time with its offset, such as"
                f" 2026-11-22T08:00:00+08:00, got {moment.isoformat()}; add the offset"
            )
        return int(moment.timestamp() * 1000)

    return Credential(
        CredentialKind(table.kind),
        table.key,
        table.holder,
        table.revoked,
        ms("valid_from", table.valid_from),
        ms("valid_until", table.valid_until),
    )
