"""An answer in JSON from a model that has no mode for it: asked for in words, or taken by a tool that it must call.

The reading side unwraps the call of such a tool (`Memo.json_tool`, tool_memo.py).
"""

from __future__ import annotations

from typing import Any

from penstock.dialects import wire

JSON_TOOL = "json_response"
JSON_TOOL_TASK = "Give the answer to the user, as the input of this tool."
ANY_OBJECT: dict[str, Any] = {"type": "object", "properties": {}, "additionalProperties": True}
"""The schema of an answer of which no more is known. Never changed."""


def json_instruction(schema: dict[str, Any] | None) -> str:
    """The sentence that asks for JSON: of this schema, or (None) for any object."""
    if schema is None:
        return "Answer with a JSON object only, without any other text."
    return f"Answer with JSON only, valid against this JSON Schema:\n{wire.encode(schema).decode()}"
