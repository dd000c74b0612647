"""Operations: the calls that are no chat, as data, and the one machine that runs them.

An `Operation` says what is asked for (`capability`), how arguments become a body (`encode`) and how a reply becomes the
answer (`read`); retries, fallbacks, timeouts, credentials, mocks and accounting are the same for all of them and stand
here. `run` and `arun` differ in the world that drives.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Generic, TypeVar
from urllib.parse import quote
from uuid import uuid4

from msgspec import Struct
from msgspec.structs import replace

from penstock.calls.arguments import without
from penstock.calls.attempt import not_an_answer
from penstock.calls.bills import Bill
from penstock.calls.engine import Engine, arguments_of
from penstock.calls.failures import raising, stopping_the_attempt
from penstock.calls.mock import local_attempt, raise_mock, wants_mock
from penstock.calls.options import Options, split, timeouts_of
from penstock.calls.prepare import authorise, complete, locate, refuse_unsupported
from penstock.calls.refusals import Sent, cleared, read_refusal
from penstock.client.accounting import hidden_params
from penstock.client.around import aaround, around
from penstock.client.event_streams import FrameState, OpenFrames
from penstock.client.objects import Answer
from penstock.client.result_objects import BinaryContent
from penstock.client.streams import AsyncStream, Stream
from penstock.dialects import registry, wire
from penstock.dialects.dialect import Headers
from penstock.exchange import Attempt, Plan, Preparation, Reply, Success, Timeouts
from penstock.providers.auth.credentials import Borrowing
from penstock.providers.endpoint import Endpoint
from penstock.providers.resolve_model import ResolvedModel, no_model
from penstock.types.errors import DialectError, ErrorResponse, MalformedError
from penstock.types.notes import Note, Rendered

R = TypeVar("R", bound="Answer | BinaryContent")
S = TypeVar("S", bound=Answer)
Body = dict[str, Any]
ReadError = Callable[[int, Headers, bytes], ErrorResponse]


class Payload(Struct):
    """What goes out: the target (perhaps with a method and an address of its own), the body, and what was lost."""

    target: Endpoint
    body: bytes = b""
    content_type: str | None = None
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True, slots=True)
class Operation(Generic[R]):
    """One kind of call.

    name         the call's own name in the SDK: what callbacks are told that it is (of a coroutine, with an `a` before)
    capability   what is asked of the provider (`penstock.providers.wire_formats.Capability`)
    encode       (arguments for the model, target, options) -> Payload. Raises DialectError
    read         (reply, target) -> the answer. Raises DialectError where it is none
    arguments    readers of the arguments that have a type of their own
    required     the arguments that must be there, each with what to pass, for the error that asks for it
    example      a model, for the error that asks for one
    model        the model where the caller names none; None: one must be named; "": the call needs no model, only a
                 provider (`custom_llm_provider`, default `provider`)
    selector     the format that must be spoken, by its segment of a model string
    own          options that are arguments for the model here
    parameters   arguments that may not be dropped silently
    bill         (arguments, answer) -> what is charged
    mock         (mock_response, arguments) -> the answer. Raises MalformedError
    finish       (arguments, answer) -> the answer, with what only the arguments know
    errors       wire format -> how its errors are read
    event, ends  of a streamed answer: (frame) -> an event, and which one is the last
    whole        (events) -> the answer that they make
    """

    name: str
    capability: str
    encode: Callable[[Body, Endpoint, Options], Payload]
    read: Callable[[Reply, Endpoint], R]
    arguments: Mapping[str, Callable[[Any], Any]] = field(default_factory=dict)
    required: Mapping[str, str] = field(default_factory=dict)
    example: str = "openai/gpt-5-mini"
    model: str | None = None
    provider: str = "openai"
    selector: str | None = None
    own: frozenset[str] = frozenset()
    parameters: frozenset[str] = frozenset()
    bill: Callable[[Body, Any], Bill] = lambda body, answer: Bill()
    mock: Callable[[Any, Body], R] | None = None
    errors: Callable[[str], ReadError] = lambda wire_format: registry.get("openai_chat").parse_error
    finish: Callable[[Body, R], R] | None = None
    event: Callable[[Body], Answer] | None = None
    ends: Callable[[Any], bool] = lambda event: False
    whole: Callable[[list[Any]], Any] | None = None


@dataclass(slots=True)
class SimpleAttempt(Generic[R]):
    """One attempt at an operation."""

    operation: Operation[R]
    body: Body
    resolved: ResolvedModel
    options: Options
    engine: Engine
    target: Endpoint | None = None
    notes: tuple[Note, ...] = ()
    sent: Sent | None = None
    lent: Borrowing = field(init=False)

    def __post_init__(self) -> None:
        self.lent = Borrowing(self.engine.credentials)

    @property
    def name(self) -> str:
        return f"{self.resolved.provider.name}/{self.resolved.model}".rstrip("/")

    def attempt(self, timeouts: Timeouts) -> Attempt[Any]:
        """What the exchange runs."""
        return Attempt(
            name=self.name,
            provider=self.resolved.provider.name,
            model=self.resolved.model,
            stream=self.streams,
            timeouts=timeouts,
            prepare=self.prepare,
            read=self.read,
            read_error=self.read_error,
            renew=self.lent.refused,
        )

    @property
    def streams(self) -> bool:
        return bool(self.body.get("stream")) and self.operation.event is not None

    def locate(self, now: float | None = None) -> Generator[Any, Any, Endpoint]:
        """The target. Raises ProviderError."""
        engine = self.engine
        return (
            yield from locate(
                self.resolved,
                self.operation.capability,
                self.options,
                engine.environment,
                stream=self.streams,
                facts=engine.model_facts,
                memory=engine.credentials,
                now=engine.clock.unix() if now is None else now,
            )
        )

    def prepare(self, now: float) -> Preparation:
        """Find the target, encode, authorise."""
        with stopping_the_attempt():
            self.target = yield from self.locate(now)
            payload = self.operation.encode(dict(self.body), self.target, self.options)
            self.target, self.notes = payload.target, payload.notes
            refuse_unsupported(payload.notes, self.operation.parameters, self.name, self.options)
            if self.options.strict:
                Rendered(None, payload.notes).require_lossless()
            request = yield from authorise(
                self.target,
                payload.body,
                self.options,
                self.lent,
                now,
                content_type=payload.content_type,
            )
            self.sent = Sent(request, self.target.auth, now)
            return request

    def read(self, reply: Reply) -> R | OpenFrames | ErrorResponse:
        """The answer, a stream that has begun, or the error inside a 200."""
        assert self.target is not None, "an answer follows a request"
        if reply.stream is not None:
            return self._read_stream(reply)
        try:
            return self.operation.read(reply, self.target)
        except DialectError as error:
            return not_an_answer(self.read_error(reply), cleared(reply, self.sent), error)

    def _read_stream(self, reply: Reply) -> OpenFrames | ErrorResponse:
        def parse_error(data: bytes) -> ErrorResponse:
            return self.read_error(Reply(reply.status, reply.headers, data))

        return OpenFrames(reply.body, parse_error)

    def read_error(self, reply: Reply) -> ErrorResponse:
        """The provider's refusal."""
        assert self.target is not None, "an answer follows a request"
        parse = self.operation.errors(self.target.format)
        return read_refusal(reply, self.sent, lambda clear: parse(clear.status, clear.headers, clear.body))


