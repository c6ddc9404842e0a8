"""What people may do with a gateway: each request is done or refused with one sentence, over the real socket."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import msgspec
import pytest

from gateway.access.decide import State
from gateway.access.policy import Credential, Holder, Policy, PortalPolicy, Rule, Zone, compile_policy
from gateway.access.presence import Presence, Used
from gateway.access.schedule import ALWAYS, Schedule, Span
from gateway.drivers.local_socket import LocalSocket
from gateway.drivers.operations_link import OperationsLink
from gateway.errors import OperationRefusedError, OperationsUnavailableError, StoreError
from gateway.model import CredentialKind, PortalMode, Reason
from gateway.operations.client import OperationsClient
from gateway.operations.messages import MAX_LINE_BYTES, AddVisitorPass, decode_request, encode
from gateway.operations.operations import Operations

SITE_TIME = timezone(timedelta(hours=8))
SUNDAY = datetime(2026, 11, 22, 15, 0, tzinfo=SITE_TIME)
CARD, PIN, QR = frozenset({CredentialKind.CARD}), CredentialKind.PIN, CredentialKind.QR


def policy() -> Policy:
    week = Schedule("office", (Span(frozenset(range(5)), 480, 1080),))
    return compile_policy(
        3,
        [
            Holder(name, frozenset({group}), {"zh": name, "en": name})
            for name, group in (("lin", "all"), ("wang", "staff"))
        ]
        + [Holder("zhao", frozenset(), {"zh": "zhao", "en": "zhao"})],
        [
            Credential(CredentialKind.CARD, "26:1", "lin", id="blue"),
            Credential(PIN, "aa" * 32, "lin"),
            Credential(PIN, "dd" * 32, "lin", id="secret-duress", duress=True),
            Credential(CredentialKind.CARD, "26:2", "wang"),
            Credential(QR, "00" * 8, "lin", id="pass-" + "00" * 8, uses=1, portals=frozenset({"lobby"})),
        ],
        [Rule("all", frozenset({"lobby", "vault"}), ALWAYS), Rule("staff", frozenset({"lobby"}), week)],
        [
            PortalPolicy("lobby", (CARD, frozenset({QR}))),
            PortalPolicy("vault", (CARD | {PIN},), two_person=True),
        ],
    )


class FakeSite:
    """Remembers what it was told; refuses what `refuses` says."""

    def __init__(self) -> None:
        self.told: list[tuple] = []
        self.refuses: Exception | None = None
        self.live = State(True)

    async def _do(self, *what) -> None:
        if self.refuses:
            raise self.refuses
        self.told.append(what)

    async def set_mode(self, portal, mode, operator) -> None:
        await self._do("mode", portal, mode, operator)

    async def begin_lockdown(self, operator) -> None:
        await self._do("lockdown", operator)

    async def end_lockdown(self, operator) -> None:
        await self._do("release", operator)

    async def reset_fire(self, operator, although_unknown=False) -> None:
        await self._do("reset-fire-although-unknown" if although_unknown else "reset-fire", operator)

    async def forget_presence(self, what, name, operator) -> int:
        await self._do("forget", what, name, operator)
        return 3

    async def override(self, operator) -> None:
        await self._do("open", operator)

    def state(self, portal) -> State:
        return self.live

    def local_now(self) -> datetime:
        return SUNDAY


class Issued:
    id, text, version = "00" * 8, "ZH1:TEXT", 4


class FakeDesk:
    """A desk whose edits only remember what was asked."""

    def __init__(self, incoming: Path) -> None:
        self.told: list[tuple] = []
        self.incoming = incoming
        self.policy = policy()
        self.before: Policy | None = self.policy

    async def replace(self, upload, base, operator, imported=None) -> int:
        self.told.append(("replace", (self.incoming / upload).read_bytes(), base, operator))
        return 4

    async def undo(self, version, operator) -> int:
        self.told.append(("undo", version, operator))
        return 4

    async def revoke(self, holder, credential, operator) -> int:
        self.told.append(("revoke", holder, credential, operator))
        return 4

    async def restore(self, holder, credential, operator) -> int:
        raise OperationRefusedError("credential 'blue' of 'lin' is not revoked; nothing was changed")

    async def issue_pass(self, **asked) -> Issued:
        self.told.append(("pass", asked))
        return Issued()

    async def at(self, at_ms) -> Policy | None:
        return self.before


@contextlib.asynccontextmanager
async def serving():
    """A client, the site and the desk behind core's socket."""
    with tempfile.TemporaryDirectory(prefix="ops") as folder:
        site, desk = FakeSite(), FakeDesk(Path(folder))
        operations = Operations({"lobby": site}, lambda: None, site, desk)  # type: ignore[arg-type,return-value]
        path = Path(folder) / "operations.sock"
        listening = asyncio.Event()
        task = asyncio.create_task(LocalSocket(path, OperationsLink(operations).serve, MAX_LINE_BYTES).run(listening))
        await listening.wait()
        try:
            yield OperationsClient(path), site, desk
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def test_each_operation_names_its_operator_and_arrives():
    async with serving() as (client, site, desk):
        await client.open_portal("lobby", "chen")
        await client.set_portal_mode("lobby", PortalMode.CARD_AND_PIN, "chen")
        await client.begin_lockdown("chen")
        await client.end_lockdown("chen")
        await client.reset_fire("chen")
        await client.reset_fire("chen", although_unknown=True)
        assert await client.revoke_credential("lin", "blue", "chen") == 4
        assert await client.undo_policy(None, "chen") == 4
        assert await client.replace_policy(b"{}", 3, "chen") == 4
    assert site.told == [
        ("open", "chen"),
        ("mode", "lobby", PortalMode.CARD_AND_PIN, "chen"),
        ("lockdown", "chen"),
        ("release", "chen"),
        ("reset-fire", "chen"),
        ("reset-fire-although-unknown", "chen"),
    ]
    assert desk.told == [("revoke", "lin", "blue", "chen"), ("undo", None, "chen"), ("replace", b"{}", 3, "chen")]


