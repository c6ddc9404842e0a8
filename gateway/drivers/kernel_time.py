"""What the kernel says of this machine's time: whether a time server keeps it, and which boot this is."""

from __future__ import annotations

import ctypes
import time
from pathlib import Path

_TIME_ERROR = 5  # adjtimex(2): the clock is not synchronised to a server
_TIMEX_BYTES = 512  # more than struct timex has on any machine; with modes = 0 nothing is set
_adjtimex = getattr(ctypes.CDLL(None), "adjtimex", None)
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def synchronised() -> bool:
    """Whether the kernel's clock is kept by somebody who knows the time. False where the kernel does not say.

    systemd-timesyncd, chrony and ntpd all tell the kernel; setting the clock by hand makes it unsynchronised again.
    """
    if _adjtimex is None:
        return False
    return 0 <= int(_adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))) < _TIME_ERROR


def boot() -> str:
    """A text that is another one after each boot; "" where there is none."""
    try:
        return BOOT_ID.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def since_boot_ms() -> int:
    """Milliseconds since boot, suspended time included; never jumps."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000


def wall_ms() -> int:
    """What the machine's clock shows, Unix milliseconds."""
    return time.time_ns() // 1_000_000
