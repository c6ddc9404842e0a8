"""Whether a face was presented or a picture of one: who is asked (gateway.vision.pad), and with what."""

from __future__ import annotations

from collections.abc import Callable

from gateway.vision.pad.evidence import Look, Verdict, judge

__all__ = ["Judge", "Look", "Verdict", "judge"]

Judge = Callable[..., Verdict]  # (looks), or where something was asked for (looks, challenge, light=code), as `judge`