async def test_the_uploaded_document_is_gone_afterwards():
    async with serving() as (client, _, desk):
        await client.replace_policy(b"{}", None, "chen")
        assert [path.name for path in desk.incoming.glob("policy-*")] == []


async def test_a_pass_is_issued():
    async with serving() as (client, _, desk):
        asked = AddVisitorPass(
            holder="lin",
            portals=("lobby",),
            valid_from=SUNDAY,
            valid_until=SUNDAY + timedelta(hours=1),
            operator="chen",
        )
        issued = await client.add_visitor_pass(asked)
    assert (issued.id, issued.text, issued.version) == ("00" * 8, "ZH1:TEXT", 4)
    assert desk.told[0][1]["valid_from"] == SUNDAY


@pytest.mark.parametrize("error", [OperationRefusedError("a fire input is active"), StoreError("the disk is full")])
async def test_a_refusal_is_one_sentence(error):
    async with serving() as (client, site, _):
        site.refuses = error
        for call in (client.reset_fire("chen"), client.open_portal("lobby", "chen"), client.begin_lockdown("chen")):
            with pytest.raises(OperationRefusedError, match=str(error)):
                await call


async def test_an_unknown_portal_is_refused_before_anything_is_asked():
    async with serving() as (client, site, _):
        with pytest.raises(OperationRefusedError, match=r"there is no portal 'roof'; this gateway has \['lobby'\]"):
            await client.set_portal_mode("roof", PortalMode.UNLOCKED, "chen")
        with pytest.raises(OperationRefusedError, match="is not revoked; nothing was changed"):
            await client.restore_credential("lin", "blue", "chen")
    assert site.told == []


