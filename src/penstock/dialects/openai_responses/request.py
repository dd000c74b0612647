"""Requests of Responses. The table FIELDS is the specification: what is not in it is not modelled and travels in
`extras`.

What the API has and no other (`previous_response_id`, `conversation`, `prompt`, `background`, `include`, `truncation`,
`context_management` ...) stays in `extras`. Of `include`, one entry is a field of the representation:
"message.output_text.logprobs" is `logprobs`.

Source: https://platform.openai.com/docs/api-reference/responses/create, and the few fields that compatible hosts add.
"""

from __future__ import annotations

from typing import Any

from penstock.dialects import wire
from penstock.dialects.dialect import PathMatch
from penstock.dialects.openai_responses.foreign import adapt
from penstock.dialects.openai_responses.messages import read_input, write_input
from penstock.dialects.openai_responses.quirks import apply_quirks
from penstock.dialects.openai_responses.tools import read_tool_choice, read_tools, write_tool, write_tool_choice
from penstock.dialects.said import Said
from penstock.dialects.wire import Field, Fields
from penstock.types.content import Part, Text
from penstock.types.notes import NO_MEMO, Note, Rendered
from penstock.types.profile import Profile
from penstock.types.request import Reasoning, Request, ResponseFormat

NAME = "openai_responses"
LOGPROBS = "message.output_text.logprobs"
INCLUDE = "(include)"
"""The key in `extras` for an `include` whose loss is none: what it asks for is a field, or comes unasked elsewhere."""
_NOTHING_LOST = frozenset({LOGPROBS, "reasoning.encrypted_content"})

Body = dict[str, Any]


def _read_instructions(value: Any) -> tuple[Part, ...]:
    return (Text(wire.string(value)),)


def _read_reasoning(value: Any) -> Reasoning:
    """`reasoning`: OpenAI's effort and summary, and OpenRouter's max_tokens, enabled and exclude."""
    wanted = wire.obj(value)
    known = {key for key, kind in _REASONING_TYPES.items() if type(wanted.get(key)) is kind}
    spelled = "generate_summary" if "summary" not in known and "generate_summary" in known else "summary"
    known.discard("generate_summary" if spelled == "summary" else "summary")
    return Reasoning(
        wanted["effort"] if "effort" in known else None,
        wanted["max_tokens"] if "max_tokens" in known else None,
        wanted["enabled"] if "enabled" in known else None,
        summary=wanted[spelled] if spelled in known else None,
        include=not wanted["exclude"] if "exclude" in known else None,
        native=None if spelled == "summary" else spelled,
        extras=wire.rest(wanted, frozenset(known)),
    )


_REASONING_TYPES: dict[str, type] = {
    "effort": str,
    "max_tokens": int,
    "enabled": bool,
    "summary": str,
    "generate_summary": str,
    "exclude": bool,
}


def write_reasoning(wanted: Reasoning) -> Body:
    """`reasoning` again."""
    values = {
        "effort": wanted.effort,
        "max_tokens": wanted.budget_tokens,
        "enabled": wanted.enabled,
        wanted.native or "summary": wanted.summary,
        "exclude": None if wanted.include is None else not wanted.include,
    }
    return wire.merge(wanted.extras, {key: value for key, value in values.items() if value is not None})


def _read_stop(value: Any) -> Any:
    return value if isinstance(value, str) else wire.strings(value)


FIELDS = Fields(
    Field("model", wire.string),
    Field("input", read_input, "messages"),
    Field("instructions", _read_instructions, "system"),
    Field("tools", read_tools),
    Field("tool_choice", read_tool_choice),
    Field("parallel_tool_calls", wire.boolean),
    Field("max_output_tokens", wire.integer, "max_tokens"),
    Field("temperature", wire.number),
    Field("top_p", wire.number),
    Field("top_logprobs", wire.integer),
    Field("reasoning", _read_reasoning),
    Field("service_tier", wire.string),
    Field("user", wire.string),
    Field("safety_identifier", wire.string),
    Field("prompt_cache_key", wire.string),
    Field("prompt_cache_retention", wire.string),
    Field("metadata", wire.obj),
    Field("store", wire.boolean),
    Field("stream", wire.boolean),
    # Not OpenAI's own: OpenRouter, vLLM and others take them. Another dialect's are not sent (foreign.py).
    Field("top_k", wire.number),
    Field("stop", _read_stop),
    Field("seed", wire.integer),
    Field("presence_penalty", wire.number),
    Field("frequency_penalty", wire.number),
)

_PLAIN = Said(FIELDS.wire_names, but=("messages", "system", "tools", "tool_choice", "reasoning", "stop"))


