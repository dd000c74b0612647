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
from penstock.dialects.json_answer import ANY_OBJECT, JSON_TOOL, JSON_TOOL_TASK, json_instruction
from penstock.dialects.json_schema import BOUNDS, closed, object_schema
from penstock.types.notes import Note
from penstock.types.profile import Profile
from penstock.types.request import ResponseFormat

UNSUPPORTED = BOUNDS
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
        return Output(prompt=json_instruction(schema))
    return Output(tool=_tool(schema or ANY_OBJECT, wanted.description))


def _tool(schema: dict[str, Any], description: str | None) -> dict[str, Any]:
    return {
        "name": JSON_TOOL,
        "description": description or JSON_TOOL_TASK,
        "input_schema": object_schema(schema),
    }


def _fit(schema: dict[str, Any], description: str | None, profile: Profile, notes: list[Note]) -> dict[str, Any]:
    fitted, told = closed(schema, UNSUPPORTED | profile.schema_unsupported)
    if description is not None and "description" not in fitted:
        fitted["description"] = description
    if told:
        words = ", ".join(sorted(told))
        notes.append(Note("response_format.schema", "weakened", f"only told to the model, not enforced: {words}"))
    return fitted
