"""Other dialects' parts as parts of this one. One table by class of part; what cannot be said is noted.

text beside tool calls    goes to `tool_plan`: Cohere refuses it in `content` there
thinking                  goes to `content`, unsigned, unless the request or the model is without it
documents of text         become `documents`, which the model can cite; or texts, where those are not taken
media in tool results     follows in a user message: results hold texts and documents only
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from msgspec.structs import replace

from penstock.dialects import wire
from penstock.dialects.cohere_chat.citations import foreign_block, foreign_plan
from penstock.dialects.cohere_chat.messages import LISTED
from penstock.dialects.cohere_chat.names import DOCUMENT, DOCUMENTS
from penstock.dialects.documents import words_about
from penstock.dialects.leftovers import leftovers
from penstock.dialects.media_types import media_type_of, plain_text_of
from penstock.dialects.tool_memo import ToolNames
from penstock.types.content import (
    Base64,
    Blocks,
    Json,
    Media,
    Opaque,
    Part,
    PlainText,
    Refusal,
    ServerToolCall,
    ServerToolResult,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Url,
)
from penstock.types.notes import Note
from penstock.types.profile import Profile

RESULT = "result"
"""The role under which the parts of a tool result are adapted."""


class PartAdapter:
    """Adapts the parts of one request. `notes` grows.

    `thinks`: whether earlier thinking may be sent; `cites`: whether the request may have `documents`.
    """

    def __init__(self, notes: list[Note], profile: Profile, names: ToolNames, thinks: bool, cites: bool) -> None:
        self.notes = notes
        self.profile = profile
        self.names = names
        self.thinks = thinks
        self.cites = cites

    def note(self, path: str, kind: Any, detail: str) -> None:
        """Add a note."""
        self.notes.append(Note(path, kind, detail))

    def drop(self, path: str, detail: str) -> list[Part]:
        """Note that a part is not there any more; no parts."""
        self.note(path, "dropped", detail)
        return []

    def parts(self, parts: tuple[Part, ...], role: str, path: str) -> list[Part]:
        """The parts that say the same here."""
        found: list[Part] = []
        for number, part in enumerate(parts):
            found += self.part(part, role, f"{path}[{number}]")
        return found

    def part(self, part: Part, role: str, path: str) -> list[Part]:
        """One part. Tool results are `result`'s."""
        self.notes += leftovers(path, part.extras)
        if part.cache is not None:
            self.note(f"{path}.cache", "dropped", "Cohere has no cache markers")
        return _ADAPTERS[type(part)](self, part, role, path)

    def result(self, part: ToolResult, path: str) -> tuple[ToolResult, list[Part]]:
        """A tool result, and the media that has to follow in a user message."""
        self.notes += leftovers(path, part.extras)
        if part.cache is not None:
            self.note(f"{path}.cache", "dropped", "Cohere has no cache markers")
        if part.is_error:
            self.note(f"{path}.is_error", "dropped", "Cohere has no flag for a failed tool")
        adapted = self.parts(part.parts, RESULT, f"{path}.parts")
        images: list[Part] = [inner for inner in adapted if type(inner) is Media and inner.kind == "image"]
        if images:
            adapted = [inner for inner in adapted if inner not in images]
            self.note(path, "changed", "a tool result holds no images here: they follow in a user message")
        return ToolResult(part.call_id, as_content(adapted) or (Text(""),)), images

    def _text(self, part: Text, role: str, path: str) -> list[Part]:
        if part.logprobs:
            self.note(f"{path}.logprobs", "dropped", "a request carries no log probabilities")
        if part.signature is not None:
            self.note(f"{path}.signature", "dropped", "Cohere signs nothing")
        citations = None
        if part.citations and role == "assistant":
            for number, citation in enumerate(part.citations):
                self.notes += leftovers(f"{path}.citations[{number}]", citation.extras)
            citations = part.citations
        elif part.citations:
            self.note(f"{path}.citations", "dropped", "only the assistant's message carries citations")
        return [Text(part.text, citations)]

    def _refusal(self, part: Refusal, role: str, path: str) -> list[Part]:
        self.note(path, "changed", "a refusal became a text")
        return self._text(Text(part.text, logprobs=part.logprobs), role, path)

    def _json(self, part: Json, role: str, path: str) -> list[Part]:
        if role == RESULT and isinstance(part.value, dict):
            return [Json(part.value, native=DOCUMENT)]
        return [Text(wire.encode(part.value).decode())]

    def _thinking(self, part: Thinking, role: str, path: str) -> list[Part]:
        text = part.text or "\n\n".join(part.summary or ())
        if role != "assistant" or not text:
            return self.drop(path, "withheld" if role == "assistant" else "only the assistant thinks")
        if not self.thinks:
            return self.drop(path, "earlier thinking is only taken while thinking is enabled")
        if part.signature is not None:
            self.note(f"{path}.signature", "dropped", "Cohere signs nothing")
        return [Thinking(text)]

    def _media(self, part: Media, role: str, path: str) -> list[Part]:
        if part.signature is not None:
            self.note(f"{path}.signature", "dropped", "Cohere signs nothing")
        text = plain_text_of(part)
        if text is not None:
            return self._document(part, text, role, path)
        if isinstance(part.source, Blocks):
            self.note(path, "changed", "a document of blocks became its blocks")
            about = words_about(part, path, self.notes, title=True)
            told: list[Part] = [] if about is None else [Text(about)]
            return [*told, *self.parts(part.source.parts, role, f"{path}.source.parts")]
        if part.transcript:
            self.note(path, "weakened", "of an audio only its transcript is sent")
            return [Text(part.transcript)]
        if role not in ("user", "tool", RESULT):
            return self.drop(path, f"a message of the {role} carries text only")
        return self._image(part, path)

    def _image(self, part: Media, path: str) -> list[Part]:
        kind = media_type_of(part)
        if not (kind or "").startswith("image/") and not (kind is None and part.kind == "image"):
            return self.drop(path, f"Cohere takes no {part.kind}" + (f" of type {kind}" if kind else ""))
        if not isinstance(part.source, Base64 | Url):
            return self.drop(path, "Cohere takes images by address or as bytes: resolve it first")
        if isinstance(part.source, Url) and not self.profile.image_urls:
            return self.drop(path, "this host fetches nothing: resolve it first")
        if part.name is not None:
            self.note(f"{path}.name", "dropped", "images have no names")
        return [Media("image", part.source, kind, detail=part.detail)]

    def _document(self, part: Media, text: str, role: str, path: str) -> list[Part]:
        about = words_about(replace(part, cite=None), path, self.notes)  # documents are cited here
        text = text if about is None else f"{about}\n\n{text}"
        document = Media("file", PlainText(text), name=part.name, native=DOCUMENT)
        if role == RESULT:
            return [document]
        if role in ("user", "tool") and self.cites:
            return [replace(document, native=DOCUMENTS)]
        self.note(path, "changed", "a text document became a text")
        return [Text(text if part.name is None else f"{part.name}\n\n{text}")]

    def _call(self, part: ToolCall, role: str, path: str) -> list[Part]:
        if role != "assistant":
            return self.drop(path, "only the assistant calls tools")
        if part.signature is not None:
            self.note(f"{path}.signature", "dropped", "Cohere signs nothing")
        arguments = wire.as_text({"input": part.arguments}) if part.custom else wire.as_text(part.arguments) or "{}"
        return [ToolCall(part.call_id, self.names.write(part.name), arguments)]

    def _server_part(self, part: ServerToolCall | ServerToolResult, role: str, path: str) -> list[Part]:
        return self.drop(path, f"another provider ran {part.name!r}: it cannot be replayed here")

    def _opaque(self, part: Opaque, role: str, path: str) -> list[Part]:
        return self.drop(path, f"a block that only its own dialect knows ({part.native or 'unknown'})")

    def _stray_result(self, part: ToolResult, role: str, path: str) -> list[Part]:
        return self.drop(path, f"a message of the {role} gives no tool results")


def as_content(parts: Sequence[Part]) -> tuple[Part, ...]:
    """The parts as the content of a message: a string if they are one text, else a list. (Documents of the request do
    not stand there.)
    """
    if len(parts) < 2 or sum(part.native != DOCUMENTS for part in parts) < 2:
        return tuple(parts)
    return tuple(replace(part, native=LISTED) if type(part) is Text else part for part in parts)


def as_assistant(parts: Sequence[Part]) -> tuple[Part, ...]:
    """The parts of an assistant's message in order: content, plan, calls; texts and citations where they belong."""
    calls = [part for part in parts if type(part) is ToolCall]
    if len(calls) == len(parts):
        return tuple(parts)
    texts = [part for part in parts if type(part) is Text and part.text]
    if calls:
        content = [part for part in parts if type(part) not in (ToolCall, Text)]
        return (*content, *([foreign_plan(texts)] if texts else ()), *calls)
    content = [part for part in parts if type(part) is not Text or part.text]
    first = next(iter(texts), None)
    return as_content(
        [
            foreign_block(part, number, part is first) if type(part) is Text else part
            for number, part in enumerate(content)
        ]
    )


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
