"""OperationCall: what is asked of models that is no chat (embeddings, reranking, images, speech ...).

Nearly all hosts speak OpenAI's formats for these, so bodies are relayed; embeddings and reranking are translated
where a host has a format of its own. One `Operation` says what differs; `surfaces/places.py` lists them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import replace

from penstock.calls.bills import Bill
from penstock.calls.failures import stopping_the_attempt
from penstock.calls.mock import local_attempt, raise_mock
from penstock.calls.options import Options
from penstock.calls.prepare import authorise, complete
from penstock.dialects import registry, wire
from penstock.exchange import (
    Attempt,
    AttemptFailed,
    Broken,
    HTTPRequest,
    Ladder,
    Reply,
    Success,
    Timeouts,
    exchange,
)
from penstock.gateway import bounds
from penstock.gateway.driver import Piped
from penstock.gateway.forms import Form
from penstock.gateway.http.heads import header_value
from penstock.gateway.http.inbound import Inbound
from penstock.gateway.principal import Principal
from penstock.gateway.relay import Peeked, joined, members_of, text, true, value
from penstock.gateway.routed import Charge, RoutedCall
from penstock.gateway.targets import Target
from penstock.gateway.tariff import Tariff
from penstock.providers.auth.credentials import Borrowing
from penstock.providers.cost import Terms, cost
from penstock.providers.endpoint import Endpoint
from penstock.routing.deployment import Deployment
from penstock.types.errors import DialectError, ErrorResponse
from penstock.types.notes import Note
from penstock.types.usage import Usage

if TYPE_CHECKING:
    from penstock.gateway.plane import Plane

Body = dict[str, Any]


class Translation(Struct, frozen=True):
    """How an operation is said to a host with a format of its own.

    encode   (body, target) -> (the body there, what was lost). Raises DialectError
    decode   (body, answer, target) -> the answer in the surface's shape. Raises DialectError
    error    (format) -> how its errors are read
    """

    encode: Callable[[Body, Endpoint], tuple[Body, tuple[Note, ...]]]
    decode: Callable[[Body, bytes, Endpoint], Body]
    error: Callable[[str], Callable[[int, Mapping[str, str], bytes], ErrorResponse]]


class Parts(Struct, frozen=True):
    """How a request that is longer than a host takes is cut, and the answers are joined.

    long    bytes of a body from which on it may be one that is too long for a host that it is relayed to
    cut     (body, target) -> the bodies: one, where it is not too long
    join    the answers, in the surface's shape and in order -> the whole
    """

    long: int
    cut: Callable[[Body, Endpoint], list[Body]]
    join: Callable[[list[Body]], Body]


class Operation(Struct, frozen=True):
    """One kind of call.

    name         what it is called in the ledger
    capability, format   what is asked of a provider, and the wire format of the surface
    most         (body, bytes of files) -> the usage that it can come to at most
    bill         (body, answer) -> what is charged; None: it costs nothing
    binary       its answers are no JSON
    model        the model where a request names none
    voice        the dialect of its errors
    translation  for hosts with a format of their own
    parts        for requests that are longer than a host takes
    mock         (what a deployment's `mock_response` says, body) -> the answer, or bytes that are no JSON
    """

    name: str
    capability: str
    format: str
    most: Callable[[Body, int], Usage]
    bill: Callable[[Mapping[str, Any], Any], Bill] | None = None
    binary: bool = False
    model: str = ""
    voice: str = "openai_chat"
    translation: Translation | None = None
    parts: Parts | None = None
    mock: Callable[[Any, Body], Body | bytes] | None = None


class OperationCall(RoutedCall):
    """One such request."""

    def __init__(self, plane: Plane, inbound: Inbound, principal: Principal, operation: Operation) -> None:
        self.kind = operation
        self.operation = operation.name
        self._done: list[Part] = []
        kind = inbound.header(b"content-type")
        self.form = Form(inbound.body, kind) if kind.lower().startswith("multipart/form-data") else None
        if self.form is None:
            members = members_of(inbound.body)
        else:
            form = self.form
            names = {field.name for field in form.fields if not field.file}
            members = {name: wire.encode(form.text(name)) for name in names}
        super().__init__(plane, inbound, principal, members)
        if self.form is not None and len(self.members) < len(members):
            self.form = Form(self.form.without(members.keys() - self.members.keys()), kind)
        stream = true(self.members, "stream") or value(self.members, "stream") == "true"
        model = text(self.members, "model") or operation.model
        self.asked(Peeked(model, stream), operation.name)

    def voice(self) -> Any:
        return registry.get(self.kind.voice)

    def body(self) -> Body:
        """The request's own members, read."""
        return {name: value(self.members, name) for name in self.members}

    # -- what it may use ----------------------------------------------------------------------------------------------

    def most(self) -> Usage:
        """The usage that it can come to at most."""
        return self.kind.most(self.body(), 0 if self.form is None else self.form.size())

    def needs(self, limit: int | None) -> tuple[int, int]:
        most = self.most()
        return most.input_tokens or 0, most.output_tokens or 0

    def least_tokens(self) -> int:
        return self.most_tokens()

    def reserve_at_most(self, target: Target) -> int:
        picodollars, _ = self.bill_of(target, Bill(self.most()))
        return picodollars or 0

    def limit_output(self, tokens: int) -> None:
        """What comes out of these calls cannot be limited: all that it can come to is reserved."""

    def _least_cost(self, tariff: Tariff, wanted: int, outward: int) -> int:
        return wanted

    def dearest(self, target: Target) -> int:
        return self.reserve_at_most(target)

    # -- who is asked -------------------------------------------------------------------------------------------------

    def make(self, deployment: Deployment, group: str, hops: int) -> Any:
        kind = self.kind
        self.group = group
        if kind.mock is not None and not _MOCKS.isdisjoint(deployment.arguments):
            return self._mocked(deployment, hops)
        target = self.target_of(deployment, kind.capability, kind.format, (kind.format,), False)
        return OperationAttempt(self, target, self.plane.timeouts(deployment, self.overrides, self.peeked.stream), hops)

    def _mocked(self, deployment: Deployment, hops: int) -> Attempt[Any]:
        mock, arguments = self.kind.mock, deployment.arguments
        options = Options(mock_response=arguments.get("mock_response"), mock_timeout=arguments.get("mock_timeout"))

        def answer() -> Any:
            self.attempts += 1
            raise_mock(options, deployment.model)
            assert mock is not None, "only what has a mock is mocked"
            return mock(options.mock_response, self.body())

        attempt = local_attempt(
            deployment.model, False, self.plane.timeouts(deployment, self.overrides, self.peeked.stream), answer
        )
        facts = {"model_id": deployment.id, "model_group": self.group, "fallbacks": hops, "made": None}
        return replace(attempt, facts=facts)

    def ended(self, attempt: Any, seconds: float, error: ErrorResponse | None, streams: bool) -> None:
        made = self.attempt
        self.route.pinned = bool(isinstance(made, OperationAttempt) and made.rest if error is None else self._done)
        super().ended(attempt, seconds, error, streams)

    # -- the answer ---------------------------------------------------------------------------------------------------

    def answer(self, success: Success[Any]) -> None:
        made, reply = success.attempt, success.reply
        if not isinstance(made, OperationAttempt):
            self._answer_here(success.value, str(made.facts["model_id"]))
            return
        if made.rest:
            self._go_on_after(made)
            return
        if reply.stream is not None:
            OperationStream(self, made, reply).begin()
            return
        shown = made.answer
        picodollars, cost_text, usage = self.charged(made.target, shown)
        body = reply.body if made.relayed else wire.encode(shown)
        if self._done and self.kind.parts is not None:
            body = wire.encode(self.kind.parts.join([*(part.answer for part in self._done), shown]))
        if self.kept is not None:
            self.kept.take(body)
        self.finish(reply.status, usage, picodollars, cost_text, None, _id_of(shown))
        kind = b"content-type: %b\r\n" % header_value(reply.headers.get("content-type", "application/json"))
        head = self.answer_head(made.target, kind, total_of([*(part.cost for part in self._done), cost_text]))
        self.inbound.respond(reply.status, head, body)
        self.release()

    def _answer_here(self, answer: Body | bytes, deployment: str) -> None:
        """What a mock says."""
        binary = isinstance(answer, bytes)
        body = answer if isinstance(answer, bytes) else wire.encode(answer)
        self.finish(200, None, None, None, None, None)
        kind = b"content-type: %b\r\n" % ((b"audio/mpeg" if self.kind.binary else b"text/plain") if binary else _JSON)
        self.inbound.respond(200, self.answer_head(None, kind, None), body)
        self.release()

    def _go_on_after(self, made: OperationAttempt) -> None:
        """A part is answered: ask the same deployment for the next, for what two models say does not go together."""
        picodollars, cost_text, usage = self.charged(made.target, made.answer)
        self._done.append(Part(made.answer, cost_text, tokens_of(usage)))
        self.close("success", 200, usage=usage, cost=picodollars, cost_text=cost_text)
        following = OperationAttempt(self, made.target, made.timeouts, self.hops, made.rest)
        plan = Ladder([following], retries=self.plane.snapshot.routing.retries)  # type: ignore[list-item]  # it does what is asked of an Attempt
        self.drive(exchange(plan, self.plane.clock, self.plane.total_timeout(self), self))

    def settle(self, tokens: int) -> None:
        super().settle(tokens + sum(part.tokens for part in self._done))

    def charged(self, target: Target, answer: Any) -> tuple[int | None, str | None, Usage | None]:
        """What an answer (decoded; None: it is no JSON) costs, and its usage."""
        if self.kind.bill is None:
            return 0, "0", Usage()
        try:
            bill = self.kind.bill(self.body(), answer)
        except (KeyError, TypeError, ValueError, AttributeError):
            return None, None, None
        picodollars, cost_text = self.bill_of(target, bill)
        return picodollars, cost_text, bill.usage

    def bill_of(self, target: Target, bill: Bill) -> Charge:
        """What a bill comes to at a target."""
        found = target.endpoint
        if bill.usage is None or found is None:
            return None, None
        prices = target.prices
        if bill.names and not target.options.base_model and not target.options.prices:
            facts = target.engine.facts
            known = (facts.prices(name, found.provider) for name in bill.names if facts.find(name, found.provider))
            prices = next((each for each in known if each is not None), prices)
        terms = bill.facts.get("terms") or Terms()
        elapsed = time.perf_counter() - self.sent_at if self.sent_at else None
        terms = replace(terms, location=found.location, residency=found.residency, elapsed=elapsed)
        bill_made = cost(bill.usage, prices, terms, trust_reported=found.reports_cost)
        total = bill_made.total
        return bill_made.picodollars, None if total is None else format(total.normalize(), "f")


class Part(Struct, frozen=True):
    """The answer to a part of a request: its cost (decimal US dollars), and the tokens that it took."""

    answer: Any
    cost: str | None
    tokens: int


class OperationAttempt:
    """An attempt at an operation: relayed, or translated where there is a translation. An `exchange.Attempt`.

    `rest` are the parts that are still to be asked for after this one.
    """

    local = None

    def __init__(
        self, call: OperationCall, target: Target, timeouts: Timeouts, hops: int, parts: Sequence[Body] = ()
    ) -> None:
        self.call = call
        self.target = target
        self.timeouts = timeouts
        self.stream = call.peeked.stream or call.kind.binary
        self.name, self.provider = target.name, target.resolved.provider.name
        self.model = target.resolved.model
        self.facts = {"made": self, "fallbacks": hops, "model_id": target.deployment.id}
        self.lent = Borrowing(target.engine.credentials)
        self.relayed = True
        self.answer: Any = None
        self.part: Body | None = parts[0] if parts else None
        self.rest = tuple(parts[1:])

    def renew(self) -> bool:
        return self.lent.refused()

    def prepare(self, now: float) -> Generator[Any, Any, HTTPRequest]:
        """The request."""
        call, target = self.call, self.target
        with stopping_the_attempt():
            if target.endpoint is None:
                kind = call.kind
                yield from target.locate(kind.capability, False, (kind.format,), kind.format, now)
            if call.principal.quotas:
                while (wait := call.reserve(target)) is not None:
                    yield wait
            endpoint = target.endpoint
            assert endpoint is not None, "it was located"
            body, content_type = self._body(endpoint)
            return (yield from authorise(endpoint, body, target.options, self.lent, now, content_type))

    def _body(self, endpoint: Endpoint) -> tuple[bytes, str]:
        call, kind, target = self.call, self.call.kind, self.target
        own = endpoint.format == kind.format
        if own and call.form is not None:
            fields = {**with_values(target.defaults), "model": endpoint.wire_model}
            return call.form.with_texts(fields), call.inbound.header(b"content-type")
        if self.part is None:
            self._cut(endpoint, own)
        if own and self.part is None and target.relays:
            members = call.members
            if endpoint.wire_model and endpoint.wire_model != call.peeked.model:
                members = {**members, "model": endpoint.wire_model}
            return joined(members), "application/json"
        body = {**target.defaults, **(call.body() if self.part is None else self.part)}
        if own:
            body |= {"model": endpoint.wire_model}
        elif kind.translation is None or call.form is not None:
            message = f"{self.name} does not offer {kind.name} in a format that is known here"
            raise AttemptFailed(ErrorResponse(kind="unsupported", status=400, message=message))
        else:
            self.relayed = False
            body, call.notes = kind.translation.encode(body, endpoint)
        return wire.encode(complete(body, endpoint, target.options)), "application/json"

    def _cut(self, endpoint: Endpoint, own: bool) -> None:
        """Take the first part of a request that is longer than the host takes."""
        parts = self.call.kind.parts
        if parts is None or (own and len(self.call.inbound.body) < parts.long):
            return
        bodies = parts.cut(self.call.body(), endpoint)
        if len(bodies) > 1:
            self.part, self.rest = bodies[0], tuple(bodies[1:])

    def read(self, reply: Reply) -> Any:
        """The answer, a stream that begins, or the error that is one though its status says otherwise."""
        if reply.stream is not None:
            return reply
        kind, endpoint = self.call.kind, self.target.endpoint
        if "json" not in reply.headers.get("content-type", "json"):
            return reply
        try:
            if self.relayed or kind.translation is None or endpoint is None:
                self.answer = wire.decode(reply.body)
            else:
                body = self.call.body() if self.part is None else self.part
                self.answer = kind.translation.decode(body, reply.body, endpoint)
        except DialectError as error:
            message = f"the answer ({len(reply.body)} bytes) of {self.name} is not one: {error}"
            return ErrorResponse(kind="bad_gateway", status=502, message=message, native="not_an_answer")
        return reply

    def read_error(self, reply: Reply) -> ErrorResponse:
        """The provider's refusal."""
        kind, endpoint = self.call.kind, self.target.endpoint
        if self.relayed or kind.translation is None or endpoint is None:
            return registry.get(kind.voice).parse_error(reply.status, reply.headers, reply.body)
        return kind.translation.error(endpoint.format)(reply.status, reply.headers, reply.body)


class OperationStream:
    """An answer that is passed on as it comes: speech, or events. Of events, the last one that tells a usage is read;
    what is no stream though one was asked for is read whole.
    """

    def __init__(self, call: OperationCall, made: OperationAttempt, reply: Reply) -> None:
        self._call, self._made, self._reply = call, made, reply
        self._piped: Piped = reply.stream
        self._tail = b""
        self._usage = b""
        self._events = "event-stream" in reply.headers.get("content-type", "")
        self._done = False
        self._first = time.perf_counter() - call.sent_at

    def begin(self) -> None:
        """Send the head, and what has come; then whatever comes."""
        call, inbound = self._call, self._call.inbound
        call.waited += self._first
        kind = self._reply.headers.get("content-type", "application/octet-stream")
        cost_text = call.charged(self._made.target, None)[1] if call.kind.binary else None
        head = call.answer_head(self._made.target, b"content-type: %b\r\n" % header_value(kind), cost_text)
        inbound.begin(200, head)
        inbound.pace(self._piped.slow)
        inbound.client_left, inbound.answering = self._client_left, self
        self._take(self._reply.body)
        self._piped.attach(self._take)

    def _take(self, piece: bytes | Broken | None) -> None:
        if self._done:
            return
        if type(piece) is bytes:
            if not self._call.kind.binary:
                self._look(piece)
            self._call.inbound.write(piece)
            return
        self._done = True
        if piece is None:
            self._record("success")
            self._call.inbound.end()
        else:
            self._call.route.broke(piece)
            self._record("broken")
            self._call.inbound.abort()
        self._call.release()

    def _look(self, piece: bytes) -> None:
        data = self._tail + piece
        if not self._events:
            self._tail = data
            return
        cut = data.rfind(b"\n\n")
        whole, self._tail = (data[:cut], data[cut:]) if cut >= 0 else (b"", data)
        at = whole.rfind(b'"usage"')
        if at >= 0:
            start = whole.rfind(b"data:", 0, at)
            end = whole.find(b"\n\n", at)
            self._usage = whole[start + 5 : end if end >= 0 else len(whole)]

    def _record(self, outcome: str) -> None:
        call = self._call
        answer: Any = None
        told = self._usage.strip() if self._events else self._tail
        if told:
            try:
                answer = wire.decode(told)
            except DialectError:
                answer = None
        picodollars, cost_text, usage = call.charged(self._made.target, answer)
        call.finish(
            200,
            usage,
            picodollars,
            cost_text,
            None,
            None,
            outcome=outcome,
            error=None if outcome == "success" else "unavailable",
            estimated=usage is None,
            first_token=self._first,
        )

    def cut(self, error: ErrorResponse) -> None:
        """End it here: its key was revoked. Nothing can be said within a body of any kind."""
        if self._done:
            return
        self._done = True
        self._piped.close()
        self._record("cancelled")
        self._call.inbound.abort()
        self._call.release()

    def _client_left(self) -> None:
        if self._done:
            return
        if self._call.plane.snapshot.settings.on_disconnect == "drain":
            self._piped.slow(False)
            return
        self._done = True
        self._piped.close()
        self._record("cancelled")
        self._call.release()


_MOCKS = frozenset({"mock_response", "mock_timeout"})
_JSON = b"application/json"


def with_values(defaults: Mapping[str, Any]) -> dict[str, str]:
    """A deployment's own parameters as a form says them."""
    return {
        name: value if isinstance(value, str) else wire.encode(value).decode()
        for name, value in defaults.items()
        if isinstance(value, str | int | float | bool)
    }


def tokens_of(usage: Usage | None) -> int:
    """The tokens of a usage; 0 where it tells none."""
    if usage is None:
        return 0
    return usage.total_tokens or (usage.input_tokens or 0) + (usage.output_tokens or 0)


def total_of(costs: Sequence[str | None]) -> str | None:
    """The sum of costs (decimal US dollars); None where one is unknown."""
    if len(costs) == 1:
        return costs[0]
    known = [Decimal(cost) for cost in costs if cost is not None]
    return None if len(known) < len(costs) else f"{sum(known, Decimal(0)):f}"


def _id_of(answer: Any) -> str | None:
    found = answer.get("id") if isinstance(answer, dict) else None
    return found if isinstance(found, str) else None


def tokens_in(body: Body, size: int) -> Usage:
    """At most: everything that is text goes in, nothing comes out."""
    most = bounds.tight(wire.encode(body))
    return Usage(input_tokens=most, output_tokens=0, total_tokens=most)
