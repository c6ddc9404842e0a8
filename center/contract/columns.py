"""Events of a batch as columns: like values lie together, so that zstd finds what repeats. Pure: values to values.

A column holds one field of every event of one class; numbers and times are differences to the one before. Texts and
tokens are places in two tables of the whole batch (place 0 = null), so a name or a person is written once. A column
that is null stands for the field's default in every event. All of it is typed MessagePack, so the decoder's limits
hold before memory is taken; a later release may append fields, and their columns are left aside here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from itertools import accumulate, pairwise
from typing import Annotated, Any, get_args

import msgspec
from msgspec import Meta, Raw, Struct, inspect

from center.contract.catalogue import AnyEventData, Event, EventData, Token
from center.contract.errors import FrameError

MAX_EVENTS = 1000
_TOKEN_BYTES = 10
_TOKEN_LETTERS = 16
_LETTERS = "abcdefghijklmnopqrstuvwxyz234567"
_AS_DIGITS = str.maketrans(_LETTERS, "0123456789abcdefghijklmnopqrstuv")
_AS_LETTERS = str.maketrans("0123456789abcdefghijklmnopqrstuv", _LETTERS)
_DIGITS = "0123456789abcdefghijklmnopqrstuv"
_TOKEN_PATTERN = get_args(Token)[1].pattern


class Kind(Enum):
    """How a field's values lie in their column."""

    TEXT = auto()  # places in the table of texts
    TOKEN = auto()  # places in the table of tokens
    PLAIN = auto()  # as they are


_Number = Annotated[int, Meta(ge=-(1 << 53), le=1 << 53)]
_Steps = Annotated[list[_Number], Meta(max_length=MAX_EVENTS)]


class Columns(Struct, frozen=True, array_like=True):
    """The body of a batch. `flips`: where clock_certain changes, which begins as true. `columns`: for every tag in
    `tags`, ascending, one per field in the order of the class."""

    epoch: Annotated[bytes, Meta(min_length=8, max_length=8)]
    simulated: bool
    first_seq: _Number
    first_time_ms: _Number
    seq_steps: _Steps  # empty: each is one above the one before
    time_steps: _Steps  # one fewer than there are events
    flips: _Steps
    tags: Annotated[bytes, Meta(min_length=1, max_length=MAX_EVENTS)]
    texts: Annotated[list[str], Meta(max_length=20 * MAX_EVENTS)]
    tokens: Annotated[bytes, Meta(max_length=4 * MAX_EVENTS * _TOKEN_BYTES)]
    columns: Annotated[list[Annotated[list[Raw], Meta(max_length=64)]], Meta(max_length=255)]


@dataclass(frozen=True, slots=True)
class Field:
    """What a codec needs to know of one field. `decode` takes a PLAIN column, typed: nothing else takes memory."""

    kind: Kind
    default: Any  # msgspec.NODEFAULT where the field is required
    decode: Callable[[bytes], list[Any]]


def _kind(field: inspect.Type) -> Kind:
    types = field.types if isinstance(field, inspect.UnionType) else (field,)
    inner = [one for one in types if not isinstance(one, inspect.NoneType)]
    if len(inner) == 1 and isinstance(inner[0], inspect.StrType):
        return Kind.TOKEN if inner[0].pattern == _TOKEN_PATTERN else Kind.TEXT
    return Kind.PLAIN


def _fields(kind: type[EventData]) -> tuple[Field, ...]:
    return tuple(
        Field(
            _kind(inspect.type_info(field.type)),
            field.default,
            msgspec.msgpack.Decoder(Annotated[list[field.type], Meta(max_length=MAX_EVENTS)]).decode,  # type: ignore[name-defined]
        )
        for field in msgspec.structs.fields(kind)
    )


FIELDS: dict[int, tuple[Field, ...]] = {kind.__struct_config__.tag: _fields(kind) for kind in get_args(AnyEventData)}
_pack = msgspec.msgpack.Encoder()
_places = msgspec.msgpack.Decoder(Annotated[list[Annotated[int, Meta(ge=0, le=80_000)]], Meta(max_length=MAX_EVENTS)])
_NULL = b"\xc0"


class _Table:
    """Values in order of first use; `place` counts from 1, 0 is null."""

    def __init__(self) -> None:
        self.places: dict[str, int] = {}

    def place(self, value: str | None) -> int:
        return 0 if value is None else self.places.setdefault(value, len(self.places) + 1)


