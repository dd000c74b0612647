"""Other dialects' parts as the fields of one message: thinking, images, one text, calls. What cannot be said is noted.

Ollama fetches nothing and reads no documents: an image must be bytes, a document of text becomes part of the text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from penstock.dialects import wire
from penstock.dialects.documents import words_about
from penstock.dialects.leftovers import leftovers
from penstock.dialects.media_types import media_type_of, plain_text_of
from penstock.dialects.tool_memo import as_object
from penstock.types.content import (
    Base64,
    Blocks,
    Json,
    Media,
    Opaque,
    Part,
    Refusal,
    ServerToolCall,
    ServerToolResult,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from penstock.types.notes import Note

_ORDER: dict[type, int] = {Thinking: 0, Media: 1, Text: 2, ToolCall: 3}
"""The order of the parts of a message."""


class PartAdapter:
    """Adapts the parts of one request. `notes` grows; `names` has the tool of each call id."""

    def __init__(self, notes: list[Note], names: Mapping[str, str]) -> None:
        self.notes = notes
        self.names = names

    def note(self, path: str, kind: Any, detail: str) -> None:
        """Add a note."""
        self.notes.append(Note(path, kind, detail))

    def drop(self, path: str, detail: str) -> list[Part]:
        """Note that a part is not there any more; no parts."""
        self.note(path, "dropped", detail)
        return []

    def joined(self, parts: Iterable[Part] | Mapping[int, Part], role: str, path: str) -> tuple[Part, ...]:
        """The parts in the order of a message, its texts joined to one. `parts` by number, if some are left out."""
        numbered = parts.items() if isinstance(parts, Mapping) else enumerate(parts)
        found: list[Part] = []
        for number, part in numbered:
            found += self.part(part, role, f"{path}[{number}]")
        texts = [part.text for part in found if isinstance(part, Text) and part.text]
        rest: list[Part] = [part for part in found if type(part) is not Text]
        if texts:
            rest.append(Text(("" if role == "assistant" else "\n\n").join(texts)))
        return tuple(sorted(rest, key=lambda part: _ORDER[type(part)]))

    def part(self, part: Part, role: str, path: str) -> list[Part]:
        """One part."""
        self.notes += leftovers(path, part.extras)
        if part.cache is not None:
            self.note(f"{path}.cache", "dropped", "Ollama has no cache markers")
        return _ADAPTERS[type(part)](self, part, role, path)

    def result(self, part: ToolResult, path: str) -> ToolResult:
        """A tool result, with the name of its tool."""
        self.notes += leftovers(path, part.extras)
        if part.cache is not None:
            self.note(f"{path}.cache", "dropped", "Ollama has no cache markers")
        if part.is_error:
            self.note(f"{path}.is_error", "dropped", "Ollama has no flag for a failed tool")
        name = part.name or self.names.get(part.call_id or "")
        return ToolResult(part.call_id, self.joined(part.parts, "tool", f"{path}.parts"), name)

    def _signature(self, part: Any, path: str) -> None:
        if part.signature is not None:
            self.note(f"{path}.signature", "dropped", "Ollama signs nothing")

    def _text(self, part: Text, role: str, path: str) -> list[Part]:
        if part.citations:
            self.note(f"{path}.citations", "dropped", "a message carries no citations")
        if part.logprobs:
            self.note(f"{path}.logprobs", "dropped", "a request carries no log probabilities")
        self._signature(part, path)
        return [Text(part.text)]

    def _refusal(self, part: Refusal, role: str, path: str) -> list[Part]:
        if part.logprobs:
            self.note(f"{path}.logprobs", "dropped", "a request carries no log probabilities")
        self.note(path, "changed", "a refusal became a text")
        return [Text(part.text)]

    def _json(self, part: Json, role: str, path: str) -> list[Part]:
        return [Text(wire.encode(part.value).decode())]

    def _thinking(self, part: Thinking, role: str, path: str) -> list[Part]:
        text = part.text or "\n\n".join(part.summary or ())
        if role != "assistant" or not text:
            return self.drop(path, "withheld" if role == "assistant" else "only the assistant thinks")
        self._signature(part, path)
        return [Thinking(text)]

    def _media(self, part: Media, role: str, path: str) -> list[Part]:
        self._signature(part, path)
        text = plain_text_of(part)
        if text is not None:
            self.note(path, "changed", "a text document became a text")
            about = words_about(part, path, self.notes, title=True)
            return [Text(text if about is None else f"{about}\n\n{text}")]
        if isinstance(part.source, Blocks):
            self.note(path, "changed", "a document of blocks became its blocks")
            about = words_about(part, path, self.notes, title=True)
            told: list[Part] = [] if about is None else [Text(about)]
            return [*told, *self.joined(part.source.parts, role, f"{path}.source.parts")]
        if part.transcript:
            self.note(path, "weakened", "of an audio only its transcript is sent")
            return [Text(part.transcript)]
        return self._image(part, path)

    def _image(self, part: Media, path: str) -> list[Part]:
        kind = media_type_of(part)
        if not (kind or "").startswith("image/") and not (kind is None and part.kind == "image"):
            return self.drop(path, f"Ollama takes no {part.kind}" + (f" of type {kind}" if kind else ""))
        if not isinstance(part.source, Base64):
            return self.drop(path, "Ollama fetches nothing: resolve it first")
        if part.detail not in (None, "auto"):
            self.note(f"{path}.detail", "dropped", "images have one fidelity")
        if part.name is not None:
            self.note(f"{path}.name", "dropped", "images have no names")
        return [Media("image", part.source)]

    def _call(self, part: ToolCall, role: str, path: str) -> list[Part]:
        if role != "assistant":
            return self.drop(path, "only the assistant calls tools")
        self._signature(part, path)
        if part.custom:
            return [ToolCall(part.call_id, part.name, {"input": part.arguments})]
        arguments, exact = as_object(part.arguments)
        if not exact:
            self.note(f"{path}.arguments", "changed", "they are no JSON object, and stand in one as `input`")
        return [ToolCall(part.call_id, part.name, arguments)]

    def _server_part(self, part: ServerToolCall | ServerToolResult, role: str, path: str) -> list[Part]:
        return self.drop(path, f"another provider ran {part.name!r}: it cannot be replayed here")

    def _opaque(self, part: Opaque, role: str, path: str) -> list[Part]:
        return self.drop(path, f"a block that only its own dialect knows ({part.native or 'unknown'})")

    def _stray_result(self, part: ToolResult, role: str, path: str) -> list[Part]:
        return self.drop(path, f"a message of the {role} gives no tool results")


_ADAPTERS: dict[type, Callable[[PartAdapter, Any, str, str], list[Part]]] = {
    Text: PartAdapter._text,
    Refusal: PartAdapter._refusal,
    Json: PartAdapter._json,
    Thinking: PartAdapter._thinking,
    Media: PartAdapter._media,
    ToolCall: PartAdapter._call,
    ToolResult: PartAdapter._stray_result,
    ServerToolCall: PartAdapter._server_part,
    ServerToolResult: PartAdapter._server_part,
    Opaque: PartAdapter._opaque,
}
