"""A picture to plates: detect, rectify, read, check. The one place where the stages meet."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from gateway.errors import VisionError
from gateway.vision import quad as geometry
from gateway.vision.detect import detect
from gateway.vision.models import MANIFEST, Entry, Model, verified
from gateway.vision.picture import Picture
from gateway.vision.quad import Quad
from gateway.vision.runtime import Net
from gateway.vision.text import Alphabet, Reading, decide

DETECTOR, READER = "plate-detector", "plate-reader"


@dataclass(frozen=True, slots=True)
class PlateFound:
    """One plate in a picture. `detected` is the detector's score, None where the picture was said to be one plate."""

    reading: Reading
    corners: Quad
    detected: float | None

    @property
    def box(self) -> tuple[int, int, int, int]:
        return geometry.box(self.corners)


class PlateReader:
    """Both nets, loaded from verified files. Not for use from two threads at once."""

    def __init__(self, detector: Model, reader: Model, *, threads: int = 1) -> None:
        """Raises VisionError where a model does not fit what the manifest says of it."""
        self.entry: Entry = reader.entry
        self.detector_net = Net(detector.content, detector.entry.name, threads=threads)
        self.reader_net = Net(reader.content, reader.entry.name, threads=threads)
        for net, entry in ((self.detector_net, detector.entry), (self.reader_net, reader.entry)):
            if net.input_shape != entry.input or net.output_names != frozenset(entry.outputs):
                raise VisionError(
                    f"model {entry.name}: its tensors are not those of the manifest; install the package again"
                )
        self._alphabet = Alphabet(reader.entry.characters)
        self._kinds = reader.entry.kinds

    def find(self, picture: Picture, *, thorough: bool = False) -> list[PlateFound]:
        """Every plate in a picture, refused readings included, likeliest first."""
        found = []
        for one in detect(self.detector_net, picture, thorough=thorough):
            _, high, wide, _ = self.reader_net.input_shape
            cut = geometry.rectify(picture, one.corners, (wide, high))
            found.append(PlateFound(self.read_cut(cut), one.corners, one.score))
        return sorted(found, key=lambda f: (f.reading.refused is not None, -f.reading.score))

    def read_cropped(self, picture: Picture) -> PlateFound:
        """The whole picture is one plate, perhaps tilted: read as it is and, where corners are found, rectified."""
        high, wide = picture.shape[:2]
        whole = np.float32([[0, 0], [wide, 0], [wide, high], [0, high]])
        _, net_high, net_wide, _ = self.reader_net.input_shape
        how = cv2.INTER_AREA if wide > net_wide else cv2.INTER_LINEAR
        readings = [
            PlateFound(self.read_cut(cv2.resize(picture, (net_wide, net_high), interpolation=how)), whole, None)
        ]
        border = (high, high, wide // 2, wide // 2)
        padded = cv2.copyMakeBorder(picture, *border, cv2.BORDER_REPLICATE)
        for one in detect(self.detector_net, padded)[:1]:
            cut = geometry.rectify(padded, one.corners, (net_wide, net_high))
            readings.append(PlateFound(self.read_cut(cut), np.float32(one.corners - (wide // 2, high)), None))
        return max(readings, key=lambda f: (f.reading.refused is None, f.reading.score))

    def read_cut(self, cut: Picture) -> Reading:
        """One rectified plate of exactly the reader's input size."""
        outputs = self.reader_net.run(cut)
        kinds = {k: float(p) for k, p in zip(self._kinds, outputs["kind"], strict=True)}
        return decide(self._alphabet, outputs["columns"], outputs["slots"], kinds)


def load_default(*, threads: int = 1) -> PlateReader:
    """The models that ship with the package, verified. Raises VisionError, ConfigError."""
    return PlateReader(verified(DETECTOR, MANIFEST), verified(READER, MANIFEST), threads=threads)
