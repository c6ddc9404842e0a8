"""Asks whoever supervises the site's processes to cut their power, to break their disks, or to hand an operation on
(docs/sim-wire.md)."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from sim.errors import ActionError

SOCKET = "power.sock"
ANSWER_S = 45.0  # an operation on the gateway may take ten; before an enrolment, pictures are drawn and read
MAX_LINE = 4096


class PowerSwitches:
    """The client of `<site>/run/power.sock`, and what is off now as far as this world did it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.off: set[str] = set()
        self.disks: dict[str, str] = {}  # part -> full or read-only

    async def switch(self, part: str, *, on: bool) -> None:
        """Cut a process's power (kill -9) or give it back; returns when that is done. Raises ActionError."""
        await self._ask({"op": "return" if on else "cut", "part": part})
        (self.off.discard if on else self.off.add)(part)

    async def disk(self, part: str = "core", *, full: bool) -> None:
        """The part can write no file any more, or again. Raises ActionError."""
        await self._ask({"op": "disk_full" if full else "disk_free", "part": part})
        self._note(part, "full" if full else None)

    async def read_only(self, part: str = "core", *, on: bool) -> None:
        """The part's disk turns read-only, or can be written again. Raises ActionError."""
        await self._ask({"op": "disk_readonly" if on else "disk_writable", "part": part})
        self._note(part, "read-only" if on else None)

    async def lose_disk(self, part: str) -> None:
        """What the part has stored is gone; it must be off. Raises ActionError."""
        await self._ask({"op": "disk_lost", "part": part})

    async def operate(self, what: str, **details: str) -> str | None:
        """Ask the gateway for something in the name of an operator on site; its sentence where it refuses, else None.

        Raises ActionError where nobody could be asked.
        """
        answer = await self._exchange({"op": "operate", "what": what, **details})
        if answer.get("refused"):
            return str(answer.get("text"))[:500]
        self._check(answer)
        return None

    def _note(self, part: str, state: str | None) -> None:
        self.disks.pop(part, None)
        if state is not None:
            self.disks[part] = state

    async def _ask(self, request: dict[str, str]) -> None:
        self._check(await self._exchange(request))

    async def _exchange(self, request: dict[str, str]) -> dict[str, Any]:
        try:
            async with asyncio.timeout(ANSWER_S):
                reader, writer = await asyncio.open_unix_connection(self._path, limit=MAX_LINE)
                try:
                    writer.write(json.dumps(request).encode() + b"\n")
                    return dict(json.loads(await reader.readline()))
                finally:
                    writer.close()
        except (OSError, TimeoutError, ValueError, TypeError) as e:
            raise ActionError(
                f"nobody supervises the processes of this site ({self._path}: {e or 'no answer'}); "
                "`zhian demo` and `zhian sim run` do"
            ) from e

    @staticmethod
    def _check(answer: dict[str, Any]) -> None:
        if not answer.get("ok"):
            raise ActionError(str(answer.get("text"))[:500])