@dataclass(slots=True)
class SimpleCall(Generic[R]):
    """One call: its arguments, sorted, and after the exchange, what is needed to show the answer."""

    engine: Engine
    operation: Operation[R]
    model: str
    options: Options
    body: Body
    call_id: str
    started: float = field(default_factory=time.perf_counter)
    attempts: list[SimpleAttempt[R]] = field(default_factory=list)
    arguments: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, engine: Engine, operation: Operation[R], arguments: Body) -> SimpleCall[R]:
        """The call that these arguments describe. Raises MalformedError with the argument's name."""
        options, body = split(arguments, engine.addresses, engine.defaults)
        if options.additional_drop_params:
            body = without(body, options.additional_drop_params)
        for name in operation.own:
            if arguments.get(name) is not None:
                body[name] = arguments[name]
        model = body.get("model", operation.model)
        if not isinstance(model, str | None):
            raise MalformedError(f"expected a string, got {wire.describe(model)}", "model")
        check(operation, body)
        call_id = options.litellm_call_id or uuid4().hex
        return cls(engine, operation, model or "", options, body, call_id, arguments=arguments)

    def plan(self) -> Plan:
        """What to try, one after the other."""
        return self.engine.plan(self)

    def attempt(self, change: str | Mapping[str, Any] | None = None) -> Attempt[Any]:
        """An attempt at this call, with what a fallback or a deployment changes. A key or address of the first model is
        not another provider's.
        """
        if change is None:
            return self._attempt(self.model, self.body, self.options)
        options, changes = split(
            arguments_of(change), self.engine.addresses, replace(self.options, address=self.engine.defaults.address)
        )
        body = {**self.body, **changes}
        if options.additional_drop_params != self.options.additional_drop_params:
            body = without(body, options.additional_drop_params)
        check(self.operation, body)
        return self._attempt(changes.get("model", self.model), body, options)

    def _attempt(self, model: str, body: Body, options: Options) -> Attempt[Any]:
        timeouts = timeouts_of(options.timeout)
        if wants_mock(options):
            return local_attempt(model, False, timeouts, partial(self._mocked, options, body, model))
        made = SimpleAttempt(self.operation, body, self._resolve(model, options), options, self.engine)
        self.attempts.append(made)
        return made.attempt(timeouts)

    def _mocked(self, options: Options, body: Body, model: str) -> R:
        """The answer that was scripted. Raises what the mock says."""
        raise_mock(options, model)
        if self.operation.mock is None:
            raise MalformedError("this call can be mocked with an exception only", "mock_response")
        return self.operation.mock(options.mock_response, body)

    def _resolve(self, model: str, options: Options) -> ResolvedModel:
        if not model and self.operation.model is None:
            raise no_model(self.operation.example)
        if model or self.operation.model is None:
            return self.engine.resolve(model, options)
        provider = options.custom_llm_provider or self.operation.provider
        return ResolvedModel(self.engine.registry.get(provider), "", self.operation.selector)

    def winner(self, success: Success[Any] | None) -> SimpleAttempt[R] | None:
        """The attempt that gave the answer; None where nobody was asked."""
        if success is None:
            return None
        return next((attempt for attempt in self.attempts if attempt.prepare == success.attempt.prepare), None)

    def run(self) -> Generator[Any, Any, Any]:
        """What the world drives: the answer, or for a stream a Success whose value is an OpenFrames."""
        success = yield from self.engine.exchange(self.plan(), self.options)
        if isinstance(success.value, OpenFrames):
            return success
        return self.answer(success.value, success)

    def answer(self, value: R, success: Success[Any] | None = None) -> R:
        """The answer with the facts of its call."""
        if self.operation.finish is not None:
            value = self.operation.finish(self.body, value)
        hidden = self.hidden(success, self.operation.bill(self.body, value))
        if isinstance(value, Answer):
            winner = self.winner(success)
            value._with(hidden, () if winner is None else winner.notes)
        else:
            value._hidden_params = hidden
        vars(value)["_response_ms"] = (time.perf_counter() - self.started) * 1000
        return value

    def hidden(self, success: Success[Any] | None, bill: Bill) -> dict[str, Any]:
        """`_hidden_params`."""
        winner = self.winner(success)
        target, options = (None, self.options) if winner is None else (winner.target, winner.options)
        if target is not None and bill.names and not options.base_model and not options.prices:
            facts = self.engine.facts
            precise = (name for name in bill.names if facts.find(name, target.provider) is not None)
            options = replace(options, base_model=next(precise, None))
        served = {**bill.facts, "elapsed": time.perf_counter() - self.started}
        return hidden_params(self.engine, self.call_id, self.model, options, target, success, bill.usage, **served)

    def frames(self, success: Success[Any]) -> FrameState[Any, Any]:
        """The pure half of a streamed answer."""
        operation, opened = self.operation, success.value
        assert operation.event is not None, "only operations with events stream"

        def finish(events: list[Any]) -> Any:
            assert operation.whole is not None, "an operation that streams can add its events up"
            return self.answer(operation.whole(events), success)

        def failed(error: ErrorResponse, events: list[Any]) -> Exception:
            from penstock.exceptions import StreamInterruptedError, from_error

            provider, model = success.attempt.provider, success.attempt.model
            partial = None if operation.whole is None else operation.whole(events)
            if error.native == "interrupted":
                return StreamInterruptedError(error.message, provider, model, error=error, partial=partial)
            return from_error(error, provider, model, partial=partial)

        return FrameState(opened, operation.event, self.hidden(success, Bill()), operation.ends, finish, failed)

    def mock(self) -> R | None:
        """The answer that the caller scripted, if one was. Raises what the mock says."""
        if self.engine.routes or not wants_mock(self.options):
            return None
        return self.answer(self._mocked(self.options, self.body, self.model))


