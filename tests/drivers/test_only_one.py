"""Two cores on one site's data would number events twice; the second is refused."""

import os

import pytest

from gateway.drivers.only_one import only_one
from gateway.errors import StoreError


def test_the_second_is_refused_by_name_and_the_next_may_start(tmp_path):
    with only_one(tmp_path), pytest.raises(StoreError, match=f"process {os.getpid()}"), only_one(tmp_path):
        pass
    with only_one(tmp_path):
        assert (tmp_path / "core.lock").stat().st_mode & 0o077 == 0
