"""Bodies on their way up: looked at while they pass, and changed only where a signature must be made anew.

Stubs in them are an alarm. On a bound host what is a credential of somebody else ends the request, and so does, on any
host, the value of a secret: no byte of the body leaves that completes it.
"""

from __future__ import annotations

from collections.abc import Iterable

from penstock.vault.bodies import Body
from penstock.vault.body_carriers import Carriers
from penstock.vault.capture import TokenWatch
from penstock.vault.credentials.contract import BodyFilter
from penstock.vault.scrub.stream import Finding
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


class Guarded:
    """A body that is held against the values of the session's secrets, and, on a bound host, against foreign ones.

    Args:
        body: what passes.
        session: whose secrets are looked for.
        place: where it goes, for the alarm.
        carriers: reads along; None where the host is not bound, or nothing is known of such a body.
    """

    def __init__(self, body: Body, session: Session, place: str, carriers: Carriers | None) -> None:
        self._body = body
        self._session = session
        self._place = place
        self._carriers = carriers
        self._scrubber = session.scrubber
        self._stream = self._scrubber.stream()
        self._held = b""

    @property
    def length(self) -> int | None:
        """As of the body."""
        return self._body.length

    @property
    def trailers(self) -> Headers:
        """As of the body."""
        return self._body.trailers

    async def read(self) -> bytes:
        """Some bytes, as they came. Raises Refusal: `foreign_credential`, `secret_in_request`."""
        data = await self._body.read()
        self.check(data)
        return data

    def check(self, data: bytes) -> None:
        """Look at some of the body, before it leaves. Raises Refusal: as `read`.

        Nothing is held back, for the other side may wait for it (gRPC). What the scrubber would hold, since it may be
        the beginning of a longer value, is looked at as if the body ended there.
        """
        if self._carriers is not None:
            self._carriers.feed(data)
        window = self._held + data
        self._stream.feed(data)
        self._held = window[len(window) - self._stream.held :]
        self._session.leaked([*self._stream.found, *self._found_in_the_end()], self._place)

    def _found_in_the_end(self) -> Iterable[Finding]:
        if not self._held:
            return ()
        rest = self._scrubber.stream()
        rest.feed(self._held)
        rest.end()
        return rest.found


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
