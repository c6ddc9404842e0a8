"""The few lines between us and the inference library: LiteRT, or the older tflite_runtime where that is installed."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from gateway.errors import VisionError

try:
    from ai_edge_litert.interpreter import Interpreter
except ModuleNotFoundError:  # 32-bit systems: tflite_runtime has the same class
    from tflite_runtime.interpreter import Interpreter


def numbers_of(mean: float, scale: float) -> NDArray[np.float32]:
    """float32 (256,): (v - mean) * scale for every value of a pixel."""
    numbers = np.arange(256, dtype=np.float32)
    numbers -= np.float32(mean)
    numbers *= np.float32(scale)
    return numbers


class Net:
    """One loaded model with one picture as input. Not for use from two threads at once."""

    def __init__(self, content: bytes, name: str, *, threads: int = 1) -> None:
        """Raises VisionError where the library does not take the model."""
        try:
            self._interpreter = Interpreter(model_content=content, num_threads=threads)
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as e:
            raise VisionError(f"model {name}: the inference library refuses it ({e}); install matching versions") from e
        (self._input,) = self._interpreter.get_input_details()
        self._outputs = {d["name"]: d["index"] for d in self._interpreter.get_output_details()}
        self._shape = tuple(int(v) for v in self._input["shape"])
        self.invokes = 0

    @property
    def input_shape(self) -> tuple[int, ...]:
        return self._shape

    @property
    def output_shapes(self) -> dict[str, tuple[int, ...]]:
        return {d["name"]: tuple(int(v) for v in d["shape"]) for d in self._interpreter.get_output_details()}

    @property
    def output_names(self) -> frozenset[str]:
        return frozenset(self._outputs)

    def run(self, picture: NDArray[np.uint8]) -> dict[str, NDArray[Any]]:
        """Infer on one BGR picture of exactly the input's size; (v - 127.5) / 127.5 is applied here."""
        x = picture.astype(np.float32)
        x -= np.float32(127.5)
        x *= np.float32(1 / 127.5)
        return self.run_ready(x)

    def run_ready(self, x: NDArray[np.float32]) -> dict[str, NDArray[Any]]:
        """Infer on numbers (rows, columns, channels) that are what the model wants."""
        self._interpreter.set_tensor(self._input["index"], x[None])
        return self._infer()

    def run_pixels(self, pixels: NDArray[np.uint8], numbers: NDArray[np.float32]) -> dict[str, NDArray[Any]]:
        """Infer on pixels of exactly the input's size; numbers: float32 (256,), what each value becomes. They are
        written straight into the model's input: no picture of floats is made."""
        cv2.LUT(pixels, numbers, dst=self._interpreter.tensor(self._input["index"])()[0])
        return self._infer()

    def run_mirrored(self) -> dict[str, NDArray[Any]]:
        """Infer on the mirror image of what was just inferred on. (The library never overwrites a graph's input:
        tensorflow/lite/arena_planner.cc.) A second call mirrors back."""
        picture = self._interpreter.tensor(self._input["index"])()[0]
        cv2.flip(picture, 1, dst=picture)
        del picture  # the library refuses to infer while somebody holds its memory
        return self._infer()

    def _infer(self) -> dict[str, NDArray[Any]]:
        self._interpreter.invoke()
        self.invokes += 1
        return {name: self._interpreter.get_tensor(index)[0] for name, index in self._outputs.items()}

    def forget(self) -> None:
        """Infer once on nothing, so that no layer still holds the last picture. One invoke that is not counted."""
        self._interpreter.set_tensor(self._input["index"], np.zeros(self._shape, np.float32))
        self._interpreter.invoke()
