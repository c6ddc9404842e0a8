"""The machine's clock: never below what is stored, believed only where that is justified (docs/time.md)."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.drivers import kernel_time
from gateway.drivers.certainty import DOUBT_MS, HOLDOVER_MS, Anchor, Certainty, Reading, look
from gateway.drivers.clock import EARLIEST_PLAUSIBLE_MS, SystemClock

NOW = int(datetime(2026, 11, 22, 4, 0, tzinfo=UTC).timestamp() * 1000)
HOUR, DAY, YEAR = 3_600_000, 24 * 3_600_000, 365 * 24 * 3_600_000


class Machine:
    """A machine whose wall clock, running time and time server a test moves."""

    def __init__(self, wall_ms: int = NOW, synced: bool = True) -> None:
        self.wall_ms, self.up_ms, self.synced = wall_ms, 60_000, synced

    def passes(self, ms: int) -> None:
        self.wall_ms += ms
        self.up_ms += ms

    def clock(self, newest_stored_ms: int = NOW - HOUR, trust: str = "synchronised") -> SystemClock:
        return SystemClock(
            "Asia/Shanghai",
            newest_stored_ms,
            trust,
            wall_ms=lambda: self.wall_ms,
            since_boot_ms=lambda: self.up_ms,
            synchronised=lambda: self.synced,
        )


def test_a_clock_that_a_time_server_keeps_is_believed():
    clock = Machine().clock()
    assert (clock.certain, clock.cause, clock.now_ms()) == (True, "", NOW)


def test_local_time_is_the_same_instant_in_the_sites_zone_whatever_the_machines_zone_is(monkeypatch):
    monkeypatch.setenv("TZ", "America/New_York")
    local = Machine().clock().local()
    assert (local.hour, local.utcoffset().total_seconds()) == (12, 8 * 3600)
    assert int(local.timestamp() * 1000) == NOW


@pytest.mark.parametrize(("wrong_ms", "cause"), [(-10 * YEAR, "not-synchronised"), (DAY, "not-synchronised")])
def test_without_a_time_server_a_start_is_uncertain_and_the_time_a_lower_bound(wrong_ms, cause):
    machine = Machine(NOW + wrong_ms, synced=False)
    clock = machine.clock(newest_stored_ms=NOW - HOUR)
    assert (clock.certain, clock.cause) == (False, cause)
    assert clock.now_ms() == NOW - HOUR
    machine.passes(5_000)
    assert clock.now_ms() == NOW - HOUR + 5_000  # the lower bound runs on
    machine.wall_ms, machine.synced = NOW + 5_000, True
    assert (clock.certain, clock.now_ms()) == (True, NOW + 5_000)


def test_a_wrong_reading_that_nobody_vouches_for_never_raises_the_floor():
    machine = Machine()
    clock = machine.clock()
    assert clock.certain
    machine.wall_ms, machine.synced = NOW + 10 * YEAR, False  # set by hand, or a broken clock chip
    assert (clock.certain, clock.cause) == (False, "jumped")
    assert clock.now_ms() < NOW + 1_000
    machine.wall_ms = NOW
    assert clock.certain


def test_a_jump_back_across_a_schedules_edge_is_not_believed_and_the_time_goes_on():
    machine = Machine()
    clock = machine.clock()
    before = clock.now_ms()
    machine.wall_ms -= 2 * HOUR
    assert (clock.certain, clock.cause) == (False, "behind")  # although the server says so
    machine.passes(1_000)
    assert clock.now_ms() == before + 1_000


def test_a_server_that_was_wrong_by_years_is_overcome_after_a_day_of_doubt():
    machine = Machine()
    clock = machine.clock()
    machine.wall_ms += 10 * YEAR
    assert clock.certain  # a server's word: nothing speaks against it
    machine.wall_ms -= 10 * YEAR
    assert not clock.certain
    machine.passes(DOUBT_MS - 1)
    assert not clock.certain
    machine.passes(2)
    assert (clock.certain, clock.now_ms()) == (True, machine.wall_ms)


def test_a_time_servers_nudge_is_no_doubt():
    machine = Machine()
    clock = machine.clock()
    before = clock.now_ms()
    machine.wall_ms -= 1_500
    assert clock.certain
    assert clock.now_ms() == before  # and still never backwards


def test_a_network_that_is_away_for_weeks_leaves_the_clock_believed():
    machine = Machine()
    clock = machine.clock()
    assert clock.certain
    machine.synced = False
    machine.passes(HOLDOVER_MS)
    assert clock.certain
    machine.passes(DAY)
    assert (clock.certain, clock.cause) == (False, "drifted")


def test_a_clock_with_a_battery_is_believed_where_the_configuration_says_so():
    machine = Machine(synced=False)
    assert machine.clock(trust="hardware").certain
    assert machine.clock(newest_stored_ms=NOW + HOUR, trust="hardware").cause == "behind"
    assert Machine(NOW + 2 * YEAR, synced=False).clock(trust="hardware").cause == "ahead"
    assert machine.clock(newest_stored_ms=0, trust="hardware").certain  # a new gateway has nothing to compare with


def test_what_was_known_is_taken_up_after_a_restart_of_core_but_not_of_the_machine(monkeypatch):
    machine = Machine()
    clock = machine.clock()
    assert clock.certain
    known = clock.known()
    machine.synced = False
    machine.passes(HOUR)
    again = machine.clock()
    again.remember(known)
    assert again.certain
    monkeypatch.setattr(kernel_time, "boot", lambda: "another-boot")
    rebooted = machine.clock()
    rebooted.remember(known)
    assert not rebooted.certain
    rebooted.remember("{}")  # unreadable: as if there was nothing
    assert not rebooted.certain


def test_the_day_of_doubt_goes_on_over_a_restart_of_core_but_not_of_the_machine(monkeypatch):
    machine = Machine()
    stored_ms = NOW + 10 * YEAR  # what a wrong server once said
    clock = machine.clock(stored_ms)
    assert (clock.certain, clock.doubted) == (False, True)
    known = clock.known()
    machine.passes(DOUBT_MS // 2)
    again = machine.clock(stored_ms)
    again.remember(known)
    assert (again.certain, again.known()) == (False, known)
    machine.passes(DOUBT_MS // 2)
    third = machine.clock(stored_ms)
    third.remember(known)
    assert (third.certain, third.doubted, third.now_ms()) == (True, False, machine.wall_ms)
    monkeypatch.setattr(kernel_time, "boot", lambda: "another-boot")
    rebooted = machine.clock(stored_ms)
    rebooted.remember(known)
    assert not rebooted.certain


def test_a_doubt_that_the_server_ends_by_going_away_begins_anew():
    machine = Machine()
    clock = machine.clock(NOW + 10 * YEAR)
    assert clock.doubted
    machine.synced = False
    machine.passes(DOUBT_MS)
    assert (clock.certain, clock.doubted, clock.known()) == (False, False, None)
    machine.synced = True
    assert not clock.certain


def test_what_an_earlier_release_kept_can_be_read():
    machine = Machine(synced=False)
    clock = machine.clock()
    clock.remember(f'{{"boot":"{kernel_time.boot()}","wall_ms":{NOW},"since_boot_ms":60000}}')
    assert clock.certain


def test_a_new_gateway_is_never_before_its_own_program():
    assert Machine(0, synced=False).clock(newest_stored_ms=0).now_ms() == EARLIEST_PLAUSIBLE_MS


def test_the_kernel_answers():
    assert kernel_time.synchronised() in (True, False)
    assert kernel_time.since_boot_ms() > 0


@given(st.lists(st.tuples(st.integers(0, 10_000_000), st.integers(-YEAR, YEAR), st.booleans()), max_size=30))
def test_time_never_goes_backwards_within_the_day_of_doubt(steps):
    certainty = Certainty(Anchor(NOW, 0))
    up_ms, last_ms = 0, 0
    for passed_ms, off_ms, synced in steps:
        up_ms += passed_ms
        if up_ms >= DOUBT_MS:
            break
        reading = Reading(NOW + up_ms + off_ms, up_ms, synced)
        certainty = look(certainty, reading, "synchronised")
        now_ms = certainty.now_ms(reading)
        assert now_ms >= last_ms
        last_ms = now_ms
