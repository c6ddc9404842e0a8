"""What each user of the broker may publish and hear: the one place that says so, for every broker. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from center.config import User
from center.contract import topics
from center.contract.topics import Kind


@dataclass(frozen=True, slots=True)
class Rights:
    """MQTT topics and filters."""

    publish: tuple[str, ...]
    subscribe: tuple[str, ...]


_HEARD_BY_ALL = (Kind.EVENT, Kind.ALARM, Kind.STATE)


def rights(user: User) -> Rights:
    """A gateway speaks and hears for itself only; a subscriber only listens; the center answers everybody."""
    if user.role == "center":
        return Rights(_every(topics.DOWN), _every(topics.UP))
    if user.role == "subscriber":
        return Rights((), _every(_HEARD_BY_ALL))
    name = topics.GatewayName(user.district or "", user.site or "", user.gateway or "")
    return Rights(
        tuple(topics.topic(name, kind) for kind in topics.UP), tuple(topics.topic(name, kind) for kind in topics.DOWN)
    )


def _every(kinds: tuple[Kind, ...]) -> tuple[str, ...]:
    return tuple(topics.every_gateway(kind) for kind in kinds)
