"""Responses of Cohere's v2 chat, both ways: one message, a finish reason, usage and log probabilities.

Source: https://docs.cohere.com/reference/chat
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from penstock.dialects import wire
from penstock.dialects.cohere_chat.foreign_response import write_foreign
from penstock.dialects.cohere_chat.logprobs import read_logprobs, write_logprobs
from penstock.dialects.cohere_chat.messages import read_answer, write_answer
from penstock.dialects.cohere_chat.names import NAME, PLAN
from penstock.dialects.cohere_chat.stops import stop_reason
from penstock.dialects.cohere_chat.usage import read_usage, write_usage
from penstock.dialects.dialect import Context
from penstock.dialects.tool_memo import recall_parts
from penstock.types.content import Part, Text, Thinking, ToolCall
from penstock.types.errors import DialectError, MalformedError
from penstock.types.notes import Memo, Rendered
from penstock.types.response import Choice, Response

Object = dict[str, Any]

_KNOWN = frozenset({"id", "message", "finish_reason", "usage", "logprobs"})


def read_response(value: Any, memo: Memo) -> Response:
    """A whole answer. A 200 that holds only an error message is none: MalformedError says so."""
    body = wire.obj(value)
    message = body.get("message")
    if not isinstance(message, dict):
        raise MalformedError(f"expected the assistant's message, got {wire.describe(message)}", "message")
    try:
        parts, message_extras = read_answer(message, True)
    except DialectError as error:
        raise error.at("message") from None
    extras = wire.rest(body, _KNOWN) or {}
    parts = _with_logprobs(parts, body, extras)
    native = _string_at(body, "finish_reason")
    restored = recall_parts(_without_plan(parts, memo), memo)
    choice = Choice(
        restored,
        stop_reason(native, any(type(part) is ToolCall for part in restored), memo),
        native,
        extras=None if message_extras is None else {"message": message_extras},
    )
    return Response(
        dialect=NAME,
        id=_string_at(body, "id"),
        choices=(choice,),
        usage=_read_usage(body),
        extras=extras or None,
    )


def _without_plan(parts: tuple[Part, ...], memo: Memo) -> tuple[Part, ...]:
    """Where a tool stands for a JSON answer, the plan to call it is no part of the answer: it is a thought."""
    if memo.json_tool is None:
        return parts
    return tuple(Thinking(part.text) if isinstance(part, Text) and part.native == PLAN else part for part in parts)


def _string_at(body: Object, key: str) -> str | None:
    value = body.get(key)
    try:
        return None if value is None else wire.string(value)
    except DialectError as error:
        raise error.at(key) from None


def _read_usage(body: Object) -> Any:
    try:
        return None if body.get("usage") is None else read_usage(body["usage"])
    except DialectError as error:
        raise error.at("usage") from None


def _with_logprobs(parts: tuple[Part, ...], body: Object, extras: Object) -> tuple[Part, ...]:
    """The parts, with the log probabilities at the first text; without a text they stay where they were."""
    value = body.get("logprobs")
    if value is None:
        return parts
    place = next((number for number, part in enumerate(parts) if type(part) is Text), None)
    try:
        logprobs = read_logprobs(value)
    except DialectError as error:
        raise error.at("logprobs") from None
    if place is None:
        extras["logprobs"] = value
        return parts
    return (*parts[:place], replace(parts[place], logprobs=logprobs), *parts[place + 1 :])


def render_response(response: Response, context: Context) -> Rendered[Object]:
    """The answer object, for a client of Cohere's v2 chat."""
    if response.dialect != NAME:
        return write_foreign(response, context)
    choice = response.choices[0] if response.choices else Choice()
    message = (choice.extras or {}).get("message")
    found: Object = {"message": write_answer(choice.parts, message)}
    if response.id is not None:
        found["id"] = response.id
    if choice.stop_native is not None:
        found["finish_reason"] = choice.stop_native
    if response.usage is not None:
        found["usage"] = write_usage(response.usage)
    logprobs = next(
        (part.logprobs for part in choice.parts if isinstance(part, Text) and part.logprobs is not None), None
    )
    if logprobs is not None:
        found["logprobs"] = write_logprobs(logprobs)
    return Rendered(wire.merge(response.extras, found))
