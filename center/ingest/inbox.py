"""Messages between the MQTT client's thread and the loop: bounded, and the bound has a policy."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from dataclasses import dataclass

MAX_MESSAGES = 2000
MAX_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class Message:
    """One MQTT message. `connection` says on which connection it came: its PUBACK belongs there and nowhere else."""

    topic: str
    payload: bytes
    packet_id: int
    qos: int
    connection: int
    retained: bool = False  # sent by the broker at subscription, not by the gateway now


class Inbox:
    """Filled by the client's thread, emptied by the loop.

    Full = the new message is not taken. That loses nothing: a gateway sends again until it has the center's own
    acknowledgement.
    """

    def __init__(self, max_messages: int = MAX_MESSAGES, max_bytes: int = MAX_BYTES) -> None:
        self._max_messages = max_messages
        self._max_bytes = max_bytes
        self._messages: deque[Message] = deque()
        self._bytes = 0
        self._lock = threading.Lock()
        self._filled = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def put(self, message: Message) -> bool:
        """From any thread. False where there is no room."""
        with self._lock:
            if len(self._messages) >= self._max_messages or self._bytes + len(message.payload) > self._max_bytes:
                return False
            was_empty = not self._messages
            self._messages.append(message)
            self._bytes += len(message.payload)
        if was_empty:
            self._loop.call_soon_threadsafe(self._filled.set)
        return True

    async def take(self, max_messages: int, max_bytes: int) -> list[Message]:
        """Wait for at least one message; then as many as are there, up to the limits, in order of arrival."""
        await self._filled.wait()
        taken: list[Message] = []
        size = 0
        with self._lock:
            while self._messages and len(taken) < max_messages and (not taken or size < max_bytes):
                message = self._messages.popleft()
                size += len(message.payload)
                taken.append(message)
            self._bytes -= size
            if not self._messages:
                self._filled.clear()
        return taken
