"""The attempts of a chat request: relayed as it came, or translated. Each is what the exchange runs for one deployment
(`exchange.Attempt`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from penstock.calls.attempt import ChatAttempt
from penstock.calls.betas import accepted
from penstock.calls.failures import stopping_the_attempt
from penstock.calls.refusals import Sent, read_refusal
from penstock.dialects import registry, wire
from penstock.dialects.dialect import PathMatch
from penstock.exchange import AttemptFailed, HTTPRequest, Reply, Timeouts, Unfinished
from penstock.gateway.driver import Wait
from penstock.gateway.relay import joined
from penstock.gateway.surfaces.chat import ChatSurface, Quick
from penstock.gateway.tap import error_in
from penstock.gateway.targets import Target
from penstock.providers.auth.credentials import Borrowing
from penstock.types.errors import DialectError, ErrorResponse
from penstock.types.notes import NO_MEMO
from penstock.types.request import Request
from penstock.types.response import Response

if TYPE_CHECKING:
    from penstock.gateway.chat import ChatCall


class RelayAttempt:
    """An attempt whose request goes on as it came. An `exchange.Attempt` in its own right, without the copying."""

    __slots__ = ("call", "group", "hops", "lent", "quick", "response", "sent", "stream", "target", "timeouts")

    local = None

    def __init__(self, call: ChatCall, target: Target, timeouts: Timeouts, group: str, hops: int) -> None:
        self.call = call
        self.target = target
        self.timeouts = timeouts
        self.group = group
        self.hops = hops
        self.stream = call.peeked.stream
        self.lent: Borrowing | None = None
        self.sent: Sent | None = None
        self.quick: Quick | None = None
        self.response: Response | None = None

    @property
    def name(self) -> str:
        return self.target.name

    @property
    def provider(self) -> str:
        return self.target.resolved.provider.name

    @property
    def model(self) -> str:
        return self.target.resolved.model

    @property
    def facts(self) -> dict[str, Any]:
        """What the answer tells of this attempt."""
        return {"model_id": self.target.deployment.id, "fallbacks": self.hops, "made": self}

    def renew(self) -> bool:
        """Whether what was refused was a remembered credential, and a fresh one may do."""
        return self.lent is not None and self.lent.refused()

    def prepare(self, now: float) -> HTTPRequest | Generator[Any, Any, HTTPRequest]:
        """The request: at once where nothing must be asked for."""
        call = self.call
        if call.principal.quotas:
            wait = call.reserve(self.target)
            if wait is not None:
                return self._after(wait, now)
        return self._ready() or self._authorised(now)

    def _after(self, wait: Wait | None, now: float) -> Generator[Any, Any, HTTPRequest]:
        while wait is not None:
            yield wait
            wait = self.call.reserve(self.target)
        return self._ready() or (yield from self._authorised(now))

    def _ready(self) -> HTTPRequest | None:
        call = self.call
        return self.target.request(self.body(), call.inbound.header(b"anthropic-beta"), call.plane.passed_on(call))

    def _authorised(self, now: float) -> Generator[Any, Any, HTTPRequest]:
        call, found = self.call, self.target.endpoint
        more = dict(call.plane.passed_on(call))
        betas = call.inbound.header(b"anthropic-beta")
        if betas and found is not None and found.betas:
            more[found.beta_header] = accepted(betas, found)
        bare = HTTPRequest("POST", "", tuple(more.items()), self.body())
        self.lent = Borrowing(self.target.engine.credentials)
        with stopping_the_attempt():
            request = yield from self.target.authorised(bare, self.lent, now)
        assert found is not None, "what is relayed has an endpoint"
        self.sent = Sent(request, found.auth, now)
        return request

    def body(self) -> bytes:
        """The body, with what must differ."""
        call, endpoint = self.call, self.target.endpoint
        assert endpoint is not None, "what is relayed has an endpoint"
        surface, peeked, members = call.surface, call.peeked, call.members
        asks = peeked.stream and not peeked.counts and surface.count is not None
        if asks or call.cap is not None or endpoint.wire_model != peeked.model:
            members = dict(members)
            if surface.names_model_in_body:
                members["model"] = endpoint.wire_model
            if asks and surface.count is not None:
                surface.count(members)
            if call.cap is not None:
                surface.cap(members, call.cap, endpoint.profile.max_tokens_field)
        return joined(members)

    def read(self, reply: Reply) -> Any:
        """A whole answer, a stream that begins, or the error that is one though its status says otherwise."""
        router = self.call.plane.router
        if router.learns:
            router.learn(self.target, reply.headers)
        if reply.stream is not None:
            return self._opens(reply)
        surface = self.call.surface
        self.quick = surface.quick(reply.body)
        if self.quick is None:
            try:
                self.response = surface.dialect.parse_response(wire.decode(reply.body), NO_MEMO)
            except DialectError:
                return self._no_answer(reply)
        return reply

    def _opens(self, reply: Reply) -> Any:
        """A stream that begins with an error, or does not begin at all, is a failed attempt. A host that answers whole
        where a stream was asked for is read to its end.
        """
        if not reply.body:
            return ErrorResponse(
                kind="unavailable", status=503, message="the stream ended before it began", native="read"
            )
        if "event-stream" not in reply.headers.get("content-type", "event-stream") and not _FRAMES(reply.body):
            return self._whole([reply.body], reply)
        surface = self.call.surface
        for mark in surface.marks.error:
            if mark in reply.body:
                return error_in(reply.body, surface.dialect) or STREAM
        return STREAM

    def _whole(self, pieces: list[bytes], reply: Reply) -> Unfinished[Any]:
        def read(piece: bytes) -> Any:
            if piece:
                pieces.append(piece)
                return Unfinished(read)
            whole = Reply(reply.status, reply.headers, b"".join(pieces))
            try:
                return self.call.surface.dialect.parse_response(wire.decode(whole.body), NO_MEMO)
            except DialectError:
                return self._no_answer(whole)

        return Unfinished(read)

    def _no_answer(self, reply: Reply) -> ErrorResponse:
        error = self.read_error(reply)
        if isinstance(error.body, dict) and "error" in error.body:
            return error
        message = f"the answer ({len(reply.body)} bytes) of {self.target.name} is not one"
        return ErrorResponse(kind="bad_gateway", status=502, message=message, native="not_an_answer")

    def read_error(self, reply: Reply) -> ErrorResponse:
        """The provider's refusal."""
        call = self.call
        call.plane.router.learn(self.target, reply.headers)
        parse = call.surface.dialect.parse_error
        return read_refusal(reply, self.sent, lambda clear: parse(clear.status, clear.headers, clear.body))


