"""Topics: the only module that knows how they are spelt. MQTT 3.1.1; segments are safe as NATS subject tokens too."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from center.contract.errors import TopicError, quoted

_ROOT = "zhian/v1"
PATTERN = "[a-z0-9-]{1,32}"  # of a district's, site's or gateway's name
_SEGMENT = re.compile(PATTERN)
MAX_TOPIC_CHARACTERS = 200


class Kind(StrEnum):
    """What a topic carries; the value is the last part of the topic."""

    EVENT = "up/event"
    ALARM = "up/alarm"
    STATE = "up/state"
    REPLY = "up/reply"
    ACK = "down/ack"
    COMMAND = "down/command"


UP = (Kind.EVENT, Kind.ALARM, Kind.STATE, Kind.REPLY)
DOWN = (Kind.ACK, Kind.COMMAND)


@dataclass(frozen=True, slots=True, order=True)
class GatewayName:
    """Which gateway, district-wide. Each part matches `[a-z0-9-]{1,32}`; anything else raises TopicError."""

    district: str
    site: str
    gateway: str

    def __post_init__(self) -> None:
        for part in (self.district, self.site, self.gateway):
            if not _SEGMENT.fullmatch(part):
                raise TopicError(f"a district, site or gateway matches [a-z0-9-]{{1,32}}, got {quoted(part)}")

    def __str__(self) -> str:
        return f"{self.district}/{self.site}/{self.gateway}"


def topic(name: GatewayName, kind: Kind) -> str:
    """The topic of this kind for one gateway."""
    return f"{_ROOT}/{name.district}/{name.site}/{name.gateway}/{kind.value}"


def every_gateway(kind: Kind) -> str:
    """The topic filter that matches this kind for every gateway of every district."""
    return f"{_ROOT}/+/+/+/{kind.value}"


def topic_template(kind: Kind) -> str:
    """The topic of this kind with {district}, {site} and {gateway} for the names, as documents write it."""
    return f"{_ROOT}/{{district}}/{{site}}/{{gateway}}/{kind.value}"


def parse(text: str) -> tuple[GatewayName, Kind]:
    """Whose topic this is and what it carries. Raises TopicError for anything that is not exactly one of ours."""
    if len(text) > MAX_TOPIC_CHARACTERS:
        raise TopicError(f"topic of {len(text)} characters: at most {MAX_TOPIC_CHARACTERS} are accepted")
    parts = text.split("/")
    if len(parts) != 7 or "/".join(parts[:2]) != _ROOT:
        raise TopicError(f"expected {_ROOT}/<district>/<site>/<gateway>/<up|down>/<kind>, got {quoted(text)}")
    try:
        kind = Kind("/".join(parts[5:]))
    except ValueError:
        raise TopicError(
            f"expected a topic that ends in one of {[k.value for k in Kind]}, got {quoted(text)}"
        ) from None
    return GatewayName(parts[2], parts[3], parts[4]), kind


def nats_subject(topic_or_filter: str) -> str:
    """The same topic or filter as the subject under which NATS knows it (for permissions)."""
    return topic_or_filter.replace("/", ".").replace("+", "*").replace("#", ">")
