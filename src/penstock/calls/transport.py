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
import weakref
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator
from contextlib import suppress
from functools import partial
from typing import Any, Protocol

from penstock.calls.body_limits import (
    OVER,
    BodyLimits,
    StreamBroken,
    WholeBody,
    pieces_in_time,
    pieces_watched,
    silent,
)
from penstock.exchange import Broken, Reply, Send, Timeouts

__all__ = [
    "AsyncByteStream",
    "AsyncHTTPXTransport",
    "AsyncTransport",
    "ByteStream",
    "HTTPXTransport",
    "Network",
    "StreamBroken",
    "Transport",
    "broken",
    "is_stream",
]


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
    words = _WORDS.get(type(error).__name__)
    said = str(error)
    if words is None or said in ("", "timed out"):
        return words or said or type(error).__name__
    return f"{words} ({said})"


_WORDS = {
    "ConnectTimeout": "the connection was not made in time",
    "ReadTimeout": "no answer in time",
    "WriteTimeout": "the request could not be written in time",
    "PoolTimeout": "no connection came free in time",
    "ConnectError": "no connection could be made",
    "ReadError": "the connection broke while the answer was read",
    "WriteError": "the connection broke while the request was written",
    "DecodingError": "the answer could not be uncompressed",
}
"""What happened, in words; what the library says of it follows in brackets."""


def _of(send: Send, found: Broken) -> Broken:
    """The same, with what its reader must know of the request: where it should have gone, how long it waited."""
    if found.kind == "connect" and send.request.url:
        return Broken(found.kind, f"{found.message}: is {_origin(send.request.url)} the right address?", found.sent)
    if found.kind != "timeout" or found.message != _WORDS["ReadTimeout"]:
        return found
    allowed, left = send.timeouts.first_token, send.seconds_left
    if left is not None and (allowed is None or left <= allowed):
        return Broken("timeout", OVER)
    return Broken("timeout", silent(allowed or 0.0, begun=False))


def _origin(url: str) -> str:
    """Scheme, host and port of an address: the rest may hold what is secret."""
    scheme, slashes, rest = url.partition("://")
    return f"{scheme}{slashes}{rest.partition('/')[0].partition('?')[0].rpartition('@')[2]}"


def is_stream(status: int, headers: dict[str, str]) -> bool:
    """Whether an answer to a request for a stream is one. An error is not, and some hosts answer whole, or with an
    error inside a 200.
    """
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    return 200 <= status < 300 and kind not in ("application/json", "text/html") and not kind.endswith("+json")


def _unreadable(client: Any, headers: dict[str, str]) -> Broken | None:
    """An answer that is compressed in a way that the client cannot undo (and did not ask for)."""
    used = {name.strip().lower() for name in headers.get("content-encoding", "").split(",")} - {"", "identity"}
    if not used - _ALWAYS_READ:
        return None
    known = {name.partition(";")[0].strip() for name in client.headers.get("accept-encoding", "").split(",")}
    if not used - known - _ALWAYS_READ:
        return None
    unknown = ", ".join(sorted(used - known - _ALWAYS_READ))[:100]
    return Broken("protocol", f"the answer is compressed with {unknown}, which was not asked for and is not read here")


