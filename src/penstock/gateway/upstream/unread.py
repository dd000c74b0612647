"""Unread: what the kernel knows of how much of what we wrote has arrived."""

from __future__ import annotations

import sys
from typing import Any

__all__ = ["unacknowledged"]


def unacknowledged(transport: Any) -> int | None:
    """Bytes written that the other side has not acknowledged, and so cannot have read; None: unknown (the socket is
    closed already, or this is not Linux: tcp(7) and unix(7), SIOCOUTQ).
    """
    if not sys.platform.startswith("linux"):
        return None
    from fcntl import ioctl
    from termios import TIOCOUTQ

    connected = transport.get_extra_info("socket")
    try:
        told = ioctl(connected.fileno(), TIOCOUTQ, bytes(4))
        return int.from_bytes(told, sys.byteorder) + int(transport.get_write_buffer_size())
    except (OSError, ValueError, AttributeError, RuntimeError):
        return None
