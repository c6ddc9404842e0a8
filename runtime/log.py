"""Logging: readable on a terminal, JSON lines under systemd, always on stderr. Device text is escaped and capped."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from typing import Any, TextIO, cast

import structlog

MAX_TEXT = 200  # characters of a peer's text that reach a log line


def shown(text: object) -> str:
    """A peer's text made safe to log: control characters escaped, at most MAX_TEXT characters."""
    plain = str(text).encode("unicode_escape").decode("ascii") if not str(text).isprintable() else str(text)
    return plain if len(plain) <= MAX_TEXT else plain[: MAX_TEXT - 1] + "…"


class _Unfailing:
    """A stream whose disk may be full: a line that cannot be written is lost, and nothing else goes wrong with it."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """How many characters, written or lost."""
        with contextlib.suppress(OSError):  # whoever logs a broken disk must not fail by that
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Never fails."""
        with contextlib.suppress(OSError):  # as above
            self._stream.flush()


def _cap_values(_: Any, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    for key, value in event.items():
        if isinstance(value, str) and key not in ("exception", "stack"):
            event[key] = shown(value)
    return event


def set_up(process: str, *, verbose: bool = False) -> None:
    """Configure logging for this process, once, first thing. JOURNAL_STREAM (set by systemd) selects JSON."""
    json_lines = "JOURNAL_STREAM" in os.environ or os.environ.get("ZHIAN_LOG") == "json"
    renderer: structlog.typing.Processor
    stderr = cast(TextIO, _Unfailing(sys.stderr))
    if json_lines:
        renderer = structlog.processors.JSONRenderer(ensure_ascii=False)
    else:
        renderer = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), pad_event_to=0)
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _cap_values,
    ]
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG if verbose else logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(file=stderr),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(process=process)
    handler = logging.StreamHandler(stderr)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processor=renderer))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)


def get(name: str) -> structlog.typing.FilteringBoundLogger:
    """A logger that carries the part's name."""
    return cast(structlog.typing.FilteringBoundLogger, structlog.get_logger(part=name))
