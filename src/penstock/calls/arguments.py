"""Arguments: what a Python caller may pass beyond JSON, made JSON.

Messages may be answers of earlier calls (ours, the `openai` package's, any pydantic model); tools may be such objects
or Python functions; nothing that belongs to the caller is ever changed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from penstock.dialects.wire import describe
from penstock.types.errors import MalformedError


def plain(value: Any) -> Any:
    """A JSON value of an object that can dump itself (pydantic's or ours); anything else as it is."""
    dump = getattr(value, "model_dump", None)
    if dump is not None and not isinstance(value, type):
        return dump(exclude_none=True)
    return value


def tool_of(value: Any) -> Any:
    """A tool as a JSON value: it may be one already, an object that can dump itself, or a Python function. Raises
    MalformedError.
    """
    if callable(value) and not isinstance(value, type | Mapping):
        from penstock.calls.functions import function_of

        return function_of(value).tool
    return plain(value)


_MESSAGES = '[{"role": "user", "content": "Hello"}]'


def messages_of(value: Any) -> list[Any]:
    """`messages` as a list of JSON objects. Raises MalformedError."""
    if isinstance(value, str | Mapping) or not isinstance(value, Sequence):
        raise MalformedError(f"expected a list of messages, such as {_MESSAGES}; got {describe(value)}", "messages")
    if not value:
        raise MalformedError(f"there must be at least one message, such as {_MESSAGES}", "messages")
    return [message if type(message) is dict else plain(message) for message in value]


def mapping_of(value: Any, name: str) -> dict[str, Any]:
    """An argument that must be a dict, as a copy. Raises MalformedError with the argument's name."""
    if not isinstance(value, Mapping):
        raise MalformedError(f"expected a dict, got {type(value).__name__}", name)
    return dict(value)


def without(body: dict[str, Any], paths: Sequence[str]) -> dict[str, Any]:
    """A copy of `body` without what `paths` name: `seed`, `tools[*].function.strict`, `messages[0].name`."""
    for path in paths:
        steps = [step for step in re.split(r"\.|(\[\*\]|\[\d+\])", path) if step]
        body = _without(body, steps) if steps else body
    return body


def _without(value: Any, steps: Sequence[str]) -> Any:
    step, *rest = steps
    if step == "[*]" and isinstance(value, list):
        return [_without(element, rest) if rest else None for element in value] if rest else []
    if step.startswith("[") and isinstance(value, list):
        place = int(step[1:-1]) if step != "[*]" else -1
        if not 0 <= place < len(value):
            return value
        changed = [_without(value[place], rest)] if rest else []
        return [*value[:place], *changed, *value[place + 1 :]]
    if not isinstance(value, dict) or step not in value:
        return value
    if rest:
        return {**value, step: _without(value[step], rest)}
    return {key: inner for key, inner in value.items() if key != step}
