"""What browsers send, without a browser: requests through ASGI, with cookies and forms."""

from __future__ import annotations

from dataclasses import dataclass

import httpx
from fastapi import FastAPI

ADDRESS = "http://127.0.0.1:8080"


class Ticks:
    """A monotonic clock that a test turns."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def client_of(app: FastAPI, **headers: str) -> httpx.AsyncClient:
    """A new browser: no cookies yet. Sends Origin with everything, as browsers do with unsafe methods."""
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app=app), base_url=ADDRESS, headers={"origin": ADDRESS} | headers
    )


async def form_token(client: httpx.AsyncClient) -> str:
    """The CSRF token of the form that this browser is shown."""
    return (await client.get("/enter")).text.partition('name="csrf" content="')[2].partition('"')[0]


async def send_token(client: httpx.AsyncClient, token: str) -> httpx.Response:
    """Fill in the form."""
    return await client.post("/enter", data={"token": token, "csrf": await form_token(client)})


@dataclass
class Entered:
    """A browser that has entered."""

    client: httpx.AsyncClient
    csrf: str

    async def act(self, path: str, **changes: object) -> httpx.Response:
        """An action of the page, with everything it needs unless changed."""
        options: dict[str, object] = {"json": {}, "headers": {"x-csrf-token": self.csrf}} | changes
        return await self.client.post(path, **options)  # type: ignore[arg-type]


async def enter(app: FastAPI, **headers: str) -> Entered:
    """Go through the log-in with the present token."""
    client = client_of(app, **headers)
    answer = await send_token(client, app.state.pages.login.token)
    assert answer.status_code == 303, answer.text
    page = await client.get("/")
    return Entered(client, page.text.partition('name="csrf" content="')[2].partition('"')[0])
