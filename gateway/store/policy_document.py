"""The site's policy as people write it: the tables of policy.toml, typed and limited, and its canonical bytes.

`policy_compile` turns a document into the snapshot that `decide` uses; docs/policy.md explains every key.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, field

from runtime.toml_file import Table

Id = Annotated[str, Meta(pattern=r"^[a-z0-9-]{1,32}(?!\n)$")]
Digest = Annotated[str, Meta(pattern=r"^[0-9a-f]{32}(?!\n)$")]
Clock = Annotated[str, Meta(pattern=r"^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)(?!\n)$")]
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun", "holiday", "workday"]
DAYS: tuple[str, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun", "holiday", "workday")
Kind = Literal["card", "pin", "plate", "code", "face", "ble"]  # qr: a [[pass]], since it is signed when it is issued
Uses = Annotated[int, Meta(ge=1, le=10_000)]
Name = Annotated[str, Meta(min_length=1, max_length=40)]
Cause = Literal["import", "revoke", "restore", "pass", "undo", "face"]
Names = Annotated[tuple[Id, ...], Meta(max_length=1000)]

# Limits: a district of 20 000 people behind one gateway is far beyond what one Pi is asked to do, and a document at
# every limit still compiles in seconds. Anything above is a mistake, or somebody trying to stop the doors.
MAX_HOLDERS = 20_000
MAX_CREDENTIALS = 60_000
MAX_PASSES = 20_000
MAX_RULES = 5_000
MAX_RULE_PORTALS = 100_000  # rules x their portals
MAX_PORTALS = 1_000
MAX_REVOKED = 100_000  # credentials that stay revoked; beyond it, the one that was revoked first is forgotten


class NameTable(Table):
    """A person's name as people of the site write it."""

    zh: Name
    en: Name


class OpeningTable(Table):
    """Local wall time of one date; `to` may be 24:00, and may lie before `from` (past midnight)."""

    to: Clock
    from_: Clock = field(name="from")


class SpanTable(Table):
    """Local wall time on days of the week; `to` may be 24:00, and may lie before `from` (past midnight)."""

    days: Annotated[tuple[Day, ...], Meta(min_length=1, max_length=9)]
    to: Clock
    from_: Clock = field(name="from")


class ExceptionTable(Table):
    """What is open on one date instead of the spans; nothing = closed on that date."""

    date: date
    open: Annotated[tuple[OpeningTable, ...], Meta(max_length=16)] = ()


class ScheduleTable(Table):
    """A named schedule; `always` exists without being written."""

    id: Id
    span: Annotated[tuple[SpanTable, ...], Meta(max_length=64)] = ()
    holidays: Literal["follow", "ignore"] = "follow"
    exception: Annotated[tuple[ExceptionTable, ...], Meta(max_length=1000)] = ()


class DayTable(Table):
    """One edit on top of the official calendar; `ordinary` takes an official holiday or working day back."""

    date: date
    kind: Literal["holiday", "workday", "ordinary"]
    note: Annotated[str, Meta(max_length=80)] = ""


class CalendarTable(Table):
    """`prc`: the holidays and adjusted working days of the State Council, as far as this release knows them."""

    base: Literal["prc", "none"] = "prc"
    day: Annotated[tuple[DayTable, ...], Meta(max_length=2000)] = ()


class ZoneTable(Table):
    """An area with an inside, and what happens to somebody who comes in again without having left."""

    name: Id
    passback: Literal["hard", "soft", "timed", "off"] = "off"
    timed_s: Annotated[int, Meta(ge=0, le=86_400)] = 0


class HolderTable(Table):
    """A person and the groups they belong to."""

    id: Id
    name: NameTable
    groups: Annotated[tuple[Id, ...], Meta(max_length=64)] = ()


class CredentialTable(Table):
    """One card, PIN, plate, one-time code, face or phone of a holder; the form of `key` is in docs/policy.md."""

    holder: Id
    kind: Kind
    key: Annotated[str, Meta(min_length=1, max_length=64)]
    id: Id | None = None
    revoked: bool = False
    valid_from: datetime | None = None
    valid_until: datetime | None = None
    uses: Uses | None = None
    portals: Names | None = None
    duress: bool = False


