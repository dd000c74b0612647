"""Profile facts: what a renderer must know about a model, read off its row. Sparse: a field is there only where the
fact sheet says something.

The result has the form that `profiles.overlay` takes, and belongs between the families and the host's own rules: it
knows the one model, they know better how it is spoken to. An absent fact never turns a feature off.
"""

from __future__ import annotations

from typing import Any, Final

from penstock.providers.facts.row import Row

_CLAUDE_FORMATS: Final = frozenset({"anthropic_messages", "bedrock_converse"})

_EFFORTS: Final = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
_USUAL_EFFORTS: Final = frozenset({"low", "medium", "high"})
"""What a reasoning model knows unless its row says otherwise; every other word must be said
(`supports_xhigh_reasoning_effort`)."""


def profile_changes(row: Row, wire_format: str) -> dict[str, Any]:
    """The fields of `types.profile.Profile` that this model's facts decide, when it is spoken to in `wire_format`."""
    changes: dict[str, Any] = {}
    if row.limits.output is not None:
        changes["max_output_tokens"] = row.limits.output
    if row.supports("function_calling") is False:
        changes["tools"] = False
    if row.supports("sampling_params") is False:
        changes["unsupported"] = ["temperature", "top_p", "top_k"]
    if row.fields.get("bedrock_converse_supports_strict_tools") is False and wire_format == "bedrock_converse":
        changes["strict_tools"] = False
    return {**changes, **_structured_output(row, wire_format), **_reasoning(row, wire_format)}


def _structured_output(row: Row, wire_format: str) -> dict[str, Any]:
    native = _native_schema(row, wire_format)
    if native is None:
        return {}
    if native:
        return {"structured_output": "json_schema"} if wire_format == "bedrock_converse" else {}
    return {"structured_output": "prompt" if row.supports("function_calling") is False else "tool"}


def _native_schema(row: Row, wire_format: str) -> bool | None:
    """Whether the model itself keeps to a JSON schema. Claude's rows tell it by format, since LiteLLM's general flag
    counts forced tools too."""
    if wire_format == "bedrock_converse":
        told = row.supports("bedrock_native_structured_output")
        return row.supports("native_structured_output") if told is None else told
    if wire_format == "anthropic_messages":
        return row.supports("native_structured_output")
    return row.supports("response_schema")


def _reasoning(row: Row, wire_format: str) -> dict[str, Any]:
    if row.supports("reasoning") is False:
        return {"reasoning": "none"}
    changes: dict[str, Any] = {}
    if row.supports("adaptive_thinking") and wire_format in _CLAUDE_FORMATS:
        changes["reasoning"] = "adaptive"
    efforts = _efforts_at_bedrock(row) if wire_format == "bedrock_converse" else []
    efforts = efforts or _efforts(row)
    if efforts:
        changes["reasoning_efforts"] = efforts
    return changes


def _efforts_at_bedrock(row: Row) -> list[str]:
    """Claude's efforts there, which end sooner than at Anthropic."""
    ceiling = row.fields.get("bedrock_output_config_effort_ceiling")
    if ceiling not in _EFFORTS:
        return []
    return list(_EFFORTS[_EFFORTS.index("low") : _EFFORTS.index(ceiling) + 1])


def _efforts(row: Row) -> list[str]:
    """The effort words that the model knows, weakest first; none where its row does not speak of them."""
    levels = row.fields.get("reasoning_effort_levels")
    if isinstance(levels, list) and levels:
        return [word for word in _EFFORTS if word in levels]
    said = {word: row.supports(f"{word}_reasoning_effort") for word in _EFFORTS}
    if not row.supports("reasoning") or all(value is None for value in said.values()):
        return []
    return [word for word, value in said.items() if value or (value is None and word in _USUAL_EFFORTS)]
