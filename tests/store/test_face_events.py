"""Every erasure of a face has one event in the journal, wherever the power went and whatever the disk refused."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pytest
from journal_rig import MoodyDisk, everything, until
from policy_rig import NOW_MS
from test_face_desk import DAY, FACES_TOO, FaceRig, embedding, faces_in

from center.contract.catalogue import FaceErased
from gateway.errors import StoreError
from gateway.store import database
from gateway.store.faces.desk import TOLD_KEY, FaceDesk
from gateway.store.journal import Journal

ONLY_WANG = FACES_TOO.replace('id = "lin"', 'id = "lin-gone"').replace('holder = "lin"', 'holder = "lin-gone"')


class Site:
    """Faces and the journal in one folder, as one gateway has them; the policy is shared by all copies of it."""

    def __init__(self, folder: Path, rig: FaceRig) -> None:
        self.folder, self.rig = folder, rig
        self.closed = False
        self.faces = folder / "faces"
        self.faces.mkdir(exist_ok=True)
        self.disk = MoodyDisk(database.open_for_writing(folder / "journal.sqlite"))
        self.journal = Journal(self.disk, rig.policy.clock, folder / "journal.sqlite")
        self.desk = self.rig.desk = FaceDesk(
            self.faces,
            rig.policy.clock,
            self.journal,
            rig.policy.desk,
            token=lambda kind, subject: subject[:16].ljust(16, "a"),
            statement="",
            accepted="",
        )

    async def close(self) -> None:
        if self.closed:
            return
        self.closed = True
        self.desk.close()
        await self.journal.close()

    async def again(self) -> Site:
        await self.close()
        return Site(self.folder, self.rig)

    async def told(self) -> list[FaceErased]:
        return [one.data for one in await everything(self.journal) if isinstance(one.data, FaceErased)]

    async def causes(self) -> list[str]:
        return [one.cause for one in await self.told()]


class Cuts:
    """A copy of the site's files before and after every step of what is watched: what a kill leaves there."""

    def __init__(self, site: Site, folder: Path) -> None:
        self._site, self._folder = site, folder
        self.copies: list[tuple[str, Path]] = []
        store, keys = site.desk._store, site.desk._store._keys
        for part, name in (
            (keys, "_sync"),
            (keys, "_overwrite"),
            (store._ledger, "add"),
            (store, "_remove"),
            (store, "_end_replaced"),
            (store, "_note_newest"),
            (store, "note_told"),
            (site.journal._rows, "commit"),
        ):
            self._watch(part, name)

    def _watch(self, part: object, name: str) -> None:
        real = getattr(part, name)

        def watched(*values, **more):
            self._copy(f"before {name}")
            result = real(*values, **more)
            self._copy(f"after {name}")
            return result

        setattr(part, name, watched)

    def _copy(self, when: str) -> None:
        to, origin = self._folder / str(len(self.copies)), self._site.folder
        (to / "faces" / "face-keys").mkdir(parents=True)
        for file in (*origin.glob("journal.sqlite*"), *(origin / "faces").rglob("*")):
            if file.is_file() and not file.name.endswith("-shm"):
                shutil.copy(file, to / file.relative_to(origin))
        self.copies.append((when, to))


@pytest.fixture
async def rig(tmp_path):
    made = FaceRig(tmp_path)
    await made.policy.desk.replace(made.policy.upload(FACES_TOO), None, "chen")
    made.desk.close()
    return made


@pytest.fixture
async def site(tmp_path, rig):
    made = Site(tmp_path, rig)
    yield made
    await made.close()


async def withdraw(site: Site) -> None:
    await site.desk.withdraw("lin", "chen")


async def enrol_again(site: Site) -> None:
    await site.rig.enrol(references=(embedding(0, 1),), again=True)


async def expire(site: Site) -> None:
    site.rig.policy.clock.days_later = 91
    await site.desk.retain()


async def leave(site: Site) -> None:
    await site.rig.policy.desk.replace(site.rig.policy.upload(ONLY_WANG), None, "chen")
    await site.desk.retain()


