"""One camera's pictures to observations: motion gate, where to look, reading, visits. No I/O; the nets do the work."""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway.vision.detect import Looks
from gateway.vision.motion import MotionGate
from gateway.vision.picture import Picture
from gateway.vision.reader import PlateFound, PlateReader
from gateway.vision.track import Sighting
from gateway.vision.visit import Seen, Unread, Visits

LOOK_ANYWAY_MS = 1000  # so that what the gate misses is missed for a second only
WHOLE_EVERY = 3  # frames: while a plate is followed, the whole picture is looked at in every third
MAX_INVOKES = 9  # of a frame: the whole, two regions, three closer looks, three readings; +3 with two-row kinds


@dataclass(slots=True)
class Lane:
    """One camera's. Not for use from two threads at once. found: what the newest picture that was looked at showed."""

    plates: PlateReader
    visits: Visits
    gate: MotionGate = field(default_factory=MotionGate)
    looked: int = 0
    skipped: int = 0
    found: list[PlateFound] = field(default_factory=list)
    _looked_ms: int | None = None
    _since_whole: int = 0

    def frame(self, picture: Picture, now_ms: int) -> list[Seen]:
        """The observations that this picture completes, usually none."""
        regions = self.gate.moved(picture)
        due = self._looked_ms is None or now_ms - self._looked_ms >= LOOK_ANYWAY_MS
        if regions == () and not due:
            self.skipped += 1
            return self.visits.still(now_ms)
        known = self.visits.known(now_ms)
        self._since_whole += 1
        whole = not known or due or self._since_whole >= WHOLE_EVERY
        if whole:
            self._since_whole = 0
        looks = Looks(whole=whole, regions=(regions or ()) if whole else (), known=known)
        self.found = self.plates.find(picture, looks)
        self.looked, self._looked_ms = self.looked + 1, now_ms
        return self.visits.frame(now_ms, [Sighting(one.reading, one.corners) for one in self.found])

    def quiet(self, now_ms: int) -> list[Seen]:
        """No picture came for a while."""
        return self.visits.quiet(now_ms)

    def take_unread(self) -> list[Unread]:
        """The visits that came to nothing since this was asked last."""
        taken, self.visits.unread = self.visits.unread, []
        return taken
