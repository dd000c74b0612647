"""One attempt at a chat call: from the representation to an HTTP request, and from the answer back.

Everything here is pure but for what the exchange does on its behalf (credentials, media that must be fetched). The
attempt remembers what its request left behind for its answer: the notes, and the memo of renamed tools.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from msgspec.structs import replace

from penstock.client.options import Options
from penstock.client.prepare import authorise
from penstock.dialects import registry, wire
from penstock.dialects.dialect import Dialect, StreamParser
from penstock.exchange import Attempt, Preparation, Reply, Timeouts
from penstock.providers.auth.credentials import CredentialCache
from penstock.providers.endpoint import Endpoint
from penstock.resolve import resolve_media
from penstock.types.errors import DialectError, ErrorResponse, LossError, MalformedError
from penstock.types.notes import NO_MEMO, Memo, Note
from penstock.types.request import Request
from penstock.types.response import Response
from penstock.types.stream import Failure, StreamEvent
from penstock.types.unfold import unfold


class UnsupportedParameter(LossError):
    """A parameter that the target does not take, and that the caller did not allow to be dropped."""


@dataclass(slots=True)
class OpenStream:
    """A stream that has begun: its parser, and the events of its first piece."""

    parser: StreamParser
    first: list[StreamEvent]
    dialect: str
    finished: bool = False


@dataclass(slots=True)
class ChatAttempt:
    """A call to one endpoint."""

    request: Request
    endpoint: Endpoint
    options: Options
    credentials: CredentialCache
    name: str
    notes: tuple[Note, ...] = ()
    memo: Memo = NO_MEMO
    dialect: Dialect = field(init=False)

    def __post_init__(self) -> None:
        self.dialect = registry.get(self.endpoint.format)

    def attempt(self, timeouts: Timeouts) -> Attempt[Response | OpenStream]:
        """What the exchange runs."""
        return Attempt(
            name=self.name,
            provider=self.endpoint.provider,
            model=self.endpoint.model,
            stream=bool(self.request.stream),
            timeouts=timeouts,
            prepare=self.prepare,
            read=self.read,
            read_error=self.read_error,
        )

    def prepare(self, now: float) -> Preparation:
        """Fetch what must be fetched, render, authorise."""
        request = yield from resolve_media(self.request, self.dialect.carries_urls, self.endpoint.profile)
        body = wire.encode(self._render(request))
        return (yield from authorise(self.endpoint, body, self.options, self.credentials, now))

    def _render(self, request: Request) -> dict[str, Any]:
        request = replace(request, model=self.endpoint.wire_model)
        rendered = self.dialect.render_request(request, self.endpoint.profile)
        self.notes, self.memo = rendered.notes, rendered.memo
        if self.options.strict:
            rendered.require_lossless()
        self._refuse_unsupported(rendered.notes)
        return self._complete(rendered.value)

    def _refuse_unsupported(self, notes: tuple[Note, ...]) -> None:
        """A whole parameter that was dropped is an error, as LiteLLM's users expect, unless they said `drop_params`."""
        if self.options.drop_params:
            return
        for note in notes:
            parameter = note.path.partition(".")[0]
            if (
                note.kind == "dropped"
                and parameter in _PARAMETERS
                and parameter not in self.options.allowed_openai_params
            ):
                message = (
                    f"{self.name} does not take {parameter!r} ({note.detail}). Pass drop_params=True to leave it out"
                )
                raise UnsupportedParameter(message, parameter)

    def _complete(self, body: dict[str, Any]) -> dict[str, Any]:
        """The body with what the endpoint and the caller add to it and take from it."""
        endpoint = self.endpoint
        for name in endpoint.omit:
            body.pop(name, None)
        if endpoint.model_field != "model" and "model" in body:
            body[endpoint.model_field] = body.pop("model")
        body.update(endpoint.body)
        extra: Mapping[str, Any] | None = self.options.extra_body
        return wire.deep_merge(body, dict(extra)) if extra else body

    def read(self, reply: Reply) -> Response | OpenStream | ErrorResponse:
        """The answer, a stream that has begun, or the error inside a 200."""
        if reply.stream is not None:
            return self._read_stream(reply)
        try:
            response = self.dialect.parse_response(wire.decode(reply.body), self.memo)
        except MalformedError as error:
            return self._not_an_answer(reply, error)
        if not self.request.stream:
            return response
        return OpenStream(_NOTHING, list(unfold(response)), self.dialect.name, finished=True)

    def _read_stream(self, reply: Reply) -> OpenStream | ErrorResponse:
        parser = self.dialect.stream_parser(self.memo)
        try:
            events = parser.feed(reply.body)
        except DialectError as error:
            return self._not_an_answer(reply, error)
        for event in events:
            for delta in event.deltas:
                if isinstance(delta, Failure):
                    return delta.error
        return OpenStream(parser, events, self.dialect.name)

    def _not_an_answer(self, reply: Reply, error: DialectError) -> ErrorResponse:
        """A 200 that is no answer: the error in it, if it says one, else what it was."""
        said = self.dialect.parse_error(reply.status, reply.headers, reply.body)
        if said.native != "other" and said.body is not None and said.message:
            return said
        text = reply.body[:500].decode("utf-8", "replace")
        kind = reply.headers.get("content-type", "no content type")
        message = (
            f"the answer ({kind}, {len(reply.body)} bytes) is none of {self.dialect.name}: {error}. It begins: {text!r}"
        )
        return ErrorResponse(kind="bad_gateway", status=502, message=message, native="not_an_answer", body=text)

    def read_error(self, reply: Reply) -> ErrorResponse:
        """The provider's refusal."""
        return self.dialect.parse_error(reply.status, reply.headers, reply.body)


_PARAMETERS = frozenset(Request.__struct_fields__) - {
    "dialect",
    "model",
    "messages",
    "system",
    "stream",
    "extras",
    "spelling",
}


class _Nothing:
    """The parser of a stream that came whole."""

    def feed(self, data: bytes) -> list[StreamEvent]:
        return []

    def close(self) -> list[StreamEvent]:
        return []


_NOTHING = _Nothing()
