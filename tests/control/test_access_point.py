"""What is shown and typed at one place becomes one decision: PINs, codes, passes, two persons, attempts, duress."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from gateway.access.attempts import AttemptLimits, Attempts, Count
from gateway.access.decide import INVALID_PASS_KEY
from gateway.access.policy import Credential, Holder, PortalPolicy, Rule, Zone, compile_policy
from gateway.access.schedule import ALWAYS
from gateway.access.tokens import pin_digest
from gateway.control.door import DoorControl, DoorSettings
from gateway.model import (
    CardRead,
    CredentialKind,
    InputChanged,
    KeysEntered,
    PortalMode,
    Presented,
    PulseOutput,
    Signal,
    TextScanned,
)
from gateway.portal.door import DoorTimes

KEY = bytes(range(32))
TIMES = DoorTimes(unlock_ms=5_000, held_open_ms=30_000)
CARD, PIN, CODE, QR = CredentialKind.CARD, CredentialKind.PIN, CredentialKind.CODE, CredentialKind.QR
LIMITS = AttemptLimits()


def card(number: int, device: str = "node") -> CardRead:
    return CardRead(device, 26, (number << 6).to_bytes(4, "big"))


POLICY = compile_policy(
    1,
    [Holder(name, frozenset({"residents"}), {"zh": name, "en": name}) for name in ("lin", "wang")],
    [
        Credential(CARD, "26:1", "lin"),
        Credential(CARD, "26:2", "wang"),
        Credential(PIN, pin_digest(KEY, "1234", "lin"), "lin"),
        Credential(PIN, pin_digest(KEY, "1235", "lin"), "lin", id="under-threat", duress=True),
        Credential(PIN, pin_digest(KEY, "778899"), "lin", id="alone"),
        Credential(CODE, pin_digest(KEY, "20302030"), "wang", id="once", uses=1),
    ],
    [Rule("residents", frozenset({"pad", "safe", "pair", "court", "trap-a", "trap-b"}), ALWAYS)],
    [
        PortalPolicy("pad", (frozenset({PIN}), frozenset({CODE}), frozenset({QR}))),
        PortalPolicy("safe", (frozenset({CARD, PIN}),)),
        PortalPolicy("pair", (frozenset({CARD}),), two_person=True),
        PortalPolicy("court", (frozenset({CARD}),), enters_zone="yard", exit_points=frozenset({"inner"})),
        PortalPolicy("trap-a", (frozenset({CARD}),), interlock=frozenset({"trap-b"})),
        PortalPolicy("trap-b", (frozenset({CARD}),)),
    ],
    zones=[Zone("yard", "hard")],
)


@pytest.fixture
async def at(site):
    """`at(portal)`: a running door."""
    site.judge.in_force.replace(POLICY)
    tasks = []

    def start(name: str, device: str = "node", points: tuple[str, ...] = ()) -> DoorControl:
        control = DoorControl(DoorSettings(name, device, {}, TIMES, 15_000, points), site.judge, site)
        control.observe(InputChanged(device, "contact", False))
        tasks.append(asyncio.create_task(control.run()))
        return control

    yield start
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def reasons(site) -> list[str]:
    return [data.reason for data in site.recorded if hasattr(data, "reason")]


async def test_a_pin_that_identifies_alone(site, at, settle):
    at("pad").observe(KeysEntered("node", "778899#"))
    await settle()
    assert [(data.credential, data.reason) for data in site.recorded] == [("pin", "permitted")]


async def test_a_one_time_code_opens_once_and_its_use_is_kept_in_the_grants_own_commit(site, at, settle):
    control = at("pad")
    control.observe(KeysEntered("node", "20302030#"))
    await settle()
    assert any(key.startswith("presence/uses/") for key in site.kept)
    control.observe(KeysEntered("node", "20302030#"))
    await settle()
    assert reasons(site) == ["permitted", "used-up"]


async def test_a_signed_pass_and_a_text_that_is_none(site, at, settle):
    guest = Credential(QR, "v1", "lin", id="v1", portals=frozenset({"pad"}))
    site.judge.read_pass = lambda text: (
        (Presented(QR, "v1"), {"v1": guest}) if text == "good" else (Presented(QR, INVALID_PASS_KEY), {})
    )
    control = at("pad", points=("scanner",))
    control.observe(TextScanned("scanner", "good"))
    control.observe(TextScanned("scanner", "http://example.com"))
    await settle()
    assert reasons(site) == ["permitted", "invalid-pass"]
    assert [data.point for data in site.recorded] == ["scanner", "scanner"]


async def test_too_many_wrong_pins_block_the_keypad_with_one_event_and_then_the_right_one_too(site, at, settle):
    control = at("pad")
    for _ in range(LIMITS.wrong):
        control.observe(KeysEntered("node", "0000#"))
    control.observe(KeysEntered("node", "778899#"))
    await settle()
    assert site.facts.count("AccessAttemptsExceeded") == 1
    assert reasons(site)[-1] == "too-many-attempts"
    site.clock.ms += LIMITS.lockout_s * 1000
    control.observe(KeysEntered("node", "778899#"))
    await settle()
    assert reasons(site)[-1] == "permitted"


async def test_two_persons_open_together_and_one_alone_does_not(site, at, settle):
    control = at("pair")
    control.observe(card(1))
    await settle()
    assert (site.facts, site.commands) == ([], [Signal("waiting")])
    control.observe(card(2))
    await settle()
    assert reasons(site) == ["permitted"]
    assert PulseOutput("lock", 5_000) in site.commands
    control.observe(card(1))
    control.observe(card(1))
    await settle()
    assert reasons(site)[-1] == "same-person-twice"


async def test_duress_opens_like_any_other_and_is_one_silent_entry_in_the_same_commit(site, at, settle):
    commits: list[int] = []
    record = site.record

    async def counted(entries, **more):
        if entries:
            commits.append(len(entries))
        await record(entries, **more)

    site.record = counted
    control = at("safe")
    heard = []
    for pin in ("1234#", "1235#"):
        site.happened.clear()
        control.observe(card(1))
        control.observe(KeysEntered("node", pin))
        await settle()
        heard.append(site.commands)
        site.clock.ms += 60_000
        control.observe(InputChanged("node", "contact", False))
        await settle()
    assert heard[0] == heard[1] == [Signal("waiting"), PulseOutput("lock", 5_000), Signal("granted")]
    assert commits == [1, 2]
    granted, duress = site.recorded
    assert (granted.reason, type(duress).__name__) == ("permitted", "AccessDuress")
    assert control.last_reason == "permitted"


async def test_zones_follow_the_door_that_really_opened_and_leaving_is_never_refused(site, at, settle):
    control = at("court", points=("inner",))
    control.observe(card(1))  # let in, but the door is not pulled
    await settle()
    site.clock.ms += 60_000
    control.observe(card(1))
    await settle()
    control.observe(InputChanged("node", "contact", True))
    await settle()
    assert "lin" in site.judge.conditions.presence.zones
    assert any(key.startswith("presence/zone/") for key in site.kept)
    control.observe(InputChanged("node", "contact", False))
    site.clock.ms += 60_000
    control.observe(card(1))
    await settle()
    assert reasons(site)[-1] == "anti-passback"
    control.observe(card(1, "inner"))
    control.observe(InputChanged("node", "contact", True))
    await settle()
    assert reasons(site)[-1] == "permitted"
    assert "lin" not in site.judge.conditions.presence.zones


async def test_two_doors_of_a_man_trap_asked_in_the_same_moment_do_not_both_open(site, at, settle):
    first, second = at("trap-a", "node-a"), at("trap-b", "node-b")
    await settle()
    site.disk_answers = asyncio.Event()  # both decisions fall while the first one's record is on its way
    first.observe(card(1, "node-a"))
    await settle()
    second.observe(card(2, "node-b"))
    await settle()
    site.disk_answers.set()
    await settle()
    assert sorted(reasons(site)) == ["interlock", "permitted"]


async def test_presence_survives_a_restart_and_rubbish_is_forgotten(site, at, settle):
    control = at("court")
    control.observe(card(1))
    control.observe(InputChanged("node", "contact", True))
    await settle()
    kept = {key: value for key, value in site.kept.items() if value is not None}
    before = site.judge.conditions.presence
    site.judge.restore_presence(kept)
    assert site.judge.conditions.presence == before
    site.judge.restore_presence({"presence/zone/1": "rubbish"})
    assert site.judge.conditions.presence == before


@pytest.mark.parametrize("why", ["fire", "emergency-open", "permitted"])
async def test_a_locked_out_keypad_tells_nobody_denied_who_may_pass_anyway(site, at, settle, why):
    control = at("court", points=("inner",))
    at_keypad = "inner" if why == "permitted" else "node"
    conditions = site.judge.conditions
    count = Count(LIMITS.wrong, site.clock.ms, site.clock.ms + 60_000)
    conditions.attempts = Attempts({f"point {device}": count for device in ("node", "inner")})
    conditions.set_fire("court", why == "fire")
    if why == "emergency-open":
        conditions.set_mode("court", PortalMode.EMERGENCY_OPEN)
    control.observe(KeysEntered(at_keypad, "0000#"))
    await settle()
    assert reasons(site) == [why]
    assert Signal("denied") not in site.commands
    assert set(conditions.attempts.counts) == {"point node", "point inner"}  # neither counted nor cleared


async def test_a_phones_token_arrives_as_a_text(site, at, settle):
    token = Credential(CredentialKind.BLE, "00ab" * 8, "lin")
    policy = POLICY
    pad = replace(policy.portals["pad"], accepts=(frozenset({CredentialKind.BLE}),))
    credentials = {**policy.credentials, (token.kind, token.key): token}
    site.judge.in_force.replace(replace(policy, credentials=credentials, portals={**policy.portals, "pad": pad}))
    control = at("pad", points=("phone",))
    for text in ("BLE:" + "00AB" * 8, "BLE:" + "ff" * 32, "BLE:00ab", "BLE:" + "00ab" * 8 + "\n"):
        control.observe(TextScanned("phone", text))
    await settle()
    told = [(data.credential, data.reason) for data in site.recorded]
    assert told == [("ble", "permitted"), ("ble", "unknown-credential"), ("qr", "invalid-pass"), ("qr", "invalid-pass")]
