"""The policy document: parsed strictly, compiled, and refused in one sentence."""

from __future__ import annotations

from datetime import date

import pytest

from gateway.access.schedule import HOLIDAY, WORKDAY
from gateway.model import CredentialKind
from gateway.store import policy_calendar, policy_file
from runtime.errors import ConfigError

GOOD = """
version = 3
[[portal]]
name = "lobby"
accepts = [["card"], ["card", "pin"]]
[[schedule]]
id = "office"
[[schedule.span]]
days = ["mon", "tue"]
from = "08:00"
to = "24:00"
[[holder]]
id = "lin"
name = { zh = "林晓", en = "Lin Xiao" }
groups = ["residents"]
[[credential]]
holder = "lin"
kind = "card"
key = "26:1"
valid_until = 2026-12-01T00:00:00+08:00
[[rule]]
group = "residents"
portals = ["lobby"]
schedule = "office"
"""


def test_a_document_becomes_a_policy(tmp_path):
    file = tmp_path / "policy.toml"
    file.write_text(GOOD, "utf-8")
    policy = policy_file.read(file)
    assert policy.version == 3
    assert policy.credentials[CredentialKind.CARD, "26:1"].valid_until_ms == 1_796_054_400_000
    (rule,) = policy.rules["residents", "lobby"]
    assert rule.schedule.spans[0].end_minute == 1440


EVERYTHING = """
version = 9
card_formats = ["h10301"]

[calendar]
day = [
    { date = 2026-10-09, kind = "holiday", note = "the day after" },
    { date = 2026-10-10, kind = "ordinary" },
]

[[zone]]
name = "garage"
passback = "timed"
timed_s = 600

[[portal]]
name = "lobby"
accepts = [["card"], ["qr"], ["code"]]
unlock_schedule = "office"
lockdown_groups = ["guards"]
closed_dates = [2026-12-31]

[[portal]]
name = "ramp"
accepts = [["plate"]]
enters_zone = "garage"
exit_points = ["ramp-inside"]
clock_uncertain = "deny"
interlock = ["yard"]
first_person_groups = ["guards"]
two_person = true
high_security = true

[[portal]]
name = "yard"
accepts = [["card"]]

[[schedule]]
id = "office"
holidays = "ignore"
[[schedule.span]]
days = ["mon", "holiday", "workday"]
from = "22:00"
to = "06:00"
[[schedule.exception]]
date = 2026-10-01
[[schedule.exception]]
date = 2026-10-02
open = [{ from = "09:00", to = "12:00" }, { from = "13:00", to = "24:00" }]

[[holder]]
id = "lin"
name = { zh = "林晓", en = "Lin Xiao" }
groups = ["guards"]

[[credential]]
holder = "lin"
kind = "pin"
key = "00000000000000000000000000000000000000000000000000000000000000aa"
duress = true

[[credential]]
id = "parcel"
holder = "lin"
kind = "code"
key = "00000000000000000000000000000000000000000000000000000000000000bb"
uses = 1
portals = ["lobby"]

[[credential]]
holder = "lin"
kind = "face"
key = "lin"

[[credential]]
holder = "lin"
kind = "ble"
key = "00112233445566778899aabbccddeeff"

[[pass]]
id = "0123456789abcdef"
holder = "lin"
portals = ["lobby", "ramp"]
valid_from = 2026-11-22T08:00:00+08:00
valid_until = 2026-11-22T20:00:00+08:00
uses = 2
plate = "京A12345"
note = "plumber"

[[rule]]
group = "guards"
portals = ["lobby", "ramp"]
"""


def test_every_key_reaches_the_snapshot(tmp_path):
    file = tmp_path / "policy.toml"
    file.write_text(EVERYTHING, "utf-8")
    policy = policy_file.read(file)
    lobby, ramp = policy.portals["lobby"], policy.portals["ramp"]
    assert lobby.unlock_schedule == "office"
    assert lobby.lockdown_groups == {"guards"}
    assert lobby.closed_dates == {date(2026, 12, 31)}
    assert policy.portals["yard"].interlock == {"ramp"}, "interlocks are mutual"
    assert (ramp.enters_zone, ramp.exit_points, ramp.clock_uncertain) == ("garage", {"ramp-inside"}, "deny")
    assert (ramp.two_person, ramp.high_security, ramp.first_person_groups) == (True, True, {"guards"})
    assert (policy.zones["garage"].passback, policy.zones["garage"].timed_s) == ("timed", 600)
    assert policy.card_formats == {"h10301"}
    office = policy.schedules["office"]
    assert office.spans[0].weekdays == {0, HOLIDAY, WORKDAY}
    assert office.exceptions == {date(2026, 10, 1): (), date(2026, 10, 2): ((540, 720), (780, 1440))}
    assert office.holidays == "ignore"
    assert policy.credentials[CredentialKind.PIN, "0" * 62 + "aa"].duress
    code = policy.credentials[CredentialKind.CODE, "0" * 62 + "bb"]
    assert (code.id, code.uses, code.portals) == ("parcel", 1, {"lobby"})
    assert policy.credentials[CredentialKind.FACE, "lin"].holder == "lin"
    for key in ((CredentialKind.QR, "0123456789abcdef"), (CredentialKind.PLATE, "京A12345")):
        issued = policy.credentials[key]
        assert (issued.holder, issued.uses, issued.portals) == ("lin", 2, {"lobby", "ramp"})
        assert issued.valid_until_ms - issued.valid_from_ms == 12 * 3600 * 1000


