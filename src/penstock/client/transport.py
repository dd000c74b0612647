"""Transport: the one narrow interface through which the SDK reaches the network, sync and async, over httpx.

A transport takes a `Send` and answers with a `Reply` or a `Broken`; it raises nothing. Of a stream it reads the first
piece itself (so that a provider that never says a word is a failed attempt, which the exchange may try elsewhere) and
hands the rest on as a handle.

httpx is imported when the first transport is made. Users may bring a client of their own: any object with httpx's
`build_request` and `send` (httpx, httpx2, an instrumented subclass). Redirects are never followed: a provider that
moved its API is an error to see, not a place to send keys to.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from functools import partial
from typing import Any, Protocol

from penstock.exchange import Broken, Reply, Send, Timeouts


class StreamBroken(Exception):
    """A stream could not be read to its end."""

    def __init__(self, broken: Broken) -> None:
        super().__init__(broken.message)
        self.broken = broken


class Transport(Protocol):
    """Sends requests, blocking."""

    def send(self, send: Send) -> Reply | Broken: ...
    def close(self) -> None: ...


class AsyncTransport(Protocol):
    """Sends requests from a coroutine."""

    async def send(self, send: Send) -> Reply | Broken: ...
    async def aclose(self) -> None: ...


class ByteStream(Protocol):
    """The rest of a streamed body. Iterating raises StreamBroken; `close` gives the connection back, or up if there
    was more to come.
    """

    def __iter__(self) -> Iterator[bytes]: ...
    def close(self) -> None: ...


class AsyncByteStream(Protocol):
    """The rest of a streamed body, for a coroutine."""

    def __aiter__(self) -> AsyncIterator[bytes]: ...
    async def aclose(self) -> None: ...


class Network:
    """How to reach the network, for the clients that we make ourselves.

    proxy       URL of an HTTP(S) or SOCKS proxy; None: what the environment says (HTTPS_PROXY ...)
    verify      True (the system's or certifi's authorities), False (no check: only for tests), a path to a CA file or
                an `ssl.SSLContext`
    trust_environment    whether proxy variables count at all (not for metadata services on the link itself)
    cert        a client certificate: a path, or (certificate, key[, password])
    """

    def __init__(
        self, *, proxy: str | None = None, verify: Any = True, cert: Any = None, trust_environment: bool = True
    ) -> None:
        self.proxy = proxy
        self.trust_environment = trust_environment
        self.verify = verify
        self.cert = cert

    def arguments(self) -> dict[str, Any]:
        """Keyword arguments for `httpx.Client` and `httpx.AsyncClient`."""
        import httpx

        limits = httpx.Limits(max_connections=1000, max_keepalive_connections=100, keepalive_expiry=30.0)
        return {
            "proxy": self.proxy,
            "verify": _ssl_context(self.verify, self.cert),
            "limits": limits,
            "follow_redirects": False,
            "trust_env": self.trust_environment,
        }


def _ssl_context(verify: Any, cert: Any) -> Any:
    """A context for a CA file or a client certificate; anything else httpx knows itself."""
    if not isinstance(verify, str) and cert is None:
        return verify
    import ssl

    context = ssl.create_default_context(cafile=verify if isinstance(verify, str) else None)
    if verify is False:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if cert is not None:
        context.load_cert_chain(*((cert,) if isinstance(cert, str) else cert))
    return context


def _timeout(timeouts: Timeouts, left: float | None) -> dict[str, float | None]:
    """httpx's four timeouts until the head has arrived, none longer than what is left of the whole call."""
    return {
        "connect": _least(timeouts.connect, left),
        "read": _least(timeouts.first_token, left),
        "write": _least(timeouts.first_token, left),
        "pool": _least(timeouts.connect, left),
    }


def _least(seconds: float | None, left: float | None) -> float | None:
    if left is None:
        return seconds
    return max(0.001, left) if seconds is None else max(0.001, min(seconds, left))


def broken(error: BaseException) -> Broken | None:
    """What an exception of httpx (or of its fork) means; None: it is none of theirs."""
    for kind in type(error).__mro__:
        if (
            kind.__module__.partition(".")[0] in ("httpx", "httpx2", "httpcore", "httpcore2")
            and kind.__name__ in _MEANINGS
        ):
            meaning, sent = _MEANINGS[kind.__name__]
            return Broken(meaning, _describe(error), sent)
    return None


