"""What goes into a node's cache and what does not, how much fits, and the same bytes in the real interpreter."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from firmware.node.cache import Cache
from firmware.wire import cache_file
from firmware.wire import offline as wire
from firmware.wire.cache_file import Blocks, CacheFile
from firmware.wire.errors import MessageError
from gateway.access import tokens
from gateway.access.attempts import AttemptLimits
from gateway.access.policy import Credential, Holder, Policy, PortalPolicy, Rule, Zone, compile_policy
from gateway.access.schedule import ALWAYS, Schedule, Span
from gateway.control.node_cache import Built, NodeSettings, build
from gateway.model import CredentialKind, PortalMode

ROOT = Path(__file__).resolve().parents[2]
MICROPYTHON = Path(sys.prefix) / "bin" / "micropython"
SITE_KEY, SCBK = bytes(range(32)), bytes(range(16))
KEYS = wire.CacheKeys(SCBK)
CARD, PIN = CredentialKind.CARD, CredentialKind.PIN
NOW = datetime(2026, 11, 22, 9, 0, tzinfo=ZoneInfo("Asia/Shanghai"))
NOW_MS = int(NOW.timestamp() * 1000)
SETTINGS = NodeSettings("r", "lobby", 5000, 15_000, 10_000, 7 * 86_400_000)
LOBBY = PortalPolicy("lobby", (frozenset({CARD}), frozenset({CARD, PIN})))


def site(*credentials: Credential, portal: PortalPolicy = LOBBY, holders: int = 2, hours: Schedule = ALWAYS) -> Policy:
    return compile_policy(
        3,
        [Holder(f"h{n}", frozenset({"r"}), {}) for n in range(holders)],
        credentials or [Credential(CARD, "26:1", "h0")],
        [Rule("r", frozenset({"lobby"}), hours)],
        [portal, PortalPolicy("other", (frozenset({CARD}),))],
        zones=[Zone("in", "hard"), Zone("soft", "soft")],
    )


def built(policy: Policy, mode: PortalMode = PortalMode.LOCKED) -> Built:
    return build(policy, SETTINGS, KEYS, SITE_KEY, AttemptLimits(), NOW, mode)


def opens(made: Built, card: tuple[int, int] = (26, 1), at_ms: int = NOW_MS, *, certain: bool = True) -> str:
    return str(Cache(Blocks.of(made.data), KEYS).judge(card, None, 0, at_ms, certain).reason)


@pytest.mark.parametrize(
    "left_out",
    [
        {"revoked": True},
        {"uses": 3},
        {"valid_until_ms": NOW_MS},
        {"valid_from_ms": NOW_MS + 8 * 86_400_000},
        {"portals": frozenset({"other"})},
    ],
)
def test_what_is_gone_or_counted_is_not_in_the_cache(left_out: dict[str, object]) -> None:
    card = replace(Credential(CARD, "26:1", "h0"), **left_out)  # type: ignore[arg-type]
    made = built(site(card))
    assert made.credentials == 0
    assert opens(made) == "unknown-credential"
    assert made.holders[KEYS.card(26, 1)] == "h0"  # a record of it is still somebody's


def test_a_visitor_expires_while_the_gateway_is_away() -> None:
    until_ms = NOW_MS + 3_600_000
    made = built(site(Credential(CARD, "26:1", "h0", valid_until_ms=until_ms, portals=frozenset({"lobby"}))))
    assert opens(made, at_ms=until_ms - 1) == "permitted"
    assert opens(made, at_ms=until_ms) == "expired"
    assert opens(made, at_ms=until_ms, certain=False) == "expired"


@pytest.mark.parametrize(
    ("asks", "word"),
    [
        ({"high_security": True}, "high-security"),
        ({"two_person": True}, "two-person"),
        ({"interlock": frozenset({"other"})}, "interlock"),
        ({"first_person_groups": frozenset({"r"})}, "first-person"),
        ({"enters_zone": "in"}, "anti-passback"),
        ({"enters_zone": "soft"}, None),
    ],
)
def test_a_portal_that_asks_for_more_than_a_node_knows_stays_shut(asks: dict[str, object], word: str | None) -> None:
    made = built(site(portal=replace(LOBBY, **asks)))  # type: ignore[arg-type]
    assert made.excluded == word
    assert opens(made) == ("permitted" if word is None else "not-offline")
    assert (made.credentials == 0) is (word is not None)


def test_the_cache_ends_with_its_life() -> None:
    made = built(site())
    assert opens(made, at_ms=made.expires_ms - 1) == "permitted"
    assert opens(made, at_ms=made.expires_ms) == "not-offline"
    assert opens(made, at_ms=NOW_MS - 1) == "not-offline"


def test_pins_are_in_it_only_where_they_are_asked_for() -> None:
    pin = Credential(PIN, tokens.offline_pin_digest(SITE_KEY, "4729", "h0"), "h0")
    policy = site(Credential(CARD, "26:1", "h0"), pin, portal=PortalPolicy("lobby", (frozenset({CARD}),)))
    assert built(policy).credentials == 1
    made = built(policy, PortalMode.CARD_AND_PIN)
    node = Cache(Blocks.of(made.data), KEYS)
    assert node.judge((26, 1), None, wire.MODE_CARD_AND_PIN, NOW_MS, True).waiting
    assert node.judge((26, 1), "4729", wire.MODE_CARD_AND_PIN, NOW_MS, True).granted
    assert tokens.pin_key(SITE_KEY, "h0") in made.data
    assert SITE_KEY not in made.data


def test_node_and_gateway_digest_a_pin_alike() -> None:
    for holder, pin in (("", "1234"), ("lin-lan", "0000"), ("lin-lan", "98765432")):
        digest = wire.pin_digest(tokens.pin_key(SITE_KEY, holder), pin)
        assert digest.hex() == tokens.offline_pin_digest(SITE_KEY, pin, holder)


def test_how_many_fit_and_who_is_left_out_is_said() -> None:
    many = [Credential(CARD, f"26:{n}", f"h{n}") for n in range(1000)]
    made = built(site(*many, holders=1000))
    assert (made.credentials, made.left_out) == (870, 130)
    assert len(made.data) <= cache_file.MAX_CACHE_BYTES
    with_pins = many[:400] + [
        Credential(PIN, tokens.offline_pin_digest(SITE_KEY, "1", f"h{n}"), f"h{n}") for n in range(400)
    ]
    made = built(site(*with_pins, holders=1000))
    assert made.credentials == 2 * 270


def test_visitors_are_left_out_first() -> None:
    guests = [Credential(CARD, f"26:{n}", f"h{n}", portals=frozenset({"lobby"})) for n in range(500)]
    residents = [Credential(CARD, f"26:{n}", f"h{n}") for n in range(500, 1000)]
    made = built(site(*guests, *residents, holders=1000))
    assert opens(made, (26, 999)) == "permitted"
    assert opens(made, (26, 499)) == "unknown-credential"


def test_a_cache_of_another_device_or_with_a_changed_bit_is_refused() -> None:
    data = built(site()).data
    with pytest.raises(MessageError):
        CacheFile(Blocks.of(data), wire.CacheKeys(bytes(16)))
    for bit in range(0, 8 * len(data), 13):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(MessageError):
            CacheFile(Blocks.of(bytes(changed)), KEYS)
    for size in (0, 10, len(data) - 1, cache_file.MAX_CACHE_BYTES + 1):
        with pytest.raises(MessageError):
            CacheFile(Blocks.of((data * 100)[:size]), KEYS)


def test_the_content_is_the_same_as_long_as_it_says_the_same() -> None:
    first, other = built(site()), built(replace(site(), version=9))
    assert first.content == other.content
    assert first.content != built(site(Credential(CARD, "26:2", "h0"))).content
    rekeyed = build(site(), SETTINGS, wire.CacheKeys(bytes(16)), SITE_KEY, AttemptLimits(), NOW)
    assert first.content != rekeyed.content


ASK = """
import json, sys
from firmware.node.cache import Cache
from firmware.wire import offline as wire
from firmware.wire.cache_file import Blocks
import binascii
with open(sys.argv[1]) as file:
    told = json.load(file)
