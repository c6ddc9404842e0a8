"""Operations as typed messages: one JSON object per line over core's Unix socket.

Every request that changes something names its operator, and leaves an event that says so.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from gateway.model import PortalMode, SiteStatus
from gateway.operations.explanation import Explanation

MAX_LINE_BYTES = 64 * 1024
MAX_ANSWER_BYTES = 4 * 1024 * 1024  # an explanation of MAX_FINDINGS people
Name = Annotated[str, Meta(pattern=r"^[a-z0-9-]{1,32}(?!\n)$")]
NameOrNone = Annotated[str, Meta(pattern=r"^[a-z0-9-]{0,32}(?!\n)$")]
Whose = Literal["holder", "zone", "all"]  # as gateway.access.presence.Forgotten, which pages do not import
Operator = Annotated[str, Meta(min_length=1, max_length=64)]
CredentialName = Annotated[str, Meta(min_length=1, max_length=80)]
ConsentText = Annotated[str, Meta(min_length=1, max_length=120)]
Version = Annotated[int, Meta(ge=0, le=1 << 53)]
Moment = Annotated[datetime, Meta(tz=True)]


class _Request(Struct, frozen=True, tag_field="type", forbid_unknown_fields=True):
    """Base of every request."""


class Status(_Request, tag="status"):
    """How is the site?"""


class OpenPortal(_Request, tag="open-portal"):
    """Open a portal now, on behalf of a named operator."""

    portal: Name
    operator: Operator


class SetPortalMode(_Request, tag="set-portal-mode"):
    """Give a portal another mode until it is changed again."""

    portal: Name
    mode: PortalMode
    operator: Operator


class BeginLockdown(_Request, tag="begin-lockdown"):
    """Nobody enters the site but holders of groups that pass a lockdown; everybody may leave."""

    operator: Operator


class EndLockdown(_Request, tag="end-lockdown"):
    """Each portal returns to the mode it had."""

    operator: Operator


class ResetFire(_Request, tag="reset-fire"):
    """End the fire release. Refused while any fire input is still active, and, unless `although_unknown`, while one
    that was active cannot be asked."""

    operator: Operator
    although_unknown: bool = False


class ForgetPresence(_Request, tag="forget-presence"):
    """Forget where people are, so that anti-passback starts anew for them: a holder with their cars and visitors,
    everybody in a zone, or all. name: the holder's id or the zone; "" for all."""

    what: Whose
    operator: Operator
    name: NameOrNone = ""


class ReplacePolicy(_Request, tag="replace-policy"):
    """Take a whole new document. It lies as `upload` in core's run folder, since it may be far longer than a line;
    `base`: the version it was made from, so that two editors do not overwrite one another (None: overwrite).
    `imported`: sha256 (hex) of the site's own policy.toml, where it was read from that."""

    upload: Annotated[str, Meta(pattern=r"^policy-[0-9a-f]{16}\.json(?!\n)$")]
    base: Version | None
    operator: Operator
    imported: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}(?!\n)$")] | None = None


class UndoPolicy(_Request, tag="undo-policy"):
    """Make an earlier version's document (None: the one before) the next version; what is revoked stays revoked."""

    operator: Operator
    version: Version | None = None


class RevokeCredential(_Request, tag="revoke-credential"):
    """Once this is answered with a version, the credential opens nothing."""

    holder: Name
    credential: CredentialName
    operator: Operator


class RestoreCredential(_Request, tag="restore-credential"):
    """Take a revocation back."""

    holder: Name
    credential: CredentialName
    operator: Operator


class AddVisitorPass(_Request, tag="add-visitor-pass"):
    """Issue a signed QR pass for a visitor of `holder`."""

    holder: Name
    portals: Annotated[tuple[Name, ...], Meta(min_length=1, max_length=16)]
    valid_from: Moment
    valid_until: Moment
    operator: Operator
    uses: Annotated[int, Meta(ge=1, le=1000)] | None = None
    plate: Annotated[str, Meta(min_length=7, max_length=8)] | None = None
    note: Annotated[str, Meta(max_length=40)] = ""


class Explain(_Request, tag="explain"):
    """Who could pass `portal` at `at` (None: now, as things stand), or why `who` could (not). Changes nothing.

    with_kind: only with this kind of credential. refused: list those who could not pass, too.
    """

    portal: Name
    at: Moment | None = None
    who: Name | None = None
    with_kind: Name | None = None
    refused: bool = False


