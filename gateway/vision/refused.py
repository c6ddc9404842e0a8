"""Visits that came to nothing, kept on the site for whoever asks why a car was not let in. Bounded in rows and time.

One JSON object a line (`gateway.refused_plates`), mode 0600, in the site's data folder; it never leaves the site, and
no picture is in it.
"""

from __future__ import annotations

import os
from collections import deque
from dataclasses import dataclass
from pathlib import Path

import msgspec

from gateway.errors import VisionError
from gateway.refused_plates import Row, read
from gateway.vision.grammar import Refusal, sentence
from gateway.vision.visit import Unread

FILE = "refused-plates.jsonl"
DAY_MS = 86_400_000
_WORDS = {
    "weak": "it could be a number, but the frames were not sure enough of it (vision.min_score)",
    "torn": "the frames do not agree on a number",
    "too-few-frames": "too few frames showed it (vision.agreeing_frames)",
    "behind": "another plate was nearer to the arm until the car was gone",
}
REASONS = (*Refusal, *_WORDS)


def words(why: str) -> str:
    """A reason as a sentence."""
    return _WORDS[why] if why in _WORDS else sentence(Refusal(why)) if why in set(Refusal) else why


@dataclass(slots=True)
class RefusedList:
    """The file and what is in it. At most `most` rows of the last `days` days."""

    path: Path
    most: int
    days: int
    _rows: deque[Row] | None = None
    _written: int = 0  # lines in the file

    def add(self, camera: str, unread: Unread, now_ms: int) -> None:
        """Keep one. Raises VisionError where it cannot be written."""
        if not self.most:
            return
        rows = self._kept(now_ms)
        row = Row(
            now_ms, camera, unread.why, unread.text[:16], unread.kind, round(float(unread.score), 4), unread.frames
        )
        rows.append(row)
        try:
            if self._written + 1 > 2 * self.most or len(rows) < self._written:
                self._rewrite()
            else:
                with os.fdopen(os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "ab") as file:
                    file.write(msgspec.json.encode(row) + b"\n")
                self._written += 1
        except OSError as e:
            raise VisionError(f"{self.path}: cannot be written ({e.strerror}); check the disk") from e

    def prune(self, now_ms: int) -> None:
        """Forget what is too old, also where nothing new comes. Raises VisionError."""
        if len(self._kept(now_ms)) < self._written:
            try:
                self._rewrite()
            except OSError as e:
                raise VisionError(f"{self.path}: cannot be written ({e.strerror}); check the disk") from e

    def _kept(self, now_ms: int) -> deque[Row]:
        if self._rows is None:
            found = read(self.path)
            self._rows, self._written = deque(found, maxlen=self.most), len(found)
        while self._rows and self._rows[0].at_ms < now_ms - self.days * DAY_MS:
            self._rows.popleft()
        return self._rows

    def _rewrite(self) -> None:
        part = self.path.with_suffix(".part")
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.writelines(msgspec.json.encode(row) + b"\n" for row in self._rows or ())
        part.replace(self.path)
        self._written = len(self._rows or ())
