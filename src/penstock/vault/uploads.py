"""Bodies on their way up: looked at while they pass, and changed only where a signature must be made anew."""

from __future__ import annotations

from penstock.vault.bodies import Body
from penstock.vault.capture import TokenWatch
from penstock.vault.credentials.contract import BodyFilter
from penstock.vault.session import Session
from penstock.vault.values import Headers


class Watched:
    """A body in which stubs are looked for, across the borders of its chunks. The session hears of them.

    Args:
        body: what passes.
        session: whose stubs are looked for.
        place: where it goes, for the alarm.
        tokens: looks at the same bytes, where their answer may bear tokens.
    """

    def __init__(self, body: Body, session: Session, place: str, tokens: TokenWatch | None = None) -> None:
        self._body = body
        self._session = session
        self._place = place
        self.tokens = tokens
        self._tail = b""

    @property
    def length(self) -> int | None:
        """As of the body."""
        return self._body.length

    @property
    def trailers(self) -> Headers:
        """As of the body."""
        return self._body.trailers

    async def read(self) -> bytes:
        """Some bytes, as they came."""
        data = await self._body.read()
        self._session.traffic["bytes_out"] += len(data)
        if self.tokens is not None:
            self.tokens.feed(data)
        self._tail = self._session.look_through(self._tail, data, "body", self._place)
        return data


class Filtered:
    """A body that passes a filter which keeps its length (chunks that are signed anew)."""

    def __init__(self, body: Body, filtering: BodyFilter) -> None:
        self._body = body
        self._filter = filtering
        self._ended = False
        self.length = body.length

    @property
    def trailers(self) -> Headers:
        """As of the body."""
        return self._body.trailers

    async def read(self) -> bytes:
        """Some bytes, filtered."""
        while not self._ended:
            data = await self._body.read()
            self._ended = not data
            filtered = self._filter.feed(data) if data else self._filter.end()
            if filtered:
                return filtered
        return b""
