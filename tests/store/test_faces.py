"""Faces at rest: consent first, sealed under keys of their own, and gone when they are erased."""

import os
import shutil
import struct
from pathlib import Path

import pytest

from gateway.errors import OperationRefusedError, StoreError
from gateway.store.faces.consent import Consent, encode
from gateway.store.faces.keys import EnrolmentKeys
from gateway.store.faces.store import FaceStore

DAY = 86_400_000
NOW = 1_790_000_000_000
MODEL = "ab" * 32


def consent(holder="li-wei", **changes):
    values = {
        "portals": ("lobby",), "asked_by": "desk-1", "other_way": "card", "given_ms": NOW, "until_ms": NOW + 90 * DAY,
    }  # fmt: skip
    return Consent(holder, **(values | changes))


def embedding(seed):
    return struct.pack("<192f", *((seed * 7919 + i) % 1000 / 1000 for i in range(192)))


@pytest.fixture
def store(tmp_path):
    opened = FaceStore(tmp_path, NOW)
    yield opened
    opened.close()


def holds(folder, needle):
    """Every file under the folder that contains these bytes."""
    return [p.name for p in folder.rglob("*") if p.is_file() and needle in p.read_bytes()]


def test_a_reference_comes_back_and_lies_on_the_disk_only_sealed(store, tmp_path):
    store.enrol(consent(), [embedding(1), embedding(2)], MODEL, NOW)
    gallery = list(store.references(MODEL, NOW))
    assert [g.embedding for g in gallery] == [embedding(1), embedding(2)]
    assert {(g.holder, g.portals) for g in gallery} == {("li-wei", ("lobby",))}
    assert not holds(tmp_path, embedding(1)[:32])


def test_keys_are_one_a_holder_and_readable_by_nobody_else(store, tmp_path):
    for holder in ("li-wei", "zhang-min"):
        store.enrol(consent(holder), [embedding(1)], MODEL, NOW)
    keys = sorted((tmp_path / "face-keys").iterdir())
    assert len({k.read_bytes() for k in keys}) == len(keys) == 2
    assert {k.stat().st_mode & 0o777 for k in keys} == {0o600}
    assert (tmp_path / "face-keys").stat().st_mode & 0o777 == 0o700


def test_withdrawal_erases_everywhere_with_a_receipt(store, tmp_path):
    made = store.enrol(consent(), [embedding(1), embedding(2)], MODEL, NOW)
    key = next((tmp_path / "face-keys").iterdir()).read_bytes()
    sealed = store._db.execute("SELECT sealed FROM reference").fetchall()
    receipt = store.withdraw("li-wei", NOW + DAY)
    assert (receipt.enrolment, receipt.cause, receipt.references, receipt.key_destroyed) == (
        made.enrolment, "withdrawn", 2, True,
    )  # fmt: skip
    assert store.count == 0
    assert not list(store.references(MODEL, NOW))
    for needle in (key, b"li-wei", *(s for (s,) in sealed)):
        assert holds(tmp_path, needle) == []
    with pytest.raises(OperationRefusedError, match="nothing to erase"):
        store.withdraw("li-wei", NOW + DAY)


def test_a_store_put_back_from_a_backup_brings_nobody_back(store, tmp_path):
    store.enrol(consent(), [embedding(1)], MODEL, NOW)
    store._truncate()
    backup = tmp_path / "backup"
    backup.mkdir()
    shutil.copy(tmp_path / "faces.sqlite", backup)
    shutil.copytree(tmp_path / "face-keys", backup / "face-keys")
    store.withdraw("li-wei", NOW)
    store.close()
    (tmp_path / "faces.sqlite").unlink()
    shutil.copy(backup / "faces.sqlite", tmp_path)
    shutil.copytree(backup / "face-keys", tmp_path / "face-keys", dirs_exist_ok=True)
    shutil.rmtree(backup)
    again = FaceStore(tmp_path, NOW + DAY)
    assert (again.count, [r.cause for r in again.receipts]) == (0, ["withdrawn", "restored"])
    assert not list((tmp_path / "face-keys").iterdir())
    assert holds(tmp_path, b"li-wei") == []
    again.close()


