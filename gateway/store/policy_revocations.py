"""What was revoked stays revoked, whatever a later document says, until somebody restores it by name. Pure.

A document alone cannot tell: a row that was revoked and then tidied away comes back in an older document, or in an
import, as if nothing had been. So each signed version carries what was ever revoked beside its document.
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta

from msgspec.structs import replace

from gateway.store.policy_document import MAX_REVOKED, Cause, CredentialTable, PassTable, PolicyDocument, Revocations

PASS_KEPT = timedelta(days=7)  # after it has expired: non-residents' data, docs/policy.md "Visitor passes"


def digest(kind: str, key: str) -> str:
    """What stands for a credential here: a plate or card of somebody who left the site is not kept as text."""
    return hashlib.sha256(f"{kind}:{key}".encode()).hexdigest()[:32]


def after_edit(lasting: Revocations, before: PolicyDocument, after: PolicyDocument, cause: Cause) -> Revocations:
    """What is revoked for good once `after` follows `before`. Only "restore" takes anything out.

    What "undo" revoked because it is missing now (`undoing`) is no revocation that anybody asked for: it is not for
    good, and an import may bring such a credential back.
    """
    lasting = _with_passes(lasting, before, after, restored=cause == "restore")
    revoked_before = {_of(one) for one in before.credential if one.revoked}
    revoked = {_of(one): None for one in after.credential if one.revoked}
    if cause == "restore":
        taken_back = revoked_before - revoked.keys()
        return replace(lasting, credentials=tuple(one for one in lasting.credentials if one not in taken_back))
    if cause == "undo":
        return lasting
    known = set(lasting.credentials) | (set() if cause == "import" else revoked_before)
    new = [one for one in revoked if one not in known]
    return replace(lasting, credentials=(*lasting.credentials, *new)[-MAX_REVOKED:])


def applied(lasting: Revocations, document: PolicyDocument) -> PolicyDocument:
    """The document with everything revoked that is revoked for good. A pass that it lacks comes back as revoked, since
    its QR code is signed and would open by itself; not where its holder or all its portals are gone, as long as they
    are: it then opens nothing anyway."""
    revoked, passes = set(lasting.credentials), {one.id: one for one in lasting.passes}
    credentials = tuple(
        one if one.revoked or _of(one) not in revoked else replace(one, revoked=True) for one in document.credential
    )
    holders = {one.id for one in document.holder}
    portals = {one.name for one in document.portal}
    known = [
        replace(one, revoked=True, valid_until=_later(one.valid_until, passes[one.id].valid_until))
        if one.id in passes
        else one
        for one in document.pass_
    ]
    present = {one.id for one in document.pass_}
    lost = [
        replace(one, revoked=True, portals=tuple(name for name in one.portals if name in portals))
        for one in lasting.passes
        if one.id not in present and one.holder in holders and portals & set(one.portals)
    ]
    return replace(document, credential=credentials, pass_=(*known, *lost))


def without_expired(lasting: Revocations, now: datetime) -> Revocations:
    """Without the passes that ended more than PASS_KEPT ago. now: aware, of a clock that is certain."""
    oldest = now - PASS_KEPT
    kept = (one for one in lasting.passes if one.valid_until.tzinfo is None or one.valid_until > oldest)
    return replace(lasting, passes=tuple(kept))


def undoing(earlier: PolicyDocument, now: PolicyDocument) -> PolicyDocument:
    """`earlier`, opening for no credential or pass that is revoked or missing now: a card that was lost may have been
    taken out of the document instead of being revoked."""
    cards = {(one.kind, one.key) for one in now.credential if not one.revoked}
    passes = {one.id for one in now.pass_ if not one.revoked}
    return replace(
        earlier,
        credential=tuple(
            replace(one, revoked=one.revoked or (one.kind, one.key) not in cards) for one in earlier.credential
        ),
        pass_=tuple(replace(one, revoked=one.revoked or one.id not in passes) for one in earlier.pass_),
    )


def _of(one: CredentialTable) -> str:
    return digest(one.kind, one.key)


def _with_passes(lasting: Revocations, before: PolicyDocument, after: PolicyDocument, *, restored: bool) -> Revocations:
    """Passes that are revoked, were taken out, or end sooner than they did: the QR code says their old end for good."""
    kept = {one.id: one for one in lasting.passes}
    present = {one.id: one for one in after.pass_}
    if restored:
        for one in before.pass_:
            if one.revoked and one.id in present and not present[one.id].revoked:
                kept.pop(one.id, None)
    gone = [one for one in before.pass_ if one.id not in present or _ends_sooner(present[one.id], one)]
    for one in (*gone, *(one for one in after.pass_ if one.revoked)):
        ends = kept[one.id].valid_until if one.id in kept else one.valid_until
        kept[one.id] = replace(one, revoked=True, plate=None, note="", valid_until=_later(one.valid_until, ends))
    return replace(lasting, passes=tuple(kept.values()))


def _ends_sooner(one: PassTable, than: PassTable) -> bool:
    return one.valid_until.tzinfo is not None and one.valid_until < than.valid_until


def _later(one: datetime, other: datetime) -> datetime:
    """Where one has no offset, itself: the compiler refuses it by its name."""
    return one if one.tzinfo is None else max(one, other)
