"""One event by itself, as small as it can honestly be: what is random stands as it is, the rest uses a dictionary.

`epoch (8 bytes) | flags | seq (base-128, low first) | time (5 bytes since 2020, or 8 since 1970) | body`, where the
body is MessagePack `[tag, field, ...]` with tokens as 10 bytes and the defaults at the end left out: plain, or zstd
with a dictionary (without the 4 bytes every zstd frame begins with) where that is shorter. No checksum: TLS carries it.
"""

from __future__ import annotations

from typing import Any

import msgspec
import zstandard

from center.contract.catalogue import Event
from center.contract.columns import FIELDS, Kind, token_bytes, token_text
from center.contract.dictionaries import DICTIONARIES, NEWEST, NO_DICTIONARY
from center.contract.errors import FrameError, quoted

MAX_BODY_BYTES = 32 << 10  # the longest event of the catalogue (256 lost ranges) is below 8 KiB
_LEVEL = 19  # a body has some 30 bytes
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_SIMULATED, _UNCERTAIN, _LONG_TIME = 1, 2, 4
_KNOWN_FLAGS = _SIMULATED | _UNCERTAIN | _LONG_TIME
_EPOCH_BYTES = 8
_SHORT_TIME_BYTES, _LONG_TIME_BYTES = 5, 8
_SHORT_TIME_FROM_MS = 1_577_836_800_000  # 2020-01-01; 40 bits of milliseconds reach into 2054
_MAX_SEQ_BYTES = 8


class LiveEncoder:
    """Packs with the newest dictionary. Not for two threads at once."""

    def __init__(self, dictionary: int = NEWEST) -> None:
        self._pack = msgspec.msgpack.Encoder()
        self._dictionary = dictionary
        data = zstandard.ZstdCompressionDict(DICTIONARIES[dictionary])
        self._compress = zstandard.ZstdCompressor(
            level=_LEVEL, dict_data=data, write_checksum=False, write_content_size=False, write_dict_id=False
        )

    def encode(self, epoch: str, event: Event, simulated: bool) -> tuple[int, bytes]:
        """(dictionary that was used, what follows the frame's two header bytes). Expects an event of the catalogue."""
        plain = self._pack.encode(event_values(event))
        packed = self._compress.compress(plain)[len(_ZSTD_MAGIC) :]
        used, body = (self._dictionary, packed) if len(packed) < len(plain) else (NO_DICTIONARY, plain)
        return used, _head(epoch, event, simulated) + body


def event_values(event: Event) -> list[Any]:
    """The body before it is packed: `[tag, field, ...]`."""
    tag: int = event.data.__struct_config__.tag  # type: ignore[assignment]
    values: list[Any] = [tag]
    least = 1
    for field, name in zip(FIELDS[tag], event.data.__struct_fields__, strict=True):
        value = getattr(event.data, name)
        values.append(token_bytes(value) if field.kind is Kind.TOKEN and value is not None else value)
        if field.default is msgspec.NODEFAULT or value != field.default:
            least = len(values)
    return values[:least]


def _head(epoch: str, event: Event, simulated: bool) -> bytes:
    since_ms = event.time_ms - _SHORT_TIME_FROM_MS
    short = 0 <= since_ms < 1 << 8 * _SHORT_TIME_BYTES
    flags = _SIMULATED * simulated | _UNCERTAIN * (not event.clock_certain) | _LONG_TIME * (not short)
    seq, number = event.seq, bytearray()
    while seq > 127:
        number.append(seq & 127 | 128)
        seq >>= 7
    number.append(seq)
    time = since_ms.to_bytes(_SHORT_TIME_BYTES, "big") if short else event.time_ms.to_bytes(_LONG_TIME_BYTES, "big")
    return bytes.fromhex(epoch) + bytes((flags,)) + bytes(number) + time


class LiveDecoder:
    """Unpacks with every dictionary there ever was. Not for two threads at once."""

    def __init__(self) -> None:
        # Any value, and yet bounded: the body is at most MAX_BODY_BYTES long.
        self._unpack = msgspec.msgpack.Decoder(list[Any])
        self._decompress = {
            number: zstandard.ZstdDecompressor(dict_data=zstandard.ZstdCompressionDict(data))
            for number, data in DICTIONARIES.items()
        }

    def decode(self, dictionary: int, data: bytes) -> tuple[str, bool, list[Any]]:
        """(epoch, simulated, `[seq, time_ms, clock_certain, [tag, field, ...]]`), not yet checked by the catalogue.

        Raises FrameError, msgspec.DecodeError or RecursionError.
        """
        if len(data) > MAX_BODY_BYTES:
            raise FrameError(f"an event of {len(data)} bytes: at most {MAX_BODY_BYTES} are accepted", "too-large")
        epoch, flags, seq, at = _number(data)
        size = _LONG_TIME_BYTES if flags & _LONG_TIME else _SHORT_TIME_BYTES
        time_ms = int.from_bytes(data[at : at + size], "big") + (0 if flags & _LONG_TIME else _SHORT_TIME_FROM_MS)
        packed = data[at + size :]
        body = packed if dictionary == NO_DICTIONARY else self._inflate(dictionary, packed)
        return epoch, bool(flags & _SIMULATED), [seq, time_ms, not flags & _UNCERTAIN, self._data(body)]

    def _data(self, body: bytes) -> list[Any]:
        values = self._unpack.decode(body)
        known = FIELDS.get(values[0]) if values and type(values[0]) is int else None
        if known is None:
            raise FrameError("an event whose tag is not known here; update the center", "unknown-event")
        for i, field in enumerate(known[: len(values) - 1], 1):
            if field.kind is Kind.TOKEN and isinstance(values[i], bytes):
                if len(values[i]) != len(token_bytes("a" * 16)):
                    raise FrameError("a token has 10 bytes")
                values[i] = token_text(values[i])
        return values

    def _inflate(self, dictionary: int, packed: bytes) -> bytes:
        whole = _ZSTD_MAGIC + packed
        try:
            if zstandard.frame_content_size(whole) > MAX_BODY_BYTES:
                raise FrameError(f"an event announces more than {MAX_BODY_BYTES} bytes", "too-large")
            return self._decompress[dictionary].decompress(
                whole, max_output_size=MAX_BODY_BYTES, allow_extra_data=False
            )
        except zstandard.ZstdError as e:
            raise FrameError(f"the event's body is not zstd within {MAX_BODY_BYTES} bytes: {quoted(str(e))}") from None


def _number(data: bytes) -> tuple[str, int, int, int]:
    """(epoch, flags, seq, where the time begins)."""
    if len(data) < _EPOCH_BYTES + 2 + _SHORT_TIME_BYTES:
        raise FrameError("an event that ends before its body begins")
    flags = data[_EPOCH_BYTES]
    if flags & ~_KNOWN_FLAGS:
        raise FrameError(f"flags {flags:#04x} of an event are not known here; update the center", "unknown-codec")
    seq = 0
    for i in range(_MAX_SEQ_BYTES):
        at = _EPOCH_BYTES + 1 + i
        byte = data[at] if at < len(data) else 128
        seq |= (byte & 127) << 7 * i
        if byte < 128:
            return data[:_EPOCH_BYTES].hex(), flags, seq, at + 1
    raise FrameError("an event's number that does not end")
