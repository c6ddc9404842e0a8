"""The site's fire release as a table: latched by any signal, ended only by a person and only once no signal is left."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class FireState(StrEnum):
    """Where the site is."""

    CLEAR = "clear"
    BURNING = "burning"  # at least one signal is active; everything on the fire list is released
    LATCHED = "latched"  # no signal any more; still released, until it is reset on site


class FireEvent(StrEnum):
    """What can happen."""

    SIGNAL = "signal"  # a fire input became active, or a node says that it has released itself
    SIGNALS_GONE = "signals-gone"  # the last active fire input is at rest
    RESET = "reset"  # an authorised person on site


class FireEffect(StrEnum):
    """What the caller does."""

    RELEASE = "release"  # everything on the fire list, at once
    SECURE = "secure"  # end the release everywhere
    REFUSE = "refuse"  # tell the person why nothing was reset


_S, _E, _F = FireState, FireEvent, FireEffect

# (state, event) -> (next state, effect)
TABLE: dict[tuple[FireState, FireEvent], tuple[FireState, FireEffect | None]] = {
    (_S.CLEAR, _E.SIGNAL): (_S.BURNING, _F.RELEASE),
    (_S.CLEAR, _E.SIGNALS_GONE): (_S.CLEAR, None),
    (_S.CLEAR, _E.RESET): (_S.CLEAR, _F.REFUSE),
    (_S.BURNING, _E.SIGNAL): (_S.BURNING, None),
    (_S.BURNING, _E.SIGNALS_GONE): (_S.LATCHED, None),
    (_S.BURNING, _E.RESET): (_S.BURNING, _F.REFUSE),
    (_S.LATCHED, _E.SIGNAL): (_S.BURNING, None),  # released already: one fire, one event
    (_S.LATCHED, _E.SIGNALS_GONE): (_S.LATCHED, None),
    (_S.LATCHED, _E.RESET): (_S.CLEAR, _F.SECURE),
}


@dataclass(frozen=True, slots=True)
class Fire:
    """The state, and which inputs are active now."""

    state: FireState = FireState.CLEAR
    active: frozenset[str] = frozenset()

    @property
    def released(self) -> bool:
        """Whether the fire list is released."""
        return self.state is not FireState.CLEAR


def signal(fire: Fire, source: str, active: bool) -> tuple[Fire, FireEffect | None]:
    """A fire input named `source` became active, or came to rest."""
    sources = fire.active | {source} if active else fire.active - {source}
    if active:
        event = FireEvent.SIGNAL
    elif sources or source not in fire.active:
        return Fire(fire.state, sources), None
    else:
        event = FireEvent.SIGNALS_GONE
    state, effect = TABLE[fire.state, event]
    return Fire(state, sources), effect


def found_released(fire: Fire) -> tuple[Fire, FireEffect | None]:
    """A node tells that it has released itself: there was a signal, which may be over."""
    state, effect = TABLE[fire.state, FireEvent.SIGNAL]
    if not fire.active:
        state, _ = TABLE[state, FireEvent.SIGNALS_GONE]
    return Fire(state, fire.active), effect


def reset(fire: Fire) -> tuple[Fire, FireEffect | None]:
    """Somebody asks for the release to end."""
    state, effect = TABLE[fire.state, FireEvent.RESET]
    return Fire(state, fire.active), effect
