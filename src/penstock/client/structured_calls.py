"""Structured calls: a chat call whose answer is checked against what was asked for (`response_format`; of the Responses
API `text_format`), and mended on request.

One generator says what to call and judges what came; `drive` and `adrive` do the calling. What the shapes have of their
own is their form (answer_forms.py). An answer that fits has `message.parsed` (`output_parsed`). One that does not goes
back to the model with what is wrong, up to `max_repairs` times, and then raises JSONSchemaValidationError. What the
tries cost is added up: no spend is lost. Of a stream, the `response` is judged when all has come; what was given out
cannot be mended.

Not judged are answers in which the model did something else: it called a tool, refused, or was held back by a content
filter. Any JSON mode (`json_object`) has no schema to break: what is no JSON there leaves `parsed` empty.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from functools import partial
from typing import Any

from penstock.calls.engine import Engine
from penstock.calls.failures import raising
from penstock.client.answer_forms import AnswerForm, Arguments
from penstock.client.objects import Answer
from penstock.client.streams import AsyncStream, Stream
from penstock.client.structured import Misfit, Wanted, parse, repair_of, wanted_of
from penstock.providers.cost import Cost

Judging = Generator[Arguments, Any, Any]


def judged(engine: Engine, form: AnswerForm, arguments: Arguments) -> Judging:
    """What to call with, answer by answer; the value is the answer to give. Raises JSONSchemaValidationError."""
    with raising(arguments.get("custom_llm_provider") or "", str(arguments.get("model") or "")):
        wanted = wanted_of(form.asked(arguments), form.argument)
        arguments = arguments if wanted is None else form.put(arguments, wanted.body)
    if wanted is None:
        return (yield arguments)
    judge = Judge(form, wanted, _setting(engine, arguments, "enable_json_schema_validation") is not False)
    earlier: list[Answer] = []
    while True:
        answer = yield arguments
        if isinstance(answer, Stream):
            return answer.watch(partial(_checked, answer, judge))
        if isinstance(answer, AsyncStream):
            return answer.watch(partial(_achecked, answer, judge))
        try:
            judge.settle(answer)
            return _with_earlier(answer, earlier)
        except Misfit as misfit:
            mendable = len(earlier) < (_setting(engine, arguments, "max_repairs") or 0)
            if not mendable or form.was_cut(answer):
                raise judge.error(misfit, _with_earlier(answer, earlier), len(earlier)) from None
            earlier.append(answer)
            arguments = form.go_on(arguments, misfit.text, repair_of(misfit))


def _setting(engine: Engine, arguments: Arguments, name: str) -> Any:
    given = arguments.get(name)
    return getattr(engine.defaults, name) if given is None else given


class Judge:
    """Judges answers in this form by what was wanted. `check`: whether one that does not fit is an error."""

    def __init__(self, form: AnswerForm, wanted: Wanted, check: bool) -> None:
        self._form, self._wanted, self._check = form, wanted, check

    def settle(self, answer: Answer) -> None:
        """Set `parsed` where the answer's text stands, of each choice. Raises Misfit for the first that does not fit,
        where it is to be checked.
        """
        for text, place in self._form.texts(answer):
            try:
                vars(place)["parsed"] = parse(self._wanted, text)
            except Misfit:
                if self._check and self._wanted.schema is not None:
                    raise

    def settle_whole(self, answer: Any) -> None:
        """The same at the end of a stream. Raises JSONSchemaValidationError."""
        try:
            self.settle(answer)
        except Misfit as misfit:
            raise self.error(misfit, answer, 0) from None

    def error(self, misfit: Misfit, answer: Answer, repairs: int) -> Exception:
        """The exception for an answer that does not fit."""
        from penstock.exceptions import JSONSchemaValidationError

        hidden = answer._hidden_params
        message = "the answer does not fit the schema: " + "; ".join(misfit.errors)
        if self._form.was_cut(answer):
            limit = self._form.limit
            message = f"the answer was cut at its token limit, so it does not fit the schema; give more `{limit}`"
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
            schema=self._wanted.schema,
            completion=answer,
            partial=answer,
            response_cost=hidden.get("response_cost"),
        )


def _with_earlier(answer: Answer, earlier: list[Answer]) -> Answer:
    """The answer with what the earlier ones cost: `response_cost` is for all of them (unknown if one is), `repairs`
    their number, `repaired_usage` their usages. `usage` stays the answer's own.
    """
    if not earlier:
        return answer
    hidden = answer._hidden_params
    hidden["repairs"] = len(earlier)
    hidden["repaired_usage"] = [each.get("usage") for each in earlier]
    bills = [each._hidden_params.get("cost") for each in (*earlier, answer)]
    known = [bill for bill in bills if isinstance(bill, Cost)]
    total = sum(known[1:], known[0]) if len(known) == len(bills) else None
    hidden["cost"] = total
    hidden["response_cost"] = None if total is None else total.usd
    return answer


def _checked(stream: Stream[Any, Any], judge: Judge, chunks: Generator[Any, None, None]) -> Generator[Any, None, None]:
    yield from chunks
    judge.settle_whole(stream.response)


async def _achecked(
    stream: AsyncStream[Any, Any], judge: Judge, chunks: AsyncGenerator[Any, None]
) -> AsyncGenerator[Any, None]:
    try:
        async for chunk in chunks:
            yield chunk
    finally:
        await chunks.aclose()
    judge.settle_whole(stream.response)


def drive(engine: Engine, form: AnswerForm, inner: Callable[[Arguments], Any], arguments: Arguments) -> Any:
    """A structured call, blocking."""
    judging = judged(engine, form, arguments)
    try:
        arguments = next(judging)
        while True:
            arguments = judging.send(inner(arguments))
    except StopIteration as done:
        return done.value


async def adrive(
    engine: Engine, form: AnswerForm, inner: Callable[[Arguments], Awaitable[Any]], arguments: Arguments
) -> Any:
    """A structured call, from a coroutine."""
    judging = judged(engine, form, arguments)
    try:
        arguments = next(judging)
        while True:
            arguments = judging.send(await inner(arguments))
    except StopIteration as done:
        return done.value