@pytest.mark.parametrize(
    "line",
    [
        b'{"type":"begin-lockdown"}',
        b'{"type":"begin-lockdown","operator":""}',
        b'{"type":"set-portal-mode","portal":"lobby","mode":"wide-open","operator":"x"}',
        b'{"type":"replace-policy","upload":"../../etc/passwd","base":1,"operator":"x"}',
        b'{"type":"add-visitor-pass","holder":"lin","portals":[],"valid_from":"2026-11-22T08:00:00+08:00",'
        b'"valid_until":"2026-11-22T09:00:00+08:00","operator":"x"}',
        b'{"type":"add-visitor-pass","holder":"lin","portals":["lobby"],"valid_from":"2026-11-22T08:00:00",'
        b'"valid_until":"2026-11-22T09:00:00","operator":"x"}',
        b'{"type":"reset-fire","operator":"x","force":true}',
        b'{"type":"erase-everything","operator":"x"}',
    ],
)
def test_a_request_out_of_shape_cannot_be_read(line):
    with pytest.raises(msgspec.MsgspecError):
        decode_request(line)


def test_a_check_of_roles_would_sit_before_everything():
    def nobody(request) -> None:
        raise OperationRefusedError("this needs the role of a guard")

    site = FakeSite()
    operations = Operations({"lobby": site}, lambda: None, site, None, authorise=nobody)  # type: ignore[arg-type,return-value]
    for line in (b'{"type":"reset-fire","operator":"x"}', b'{"type":"open-portal","portal":"lobby","operator":"x"}'):
        answer = asyncio.run(operations.perform(decode_request(line)))
        assert b"needs the role of a guard" in encode(answer)
    assert site.told == []


async def test_no_core_is_one_sentence(tmp_path):
    with pytest.raises(OperationsUnavailableError, match="does not answer"):
        await OperationsClient(tmp_path / "operations.sock").status()
    with pytest.raises(OperationsUnavailableError):
        await OperationsClient(tmp_path / "gone" / "operations.sock").replace_policy(b"{}", 1, "chen")


# --- explain ------------------------------------------------------------------------------------------------------


async def explain(portal="lobby", at=SUNDAY, live=None, **options):
    async with serving() as (client, site, _):
        site.live = live or State(True)
        return await client.explain(portal, at, **options)


async def test_who_could_open_this_door_on_sunday_at_three():
    answer = await explain()
    assert [(one.holder, one.shown, one.granted) for one in answer.findings] == [
        ("lin", ("card",), True),
        ("lin", ("qr",), True),
    ]
    assert answer.counts == {"permitted": 2, "outside-schedule": 1}
    assert (answer.granted, answer.looked_at, answer.without_credential) == (2, 3, 1)


async def test_why_could_wang_not():
    (why,) = (await explain(who="wang")).findings
    assert (why.granted, why.reason, why.rules) == (False, Reason.OUTSIDE_SCHEDULE, ("staff: office",))


async def test_somebody_with_nothing_fitting():
    (why,) = (await explain(who="wang", with_kind="face")).findings
    assert (why.shown, why.granted, why.reason) == ((), False, Reason.NOT_ACCEPTED_HERE)


async def test_a_second_person_is_said():
    answer = await explain("vault")
    (one,) = [finding for finding in answer.findings if finding.second_person]
    assert (one.holder, one.shown, one.granted) == ("lin", ("card", "pin"), False)


async def test_duress_is_in_no_answer():
    for portal in ("lobby", "vault"):
        answer = await explain(portal, refused=True)
        assert b"duress" not in encode(answer)
        assert ("dd" * 32).encode() not in encode(answer)
        assert ("aa" * 32).encode() not in encode(answer), "nor the digest of an ordinary PIN"


async def test_now_is_answered_with_the_state_as_it_is_and_another_time_is_not():
    used = State(True, mode=PortalMode.LOCKDOWN, presence=Presence(uses={"pass-" + "00" * 8: Used(1)}))
    now = await explain(at=None, live=used, refused=True)
    assert now.live
    assert now.counts == {"lockdown": 2, "used-up": 1}
    later = await explain(at=SUNDAY + timedelta(days=7), live=used, refused=True)
    assert not later.live
    assert later.mode is PortalMode.LOCKED
    assert later.counts == {"permitted": 1, "used-up": 1, "outside-schedule": 1}, "what is used up stays used up"


