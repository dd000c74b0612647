"""One attempt at a chat call: from the representation to an HTTP request, and from the answer back.

Everything here is pure but for what the exchange does on its behalf (credentials, media that must be fetched). The
attempt remembers what its request left behind for its answer: the target, the notes, and the memo of renamed tools.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from msgspec.structs import replace

from penstock.calls.betas import joined, place_betas
from penstock.calls.failures import stopping_the_attempt
from penstock.calls.modifying import insisted, profile_for
from penstock.calls.opening import ENDED, Opening, OpenStream
from penstock.calls.options import Options
from penstock.calls.passing import set_apart
from penstock.calls.prepare import authorise, complete, locate, refuse_unsupported
from penstock.calls.refusals import Sent, cleared, read_refusal
from penstock.dialects import registry, wire
from penstock.dialects.dialect import Dialect, StreamParser
from penstock.exchange import Attempt, HTTPRequest, Preparation, Reply, Timeouts, Unfinished
from penstock.providers.auth.credentials import Borrowing, CredentialCache
from penstock.providers.endpoint import Endpoint
from penstock.providers.resolve_model import ResolvedModel
from penstock.resolve import resolve_media
from penstock.types.errors import DialectError, ErrorResponse
from penstock.types.notes import NO_MEMO, Memo, Note
from penstock.types.request import Request
from penstock.types.response import Response
from penstock.types.unfold import unfold

_PARAMETERS = frozenset(Request.__struct_fields__) - {
    "betas",
    "dialect",
    "model",
    "messages",
    "system",
    "stream",
    "stream_usage",
    "extras",
    "spelling",
}
"""The fields of a request that a caller knows as parameters."""


@dataclass(slots=True)
class ChatAttempt:
    """A call to one model at one provider.

    passed_betas  the header with names of betas that a client of the gateway sent; `more_headers` are others of its
                  headers that go on
    endpoint      the target, where it is known already; `ready` makes the request to it from a body, where its
                  credential is a plain one (None: it is not)
    """

    request: Request
    resolved: ResolvedModel
    options: Options
    environment: Mapping[str, str]
    credentials: CredentialCache
    facts: Callable[[str, str, str], Mapping[str, Any]] | None = None
    prefer: tuple[str, ...] = ()
    essential: frozenset[str] = frozenset()
    adjust: Callable[[Request, Endpoint], Request] | None = None
    passed_betas: str | None = None
    more_headers: tuple[tuple[str, str], ...] = ()
    endpoint: Endpoint | None = None
    ready: Callable[[bytes], HTTPRequest | None] | None = None
    target: Endpoint | None = None
    notes: tuple[Note, ...] = ()
    memo: Memo = NO_MEMO
    sent: Sent | None = None
    lent: Borrowing = field(init=False)

    def __post_init__(self) -> None:
        self.lent = Borrowing(self.credentials)

    @property
    def name(self) -> str:
        return f"{self.resolved.provider.name}/{self.resolved.model}"

    @property
    def dialect(self) -> Dialect:
        assert self.target is not None, "the dialect is known once the request is prepared"
        return registry.get(self.target.format)

    def attempt(self, timeouts: Timeouts) -> Attempt[Response | OpenStream]:
        """What the exchange runs."""
        return Attempt(
            name=self.name,
            provider=self.resolved.provider.name,
            model=self.resolved.model,
            stream=bool(self.request.stream),
            timeouts=timeouts,
            prepare=self.prepare,
            read=self.read,
            read_error=self.read_error,
            renew=self.lent.refused,
        )

    def prepare(self, now: float) -> Preparation:
        """Find the target, fetch what must be fetched, render, authorise."""
        with stopping_the_attempt():
            stream = bool(self.request.stream)
            target = self.endpoint or (
                yield from locate(
                    self.resolved,
                    "chat",
                    self.options,
                    self.environment,
                    stream=stream,
                    prefer=self.prefer,
                    facts=self.facts,
                    memory=self.credentials,
                    now=now,
                )
            )
            self.target = target
            request = self.request if self.adjust is None else self.adjust(self.request, target)
            request = yield from resolve_media(request, self.dialect, target.profile)
            body = wire.encode(self._render(request, target))
            target = self.target
            request_to_send = self.ready(body) if self.ready is not None and target is self.endpoint else None
            if request_to_send is None:
                if self.more_headers:
                    target = replace(target, headers=joined(target.headers, dict(self.more_headers)))
                request_to_send = yield from authorise(target, body, self.options, self.lent, now)
            self.sent = Sent(request_to_send, target.auth, now)
            return request_to_send

    def _render(self, request: Request, target: Endpoint) -> dict[str, Any]:
        request = replace(request, model=target.wire_model, spelling=_without_path(request.spelling))
        dialect, passed = self.dialect, dict[str, Any]()
        if request.extras and request.dialect != dialect.name:
            request, passed = set_apart(request, registry.get(request.dialect).parameters)
        rendered = dialect.render_request(request, profile_for(target.profile, self.options))
        self.notes, self.memo = rendered.notes, rendered.memo
        if self.options.strict:
            rendered.require_lossless()
        refuse_unsupported(rendered.notes, _PARAMETERS | self.essential, self.name, self.options)
        passed |= insisted(rendered.value, request, rendered.notes, self.options)
        body = dialect.places.put(passed, rendered.value) if passed else rendered.value
        body = complete(body, target, self.options)
        self.target, refused = place_betas(body, target, self.options.extra_headers, self.passed_betas)
        self.notes += refused
        return body

    def read(self, reply: Reply) -> Response | OpenStream | ErrorResponse | Unfinished[Response | OpenStream]:
        """The answer, a stream that has begun (or will, with its next piece), or the error inside a 200."""
        if reply.stream is not None:
            return self._opening(reply).read(reply.body)
        try:
            response = self.dialect.parse_response(wire.decode(reply.body), self.memo)
        except DialectError as error:
            return not_an_answer(self.read_error(reply), cleared(reply, self.sent), error)
        if not self.request.stream:
            return response
        return whole_stream(response)

    def _opening(self, reply: Reply) -> Opening:
        def of(data: bytes) -> Reply:
            return Reply(reply.status, reply.headers, data)

        return Opening(
            parser=self._stream_parser(),
            dialect=self.dialect.name,
            text=self.dialect.stream_media_type == "text/event-stream",
            whole=lambda data: cast("Response | OpenStream | ErrorResponse", self.read(of(data))),
            refuse=lambda data, error: not_an_answer(self.read_error(of(data)), cleared(of(data), self.sent), error),
        )

    def _stream_parser(self) -> StreamParser:
        parser = self.dialect.stream_parser(self.memo)
        if self.target is None or self.target.framing is None:
            return parser
        from penstock.calls.wrapped_streams import UnwrappedEvents  # for the one host that wraps

        return UnwrappedEvents(parser)

    def read_error(self, reply: Reply) -> ErrorResponse:
        """The provider's refusal."""
        parse = self.dialect.parse_error
        return read_refusal(reply, self.sent, lambda clear: parse(clear.status, clear.headers, clear.body))


def _without_path(spelling: dict[str, str] | None) -> dict[str, str] | None:
    """What a request's own path said ("path") is the target's address to say now, or its body."""
    if not spelling or "path" not in spelling.values():
        return spelling
    return {name: word for name, word in spelling.items() if word != "path"} or None


def not_an_answer(said: ErrorResponse, reply: Reply, error: DialectError) -> ErrorResponse:
    """A 200 that is no answer: the error in it (`said`, as the dialect reads it), if it says one, else what it was."""
    if isinstance(said.body, dict) and ("error" in said.body or said.body.get("object") == "error"):
        return said
    text = reply.body[:500].decode("utf-8", "replace")
    kind = reply.headers.get("content-type", "no content type")
    message = f"the answer ({kind}, {len(reply.body)} bytes) is not one: {error}. It begins: {text!r}"
    return ErrorResponse(kind="bad_gateway", status=502, message=message, native="not_an_answer", body=text)


def whole_stream(response: Response) -> OpenStream:
    """A stream of an answer that came whole. Its events are nobody's own: no wire frame is behind them."""
    return OpenStream(ENDED, list(unfold(response)), "whole")
