"""Running a page process: where it may listen, what it prints, how it stops."""

from __future__ import annotations

import asyncio
import re
import socket
from contextlib import aclosing

import httpx
import pytest
from fastapi import FastAPI

from pages import serving
from pages.errors import PageError


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.org", "", "127.0.0.1.evil.example"])
async def test_anything_but_loopback_is_refused_in_one_sentence(app: FastAPI, host: str) -> None:
    with pytest.raises(PageError, match=r"^gateway page: host '.*' is not loopback; use 127\.0\.0\.1"):
        await serving.serve(app, host=host, port=0)


async def test_taken_port_is_one_sentence(app: FastAPI) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(
            PageError, match=rf"^gateway page: port {port} on 127\.0\.0\.1 is taken by another program; "
        ):
            await serving.serve(app, host="127.0.0.1", port=port)


async def test_two_pages_cannot_share_a_port() -> None:
    first = serving.bind("one", "127.0.0.1", 0)
    try:
        with pytest.raises(PageError, match="is taken"):
            serving.bind("two", "127.0.0.1", first.getsockname()[1])
    finally:
        first.close()


async def test_it_prints_its_address_and_token_and_stops_with_a_stream_open(
    app: FastAPI, capsys: pytest.CaptureFixture[str]
) -> None:
    token = app.state.pages.login.token
    task = asyncio.create_task(serving.serve(app, host="127.0.0.1", port=0, notify_systemd=False))
    printed = ""
    async with asyncio.timeout(10):
        while "\n" not in printed:
            await asyncio.sleep(0)
            printed += capsys.readouterr().out
    line = re.fullmatch(r"PAGE gateway (http://127\.0\.0\.1:(\d+)/) token (\S+)\n", printed)
    assert line
    assert line[3] == token
    address = line[1].rstrip("/")
    session = app.state.pages.sessions.begin(app.state.pages.now_s())
    cookies = {f"zhian-gateway-{line[2]}": session.key}
    async with httpx.AsyncClient(base_url=address, cookies=cookies) as client, asyncio.timeout(10):
        async with client.stream("GET", "/live") as stream:
            lines = stream.aiter_lines()
            while not (await anext(lines)).startswith("data: "):
                pass
            assert app.state.pages.streams == 1
            task.cancel()
            assert [text async for text in lines][-3:] == ["event: ended", "data: {}", ""]
        with pytest.raises(asyncio.CancelledError):
            await task
    assert app.state.pages.streams == 0


async def test_too_many_streams_are_refused(app: FastAPI) -> None:
    from browsers import enter

    app.state.pages.streams = 32
    inside = await enter(app)
    async with aclosing(inside.client) as client:
        answer = await client.get("/live")
    assert answer.status_code == 503
    assert answer.json()["error"]["code"] == "streams"
