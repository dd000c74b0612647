"""Structured output of foreign requests: natively, by a tool that the model must call, or in words.

Converse knows one format, a JSON Schema given as a string. Its schemas must close every object and may not use some
keywords: those move into the description, where the model at least reads them. Where a model has no such mode, a forced
tool takes the answer, and the reading side unwraps it (`Memo.json_tool`).

Source: https://docs.aws.amazon.com/bedrock/latest/userguide/structured-output.html
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from penstock.dialects.json_answer import ANY_OBJECT, JSON_TOOL, JSON_TOOL_TASK, json_instruction
from penstock.dialects.json_schema import BOUNDS, closed, object_schema
from penstock.dialects.leftovers import leftovers
from penstock.dialects.tool_memo import ToolNames
from penstock.types.notes import Note
from penstock.types.profile import Profile
from penstock.types.request import ResponseFormat, Tool

UNSUPPORTED = BOUNDS
"""Keywords that Converse's `textFormat` refuses."""


class Output(Struct, frozen=True):
    """How a format is said: one of the three, or none of them."""

    format: ResponseFormat | None = None
    tool: Tool | None = None
    prompt: str | None = None


NO_OUTPUT = Output()


def plan_output(wanted: ResponseFormat | None, profile: Profile, names: ToolNames, notes: list[Note]) -> Output:
    """The way that the profile's level allows. "Any JSON object" has no native form: it takes the tool."""
    if wanted is None or wanted.kind == "text":
        return NO_OUTPUT
    notes += leftovers("response_format", wanted.extras)
    level = profile.structured_output
    schema = wanted.schema if wanted.kind == "json_schema" else None
    if level == "json_schema" and schema is not None:
        fitted = _fit(schema, profile, notes)
        return Output(ResponseFormat("json_schema", fitted, wanted.name, wanted.description))
    if level == "none":
        notes.append(Note("response_format", "dropped", "this model has no structured output"))
        return NO_OUTPUT
    if level == "prompt" or not profile.tools or (schema is not None and schema.get("type", "object") != "object"):
        notes.append(Note("response_format", "weakened", "the format was put into the system prompt"))
        return Output(prompt=json_instruction(schema))
    return Output(tool=_tool(names.free(JSON_TOOL), schema or ANY_OBJECT, wanted.description))


def _tool(name: str, schema: dict[str, Any], description: str | None) -> Tool:
    return Tool(name, description=description or JSON_TOOL_TASK, parameters=object_schema(schema))


def _fit(schema: dict[str, Any], profile: Profile, notes: list[Note]) -> dict[str, Any]:
    fitted, told = closed(schema, UNSUPPORTED | profile.schema_unsupported)
    if told:
        words = ", ".join(sorted(told))
        notes.append(Note("response_format.schema", "weakened", f"only told to the model, not enforced: {words}"))
    return fitted