def test_the_calendar_is_the_official_one_with_the_edits_on_top(tmp_path):
    file = tmp_path / "policy.toml"
    file.write_text(EVERYTHING, "utf-8")
    calendar = policy_file.read(file).calendar
    # State Council, holidays of 2026: National Day 1 to 7 October, Saturday 10 October worked.
    assert policy_calendar.official()[date(2026, 10, 10)] == "workday"
    assert [calendar.day_type(date(2026, 10, day)) for day in (7, 8, 9, 10)] == [HOLIDAY, 3, HOLIDAY, 5]
    assert 2026 in calendar.known_years


def test_without_the_official_calendar_only_the_edits_count(tmp_path):
    file = tmp_path / "policy.toml"
    file.write_text(EVERYTHING.replace("[calendar]", '[calendar]\nbase = "none"'), "utf-8")
    calendar = policy_file.read(file).calendar
    assert dict(calendar.days) == {date(2026, 10, 9): "holiday"}
    assert calendar.known_years == frozenset()


def test_what_is_written_reads_the_same_and_leaves_out_defaults(tmp_path):
    document = policy_file.parse(EVERYTHING.encode(), "policy.toml")
    text = policy_file.written(document)
    assert policy_file.parse(text.encode(), "again") == document
    assert "clock_uncertain" not in text.partition('name = "ramp"')[0]
    assert policy_file.written(policy_file.parse(text.encode(), "again")) == text


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        (
            'schedule = "office"',
            'schedule = "nights"',
            "rule[0].schedule: expected one of 'always', 'office', got 'nights'",
        ),
        ('portals = ["lobby"]', 'portals = ["roof"]', "rule[0].portals: expected one of 'lobby', got 'roof'"),
        ('holder = "lin"\nkind', 'holder = "wu"\nkind', "credential[0].holder: expected one of 'lin', got 'wu'"),
        ("+08:00", "", "expected a time with its offset"),
        ('from = "08:00"', 'from = "8:00"', "schedule[0].span[0].from"),
        ('accepts = [["card"], ["card", "pin"]]', "accepts = [[]]", "portal[0].accepts[0]"),
        ('id = "office"', 'id = "always"', "'always' stands twice or is built in"),
        ('key = "26:1"', 'key = "abc"', 'expected "<bits>:<value>"'),
        ('kind = "card"\nkey = "26:1"', 'kind = "pin"\nkey = "1234"', "64 hex digits (the digest"),
        ('from = "08:00"', 'from = "24:00"', "a span begins within the day"),
        ('kind = "card"', 'kind = "qr"', "credential[0].kind: expected one of 'ble', 'card'"),
        ('kind = "card"', 'kind = "face"', "expected the holder's id 'lin' for a face"),
        ('kind = "card"\nkey = "26:1"', 'kind = "code"\nkey = "123456"', "64 hex digits (the digest"),
        ('key = "26:1"', 'key = "26:1"\nduress = true', "only a pin or a code can tell of duress"),
        ('key = "26:1"', 'key = "26:1"\nuses = 0', "credential[0].uses"),
        ('key = "26:1"', 'key = "26:1"\nid = "pass-1"', "kept for visitor passes"),
        (
            'name = "lobby"',
            'name = "lobby"\nleaves_zone = "yard"',
            "portal[0].leaves_zone: expected one of nothing yet",
        ),
        ('name = "lobby"', 'name = "lobby"\ninterlock = ["yard"]', "portal[0].interlock: expected one of 'lobby', got"),
        ('name = "lobby"', 'name = "lobby"\nunlock_schedule = "day"', "portal[0].unlock_schedule: expected one of"),
        ("version = 3", "version = 3\ncard_formats = ['h1']", "card_formats[0]: expected one of 'h10301'"),
        (
            "version = 3",
            "version = 3\nzone = [{ name = 'in', passback = 'timed' }]",
            "zone[0].timed_s: expected seconds",
        ),
        ("version = 3", "version = 3\n[calendar]\nbase = 'us'", "calendar.base: expected one of"),
        ("version = 3", 'version = "3"', "version: expected `int`"),
        ("version = 3", "version = 3\nunlock = true", "unlock: this key is not known"),
    ],
)
def test_a_wrong_document_is_refused_in_one_sentence(tmp_path, before, after, says):
    assert before in GOOD
    file = tmp_path / "policy.toml"
    file.write_text(GOOD.replace(before, after), "utf-8")
    with pytest.raises(ConfigError) as error:
        policy_file.read(file)
    assert str(error.value).startswith(str(file))
    assert says in str(error.value)
    assert "\n" not in str(error.value)
