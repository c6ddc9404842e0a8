"""Messages between the MQTT connection and the store: bounded, and the bound has a policy."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from dataclasses import dataclass

from runtime.mqtt import Arrived

MAX_MESSAGES = 2000
MAX_BYTES = 64 << 20
# Of one gateway. A sound one has fewer on the way: what is over is confirmed at once, so that one gateway's messages
# fill neither this inbox nor the broker's own window (200 unconfirmed).
MAX_SHARE_MESSAGES = 150
MAX_SHARE_BYTES = 8 << 20


@dataclass(frozen=True, slots=True)
class Message:
    """One MQTT message. `connection` says on which connection it came: its PUBACK belongs there and nowhere else."""

    arrived: Arrived
    connection: int


class Inbox:
    """Filled and emptied on the loop.

    Full = the new message is not taken. That loses nothing: a gateway sends again until it has the center's own
    acknowledgement.
    """

    def __init__(self, max_messages: int = MAX_MESSAGES, max_bytes: int = MAX_BYTES) -> None:
        self._max_messages = max_messages
        self._max_bytes = max_bytes
        self._messages: deque[Message] = deque()
        self._bytes = 0
        self._share_messages: Counter[str] = Counter()
        self._share_bytes: Counter[str] = Counter()
        self._filled = asyncio.Event()

    def put(self, message: Message) -> bool:
        """False where there is no room, or its gateway has its share in here already."""
        size, sender = len(message.arrived.payload), _sender(message)
        if len(self._messages) >= self._max_messages or self._bytes + size > self._max_bytes:
            return False
        if self._share_messages[sender] >= MAX_SHARE_MESSAGES or self._share_bytes[sender] + size > MAX_SHARE_BYTES:
            return False
        self._share_messages[sender] += 1
        self._share_bytes[sender] += size
        self._messages.append(message)
        self._bytes += size
        self._filled.set()
        return True

    async def take(self, max_messages: int, max_bytes: int) -> list[Message]:
        """Wait for at least one message; then as many as are there, up to the limits, in order of arrival."""
        await self._filled.wait()
        taken: list[Message] = []
        size = 0
        while self._messages and len(taken) < max_messages and (not taken or size < max_bytes):
            message = self._messages.popleft()
            size += len(message.arrived.payload)
            taken.append(message)
            self._give_back(_sender(message), len(message.arrived.payload))
        self._bytes -= size
        if not self._messages:
            self._filled.clear()
        return taken

    def _give_back(self, sender: str, size: int) -> None:
        self._share_messages[sender] -= 1
        self._share_bytes[sender] -= size
        if not self._share_messages[sender]:  # counters of who is not in here any more would pile up
            del self._share_messages[sender], self._share_bytes[sender]


def _sender(message: Message) -> str:
    """What the topic says before `/up/event`: the gateway, by the broker's word."""
    return message.arrived.topic.rsplit("/", 2)[0]
