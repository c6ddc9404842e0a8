"""Faces in a running core, over a real policy: enrolled with consent, counted at the door, erased for good."""

from __future__ import annotations

import struct
from dataclasses import replace

import pytest
from policy_rig import NOW_MS, TEXT
from test_policy_desk import Rig

from center.contract.catalogue import FaceEnrolled, FaceErased
from firmware.wire.offline import CacheKeys
from gateway.access.attempts import AttemptLimits
from gateway.access.decide import State, decide
from gateway.control.node_cache import NodeSettings, build
from gateway.enrolment.refusals import recognised
from gateway.errors import OperationRefusedError, StoreError
from gateway.model import AccessRequest, CredentialKind, Presented, Reason
from gateway.store.faces.desk import FaceDesk
from runtime.errors import ConfigError

DAY = 86_400_000
MODEL = "ab" * 32
FACES_TOO = TEXT.replace(
    'accepts = [["card"], ["card", "pin"], ["qr"]]', 'accepts = [["card"], ["face"], ["face", "card"]]'
)


def embedding(*leading: float) -> bytes:
    return struct.pack("<8f", *leading, *([0.0] * (8 - len(leading))))


class FaceRig:
    def __init__(self, folder) -> None:
        self.policy = Rig(folder)
        self.folder = folder / "faces"
        self.folder.mkdir()
        self.told: list[int] = []
        self.desk = self.opened()

    def opened(self, statement: str = "", accepted: str = "") -> FaceDesk:
        made = FaceDesk(
            self.folder,
            self.policy.clock,
            self.policy.notebook,
            self.policy.desk,
            token=lambda kind, subject: "a" * 16,
            statement=statement,
            accepted=accepted,
        )

        async def changed() -> None:
            self.told.append(len((await made.gallery(MODEL)).references))

        made.gallery_changed = changed
        return made

    async def enrol(self, holder="lin", references=None, **changes):
        values = {
            "portals": ("lobby",), "asked_by": "desk-1", "other_way": "card", "until_ms": NOW_MS + 90 * DAY,
            "below_14": False, "guardian": "", "model_sha256": MODEL, "operator": "chen", "again": False,
        }  # fmt: skip
        return await self.desk.enrol(holder=holder, references=references or (embedding(1),), **(values | changes))

    def ask(self, *shown: Presented, alone: bool = True):
        request = AccessRequest("lobby", "lobby-reader", shown)
        return decide(request, self.policy.policy, State(True, face_alone=alone), self.policy.clock.local())

    @property
    def events(self) -> list[object]:
        kinds = (FaceEnrolled, FaceErased)
        return [e.data for e in self.policy.notebook.entries if isinstance(e.data, kinds)]


FACE = Presented(CredentialKind.FACE, "lin")


@pytest.fixture
async def rig(tmp_path):
    made = FaceRig(tmp_path)
    await made.policy.desk.replace(made.policy.upload(FACES_TOO), None, "chen")
    yield made
    made.desk.close()


async def test_a_face_counts_from_enrolment_to_withdrawal(rig):
    assert rig.ask(FACE).reason is Reason.UNKNOWN_CREDENTIAL
    made = await rig.enrol(references=(embedding(1), embedding(1, 0.1)))
    assert rig.ask(FACE).granted
    assert [len(g.embedding) for g in (await rig.desk.gallery(MODEL)).references] == [32, 32]
    receipt = await rig.desk.withdraw("lin", "chen")
    assert rig.ask(FACE).reason is Reason.UNKNOWN_CREDENTIAL
    assert (receipt.enrolment, receipt.references, receipt.key_destroyed) == (made.enrolment, 2, True)
    assert rig.told == [2, 0]  # the vision process heard of both
    assert [type(e) for e in rig.events] == [FaceEnrolled, FaceErased]


async def test_nothing_of_a_holder_is_in_an_event(rig):
    await rig.enrol()
    await rig.desk.withdraw("lin", "chen")
    assert not [word for word in ("lin", "chen") if word in repr(rig.events)]


