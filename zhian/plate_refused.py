"""What `zhian plate refused` prints: the visits that came to nothing, with why."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo


def lines(config_file: Path, camera: str | None, most: int) -> Iterator[str]:
    """The newest `most` rows, newest first. Raises ConfigError, VisionError."""
    from gateway import config as configuration
    from gateway import refused_plates
    from gateway.vision import refused

    config = configuration.read(config_file)
    rows = refused_plates.read(configuration.refused_plates_file(config_file, config))
    shown = [row for row in reversed(rows) if camera in (None, row.camera)][:most]
    zone = ZoneInfo(config.site.timezone)
    for row in shown:
        at = datetime.fromtimestamp(row.at_ms / 1000, zone).strftime("%Y-%m-%d %H:%M:%S")
        text = row.text if row.text.isprintable() else repr(row.text)
        yield f"{at}  {row.camera}  {text or '-'}  score {row.score:.2f}, {row.frames} frames: {refused.words(row.why)}"
    if not shown:
        yield "no visit came to nothing in the time that is kept"
