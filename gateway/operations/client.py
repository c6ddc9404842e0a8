"""The operations of core, from another process of this machine, over its Unix socket."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec

from gateway.errors import OperationRefusedError, OperationsUnavailableError
from gateway.model import SiteStatus
from gateway.operations.messages import (
    MAX_LINE_BYTES,
    Answer,
    OpenPortal,
    Refused,
    Request,
    Status,
    StatusAnswer,
    decode_answer,
    encode,
)

ANSWER_TIMEOUT_S = 10.0  # a door's acknowledgement over a slow bus takes well below a second


class OperationsClient:
    """One short connection per call: nothing to keep alive, nothing to reconnect."""

    def __init__(self, socket_path: Path) -> None:
        self._path = socket_path

    async def status(self) -> SiteStatus:
        """The site now. Raises OperationsUnavailableError."""
        answer = await self._ask(Status())
        if isinstance(answer, StatusAnswer):
            return answer.status
        raise OperationsUnavailableError(f"core answered a request for status with {type(answer).__name__}")

    async def open_portal(self, portal: str, operator: str) -> None:
        """Open; returns once the device has acknowledged. Raises OperationRefusedError, OperationsUnavailableError."""
        await self._ask(OpenPortal(portal, operator))

    async def _ask(self, request: Request) -> Answer:
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                reader, writer = await asyncio.open_unix_connection(self._path, limit=MAX_LINE_BYTES)
                try:
                    writer.write(encode(request) + b"\n")
                    await writer.drain()
                    answer = decode_answer(await reader.readuntil(b"\n"))
                finally:
                    writer.close()
        except TimeoutError:
            raise OperationsUnavailableError(f"core did not answer within {ANSWER_TIMEOUT_S:.0f} s") from None
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, msgspec.MsgspecError) as e:
            raise OperationsUnavailableError(f"the gateway's core does not answer at {self._path}; start it") from e
        if isinstance(answer, Refused):
            raise OperationRefusedError(answer.text)
        return answer
