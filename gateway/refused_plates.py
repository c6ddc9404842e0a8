"""The list of visits whose plate was not read, as it lies on the site's disk: what a row is, and reading it.

One JSON object a line. The vision process writes it (`gateway.vision.refused`); the command and the property manager's
page read it. It never leaves the site.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from gateway.errors import VisionError

MAX_BYTES = 4 << 20  # some 16 000 rows; the configuration allows fewer


class Row(msgspec.Struct, frozen=True):
    """One visit. `text` is the best that was seen, right or wrong."""

    at_ms: int
    camera: str
    why: str
    text: str
    kind: str
    score: float
    frames: int


_rows = msgspec.json.Decoder(Row)


def read(path: Path) -> list[Row]:
    """Every row, oldest first; lines that a power cut tore are passed over. Raises VisionError where it cannot be
    read; a file that is not there has no rows."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        return []
    except OSError as e:
        raise VisionError(f"{path}: cannot be read ({e.strerror}); check who owns it") from e
    if len(data) > MAX_BYTES:
        raise VisionError(f"{path}: larger than {MAX_BYTES} bytes, which this program does not write; remove it")
    rows = []
    for line in data.splitlines():
        try:
            rows.append(_rows.decode(line))
        except (msgspec.MsgspecError, UnicodeDecodeError):
            continue
    return rows