class TranslateAttempt:
    """An attempt in another dialect than the client's: the SDK's own attempt."""

    __slots__ = ("call", "chat", "target")

    def __init__(self, call: ChatCall, target: Target) -> None:
        self.call = call
        self.target = target
        more = call.plane.passed_on(call)
        betas = call.inbound.header(b"anthropic-beta") or None
        self.chat = translation(call.request(), target, call.surface, more, betas)

    def prepare(self, now: float) -> Generator[Any, Any, HTTPRequest]:
        """The request: rendered, its media fetched, authorised."""
        call = self.call
        if call.principal.quotas:
            while (wait := call.reserve(self.target)) is not None:
                yield wait
        if call.cap is not None:
            self.chat.request = replace(self.chat.request, max_tokens=call.cap)
        request: HTTPRequest = yield from self.chat.prepare(now)
        if self.target.endpoint is None and self.chat.target is not None:
            self.target.found(self.chat.target, call.surface.dialect.name)
        call.notes = self.chat.notes
        need = None if call.speaks(self.chat.target) else call.needs_of_a_deployment()
        if need is not None:  # where it is was found out only now
            error = ErrorResponse(kind="invalid_request", status=400, message=need.message, param=need.param)
            raise AttemptFailed(error)
        return request


def translation(
    request: Request, target: Target, surface: ChatSurface, more: tuple[tuple[str, str], ...], betas: str | None
) -> ChatAttempt:
    """The SDK's own attempt at a target, for a request of this surface. `more`: headers that go on to the provider;
    `betas`: the client's header of that name.
    """
    engine = target.engine
    return ChatAttempt(
        with_defaults(request, target.defaults),
        target.resolved,
        target.options,
        engine.environment,
        engine.credentials,
        target.facts,
        prefer=(surface.dialect.name,) if surface.prefers else (),
        passed_betas=betas,
        endpoint=target.endpoint,
        more_headers=more,
        ready=_ready(target, more),
    )


def _ready(target: Target, more: tuple[tuple[str, str], ...]) -> Callable[[bytes], HTTPRequest | None]:
    """Makes requests to a target from bodies. (It holds neither the call nor the attempt, which hold it.)"""

    def ready(body: bytes) -> HTTPRequest | None:
        return target.request(body, None, more)

    return ready


def with_defaults(request: Request, defaults: dict[str, Any]) -> Request:
    """The request with a deployment's own parameters (in OpenAI's words) where it says nothing itself."""
    if not defaults:
        return request
    chat = registry.get("openai_chat")
    given = chat.parse_request({"model": "", "messages": [], **defaults}, _NOTHING_SAID)
    changes: dict[str, Any] = {}
    for name in given.__struct_fields__:
        if name in _ITS_OWN:
            continue
        value = getattr(given, name)
        if value is not None and value != () and getattr(request, name) in (None, ()):
            changes[name] = value
    if given.extras and request.dialect == "openai_chat":
        changes["extras"] = {**given.extras, **(request.extras or {})}
    return replace(request, **changes) if changes else request


_ITS_OWN = frozenset({"dialect", "model", "messages", "system", "spelling", "extras", "stream", "stream_usage"})
_NOTHING_SAID = PathMatch()
STREAM = object()
"""What a stream that is relayed begins with: it is read by who passes it on."""
_FRAMES = re.compile(rb"\s*(?:data|event|id|retry)?:").match
"""How a stream of events begins, whatever its content type says."""