keys = wire.CacheKeys(binascii.unhexlify(told["scbk"]))
cache = Cache(Blocks.of(binascii.unhexlify(told["cache"])), keys)
for card, pin, mode, unix_ms, certain in told["questions"]:
    print(cache.judge(card and tuple(card), pin, mode, unix_ms, certain).reason)
"""


def test_both_interpreters_give_the_same_answers(tmp_path: Path) -> None:
    office = Schedule("office", (Span(frozenset(range(5)), 8 * 60, 18 * 60),))
    policy = site(
        *[Credential(CARD, f"26:{n}", f"h{n}") for n in range(60)],
        *[Credential(PIN, tokens.offline_pin_digest(SITE_KEY, "1234", f"h{n}"), f"h{n}") for n in range(40)],
        portal=PortalPolicy("lobby", (frozenset({CARD, PIN}),)),
        holders=60,
        hours=office,
    )
    made = built(policy)
    cache = Cache(Blocks.of(made.data), KEYS)
    questions = [
        [card, pin, mode, NOW_MS + hours * 3_600_000, certain]
        for card in ([26, 1], [26, 45], [26, 99], None)
        for pin in (None, "1234", "9")
        for mode in (0, 1, 2)
        for hours in (0, 25, 40, 200)
        for certain in (True, False)
        if card or pin
    ]
    file = tmp_path / "questions.json"
    file.write_text(json.dumps({"scbk": SCBK.hex(), "cache": made.data.hex(), "questions": questions}))
    (tmp_path / "ask.py").write_text(ASK)
    said = subprocess.run(
        [MICROPYTHON, "-X", "heapsize=192k", str(tmp_path / "ask.py"), str(file)],
        capture_output=True, text=True, timeout=60, check=False, env={"MICROPYPATH": f".frozen:{ROOT}"},
    )  # fmt: skip
    assert (said.returncode, said.stderr) == (0, ""), said.stdout[-500:]
    expected = [cache.judge(card and tuple(card), *rest).reason for card, *rest in questions]
    assert said.stdout.split() == expected
    assert {"permitted", "wrong-pin", "pin-required", "outside-schedule", "lockdown"} <= set(expected)