def test_consent_that_ends_is_erased_by_the_job_with_proof(store):
    store.enrol(consent(until_ms=NOW + DAY), [embedding(1)], MODEL, NOW)
    store.enrol(consent("zhang-min"), [embedding(2)], MODEL, NOW)
    assert [g.holder for g in store.references(MODEL, NOW + DAY)] == ["zhang-min"]  # also before the job has run
    assert [r.cause for r in store.expire(NOW + DAY)] == ["expired"]
    assert [r.cause for r in store.expire(NOW + DAY, holders=frozenset())] == ["holder-removed"]
    assert store.expire(NOW + DAY, holders=frozenset()) == []
    assert store.count == 0


def test_enrolling_again_replaces_and_the_old_key_is_destroyed(store, tmp_path):
    first = store.enrol(consent(), [embedding(1)], MODEL, NOW)
    old = next((tmp_path / "face-keys").iterdir()).read_bytes()
    store.enrol(consent(), [embedding(2)], MODEL, NOW + 1)
    assert [g.embedding for g in store.references(MODEL, NOW + 1)] == [embedding(2)]
    assert [(r.enrolment, r.cause) for r in store.receipts] == [(first.enrolment, "replaced")]
    assert holds(tmp_path, old) == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"asked_by": " "}, "asked_by"),
        ({"other_way": ""}, "other_way"),
        ({"portals": ()}, "at least one portal"),
        ({"below_14": True}, "guardian"),
        ({"until_ms": NOW - 1}, "ended"),
        ({"until_ms": NOW + 800 * DAY}, "at most 366 days"),
        ({"guardian": "x" * 121}, "guardian"),
    ],
)
def test_consent_that_lacks_something_stores_nothing(store, tmp_path, changes, said):
    with pytest.raises(OperationRefusedError, match=said):
        store.enrol(consent(**changes), [embedding(1)], MODEL, NOW)
    assert store.count == 0
    assert not list((tmp_path / "face-keys").iterdir())


def test_a_child_is_enrolled_with_a_named_guardian(store):
    assert store.enrol(consent(below_14=True, guardian="Wang Fang"), [embedding(1)], MODEL, NOW).references == 1


@pytest.mark.parametrize("references", [[], [b""], [b"abc"], [bytes(9000)], [bytes(768)] * 9])
def test_references_that_are_none_are_refused(store, references):
    with pytest.raises(OperationRefusedError):
        store.enrol(consent(), references, MODEL, NOW)


def test_another_model_sees_no_references_and_a_moved_reference_does_not_open(store):
    store.enrol(consent(), [embedding(1)], MODEL, NOW)
    store.enrol(consent("zhang-min"), [embedding(2)], MODEL, NOW)
    assert not list(store.references("cd" * 32, NOW))
    (mine,), (theirs,) = store._db.execute("SELECT enrolment FROM enrolment ORDER BY holder")
    store._db.execute("UPDATE reference SET enrolment = ? WHERE enrolment = ?", (mine, theirs))
    assert [g.embedding for g in store.references(MODEL, NOW)] == [embedding(1)]  # and the others still do


def test_what_a_power_cut_left_is_finished_at_the_next_open(store, tmp_path):
    store.enrol(consent(), [embedding(1)], MODEL, NOW)
    store.enrol(consent("zhang-min"), [embedding(2)], MODEL, NOW)
    gone = store._of("li-wei")
    store._keys.destroy(gone)  # the cut came right after the key's end
    store._keys.make("ef" * 16)  # and another one before an enrolment was written
    store.close()
    with (tmp_path / "faces-erased.jsonl").open("ab") as ledger:
        ledger.write(b'{"number":1,"enrolm')  # torn
    again = FaceStore(tmp_path, NOW + 5)
    assert [e.consent.holder for e in again.enrolments()] == ["zhang-min"]
    assert {(r.enrolment, r.cause) for r in again.receipts} == {(gone, "interrupted"), ("ef" * 16, "incomplete")}
    assert len(list(again.references(MODEL, NOW + 5))) == 1
    again.close()
    FaceStore(tmp_path, NOW + 6).close()


