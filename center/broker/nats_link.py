"""Our own connection to nats-server's plain listener on loopback: answers who may connect, ends connections.

As much of the NATS client protocol (INFO, CONNECT, SUB, PUB, MSG, PING) as that takes.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from datetime import datetime

import msgspec
from msgspec import Struct

from center.broker.callout import ACCOUNT, ASK_TIMEOUT_S, CalloutError, Doorkeeper, question
from center.config import User
from center.errors import BrokerError
from runtime import log

USER = "zhian/doorkeeper"  # a name that no user of the district can have (center.config.Username)
_ASKED = "$SYS.REQ.USER.AUTH"
_ENDED = f"$SYS.ACCOUNT.{ACCOUNT}.DISCONNECT"
_NOBODY = "_INBOX.nobody"  # a request without an address for its answer is ignored
_ASKED_SID, _ENDED_SID = b"1", b"2"
_MAX_MESSAGE_BYTES = 1 << 20
_DISCARDED_AT_ONCE_BYTES = 64 << 10
_ANSWER_TIMEOUT_S = 10.0
_MAX_SAID, _SAID_WINDOW_S = 30, 10.0
_logger = log.get("broker")


class _Info(Struct, frozen=True):
    server_id: str


class _Client(Struct, frozen=True):
    id: int


class _Ended(Struct, frozen=True):
    client: _Client


_decode_ended = msgspec.json.Decoder(_Ended).decode


class NatsLink:
    """Made by `open`; `serve` runs until the connection ends, and then `connect` makes another one to the same server.
    Remembers who was let in as what."""

    _reader: asyncio.StreamReader
    _writer: asyncio.StreamWriter

    def __init__(self, port: int, password: str, doorkeeper: Doorkeeper, now: Callable[[], datetime]) -> None:
        self._port = port
        self._password = password
        self._doorkeeper = doorkeeper
        self._now = now
        self._server = ""
        self._let_in: dict[int, User] = {}  # connection number -> entry of the users file; ends with the connection
        self._said, self._said_until_s = 0, 0.0

    @classmethod
    async def open(cls, port: int, password: str, doorkeeper: Doorkeeper, now: Callable[[], datetime]) -> NatsLink:
        """Connected, and asked from now on. Raises BrokerError."""
        link = cls(port, password, doorkeeper, now)
        await link.connect()
        return link

    async def connect(self) -> None:
        """Connected, and asked from now on. Raises BrokerError."""
        try:
            async with asyncio.timeout(_ANSWER_TIMEOUT_S):
                self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
                await self._begin()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, ValueError) as e:
            raise BrokerError(f"nats-server does not answer on its own listener ({e}); start it again") from e

    async def serve(self) -> None:
        """Answer until the connection ends, in order or not: nothing that a client can cause is an error here."""
        try:
            await self._serve()
        except (OSError, asyncio.IncompleteReadError, ValueError) as e:  # killed amid a message, or not understood
            _logger.warning("the connection to nats-server broke", why=log.shown(str(e)))
        finally:
            self.close()

    async def _serve(self) -> None:
        while line := await self._line():
            if line.startswith(b"MSG "):
                await self._message(line)
            elif line.startswith(b"PING"):
                self._writer.write(b"PONG\r\n")
            elif line.startswith(b"-ERR"):
                _logger.error("nats-server refuses our own request", said=log.shown(line.decode("utf-8", "replace")))
            await self._writer.drain()

    def end_unknown(self) -> int:
        """End every connection whose entry is not in the users file any more; returns how many."""
        gone = [number for number, user in self._let_in.items() if not self._doorkeeper.knows(user)]
        for number in gone:
            subject = f"$SYS.REQ.SERVER.{self._server}.KICK {_NOBODY}"
            self._publish(subject, msgspec.json.encode({"cid": number}))
        return len(gone)

    def close(self) -> None:
        """Let go of the connection."""
        self._writer.close()

    async def _begin(self) -> None:
        first = await self._line()
        if not first.startswith(b"INFO "):
            raise ValueError("it does not say who it is")
        self._server = msgspec.json.decode(first[5:], type=_Info).server_id
        about = {"verbose": False, "pedantic": False, "user": USER, "pass": self._password}
        about |= {"lang": "python", "version": "1"}
        self._writer.write(b"CONNECT " + msgspec.json.encode(about) + b"\r\n")
        for subject, number in ((_ASKED, _ASKED_SID), (_ENDED, _ENDED_SID)):
            self._writer.write(b"SUB " + subject.encode() + b" " + number + b"\r\n")
        self._writer.write(b"PING\r\n")
        while not (line := await self._line()).startswith(b"PONG"):
            if not line or line.startswith(b"-ERR"):
                raise ValueError(f"it refuses us: {line[:100]!r}")

    async def _line(self) -> bytes:
        return await self._reader.readline()

    async def _message(self, line: bytes) -> None:
        """`MSG subject sid [reply] size`, then so many bytes and an end of line."""
        words = line.split()
        size = int(words[-1])
        if size > _MAX_MESSAGE_BYTES:
            await self._discard(size + 2)
            self._say(
                f"a connection was refused: nats-server's request about it has {size} bytes, expected at most"
                f" {_MAX_MESSAGE_BYTES}"
            )
            return
        body = (await self._reader.readexactly(size + 2))[:-2]
        if words[2] == _ENDED_SID:
            self._ended(body)
        elif len(words) == 5:
            self._asked(words[3].decode(), body)

    async def _discard(self, size: int) -> None:
        while size > 0:
            part = await self._reader.read(min(size, _DISCARDED_AT_ONCE_BYTES))
            if not part:
                raise asyncio.IncompleteReadError(b"", size)
            size -= len(part)

    def _asked(self, reply: str, body: bytes) -> None:
        try:
            asked = question(body)
        except CalloutError as e:  # no answer: the server refuses the connection
            self._say(str(e))
            return
        now_s = int(self._now().timestamp())
        if asked.asked_s is not None and now_s - asked.asked_s > ASK_TIMEOUT_S:
            self._say("a connection was refused: our answer would come later than nats-server waits for it")
            return
        answer = self._doorkeeper.answer(asked, now_s)
        if answer.user is not None:
            self._let_in[asked.client_info.id] = answer.user
        else:
            self._say(f"a connection was refused: {answer.why}")
        self._publish(reply, answer.token)

    def _ended(self, body: bytes) -> None:
        try:
            self._let_in.pop(_decode_ended(body).client.id, None)
        except msgspec.DecodeError as e:
            self._say(f"nats-server reports an end that is not understood ({e})")

    def _publish(self, subject: str, body: bytes) -> None:
        self._writer.write(b"PUB %b %d\r\n%b\r\n" % (subject.encode(), len(body), body))

    def _say(self, text: str) -> None:
        """No faster than a person could read it: whoever is refused can try as often as it likes."""
        now_s = time.monotonic()
        if now_s >= self._said_until_s:
            self._said, self._said_until_s = 0, now_s + _SAID_WINDOW_S
        self._said += 1
        if self._said <= _MAX_SAID:
            _logger.warning(text)


def own_user(password: str) -> Mapping[str, str]:
    """Our entry in the server's configuration."""
    return {"user": USER, "password": password}
