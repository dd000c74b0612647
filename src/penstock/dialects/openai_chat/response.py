"""Responses of Chat Completions: the answer object, its choices and its usage, both ways.

Source: https://platform.openai.com/docs/api-reference/chat/object. Constants (`object`, `role`) and whatever a host
adds stay in `extras`: they come back exactly where they were, and are written anew only for answers of other
dialects.
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from penstock.dialects import wire
from penstock.dialects.dialect import Context
from penstock.dialects.leftovers import findings
from penstock.dialects.openai_chat.citations import SAID_IN_CITATIONS, SOURCES, cite_sources, read_sources
from penstock.dialects.openai_chat.foreign_response import adapt_choice
from penstock.dialects.openai_chat.json_tool import unwrap_answer
from penstock.dialects.openai_chat.messages import read_answer, write_answer
from penstock.dialects.openai_tiers import adapt_tier
from penstock.dialects.reported_cost import reported_cost
from penstock.dialects.token_logprobs import logprobs_or_none, write_logprobs
from penstock.dialects.tool_ids import response_with_tool_ids
from penstock.dialects.wire import Field, Fields, leniently
from penstock.types.content import Part, Refusal, Text, TokenLogprob, ToolCall
from penstock.types.errors import DialectError, MalformedError
from penstock.types.notes import Memo, Note, Rendered
from penstock.types.response import Choice, Response, StopReason
from penstock.types.usage import Usage

NAME = "openai_chat"

STOP_REASONS: dict[str, StopReason] = {
    "stop": "stop",
    "eos": "stop",
    "end_turn": "stop",
    "length": "length",
    "max_tokens": "length",
    "model_length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
    "sensitive": "content_filter",
    "error": "error",
    "insufficient_system_resource": "error",
    "network_error": "error",
}
STOP_WORDS: dict[StopReason, str] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "content_filter": "content_filter",
    "refusal": "content_filter",
    "pause": "length",
    "error": "stop",
}
_WEAKENED_STOPS: dict[StopReason | None, str] = {
    "pause": "no finish_reason says that the turn is to be continued",
    "error": "no finish_reason says that the provider failed midway",
}


def note_stop(reason: StopReason | None, choice: int, notes: list[Note]) -> None:
    """Note that no word of `finish_reason` means what `reason` does."""
    detail = _WEAKENED_STOPS.get(reason)
    if detail is not None:
        notes.append(Note(f"choices[{choice}].stop_reason", "weakened", detail))


COUNTS: wire.Counts = {
    "prompt_tokens": "input_tokens",
    "completion_tokens": "output_tokens",
    "total_tokens": "total_tokens",
    "prompt_tokens_details": {
        "cached_tokens": "cache_read_tokens",
        "cache_write_tokens": "cache_write_tokens",
        "text_tokens": "input_text_tokens",
        "audio_tokens": "input_audio_tokens",
        "image_tokens": "input_image_tokens",
        "video_tokens": "input_video_tokens",
    },
    "completion_tokens_details": {
        "reasoning_tokens": "reasoning_tokens",
        "text_tokens": "output_text_tokens",
        "audio_tokens": "output_audio_tokens",
        "image_tokens": "output_image_tokens",
        "accepted_prediction_tokens": "accepted_prediction_tokens",
        "rejected_prediction_tokens": "rejected_prediction_tokens",
    },
}
SYNONYMS = {
    "prompt_cache_hit_tokens": "cache_read_tokens",
    "cached_tokens": "cache_read_tokens",
    "num_cached_tokens": "cache_read_tokens",
    "cache_read_input_tokens": "cache_read_tokens",
    "cache_creation_input_tokens": "cache_write_tokens",
    "reasoning_tokens": "reasoning_tokens",
}
"""Where hosts put counts that OpenAI puts elsewhere. They are read if the usual place is empty, and stay where they
were.
"""


def read_usage(value: Any) -> Usage:
    """`usage`, in all the places that hosts use."""
    values, left = wire.read_counts(wire.obj(value), COUNTS)
    spelling: dict[str, str] = {}
    for key, name in SYNONYMS.items():
        if name not in values and type(left.get(key)) is int:
            values[name] = left[key]
            spelling[name] = key
    cost = reported_cost(left) if left else None
    if cost is not None:
        values["cost"] = cost
    read = {key: left.pop(key) for key in _TOLD_TWICE & left.keys() if _is_told(key, spelling, cost)}
    if read:
        left[READ] = read
    searches = (
        (left.get("server_tool_use_details") or {}) if isinstance(left.get("server_tool_use_details"), dict) else {}
    )
    if type(searches.get("web_search_requests")) is int:
        values["server_tool_calls"] = {"web_search": searches["web_search_requests"]}
    return Usage(**values, spelling=spelling or None, extras=left or None)


READ = "(read)"
"""The key in `Usage.extras` for fields that say what a field of Usage says: other dialects lose nothing with them."""

_TOLD_TWICE = frozenset({*SYNONYMS, "prompt_cache_miss_tokens", "cost", "cost_in_usd_ticks"})


def _is_told(key: str, spelling: dict[str, str], cost: str | None) -> bool:
    """Whether the values that were read say all that this field says. (Uncached tokens are the rest of the input.)"""
    if key in ("cost", "cost_in_usd_ticks"):
        return cost is not None
    if key == "prompt_cache_miss_tokens":
        return "cache_read_tokens" in spelling
    return spelling.get(SYNONYMS[key]) == key


def write_usage(usage: Usage, foreign: bool) -> dict[str, Any]:
    """`usage` again. For another dialect's counts, totals are completed, since every client reads them."""
    values = _counts_of(usage)
    if not foreign:
        for name in usage.spelling or ():
            values.pop(name, None)
        extras = usage.extras
        if extras and READ in extras:
            extras = {**{key: value for key, value in extras.items() if key != READ}, **extras[READ]}
        return wire.deep_merge(extras, wire.write_counts(values, COUNTS))
    values["input_tokens"] = values["input_tokens"] or 0
    values["output_tokens"] = values["output_tokens"] or 0
    if values["total_tokens"] is None:
        values["total_tokens"] = values["input_tokens"] + values["output_tokens"]
    found = wire.write_counts(values, COUNTS)
    if usage.cost is not None:
        found["cost"] = float(usage.cost)
    if usage.server_tool_calls:
        found["server_tool_use"] = {f"{name}_requests": count for name, count in usage.server_tool_calls.items()}
    return found


