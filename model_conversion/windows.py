"""Padding of convolutions and pooling: ONNX names every row, TFLite knows SAME, VALID and an operator of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ai_edge_litert import schema_py_generated as schema

from model_conversion.errors import ConversionError
from model_conversion.graph import Graph, Value


@dataclass(frozen=True, slots=True)
class Window:
    """What slides over rows and columns: (height, width) each; `pads` top, left, bottom, right, None = SAME."""

    kernel: tuple[int, int]
    strides: tuple[int, int]
    dilations: tuple[int, int]
    pads: tuple[int, int, int, int] | None

    @classmethod
    def of(cls, at: Mapping[str, Any], kernel: Sequence[int]) -> Window:
        """From a node's attributes. Raises ConversionError."""
        auto = at.get("auto_pad", b"NOTSET")
        if auto not in (b"NOTSET", b"VALID", b"SAME_UPPER") or at.get("ceil_mode"):
            raise ConversionError("padding SAME_LOWER and ceil_mode are not known here; use a model that was tried")
        top, left, bottom, right = at.get("pads", [0] * 4) if auto == b"NOTSET" else [0] * 4
        pads = None if auto == b"SAME_UPPER" else (top, left, bottom, right)
        strides, dilations = at.get("strides", [1, 1]), at.get("dilations", [1, 1])
        return cls((kernel[0], kernel[1]), (strides[0], strides[1]), (dilations[0], dilations[1]), pads)


def fitted(graph: Graph, value: Value, window: Window, fill: float = 0.0) -> tuple[Value, int, tuple[int, int]]:
    """The input to slide over, TFLite's padding code and the size of the result.

    TFLite's SAME puts an odd row of padding last. Where ONNX has it first, rows are added by an operator of their own.
    """
    rows, columns = value.shape[1:3]
    reach = [(k - 1) * d + 1 for k, d in zip(window.kernel, window.dilations, strict=True)]
    same = (-(-rows // window.strides[0]), -(-columns // window.strides[1]))
    if window.pads is None:
        return value, int(schema.Padding.SAME), same
    top, left, bottom, right = window.pads
    out = (
        (rows + top + bottom - reach[0]) // window.strides[0] + 1,
        (columns + left + right - reach[1]) // window.strides[1] + 1,
    )
    first = [
        max((n - 1) * s + r - size, 0) // 2
        for n, s, r, size in zip(same, window.strides, reach, (rows, columns), strict=True)
    ]
    if any(window.pads) and out == same and [top, left] == first:
        return value, int(schema.Padding.SAME), same
    if any(window.pads):
        value = graph.pad(value, [(0, 0), (top, bottom), (left, right), (0, 0)], fill)
    return value, int(schema.Padding.VALID), out
