"""Light and beep of the reader at a portal: a courtesy to the person, whose failure never fails a passage."""

from __future__ import annotations

from gateway.errors import DriverError
from gateway.model import Signal
from gateway.ports import Actuator
from runtime.log import get

log = get("reader")


async def tell(actuator: Actuator, portal: str, device: str, meaning: str) -> None:
    """Show `meaning` (as in model.Signal) at `device`. A reader that cannot be told is logged. Never raises
    DriverError."""
    try:
        await actuator.send(device, [Signal(meaning)])
    except DriverError as e:
        log.warning("the reader could not be told", portal=portal, error=str(e))
