"""Memory that this process gives back to its allocator is overwritten first, so that no face lies there by accident."""

from __future__ import annotations

import ctypes

M_PERTURB = -6  # malloc.h of glibc: what is freed is filled with this byte
FILL = 0xA5


def overwrite_freed() -> bool:
    """From now on, for the whole process; whether this C library can. Blocks that go back to the kernel are gone."""
    try:
        return bool(ctypes.CDLL(None).mallopt(M_PERTURB, FILL))
    except (OSError, AttributeError):  # another C library
        return False
