"""Text completions: the legacy API where the provider has it for the model, else a chat call with the prompt as the
user's words.

A bridged call has no `suffix`, `best_of` or `echo`, for chat has none: they are refused, or dropped on request. Several
prompts are several chat calls, one after the other, their choices numbered through as OpenAI does.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from typing import Any, TypeAlias

from penstock.calls.bills import text_completion_bill
from penstock.calls.demo import NAMES as DEMO_NAMES
from penstock.calls.engine import Engine
from penstock.calls.failures import raising
from penstock.calls.mock import wants_mock
from penstock.calls.options import Options, split
from penstock.calls.text_shape import bridged, text_choice, text_of
from penstock.client import chat
from penstock.client.objects import Answer, ModelResponse
from penstock.client.operations import Body, Operation, arun_or_stream, json_payload, run_or_stream
from penstock.client.result_objects import TextCompletionResponse
from penstock.client.streams import AsyncChatStream, AsyncStream, ChatStream, Stream
from penstock.dialects import wire
from penstock.exchange import Reply
from penstock.providers.cost import Cost
from penstock.providers.endpoint import Endpoint, endpoint
from penstock.providers.errors import ProviderError
from penstock.types.errors import MalformedError

TextStream: TypeAlias = Stream[TextCompletionResponse, TextCompletionResponse]
AsyncTextStream: TypeAlias = AsyncStream[TextCompletionResponse, TextCompletionResponse]

# -- native -----------------------------------------------------------------------------------------------------------


def _prompt(value: Any) -> Any:
    return value if isinstance(value, str) else wire.array(value)


def _text_of(value: Body) -> TextCompletionResponse:
    """An answer or a chunk. Fill-in-the-middle APIs say it in the shape of chat."""
    return TextCompletionResponse(text_of(value))


def _read(reply: Reply, target: Endpoint) -> TextCompletionResponse:
    value = wire.obj(wire.decode(reply.body))
    if not isinstance(value.get("choices"), list):
        raise MalformedError("expected a list", "choices")
    return _text_of(value)


def _whole(events: list[Any]) -> TextCompletionResponse:
    """What the chunks add up to."""
    texts: dict[int, list[str]] = {}
    choices: dict[int, Body] = {}
    fields: Body = {}
    for event in events:
        fields |= {name: value for name, value in event.items() if value is not None and name != "choices"}
        for choice in event.get("choices") or ():
            index = choice.get("index", 0)
            texts.setdefault(index, []).append(choice.get("text") or "")
            given = {name: value for name, value in choice.items() if value is not None}
            choices[index] = {"logprobs": None, "finish_reason": None, **choices.get(index, {}), **given}
    joined = [{**choices[index], "text": "".join(texts[index])} for index in sorted(choices)]
    return TextCompletionResponse({**fields, "choices": joined})


NATIVE: Operation[TextCompletionResponse] = Operation(
    name="text_completion",
    capability="text_completion",
    encode=json_payload,
    read=_read,
    arguments={"prompt": _prompt, "stream": wire.boolean, "max_tokens": wire.integer},
    required={"prompt": "the text to continue"},
    bill=text_completion_bill,
    event=_text_of,
    whole=_whole,
)


def is_native(engine: Engine, options: Options, model: Any) -> bool:
    """Whether the provider has the legacy API for this model. Raises ProviderError where the provider is unknown."""
    if wants_mock(options) or model in DEMO_NAMES or not isinstance(model, str):
        return False
    resolved = engine.resolve(model, options)
    try:
        endpoint(
            resolved.provider,
            "text_completion",
            resolved.model,
            parameters=options.address,
            environment=engine.environment,
            selector=resolved.selector,
            base_model=options.base_model or resolved.base_model,
        )
    except ProviderError as error:
        return error.kind != "unsupported_capability"  # any other one will be raised by the call itself
    return True


# -- bridged ----------------------------------------------------------------------------------------------------------


def as_text(answer: Answer) -> TextCompletionResponse:
    """A chat answer, or one of its chunks, as a text completion."""
    fields = {name: value for name, value in answer.items() if name not in ("choices", "object")}
    choices = [text_choice(choice) for choice in answer.get("choices") or ()]
    made = TextCompletionResponse({"object": "text_completion", **fields, "choices": choices})
    vars(made).update(vars(answer))
    return made


def joined(answers: list[TextCompletionResponse]) -> TextCompletionResponse:
    """The answers to several prompts as one: choices numbered through, counts and costs added."""
    first = answers[0]
    first["choices"] = [choice for answer in answers for choice in answer.choices]
    for index, choice in enumerate(first.choices):
        choice["index"] = index
    usages = [answer.usage for answer in answers if answer.usage is not None]
    if first.usage is not None and len(usages) == len(answers):
        names = [name for name, count in first.usage.items() if type(count) is int]
        first.usage.update({name: sum(usage.get(name) or 0 for usage in usages) for name in names})
    bills = [bill for answer in answers if isinstance(bill := answer._hidden_params.get("cost"), Cost)]
    if len(answers) > 1 and len(bills) == len(answers):
        total = sum(bills[1:], bills[0])
        first._hidden_params |= {"cost": total, "response_cost": total.usd}
    return first


def _show_partial(error: Any) -> None:
    """What had arrived of a stream that broke off, as a text completion."""
    partial = getattr(error, "partial", None)
    if isinstance(partial, ModelResponse):
        error.partial = as_text(partial)


class _BridgedStream(TextStream):
    """A chat stream whose chunks are text completions."""

    def __init__(self, chatted: ChatStream) -> None:
        self._chatted = chatted
        self._source = chatted
        self._chunks = self._run()

    @property
    def response(self) -> TextCompletionResponse | None:
        return None if self._chatted.response is None else as_text(self._chatted.response)

    def _run(self) -> Generator[TextCompletionResponse, None, None]:
        try:
            for chunk in self._chatted:
                yield as_text(chunk)
        except Exception as error:
            _show_partial(error)
            raise
        finally:
            self._chatted.close()


class _AsyncBridgedStream(AsyncTextStream):
    """The same for a coroutine."""

    def __init__(self, chatted: AsyncChatStream) -> None:
        self._chatted = chatted
        self._source = chatted
        self._chunks = self._run()

    @property
    def response(self) -> TextCompletionResponse | None:
        return None if self._chatted.response is None else as_text(self._chatted.response)

    async def _run(self) -> AsyncGenerator[TextCompletionResponse, None]:
        try:
            async for chunk in self._chatted:
                yield as_text(chunk)
        except Exception as error:
            _show_partial(error)
            raise
        finally:
            await self._chatted.aclose()


# -- the two calls ----------------------------------------------------------------------------------------------------


def _calls(engine: Engine, arguments: Body) -> list[Body]:
    """The chat calls to make; none where the provider has the legacy API."""
    options, body = split(engine.leading(arguments), engine.addresses, engine.defaults)
    return [] if is_native(engine, options, body.get("model")) else bridged(arguments, bool(options.drop_params))


def text_completion(engine: Engine, **arguments: Any) -> TextCompletionResponse | TextStream:
    """One text completion, blocking. See `penstock.text_completion`."""
    with raising(arguments.get("custom_llm_provider") or "", str(arguments.get("model") or "")):
        calls = _calls(engine, arguments)
    if not calls:
        return run_or_stream(engine, NATIVE, arguments)
    answers = [chat.completion(engine, **call) for call in calls]
    streams = [answer for answer in answers if isinstance(answer, Stream)]
    if streams:
        return _BridgedStream(streams[0])
    return joined([as_text(answer) for answer in answers if isinstance(answer, ModelResponse)])


async def atext_completion(engine: Engine, **arguments: Any) -> TextCompletionResponse | AsyncTextStream:
    """One text completion, from a coroutine. See `penstock.atext_completion`."""
    with raising(arguments.get("custom_llm_provider") or "", str(arguments.get("model") or "")):
        calls = _calls(engine, arguments)
    if not calls:
        return await arun_or_stream(engine, NATIVE, arguments)
    answers = [await chat.acompletion(engine, **call) for call in calls]
    streams = [answer for answer in answers if isinstance(answer, AsyncStream)]
    if streams:
        return _AsyncBridgedStream(streams[0])
    return joined([as_text(answer) for answer in answers if isinstance(answer, ModelResponse)])
