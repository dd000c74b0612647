"""The facts that the SDK's functions share in one process, as programs share one configuration of `logging`.

It is the only mutable thing in this folder: a reference to a value, which `register_facts` replaces. A client may be
given facts of its own instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from threading import Lock
from typing import Any

from penstock.providers.facts.facts import Facts

_lock = Lock()
_current = Facts()


def current_facts() -> Facts:
    """The facts as they are now: the packaged ones, and all that was registered."""
    return _current


def register_facts(rows: Mapping[str, Mapping[str, Any]], *, replace: bool = False) -> Facts:
    """Lay rows over the shared facts; see `Facts.with_rows`. Returns the new facts. Raises ProviderError
    (malformed_prices), then nothing changes."""
    global _current
    with _lock:
        _current = _current.with_rows(rows, replace=replace)
        return _current