def test_a_ledger_that_was_changed_is_noticed(store, tmp_path):
    for n in range(3):
        store.enrol(consent(), [embedding(n)], MODEL, NOW + n)
    store.close()
    file = tmp_path / "faces-erased.jsonl"
    whole = file.read_bytes()
    lines = whole.splitlines(keepends=True)
    for changed in (b"".join(lines[1:]), whole.replace(b'"replaced"', b'"withdrawn"', 1), b"{}\n" + whole):
        file.write_bytes(changed)
        with pytest.raises(StoreError, match="line 1"):
            FaceStore(tmp_path, NOW)


def test_a_list_of_erasures_that_lost_its_end_is_noticed(store, tmp_path):
    """Cut back, emptied or put back from a backup alone, it would let an erased face return."""
    for n in range(3):
        store.enrol(consent(), [embedding(n)], MODEL, NOW + n)
    store.withdraw("li-wei", NOW + 3)
    store.close()
    file = tmp_path / "faces-erased.jsonl"
    lines = file.read_bytes().splitlines(keepends=True)
    for kept in (lines[:-1], []):
        file.write_bytes(b"".join(kept))
        with pytest.raises(StoreError, match="knows of 3 erasures"):
            FaceStore(tmp_path, NOW + 4)
    file.unlink()
    with pytest.raises(StoreError, match="put back"):
        FaceStore(tmp_path, NOW + 4)
    file.write_bytes(b"".join(lines))
    FaceStore(tmp_path, NOW + 4).close()


def test_the_oldest_backup_of_all_brings_nobody_back(store, tmp_path):
    """Taken before the first erasure, with keys, put back after several: only the list of erasures is new."""
    store.enrol(consent(), [embedding(1)], MODEL, NOW)
    store.enrol(consent("zhang-min"), [embedding(2)], MODEL, NOW)
    store._truncate()
    backup = tmp_path / "backup"
    shutil.copytree(tmp_path, backup, ignore=shutil.ignore_patterns("backup", "*-wal", "*-shm"))
    store.withdraw("li-wei", NOW + 1)
    store.enrol(consent(), [embedding(3)], MODEL, NOW + 2)
    store.withdraw("li-wei", NOW + 3)
    store.expire(NOW + 400 * DAY)
    store.close()
    shutil.copy(backup / "faces.sqlite", tmp_path)
    shutil.copytree(backup / "face-keys", tmp_path / "face-keys", dirs_exist_ok=True)
    shutil.rmtree(backup)
    again = FaceStore(tmp_path, NOW + 5)
    assert again.count == 0
    assert [r.cause for r in again.receipts[-2:]] == ["restored", "restored"]
    assert holds(tmp_path, b"li-wei") == holds(tmp_path, b"zhang-min") == []
    again.close()


class CutError(Exception):
    """The power went."""


