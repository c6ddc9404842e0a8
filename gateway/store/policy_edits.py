"""Edits of a policy document, as functions from one document to the next. Pure: what is random or now is given in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from msgspec.structs import replace

from gateway.errors import OperationRefusedError
from gateway.store.policy_document import CredentialTable, PassTable, PolicyDocument
from gateway.store.policy_revocations import PASS_KEPT

MAX_PASS_DAYS = 366


@dataclass(frozen=True, slots=True)
class NewPass:
    """What a visitor pass is asked for."""

    holder: str
    portals: tuple[str, ...]
    valid_from: datetime
    valid_until: datetime
    uses: int | None = None
    plate: str | None = None
    note: str = ""


def credential_name(table: CredentialTable) -> str:
    """What lists and revocations call it: its id, else "<kind>:<key>" (as `access.policy.Credential.name`)."""
    return table.id or f"{table.kind}:{table.key}"


def with_revocation(document: PolicyDocument, holder: str, credential: str, revoked: bool) -> PolicyDocument:
    """The document in which one credential or pass of `holder` is revoked, or restored.

    Raises OperationRefusedError where there is none, or nothing would change.
    """
    credentials = list(document.credential)
    for i, one in enumerate(credentials):
        if one.holder == holder and credential_name(one) == credential:
            _changes(one.revoked, revoked, holder, credential)
            credentials[i] = replace(one, revoked=revoked)
            return replace(document, credential=tuple(credentials))
    passes = list(document.pass_)
    for i, issued in enumerate(passes):
        if issued.holder == holder and credential in (issued.id, f"pass-{issued.id}"):
            _changes(issued.revoked, revoked, holder, credential)
            passes[i] = replace(issued, revoked=revoked)
            return replace(document, pass_=tuple(passes))
    raise OperationRefusedError(_not_found(document, holder, credential))


def _changes(is_revoked: bool, revoked: bool, holder: str, credential: str) -> None:
    if is_revoked is revoked:
        state = "revoked already" if revoked else "not revoked"
        raise OperationRefusedError(f"credential {credential!r} of {holder!r} is {state}; nothing was changed")


def _not_found(document: PolicyDocument, holder: str, credential: str) -> str:
    """Names only what is no secret: a PIN's digest stays out of messages, and a PIN that tells of duress altogether."""
    if holder not in {one.id for one in document.holder}:
        return f"there is no holder {holder!r}; `zhian access holders` lists them"
    theirs = [
        one.id or (f"a {one.kind} without an id" if one.kind in ("pin", "code") else credential_name(one))
        for one in document.credential
        if one.holder == holder and not one.duress
    ] + [f"pass-{one.id}" for one in document.pass_ if one.holder == holder]
    listed = ", ".join(map(repr, theirs[:10])) + (" and more" if len(theirs) > 10 else "")
    return f"holder {holder!r} has no credential {credential!r}; they have {listed or 'none'}"


def check_pass(asked: NewPass, now: datetime) -> None:
    """Raise OperationRefusedError for times that cannot be."""
    if asked.valid_until <= asked.valid_from:
        raise OperationRefusedError("a pass ends after it begins; correct one of its times")
    if asked.valid_until <= now:
        raise OperationRefusedError(f"a pass until {asked.valid_until:%Y-%m-%d %H:%M} has expired; give a later time")
    if asked.valid_until - asked.valid_from > timedelta(days=MAX_PASS_DAYS):
        raise OperationRefusedError(f"a pass is valid for at most {MAX_PASS_DAYS} days; make the visitor a holder")


def _check_accepted(document: PolicyDocument, asked: NewPass) -> None:
    """A pass that nobody could use would be found out at the door, by a visitor."""
    for portal in document.portal:
        usable = {("qr",)} | ({("plate",)} if asked.plate else set())
        if portal.name in asked.portals and not usable & set(portal.accepts):
            words = "neither a QR pass nor a plate" if asked.plate else "no QR pass"
            raise OperationRefusedError(f'portal {portal.name!r} accepts {words} by itself; add ["qr"] to its accepts')


def with_pass(
    document: PolicyDocument, asked: NewPass, pass_id: str, now: datetime, *, clock_certain: bool
) -> PolicyDocument:
    """The document with one more pass, and without those that expired more than PASS_KEPT ago.

    pass_id: 16 hex digits, random. Where the clock is uncertain nothing is taken out. Raises OperationRefusedError.
    """
    check_pass(asked, now)
    _check_accepted(document, asked)
    kept: Sequence[PassTable] = document.pass_
    if clock_certain:
        kept = [one for one in document.pass_ if one.valid_until.tzinfo is None or one.valid_until > now - PASS_KEPT]
    issued = PassTable(
        id=pass_id,
        holder=asked.holder,
        portals=asked.portals,
        valid_from=asked.valid_from,
        valid_until=asked.valid_until,
        uses=asked.uses,
        plate=asked.plate,
        note=asked.note,
    )
    return replace(document, pass_=(*kept, issued))


def with_face(document: PolicyDocument, holder: str, portals: tuple[str, ...], valid_until: datetime) -> PolicyDocument:
    """The document in which the holder's face counts at `portals` until then; an earlier entry for it is replaced.

    Raises OperationRefusedError: no such holder or portal, a portal that takes no face, or one that takes nothing else.
    """
    if holder not in {one.id for one in document.holder}:
        raise OperationRefusedError(f"there is no holder {holder!r}; `zhian access holders` lists them")
    described = {one.name: one for one in document.portal}
    for name in portals:
        if name not in described:
            raise OperationRefusedError(f"the policy has no portal {name!r}; it has {', '.join(sorted(described))}")
        combinations = described[name].accepts
        if not any("face" in one for one in combinations):
            raise OperationRefusedError(f"portal {name!r} accepts no face; add one to its accepts first")
        if all("face" in one for one in combinations):
            raise OperationRefusedError(f"portal {name!r} accepts nothing but faces; offer another way in first")
    face = CredentialTable(holder=holder, kind="face", key=holder, portals=portals, valid_until=valid_until)
    return replace(document, credential=(*_without_face(document, holder), face))


def without_face(document: PolicyDocument, holder: str) -> PolicyDocument:
    """The document in which the holder has no face; the same document where there was none."""
    kept = _without_face(document, holder)
    return document if len(kept) == len(document.credential) else replace(document, credential=tuple(kept))


def _without_face(document: PolicyDocument, holder: str) -> list[CredentialTable]:
    return [one for one in document.credential if not (one.kind == "face" and one.holder == holder)]
