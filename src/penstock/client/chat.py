"""Chat calls: `completion` and its kin, in any shape, over any dialect.

A call goes this way: sort the arguments (options.py), read the body as the representation (shapes.py), make an attempt
for the model and each fallback (attempt.py), drive the exchange (engine.py, world.py), write the answer in the caller's
shape (OpenAI's JSON, or another). `call` and `acall` differ in the world that drives; all else is shared.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Generic, TypeVar
from uuid import uuid4

from msgspec.structs import replace

from penstock.calls.arguments import without
from penstock.calls.attempt import ChatAttempt, whole_stream
from penstock.calls.demo import NAMES as DEMO_NAMES
from penstock.calls.demo import demo_answer
from penstock.calls.engine import Engine, arguments_of
from penstock.calls.failures import raising
from penstock.calls.mock import local_attempt, mock_answer, wants_mock
from penstock.calls.opening import OpenStream
from penstock.calls.options import Options, split, timeouts_of
from penstock.calls.pricing import chat_terms
from penstock.client.accounting import hidden_params, remarks_of
from penstock.client.around import aaround, around
from penstock.client.objects import Answer, ModelResponse
from penstock.client.schemas import check_tools
from penstock.client.shapes import CHAT_SHAPE, Shape
from penstock.client.streams import AsyncChatStream, AsyncStream, ChatStream, Finish, PureStream, Stream
from penstock.dialects.dialect import Context
from penstock.exchange import Attempt, Plan, Success
from penstock.types.errors import ErrorResponse
from penstock.types.notes import NO_MEMO, Note
from penstock.types.request import Request
from penstock.types.response import Response
from penstock.types.retry import Tried
from penstock.types.stream import Start

C = TypeVar("C", bound=Answer)
R = TypeVar("R", bound=Answer)


@dataclass(slots=True)
class ChatCall(Generic[C, R]):
    """One call: its arguments, sorted, and after the exchange, what is needed to show the answer."""

    engine: Engine
    shape: Shape[C, R]
    model: str
    options: Options
    request: Request
    body: dict[str, Any]
    call_id: str
    started: float = field(default_factory=time.perf_counter)
    attempts: list[ChatAttempt] = field(default_factory=list)
    arguments: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, engine: Engine, shape: Shape[C, R], arguments: dict[str, Any]) -> ChatCall[C, R]:
        """The call that these arguments describe. Raises MalformedError with the argument's name."""
        options, body = split(arguments, engine.addresses, engine.defaults)
        model = body.get("model")
        if options.additional_drop_params:
            body = without(body, options.additional_drop_params)
        for name in shape.own:
            if arguments.get(name) is not None:
                body[name] = arguments[name]
        for name, beside in shape.own_with.items():
            if body.get(beside) and arguments.get(name) is not None:
                body[name] = arguments[name]
        request = shape.read(body)
        check_tools(request.tools)
        call_id = options.litellm_call_id or f"{shape.id_prefix}{uuid4().hex}"
        return cls(engine, shape, model or "", options, request, body, call_id, arguments=arguments)

    def plan(self) -> Plan:
        """What to try, one after the other."""
        return self.engine.plan(self)

    def attempt(self, change: str | Mapping[str, Any] | None = None) -> Attempt[Any]:
        """An attempt at this call, with what a fallback or a deployment changes. A key or address of the first model is
        not another provider's.
        """
        if change is None:
            return self._attempt(self.model, self.request, self.options)
        options, changes = split(
            arguments_of(change), self.engine.addresses, replace(self.options, address=self.engine.defaults.address)
        )
        body = {**self.body, **changes}
        if options.additional_drop_params != self.options.additional_drop_params:
            body = without(body, options.additional_drop_params)
        request = self.shape.read(body) if len(changes) > 1 or len(body) < len(self.body) else self.request
        return self._attempt(changes.get("model", self.model), request, options)

    def _attempt(self, model: str, request: Request, options: Options) -> Attempt[Any]:
        timeouts = timeouts_of(options.timeout)
        if wants_mock(options) or model in DEMO_NAMES:
            answer = partial(self._local_attempt, model, request, options)
            return local_attempt(model, bool(request.stream), timeouts, answer)
        attempt = self.engine.chat_attempt(request, model, options)
        attempt.prefer, attempt.essential = self.shape.prefer, self.shape.essential
        self.attempts.append(attempt)
        return attempt.attempt(timeouts)

    def _local_attempt(self, model: str, request: Request, options: Options) -> Response | OpenStream:
        response = self.local_response(model, request, options)
        return whole_stream(response) if request.stream else response

    def winner(self, success: Success[Any] | None) -> ChatAttempt | None:
        """The attempt that gave the answer; None where nobody was asked."""
        if success is None:
            return None
        return next((attempt for attempt in self.attempts if attempt.prepare == success.attempt.prepare), None)

    def answer(self, response: Response, success: Success[Any] | None = None) -> R:
        """The response as the caller sees it."""
        if not response.model:
            response = replace(response, model=self._served_model(success))
        rendered = self.shape.dialect.render_response(response, self._context())
        notes = self._notes(success) + rendered.notes
        answer = self.shape.answer(rendered.value)._with(self._hidden(response, success), notes)
        vars(answer)["_response_ms"] = (time.perf_counter() - self.started) * 1000
        return answer

    def _hidden(self, response: Response | None, success: Success[Any] | None) -> dict[str, Any]:
        winner = self.winner(success)
        target, options = (None, self.options) if winner is None else (winner.target, winner.options)
        usage = None if response is None else response.usage
        facts: dict[str, Any] = {"elapsed": time.perf_counter() - self.started}
        if winner is not None and response is not None:
            facts["terms"] = chat_terms(winner.request, winner.notes, response)
        found = hidden_params(self.engine, self.call_id, self.model, options, target, success, usage, **facts)
        remarks = None if response is None or response.dialect == self.shape.dialect.name else remarks_of(response)
        return {**found, "provider_specific_fields": remarks} if remarks else found

    def _notes(self, success: Success[Any] | None) -> tuple[Note, ...]:
        winner = self.winner(success)
        return () if winner is None else winner.notes

    def _served_model(self, success: Success[Any] | None) -> str:
        """The model that answered, for providers that do not say it."""
        return self.model if success is None else success.attempt.model

    def _context(self, **more: Any) -> Context:
        return Context(self.call_id, int(time.time()), request=self.request, **more)

    def stream_state(self, opened: OpenStream, success: Success[Any] | None) -> PureStream[C, R]:
        """The pure half of the stream."""
        model = None if _names_model(opened) else self._served_model(success)
        context = self._context(source=opened.dialect, model=model, stream_usage=self.shape.wants_usage(self.body))

        def failed(error: ErrorResponse, partial: R) -> Exception:
            return self._stream_error(error, partial, success)

        finish = Finish[R](lambda response: self.answer(response, success), failed)
        return self.shape.stream(opened, context, self._hidden(None, success), finish)

    def _stream_error(self, error: ErrorResponse, partial: R, success: Success[Any] | None) -> Exception:
        from penstock.exceptions import StreamInterruptedError, from_error

        if success is None:
            return from_error(error, "", self.model, partial=partial)
        provider, model = success.attempt.provider, success.attempt.model
        seconds = time.perf_counter() - self.started
        tried = (*success.tried, Tried(success.attempt.name, provider, model, error, seconds))
        if error.native == "interrupted":
            return StreamInterruptedError(error.message, provider, model, error=error, partial=partial, tried=tried)
        return from_error(error, provider, model, tried, partial=partial)

    @property
    def is_local(self) -> bool:
        """Whether nobody needs to be asked, or chosen: a mock, or the demo model."""
        return not self.engine.routes and (wants_mock(self.options) or self.model in DEMO_NAMES)

    def local_response(self, model: str, request: Request, options: Options) -> Response:
        """The answer of a mock or of the demo model. Raises what a mock says."""
        if not wants_mock(options):
            return demo_answer(request, self.call_id, int(time.time()))
        if isinstance(options.mock_response, Mapping):
            return self.shape.dialect.parse_response(dict(options.mock_response), NO_MEMO)
        return mock_answer(options, request, model, self.call_id, int(time.time()))

    def answer_locally(self) -> R:
        """The answer of a mock or of the demo model."""
        return self.answer(self.local_response(self.model, self.request, self.options))

    def stream_locally(self) -> PureStream[C, R]:
        """The same as a stream."""
        response = self.local_response(self.model, self.request, self.options)
        return self.stream_state(whole_stream(response), None)


