"""`zhian center run`: ingest, and beside it what must never stop it: daily removal of old events, and webhooks."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from center import config as configuration
from center.config import CenterConfig
from center.egress.attempt import Poster
from center.egress.delivery import Delivery
from center.egress.endpoint import Endpoint, endpoints
from center.egress.ledger import Ledger
from center.errors import CenterError, ClockDoubtedError
from center.ingest import ingest
from center.store import retention
from center.store.choice import open_database
from center.store.reading import EventReading
from runtime import log

FIRST_REMOVAL_AFTER_S = 60.0
REMOVAL_EVERY_S = 86_400.0
CLOCK_DOUBTED_EVERY_S = 3600.0
_AGAIN_AFTER_S = 30.0
_logger = log.get("center")


async def run(config_file: Path) -> None:
    """Until cancelled. Raises UserError with one sentence where the configuration or ingest cannot be used."""
    config = configuration.read(config_file)
    served = endpoints(config_file, config)  # a wrong one is said now, not when the first event comes
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(ingest.run(config_file))
        tasks.create_task(_kept("retention", lambda: _remove_daily(config_file, config)))
        for endpoint in served:
            tasks.create_task(_kept(f"webhook {endpoint.name}", lambda one=endpoint: _serve(config_file, config, one)))


async def _kept(name: str, work: Callable[[], Awaitable[None]]) -> None:
    """The supervisor of what runs beside ingest: whatever goes wrong in it is logged, and it is begun again."""
    while True:
        try:
            await work()
        except CenterError as e:
            _logger.warning("paused", part=name, why=str(e), again_after_s=_AGAIN_AFTER_S)
        except Exception:  # the supervisor named above
            _logger.exception("failed", part=name, again_after_s=_AGAIN_AFTER_S)
        await asyncio.sleep(_AGAIN_AFTER_S)


async def _remove_daily(config_file: Path, config: CenterConfig) -> None:
    await asyncio.sleep(FIRST_REMOVAL_AFTER_S)
    while True:
        try:
            await asyncio.to_thread(_remove, config_file, config)
            wait_s = REMOVAL_EVERY_S
        except ClockDoubtedError as e:
            _logger.warning("old events not removed", why=str(e))
            wait_s = CLOCK_DOUBTED_EVERY_S
        await asyncio.sleep(wait_s)


def _remove(config_file: Path, config: CenterConfig) -> None:
    database = open_database(config_file, config)
    try:
        report = retention.remove(database, time.time_ns() // 1_000_000, config.retention.days)
    finally:
        database.close()
    if report.undelivered:
        _logger.warning("events removed that webhooks had not come to", undelivered=report.undelivered)
    if report.events or report.dead_letters:
        _logger.info(
            "old events removed", events=report.events, days=len(report.days), dead_letters=report.dead_letters
        )


async def _serve(config_file: Path, config: CenterConfig, endpoint: Endpoint) -> None:
    database = open_database(config_file, config)
    poster = Poster(endpoint)
    try:
        await Delivery(endpoint, EventReading(database), Ledger(database), poster).run()
    finally:
        await poster.close()
        database.close()
