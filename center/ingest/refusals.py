"""Count what is refused and log it once per source: a hostile peer must not be able to fill the log or the memory."""

from __future__ import annotations

from structlog.typing import FilteringBoundLogger

MAX_SOURCES = 1000


class Refusals:
    """`count` is the total; the first refusal of each source is logged, for at most MAX_SOURCES sources."""

    def __init__(self, logger: FilteringBoundLogger) -> None:
        self._logger = logger
        self._sources: set[str] = set()
        self.count = 0

    def add(self, source: str, why: str) -> None:
        """One more message that was not taken."""
        self.count += 1
        if source in self._sources or len(self._sources) >= MAX_SOURCES:
            return
        self._sources.add(source)
        self._logger.warning("refused; further ones of this source are only counted", source=source, why=why)
        if len(self._sources) == MAX_SOURCES:
            self._logger.warning("refusals of further sources are only counted", sources=MAX_SOURCES)
