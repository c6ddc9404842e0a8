"""The machine's clock: never below what is stored; uncertain when clearly behind it, not when merely nudged."""

from __future__ import annotations

import time

import pytest

from gateway.drivers.clock import EARLIEST_PLAUSIBLE_MS, SystemClock


@pytest.mark.parametrize(("ahead_ms", "certain"), [(-60_000, True), (500, True), (3_600_000, False)])
def test_a_clock_behind_the_newest_stored_time_is_uncertain(ahead_ms, certain):
    stored = time.time_ns() // 1_000_000 + ahead_ms
    clock = SystemClock("Asia/Shanghai", stored)
    assert clock.certain is certain
    assert clock.now_ms() >= stored


def test_local_time_is_the_same_instant_in_the_sites_zone():
    clock = SystemClock("Asia/Shanghai", EARLIEST_PLAUSIBLE_MS)
    local = clock.local()
    assert local.utcoffset().total_seconds() == 8 * 3600
    assert abs(local.timestamp() * 1000 - clock.now_ms()) < 5_000
