"""What was revoked opens nothing again, whatever is imported, undone, removed and added since, unless by its name."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from policy_rig import NOW_MS, TEXT, document, store_in
from test_policy_desk import CARD, Rig, issue, scan

from gateway.access.decide import State, decide
from gateway.access.presence import EMPTY_PRESENCE, after_grant
from gateway.errors import OperationRefusedError
from gateway.model import AccessRequest, CredentialKind, Presented, Reason
from gateway.store import policy_document, policy_revocations
from gateway.store.policy_document import PolicyDocument, Revocations, canonical
from gateway.store.policy_revocations import after_edit, digest
from runtime.errors import UserError
from zhian.policy_findings import kept_revoked

LOST = document(TEXT.replace('key = "26:1"', 'key = "26:1"\nrevoked = true'))


@pytest.fixture
def rig(tmp_path):
    return Rig(tmp_path)


async def take(rig, wanted: PolicyDocument) -> int:
    name = "policy-0123456789abcdef.json"
    (rig.incoming / name).write_bytes(canonical(wanted))
    return await rig.desk.replace(name, None, "chen")


def without_cards(wanted: PolicyDocument) -> PolicyDocument:
    return replace(wanted, credential=tuple(one for one in wanted.credential if one.holder != "lin"))


def without_lin(wanted: PolicyDocument) -> PolicyDocument:
    return replace(without_cards(wanted), holder=tuple(one for one in wanted.holder if one.id != "lin"), pass_=())


async def test_a_revoked_row_that_was_tidied_away_stays_revoked_when_that_is_undone(rig):
    await rig.desk.revoke("lin", "lin-card", "chen")
    await take(rig, without_cards(document()))
    await rig.desk.undo(1, "chen")
    assert rig.ask(CARD).reason is Reason.REVOKED


async def test_nor_does_an_old_file_open_for_it(rig):
    await rig.desk.revoke("lin", "lin-card", "chen")
    await take(rig, without_cards(document()))
    await take(rig, document())
    assert rig.ask(CARD).reason is Reason.REVOKED
    await rig.desk.restore("lin", "lin-card", "chen")
    assert rig.ask(CARD).granted
    await take(rig, document())
    assert rig.ask(CARD).granted, "restored is restored"


async def test_what_a_file_revoked_is_revoked_for_good_as_well(rig):
    await take(rig, LOST)
    await take(rig, document())
    assert rig.ask(CARD).reason is Reason.REVOKED


async def test_a_revocation_outlives_a_restart(rig, tmp_path):
    await rig.desk.revoke("lin", "lin-card", "chen")
    await take(rig, without_cards(document()))
    rig.store.close()
    again = Rig(tmp_path)
    await take(again, document())
    assert again.ask(CARD).reason is Reason.REVOKED


async def test_undo_opens_for_no_card_that_is_missing_now_but_an_import_does(rig):
    """Somebody may have taken a lost card out instead of revoking it. Whoever wants it back says so."""
    await take(rig, without_cards(document()))
    await rig.desk.undo(1, "chen")
    assert rig.ask(CARD).reason is Reason.REVOKED
    await take(rig, document())
    assert rig.ask(CARD).granted, "nobody ever revoked it"


async def test_a_revoked_pass_stays_revoked_when_its_holder_returns(rig):
    issued = await issue(rig)
    await rig.desk.revoke("lin", f"pass-{issued.id}", "chen")
    await take(rig, without_lin(document()))
    assert scan(rig, issued.text).reason is Reason.REVOKED
    await take(rig, document())
    assert scan(rig, issued.text).reason is Reason.REVOKED


async def test_a_pass_that_was_taken_out_with_its_holder_stays_out(rig):
    issued = await issue(rig)
    await take(rig, without_lin(document()))
    await take(rig, document())
    assert scan(rig, issued.text).reason is Reason.REVOKED


async def test_a_revoked_pass_stays_revoked_when_its_portal_returns(rig):
    text = TEXT.replace('accepts = [["plate"]]', 'accepts = [["plate"], ["qr"]]')
    text = text.replace('portals = ["lobby"]\n[[rule]]', 'portals = ["lobby", "gate"]\n[[rule]]')
    await take(rig, document(text))
    issued = await issue(rig, portals=("gate",))
    asked = lambda: decide(  # noqa: E731
        AccessRequest("gate", "reader", (rig.store.read_pass(issued.text)[0],)),
        rig.policy,
        State(True, passes=rig.store.read_pass(issued.text)[1]),
        rig.clock.local(),
    )
    assert asked().granted
    await rig.desk.revoke("lin", f"pass-{issued.id}", "chen")
    plain = document(text)
    no_gate = replace(
        plain,
        portal=plain.portal[:1],
        rule=tuple(replace(rule, portals=("lobby",)) for rule in plain.rule),
    )
    await take(rig, no_gate)
    await take(rig, document(text))
    assert asked().reason is Reason.REVOKED


async def test_a_pass_whose_row_ends_sooner_is_revoked_until_its_signed_end(rig):
    """Its row would go a week after the new end, and the QR code would open again until the old one."""
    now = rig.clock.local()
    issued = await issue(rig, valid_until=now + timedelta(days=60))
    present = rig.store.in_force.document
    shorter = replace(present, pass_=(replace(present.pass_[0], valid_until=now + timedelta(days=1)),))
    await take(rig, shorter)
    for _ in range(3):
        rig.clock.days_later += 10
        later = rig.clock.local()
        await issue(rig, valid_from=later, valid_until=later + timedelta(hours=1))
        assert scan(rig, issued.text).reason is Reason.REVOKED


async def test_passes_are_forgotten_for_good_a_week_after_their_end(rig):
    issued = await issue(rig)
    await rig.desk.revoke("lin", f"pass-{issued.id}", "chen")
    assert [one.id for one in rig.store.in_force.lasting.passes] == [issued.id]
    assert (rig.store.in_force.lasting.passes[0].plate, rig.store.in_force.lasting.passes[0].note) == (None, "")
    rig.clock.days_later = 9
    rig.clock.certain = False
    await rig.desk.revoke("wang", "card:26:2", "chen")
    assert rig.store.in_force.lasting.passes, "an uncertain clock forgets nothing"
    rig.clock.certain = True
    await rig.desk.restore("wang", "card:26:2", "chen")
    assert rig.store.in_force.lasting.passes == ()


def test_only_digests_of_credentials_are_kept_and_the_oldest_goes_first(monkeypatch):
    monkeypatch.setattr(policy_revocations, "MAX_REVOKED", 2)
    lasting = Revocations(("0" * 32, "1" * 32))
    found = after_edit(lasting, document(), LOST, "revoke")
    assert found.credentials == ("1" * 32, digest("card", "26:1"))
    assert after_edit(found, LOST, LOST, "import") == found, "nothing is kept twice"


def test_a_version_without_revocations_is_read(tmp_path):
    """What an earlier release signed."""
    store = store_in(tmp_path)
    body = policy_document.SignedBody(
        district="west", site="garden", version=2, made_ms=NOW_MS, operator="x", cause="import", document=document()
    )
    plain = canonical(body).replace(b',"revocations":{"credentials":[],"passes":[]}', b"")
    assert b"revocations" not in plain
    assert policy_document.decode_body(plain).revocations == Revocations()
    store.close()


def test_an_import_says_what_stays_revoked_and_names_no_secret():
    text = TEXT + f'[[credential]]\nholder = "lin"\nkind = "pin"\nkey = "{"a" * 64}"\nrevoked = true\n'
    text += f'[[credential]]\nholder = "lin"\nkind = "pin"\nkey = "{"d" * 64}"\nrevoked = true\nduress = true\n'
    in_force = document(text.replace('key = "26:1"', 'key = "26:1"\nrevoked = true'))
    (told,) = kept_revoked(document(), in_force)
    assert "'lin lin-card', 'lin pin'; zhian access restore" in told
    assert "aaaa" not in told
    assert "duress" not in told
    assert "dddd" not in told
    assert kept_revoked(in_force, in_force) == []


async def test_a_message_has_no_trace_of_a_duress_pin(rig):
    pins = "".join(
        f'[[credential]]\nholder = "lin"\nkind = "pin"\nkey = "{letter * 64}"\nduress = {duress}\n'
        for letter, duress in (("a", "false"), ("d", "true"))
    )
    await take(rig, document(TEXT + pins))
    with pytest.raises(OperationRefusedError, match=r"they have 'lin-card', 'a pin without an id'$"):
        await rig.desk.revoke("lin", "blue", "chen")


async def test_the_uses_of_a_pass_are_counted_once_for_its_code_and_its_plate(rig):
    text = TEXT.replace('portals = ["lobby"]\n[[rule]]', 'portals = ["lobby", "gate"]\n[[rule]]')
    await take(rig, document(text))
    issued = await issue(rig, portals=("lobby", "gate"), plate="京A12345", uses=1)
    at_lobby = AccessRequest("lobby", "reader", (Presented(CredentialKind.QR, issued.id),))
    at_gate = AccessRequest("gate", "camera", (Presented(CredentialKind.PLATE, "京A12345"),))
    now = rig.clock.local()
    first = decide(at_lobby, rig.policy, State(True), now)
    assert first.granted
    assert decide(at_gate, rig.policy, State(True), now).granted
    used = after_grant(EMPTY_PRESENCE, at_lobby, first, rig.policy)
    assert decide(at_gate, rig.policy, State(True, presence=used), now).reason is Reason.USED_UP
    _, unlisted = rig.store.read_pass(issued.text)
    assert unlisted[issued.id].counted_as == f"pass-{issued.id}", "also where the list does not know it"


# --- any sequence of edits ----------------------------------------------------------------------------------------

# Everybody's cards open on the day of these tests, so that one that should not would be seen.
OPEN = TEXT.replace('id = "lin-card"\n', "").replace('groups = ["staff"]', 'groups = ["residents"]')
HOLDERS, KEYS = ("lin", "wang"), ("26:1", "26:2", "26:3")
step = st.one_of(
    st.tuples(st.just("import"), st.sets(st.sampled_from(HOLDERS)), st.sets(st.sampled_from(KEYS)), st.booleans()),
    st.tuples(st.just("revoke"), st.sampled_from(KEYS)),
    st.tuples(st.just("restore"), st.sampled_from(KEYS)),
    st.tuples(st.just("pass"), st.sampled_from(HOLDERS)),
    st.tuples(st.just("revoke-pass"), st.integers(0, 3)),
    st.tuples(st.just("restore-pass"), st.integers(0, 3)),
    st.tuples(st.just("undo"), st.integers(1, 12)),
)


class Site:
    """A desk, and beside it what is revoked, written down the simplest way."""

    def __init__(self, folder: Path) -> None:
        self.rig = Rig(folder)
        self.revoked: set[str] = set()
        self.passes: list[tuple[str, str, str]] = []  # id, text, holder
        self.dead: set[str] = set()

    def owner(self, key: str) -> str:
        return "lin" if key == "26:1" else "wang"

    async def do(self, one: tuple) -> None:
        match one:
            case ("import", holders, keys, keeps_passes):
                await self.take(holders, keys, keeps_passes)
            case ("revoke" | "restore" as what, key):
                call = self.rig.desk.revoke if what == "revoke" else self.rig.desk.restore
                await call(self.owner(key), f"card:{key}", "chen")
                (self.revoked.add if what == "revoke" else self.revoked.discard)(key)
            case ("pass", holder):
                issued = await issue(self.rig, holder=holder)
                self.passes.append((issued.id, issued.text, holder))
            case ("revoke-pass" | "restore-pass" as what, number):
                if number < len(self.passes):
                    pass_id, _, holder = self.passes[number]
                    call = self.rig.desk.revoke if what == "revoke-pass" else self.rig.desk.restore
                    await call(holder, f"pass-{pass_id}", "chen")
                    (self.dead.add if what == "revoke-pass" else self.dead.discard)(pass_id)
            case ("undo", version):
                await self.rig.desk.undo(version, "chen")
                self.look_for_gone()

    async def take(self, holders: set[str], keys: set[str], keeps_passes: bool) -> None:
        plain, present = document(OPEN), self.rig.store.in_force.document
        cards = [replace(plain.credential[0], holder=self.owner(key), key=key) for key in sorted(keys)]
        await take(
            self.rig,
            replace(
                plain,
                holder=tuple(one for one in plain.holder if one.id in holders),
                credential=tuple(one for one in cards if one.holder in holders),
                pass_=tuple(replace(one, revoked=False) for one in present.pass_ if one.holder in holders)
                if keeps_passes
                else (),
            ),
        )
        self.look_for_gone()

    def look_for_gone(self) -> None:
        """A pass that is in no list is revoked by that."""
        alive = {one.id for one in self.rig.store.in_force.document.pass_ if not one.revoked}
        self.dead |= {pass_id for pass_id, _, _ in self.passes} - alive

    def check(self) -> None:
        for key in self.revoked:
            assert not self.rig.ask(Presented(CredentialKind.CARD, key)).granted, key
        for pass_id, text, _ in self.passes:
            assert not (pass_id in self.dead and scan(self.rig, text).granted), pass_id


def run(steps: list[tuple]) -> None:
    async def all_of_them() -> None:
        with tempfile.TemporaryDirectory(prefix="revoked") as folder:
            site = Site(Path(folder))
            await site.take({"lin", "wang"}, set(KEYS), True)
            for one in steps:
                try:
                    await site.do(one)
                except UserError:
                    continue  # nothing was changed
                finally:
                    site.check()
            site.rig.store.close()

    asyncio.run(all_of_them())


EVERYBODY, NOBODY = ({"lin", "wang"}, set(KEYS), True), (set(), set(), False)


@settings(max_examples=30, deadline=None)
@given(st.lists(step, max_size=12))
@example([("revoke", "26:1"), ("import", {"lin", "wang"}, {"26:2"}, True), ("undo", 2)])
@example([("revoke", "26:1"), ("import", *NOBODY), ("import", *EVERYBODY), ("pass", "wang")])
@example([("pass", "lin"), ("revoke-pass", 0), ("import", *NOBODY), ("import", *EVERYBODY), ("undo", 3)])
@example([("pass", "lin"), ("import", *NOBODY), ("import", *EVERYBODY), ("restore-pass", 0), ("undo", 2)])
def test_what_was_revoked_never_opens_again_unless_restored_by_name(steps):
    run(steps)


Change = Callable[[PolicyDocument], PolicyDocument]


@pytest.mark.parametrize("change", [without_cards, without_lin])
async def test_what_is_not_revoked_is_not_touched(rig: Rig, change: Change):
    await rig.desk.revoke("lin", "lin-card", "chen")
    await take(rig, change(document()))
    assert rig.ask(Presented(CredentialKind.CARD, "26:2")).reason is Reason.OUTSIDE_SCHEDULE
    assert rig.clock.local().astimezone(UTC) == datetime.fromtimestamp(NOW_MS / 1000, UTC)