_MEANINGS: dict[str, tuple[Any, bool]] = {
    "ConnectTimeout": ("timeout", False),
    "PoolTimeout": ("timeout", False),
    "TimeoutException": ("timeout", True),
    "ConnectError": ("connect", False),
    "ProxyError": ("connect", False),
    "UnsupportedProtocol": ("connect", False),
    "InvalidURL": ("connect", False),
    "LocalProtocolError": ("connect", False),
    "NetworkError": ("read", True),
    "ProtocolError": ("protocol", True),
    "DecodingError": ("protocol", True),
    "RequestError": ("read", True),
    "StreamError": ("read", True),
}


def _describe(error: BaseException) -> str:
    names = {
        "ConnectTimeout": "the connection was not made in time",
        "ReadTimeout": "no answer in time",
        "WriteTimeout": "the request could not be written in time",
        "PoolTimeout": "no connection came free in time",
    }
    return str(error) or names.get(type(error).__name__, type(error).__name__)


def _is_stream(status: int, headers: dict[str, str]) -> bool:
    """Whether an answer to a request for a stream is one. An error is not, and some hosts answer whole, or with an
    error inside a 200.
    """
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    return status < 400 and kind not in ("application/json", "text/html")


class HTTPXTransport:
    """Transport over an `httpx.Client`: one of ours (made on first use), or the user's. Ours is closed with `close`, or
    when the transport and its last stream are forgotten, or the program ends.
    """

    def __init__(self, client: Any = None, network: Network | None = None) -> None:
        self._client = client
        self._owned = client is None
        self._network = network or Network()
        self._lock = threading.Lock()
        self._end: Callable[[], object] | None = None

    @property
    def client(self) -> Any:
        return self._made_once() if self._client is None else self._client

    def _made_once(self) -> Any:
        with self._lock:  # of two threads that come first, one makes it
            if self._client is None:
                made = self._make()
                self._end = weakref.finalize(self, made.close)
                self._client = made
            return self._client

    def _make(self) -> Any:
        import httpx

        return httpx.Client(**self._network.arguments())

    def send(self, send: Send) -> Reply | Broken:
        try:
            request = _build(self.client, send)
            response = self.client.send(request, stream=True)
            return self._read(response, send)
        except Exception as error:
            found = broken(error)
            if found is None:
                raise
            return found

    def _read(self, response: Any, send: Send) -> Reply | Broken:
        headers = {name.lower(): value for name, value in response.headers.items()}
        stream = _SyncStream(response, send, self)
        try:
            if send.stream and _is_stream(response.status_code, headers):
                first = next(iter(stream), b"")
                return Reply(response.status_code, headers, first, stream)
            body = b"".join(stream)
            stream.close()
            return Reply(response.status_code, headers, body)
        except StreamBroken as cut:
            stream.close()
            return cut.broken

    def close(self) -> None:
        if self._end is not None:
            self._end()


class AsyncHTTPXTransport:
    """Transport over an `httpx.AsyncClient`: the user's, or one of ours for each event loop. A connection belongs to
    the loop that made it, and who calls `asyncio.run` twice has two. Each of ours is closed before its loop ends.
    """

    def __init__(self, client: Any = None, network: Network | None = None) -> None:
        self._given = client
        self._network = network or Network()
        self._held: dict[Any, _HeldClient] = {}
        self._lock = threading.Lock()

    async def _client(self) -> Any:
        """The client for the running loop."""
        if self._given is not None:
            return self._given
        import asyncio

        loop = asyncio.get_running_loop()
        held = self._held.get(loop)
        if held is None:
            held = self._hold(loop)
            await held.begin()
        return held.client

    def _hold(self, loop: Any) -> _HeldClient:
        """A new client for this loop. Those of loops that were closed without a word are forgotten."""
        with self._lock:
            for other in [each for each in self._held if each.is_closed()]:
                del self._held[other]
            self._held[loop] = held = _HeldClient(self._make(), partial(self._held.pop, loop, None))
            return held

    def _make(self) -> Any:
        import httpx

        return httpx.AsyncClient(**self._network.arguments())

    async def send(self, send: Send) -> Reply | Broken:
        try:
            client = await self._client()
            response = await client.send(_build(client, send), stream=True)
            return await self._read(response, send)
        except Exception as error:
            found = broken(error)
            if found is None:
                raise
            return found

    async def _read(self, response: Any, send: Send) -> Reply | Broken:
        headers = {name.lower(): value for name, value in response.headers.items()}
        stream = _AsyncStream(response, send, self)
        try:
            if send.stream and _is_stream(response.status_code, headers):
                first = await anext(aiter(stream), b"")
                return Reply(response.status_code, headers, first, stream)
            body = b"".join([piece async for piece in stream])
            await stream.aclose()
            return Reply(response.status_code, headers, body)
        except StreamBroken as cut:
            await stream.aclose()
            return cut.broken

    async def aclose(self) -> None:
        """Close the connections of the running loop. (Those of another are not ours to touch from here.)"""
        import asyncio

        held = self._held.get(asyncio.get_running_loop())
        if held is not None:
            await held.aclose()


