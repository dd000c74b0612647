"""ForwardCall: a request that goes to one provider as it is, under the path that it names there, with the credentials
of
the gateway in the place of the client's.

So `/{provider}/{path}` is passed through, and what a provider keeps (responses, files, batches) is fetched from the
deployment that made it. What such a request is about is nobody's business, except for what it costs: where its path
is that of a chat, its answer is read along, like a relayed one.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Generator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote, urlencode

from msgspec import Struct
from msgspec.structs import replace

from penstock.calls.failures import stopping_the_attempt
from penstock.calls.prepare import authorise
from penstock.dialects import registry, wire
from penstock.dialects.dialect import PathMatch
from penstock.exchange import AttemptFailed, Broken, HTTPRequest, Reply, Success, exchange
from penstock.gateway import bounds
from penstock.gateway.driver import Piped
from penstock.gateway.http.heads import header_line
from penstock.gateway.http.inbound import Inbound
from penstock.gateway.made import Made
from penstock.gateway.plans import NoRoute, Once
from penstock.gateway.policies.model_access import allowed, denied
from penstock.gateway.principal import Principal
from penstock.gateway.refused import Nowhere, Refused
from penstock.gateway.relay import Peeked, joined, members_of, text
from penstock.gateway.routed import RoutedCall
from penstock.gateway.surfaces import anthropic_messages, gemini, openai_chat, openai_responses
from penstock.gateway.surfaces.chat import ChatSurface
from penstock.gateway.tap import StreamTap
from penstock.gateway.targets import Target
from penstock.providers.auth.credentials import Borrowing
from penstock.providers.endpoint import Endpoint
from penstock.providers.urls import join
from penstock.routing.deployment import Deployment
from penstock.types.errors import DialectError, ErrorResponse
from penstock.types.notes import NO_MEMO
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
    b"te",
    b"trailer",
    b"proxy-connection",
    b"proxy-authorization",
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
    """Where a request goes.

    deployment   its arguments are address and credentials
    path         the path below the provider's base
    capability, format   what is asked of the provider, and in which format ("": any)
    below        segments below the endpoint of that capability, instead of a path; None: the path holds
    """

    deployment: Deployment
    path: str
    capability: str = "chat"
    format: str = ""
    below: tuple[str, ...] | None = None


class Keeping(Struct, frozen=True):
    """What becomes of the ids in an answer: what they name is `owner`'s from now on, and stays with who made it.

    ids   the answer -> the ids in it that are new
    """

    owner: str
    ids: Callable[[Mapping[str, Any]], tuple[str, ...]]


class ForwardCall(RoutedCall):
    """One such request. `keeping` says what of the answer can be asked for again."""

    operation = "pass_through"
    path_may_name = takes_words = False

    def __init__(
        self,
        plane: Plane,
        inbound: Inbound,
        principal: Principal,
        destination: Destination,
        operation: str = "pass_through",
        keeping: Keeping | None = None,
    ) -> None:
        self.operation = operation
        self.destination = destination
        self.keeping = keeping
        self.read_along = _read_along(inbound.method, destination)
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
        if self.destination.below is None:
            named = f"{self.destination.deployment.model.partition('/')[0]}/{model}"
            if principal.models and not (model and allowed(principal, model, named)):
                raise denied(principal, model or self.destination.path)
            if self.read_along is None and self.inbound.method == "POST" and has_budget(principal):
                raise Refused("permission", 403, _UNPRICED)
        self.inbound.client_left = self.client_left
        self.route = NoRoute()
        self.drive(exchange(Once(self.attempt_made()), self.plane.clock, None, self))

    def explanation(self) -> str:
        return ""  # nobody chose

    def attempt_made(self) -> Any:
        """The one attempt."""
        return ForwardAttempt(self)

    def fail(self, error: ErrorResponse) -> None:
        """End with an error: what the provider said goes through as it came, but for secrets."""
        reply: Reply | None = getattr(self.attempt, "refused", None)
        if self.over or reply is None:
            super().fail(error)
            return
        self.over = True
        self.close("failure", reply.status, error=error.kind)
        self.give_up(error)
        self.inbound.respond(reply.status, lines_of(reply.headers) + self.ids(), self.plane.redact(reply.body))
        self.release()

    def answer(self, success: Success[Any]) -> None:
        ForwardedAnswer(self, success.reply).begin()


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
        prefer = (where.format,) if where.format else ()
        self.target: Target = call.plane.targets.of(deployment, where.capability, where.format, prefer, False)
        self.timeouts = call.plane.timeouts(where.deployment, call.overrides, call.peeked.stream)
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
                where = call.destination
                prefer = (where.format,) if where.format else ()
                yield from target.locate(where.capability, False, prefer, where.format, now)
            if call.principal.quotas and call.peeked.model:
                while (wait := call.reserve(target)) is not None:
                    yield wait
            endpoint = target.endpoint
            assert endpoint is not None, "it was located"
            if call.destination.format not in ("", endpoint.format):
                message = f"{self.name.removesuffix('/-')} keeps no {call.operation}s that could be asked for"
                raise AttemptFailed(ErrorResponse(kind="not_found", status=404, message=message))
            place = _placed(endpoint, target, call)
            kind = call.inbound.header(b"content-type") or None
            return (yield from authorise(place, self._body(endpoint), target.options, self.lent, now, kind))

    def _body(self, endpoint: Endpoint) -> bytes:
        """The body as it came; no more may come out than what was reserved allows."""
        call = self.call
        if call.cap is None or call.read_along is None:
            return call.inbound.body
        members = dict(call.members)
        call.read_along.cap(members, call.cap, endpoint.profile.max_tokens_field)
        return joined(members)

    def read(self, reply: Reply) -> Any:
        return reply

    def read_error(self, reply: Reply) -> ErrorResponse:
        """The provider's refusal."""
        self.refused = reply
        error: ErrorResponse = self.call.voice().parse_error(reply.status, reply.headers, reply.body)
        return error


