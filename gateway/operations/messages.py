"""Operations as typed messages: one JSON object per line over core's Unix socket."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from gateway.model import SiteStatus

MAX_LINE_BYTES = 64 * 1024
Name = Annotated[str, Meta(pattern=r"^[a-z0-9-]{1,32}(?!\n)$")]


class Status(Struct, frozen=True, tag="status", forbid_unknown_fields=True):
    """How is the site?"""


class OpenPortal(Struct, frozen=True, tag="open-portal", forbid_unknown_fields=True):
    """Open a portal now, on behalf of a named operator."""

    portal: Name
    operator: Annotated[str, Meta(min_length=1, max_length=64)]


Request = Status | OpenPortal


class StatusAnswer(Struct, frozen=True, tag="status"):
    """The answer to Status."""

    status: SiteStatus


class Done(Struct, frozen=True, tag="done"):
    """It happened (not merely: it was received)."""


class Refused(Struct, frozen=True, tag="refused"):
    """It did not happen; one sentence says why."""

    text: str


Answer = StatusAnswer | Done | Refused

encode = msgspec.json.Encoder().encode
decode_request = msgspec.json.Decoder(Request).decode
decode_answer = msgspec.json.Decoder(Answer).decode
