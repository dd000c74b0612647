"""One request of a client, and the way to answer it.

A request is answered whole (`respond`) or as a stream (`begin`, `write` ..., `end`; `abort` where it cannot be ended
well). Headers are passed as ready bytes, each line ended by CRLF: who answers thousands of requests alike prepares
them once. `place`, `key_digest` and `principal` are the service's: what is served at the path, the digest of the key
that was presented, and whose it is. `plain` and `drawn` are the lanes': whether the head says nothing that matters to
them, and the deployment that was drawn. `client_left` is called if the client goes before the answer is complete,
`slow` (True, False) when it does not keep up, and when it does again. `answering` is who answers it (a call, or a
stream): its `cut(error)` ends that before its time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from penstock.gateway.http.heads import last_chunk, status_line

if TYPE_CHECKING:
    from penstock.gateway.http.connection import Connection


class Answer:
    """A whole answer: status, header lines, body."""

    __slots__ = ("body", "headers", "status")

    def __init__(self, status: int, headers: bytes, body: bytes) -> None:
        self.status, self.headers, self.body = status, headers, body


class Inbound:
    """A request. `headers` have lower-case names (of a repeated one, the values are joined with a comma); `target` is
    what stands in the request line, `body` is complete when the service gets to answer.
    """

    method = path = query = ""
    target = body = b""
    size = 0
    keep_alive = chunked = True
    complete = pending = unread = streaming = False
    refusal: Answer | None = None
    key_digest = ""
    plain: bool | None = None
    drawn: Any = None
    started = 0.0
    place: Any = None
    principal: Any = None
    answering: Any = None
    client_left: Callable[[], None] | None = None
    slow: Callable[[bool], None] | None = None

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.headers: dict[bytes, bytes] = {}
        self.pieces: list[bytes] = []

    # -- what was asked -----------------------------------------------------------------------------------------------

    def locate(self) -> None:
        """Read path and query out of the target."""
        target = self.target
        if target[:1] != b"/":  # the absolute form, as clients of a proxy write it
            _, _, rest = target.partition(b"://")
            target = rest[rest.find(b"/") :] if b"/" in rest else b"/"
        if b"?" in target:
            target, _, query = target.partition(b"?")
            self.query = query.decode("latin-1")
        path = target.decode("latin-1")
        self.path = unquote(path) if "%" in path else path

    def header(self, name: bytes) -> str:
        """The value of a header, as text; empty where there is none."""
        return self.headers.get(name, b"").decode("latin-1")

    @property
    def address(self) -> str:
        """Who is at the other end of the connection."""
        return self.connection.address

    # -- the answer ---------------------------------------------------------------------------------------------------

    def pace(self, slow: Callable[[bool], None]) -> None:
        """Call `slow` from now on; at once where the client does not keep up already: what was written before this
        answer may have waited in the outbox, and been found too much while nobody listened.
        """
        self.slow = slow
        connection = self.connection
        if connection.full and connection.current is self:
            slow(True)

    def respond(self, status: int, headers: bytes, body: bytes) -> None:
        """The whole answer, in one write."""
        connection = self.connection
        if connection.current is not self:
            return
        head = b"%b%bcontent-length: %d\r\n%b\r\n" % (
            status_line(status, connection.date),
            headers,
            len(body),
            b"" if self.keep_alive else b"connection: close\r\n",
        )
        if self.method == "HEAD":
            body = b""
        if len(body) > 65536:
            connection.transport.writelines((head, body))
        else:
            connection.transport.write(head + body)
        connection.answered(self)

    def begin(self, status: int, headers: bytes) -> None:
        """The head of a streamed answer."""
        connection = self.connection
        if connection.current is not self:
            return
        self.streaming = True
        if not self.chunked:
            self.keep_alive = False  # HTTP/1.0: the end of the connection is the end of the body
        connection.transport.write(
            b"%b%b%b%b\r\n"
            % (
                status_line(status, connection.date),
                headers,
                b"transfer-encoding: chunked\r\n" if self.chunked else b"",
                b"" if self.keep_alive else b"connection: close\r\n",
            )
        )

    def write(self, data: bytes) -> None:
        """A piece of the body."""
        connection = self.connection
        if data and connection.current is self and self.method != "HEAD":
            connection.transport.write(b"%x\r\n%b\r\n" % (len(data), data) if self.chunked else data)

    def end(self, data: bytes = b"") -> None:
        """The last piece of the body, and its end."""
        connection = self.connection
        if connection.current is not self:
            return
        if self.method != "HEAD":
            connection.transport.write(last_chunk(data) if self.chunked else data)
        connection.answered(self)

    def abort(self) -> None:
        """The answer cannot be completed: the connection ends without its last chunk, so that the client can tell."""
        if self.connection.current is self:
            self.connection.transport.abort()
