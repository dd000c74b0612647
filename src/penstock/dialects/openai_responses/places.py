"""Where the narrator is: the parts and messages that it has begun to tell, and their places on the wire."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from penstock.types.content import Part, Refusal, Text, Thinking, ToolCall

Body = dict[str, Any]


class Message:
    """A message item under way: its contents, some of which may still be open."""

    __slots__ = ("contents", "id", "open", "output_index")

    def __init__(self, output_index: int, name: str) -> None:
        self.output_index = output_index
        self.id = name
        self.contents: list[Body | None] = []
        self.open = 0


class Slot:
    """A part under way, and its place on the wire. `kind` names its events; "whole" is a part that is told when it
    ends.
    """

    __slots__ = (
        "citations",
        "content_index",
        "ended",
        "head",
        "index",
        "kind",
        "message",
        "paragraph",
        "part",
        "pieces",
    )

    def __init__(self, index: int, kind: str) -> None:
        self.index = index
        self.kind = kind
        self.head: Body = {}
        self.message: Message | None = None
        self.content_index = -1
        self.part: Part | None = None
        self.pieces: list[str] = []
        self.paragraph: int | None = None
        self.citations = 0
        self.ended = False


_CLASSES: dict[str, type[Any]] = {
    "output_text": Text,
    "refusal": Refusal,
    "reasoning_text": Thinking,
    "function_call_arguments": ToolCall,
    "custom_tool_call_input": ToolCall,
}


def settled(slot: Slot, part: Part | None) -> Part:
    """The part that ends a slot; what was told of the slot, if its index came to be used for another kind of part."""
    kind = _CLASSES[slot.kind]
    if isinstance(part, kind):
        return part  # type: ignore[no-any-return]  # `kind` is a class of parts
    text = "".join(slot.pieces)
    if isinstance(slot.part, ToolCall):
        return replace(slot.part, arguments=text)
    return Text(text, (), ()) if kind is Text else Refusal(text) if kind is Refusal else Thinking(text, ())


def item_head(slot: Slot) -> Body:
    return {"item_id": slot.head["item_id"], "output_index": slot.head["output_index"]}


DELTA_EVENTS = {
    "output_text": "response.output_text.delta",
    "refusal": "response.refusal.delta",
    "reasoning_text": "response.reasoning_text.delta",
    "function_call_arguments": "response.function_call_arguments.delta",
    "custom_tool_call_input": "response.custom_tool_call_input.delta",
}
