"""Films as a camera would have shown them: a file to pictures at a steady pace, and pictures to visits.

Only containers that are known by their first bytes are handed to the decoder, by a descriptor instead of a name, so
that neither a playlist nor a name that looks like an address makes it open anything else.
"""

from __future__ import annotations

import os
import stat
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from gateway.errors import VisionError
from gateway.vision.lane import Lane
from gateway.vision.picture import MIN_SIDE, Picture
from gateway.vision.picture import kind_of as kind_of_picture
from gateway.vision.reader import PlateFound
from gateway.vision.visit import GONE_AFTER_MS, Seen, Unread

ENDINGS = frozenset({".mp4", ".mov", ".mkv", ".avi"})
MAX_BYTES = 4 << 30
MAX_PIXELS = 9_000_000  # 4K of cinema; the decoder holds some twenty of its pictures
MAX_MS = 4 * 3600 * 1000
MOST_PER_S = 25  # pictures read of one second of film
USUAL_PER_S = 10
QUIET_MS = 250  # as in the worker: without a picture for so long, what only waits for time is looked at
HEAD = 64  # bytes that tell a container
CUT_SHARE, CUT_MS = 0.03, 500  # of its stated length that must be missing before a film is called cut short
MAX_KEPT, MAX_KEPT_BYTES = 64, 64 << 20
FFMPEG_QUIET = "-8"  # AV_LOG_QUIET: what it complains of becomes one sentence of ours
_QUICKTIME = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")  # first box of MP4 and MOV, old ones too


def is_film(head: bytes) -> bool:
    """Whether a file that begins with `head` is an MP4, MOV, MKV (or WebM) or AVI."""
    return head[4:8] in _QUICKTIME or head[:4] == b"\x1aE\xdf\xa3" or (head[:4] == b"RIFF" and head[8:12] == b"AVI ")


def head_of(path: Path) -> bytes:
    """The first bytes of a file; none where it cannot be read, which whoever opens it will say."""
    try:
        with path.open("rb") as file:
            return file.read(HEAD)
    except OSError:
        return b""


@dataclass(frozen=True, slots=True)
class Shot:
    """One picture of a film, `at_ms` after its beginning."""

    at_ms: int
    picture: Picture


@dataclass(slots=True)
class Pace:
    """Which pictures of a film are read: at most `per_s` of a second, evenly. Pure."""

    per_s: int
    _next_ms: float = 0.0

    def due(self, at_ms: int) -> bool:
        """Whether the picture of this moment is one of them; moments rise."""
        if at_ms < self._next_ms:
            return False
        step = 1000 / self.per_s
        self._next_ms = max(self._next_ms + step, at_ms + step / 2)  # after a gap no picture is made up for
        return True


