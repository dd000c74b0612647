"""Waiting for what another process will do: looked at often, given up late, never slept out."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")


def until(look: Callable[[], Found], seconds: float = 15.0) -> Found:
    """Return what `look` gives once it is true; fail when that takes too long."""
    last = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < last, "what was awaited did not happen"
        time.sleep(0.005)
    return found
