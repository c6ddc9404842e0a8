"""The OSDP control panel: one `OsdpBus` per RS-485 line, Secure Channel to every device, plain text refused."""

from gateway.drivers.osdp.bus import OsdpBus
from gateway.drivers.osdp.configured import OsdpDevice
from gateway.drivers.osdp.key_file import KeyFile

__all__ = ["KeyFile", "OsdpBus", "OsdpDevice"]
