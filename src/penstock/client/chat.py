"""Chat calls: `completion` and `acompletion`, over any dialect.

A call goes this way: sort the arguments (options.py), read the body as the representation, make an attempt for the
model and each fallback (attempt.py), drive the exchange (engine.py, world.py), write the answer as OpenAI's JSON
(objects.py). The two functions differ in the world that drives; all else is shared.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from msgspec.structs import replace

from penstock.client.accounting import hidden_params
from penstock.client.arguments import messages_of, plain, without
from penstock.client.attempt import ENDED, ChatAttempt, OpenStream
from penstock.client.demo import NAMES as DEMO_NAMES
from penstock.client.demo import demo_answer
from penstock.client.engine import Engine, arguments_of
from penstock.client.failures import raising
from penstock.client.mock import mock_answer, wants_mock
from penstock.client.objects import ModelResponse
from penstock.client.options import Options, split, timeouts_of
from penstock.client.streams import AsyncChatStream, ChatStream, Finish, StreamState
from penstock.dialects.dialect import Context, PathMatch
from penstock.dialects.openai_chat import DIALECT as CHAT
from penstock.exchange import Attempt, Plan, Success
from penstock.types.errors import ErrorKind, ErrorResponse
from penstock.types.notes import Note
from penstock.types.request import Request
from penstock.types.response import Response
from penstock.types.unfold import unfold

_NO_MATCH = PathMatch()


@dataclass(slots=True)
class ChatCall:
    """One call: its arguments, sorted, and after the exchange, what is needed to show the answer."""

    engine: Engine
    model: str
    options: Options
    request: Request
    body: dict[str, Any]
    call_id: str
    started: float = field(default_factory=time.perf_counter)
    attempts: list[ChatAttempt] = field(default_factory=list)

    @classmethod
    def of(cls, engine: Engine, arguments: dict[str, Any]) -> ChatCall:
        """The call that these arguments describe. Raises MalformedError with the argument's name."""
        options, body = split(arguments, engine.addresses, engine.defaults)
        model = body.get("model")
        if "messages" in body:
            body["messages"] = messages_of(body["messages"])
        if body.get("tools"):
            body["tools"] = [plain(tool) for tool in body["tools"]]
        if options.additional_drop_params:
            body = without(body, options.additional_drop_params)
        request = CHAT.parse_request(body, _NO_MATCH)
        if request.stream and request.stream_usage is None:
            request = replace(request, stream_usage=True)
        call_id = options.litellm_call_id or f"chatcmpl-{uuid4().hex}"
        return cls(engine, model or "", options, request, body, call_id)

    def plan(self) -> Plan:
        """The model, then its fallbacks; the kinds of errors that have fallbacks of their own go there instead."""
        options = self.options
        attempts = [self._attempt(self.model, self.request, options), *map(self._fallback, options.fallbacks)]
        alternatives: dict[ErrorKind, list[Attempt[Any]]] = {}
        if options.context_window_fallbacks:
            alternatives["context_window"] = [self._fallback(each) for each in options.context_window_fallbacks]
        if options.content_policy_fallbacks:
            alternatives["content_policy"] = [self._fallback(each) for each in options.content_policy_fallbacks]
        return self.engine.ladder(attempts, options, dict(alternatives))

    def _attempt(self, model: str, request: Request, options: Options) -> Attempt[Any]:
        attempt = self.engine.chat_attempt(request, model, options)
        self.attempts.append(attempt)
        return attempt.attempt(timeouts_of(options.timeout))

    def _fallback(self, fallback: str | Mapping[str, Any]) -> Attempt[Any]:
        """An attempt with what the fallback changes. A key or address of the first model is not another provider's."""
        arguments = arguments_of(fallback)
        options, changes = split(
            arguments, self.engine.addresses, replace(self.options, address=self.engine.defaults.address)
        )
        body = {**self.body, **changes}
        request = CHAT.parse_request(body, _NO_MATCH) if len(changes) > 1 else self.request
        return self._attempt(changes.get("model", self.model), request, options)

    def winner(self, success: Success[Any]) -> ChatAttempt:
        """The attempt that gave the answer."""
        return next(attempt for attempt in self.attempts if attempt.prepare == success.attempt.prepare)

    def answer(self, response: Response, success: Success[Any] | None, notes: tuple[Note, ...]) -> ModelResponse:
        """The response as the caller sees it."""
        rendered = CHAT.render_response(response, Context(self.call_id, int(time.time())))
        answer = ModelResponse(rendered.value)._with(self._hidden(response, success), notes + rendered.notes)
        vars(answer)["_response_ms"] = (time.perf_counter() - self.started) * 1000
        return answer

    def _hidden(self, response: Response | None, success: Success[Any] | None) -> dict[str, Any]:
        target = None if success is None else self.winner(success).target
        usage = None if response is None else response.usage
        return hidden_params(self.engine, self.call_id, self.model, self.options, target, success, usage)

    def stream_state(self, opened: OpenStream, success: Success[Any] | None) -> StreamState:
        """The pure half of the stream."""
        notes = () if success is None else self.winner(success).notes
        wants_usage = bool((self.body.get("stream_options") or {}).get("include_usage"))
        context = Context(self.call_id, int(time.time()), source=opened.dialect, stream_usage=wants_usage)
        finish = Finish(lambda response: self.answer(response, success, notes), self._stream_error)
        return StreamState(opened, context, self._hidden(None, success), finish)

    def _stream_error(self, error: ErrorResponse, partial: ModelResponse) -> Exception:
        from penstock.exceptions import StreamInterruptedError, from_error

        provider, model = partial._hidden_params.get("custom_llm_provider", ""), partial.model or self.model
        if error.native == "interrupted":
            return StreamInterruptedError(error.message, provider, model, error=error, partial=partial)
        return from_error(error, provider, model, partial=partial)

    @property
    def is_local(self) -> bool:
        """Whether nobody needs to be asked: a mock, or the demo model."""
        return wants_mock(self.options) or self.model in DEMO_NAMES

    def local_response(self) -> Response:
        """The answer of a mock or of the demo model. Raises what a mock says."""
        if not wants_mock(self.options):
            return demo_answer(self.request, self.call_id, int(time.time()))
        return mock_answer(self.options, self.request, self.model, self.call_id, int(time.time()))


