"""The policy document: parsed strictly, compiled, and refused in one sentence."""

from __future__ import annotations

import pytest

from gateway.model import CredentialKind
from gateway.store import policy_file
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


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ('schedule = "office"', 'schedule = "nights"', "rule[0].schedule: expected one of"),
        ('portals = ["lobby"]', 'portals = ["roof"]', "names portal 'roof', which does not exist"),
        ('holder = "lin"\nkind', 'holder = "wu"\nkind', "who is no holder"),
        ("+08:00", "", "expected a time with its offset"),
        ('from = "08:00"', 'from = "8:00"', "schedule[0].span[0].from"),
        ('accepts = [["card"], ["card", "pin"]]', "accepts = [[]]", "portal[0].accepts[0]"),
        ('id = "office"', 'id = "always"', "'always' stands twice or is built in"),
        ('key = "26:1"', 'key = "abc"', 'expected "<bits>:<value>"'),
        ('kind = "card"\nkey = "26:1"', 'kind = "pin"\nkey = "1234"', "64 hex digits (the digest"),
        ('from = "08:00"', 'from = "24:00"', "a span begins at"),
        ('kind = "card"', 'kind = "face"', "credential[0].kind"),
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