@pytest.mark.parametrize("step", range(5))
def test_an_erasure_is_finished_wherever_the_power_went(tmp_path, step):
    """Five places: the key without its name, overwritten, gone; the line written; the rows deleted."""
    store = FaceStore(tmp_path, NOW)
    store.enrol(consent(), [embedding(1)], MODEL, NOW)
    store.enrol(consent("zhang-min"), [embedding(2)], MODEL, NOW)
    mine = store._of("li-wei")
    key = (tmp_path / "face-keys" / f"{mine}.key").read_bytes()
    sealed = store._db.execute("SELECT sealed FROM reference WHERE enrolment = ?", (mine,)).fetchone()[0]

    def cut(*_, **__):
        raise CutError

    place = (
        (store._keys, "_sync"),
        (store._keys, "_overwrite"),
        (store._ledger, "add"),
        (store, "_remove"),
        (store, "_note_newest"),
    )[step]
    setattr(*place, cut)
    with pytest.raises(CutError):
        store.withdraw("li-wei", NOW + DAY)
    store.close()
    again = FaceStore(tmp_path, NOW + 2 * DAY)
    assert [e.consent.holder for e in again.enrolments()] == ["zhang-min"]
    assert [g.holder for g in again.references(MODEL, NOW)] == ["zhang-min"]
    assert [r.enrolment for r in again.receipts] == [mine]
    for needle in (key, sealed, b"li-wei"):
        assert holds(tmp_path, needle) == []
    assert {p.suffix for p in (tmp_path / "face-keys").iterdir()} == {".key"}
    again.close()


def test_an_erasure_that_the_disk_refused_counts_at_once_and_is_finished_by_the_job(store, tmp_path):
    """The key goes first: whatever fails after that, the face opens nothing, and everybody else's still does."""
    store.enrol(consent(), [embedding(1)], MODEL, NOW)
    store.enrol(consent("zhang-min"), [embedding(2)], MODEL, NOW)
    ledger = tmp_path / "faces-erased.jsonl"
    ledger.mkdir()
    with pytest.raises(StoreError, match="cannot be written down"):
        store.withdraw("li-wei", NOW)
    assert [g.holder for g in store.references(MODEL, NOW)] == ["zhang-min"]
    ledger.rmdir()
    assert [r.cause for r in store.expire(NOW)] == ["interrupted"]
    assert [e.consent.holder for e in store.enrolments()] == ["zhang-min"]


@pytest.mark.parametrize("written", [0, 20, None])
def test_a_line_that_the_disk_refused_in_its_midst_damages_no_list(store, tmp_path, monkeypatch, written):
    """Nothing, a part or all of it had reached the file: the list stays whole, and faces stay on."""
    for holder in ("li-wei", "zhang-min", "wang-fang"):
        store.enrol(consent(holder), [embedding(1)], MODEL, NOW)
    store.withdraw("wang-fang", NOW)
    ledger = tmp_path / "faces-erased.jsonl"
    whole = ledger.stat().st_size

    def full(descriptor):
        if os.path.sameopenfile(descriptor, ours.fileno()):
            os.ftruncate(descriptor, os.fstat(descriptor).st_size if written is None else whole + written)
            raise OSError(28, "No space left on device")
        real(descriptor)

    real = os.fsync
    with ledger.open() as ours:
        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(StoreError, match="cannot be written down"):
            store.withdraw("li-wei", NOW)
        monkeypatch.undo()
    assert [r.cause for r in store.expire(NOW)] == ["interrupted"]
    store.withdraw("zhang-min", NOW)
    store.close()
    again = FaceStore(tmp_path, NOW)
    assert [r.cause for r in again.receipts] == ["withdrawn", "interrupted", "withdrawn"]
    again.close()


def test_rows_that_the_disk_kept_are_removed_later_without_a_second_receipt(store, monkeypatch):
    store.enrol(consent(), [embedding(1)], MODEL, NOW)

    def full(enrolment):
        raise StoreError("the disk is full")

    monkeypatch.setattr(store, "_remove", full)
    with pytest.raises(StoreError):
        store.withdraw("li-wei", NOW)
    monkeypatch.undo()
    store.expire(NOW)
    assert (store.count, [r.cause for r in store.receipts]) == (0, ["withdrawn"])


