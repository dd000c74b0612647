"""The checks of one exchange. Pure: an exchange in, a Result out; a dialect's error is a finding, not an exception."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from msgspec import Struct

from penstock.conformance.compare import first_difference
from penstock.conformance.recording import Exchange
from penstock.dialects import embeddings, registry, wire
from penstock.dialects.aws_event_stream import MEDIA_TYPE as AWS_TYPE
from penstock.dialects.aws_event_stream import AwsEventStream, header_of, unwrapped, write_event
from penstock.dialects.dialect import Context, Dialect, PathMatch
from penstock.dialects.embeddings.dialect import EmbeddingDialect
from penstock.dialects.framing import Frame, FrameParser, JsonLines, ServerSentEvents
from penstock.dialects.gemini.frames import ARRAY_TYPE, JsonArray
from penstock.dialects.openai_errors import says_error
from penstock.types.errors import DialectError, MalformedError
from penstock.types.notes import NO_MEMO
from penstock.types.profile import DEFAULT_PROFILE
from penstock.types.request import Request

_FRAMINGS: dict[str, Callable[[], FrameParser]] = {
    "text/event-stream": ServerSentEvents,
    "application/x-ndjson": JsonLines,
    AWS_TYPE: AwsEventStream,
    ARRAY_TYPE: JsonArray,
}
_SPLITS = (1 << 30, 1000, 7)
"""Sizes of the pieces in which streams are fed: all at once, like a network, and cutting through everything."""


class Result(Struct, frozen=True):
    """What was found. `dialect` is None where the exchange is of no API of ours; `skipped` then names that API.
    `failure` is the first thing that did not hold.
    """

    exchange: str
    provider: str
    dialect: str | None = None
    skipped: str | None = None
    remark: str | None = None
    parsed: bool = False
    round_tripped: bool = False
    translated: bool = False
    failure: str | None = None

    @property
    def ok(self) -> bool:
        """Whether everything held, or nothing was to be held."""
        return self.skipped is not None or (self.parsed and self.round_tripped and self.translated)


class _Finding(Exception):
    """Something did not hold. `stage` says what had held before it: nothing, parsed, round_tripped."""

    def __init__(self, stage: str, message: str) -> None:
        super().__init__(message)
        self.stage = stage


def check(exchange: Exchange) -> Result:
    """Check one exchange."""
    found = recognise(exchange)
    if found is None:
        return Result(exchange.id, exchange.provider, skipped=api_name(exchange))
    dialect, match = found
    remark: str | None = None
    try:
        if exchange.method == "GET" and isinstance(dialect, Dialect):
            remark = _FETCHED
            _response_check(exchange, dialect, match)()()
        elif isinstance(dialect, Dialect):
            remark = _check_chat(exchange, dialect, match)
        else:
            _check_embedding(exchange, dialect, match)
    except _Finding as finding:
        held = _STAGES.index(finding.stage)
        return Result(
            exchange.id,
            exchange.provider,
            dialect.name,
            parsed=held > 0,
            round_tripped=held > 1,
            failure=str(finding),
        )
    return Result(exchange.id, exchange.provider, dialect.name, None, remark, True, True, True)


_STAGES = ("parsed", "round_tripped", "translated")


def recognise(exchange: Exchange) -> tuple[Dialect | EmbeddingDialect, PathMatch] | None:
    """The dialect of an exchange, by its path; where several share one (Bedrock's `invoke`), by the body that only
    one of them can read.
    """
    if exchange.method == "GET":
        return _stored_answer(exchange)
    if exchange.method != "POST" or not isinstance(exchange.request_body, dict | bytes):
        return None
    body = exchange.request_body if isinstance(exchange.request_body, dict) else {}
    candidates: tuple[Dialect | EmbeddingDialect, ...] = (*embeddings.dialects(), *registry.dialects())
    for dialect in candidates:
        match = dialect.match_path(exchange.path)
        if match is not None and dialect.recognises(body):
            return dialect, match
    return None


def _stored_answer(exchange: Exchange) -> tuple[Dialect, PathMatch] | None:
    """The dialect of an answer that was kept and is fetched: it says itself what it is, and its path is that of the
    requests with its id.
    """
    body = exchange.response_body
    kind = body.get("object") if isinstance(body, dict) else None
    if not isinstance(kind, str) or kind not in _STORED:
        return None
    dialect = registry.get(_STORED[kind])
    match = dialect.match_path(exchange.path.rstrip("/").rpartition("/")[0])
    return None if match is None else (dialect, match)


_STORED = {"response": "openai_responses", "chat.completion": "openai_chat"}
"""The word in `object` of the answers that OpenAI keeps, and their dialect."""

_IDS = re.compile(r"(?<=/)(?:[a-zA-Z]+[-_][\w-]{12,}|[\w-]*\d[\w-]{15,})(?=$|[/:])")


def api_name(exchange: Exchange) -> str:
    """The name of an API outside of chat and embeddings: method and path, with ids taken out."""
    path = re.sub(r"(?<=/)(models|model|projects|locations|deployments)/[^/:]+", r"\1/{id}", exchange.path)
    return f"{exchange.method} {_IDS.sub('{id}', path)}"


def _reading(stage: str, what: str, work: Callable[[], Any]) -> Any:
    try:
        return work()
    except DialectError as error:
        raise _Finding(stage, f"{what}: {error}") from error


def _same(what: str, recorded: Any, rendered: Any) -> None:
    difference = first_difference(recorded, rendered)
    if difference is not None:
        raise _Finding("round_tripped", f"{what}: {difference}")


def _json(value: Any) -> Any:
    """A rendered value after the wire: what a receiver would decode."""
    return wire.decode(wire.encode(value))


_FETCHED = "a kept answer that was fetched: there is no request, only the response was checked"
_NO_JSON = "the request is no JSON: only the response was checked"
_BOTH_REFUSE = "the provider refused the request as invalid, and so does the dialect: only the response was checked"
_ERROR_IN_200 = "the answer is an error under a status of success: checked as an error"
_INVALID = frozenset({400, 422})


def _check_chat(exchange: Exchange, dialect: Dialect, match: PathMatch) -> str | None:
    """Check, and what is to be remarked on. Raises _Finding."""
    remark = _ERROR_IN_200 if _holds_error(exchange, dialect) else None
    work = partial(_check_error, exchange, dialect) if remark else _response_check(exchange, dialect, match)
    compare_response = _reading("parsed", "response", work)
    if isinstance(exchange.request_body, bytes):
        compare_response()
        return _NO_JSON
    try:
        request = dialect.parse_request(exchange.request_body, match)
    except DialectError as error:
        if exchange.status not in _INVALID:
            raise _Finding("parsed", f"request: {error}") from error
        compare_response()
        return _BOTH_REFUSE
    render = partial(dialect.render_request, request, DEFAULT_PROFILE)
    _same("request", exchange.request_body, _json(_reading("round_tripped", "request", render).value))
    compare_response()
    for other in registry.dialects():
        if other.name != dialect.name:
            _reading("translated", f"request to {other.name}", partial(_translate, request, other))
    return remark


def _holds_error(exchange: Exchange, dialect: Dialect) -> bool:
    """Whether a status of success came with an error: with what the dialect's reader of answers refuses, and says what
    went wrong.
    """
    body = exchange.response_body
    if exchange.status >= 400 or isinstance(body, bytes) or not says_error(body):
        return False
    try:
        dialect.parse_response(body, NO_MEMO)
    except DialectError:
        return True
    return False


def _translate(request: Request, other: Dialect) -> None:
    body = _json(other.render_request(request, DEFAULT_PROFILE).value)
    path = other.path(request.model or "model", bool(request.stream))
    other.parse_request(body, other.match_path(path) or PathMatch())


def _response_check(exchange: Exchange, dialect: Dialect, match: PathMatch) -> Callable[[], Callable[[], None]]:
    """A function that parses the response and returns one that renders it back and compares."""
    body = exchange.response_body
    if exchange.status >= 400:
        return lambda: _check_error(exchange, dialect)
    if isinstance(body, bytes) and _is_wrapped(body, dialect):
        return lambda: _check_wrapped(body, dialect)
    if isinstance(body, bytes) or (match.stream and isinstance(body, list)):
        return lambda: _check_stream(exchange.response_bytes, dialect)
    return lambda: _check_whole(body, dialect)


def _check_whole(body: Any, dialect: Dialect) -> Callable[[], None]:
    response = dialect.parse_response(body, NO_MEMO)
    return lambda: _same("response", body, _json(dialect.render_response(response, Context()).value))


def _check_error(exchange: Exchange, dialect: Dialect | EmbeddingDialect) -> Callable[[], None]:
    error = dialect.parse_error(exchange.status, exchange.headers, exchange.response_bytes)

    def compare() -> None:
        status, body = dialect.render_error(error)
        if exchange.status >= 400:
            _same("error status", exchange.status, status)
        if isinstance(exchange.response_body, dict | list):
            _same("error", exchange.response_body, _json(body))

    return compare


def _check_stream(body: bytes, dialect: Dialect) -> Callable[[], None]:
    """Frame by frame, for several ways to cut the bytes."""
    kind = _stream_type(body, dialect)
    recorded = list(_frames(body, kind))
    rendered = [_through(body, size, dialect, kind) for size in _SPLITS]

    def compare() -> None:
        for size, stream in zip(_SPLITS, rendered, strict=True):
            _same(f"stream (cut every {size} bytes)", recorded, list(_frames(stream, kind)))

    return compare


def _is_wrapped(body: bytes, dialect: Dialect) -> bool:
    """Whether a stream came in messages of an AWS event stream that is not the dialect's own: Bedrock's
    `invoke-with-response-stream` wraps the events of the model's own API so. (A message begins with its length, and
    none is so long that the first byte is not zero; no text begins with that.)
    """
    return body[:1] == b"\0" and dialect.stream_media_type != AWS_TYPE


def _check_wrapped(body: bytes, dialect: Dialect) -> Callable[[], None]:
    """The messages, byte by byte; then what they hold, as a stream of the dialect; an exception as Bedrock has it."""
    framing = AwsEventStream()
    messages = framing.feed(body) + framing.close()
    again = b"".join(write_event(each.data, each.event or "", each.transport) for each in messages)
    events: list[bytes] = []
    failures: list[bytes] = []
    for each in messages:
        if header_of(each, ":message-type") == "event":
            events.append(unwrapped(each))
        else:
            failures.append(write_event(each.data, each.event or "", each.transport))
    compare_events = _check_stream(b"".join(events), dialect)
    compare_failures = _check_stream(b"".join(failures), registry.get("bedrock_converse"))

    def compare() -> None:
        if not body.startswith(again):
            raise _Finding("round_tripped", "stream: the messages around the events were changed")
        compare_events()
        compare_failures()

    return compare


def _stream_type(body: bytes, dialect: Dialect) -> str:
    """The content type of a stream: of a dialect that has several, an array is told by its first byte."""
    other = dialect.stream_type_asked("")
    return other if other is not None and body.lstrip()[:1] == b"[" else dialect.stream_media_type


def _through(body: bytes, size: int, dialect: Dialect, kind: str) -> bytes:
    """A stream, fed in pieces of `size` bytes, parsed and rendered back."""
    parser = dialect.stream_parser(NO_MEMO)
    renderer = dialect.stream_renderer(Context(source=dialect.name, stream_type=kind))
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    events = [event for piece in pieces for event in parser.feed(piece)] + parser.close()
    return b"".join(renderer.render(event) for event in events)


def _frames(body: bytes, kind: str) -> Iterator[Any]:
    """What each frame holds. One that holds nothing is none (html.spec.whatwg.org, 9.2.6: no data, no event)."""
    framing = _FRAMINGS[kind]()
    for frame in framing.feed(body) + framing.close():
        if frame.data or frame.event is not None or frame.transport:
            yield [frame.event, frame.transport, _payload(frame)]


def _payload(frame: Frame) -> Any:
    try:
        return wire.decode(frame.data)
    except MalformedError:
        return frame.data.decode("utf-8", "replace")


def _check_embedding(exchange: Exchange, dialect: EmbeddingDialect, match: PathMatch) -> None:
    """Check. Raises _Finding."""
    request = _reading("parsed", "request", partial(dialect.parse_request, exchange.request_body, match))
    if exchange.status >= 400:
        compare_response = _check_error(exchange, dialect)
    else:
        compare_response = _reading("parsed", "response", partial(_check_vectors, exchange.response_body, dialect))
    render = partial(dialect.render_request, request, DEFAULT_PROFILE)
    _same("request", exchange.request_body, _json(_reading("round_tripped", "request", render).value))
    compare_response()
    for other in embeddings.dialects():
        if other.name != dialect.name:
            _reading("translated", f"request to {other.name}", partial(other.render_request, request, DEFAULT_PROFILE))


def _check_vectors(body: Any, dialect: EmbeddingDialect) -> Callable[[], None]:
    response = dialect.parse_response(body)
    return lambda: _same("response", body, _json(dialect.render_response(response).value))
