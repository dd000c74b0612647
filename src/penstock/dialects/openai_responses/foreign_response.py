"""Other dialects' answers in the terms of output items. Used for whole answers and, part by part, for streams.

A client of Responses finds text and refusals in message items, thinking in reasoning items (the text itself as content,
a signature as `encrypted_content` with its origin before it, so that it comes back in the caller's history), calls in
function_call items. What a provider ran itself becomes the item of the same tool where there is one. Every item gets an
id, since clients match the events of a stream by it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from penstock.dialects import wire
from penstock.dialects.leftovers import findings, leftovers
from penstock.dialects.openai_responses.content import write_thought
from penstock.dialects.openai_responses.fields import COMPLETED
from penstock.dialects.openai_responses.foreign_outcomes import with_outcome
from penstock.dialects.openai_responses.foreign_parts import adapt_citations
from penstock.dialects.openai_responses.hosted import IMAGE
from penstock.dialects.openai_responses.items import is_content
from penstock.dialects.server_outcomes import answers, code_of
from penstock.dialects.tool_ids import call_id
from penstock.types.content import (
    Base64,
    Json,
    Media,
    Part,
    Refusal,
    ServerToolCall,
    ServerToolResult,
    Signature,
    Text,
    Thinking,
    TokenLogprob,
    ToolCall,
)
from penstock.types.notes import Note
from penstock.types.response import Choice, Response, StopReason

STATUS: dict[StopReason, tuple[str, str | None]] = {
    "stop": ("completed", None),
    "tool_calls": ("completed", None),
    "pause": ("completed", None),
    "refusal": ("completed", None),
    "length": ("incomplete", "max_output_tokens"),
    "content_filter": ("incomplete", "content_filter"),
    "error": ("failed", None),
}
"""Unified stop reason -> (status, the reason in incomplete_details)."""

PREFIXES: dict[str, str] = {
    "message": "msg",
    "reasoning": "rs",
    "function_call": "fc",
    "custom_tool_call": "ctc",
    "web_search_call": "ws",
    "file_search_call": "fs",
    "code_interpreter_call": "ci",
    "mcp_call": "mcp",
    IMAGE: "ig",
}
"""How OpenAI begins the ids of its items."""

_PREFIX = re.compile(r"^[a-z]+[_-]")
_UNSAFE = re.compile(r"[^A-Za-z0-9]")


def item_id(seed: str, kind: str, output_index: int) -> str:
    """The id of an item, derived from the response's: the same in the stream and in the whole answer."""
    stem = _UNSAFE.sub("", _PREFIX.sub("", seed))[-40:]
    return f"{PREFIXES.get(kind, 'item')}_{stem}{output_index}"


def status_of(choice: Choice | None, notes: list[Note]) -> tuple[str, str | None]:
    """(status, reason of incompleteness) of an answer."""
    if choice is None or choice.stop_reason is None:
        return "completed", None
    if choice.stop_sequence is not None:
        notes.append(
            Note(f"choices[{choice.index}].stop_sequence", "dropped", "Responses does not say which sequence it was")
        )
    if choice.stop_reason == "pause":
        notes.append(Note(f"choices[{choice.index}].stop_reason", "weakened", "Responses knows no pause"))
    if choice.stop_reason == "refusal" and not any(isinstance(part, Refusal) for part in choice.parts):
        return STATUS["content_filter"]
    return STATUS[choice.stop_reason]


def adapt_answer(response: Response, seed: str, notes: list[Note]) -> tuple[Part, ...]:
    """The parts of the first choice as `messages.write_output` can write them."""
    for choice in response.choices[1:]:
        notes.append(Note(f"choices[{choice.index}]", "dropped", "Responses gives one answer"))
    if not response.choices:
        return ()
    choice = response.choices[0]
    notes += findings(f"choices[{choice.index}]", choice.extras)
    found: list[Part] = []
    output_index, in_message = -1, False
    calls: list[tuple[ServerToolCall, int]] = []
    for number, part in enumerate(choice.parts):
        path = f"choices[{choice.index}].parts[{number}]"
        if isinstance(part, ServerToolResult) and _join(part, calls, found, path, notes):
            continue
        adapted = adapt_part(part, number, seed, path, notes)
        if adapted is None:
            continue
        begins = not (in_message and is_content(adapted))
        output_index, in_message = output_index + begins, is_content(adapted)
        if isinstance(part, ServerToolCall):
            calls.append((part, len(found)))
        kind = item_type(adapted)
        adapted = replace(adapted, id=item_id(seed, kind, output_index))
        found.append(replace(adapted, extras=COMPLETED) if kind == "message" and begins else adapted)
    return tuple(found)


def _join(
    result: ServerToolResult,
    calls: list[tuple[ServerToolCall, int]],
    found: list[Part],
    path: str,
    notes: list[Note],
) -> bool:
    """Put what came of a call into the item of the call, if it has a place for it. `calls` are those told before, with
    their places in `found`.
    """
    place = next((place for call, place in reversed(calls) if answers(result, call)), None)
    item = None if place is None else found[place]
    joined = with_outcome(item, result, path, notes) if isinstance(item, ServerToolCall) else None
    if joined is None or place is None:
        return False
    found[place] = joined
    return True


def item_type(part: Part) -> str:
    """The type of the item that an adapted part is or stands in."""
    if is_content(part):
        return "message"
    if isinstance(part, ToolCall):
        return "custom_tool_call" if part.custom else "function_call"
    return "reasoning" if isinstance(part, Thinking) else str(part.native)


