"""Ingest's session at the broker: persistent, subscribed again at every connection, while the process lives."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence

from center.errors import IngestError
from center.ingest.inbox import Inbox, Message
from runtime import log
from runtime.mqtt import (
    REFUSED_FOR_S,
    Access,
    Arrived,
    Connection,
    Manner,
    MqttError,
    NotLetInError,
    NotSubscribedError,
)

RECONNECT_MIN_S = 0.5
RECONNECT_MAX_S = 15.0
SUBSCRIBE_TRIES = 3  # a broker that has just started may not be able to yet; one that means it says so again
_LOOK_EVERY_S = 5.0  # whether the broker still confirms what we publish
MAX_UNCONFIRMED_PUBLISHES = 1000  # acknowledgements on the way; beyond it they are dropped and made again later
_MANNER = Manner(keep_session=True, confirm_by_hand=True, in_flight=MAX_UNCONFIRMED_PUBLISHES)
_logger = log.get("ingest")


class Session:
    """What arrives goes to the inbox; the rest of the center calls `publish` and `confirm` only."""

    def __init__(self, access: Access, filters: Sequence[str], inbox: Inbox) -> None:
        self._access = access
        self._filters = filters
        self._inbox = inbox
        self._connection: Connection | None = None
        self._number = 0
        self.overflowed = 0

    @property
    def ready(self) -> bool:
        """Connected, and the broker has granted every subscription."""
        return self._connection is not None and not self._connection.closed.done()

    async def run(self) -> None:
        """Until cancelled. Raises IngestError where trying again is pointless."""
        said, not_subscribed, delay_s, refused_s = "", 0, RECONNECT_MIN_S, None
        now_s = asyncio.get_running_loop().time
        while True:
            try:
                await self._one_connection()
                said, not_subscribed, delay_s, refused_s = "", 0, RECONNECT_MIN_S, None
            except NotLetInError as e:
                refused_s = now_s() if refused_s is None else refused_s
                if now_s() >= refused_s + REFUSED_FOR_S:
                    raise IngestError(str(e)) from None
                said = _say(said, str(e))
            except NotSubscribedError as e:
                not_subscribed += 1
                if not_subscribed >= SUBSCRIBE_TRIES:
                    raise IngestError(str(e)) from None
            except MqttError as e:
                said = _say(said, str(e))
            delay_s = min(RECONNECT_MAX_S, random.uniform(RECONNECT_MIN_S, delay_s * 2))  # noqa: S311  # not a secret
            await asyncio.sleep(delay_s)

    async def _one_connection(self) -> None:
        self._number += 1  # what came before may not be confirmed any more
        # Subscribed every time: a broker that lost its disk has forgotten what this session wanted.
        connection = await Connection.open(self._access, self._filters, self._arrived, manner=_MANNER)
        self._connection = connection
        _logger.info("connected", session_present=connection.session_present)
        try:
            while not connection.closed.done():
                if connection.stalled:
                    _logger.warning("the broker confirms nothing; connecting anew")
                    return
                await asyncio.wait([connection.closed], timeout=_LOOK_EVERY_S)
            _logger.warning("connection to the broker lost; trying again", why=connection.closed.result())
        finally:
            self._connection = None
            await connection.close()

    def publish(self, topic: str, payload: bytes) -> bool:
        """Send with QoS 1 if connected; False where it was not sent. Nothing is kept for later."""
        return self._connection is not None and self._connection.publish(topic, payload)

    def confirm(self, message: Message) -> None:
        """PUBACK. Dropped where the connection it came on is gone: a packet id means nothing on another one."""
        if self._connection is not None and message.connection == self._number:
            self._connection.confirm(message.arrived)

    def _arrived(self, arrived: Arrived) -> None:
        if not self._inbox.put(Message(arrived, self._number)):
            self.overflowed += 1
            if self._connection is not None:
                self._connection.confirm(arrived)


def _say(before: str, why: str) -> str:
    """Once for each cause; returns it."""
    if why != before:
        _logger.warning("no broker yet; trying again", why=why)
    return why
