"""unfold: a whole response as the stream that would have brought it. The inverse of fold.

For providers that answer a request for a stream with a whole answer, for mock answers and for replays. Texts are cut
into pieces of about `size` characters, at spaces where there are any, so that a client sees a stream and not one
lump.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from penstock.types.content import Part, Refusal, Text, Thinking, ToolCall
from penstock.types.response import Choice, Response
from penstock.types.stream import (
    ArgumentsDelta,
    CitationDelta,
    Delta,
    End,
    PartEnd,
    PartStart,
    RefusalDelta,
    SignatureDelta,
    Start,
    Stop,
    StreamEvent,
    TextDelta,
    ThinkingDelta,
    UsageDelta,
)


def unfold(response: Response, size: int = 20) -> Iterator[StreamEvent]:
    """The events of `response`, one delta each. `fold` of them gives it back, but for what only the whole form has
    (`extras`).
    """
    yield StreamEvent((Start(response.id, response.model, response.created, response.service_tier),))
    for choice in response.choices:
        for delta in _choice_deltas(choice, size):
            yield StreamEvent((delta,))
    if response.usage is not None:
        yield StreamEvent((UsageDelta(response.usage),))
    yield StreamEvent((End(),))


def _choice_deltas(choice: Choice, size: int) -> Iterator[Delta]:
    for index, part in enumerate(choice.parts):
        yield from _part_deltas(part, index, choice.index, size)
        yield PartEnd(index, choice=choice.index)
    yield Stop(choice.stop_reason, choice.stop_native, choice.stop_sequence, choice.index, choice.extras)


def _part_deltas(part: Part, index: int, choice: int, size: int) -> Iterator[Delta]:
    if isinstance(part, Text):
        yield PartStart(index, replace(part, text="", citations=None, logprobs=None), choice)
        for piece in pieces(part.text, size):
            yield TextDelta(index, piece, choice, None)
        if part.logprobs is not None:
            yield TextDelta(index, "", choice, part.logprobs)
        for citation in part.citations or ():
            yield CitationDelta(index, citation, choice)
    elif isinstance(part, Thinking) and part.text:
        yield PartStart(index, replace(part, text="", signature=None), choice)
        for piece in pieces(part.text, size):
            yield ThinkingDelta(index, piece, choice)
        if part.signature is not None:
            yield SignatureDelta(index, part.signature, choice)
    elif isinstance(part, Refusal):
        yield PartStart(index, replace(part, text=""), choice)
        for piece in pieces(part.text, size):
            yield RefusalDelta(index, piece, choice)
    elif isinstance(part, ToolCall) and isinstance(part.arguments, str):
        yield PartStart(index, replace(part, arguments=""), choice)
        for piece in pieces(part.arguments, size):
            yield ArgumentsDelta(index, piece, choice)
    else:
        yield PartStart(index, part, choice)


def pieces(text: str, size: int) -> Iterator[str]:
    """`text` in pieces of at most about `size` characters that end behind a space where they can. Joined, they are
    the text.
    """
    start = 0
    while start < len(text):
        end = start + size
        space = text.rfind(" ", start, end) + 1
        end = space if space > start and end < len(text) else end
        yield text[start:end]
        start = end
