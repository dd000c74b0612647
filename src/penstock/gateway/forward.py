"""ForwardCall: a request that goes to one provider as it is, under the path that it names there, with the credentials
of
the gateway in the place of the client's.

So `/{provider}/{path}` is passed through, and what a provider keeps (responses, files, batches) is fetched from the
deployment that made it. What such a request is about is nobody's business, except for what it costs: where its path
is that of a chat, its answer is read along, like a relayed one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote, urlencode

from msgspec import Struct

from penstock.calls.failures import stopping_the_attempt
from penstock.calls.prepare import authorise
from penstock.dialects import registry, wire
from penstock.dialects.dialect import PathMatch
from penstock.exchange import Broken, HTTPRequest, Reply, Success, exchange
from penstock.gateway import bounds
from penstock.gateway.driver import Piped
from penstock.gateway.http.heads import header_line, header_value
from penstock.gateway.http.inbound import Inbound
from penstock.gateway.policies.model_access import allowed, denied
from penstock.gateway.principal import Principal
from penstock.gateway.refused import Nowhere, Refused
from penstock.gateway.relay import Peeked, members_of, text
from penstock.gateway.routed import RoutedCall
from penstock.gateway.surfaces import anthropic_messages, gemini, openai_chat, openai_responses
from penstock.gateway.surfaces.chat import ChatSurface
from penstock.gateway.tap import StreamTap
from penstock.gateway.targets import Target
from penstock.providers.auth.credentials import Borrowing
from penstock.providers.endpoint import Endpoint
from penstock.providers.urls import origin_of
from penstock.routing.deployment import Deployment
from penstock.types.errors import DialectError, ErrorResponse
from penstock.types.notes import NO_MEMO
from penstock.types.retry import Again
from penstock.types.usage import Usage

if TYPE_CHECKING:
    from penstock.gateway.plane import Plane

READ_ALONG: tuple[ChatSurface, ...] = (
    openai_chat.SURFACE,
    openai_responses.SURFACE,
    anthropic_messages.SURFACE,
    gemini.SURFACE,
)
"""Chats whose answers are read for their usage, by their paths."""
KEYS = frozenset({b"authorization", b"x-api-key", b"api-key", b"x-goog-api-key", b"x-litellm-api-key"})
"""Headers that bear a client's key for this gateway: they never go on."""
_NOT_PASSED = KEYS | {
    b"host",
    b"connection",
    b"keep-alive",
    b"transfer-encoding",
    b"content-length",
    b"expect",
    b"upgrade",
    b"accept-encoding",
    b"cookie",
    b"forwarded",
    b"x-forwarded-for",
    b"x-forwarded-host",
    b"x-forwarded-proto",
    b"x-real-ip",
}
_NOT_PASSED_BACK = frozenset(
    {
        "connection",
        "keep-alive",
        "transfer-encoding",
        "content-length",
        "content-encoding",
        "set-cookie",
        "date",
        "server",
    }
)


class Destination(Struct, frozen=True):
    """Where a request goes: the deployment (its arguments are address and credentials), and the path there."""

    deployment: Deployment
    path: str
    capability: str = "chat"


class ForwardCall(RoutedCall):
    """One such request. `made` is told of what the provider made (its id), so that it can be found again."""

    operation = "pass_through"

    def __init__(
        self,
        plane: Plane,
        inbound: Inbound,
        principal: Principal,
        destination: Destination,
        operation: str = "pass_through",
        made: Callable[[str, Deployment], None] | None = None,
    ) -> None:
        self.operation = operation
        self.destination = destination
        self.made = made
        self.read_along = next(
            (each for each in READ_ALONG if inbound.method == "POST" and _is_chat(each, destination.path)), None
        )
        is_json = "json" in inbound.header(b"content-type") or self.read_along is not None
        members = members_of(inbound.body) if is_json and inbound.body.strip() else {}
        super().__init__(plane, inbound, principal, members)
        self.asked(self._peek(), operation)
        self.group = destination.deployment.group

    def _peek(self) -> Peeked:
        surface = self.read_along
        if surface is None:
            return Peeked(text(self.members, "model") or "")
        match = surface.dialect.match_path(self.destination.path) or PathMatch()
        return surface.peek(self.members, match)

    def voice(self) -> Any:
        return registry.get("openai_chat") if self.read_along is None else self.read_along.dialect

    def needs(self, limit: int | None) -> tuple[int, int]:
        if self.read_along is None:
            return (bounds.loose(self.inbound.body) if self.peeked.model else 0), 0
        return super().needs(limit)

    def go(self) -> None:
        principal, model = self.principal, self.peeked.model
        named = f"{self.destination.deployment.model.partition('/')[0]}/{model}"
        if principal.models and not (model and allowed(principal, model, named)):
            raise denied(principal, model or self.destination.path)
        self.inbound.client_left = self.client_left
        self.route = _NoRoute()
        attempt = ForwardAttempt(self)
        run = exchange(_Once(attempt), self.plane.clock, None, self)
        self.drive(run)

    def fail(self, error: ErrorResponse) -> None:
        """End with an error: what the provider said goes through as it came, but for secrets."""
        reply = self.attempt.refused if isinstance(self.attempt, ForwardAttempt) else None
        if self.over or reply is None:
            super().fail(error)
            return
        self.over = True
        self.close("failure", reply.status, error=error.kind)
        self.give_up(error)
        kind = header_line("content-type", reply.headers.get("content-type", "application/json"))
        self.inbound.respond(reply.status, kind + self.ids(), self.plane.redact(reply.body))
        self.release()

    def answer(self, success: Success[Any]) -> None:
        ForwardedAnswer(self, success.reply).begin()


