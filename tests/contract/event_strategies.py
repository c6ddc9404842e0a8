"""Hypothesis strategies for every event, derived from its field types: a new event is covered at once."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import strategies as st
from msgspec import inspect

from center.contract.catalogue import CATALOGUE, Event, EventData


def _of(kind: inspect.Type) -> st.SearchStrategy[Any]:
    match kind:
        case inspect.StrType(pattern=str() as pattern):
            return st.from_regex(pattern.replace(r"(?!\n)$", r"\Z"))
        case inspect.StrType(max_length=longest):
            return st.text(max_size=longest or 20)
        case inspect.IntType(ge=low, le=high):
            return st.integers(0 if low is None else low, (1 << 53) if high is None else high)
        case inspect.BoolType():
            return st.booleans()
        case inspect.NoneType():
            return st.none()
        case inspect.UnionType(types=types):
            return st.one_of([_of(one) for one in types])
        case inspect.VarTupleType(item_type=item, max_length=longest):
            return st.lists(_of(item), max_size=min(longest or 5, 5)).map(tuple)
        case inspect.TupleType(item_types=items):
            return st.tuples(*[_of(one) for one in items])
    raise AssertionError(f"no strategy for {kind}")


def data(kind: type[EventData]) -> st.SearchStrategy[EventData]:
    """Any value of one event class."""
    info = inspect.type_info(kind)
    assert isinstance(info, inspect.StructType)
    return st.builds(kind, **{field.name: _of(field.type) for field in info.fields})


any_data = st.one_of([data(kind) for kind in CATALOGUE])
events = st.builds(
    Event,
    seq=st.integers(1, 1 << 53),
    time_ms=st.integers(0, 1 << 53),
    clock_certain=st.booleans(),
    data=any_data,
)
epochs = st.from_regex(r"\A[0-9a-f]{16}\Z")


def plain(value: Any) -> Any:
    """As what a JSON decoder gives."""
    return msgspec.json.decode(msgspec.json.encode(value))
