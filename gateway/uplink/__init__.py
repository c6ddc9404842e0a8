"""The way to the district center: sends what the outbox holds until the center has acknowledged it as stored."""

from gateway.uplink.uplink import Uplink, UplinkSettings

__all__ = ["Uplink", "UplinkSettings"]