def _placed(endpoint: Endpoint, target: Target, call: ForwardCall) -> Endpoint:
    """The provider's endpoint with the method, path, query and headers of the request."""
    where = call.destination
    query: Mapping[str, str] = {}
    if where.below is None:
        url = under(base_of(target, endpoint), where.path)
    else:
        url, query = (
            "/".join([endpoint.url.rstrip("/"), *(quote(each, safe="") for each in where.below)]),
            endpoint.query,
        )
    url = with_query(url, call.inbound.query, GATEWAYS_OWN if where.below is not None else _KEY)
    headers = {**endpoint.headers, **headers_of(call.inbound)}
    return replace(endpoint, method=call.inbound.method, url=url, query=query, headers=headers)


def under(base: str, path: str) -> str:
    """A path below a base address. Where the base ends with what the path begins with, that is written once; a path
    that begins with another version of an API than the base ends with means that one.
    """
    first = path.strip("/").partition("/")[0]
    if _VERSION.fullmatch(first):
        before, _, last = base.rstrip("/").rpartition("/")
        base = before if _VERSION.fullmatch(last) else base
    return join(base, path) + ("/" if path.endswith("/") and path != "/" else "")


_VERSION = re.compile(r"v\d+\w*")
_KEY = frozenset({"key"})
GATEWAYS_OWN = _KEY | {"model", "custom_llm_provider", "target_model_names"}
"""Words in the query, or in a form, that say where what a provider keeps shall go: they are for the gateway."""


def with_query(url: str, query: str, without: frozenset[str]) -> str:
    """The address with the client's query, but for these names."""
    kept = [(name, value) for name, value in parse_qsl(query, keep_blank_values=True) if name not in without]
    if not kept:
        return url
    return f"{url}{'&' if '?' in url else '?'}{urlencode(kept, quote_via=quote)}"


def headers_of(inbound: Inbound) -> dict[str, str]:
    """The client's headers that go on: none that bears its key, or is about its connection."""
    return {
        name.decode("latin-1"): value.decode("latin-1")
        for name, value in inbound.headers.items()
        if name not in _NOT_PASSED and name != b"content-type" and not name.startswith((b"x-penstock-", b"x-litellm-"))
    }


def lines_of(headers: Mapping[str, str]) -> bytes:
    """A provider's headers that go back to the client."""
    return b"".join(header_line(name, value) for name, value in headers.items() if name not in _NOT_PASSED_BACK)


def has_budget(principal: Principal) -> bool:
    """Whether a principal's money is limited."""
    return any(quota.kind == "money" for quota in principal.quotas)


_UNPRICED = (
    "a key with a budget passes through only what can be priced, which is chats: use the gateway's own paths "
    "(/v1/embeddings, /v1/images/generations ...) for the rest"
)


def base_of(target: Target, endpoint: Endpoint) -> str:
    """The address below which a provider's API stands: the deployment's own, else the row's."""
    given = target.options.address.get("api_base") or target.options.address.get("base_url")
    base = str(given) if given else (target.resolved.provider.base_url or endpoint.url)
    return endpoint.url if "{" in base else base


