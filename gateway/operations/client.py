"""The operations of core, from another process of this machine, over its Unix socket."""

from __future__ import annotations

import asyncio
import os
import secrets
from datetime import datetime
from pathlib import Path
from typing import TypeVar

import msgspec

from gateway.errors import OperationRefusedError, OperationsUnavailableError
from gateway.model import PortalMode, SiteStatus
from gateway.operations.explanation import Explanation
from gateway.operations.messages import (
    MAX_ANSWER_BYTES,
    AddVisitorPass,
    Answer,
    BeginLockdown,
    Done,
    EndLockdown,
    EnrolFace,
    EnrolledAnswer,
    EnrolledFace,
    ErasedAnswer,
    Explain,
    ExplainAnswer,
    FaceReceipt,
    FacesAnswer,
    ForgetPresence,
    ForgottenAnswer,
    HearBus,
    Heard,
    HeardAnswer,
    ListFaces,
    OpenPortal,
    PassAnswer,
    PolicyAnswer,
    Refused,
    ReplacePolicy,
    Request,
    ResetFire,
    RestoreCredential,
    RevokeCredential,
    RotateKey,
    SetPortalMode,
    Status,
    StatusAnswer,
    UndoPolicy,
    Whose,
    WithdrawFace,
    decode_answer,
    encode,
)

A = TypeVar("A")
ANSWER_TIMEOUT_S = 10.0  # a door's acknowledgement over a slow bus takes well below a second
KEY_TIMEOUT_S = 15.0  # the driver gives up sooner
POLICY_TIMEOUT_S = 60.0  # compiling a document at its limits takes some seconds on a Pi


