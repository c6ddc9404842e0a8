"""The OSDP control panel: one `OsdpBus` per RS-485 line, Secure Channel to every device, plain text refused."""

from gateway.drivers.osdp.bus import OsdpBus
from gateway.drivers.osdp.device import OsdpDevice

__all__ = ["OsdpBus", "OsdpDevice"]
