"""Events as bytes: `codec id, dictionary id, zstd(msgpack [epoch, simulated, [event, ...]])`.

A frame is untrusted input. Every limit is checked before memory for it is taken: the bytes in, the size the zstd header
announces, then each array length by the typed decoder (which also bounds nesting: only the catalogue's shapes exist).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import msgspec
import zstandard
from msgspec import Meta, Struct

from center.contract.catalogue import Epoch, Event
from center.contract.errors import FrameError, quoted

CODEC_ZSTD_MSGPACK = 1
NO_DICTIONARY = 0
MAX_FRAME_BYTES = 1 << 20
MAX_BODY_BYTES = 4 << 20
MAX_EVENTS = 1000
_HEADER_BYTES = 2
_LEVEL = 3
_MAX_WINDOW_BYTES = 1 << 23  # what zstd may take for a frame that does not announce its size


class Frame(Struct, frozen=True, array_like=True):
    """Events of one epoch of one gateway, in the order they were made. The topic says which gateway."""

    epoch: Epoch
    simulated: bool
    events: Annotated[tuple[Event, ...], Meta(min_length=1, max_length=MAX_EVENTS)]


class FrameEncoder:
    """Encodes frames with one zstd context that is used again. Not for two threads at once."""

    def __init__(self) -> None:
        self._pack = msgspec.msgpack.Encoder()
        self._unpack = msgspec.msgpack.Decoder(Frame)
        self._compress = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True)

    def encode(self, epoch: str, events: Sequence[Event], simulated: bool) -> bytes:
        """One frame of 1..MAX_EVENTS events. Raises FrameError where a decoder would refuse it."""
        if not 1 <= len(events) <= MAX_EVENTS:
            raise FrameError(f"a frame holds 1..{MAX_EVENTS} events, got {len(events)}; split the batch")
        body = self._pack.encode(Frame(epoch=epoch, simulated=simulated, events=tuple(events)))
        if len(body) > MAX_BODY_BYTES:
            raise FrameError(f"a frame's body has at most {MAX_BODY_BYTES} bytes, got {len(body)}; split the batch")
        try:
            # Structs are not checked when they are made; a wrong name must be found here, not by the center.
            self._unpack.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError) as e:
            raise FrameError(f"events that do not follow the catalogue: {quoted(str(e), 160)}") from None
        frame = bytes((CODEC_ZSTD_MSGPACK, NO_DICTIONARY)) + self._compress.compress(body)
        if len(frame) > MAX_FRAME_BYTES:
            raise FrameError(f"a frame has at most {MAX_FRAME_BYTES} bytes, got {len(frame)}; split the batch")
        return frame


class FrameDecoder:
    """Decodes frames with one zstd context that is used again. Not for two threads at once."""

    def __init__(self) -> None:
        self._unpack = msgspec.msgpack.Decoder(Frame)
        self._decompress = zstandard.ZstdDecompressor(max_window_size=_MAX_WINDOW_BYTES)

    def decode(self, data: bytes) -> Frame:
        """The frame in `data`. Any bytes give a Frame or FrameError, and nothing else."""
        if len(data) > MAX_FRAME_BYTES:
            raise FrameError(f"frame of {len(data)} bytes: at most {MAX_FRAME_BYTES} are accepted")
        if len(data) <= _HEADER_BYTES:
            raise FrameError(f"frame of {len(data)} bytes: it ends before its body begins")
        codec, dictionary = data[0], data[1]
        if codec != CODEC_ZSTD_MSGPACK:
            raise FrameError(f"codec {codec} is not known here (known: {CODEC_ZSTD_MSGPACK}); update the center")
        if dictionary != NO_DICTIONARY:
            raise FrameError(f"dictionary {dictionary} is not known here (known: {NO_DICTIONARY}); update the center")
        body = self._inflate(data[_HEADER_BYTES:])
        try:
            return self._unpack.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as e:
            raise FrameError(f"the frame's body is not [epoch, simulated, events]: {quoted(str(e), 160)}") from None

    def _inflate(self, packed: bytes) -> bytes:
        try:
            # Asked first: `max_output_size` is ignored by zstandard where the header announces a size, and that much
            # memory is taken at once (measured: 1 GiB from 32 kB).
            announced = zstandard.frame_content_size(packed)
            if announced > MAX_BODY_BYTES:
                raise FrameError(f"the frame announces {announced} bytes: at most {MAX_BODY_BYTES} are accepted")
            return self._decompress.decompress(packed, max_output_size=MAX_BODY_BYTES, allow_extra_data=False)
        except zstandard.ZstdError as e:
            raise FrameError(f"the frame's body is not zstd within {MAX_BODY_BYTES} bytes: {quoted(str(e))}") from None


def encode_frame(epoch: str, events: Sequence[Event], simulated: bool) -> bytes:
    """One frame, as `FrameEncoder.encode`; for occasional use."""
    return FrameEncoder().encode(epoch, events, simulated)


def decode_frame(data: bytes) -> Frame:
    """One frame, as `FrameDecoder.decode`; for occasional use."""
    return FrameDecoder().decode(data)
