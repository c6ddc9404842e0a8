"""What a person before a door's camera for faces is asked for, shown at that door: text and light of its reader.

The vision process draws it, and judges whether it was done; here it is only shown, in time or not at all. Nothing is
left behind: every text and every light ends by itself at the reader, whatever becomes of this process.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import groupby

from gateway.control.job_loop import JobLoop
from gateway.errors import DriverError
from gateway.model import Command, FaceAsk, FaceAskOver, Shine, ShowText
from gateway.ports import Actuator, Clock
from runtime.log import get

# A display of OSDP knows ASCII alone: English, and the Chinese in Pinyin. At most one row of sixteen.
TEXTS = {
    "turn_left": "<<< Left / zuo",
    "turn_right": "Right / you >>>",
    "nod": "Nod / dian tou",
    "blink": "Blink / zha yan",
}
LOOK = "Look here / kan"  # before the first step
LOOK_ROUND = "Turn / zhuan tou"  # where only the light is shown: without a turn nobody is believed
OTHER_WAY = "Card / shua ka"
OTHER_WAY_S = 4
NOTHING = " "
LONGEST_MS = 30_000  # of what is shown to somebody who wants to go in; vision asks for seven seconds
LATE_MS = 300  # a step shown later than this is not what the vision process judges
log = get("face-asks")


@dataclass(frozen=True, slots=True)
class Place:
    """A portal with a camera for faces: `device` is the reader beside it, `display` whether that can show a text."""

    portal: str
    device: str
    display: bool


@dataclass(frozen=True, slots=True)
class Moment:
    """What is sent `after_ms` from the beginning."""

    after_ms: int
    command: Command


def plan(ask: FaceAsk, *, display: bool) -> tuple[Moment, ...]:
    """When what is sent to the reader, in order; nothing where it cannot be shown there in LONGEST_MS. Pure."""
    if (ask.steps and not display) or not (ask.steps or ask.slots) or ask.lasts_ms > LONGEST_MS:
        return ()
    over_s = -(-ask.lasts_ms // 1000)
    if ask.steps:
        lead_s, step_s = (-(-ms // 1000) + 1 for ms in (ask.lead_ms, ask.step_ms))  # and the next may be late
        moments = [Moment(0, ShowText(LOOK, lead_s))] if ask.lead_ms else []
        for i, step in enumerate(ask.steps):
            moments.append(Moment(ask.lead_ms + i * ask.step_ms, ShowText(TEXTS[step], step_s, 1)))
    else:
        moments = [Moment(0, ShowText(LOOK_ROUND, over_s, 1) if display else Shine(0))]
    slot = 0
    for lit, run in groupby(ask.slots):
        length = len(list(run))
        if lit:
            moments.append(Moment(ask.lead_ms + slot * ask.slot_ms, Shine(length * ask.slot_ms)))
        slot += length
    return tuple(sorted(moments, key=lambda moment: moment.after_ms))


class Showing:
    """One portal's reader. Everything but `run` only queues."""

    def __init__(self, place: Place, actuator: Actuator, clock: Clock, answer: Callable[[str, bool], None]) -> None:
        """`answer(id, shown)`: what was asked for can be seen from now on, or cannot (any more)."""
        self.place = place
        self._actuator, self._clock, self._answer = actuator, clock, answer
        self._ask: FaceAsk | None = None
        self._beginning = ""  # the id of what is on its way to the reader
        self._moments: deque[Moment] = deque()
        self._begun_ms = 0
        self._interrupted = ""  # the id of what the door's own answer ended
        self.loop = JobLoop(f"face-asks-{place.portal}", clock, self._deadline_ms, self._due)

    @property
    def asked(self) -> FaceAsk | None:
        """What is shown now."""
        return self._ask

    def begin(self, ask: FaceAsk) -> None:
        """Show this; what was shown before is over."""
        self.loop.submit_latest("begin", lambda: self._begin(ask))

    def over(self, told: FaceAskOver) -> None:
        """Stop showing it; whoever did not do it is told of the other way in."""
        self.loop.submit_latest("over", lambda: self._over(told))

    def stop(self) -> None:
        """The vision process has gone: show nothing."""
        self.loop.submit_latest("stop", self._given_up)

    def interrupted(self) -> None:
        """The door answers somebody at this reader: its light is the door's from now on."""
        if self._ask is not None:
            ask, self._ask = self._ask, None
            self._interrupted = ask.id
            self._moments.clear()
            self._answer(ask.id, False)
            self.loop.submit_latest("clear", lambda: self._clear(light=False))
        elif self._beginning:
            self._interrupted = self._beginning

    def _deadline_ms(self) -> int | None:
        if self._ask is None:
            return None
        return self._begun_ms + (self._moments[0].after_ms if self._moments else self._ask.lasts_ms)

    async def _begin(self, ask: FaceAsk) -> None:
        self._beginning = ask.id
        try:
            shown = await self._shown_first(ask)
        finally:
            self._beginning = ""
        self._answer(ask.id, shown)

    async def _shown_first(self, ask: FaceAsk) -> bool:
        """The first of it is acknowledged by the reader, and the rest is due."""
        if self._ask is not None:
            await self._given_up()
        moments = deque(plan(ask, display=self.place.display))
        if not moments:
            why = "nothing here can show it" if ask.lasts_ms <= LONGEST_MS else f"it lasts {ask.lasts_ms} ms"
            log.warning("what a face is asked for is not shown", portal=self.place.portal, why=why)
            return False
        if self._interrupted == ask.id or not await self._send(moments.popleft().command):
            return False
        if self._interrupted == ask.id:  # the door answered meanwhile, and the light is its own
            await self._clear(light=False)
            return False
        self._ask, self._moments, self._begun_ms = ask, moments, self._clock.monotonic_ms()
        return True

    async def _due(self) -> None:
        """The next moments have come, or the end."""
        while self._ask is not None and self._moments:
            late_ms = self._clock.monotonic_ms() - self._begun_ms - self._moments[0].after_ms
            if late_ms < 0:
                return
            command = self._moments.popleft().command
            if late_ms > LATE_MS or not await self._send(command):
                await self._given_up()
                return
        if self._ask is not None and self._clock.monotonic_ms() >= self._begun_ms + self._ask.lasts_ms:
            await self._ended()

    async def _ended(self) -> None:
        """Everything was shown as asked; the vision process says what came of it."""
        self._ask = None
        await self._clear(light=True)

    async def _given_up(self) -> None:
        """It cannot be shown (any more) as it was asked."""
        ask, self._ask = self._ask, None
        self._moments.clear()
        if ask is not None:
            self._answer(ask.id, False)
            await self._clear(light=bool(ask.slots))

    async def _over(self, told: FaceAskOver) -> None:
        if self._ask is not None and self._ask.id == told.id:
            slots, self._ask = self._ask.slots, None
            self._moments.clear()
            await self._clear(light=bool(slots))
        done = told.done or told.gone or told.id == self._interrupted  # the door has told them already
        if not done and self._ask is None and self.place.display:
            await self._send(ShowText(OTHER_WAY, OTHER_WAY_S))

    async def _clear(self, *, light: bool) -> None:
        if self.place.display:
            await self._send(ShowText(NOTHING, 1))
        if light:
            await self._send(Shine(0))

    async def _send(self, command: Command) -> bool:
        try:
            await self._actuator.send(self.place.device, [command])
        except DriverError as e:
            log.warning("the reader could not be told", portal=self.place.portal, error=str(e))
            return False
        return True


