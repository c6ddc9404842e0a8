"""The time zone of the center's page."""

from zoneinfo import ZoneInfo

ZONE = ZoneInfo("Asia/Shanghai")  # the one civil time of every district
