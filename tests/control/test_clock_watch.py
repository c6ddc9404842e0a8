"""When the watch over the clock keeps what a restart of core must not forget."""

from __future__ import annotations

import pytest

from gateway.control.clock_watch import KEEP_EVERY_MS, KEY, ClockWatch


class Watched:
    """A clock whose verdict a test sets."""

    def __init__(self) -> None:
        self.ms, self.certain, self.doubted, self.cause, self.offset_ms = 0, True, False, "", 0

    def monotonic_ms(self) -> int:
        return self.ms

    def known(self) -> str | None:
        if self.cause and not self.doubted:
            return None
        return f"{self.ms} doubted" if self.doubted else f"{self.ms}"


@pytest.fixture
def watch(site):
    clock = Watched()
    return clock, ClockWatch(site.judge, clock, site, lambda: None)


async def test_a_known_time_is_kept_hourly_and_not_while_it_is_uncertain(site, watch):
    clock, watch = watch
    for clock.ms, clock.certain, kept in (
        (0, True, "0"),
        (KEEP_EVERY_MS - 1, True, "0"),
        (KEEP_EVERY_MS, True, f"{KEEP_EVERY_MS}"),
        (3 * KEEP_EVERY_MS, False, f"{KEEP_EVERY_MS}"),
    ):
        await watch.look()
        assert site.kept[KEY] == kept


async def test_the_beginning_and_the_end_of_a_doubt_are_kept_at_once(site, watch):
    clock, watch = watch
    clock.certain, clock.cause = False, "not-synchronised"
    site.kept[KEY] = "what the last run knew"
    await watch.look()
    assert site.kept[KEY] is None
    clock.ms, clock.doubted, clock.cause = 1, True, "behind"
    await watch.look()
    clock.ms = 2
    await watch.look()
    assert site.kept[KEY] == "1 doubted"
    clock.ms, clock.doubted, clock.cause = 3, False, "not-synchronised"  # the server went away
    await watch.look()
    assert site.kept[KEY] is None
    clock.ms, clock.certain, clock.cause = KEEP_EVERY_MS + 3, True, ""
    await watch.look()
    assert site.kept[KEY] == f"{KEEP_EVERY_MS + 3}"