def adapt_part(part: Part, index: int, seed: str, path: str, notes: list[Note]) -> Part | None:
    """One part without another dialect's fields; None (and a note) where output has no place for it."""
    if part.extras:
        notes += leftovers(path, part.extras)
    adapt_one = _ADAPTERS.get(type(part))
    adapted = None if adapt_one is None else adapt_one(part, path, notes)
    if adapted is None:
        notes.append(Note(path, "dropped", f"output has no item for this {type(part).__name__}"))
    elif isinstance(adapted, ToolCall) and adapted.call_id is None:
        return replace(adapted, call_id=call_id(seed, index))
    return adapted


def _adapt_text(part: Text, path: str, notes: list[Note]) -> Part:
    citations = adapt_citations(part, f"{path}.citations", notes) if part.citations else ()
    logprobs = tuple(complete_logprob(entry) for entry in part.logprobs or ())
    return Text(part.text, citations, logprobs, _carried(part, path, notes))


def complete_logprob(entry: TokenLogprob) -> TokenLogprob:
    """A log probability with the fields that clients of Responses require."""
    data = tuple(entry.token.encode("utf-8", "replace")) if entry.bytes is None else entry.bytes
    top = tuple(complete_logprob(other) for other in entry.top or ())
    return TokenLogprob(entry.token, entry.logprob, data, top)


def _carried(part: Text | ToolCall, path: str, notes: list[Note]) -> Signature | None:
    """The signature of a text or a call, if there is a place for it."""
    if part.signature is not None and not write_thought(part.signature, None):
        notes.append(Note(f"{path}.signature", "dropped", "only reasoning carries this signature here"))
        return None
    return part.signature


def _adapt_refusal(part: Refusal, path: str, notes: list[Note]) -> Part:
    if part.logprobs:
        notes.append(Note(f"{path}.logprobs", "dropped", "a refusal carries no log probabilities here"))
    return Refusal(part.text)


def _adapt_thinking(part: Thinking, path: str, notes: list[Note]) -> Part:
    return Thinking(part.text, part.summary or (), part.signature)


def _adapt_call(part: ToolCall, path: str, notes: list[Note]) -> Part:
    arguments = wire.as_text(part.arguments)
    signature = _carried(part, path, notes)
    if part.custom:
        return ToolCall(part.call_id, part.name, arguments, True, signature)
    return ToolCall(part.call_id, part.name, arguments or "{}", signature=signature, extras=COMPLETED)


def _adapt_json(part: Json, path: str, notes: list[Note]) -> Part:
    return Text(wire.encode(part.value).decode(), (), ())


def _adapt_media(part: Media, path: str, notes: list[Note]) -> Part | None:
    if part.kind == "image" and isinstance(part.source, Base64):
        subtype = (part.media_type or "image/png").partition("/")[2]
        return Media("image", part.source, native=IMAGE, extras={**COMPLETED, "output_format": subtype})
    if part.kind == "audio" and part.transcript:
        notes.append(Note(path, "weakened", "spoken words became a text"))
        return Text(part.transcript, (), ())
    return None


def _adapt_server_call(part: ServerToolCall, path: str, notes: list[Note]) -> Part | None:
    """What the provider ran, as the item of the same tool of OpenAI's."""
    if part.server is not None:
        return adapt_mcp_call(part)
    arguments = part.arguments
    if isinstance(arguments, str):
        try:
            arguments = wire.decode(arguments)
        except ValueError:
            arguments = {}
    asked = arguments if isinstance(arguments, dict) else {}
    make = _SERVER_CALLS.get(part.name)
    if make is None:
        return None
    native, action, extras = make(asked)
    return ServerToolCall(None, part.name, action, native=native, extras={**COMPLETED, **extras})


def adapt_mcp_call(part: ServerToolCall) -> ServerToolCall:
    """A call of an MCP server's tool, without its id."""
    asked = part.arguments
    arguments = asked if isinstance(asked, str) and asked else wire.encode(asked or {}).decode()
    extras = {**COMPLETED, "approval_request_id": None, "output": None, "error": None}
    return ServerToolCall(None, part.name, arguments, part.server, native="mcp_call", extras=extras)


def _web_search(asked: dict[str, Any]) -> tuple[str, dict[str, Any], dict[str, Any]]:
    queries = asked.get("queries") if isinstance(asked.get("queries"), list) else []
    query = asked.get("query") or next(iter(queries or ()), "")
    return "web_search_call", {"type": "search", "query": query}, {}


def _code_execution(asked: dict[str, Any]) -> tuple[str, dict[str, Any], dict[str, Any]]:
    return "code_interpreter_call", {"code": code_of(asked) or ""}, {"container_id": "", "outputs": None}


def _file_search(asked: dict[str, Any]) -> tuple[str, dict[str, Any], dict[str, Any]]:
    queries = asked.get("queries") if isinstance(asked.get("queries"), list) else [asked.get("query", "")]
    return "file_search_call", {"queries": queries}, {"results": None}


_SERVER_CALLS: dict[str, Callable[[dict[str, Any]], tuple[str, dict[str, Any], dict[str, Any]]]] = {
    "web_search": _web_search,
    "code_execution": _code_execution,
    "file_search": _file_search,
}

_ADAPTERS: dict[type, Callable[[Any, str, list[Note]], Part | None]] = {
    Text: _adapt_text,
    Refusal: _adapt_refusal,
    Thinking: _adapt_thinking,
    ToolCall: _adapt_call,
    Json: _adapt_json,
    Media: _adapt_media,
    ServerToolCall: _adapt_server_call,
}