class PassTable(Table):
    """A visitor's QR pass, and the plate of their car: for these portals only, within what `holder`, who answers for
    the visitor, may do. Written by `zhian access pass`, since the QR text is signed when it is issued."""

    id: Annotated[str, Meta(pattern=r"^[0-9a-f]{16}(?!\n)$")]
    holder: Id
    portals: Annotated[tuple[Id, ...], Meta(min_length=1, max_length=16)]
    valid_from: datetime
    valid_until: datetime
    uses: Annotated[int, Meta(ge=1, le=1000)] | None = None
    plate: Annotated[str, Meta(max_length=8)] | None = None
    note: Annotated[str, Meta(max_length=40)] = ""
    revoked: bool = False


class RuleTable(Table):
    """Members of `group` may pass `portals` while `schedule` is open."""

    group: Id
    portals: Names
    schedule: Id = "always"


Combination = Annotated[
    tuple[Literal["card", "pin", "plate", "qr", "code", "face", "ble"], ...], Meta(min_length=1, max_length=3)
]


class PortalTable(Table):
    """The combinations of credential kinds a portal accepts, and what else it asks for (gateway.access.policy)."""

    name: Id
    accepts: Annotated[tuple[Combination, ...], Meta(min_length=1, max_length=8)]
    clock_uncertain: Literal["always-valid", "deny", "schedules"] = "always-valid"
    exit_points: Names = ()
    leaves_zone: Id | None = None
    enters_zone: Id | None = None
    interlock: Names = ()
    first_person_groups: Names = ()
    two_person: bool = False
    lockdown_groups: Names = ()
    unlock_schedule: Id | None = None
    high_security: bool = False
    closed_dates: Annotated[tuple[date, ...], Meta(max_length=1000)] = ()


class PolicyDocument(Table):
    """The whole file. `version`: the version it was exported from; an import replaces that one and no other."""

    version: Annotated[int, Meta(ge=1, le=1 << 53)]
    card_formats: Annotated[tuple[Id, ...], Meta(max_length=16)] = ()
    calendar: CalendarTable = CalendarTable()
    zone: Annotated[tuple[ZoneTable, ...], Meta(max_length=200)] = ()
    portal: Annotated[tuple[PortalTable, ...], Meta(max_length=MAX_PORTALS)] = ()
    schedule: Annotated[tuple[ScheduleTable, ...], Meta(max_length=500)] = ()
    holder: Annotated[tuple[HolderTable, ...], Meta(max_length=MAX_HOLDERS)] = ()
    credential: Annotated[tuple[CredentialTable, ...], Meta(max_length=MAX_CREDENTIALS)] = ()
    pass_: Annotated[tuple[PassTable, ...], Meta(max_length=MAX_PASSES)] = field(name="pass", default=())
    rule: Annotated[tuple[RuleTable, ...], Meta(max_length=MAX_RULES)] = ()


class Revocations(Table):
    """What stays revoked whatever a later document says (`policy_revocations`): digests of credentials, and passes."""

    credentials: Annotated[tuple[Digest, ...], Meta(max_length=MAX_REVOKED)] = ()
    passes: Annotated[tuple[PassTable, ...], Meta(max_length=2 * MAX_PASSES)] = ()


NO_REVOCATIONS = Revocations()


class SignedBody(Table):
    """What is signed: one version of one site's policy, and who made it, when and by which operation."""

    district: Id
    site: Id
    version: Annotated[int, Meta(ge=1, le=1 << 53)]
    made_ms: Annotated[int, Meta(ge=0, le=1 << 53)]
    operator: Annotated[str, Meta(min_length=1, max_length=64)]
    cause: Cause
    document: PolicyDocument
    revocations: Revocations = NO_REVOCATIONS


def canonical(value: Table) -> bytes:
    """UTF-8 JSON with sorted keys and no spaces, every key written: a later release's defaults change nothing that
    was signed. The bytes themselves are kept, so nothing is ever encoded again to be verified."""
    return msgspec.json.encode(value, order="sorted")


def decode_body(body: bytes) -> SignedBody:
    """The inverse of `canonical` for a version. Raises msgspec.MsgspecError."""
    return msgspec.json.decode(body, type=SignedBody)


def decode_document(body: bytes) -> PolicyDocument:
    """A document in canonical form, as it comes over core's socket. Raises msgspec.MsgspecError."""
    return msgspec.json.decode(body, type=PolicyDocument)
