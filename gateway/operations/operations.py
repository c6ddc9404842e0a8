"""The rules of what people may do: who, on what, and what is told back. No sockets, no SQL."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from gateway.errors import GatewayError
from gateway.model import SiteStatus
from gateway.operations.messages import Answer, Done, OpenPortal, Refused, Request, Status, StatusAnswer


class Openable(Protocol):
    """A portal that an operator can open."""

    async def override(self, operator: str) -> None:
        """Return once it was recorded and the device acknowledged. Raises GatewayError."""
        ...


class Operations:
    """Carries out requests that came from this machine's own user over the operations socket."""

    def __init__(self, portals: Mapping[str, Openable], status: Callable[[], SiteStatus]) -> None:
        self._portals = portals
        self._status = status

    async def perform(self, request: Request) -> Answer:
        """The answer means that the thing happened, or says in one sentence why it did not."""
        match request:
            case Status():
                return StatusAnswer(self._status())
            case OpenPortal(portal=name, operator=operator):
                portal = self._portals.get(name)
                if portal is None:
                    return Refused(f"there is no portal {name!r}; this gateway has {sorted(self._portals)}")
                try:
                    await portal.override(operator)
                except GatewayError as e:
                    return Refused(f"portal {name!r} was not opened: {e}")
                return Done()
