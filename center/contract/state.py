"""A gateway's retained state on up/state; its last will is the same document with online = false. JSON."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from center.contract.catalogue import Epoch
from center.contract.errors import StateError, quoted

MAX_STATE_BYTES = 2048
HEARTBEAT_S = 60.0  # a connected gateway publishes its state at least this often


class GatewayState(Struct, frozen=True, kw_only=True):
    """Online or not, and what is known of the gateway. `last_seq` is the newest number it has committed.

    first_seq: the first number that this center is ever sent of the epoch. A gateway that had no center before says
    so here: what is below was never meant for this one, and is neither missing nor lost.
    """

    online: bool
    version: Annotated[str, Meta(pattern=r"^[ -~]{0,32}(?!\n)$")] = ""
    epoch: Epoch | None = None
    last_seq: Annotated[int, Meta(ge=0, le=1 << 53)] = 0
    simulated: bool = False
    clock_certain: bool = True
    first_seq: Annotated[int, Meta(ge=1, le=1 << 53)] = 1


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(GatewayState)

LAST_WILL = b'{"online":false}'


def encode_state(state: GatewayState) -> bytes:
    """JSON of the state."""
    return _encoder.encode(state)


def decode_state(data: bytes) -> GatewayState:
    """The state in `data`. Any bytes give a GatewayState or StateError, and nothing else."""
    if len(data) > MAX_STATE_BYTES:
        raise StateError(f"state of {len(data)} bytes: at most {MAX_STATE_BYTES}")
    try:
        return _decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as e:
        raise StateError(f"not a gateway's state: {quoted(str(e), 160)}") from None