_ALWAYS_READ = frozenset({"gzip", "deflate"})
"""What httpx uncompresses whether or not it was asked for; `br` and `zstd` need a package beside it."""


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
        limits = BodyLimits(send)
        try:
            response = self.client.send(_build(self.client, send), stream=True)
            return self._read(response, send, limits)
        except Exception as error:
            found = broken(error)
            if found is None:
                raise
            return _of(send, found)

    def _read(self, response: Any, send: Send, limits: BodyLimits) -> Reply | Broken:
        headers = {name.lower(): value for name, value in response.headers.items()}
        stream = _SyncStream(response, limits, self)
        try:
            if (unreadable := _unreadable(self.client, headers)) is not None:
                raise StreamBroken(unreadable)
            if send.stream and is_stream(response.status_code, headers):
                first = next(iter(stream), b"")
                return Reply(response.status_code, headers, first, stream)
            body = WholeBody(response.status_code)
            for piece in stream:
                if body.has_enough(piece):
                    break
            stream.close()
            return Reply(response.status_code, headers, body.whole())
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
        import asyncio

        limits = BodyLimits(send)
        try:
            client = await self._client()  # making the first one takes its time, and is nobody's silence
            async with asyncio.timeout(send.seconds_left):  # also the name look-up, and a head that drips
                response = await client.send(_build(client, send), stream=True)
            return await self._read(client, response, send, limits)
        except TimeoutError:
            return Broken("timeout", OVER)
        except Exception as error:
            found = broken(error)
            if found is None:
                raise
            return _of(send, found)

    async def _read(self, client: Any, response: Any, send: Send, limits: BodyLimits) -> Reply | Broken:
        headers = {name.lower(): value for name, value in response.headers.items()}
        stream = _AsyncStream(response, limits, self)
        try:
            if (unreadable := _unreadable(client, headers)) is not None:
                raise StreamBroken(unreadable)
            if send.stream and is_stream(response.status_code, headers):
                first = await anext(aiter(stream), b"")
                return Reply(response.status_code, headers, first, stream)
            body = WholeBody(response.status_code)
            async for piece in stream:
                if body.has_enough(piece):
                    break
            await stream.aclose()
            return Reply(response.status_code, headers, body.whole())
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


class _SyncStream:
    """The body of an answer, piece by piece. It keeps its transport, and so the connection, alive."""

    def __init__(self, response: Any, limits: BodyLimits, transport: HTTPXTransport) -> None:
        self._response = response
        self._transport = transport
        self._limits = limits
        self._connection = None if limits.simple else _socket_of(response)
        response.request.extensions["timeout"]["read"] = limits.read if self._connection is None else None
        self._pieces = self._read()

    def __iter__(self) -> Iterator[bytes]:
        return self._pieces

    def _read(self) -> Generator[bytes, None, None]:
        pieces = self._response.iter_bytes()
        try:
            if self._connection is None:
                yield from self._unwatched(pieces)
            else:
                yield from pieces_watched(pieces, self._limits, self._connection)
        except Exception as error:
            if (meant := _meaning(error, self._limits)) is error:
                raise
            raise meant from error

    def _unwatched(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            yield piece
            self._limits.wait(True)

    def close(self) -> None:
        with suppress(ValueError):  # somebody reads at this very moment: the closed connection ends that
            self._pieces.close()
        self._response.close()


def _socket_of(response: Any) -> Any:
    """The socket that an answer comes from; None where the client does not tell."""
    stream = response.extensions.get("network_stream")
    return None if stream is None else stream.get_extra_info("socket")


def _meaning(error: Exception, limits: BodyLimits) -> Exception:
    """What went wrong while a body was read; `error` itself where it is none of the network's."""
    if isinstance(error, StreamBroken):
        return error
    found = broken(error)
    if found is not None and found.message == _WORDS["ReadTimeout"]:
        found = Broken("timeout", silent(limits.read or 0.0, begun=True))
    return error if found is None else StreamBroken(found)


class _AsyncStream:
    """The body of an answer, piece by piece, for a coroutine. It keeps its transport, and so the connection, alive."""

    def __init__(self, response: Any, limits: BodyLimits, transport: AsyncHTTPXTransport) -> None:
        self._response = response
        self._transport = transport
        self._limits = limits
        response.request.extensions["timeout"]["read"] = limits.read if limits.simple else None
        self._pieces = self._read()

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._pieces

    async def _read(self) -> AsyncIterator[bytes]:
        pieces = self._response.aiter_bytes()
        try:
            async for piece in pieces if self._limits.simple else pieces_in_time(pieces, self._limits):
                yield piece
        except Exception as error:
            if (meant := _meaning(error, self._limits)) is error:
                raise
            raise meant from error

    async def aclose(self) -> None:
        await self._response.aclose()
