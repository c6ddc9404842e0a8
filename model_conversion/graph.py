"""A .tflite graph under construction: values in a layout, operators in order.

A value is a tensor as TFLite stores it plus the order of its axes: axis k of the tensor is ONNX axis `order[k]`.
Pictures are stored rows, columns, channels (`NHWC`), where ONNX has channels first. A transposition in the ONNX graph
therefore often costs nothing: only the order changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Order = tuple[int, ...]
Array = NDArray[Any]
NHWC: Order = (0, 2, 3, 1)
NO_ACTIVATION = 0  # ActivationFunctionType.NONE
WEIGHTED = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"})
# What an activation may be fused into. Never CONCATENATION: the runtime takes such a file and silently skips the
# activation.
FUSABLE = WEIGHTED | {"ADD", "SUB", "MUL", "DIV"}


class Value:
    """A tensor that is computed. `readers` counts who reads it in the ONNX graph, outputs of the graph included."""

    def __init__(self, shape: Sequence[int], operation: Operation | None = None, name: str = "") -> None:
        self.shape = tuple(int(n) for n in shape)
        self.operation = operation
        self.name = name
        self.is_state = False
        self.readers = 0


Operand = Value | Array | None  # None: an optional input that is not there


class Operation:
    """One operator of the file, with its inputs in TFLite's order and the fields of its options table."""

    def __init__(self, kind: str, inputs: Sequence[Operand], shape: Sequence[int], options: dict[str, Any]) -> None:
        self.kind = kind
        self.inputs: list[Operand] = list(inputs)
        self.options = options
        self.output = Value(shape, self)


class Graph:
    """Operators in the order in which they run."""

    def __init__(self) -> None:
        self.operations: list[Operation] = []
        self.inputs: list[Value] = []
        self.outputs: list[Value] = []
        self._moved: dict[tuple[Any, ...], Value] = {}

    def emit(self, kind: str, inputs: Sequence[Operand], shape: Sequence[int], **options: Any) -> Value:
        """Append an operator and return what it computes."""
        if kind in FUSABLE or kind == "CONCATENATION":
            options["fusedActivationFunction"] = NO_ACTIVATION
        self.operations.append(Operation(kind, inputs, shape, options))
        return self.operations[-1].output

    def reshape(self, value: Value, shape: Sequence[int]) -> Value:
        """The same numbers in another shape; a chain of reshapes becomes one."""
        before = value.operation
        if before is not None and before.kind == "RESHAPE" and isinstance(before.inputs[0], Value):
            value = before.inputs[0]
        shape = tuple(int(n) for n in shape)
        if value.shape == shape:
            return value
        key = (value, shape)
        if key not in self._moved:
            self._moved[key] = self.emit("RESHAPE", [value, np.array(shape, np.int32)], shape, newShape=list(shape))
        return self._moved[key]

    def permute(self, value: Value, order: Sequence[int]) -> Value:
        """Axes in another order; where only axes of length 1 move, a reshape does."""
        shape = [value.shape[k] for k in order]
        long = [k for k in order if value.shape[k] > 1]
        if sorted(long) == long:
            return self.reshape(value, shape)
        key = (value, "transposed", *order)
        if key not in self._moved:
            self._moved[key] = self.emit("TRANSPOSE", [value, np.array(order, np.int32)], shape)
        return self._moved[key]

    def pad(self, value: Value, amounts: Sequence[tuple[int, int]], fill: float = 0.0) -> Value:
        """`amounts` before and after, per axis of the tensor."""
        shape = [n + before + after for n, (before, after) in zip(value.shape, amounts, strict=True)]
        spec = np.array(amounts, np.int32)
        if fill:
            return self.emit("PADV2", [value, spec, np.array(fill, np.float32)], shape)
        return self.emit("PAD", [value, spec], shape)

    def cut(self, value: Value, begin: Sequence[int], end: Sequence[int]) -> Value:
        """The part [begin, end) of each axis."""
        shape = [e - b for b, e in zip(begin, end, strict=True)]
        bounds = [np.array(a, np.int32) for a in (begin, end, [1] * len(shape))]
        return self.emit("STRIDED_SLICE", [value, *bounds], shape)

    def concatenate(self, parts: Sequence[Operand], axis: int) -> Value:
        """Along an axis of the tensors."""
        shapes = [part.shape for part in parts if part is not None]
        shape = list(shapes[0])
        shape[axis] = sum(s[axis] for s in shapes)
        return self.emit("CONCATENATION", parts, shape, axis=axis)

    def dense(self, value: Value, weights: Array, bias: Array | float = 0.0) -> Value:
        """value @ weights.T + bias; weights (out, in)."""
        full = np.ascontiguousarray(np.broadcast_to(np.ravel(bias), len(weights)), np.float32)
        shape = (*value.shape[:-1], len(weights))
        weights = np.ascontiguousarray(weights, np.float32)
        return self.emit("FULLY_CONNECTED", [value, weights, full], shape, keepNumDims=len(value.shape) > 2)

    def needed(self) -> list[Operation]:
        """The operations that an output depends on, in order."""
        wanted: set[Value] = set(self.outputs)
        kept: list[Operation] = []
        for operation in reversed(self.operations):
            if operation.output in wanted:
                kept.append(operation)
                wanted.update(x for x in operation.inputs if isinstance(x, Value))
        return kept[::-1]
