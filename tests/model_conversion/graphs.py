"""Small ONNX graphs, and both ways of computing them: by onnx's own evaluator and by the converted file."""

from __future__ import annotations

import numpy as np
import onnx
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun

Array = NDArray[np.float32]
OPSET = 11


class BatchNormalization(OpRun):
    """onnx's own evaluator takes operators before version 14 for ones in training; the standard's formula for use is
    (x - mean) / sqrt(variance + epsilon) * scale + bias."""

    op_domain = ""

    def _run(self, x, scale, bias, mean, variance, epsilon=None, momentum=None, **others):  # type: ignore[no-untyped-def]
        scale, bias, mean, variance = (a.reshape(-1, *(1,) * (x.ndim - 2)) for a in (scale, bias, mean, variance))
        return (((x - mean) / np.sqrt(variance + (epsilon or 1e-5)) * scale + bias).astype(x.dtype),)


def graph(
    nodes: list[onnx.NodeProto], shape: tuple[int, ...], constants: dict[str, np.ndarray], opset: int = OPSET
) -> onnx.ModelProto:
    """x in, y out."""
    return helper.make_model(
        helper.make_graph(
            nodes,
            "small",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
            [numpy_helper.from_array(value, name) for name, value in constants.items()],
        ),
        opset_imports=[helper.make_opsetid("", opset)],
    )


def by_onnx(model: onnx.ModelProto, name: str, x: Array) -> list[Array]:
    return ReferenceEvaluator(model, new_ops=[BatchNormalization]).run(None, {name: x})


def by_tflite(content: bytes, x: Array, *, times: int = 1) -> list[Array]:
    """Pictures are turned to rows, columns, channels and back. `times`: what the last of so many calls gives."""
    interpreter = Interpreter(model_content=content, num_threads=1)
    interpreter.allocate_tensors()
    (given,) = interpreter.get_input_details()
    for _ in range(times):
        interpreter.set_tensor(given["index"], np.ascontiguousarray(x.transpose(0, 2, 3, 1)) if x.ndim == 4 else x)
        interpreter.invoke()
    outputs = [interpreter.get_tensor(one["index"]) for one in interpreter.get_output_details()]
    return [out.transpose(0, 3, 1, 2) if out.ndim == 4 else out for out in outputs]


def furthest(some: list[Array], others: list[Array]) -> float:
    """The largest difference between any two numbers that should be equal."""
    assert [a.shape for a in some] == [b.shape for b in others]
    return max(float(np.abs(a - b).max()) for a, b in zip(some, others, strict=True))