class Film:
    """One opened film. `length_ms` is what its header states, None where it states none. To be used with `with`."""

    def __init__(self, path: Path) -> None:
        """Raises VisionError, one sentence: cannot be read, no film, empty, too large, too long, damaged."""
        self.name = str(path)
        try:
            # Not blocking: opening a named pipe must not wait for somebody to write into it.
            self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError as e:
            raise VisionError(f"{path}: cannot be read ({e.strerror}); check the path and its permissions") from e
        try:
            self._check_file()
            self._capture = self._open()
        except VisionError:
            os.close(self._descriptor)
            raise
        self._per_s = min(max(0.0, self._capture.get(cv2.CAP_PROP_FPS)), 240.0) or 25.0  # also where it is no number
        count = self._capture.get(cv2.CAP_PROP_FRAME_COUNT)
        self.length_ms = round(count / self._per_s * 1000) if 0 < count < 1e9 else None
        try:
            self._check_size()
            if self.length_ms is not None and self.length_ms > MAX_MS:
                raise self._too_long(f"{self.length_ms / 3_600_000:.1f} h")
        except VisionError:
            self._close()
            raise

    def __enter__(self) -> Film:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def shots(self, per_s: int = USUAL_PER_S) -> Iterator[Shot]:
        """The pictures at that pace. Raises VisionError where the film is cut short, after its last picture, where a
        picture cannot be had, and where it turns out larger or longer than is allowed."""
        pace, at_ms, began = Pace(per_s), -1, False
        while self._capture.grab():
            self._check_size()
            at_ms = self._moment(at_ms)
            if at_ms > MAX_MS:
                raise self._too_long("more")
            began = True
            if not pace.due(at_ms):
                continue
            ok, picture = self._capture.retrieve()
            if not ok or picture is None:
                raise VisionError(
                    f"{self.name}: the picture at {at_ms / 1000:.1f} s cannot be decoded; copy or record the film again"
                )
            yield Shot(at_ms, np.asarray(picture, np.uint8))
        if not began:
            raise VisionError(f"{self.name}: the film has no picture in it; record it again")
        end_ms = at_ms + round(1000 / self._per_s)
        if self.length_ms is not None and self.length_ms - end_ms > max(CUT_MS, CUT_SHARE * self.length_ms):
            raise VisionError(
                f"{self.name}: the film is cut short after {end_ms / 1000:.1f} s of {self.length_ms / 1000:.1f} s; "
                f"what was there was read, copy it again for the rest"
            )

    def _check_file(self) -> None:
        status = os.fstat(self._descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise VisionError(f"{self.name}: expected a film in a file, got something else; record it to a file first")
        if status.st_size > MAX_BYTES:
            raise VisionError(f"{self.name}: {status.st_size} bytes, expected at most {MAX_BYTES}; cut it into parts")
        head = os.pread(self._descriptor, HEAD, 0)
        if not is_film(head):
            got = kind_of_picture(head) or ("an empty file" if not head else "something else")
            raise VisionError(f"{self.name}: expected a film (MP4, MOV, MKV or AVI), got {got}; check the file's name")

    def _open(self) -> cv2.VideoCapture:
        os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", FFMPEG_QUIET)
        said = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
        try:
            capture = cv2.VideoCapture(f"/dev/fd/{self._descriptor}", cv2.CAP_FFMPEG)
        finally:
            cv2.utils.logging.setLogLevel(said)
        if not capture.isOpened():
            capture.release()
            raise VisionError(
                f"{self.name}: the film is cut short, damaged or has no pictures; copy or record it again"
            )
        return capture

    def _check_size(self) -> None:
        wide, high = (round(self._capture.get(p)) for p in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
        if wide * high > MAX_PIXELS:
            allowed = MAX_PIXELS // 1_000_000
            raise VisionError(
                f"{self.name}: {wide} x {high} pixels, expected at most {allowed} million; make it smaller"
            )
        if min(wide, high) < MIN_SIDE:
            raise VisionError(
                f"{self.name}: {wide} x {high} pixels, expected at least {MIN_SIDE} a side; record it again"
            )

    def _moment(self, before_ms: int) -> int:
        """When the picture just taken is shown: as the film says, or one picture after the last where that is wrong."""
        told = self._capture.get(cv2.CAP_PROP_POS_MSEC)
        if before_ms < told < float(MAX_MS) * 2:
            return round(told) if told >= before_ms + 1 else before_ms + 1
        return 0 if before_ms < 0 else before_ms + max(1, round(1000 / self._per_s))

    def _too_long(self, got: str) -> VisionError:
        return VisionError(f"{self.name}: lasts {got}, expected at most {MAX_MS // 3_600_000} h; cut it into parts")

    def _close(self) -> None:
        self._capture.release()
        os.close(self._descriptor)


@dataclass(frozen=True, slots=True)
class Visit:
    """What one visit came to, and when in the film: at its observation, or when it was seen last."""

    at_ms: int
    came_to: Seen | Unread


@dataclass(slots=True)
class Kept:
    """The newest pictures in which a plate was found, compressed, for drawing a visit that ended since. Bounded."""

    _pictures: deque[tuple[int, bytes, list[PlateFound]]] = field(default_factory=deque)
    _bytes: int = 0

    def keep(self, shot: Shot, found: list[PlateFound]) -> None:
        ok, data = cv2.imencode(".jpg", shot.picture, [cv2.IMWRITE_JPEG_QUALITY, 95])
        if not ok:
            return
        self._pictures.append((shot.at_ms, data.tobytes(), found))
        self._bytes += len(data)
        while len(self._pictures) > MAX_KEPT or (self._bytes > MAX_KEPT_BYTES and len(self._pictures) > 1):
            self._bytes -= len(self._pictures.popleft()[1])

    def at(self, at_ms: int) -> tuple[Picture, list[PlateFound]] | None:
        """The picture that was shown then, or the last one before it."""
        before = [one for one in self._pictures if one[0] <= at_ms] or list(self._pictures)[:1]
        if not before:
            return None
        _, data, found = before[-1]
        return np.asarray(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR), np.uint8), found


def visits(lane: Lane, shots: Iterable[Shot], looked: Callable[[Shot], None] = lambda _: None) -> Iterator[Visit]:
    """Every visit of a film, through one camera's lane as the worker runs it, in the order in which they are decided.

    looked: called after each picture. What `shots` raises is raised once the visits until then are out.
    """
    last_ms, failure = None, None
    pictures = iter(shots)
    while True:
        try:
            shot = next(pictures, None)
        except VisionError as e:
            shot, failure = None, e
        if shot is None:
            break
        if last_ms is not None:
            yield from _quiet(lane, last_ms, shot.at_ms)
        seen = lane.frame(shot.picture, shot.at_ms)
        looked(shot)
        yield from _told(lane, seen, shot.at_ms)
        last_ms = shot.at_ms
    if last_ms is not None:
        yield from _quiet(lane, last_ms, last_ms + GONE_AFTER_MS + 2 * QUIET_MS)
    if failure is not None:
        raise failure


def _quiet(lane: Lane, after_ms: int, until_ms: int) -> Iterator[Visit]:
    """A camera that shows nothing for a while; after GONE_AFTER_MS nothing more can come of it."""
    for now_ms in range(after_ms + QUIET_MS, min(until_ms, after_ms + GONE_AFTER_MS + 2 * QUIET_MS), QUIET_MS):
        yield from _told(lane, lane.quiet(now_ms), now_ms)


def _told(lane: Lane, seen: list[Seen], now_ms: int) -> Iterator[Visit]:
    for one in seen:
        yield Visit(now_ms, one)
    for unread in lane.take_unread():
        yield Visit(unread.seen_ms, unread)
