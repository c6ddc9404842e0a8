"""One place where people ask to pass: card, keys and scanned texts in, one decision out. Knows nothing of locks."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from center.contract import catalogue
from gateway.access import attempts, tokens
from gateway.access.presence import NO_PASSES
from gateway.control.asked import Asked, Passes
from gateway.control.judge import Judge
from gateway.model import (
    AccessRequest,
    CardRead,
    CredentialKind,
    Decision,
    KeysEntered,
    Presented,
    Reason,
    TextScanned,
)

MAX_KEYS = 16  # a PIN or code plus enter; more is somebody leaning on the keypad
MAX_PRESENTED = 8  # two people with the longest combination show fewer
LIMITS = attempts.AttemptLimits()
TYPED = (CredentialKind.PIN, CredentialKind.CODE)
BLE_TOKEN = re.compile(r"BLE:([0-9A-Fa-f]{16,64})")  # how a phone's token arrives as a text; the digits are its id


@dataclass(frozen=True, slots=True)
class _Pending:
    """Something more would complete the request: a PIN, or a second person."""

    asked: Asked
    deadline_ms: int


class AccessPoint:
    """`answer` gets every final decision, `wait` tells the person that more is needed."""

    def __init__(
        self,
        portal: str,
        device: str,
        wait_ms: int,
        judge: Judge,
        answer: Callable[[Asked], Awaitable[None]],
        wait: Callable[[str], Awaitable[None]],
    ) -> None:
        self.portal = portal
        self.device = device
        self._wait_ms = wait_ms
        self._judge = judge
        self._clock = judge.clock
        self._answer = answer
        self._wait = wait
        self._pending: _Pending | None = None
        self._keys = ""

    @property
    def deadline_ms(self) -> int | None:
        """When `expire` is due (monotonic), or None."""
        return self._pending.deadline_ms if self._pending else None

    def wants(self, kind: CredentialKind) -> bool:
        """Whether something of this kind would complete what was shown here a moment ago."""
        portal = self._judge.policy.portals.get(self.portal)
        if self._pending is None or portal is None:
            return False
        shown = {one.kind for one in self._pending.asked.request.presented}
        return kind not in shown and any(one == shown | {kind} for one in portal.accepts)

    def wanted_of(self, kind: CredentialKind) -> str | None:
        """The holder whose credential of this kind would complete what was shown, or None."""
        return self._pending.asked.decision.holder if self._pending is not None and self.wants(kind) else None

    @property
    def waits(self) -> bool:
        """Whether something more is awaited."""
        return self._pending is not None

    async def take(self, observation: CardRead | KeysEntered | TextScanned) -> None:
        """Somebody showed or typed something here."""
        match observation:
            case CardRead(bits=bits, data=data):
                self._keys = ""
                await self._show(Presented(CredentialKind.CARD, tokens.card_key(bits, data)))
            case KeysEntered(keys=keys):
                await self._type(keys)
            case TextScanned(text=text):
                self._keys = ""
                if (token := BLE_TOKEN.fullmatch(text)) is not None:
                    await self._show(Presented(CredentialKind.BLE, token[1].lower()))
                else:
                    presented, passes = self._judge.read_pass(text)
                    await self._show(presented, passes)

    async def show(self, presented: Presented) -> None:
        """Something was shown that no reader here takes: a plate or a face, seen by a camera."""
        await self._show(presented)

    async def expire(self) -> None:
        """Whoever was waited for did not come in time: that is the refusal it would have been."""
        pending = self._pending
        if pending is None or self._clock.monotonic_ms() < pending.deadline_ms:
            return
        self._pending, self._keys = None, ""
        await self._answer(pending.asked)

    async def _type(self, keys: str) -> None:
        for key in keys:
            if key == "*":
                self._keys = ""
            elif key == "#":
                typed, self._keys = self._keys, ""
                if typed:
                    await self._typed(typed)
            elif len(self._keys) < MAX_KEYS:
                self._keys += key

    async def _typed(self, typed: str) -> None:
        pending = self._pending
        if pending is not None and pending.asked.decision.awaiting is CredentialKind.PIN:
            holder = pending.asked.decision.holder or ""
            digests = self._digests(typed, holder)
            known = (digest for digest in digests if (CredentialKind.PIN, digest) in self._judge.policy.credentials)
            presented = Presented(CredentialKind.PIN, next(known, digests[0]))
        else:
            presented = self._alone(typed)
        await self._show(presented)

    def _alone(self, typed: str) -> Presented:
        """Digits without a card: a PIN that identifies alone, or a one-time code, whichever is known here."""
        digests, policy = self._digests(typed), self._judge.policy
        for kind in TYPED:
            for digest in digests:
                if (kind, digest) in policy.credentials:
                    return Presented(kind, digest)
        portal = policy.portals.get(self.portal)
        codes_only = portal is not None and all(CredentialKind.PIN not in one for one in portal.accepts)
        return Presented(CredentialKind.CODE if codes_only else CredentialKind.PIN, digests[0])

    def _digests(self, typed: str, holder: str = "") -> tuple[str, str]:
        """Both forms in which a policy may hold what was typed: a node can check only one of them."""
        key = self._judge.site_key
        return tokens.pin_digest(key, typed, holder), tokens.offline_pin_digest(key, typed, holder)

    async def _show(self, presented: Presented, passes: Passes = NO_PASSES) -> None:
        completes = presented.kind is CredentialKind.FACE and self.wants(presented.kind)
        pending, self._pending = self._pending, None
        goes_on = pending is not None and (completes or _goes_on(pending.asked, presented))
        before = pending.asked if pending is not None and goes_on else None
        shown = (*(before.request.presented if before else ()), presented)
        request = AccessRequest(self.portal, self.device, shown[-MAX_PRESENTED:])
        passes = {**before.passes, **passes} if before else passes
        asked = Asked(request, await self._decide(request, before, passes), passes)
        if asked.decision.awaiting is not None or asked.decision.awaiting_person:
            self._pending = _Pending(asked, self._clock.monotonic_ms() + self._wait_ms)
            await self._wait(self.device)
            return
        await self._answer(asked)

    async def _decide(self, request: AccessRequest, before: Asked | None, passes: Passes) -> Decision:
        """The decision; what was typed counts where it is wrong, and is refused unread after too many wrong ones. Where
        everybody may pass, nobody is told to wait for the end of a lock-out."""
        if self._judge.open_to_all(request):
            return self._judge.decide(request, passes)
        conditions, now_ms = self._judge.conditions, self._clock.monotonic_ms()
        holder = before.decision.holder if before else None
        if attempts.locked(conditions.attempts, request, holder, now_ms):
            return Decision(False, Reason.TOO_MANY_ATTEMPTS, holder, request.presented[0].kind)
        decision = self._judge.decide(request, passes)
        conditions.attempts, began = attempts.after_decision(conditions.attempts, request, decision, LIMITS, now_ms)
        if began:
            exceeded = catalogue.AccessAttemptsExceeded(self.portal, self.device, LIMITS.wrong, LIMITS.lockout_s)
            await self._judge.fact(exceeded)
        return decision


def _goes_on(asked: Asked, presented: Presented) -> bool:
    """Whether what is shown now continues the request. A card after "enter your PIN" begins a new one; beside a plate
    anything of another kind counts."""
    decision = asked.decision
    if decision.reason is Reason.SECOND_FACTOR_REQUIRED:
        return all(presented.kind is not one.kind for one in asked.request.presented)
    if decision.awaiting is not None:
        return presented.kind is decision.awaiting
    return decision.awaiting_person
