"""Room for a trained PAD model. None is delivered: none with known error rates could be had (docs/pad.md).

An operator who has one plugs it in behind this interface. It has one vote: it can refuse, it can never admit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from gateway.vision.pad.look import Cue, Finding, Look, cue, silent
from gateway.vision.pad.settings import PadSettings

NAME = "passive"


class PassiveModel(Protocol):
    """A model that looks at one picture."""

    def live(self, patch: NDArray[np.uint8]) -> float:
        """0 (an attack) to 1 (a face) for a patch of gateway.vision.pad.look.patch_of."""


def examine(looks: Sequence[Look], model: PassiveModel | None, settings: PadSettings) -> Cue:
    """SILENT without a model; ATTACK where the median over the looks is below the setting."""
    patches = [look.patch for look in looks if look.patch is not None]
    if model is None or not patches:
        return silent(NAME)
    score = float(np.median([model.live(patch) for patch in patches]))
    if score < settings.passive_least:
        return cue(NAME, Finding.ATTACK, score, median=score)
    return cue(NAME, Finding.SILENT, score, median=score)