@pytest.mark.parametrize(
    ("erase", "causes"),
    [
        (withdraw, {"withdrawn", "interrupted"}),
        (enrol_again, {"replaced", "incomplete"}),
        (expire, {"expired", "interrupted"}),
        (leave, {"holder-removed", "interrupted"}),
    ],
)
async def test_an_erasure_has_one_event_wherever_the_power_went(site, rig, tmp_path, erase, causes):
    made = await rig.enrol()
    cuts = Cuts(site, tmp_path / "cuts")
    await erase(site)
    assert len(cuts.copies) >= 10
    for when, folder in cuts.copies:
        key = folder / "faces" / "face-keys" / f"{made.enrolment}.key"
        begun = not key.exists()
        after = Site(folder, rig)
        await after.desk.retain()
        erased = [r.enrolment for r in after.desk.receipts]
        assert len(erased) == len(set(erased)), f"{when}: two receipts of one erasure"
        assert not begun or made.enrolment in erased, f"{when}: an erasure without a receipt"
        assert {r.cause for r in after.desk.receipts} <= causes, when
        for _ in range(2):
            assert await after.causes() == [r.cause for r in after.desk.receipts], f"{when}: events beside receipts"
            after = await after.again()
            await after.desk.retain()
        await after.close()


async def test_who_asked_is_in_the_event_of_that_erasure_alone(site, rig):
    """Also where the journal refused at first; what the program ends by itself was asked for by nobody."""
    await rig.enrol()
    await rig.enrol("wang", references=(embedding(0, 1),))
    site.disk.refuses = sqlite3.SQLITE_FULL
    rig.desk._store.withdraw("wang", NOW_MS)
    await site.desk.withdraw("lin", "chen")  # erased, whatever the journal says
    assert [r.cause for r in site.desk.receipts] == ["withdrawn", "withdrawn"]
    site.disk.refuses = None
    site.journal._healing.begin()
    await until(lambda: site.journal.ok, "the journal is well again")
    assert await site.told() == []
    await site.desk.retain()
    assert [(one.cause, one.operator) for one in await site.told()] == [
        ("withdrawn", None),
        ("withdrawn", "chenaaaaaaaaaaaa"),
    ]
    await site.desk.retain()
    assert len(await site.told()) == 2


async def test_an_event_that_only_memory_had_is_not_taken_for_told(site, rig):
    """The disk is full until the end of the process: the next one tells it."""
    await rig.enrol()
    site.disk.refuses = sqlite3.SQLITE_FULL
    await site.desk.withdraw("lin", "chen")
    site.disk.refuses = None
    site.disk.close()  # killed: nothing is written any more
    site.desk.close()
    site.closed = True
    after = Site(site.folder, rig)
    await after.desk.retain()
    assert await after.causes() == ["withdrawn"]
    await after.close()


async def test_a_commit_that_stalls_and_ends_well_is_not_told_twice(site, rig):
    await rig.enrol()
    site.disk.answers.clear()
    await site.desk.withdraw("lin", "chen")  # given up after a second
    assert not site.journal.ok
    await site.desk.retain()  # refused at once: it stalls still
    site.disk.answers.set()
    await until(lambda: site.journal.ok, "the journal is well again")
    await site.desk.retain()
    assert await site.causes() == ["withdrawn"]


async def test_a_note_that_was_never_written_tells_nothing_twice(site, rig):
    """The power went after the event: the journal knows what the store of faces does not."""
    await rig.enrol()
    await site.desk.withdraw("lin", "chen")
    site.desk._store._db.execute("UPDATE newest_erasure SET told = 0")
    after = await site.again()
    await after.desk.retain()
    assert await after.causes() == ["withdrawn"]
    await after.close()


async def test_a_note_that_the_disk_refuses_tells_nothing_twice(site, rig):
    """The store of faces is full, the journal is not; the withdrawal was answered all the same."""
    await rig.enrol()
    database_of_faces = site.desk._store._db
    site.desk._store._ledger.add("ef" * 16, NOW_MS, "withdrawn", 0, key_destroyed=True)
    database_of_faces.execute("PRAGMA query_only=ON")
    await site.desk._tell()
    await site.desk._tell()
    assert database_of_faces.execute("SELECT told FROM newest_erasure").fetchone() == (0,)
    after = await site.again()
    await after.desk.retain()
    assert await after.causes() == ["withdrawn"]
    await after.close()


