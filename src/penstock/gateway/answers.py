"""Answers: what goes back to a client, as values; a refusal is rendered by the client's own dialect.

Three things are made sure here and nowhere else. Header values hold printable ASCII only, so that nothing that came in
with a request (a model's name) can write a header of its own. No error leaves with a key in it, also if a provider
repeats the key that it was sent. And none leaves with an address of the inside, as proxies like to say them.
"""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator, Sequence
from urllib.parse import quote

from msgspec import Struct
from msgspec.structs import replace

from penstock.dialects import wire
from penstock.dialects.dialect import Dialect
from penstock.gateway.inside import addresses_removed
from penstock.types.errors import ErrorKind, ErrorResponse

JSON = {"content-type": "application/json"}
HEADER_ROOM = 4000
"""Characters that one header value may have: proxies refuse heads of more than 8 KiB."""


class Answer(Struct):
    """What goes back: a body, or a stream of pieces."""

    status: int
    headers: dict[str, str]
    body: bytes = b""
    stream: AsyncGenerator[bytes, None] | None = None


class Refused(Exception):
    """The gateway itself says no."""

    def __init__(self, kind: ErrorKind, status: int, message: str, *, param: str | None = None) -> None:
        super().__init__(message)
        self.error = ErrorResponse(kind=kind, status=status, message=message, param=param)


class Redactor:
    """Takes known keys, and addresses of the inside, out of what leaves. Keys shorter than `LEAST` are left: taking out
    a common word harms more. `hosts` are inside, whatever their names.
    """

    LEAST = 8
    IN_THEIR_PLACE = b"[key removed]"

    def __init__(self, keys: Sequence[str] = (), hosts: Sequence[str] = ()) -> None:
        given = {form for key in keys if len(key) >= self.LEAST for form in _forms(key)}
        self._keys = sorted(given, key=len, reverse=True)  # a key that holds another goes first
        self._hosts = frozenset(host.lower() for host in hosts)

    def __call__(self, data: bytes) -> bytes:
        return addresses_removed(self.keys(data), self._hosts)

    def keys(self, data: bytes) -> bytes:
        """Take out the keys alone."""
        for key in self._keys:
            data = data.replace(key, self.IN_THEIR_PLACE)
        return data


def _forms(key: str) -> set[bytes]:
    """A key as it is, in JSON, and in an address."""
    return {key.encode(), wire.encode(key)[1:-1], quote(key, safe="").encode()}


def refusal(dialect: Dialect, error: ErrorResponse, headers: dict[str, str], redact: Redactor) -> Answer:
    """An error in the client's own dialect. One that a provider gave with a status that is none of errors gets one."""
    if not 400 <= error.status < 600:
        error = replace(error, status=502)
    status, body = dialect.render_error(error)
    waiting = error.retry_after
    if waiting is not None and 0 <= waiting < 1e9:
        headers = {**headers, "retry-after": str(math.ceil(waiting))}
    clean = redact.keys if error.native == "media" else redact  # that address is the client's own
    return Answer(status, {**headers, **JSON}, clean(wire.encode(body)))


def header_text(text: str) -> str:
    """`text` as the value of a header: printable ASCII, all else escaped, and not too long."""
    safe = "".join(character if " " <= character <= "~" else ascii(character)[1:-1] for character in text)
    return safe[:HEADER_ROOM].strip()
