"""Fire, lockdown and modes on the property manager's page; and duress, which leaves no trace there."""

from __future__ import annotations

from dataclasses import replace

import pytest
from browsers import Entered
from virtual_site import VirtualSite

from center.contract.catalogue import AccessDuress, AccessGranted
from gateway.model import PortalMode
from gateway.ports import NewEntry
from gateway.store.reading import JournalReading


async def page(entered: Entered) -> str:
    return (await entered.client.get("/")).text


async def test_a_lockdown_is_begun_and_ended_with_one_button_and_a_question(
    entered: Entered, site: VirtualSite
) -> None:
    before = await page(entered)
    assert 'data-url="/api/lockdown/begin"' in before
    assert "/api/lockdown/end" not in before
    assert (await entered.act("/api/lockdown/begin")).status_code == 200
    assert site.asked[0][:2] == ("lockdown", "begin")
    during = await page(entered)
    assert 'data-url="/api/lockdown/end"' in during
    assert "/api/lockdown/begin" not in during
    assert (await entered.act("/api/lockdown/end")).status_code == 200
    assert not site.status_now.lockdown


async def test_fire_is_shown_and_its_reset_asks_first(entered: Entered, site: VirtualSite) -> None:
    assert "/api/fire/reset" not in await page(entered)
    refused = await entered.act("/api/fire/reset")
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "refused")
    site.status_now = replace(site.status_now, fire=True)
    site.set_state("lobby", "free", fire=True)
    shown = await page(entered)
    assert 'data-ask="act-dialog" data-url="/api/fire/reset"' in shown
    assert (await entered.act("/api/fire/reset")).status_code == 200
    assert site.asked[-1][:2] == ("fire", "reset")


async def test_emergency_open_and_lock_again(entered: Entered, site: VirtualSite) -> None:
    assert (await entered.act("/api/portals/lobby/mode/emergency-open")).status_code == 200
    assert site.asked[-1][:2] == ("lobby", PortalMode.EMERGENCY_OPEN)
    assert 'data-url="/api/portals/lobby/mode/locked"' in await page(entered)
    assert (await entered.act("/api/portals/lobby/mode/locked")).status_code == 200
    assert 'data-url="/api/portals/lobby/mode/emergency-open"' in await page(entered)


@pytest.mark.parametrize("path", ["/api/portals/lobby/mode/ajar", "/api/portals/LOBBY/mode/locked"])
async def test_no_other_mode_and_no_other_name(entered: Entered, path: str) -> None:
    assert (await entered.act(path)).status_code == 422


@pytest.mark.parametrize("path", ["/api/lockdown/begin", "/api/fire/reset", "/api/portals/lobby/mode/locked"])
async def test_nothing_is_done_without_the_token_against_forged_requests(
    entered: Entered, site: VirtualSite, path: str
) -> None:
    assert (await entered.client.post(path, json={})).status_code == 403
    assert site.asked == []


def grant(portal: str = "lobby") -> NewEntry:
    return NewEntry(AccessGranted(portal, "reader", "card-pin", "permitted", "a" * 16), "p1")


async def test_duress_is_neither_a_row_nor_a_gap_nor_a_count(entered: Entered, site: VirtualSite) -> None:
    async def told() -> tuple[object, ...]:
        events = (await entered.client.get("/api/events?limit=20")).json()["events"]
        status = (await entered.client.get("/api/status")).json()
        counts = site.reading.counts()
        metrics = (await entered.client.get("/metrics")).text
        assert "duress" not in metrics + await page(entered)
        return [event["seq"] for event in events], status["uplink"]["made"], counts.made, counts.by_type

    async def recorded(*entries: NewEntry) -> None:
        await site.journal.record(entries)
        uplink = replace(site.status_now.uplink, made=site.journal.last_seq, acked_upto=site.journal.acked_upto)
        site.status_now = replace(site.status_now, uplink=uplink)

    await recorded(grant())
    before = await told()
    await recorded(grant(), NewEntry(AccessDuress("lobby", "reader", "a" * 16), "p1"))
    after = await told()
    assert after[0][0] == before[0][0] + 1
    assert after[0] == list(range(after[0][0], after[0][0] - 20, -1))
    assert (after[1], after[2]) == (before[1] + 1, before[2] + 1)
    assert "zhian.access.duress" not in after[3]
    await recorded(grant())
    assert (await told())[0][0] == after[0][0] + 1
    seen: list[int] = []
    path: str | None = "/api/events?limit=7"
    while path:
        found = (await entered.client.get(path)).json()
        seen += [event["seq"] for event in found["events"]]
        path = found["older"]
    assert seen == list(range(len(seen), 0, -1))
    newest = site.reading.newest(after_seq=seen[1])
    assert [event.seq for event in newest] == [seen[0]]


async def test_who_may_see_duress_sees_it(site: VirtualSite, tmp_path) -> None:
    await site.journal.record([grant(), NewEntry(AccessDuress("lobby", "reader", "a" * 16), "p1")])
    file = next(tmp_path.rglob("gateway.sqlite"), None)
    reading = JournalReading(file or site.reading._file, see_duress=True)
    assert reading.newest(limit=1)[0].type == "zhian.access.duress"
    assert reading.counts().by_type["zhian.access.duress"] == 1
    reading.close()
