"""The gate: what is looked at before anything of a request is read. An ASGI application around another.

    Host      must be one that this server has. A page of another site can make a browser look up its own name as
              127.0.0.1 (DNS rebinding) and so come here, but it cannot make the browser say another host.
    Origin    where a browser says it, must be this server's own, or one that was allowed by name
    token     `Authorization: Bearer`; never in an address, which ends in logs and histories: such a request is refused
    ticket    `?ticket=` for event streams, which browsers open without headers: single use, one path, 30 seconds
    size      of a body: a cap for each kind

Afterwards `scope["caller"]` is the principal. A route that nobody thought of is closed, for all but a few paths need
one.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, MutableMapping
from typing import Any
from urllib.parse import parse_qsl

from penstock.agents.api.errors import refusal
from penstock.agents.errors import AgentsError, Forbidden, Invalid, TooLarge, Unauthenticated
from penstock.agents.teams.way import HOST
from penstock.agents.types import Principal

OPEN = frozenset({"/openapi.json", "/v1/health"})
"""Paths that need no token."""
MOST_BYTES = 4 * 1024 * 1024
"""Of a body of JSON."""
MOST_FILE_BYTES = 1024 * 1024 * 1024
"""Of a tar with files."""
LOCAL_HOSTS = ("127.0.0.1", "localhost", "[::1]", HOST)
_SECRETS = frozenset({"token", "access_token", "api_key", "apikey", "key", "authorization", "bearer", "secret"})

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]
Authenticate = Callable[[str], Awaitable[Principal | None]]
Redeem = Callable[[str, str], Awaitable[Principal | None]]


class Gate:
    """`hosts`: names that this server answers to, without a port for any port. `origins`: others whose pages may
    call.
    """

    def __init__(
        self,
        application: Application,
        authenticate: Authenticate,
        redeem: Redeem,
        *,
        hosts: Collection[str] = LOCAL_HOSTS,
        origins: Collection[str] = (),
    ) -> None:
        self._application = application
        self._authenticate = authenticate
        self._redeem = redeem
        self._hosts = frozenset(host.lower() for host in hosts)
        self._origins = frozenset(origin.lower() for origin in origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._application(scope, receive, send)
            return
        try:
            self._check_site(scope)
            if scope["path"] not in OPEN:
                scope["caller"] = await self._caller(scope)
            most = most_bytes(scope["path"])
            _check_length(scope, most)
        except AgentsError as error:
            await refuse(error, scope, receive, send)
            return
        await self._application(scope, _limited(receive, most), send)

    # -- from where ---------------------------------------------------------------------------------------------------

    def _check_site(self, scope: Scope) -> None:
        """Raises Forbidden, Invalid."""
        hosts = _values(scope, b"host")
        if len(hosts) != 1:
            raise Invalid("a request has one Host header", param="host")
        host = hosts[0].lower()
        if host not in self._hosts and _without_port(host) not in self._hosts:
            raise Forbidden(
                "this server does not answer to that host", fix="call it by a name that it was told", code="bad_host"
            )
        origins = _values(scope, b"origin")
        if len(origins) > 1 or (origins and not self._may(origins[0].lower(), host)):
            raise Forbidden("pages of that origin may not call this server", fix="allow it by name", code="bad_origin")
        if not origins and _values(scope, b"sec-fetch-site")[:1] == ["cross-site"]:
            raise Forbidden("pages of other sites may not call this server", code="bad_origin")

    def _may(self, origin: str, host: str) -> bool:
        return origin in self._origins or origin in (f"http://{host}", f"https://{host}")

    # -- who ----------------------------------------------------------------------------------------------------------

    async def _caller(self, scope: Scope) -> Principal:
        """Raises Unauthenticated, Invalid."""
        query = parse_qsl(scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True)
        if any(name.lower() in _SECRETS for name, _ in query):
            raise Invalid(
                "a token may not stand in an address", fix="send it as `Authorization: Bearer`, or take a ticket",
                code="token_in_query",
            )  # fmt: skip
        given = _values(scope, b"authorization")
        tickets = [value for name, value in query if name == "ticket"]
        if len(given) + len(tickets) > 1:
            raise Invalid("one token or one ticket is enough", fix="send one of them")
        principal = await self._principal(given, tickets, scope["path"])
        if principal is None:
            raise Unauthenticated(
                "this token or ticket is not known, or does not stand any more" if given or tickets else "no token",
                fix="send a good one as `Authorization: Bearer TOKEN`",
            )
        return principal

    async def _principal(self, given: list[str], tickets: list[str], path: str) -> Principal | None:
        if tickets:
            return await self._redeem(tickets[0], path)
        scheme, _, token = given[0].partition(" ") if given else ("", "", "")
        token = token.strip()
        return await self._authenticate(token) if scheme.lower() == "bearer" and token else None


def most_bytes(path: str) -> int:
    """How large a body on this path may be."""
    return MOST_FILE_BYTES if path.endswith("/files") else MOST_BYTES


def _values(scope: Scope, name: bytes) -> list[str]:
    return [value.decode("latin-1").strip() for key, value in scope["headers"] if key.lower() == name]


def _without_port(host: str) -> str:
    name, colon, port = host.rpartition(":")
    return name if colon and port.isascii() and port.isdigit() and not name.endswith(":") else host


# -- how much ---------------------------------------------------------------------------------------------------------


class BodyTooLarge(TooLarge):
    """More than the path takes."""

    def __init__(self, most: int) -> None:
        super().__init__(f"a body here may have {most:,} bytes", fix="send less")


def _check_length(scope: Scope, most: int) -> None:
    length = "".join(_values(scope, b"content-length")[:1])
    if length.isdigit() and int(length) > most:
        raise BodyTooLarge(most)


def _limited(receive: Receive, most: int) -> Receive:
    """Read on for as long as the body is not too large. (The application answers the exception.)"""
    read = 0

    async def limited() -> Message:
        nonlocal read
        message = await receive()
        if message["type"] == "http.request":
            read += len(message.get("body", b""))
            if read > most:
                raise BodyTooLarge(most)
        return message

    return limited


async def refuse(error: AgentsError, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a request, or a WebSocket's handshake, with a refusal."""
    response = refusal(error)
    if scope["type"] == "http":
        await response(scope, receive, send)
    elif "websocket.http.response" in scope.get("extensions", {}):
        head = {"status": response.status_code, "headers": response.raw_headers}
        await send({"type": "websocket.http.response.start", **head})
        await send({"type": "websocket.http.response.body", "body": response.body})
    else:
        await send({"type": "websocket.close", "code": 1008, "reason": error.code})
