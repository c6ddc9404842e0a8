"""A power cut at every write, sync, truncation and deletion of an edit: the old version is in force or the new one.

The store's own SQL runs on a SQLite whose file system notes every operation. For each point of the record, the files
that a power cut could have left there are rebuilt: what was synced is there; of what was not, nothing, everything, or a
random choice, whole or torn into sectors, or cut within a byte range. Then the store opens what is left.
"""

from __future__ import annotations

import random
import sqlite3
from pathlib import Path

import apsw
import pytest
from policy_rig import NOW_MS, PLACE, document
from test_policy_store import renamed

from gateway.store.policy_signing import PolicyKey
from gateway.store.policy_store import PolicyStore
from gateway.store.policy_versions import PolicyVersions, open_versions, prepare

KEY = PolicyKey(b"k" * 32)
SECTOR_BYTES = 512
Operation = (
    tuple  # ("write", file, offset, bytes) | ("truncate", file, size) | ("delete", file, synced) | ("sync", file)
)


class NotingFile(apsw.VFSFile):
    def __init__(self, log: list[Operation], vfs: str, name, flags) -> None:
        self.log = log
        self.label = Path(name.filename() if hasattr(name, "filename") else str(name)).name
        super().__init__(vfs, name, flags)
        log.append(("open", self.label))

    def xWrite(self, data, offset):
        self.log.append(("write", self.label, offset, bytes(data)))
        super().xWrite(data, offset)

    def xTruncate(self, size):
        self.log.append(("truncate", self.label, size))
        super().xTruncate(size)

    def xSync(self, flags):
        self.log.append(("sync", self.label))
        super().xSync(flags)


class NotingDisk(apsw.VFS):
    def __init__(self, name: str) -> None:
        self.log: list[Operation] = []
        self.label = name
        super().__init__(name, "")

    def xOpen(self, name, flags):
        return NotingFile(self.log, "", name, flags)

    def xDelete(self, name, sync_directory):
        self.log.append(("delete", Path(name).name, bool(sync_directory)))
        super().xDelete(name, sync_directory)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """The operations of a new store with two versions: (log, where version 1 was committed, where version 2 was)."""
    disk = NotingDisk("policy-power-cut")
    file = tmp_path_factory.mktemp("recorded") / "policy.sqlite"
    connection = apsw.Connection(str(file), vfs="policy-power-cut")
    prepare(connection)
    store = PolicyStore(PolicyVersions(connection, file), KEY, PLACE)
    begun = len(disk.log)
    store.commit(document(), base=None, operator="set-up", cause="import", now_ms=NOW_MS)
    first = len(disk.log)
    # Long enough to touch several pages: a short edit would be one page and prove little.
    long_name = renamed(document(), "Lin Two")
    store.commit(long_name, base=1, operator="li", cause="import", now_ms=NOW_MS)
    second = len(disk.log)
    log = list(disk.log)
    connection.close()
    disk.unregister()
    return log, begun, first, second


def left_after_cut(log: list[Operation], done: int, keep, rng: random.Random) -> dict[str, bytearray]:
    """The files after a cut when `done` operations had returned and the next was under way.

    keep(rng): whether an operation survived that was not synced. A synced deletion under way is one of those.
    """
    disk: dict[str, bytearray] = {}
    pending: list[Operation] = []

    def do(operation: Operation) -> None:
        kind, name = operation[0], operation[1]
        if kind == "delete":
            disk.pop(name, None)
            return
        content = disk.setdefault(name, bytearray())
        if kind == "write":
            offset, data = operation[2], operation[3]
            if len(content) < offset + len(data):
                content.extend(bytes(offset + len(data) - len(content)))
            content[offset : offset + len(data)] = data
        elif kind == "truncate":
            del content[operation[2] :]

    for operation in log[:done]:
        kind, name = operation[0], operation[1]
        if kind == "open":
            disk.setdefault(name, bytearray())
        elif kind == "sync" or (kind == "delete" and operation[2]):
            if kind == "delete":
                pending = [one for one in pending if one[1] != name]
                do(operation)
            else:
                for one in [one for one in pending if one[1] == name]:
                    do(one)
                pending = [one for one in pending if one[1] != name]
        else:
            pending.append(operation)
    if done < len(log) and log[done][0] in ("write", "truncate", "delete"):
        pending.append(log[done])
    for operation in pending:
        if not keep(rng):
            continue
        if operation[0] == "write" and keep is not KEEPS[1] and rng.random() < 0.5:
            for piece in torn(operation, rng):
                do(piece)
        else:
            do(operation)
    return disk


def torn(operation: Operation, rng: random.Random) -> list[Operation]:
    """A write of which only some sectors, or only the first bytes, arrived."""
    _, name, offset, data = operation
    if rng.random() < 0.5:
        return [("write", name, offset, data[: rng.randrange(len(data) + 1)])]
    return [
        ("write", name, offset + i, data[i : i + SECTOR_BYTES])
        for i in range(0, len(data), SECTOR_BYTES)
        if rng.random() < 0.5
    ]


KEEPS = [lambda rng: False, lambda rng: True] + [lambda rng: rng.random() < 0.5] * 6


def in_force_after(disk: dict[str, bytearray], folder: Path) -> int:
    for name, content in disk.items():
        (folder / name).write_bytes(content)
    versions = open_versions(folder / "policy.sqlite")
    store = PolicyStore(versions, KEY, PLACE)
    found = store.in_force.row.version if store.load() else 0
    assert sqlite3.connect(folder / "policy.sqlite").execute("PRAGMA integrity_check").fetchone() == ("ok",)
    store.close()
    return found


def test_a_cut_at_every_step_leaves_the_old_version_or_the_new_one(recorded, tmp_path):
    log, begun, first, second = recorded
    rng = random.Random(20261122)
    seen_after: dict[str, set[int]] = {"first": set(), "second": set()}
    cuts = 0
    for at in range(begun, second + 1):
        for keep in KEEPS:
            folder = tmp_path / f"cut-{cuts}"
            folder.mkdir()
            cuts += 1
            found = in_force_after(left_after_cut(log[:second], at, keep, rng), folder)
            if at >= second:
                assert found == 2, "an edit that was answered is in force"
            elif at >= first:
                assert found in (1, 2), f"cut at operation {at}: {log[at - 1][:3]}"
                seen_after["second"].add(found)
            else:
                assert found in (0, 1)
                seen_after["first"].add(found)
    assert cuts > 200
    assert seen_after == {"first": {0, 1}, "second": {1, 2}}, "the cuts lie on both sides of each commit"


def test_the_record_would_show_a_store_that_does_not_sync(recorded, tmp_path):
    """The test can fail: without the syncs, an answered edit is lost or torn."""
    log, _, _, second = recorded
    unsynced = [one for one in log[:second] if one[0] != "sync"]
    unsynced = [("delete", one[1], False) if one[0] == "delete" else one for one in unsynced]
    rng, wrong = random.Random(1), 0
    for i in range(20):
        folder = tmp_path / f"unsynced-{i}"
        folder.mkdir()
        try:
            wrong += in_force_after(left_after_cut(unsynced, len(unsynced), KEEPS[2], rng), folder) != 2
        except Exception:  # damaged in any way: exactly what must not happen with syncs
            wrong += 1
    assert wrong > 0
