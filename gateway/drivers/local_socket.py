"""Lines over a Unix socket, from processes of this machine's own user only (SO_PEERCRED)."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections.abc import Awaitable, Callable
from pathlib import Path

from gateway.errors import DriverError
from runtime.log import get

MAX_CONNECTIONS = 32
MAX_PATH_BYTES = 107  # sun_path, unix(7)
_UCRED = struct.Struct("3i")  # pid, uid, gid: unix(7)

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
log = get("local-socket")


class LocalSocket:
    """Listens at `path` (mode 0600) and hands each accepted connection to `serve`."""

    def __init__(self, path: Path, serve: Serve, max_line_bytes: int) -> None:
        self._path = path
        self._serve = serve
        self._limit = max_line_bytes
        self._open: set[asyncio.Task[None]] = set()

    async def run(self, listening: asyncio.Event) -> None:
        """Until cancelled; sets `listening` once connections are taken. Raises DriverError where it cannot listen."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.unlink(missing_ok=True)
            before = os.umask(0o177)
            try:
                server = await asyncio.start_unix_server(self._accepted, self._path, limit=self._limit)
            finally:
                os.umask(before)
        except OSError as e:
            hint = "choose a shorter folder" if len(bytes(self._path)) > MAX_PATH_BYTES else "is the folder writable?"
            raise DriverError(f"{self._path}: cannot listen ({e.strerror or e}); {hint}") from e
        own = self._path.stat().st_ino
        listening.set()
        try:
            await asyncio.Event().wait()
        finally:
            server.close()
            for task in self._open:
                task.cancel()
            await asyncio.gather(*self._open, return_exceptions=True)
            if self._path.exists() and self._path.stat().st_ino == own:  # not another core's
                self._path.unlink()

    def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """In a task of ours, so that stopping can wait for it."""
        task = asyncio.get_running_loop().create_task(self._accept(reader, writer))
        self._open.add(task)
        task.add_done_callback(self._open.discard)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer: socket.socket = writer.get_extra_info("socket")
        _, uid, _ = _UCRED.unpack(peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
        if uid not in (os.getuid(), 0) or len(self._open) > MAX_CONNECTIONS:
            log.warning("a local connection was refused", socket=self._path.name, uid=uid, connections=len(self._open))
            writer.close()
            return
        try:
            await self._serve(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the peer left
        except (asyncio.LimitOverrunError, ValueError) as e:
            log.warning("a local connection sent what cannot be read", socket=self._path.name, error=str(e))
        finally:
            writer.close()
