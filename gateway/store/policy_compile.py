"""From a policy document to the snapshot that `decide` uses. Every refusal is one sentence with the key it is about."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from types import MappingProxyType
from typing import Never

from gateway.access.formats import FORMATS
from gateway.access.passes import pass_name
from gateway.access.policy import Credential, Holder, Policy, PortalPolicy, Rule, Zone, compile_policy
from gateway.access.schedule import ALWAYS, Schedule, Span
from gateway.model import CredentialKind
from gateway.store import policy_calendar
from gateway.store.policy_document import (
    DAYS,
    MAX_RULE_PORTALS,
    CredentialTable,
    ExceptionTable,
    OpeningTable,
    PassTable,
    PolicyDocument,
    PortalTable,
    ScheduleTable,
    SpanTable,
)
from runtime.errors import ConfigError

_KEYS = {
    "card": (re.compile(r"[1-9][0-9]{0,2}:(0|[1-9][0-9]{0,49})"), '"<bits>:<value>", such as 26:1234567'),
    "pin": (re.compile(r"[0-9a-f]{64}"), "64 hex digits (the digest, never the PIN itself)"),
    "code": (re.compile(r"[0-9a-f]{64}"), "64 hex digits (the digest, never the code itself)"),
    "plate": (re.compile(r"[\u4e00-\u9fff][A-Z0-9\u4e00-\u9fff]{6,7}"), "a plate without separators"),
    "ble": (re.compile(r"[0-9a-f]{16,64}"), "16 to 64 hex digits"),
}
_SECRET = ("pin", "code")  # whatever stands there instead of a digest is not repeated in a message


def compile_document(document: PolicyDocument, source: str, version: int | None = None) -> Policy:
    """The snapshot; `version` instead of the document's own. Raises ConfigError: `source`, key, expected, got."""
    _check_once(document, source)
    schedules = {"always": ALWAYS} | {t.id: _schedule(t, i, source) for i, t in enumerate(document.schedule)}
    _check_names(document, schedules, source)
    if sum(len(rule.portals) for rule in document.rule) > MAX_RULE_PORTALS:
        _fail(source, "rule", f"all rules together name more than {MAX_RULE_PORTALS} portals; use fewer, wider groups")
    try:
        return compile_policy(
            document.version if version is None else version,
            [Holder(h.id, frozenset(h.groups), {"zh": h.name.zh, "en": h.name.en}) for h in document.holder],
            [*_credentials(document, source), *_passes(document, source)],
            [Rule(rule.group, frozenset(rule.portals), schedules[rule.schedule]) for rule in document.rule],
            [_portal(portal) for portal in document.portal],
            zones=[Zone(zone.name, zone.passback, zone.timed_s) for zone in document.zone],
            schedules=[schedules[table.id] for table in document.schedule],
            calendar=policy_calendar.compiled(document.calendar),
            card_formats=document.card_formats,
        )
    except ValueError as e:
        raise ConfigError(f"{source}: {e}") from None


def _fail(source: str, key: str, text: str) -> Never:
    raise ConfigError(f"{source}: {key}: {text}")


def _some(names: Iterable[str]) -> str:
    """At most ten of the names, sorted, for a message."""
    listed = sorted(names)
    return ", ".join(map(repr, listed[:10])) + (f" and {len(listed) - 10} more" if len(listed) > 10 else "")