def _names_model(opened: OpenStream) -> bool:
    """Whether the stream has said which model answers."""
    return any(isinstance(delta, Start) and delta.model for event in opened.first for delta in event.deltas)


def call(engine: Engine, shape: Shape[C, R], arguments: dict[str, Any]) -> R | Stream[C, R]:
    """One chat call in this shape, blocking, with what stands around it (around.py)."""
    answer: R | Stream[C, R] = around(
        engine,
        shape.call_type,
        arguments,
        partial(_call, engine, shape),
        id_prefix=shape.id_prefix,
        structured=shape.structured,
    )
    return answer


def _call(engine: Engine, shape: Shape[C, R], arguments: dict[str, Any]) -> R | Stream[C, R]:
    with raising(arguments.get("custom_llm_provider") or "", str(arguments.get("model") or "")):
        made = ChatCall.of(engine, shape, arguments)
        if made.is_local:
            if made.options.mock_delay:
                time.sleep(made.options.mock_delay)
            return Stream(made.stream_locally(), None) if made.request.stream else made.answer_locally()
        world = engine.world(made.options.client)
        success = world.drive(engine.exchange(made.plan(), made.options))
        if isinstance(success.value, OpenStream):
            return Stream(made.stream_state(success.value, success), engine.rest_of(success))
        return made.answer(success.value, success)


async def acall(engine: Engine, shape: Shape[C, R], arguments: dict[str, Any]) -> R | AsyncStream[C, R]:
    """One chat call in this shape, from a coroutine."""
    answer: R | AsyncStream[C, R] = await aaround(
        engine,
        f"a{shape.call_type}",
        arguments,
        partial(_acall, engine, shape),
        id_prefix=shape.id_prefix,
        structured=shape.structured,
    )
    return answer


async def _acall(engine: Engine, shape: Shape[C, R], arguments: dict[str, Any]) -> R | AsyncStream[C, R]:
    with raising(arguments.get("custom_llm_provider") or "", str(arguments.get("model") or "")):
        made = ChatCall.of(engine, shape, arguments)
        if made.is_local:
            if made.options.mock_delay:
                await engine.async_world().sleep(made.options.mock_delay)
            return AsyncStream(made.stream_locally(), None) if made.request.stream else made.answer_locally()
        world = engine.async_world(made.options.client)
        success = await world.drive(engine.exchange(made.plan(), made.options))
        if isinstance(success.value, OpenStream):
            return AsyncStream(made.stream_state(success.value, success), engine.rest_of(success))
        return made.answer(success.value, success)


def completion(engine: Engine, **arguments: Any) -> ModelResponse | ChatStream:
    """One chat call, blocking. See `penstock.completion`."""
    return call(engine, CHAT_SHAPE, arguments)


async def acompletion(engine: Engine, **arguments: Any) -> ModelResponse | AsyncChatStream:
    """One chat call, from a coroutine. See `penstock.acompletion`."""
    return await acall(engine, CHAT_SHAPE, arguments)
