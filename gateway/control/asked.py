"""What was asked at a portal, with the answer to it: a value that decision, record and passage share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from gateway.access.policy import Credential
from gateway.access.presence import NO_PASSES
from gateway.model import AccessRequest, Decision

Passes = Mapping[str, Credential]


@dataclass(frozen=True, slots=True)
class Asked:
    """A request with its decision. `passes`: the signed passes that were shown with it, by id."""

    request: AccessRequest
    decision: Decision
    passes: Passes = field(default_factory=lambda: NO_PASSES)

    @property
    def credential(self) -> str:
        """The kinds that were shown, as an event names them: card-pin."""
        kinds = dict.fromkeys(str(presented.kind) for presented in self.request.presented)
        return "-".join(kinds) or "none"