def read_request(value: Any, match: PathMatch) -> Request:
    """A request body."""
    body = wire.obj(value)
    found = FIELDS.read(body)
    extras: Body = found.pop("extras", {})
    if isinstance(extras.get("text"), dict):
        _read_text_options(extras["text"], found, extras)
    include = extras.get("include")
    if isinstance(include, list) and LOGPROBS in include:
        found["logprobs"] = True
    if isinstance(include, list) and all(isinstance(entry, str) and entry in _NOTHING_LOST for entry in include):
        extras[INCLUDE] = extras.pop("include")
    if "messages" not in found:
        found["messages"] = ()
        found["spelling"] = {"messages": "none"}
    elif isinstance(body["input"], str):
        found["spelling"] = {"messages": "string"}
    if "model" not in found:
        found["model"] = match.model
    return Request(dialect=NAME, extras=extras or None, **found)


def _read_text_options(options: Body, found: Body, extras: Body) -> None:
    """`text`: the format and the verbosity of the answer. What is left of the object stays in the extras, even if
    nothing is.
    """
    left = dict(options)
    if isinstance(left.get("verbosity"), str):
        found["verbosity"] = left.pop("verbosity")
    wanted = left.get("format")
    if isinstance(wanted, dict) and wanted.get("type") in ("text", "json_object", "json_schema"):
        found["response_format"] = _read_format(left.pop("format"))
    extras["text"] = left


def _read_format(wanted: Body) -> ResponseFormat:
    kind = wanted["type"]
    if kind != "json_schema":
        return ResponseFormat(kind, extras=wire.rest(wanted, frozenset({"type"})))
    schema, strict = wanted.get("schema"), wanted.get("strict")
    return ResponseFormat(
        kind,
        None if schema is None else wire.obj(schema),
        wire.optional_string(wanted, "name"),
        wire.optional_string(wanted, "description"),
        None if strict is None else wire.boolean(strict),
        extras=wire.rest(wanted, _FORMAT_KEYS),
    )


_FORMAT_KEYS = frozenset({"type", "schema", "name", "description", "strict"})


def render_request(request: Request, profile: Profile) -> Rendered[Body]:
    """The request body for a host with this profile."""
    notes: list[Note] = []
    memo = NO_MEMO
    if request.dialect != NAME:
        request, memo = adapt(request, profile, notes)
    body = write_settings(request)
    _write_messages(request, body)
    apply_quirks(body, request, profile, notes)
    return Rendered(body, tuple(notes), memo)


def write_settings(request: Request) -> Body:
    """The body without its input."""
    body = dict(request.extras) if request.extras else {}
    if INCLUDE in body:
        body["include"] = body.pop(INCLUDE)
    for _, key, value in _PLAIN.of(request):
        body[key] = value
    if request.system is not None:
        body["instructions"] = "\n\n".join(part.text for part in request.system if isinstance(part, Text))
    if request.tools is not None:
        body["tools"] = [write_tool(tool) for tool in request.tools]
    if request.tool_choice is not None:
        body["tool_choice"] = write_tool_choice(request.tool_choice)
    if request.reasoning is not None:
        body["reasoning"] = write_reasoning(request.reasoning)
    if request.stop is not None:
        body["stop"] = request.stop if isinstance(request.stop, str) else list(request.stop)
    if request.response_format is not None or request.verbosity is not None:
        body["text"] = _write_text_options(request, body.get("text"))
    _write_include(request, body)
    return body


def _write_text_options(request: Request, left: Any) -> Body:
    options = dict(left) if isinstance(left, dict) else {}
    if request.response_format is not None:
        options["format"] = write_format(request.response_format)
    if request.verbosity is not None:
        options["verbosity"] = request.verbosity
    return options


def write_format(wanted: ResponseFormat) -> Body:
    """`text.format` again."""
    found: Body = {"type": wanted.kind}
    if wanted.kind == "json_schema":
        for key in ("name", "schema", "strict", "description"):
            value = getattr(wanted, key)
            if value is not None:
                found[key] = value
    return wire.merge(wanted.extras, found)


def _write_include(request: Request, body: Body) -> None:
    """`include`, with log probabilities exactly if they are wanted."""
    include = body.get("include")
    entries: list[Any] = include if isinstance(include, list) else []
    listed = LOGPROBS in entries
    if request.logprobs and not listed:
        body["include"] = [*entries, LOGPROBS]
    elif listed and not request.logprobs:
        body["include"] = [entry for entry in entries if entry != LOGPROBS]


def _write_messages(request: Request, body: Body) -> None:
    spelled = (request.spelling or {}).get("messages")
    messages = request.messages
    if not messages and spelled == "none":
        return
    items = write_input(messages)
    if spelled == "string" and len(items) == 1 and items[0].keys() == {"role", "content"}:
        content = items[0]["content"]
        body["input"] = content if items[0]["role"] == "user" and isinstance(content, str) else items
    else:
        body["input"] = items
