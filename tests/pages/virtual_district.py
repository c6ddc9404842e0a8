"""An honest small district for the center's page: a real store file, written by the center's own writer."""

from __future__ import annotations

import time
from pathlib import Path

from center.contract.catalogue import (
    AccessDenied,
    AccessGranted,
    DeviceLost,
    DeviceTampered,
    Event,
    EventData,
    GatewayStarted,
    PortalForced,
    PortalHeld,
    PortalOpened,
    VehicleSeen,
)
from center.contract.frame import Frame
from center.contract.state import GatewayState
from center.contract.topics import GatewayName
from center.store.reading import EventReading
from center.store.writing import EventWriter, Received

EPOCH = "0123456789abcdef"
TOKEN = "abcdefghijklmnop"
GATEWAYS = [
    GatewayName("demo-district", "sunny-garden", "gw-1"),
    GatewayName("demo-district", "sunny-garden", "gw-2"),
    GatewayName("demo-district", "lakeside", "gw-lake"),
]


def now_ms() -> int:
    return time.time_ns() // 1_000_000


class VirtualDistrict:
    """Three gateways, one of them away; `happen` stores one more event."""

    def __init__(self, folder: Path) -> None:
        file = folder / "center.sqlite"
        self._writer = EventWriter(file)
        self.reading = EventReading(file)
        self._seq = dict.fromkeys(GATEWAYS, 0)
        self._ms = now_ms() - 3_000_000

    def live_a_while(self, rounds: int = 4) -> None:
        """Fill the store with what such a district reports."""
        for name in GATEWAYS:
            state = GatewayState(online=True, version="0.1.0", epoch=EPOCH, last_seq=0, simulated=True)
            self._writer.store([Received(name, state)], now_ms())
            self.happen(GatewayStarted("0.1.0", "start"), name)
        for _ in range(rounds):
            for i, data in enumerate(_round()):
                self.happen(data, GATEWAYS[i % 3])
        self._writer.store([Received(GATEWAYS[2], GatewayState(online=False))], now_ms())

    def happen(self, data: EventData, name: GatewayName = GATEWAYS[0], skip: int = 0) -> None:
        """Store one event; `skip` numbers before it stay missing."""
        self._seq[name] += 1 + skip
        self._ms = min(self._ms + 7_000, now_ms())
        event = Event(self._seq[name], self._ms, True, data)
        self._writer.store([Received(name, Frame(EPOCH, True, (event,)))], now_ms())

    def close(self) -> None:
        self._writer.close()


def _round() -> list[EventData]:
    return [
        AccessGranted("lobby", "lobby-reader", "card", "permitted", TOKEN),
        PortalOpened("lobby"),
        AccessDenied("east-gate", "east-reader", "card", "unknown-credential"),
        VehicleSeen("gate-cam", "main-gate", TOKEN, "blue", 934, "plates-s", "0" * 16),
        AccessGranted("main-gate", "gate-cam", "plate", "permitted", TOKEN),
        AccessDenied("pump-room", "pump-reader", "pin", "wrong-pin", TOKEN),
        PortalHeld("garage-lift", 31_000),
        DeviceLost("pump-reader", "timeout"),
        PortalForced("east-gate"),
        DeviceTampered("east-reader"),
        AccessDenied("lobby", "lobby-reader", "card", "outside-schedule", TOKEN),
    ]
