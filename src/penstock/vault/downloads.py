"""Responses on their way down: every byte that the sandbox sees passes the scrubber of the session.

A body that comes compressed although the vault asked for none is decompressed first, and goes on plain. What cannot be
decoded is not passed on. The scrubber changes no length, so a plain body keeps its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from penstock.vault.bodies import Body
from penstock.vault.scrub import Scrubber, ScrubStream
from penstock.vault.scrub.codings import Decoder, decoder
from penstock.vault.scrub.watcher import Watcher
from penstock.vault.session import Session, destination_text
from penstock.vault.values import Destination, Headers, Refusal, ResponseHead

NEVER_DOWN = frozenset({
    "connection", "keep-alive", "proxy-connection", "proxy-authenticate", "proxy-authentication-info", "te", "trailer",
    "transfer-encoding", "content-length", "upgrade", "alt-svc", "alternate-protocol",
})  # fmt: skip
"""Of the connection that ends at the vault, or leading around it (`Alt-Svc` names QUIC)."""


class Plain:
    """A body without its content coding."""

    def __init__(self, body: Body, coding: Decoder) -> None:
        self._body = body
        self._decoder = coding
        self._parts: Iterator[bytes] = iter(())
        self._ended = False

    @property
    def length(self) -> int | None:
        """Not known, but for an empty body."""
        return 0 if self._body.length == 0 else None

    @property
    def trailers(self) -> Headers:
        """As of the body."""
        return self._body.trailers

    async def read(self) -> bytes:
        """Some plain bytes, or `b""` at the end. Raises Refusal: the body cannot be decoded."""
        while True:
            for part in self._parts:
                if part:
                    return part
            if self._ended:
                return b""
            data = await self._body.read()
            self._ended = not data
            if data:
                self._parts = iter(self._decoder.feed(data))
            elif self._body.length != 0:
                self._decoder.end()


def plain_body(head: ResponseHead, body: Body) -> Body:
    """The body of a response without its content coding. Raises Refusal: there is no such coding."""
    encoding = _encoding(head)
    return Plain(body, decoder(encoding)) if encoding else body


def plain_head(head: ResponseHead) -> ResponseHead:
    """The head that goes with `plain_body`."""
    kept = tuple(field for field in head.headers if field[0] != "content-encoding")
    return ResponseHead(head.status, head.reason, kept)


class Download:
    """The body of a response as the sandbox may see it."""

    def __init__(self, session: Session, head: ResponseHead, body: Body) -> None:
        self._session = session
        self._scrubber: Scrubber = session.scrubber
        self._stream: ScrubStream = self._scrubber.stream()
        self._found = 0
        self._body = plain_body(head, body) if session.held else body
        self._watcher = Watcher(self._scrubber)
        self._ended = False

    @property
    def length(self) -> int | None:
        """Bytes in all, where known: a body that is decompressed has another length."""
        return self._body.length

    async def read(self) -> bytes:
        """Some scrubbed bytes, or `b""` at the end. Raises Refusal: the body cannot be decoded."""
        while not self._ended:
            data = await self._body.read()
            self._ended = not data
            scrubbed = self._pass(data) if data else self._rest()
            if scrubbed:
                return scrubbed
        return b""

    def _pass(self, data: bytes) -> bytes:
        self._follow()
        return self._stream.feed(self._watcher.feed(data))

    def _rest(self) -> bytes:
        self._watcher.end()
        return self._stream.end()

    def _follow(self) -> None:
        """Scrub by the secrets of now: a token that was refreshed while a stream runs is one of them."""
        scrubber = self._session.scrubber
        if scrubber is not self._scrubber:
            self._found += self._stream.found.total()
            self._stream, self._scrubber = self._stream.moved_to(scrubber), scrubber

    def head(self, head: ResponseHead) -> ResponseHead:
        """The head that goes with the body, scrubbed. Raises Refusal: a field's name holds a secret."""
        with self._counting():
            return head_for_sandbox(self._session, head)

    @property
    def trailers(self) -> Headers:
        """The trailers, scrubbed."""
        with self._counting():
            return _scrubbed_fields(self._session, self._body.trailers)

    @contextmanager
    def _counting(self) -> Iterator[None]:
        """Count what the session's scrubber finds meanwhile: nothing is awaited, so it is of this response."""
        found = self._session.scrubber.found
        before = found.total()
        yield
        self._found += found.total() - before

    def record(self, destination: Destination) -> None:
        """Write down how often a value was found in this response, if it was."""
        count = self._found + self._stream.found.total()
        if count:
            self._session.traffic["scrubbed"] += count
            self._session.audit("scrub", destination=destination_text(destination), findings=count)


def head_for_sandbox(session: Session, head: ResponseHead) -> ResponseHead:
    """The head of a response as the sandbox may see it.

    Raises:
        Refusal: a field's name holds a secret.
    """
    head = plain_head(head) if session.held else head
    fields = tuple(field for field in head.headers if field[0] not in NEVER_DOWN)
    return ResponseHead(head.status, session.scrubber.text(head.reason), _scrubbed_fields(session, fields))


def _encoding(head: ResponseHead) -> str:
    values = [value for name, value in head.headers if name == "content-encoding"]
    joined = ", ".join(values).strip().lower()
    return "" if joined == "identity" else joined


def _scrubbed_fields(session: Session, fields: Headers) -> Headers:
    if not fields:
        return fields
    clean = session.scrubber.texts([value for _, value in fields])
    if session.shows_in_name("\n".join(name for name, _ in fields)):
        raise Refusal("secret_in_name", "The upstream's response holds a secret in the name of a field.", status=502)
    return tuple((name, value) for (name, _), value in zip(fields, clean, strict=True))
