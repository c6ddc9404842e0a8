"""Two cores on one site's data would number events twice; the second is refused."""

import errno
import os

import pytest

from gateway.drivers.only_one import only_one
from gateway.errors import StoreError


def test_the_second_is_refused_by_name_and_the_next_may_start(tmp_path):
    with only_one(tmp_path), pytest.raises(StoreError, match=f"process {os.getpid()}"), only_one(tmp_path):
        pass
    with only_one(tmp_path):
        assert (tmp_path / "core.lock").stat().st_mode & 0o077 == 0


def test_a_core_on_a_read_only_disk_still_starts_and_is_still_alone(tmp_path, monkeypatch):
    with only_one(tmp_path):
        pass
    really = os.open

    def on_a_read_only_disk(path, flags, *mode):  # what the kernel answers; as root, permissions would not do
        if flags & os.O_RDWR:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        return really(path, flags, *mode)

    monkeypatch.setattr(os, "open", on_a_read_only_disk)
    with only_one(tmp_path), pytest.raises(StoreError, match="another core"), only_one(tmp_path):
        pass
