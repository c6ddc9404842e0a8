"""Virtual time for physics."""

from __future__ import annotations

import pytest

from sim.timeline import ManualClock, Timeline, advance


class VirtualTime:
    """A timeline that stands still until `pass_ms`."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.timeline = Timeline(self.clock)
        self.facts: list[dict[str, object]] = []

    def record(self, kind: str, subject: str, **details: object) -> None:
        self.facts.append({"t_ms": self.timeline.now_ms, "kind": kind, "subject": subject, **details})

    def kinds(self) -> list[object]:
        return [fact["kind"] for fact in self.facts]

    def when(self, kind: str) -> float:
        """When it happened first. Fails with what did happen."""
        found = [fact["t_ms"] for fact in self.facts if fact["kind"] == kind]
        assert found, f"no {kind}; there was {self.facts}"
        return float(str(found[0]))

    async def pass_ms(self, delta_ms: float) -> None:
        await advance(self.timeline, self.clock, delta_ms)


@pytest.fixture
def virtual() -> VirtualTime:
    return VirtualTime()