def to_columns(epoch: str, events: Sequence[Event], simulated: bool) -> Columns:
    """The batch as columns. Expects events that follow the catalogue."""
    rows: dict[int, list[list[Any]]] = {}
    tags = bytearray()
    for event in events:
        data = event.data
        tag: int = data.__struct_config__.tag  # type: ignore[assignment]
        tags.append(tag)
        rows.setdefault(tag, []).append([getattr(data, name) for name in data.__struct_fields__])
    texts, tokens = _Table(), _Table()
    columns = [_class_columns(FIELDS[tag], rows[tag], texts, tokens) for tag in sorted(rows)]
    seqs = [event.seq for event in events]
    times = [event.time_ms for event in events]
    certain = [True, *(event.clock_certain for event in events)]
    seq_steps = _steps(seqs)
    return Columns(
        epoch=bytes.fromhex(epoch),
        simulated=simulated,
        first_seq=seqs[0],
        first_time_ms=times[0],
        seq_steps=[] if all(step == 1 for step in seq_steps) else seq_steps,
        time_steps=_steps(times),
        flips=[i for i in range(len(events)) if certain[i + 1] != certain[i]],
        tags=bytes(tags),
        texts=list(texts.places),
        tokens=b"".join(map(token_bytes, tokens.places)),
        columns=columns,
    )


def _steps(values: Sequence[int]) -> list[int]:
    return [after - before for before, after in pairwise(values)]


def _class_columns(fields: tuple[Field, ...], rows: list[list[Any]], texts: _Table, tokens: _Table) -> list[Raw]:
    columns = []
    for field, values in zip(fields, zip(*rows, strict=True), strict=True):
        if field.default is not msgspec.NODEFAULT and all(value == field.default for value in values):
            columns.append(Raw(_NULL))
        elif field.kind is Kind.PLAIN:
            columns.append(Raw(_pack.encode(values)))
        else:
            table = tokens if field.kind is Kind.TOKEN else texts
            columns.append(Raw(_pack.encode([table.place(value) for value in values])))
    return columns


def to_rows(batch: Columns) -> list[list[Any]]:
    """The batch as `[seq, time_ms, clock_certain, [tag, field, ...]]` per event, not yet checked against the catalogue.

    Raises FrameError where the columns do not fit one another, or a tag is not known.
    """
    count = len(batch.tags)
    if len(batch.time_steps) != count - 1 or (batch.seq_steps and len(batch.seq_steps) != count - 1):
        raise FrameError("a batch's columns differ in length")
    tags = sorted(set(batch.tags))
    if len(batch.columns) != len(tags):
        raise FrameError(f"a batch of {len(tags)} kinds of events has columns for {len(batch.columns)}")
    tokens = [None, *_token_texts(batch.tokens)]
    texts = [None, *batch.texts]
    fields = {
        tag: _class_rows(tag, batch.tags.count(tag), columns, texts, tokens)
        for tag, columns in zip(tags, batch.columns, strict=True)
    }
    seqs = accumulate(batch.seq_steps or [1] * (count - 1), initial=batch.first_seq)
    times = accumulate(batch.time_steps, initial=batch.first_time_ms)
    flips, certain, rows = set(batch.flips), True, []
    for i, (tag, seq, time_ms) in enumerate(zip(batch.tags, seqs, times, strict=True)):
        certain ^= i in flips
        rows.append([seq, time_ms, certain, [tag, *next(fields[tag])]])
    return rows


def _class_rows(
    tag: int, count: int, columns: list[Raw], texts: list[str | None], tokens: list[str | None]
) -> Iterator[tuple[Any, ...]]:
    known = FIELDS.get(tag)
    if known is None:
        raise FrameError(f"an event with tag {tag} is not known here; update the center", "unknown-event")
    values = []
    for i, field in enumerate(known):
        packed = bytes(columns[i]) if i < len(columns) else _NULL
        if packed != _NULL:
            column = _column(field, packed, texts, tokens)
            if len(column) != count:
                raise FrameError("a batch's columns differ in length")
            values.append(column)
        elif field.default is msgspec.NODEFAULT:
            raise FrameError(f"an event with tag {tag} lacks its field {i + 1}")
        else:
            values.append([field.default] * count)
    # A class without fields has no column to count by.
    return zip(*values, strict=True) if values else iter([()] * count)


def _column(field: Field, packed: bytes, texts: list[str | None], tokens: list[str | None]) -> list[Any]:
    if field.kind is Kind.PLAIN:
        return field.decode(packed)
    table = tokens if field.kind is Kind.TOKEN else texts
    try:
        return [table[place] for place in _places.decode(packed)]
    except IndexError:
        raise FrameError("a column names a text that is not in the batch's table") from None


def token_bytes(token: str) -> bytes:
    """16 letters of base32 as 10 bytes."""
    return int(token.translate(_AS_DIGITS), 32).to_bytes(_TOKEN_BYTES, "big")


def _token_texts(packed: bytes) -> list[str]:
    if len(packed) % _TOKEN_BYTES:
        raise FrameError("the table of tokens is not a whole number of tokens")
    return [token_text(packed[i : i + _TOKEN_BYTES]) for i in range(0, len(packed), _TOKEN_BYTES)]


_PAIRS = [a + b for a in _LETTERS for b in _LETTERS]


def token_text(packed: bytes) -> str:
    """10 bytes as 16 letters of base32."""
    value = int.from_bytes(packed, "big")
    return "".join([_PAIRS[value >> shift & 1023] for shift in range(70, -1, -10)])