async def test_a_face_alone_waits_for_the_accepted_statement(rig):
    await rig.enrol()
    refused = rig.ask(FACE, alone=False)
    assert (refused.reason, refused.awaiting) == (Reason.SECOND_FACTOR_REQUIRED, CredentialKind.CARD)
    assert rig.ask(FACE, Presented(CredentialKind.CARD, "26:1"), alone=False).granted
    assert not rig.ask(FACE, Presented(CredentialKind.CARD, "26:2"), alone=False).granted  # somebody else's card
    assert not rig.desk.alone_accepted
    assert rig.opened("0123456789abcdef", "0123456789abcdef").alone_accepted
    assert not rig.opened("0123456789abcdef", "fedcba9876543210").alone_accepted


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"holder": "nobody"}, "no holder 'nobody'"),
        ({"portals": ("cellar",)}, "no portal 'cellar'"),
        ({"portals": ("gate",)}, "'gate' accepts no face"),
        ({"other_way": ""}, "other_way"),
        ({"below_14": True}, "guardian"),
        ({"until_ms": NOW_MS - 1}, "ended"),
    ],
)
async def test_a_refused_enrolment_keeps_nothing(rig, changes, said):
    with pytest.raises(OperationRefusedError, match=said):
        await rig.enrol(**changes)
    assert await rig.desk.enrolments() == []
    assert not list((rig.folder / "face-keys").iterdir())
    assert (await rig.desk.gallery(MODEL)).references == ()


async def test_a_refused_replacement_leaves_the_earlier_enrolment(rig):
    await rig.enrol()
    with pytest.raises(OperationRefusedError, match="no portal 'cellar'"):
        await rig.enrol(portals=("cellar",), again=True)
    assert [g.embedding for g in (await rig.desk.gallery(MODEL)).references] == [embedding(1)]
    assert rig.desk.receipts == ()


async def test_a_portal_that_takes_nothing_but_faces_is_refused(rig):
    only = FACES_TOO.replace('[["card"], ["face"], ["face", "card"]]', '[["face"]]')
    with pytest.raises(ConfigError, match="for whoever has no face enrolled"):
        await rig.policy.desk.replace(rig.policy.upload(only), None, "chen")


async def test_one_person_is_not_enrolled_as_two(rig):
    await rig.enrol(references=(embedding(1), embedding(1, 0.1)))
    with pytest.raises(OperationRefusedError, match=r"resembles the enrolled one of 'lin' \(similarity 0\.9"):
        await rig.enrol("wang", references=(embedding(1, 0.3),))
    await rig.enrol("wang", references=(embedding(0, 1),))
    assert [e.consent.holder for e in await rig.desk.enrolments()] == ["lin", "wang"]


async def test_enrolling_again_is_a_choice(rig):
    await rig.enrol()
    with pytest.raises(OperationRefusedError, match="enrolled already"):
        await rig.enrol()
    await rig.enrol(references=(embedding(0, 1),), again=True)
    assert [g.embedding for g in (await rig.desk.gallery(MODEL)).references] == [embedding(0, 1)]


async def test_retention_erases_what_consent_no_longer_covers_and_proves_it(rig):
    await rig.enrol(until_ms=NOW_MS + DAY)
    assert await rig.desk.retain() == []
    rig.policy.clock.days_later = 1
    assert [r.cause for r in await rig.desk.retain()] == ["expired"]
    assert rig.told == [1, 0]
    assert [type(e) for e in rig.events] == [FaceEnrolled, FaceErased]
    assert [r.cause for r in rig.desk.receipts] == ["expired"]
    assert not faces_in(rig)  # nor does the policy name a face any more


def faces_in(rig) -> list[str]:
    """Holders of whom the policy in force says that they have a face."""
    return [one.holder for one in rig.policy.desk.in_force.document.credential if one.kind == "face"]


