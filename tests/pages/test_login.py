"""The one-time token and sessions, as the attacks on them."""

from __future__ import annotations

from contextlib import aclosing

import pytest
from browsers import Ticks, client_of, enter, send_token
from fastapi import FastAPI
from virtual_site import PLACE, VirtualSite

from gateway.web.app import create
from pages.errors import PageError
from pages.login import ALPHABET, WAIT_S, WRONG_TRIES, Answer, Login, new_token
from pages.sessions import LIFETIME_S, MAX_SESSIONS, Sessions


async def test_without_a_session_every_page_leads_to_the_form(app: FastAPI) -> None:
    async with client_of(app) as client:
        for path in ("/", "/?portal=lobby", "/nothing-here", "/openapi.json", "/docs"):
            answer = await client.get(path)
            assert (answer.status_code, answer.headers["location"]) == (303, "/enter"), path


@pytest.mark.parametrize("path", ["/api/status", "/api/events", "/api/openapi.json", "/live", "/api/nothing"])
async def test_without_a_session_programs_get_401(app: FastAPI, path: str) -> None:
    async with client_of(app) as client:
        answer = await client.get(path)
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "session"


async def test_token_lets_in_once_and_a_second_browser_needs_the_new_one(app: FastAPI) -> None:
    first = app.state.pages.login.token
    announced: list[str] = []
    app.state.pages.login.announce = announced.append
    inside = await enter(app)
    async with aclosing(inside.client) as one, client_of(app) as two:
        assert (await one.get("/")).status_code == 200
        assert (await send_token(two, first)).status_code == 401
        assert (await two.get("/")).status_code == 303
        assert announced == [app.state.pages.login.token]
        assert (await send_token(two, announced[0])).status_code == 303
        assert (await two.get("/")).status_code == 200


async def test_token_may_be_typed_without_care(app: FastAPI) -> None:
    async with client_of(app) as client:
        typed = app.state.pages.login.token.lower().replace("-", " ")
        assert (await send_token(client, f"  {typed} ")).status_code == 303


async def test_wrong_tokens_are_limited_and_then_even_the_right_one_waits(app: FastAPI) -> None:
    async with client_of(app) as client:
        for _ in range(WRONG_TRIES):
            assert (await send_token(client, "guess")).status_code == 401
        refused = await send_token(client, app.state.pages.login.token)
    assert refused.status_code == 429
    assert 1 <= int(refused.headers["retry-after"]) <= WAIT_S
    assert refused.headers["retry-after"] in refused.text


def test_tries_open_again_after_the_wait_one_at_a_time() -> None:
    login = Login("CORRECT-HORSE-23")
    for _ in range(WRONG_TRIES):
        assert login.enter("wrong", 0.0) is Answer.WRONG
    assert login.enter("CORRECT-HORSE-23", WAIT_S - 0.1) is Answer.WAIT
    assert login.enter("wrong", WAIT_S) is Answer.WRONG
    assert login.enter("CORRECT-HORSE-23", WAIT_S + 1) is Answer.WAIT
    assert login.enter("correct horse 23", 2 * WAIT_S) is Answer.ENTERED
    assert login.enter("correct horse 23", 2 * WAIT_S) is Answer.WRONG


@pytest.mark.parametrize("typed", ["", " ", "-", "é", "\x00", "x" * 5000])
def test_odd_tokens_are_just_wrong(typed: str) -> None:
    assert Login(new_token()).enter(typed, 0.0) is Answer.WRONG


def test_tokens_differ_and_can_be_read_aloud() -> None:
    tokens = {new_token() for _ in range(100)}
    assert len(tokens) == 100
    assert set("".join(tokens)) - {"-"} <= set(ALPHABET)


async def test_given_token_is_used_and_taken_out_of_the_environment(
    site: VirtualSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    import os

    monkeypatch.setenv("ZHIAN_PAGE_TOKEN", "given-by-the-demo")
    app = create(site, site.reading, PLACE)
    assert "ZHIAN_PAGE_TOKEN" not in os.environ
    async with client_of(app) as client:
        assert (await send_token(client, "GIVEN BY THE DEMO")).status_code == 303


def test_short_given_token_is_refused_in_one_sentence(site: VirtualSite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZHIAN_PAGE_TOKEN", "1234")
    with pytest.raises(PageError, match=r"^ZHIAN_PAGE_TOKEN: expected at least 12 .* got 4; "):
        create(site, site.reading, PLACE)


def test_session_ends_after_a_shift_and_the_oldest_gives_way() -> None:
    ticks, sessions = Ticks(), Sessions()
    first = sessions.begin(ticks())
    assert sessions.find(first.key, ticks() + LIFETIME_S - 1) is first
    for _ in range(MAX_SESSIONS):
        last = sessions.begin(ticks())
    assert sessions.find(first.key, ticks()) is None
    assert sessions.find(last.key, ticks()) is last
    assert sessions.find(last.key, ticks() + LIFETIME_S) is None
    assert sessions.find(None, 0) is None


async def test_leaving_ends_the_session_for_a_stolen_cookie_too(app: FastAPI) -> None:
    inside = await enter(app)
    async with aclosing(inside.client) as client:
        stolen = dict(client.cookies)
        assert (await client.post("/leave", data={"csrf": inside.csrf})).status_code == 303
        assert (await client.get("/")).status_code == 303
    async with client_of(app) as thief:
        thief.cookies.update(stolen)
        assert (await thief.get("/api/status")).status_code == 401


async def test_session_cookie_is_for_this_page_only_and_out_of_reach_of_scripts(app: FastAPI) -> None:
    async with client_of(app) as client:
        answer = await send_token(client, app.state.pages.login.token)
    cookie = next(c for c in answer.headers.get_list("set-cookie") if c.startswith("zhian-gateway-8080="))
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert app.state.pages.login.token not in cookie
