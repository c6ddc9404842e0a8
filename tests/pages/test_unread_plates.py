"""The property manager's list of plates that were not read: on the site only, newest first, bounded."""

from __future__ import annotations

from contextlib import aclosing
from pathlib import Path

import pytest
from browsers import client_of, enter
from fastapi import FastAPI
from virtual_site import PLACE, VirtualSite

from gateway import refused_plates
from gateway.errors import VisionError
from gateway.refused_plates import Row
from gateway.vision.grammar import FORM_OF
from gateway.vision.refused import REASONS, RefusedList
from gateway.vision.visit import Unread
from gateway.web.app import create
from gateway.web.texts import TEXTS
from gateway.web.unread import PAGE_ROWS, PATH, UnreadList

NOW = 1_795_400_000_000
ROWS = (
    Row(NOW, "lane", "length", "京A1234", "blue", 0.25, 7),
    Row(NOW + 60_000, "back-gate", "weak", "沪B98765", "green", 0.41, 12),
    Row(NOW + 120_000, "lane", "nothing", "", "blue", 0.0, 4),
)


def app_with(site: VirtualSite, read, rows: int = 500) -> FastAPI:
    return create(site, site.reading, PLACE, kept=UnreadList(read, ("lane", "back-gate"), rows, 7))


async def page(app: FastAPI, path: str = PATH, language: str = "en") -> str:
    inside = await enter(app, **{"accept-language": language})
    async with aclosing(inside.client) as client:
        answer = await client.get(path)
        assert answer.status_code == 200
        return answer.text


async def test_each_visit_says_when_where_why_and_what_was_seen(site: VirtualSite) -> None:
    text = await page(app_with(site, lambda: ROWS))
    assert text.index("Nothing legible") < text.index("沪B98765") < text.index("京A1234")
    assert "Not sure enough" in text
    assert "41%" in text
    assert "Green, small" in text
    assert "at most 500 rows, 7 days" in text
    chinese = await page(app_with(site, lambda: ROWS), language="zh-CN")
    assert "把握不足" in chinese
    assert "新能源小型车" in chinese
    assert "unread." not in chinese


async def test_one_camera_and_the_way_there_from_the_first_page(site: VirtualSite) -> None:
    app = app_with(site, lambda: ROWS)
    assert f'href="{PATH}"' in await page(app, "/")
    text = await page(app, f"{PATH}?camera=back-gate")
    assert "沪B98765" in text
    assert "京A1234" not in text
    assert "this camera read every plate" in await page(app_with(site, lambda: ROWS[:1]), f"{PATH}?camera=back-gate")


@pytest.mark.parametrize(
    ("rows", "words"), [(500, "every plate was read"), (0, "None is kept here")], ids=["empty", "switched-off"]
)
async def test_nothing_there_is_said(site: VirtualSite, rows: int, words: str) -> None:
    assert words in await page(app_with(site, lambda: (), rows))


async def test_a_list_that_cannot_be_read_is_said(site: VirtualSite) -> None:
    def torn() -> tuple[Row, ...]:
        raise VisionError("refused-plates.jsonl: cannot be read (Permission denied); check who owns it")

    app = app_with(site, torn)
    assert "cannot be read now" in await page(app)
    inside = await enter(app)
    async with aclosing(inside.client) as client:
        assert (await client.get("/api/unread-plates")).status_code == 503


async def test_it_is_bounded_and_rest_is_too(site: VirtualSite) -> None:
    many = [Row(NOW + n, "lane", "weak", f"N{n}", "blue", 0.3, 3) for n in range(4 * PAGE_ROWS)]
    app = app_with(site, lambda: many)
    text = await page(app)
    assert text.count('class="time"') == PAGE_ROWS
    assert f"newest {PAGE_ROWS} are shown" in text
    inside = await enter(app)
    async with aclosing(inside.client) as client:
        plates = (await client.get("/api/unread-plates?limit=3")).json()["plates"]
        assert [one["text"] for one in plates] == [f"N{4 * PAGE_ROWS - n}" for n in (1, 2, 3)]
        assert set(plates[0]) == {"time_ms", "camera", "why", "text", "kind", "score", "frames"}
        for query in ("limit=0", "limit=501", "camera=A%20B"):
            assert (await client.get(f"/api/unread-plates?{query}")).status_code == 422


async def test_nobody_sees_it_who_has_not_entered(site: VirtualSite) -> None:
    async with client_of(app_with(site, lambda: ROWS)) as stranger:
        for path in (PATH, "/api/unread-plates"):
            answer = await stranger.get(path)
            assert "京A1234" not in answer.text
            assert answer.status_code in (303, 401)
        assert "京A1234" not in (await stranger.get("/metrics")).text


async def test_hostile_text_and_codes_of_a_newer_worker_are_shown_and_not_obeyed(site: VirtualSite) -> None:
    hostile = "<script>alert(1)</script>\u202e\x1b[2J" + "A" * 500
    text = await page(app_with(site, lambda: [Row(NOW, hostile, hostile, hostile, hostile, float("inf"), 3)]))
    assert "<script>alert" not in text
    assert "\x1b" not in text
    assert "\u202e" not in text


async def test_what_the_worker_writes_is_what_the_page_shows(site: VirtualSite, tmp_path: Path) -> None:
    file = tmp_path / "refused-plates.jsonl"
    kept = RefusedList(file, 5, 7)
    kept.add("lane", Unread("粤B1234", "blue", 0.2, 5, "length"), NOW)
    assert "粤B1234" in await page(app_with(site, lambda: refused_plates.read(file)))


def test_every_reason_and_kind_has_words() -> None:
    assert {f"refusal.{why}" for why in REASONS} == {key for key in TEXTS if key.startswith("refusal.")}
    assert {f"kind.{kind}" for kind in FORM_OF} == {key for key in TEXTS if key.startswith("kind.")}
