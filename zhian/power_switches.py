"""The power switches of a simulated site's processes, and core's disk: the server of `<site>/run/power.sock`."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Literal

import msgspec

from runtime.errors import UserError
from zhian.supervisor import Supervisor

MAX_LINE = 4096


class _Request(msgspec.Struct, forbid_unknown_fields=True):
    """One line of docs/sim-wire.md, "Power"."""

    op: Literal["cut", "return", "disk_full", "disk_free"]
    part: Literal["core", "vision", "broker", "center"]


class PowerSwitches:
    """One request and one answer per connection. Only this user's processes reach the socket (mode 0600)."""

    def __init__(self, path: Path, supervisor: Supervisor) -> None:
        self._path = path
        self._supervisor = supervisor
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen. Raises UserError."""
        try:
            self._server = await asyncio.start_unix_server(self._serve, self._path, limit=MAX_LINE)
        except OSError as e:
            raise UserError(f"{self._path}: cannot listen ({e.strerror or e}); is the folder writable?") from e
        self._path.chmod(0o600)

    async def close(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.close()
            self._server = None
            self._path.unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = msgspec.json.decode(await reader.readline(), type=_Request)
            await self._obey(request)
            answer: dict[str, object] = {"ok": True}
        except (UserError, ValueError, OSError) as e:
            answer = {"ok": False, "text": str(e)}
        writer.write(json.dumps(answer).encode() + b"\n")
        writer.close()

    async def _obey(self, request: _Request) -> None:
        if request.op == "cut":
            await self._supervisor.cut(request.part)
        elif request.op == "return":
            self._supervisor.restore(request.part)
        else:
            self._supervisor.disk(request.part, full=request.op == "disk_full")
