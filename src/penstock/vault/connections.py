"""The live connections of a session: how many there may be, which secrets each has carried, and how all are cut."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Protocol

from penstock.vault.values import Refusal

CONNECTIONS = 512
"""Connections of one session at a time; one more is refused."""
UPSTREAM_CONNECTIONS = 1024
"""Connections that one session may have to upstreams at a time: a client of HTTP/2 may ask for a hundred things."""


class Cuttable(Protocol):
    """A live connection."""

    def cut(self) -> None:
        """Close it at once, and whatever it has opened."""


class Connections:
    """Those of one session."""

    def __init__(self) -> None:
        self._live: dict[Cuttable, set[str]] = {}
        self._upstreams = 0

    def __len__(self) -> int:
        return len(self._live)

    @contextlib.contextmanager
    def counted(self, connection: Cuttable) -> Iterator[None]:
        """Count a connection among those that can be cut.

        Raises:
            Refusal: there are too many.
        """
        if len(self._live) >= CONNECTIONS:
            raise Refusal(
                "too_many_connections", f"This session has {CONNECTIONS} connections already.",
                fix="Close some, or use one for several requests.", status=503,
            )  # fmt: skip
        self._live[connection] = set()
        try:
            yield
        finally:
            self._live.pop(connection, None)

    def upstream_opens(self) -> None:
        """Count a connection to an upstream; `upstream_closed` must follow.

        Raises:
            Refusal: there are too many.
        """
        if self._upstreams >= UPSTREAM_CONNECTIONS:
            reason = f"This session has {UPSTREAM_CONNECTIONS} connections to upstreams already."
            raise Refusal("too_many_connections", reason, fix="Ask for less at a time.", status=503)
        self._upstreams += 1

    def upstream_closed(self) -> None:
        """One of them is over."""
        self._upstreams -= 1

    def used(self, connection: Cuttable, secret: str) -> None:
        """Note that a connection has carried a secret."""
        self._live.get(connection, set()).add(secret)

    def cut(self, secret: str | None = None) -> int:
        """Cut the connections that carried `secret`, or all of them; return how many."""
        found = [each for each, secrets in self._live.items() if secret is None or secret in secrets]
        for each in found:
            each.cut()
        return len(found)
