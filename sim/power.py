"""Asks whoever supervises the site's processes to cut their power, or to fill core's disk (docs/sim-wire.md)."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from sim.errors import ActionError

SOCKET = "power.sock"
ANSWER_S = 10.0
MAX_LINE = 4096


class PowerSwitches:
    """The client of `<site>/run/power.sock`, and what is off now as far as this world did it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.off: set[str] = set()
        self.disk_full = False

    async def switch(self, part: str, *, on: bool) -> None:
        """Cut a process's power (kill -9) or give it back; returns when that is done. Raises ActionError."""
        await self._ask({"op": "return" if on else "cut", "part": part})
        (self.off.discard if on else self.off.add)(part)

    async def disk(self, *, full: bool) -> None:
        """Core can write no file any more, or again. Raises ActionError."""
        await self._ask({"op": "disk_full" if full else "disk_free", "part": "core"})
        self.disk_full = full

    async def _ask(self, request: dict[str, str]) -> None:
        try:
            async with asyncio.timeout(ANSWER_S):
                reader, writer = await asyncio.open_unix_connection(self._path, limit=MAX_LINE)
                try:
                    writer.write(json.dumps(request).encode() + b"\n")
                    answer = json.loads(await reader.readline())
                finally:
                    writer.close()
        except (OSError, TimeoutError, ValueError) as e:
            raise ActionError(
                f"nobody supervises the processes of this site ({self._path}: {e or 'no answer'}); "
                "`zhian demo` and `zhian sim run` do"
            ) from e
        if not answer.get("ok"):
            raise ActionError(str(answer.get("text"))[:500])
