"""Plans of calls for which nobody has to choose: there is one place to go."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from penstock.types.retry import Again


class Once:
    """One attempt, and no other: what a request does at a provider, and whether it may be done twice, nobody knows."""

    def __init__(self, attempt: Any) -> None:
        self._attempt = attempt

    def after(self, tried: Sequence[Any]) -> Again | None:
        """The attempt, once."""
        return None if tried else Again(self._attempt)


class NoRoute:
    """Stands for a route where nobody chose."""

    def began(self, attempt: Any) -> None:
        """An attempt began."""

    def ended(self, attempt: Any, seconds: float, error: Any, streams: bool) -> None:
        """It ended."""

    def left(self, attempt: Any) -> None:
        """Nobody waits for it any more."""

    def done(self, tokens: int = 0) -> None:
        """The call is over."""

    def unclaim(self) -> None:
        """No attempt comes next."""

    def broke(self, why: Any = None) -> None:
        """Its stream broke."""
