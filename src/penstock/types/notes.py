"""Notes: loss is a value.

A renderer that must drop, weaken or change something that the caller said returns a note for it beside its result.
The SDK shows notes on the response, the gateway in a header and a log field; `require_lossless` (strict mode) turns
them into an error.
"""

from __future__ import annotations

from typing import Generic, Literal, TypeVar

from msgspec import Struct

from penstock.types.errors import LossError

T = TypeVar("T")


class Note(Struct, frozen=True):
    """What was lost: `path` in the caller's terms ("messages[2].parts[0].cache"), `kind`, and `detail` in words.

    dropped: it is not there any more; weakened: something less is (a schema became a prompt); changed: something
    equivalent but different is (an image URL that had to be fetched); added: something was put in that the target
    demands (a default `max_tokens`).
    """

    path: str
    kind: Literal["dropped", "weakened", "changed", "added"]
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.path}" + (f": {self.detail}" if self.detail else "")


class Memo(Struct, frozen=True):
    """What the reading side of a response must know of how its request was written.

    `tool_names` maps a name on the wire back to the caller's (names are sanitised where a provider is stricter);
    `json_tool` is the forced tool that stands in for structured output, to be unwrapped into text; `custom_tools` are
    the caller's names of the free-form tools that were written as functions with one string, `input`, to be unwrapped
    into that string.
    """

    tool_names: dict[str, str] | None = None
    json_tool: str | None = None
    custom_tools: frozenset[str] = frozenset()


NO_MEMO = Memo()


class Rendered(Struct, Generic[T], frozen=True):
    """A rendered value, with what it cost."""

    value: T
    notes: tuple[Note, ...] = ()
    memo: Memo = NO_MEMO

    def require_lossless(self) -> T:
        """The value, or LossError when anything was dropped, weakened or changed (`added` is no loss). This is
        `strict` mode.
        """
        losses = [note for note in self.notes if note.kind != "added"]
        if losses:
            raise LossError("; ".join(str(note) for note in losses), losses[0].path)
        return self.value