_counts_of = wire.counts_of(wire.count_names(COUNTS))


def _read_choices(value: Any) -> tuple[Choice, ...]:
    found: tuple[Choice, ...] = wire.each(_read_choice, value)
    return found


_CHOICE_KEYS = frozenset({"message", "finish_reason"})


def _read_choice(value: Any) -> Choice:
    choice = wire.obj(value)
    message = choice.get("message")
    extras = dict(wire.rest(choice, _CHOICE_KEYS) or {})
    parts: tuple[Part, ...] = ()
    if message is None:
        extras |= {"message": None} if "message" in choice else {}
    else:
        try:
            parts, message_extras = read_answer(wire.obj(message))
        except DialectError as error:
            raise error.at("message") from None
        extras["message"] = message_extras or {}
    parts = _take_logprobs(parts, extras)
    native = choice.get("finish_reason")
    native = native if isinstance(native, str) else None
    index = choice.get("index")
    if native is None and "finish_reason" in choice:
        extras["finish_reason"] = choice["finish_reason"]
    return Choice(parts, stop_reason(native, parts), native, index=index if type(index) is int else 0, extras=extras)


def stop_reason(native: str | None, parts: tuple[Part, ...]) -> StopReason | None:
    """The unified word. Some hosts say "stop" though the model asks for tools: the calls decide."""
    reason = None if native is None else STOP_REASONS.get(native, "stop")
    if reason == "stop" and any(type(part) is ToolCall for part in parts):
        return "tool_calls"
    if reason == "stop" and parts and all(type(part) is Refusal for part in parts):
        return "refusal"
    return reason


def _take_logprobs(parts: tuple[Part, ...], extras: dict[str, Any]) -> tuple[Part, ...]:
    """Move `logprobs.content` and `logprobs.refusal` onto the part they describe."""
    logprobs = extras.get("logprobs")
    if not isinstance(logprobs, dict):
        return parts
    left = dict(logprobs)
    found = list(parts)
    for key, kind in (("content", Text), ("refusal", Refusal)):
        place = next((number for number, part in enumerate(found) if type(part) is kind), None)
        entries = logprobs_or_none(left.get(key))
        if entries is not None and place is not None:
            del left[key]
            found[place] = _with_logprobs(found[place], entries)
    extras["logprobs"] = left
    return tuple(found)


def _with_logprobs(part: Part, logprobs: tuple[TokenLogprob, ...]) -> Part:
    if isinstance(part, Text):
        return Text(part.text, part.citations, logprobs, part.signature, part.cache, part.id, part.native, part.extras)
    assert isinstance(part, Refusal)
    return Refusal(part.text, logprobs, part.cache, part.id, part.native, part.extras)


def _write_choice(choice: Choice) -> dict[str, Any]:
    extras = dict(choice.extras or {})
    message = extras.pop("message", None)
    found: dict[str, Any] = {}
    if message is None and not choice.parts:
        extras |= {"message": None} if "message" in (choice.extras or {}) else {}
    else:
        found["message"] = write_answer(choice.parts, message)
    logprobs = write_part_logprobs(choice.parts)
    if logprobs:
        found["logprobs"] = logprobs
    if choice.stop_native is not None:
        found["finish_reason"] = choice.stop_native
    return wire.deep_merge(extras, found)