class OperationsClient:
    """One short connection per call: nothing to keep alive, nothing to reconnect.

    Every method raises OperationRefusedError (core's sentence) and OperationsUnavailableError (core does not answer).
    """

    def __init__(self, socket_path: Path) -> None:
        self._path = socket_path

    async def status(self) -> SiteStatus:
        """The site now."""
        return (await self._ask(Status(), StatusAnswer)).status

    async def open_portal(self, portal: str, operator: str) -> None:
        """Open; returns once the device has acknowledged."""
        await self._ask(OpenPortal(portal, operator), Done)

    async def set_portal_mode(self, portal: str, mode: PortalMode, operator: str) -> None:
        """Give a portal another mode; returns once it has it."""
        await self._ask(SetPortalMode(portal, mode, operator), Done)

    async def begin_lockdown(self, operator: str) -> None:
        """Nobody enters, everybody may leave."""
        await self._ask(BeginLockdown(operator), Done)

    async def end_lockdown(self, operator: str) -> None:
        """Each portal returns to the mode it had."""
        await self._ask(EndLockdown(operator), Done)

    async def reset_fire(self, operator: str, although_unknown: bool = False) -> None:
        """End the fire release; refused while a fire input is active, and, unless `although_unknown`, while one that
        was active cannot be asked."""
        await self._ask(ResetFire(operator, although_unknown), Done)

    async def forget_presence(self, what: Whose, name: str, operator: str) -> int:
        """Forget where a holder is, who is in a zone, or where everybody is (name ""); returns how many that were."""
        return (await self._ask(ForgetPresence(what, operator, name), ForgottenAnswer)).count

    async def replace_policy(
        self, document: bytes, base: int | None, operator: str, imported: str | None = None
    ) -> int:
        """Make `document` (a policy in canonical form) the next version; returns its number. `base`: the version it
        was made from, None to overwrite whatever is in force. `imported`: sha256 (hex) of the
        site's own policy.toml, where it was read from that."""
        upload = self._path.parent / f"policy-{secrets.token_hex(8)}.json"
        try:
            with open(upload, "xb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:  # noqa: ASYNC230
                file.write(document)
        except OSError as e:
            raise OperationsUnavailableError(f"{upload}: cannot be written ({e.strerror}); start core first") from e
        try:
            request = ReplacePolicy(upload.name, base, operator, imported)
            return (await self._ask(request, PolicyAnswer, POLICY_TIMEOUT_S)).version
        finally:
            upload.unlink(missing_ok=True)

    async def undo_policy(self, version: int | None, operator: str) -> int:
        """An earlier version's document as the next version; returns its number."""
        return (await self._ask(UndoPolicy(operator, version), PolicyAnswer, POLICY_TIMEOUT_S)).version

    async def revoke_credential(self, holder: str, credential: str, operator: str) -> int:
        """Once this has returned, the credential opens nothing; returns the policy's version."""
        request = RevokeCredential(holder, credential, operator)
        return (await self._ask(request, PolicyAnswer, POLICY_TIMEOUT_S)).version

    async def restore_credential(self, holder: str, credential: str, operator: str) -> int:
        """Take a revocation back; returns the policy's version."""
        request = RestoreCredential(holder, credential, operator)
        return (await self._ask(request, PolicyAnswer, POLICY_TIMEOUT_S)).version

    async def add_visitor_pass(self, asked: AddVisitorPass) -> PassAnswer:
        """Issue a visitor pass; the answer's text is what its QR code says."""
        return await self._ask(asked, PassAnswer, POLICY_TIMEOUT_S)

    async def explain(
        self,
        portal: str,
        at: datetime | None = None,
        who: str | None = None,
        with_kind: str | None = None,
        refused: bool = False,
    ) -> Explanation:
        """Who could pass, and why (not)."""
        request = Explain(portal, at, who, with_kind, refused)
        return (await self._ask(request, ExplainAnswer, POLICY_TIMEOUT_S)).explanation

    async def enrol_face(self, request: EnrolFace) -> EnrolledFace:
        """Store a consenting holder's references; returns once they count."""
        return (await self._ask(request, EnrolledAnswer, POLICY_TIMEOUT_S)).face

    async def withdraw_face(self, holder: str, operator: str) -> FaceReceipt:
        """Erase a holder's face; returns once the key is destroyed and the vision process was told."""
        return (await self._ask(WithdrawFace(holder, operator), ErasedAnswer, POLICY_TIMEOUT_S)).receipt

    async def faces(self) -> FacesAnswer:
        """Who is enrolled, and what was erased."""
        return await self._ask(ListFaces(), FacesAnswer)

    async def rotate_key(self, device: str, operator: str) -> None:
        """Give a device on a bus a fresh key; returns once it has proved that it has it."""
        await self._ask(RotateKey(device, operator), Done, KEY_TIMEOUT_S)

    async def hear_bus(self, bus: str) -> tuple[Heard, ...]:
        """What was said on a line lately, oldest first."""
        return (await self._ask(HearBus(bus), HeardAnswer)).heard

    async def _ask(self, request: Request, kind: type[A], timeout_s: float = ANSWER_TIMEOUT_S) -> A:
        answer = await self._exchange(request, timeout_s)
        if isinstance(answer, Refused):
            raise OperationRefusedError(answer.text, answer.code, answer.about)
        if not isinstance(answer, kind):
            asked, got = type(request).__name__, type(answer).__name__
            raise OperationsUnavailableError(f"core answered {asked} with {got}; install the same release for both")
        return answer

    async def _exchange(self, request: Request, timeout_s: float) -> Answer:
        try:
            async with asyncio.timeout(timeout_s):
                reader, writer = await asyncio.open_unix_connection(self._path, limit=MAX_ANSWER_BYTES)
                try:
                    writer.write(encode(request) + b"\n")
                    await writer.drain()
                    return decode_answer(await reader.readuntil(b"\n"))
                finally:
                    writer.close()
        except TimeoutError:
            raise OperationsUnavailableError(f"core did not answer within {timeout_s:.0f} s") from None
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, msgspec.MsgspecError) as e:
            raise OperationsUnavailableError(f"the gateway's core does not answer at {self._path}; start it") from e
