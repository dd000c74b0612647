"""InTurn: the parts of any dialect's stream, one after the other.

OpenAI finishes an item before it adds the next, and clients build their history from the items as they are done. Parts
of other dialects are freer: several grow at once, and many are never said to end before the whole answer does. The
rule here, as for the blocks of Messages: a text or a thought ends when another part speaks, and goes on as a new part,
if it must; a tool call, whose input is one JSON object, ends only when that object is whole or its end is said. Until
then all else waits, in its order.

Deltas go in with the numbers of their source, and come out numbered in the order in which the parts are told.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from msgspec.structs import replace

from penstock.dialects import wire
from penstock.types.content import Citation, Part, Refusal, Text, Thinking, ToolCall
from penstock.types.errors import DialectError
from penstock.types.stream import (
    ArgumentsDelta,
    CitationDelta,
    Delta,
    MediaDelta,
    PartEnd,
    PartStart,
    RefusalDelta,
    SignatureDelta,
    SummaryDelta,
    TextDelta,
    ThinkingDelta,
)

Kind = type[Any] | None
"""Text, Refusal, Thinking or ToolCall; None: a part that is told when it ends."""


class _Part:
    """A part of the source, and the number under which it is told now.

    `said` are the characters of a text so far, `base` what was told of it under other numbers: the characters of a
    text, the paragraphs of a summary. `pieces` are those of a call's input.
    """

    __slots__ = ("base", "continued", "custom", "ended", "is_whole", "judged_at", "kind", "number", "pieces", "said")

    def __init__(self, kind: Kind, number: int, custom: bool = False) -> None:
        self.kind = kind
        self.number = number
        self.custom = custom
        self.base = self.said = 0
        self.pieces: list[str] = []
        self.continued = self.ended = self.is_whole = False
        self.judged_at = 0

    def may_end(self) -> bool:
        """Whether nothing more must belong to this part: it is anything but a call whose input is still cut."""
        if self.kind is not ToolCall:
            return True
        if self.judged_at != len(self.pieces):
            self.judged_at = len(self.pieces)
            likely = not self.custom and self.pieces[-1].rstrip().endswith("}")
            self.is_whole = likely and _is_object("".join(self.pieces))
        return self.is_whole


class InTurn:
    """State of one stream. `too_late` is told (the number of a part, what came after the part was told to its end)."""

    def __init__(self, too_late: Callable[[int, str], None]) -> None:
        self._too_late = too_late
        self._parts: dict[int, _Part] = {}
        self._told = 0
        self._current: _Part | None = None
        self._waiting: list[Any] = []

    def arrange(self, deltas: Iterable[Delta]) -> list[Delta]:
        """What can be told now that these have come."""
        out: list[Delta] = []
        for delta in deltas:
            self._take(delta, out)
        return out

    def end_all(self) -> list[Delta]:
        """The answer is complete: everything that waited, and the ends of all that grew."""
        out: list[Delta] = []
        self._end_current(out)
        while self._waiting:
            waiting, self._waiting = self._waiting, []
            for delta in waiting:
                self._take(delta, out)
            self._end_current(out)
        return out

    def _take(self, delta: Any, out: list[Delta]) -> None:
        """Tell one delta, or let it wait; and whatever may follow then."""
        if not self._place(delta, out):
            self._waiting.append(delta)
        todo = deque[Any]()
        while True:
            if self._waiting and (self._current is None or self._current.may_end()):
                todo.extendleft(reversed(self._waiting))
                self._waiting.clear()
            if not todo:
                return
            if not self._place(todo[0], out):
                self._waiting.append(todo[0])
            todo.popleft()

    def _place(self, delta: Any, out: list[Delta]) -> bool:
        """Tell one delta. False: it is not its turn."""
        index = getattr(delta, "index", None)
        if index is None or delta.choice:
            out.append(delta)
            return True
        part = self._parts.get(index)
        if part is None:
            return self._begin(index, delta, out)
        if part is self._current:
            if type(delta) is not PartStart:
                self._grow(part, delta, out)
            return True
        if part.kind is None:
            return self._place_whole(part, delta, out)
        return self._place_late(index, part, delta, out)

    def _begin(self, index: int, delta: Any, out: list[Delta]) -> bool:
        ends = type(delta) is PartEnd
        if ends and delta.part is None:
            return True
        kind, custom = _kind(delta)
        if (kind is not None or ends) and not self._give_turn(out):
            return False
        part = self._parts[index] = _Part(kind, self._next(), custom)
        part.ended = ends
        if kind is not None and not ends:
            self._current = part
        self._grow(part, delta, out)
        return True

    def _next(self) -> int:
        self._told += 1
        return self._told - 1

    def _give_turn(self, out: list[Delta]) -> bool:
        """End the part that grows, if it can be ended."""
        if self._current is not None and not self._current.may_end():
            return False
        self._end_current(out)
        return True

    def _end_current(self, out: list[Delta]) -> None:
        part, self._current = self._current, None
        if part is not None:
            out.append(PartEnd(part.number))

    def _grow(self, part: _Part, delta: Any, out: list[Delta]) -> None:
        """More of the part that grows, or its end."""
        kind = type(delta)
        if kind is PartEnd:
            part.ended = True
            self._current = None if part is self._current else self._current
            if part.continued:
                delta = PartEnd(delta.index)  # it repeats what other parts hold now
        elif kind is TextDelta:
            part.said += len(delta.text)
        elif kind is ArgumentsDelta:
            part.pieces.append(delta.text)
        elif kind is PartStart:
            self._grow_at_once(part, delta.part)
        elif part.base and kind is CitationDelta:
            delta = replace(delta, citation=_moved(delta.citation, part.base))
        elif part.base and kind is SummaryDelta:
            delta = replace(delta, paragraph=max(0, delta.paragraph - part.base))
        out.append(delta if delta.index == part.number else replace(delta, index=part.number))

    def _grow_at_once(self, part: _Part, begun: Part) -> None:
        """What a part holds when it begins."""
        if isinstance(begun, Text):
            part.said += len(begun.text)
        elif isinstance(begun, ToolCall) and begun.arguments:
            part.pieces.append(wire.as_text(begun.arguments))

    def _place_whole(self, part: _Part, delta: Any, out: list[Delta]) -> bool:
        if type(delta) is PartEnd and not part.ended and not self._give_turn(out):
            return False
        self._grow(part, delta, out)
        return True

    def _place_late(self, index: int, part: _Part, delta: Any, out: list[Delta]) -> bool:
        """More of a part that was told to its end: it goes on as another part, if that is more than a remark."""
        kind = type(delta)
        if kind in (PartStart, PartEnd) or (kind is not SignatureDelta and _kind(delta)[0] is not part.kind):
            part.ended = part.ended or kind is PartEnd
            return True
        if kind is SignatureDelta:
            if part.kind is Thinking and not part.ended:
                self._too_late(part.number, "signature")
            out.append(replace(delta, index=part.number))
            return True
        if kind is not CitationDelta and not delta.text:
            if kind in (TextDelta, RefusalDelta) and delta.logprobs:
                self._too_late(part.number, "logprobs")
            return True
        if kind is ArgumentsDelta:
            if delta.text.strip():
                self._too_late(part.number, "arguments")
            return True
        if not self._give_turn(out):
            return False
        part.base = delta.paragraph if kind is SummaryDelta else part.said
        part.number, part.continued = self._next(), True
        self._current = part
        self._grow(part, delta, out)
        return True


def _kind(delta: Any) -> tuple[Kind, bool]:
    """What a delta says of its part: its kind, and whether it is a call with free-form input."""
    part: Part | None = getattr(delta, "part", None)
    if part is None:
        return _KINDS[type(delta)], False
    kind = type(part)
    return (kind if kind in _GROWING else None), isinstance(part, ToolCall) and part.custom


def _moved(citation: Citation, base: int) -> Citation:
    """The citation of a text whose first `base` characters were told as another part."""
    start, end = citation.start, citation.end
    return replace(
        citation,
        start=None if start is None else max(0, start - base),
        end=None if end is None else max(0, end - base),
    )


def _is_object(text: str) -> bool:
    try:
        return isinstance(wire.decode(text), dict)
    except DialectError:
        return False


_GROWING = frozenset({Text, Refusal, Thinking, ToolCall})

_KINDS: dict[type, Kind] = {
    TextDelta: Text,
    CitationDelta: Text,
    RefusalDelta: Refusal,
    ThinkingDelta: Thinking,
    SummaryDelta: Thinking,
    SignatureDelta: Thinking,
    ArgumentsDelta: ToolCall,
    MediaDelta: None,
}
