"""Keyring: the principals that a worker has met, by the digest of their keys.

A key that is not here is asked for at the control plane, once however many requests present it, and then remembered,
also when there is no such key (for a moment only: who tries keys shall not make the control plane busy). `forget` is
how a change, or a revocation, takes effect.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from penstock.gateway.principal import Principal

MOST = 100_000
"""Principals that are kept."""
NO_SUCH_KEY_SECONDS = 5.0
"""Seconds for which it is remembered that there is no such key. One that is made meanwhile is told of by `forget`."""
Found = Callable[[Principal | None, str | None], None]
"""(the principal, why nobody could be asked)."""


class Keyring:
    """The principals that were met. `ask` asks the control plane: (digest, then)."""

    def __init__(self, ask: Callable[[str, Found], None]) -> None:
        self._ask = ask
        self._known: dict[str, Principal] = {}
        self._unknown: dict[str, float] = {}
        self._asked: dict[str, list[Found]] = {}

    def find(self, digest: str) -> Principal | None:
        """The principal of this id, if it was met."""
        return self._known.get(digest)

    def look_up(self, digest: str, then: Found) -> None:
        """Find out who a key of this digest belongs to. `then` may be called at once."""
        until = self._unknown.get(digest)
        if until is not None:
            if until > time.monotonic():
                then(None, None)
                return
            del self._unknown[digest]
        waiting = self._asked.setdefault(digest, [])
        waiting.append(then)
        if len(waiting) == 1:
            self._ask(digest, lambda principal, why: self._answered(digest, principal, why))

    def forget(self, digests: list[str]) -> None:
        """These keys have changed."""
        for digest in digests:
            self._known.pop(digest, None)
            self._unknown.pop(digest, None)

    def forget_all(self) -> None:
        """Anything may have changed: the control plane was away."""
        self._known.clear()
        self._unknown.clear()

    def _answered(self, digest: str, principal: Principal | None, why: str | None) -> None:
        if principal is not None:
            if len(self._known) >= MOST:
                self._known.pop(next(iter(self._known)))
            self._known[digest] = principal
        elif why is None:
            if len(self._unknown) >= MOST:
                self._unknown.clear()
            self._unknown[digest] = time.monotonic() + NO_SUCH_KEY_SECONDS
        for then in self._asked.pop(digest, []):
            then(principal, why)