def check(operation: Operation[Any], body: Body) -> None:
    """Read what has a type of its own, and miss what is required. Raises MalformedError with the argument's name."""
    for name, wanted in operation.required.items():
        if body.get(name) is None:
            raise MalformedError(f"a value is required ({wanted})", name)
    for name, read in operation.arguments.items():
        if body.get(name) is not None:
            try:
                body[name] = read(body[name])
            except DialectError as error:
                raise error.at(name) from None


def run(engine: Engine, operation: Operation[R], arguments: Body, call: type[SimpleCall[R]] = SimpleCall) -> R:
    """One call, blocking, of an operation that never streams."""
    answer = run_or_stream(engine, operation, arguments, call)
    assert not isinstance(answer, Stream), f"{operation.name} has events: run_or_stream"
    return answer


def run_or_stream(
    engine: Engine, operation: Operation[R], arguments: Body, call: type[SimpleCall[R]] = SimpleCall
) -> R | Stream[Any, Any]:
    """One call, blocking, with what stands around it (around.py)."""
    answer: R | Stream[Any, Any] = around(engine, operation.name, arguments, partial(_run, engine, operation, call))
    return answer


def _run(engine: Engine, operation: Operation[R], call: type[SimpleCall[R]], arguments: Body) -> Any:
    with raising(arguments.get("custom_llm_provider") or "", str(arguments.get("model") or "")):
        made = call.of(engine, operation, arguments)
        if made.options.mock_delay:
            time.sleep(made.options.mock_delay)
        mocked = made.mock()
        if mocked is not None:
            return mocked
        value = engine.world(made.options.client).drive(made.run())
        return Stream(made.frames(value), engine.rest_of(value)) if isinstance(value, Success) else value


