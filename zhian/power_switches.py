"""Power switches and disks of a simulated site's processes, and its operator: the server of `<site>/run/power.sock`."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path
from typing import Literal

import msgspec

from gateway.errors import OperationRefusedError
from gateway.model import PortalMode
from gateway.operations.client import OperationsClient
from runtime.errors import UserError
from zhian import drawn_faces
from zhian.supervisor import Supervisor

MAX_LINE = 4096


class _Request(msgspec.Struct, forbid_unknown_fields=True):
    """One line of docs/sim-wire.md, "Power"."""

    op: Literal["cut", "return", "disk_full", "disk_free", "disk_readonly", "disk_writable", "disk_lost"]
    part: Literal["core", "vision", "broker", "center"]


class _Operate(msgspec.Struct, forbid_unknown_fields=True):
    """Likewise: what an operator on site asks of the gateway. `portal` and `mode` go with set_mode,
    `who` and `portal` with enrol_face, `who` with withdraw_face, `who` and `credential` with revoke_card."""

    op: Literal["operate"]
    what: Literal["reset_fire", "lockdown", "end_lockdown", "set_mode", "revoke_card", "enrol_face", "withdraw_face"]
    portal: str = ""
    mode: str = ""
    who: str = ""
    credential: str = ""


OPERATOR = "on-site"


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
            line = await reader.readline()
            if msgspec.json.decode(line, type=dict[str, str]).get("op") == "operate":
                await self._operate(msgspec.json.decode(line, type=_Operate))
            else:
                await self._obey(msgspec.json.decode(line, type=_Request))
            answer: dict[str, object] = {"ok": True}
        except OperationRefusedError as e:
            answer = {"ok": False, "refused": True, "text": str(e)}
        except (UserError, ValueError, OSError) as e:
            answer = {"ok": False, "text": str(e)}
        writer.write(json.dumps(answer).encode() + b"\n")
        writer.close()

    async def _obey(self, request: _Request) -> None:
        if request.op == "cut":
            await self._supervisor.cut(request.part)
        elif request.op == "return":
            self._supervisor.restore(request.part)
        elif request.op == "disk_readonly":
            self._supervisor.read_only(request.part, self._folder_of(request.part))
        elif request.op == "disk_writable":
            self._supervisor.writable(request.part)
        elif request.op == "disk_lost":
            self._lose_disk(request.part)
        else:
            self._supervisor.disk(request.part, full=request.op == "disk_full")

    async def _operate(self, request: _Operate) -> None:
        """Over the gateway's own socket, as its page does. Raises GatewayError."""
        client = OperationsClient(self._path.with_name("operations.sock"))
        if request.what == "reset_fire":
            await client.reset_fire(OPERATOR)
        elif request.what == "lockdown":
            await client.begin_lockdown(OPERATOR)
        elif request.what == "end_lockdown":
            await client.end_lockdown(OPERATOR)
        elif request.what == "set_mode":
            await client.set_portal_mode(request.portal, PortalMode(request.mode), OPERATOR)
        elif request.what == "revoke_card":
            await client.revoke_credential(request.who, request.credential, OPERATOR)
        elif request.what == "enrol_face":
            asked = await asyncio.to_thread(drawn_faces.enrolment, self._site, request.who, request.portal, OPERATOR)
            await client.enrol_face(asked)
        else:
            await client.withdraw_face(request.who, OPERATOR)

    @property
    def _site(self) -> Path:
        return self._path.parent.parent

    def _folder_of(self, part: str) -> Path:
        """Where the part keeps what must outlive it (zhian/site_files.py)."""
        names = {"core": "data", "center": "center", "broker": "broker"}
        if part not in names:
            raise UserError(f"{part} keeps nothing on a disk; choose one of {sorted(names)}")
        return self._site / names[part]

    def _lose_disk(self, part: str) -> None:
        """Delete what the broker has stored. Its accounts are set-up, not data, and stay. Raises UserError."""
        if part != "broker":
            raise UserError(f"only the broker may lose its disk, not {part}: its data can be made again")
        if not self._supervisor.is_off(part):
            raise UserError(f"{part} has power; cut it before its disk is lost")
        for path in self._folder_of(part).iterdir():
            if path.is_dir():
                shutil.rmtree(path)
