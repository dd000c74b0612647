"""Responses of Ollama's chat, both ways: one message, `done`, and counts and durations beside them.

Source: https://docs.ollama.com/api/chat, and `ChatResponse` in api/types.go of ollama/ollama
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from penstock.dialects import constants, wire
from penstock.dialects.dialect import Context
from penstock.dialects.ollama_chat.foreign_response import write_foreign
from penstock.dialects.ollama_chat.messages import read_parts, write_parts
from penstock.dialects.ollama_chat.names import NAME
from penstock.dialects.ollama_chat.stops import stop_reason
from penstock.dialects.ollama_chat.times import seconds_of, text_of
from penstock.dialects.ollama_chat.usage import KEYS, read_usage, write_usage
from penstock.dialects.token_logprobs import read_logprobs, write_logprobs
from penstock.dialects.tool_memo import recall_parts
from penstock.types.content import Part, Text, ToolCall
from penstock.types.errors import DialectError, MalformedError
from penstock.types.notes import Memo, Rendered
from penstock.types.response import Choice, Response

Object = dict[str, Any]

CREATED = "(created_at)"
"""In the extras of a response: the time as the wire has it."""

MESSAGE = {"role": "assistant", "content": ""}
DONE = {"done": True}
KNOWN = frozenset({"model", "message", "done_reason", "logprobs", *KEYS})


def read_response(value: Any, memo: Memo) -> Response:
    """A whole answer. A 200 that holds only an error is none: MalformedError says so."""
    body = wire.obj(value)
    parts, message_extras = read_message_of(body)
    created = seconds_of(body.get("created_at"))
    known = KNOWN if created is None else KNOWN | {"created_at"}
    extras = constants.rest(body, known, DONE) or {}
    if created is not None:
        extras[CREATED] = body["created_at"]
    parts = recall_parts(_with_logprobs(parts, body, extras), memo)
    native = wire.optional_string(body, "done_reason")
    called = any(type(part) is ToolCall for part in parts)
    reason = stop_reason(native, body.get("done") is True, called)
    choice = Choice(parts, reason, native, extras=None if message_extras is None else {"message": message_extras})
    return Response(
        dialect=NAME,
        model=wire.optional_string(body, "model"),
        created=created,
        choices=(choice,),
        usage=read_usage(body),
        extras=extras or None,
    )


def read_message_of(body: Object) -> tuple[tuple[Part, ...], Object | None]:
    """(the parts of an answer's message, what of it is not modelled)."""
    message = body.get("message")
    if not isinstance(message, dict):
        raise MalformedError(f"expected the assistant's message, got {wire.describe(message)}", "message")
    try:
        parts, extras = read_parts(message, frozenset({"role"}))
    except DialectError as error:
        raise error.at("message") from None
    role = message.get("role", constants.ABSENT)
    if role != "assistant":
        extras = {**(extras or {}), "role": role} if role != constants.ABSENT else _without_role(extras)
    return parts, extras


def _without_role(extras: Object | None) -> Object:
    found = dict(extras or {})
    found[constants.ABSENT] = [*found.get(constants.ABSENT, ()), "role"]
    return found


def _with_logprobs(parts: tuple[Part, ...], body: Object, extras: Object) -> tuple[Part, ...]:
    """The parts, with the log probabilities at the first text; without a text they stay where they were."""
    value = body.get("logprobs")
    if value is None:
        return parts
    try:
        logprobs = read_logprobs(value)
    except DialectError as error:
        raise error.at("logprobs") from None
    place = next((number for number, part in enumerate(parts) if type(part) is Text), None)
    if place is None:
        extras["logprobs"] = value
        return parts
    return (*parts[:place], replace(parts[place], logprobs=logprobs), *parts[place + 1 :])


def render_response(response: Response, context: Context) -> Rendered[Object]:
    """The answer object, for a client of Ollama's chat."""
    if response.dialect != NAME:
        return write_foreign(response, context)
    choice = response.choices[0] if response.choices else Choice()
    found: Object = {
        "message": constants.merge((choice.extras or {}).get("message"), MESSAGE, write_parts(choice.parts))
    }
    if response.model is not None:
        found["model"] = response.model
    if context.model is not None:
        found["model"] = context.model
    if choice.stop_native is not None:
        found["done_reason"] = choice.stop_native
    if response.usage is not None:
        found |= write_usage(response.usage)
    extras = dict(response.extras or {})
    kept = extras.pop(CREATED, None)
    if response.created is not None:
        found["created_at"] = kept if seconds_of(kept) == response.created else text_of(response.created)
    logprobs = next(
        (part.logprobs for part in choice.parts if isinstance(part, Text) and part.logprobs is not None), None
    )
    if logprobs is not None:
        found["logprobs"] = write_logprobs(logprobs)
    return Rendered(constants.merge(extras, DONE, found))
