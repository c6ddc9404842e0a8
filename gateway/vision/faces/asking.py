"""What a face before a door's camera is asked for, so that no recording can have known it: drawn once, judged once.

Pure: times, answers and random bytes come in, what is to be shown and judged goes out. One camera's asking goes from
nothing over "core has been told" and "people can see it" back to nothing. It names nobody, and everything in it is
forgotten when it is over, but for when tries were not done, since a challenge can be guessed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from gateway.vision.faces.report import FaceAsk, FaceAskOver
from gateway.vision.pad import challenge as challenges
from gateway.vision.pad import light_code
from gateway.vision.pad.challenge import Challenge
from gateway.vision.pad.light_code import LightCode

CHALLENGE, LIGHT = "challenge", "light"
LEAD_MS = 1000  # "look here" before the first step: people look round until they see that something is asked
STEPS, STEP_MS = 3, 2000
SLOTS, SLOT_MS = 12, 500  # beside a challenge and alone: 6 s
SETTLE_MS = 250  # of a slot, left out: the way over the bus to the lamp, and the camera's to us
ANSWER_WAIT_MS = 2500  # for core to say that it can be seen
SECRET_BYTES = 16
# Tries that were shown and not done, of one holder before one camera, and of all together there: (how many, in ms).
HOLDER_LIMITS = ((3, 10 * 60_000), (6, 24 * 3_600_000))
CAMERA_LIMITS = ((12, 10 * 60_000),)
MAX_HOLDERS = 1000  # whose tries are remembered; the oldest is forgotten first


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a portal asks of a face: where it opens alone, and beside a card or a PIN. Of CHALLENGE and LIGHT."""

    alone: frozenset[str] = frozenset({CHALLENGE})
    beside: frozenset[str] = frozenset()


@dataclass(slots=True)
class Tries:
    """When what was shown to people was not done, at one camera. Only in memory: a restart of the process forgets it.

    A try counts from the moment it can be seen, so that nobody looks at one challenge after the other until one suits;
    it is taken back only where it was done.
    """

    _of: dict[str, deque[int]] = field(default_factory=dict)
    _all: deque[int] = field(default_factory=lambda: deque(maxlen=CAMERA_LIMITS[0][0]))

    def may(self, holder: str, now_ms: int) -> bool:
        """Whether this holder's face may be asked for something now."""
        mine = self._of.get(holder, ())
        return _within(mine, HOLDER_LIMITS, now_ms) and _within(self._all, CAMERA_LIMITS, now_ms)

    def shown(self, holder: str, now_ms: int) -> None:
        """Something was shown to whoever looks like this holder."""
        if holder not in self._of and len(self._of) >= MAX_HOLDERS:
            del self._of[next(iter(self._of))]
        self._of.setdefault(holder, deque(maxlen=HOLDER_LIMITS[-1][0])).append(now_ms)
        self._all.append(now_ms)

    def done(self, holder: str, at_ms: int) -> None:
        """What was shown at that moment was done, or ended before anything of it could be seen."""
        for times in (self._of.get(holder), self._all):
            if times is not None and at_ms in times:
                times.remove(at_ms)


def _within(times: deque[int] | tuple[()], limits: tuple[tuple[int, int], ...], now_ms: int) -> bool:
    return all(sum(0 <= now_ms - at < span_ms for at in times) < most for most, span_ms in limits)


@dataclass(slots=True)
class _Open:
    """What is asked for now. begins_ms: when it could be seen first; None: not yet. refused: it cannot be shown."""

    holder: str
    claimed: bool
    kinds: frozenset[str]
    ask: FaceAsk
    told_ms: int
    begins_ms: int | None = None
    refused: bool = False


