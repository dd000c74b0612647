"""What another provider's own tool answered, in the item of its call.

Other dialects tell the call and what came of it as two parts; an item of Responses holds both: the `outputs` of code,
the `sources` of a search. A result belongs to the call with its id, or, where there are no ids, to the one before it.

Source: https://platform.openai.com/docs/api-reference/responses/object (output, web search and code interpreter calls).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from msgspec.structs import replace

from penstock.dialects import wire
from penstock.types.content import ServerToolCall, ServerToolResult
from penstock.types.notes import Note


def answers(result: ServerToolResult, call: ServerToolCall) -> bool:
    """Whether `result` is what came of `call`."""
    return result.call_id == call.call_id and result.name == call.name


def with_outcome(item: ServerToolCall, result: ServerToolResult, path: str, notes: list[Note]) -> ServerToolCall | None:
    """`item` (a call in our terms) with what came of it; None where the item has no place for that."""
    add = _OUTCOMES.get(item.native or "")
    found = None if add is None else add(item, result.content)
    if found is not None:
        notes += wire.note_extras(path, result.extras)
        notes.append(
            Note(path, "weakened", "an item of Responses tells the output of code and the addresses found only")
        )
    return found


def _with_sources(item: ServerToolCall, content: Any) -> ServerToolCall | None:
    sources = [{"type": "url", "url": address} for address in dict.fromkeys(_addresses(content))]
    if not sources or not isinstance(item.arguments, dict):
        return None
    return replace(item, arguments={**item.arguments, "sources": sources})


def _addresses(content: Any) -> Iterator[str]:
    """The `url` of each result, at whatever depth a provider lists them."""
    for inner in content.values() if isinstance(content, dict) else content if isinstance(content, list) else ():
        yield from _addresses(inner)
    if isinstance(content, dict) and isinstance(content.get("url"), str):
        yield content["url"]


def _with_logs(item: ServerToolCall, content: Any) -> ServerToolCall | None:
    told = [content.get(key) for key in _STREAMS] if isinstance(content, dict) else [content]
    logs = "\n".join(text for text in told if isinstance(text, str) and text)
    if not logs and not isinstance(content, dict):
        return None
    return replace(item, extras={**(item.extras or {}), "outputs": [{"type": "logs", "logs": logs}] if logs else []})


_STREAMS = ("stdout", "output", "stderr", "error_code")
"""Where providers put what code wrote: Anthropic's two streams, Gemini's one, and the word for why it did not run."""

_OUTCOMES: dict[str, Callable[[ServerToolCall, Any], ServerToolCall | None]] = {
    "web_search_call": _with_sources,
    "code_interpreter_call": _with_logs,
}
