"""The gate: who calls, and may they. It stands before the routes, so that nothing of a request is read for somebody
unknown, and a route that nobody thought of is closed.

The master key may do everything. A virtual key may ask about itself. A few paths need no key.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.exceptions import HTTPException

from penstock.control.api.errors import Refusal, forbidden, unauthenticated
from penstock.control.virtual_keys import VirtualKeys
from penstock.gateway.principal import Principal, key_digest

OPEN = frozenset(
    {
        "/health/liveliness",
        "/health/liveness",
        "/health/readiness",
        "/health/backlog",
        "/metrics",
        "/openapi.json",
    }
)
"""Paths that need no key."""
OWN = frozenset({"/key/info", "/spend/logs", "/spend/logs/v2"})
"""Paths on which a virtual key may ask about itself, with GET."""
MOST_BYTES = 20 * 1024 * 1024
"""Of a body: a configuration with all its files is the largest."""
TOO_LARGE = f"a body may have {MOST_BYTES:,} bytes at most"
_HEADERS = (b"authorization", b"x-api-key", b"api-key", b"x-goog-api-key", b"x-litellm-api-key")
_LONGEST_KEY = 4096

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]


class Gate:
    """An ASGI application around another. The caller's principal is `scope["caller"]`; on open paths there is none."""

    def __init__(self, application: Application, keys: VirtualKeys) -> None:
        self._application = application
        self._keys = keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        try:
            if scope["path"] not in OPEN:
                scope["caller"] = await self._admitted(scope)
            _announced(scope)
        except Refusal as refusal:
            await refusal.response()(scope, receive, send)
            return
        await self._application(scope, _limited(receive), send)

    async def _admitted(self, scope: Scope) -> Principal:
        """Who calls. Raises Refusal."""
        key = key_in(scope["headers"])
        if key is None:
            raise unauthenticated("no key: send the master key as 'Authorization: Bearer KEY'")
        principal = await self._keys.principal(key_digest(key))
        if principal is None:
            raise unauthenticated("this key is not known")
        if not self._keys.usable(principal):
            raise unauthenticated("this key is blocked" if principal.blocked else "this key has expired")
        if principal.role != "master" and not (scope["path"] in OWN and scope["method"] in ("GET", "HEAD")):
            raise forbidden("this takes the master key: a virtual key may ask about itself only (GET /key/info)")
        return principal


def key_in(headers: list[tuple[bytes, bytes]]) -> str | None:
    """The key that a request presents, in any of the headers that clients use."""
    given = {name.lower(): value for name, value in reversed(headers)}
    for name in _HEADERS:
        text = given.get(name, b"").decode("latin-1").strip()
        if name == b"authorization" or text[:7].lower() == "bearer ":
            scheme, _, rest = text.partition(" ")
            text = rest.strip() if scheme.lower() == "bearer" else ""
        if text:
            return text[:_LONGEST_KEY]
    return None


def _announced(scope: Scope) -> None:
    """Raises Refusal for a body that says itself that it is too large."""
    length = dict(scope["headers"]).get(b"content-length", b"0")
    if length.isdigit() and int(length) > MOST_BYTES:
        raise _too_large()


def _too_large() -> Refusal:
    return Refusal(413, "bad_request_error", TOO_LARGE)


def _limited(receive: Receive) -> Receive:
    """Read on for as long as the body is not too large. (The application answers the exception.)"""
    read = 0

    async def limited() -> MutableMapping[str, Any]:
        nonlocal read
        message = await receive()
        read += len(message.get("body", b""))
        if read > MOST_BYTES:
            raise HTTPException(413)
        return message

    return limited
