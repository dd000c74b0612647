"""OperationCall: what is asked of models that is no chat (embeddings, reranking, images, speech ...).

Nearly all hosts speak OpenAI's formats for these, so bodies are relayed; embeddings and reranking are translated
where a host has a format of its own. One `Operation` says what differs; `surfaces/places.py` lists them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import replace

from penstock.calls.bills import Bill
from penstock.calls.failures import stopping_the_attempt
from penstock.calls.prepare import authorise, complete
from penstock.dialects import registry, wire
from penstock.exchange import AttemptFailed, Broken, HTTPRequest, Reply, Success, Timeouts
from penstock.gateway import bounds
from penstock.gateway.driver import Piped
from penstock.gateway.forms import Form
from penstock.gateway.http.heads import header_value
from penstock.gateway.http.inbound import Inbound
from penstock.gateway.principal import Principal
from penstock.gateway.relay import Peeked, joined, members_of, text, true, value
from penstock.gateway.routed import Charge, RoutedCall
from penstock.gateway.targets import Target
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


class OperationCall(RoutedCall):
    """One such request."""

    def __init__(self, plane: Plane, inbound: Inbound, principal: Principal, operation: Operation) -> None:
        self.kind = operation
        self.operation = operation.name
        kind = inbound.header(b"content-type")
        self.form = Form(inbound.body, kind) if kind.lower().startswith("multipart/form-data") else None
        if self.form is None:
            members = members_of(inbound.body)
        else:
            form = self.form
            names = {field.name for field in form.fields if not field.file}
            members = {name: wire.encode(form.text(name)) for name in names}
        super().__init__(plane, inbound, principal, members)
        stream = true(self.members, "stream") or value(self.members, "stream") == "true"
        model = text(self.members, "model") or _model_in(inbound.path) or operation.model
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

    def dearest(self, target: Target) -> int:
        return self.reserve_at_most(target)

    # -- who is asked -------------------------------------------------------------------------------------------------

    def make(self, deployment: Deployment, group: str, hops: int) -> Any:
        kind = self.kind
        self.group = group
        target = self.plane.targets.of(deployment, kind.capability, kind.format, (kind.format,), False)
        return OperationAttempt(self, target, self.plane.timeouts(self, deployment), hops)

    # -- the answer ---------------------------------------------------------------------------------------------------

    def answer(self, success: Success[Any]) -> None:
        made, reply = success.attempt, success.reply
        assert isinstance(made, OperationAttempt), "its attempts are all of one kind"
        if reply.stream is not None:
            OperationStream(self, made, reply).begin()
            return
        shown = made.answer
        picodollars, cost_text, usage = self.charged(made.target, shown)
        body = reply.body if made.relayed else wire.encode(shown)
        self.finish(reply.status, usage, picodollars, cost_text, None, _id_of(shown))
        kind = b"content-type: %b\r\n" % header_value(reply.headers.get("content-type", "application/json"))
        self.inbound.respond(reply.status, self.answer_head(made.target, kind, cost_text), body)
        self.release()

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


class OperationAttempt:
    """An attempt at an operation: relayed, or translated where there is a translation. An `exchange.Attempt`."""

    local = None

    def __init__(self, call: OperationCall, target: Target, timeouts: Timeouts, hops: int) -> None:
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
        call, kind = self.call, self.call.kind
        if endpoint.format == kind.format:
            if call.form is not None:
                return call.form.with_text("model", endpoint.wire_model), call.inbound.header(b"content-type")
            if self.target.relays:
                members = dict(call.members)
                if endpoint.wire_model:
                    members["model"] = endpoint.wire_model
                return joined(members), "application/json"
            body = {**self.target.defaults, **call.body(), "model": endpoint.wire_model}
            return wire.encode(complete(body, endpoint, self.target.options)), "application/json"
        if kind.translation is None or call.form is not None:
            message = f"{self.name} does not offer {kind.name} in a format that is known here"
            raise AttemptFailed(ErrorResponse(kind="unsupported", status=400, message=message))
        self.relayed = False
        body, call.notes = kind.translation.encode({**self.target.defaults, **call.body()}, endpoint)
        return wire.encode(complete(body, endpoint, self.target.options)), "application/json"

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
                self.answer = kind.translation.decode(self.call.body(), reply.body, endpoint)
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
    """An answer that is passed on as it comes: speech, or events. Of events, the last one that tells a usage is
    read.
    """

    def __init__(self, call: OperationCall, made: OperationAttempt, reply: Reply) -> None:
        self._call, self._made, self._reply = call, made, reply
        self._piped: Piped = reply.stream
        self._tail = b""
        self._usage = b""
        self._done = False
        self._first = time.perf_counter() - call.sent_at

    def begin(self) -> None:
        """Send the head, and what has come; then whatever comes."""
        call, inbound = self._call, self._call.inbound
        call.waited += self._first
        kind = self._reply.headers.get("content-type", "application/octet-stream")
        inbound.begin(200, call.answer_head(self._made.target, b"content-type: %b\r\n" % header_value(kind), None))
        inbound.slow = self._piped.slow
        inbound.client_left = self._client_left
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
        whole = piece is None
        self._record("success" if whole else "broken")
        if whole:
            self._call.inbound.end()
        else:
            self._call.route.broke(piece)
            self._call.inbound.abort()

    def _look(self, piece: bytes) -> None:
        data = self._tail + piece
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
        if self._usage:
            try:
                answer = wire.decode(self._usage.strip())
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

    def _client_left(self) -> None:
        if self._done:
            return
        if self._call.plane.snapshot.settings.on_disconnect == "drain":
            self._piped.slow(False)
            return
        self._done = True
        self._piped.close()
        self._record("cancelled")


def _id_of(answer: Any) -> str | None:
    found = answer.get("id") if isinstance(answer, dict) else None
    return found if isinstance(found, str) else None


def _model_in(path: str) -> str:
    """The model that an old path names: /openai/deployments/{model}/..., /engines/{model}/..."""
    for before in ("/openai/deployments/", "/engines/"):
        if path.startswith(before):
            return path.removeprefix(before).rpartition("/")[0].removesuffix("/images").removesuffix("/audio")
    return ""


def tokens_in(body: Body, size: int) -> Usage:
    """At most: everything that is text goes in, nothing comes out."""
    most = bounds.tight(wire.encode(body))
    return Usage(input_tokens=most, output_tokens=0, total_tokens=most)
