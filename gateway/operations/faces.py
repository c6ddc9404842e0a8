"""Faces as operations: enrol with consent, withdraw, list. What is stored and how is the desk's business."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from gateway.operations.messages import (
    Answer,
    EnrolFace,
    EnrolledAnswer,
    EnrolledFace,
    ErasedAnswer,
    FaceReceipt,
    FacesAnswer,
    ListFaces,
    NamedHolder,
    WithdrawFace,
)

MOST_RECEIPTS = 200


class Agreed(Protocol):
    """A holder's consent."""

    @property
    def holder(self) -> str: ...

    @property
    def portals(self) -> tuple[str, ...]: ...

    @property
    def asked_by(self) -> str: ...

    @property
    def other_way(self) -> str: ...

    @property
    def given_ms(self) -> int: ...

    @property
    def until_ms(self) -> int: ...

    @property
    def below_14(self) -> bool: ...

    @property
    def guardian(self) -> str: ...


class Enrolled(Protocol):
    """One holder's enrolment."""

    @property
    def enrolment(self) -> str: ...

    @property
    def consent(self) -> Agreed: ...

    @property
    def references(self) -> int: ...


class Erased(Protocol):
    """One erasure."""

    @property
    def number(self) -> int: ...

    @property
    def enrolment(self) -> str: ...

    @property
    def at_ms(self) -> int: ...

    @property
    def cause(self) -> str: ...

    @property
    def references(self) -> int: ...

    @property
    def key_destroyed(self) -> bool: ...

    @property
    def digest(self) -> str: ...


class FaceDesk(Protocol):
    """Where faces are kept. Each method raises UserError with one sentence where nothing was changed."""

    @property
    def broken(self) -> str:
        """Why faces are off, else ""."""
        ...

    @property
    def alone_accepted(self) -> bool: ...

    @property
    def filing_threshold(self) -> int: ...

    @property
    def choices(self) -> tuple[Sequence[tuple[str, str, str]], Sequence[str]]:
        """(holders as id, Chinese, English; portals that accept faces)."""
        ...

    @property
    def receipts(self) -> Sequence[Erased]: ...

    async def enrol(
        self,
        *,
        holder: str,
        portals: tuple[str, ...],
        asked_by: str,
        other_way: str,
        until_ms: int,
        below_14: bool,
        guardian: str,
        references: Sequence[bytes],
        model_sha256: str,
        operator: str,
        again: bool,
    ) -> Enrolled: ...

    async def withdraw(self, holder: str, operator: str) -> Erased: ...

    async def enrolments(self) -> Sequence[Enrolled]: ...


async def perform(desk: FaceDesk, request: EnrolFace | WithdrawFace | ListFaces) -> Answer:
    """Carry one request out. Raises UserError."""
    match request:
        case EnrolFace():
            made = await desk.enrol(
                holder=request.holder,
                portals=request.portals,
                asked_by=request.asked_by,
                other_way=request.other_way,
                until_ms=int(request.valid_until.timestamp() * 1000),
                below_14=request.below_14,
                guardian=request.guardian,
                references=request.references,
                model_sha256=request.model_sha256,
                operator=request.operator,
                again=request.replace,
            )
            return EnrolledAnswer(_face(made))
        case WithdrawFace():
            return ErasedAnswer(_receipt(await desk.withdraw(request.holder, request.operator)))
        case ListFaces():
            faces = () if desk.broken else tuple(_face(one) for one in await desk.enrolments())
            newest = tuple(_receipt(one) for one in reversed(desk.receipts[-MOST_RECEIPTS:]))
            holders, portals = desk.choices
            named = tuple(NamedHolder(*one) for one in holders)
            return FacesAnswer(
                faces, newest, desk.alone_accepted, desk.filing_threshold, named, tuple(portals), desk.broken
            )


def _face(one: Enrolled) -> EnrolledFace:
    consent = one.consent
    return EnrolledFace(
        one.enrolment,
        consent.holder,
        consent.portals,
        consent.asked_by,
        consent.other_way,
        consent.given_ms,
        consent.until_ms,
        one.references,
        consent.below_14,
        consent.guardian,
    )


def _receipt(one: Erased) -> FaceReceipt:
    return FaceReceipt(one.number, one.enrolment, one.at_ms, one.cause, one.references, one.key_destroyed, one.digest)
