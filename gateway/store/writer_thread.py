"""One thread that does one thing after the other, and tells the loop: what a commit costs beside the disk counts."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from typing import Any

_Job = tuple[Callable[..., Any], tuple[Any, ...], asyncio.AbstractEventLoop, "asyncio.Future[Any]"]


class WriterThread:
    """Bounded by its callers: the journal has at most a few calls under way at a time."""

    def __init__(self, name: str) -> None:
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def call(self, function: Callable[..., Any], *arguments: Any) -> asyncio.Future[Any]:
        """Do it in the thread; the future carries its result or exception."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Any] = loop.create_future()
        self._jobs.put((function, arguments, loop, done))
        return done

    def stop(self, timeout_s: float) -> bool:
        """End after what was asked for; False where the disk still holds it up after `timeout_s`."""
        self._jobs.put(None)
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            function, arguments, loop, done = job
            try:
                outcome, error = function(*arguments), None
            except Exception as e:  # handed to whoever waits, whatever it is
                outcome, error = None, e
            try:
                loop.call_soon_threadsafe(_resolve, done, outcome, error)
            except RuntimeError:  # the loop is closed: nobody waits any more
                continue


def _resolve(done: asyncio.Future[Any], outcome: Any, error: Exception | None) -> None:
    if done.done():
        return
    if error is None:
        done.set_result(outcome)
    else:
        done.set_exception(error)