@dataclass(slots=True)
class Asking:
    """One camera's. `randomness(n)`: n bytes of os.urandom, each used once."""

    camera: str
    wanted: Wanted
    randomness: Callable[[int], bytes]
    tries: Tries = field(default_factory=Tries)
    alone_here: bool = False  # core has said that a face opens alone here
    _open: _Open | None = None

    def kinds(self, *, claimed: bool) -> frozenset[str]:
        """What a face seen now is to be asked for."""
        return self.wanted.alone if self.alone_here and not claimed else self.wanted.beside

    @property
    def holder(self) -> str | None:
        """Who is being asked; None where nobody is."""
        return self._open.holder if self._open is not None else None

    @property
    def claimed(self) -> bool:
        """Whether a card was shown for who is being asked."""
        return self._open is not None and self._open.claimed

    @property
    def begins_ms(self) -> int | None:
        """When what is asked could be seen first."""
        return self._open.begins_ms if self._open is not None else None

    def begin(self, holder: str, now_ms: int, *, claimed: bool) -> FaceAsk | None:
        """Draw what whoever looks like this holder is asked for; None where there were too many tries. Raises
        ValueError where nothing is to be asked for, or something is being asked for already."""
        kinds = self.kinds(claimed=claimed)
        if not kinds or self._open is not None:
            raise ValueError(f"asking at {self.camera}: nothing to ask for, or asked already; look at kinds and holder")
        if not self.tries.may(holder, now_ms):
            return None
        steps, slots = (), ()  # type: tuple[str, ...], tuple[bool, ...]
        if CHALLENGE in kinds:
            drawn = challenges.draw(self.randomness(SECRET_BYTES), begins_ms=0, steps=STEPS, step_ms=STEP_MS)
            steps = tuple(step.value for step in drawn.steps)
        if LIGHT in kinds:
            slots = light_code.draw(self.randomness(SECRET_BYTES), slots=SLOTS, begins_ms=0, slot_ms=SLOT_MS).slots
        ask = FaceAsk(self.camera, self.randomness(8).hex(), steps, STEP_MS, slots, SLOT_MS, now_ms, LEAD_MS)
        self._open = _Open(holder, claimed, kinds, ask, now_ms)
        return ask

    def answered(self, ask: str, at_ms: int, *, shown: bool) -> None:
        """Core says that the ask of this id can be seen since `at_ms`, or that it cannot (any more)."""
        now = self._open
        if now is None or now.ask.id != ask:
            return
        if not shown:
            now.refused = True
            if now.begins_ms is not None and at_ms < now.begins_ms + now.ask.lead_ms:
                self.tries.done(now.holder, now.begins_ms)  # "look here" was all that could be seen: a card was shown
        elif now.begins_ms is None:
            now.begins_ms = at_ms
            self.tries.shown(now.holder, at_ms)

    def refused(self, now_ms: int) -> bool:
        """Whether it could not be shown, or not as it was drawn, or core is silent."""
        now = self._open
        if now is None:
            return False
        return now.refused or (now.begins_ms is None and now_ms - now.told_ms > ANSWER_WAIT_MS)

    def due(self, now_ms: int) -> bool:
        """Whether its time is over, and it is to be judged."""
        now = self._open
        return now is not None and now.begins_ms is not None and now_ms >= now.begins_ms + now.ask.lasts_ms

    def challenge(self) -> Challenge | None:
        """What was shown, at the time at which it was."""
        now = self._open
        if now is None or now.begins_ms is None or not now.ask.steps:
            return None
        steps = tuple(challenges.Step(step) for step in now.ask.steps)
        return Challenge(steps, now.begins_ms + now.ask.lead_ms, now.ask.step_ms)

    def light(self) -> LightCode | None:
        """How the portal's light was switched, at the time at which it was."""
        now = self._open
        if now is None or now.begins_ms is None or not now.ask.slots:
            return None
        return LightCode(now.begins_ms + now.ask.lead_ms, now.ask.slot_ms, now.ask.slots, SETTLE_MS)

    def end(self, *, done: bool, gone: bool = False) -> tuple[FaceAskOver | None, tuple[str, ...]]:
        """It is over, and never judged again. Returns what core is told (None where nothing was asked), and what was
        done."""
        now, self._open = self._open, None
        if now is None:
            return None, ()
        if done and now.begins_ms is not None:
            self.tries.done(now.holder, now.begins_ms)
        return FaceAskOver(self.camera, now.ask.id, done, gone), tuple(sorted(now.kinds)) if done else ()