async def test_a_folder_of_the_release_before_floods_nobody(site, rig):
    """Its erasures count as told, but not those that are ended while it is opened for the first time."""
    for _ in range(3):
        await rig.enrol()
        rig.desk._store.withdraw("lin", NOW_MS)
    await rig.enrol()
    rig.desk._store._keys.destroy(rig.desk._store._of("lin"))
    for change in ("ALTER TABLE newest_erasure DROP COLUMN told", "DROP TABLE ending", "PRAGMA user_version=2"):
        rig.desk._store._db.execute(change)
    await site.journal.keep(TOLD_KEY, None)
    before = await site.causes()
    after = await site.again()
    killed = await after.again()  # before anything was told
    await killed.desk.retain()
    assert len(killed.desk.receipts) == 4
    assert await killed.causes() == [*before, "interrupted"]
    await killed.close()


def stuck_key(store, monkeypatch, *stuck: str) -> None:
    """The disk refuses to destroy the keys of these enrolments."""
    real = store._keys.destroy

    def destroy(enrolment):
        if enrolment in stuck:
            raise store._keys._undestroyed(OSError(5, "Input/output error"))
        real(enrolment)

    monkeypatch.setattr(store._keys, "destroy", destroy)


async def test_a_replaced_key_that_cannot_be_destroyed_holds_up_no_other(site, rig, monkeypatch):
    """Neither another replaced one nor one whose consent ended."""
    await rig.enrol()
    await rig.enrol("wang", references=(embedding(0, 1),))
    store = site.desk._store
    monkeypatch.setattr(store, "_end_replaced", lambda now_ms: [])
    await rig.enrol(references=(embedding(0, 0, 1),), again=True)
    await rig.enrol("wang", references=(embedding(0, 0, 0, 1),), until_ms=NOW_MS + DAY, again=True)
    monkeypatch.undo()
    (first,), (second,) = store._db.execute("SELECT enrolment FROM ending ORDER BY rowid").fetchall()
    stuck_key(store, monkeypatch, first)
    rig.policy.clock.days_later = 1
    with pytest.raises(StoreError, match="cannot be destroyed"):
        await site.desk.retain()
    assert [(r.enrolment, r.cause) for r in site.desk.receipts][:1] == [(second, "replaced")]
    assert await site.causes() == ["replaced", "expired"]
    monkeypatch.undo()
    await site.desk.retain()
    assert await site.causes() == ["replaced", "expired", "replaced"]


async def test_who_enrolled_again_asked_for_no_other_erasure(site, rig, monkeypatch):
    """Another holder's replaced key goes in the same moment: its event names who replaced that one."""
    first = await rig.enrol()
    await rig.enrol("wang", references=(embedding(0, 1),))
    stuck_key(site.desk._store, monkeypatch, first.enrolment)
    await rig.enrol(references=(embedding(0, 0, 1),), again=True, operator="first")
    monkeypatch.undo()
    await rig.enrol("wang", references=(embedding(0, 0, 0, 1),), again=True, operator="second")
    told = {r.enrolment: one for r, one in zip(site.desk.receipts, await site.told(), strict=True)}
    assert {one.operator for one in told.values()} == {"firstaaaaaaaaaaa", "secondaaaaaaaaaa"}
    assert told[first.enrolment].operator == "firstaaaaaaaaaaa"
    assert site.desk._asked_by == {}


@pytest.mark.parametrize(
    ("part", "cause"), [("_remove", "withdrawn"), ("_note_newest", "withdrawn"), ("add", "interrupted")]
)
async def test_who_asked_is_known_where_the_disk_refused_half_way(site, rig, monkeypatch, part, cause):
    await rig.enrol()
    store = site.desk._store

    def full(*_, **__):
        raise StoreError("the store of faces cannot be written")

    monkeypatch.setattr(store._ledger if part == "add" else store, part, full)
    with pytest.raises(StoreError):
        await site.desk.withdraw("lin", "chen")
    monkeypatch.undo()
    await site.desk.retain()
    assert [(one.cause, one.operator) for one in await site.told()] == [(cause, "chenaaaaaaaaaaaa")]


