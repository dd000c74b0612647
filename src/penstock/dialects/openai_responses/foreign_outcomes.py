"""What another provider's own tool answered, in the item of its call.

Other dialects tell the call and what came of it as two parts; an item of Responses holds both: the `outputs` of code,
the `output` of an MCP server's tool, the `sources` of a search. A result belongs to the call with its id, or, where
there are no ids, to the one before it.

Source: https://platform.openai.com/docs/api-reference/responses/object (output, web search and code interpreter calls).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from msgspec.structs import replace

from penstock.dialects.leftovers import leftovers
from penstock.dialects.openai_responses.fields import ITEM
from penstock.dialects.server_outcomes import MCP, code_outcome, mcp_words
from penstock.types.content import ServerToolCall, ServerToolResult
from penstock.types.notes import Note


def with_outcome(item: ServerToolCall, result: ServerToolResult, path: str, notes: list[Note]) -> ServerToolCall | None:
    """`item` (a call in our terms) with what came of it; None where the item has no place for that."""
    add = _OUTCOMES.get(item.native or "")
    found = None if add is None else add(item, result)
    if found is not None:
        notes += leftovers(path, result.extras)
        if result.name != MCP or mcp_words(result.content)[1]:
            notes.append(Note(path, "weakened", "an item of Responses tells the words and the addresses found only"))
    return found


def _with_sources(item: ServerToolCall, result: ServerToolResult) -> ServerToolCall | None:
    sources = [{"type": "url", "url": address} for address in dict.fromkeys(_addresses(result.content))]
    if not sources or not isinstance(item.arguments, dict):
        return None
    return replace(item, arguments={**item.arguments, "sources": sources})


def _addresses(content: Any) -> Iterator[str]:
    """The `url` of each result, at whatever depth a provider lists them."""
    for inner in content.values() if isinstance(content, dict) else content if isinstance(content, list) else ():
        yield from _addresses(inner)
    if isinstance(content, dict) and isinstance(content.get("url"), str):
        yield content["url"]


def _with_logs(item: ServerToolCall, result: ServerToolResult) -> ServerToolCall | None:
    outcome = code_outcome(result.content)
    if outcome is None:
        return None
    outputs = [{"type": "logs", "logs": outcome.text}] if outcome.text else []
    return replace(item, extras={**(item.extras or {}), "outputs": outputs})


def _with_output(item: ServerToolCall, result: ServerToolResult) -> ServerToolCall:
    words, _ = mcp_words(result.content)
    if result.is_error:
        return replace(item, extras={**(item.extras or {}), ITEM: {"status": "failed"}, "error": words})
    return replace(item, extras={**(item.extras or {}), "output": words})


_OUTCOMES: dict[str, Callable[[ServerToolCall, ServerToolResult], ServerToolCall | None]] = {
    "web_search_call": _with_sources,
    "code_interpreter_call": _with_logs,
    "mcp_call": _with_output,
}
