"""A process's own read-only view of one folder: a user and mount namespace with a read-only bind mount, no privilege.

For the child between fork and exec (user_namespaces(7), mount_namespaces(7), mount(2)). A mount cannot become read-only
under files that are open for writing, so a running process is not moved into such a view; a starting one is.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

from runtime.errors import UserError

CLONE_NEWNS, CLONE_NEWUSER = 0x00020000, 0x10000000
MS_RDONLY, MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 0x1, 0x20, 0x1000, 0x4000, 0x40000
MS_KEPT = 0x2 | 0x4 | 0x8 | 0x400 | 0x800  # nosuid, nodev, noexec, noatime, nodiratime: a remount may not drop them
TRIAL_S = 5.0

_libc = ctypes.CDLL(None, use_errno=True)


def enter(folder: Path) -> Callable[[], None]:
    """What a child calls before exec: from then on `folder` is read-only for it and for its children."""
    uid, gid, target = os.getuid(), os.getgid(), bytes(folder)

    def view() -> None:
        _must(_libc.unshare(CLONE_NEWUSER | CLONE_NEWNS), "unshare")
        for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
            with open(f"/proc/self/{name}", "w") as file:  # noqa: PTH123  # between fork and exec: as little as possible
                file.write(text)
        _must(_libc.mount(None, b"/", None, MS_REC | MS_PRIVATE, None), "mount")
        _must(_libc.mount(target, target, None, MS_BIND, None), "mount")
        _remount(target, MS_RDONLY)

    return view


def leave(pid: int, folder: Path) -> None:
    """Make `folder` writable again for the process that began with `enter`. Raises UserError.

    A process that ends by itself meanwhile (core does not start on a read-only disk) takes its view with it.
    """
    target = bytes(folder)

    def undo() -> None:
        handles = [os.open(f"/proc/{pid}/ns/{kind}", os.O_RDONLY) for kind in ("user", "mnt")]
        for handle in handles:
            _must(_libc.setns(handle, 0), "setns")
        _remount(target, 0)

    try:
        _try(undo, f"{folder} stays read-only for process {pid}")
    except UserError:
        if not _ended(pid):
            raise


def _ended(pid: int) -> bool:
    """Whether the process is gone, or dead and not yet waited for."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()[0]
    except OSError:
        return True
    return state in "ZX"


def check(folder: Path) -> None:
    """Whether this machine allows it. Raises UserError in one sentence."""
    _try(enter(folder), "a read-only disk needs user namespaces, which this machine does not allow")


def _try(before: Callable[[], None], otherwise: str) -> None:
    try:
        subprocess.run(["/bin/true"], preexec_fn=before, check=True, timeout=TRIAL_S)
    except (OSError, subprocess.SubprocessError) as e:
        raise UserError(f"{otherwise} ({e}); allow them or leave this step out") from e


def _remount(target: bytes, read_only: int) -> None:
    kept = os.statvfs(target).f_flag & MS_KEPT
    _must(_libc.mount(None, target, None, MS_REMOUNT | MS_BIND | read_only | kept, None), "mount")


def _must(result: int, call: str) -> None:
    if result:
        number = ctypes.get_errno()
        raise OSError(number, f"{call}: {os.strerror(number)}")
