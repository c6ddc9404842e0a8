"""Tell systemd (or whoever set NOTIFY_SOCKET) that this process is ready, alive or stopping: sd_notify(3)."""

from __future__ import annotations

import os
import socket


def notify(state: str) -> bool:
    """Send `state` (e.g. "READY=1") to NOTIFY_SOCKET. False where nobody listens; never raises."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return False
    if address.startswith("@"):  # abstract socket
        address = "\0" + address[1:]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as s:
            s.setblocking(False)
            s.sendto(state.encode(), address)
        return True
    except OSError:
        return False


def ready(status: str = "running") -> None:
    """The process now does its job."""
    notify(f"READY=1\nSTATUS={status}")


def stopping() -> None:
    """The process ends in an orderly way."""
    notify("STOPPING=1")