class _Once:
    """A plan of one attempt: what a request does at a provider, and whether it may be done twice, nobody knows here."""

    def __init__(self, attempt: Any) -> None:
        self._attempt = attempt

    def after(self, tried: Any) -> Again | None:
        return None if tried else Again(self._attempt)


class _NoRoute:
    """Nobody chose: there was one place to go."""

    def began(self, attempt: Any) -> None: ...
    def ended(self, attempt: Any, seconds: float, error: Any, streams: bool) -> None: ...
    def left(self, attempt: Any) -> None: ...
    def done(self, tokens: int = 0) -> None: ...
    def broke(self, why: Any = None) -> None: ...


class ForwardAttempt:
    """The attempt. An `exchange.Attempt`; whatever the provider answers is the answer."""

    local = None
    stream = True

    def __init__(self, call: ForwardCall) -> None:
        self.call = call
        where = call.destination
        model = call.peeked.model or "-"
        provider = where.deployment.model.partition("/")[0]
        arguments = {**where.deployment.arguments, "model": f"{provider}/{model}"}
        deployment = Deployment(group=where.deployment.group, arguments=arguments, id=where.deployment.id)
        self.target: Target = call.plane.targets.of(deployment, where.capability, "", (), False)
        self.timeouts = call.plane.timeouts(call, where.deployment)
        self.name, self.provider, self.model = self.target.name, provider, model
        self.facts = {"made": self, "fallbacks": 0, "model_id": deployment.id}
        self.lent = Borrowing(self.target.engine.credentials)
        self.refused: Reply | None = None

    def renew(self) -> bool:
        return self.lent.refused()

    def prepare(self, now: float) -> Generator[Any, Any, HTTPRequest]:
        """The request, under the provider's address, with the gateway's credentials."""
        call, target = self.call, self.target
        with stopping_the_attempt():
            if target.endpoint is None:
                yield from target.locate(call.destination.capability, False, (), "", now)
            if call.principal.quotas and call.peeked.model:
                while (wait := call.reserve(target)) is not None:
                    yield wait
            endpoint = target.endpoint
            assert endpoint is not None, "it was located"
            place = _placed(endpoint, target, call)
            kind = call.inbound.header(b"content-type") or None
            request = yield from authorise(place, call.inbound.body, target.options, self.lent, now, kind)
            return request

    def read(self, reply: Reply) -> Any:
        return reply

    def read_error(self, reply: Reply) -> ErrorResponse:
        """The provider's refusal."""
        self.refused = reply
        error: ErrorResponse = self.call.voice().parse_error(reply.status, reply.headers, reply.body)
        return error


def _placed(endpoint: Endpoint, target: Target, call: ForwardCall) -> Endpoint:
    """The provider's endpoint with the method, path, query and headers of the request."""
    from msgspec.structs import replace

    base = base_of(target, endpoint)
    origin = origin_of(base)
    prefix = base.removeprefix(origin).rstrip("/")
    path = call.destination.path
    url = origin + path if prefix and path.startswith(f"{prefix}/") else origin + prefix + path
    query = [(name, value) for name, value in parse_qsl(call.inbound.query, keep_blank_values=True) if name != "key"]
    if query:
        url += "?" + urlencode(query, quote_via=quote)
    headers = {
        name.decode("latin-1"): value.decode("latin-1")
        for name, value in call.inbound.headers.items()
        if name not in _NOT_PASSED and not name.startswith((b"x-penstock-", b"x-litellm-"))
    }
    headers.pop("content-type", None)
    return replace(endpoint, method=call.inbound.method, url=url, query={}, headers={**endpoint.headers, **headers})


def base_of(target: Target, endpoint: Endpoint) -> str:
    """The address below which a provider's API stands: the deployment's own, else the row's."""
    given = target.options.address.get("api_base") or target.options.address.get("base_url")
    base = str(given) if given else (target.resolved.provider.base_url or endpoint.url)
    return endpoint.url if "{" in base else base


