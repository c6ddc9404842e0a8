"""No core dump of a process whose memory holds what must not lie on a disk: faces, keys."""

from __future__ import annotations

import resource


def forbid() -> None:
    """From now on, for this process and what it starts. systemd-coredump and apport honour the limit, too."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
