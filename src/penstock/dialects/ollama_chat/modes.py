"""`format` and `think` of a request, both ways.

Source: https://docs.ollama.com/capabilities/structured-outputs, .../thinking
"""

from __future__ import annotations

from typing import Any

from penstock.dialects import wire
from penstock.types.errors import MalformedError
from penstock.types.request import Reasoning, ResponseFormat


def read_format(value: Any) -> ResponseFormat | None:
    """`format`: "json", or a JSON Schema. None for another word, such as "", which is kept as it is."""
    if isinstance(value, dict):
        return ResponseFormat("json_schema", value)
    if not isinstance(value, str):
        raise MalformedError(f"expected 'json' or a JSON Schema, got {wire.describe(value)}")
    return ResponseFormat("json_object") if value == "json" else None


def write_format(wanted: ResponseFormat) -> Any:
    """The value again."""
    if wanted.kind == "json_schema" and wanted.schema is not None:
        return wanted.schema
    return "json"


def read_think(value: Any) -> Reasoning:
    """`think`: a switch, or a word ("low", "medium", "high", "max") for models with levels."""
    if isinstance(value, bool):
        return Reasoning(enabled=value)
    if not isinstance(value, str):
        raise MalformedError(f"expected a boolean or a word, got {wire.describe(value)}")
    return Reasoning(value)


def write_think(wanted: Reasoning) -> bool | str:
    """The value again."""
    return wanted.effort if wanted.effort is not None else wanted.enabled is not False