class ForwardedAnswer:
    """An answer that is passed on as it comes."""

    def __init__(self, call: ForwardCall, reply: Reply) -> None:
        self._call, self._reply = call, reply
        self._piped: Piped = reply.stream
        surface = call.read_along
        streams = "event-stream" in reply.headers.get("content-type", "")
        self._tap = StreamTap(surface.dialect, surface.marks) if surface is not None and streams else None
        wanted = self._tap is None and (surface is not None or call.made is not None)
        self._kept: list[bytes] | None = [] if wanted else None
        self._done = False
        self._first = time.perf_counter() - call.sent_at

    def begin(self) -> None:
        """Send the head, and what has come; then whatever comes."""
        call, inbound, reply = self._call, self._call.inbound, self._reply
        call.waited += self._first
        lines = b"".join(
            header_line(name, value) for name, value in reply.headers.items() if name not in _NOT_PASSED_BACK
        )
        lines += b"x-penstock-call-id: %b\r\nx-penstock-deployment: %b\r\n" % (
            call.id.encode(),
            header_value(call.destination.deployment.id),
        )
        inbound.begin(reply.status, lines)
        inbound.slow = self._piped.slow
        inbound.client_left, inbound.answering = self._client_left, self
        self._take(reply.body)
        self._piped.attach(self._take)

    def _take(self, piece: bytes | Broken | None) -> None:
        if self._done:
            return
        if type(piece) is bytes:
            if self._tap is not None:
                self._tap.feed(piece)
            elif self._kept is not None:
                self._kept.append(piece)
            self._call.inbound.write(piece)
            return
        self._done = True
        self._record("success" if piece is None else "broken")
        if piece is None:
            self._call.inbound.end()
        else:
            self._call.inbound.abort()
        self._call.release()

    def _record(self, outcome: str) -> None:
        call, made = self._call, self._call.attempt
        usage, reason, answer_id, tier = self._read()
        cost: tuple[int | None, str | None] = (0, "0")
        if call.read_along is not None:
            cost = call.charge(made.target, usage, tier, None)
        call.finish(
            self._reply.status,
            usage,
            cost[0],
            cost[1],
            reason,
            answer_id,
            outcome=outcome,
            error=None if outcome == "success" else "unavailable",
            estimated=usage is None and call.read_along is not None,
            first_token=self._first,
        )
        if answer_id is not None and call.made is not None:
            call.made(answer_id, call.destination.deployment)

    def _read(self) -> tuple[Usage | None, str | None, str | None, str | None]:
        """(usage, reason of the end, id, service tier), as far as the answer says them."""
        if self._tap is not None:
            seen = self._tap.read()
            return seen.usage, seen.finish_reason, seen.response_id, seen.service_tier
        if self._kept is None:
            return None, None, None, None
        surface, body = self._call.read_along, b"".join(self._kept)
        try:
            value = wire.decode(body)
            if surface is not None:
                response = surface.dialect.parse_response(value, NO_MEMO)
                reason = response.choices[0].stop_reason if response.choices else None
                return response.usage, reason, response.id, response.service_tier
        except DialectError:
            return None, None, None, None
        found = value.get("id") if isinstance(value, Mapping) else None
        return None, None, found if isinstance(found, str) else None, None

    def cut(self, error: ErrorResponse) -> None:
        """End it here: its key was revoked. Nothing can be said within a body of any kind."""
        if self._done:
            return
        self._done = True
        self._piped.close()
        self._record("cancelled")
        self._call.inbound.abort()

    def _client_left(self) -> None:
        if self._done:
            return
        self._done = True
        self._piped.close()
        self._record("cancelled")


def _is_chat(surface: ChatSurface, path: str) -> bool:
    """Whether a path is that of a chat request in this dialect, whatever version stands before it."""
    found = surface.dialect.match_path(path)
    return found is not None


def pass_through(plane: Any, inbound: Inbound, principal: Principal | None) -> None:
    """`/{provider}/{path}`: to the provider, with its credentials. A virtual key needs the configuration's leave (its
    section `pass_through` names the provider); the master key does not. Raises Refused.
    """
    assert principal is not None, "only who has a key is served"
    name, _, rest = inbound.path.removeprefix("/").partition("/")
    provider = plane.engine.registry.find(name)
    if provider is None or not rest:
        raise Nowhere
    given = plane.snapshot.pass_through.get(name, plane.snapshot.pass_through.get(provider.name))
    if given is None and principal.role != "master":
        message = f"requests are not passed through to {provider.name} for this key: `pass_through` does not name it"
        raise Refused("permission", 403, message)
    if any(part in (".", "..") for part in rest.split("/")):
        raise Refused("invalid_request", 400, "a path may not lead upwards")
    arguments = {"model": f"{provider.name}/-", **(given or {})}
    deployment = Deployment(group=name, arguments=arguments, id=f"pass-through-{provider.name}")
    path = "/" + quote(rest, safe="/:@!$&'()*+,;=~-._")
    ForwardCall(plane, inbound, principal, Destination(deployment, path)).admit()
