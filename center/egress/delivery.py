"""One endpoint's loop: stored events in the order of storing, one at a time, each until it is taken or given up.

At least once: how far it is is written after deliveries, so a crash sends a few again, with the same `webhook-id`.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from center.egress.attempt import Answer, Post, Result
from center.egress.document import document
from center.egress.endpoint import Endpoint
from center.egress.ledger import DeadLetter, Ledger
from center.store.reading import EventReading, StoredEvent
from runtime import log

READ_AT_ONCE = 100
NOTED_EVERY = 20  # deliveries between two writes of the progress
_logger = log.get("webhook")


@dataclass(frozen=True, slots=True)
class Pace:
    """How often to look for new events, and how long to wait between attempts, in seconds."""

    look_every_s: float = 0.5
    first_wait_s: float = 2.0
    longest_wait_s: float = 900.0

    def wait_s(self, failures: int, retry_after_s: float, fraction: float) -> float:
        """After the nth failure: doubling, cut at the longest, of which between half and all; fraction 0..1."""
        whole = min(self.longest_wait_s, self.first_wait_s * 2.0 ** min(failures - 1, 30))
        return max(retry_after_s, whole * (0.5 + fraction / 2))


class Delivery:
    """Serves one endpoint until cancelled. Raises StoreError; its owner starts it again."""

    def __init__(
        self,
        endpoint: Endpoint,
        reading: EventReading,
        ledger: Ledger,
        post: Post,
        *,
        pace: Pace = Pace(),
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._endpoint = endpoint
        self._reading = reading
        self._ledger = ledger
        self._post = post
        self._pace = pace
        self._now_ms = now_ms
        self._random = random.Random()  # noqa: S311  # spreads attempts, guards nothing
        self._failing_since_ms = 0
        self._upto = 0
        self._unnoted = 0  # deliveries since the progress was written

    async def run(self) -> None:
        """Until cancelled."""
        begun = await asyncio.to_thread(self._ledger.begin, self._endpoint.name)
        self._upto, self._failing_since_ms = begun.upto_row, begun.failing_since_ms
        while True:
            await self._try_dead_letters()
            newest = await asyncio.to_thread(self._reading.newest_row)
            if newest > self._upto:
                await self._deliver_upto(newest)
            else:
                await asyncio.sleep(self._pace.look_every_s)

    async def _deliver_upto(self, newest: int) -> None:
        """The next READ_AT_ONCE matching events that are not newer than row `newest`."""

        def read() -> list[StoredEvent]:
            return self._reading.search(
                self._endpoint.search,
                limit=READ_AT_ONCE,
                after_row=self._upto,
                before_row=newest + 1,
                oldest_first=True,
            )

        found = await asyncio.to_thread(read)
        for event in found:
            await self._deliver(event)
            if self._unnoted == NOTED_EVERY:
                await self._note()
        if len(found) < READ_AT_ONCE:
            self._upto = newest  # what lies between does not match
        await self._note()

    async def _note(self) -> None:
        await asyncio.to_thread(self._ledger.reached, self._endpoint.name, self._upto, self._unnoted)
        self._unnoted = 0

    async def _deliver(self, event: StoredEvent) -> None:
        """Returns once it is taken or buried."""
        made = document(event)
        body = msgspec.json.encode(made)
        failures = 0
        while True:
            answer = await self._post(made["source"], made["id"], body)
            if answer.result is Result.DELIVERED:
                self._say_recovered()
                self._unnoted += 1
                break
            failures += 1
            if self._unnoted:  # it may be long until the next delivery
                await self._note()
            await self._note_failure(answer)
            given_up = self._now_ms() - self._failing_since_ms >= self._endpoint.give_up_after_s * 1000
            if answer.result is Result.REFUSED or given_up:
                await self._bury(event, body, failures, answer.problem)
                break
            await asyncio.sleep(self._pace.wait_s(failures, answer.retry_after_s, self._random.random()))
        self._upto = event.row

    async def _note_failure(self, answer: Answer) -> None:
        if not self._failing_since_ms:
            self._failing_since_ms = self._now_ms()
            _logger.warning("not delivered; trying again", endpoint=self._endpoint.name, why=answer.problem)
        await asyncio.to_thread(self._ledger.failing, self._endpoint.name, self._failing_since_ms, answer.problem)

    def _say_recovered(self) -> None:
        if self._failing_since_ms:
            self._failing_since_ms = 0
            _logger.info("delivers again", endpoint=self._endpoint.name)

    async def _bury(self, event: StoredEvent, body: bytes, attempts: int, problem: str) -> None:
        letter = DeadLetter(
            self._endpoint.name, event.row, self._now_ms(), attempts, problem, body.decode(), retry=False
        )
        await asyncio.to_thread(self._ledger.bury, letter)
        self._failing_since_ms = 0
        _logger.warning("dead letter", endpoint=self._endpoint.name, row=event.row, why=problem)

    async def _try_dead_letters(self) -> None:
        def asked() -> list[DeadLetter]:
            return self._ledger.dead(self._endpoint.name, limit=READ_AT_ONCE, to_retry=True)

        for letter in await asyncio.to_thread(asked):
            made: dict[str, Any] = msgspec.json.decode(letter.document)
            answer = await self._post(made["source"], made["id"], letter.document.encode())
            problem = None if answer.result is Result.DELIVERED else answer.problem
            await asyncio.to_thread(self._ledger.tried_again, letter, problem)
