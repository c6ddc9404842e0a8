"""How often somebody typed a wrong PIN or code: an immutable value, counted by access point and by holder.

By access point, nobody tries out PINs at one keypad; by holder, nobody tries out the PIN of a found card at many.
A point's count ends by time alone: somebody with a PIN of their own could else begin anew after every fourth guess.
A lock-out concerns typed secrets only: a card alone opens meanwhile wherever it opens alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from gateway.model import AccessRequest, CredentialKind, Decision, Reason

MAX_COUNTED = 4096  # points and holders with a wrong attempt in the window; beyond it, the oldest is forgotten
_TYPED = (CredentialKind.PIN, CredentialKind.CODE)


@dataclass(frozen=True, slots=True)
class AttemptLimits:
    """`wrong` attempts within `window_s` lock for `lockout_s` seconds. With 4 digits and these defaults, one keypad
    allows 5 of 10 000 PINs in 5 minutes."""

    wrong: int = 5
    window_s: int = 300
    lockout_s: int = 300


@dataclass(frozen=True, slots=True)
class Count:
    """Wrong attempts since `first_ms`; locked until `locked_until_ms` (0 = not locked). Monotonic milliseconds."""

    wrong: int
    first_ms: int
    locked_until_ms: int = 0


@dataclass(frozen=True, slots=True)
class Attempts:
    """Counts by "point <device>" and "holder <id>"."""

    counts: Mapping[str, Count] = field(default_factory=lambda: MappingProxyType({}))


NO_ATTEMPTS = Attempts()


def locked(attempts: Attempts, request: AccessRequest, holder: str | None, now_ms: int) -> bool:
    """Whether what was typed is to be refused unread, with `Reason.TOO_MANY_ATTEMPTS`.

    holder: whose card was shown before it, None = nobody's. now_ms: monotonic.
    """
    if not any(presented.kind in _TYPED for presented in request.presented):
        return False
    counts = (attempts.counts.get(name) for name in _names(request, holder))
    return any(count is not None and now_ms < count.locked_until_ms for count in counts)


def after_decision(
    attempts: Attempts, request: AccessRequest, decision: Decision, limits: AttemptLimits, now_ms: int
) -> tuple[Attempts, bool]:
    """The counts after `decision`, and whether a lock-out began with it (one alarm each). now_ms: monotonic.

    A wrong PIN or code counts. A right one, let in by rule, clears what its holder had counted, but for a lock-out
    that holds. Anything else changes nothing: not a portal that is open to all, nor a way out.
    """
    if not any(presented.kind in _TYPED for presented in request.presented):
        return attempts, False
    names = _names(request, decision.holder)
    if decision.granted:
        return _cleared(attempts, decision, now_ms), False
    if not _wrong(request, decision):
        return attempts, False
    counts = dict(attempts.counts)
    began = False
    for name in names:
        count = _counted(counts.pop(name, None), limits, now_ms)
        counts[name] = count  # popped and put back: the newest is last
        began = began or count.locked_until_ms > now_ms
    while len(counts) > MAX_COUNTED:
        del counts[next(iter(counts))]
    return Attempts(MappingProxyType(counts)), began


def _cleared(attempts: Attempts, decision: Decision, now_ms: int) -> Attempts:
    """Without the count of whoever typed the right secret. A grant in spite of a wrong one says so in its warnings."""
    name = f"holder {decision.holder}"
    count = attempts.counts.get(name)
    right = decision.reason is Reason.PERMITTED and set(decision.warnings) <= {Reason.ANTI_PASSBACK}
    if not right or count is None or count.locked_until_ms > now_ms:
        return attempts
    return Attempts(MappingProxyType({who: kept for who, kept in attempts.counts.items() if who != name}))


def _counted(before: Count | None, limits: AttemptLimits, now_ms: int) -> Count:
    if before is None or now_ms - before.first_ms >= limits.window_s * 1000 or before.locked_until_ms:
        before = Count(0, now_ms)
    wrong = before.wrong + 1
    return Count(wrong, before.first_ms, now_ms + limits.lockout_s * 1000 if wrong >= limits.wrong else 0)


def _wrong(request: AccessRequest, decision: Decision) -> bool:
    if decision.reason is Reason.WRONG_PIN:
        return True
    return decision.reason is Reason.UNKNOWN_CREDENTIAL and request.presented[0].kind in _TYPED


def _names(request: AccessRequest, holder: str | None) -> tuple[str, ...]:
    return (f"point {request.point}",) if holder is None else (f"point {request.point}", f"holder {holder}")