class EnrolFace(_Request, tag="enrol-face"):
    """Store the references of a consenting holder's face. references: little-endian float32 of one embedding model.
    replace: an earlier enrolment of the holder is erased."""

    holder: Name
    portals: Annotated[tuple[Name, ...], Meta(min_length=1, max_length=16)]
    asked_by: ConsentText
    other_way: ConsentText
    valid_until: Moment
    references: Annotated[tuple[Annotated[bytes, Meta(max_length=8192)], ...], Meta(min_length=1, max_length=8)]
    model_sha256: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}(?!\n)$")]
    operator: Operator
    below_14: bool = False
    guardian: Annotated[str, Meta(max_length=120)] = ""
    replace: bool = False


class WithdrawFace(_Request, tag="withdraw-face"):
    """Erase everything of a holder's face, with the key that sealed it."""

    holder: Name
    operator: Operator


class ListFaces(_Request, tag="list-faces"):
    """Who is enrolled with which consent, and what was erased."""


class RotateKey(_Request, tag="rotate-key"):
    """Give a device on a bus a fresh key."""

    device: Name
    operator: Operator


class HearBus(_Request, tag="hear-bus"):
    """What was said on a line lately, as it was said: what is encrypted stays encrypted."""

    bus: Name
    count: Annotated[int, Meta(ge=1, le=8192)] = 8192


Request = (
    Status
    | OpenPortal
    | SetPortalMode
    | BeginLockdown
    | EndLockdown
    | ResetFire
    | ForgetPresence
    | ReplacePolicy
    | UndoPolicy
    | RevokeCredential
    | RestoreCredential
    | AddVisitorPass
    | Explain
    | EnrolFace
    | WithdrawFace
    | ListFaces
    | RotateKey
    | HearBus
)


class StatusAnswer(Struct, frozen=True, tag="status"):
    """The answer to Status."""

    status: SiteStatus


class Done(Struct, frozen=True, tag="done"):
    """It happened (not merely: it was received)."""


class ForgottenAnswer(Struct, frozen=True, tag="forgotten"):
    """So many people, visitors and cars were in a zone until then."""

    count: int


class PolicyAnswer(Struct, frozen=True, tag="policy"):
    """The edit is in force as this version."""

    version: int


class PassAnswer(Struct, frozen=True, tag="pass"):
    """The pass that was issued; `text` is what its QR code says."""

    id: str
    text: str
    version: int


class ExplainAnswer(Struct, frozen=True, tag="explain"):
    """The answer to Explain."""

    explanation: Explanation


class Heard(Struct, frozen=True, array_like=True):
    """Bytes of a line: Unix nanoseconds, whether the panel sent them, the bytes."""

    time_ns: int
    from_panel: bool
    data: bytes


class HeardAnswer(Struct, frozen=True, tag="heard"):
    """The answer to HearBus, oldest first."""

    heard: tuple[Heard, ...]


class EnrolledFace(Struct, frozen=True):
    """One holder's enrolment as a list shows it. Times in Unix ms; nothing here says what the face looks like."""

    enrolment: str
    holder: str
    portals: tuple[str, ...]
    asked_by: str
    other_way: str
    given_ms: int
    until_ms: int
    references: int
    below_14: bool
    guardian: str


class FaceReceipt(Struct, frozen=True):
    """Proof of an erasure, as the ledger has it."""

    number: int
    enrolment: str
    at_ms: int
    cause: str
    references: int
    key_destroyed: bool
    digest: str


class EnrolledAnswer(Struct, frozen=True, tag="enrolled"):
    """The enrolment that was stored; the person keeps its number."""

    face: EnrolledFace


class ErasedAnswer(Struct, frozen=True, tag="erased"):
    """The erasure that happened."""

    receipt: FaceReceipt


class NamedHolder(Struct, frozen=True, array_like=True):
    """A holder of the policy, to choose from."""

    id: str
    zh: str
    en: str


class FacesAnswer(Struct, frozen=True, tag="faces"):
    """The answer to ListFaces. erased: the newest first, at most 200. alone: whether a face alone may open where the
    policy says so. filing_threshold: stored faces from which a site files with the authorities. holders, portals: who
    can be enrolled, and where faces are accepted. broken: why faces are off, else ""."""

    faces: tuple[EnrolledFace, ...]
    erased: tuple[FaceReceipt, ...]
    alone: bool
    filing_threshold: int
    holders: tuple[NamedHolder, ...]
    portals: tuple[str, ...]
    broken: str = ""


class Refused(Struct, frozen=True, tag="refused"):
    """It did not happen; one sentence says why. code, about: as of OperationRefusedError."""

    text: str
    code: str = ""
    about: str = ""


Answer = (
    StatusAnswer
    | Done
    | ForgottenAnswer
    | PolicyAnswer
    | PassAnswer
    | ExplainAnswer
    | HeardAnswer
    | EnrolledAnswer
    | ErasedAnswer
    | FacesAnswer
    | Refused
)

encode = msgspec.json.Encoder().encode
decode_request = msgspec.json.Decoder(Request).decode
decode_answer = msgspec.json.Decoder(Answer).decode