async def test_what_a_crash_left_in_policy_and_journal_is_ended_by_the_job(rig):
    """Core died right after the key: erased at the next start, the event told, the policy's entry gone."""
    await rig.enrol()
    await rig.enrol("wang", references=(embedding(0, 1),))
    rig.desk._store._keys.destroy(rig.desk._store._of("lin"))
    rig.desk.close()
    rig.desk = rig.opened()
    assert faces_in(rig) == ["lin", "wang"]
    await rig.desk.retain()
    assert faces_in(rig) == ["wang"]
    assert [(type(e), e.cause) for e in rig.events[2:]] == [(FaceErased, "interrupted")]
    assert [g.holder for g in (await rig.desk.gallery(MODEL)).references] == ["wang"]
    await rig.desk.retain()
    assert len(rig.events) == 3


async def test_a_withdrawal_that_the_disk_refuses_still_reaches_the_door(rig):
    await rig.enrol()
    (rig.folder / "faces-erased.jsonl").mkdir()
    with pytest.raises(StoreError, match="cannot be written down"):
        await rig.desk.withdraw("lin", "chen")
    assert rig.told == [1, 0]
    (rig.folder / "faces-erased.jsonl").rmdir()
    assert [r.cause for r in await rig.desk.retain()] == ["interrupted"]
    assert not faces_in(rig)


async def test_enrolling_again_tells_of_the_erasure_of_the_earlier_one(rig):
    await rig.enrol()
    await rig.enrol(references=(embedding(0, 1),), again=True)
    assert [type(e) for e in rig.events] == [FaceEnrolled, FaceEnrolled, FaceErased]
    assert rig.events[-1].cause == "replaced"


async def test_who_is_no_holder_any_more_is_erased(rig):
    await rig.enrol("wang")
    gone = FACES_TOO.replace(
        '[[holder]]\nid = "wang"\nname = { zh = "王强", en = "Wang Qiang" }\ngroups = ["staff"]\n', ""
    )
    gone = gone.replace('[[credential]]\nholder = "wang"\nkind = "card"\nkey = "26:2"\n', "")
    await rig.policy.desk.replace(rig.policy.upload(gone), None, "chen")
    assert [r.cause for r in await rig.desk.retain()] == ["holder-removed"]


async def test_with_an_uncertain_clock_consent_does_not_end_and_receipts_still_have_a_time(rig):
    await rig.enrol(until_ms=NOW_MS + DAY)
    await rig.enrol("wang", references=(embedding(0, 1),))
    rig.desk._store._keys.destroy(rig.desk._store._of("wang"))
    rig.policy.clock.certain, rig.policy.clock.days_later = False, 2
    (receipt,) = await rig.desk.retain()
    assert (receipt.cause, receipt.at_ms) == ("interrupted", NOW_MS + 2 * DAY)


async def test_a_damaged_key_keeps_nobody_elses_withdrawal_from_the_door(rig):
    """The gallery goes out without whoever was erased, and without the one whose key is damaged."""
    await rig.enrol()
    await rig.enrol("wang", references=(embedding(0, 1),))
    damaged = rig.folder / "face-keys" / f"{rig.desk._store._of('wang')}.key"
    damaged.write_bytes(b"short")
    assert [g.holder for g in (await rig.desk.gallery(MODEL)).references] == ["lin"]
    await rig.desk.withdraw("lin", "chen")
    assert rig.told == [1, 2, 0]
    assert faces_in(rig) == ["wang"]
    assert [r.cause for r in rig.desk.receipts] == ["withdrawn"]


async def test_a_damaged_consent_ends_neither_the_job_nor_the_gallery(rig):
    """The job is a task of core's: what it does not expect would end core, and the doors with it."""
    await rig.enrol()
    await rig.enrol("wang", references=(embedding(0, 1),))
    rig.desk._store._db.execute("UPDATE enrolment SET consent = ? WHERE holder = 'lin'", (b'{"hol',))
    assert await rig.desk.retain() == []
    assert [g.holder for g in (await rig.desk.gallery(MODEL)).references] == ["wang"]
    assert faces_in(rig) == ["lin", "wang"]  # it is stored still
    with pytest.raises(OperationRefusedError, match="enrolled already"):
        await rig.enrol()
    await rig.desk.withdraw("lin", "chen")
    assert (faces_in(rig), rig.told[-1]) == (["wang"], 1)


