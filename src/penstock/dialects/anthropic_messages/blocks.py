"""Content blocks of a stream, one after the other, for parts that come in any order.

A block is opened, takes deltas, is closed, and the next one opens. Parts of other dialects are freer: several grow at
once. The rule here: a text or a thought is closed when another part speaks (and goes on in a new block, if it must); a
tool call, whose input is one JSON object, only when that object is whole or the part has ended. Until then the others
wait, their pieces kept in order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from penstock.dialects import wire
from penstock.dialects.anthropic_messages.messages import park
from penstock.dialects.anthropic_messages.signatures import Place, seal
from penstock.types.content import Signature, ToolCall
from penstock.types.errors import DialectError

Object = dict[str, Any]

TEXT, THOUGHT, WITHHELD, CALL, WHOLE, SILENT = "text", "thinking", "withheld", "tool_use", "whole", "silent"
"""Kinds. A WITHHELD thought is only its signature; a WHOLE block is complete as it begins; a SILENT part has none."""


class Block:
    """A part of the answer, and the block (or blocks) that it is written in.

    `head` is what content_block_start says. `pieces` are those of a call's input; `waiting` are deltas that could not
    be written yet. `wants` says that the part has something to write and waits for its turn.
    """

    __slots__ = (
        "call",
        "closed",
        "ended",
        "head",
        "index",
        "is_whole",
        "item_id",
        "judged_at",
        "kind",
        "opened",
        "paragraph",
        "pieces",
        "signature",
        "waiting",
        "wants",
        "wire_index",
    )

    def __init__(self, index: int, kind: str, head: Object, call: ToolCall | None = None) -> None:
        self.index = index
        self.kind = kind
        self.head = head
        self.call = call
        self.wire_index = -1
        self.pieces: list[str] = []
        self.waiting: list[Object] = []
        self.signature: Signature | None = None
        self.item_id: str | None = None
        self.paragraph: int | None = None
        self.wants = self.opened = self.closed = self.ended = False
        self.is_whole, self.judged_at = False, 0

    def is_only_proven(self) -> bool:
        """Whether this is a thought of which nothing but the signature is known."""
        return not self.opened and self.kind in (THOUGHT, WITHHELD) and self.signature is not None

    def may_close(self) -> bool:
        """Whether nothing more can belong to this block: anything but a call whose input is still cut."""
        if self.call is None or self.ended:
            return True
        if self.judged_at != len(self.pieces):
            self.judged_at = len(self.pieces)
            likely = not self.call.custom and self.pieces[-1].rstrip().endswith("}")
            self.is_whole = likely and _is_object("".join(self.pieces))
        return self.is_whole


def _is_object(text: str) -> bool:
    try:
        return isinstance(wire.decode(text), dict)
    except DialectError:
        return False


class Blocks:
    """All blocks of one answer. `write` takes each event, `too_late` is told of input that came after a whole call."""

    def __init__(self, write: Callable[[Object], None], too_late: Callable[[Block], None]) -> None:
        self._write = write
        self._too_late = too_late
        self._open: Block | None = None
        self._last: Block | None = None
        self._next = 0
        self.all: dict[int, Block] = {}

    def add(self, block: Block) -> Block:
        """One more block, in its place."""
        self.all[block.index] = block
        return block

    def say(self, block: Block, delta: Object) -> None:
        """One more piece of a block, now if it is its turn, else as soon as it is."""
        if block is not self._open and not self.give_turn(block):
            block.waiting.append(delta)
            return
        self._write({"type": "content_block_delta", "index": block.wire_index, "delta": delta})

    def give_turn(self, block: Block) -> bool:
        """Open `block`, if the one that is open can be closed; else it waits."""
        if block is self._open:
            return True
        if self._open is not None:
            if not self._open.may_close():
                block.wants = True
                return False
            self._close(self._open)
        if block.closed and block.kind == CALL:
            self._too_late(block)
            return False
        self._let_earlier_speak(block)
        self._start(block)
        return True

    def _let_earlier_speak(self, block: Block) -> None:
        """Thoughts of which there is only a proof come before what follows them."""
        for earlier in self.all.values():
            if earlier is block:
                return
            if earlier.is_only_proven():
                self._start(earlier)
                if earlier is self._open:
                    self._close(earlier)

    def _start(self, block: Block) -> None:
        if block.kind == CALL and block.signature is not None:
            self._park(block.signature, ">")
            block.signature = None
        if block.kind == WITHHELD and block.signature is not None:
            block.kind, block.head = WHOLE, {"type": "redacted_thinking", "data": seal(block.signature, block.item_id)}
        block.wants, block.opened = False, True
        block.wire_index = self._next
        self._next += 1
        self._write({"type": "content_block_start", "index": block.wire_index, "content_block": block.head})
        self._open, block.closed = block, False
        if block.kind == WHOLE:
            self._close(block)
            return
        for delta in block.waiting:
            self._write({"type": "content_block_delta", "index": block.wire_index, "delta": delta})
        block.waiting.clear()

    def _close(self, block: Block) -> None:
        """End the open block: with its signature, or the whole of a free-form input."""
        index = block.wire_index
        if block.call is not None and block.call.custom:
            text = wire.encode({"input": "".join(block.pieces)}).decode()
            delta: Object = {"type": "input_json_delta", "partial_json": text}
            self._write({"type": "content_block_delta", "index": index, "delta": delta})
        if block.kind == THOUGHT and block.signature is not None:
            delta = {"type": "signature_delta", "signature": seal(block.signature, block.item_id)}
            self._write({"type": "content_block_delta", "index": index, "delta": delta})
        self._write({"type": "content_block_stop", "index": index})
        self._open, self._last, block.closed = None, block, True
        if block.kind not in (THOUGHT, WHOLE) and block.signature is not None:
            self._park(block.signature, "<")
        block.signature = None

    def _park(self, signature: Signature, place: Place) -> None:
        """A block of its own for a signature that has no place in its part's block."""
        self._write({"type": "content_block_start", "index": self._next, "content_block": park(signature, place)})
        self._write({"type": "content_block_stop", "index": self._next})
        self._next += 1

    def sign_late(self, block: Block, signature: Signature) -> bool:
        """The signature of a block that was closed. It can be told only while nothing has followed."""
        if block is not self._last or self._open is not None:
            return False
        self._park(signature, "" if block.kind == THOUGHT else "<")
        return True

    def end(self, block: Block) -> None:
        """The part is complete: close its block, and let those that wait speak, in the order in which they appeared."""
        block.ended = True
        if block.is_only_proven() or (block.kind == CALL and not block.opened):
            self.give_turn(block)
        if block is self._open:
            self._close(block)
            self._advance()

    def _advance(self) -> None:
        for block in self.all.values():
            if block.wants and not self.give_turn(block):
                return
            if block is self._open and block.ended:
                self._close(block)

    def end_all(self) -> None:
        """The answer is complete. A text of which there is only a proof signs what came before."""
        for block in self.all.values():
            block.ended = True
        if self._open is not None:
            self._close(self._open)
        self._advance()
        for block in list(self.all.values()):
            if block.opened:
                continue
            if block.kind == TEXT and block.signature is not None and self._last is not None:
                self._park(block.signature, "<")
            else:
                self.end(block)