def test_a_replacement_holds_where_the_earlier_key_cannot_be_destroyed_yet(store, tmp_path, monkeypatch):
    first = store.enrol(consent(), [embedding(1)], MODEL, NOW)

    def refuse(enrolment):
        raise StoreError("a face key cannot be destroyed")

    monkeypatch.setattr(store._keys, "destroy", refuse)
    store.enrol(consent(), [embedding(2), embedding(3)], MODEL, NOW)
    monkeypatch.undo()
    assert [g.embedding for g in store.references(MODEL, NOW)] == [embedding(2), embedding(3)]
    assert store.receipts == ()
    (receipt,) = store.expire(NOW)
    assert (receipt.enrolment, receipt.cause, receipt.references) == (first.enrolment, "replaced", 1)
    assert not (tmp_path / "face-keys" / f"{first.enrolment}.key").exists()
    assert store.expire(NOW) == []


def test_a_damaged_store_is_a_sentence_and_no_end_of_core(store, tmp_path):
    """Core knows StoreError, and turns faces off; anything else would end it, and the doors with it."""
    store.enrol(consent(), [embedding(1)], MODEL, NOW)
    for table in ("reference", "enrolment"):
        store._db.execute(f"DROP TABLE {table}")
    for use in (
        store.enrolments,
        lambda: store.expire(NOW),
        lambda: list(store.references(MODEL, NOW)),
        lambda: store.withdraw("li-wei", NOW),
        lambda: store.enrol(consent(), [embedding(1)], MODEL, NOW),
    ):
        with pytest.raises(StoreError, match="store of faces"):
            use()
    store.close()
    with pytest.raises(StoreError, match="store of faces"):
        FaceStore(tmp_path, NOW)


def test_a_damaged_note_of_the_newest_erasure_is_a_sentence_and_no_end_of_core(store, tmp_path):
    store._db.execute("DELETE FROM newest_erasure")
    store.close()
    with pytest.raises(StoreError, match="its note of the newest erasure is missing"):
        FaceStore(tmp_path, NOW)


@pytest.mark.parametrize("damaged", [b'{"hol', b'{"holder":"li-wei"}', b'{"holder":"\xff"}', b"\0", "zhang-min's"])
def test_a_damaged_consent_costs_only_its_holder(store, tmp_path, damaged):
    """It counts nowhere, stands in the list and can be withdrawn."""
    store.enrol(consent(), [embedding(1)], MODEL, NOW)
    store.enrol(consent("zhang-min"), [embedding(2)], MODEL, NOW)
    packed = encode(consent("zhang-min")) if damaged == "zhang-min's" else damaged
    store._db.execute("UPDATE enrolment SET consent = ? WHERE holder = 'li-wei'", (packed,))
    assert [g.holder for g in store.references(MODEL, NOW)] == ["zhang-min"]
    mine, theirs = store.enrolments()
    assert (mine.consent.holder, mine.consent.portals, mine.references) == ("li-wei", (), 1)
    assert theirs.consent == consent("zhang-min")
    assert store.expire(NOW) == []
    store.close()
    again = FaceStore(tmp_path, NOW)
    assert again.withdraw("li-wei", NOW).key_destroyed
    assert [e.consent.holder for e in again.enrolments()] == ["zhang-min"]
    again.close()


def test_an_enrolment_whose_number_is_damaged_costs_only_its_holder(store):
    store.enrol(consent(), [embedding(1)], MODEL, NOW)
    store.enrol(consent("zhang-min", until_ms=NOW + DAY), [embedding(2)], MODEL, NOW)
    store._db.execute("PRAGMA foreign_keys=OFF")
    number = store._of("li-wei")
    for table in ("enrolment", "reference"):
        store._db.execute(f"UPDATE {table} SET enrolment = 'damaged' WHERE enrolment = ?", (number,))
    assert [g.holder for g in store.references(MODEL, NOW)] == ["zhang-min"]
    with pytest.raises(StoreError, match="not named by 32 hex digits"):
        store.expire(NOW + DAY)
    assert [r.cause for r in store.receipts] == ["expired"]