@pytest.mark.parametrize("damaged", ["key", "reference", "consent"])
async def test_a_face_that_cannot_be_compared_lets_nobody_be_enrolled_beside_it(rig, damaged):
    """It might be the same face; the sentence names whose it is. The holder himself can be enrolled again."""
    made = await rig.enrol()
    if damaged == "key":
        (rig.folder / "face-keys" / f"{made.enrolment}.key").write_bytes(b"short")
    elif damaged == "reference":
        rig.desk._store._db.execute("UPDATE reference SET sealed = ?", (bytes(60),))
    else:
        rig.desk._store._db.execute("UPDATE enrolment SET consent = ?", (b"{}",))
    with pytest.raises(StoreError, match=r"stored face of 'lin' cannot be compared .*; withdraw it") as refused:
        await rig.enrol("wang")
    assert recognised(str(refused.value)) == ("uncompared", {"holder": "lin"})
    assert [e.consent.holder for e in await rig.desk.enrolments()] == ["lin"]
    await rig.enrol(again=True)
    with pytest.raises(OperationRefusedError, match="resembles"):
        await rig.enrol("wang")
    await rig.desk.withdraw("lin", "chen")
    await rig.enrol("wang")


async def test_a_key_that_the_disk_does_not_give_is_no_reason_to_withdraw(rig):
    made = await rig.enrol()
    key = rig.folder / "face-keys" / f"{made.enrolment}.key"
    key.unlink()
    key.mkdir()
    with pytest.raises(StoreError, match=r"^[^;]*cannot be read [^;]*; check the disk$"):
        await rig.enrol("wang")


async def test_a_store_that_cannot_be_read_keeps_no_erased_face_at_the_door(rig, monkeypatch):
    """Nobody counts until it can be read again; then the job hands the others on."""
    await rig.enrol()
    await rig.enrol("wang", references=(embedding(0, 1),))

    def damaged(*_):
        raise StoreError("the store of faces cannot be used")

    monkeypatch.setattr(rig.desk._store, "references", damaged)
    await rig.desk.withdraw("lin", "chen")
    assert rig.told == [1, 2, 0]
    await rig.desk.retain()
    assert rig.told == [1, 2, 0, 0]
    monkeypatch.undo()
    await rig.desk.retain()
    await rig.desk.retain()
    assert rig.told == [1, 2, 0, 0, 1]


async def test_a_changed_ledger_turns_faces_off_and_says_why(rig):
    await rig.enrol()
    await rig.desk.withdraw("lin", "chen")
    rig.desk.close()
    (rig.folder / "faces-erased.jsonl").write_text("{}\n")
    again = rig.opened()
    assert "list of erasures was changed" in again.broken
    assert (await again.gallery(MODEL)).references == ()
    with pytest.raises(StoreError, match="list of erasures"):
        await again.enrolments()


async def test_an_undone_policy_brings_no_face_back(rig):
    await rig.enrol()
    await rig.desk.withdraw("lin", "chen")
    await rig.policy.desk.undo(None, "chen")
    assert not rig.ask(FACE).granted


async def test_the_cache_of_a_door_node_holds_nothing_of_a_face(rig):
    """The same bytes before an enrolment, during it and after the withdrawal, but for the policy's number."""

    def cache() -> bytes:
        settings = NodeSettings("lobby-reader", "lobby", 5000, 15_000, 10_000, 7 * DAY)
        policy = replace(rig.policy.desk.policy, version=1)
        built = build(policy, settings, CacheKeys(bytes(16)), bytes(32), AttemptLimits(), rig.policy.clock.local())
        assert built.credentials == 2  # the cards of lin and wang
        return built.content

    before = cache()
    await rig.enrol()
    during = cache()
    await rig.desk.withdraw("lin", "chen")
    assert before == during == cache()