class FaceAsks:
    """Every portal with a camera for faces; `places`: camera -> place."""

    def __init__(self, places: Mapping[str, Place], actuator: Actuator, clock: Clock) -> None:
        self.answer: Callable[[str, str, bool], None] = _nobody  # (camera, id, shown): core sets it
        self._showing = {
            camera: Showing(place, actuator, clock, self._answering(camera)) for camera, place in places.items()
        }
        self._at = {showing.place.device: showing for showing in self._showing.values()}

    def _answering(self, camera: str) -> Callable[[str, bool], None]:
        return lambda ask, shown: self.answer(camera, ask, shown)

    def ask(self, ask: FaceAsk) -> None:
        """Show it at the camera's portal. Never waits."""
        if (showing := self._showing.get(ask.camera)) is not None:
            showing.begin(ask)

    def over(self, told: FaceAskOver) -> None:
        """It is over. Never waits."""
        if (showing := self._showing.get(told.camera)) is not None:
            showing.over(told)

    def signalled(self, device: str) -> None:
        """A door answers somebody at this reader. Never waits."""
        if (showing := self._at.get(device)) is not None:
            showing.interrupted()

    def vision_changed(self, came: bool) -> None:
        """A vision process came or went: whatever was asked for by one that has gone is over. Never waits."""
        if not came:
            for showing in self._showing.values():
                showing.stop()

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for showing in self._showing.values():
                tasks.create_task(showing.loop.run())


def _nobody(camera: str, ask: str, shown: bool) -> None:
    """No vision process is listening yet."""