@pytest.mark.parametrize("refused", ["rename", "overwrite"])
def test_replaced_keys_that_cannot_be_destroyed_turn_no_faces_off(store, tmp_path, monkeypatch, refused):
    """Neither at the start nor for the one replaced after them."""
    old = [store.enrol(consent(holder), [embedding(1)], MODEL, NOW).enrolment for holder in ("li-wei", "zhang-min")]

    def refuse(*_):
        raise OSError(5, "Input/output error")

    real, overwrite = Path.rename, EnrolmentKeys._overwrite
    if refused == "rename":
        monkeypatch.setattr(Path, "rename", lambda path, to: refuse() if path.stem in old else real(path, to))
    else:
        monkeypatch.setattr(
            EnrolmentKeys, "_overwrite", lambda keys, going: refuse() if going.stem in old else overwrite(keys, going)
        )
    for holder in ("li-wei", "zhang-min"):
        store.enrol(consent(holder), [embedding(2)], MODEL, NOW)
    store.close()
    again = FaceStore(tmp_path, NOW)
    assert [g.holder for g in again.references(MODEL, NOW)] == ["li-wei", "zhang-min"]
    assert again.receipts == ()
    monkeypatch.undo()
    assert [(r.enrolment, r.cause) for r in again.expire(NOW)] == [(one, "replaced") for one in old]
    assert len(list((tmp_path / "face-keys").iterdir())) == 2
    again.close()


def test_a_folder_of_keys_that_cannot_be_looked_at_is_a_sentence(store, tmp_path, monkeypatch):
    store.enrol(consent(), [embedding(1)], MODEL, NOW)
    monkeypatch.setattr(
        store._keys, "_folder", tmp_path / ("x" * 300)
    )  # every look into it fails: the name is too long
    with pytest.raises(StoreError, match="store of faces"):
        store.expire(NOW)
    assert list(store.references(MODEL, NOW)) == []


def test_a_key_that_lost_its_name_before_the_disk_refused_is_overwritten_by_the_job(store, tmp_path, monkeypatch):
    store.enrol(consent(), [embedding(1)], MODEL, NOW)

    def refuse(going):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(store._keys, "_overwrite", refuse)
    with pytest.raises(StoreError, match="cannot be destroyed"):
        store.withdraw("li-wei", NOW)
    monkeypatch.undo()
    assert [p.suffix for p in (tmp_path / "face-keys").iterdir()] == [".going"]
    assert [r.cause for r in store.expire(NOW)] == ["interrupted"]
    assert list((tmp_path / "face-keys").iterdir()) == []


def test_a_replaced_enrolment_whose_key_was_half_destroyed_gets_its_receipt(store, tmp_path):
    """The rows are gone with the new enrolment; the power goes after the old key has lost its name."""
    store.enrol(consent(), [embedding(1)], MODEL, NOW)
    earlier = store._of("li-wei")
    with store._db:
        store._delete(earlier)
    key = tmp_path / "face-keys" / f"{earlier}.key"
    key.rename(key.with_suffix(".going"))
    store.close()
    again = FaceStore(tmp_path, NOW + 5)
    assert [(r.enrolment, r.cause, r.key_destroyed) for r in again.receipts] == [(earlier, "incomplete", True)]
    assert list((tmp_path / "face-keys").iterdir()) == []
    again.close()


def test_a_store_of_the_release_before_is_read(tmp_path):
    old = FaceStore(tmp_path, NOW)
    old.enrol(consent(), [embedding(1)], MODEL, NOW)
    old.withdraw("li-wei", NOW)
    old._db.execute("DROP TABLE newest_erasure")
    old._db.execute("DROP TABLE ending")
    old._db.execute("PRAGMA user_version=1")
    old.close()
    again = FaceStore(tmp_path, NOW)
    assert again._db.execute("SELECT number FROM newest_erasure").fetchone() == (1,)
    again.close()