def _check_once(document: PolicyDocument, source: str) -> None:
    listed: dict[str, list[str]] = {
        "portal.name": [portal.name for portal in document.portal],
        "zone.name": [zone.name for zone in document.zone],
        "schedule.id": ["always", *(schedule.id for schedule in document.schedule)],
        "holder.id": [holder.id for holder in document.holder],
        "credential.id": [one.id for one in document.credential if one.id is not None],
        "pass.id": [one.id for one in document.pass_],
        "calendar.day.date": [day.date.isoformat() for day in document.calendar.day],
    }
    for key, names in listed.items():
        seen: set[str] = set()
        for name in names:
            if name in seen:
                _fail(source, key, f"{name!r} stands twice or is built in; give each its own")
            seen.add(name)
    for i, name in enumerate(document.card_formats):
        if name not in FORMATS:
            _fail(source, f"card_formats[{i}]", f"expected one of {_some(FORMATS)}, got {name!r}; correct it")
    for i, zone in enumerate(document.zone):
        if (zone.passback == "timed") != (zone.timed_s > 0):
            _fail(
                source, f"zone[{i}].timed_s", 'expected seconds with passback = "timed" and nothing otherwise; fix it'
            )


def _check_names(document: PolicyDocument, schedules: dict[str, Schedule], source: str) -> None:
    """Whatever names a portal, holder, zone or schedule names one that exists."""
    portals = {portal.name for portal in document.portal}
    zones = {zone.name for zone in document.zone}
    holders = {holder.id for holder in document.holder}

    def known(key: str, names: Iterable[str | None], among: Iterable[str]) -> None:
        for name in names:
            if name is not None and name not in among:
                _fail(
                    source, key, f"expected one of {_some(among) or 'nothing yet'}, got {name!r}; add it or correct it"
                )

    for i, portal in enumerate(document.portal):
        if all("face" in combination for combination in portal.accepts):
            _fail(
                source,
                f"portal[{i}].accepts",
                f"expected a way in at {portal.name!r} for whoever has no face enrolled, got only combinations with"
                ' face; add one without, such as ["card", "pin"]',
            )
        known(f"portal[{i}].interlock", portal.interlock, portals)
        known(f"portal[{i}].leaves_zone", [portal.leaves_zone], zones)
        known(f"portal[{i}].enters_zone", [portal.enters_zone], zones)
        known(f"portal[{i}].unlock_schedule", [portal.unlock_schedule], schedules)
    for i, rule in enumerate(document.rule):
        known(f"rule[{i}].portals", rule.portals, portals)
        known(f"rule[{i}].schedule", [rule.schedule], schedules)
    for i, credential in enumerate(document.credential):
        known(f"credential[{i}].holder", [credential.holder], holders)
        known(f"credential[{i}].portals", credential.portals or (), portals)
    for i, issued in enumerate(document.pass_):
        known(f"pass[{i}].holder", [issued.holder], holders)
        known(f"pass[{i}].portals", issued.portals, portals)


def _portal(table: PortalTable) -> PortalPolicy:
    return PortalPolicy(
        table.name,
        tuple(frozenset(CredentialKind(kind) for kind in kinds) for kinds in table.accepts),
        clock_uncertain=table.clock_uncertain,
        exit_points=frozenset(table.exit_points),
        leaves_zone=table.leaves_zone,
        enters_zone=table.enters_zone,
        interlock=frozenset(table.interlock),
        first_person_groups=frozenset(table.first_person_groups),
        two_person=table.two_person,
        lockdown_groups=frozenset(table.lockdown_groups),
        unlock_schedule=table.unlock_schedule,
        high_security=table.high_security,
        closed_dates=frozenset(table.closed_dates),
    )


def _schedule(table: ScheduleTable, i: int, source: str) -> Schedule:
    spans = []
    for j, span in enumerate(table.span):
        start, end = _opening(span, f"schedule[{i}].span[{j}]", source)
        spans.append(Span(frozenset(DAYS.index(day) for day in span.days), start, end))
    exceptions = {}
    for j, exception in enumerate(table.exception):
        if exception.date in exceptions:
            _fail(source, f"schedule[{i}].exception[{j}].date", f"{exception.date} stands twice; keep one of them")
        exceptions[exception.date] = tuple(_openings(exception, f"schedule[{i}].exception[{j}]", source))
    return Schedule(table.id, tuple(spans), holidays=table.holidays, exceptions=MappingProxyType(exceptions))