async def test_open_to_all_is_said():
    answer = await explain(at=None, live=State(True, fire=True))
    assert answer.open_to_all is Reason.FIRE
    assert answer.granted == 3


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"portal": "roof"}, "there is no portal 'roof'"),
        ({"who": "nobody"}, "there is no holder 'nobody'"),
        ({"with_kind": "key"}, "expected one of card, pin"),
    ],
)
async def test_a_wrong_question_is_one_sentence(options, says):
    with pytest.raises(OperationRefusedError, match=says):
        await explain(**options)


async def test_a_moment_before_all_versions_is_said():
    async with serving() as (client, _, desk):
        desk.before = None
        with pytest.raises(OperationRefusedError, match="no version of the policy is kept from 2026-11-22 14:59"):
            await client.explain("lobby", SUNDAY - timedelta(minutes=1))


@pytest.mark.parametrize("at", [None, SUNDAY, SUNDAY + timedelta(days=2)])
async def test_from_now_on_it_is_the_policy_in_force_that_answers(at):
    """One made while the clock was ahead is in force all the same: the door decides by it."""
    async with serving() as (client, _, desk):
        desk.before = None
        assert (await client.explain("lobby", at)).policy_version == 3


@pytest.mark.parametrize("year", [1, 1999, 2100, 9999])
async def test_a_moment_that_no_clock_shows_is_one_sentence(year):
    far = datetime(year, 1, 1, tzinfo=timezone(timedelta(hours=12 if year < 2000 else -12)))
    async with serving() as (client, _, desk):
        asked = {"holder": "lin", "portals": ("lobby",), "operator": "chen"}
        for call in (
            client.explain("lobby", far),
            client.add_visitor_pass(AddVisitorPass(valid_from=far, valid_until=SUNDAY, **asked)),
            client.add_visitor_pass(AddVisitorPass(valid_from=SUNDAY, valid_until=far, **asked)),
        ):
            with pytest.raises(OperationRefusedError, match="expected a time from 2000 until 2100, got"):
                await call
    assert desk.told == []


# --- forgetting where people are, and modes in which nobody could enter --------------------------------------------


@pytest.mark.parametrize(("what", "name"), [("holder", "lin"), ("zone", "yard"), ("all", "")])
async def test_forgetting_where_people_are_says_how_many(what, name):
    async with serving() as (client, site, desk):
        desk.policy = replace(desk.policy, zones={"yard": Zone("yard", "hard")})
        assert await client.forget_presence(what, name, "chen") == 3
    assert site.told == [("forget", what, name, "chen")]


@pytest.mark.parametrize(
    ("what", "name", "says"),
    [
        ("all", "lin", "name a holder, or a zone, or all; nothing was changed"),
        ("holder", "", "name a holder, or a zone, or all; nothing was changed"),
        ("zone", "roof", "there is no zone 'roof'; the policy has none"),
    ],
)
async def test_forgetting_without_a_clear_whom_is_refused(what, name, says):
    async with serving() as (client, site, _):
        with pytest.raises(OperationRefusedError, match=says):
            await client.forget_presence(what, name, "chen")
    assert site.told == []


async def test_a_mode_in_which_nobody_could_enter_is_refused():
    async with serving() as (client, site, desk):
        desk.policy = replace(desk.policy, portals={"lobby": PortalPolicy("lobby", (frozenset({QR}),))})
        with pytest.raises(OperationRefusedError, match="portal 'lobby' accepts no card, so nobody could enter"):
            await client.set_portal_mode("lobby", PortalMode.CARD_AND_PIN, "chen")
        await client.set_portal_mode("lobby", PortalMode.LOCKDOWN, "chen")
    assert [told[2] for told in site.told] == [PortalMode.LOCKDOWN]
