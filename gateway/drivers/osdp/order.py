"""Commands on their way to a device: requests in order, and the caller who waits for all of them."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence

from gateway.drivers.osdp.session import Reply, Request
from gateway.errors import DriverError


class Order:
    """`done` resolves with the reply to the last request once the device has answered it, or with DriverError.

    `vital` (a fire release) goes before every other order of the line and has room when others have none left.
    """

    def __init__(self, requests: Sequence[Request], since_s: float, *, vital: bool = False) -> None:
        self.requests = deque(requests)
        self.since_s = since_s
        self.vital = vital
        self.done: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()

    @property
    def over(self) -> bool:
        """Finished, failed, or nobody waits any more."""
        return self.done.done()

    def acknowledged(self, reply: Reply) -> None:
        """The device did the first of the remaining requests."""
        if self.requests:
            self.requests.popleft()
        if not self.requests and not self.over:
            self.done.set_result(reply)

    def fail(self, text: str) -> None:
        """Nothing more of it will be sent."""
        if not self.over:
            self.done.set_exception(DriverError(text))
