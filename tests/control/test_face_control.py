"""Faces at a door: what opens, what completes a card, what leaves no trace."""

import asyncio
import contextlib
from dataclasses import replace

import pytest

from center.contract.catalogue import AccessDenied, AccessGranted, FaceAttackSuspected
from gateway.access.policy import Credential, Holder, PortalPolicy, Rule, compile_policy
from gateway.access.schedule import ALWAYS
from gateway.access.tokens import pin_digest
from gateway.control.door import DoorControl, DoorSettings
from gateway.control.faces import CLAIM_MS, NOBODY, FaceControl, Needs
from gateway.control.job_loop import JobLoop
from gateway.model import CardRead, CredentialKind, FaceAttack, FaceSeen, KeysEntered
from gateway.portal.door import DoorTimes

CARD, FACE, PIN = CredentialKind.CARD, CredentialKind.FACE, CredentialKind.PIN
CARD_1 = CardRead("lobby-reader", 26, (1 << 6).to_bytes(4, "big"))
TIMES = DoorTimes(unlock_ms=5000, held_open_ms=30_000, exit_ms=5000)


class Before:
    """A door with a camera for faces, its loop running."""

    def __init__(self, site, *accepts) -> None:
        self.site = site
        key = bytes(range(32))
        policy = compile_policy(
            1,
            [Holder(h, frozenset({"residents"}), {"zh": h, "en": h}) for h in ("lin", "wang")],
            [
                Credential(FACE, "lin", "lin", portals=frozenset({"lobby"})),
                Credential(FACE, "wang", "wang", portals=frozenset({"lobby"})),
                Credential(CARD, "26:1", "lin"),
                Credential(PIN, pin_digest(key, "1234", "lin"), "lin"),
            ],
            [Rule("residents", frozenset({"lobby"}), ALWAYS)],
            [PortalPolicy("lobby", tuple(frozenset(one) for one in accepts))],
        )
        site.judge.in_force.replace(policy)
        site.judge.face_alone = True
        self.door = DoorControl(
            DoorSettings("lobby", "lobby-reader", {"zh": "大堂", "en": "Lobby"}, TIMES, 15_000), site.judge, site
        )
        self.loop = JobLoop("devices", site.clock)
        self.faces = FaceControl(site.judge, self.loop, {"lobby-camera": ("lobby", self.door)})

    def see(self, holder="lin", **changes):
        seen = FaceSeen("lobby-camera", holder, 0.7, True, self.site.clock.now_ms(), "embedder", "ab" * 32)
        self.faces.seen(replace(seen, **{"asked": ("challenge",)} | changes))

    def decisions(self):
        return [d for d in self.site.recorded if isinstance(d, AccessGranted | AccessDenied)]


@pytest.fixture
async def at_door(site, settle):
    running = []

    def start(*accepts):
        before = Before(site, *accepts)
        running.extend(asyncio.create_task(work) for work in (before.door.run(), before.loop.run()))
        return before

    yield start
    for task in running:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_a_live_face_opens_once(at_door, settle):
    before = at_door({FACE}, {CARD})
    before.see()
    before.see()  # the next frame
    await settle()
    (granted,) = before.decisions()
    assert (granted.credential, granted.reason) == ("face", "permitted")


@pytest.mark.parametrize("changes", [{"bona_fide": False}, {"camera": "other"}, {"observed_ms": 1}])
async def test_what_is_not_live_not_here_or_old_is_nothing(at_door, settle, changes):
    before = at_door({FACE}, {CARD})
    before.see(**changes)
    await settle()
    assert before.site.happened == []


@pytest.mark.parametrize("asked", [(), ("light",)])
async def test_a_face_that_was_not_asked_for_what_the_door_needs_opens_nothing(at_door, settle, asked):
    before = at_door({FACE}, {CARD})
    before.see(asked=asked)
    await settle()
    assert before.site.happened == []
    before.see()  # what was passed over a moment ago does not count as this person's request
    await settle()
    assert [type(d) for d in before.decisions()] == [AccessGranted]


async def test_a_face_that_was_not_asked_still_completes_a_card_unless_the_door_says_otherwise(at_door, settle):
    before = at_door({FACE, CARD}, {CARD, PIN})
    before.door.observe(CARD_1)
    await settle()
    before.see(asked=(), claimed=True)
    await settle()
    assert [type(d) for d in before.decisions()] == [AccessGranted]
    doors = {"lobby-camera": ("lobby", before.door)}
    needs = {"lobby-camera": Needs(frozenset({"challenge"}), frozenset({"light"}))}
    before.faces = FaceControl(before.site.judge, before.loop, doors, needs)
    for asked, decisions in (((), 1), (("challenge",), 1), (("light",), 2)):
        before.site.clock.ms += 20_000
        before.door.loop.nudge()
        await settle()
        seen_before = len([d for d in before.decisions() if isinstance(d, AccessGranted)])
        before.door.observe(CARD_1)
        await settle()
        before.see(asked=asked, claimed=True)
        await settle()
        granted = [d for d in before.decisions() if isinstance(d, AccessGranted)]
        assert len(granted) - seen_before == decisions - 1