class ForwardedAnswer:
    """An answer that is passed on as it comes; a whole answer to a chat waits for its end, so that its cost can stand
    in the head.
    """

    def __init__(self, call: ForwardCall, reply: Reply) -> None:
        self._call, self._reply = call, reply
        self._piped: Piped = reply.stream
        surface = call.read_along
        streams = "event-stream" in reply.headers.get("content-type", "")
        self._tap = StreamTap(surface.dialect, surface.marks) if surface is not None and streams else None
        self._waits = surface is not None and not streams and "json" in reply.headers.get("content-type", "")
        keeps = self._tap is None and (surface is not None or call.keeping is not None)
        self._kept: list[bytes] | None = [] if keeps else None
        self._done = False
        self._first = time.perf_counter() - call.sent_at

    def begin(self) -> None:
        """Send the head, and what has come; then whatever comes."""
        call, inbound = self._call, self._call.inbound
        call.waited += self._first
        if not self._waits:
            inbound.begin(self._reply.status, self._head(None))
        inbound.pace(self._piped.slow)
        inbound.client_left = self._client_left
        self._take(self._reply.body)
        self._piped.attach(self._take)

    def _head(self, cost_text: str | None) -> bytes:
        call = self._call
        return lines_of(self._reply.headers) + call.answer_head(call.attempt.target, b"", cost_text)

    def _take(self, piece: bytes | Broken | None) -> None:
        if self._done:
            return
        if type(piece) is bytes:
            if self._tap is not None:
                self._tap.feed(piece)
            elif self._kept is not None:
                self._kept.append(piece)
            if piece and not self._waits:
                self._call.inbound.write(piece)
            return
        self._done = True
        cost_text = self._record("success" if piece is None else "broken")
        inbound = self._call.inbound
        if piece is not None:
            self._broke(piece if isinstance(piece, Broken) else None)
        elif self._waits:
            inbound.respond(self._reply.status, self._head(cost_text), b"".join(self._kept or ()))
        else:
            inbound.end()
        self._call.release()

    def _broke(self, why: Broken | None) -> None:
        call = self._call
        if not self._waits:
            call.inbound.abort()
            return
        reason = "" if why is None else f": {why.message}"
        error = ErrorResponse(kind="bad_gateway", status=502, message=f"the provider's answer broke off{reason}")
        status, body = call.plane.refusal(call.voice(), error)
        call.inbound.respond(status, call.error_head(error), body)

    def _record(self, outcome: str) -> str | None:
        call, made = self._call, self._call.attempt
        usage, reason, answer_id, tier, ids = self._read()
        cost: tuple[int | None, str | None] = (0, "0")
        if call.read_along is not None:
            cost = call.charge(made.target, usage, tier, None)
        if ids and call.keeping is not None:
            call.told = {"made": list(ids), "made_for": call.keeping.owner}
            for name in ids:
                call.plane.shared.made.put(name, Made(call.destination.deployment.id, call.keeping.owner))
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
        return cost[1]

    def _read(self) -> tuple[Usage | None, str | None, str | None, str | None, tuple[str, ...]]:
        """(usage, reason of the end, id, service tier, ids of what was made), as far as the answer says them."""
        if self._tap is not None:
            seen = self._tap.read()
            return seen.usage, seen.finish_reason, seen.response_id, seen.service_tier, ()
        if self._kept is None:
            return _NOTHING
        call, body = self._call, b"".join(self._kept)
        try:
            value = wire.decode(body)
            if call.read_along is not None:
                response = call.read_along.dialect.parse_response(value, NO_MEMO)
                reason = response.choices[0].stop_reason if response.choices else None
                return response.usage, reason, response.id, response.service_tier, ()
        except DialectError:
            return _NOTHING
        if call.keeping is None or not isinstance(value, Mapping):
            return _NOTHING
        return None, None, None, None, call.keeping.ids(value)

    def _client_left(self) -> None:
        if self._done:
            return
        self._done = True
        self._piped.close()
        self._record("cancelled")
        self._call.release()


_NOTHING: tuple[None, None, None, None, tuple[str, ...]] = (None, None, None, None, ())


def _read_along(method: str, destination: Destination) -> ChatSurface | None:
    """The chat whose answer is read along; None: it is none."""
    if method != "POST" or destination.below is not None:
        return None
    return next((each for each in READ_ALONG if _is_chat(each, destination.path)), None)


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
