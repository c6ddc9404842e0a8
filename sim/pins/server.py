"""Serves the pins protocol (docs/sim-wire.md) on a Unix socket, for several devices at once. Strict and bounded."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from runtime import log
from sim.errors import PinsError
from sim.pins.board import Board, Message

VERSION = 1
MAX_LINE = 4096  # bytes, newline included
MAX_CONNECTIONS = 64
MAX_UNSENT = 256 * 1024  # bytes waiting for a device that does not read; then it is cut off
CLOSE_S = 1.0  # for connections to end in order
MAX_SOCKET_PATH = 107  # sockaddr_un.sun_path is 108 bytes with its NUL, unix(7)

_Name = Annotated[str, Meta(pattern="^[a-z0-9-]{1,32}$")]
_PinName = Annotated[str, Meta(pattern="^[A-Za-z0-9_-]{1,16}$")]
_Level = Annotated[int, Meta(ge=0, le=1)]


class _Request(msgspec.Struct, forbid_unknown_fields=True, tag_field="op"):
    """Anything a device may send."""


class _Hello(_Request, tag="hello"):
    device: _Name
    version: int


class _Setup(_Request, tag="setup"):
    pin: _PinName
    mode: Literal["in", "out"]
    pull: Literal["up", "down", "none"] = "none"
    value: _Level = 0


class _Write(_Request, tag="write"):
    pin: _PinName
    value: _Level


class _Indicator(_Request, tag="indicator"):
    name: Literal["led", "buzzer"]
    value: Literal["green", "red", "amber", "off"] | Annotated[int, Meta(ge=0, le=255)]


class _Display(_Request, tag="display"):
    text: Annotated[str, Meta(max_length=32)]


_DECODER = msgspec.json.Decoder(_Hello | _Setup | _Write | _Indicator | _Display)
_log = log.get("sim.pins")


class PinsServer:
    """One socket; each connection says hello as one of the boards. A newer connection replaces an older one."""

    def __init__(self, path: Path, boards: Mapping[str, Board]) -> None:
        self.path = path
        self._boards = boards
        self._server: asyncio.Server | None = None
        self._writers: dict[str, asyncio.StreamWriter] = {}
        self._connections: set[asyncio.StreamWriter] = set()
        self._serving: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listen. Raises PinsError where the socket cannot be made."""
        if len(str(self.path).encode()) > MAX_SOCKET_PATH:
            raise PinsError(
                f"{self.path}: a socket's path has at most {MAX_SOCKET_PATH} bytes; choose a folder with a shorter path"
            )
        self.path.unlink(missing_ok=True)
        try:
            self._server = await asyncio.start_unix_server(self._serve, self.path, limit=MAX_LINE)
        except OSError as e:
            raise PinsError(f"{self.path}: the pins socket cannot be made ({e.strerror}); check the folder") from e
        self.path.chmod(0o600)

    async def close(self) -> None:
        """Stop listening and hang up on every device."""
        if self._server is not None:
            self._server.close()
        self.path.unlink(missing_ok=True)
        for writer in list(self._connections):
            writer.close()
        if self._serving:
            await asyncio.wait(list(self._serving), timeout=CLOSE_S)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        board: Board | None = None
        self._connections.add(writer)
        if (task := asyncio.current_task()) is not None:
            self._serving.add(task)
            task.add_done_callback(self._serving.discard)
        try:
            if len(self._connections) > MAX_CONNECTIONS:
                raise PinsError(f"{MAX_CONNECTIONS} devices are already connected")
            board = self._greet(await self._read(reader), writer)
            while (request := await self._read(reader)) is not None:
                if self._writers.get(board.device) is not writer:
                    break  # replaced while this line was on its way
                self._obey(board, request)
        except PinsError as e:
            _log.warning("device refused", device=board.device if board else "?", cause=str(e))
            self._send(writer, {"op": "error", "text": str(e)[:500]})
        except ConnectionError:
            pass  # the device went away; handled below like an orderly end
        finally:
            self._connections.discard(writer)
            if board is not None and self._writers.get(board.device) is writer:
                del self._writers[board.device]
                board.unplug()
            writer.close()

    async def _read(self, reader: asyncio.StreamReader) -> _Request | None:
        """The next request; None at the end. Raises PinsError for anything that is not one."""
        try:
            line = await reader.readuntil(b"\n")
        except asyncio.IncompleteReadError as e:
            if e.partial:
                raise PinsError("the last line has no end") from None
            return None
        except asyncio.LimitOverrunError:
            raise PinsError(f"a line is longer than {MAX_LINE} bytes") from None
        try:
            return _DECODER.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError) as e:
            raise PinsError(f"expected one request as JSON, got {log.shown(line[:120].decode('latin-1'))}: {e}") from e

    def _greet(self, request: _Request | None, writer: asyncio.StreamWriter) -> Board:
        if not isinstance(request, _Hello):
            raise PinsError('the first line must be {"op":"hello","device":NAME,"version":1}')
        if request.version != VERSION:
            raise PinsError(f"this world speaks version {VERSION} of the pins protocol, not {request.version}")
        board = self._boards.get(request.device)
        if board is None:
            raise PinsError(f"there is no device {request.device!r} in this world; there are {sorted(self._boards)}")
        if (older := self._writers.get(board.device)) is not None:
            self._send(older, {"op": "error", "text": "another connection took this device's place"})
            older.close()
            board.unplug()
        self._writers[board.device] = writer
        board.plug_in(lambda message: self._send(writer, message))
        return board

    def _obey(self, board: Board, request: _Request) -> None:
        if isinstance(request, _Setup):
            board.setup(request.pin, request.mode, request.pull, request.value)
        elif isinstance(request, _Write):
            board.write(request.pin, request.value)
        elif isinstance(request, _Indicator):
            board.on_indicator(request.name, request.value)
        elif isinstance(request, _Display):
            board.on_display(request.text)
        else:
            raise PinsError("hello was said twice")

    def _send(self, writer: asyncio.StreamWriter, message: Message) -> None:
        if writer.is_closing():
            return
        if writer.transport.get_write_buffer_size() > MAX_UNSENT:
            _log.warning("a device does not read; cut off")
            writer.transport.abort()
            return
        writer.write(json.dumps(message, separators=(",", ":")).encode() + b"\n")