async def test_vision_is_told_where_a_face_opens_alone_whenever_that_changes(at_door):
    before, told = at_door({FACE}, {CARD}), []
    before.faces.alone = told.append
    before.faces.policy_changed()
    before.faces.policy_changed()
    before.site.judge.face_alone = False
    before.faces.policy_changed()
    assert told == [("lobby-camera",), ()]


async def test_where_a_face_does_not_open_alone_walking_past_leaves_no_record(at_door, settle):
    before = at_door({FACE, CARD}, {CARD, PIN})
    before.see()
    await settle()
    before.site.clock.ms += 60_000
    before.door.loop.nudge()
    await settle()
    assert before.site.happened == []


async def test_before_the_statement_is_accepted_a_face_alone_leaves_no_record_either(at_door, settle):
    before = at_door({FACE}, {CARD})
    before.site.judge.face_alone = False
    before.see()
    await settle()
    assert before.site.happened == []


@pytest.mark.parametrize("face_first", [True, False])
async def test_face_and_card_complete_each_other_in_either_order(at_door, settle, face_first):
    before = at_door({FACE, CARD}, {CARD, PIN})
    if face_first:
        before.see()
    before.door.observe(CARD_1)
    await settle()
    if not face_first:
        assert before.decisions() == []
        before.see()
        await settle()
    (decided,) = before.decisions()
    assert isinstance(decided, AccessGranted), decided
    assert decided.credential == "card-face"


async def test_another_holders_face_does_not_complete_a_card(at_door, settle):
    before = at_door({FACE, CARD}, {CARD, PIN})
    before.see("wang")
    before.door.observe(CARD_1)
    await settle()
    assert [type(d) for d in before.decisions()] == [AccessDenied]


async def test_face_and_pin(at_door, settle):
    before = at_door({FACE, PIN}, {CARD})
    before.see()
    before.door.observe(KeysEntered("lobby-reader", "1234#"))
    await settle()
    (decided,) = before.decisions()
    assert isinstance(decided, AccessGranted), decided
    before.see()  # within the seconds in which one person is one request
    before.door.observe(KeysEntered("lobby-reader", "9999#"))
    await settle()
    assert isinstance(before.decisions()[-1], AccessDenied)


async def test_a_face_that_was_not_asked_opens_nothing_by_the_way_of_a_wrong_pin(at_door, settle):
    """Where a face alone would do: remembered, it must not be shown by itself when keys are pressed."""
    before = at_door({FACE, PIN}, {FACE}, {CARD})
    before.see(claimed=True)
    before.door.observe(KeysEntered("lobby-reader", "9999#"))
    await settle()
    assert not [d for d in before.decisions() if isinstance(d, AccessGranted)]


async def test_a_face_seen_too_long_ago_completes_nothing(at_door, settle):
    before = at_door({FACE, CARD}, {CARD, PIN})
    before.see()
    await settle()
    before.site.clock.ms += 6000
    before.door.observe(CARD_1)
    await settle()
    assert before.decisions() == []


async def test_an_attack_is_one_event_about_the_portal(at_door, settle):
    before = at_door({FACE}, {CARD})
    for _ in range(5):
        before.faces.attack(FaceAttack("lobby-camera", "flat_surface", before.site.clock.now_ms()))
    await settle()
    assert before.site.recorded == [FaceAttackSuspected("lobby", "flat-surface")]
    before.site.clock.ms += 61_000
    before.faces.attack(FaceAttack("lobby-camera", "flat_surface", before.site.clock.now_ms()))
    await settle()
    assert len(before.site.recorded) == 2


async def test_a_card_that_needs_a_face_asks_for_that_one_face_and_takes_it_back(at_door, settle):
    before, said = at_door({FACE, CARD}, {CARD, PIN}), []
    before.faces.claim = lambda *told: said.append(told)
    before.door.observe(CARD_1)
    await settle()
    now_ms = before.site.clock.now_ms()
    assert said == [("lobby-camera", "lin", now_ms + CLAIM_MS)]
    before.see(claimed=True)
    await settle()
    assert [type(d) for d in before.decisions()] == [AccessGranted]
    assert said[1:] == [("lobby-camera", NOBODY, 0)]


async def test_a_card_whose_face_never_comes_asks_no_longer_than_the_door_waits(at_door, settle):
    before, said = at_door({FACE, CARD}, {CARD, PIN}), []
    before.faces.claim = lambda *told: said.append(told)
    before.door.observe(CARD_1)
    await settle()
    before.site.clock.ms += 16_000
    before.door.loop.nudge()
    await settle()
    assert said[1:] == [("lobby-camera", NOBODY, 0)]
    assert [type(d) for d in before.decisions()] == [AccessDenied]


async def test_a_face_compared_with_one_holder_only_never_opens_alone(at_door, settle):
    before = at_door({FACE}, {FACE, CARD}, {CARD, PIN})
    before.see(claimed=True)  # the card that it was claimed with has been forgotten meanwhile
    await settle()
    assert before.site.happened == []