async def arun(engine: Engine, operation: Operation[R], arguments: Body, call: type[SimpleCall[R]] = SimpleCall) -> R:
    """`run` from a coroutine."""
    answer = await arun_or_stream(engine, operation, arguments, call)
    assert not isinstance(answer, AsyncStream), f"{operation.name} has events: arun_or_stream"
    return answer


async def arun_or_stream(
    engine: Engine, operation: Operation[R], arguments: Body, call: type[SimpleCall[R]] = SimpleCall
) -> R | AsyncStream[Any, Any]:
    """`run_or_stream` from a coroutine."""
    inner = partial(_arun, engine, operation, call)
    answer: R | AsyncStream[Any, Any] = await aaround(engine, f"a{operation.name}", arguments, inner)
    return answer


async def _arun(engine: Engine, operation: Operation[R], call: type[SimpleCall[R]], arguments: Body) -> Any:
    with raising(arguments.get("custom_llm_provider") or "", str(arguments.get("model") or "")):
        made = call.of(engine, operation, arguments)
        if made.options.mock_delay:
            await engine.async_world().sleep(made.options.mock_delay)
        mocked = made.mock()
        if mocked is not None:
            return mocked
        value = await engine.async_world(made.options.client).drive(made.run())
        return AsyncStream(made.frames(value), engine.rest_of(value)) if isinstance(value, Success) else value


# -- what most operations are made of ---------------------------------------------------------------------------------

JSON = "application/json"


def json_payload(body: Body, target: Endpoint, options: Options) -> Payload:
    """The arguments as a JSON body, under the model's name on the wire."""
    return Payload(target, wire.encode(completed(body, target, options)), JSON)


def completed(body: Body, target: Endpoint, options: Options) -> Body:
    """The body with the model's name on the wire, and what target and caller add and take out."""
    if target.wire_model:
        body["model"] = target.wire_model
    return complete(body, target, options)


def json_answer(kind: type[S]) -> Callable[[Reply, Endpoint], S]:
    """A reader of JSON objects of this class. One with an error and none of the fields that tell it apart is an error,
    even in a 200.
    """

    def read(reply: Reply, target: Endpoint) -> S:
        value = wire.obj(wire.decode(reply.body))
        if not value.keys() & (kind.declared - {"error"}):
            raise MalformedError("it has none of the fields of such an answer")
        return kind(value)

    return read


def binary_answer(reply: Reply, target: Endpoint) -> BinaryContent:
    """The reply's bytes. JSON with an error in it is no answer."""
    kind = reply.headers.get("content-type", "application/octet-stream")
    return BinaryContent(reply.body, kind.partition(";")[0].strip(), reply.status)


def at(method: str, target: Endpoint, *segments: str, query: Mapping[str, Any] | None = None) -> Endpoint:
    """The target of a resource below the collection: `/files/{id}/content`. Each segment is one, whatever is in it."""
    url = "/".join([target.url.rstrip("/"), *(_segment(each) for each in segments)])
    given = {name: wire.as_text(value) for name, value in (query or {}).items() if value is not None}
    return replace(target, method=method, url=url, query={**target.query, **given})


def _segment(text: str) -> str:
    if text in ("", ".", ".."):
        raise MalformedError(f"{text!r} is no id")
    return quote(text, safe="")
