"""From a reply to a turn: what was left open in the script is decided by what the request asks for.

Also the default answer: when nothing is scripted, the simulated model repeats what it was told, calls the tool that is
forced on it, and answers a schema with the plainest value that fits. The same request gets the same answer.
"""

from collections.abc import Mapping
from typing import Any

from penstock.testing.providers.script import (
    Part,
    Refusal,
    Reply,
    ScriptError,
    Stop,
    Structured,
    Text,
    ToolCall,
    Usage,
    compact,
)
from penstock.testing.providers.wire import Ask, Turn, estimate_parts


def resolve(reply: Reply, ask: Ask) -> Turn:
    """The turn that answers this request."""
    parts = tuple(_plain(part, ask) for part in reply.parts)
    return Turn(
        parts=parts,
        stop=reply.stop or _stop(parts),
        stop_sequence=reply.stop_sequence,
        usage=reply.usage or _usage(parts, ask),
        usage_place=reply.usage_place,
        model=reply.model or ask.model,
        id=reply.id,
    )


def default_reply(ask: Ask) -> Reply:
    """What the simulated model answers by itself."""
    if ask.must_call is not None:
        name = next(iter(ask.tools), "") if ask.must_call == "*" else ask.must_call
        return Reply.tool_calls(ToolCall(name, sample(ask.tools.get(name) or {})))
    if ask.schema is not None:
        return Reply.structured(sample(ask.schema))
    if ask.wants_json:
        return Reply.structured({"said": ask.said})
    return Reply.text(f"You said: {ask.said}")


def sample(schema: Any, definitions: Mapping[str, Any] | None = None) -> Any:
    """The plainest value that fits a JSON schema: first of an enum, least number, required properties only."""
    if not isinstance(schema, Mapping):
        return {}
    known = {**(definitions or {}), **(schema.get("$defs") or schema.get("definitions") or {})}
    if "$ref" in schema:
        return sample(known.get(str(schema["$ref"]).rsplit("/", 1)[-1], {}), known)
    for key in ("const", "default"):
        if key in schema:
            return schema[key]
    if schema.get("enum"):
        return schema["enum"][0]
    for key in ("anyOf", "oneOf", "allOf"):
        if schema.get(key):
            return sample(schema[key][0], known)
    return _of_type(schema, known)


def _of_type(schema: Mapping[str, Any], known: Mapping[str, Any]) -> Any:
    kind = schema.get("type", "object")
    name = str(kind[0] if isinstance(kind, list) else kind).lower()
    match name:
        case "string":
            return "x" * int(schema.get("minLength") or 0) or "text"
        case "integer" | "number":
            return schema.get("minimum") or 1
        case "boolean":
            return True
        case "null":
            return None
        case "array":
            return [sample(schema.get("items") or {}, known) for _ in range(int(schema.get("minItems") or 1))]
        case _:
            properties = schema.get("properties") or {}
            wanted = schema.get("required", list(properties))
            return {key: sample(inner, known) for key, inner in properties.items() if key in wanted}


def _plain(part: Part, ask: Ask) -> Part:
    """A structured value becomes the call of the forced tool, or JSON text; other parts stay."""
    if not isinstance(part, Structured):
        return part
    if ask.must_call is None:
        return Text(compact(part.value))
    if not isinstance(part.value, Mapping):
        raise ScriptError("the request forces a tool, so a structured reply must be a mapping (the tool's arguments)")
    return ToolCall(next(iter(ask.tools), "") if ask.must_call == "*" else ask.must_call, part.value)


def _stop(parts: tuple[Part, ...]) -> Stop:
    if any(isinstance(part, ToolCall) for part in parts):
        return "tool_calls"
    return "refusal" if any(isinstance(part, Refusal) for part in parts) else "end"


def _usage(parts: tuple[Part, ...], ask: Ask) -> Usage:
    written, thought = estimate_parts(parts)
    return Usage(ask.size, written, reasoning_tokens=thought)
