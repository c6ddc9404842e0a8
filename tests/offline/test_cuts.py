"""200 random cuts of power and wire: what opened is told once, or counted where the board cannot flush first."""

from __future__ import annotations

import pytest
from cuts import Site

CUTS = 200


@pytest.mark.parametrize("seed", range(3))
def test_nothing_is_lost_or_doubled_where_a_record_is_flushed_before_the_relay(seed: int) -> None:
    site = Site(seed, counted=False)
    site.run(CUTS)
    ledger = site.ledger()
    assert ledger["cuts"] >= CUTS
    assert len(site.cuts) >= 6, site.cuts
    assert ledger["lost"] == 0, ledger
    assert ledger["recorded, not opened"] == ledger["cut between record and relay"], ledger
    assert ledger["cut between record and relay"] > 0
    assert ledger["counted as lost"] == 0


@pytest.mark.parametrize("seed", range(3))
def test_what_is_lost_is_counted_where_the_relay_moves_first(seed: int) -> None:
    site = Site(seed, counted=True)
    site.run(CUTS)
    ledger = site.ledger()
    assert ledger["recorded, not opened"] == 0, ledger
    assert 0 < ledger["lost"] <= ledger["counted as lost"], ledger


def test_the_ledger_notices_a_record_that_is_stored_twice() -> None:
    site = Site(1, counted=False)
    site.run(40)
    site.gateway.journal += site.gateway.journal
    assert site.ledger()["recorded, not opened"] > site.ledger()["cut between record and relay"]
