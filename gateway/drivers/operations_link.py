"""Core's operations socket: one request per line in, one answer per line out."""

from __future__ import annotations

import asyncio

import msgspec

from gateway.operations.messages import Refused, decode_request, encode
from gateway.operations.operations import Operations


class OperationsLink:
    """Serves connections of pages and tools of this machine."""

    def __init__(self, operations: Operations) -> None:
        self._operations = operations

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until the peer leaves."""
        while line := await reader.readline():
            try:
                answer = await self._operations.perform(decode_request(line))
            except msgspec.MsgspecError as e:
                answer = Refused(f"this request cannot be read: {e}")
            writer.write(encode(answer) + b"\n")
            await writer.drain()
