"""Tool choice, response format, thinking and the strictness of tools, both ways. (The tools: function_tools.py.)

`strict_tools` is one switch for all tools; the representation has it on each. `json_object` is the only format, with
or without a schema. Source: https://docs.cohere.com/reference/chat,
https://docs.cohere.com/docs/structured-outputs, https://docs.cohere.com/docs/reasoning
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from penstock.dialects import wire
from penstock.types.request import Reasoning, ResponseFormat, Tool, ToolChoice

Object = dict[str, Any]

_CHOICES: dict[str, Any] = {"REQUIRED": "required", "NONE": "none"}
_CHOICE_WORDS = {mode: word for word, mode in _CHOICES.items()}
_SCHEMA_KEYS = ("json_schema", "schema")
"""The names of the schema in `response_format`: the documented one, and the one that the API took first."""

_THINKING: dict[Any, bool] = {"enabled": True, "disabled": False}


def with_strict(tools: tuple[Tool, ...], strict: bool) -> tuple[Tool, ...]:
    """The tools under `strict_tools`."""
    return tuple(replace(tool, strict=strict) for tool in tools)


def strict_of(tools: Sequence[Tool]) -> bool | None:
    """`strict_tools` for these tools: what all of them say; False where they differ, None where none says anything."""
    said = [tool.strict for tool in tools]
    return None if said.count(None) == len(said) else said.count(True) == len(said)


def read_tool_choice(value: Any) -> ToolChoice:
    """`tool_choice`: REQUIRED or NONE. Another word is kept for the same dialect."""
    word = wire.string(value)
    mode = _CHOICES.get(word.upper())
    if mode is None:
        return ToolChoice("auto", native=word, extras={"word": word})
    return ToolChoice(mode, native=None if word in _CHOICES else word)


def write_tool_choice(choice: ToolChoice) -> str | None:
    """The word again; None for a free choice, which has none."""
    if choice.native is not None:
        return choice.native
    return _CHOICE_WORDS.get(choice.mode)


def read_response_format(value: Any) -> ResponseFormat:
    """`response_format`. A type that is not known is kept whole."""
    wanted = wire.obj(value)
    kind = wanted.get("type")
    if kind == "text":
        return ResponseFormat("text", extras=wire.rest(wanted, frozenset({"type"})))
    if kind != "json_object":
        return ResponseFormat("text", native="opaque", extras=wanted)
    key = next((key for key in _SCHEMA_KEYS if isinstance(wanted.get(key), dict)), None)
    if key is None:
        return ResponseFormat("json_object", extras=wire.rest(wanted, frozenset({"type"})))
    extras = wire.rest(wanted, frozenset({"type", key}))
    return ResponseFormat("json_schema", wanted[key], native=None if key == _SCHEMA_KEYS[0] else key, extras=extras)


def write_response_format(wanted: ResponseFormat) -> Object:
    """The object again."""
    if wanted.native == "opaque":
        return dict(wanted.extras or {})
    found: Object = {"type": "text" if wanted.kind == "text" else "json_object"}
    if wanted.kind == "json_schema" and wanted.schema is not None:
        found[wanted.native or _SCHEMA_KEYS[0]] = wanted.schema
    return wire.merge(wanted.extras, found)


def read_thinking(value: Any) -> Reasoning:
    """`thinking`: `{"type": "enabled" | "disabled", "token_budget": n}`."""
    wanted = wire.obj(value)
    kind, tokens = wanted.get("type"), wanted.get("token_budget")
    enabled = _THINKING.get(kind) if isinstance(kind, str) else None
    known = {key for key, there in (("type", enabled is not None), ("token_budget", type(tokens) is int)) if there}
    return Reasoning(
        budget_tokens=tokens if "token_budget" in known else None,
        enabled=enabled,
        extras=wire.rest(wanted, frozenset(known)),
    )


def write_thinking(wanted: Reasoning) -> Object:
    """The object again."""
    found: Object = {}
    if wanted.enabled is not None:
        found["type"] = "enabled" if wanted.enabled else "disabled"
    if wanted.budget_tokens is not None:
        found["token_budget"] = wanted.budget_tokens
    return wire.merge(wanted.extras, found)
