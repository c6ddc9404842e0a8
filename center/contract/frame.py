"""Events as bytes: `codec id, dictionary id, body`. Which codec suits is chosen here; a decoder knows all of them.

| codec | body | for |
| --- | --- | --- |
| 1 | zstd(MessagePack `[epoch, simulated, [event, ...]]`) | centers that know no other |
| 2 | zstd(MessagePack columns), columns.py | several events |
| 3 | live.py | one event |

A frame is untrusted input. Every limit is checked before memory for it is taken: the bytes in, the size the zstd header
announces, then each array length by typed decoders (which also bound nesting: only the catalogue's shapes exist). What
is not known is refused with a cause, never guessed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any

import msgspec
import zstandard
from msgspec import Meta, Struct

from center.contract.catalogue import Epoch, Event
from center.contract.columns import MAX_EVENTS, Columns, to_columns, to_rows
from center.contract.dictionaries import DICTIONARIES, NO_DICTIONARY
from center.contract.errors import FrameError, quoted
from center.contract.live import LiveDecoder, LiveEncoder

CODEC_ROWS = 1
CODEC_COLUMNS = 2
CODEC_LIVE = 3
CODECS = (CODEC_ROWS, CODEC_COLUMNS, CODEC_LIVE)
MAX_FRAME_BYTES = 1 << 20
MAX_BODY_BYTES = 4 << 20
_HEADER_BYTES = 2
_LEVEL = 3  # 19 saves 2 % of a batch of 100 and takes eleven times as long
_MAX_WINDOW_BYTES = 1 << 23  # what zstd may take for a frame that does not announce its size


class Frame(Struct, frozen=True, array_like=True):
    """Events of one epoch of one gateway, in the order they were made. The topic says which gateway."""

    epoch: Epoch
    simulated: bool
    events: Annotated[tuple[Event, ...], Meta(min_length=1, max_length=MAX_EVENTS)]


class FrameEncoder:
    """Encodes frames with zstd contexts that are used again. Not for two threads at once."""

    def __init__(self, *, oldest: bool = False) -> None:
        self.oldest = oldest  # codec 1 only: every center knows it
        self._pack = msgspec.msgpack.Encoder()
        self._unpack = msgspec.msgpack.Decoder(Frame)
        self._compress = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True)
        self._live = LiveEncoder()

    def encode(self, epoch: str, events: Sequence[Event], simulated: bool) -> bytes:
        """One frame of 1..MAX_EVENTS events. Raises FrameError where a decoder would refuse it."""
        if not 1 <= len(events) <= MAX_EVENTS:
            raise FrameError(f"a frame holds 1..{MAX_EVENTS} events, got {len(events)}; split the batch")
        rows = self._pack.encode(Frame(epoch=epoch, simulated=simulated, events=tuple(events)))
        try:
            # Structs are not checked when they are made; a wrong name must be found here, not by the center.
            self._unpack.decode(rows)
        except (msgspec.DecodeError, UnicodeDecodeError) as e:
            raise FrameError(f"events that do not follow the catalogue: {quoted(str(e), 160)}") from None
        if self.oldest:
            return self._batch(CODEC_ROWS, rows)
        if len(events) == 1:
            dictionary, body = self._live.encode(epoch, events[0], simulated)
            return bytes((CODEC_LIVE, dictionary)) + body
        return self._batch(CODEC_COLUMNS, self._pack.encode(to_columns(epoch, events, simulated)))

    def _batch(self, codec: int, body: bytes) -> bytes:
        if len(body) > MAX_BODY_BYTES:
            raise FrameError(f"a frame's body has at most {MAX_BODY_BYTES} bytes, got {len(body)}; split the batch")
        frame = bytes((codec, NO_DICTIONARY)) + self._compress.compress(body)
        if len(frame) > MAX_FRAME_BYTES:
            raise FrameError(f"a frame has at most {MAX_FRAME_BYTES} bytes, got {len(frame)}; split the batch")
        return frame


class FrameDecoder:
    """Decodes frames of every codec and dictionary there ever was. Not for two threads at once."""

    def __init__(self) -> None:
        self._rows = msgspec.msgpack.Decoder(Frame)
        self._columns = msgspec.msgpack.Decoder(Columns)
        self._live = LiveDecoder()
        self._decompress = zstandard.ZstdDecompressor(max_window_size=_MAX_WINDOW_BYTES)

    def decode(self, data: bytes) -> Frame:
        """The frame in `data`. Any bytes give a Frame or FrameError, and nothing else."""
        if len(data) > MAX_FRAME_BYTES:
            raise FrameError(f"frame of {len(data)} bytes: at most {MAX_FRAME_BYTES} are accepted", "too-large")
        if len(data) <= _HEADER_BYTES:
            raise FrameError(f"frame of {len(data)} bytes: it ends before its body begins")
        codec, dictionary = data[0], data[1]
        if codec not in CODECS:
            raise FrameError(f"codec {codec} is not known here (known: {_list(CODECS)}); update", "unknown-codec")
        known = (NO_DICTIONARY, *DICTIONARIES) if codec == CODEC_LIVE else (NO_DICTIONARY,)
        if dictionary not in known:
            raise FrameError(
                f"dictionary {dictionary} is not known here (known to codec {codec}: {_list(known)}); update",
                "unknown-dictionary",
            )
        decode: Callable[[bytes], Frame] = {
            CODEC_ROWS: self._decode_rows,
            CODEC_COLUMNS: self._decode_columns,
            CODEC_LIVE: lambda body: self._decode_live(dictionary, body),
        }[codec]
        try:
            return decode(data[_HEADER_BYTES:])
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as e:
            raise FrameError(f"the frame's body does not follow the catalogue: {quoted(str(e), 160)}") from None

    def _decode_rows(self, body: bytes) -> Frame:
        return self._rows.decode(self._inflate(body))

    def _decode_columns(self, body: bytes) -> Frame:
        columns = self._columns.decode(self._inflate(body))
        return _checked(columns.epoch.hex(), columns.simulated, to_rows(columns))

    def _decode_live(self, dictionary: int, body: bytes) -> Frame:
        epoch, simulated, row = self._live.decode(dictionary, body)
        return _checked(epoch, simulated, [row])

    def _inflate(self, packed: bytes) -> bytes:
        try:
            # Asked first: `max_output_size` is ignored by zstandard where the header announces a size, and that much
            # memory is taken at once (measured: 1 GiB from 32 kB).
            announced = zstandard.frame_content_size(packed)
            if announced > MAX_BODY_BYTES:
                raise FrameError(
                    f"the frame announces {announced} bytes: at most {MAX_BODY_BYTES} are accepted", "too-large"
                )
            return self._decompress.decompress(packed, max_output_size=MAX_BODY_BYTES, allow_extra_data=False)
        except zstandard.ZstdError as e:
            raise FrameError(f"the frame's body is not zstd within {MAX_BODY_BYTES} bytes: {quoted(str(e))}") from None


def _checked(epoch: str, simulated: bool, rows: list[list[Any]]) -> Frame:
    """Rows as typed events: names, ranges and tags are checked here. Raises msgspec.ValidationError."""
    return msgspec.convert([epoch, simulated, rows], Frame)


def _list(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers))


def encode_frame(epoch: str, events: Sequence[Event], simulated: bool) -> bytes:
    """One frame, as `FrameEncoder.encode`; for occasional use."""
    return FrameEncoder().encode(epoch, events, simulated)


def decode_frame(data: bytes) -> Frame:
    """One frame, as `FrameDecoder.decode`; for occasional use."""
    return FrameDecoder().decode(data)
