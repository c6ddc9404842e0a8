"""What a decision becomes in the journal: the entries of one commit. No I/O."""

from __future__ import annotations

from center.contract import catalogue
from gateway.access.presence import find
from gateway.control.asked import Asked
from gateway.control.judge import Judge
from gateway.model import CredentialKind, Reason
from gateway.ports import NewEntry


def of_request(judge: Judge, asked: Asked, plate: str | None = None) -> list[NewEntry]:
    """The decision, and beside it what nobody at the portal is told: duress, a soft rule that was broken."""
    decision, request = asked.decision, asked.request
    holder = judge.token("holder", decision.holder) if decision.holder else None
    entries = [_decided(judge, asked, decision.granted, decision.reason, plate)]
    if decision.duress:
        # In the same commit as the decision: one wait for the disk, as for anybody else.
        entries.append(NewEntry(catalogue.AccessDuress(request.portal, request.point, holder), decision.holder))
    zone = _zone(judge, asked)
    if decision.granted and Reason.ANTI_PASSBACK in decision.warnings and holder is not None and zone is not None:
        entries.append(NewEntry(catalogue.PassbackViolated(request.portal, holder, zone), decision.holder))
    return entries


def cloned(judge: Judge, asked: Asked, camera: str) -> list[NewEntry]:
    """The alarm for each plate that asks to come in and is inside already by what is known; usually none."""
    decision, zone = asked.decision, _zone(judge, asked)
    if zone is None or Reason.ANTI_PASSBACK not in (decision.reason, *decision.warnings):
        return []
    found = []
    for presented in asked.request.presented:
        if presented.kind is not CredentialKind.PLATE or (credential := find(presented, judge.policy)) is None:
            continue
        inside = judge.conditions.presence.zones.get(credential.subject)
        if inside is not None and inside.zone == zone:
            token = judge.token("vehicle", presented.key)
            for_ms = max(0, judge.clock.now_ms() - inside.since_ms)
            alarm = catalogue.VehicleCloned(asked.request.portal, camera, token, zone, for_ms, decision.granted)
            found.append(NewEntry(alarm, plate=presented.key))
    return found


def denied(judge: Judge, asked: Asked, reason: Reason, plate: str | None = None) -> NewEntry:
    """A refusal, for `reason`."""
    return _decided(judge, asked, False, reason, plate)


def _decided(judge: Judge, asked: Asked, granted: bool, reason: Reason, plate: str | None) -> NewEntry:
    decision, request = asked.decision, asked.request
    fact = catalogue.AccessGranted if granted else catalogue.AccessDenied
    data = fact(
        portal=request.portal,
        point=request.point,
        credential=asked.credential if request.presented else (decision.credential or "none"),
        reason=reason,
        holder=judge.token("holder", decision.holder) if decision.holder else None,
    )
    return NewEntry(data, decision.holder, plate)


def _zone(judge: Judge, asked: Asked) -> str | None:
    portal = judge.policy.portals.get(asked.request.portal)
    if portal is None:
        return None
    return portal.leaves_zone if portal.leaving(asked.request.point) else portal.enters_zone