async def test_who_asked_in_vain_did_not_ask_for_what_ended_by_itself(site, rig, monkeypatch):
    made = await rig.enrol(until_ms=NOW_MS + DAY)
    stuck_key(site.desk._store, monkeypatch, made.enrolment)
    with pytest.raises(StoreError):
        await site.desk.withdraw("lin", "chen")
    monkeypatch.undo()
    rig.policy.clock.days_later = 1
    await site.desk.retain()
    assert [(one.cause, one.operator) for one in await site.told()] == [("expired", None)]


@pytest.mark.parametrize("lost", ["journal", "store", "note", "both"])
async def test_what_was_told_is_known_where_one_of_the_files_was_lost(site, rig, lost):
    """Told: two of three. Where both are gone nobody knows, and no flood follows."""
    for _ in range(2):
        await rig.enrol()
        await site.desk.withdraw("lin", "chen")
    await rig.enrol()
    site.desk._store.withdraw("lin", NOW_MS)  # and the power goes
    if lost == "note":
        await site.journal.keep(TOLD_KEY, "damaged")
    await site.close()
    if lost in ("journal", "both"):
        for file in site.folder.glob("journal.sqlite*"):
            file.unlink()
    if lost in ("store", "both"):
        for file in site.faces.glob("faces.sqlite*"):
            file.unlink()
    after = Site(site.folder, rig)
    assert after.desk.broken == ""
    await after.desk.retain()
    known = 0 if lost == "both" else 1
    before = 0 if lost in ("journal", "both") else 2
    assert len(await after.told()) == before + known
    await after.close()


async def test_faces_put_back_from_an_older_backup_have_their_events(site, rig, tmp_path):
    """The journal speaks of a list that is not this one: its number counts nothing."""
    await rig.enrol()
    await site.desk.withdraw("lin", "chen")
    site = await site.again()
    shutil.copytree(site.faces, tmp_path / "backup", ignore=shutil.ignore_patterns("*-shm"))
    for _ in range(3):
        await rig.enrol()
        await site.desk.withdraw("lin", "chen")
    site.desk.close()
    shutil.rmtree(site.faces)
    shutil.copytree(tmp_path / "backup", site.faces)
    after = await site.again()
    await rig.enrol()
    after.desk._store.withdraw("lin", NOW_MS + 1)
    after = await after.again()
    await after.desk.retain()
    assert len(after.desk.receipts) == 2
    assert len(await after.told()) == 5
    await after.close()


async def test_many_erasures_at_once_are_told_in_portions(site, rig):
    ledger = site.desk._store._ledger
    for number in range(250):
        ledger.add(f"{number:032x}", NOW_MS, "holder-removed", 1, key_destroyed=True)
    commits, real = [], site.journal.record

    async def record(entries, **more):
        commits.append(len(entries))
        await real(entries, **more)

    site.journal.record = record
    await site.desk.retain()
    assert commits == [100, 100, 50]
    assert len(await site.told()) == 250


async def test_one_face_that_cannot_be_erased_holds_up_no_other(site, rig, monkeypatch):
    """The others are erased, gone from the door and told."""
    await rig.enrol(until_ms=NOW_MS + DAY)
    await rig.enrol("wang", references=(embedding(0, 1),), until_ms=NOW_MS + DAY)
    store, seen = site.desk._store, []

    async def changed():
        seen.append(1)

    site.desk.gallery_changed = changed
    stuck_key(store, monkeypatch, store._of("lin"))
    rig.policy.clock.days_later = 1
    with pytest.raises(StoreError, match="cannot be destroyed"):
        await site.desk.retain()
    assert [e.consent.holder for e in await site.desk.enrolments()] == ["lin"]
    assert seen == [1]
    assert await site.causes() == ["expired"]
    assert faces_in(rig) == ["lin"]  # the policy does not name the other one any more
