"""What every portal needs to come to a decision and to say it in an event: policy, clock, site key, decide."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.access import tokens
from gateway.access.decide import State, decide
from gateway.access.policy import Policy
from gateway.model import AccessRequest, Decision
from gateway.ports import Clock, NewEntry, Recorder


@dataclass(frozen=True, slots=True)
class Judge:
    """The pure decision with the present policy and time, and the tokens that stand for people in events."""

    policy: Policy
    clock: Clock
    site_key: bytes
    recorder: Recorder

    def decide(self, request: AccessRequest) -> Decision:
        """`access.decide` now. Awaits nothing."""
        return decide(request, self.policy, State(self.clock.certain), self.clock.local())

    def token(self, kind: str, subject: str) -> str:
        """The token of a person or vehicle, today."""
        return tokens.token(self.site_key, kind, subject, self.clock.local().date())

    async def record(self, *entries: NewEntry) -> None:
        """Commit; raises StoreError."""
        await self.recorder.record(entries)
