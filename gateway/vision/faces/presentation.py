"""Whether a face was presented or a picture of one: who is asked (gateway.vision.pad), and with what."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gateway.vision.pad.evidence import Look, Verdict, judge

__all__ = ["Judge", "Look", "Verdict", "judge"]

Judge = Callable[[Sequence[Look]], Verdict]