class _HeldClient:
    """A client, and who closes it when its loop ends: a generator that waits for that. `asyncio.run` (like
    `asyncio.Runner`, and every server's loop) closes all generators that are still open before the loop goes away,
    while connections can still be closed: see `loop.shutdown_asyncgens` in the library reference.
    """

    def __init__(self, client: Any, forget: Callable[[], object]) -> None:
        self.client = client
        self._waiting = _until_closed(client, forget)

    async def begin(self) -> None:
        """Start to wait. It does not give way to other tasks."""
        await anext(self._waiting)

    async def aclose(self) -> None:
        """Close the client now."""
        await self._waiting.aclose()


async def _until_closed(client: Any, forget: Callable[[], object]) -> AsyncGenerator[None, None]:
    try:
        yield
    finally:
        forget()
        await client.aclose()


def _build(client: Any, send: Send) -> Any:
    """The request, with its timeouts where httpcore looks for them at each step."""
    request = send.request
    built = client.build_request(request.method, request.url, headers=list(request.headers), content=request.body)
    built.extensions = {**built.extensions, "timeout": _timeout(send.timeouts, send.seconds_left)}
    if send.stream:
        built.headers["accept-encoding"] = "identity"  # a compressed stream arrives in lumps
    return built


class _Deadline:
    """The moment when the whole call is over."""

    def __init__(self, send: Send) -> None:
        self._at = None if send.seconds_left is None else time.monotonic() + send.seconds_left
        self.between = send.timeouts.between_tokens

    def arm(self, request: Any) -> None:
        """The head is here: from now on `between_tokens` counts."""
        request.extensions["timeout"]["read"] = self.between

    def check(self) -> None:
        if self._at is not None and time.monotonic() > self._at:
            raise StreamBroken(Broken("timeout", "the deadline for the whole call is over"))


class _SyncStream:
    """The body of an answer, piece by piece. It keeps its transport, and so the connection, alive."""

    def __init__(self, response: Any, send: Send, transport: HTTPXTransport) -> None:
        self._response = response
        self._transport = transport
        self._deadline = _Deadline(send)
        self._deadline.arm(response.request)
        self._pieces = self._read()

    def __iter__(self) -> Iterator[bytes]:
        return self._pieces

    def _read(self) -> Iterator[bytes]:
        try:
            for piece in self._response.iter_bytes():
                yield piece
                self._deadline.check()
        except Exception as error:
            found = broken(error)
            if found is None:
                raise
            raise StreamBroken(found) from error

    def close(self) -> None:
        self._response.close()


class _AsyncStream:
    """The body of an answer, piece by piece, for a coroutine. It keeps its transport, and so the connection, alive."""

    def __init__(self, response: Any, send: Send, transport: AsyncHTTPXTransport) -> None:
        self._response = response
        self._transport = transport
        self._deadline = _Deadline(send)
        self._deadline.arm(response.request)
        self._pieces = self._read()

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._pieces

    async def _read(self) -> AsyncIterator[bytes]:
        try:
            async for piece in self._response.aiter_bytes():
                yield piece
                self._deadline.check()
        except Exception as error:
            found = broken(error)
            if found is None:
                raise
            raise StreamBroken(found) from error

    async def aclose(self) -> None:
        await self._response.aclose()
