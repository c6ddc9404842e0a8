"""The two nets, without recurrence. Each can be trained with torch and can lower itself into a TFLite graph.

Both take BGR pictures as (v - 127.5) / 127.5; torch sees them NCHW, TFLite NHWC.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from training import tflite_writer as tf

READER_WIDTH, READER_HEIGHT, SLOTS = 128, 32, 8
DETECTOR_WIDTH, DETECTOR_HEIGHT, STRIDE = 320, 192, 8
CORNER_UNIT = 32.0  # pixels of the detector's input per unit of its corner outputs


def _plain(t: Tensor) -> np.ndarray:
    return t.detach().cpu().numpy().astype(np.float32)


class Conv(nn.Module):
    """Convolution, batch norm and, unless told, ReLU. `valid` = without padding."""

    def __init__(
        self,
        a: int,
        b: int,
        kernel: tuple[int, int] = (3, 3),
        stride: int = 1,
        *,
        relu: bool = True,
        valid: bool = False,
    ) -> None:
        super().__init__()
        padding = (0, 0) if valid else (kernel[0] // 2, kernel[1] // 2)
        self.conv = nn.Conv2d(a, b, kernel, stride, padding, bias=False)
        self.norm = nn.BatchNorm2d(b)
        self.relu, self.stride, self.valid = relu, stride, valid

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.conv(x))
        return functional.relu(x) if self.relu else x

    def lower(self, g: tf.Graph, x: tf.Tensor) -> tf.Tensor:
        scale = _plain(self.norm.weight / torch.sqrt(self.norm.running_var + self.norm.eps))
        bias = _plain(self.norm.bias) - _plain(self.norm.running_mean) * scale
        weight = _plain(self.conv.weight) * scale[:, None, None, None]
        return g.conv(x, weight, bias, self.stride, relu=self.relu, same=not self.valid)


class Residual(nn.Module):
    """Two convolutions beside the identity."""

    def __init__(self, c: int) -> None:
        super().__init__()
        self.a, self.b = Conv(c, c), Conv(c, c, relu=False)

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(x + self.b(self.a(x)))

    def lower(self, g: tf.Graph, x: tf.Tensor) -> tf.Tensor:
        return g.add(x, self.b.lower(g, self.a.lower(g, x)), relu=True)


class Reader(nn.Module):
    """A plate's picture to text. Two heads read the same features: CTC over 32 columns, and one attention per slot."""

    def __init__(self, classes: int, kinds: int) -> None:
        super().__init__()
        self.stem = nn.ModuleList([Conv(3, 32, stride=2), Conv(32, 48)])
        self.fine = nn.ModuleList([Conv(48, 80), Residual(80)])
        self.deep = nn.ModuleList([Conv(80, 112), Residual(112)])
        self.columns = nn.ModuleList([Conv(112, 128, (4, 1), valid=True), Conv(128, 128, (1, 5))])
        self.look = Conv(128, 56, (1, 7))
        self.where = nn.Conv2d(56, SLOTS, 1)
        self.prior = nn.Parameter(self._even())
        self.ctc, self.slot, self.kind = nn.Linear(128, classes), nn.Linear(128, classes), nn.Linear(112, kinds)
        self.drop = nn.Dropout(0.1)

    @staticmethod
    def _even() -> Tensor:
        """Slots start looking at evenly spaced columns, which saves most of the plateau at the start of training."""
        columns, centres = torch.arange(32.0), (torch.arange(float(SLOTS)) + 0.5) * 4
        return -((columns[None] - centres[:, None]) ** 2) / 18

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(n, 3, 32, 128) -> CTC logits (n, 32, classes), slot logits (n, 8, classes), kind logits (n, kinds)."""
        for part in self.stem:
            x = part(x)
        x = functional.max_pool2d(x, 2)
        for part in self.fine:
            x = part(x)
        x = functional.max_pool2d(x, (2, 1))
        for part in self.deep:
            x = part(x)
        kind = self.kind(x.mean((2, 3)))
        for part in self.columns:
            x = part(x)
        looked = self.where(self.look(x))[:, :, 0]  # n, 8, 32
        share = (looked + self.prior).softmax(2)
        features = self.drop(x[:, :, 0].transpose(1, 2))  # n, 32, 128
        return self.ctc(features), self.slot(share @ features), kind

    def lower(self) -> bytes:
        g = tf.Graph("plate reader: BGR 128x32 to text")
        x = g.input("plate", (1, READER_HEIGHT, READER_WIDTH, 3))
        for part in self.stem:
            x = part.lower(g, x)
        x = g.max_pool(x, 2, 2)
        for part in self.fine:
            x = part.lower(g, x)
        x = g.max_pool(x, 2, 1)
        for part in self.deep:
            x = part.lower(g, x)
        kind = g.dense(g.mean(x), _plain(self.kind.weight), _plain(self.kind.bias))
        for part in self.columns:
            x = part.lower(g, x)
        looked = g.conv(self.look.lower(g, x), _plain(self.where.weight), _plain(self.where.bias))
        looked = g.transpose(g.reshape(looked, (1, 32, SLOTS)), (0, 2, 1))
        share = g.softmax(g.plus(looked, _plain(self.prior)[None]))
        features = g.reshape(x, (1, 32, 128))
        slots = g.dense(g.matmul(share, features), _plain(self.slot.weight), _plain(self.slot.bias))
        columns = g.dense(features, _plain(self.ctc.weight), _plain(self.ctc.bias))
        g.output("columns", g.softmax(columns))
        g.output("slots", g.softmax(slots))
        g.output("kind", g.softmax(kind))
        return g.write()


class Detector(nn.Module):
    """A picture to a map of plate centres and, at each place, the four corners."""

    def __init__(self) -> None:
        super().__init__()
        self.quarter = nn.ModuleList([Conv(3, 16, stride=2), Conv(16, 32, stride=2), Conv(32, 32)])
        self.eighth = nn.ModuleList([Conv(32, 64, stride=2), Residual(64)])
        self.sixteenth = nn.ModuleList([Conv(64, 96, stride=2), Residual(96), Residual(96)])
        self.back = Conv(96, 64, (1, 1), relu=False)
        self.join = nn.ModuleList([Conv(64, 64), Conv(64, 64)])
        self.centre, self.corners = nn.Conv2d(64, 1, 1), nn.Conv2d(64, 8, 1)
        nn.init.constant_(self.centre.bias, -4.0)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(n, 3, 192, 320) -> centre logits (n, 24, 40), corners (n, 8, 24, 40) in CORNER_UNIT from the cell."""
        for part in (*self.quarter, *self.eighth):
            x = part(x)
        deep = x
        for part in self.sixteenth:
            deep = part(deep)
        x = functional.relu(x + functional.interpolate(self.back(deep), scale_factor=2, mode="nearest"))
        for part in self.join:
            x = part(x)
        return self.centre(x)[:, 0], self.corners(x)

    def lower(self) -> bytes:
        g = tf.Graph("plate detector: BGR 320x192 to centres and corners")
        x = g.input("picture", (1, DETECTOR_HEIGHT, DETECTOR_WIDTH, 3))
        for part in (*self.quarter, *self.eighth):
            x = part.lower(g, x)
        deep = x
        for part in self.sixteenth:
            deep = part.lower(g, deep)
        x = g.add(x, g.twice(self.back.lower(g, deep)), relu=True)
        for part in self.join:
            x = part.lower(g, x)
        g.output("centre", g.sigmoid(g.conv(x, _plain(self.centre.weight), _plain(self.centre.bias))))
        g.output("corners", g.conv(x, _plain(self.corners.weight), _plain(self.corners.bias)))
        return g.write()