def _openings(table: ExceptionTable, key: str, source: str) -> Iterator[tuple[int, int]]:
    for k, opening in enumerate(table.open):
        yield _opening(opening, f"{key}.open[{k}]", source)


def _opening(table: SpanTable | OpeningTable, key: str, source: str) -> tuple[int, int]:
    if table.from_ == "24:00":
        _fail(source, f"{key}.from", "expected 00:00 to 23:59, got '24:00'; a span begins within the day")
    return _minute(table.from_), _minute(table.to)


def _minute(clock: str) -> int:
    hour, minute = clock.split(":")
    return int(hour) * 60 + int(minute)


def _credentials(document: PolicyDocument, source: str) -> Iterator[Credential]:
    for i, table in enumerate(document.credential):
        _check_credential(table, i, source)
        key = f"credential[{i}]"
        begins, ends = _validity(table, key, source)
        yield Credential(
            CredentialKind(table.kind),
            table.key,
            table.holder,
            table.revoked,
            begins,
            ends,
            id=table.id or "",
            uses=table.uses,
            portals=None if table.portals is None else frozenset(table.portals),
            duress=table.duress,
        )


def _check_credential(table: CredentialTable, i: int, source: str) -> None:
    key = f"credential[{i}]"
    if table.id is not None and table.id.startswith("pass-"):
        _fail(source, f"{key}.id", f"{table.id!r} begins with pass-, which is kept for visitor passes; choose another")
    if table.kind == "face":
        if table.key != table.holder:
            _fail(source, f"{key}.key", f"expected the holder's id {table.holder!r} for a face, got {table.key!r}")
    else:
        form, words = _KEYS[table.kind]
        if not form.fullmatch(table.key):
            got = "something else" if table.kind in _SECRET else repr(table.key)
            _fail(source, f"{key}.key", f"expected {words}, got {got}; correct it")
    if table.kind == "code" and table.uses is None:
        _fail(source, f"{key}.uses", "this key is missing; a one-time code needs uses = 1 (or more)")
    if table.duress and table.kind not in _SECRET:
        _fail(source, f"{key}.duress", f"only a pin or a code can tell of duress, got {table.kind}; remove it here")


def _passes(document: PolicyDocument, source: str) -> Iterator[Credential]:
    """A pass becomes a QR credential of whoever answers for the visitor, and with a plate a second one beside it."""
    form, words = _KEYS["plate"]
    for i, table in enumerate(document.pass_):
        begins, ends = _validity(table, f"pass[{i}]", source)
        kinds = [(CredentialKind.QR, table.id, pass_name(table.id))]
        if table.plate is not None:
            if not form.fullmatch(table.plate):
                _fail(source, f"pass[{i}].plate", f"expected {words}, got {table.plate!r}; correct it")
            kinds.append((CredentialKind.PLATE, table.plate, f"{pass_name(table.id)}-plate"))
        for kind, key, name in kinds:
            yield Credential(
                kind,
                key,
                table.holder,
                table.revoked,
                begins,
                ends,
                id=name,
                uses=table.uses,
                portals=frozenset(table.portals),
                counter=pass_name(table.id),
            )


def _validity(table: CredentialTable | PassTable, key: str, source: str) -> tuple[int | None, int | None]:
    def ms(name: str, moment: datetime | None) -> int | None:
        if moment is None:
            return None
        if moment.tzinfo is None:
            text = f"expected a time with its offset, such as 2026-11-22T08:00:00+08:00, got {moment.isoformat()}"
            _fail(source, f"{key}.{name}", f"{text}; add the offset")
        return int(moment.timestamp() * 1000)

    begins, ends = ms("valid_from", table.valid_from), ms("valid_until", table.valid_until)
    if begins is not None and ends is not None and begins >= ends:
        _fail(source, key, "valid_from is not before valid_until; correct one of them")
    return begins, ends
