"""The name under which `ps` and `top` show a process: "penstock: worker 1".

Linux shows what lies in the memory where the arguments were when the program began (proc(5), `cmdline`), and a name of
15 bytes (prctl(2), PR_SET_NAME). Where either cannot be had, the process keeps its old name: nothing depends on it.
"""

from __future__ import annotations

import sys
from pathlib import Path

_SET_NAME = 15
_SHORTEST = 8


def set_process_title(title: str, short: str) -> None:
    """Show this process as `title` in full listings, and as `short` (15 bytes at most) in short ones."""
    if sys.platform != "linux":
        return
    try:
        import ctypes

        ctypes.CDLL(None).prctl(_SET_NAME, short.encode()[:15], 0, 0, 0)
        start, end = _arguments()
        if end - start > _SHORTEST:
            ctypes.memmove(start, title.encode()[: end - start - 1].ljust(end - start, b"\0"), end - start)
    except (ImportError, OSError, ValueError, IndexError, AttributeError):
        return


def _arguments() -> tuple[int, int]:
    """Where this process's arguments lie: fields 48 and 49 of /proc/self/stat, counted from behind the name."""
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    return int(fields[45]), int(fields[46])
