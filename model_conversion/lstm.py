"""An ONNX LSTM as TFLite's, made to forget what the call before left in it."""

from __future__ import annotations

import numpy as np

from model_conversion.graph import Array, Graph, Value

TANH = 4  # ActivationFunctionType
# sigmoid(-10000) is 0 in float32: four rows of the extra input feature together shut a gate.
SHUT = -2500.0
ROWS = 4  # extra features; four keep the rows of the weights aligned


def one_direction(graph: Graph, value: Value, weights: tuple[Array, Array, Array], *, backwards: bool) -> Value:
    """value (batch, time, feature) to (batch, time, hidden); `weights` = ONNX W, R, B of this direction.

    The state of TFLite's LSTM survives from one call to the next. Instead of asking every caller to reset it, one step
    goes in front whose extra input shuts the input, forget and output gates, so that cell and output are 0 after it.
    """
    batch, steps, features = value.shape
    w, r, bias = weights
    hidden = r.shape[1]
    # ONNX orders the gates i, o, f, c and has two biases; TFLite i, f, c, o and one.
    gates_w, gates_r, gates_b = (
        [np.ascontiguousarray(np.split(a, 4)[k], np.float32) for k in (0, 2, 3, 1)]
        for a in (w, r, bias[: 4 * hidden] + bias[4 * hidden :])
    )
    shut = [np.full((hidden, ROWS), 0.0 if gate == 2 else SHUT, np.float32) for gate in range(4)]
    gates_w = [np.concatenate([gate, extra], 1) for gate, extra in zip(gates_w, shut, strict=True)]
    first = np.concatenate([np.zeros((batch, 1, features)), np.ones((batch, 1, ROWS))], 2).astype(np.float32)
    ordinary = np.zeros((batch, steps, ROWS), np.float32)
    if backwards:
        value = _reversed(graph, value)
    value = graph.concatenate([first, graph.concatenate([value, ordinary], 2)], 1)
    states = [Value((batch, hidden)) for _ in ("output", "cell")]
    for state in states:
        state.is_state = True
    absent = [None]
    inputs = [value, *gates_w, *gates_r, *absent * 3, *gates_b, *absent * 2, *states, *absent * 4]
    out = graph.emit(
        "UNIDIRECTIONAL_SEQUENCE_LSTM",
        inputs,
        (batch, steps + 1, hidden),
        fusedActivationFunction=TANH,
        cellClip=0.0,
        projClip=0.0,
        timeMajor=False,
    )
    out = graph.cut(out, [0, 1, 0], [batch, steps + 1, hidden])
    return _reversed(graph, out) if backwards else out


def _reversed(graph: Graph, value: Value) -> Value:
    return graph.emit("REVERSE_V2", [value, np.array([1], np.int32)], value.shape)
