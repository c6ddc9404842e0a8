"""The error tree of the simulator. Each text is one sentence a person can act on."""

from __future__ import annotations

from runtime.errors import UserError


class SimError(UserError):
    """Root of everything the simulator raises on purpose."""


class ActionError(SimError):
    """Somebody asked the world for something that cannot be done (now); the text says why."""


class PinsError(SimError):
    """The pins protocol was broken by the peer, or nobody serves it."""


class NodeError(SimError):
    """A door node cannot be run on this machine."""


class ExpectationError(SimError):
    """An expectation is not a sentence that the simulator can check."""


class PinsUnavailableError(PinsError, OSError):
    """Nobody serves the pins socket. Also an OSError, which is what callers of pin factories expect of a dead port."""