def write_part_logprobs(parts: tuple[Part, ...]) -> dict[str, Any]:
    """`logprobs` of a choice from those of its parts."""
    found: dict[str, Any] = {}
    for part in parts:
        if isinstance(part, Text | Refusal) and part.logprobs is not None:
            key = "content" if isinstance(part, Text) else "refusal"
            found[key] = write_logprobs(part.logprobs)
    return found


FIELDS = Fields(
    Field("id", leniently(wire.string)),
    Field("model", leniently(wire.string)),
    Field("created", leniently(wire.number)),
    Field("choices", _read_choices),
    Field("usage", leniently(read_usage)),
    Field("service_tier", leniently(wire.string)),
)


def read_response(value: Any, memo: Memo) -> Response:
    """A whole answer. A 200 that holds only an error is not one: MalformedError says so (the exchange then reads it
    as an error).
    """
    body = wire.obj(value)
    if not isinstance(body.get("choices"), list):
        raise MalformedError("a list of choices is missing", "choices")
    if memo.json_tool is not None:
        body = unwrap_answer(body, memo.json_tool)
    found = FIELDS.read(body)
    extras = found.get("extras")
    if extras and not SOURCES.isdisjoint(extras):
        _cite(found, extras)
    return Response(dialect=NAME, **found)


def _cite(found: dict[str, Any], extras: dict[str, Any]) -> None:
    """Give the first text the sources that the whole answer names."""
    sources = read_sources(extras)
    choices: tuple[Choice, ...] = found.get("choices", ())
    for number, part in enumerate(choices[0].parts if choices and sources else ()):
        if isinstance(part, Text) and part.citations is None:
            cited = replace(part, citations=cite_sources(part.text, sources))
            parts = (*choices[0].parts[:number], cited, *choices[0].parts[number + 1 :])
            found["choices"] = (replace(choices[0], parts=parts), *choices[1:])
            extras[SAID_IN_CITATIONS] = {key: extras.pop(key) for key in SOURCES & extras.keys()}
            return


def render_response(response: Response, context: Context) -> Rendered[dict[str, Any]]:
    """The answer object, for a client of Chat Completions."""
    if response.dialect == NAME:
        found = _write_own(response)
        if context.model is not None:
            found["model"] = context.model
        return Rendered(found)
    response = response_with_tool_ids(response, response.id or context.id)
    notes = [*findings("", response.extras)]
    found = {
        "id": response.id or context.id,
        "object": "chat.completion",
        "created": int(response.created or context.created),
        "model": context.model or response.model or "",
        "choices": [_write_foreign_choice(choice, notes) for choice in response.choices],
    }
    if response.usage is not None:
        found["usage"] = write_usage(response.usage, True)
        notes += findings("usage", response.usage.extras)
    tier = adapt_tier(response.service_tier, notes)
    if tier is not None:
        found["service_tier"] = tier
    return Rendered(found, tuple(notes))


def _write_own(response: Response) -> dict[str, Any]:
    values = {
        "id": response.id,
        "model": response.model,
        "created": response.created,
        "service_tier": response.service_tier,
    }
    found: dict[str, Any] = {key: value for key, value in values.items() if value is not None}
    found["choices"] = [_write_choice(choice) for choice in response.choices]
    if response.usage is not None:
        found["usage"] = write_usage(response.usage, False)
    extras = response.extras
    if extras and SAID_IN_CITATIONS in extras:
        extras = {**extras, **extras[SAID_IN_CITATIONS]}
        del extras[SAID_IN_CITATIONS]
    return wire.merge(extras, found)


def _write_foreign_choice(choice: Choice, notes: list[Note]) -> dict[str, Any]:
    parts, message_extras = adapt_choice(choice, notes)
    message = {"role": "assistant", "content": None, **write_answer(parts, message_extras)}
    if isinstance(message["content"], list) and all(part.get("type") == "text" for part in message["content"]):
        message["content"] = "".join(part["text"] for part in message["content"])
    reason = choice.stop_reason or stop_reason("stop", parts)
    if choice.stop_reason is None:
        path = f"choices[{choice.index}].stop_reason"
        notes.append(Note(path, "added", "why it ended was not said; every client expects a reason"))
    word = STOP_WORDS[reason or "stop"]
    note_stop(reason, choice.index, notes)
    found: dict[str, Any] = {"index": choice.index, "message": message, "finish_reason": word}
    logprobs = write_part_logprobs(parts)
    if logprobs:
        found["logprobs"] = logprobs
    if choice.stop_native is not None and choice.stop_native != word:
        found["native_finish_reason"] = choice.stop_native
    if choice.stop_sequence is not None:
        found["stop_sequence"] = choice.stop_sequence
    return found
