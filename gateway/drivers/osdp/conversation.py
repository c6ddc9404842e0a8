"""One device by itself on a line that nobody else uses: what a tool does that looks at a bus or gives a device its key.

The running gateway never uses this; `bus` is its way. Both must not have the line at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from dataclasses import dataclass

from firmware.wire import codes
from firmware.wire.errors import MessageError
from firmware.wire.replies import Capabilities, Identity
from gateway.drivers.osdp.line import Line
from gateway.drivers.osdp.session import Reply, Request, Session
from gateway.errors import DriverError

ATTEMPTS = 5
REPLY_S = 0.2  # the standard's time to begin a reply: a foreign reader may take it all
_BUSY_S = 0.1


class NoAnswerError(DriverError):
    """Nothing that could be a reply came back."""


class Conversation:
    """`session` and the line it goes over; a frame that gets no answer is sent again unchanged."""

    def __init__(self, line: Line, session: Session, attempts: int = ATTEMPTS, reply_s: float = REPLY_S) -> None:
        self._line = line
        self._session = session
        self._attempts = attempts
        self._reply_s = reply_s

    async def ask(self, request: Request) -> Reply:
        """The device's reply. Raises NoAnswerError, LineGoneError."""
        frame = self._session.encode(request)
        for _ in range(self._attempts):
            reply = await self._line.exchange(frame, self._session.accept, self._reply_s)
            if self._session.disowned:
                break
            if reply is not None and reply.code != codes.BUSY:
                return reply
            if reply is not None:
                await asyncio.sleep(_BUSY_S)
        raise NoAnswerError("the device does not answer; check its line, address and baud rate")

    async def handshake(self) -> Identity:
        """Begin a session; who the device is. Raises SessionRefusedError, NoAnswerError, LineGoneError."""
        return await self._follow(self._session.handshake())

    async def _follow(self, steps: Generator[Request, Reply, Identity]) -> Identity:
        request = next(steps)
        while True:
            try:
                request = steps.send(await self.ask(request))
            except StopIteration as end:
                identity: Identity = end.value
                return identity


@dataclass(frozen=True, slots=True)
class Found:
    """What answers at an address. `identity` and `capabilities` were told in plain text: nothing of it is proven."""

    address: int
    baud: int
    identity: Identity | None
    capabilities: Capabilities | None


async def look(line: Line, address: int, baud: int, attempts: int = 2) -> Found | None:
    """Who is at an address; None where nobody answers. Ends whatever session the device has. Raises LineGoneError."""
    session = Session(address, bytes(16), lambda size: bytes(size))  # no secret is used: only plain questions
    talk = Conversation(line, session, attempts)
    try:
        identity = Identity.decode((await talk.ask(Request(codes.ID, b"\0"))).payload)
    except NoAnswerError:
        return None
    except MessageError:
        identity = None
    try:
        can = Capabilities.decode((await talk.ask(Request(codes.CAP, b"\0"))).payload)
    except (NoAnswerError, MessageError):
        can = None
    return Found(address, baud, identity, can)
