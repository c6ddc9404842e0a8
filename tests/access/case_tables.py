"""Reads cases.md: the site it describes as a Policy, and its cases. Not a test; unknown words are errors."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from gateway.access.decide import INVALID_PASS_KEY, State
from gateway.access.passes import Pass, as_credential
from gateway.access.policy import Credential, Holder, Policy, PortalPolicy, Rule, Zone, compile_policy
from gateway.access.presence import InZone, Presence, Used
from gateway.access.schedule import ALWAYS, HOLIDAY, WORKDAY, Calendar, Schedule, Span
from gateway.model import AccessRequest, CredentialKind, PortalMode, Presented, Reason

SHANGHAI = ZoneInfo("Asia/Shanghai")
PAGE = Path(__file__).with_name("cases.md")
DAYS = {name: i for i, name in enumerate(("mon", "tue", "wed", "thu", "fri", "sat", "sun"))}
DAYS |= {"holiday": HOLIDAY, "workday": WORKDAY}
MODES = {
    "lockdown": PortalMode.LOCKDOWN,
    "unlocked": PortalMode.UNLOCKED,
    "card and PIN": PortalMode.CARD_AND_PIN,
    "emergency open": PortalMode.EMERGENCY_OPEN,
}
Table = list[dict[str, str]]


@dataclass(frozen=True)
class Case:
    """One row: a request in a state at a time, and what is expected of it."""

    name: str
    request: AccessRequest
    state: State
    now: datetime
    granted: bool
    reason: Reason
    duress: bool
    warnings: tuple[Reason, ...]


def tables(page: Path = PAGE) -> dict[str, Table]:
    """Every table of the page by the heading above it."""
    found: dict[str, Table] = {}
    heading, columns = "", []
    for line in page.read_text("utf-8").splitlines():
        if line.startswith("#"):
            heading, columns = line.strip("# "), []
        elif line.startswith("|"):
            cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
            if not columns:
                columns = cells
            elif not set(line) <= set("| -"):
                found.setdefault(heading, []).append(dict(zip(columns, cells, strict=True)))
    return found


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=SHANGHAI)


def ms(text: str) -> int:
    return round(moment(text).timestamp() * 1000)


def site(found: dict[str, Table]) -> tuple[Policy, dict[str, Credential]]:
    """The policy, and its credentials by what the page calls them."""
    schedules = {row["schedule"]: _schedule(row) for row in found["Schedules"]} | {"always": ALWAYS}
    credentials = {row["called"]: _credential(row, i) for i, row in enumerate(found["Credentials"])}
    policy = compile_policy(
        1,
        [Holder(row["holder"], frozenset(re.findall(r"[\w-]+", row["groups"])), {}) for row in found["Holders"]],
        credentials.values(),
        [Rule(r["group"], frozenset(r["portals"].split()), schedules[r["schedule"]]) for r in found["Rules"]],
        [_portal(row) for row in found["Portals"]],
        zones=[_zone(row) for row in found["Zones"]],
        schedules=[s for s in schedules.values() if s is not ALWAYS],
        calendar=Calendar({date.fromisoformat(r["date"]): r["is a"] for r in found["Calendar"]}),  # type: ignore[misc]
    )
    return policy, credentials


def cases(found: dict[str, Table], credentials: dict[str, Credential]) -> list[Case]:
    return [
        _case(f"{heading}: {row['what']}", row, credentials)
        for heading, rows in found.items()
        if "the door" in rows[0]
        for row in rows
    ]


def _schedule(row: dict[str, str]) -> Schedule:
    def minutes(clock: str) -> int:
        return int(clock[:2]) * 60 + int(clock[3:])

    exceptions = {}
    for one in filter(None, row["otherwise"].split(", ")):
        if one == "ignores holidays":
            continue
        day, hours = one.split(" ")
        exceptions[date.fromisoformat(day)] = () if hours == "closed" else ((minutes(hours[:5]), minutes(hours[6:])),)
    return Schedule(
        row["schedule"],
        (Span(frozenset(DAYS[day] for day in row["days"].split()), minutes(row["from"]), minutes(row["to"])),),
        holidays="ignore" if "ignores holidays" in row["otherwise"] else "follow",
        exceptions=exceptions,
    )


def _credential(row: dict[str, str], i: int) -> Credential:
    details: dict[str, object] = {}
    for one in filter(None, row["details"].split(", ")):
        word, _, rest = one.partition(" ")
        match word:
            case "revoked" | "duress":
                details[word] = True
            case "from" | "until":
                details[f"valid_{word}_ms"] = ms(rest)
            case "uses":
                details["uses"] = int(rest)
            case "only":
                details["portals"] = frozenset(rest.split())
            case _:
                raise ValueError(one)
    return Credential(CredentialKind(row["kind"]), f"26:{i}", row["holder"], id=row["called"], **details)  # type: ignore[arg-type]


def _portal(row: dict[str, str]) -> PortalPolicy:
    settings: dict[str, object] = {}
    for one in filter(None, row["also"].split("; ")):
        words = one.split()
        match words:
            case ["lets", group, "in", "at", "lockdown"]:
                settings["lockdown_groups"] = frozenset({group})
            case ["inner", "point", point]:
                settings["exit_points"] = frozenset({point})
            case ["into", "zone", zone]:
                settings["enters_zone"] = zone
            case ["out", "of", "zone", zone]:
                settings["leaves_zone"] = zone
            case ["two", "persons"]:
                settings["two_person"] = True
            case ["first", "person", group]:
                settings["first_person_groups"] = frozenset({group})
            case ["open", "to", "all", schedule]:
                settings["unlock_schedule"] = schedule
            case ["closed", "on", day]:
                settings["closed_dates"] = frozenset({date.fromisoformat(day)})
            case ["clock", "uncertain:", mode]:
                settings["clock_uncertain"] = mode
            case ["interlock", other]:
                settings["interlock"] = frozenset({other})
            case _:
                raise ValueError(one)
    accepts = tuple(frozenset(CredentialKind(k) for k in one.split("+")) for one in row["accepts"].split(" / "))
    return PortalPolicy(row["portal"], accepts, **settings)  # type: ignore[arg-type]


def _zone(row: dict[str, str]) -> Zone:
    kind, *rest = row["coming in again"].split()
    return Zone(row["zone"], kind, int(rest[0]) if rest else 0)  # type: ignore[arg-type]


def _shown(name: str, credentials: dict[str, Credential]) -> tuple[Presented, dict[str, Credential]]:
    """What the page calls `name`, as it is presented, and the verified passes that go with it."""
    if name in credentials:
        return Presented(credentials[name].kind, credentials[name].key), {}
    if name == "lin's number in 34 bits":
        return Presented(CredentialKind.CARD, credentials["lin's card"].key.replace("26:", "34:")), {}
    if name == "a forged pass":
        return Presented(CredentialKind.QR, INVALID_PASS_KEY), {}
    if name.startswith("a signed pass of "):
        begins = ms("2026-11-23 08:00") // 1000
        host = name.removeprefix("a signed pass of ")
        credential = as_credential(Pass(b"12345678", host, ("lobby",), begins, begins + 86_400, 1))
        return Presented(CredentialKind.QR, credential.key), {credential.key: credential}
    return Presented(CredentialKind(name.removeprefix("an unknown ")), "99:99"), {}


def _case(name: str, row: dict[str, str], credentials: dict[str, Credential]) -> Case:
    shown = [_shown(one, credentials) for one in row["shown"].split(", ") if one]
    passes = {key: credential for _, found in shown for key, credential in found.items()}
    point, state = _state(row["state"], row["when"], credentials | {f"{n}": c for n, c in _named_passes(row, passes)})
    door = row["the door"]
    words = re.fullmatch(r"(opens|stays shut)( under duress)?( with warning ([a-z-]+))?", door)
    assert words, f"{name}: {door!r}: expected 'opens' or 'stays shut', with 'under duress' or 'with warning REASON'"
    return Case(
        name,
        AccessRequest(row["portal"], point, tuple(one for one, _ in shown)),
        State(passes=passes, **state),  # type: ignore[arg-type]
        moment(row["when"]),
        words[1] == "opens",
        Reason(row["reason"]),
        bool(words[2]),
        (Reason(words[4]),) if words[4] else (),
    )


def _named_passes(row: dict[str, str], passes: dict[str, Credential]) -> list[tuple[str, Credential]]:
    return [(row["shown"], credential) for credential in passes.values()]


def _state(text: str, when: str, credentials: dict[str, Credential]) -> tuple[str, dict[str, object]]:
    point, state = "reader", {"clock_certain": True}
    for one in filter(None, text.split(", ")):
        if one in MODES:
            state["mode"] = MODES[one]
        elif one == "fire":
            state["fire"] = True
        elif one == "face alone accepted":
            state["face_alone"] = True
        elif one == "clock uncertain":
            state["clock_certain"] = False
        elif found := re.fullmatch(r"at (\S+)", one):
            point = found[1]
        elif found := re.fullmatch(r"open (\S+)", one):
            state["open_portals"] = frozenset({found[1]})
        elif found := re.fullmatch(r"used (.+) (\d+)", one):
            state["presence"] = Presence(uses={credentials[found[1]].counted_as: Used(int(found[2]))})
        elif found := re.fullmatch(r"first person at (\S+) (\S+)", one):
            state["presence"] = Presence(first_persons={found[1]: date.fromisoformat(found[2])})
        elif found := re.fullmatch(r"(\w+|\w+'s car) is in (\w+)( since (.+))?", one):
            whose = credentials[found[1]].subject if found[1] in credentials else found[1]
            state["presence"] = Presence(zones={whose: InZone(found[2], ms(found[4] or when))})
        else:
            raise ValueError(one)
    return point, state
