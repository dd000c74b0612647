"""Pinned fetch: the bytes behind a web address, from the very address that was checked, within a size and a time.

The address comes from whoever wrote a prompt, so its host may be hostile: it may drip its headers or its body a byte at
a time, or never stop. Each read from the socket therefore gets what is left of one deadline, which no library timeout
does (those begin anew with every byte). Nothing here follows a redirect, uses a proxy or sends a cookie.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterable
from typing import Any

import httpcore
import httpx

from penstock.resolve import FetchedMedia, FetchPinned, NotFetched


class _Deadline:
    """The moment when the fetch is over."""

    def __init__(self, seconds: float) -> None:
        self._at = time.monotonic() + seconds

    def left(self) -> float:
        """Seconds for the next step. Raises httpcore.ReadTimeout when there are none."""
        left = self._at - time.monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout
        return left


class _Stream(httpcore.NetworkStream):
    """A connection whose every step has only what is left of the deadline."""

    def __init__(self, inner: httpcore.NetworkStream, deadline: _Deadline) -> None:
        self._inner = inner
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, self._deadline.left())

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, self._deadline.left())

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return _Stream(self._inner.start_tls(ssl_context, server_hostname, self._deadline.left()), self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


class _Pinned(httpcore.NetworkBackend):
    """Connects to one address, whatever name the URL has; the certificate is still checked against the name."""

    def __init__(self, address: str, deadline: _Deadline) -> None:
        self._address = address
        self._deadline = deadline
        self._inner = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        return _Stream(self._inner.connect_tcp(self._address, port, self._deadline.left()), self._deadline)


def fetch_pinned(command: FetchPinned) -> FetchedMedia | NotFetched:
    """The media behind an address that was checked."""
    deadline = _Deadline(command.timeout)
    backend = _Pinned(command.address, deadline)
    try:
        url = httpx.URL(command.url).copy_with(fragment=None, userinfo=b"")
        headers = [(b"host", url.netloc), (b"accept-encoding", b"identity"), (b"connection", b"close")]
        with (
            httpcore.ConnectionPool(ssl_context=httpx.create_ssl_context(), network_backend=backend) as pool,
            pool.stream("GET", str(url), headers=headers) as response,
        ):
            return _read(command, response)
    except httpcore.TimeoutException:
        return NotFetched(f"it took longer than {command.timeout:g} seconds")
    except (httpcore.NetworkError, httpcore.ProtocolError, httpx.InvalidURL, ssl.SSLError, UnicodeError) as error:
        return NotFetched(str(error) or type(error).__name__)


def _read(command: FetchPinned, response: httpcore.Response) -> FetchedMedia | NotFetched:
    """The whole body, if it is not larger than it may be."""
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}
    if headers.get("content-encoding", "identity").strip().lower() not in ("identity", ""):
        return NotFetched("its host sent it compressed, though it was not asked to")
    pieces: list[bytes] = []
    size = 0
    for piece in response.iter_stream():
        size += len(piece)
        if size > command.max_bytes:
            return NotFetched(f"it is larger than {command.max_bytes} bytes")
        pieces.append(piece)
    return FetchedMedia(response.status, headers, b"".join(pieces))
