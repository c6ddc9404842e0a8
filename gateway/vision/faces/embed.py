"""An aligned face to a unit vector, by the published model or by one the operator brought (`own_model`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from gateway.vision.faces import align
from gateway.vision.picture import Picture
from gateway.vision.runtime import Net, numbers_of

Embedding = NDArray[np.float32]  # (length,), of length one


@dataclass(frozen=True, slots=True)
class Preparation:
    """What an embedding model is given: a square crop of `side` pixels, (v - mean) * scale, channels in this order.

    fill: see align.crop. mirrored: the face's mirror image is embedded too and both vectors are added.
    """

    side: int = align.SIDE
    channels: Literal["rgb", "bgr"] = "rgb"
    mean: float = 127.5
    scale: float = 1 / 128
    fill: float = 0.94
    mirrored: bool = True


class Embedder:
    """A loaded embedding model. `name` and `sha256` stand on every observation."""

    def __init__(self, net: Net, preparation: Preparation, name: str, sha256: str) -> None:
        self.net, self.preparation, self.name, self.sha256 = net, preparation, name, sha256
        self._numbers = numbers_of(preparation.mean, preparation.scale)

    @property
    def invokes_per_face(self) -> int:
        return 2 if self.preparation.mirrored else 1

    def embed(self, picture: Picture, points: NDArray[np.float32]) -> Embedding:
        """One face by its five alignment points. One or two invokes."""
        aligned = align.crop(picture, points, self.preparation.fill, self.preparation.side)
        try:
            return self.embed_aligned(aligned)
        finally:
            aligned.fill(0)

    def embed_aligned(self, aligned: Picture) -> Embedding:
        """A crop that is aligned already."""
        ordered = cv2.cvtColor(aligned, cv2.COLOR_BGR2RGB) if self.preparation.channels == "rgb" else aligned
        total = _vector(self.net.run_pixels(ordered, self._numbers))
        if ordered is not aligned:
            ordered.fill(0)
        if self.preparation.mirrored:
            mirrored = _vector(self.net.run_mirrored())
            total += mirrored
            mirrored.fill(0)
        total /= max(1e-12, float(np.linalg.norm(total)))
        return total


def _vector(outputs: dict[str, NDArray[np.float32]]) -> Embedding:
    (values,) = outputs.values()
    return values.ravel().astype(np.float32, copy=False)
