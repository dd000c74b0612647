"""Structured calls: a chat call whose answer is checked against `response_format`, and mended on request.

One generator says what to call and judges what came; `drive` and `adrive` do the calling. An answer that fits has
`message.parsed`; one that does not goes back to the model with what is wrong, up to `max_repairs` times, and then
raises JSONSchemaValidationError. What the tries cost is added up: no spend is lost.

Not judged are answers in which the model did something else: it called a tool, refused, or was held back by a content
filter. Any JSON mode (`json_object`) has no schema to break: what is no JSON there leaves `parsed` empty.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from functools import partial
from typing import Any

from penstock.client.engine import Engine
from penstock.client.failures import raising
from penstock.client.objects import Choice, ModelResponse
from penstock.client.streams import AsyncStream, Stream
from penstock.client.structured import Misfit, Wanted, parse, repair_messages, wanted_of
from penstock.providers.cost import Cost

Arguments = dict[str, Any]
Judging = Generator[Arguments, Any, Any]


def judged(engine: Engine, arguments: Arguments) -> Judging:
    """What to call with, answer by answer; the value is the answer to give. Raises JSONSchemaValidationError."""
    with raising(arguments.get("custom_llm_provider") or "", str(arguments.get("model") or "")):
        wanted = wanted_of(arguments["response_format"])
    if wanted is None:
        return (yield arguments)
    arguments = {**arguments, "response_format": wanted.body}
    check = _setting(engine, arguments, "enable_json_schema_validation") is not False
    earlier: list[ModelResponse] = []
    while True:
        answer = yield arguments
        if isinstance(answer, Stream):
            return answer.watch(partial(_checked, answer, wanted, check))
        if isinstance(answer, AsyncStream):
            return answer.watch(partial(_achecked, answer, wanted, check))
        try:
            settle(wanted, answer, check)
            return _with_earlier(answer, earlier)
        except Misfit as misfit:
            mendable = len(earlier) < (_setting(engine, arguments, "max_repairs") or 0)
            if not mendable or _was_cut(answer):
                raise misfit_error(misfit, _with_earlier(answer, earlier), wanted, len(earlier)) from None
            earlier.append(answer)
            arguments = {**arguments, "messages": [*arguments["messages"], *repair_messages(misfit)]}


def _setting(engine: Engine, arguments: Arguments, name: str) -> Any:
    given = arguments.get(name)
    return getattr(engine.defaults, name) if given is None else given


def settle(wanted: Wanted, answer: ModelResponse, check: bool = True) -> None:
    """Set `parsed` on the message of each choice. Raises Misfit for the first that does not fit, where it is to be
    checked.
    """
    for choice in answer.get("choices") or ():
        if _did_something_else(choice):
            continue
        try:
            vars(choice.message)["parsed"] = parse(wanted, choice.message.get("content"))
        except Misfit:
            if check and wanted.schema is not None:
                raise


def _did_something_else(choice: Choice) -> bool:
    message = choice.message
    if message.get("refusal") or message.get("tool_calls"):
        return True
    return not message.get("content") and choice.get("finish_reason") == "content_filter"


def _was_cut(answer: ModelResponse) -> bool:
    return any(choice.get("finish_reason") == "length" for choice in answer.get("choices") or ())


def misfit_error(misfit: Misfit, answer: ModelResponse, wanted: Wanted, repairs: int) -> Exception:
    """The exception for an answer that does not fit."""
    from penstock.exceptions import JSONSchemaValidationError

    hidden = answer._hidden_params
    message = "the answer does not fit the schema: " + "; ".join(misfit.errors)
    if _was_cut(answer):
        message = "the answer was cut at its token limit, so it does not fit the schema; give more `max_tokens`"
    elif repairs:
        message += f" (after {repairs} repairs)"
    elif hidden.get("custom_llm_provider"):
        message += ". `max_repairs=1` lets the model mend it"
    return JSONSchemaValidationError(
        message,
        hidden.get("custom_llm_provider") or "",
        answer.get("model") or "",
        raw_response=misfit.text,
        errors=misfit.errors,
        schema=wanted.schema,
        completion=answer,
        partial=answer,
        response_cost=hidden.get("response_cost"),
    )


def _with_earlier(answer: ModelResponse, earlier: list[ModelResponse]) -> ModelResponse:
    """The answer with what the earlier ones cost: `response_cost` is for all of them (unknown if one is), `repairs`
    their number, `repaired_usage` their usages. `usage` stays the answer's own.
    """
    if not earlier:
        return answer
    hidden = answer._hidden_params
    hidden["repairs"] = len(earlier)
    hidden["repaired_usage"] = [each.usage for each in earlier]
    bills = [each._hidden_params.get("cost") for each in (*earlier, answer)]
    known = [bill for bill in bills if isinstance(bill, Cost)]
    total = sum(known[1:], known[0]) if len(known) == len(bills) else None
    hidden["cost"] = total
    hidden["response_cost"] = None if total is None else total.usd
    return answer


def _checked(
    stream: Stream[Any, Any], wanted: Wanted, check: bool, chunks: Generator[Any, None, None]
) -> Generator[Any, None, None]:
    yield from chunks
    _settle_whole(stream.response, wanted, check)


async def _achecked(
    stream: AsyncStream[Any, Any], wanted: Wanted, check: bool, chunks: AsyncGenerator[Any, None]
) -> AsyncGenerator[Any, None]:
    try:
        async for chunk in chunks:
            yield chunk
    finally:
        await chunks.aclose()
    _settle_whole(stream.response, wanted, check)


def _settle_whole(whole: Any, wanted: Wanted, check: bool) -> None:
    try:
        settle(wanted, whole, check)
    except Misfit as misfit:
        raise misfit_error(misfit, whole, wanted, 0) from None


def drive(engine: Engine, inner: Callable[[Arguments], Any], arguments: Arguments) -> Any:
    """A structured call, blocking."""
    judging = judged(engine, arguments)
    try:
        arguments = next(judging)
        while True:
            arguments = judging.send(inner(arguments))
    except StopIteration as done:
        return done.value


async def adrive(engine: Engine, inner: Callable[[Arguments], Awaitable[Any]], arguments: Arguments) -> Any:
    """A structured call, from a coroutine."""
    judging = judged(engine, arguments)
    try:
        arguments = next(judging)
        while True:
            arguments = judging.send(await inner(arguments))
    except StopIteration as done:
        return done.value
