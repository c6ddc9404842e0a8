"""The flood of connections: some of it is let in, and a center that ends in it is noticed."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from runtime.errors import UserError
from zhian.chaos_faults import Campaign, connects
from zhian.chaos_hostile import HOSTILE, flood

PASSWORD = "password-of-the-hostile-one"


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A broker that knows one user: `20 02 00 00` or `20 02 00 05`."""
    said = await reader.read(1000)
    if said:
        known = said.startswith(b"\x10") and HOSTILE.encode() in said and PASSWORD.encode() in said
        writer.write(b"\x20\x02\x00" + (b"\x00" if known else b"\x05"))
    writer.close()


@pytest.mark.parametrize(("password", "let_in", "refused"), [(PASSWORD, 150, 0), ("x" * 16, 0, 150)])
async def test_a_quarter_signs_in_and_waits_for_the_answer(password: str, let_in: int, refused: int) -> None:
    server = await asyncio.start_server(serve, "127.0.0.1", 0, backlog=1000)
    done = await flood(server.sockets[0].getsockname()[1], password, connects=600)
    server.close()
    assert (done.opened, done.let_in, done.refused) == (600, let_in, refused)


@pytest.mark.parametrize(
    ("restarts", "password", "said"),
    [(0, PASSWORD, ""), (1, PASSWORD, "the center ended"), (0, "x" * 16, "none with valid credentials")],
)
async def test_a_center_that_ends_or_a_broker_that_lets_nobody_in_is_a_failure(
    restarts: int, password: str, said: str
) -> None:
    center = SimpleNamespace(starts=3)

    async def kill() -> None:
        center.starts += restarts

    server = await asyncio.start_server(serve, "127.0.0.1", 0, backlog=1000)
    site = SimpleNamespace(
        center=center,
        broker=SimpleNamespace(pid=1, kill=kill),
        port=server.sockets[0].getsockname()[1],
        password=lambda _: password,
    )
    campaign = Campaign(site, SimpleNamespace(uniform=lambda *_: 0.0), connects=40)  # nothing to wait for
    if said:
        with pytest.raises(UserError, match=said):
            await connects(campaign)
    else:
        await connects(campaign)
    server.close()
