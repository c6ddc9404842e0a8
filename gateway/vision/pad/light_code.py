"""The door's own light, on and off in an order nobody could know: what is really there sends it back.

A screen shines by itself and sends back a few per cent; a face sends back as much as everything around it, and so does
matt paper. So an answer proves no face, but its absence, where the light is strong enough to be seen, accuses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from gateway.vision.pad.look import Cue, Finding, Look, context_box, cue, silent
from gateway.vision.pad.settings import PadSettings

NAME = "light"
LEAST_LOOKS, LEAST_EACH = 8, 3


@dataclass(frozen=True, slots=True)
class LightCode:
    """The lamp's state from begins_ms on, slot by slot; off before and after. settle_ms: how long after a change what
    is seen may still show the state before it."""

    begins_ms: int
    slot_ms: int
    slots: tuple[bool, ...]
    settle_ms: int = 0

    def on(self, at_ms: int) -> bool:
        """Whether the lamp was lit at a moment of the same clock as the looks'."""
        slot = (at_ms - self.begins_ms) // self.slot_ms
        return 0 <= slot < len(self.slots) and self.slots[slot]

    def settled(self, at_ms: int) -> bool:
        """Whether the lamp has been as it is for settle_ms."""
        return self.on(at_ms) == self.on(at_ms - self.settle_ms)


def draw(randomness: bytes, *, slots: int, begins_ms: int, slot_ms: int) -> LightCode:
    """A code of 6 to 64 slots with at least a third of each kind; from slots // 2 bytes of os.urandom or more."""
    if not 6 <= slots <= 64 or len(randomness) < slots // 2:
        raise ValueError(
            f"light code: expected 6 to 64 slots and at least half as many random bytes, got {slots} slots and "
            f"{len(randomness)} bytes; hand in os.urandom({max(8, slots)})"
        )
    order = np.random.default_rng(list(randomness)).permutation(slots)
    lit = slots // 2
    slots_on = tuple(bool(n < lit) for n in order)
    return LightCode(begins_ms, slot_ms, slots_on)


def brightness(look: Look) -> float:
    """Logarithm of the face's mean brightness."""
    if look.patch is None:
        raise ValueError("a look without a patch; leave it out before measuring its brightness")
    left, top, side = context_box(look.box)
    scale = look.patch.shape[0] / side
    x, y, width, height = ((v - o) * scale for v, o in zip(look.box, (left, top, 0, 0), strict=True))
    cut = look.patch[int(y + 0.2 * height) : int(y + 0.85 * height), int(x + 0.2 * width) : int(x + 0.8 * width)]
    return float(np.log(cv2.cvtColor(cut, cv2.COLOR_BGR2GRAY).mean() + 4)) if cut.size else 0.0


def answer(looks: Sequence[Look], code: LightCode) -> tuple[float, float]:
    """By which share the face gets brighter with the lamp, and the standard error of that."""
    lit = np.array([code.on(look.at_ms) for look in looks], float)
    seen = np.array([brightness(look) for look in looks])
    time = np.linspace(-1, 1, len(looks))
    aside = np.array([(look.mesh[1, 0] - look.mesh[[33, 263], 0].mean()) / max(look.box[2], 1e-6) for look in looks])
    design = np.column_stack([lit, np.ones_like(lit), time, time**2, aside - aside.mean()])
    numbers, *_ = np.linalg.lstsq(design, seen, rcond=None)
    left = seen - design @ numbers
    freedom = max(1, len(looks) - design.shape[1])
    spread = float(left @ left) / freedom * np.linalg.pinv(design.T @ design)[0, 0]
    return float(np.expm1(numbers[0])), float(np.sqrt(max(spread, 0.0)))


def examine(looks: Sequence[Look], code: LightCode | None, settings: PadSettings) -> Cue:
    """GENUINE where the face follows the lamp; ATTACK where it clearly does not; SILENT where light drowns the lamp."""
    seen = [look for look in looks if look.patch is not None and (code is None or code.settled(look.at_ms))]
    lit = sum(code.on(look.at_ms) for look in seen) if code is not None else 0
    if code is None or len(seen) < LEAST_LOOKS or not LEAST_EACH <= lit <= len(seen) - LEAST_EACH:
        return silent(NAME)
    gain, error = answer(seen, code)
    figures = {"gain": gain, "error": error}
    if gain >= settings.light_gain_least and gain >= settings.light_over_error * error:
        return cue(NAME, Finding.GENUINE, 1.0, **figures)
    if gain + settings.light_over_error * error < settings.light_gain_least:
        return cue(NAME, Finding.ATTACK, 0.0, **figures)
    return silent(NAME, **figures)
