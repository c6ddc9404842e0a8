"""Edits while core runs: in force at the next request, told as an event, one after the other."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta, timezone

import cbor2
import cwt
import pytest
from policy_rig import NOW_MS, TEXT, document, store_in
from test_policy_store import renamed

from center.contract.catalogue import PolicyChanged
from gateway.access import base45
from gateway.access.decide import State, decide
from gateway.errors import OperationRefusedError, StoreError
from gateway.model import AccessRequest, CredentialKind, Presented, Reason
from gateway.store.policy_desk import PolicyDesk
from gateway.store.policy_document import canonical
from runtime.errors import UserError

SITE_TIME = timezone(timedelta(hours=8))
NOVEMBER = datetime(2026, 11, 1, tzinfo=SITE_TIME)
CARD = Presented(CredentialKind.CARD, "26:1")


class StoppedClock:
    certain = True
    days_later = 0

    def now_ms(self) -> int:
        return NOW_MS + self.days_later * 86_400_000

    def monotonic_ms(self) -> int:
        return 0

    def local(self) -> datetime:
        return datetime.fromtimestamp(self.now_ms() / 1000, SITE_TIME)


class Notebook:
    """A recorder that keeps its entries in a list; `broken` refuses them."""

    def __init__(self) -> None:
        self.entries = []
        self.kept: dict[str, str] = {}
        self.broken = False

    async def record(self, entries, *, late_ok=False, keep=None) -> None:
        if self.broken:
            raise StoreError("the disk is full")
        self.entries += entries
        self.kept |= keep or {}


class Rig:
    """A desk over a store in a folder, and the policy that a door would decide by."""

    def __init__(self, folder) -> None:
        self.store = store_in(folder)
        self.clock = StoppedClock()
        self.notebook = Notebook()
        self.incoming = folder / "run"
        self.incoming.mkdir(exist_ok=True)
        self.policy = self.store.in_force.policy
        self.desk = PolicyDesk(
            self.store,
            self.clock,
            self.notebook,
            publish=self.publish,
            token=lambda kind, subject: "a" * 16,
            incoming=self.incoming,
        )

    def publish(self, policy) -> None:
        self.policy = policy

    def ask(self, *presented: Presented):
        return decide(AccessRequest("lobby", "reader", presented), self.policy, State(True), self.clock.local())

    def upload(self, text: str, name: str = "policy-0123456789abcdef.json") -> str:
        (self.incoming / name).write_bytes(canonical(document(text)))
        return name


@pytest.fixture
def rig(tmp_path):
    return Rig(tmp_path)


async def test_a_revoked_card_opens_nothing_once_the_operation_returned(rig):
    assert rig.ask(CARD).granted
    assert await rig.desk.revoke("lin", "lin-card", "chen") == 2
    assert rig.ask(CARD).reason is Reason.REVOKED
    assert await rig.desk.restore("lin", "lin-card", "chen") == 3
    assert rig.ask(CARD).granted


async def test_a_card_revoked_between_card_and_pin_opens_nothing(rig):
    first = rig.ask(CARD)
    assert first.granted
    await rig.desk.revoke("lin", "lin-card", "chen")
    assert rig.ask(CARD, Presented(CredentialKind.PIN, "0" * 64)).reason is Reason.REVOKED


async def test_a_card_without_an_id_is_named_by_kind_and_key(rig):
    await rig.desk.revoke("wang", "card:26:2", "chen")
    assert rig.ask(Presented(CredentialKind.CARD, "26:2")).reason is Reason.REVOKED


@pytest.mark.parametrize(
    ("holder", "credential", "says"),
    [
        ("nobody", "x", "there is no holder 'nobody'"),
        ("lin", "blue", "holder 'lin' has no credential 'blue'; they have 'lin-card'"),
        ("wang", "lin-card", "holder 'wang' has no credential 'lin-card'; they have 'card:26:2'"),
    ],
)
async def test_an_unknown_credential_is_refused_in_one_sentence(rig, holder, credential, says):
    with pytest.raises(OperationRefusedError) as error:
        await rig.desk.revoke(holder, credential, "chen")
    assert says in str(error.value)
    assert rig.store.in_force.row.version == 1


async def test_revoking_twice_is_refused(rig):
    await rig.desk.revoke("lin", "lin-card", "chen")
    with pytest.raises(OperationRefusedError, match="is revoked already; nothing was changed"):
        await rig.desk.revoke("lin", "lin-card", "chen")


async def test_each_version_leaves_one_event_and_its_number(rig):
    await rig.desk.announce()
    await rig.desk.revoke("lin", "lin-card", "chen")
    events = [entry.data for entry in rig.notebook.entries]
    assert [event.version for event in events] == [1, 2]
    assert all(isinstance(event, PolicyChanged) for event in events)
    assert [event.digest for event in events] == [row.digest[:16] for row in reversed(rig.store.versions.rows())]
    assert rig.notebook.kept == {"policy-version": "2"}
    await rig.desk.announce()
    assert len(rig.notebook.entries) == 2


async def test_an_edit_holds_while_the_journal_is_broken_and_its_event_follows(rig, tmp_path):
    rig.notebook.broken = True
    assert await rig.desk.revoke("lin", "lin-card", "chen") == 2
    assert rig.ask(CARD).reason is Reason.REVOKED
    rig.store.close()
    after_restart = Rig(tmp_path)
    assert after_restart.ask(CARD).reason is Reason.REVOKED
    await after_restart.desk.announce()
    assert [entry.data.version for entry in after_restart.notebook.entries] == [1, 2]


async def test_a_whole_document_is_taken(rig):
    name = rig.upload(TEXT.replace("Lin Xiao", "Lin Two"))
    assert await rig.desk.replace(name, 1, "chen") == 2
    assert rig.policy.holders["lin"].name["en"] == "Lin Two"
    assert rig.policy.version == 2


async def test_two_editors_of_the_whole_document_do_not_overwrite_one_another(rig):
    await rig.desk.replace(rig.upload(TEXT.replace("Lin Xiao", "Lin Two")), 1, "chen")
    with pytest.raises(OperationRefusedError, match="this edit began with version 1, but version 2 of operator 'chen'"):
        await rig.desk.replace(rig.upload(TEXT.replace("Lin Xiao", "Lin Three")), 1, "zhao")
    assert await rig.desk.replace(rig.upload(TEXT.replace("Lin Xiao", "Lin Four")), None, "zhao") == 3
    assert rig.policy.holders["lin"].name["en"] == "Lin Four"


async def test_edits_at_the_same_moment_are_done_one_after_the_other(rig):
    await asyncio.gather(
        rig.desk.revoke("lin", "lin-card", "chen"), rig.desk.revoke("wang", "card:26:2", "zhao"), rig.desk.announce()
    )
    assert rig.ask(CARD).reason is Reason.REVOKED
    assert rig.ask(Presented(CredentialKind.CARD, "26:2")).reason is Reason.REVOKED
    assert rig.policy.version == 3


@pytest.mark.parametrize("name", ["../data/policy.key", "policy.json", "policy-0123456789abcdeF.json", ""])
async def test_only_an_upload_is_read(rig, name):
    with pytest.raises(OperationRefusedError, match="an upload is named"):
        await rig.desk.replace(name, 1, "chen")


@pytest.mark.parametrize(
    "content", [b"", b"[" * 100_000, b'{"version":1,"unlock":true}', b'{"version":0}', b'\xff\xfe{"version":1}']
)
async def test_an_upload_that_is_no_policy_is_refused(rig, content):
    name = "policy-0123456789abcdef.json"
    (rig.incoming / name).write_bytes(content)
    with pytest.raises(OperationRefusedError) as error:
        await rig.desk.replace(name, 1, "chen")
    assert "cannot be read" in str(error.value)
    assert "\n" not in str(error.value)
    assert rig.store.in_force.row.version == 1


async def test_undo_goes_back_but_opens_for_no_card_that_was_lost_meanwhile(rig):
    await rig.desk.replace(rig.upload(TEXT.replace("Lin Xiao", "Lin Two")), 1, "chen")
    await rig.desk.revoke("lin", "lin-card", "chen")
    assert await rig.desk.undo(1, "chen") == 4
    assert rig.policy.holders["lin"].name["en"] == "Lin Xiao"
    assert rig.ask(CARD).reason is Reason.REVOKED


async def test_undo_says_when_there_is_nothing_to_undo(rig):
    with pytest.raises(OperationRefusedError, match="version 1 is the first; there is nothing to undo"):
        await rig.desk.undo(None, "chen")
    with pytest.raises(OperationRefusedError, match="version 1 is in force already"):
        await rig.desk.undo(1, "chen")
    with pytest.raises(StoreError, match="there is no version 7; 1 to 1 are kept"):
        await rig.desk.undo(7, "chen")


async def test_what_was_in_force_then(rig):
    rig.store.commit(renamed(document(), "Later"), base=1, operator="li", cause="import", now_ms=NOW_MS + 1000)
    assert (await rig.desk.at(NOW_MS)).holders["lin"].name["en"] == "Lin Xiao"
    assert await rig.desk.at(NOW_MS - 1) is None


# --- visitor passes -----------------------------------------------------------------------------------------------


async def issue(rig, **changed):
    now = rig.clock.local()
    asked = {
        "holder": "lin",
        "portals": ("lobby",),
        "valid_from": now - timedelta(hours=1),
        "valid_until": now + timedelta(hours=8),
        "uses": 2,
        "plate": None,
        "note": "plumber",
        "operator": "chen",
    }
    return await rig.desk.issue_pass(**(asked | changed))


def scan(rig, text: str):
    presented, known = rig.store.read_pass(text)
    request = AccessRequest("lobby", "reader", (presented,))
    return decide(request, rig.policy, State(True, passes=known), rig.clock.local())


async def test_a_pass_opens_until_it_is_revoked(rig):
    issued = await issue(rig)
    assert issued.version == 2
    assert scan(rig, issued.text).granted
    await rig.desk.revoke("lin", f"pass-{issued.id}", "chen")
    assert scan(rig, issued.text).reason is Reason.REVOKED


async def test_a_pass_taken_out_of_the_document_is_revoked_not_forgotten(rig):
    issued = await issue(rig)
    await rig.desk.replace(rig.upload(TEXT), 2, "chen")
    assert scan(rig, issued.text).reason is Reason.REVOKED
    await rig.desk.undo(2, "chen")
    assert scan(rig, issued.text).reason is Reason.REVOKED, "undoing opens for nothing that was revoked"


async def test_undoing_the_issue_of_a_pass_revokes_it(rig):
    issued = await issue(rig)
    await rig.desk.undo(None, "chen")
    assert scan(rig, issued.text).reason is Reason.REVOKED


async def test_a_pass_of_another_site_is_none(rig, tmp_path):
    (tmp_path / "other").mkdir()
    other = await issue(Rig(tmp_path / "other"))
    assert scan(rig, other.text).reason is Reason.INVALID_PASS


@pytest.mark.parametrize("text", ["", "ZH1:", "hello", "ZH1:" + "0" * 500, "ZH1:" + "A" * 90])
def test_whatever_else_is_scanned_is_no_pass(rig, text):
    assert scan(rig, text).reason is Reason.INVALID_PASS


async def test_a_changed_letter_makes_a_pass_invalid(rig):
    text = (await issue(rig)).text
    swapped = text[:60] + ("1" if text[60] != "1" else "2") + text[61:]
    assert scan(rig, swapped).reason is Reason.INVALID_PASS


async def test_another_implementation_reads_and_verifies_a_pass(rig):
    """cwt and base45 decoding by others: the pass is an ordinary CBOR Web Token."""
    issued = await issue(rig)
    key = cwt.COSEKey.new({1: 1, 3: -8, -1: 6, -2: rig.store.key.public, 2: rig.store.key.id})
    token = base45.decode(issued.text.removeprefix("ZH1:"))
    claims = cwt.COSE.new().decode(token, key)
    assert cbor2.loads(claims)[7].hex() == issued.id


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"holder": "nobody"}, "pass[0].holder: expected one of 'lin', 'wang', got 'nobody'"),
        ({"portals": ("roof",)}, "pass[0].portals: expected one of 'gate', 'lobby', got 'roof'"),
        ({"valid_until": datetime(2026, 11, 22, 10, 30, tzinfo=SITE_TIME)}, "ends after it begins"),
        ({"valid_from": NOVEMBER, "valid_until": NOVEMBER + timedelta(days=1)}, "has expired"),
        ({"valid_until": datetime(2028, 1, 1, tzinfo=SITE_TIME)}, "at most 366 days"),
        ({"portals": ("gate",)}, "portal 'gate' accepts no QR pass by itself"),
        ({"plate": "12345678"}, "pass[0].plate: expected a plate"),
    ],
)  # fmt: skip
async def test_a_pass_that_cannot_be_is_refused_in_one_sentence(rig, changed, says):
    with pytest.raises(UserError) as error:
        await issue(rig, **changed)
    assert says in str(error.value)
    assert rig.store.in_force.row.version == 1


async def test_a_pass_with_a_plate_opens_for_the_car_too(rig):
    await issue(rig, plate="京A12345")
    plate = rig.policy.credentials[CredentialKind.PLATE, "京A12345"]
    assert (plate.holder, plate.portals, plate.uses) == ("lin", {"lobby"}, 2)


async def test_passes_are_forgotten_a_week_after_their_end_and_only_by_a_certain_clock(rig):
    issued = await issue(rig)
    rig.clock.days_later = 9
    rig.clock.certain = False
    now = rig.clock.local()
    await issue(rig, valid_from=now, valid_until=now + timedelta(hours=1))
    assert issued.id in {one.id for one in rig.store.in_force.document.pass_}
    rig.clock.certain = True
    await issue(rig, valid_from=now, valid_until=now + timedelta(hours=1))
    assert issued.id not in {one.id for one in rig.store.in_force.document.pass_}
    assert len(rig.store.in_force.document.pass_) == 2
