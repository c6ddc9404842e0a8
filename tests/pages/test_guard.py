"""What a hostile page, host name or client meets."""

from __future__ import annotations

import pytest
from browsers import ADDRESS, Entered, client_of, form_token
from fastapi import FastAPI
from virtual_site import VirtualSite

from pages import checks
from pages.guard import MAX_BODY_BYTES

OPEN = "/api/portals/lobby/open"


@pytest.mark.parametrize(
    "host",
    [
        "evil.example", "evil.example:8080", "127.0.0.1.evil.example", "127.0.0.1@evil.example", "127.0.0.2:8080",
        "192.168.1.5:8080", "0.0.0.0:8080", "localhost:99999", "127.0.0.1:8080/x", "", "[::2]:8080", "2130706433",
    ],
)  # fmt: skip
async def test_foreign_host_is_refused(entered: Entered, host: str) -> None:
    answer = await entered.client.get("/", headers={"host": host})
    assert answer.status_code == 403
    assert (await entered.client.get("/api/status", headers={"host": host})).status_code == 403
    assert (await entered.client.get("/static/zhian.css", headers={"host": host})).status_code == 403


@pytest.mark.parametrize("host", ["127.0.0.1:8080", "localhost:8080", "[::1]:8080", "LOCALHOST", "localhost:9000"])
def test_loopback_hosts_pass(host: str) -> None:
    assert checks.host_is_ours(host)


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example", "null", "", "https://127.0.0.1:8080", "http://127.0.0.1:8070", "http://localhost:8080",
        "http://127.0.0.1:8080.evil.example", None,
    ],
)  # fmt: skip
async def test_foreign_origin_is_refused(entered: Entered, site: VirtualSite, origin: str | None) -> None:
    headers = {"x-csrf-token": entered.csrf}
    if origin is None:
        del entered.client.headers["origin"]
    else:
        headers["origin"] = origin
    answer = await entered.act(OPEN, headers=headers)
    assert answer.status_code == 403
    assert answer.json()["error"]["code"] == "origin"
    assert site.opened == []


@pytest.mark.parametrize("token", [None, b"", b"guess", "é".encode()])
async def test_without_the_pages_own_token_nothing_is_done(
    entered: Entered, site: VirtualSite, token: bytes | None
) -> None:
    headers = {} if token is None else {"x-csrf-token": token}
    answer = await entered.act(OPEN, headers=headers)
    assert answer.status_code == 403
    assert answer.json()["error"]["code"] == "csrf"
    assert site.opened == []


async def test_token_of_a_visitor_who_has_not_entered_is_not_enough(app: FastAPI, entered: Entered) -> None:
    async with client_of(app) as other:
        foreign = await form_token(other)
    assert (await entered.act(OPEN, headers={"x-csrf-token": foreign})).status_code == 403


@pytest.mark.parametrize("path", ["/enter", "/language", "/leave", OPEN])
async def test_every_unsafe_path_asks_for_the_token(entered: Entered, path: str) -> None:
    assert (await entered.client.post(path, data={"token": "x", "to": "en"})).status_code == 403


async def test_log_in_form_needs_its_own_token(app: FastAPI) -> None:
    async with client_of(app) as client:
        answer = await client.post("/enter", data={"token": app.state.pages.login.token})
        assert answer.status_code == 403
        assert (await client.get("/api/status")).status_code == 401


async def test_large_body_is_refused_also_where_its_length_is_not_told(entered: Entered) -> None:
    assert (await entered.act(OPEN, json=None, content=b"x" * (MAX_BODY_BYTES + 1))).status_code == 413

    async def chunks():  # type: ignore[no-untyped-def]
        for _ in range(MAX_BODY_BYTES // 1000 + 2):
            yield b"x" * 1000

    assert (await entered.act(OPEN, json=None, content=chunks())).status_code == 413


@pytest.mark.parametrize("method", ["OPTIONS", "TRACE", "PROPFIND"])
async def test_other_methods_are_refused(entered: Entered, method: str) -> None:
    assert (await entered.client.request(method, "/")).status_code == 405


HEADERS = {
    "content-security-policy": "default-src 'self'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


async def test_security_headers_are_on_every_answer(app: FastAPI, entered: Entered) -> None:
    @app.get("/broken")
    async def broken() -> None:
        raise ZeroDivisionError("a fault of the page")

    async with client_of(app) as stranger:
        answers = {
            "page": await entered.client.get("/"),
            "rest": await entered.client.get("/api/events"),
            "openapi": await entered.client.get("/api/openapi.json"),
            "not found": await entered.client.get("/nothing"),
            "invalid": await entered.client.get("/api/events?limit=many"),
            "style": await stranger.get("/static/zhian.css"),
            "no such file": await stranger.get("/static/nothing.css"),
            "form": await stranger.get("/enter"),
            "redirect": await stranger.get("/"),
            "host": await stranger.get("/", headers={"host": "evil.example"}),
            "origin": await stranger.post("/enter", headers={"origin": "null"}),
            "fault": await entered.client.get("/broken"),
        }
    statuses = {name: answer.status_code for name, answer in answers.items()}
    assert statuses == {
        "page": 200, "rest": 200, "openapi": 200, "not found": 404, "invalid": 422, "style": 200, "no such file": 404,
        "form": 200, "redirect": 303, "host": 403, "origin": 403, "fault": 500,
    }  # fmt: skip
    for name, answer in answers.items():
        for header, value in HEADERS.items():
            assert answer.headers[header].startswith(value), f"{name}: {header}"
        policy = answer.headers["content-security-policy"]
        assert "unsafe-inline" not in policy
        assert "unsafe-eval" not in policy
    for name in ("page", "rest", "form"):
        assert answers[name].headers["cache-control"] == "no-store"
    assert "ZeroDivisionError" not in answers["fault"].text


async def test_framework_documentation_pages_are_off(entered: Entered) -> None:
    for path in ("/docs", "/redoc", "/openapi.json"):
        assert (await entered.client.get(path)).status_code == 404


@pytest.mark.parametrize(
    "back", ["//evil.example", "http://evil.example", "/\\evil.example", "evil", "/\nx", "/" * 600]
)
async def test_redirects_stay_here(entered: Entered, back: str) -> None:
    answer = await entered.client.post("/language", data={"csrf": entered.csrf, "to": "en", "back": back})
    assert answer.headers["location"] == "/"


@pytest.mark.parametrize("path", ["/static/../app.py", "/static/%2e%2e/guard.py", "/static//etc/passwd"])
async def test_static_files_stay_in_their_folder(app: FastAPI, path: str) -> None:
    async with client_of(app) as client:
        assert (await client.get(path)).status_code in (303, 401, 404)


async def test_sent_origin_of_the_same_page_passes(entered: Entered, site: VirtualSite) -> None:
    assert entered.client.headers["origin"] == ADDRESS
    assert (await entered.act(OPEN)).status_code == 200
    assert [portal for portal, _ in site.opened] == ["lobby"]
