"""Structured output: `output_config.format`, both ways, and what stands in for it.

Anthropic knows one format, a JSON Schema (https://platform.claude.com/docs/en/build-with-claude/structured-outputs).
Its schemas must close every object (`additionalProperties: false`) and may not use some keywords: those move into the
description, where the model at least reads them. Where a model has no such mode, a tool that it is forced to call
takes the answer, and the reading side unwraps it (`Memo.json_tool`).
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from penstock.dialects import wire
from penstock.dialects.anthropic_messages.access import maybe_at
from penstock.types.notes import Note
from penstock.types.profile import Profile
from penstock.types.request import ResponseFormat

JSON_TOOL = "json_response"

UNSUPPORTED = frozenset(
    {
        "minimum",
        "maximum",
        "exclusiveMinimum",
        "exclusiveMaximum",
        "multipleOf",
        "minLength",
        "maxLength",
        "maxItems",
        "uniqueItems",
        "minProperties",
        "maxProperties",
    }
)
"""Keywords that `output_config.format` refuses (https://platform.claude.com/docs/en/build-with-claude/structured-
outputs#json-schema-limitations).
"""


def read_format(value: Any) -> ResponseFormat | None:
    """A format object. None where its type is not known: it then stays in the extras."""
    wanted = wire.obj(value)
    if wanted.get("type") != "json_schema":
        return None
    return ResponseFormat("json_schema", maybe_at(wanted, "schema", wire.obj), extras=wire.rest(wanted, _KEYS))


_KEYS = frozenset({"type", "schema"})


def write_format(wanted: ResponseFormat) -> dict[str, Any]:
    """The format object again."""
    found: dict[str, Any] = {"type": "json_schema"}
    if wanted.schema is not None:
        found["schema"] = wanted.schema
    return wire.merge(wanted.extras, found)


class Output(Struct, frozen=True):
    """How a foreign request's format is said here: natively, by a tool, or in words for the system prompt."""

    format: dict[str, Any] | None = None
    tool: dict[str, Any] | None = None
    prompt: str | None = None


NO_OUTPUT = Output()
_OPEN: dict[str, Any] = {"type": "object", "properties": {}, "additionalProperties": True}


def plan_output(wanted: ResponseFormat | None, profile: Profile, notes: list[Note]) -> Output:
    """The way that the profile's level allows. "Any JSON object" has no native form: it takes the tool."""
    if wanted is None or wanted.kind == "text":
        return NO_OUTPUT
    level = profile.structured_output
    schema = wanted.schema if wanted.kind == "json_schema" and wanted.schema is not None else None
    if level == "json_schema" and schema is not None:
        return Output({"type": "json_schema", "schema": _fit(schema, wanted.description, profile, notes)})
    if level == "none":
        notes.append(Note("response_format", "dropped", "this model has no structured output"))
        return NO_OUTPUT
    if level == "prompt" or (schema is not None and schema.get("type", "object") != "object"):
        notes.append(Note("response_format", "weakened", "the format was put into the system prompt"))
        return Output(prompt=_instruction(schema))
    return Output(tool=_tool(schema or _OPEN, wanted.description))


def _instruction(schema: dict[str, Any] | None) -> str:
    if schema is None:
        return "Answer with a JSON object only, without any other text."
    return f"Answer with JSON only, valid against this JSON Schema:\n{wire.encode(schema).decode()}"


def _tool(schema: dict[str, Any], description: str | None) -> dict[str, Any]:
    return {
        "name": JSON_TOOL,
        "description": description or "Give the answer to the user, as the input of this tool.",
        "input_schema": schema if "type" in schema else {"type": "object", **schema},
    }


def _fit(schema: dict[str, Any], description: str | None, profile: Profile, notes: list[Note]) -> dict[str, Any]:
    moved: list[str] = []
    fitted: dict[str, Any] = _closed(schema, UNSUPPORTED | profile.schema_unsupported, moved)
    if description is not None and "description" not in fitted:
        fitted["description"] = description
    if moved:
        words = ", ".join(sorted(set(moved)))
        notes.append(Note("response_format.schema", "weakened", f"only told to the model, not enforced: {words}"))
    return fitted


def _closed(schema: Any, refused: frozenset[str], moved: list[str]) -> Any:
    """A copy of a schema: objects closed, refused keywords told in the description. `moved` takes their names."""
    if not isinstance(schema, dict):
        return schema
    found: dict[str, Any] = {}
    told: dict[str, Any] = {}
    for key, value in schema.items():
        if key in refused:
            told[key] = value
        elif key in _NAMED and isinstance(value, dict):
            found[key] = {name: _closed(inner, refused, moved) for name, inner in value.items()}
        elif key in _LISTED and isinstance(value, list):
            found[key] = [_closed(inner, refused, moved) for inner in value]
        else:
            found[key] = _closed(value, refused, moved) if key == "items" else value
    if found.get("type") == "object" or ("properties" in found and "type" not in found):
        _close(found, moved)
    if told:
        moved += told
        words = ", ".join(f"{key}: {value}" for key, value in told.items())
        found["description"] = f"{found.get('description', '')} ({words})".strip()
    return found


_NAMED = frozenset({"properties", "$defs", "definitions"})
_LISTED = frozenset({"anyOf", "oneOf", "allOf", "prefixItems"})


def _close(found: dict[str, Any], moved: list[str]) -> None:
    """`additionalProperties: false`. A schema that allows others by a word loses something, one that is silent does
    not.
    """
    if found.get("additionalProperties") not in (None, False):
        moved.append("additionalProperties")
    found["additionalProperties"] = False
