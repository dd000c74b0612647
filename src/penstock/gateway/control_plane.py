"""Paths of the control plane, as a worker serves them: passed on to the keeper's socket as they came, and its answer
passed back. The keeper itself looks who asks and what that may do.
"""

from __future__ import annotations

from typing import Any

from penstock.dialects import wire
from penstock.exchange import Broken, HTTPRequest, Timeouts
from penstock.gateway.http.heads import JSON, header_line
from penstock.gateway.http.inbound import Inbound
from penstock.gateway.principal import Principal
from penstock.gateway.upstream import NetworkSettings, Upstream

PATHS = (
    "/key/{rest:path}",
    "/v2/key/{rest:path}",
    "/spend/{rest:path}",
    "/global/{rest:path}",
    "/config",
    "/config/{rest:path}",
    "/model/{rest:path}",
    "/v1/model/{rest:path}",
    "/v2/model/{rest:path}",
    "/model_group/{rest:path}",
    "/routes",
    "/docs",
)
"""What the keeper serves to who has a key; it looks itself what that key may do."""
OPEN_PATHS = ("/health", "/health/{rest:path}", "/metrics", "/openapi.json")
"""What it serves to anybody, or looks itself who asks: nothing of which a body is read."""
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
_DROPPED = frozenset({b"connection", b"keep-alive", b"transfer-encoding", b"content-length", b"date", b"server"})
_NOT_PASSED = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-connection",
        b"transfer-encoding",
        b"content-length",
        b"te",
        b"trailer",
        b"host",
        b"expect",
        b"upgrade",
        b"x-forwarded-for",
    }
)
_TIMEOUTS = Timeouts(connect=5.0, first_token=60.0, between_tokens=60.0, total=120.0)
_PROBES = frozenset({"/health/readiness", "/health/backlog"})
_PROBED = Timeouts(connect=2.0, first_token=2.0, between_tokens=2.0, total=4.0)
"""A probe that hangs says nothing: a keeper that is stopped, or too busy, is not ready."""
_NETWORK = NetworkSettings(trust_environment=False)


class ControlPlane:
    """Passes requests on to the keeper that listens at `address`."""

    def __init__(self, upstream: Upstream, address: str) -> None:
        self._upstream = upstream
        self._address = address

    def begin(self, plane: Any, inbound: Inbound, principal: Principal | None) -> None:
        """Pass a request on."""
        headers = tuple(
            (name.decode("latin-1"), value.decode("latin-1"))
            for name, value in inbound.headers.items()
            if name not in _NOT_PASSED
        )
        target = inbound.target.decode("latin-1")
        target = target if target.startswith("/") else inbound.path
        forwarded = (("x-forwarded-for", inbound.address),)
        request = HTTPRequest(inbound.method, f"unix:{self._address}:{target}", headers + forwarded, inbound.body)
        answer = _Answer(inbound)
        timeouts = _PROBED if inbound.path in _PROBES else _TIMEOUTS
        answer.ongoing = self._upstream.send(request, timeouts, None, _NETWORK, answer)
        inbound.client_left = answer.cancel


class _Answer:
    """Passes the keeper's answer on to the client: whole, if the keeper knew its length; else piece by piece as it
    comes, and no faster than the client reads: what is large waits in the database until somebody wants it.
    """

    def __init__(self, inbound: Inbound) -> None:
        self._inbound = inbound
        self._body: list[bytes] = []
        self._status = 502
        self._headers = b""
        self._in_pieces = False
        self.ongoing: Any = None

    def head(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        self._status = status
        self._headers = b"".join(
            b"%b: %b\r\n" % (name, value) for name, value in headers if name.lower() not in _DROPPED
        )
        self._in_pieces = any(name.lower() == b"transfer-encoding" for name, _ in headers)
        if self._in_pieces:
            self._inbound.pace(self._slow)
            self._inbound.begin(status, self._headers)

    def data(self, data: bytes) -> None:
        if self._in_pieces:
            self._inbound.write(data)
        else:
            self._body.append(data)

    def end(self) -> None:
        if self._in_pieces:
            self._inbound.end()
        else:
            self._inbound.respond(self._status, self._headers, b"".join(self._body))

    def broken(self, why: Broken) -> None:
        if self._in_pieces:
            self._inbound.abort()
            return
        error = {"message": "the control plane does not answer now: come again", "type": "server_error"}
        body = wire.encode({"error": {**error, "param": None, "code": "503"}})
        self._inbound.respond(503, JSON + header_line("retry-after", "1"), body)

    def _slow(self, slow: bool) -> None:
        if slow:
            self.ongoing.pause()
        else:
            self.ongoing.resume()

    def cancel(self) -> None:
        if self.ongoing is not None:
            self.ongoing.cancel()
