"""Dialect: what every wire format offers. Symmetric and pure: what is parsed can be rendered, and the same functions
serve the SDK (outbound) and the gateway (inbound and outbound).

A dialect is a value made of functions, one folder each, listed in registry.py. The functions take and give decoded
JSON (`wire.decode` and `wire.encode` do the bytes), do no I/O, read no clock, and raise DialectError and nothing
else. Ids and times that a rendered answer needs come in a `Context`.

A parser never changes the object it is given. A renderer never changes the representation it is given, and treats its
own dialect's values (`request.dialect == NAME`) without loss: `extras`, `native` and `spelling` go out again. For
another dialect's values it leaves them aside and notes each loss.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import Any, ParamSpec, Protocol, TypeVar

from msgspec import Struct

from penstock.dialects.places import AT_THE_ROOT, Places
from penstock.types.errors import DialectError, ErrorResponse, MalformedError
from penstock.types.notes import Memo, Note, Rendered
from penstock.types.profile import Profile
from penstock.types.request import Request
from penstock.types.response import Response
from penstock.types.stream import StreamEvent

P = ParamSpec("P")
T = TypeVar("T")

Headers = Mapping[str, str]
"""Response headers with lower-case names."""


class Context(Struct, frozen=True):
    """What a renderer of responses must be told, because it may not ask a clock or a random source.

    `id` stands in where the response has none, `created` (Unix seconds) likewise; `model` is the name the client
    asked for (None: the response's own); `request` is the client's request, for dialects that echo it (OpenAI
    Responses); `stream_usage` says whether the client asked for usage in a stream; `source` names the dialect that
    the events of a stream were parsed from (their `extras` and `native` go out only to it); `stream_type` is the
    content type of the stream, for a dialect that has several (None: its usual one).
    """

    id: str = "penstock"
    created: int = 0
    model: str | None = None
    request: Request | None = None
    stream_usage: bool = True
    source: str | None = None
    stream_type: str | None = None


class PathMatch(Struct, frozen=True):
    """What a request path says: the model and whether to stream, where the dialect carries them in the path (None:
    the body says).
    """

    model: str | None = None
    stream: bool | None = None


class StreamParser(Protocol):
    """Bytes of a response stream in, events out."""

    def feed(self, data: bytes) -> list[StreamEvent]: ...
    def close(self) -> list[StreamEvent]: ...


class StreamRenderer(Protocol):
    """Events in, bytes of a response stream out. `notes` grows as losses are met (each path once).

    `close` ends the stream in the dialect's way if the events did not (`[DONE]`, closing blocks); it is not called on
    a stream that failed.
    """

    notes: list[Note]

    def render(self, event: StreamEvent) -> bytes: ...
    def close(self) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Dialect:
    """A wire format.

    name               also the value of `Request.dialect` and `Response.dialect`
    match_path         (path) -> PathMatch, or None where the path is not of this dialect
    path               (model, stream) -> the path after the host, as the dialect's inventor has it
    parse_request      (wire, match) -> Request; `match` carries what the path said
    render_request     (request, profile) -> Rendered[wire object]
    parse_response     (wire, memo) -> Response
    render_response    (response, context) -> Rendered[wire object]
    parse_error        (status, headers, body bytes) -> ErrorResponse; never raises: any body is an error body
    render_error       (error) -> (status, wire object); one that this dialect read, exactly as it came
    tell_error         (error) -> (status, wire object) as the dialect's clients read it: a shape of its hosts' own is
                       said in the dialect's, with all that it holds. None: `render_error` does
    stream_parser      (memo) -> StreamParser
    stream_renderer    (context) -> StreamRenderer
    stream_media_type  content type of its streams
    stream_type_asked  (query of the request's address) -> the content type that it asks for, where that is not
                       `stream_media_type` (None)
    carries_urls       media kinds ("image", "file" ...) that may go as a web address, for the host to fetch: all
                       others must be resolved into bytes before rendering
    reads_url          (address) -> whether it is a name that only this dialect's providers can read (their own files):
                       it is never resolved
    recognises         (request body) -> whether it is of this dialect, for paths that several dialects share (Bedrock's
                       `invoke`)
    places             where in a body a parameter stands that the representation does not model
    parameters         the names at the root of a body that are this API's own: what else stands there is meant for
                       whatever provider is asked, and is passed on to it. None: all of it is this API's own, for its
                       clients send what is newer than these lines by themselves
    """

    name: str
    match_path: Callable[[str], PathMatch | None]
    path: Callable[[str, bool], str]
    parse_request: Callable[[Any, PathMatch], Request]
    render_request: Callable[[Request, Profile], Rendered[dict[str, Any]]]
    parse_response: Callable[[Any, Memo], Response]
    render_response: Callable[[Response, Context], Rendered[dict[str, Any]]]
    parse_error: Callable[[int, Headers, bytes], ErrorResponse]
    render_error: Callable[[ErrorResponse], tuple[int, dict[str, Any]]]
    stream_parser: Callable[[Memo], StreamParser]
    stream_renderer: Callable[[Context], StreamRenderer]
    stream_media_type: str = "text/event-stream"
    stream_type_asked: Callable[[str], str | None] = lambda query: None
    carries_urls: frozenset[str] = frozenset()
    reads_url: Callable[[str], bool] = lambda url: False
    recognises: Callable[[dict[str, Any]], bool] = lambda body: True
    places: Places = AT_THE_ROOT
    parameters: frozenset[str] | None = None
    tell_error: Callable[[ErrorResponse], tuple[int, dict[str, Any]]] | None = None


UNFORESEEN = (
    DialectError,
    TypeError,
    ValueError,
    KeyError,
    AttributeError,
    IndexError,
    RecursionError,
    OverflowError,
)
"""What reading foreign data can raise: our own error, and those of a shape that no check foresaw."""


def as_dialect_error(error: Exception, dialect: str) -> DialectError:
    """`error` with the dialect's name, or the MalformedError that says it."""
    if not isinstance(error, DialectError):
        return MalformedError(f"unexpected shape ({type(error).__name__}: {error})", dialect=dialect)
    error.dialect = error.dialect or dialect
    return error


def boundary(dialect: str) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """The border where foreign data enters a dialect: errors get the dialect's name, and a shape that no check
    foresaw becomes a MalformedError.
    """

    def wrap(function: Callable[P, T]) -> Callable[P, T]:
        @wraps(function)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> T:
            try:
                return function(*args, **kwargs)
            except UNFORESEEN as error:
                told = as_dialect_error(error, dialect)
                if told is error:
                    raise
                raise told from error

        return guarded

    return wrap