def completion(engine: Engine, **arguments: Any) -> ModelResponse | ChatStream:
    """One chat call, blocking. See `penstock.completion`."""
    with raising(arguments.get("custom_llm_provider") or "", str(arguments.get("model") or "")):
        call = ChatCall.of(engine, arguments)
        if call.is_local:
            if call.options.mock_delay:
                time.sleep(call.options.mock_delay)
            return _answer_locally(call)
        world = engine.world(call.options.client)
        success = world.drive(engine.exchange(call.plan(), call.options))
        if isinstance(success.value, OpenStream):
            return ChatStream(call.stream_state(success.value, success), success.reply.stream)
        return call.answer(success.value, success, call.winner(success).notes)


async def acompletion(engine: Engine, **arguments: Any) -> ModelResponse | AsyncChatStream:
    """One chat call, from a coroutine. See `penstock.acompletion`."""
    with raising(arguments.get("custom_llm_provider") or "", str(arguments.get("model") or "")):
        call = ChatCall.of(engine, arguments)
        if call.is_local:
            if call.options.mock_delay:
                await engine.async_world().sleep(call.options.mock_delay)
            local = _answer_locally(call)
            return AsyncChatStream(local._state, None) if isinstance(local, ChatStream) else local
        world = engine.async_world(call.options.client)
        success = await world.drive(engine.exchange(call.plan(), call.options))
        if isinstance(success.value, OpenStream):
            return AsyncChatStream(call.stream_state(success.value, success), success.reply.stream)
        return call.answer(success.value, success, call.winner(success).notes)


def _answer_locally(call: ChatCall) -> ModelResponse | ChatStream:
    response = call.local_response()
    if not call.request.stream:
        return call.answer(response, None, ())
    return ChatStream(call.stream_state(OpenStream(ENDED, list(unfold(response)), response.dialect), None), None)
