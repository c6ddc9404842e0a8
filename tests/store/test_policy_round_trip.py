"""Document -> TOML -> document, document -> canonical bytes -> document, and the snapshot of each: always the same."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.access.formats import FORMATS
from gateway.store import policy_file
from gateway.store.policy_compile import compile_document
from gateway.store.policy_document import (
    DAYS,
    CalendarTable,
    CredentialTable,
    DayTable,
    ExceptionTable,
    HolderTable,
    NameTable,
    OpeningTable,
    PassTable,
    PolicyDocument,
    PortalTable,
    RuleTable,
    ScheduleTable,
    SpanTable,
    ZoneTable,
    canonical,
    decode_document,
)

ids = st.from_regex(r"[a-z0-9-]{1,32}", fullmatch=True).filter(lambda text: not text.startswith("pass-"))
# Whatever people may type into a name, except what UTF-8 cannot carry.
words = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)
clocks = st.builds(lambda minute: f"{minute // 60:02}:{minute % 60:02}", st.integers(0, 1439))
ends = clocks | st.just("24:00")
dates = st.dates(date(2020, 1, 1), date(2040, 1, 1))
zones = st.sampled_from([UTC, timezone(timedelta(hours=8)), timezone(timedelta(hours=-5, minutes=-30))])
moments = st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1), timezones=zones).map(  # noqa: DTZ001
    lambda moment: moment.replace(microsecond=0)
)
hexes = st.from_regex(r"[0-9a-f]{64}", fullmatch=True)
plates = st.from_regex(r"[京沪粤][A-Z][A-Z0-9]{5}", fullmatch=True)
openings = st.builds(OpeningTable, from_=clocks, to=ends)
spans = st.builds(
    SpanTable, days=st.lists(st.sampled_from(DAYS), min_size=1, max_size=9).map(tuple), from_=clocks, to=ends
)
exceptions = st.builds(ExceptionTable, date=dates, open=st.lists(openings, max_size=2).map(tuple))
calendars = st.builds(
    CalendarTable,
    base=st.sampled_from(["prc", "none"]),
    day=st.lists(
        st.builds(DayTable, date=dates, kind=st.sampled_from(["holiday", "workday", "ordinary"]), note=words),
        max_size=3,
        unique_by=lambda day: day.date,
    ).map(tuple),
)


def some(names: list[str]) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(st.sampled_from(names), max_size=2, unique=True).map(tuple) if names else st.just(())


def one_or_none(names: list[str]) -> st.SearchStrategy[str | None]:
    return st.none() | st.sampled_from(names) if names else st.none()


@st.composite
def documents(draw: st.DrawFn) -> PolicyDocument:
    """Documents that hang together: every name leads somewhere."""
    portals = draw(st.lists(ids, min_size=1, max_size=3, unique=True))
    zone_names = draw(st.lists(ids, max_size=2, unique=True))
    schedules = draw(st.lists(ids.filter(lambda name: name != "always"), max_size=2, unique=True))
    holders = draw(st.lists(ids, min_size=1, max_size=3, unique=True))
    groups = draw(st.lists(ids, min_size=1, max_size=2, unique=True))
    interlocks = draw(st.booleans())
    holder = st.sampled_from(holders)
    key = {
        "card": st.builds("{}:{}".format, st.integers(1, 200), st.integers(0, 2**40)),
        "pin": hexes,
        "code": hexes,
        "plate": plates,
        "ble": hexes,
    }
    times = draw(st.lists(moments, min_size=2, max_size=2, unique_by=lambda one: one.timestamp()).map(sorted))
    credentials = [
        CredentialTable(
            holder=draw(holder),
            kind=kind,
            key=draw(key[kind]),
            id=draw(st.none() | st.just(f"id-{i}")),
            revoked=draw(st.booleans()),
            valid_from=draw(st.none() | st.just(times[0])),
            valid_until=draw(st.none() | st.just(times[1])),
            uses=draw(st.integers(1, 9)) if kind == "code" else draw(st.none() | st.integers(1, 9)),
            portals=draw(st.none() | some(portals)),
            duress=kind in ("pin", "code") and draw(st.booleans()),
        )
        for i, kind in enumerate(draw(st.lists(st.sampled_from(sorted(key)), max_size=4)))
    ]
    unique = {(one.kind, one.key): one for one in credentials}
    passes = [
        PassTable(
            id=pass_id,
            holder=draw(holder),
            portals=draw(some(portals)) or (portals[0],),
            valid_from=times[0],
            valid_until=times[1],
            uses=draw(st.none() | st.integers(1, 9)),
            plate=None,
            note=draw(words),
            revoked=draw(st.booleans()),
        )
        for pass_id in draw(st.lists(st.from_regex(r"[0-9a-f]{16}", fullmatch=True), max_size=2, unique=True))
    ]
    return PolicyDocument(
        version=draw(st.integers(1, 2**53)),
        card_formats=draw(st.sampled_from([(), ("wiegand-34",)]))
        if not any(c.kind == "card" for c in credentials)
        else (),
        calendar=draw(calendars),
        zone=tuple(
            draw(st.sampled_from([ZoneTable(name), ZoneTable(name, "hard"), ZoneTable(name, "timed", 60)]))
            for name in zone_names
        ),
        portal=tuple(
            # A portal in an interlock does not unlock by schedule.
            draw(
                portal_tables(name, portals if interlocks else [], zone_names, [] if interlocks else schedules, groups)
            )
            for name in portals
        ),
        schedule=tuple(
            ScheduleTable(
                id=name,
                span=tuple(draw(st.lists(spans, max_size=2))),
                holidays=draw(st.sampled_from(["follow", "ignore"])),
                exception=tuple(draw(st.lists(exceptions, max_size=2, unique_by=lambda one: one.date))),
            )
            for name in schedules
        ),
        holder=tuple(
            HolderTable(id=name, name=NameTable(zh=draw(words), en=draw(words)), groups=draw(some(groups)))
            for name in holders
        ),
        credential=tuple(unique.values()),
        pass_=tuple(passes),
        rule=tuple(
            draw(
                st.lists(
                    st.builds(
                        RuleTable,
                        group=st.sampled_from(groups),
                        portals=some(portals),
                        schedule=st.sampled_from(["always", *schedules]),
                    ),
                    max_size=3,
                )
            )
        ),
    )


def portal_tables(
    name: str, portals: list[str], zone_names: list[str], schedules: list[str], groups: list[str]
) -> st.SearchStrategy[PortalTable]:
    kinds = st.lists(st.sampled_from(["card", "pin", "plate", "qr", "code", "face", "ble"]), min_size=1, max_size=3)
    inside = zone_names[0] if zone_names else None
    outside = zone_names[1] if len(zone_names) > 1 else None
    return st.builds(
        PortalTable,
        name=st.just(name),
        # At least one without a face: a portal that takes nothing else is refused.
        accepts=st.tuples(
            kinds.filter(lambda one: "face" not in one).map(tuple), st.lists(kinds.map(tuple), max_size=2)
        ).map(lambda found: (*found[1], found[0])),
        clock_uncertain=st.sampled_from(["always-valid", "deny", "schedules"]),
        exit_points=some(["inner"]),
        leaves_zone=st.sampled_from([None, outside]),
        enters_zone=st.sampled_from([None, inside]),
        interlock=some([other for other in portals if other != name]),
        first_person_groups=some(groups),
        two_person=st.booleans(),
        lockdown_groups=some(groups),
        unlock_schedule=one_or_none(schedules),
        high_security=st.booleans(),
        closed_dates=st.lists(dates, max_size=2).map(tuple),
    )


@settings(max_examples=40, deadline=None)
@given(documents())
def test_a_document_survives_export_and_import(document: PolicyDocument) -> None:
    compiled = compile_document(document, "policy")
    exported = policy_file.written(document)
    imported = policy_file.parse(exported.encode(), "policy.toml")
    assert imported == document
    assert compile_document(imported, "policy.toml") == compiled
    assert policy_file.written(imported) == exported


@settings(max_examples=25, deadline=None)
@given(documents())
def test_canonical_bytes_are_one_and_carry_everything(document: PolicyDocument) -> None:
    body = canonical(document)
    again = decode_document(body)
    assert compile_document(again, "policy") == compile_document(document, "policy")
    assert canonical(again) == body


def test_a_format_is_checked_by_its_name() -> None:
    assert "wiegand-34" in FORMATS  # what the strategy above names
