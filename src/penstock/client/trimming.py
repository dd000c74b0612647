"""trim_messages: a conversation cut to a number of tokens. What is left is still a conversation.

System messages stay. Of the rest, the newest turns stay, as many as fit; a tool's result stands or falls with the call
that it answers. The last turn always stays: where it alone is too long, its longest text is shortened in the middle.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from penstock.calls.arguments import messages_of
from penstock.calls.failures import raising
from penstock.calls.tokens import token_counter
from penstock.providers.facts import current_facts
from penstock.types.errors import MalformedError

Message = Mapping[str, Any]
_GAP = "\n[...]\n"


def trim_messages(
    messages: Sequence[Any],
    model: str | None = None,
    trim_ratio: float = 0.75,
    return_response_tokens: bool = False,
    max_tokens: int | None = None,
) -> Any:
    """The messages, cut to `max_tokens`, or to `trim_ratio` of the model's context window.

    With `return_response_tokens`, (messages, tokens left for the answer). Nothing that is given is changed. Raises
    BadRequestError where the limit is not known, or where the system messages alone are longer than it.
    """
    with raising("", model or ""):
        given = messages_of(messages)
        window = _window(model)
        budget = max_tokens if max_tokens is not None else int((window or 0) * trim_ratio)
        if max_tokens is None and window is None:
            raise MalformedError(f"the context window of {model!r} is not known: give max_tokens", "max_tokens")

        def count(some: Sequence[Message]) -> int:
            return int(token_counter(model=model or "", messages=some)) if some else 0

        kept = given if count(given) <= budget else _trimmed(given, budget, count)
        return (kept, (window or budget) - count(kept)) if return_response_tokens else kept


def _window(model: str | None) -> int | None:
    limits = None if model is None else current_facts().limits(model)
    return None if limits is None else limits.input


def _trimmed(messages: list[Any], budget: int, count: Callable[[Sequence[Message]], int]) -> list[Any]:
    instructions = [message for message in messages if _role(message) in ("system", "developer")]
    turns = turns_of([message for message in messages if _role(message) not in ("system", "developer")])
    left = budget - count(instructions)
    if left <= 0 or not turns:
        raise MalformedError(f"the system messages alone have more than {budget} tokens", "messages")
    kept: list[list[Any]] = []
    for turn in reversed(turns):
        if kept and count([message for each in (turn, *kept) for message in each]) > left:
            break
        kept.insert(0, turn)
    while len(kept) > 1 and _role(kept[0][0]) != "user":
        kept.pop(0)  # a conversation begins with its user: some providers take no other
    return [*instructions, *_shortened([message for turn in kept for message in turn], left, count)]


def _role(message: Any) -> str:
    return str(message.get("role")) if isinstance(message, Mapping) else ""


def turns_of(messages: Sequence[Any]) -> list[list[Any]]:
    """The messages in pieces that must not be parted: a message that calls tools, and the results to its calls."""
    turns: list[list[Any]] = []
    for message in messages:
        if turns and (_role(message) in ("tool", "function") or _holds_result(message)) and _calls(turns[-1][0]):
            turns[-1].append(message)
        else:
            turns.append([message])
    return turns


def _calls(message: Any) -> bool:
    content = message.get("content")
    blocks = content if isinstance(content, list) else ()
    return bool(message.get("tool_calls") or message.get("function_call")) or any(
        isinstance(block, Mapping) and block.get("type") == "tool_use" for block in blocks
    )


def _holds_result(message: Any) -> bool:
    content = message.get("content")
    blocks = content if isinstance(content, list) else ()
    return any(isinstance(block, Mapping) and block.get("type") == "tool_result" for block in blocks)


def _shortened(messages: list[Any], budget: int, count: Callable[[Sequence[Message]], int]) -> list[Any]:
    """The messages, the longest text shortened as far as it takes."""
    if count(messages) <= budget:
        return messages
    texts = [(len(message["content"]), place) for place, message in enumerate(messages) if _is_text(message)]
    if not texts:
        raise MalformedError(f"the last turn has more than {budget} tokens, and no text to shorten", "messages")
    place = max(texts)[1]
    text = messages[place]["content"]
    low, high = 0, len(text)
    while low < high:  # the most characters that fit
        middle = (low + high + 1) // 2
        fits = count(_with_text(messages, place, cut(text, middle))) <= budget
        low, high = (middle, high) if fits else (low, middle - 1)
    if low == 0:
        raise MalformedError(f"the last turn cannot be shortened to {budget} tokens", "messages")
    return _with_text(messages, place, cut(text, low))


def _is_text(message: Any) -> bool:
    return isinstance(message.get("content"), str) and bool(message["content"])


def _with_text(messages: list[Any], place: int, text: str) -> list[Any]:
    return [*messages[:place], {**messages[place], "content": text}, *messages[place + 1 :]]


def cut(text: str, characters: int) -> str:
    """A text with so many of its characters, half from the start and half from the end."""
    if characters >= len(text):
        return text
    head = (characters + 1) // 2
    return text[:head] + _GAP + text[len(text) - (characters - head) :]
