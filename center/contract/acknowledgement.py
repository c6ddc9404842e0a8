"""What the center answers once it has *committed*: only then may a gateway forget. JSON on down/ack.

A frame that cannot be read is answered too, by `Refused`: nothing of it was stored.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from center.contract.catalogue import Code, Epoch
from center.contract.errors import AcknowledgementError, quoted

MAX_MISSING_RANGES = 64  # the lowest ones; the rest is asked for once these are here
MAX_ACKNOWLEDGEMENT_BYTES = 8192

Number = Annotated[int, Meta(ge=0, le=1 << 53)]
Missing = Annotated[tuple[tuple[Number, Number], ...], Meta(max_length=MAX_MISSING_RANGES)]


class Ack(Struct, frozen=True, kw_only=True):
    """Where the center stands with one epoch of one gateway.

    stored_upto: every number 1..stored_upto is stored (or was reported lost); 0 = none.
    missing: ascending inclusive ranges above stored_upto that the center knows to exist and does not have.
    seen_upto: every number up to here that is not in `missing` is stored; never below stored_upto where it is given.
    """

    epoch: Epoch
    stored_upto: Number
    missing: Missing = ()
    seen_upto: Number = 0

    def stores(self, first: int, last: int) -> bool:
        """True where the whole of first..last is stored at the center."""
        if last <= self.stored_upto:
            return True
        return last <= self.seen_upto and all(last < a or b < first for a, b in self.missing)


class Refused(Struct, frozen=True, kw_only=True):
    """A frame was not taken; `refused` says why (FrameError.cause), `codec` and `dictionary` are those of its header.

    Where the codec or the dictionary is not known at the center, the gateway sends again with the oldest codec.
    """

    refused: Code
    codec: Annotated[int, Meta(ge=0, le=255)] = 0
    dictionary: Annotated[int, Meta(ge=0, le=255)] = 0


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Ack)
_refused_decoder = msgspec.json.Decoder(Refused)
_REFUSED_BEGINS = b'{"refused":'


def encode_ack(answer: Ack | Refused) -> bytes:
    """JSON of the answer."""
    return _encoder.encode(answer)


def decode_answer(data: bytes) -> Ack | Refused:
    """What the center answered. Any bytes give one of the two or AcknowledgementError, and nothing else."""
    if not data.startswith(_REFUSED_BEGINS):
        return decode_ack(data)
    try:
        return _refused_decoder.decode(data[:MAX_ACKNOWLEDGEMENT_BYTES])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as e:
        raise AcknowledgementError(f"not a refusal: {quoted(str(e), 160)}") from None


def decode_ack(data: bytes) -> Ack:
    """The acknowledgement in `data`. Any bytes give an Ack or AcknowledgementError, and nothing else."""
    if len(data) > MAX_ACKNOWLEDGEMENT_BYTES:
        raise AcknowledgementError(f"acknowledgement of {len(data)} bytes: at most {MAX_ACKNOWLEDGEMENT_BYTES}")
    try:
        ack = _decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as e:
        raise AcknowledgementError(f"not an acknowledgement: {quoted(str(e), 160)}") from None
    below = ack.stored_upto
    for first, last in ack.missing:
        if not below < first <= last:
            raise AcknowledgementError(
                f"missing ranges rise above stored_upto {ack.stored_upto}, got [{first}, {last}] after {below}"
            )
        below = last
    return ack
