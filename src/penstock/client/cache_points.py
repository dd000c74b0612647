"""Cache points: `cache_control_injection_points` marks messages to be cached, where the caller's own code does not.

    completion(..., cache_control_injection_points=[{"location": "message", "role": "system"}])

Each point marks all messages of a `role`, or the one at an `index` (-1: the last), or of that role the one at that
index of the conversation; `control` is the marker (default `{"type": "ephemeral"}`). The location "tool_config" marks
the last tool. What a message marks itself stays. The names are LiteLLM's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from penstock.calls.arguments import plain
from penstock.types.errors import MalformedError

ARGUMENT = "cache_control_injection_points"
_USUAL = {"type": "ephemeral"}


def with_cache_points(body: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a chat call, marked. Raises MalformedError for a point that is none."""
    marked = {name: value for name, value in body.items() if name != ARGUMENT}
    points = body[ARGUMENT]
    if isinstance(points, str | Mapping) or not isinstance(points, Sequence):
        raise MalformedError(f"expected a list, got {type(points).__name__}", ARGUMENT)
    for number, point in enumerate(points):
        where = f"{ARGUMENT}[{number}]"
        if not isinstance(point, Mapping) or point.get("location") not in ("message", "tool_config"):
            raise MalformedError('expected {"location": "message" or "tool_config", ...}', where)
        control = dict(point.get("control") or _USUAL)
        if point["location"] == "tool_config":
            marked["tools"] = _with_last(list(marked.get("tools") or ()), control)
        else:
            marked["messages"] = _with_messages(list(marked.get("messages") or ()), point, control, where)
    return {name: value for name, value in marked.items() if name != "tools" or value}


def _with_messages(messages: list[Any], point: Mapping[str, Any], control: Any, where: str) -> list[Any]:
    role, index = point.get("role"), point.get("index")
    try:
        chosen = range(len(messages)) if index is None else [range(len(messages))[int(index)]]
    except ValueError:
        raise MalformedError(f"expected a whole number, got {index!r}", f"{where}.index") from None
    except IndexError:  # a conversation that is still shorter has nothing there to mark
        chosen = []
    if role is None and index is None:
        raise MalformedError("a point needs a `role` or an `index`", where)
    for place in chosen:
        message = plain(messages[place])
        if isinstance(message, Mapping) and role in (None, message.get("role")):
            messages[place] = {**message, "content": _with_content(message.get("content"), control)}
    return messages


def _with_content(content: Any, control: Any) -> Any:
    """The content with the marker on its last part."""
    if isinstance(content, str) and content:
        content = [{"type": "text", "text": content}]
    return _with_last(list(content), control) if isinstance(content, list) else content


def _with_last(elements: list[Any], control: Any) -> list[Any]:
    last = plain(elements[-1]) if elements else None
    if isinstance(last, Mapping) and "cache_control" not in last:
        elements[-1] = {**last, "cache_control": dict(control)}
    return elements
