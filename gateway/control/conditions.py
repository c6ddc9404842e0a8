"""What the site is in, as far as a decision needs it: modes, fire, which portals are open, who is where."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

from gateway.access.attempts import NO_ATTEMPTS, Attempts
from gateway.access.presence import EMPTY_PRESENCE, Presence
from gateway.control.asked import Asked
from gateway.model import PortalMode


class Conditions:
    """Each portal tells its own part; a decision at any portal sees all of it."""

    def __init__(self) -> None:
        self.presence: Presence = EMPTY_PRESENCE
        self.attempts: Attempts = NO_ATTEMPTS
        self._modes: dict[str, PortalMode] = {}
        self._held: frozenset[str] = frozenset()
        self._fire: frozenset[str] = frozenset()
        self._open: frozenset[str] = frozenset()
        self._opening: frozenset[str] = frozenset()
        self._unseen: frozenset[str] = frozenset()
        self._due: dict[str, tuple[Asked, ...]] = {}

    def mode(self, portal: str) -> PortalMode:
        """What the portal is told to be."""
        return self._modes.get(portal, PortalMode.LOCKED)

    def set_mode(self, portal: str, mode: PortalMode) -> None:
        """Tell it to be something else."""
        self._modes[portal] = mode

    def held(self, portal: str) -> bool:
        """Whether an operator has locked it while its unlock schedule is open."""
        return portal in self._held

    def set_held(self, portal: str, held: bool) -> None:
        """It is locked against its schedule, or follows it again."""
        self._held = _with(self._held, portal, held)

    def fire(self, portal: str) -> bool:
        """Whether the portal is released by fire."""
        return portal in self._fire

    def set_fire(self, portal: str, released: bool) -> None:
        """The portal is released by fire, or no longer."""
        self._fire = _with(self._fire, portal, released)

    @property
    def open_portals(self) -> frozenset[str]:
        """Portals that are not closed, or just about to be opened; for interlocks."""
        return self._open | self._opening if self._opening else self._open

    def set_open(self, portal: str, is_open: bool) -> None:
        """The portal is not closed, or closed again."""
        self._open = _with(self._open, portal, is_open)

    @contextmanager
    def opening(self, *portals: str) -> Iterator[None]:
        """From the decision that opens them until they are open, or stay shut: they count as open, whatever their
        contacts say meanwhile. To be entered without an await after the decision."""
        self._opening |= frozenset(portals)
        try:
            yield
        finally:
            self._opening -= frozenset(portals)

    @property
    def unseen_portals(self) -> frozenset[str]:
        """Portals whose device is away: what is known of them is old."""
        return self._unseen

    def set_unseen(self, portal: str, unseen: bool) -> None:
        """The device that tells whether the portal is open went away, or came (back)."""
        self._unseen = _with(self._unseen, portal, unseen)

    @property
    def due(self) -> Mapping[str, tuple[Asked, ...]]:
        """Passages that were granted and are still to come, by portal, where each grant is a passage of its own."""
        return self._due

    def set_due(self, portal: str, due: Iterable[Asked]) -> None:
        """Who may still pass `portal`, in order."""
        self._due[portal] = tuple(due)


def _with(names: frozenset[str], name: str, wanted: bool) -> frozenset[str]:
    if (name in names) is wanted:
        return names
    return names | {name} if wanted else names - {name}
