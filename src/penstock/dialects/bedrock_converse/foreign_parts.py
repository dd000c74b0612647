"""Other dialects' parts as parts that Converse has blocks for. What changes or gets lost on the way is noted.

The same adapter serves history on its way to a model and, with `answer=True`, an answer on its way to a client of
Converse. The two differ where Bedrock is strict with what it takes and free in what it gives: blank texts, signatures
that nobody can verify, media in the assistant's turn, tools that a provider ran.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from penstock.dialects import wire
from penstock.dialects.bedrock_converse.citations import LOCATIONS
from penstock.dialects.bedrock_converse.media import MEDIA_TYPES, SEARCH_RESULT, format_of
from penstock.dialects.bedrock_converse.names import DocumentNames, call_id
from penstock.dialects.bedrock_converse.signatures import ORIGIN
from penstock.dialects.leftovers import leftovers
from penstock.dialects.media_types import media_type_of, sniffed
from penstock.dialects.tool_memo import ToolNames, as_object
from penstock.types.content import (
    Base64,
    Blocks,
    Cache,
    Citation,
    Json,
    Media,
    MediaKind,
    Opaque,
    Part,
    PlainText,
    Refusal,
    ServerToolCall,
    ServerToolResult,
    Signature,
    Source,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Url,
)
from penstock.types.notes import Note
from penstock.types.profile import DEFAULT_PROFILE, Profile

TTLS = frozenset({"5m", "1h"})
_SERVER_CALL = "server_tool_use"

_KIND_OF_MAJOR: dict[str, MediaKind] = {"image": "image", "audio": "audio", "video": "video"}
_LIKE_TEXT = ("text/", "application/json", "application/xml", "application/yaml", "application/x-yaml")
_IN_RESULTS = frozenset({"image", "file", "video"})


class PartAdapter:
    """Adapts the parts of one request or answer. `notes` grows; paths are in the caller's terms."""

    def __init__(
        self,
        notes: list[Note],
        profile: Profile = DEFAULT_PROFILE,
        names: ToolNames | None = None,
        answer: bool = False,
    ) -> None:
        self._notes = notes
        self._profile = profile
        self._names = names
        self._answer = answer
        self._origin = profile.signature_origin or ORIGIN
        self._documents = DocumentNames()
        self.cache_points = 0
        """How many were written, or more: some went with what bore them."""

    def adapt(self, part: Part, path: str, assistant: bool, in_result: bool = False) -> list[Part]:
        """The parts that say what `part` says: mostly one, several for a text cut by its citations, none if lost."""
        found = _ADAPTERS[type(part)](self, part, path, assistant, in_result)
        if part.extras and found:
            self.note_leftovers(part, path)
        return found

    def note_leftovers(self, part: Part, path: str) -> None:
        """Note what the part carries beyond the representation."""
        self._notes += leftovers(path, part.extras)

    def note(self, path: str, kind: Any, detail: str) -> None:
        """Add one note."""
        self._notes.append(Note(path, kind, detail))

    def _dropped(self, part: Part, path: str, detail: str) -> list[Part]:
        self.note(path, "dropped", detail)
        return []

    def cache(self, cache: Cache | None, path: str) -> Cache | None:
        """The marker without what Converse cannot say."""
        if cache is None:
            return None
        self.cache_points += 1
        self._notes += leftovers(f"{path}.cache", cache.extras)
        if cache.ttl is None or cache.ttl in TTLS:
            return Cache(cache.ttl)
        self.note(f"{path}.cache.ttl", "dropped", f"Converse keeps a cache for one of {', '.join(sorted(TTLS))}")
        return Cache()

    def _signature(self, signature: Signature | None, path: str) -> Signature | None:
        """The signature of a part that is not reasoning: a client gets it beside the part, to send it back."""
        if signature is None or self._answer:
            return signature
        self.note(f"{path}.signature", "dropped", "Bedrock's models sign reasoning only")
        return None

    def _text(self, part: Text, path: str, assistant: bool, in_result: bool) -> list[Part]:
        signature = self._signature(part.signature, path)
        if part.logprobs is not None:
            self.note(f"{path}.logprobs", "dropped", "Converse has no log probabilities")
        if not (self._answer or part.text.strip()):
            return self._dropped(part, path, "blank texts are refused") if part.text else []
        if not part.text and signature is None and not part.citations:
            return []
        cache = self.cache(part.cache, path)
        if part.citations and in_result:
            self.note(f"{path}.citations", "dropped", "a tool result carries no citations")
        if not part.citations or in_result:
            return [Text(part.text, cache=cache, signature=signature)]
        pieces = self._cut(part.text, part.citations, path)
        return [*pieces[:-1], replace(pieces[-1], cache=cache, signature=signature)]

    def _cut(self, text: str, citations: tuple[Citation, ...], path: str) -> list[Text]:
        """The text in blocks, each with the citations of the stretch that ends with it."""
        by_end: dict[int, list[Citation]] = {}
        edges = {0, len(text)}
        for number, citation in enumerate(citations):
            start, end = _stretch(citation, text)
            edges |= {start, end}
            by_end.setdefault(end, []).append(self.citation(citation, f"{path}.citations[{number}]"))
        found: list[Text] = []
        start = 0
        for end in sorted(edges - {0}):
            if text[start:end].strip() or end in by_end:
                found.append(Text(text[start:end], tuple(by_end.get(end, ())) or None))
                start = end
        if start < len(text):  # blanks at the very end belong to the last block
            found[-1] = replace(found[-1], text=found[-1].text + text[start:])
        return found

    def citation(self, citation: Citation, path: str) -> Citation:
        """A citation in the places that Converse has: a web page, a document's number, a source by name."""
        self._notes += leftovers(path, citation.extras)
        title, cited, index = citation.title, citation.cited_text, citation.document_index
        if citation.url is not None and "://" in citation.url and citation.unit is None:
            return Citation(citation.url, title, cited, native="web")
        native = LOCATIONS.get(citation.unit or "char") if index is not None else None
        return Citation(
            citation.url or citation.file_id,
            title,
            cited,
            document_index=index,
            unit=citation.unit,
            source_start=citation.source_start if native else None,
            source_end=citation.source_end if native else None,
            native=native,
        )

    def _thinking(self, part: Thinking, path: str, assistant: bool, in_result: bool) -> list[Part]:
        if part.cache is not None:
            self.note(f"{path}.cache", "dropped", "reasoning bears no cache point")
        signature = part.signature
        verifiable = signature is not None and (self._answer or signature.origin == self._origin)
        if part.redacted:
            found = Thinking(signature=signature, redacted=True, id=part.id)
            return [found] if verifiable else self._dropped(part, path, "this model cannot open it")
        text = part.text or "\n\n".join(part.summary or ())
        if verifiable:
            return [Thinking(text, signature=signature, id=part.id)]
        if not (self._answer or self._profile.replay_thinking):
            return self._dropped(part, path, "this model takes earlier reasoning only with a signature of its own")
        if signature is not None:
            self.note(f"{path}.signature", "dropped", "this model cannot verify it")
        return [Thinking(text)] if text else []

    def _refusal(self, part: Refusal, path: str, assistant: bool, in_result: bool) -> list[Part]:
        self.note(path, "changed", "a refusal became a text")
        return self._text(Text(part.text, logprobs=part.logprobs, cache=part.cache), path, assistant, in_result)

    def _json(self, part: Json, path: str, assistant: bool, in_result: bool) -> list[Part]:
        cache = self.cache(part.cache, path)
        if in_result and isinstance(part.value, dict):
            return [Json(part.value, cache=cache)]
        return [Text(wire.encode(part.value).decode(), cache=cache)]

    def _call(self, part: ToolCall, path: str, assistant: bool, in_result: bool) -> list[Part]:
        if not (self._answer or self._profile.tools):
            self.note(path, "weakened", "this model knows no tools: told in words")
            return [Text(f"Called the tool {part.name} with {wire.as_text(part.arguments)}")]
        signature = self._signature(part.signature, path)
        cache = self.cache(part.cache, path)
        arguments = {"input": part.arguments} if part.custom else self._arguments(part.arguments, path)
        return [ToolCall(self._id(part.call_id), self._name(part.name), arguments, signature=signature, cache=cache)]

    def _name(self, name: str) -> str:
        return name if self._names is None else self._names.write(name)

    def _id(self, wanted: str | None) -> str | None:
        """The id of a call. A client gets the model's own back; Bedrock takes only some characters."""
        return wanted if self._answer or wanted is None else call_id(wanted)

    def _arguments(self, arguments: dict[str, Any] | str, path: str) -> dict[str, Any]:
        found, faithful = as_object(arguments)
        if not faithful:
            self.note(f"{path}.arguments", "changed", "no JSON object: it stands in one, as `input`")
        return found

    def _result(self, part: ToolResult, path: str, assistant: bool, in_result: bool) -> list[Part]:
        if not (self._answer or self._profile.tools):
            self.note(path, "weakened", "this model knows no tools: told in words")
            return [piece for inner in part.parts for piece in self.adapt(inner, path, assistant)]
        parts: list[Part] = []
        cache = self.cache(part.cache, path)
        for number, inner in enumerate(part.parts):
            parts += self.adapt(inner, f"{path}.parts[{number}]", assistant, in_result=True)
        if any(inner.cache is not None for inner in parts):
            self.note(path, "changed", "a cache point inside of the result became one after it")
            cache = cache or next(inner.cache for inner in parts if inner.cache is not None)
            parts = [replace(inner, cache=None) for inner in parts]
        if not parts and part.is_error:
            self.note(path, "added", "Bedrock wants words with an error")
            parts = [Text("The tool failed and gave no reason.")]
        return [ToolResult(self._id(part.call_id), tuple(parts), is_error=part.is_error, cache=cache)]

    def _server_call(self, part: ServerToolCall, path: str, assistant: bool, in_result: bool) -> list[Part]:
        if not self._answer:
            return self._dropped(part, path, "this model knows nothing of the tools that another provider ran")
        arguments = self._arguments({} if part.arguments is None else part.arguments, path)
        return [ServerToolCall(part.call_id, part.name, arguments, signature=part.signature, native=_SERVER_CALL)]

    def _server_result(self, part: ServerToolResult, path: str, assistant: bool, in_result: bool) -> list[Part]:
        if not self._answer:
            return self._dropped(part, path, "this model knows nothing of the tools that another provider ran")
        return [ServerToolResult(part.call_id, part.name, server_content(part.content), native=f"{part.name}_result")]

    def _opaque(self, part: Opaque, path: str, assistant: bool, in_result: bool) -> list[Part]:
        return self._dropped(part, path, "only its own dialect can say this")

    def _media(self, part: Media, path: str, assistant: bool, in_result: bool) -> list[Part]:
        signature = self._signature(part.signature, path)
        if part.detail not in (None, "auto"):
            self.note(f"{path}.detail", "dropped", "Converse has no image fidelity")
        found: list[Part] = [Text(part.transcript)] if part.transcript else []
        if found and (part.source is None or (assistant and not self._answer)):
            self.note(path, "weakened", f"of the {part.kind} only its words are sent")
            return found
        if assistant and not self._answer:
            return self._dropped(part, path, "the assistant's turn holds no media")
        source = self._source(part, path)
        if source is None:
            return found
        if part.origin is not None and isinstance(source, PlainText | Blocks) and not assistant:
            return [*found, self._search_result(part, source, path)]
        written = self._with_format(part, source, path, in_result)
        return [*found, *(replace(media, signature=signature) for media in written)]

    def _source(self, part: Media, path: str) -> Source | None:
        source = part.source
        if isinstance(source, Base64):
            return source
        if isinstance(source, Url):
            data = wire.data_url(source.url)
            if data is not None:
                return Base64(data[1])
            if source.url.startswith("s3://"):
                return source
            self.note(path, "dropped", "Converse fetches nothing but s3: addresses: resolve this one first")
            return None
        if isinstance(source, PlainText):
            return source
        if isinstance(source, Blocks):
            return self._blocks(source, path)
        self.note(path, "dropped", "Converse knows no uploaded files" if source else "there is nothing to send")
        return None

    def _blocks(self, source: Blocks, path: str) -> Source:
        kept: list[Part] = []
        for number, inner in enumerate(source.parts):
            if isinstance(inner, Text):
                kept += [Text(inner.text)] if inner.text.strip() else []
            else:
                self.note(f"{path}.source.parts[{number}]", "dropped", "a document of blocks holds texts only")
        return Blocks(tuple(kept))

    def _with_format(self, part: Media, source: Source, path: str, in_result: bool) -> list[Media]:
        said = part.media_type
        if said is None and isinstance(part.source, Url):
            said = (wire.data_url(part.source.url) or (None,))[0]
        media_type = media_type_of(replace(part, source=source, media_type=said))
        if media_type is None and isinstance(source, PlainText):
            media_type = "text/plain"
        kind, word = _format(part, media_type, source)
        if word is None and kind == "file" and media_type is not None and media_type.startswith(_LIKE_TEXT):
            word = "txt"
            self.note(f"{path}.media_type", "changed", f"{media_type} goes as plain text")
        if word is None and not isinstance(source, Blocks):
            known = ", ".join(MEDIA_TYPES[kind])
            self.note(path, "dropped", f"of {media_type or 'no type'}; Converse takes {known}")
            return []
        if in_result and kind not in _IN_RESULTS:
            self.note(path, "dropped", f"a tool result holds no {kind}")
            return []
        name = self._document_name(part, word, path) if kind == "file" else None
        if kind != "file" and part.name is not None:
            self.note(f"{path}.name", "dropped", "only documents have names here")
        final = None if word is None else MEDIA_TYPES[kind][word]
        context, cite = self._tails(part, kind, path)
        return [Media(kind, source, final, name, context=context, cite=cite, cache=self.cache(part.cache, path))]

    def _tails(self, part: Media, kind: MediaKind, path: str) -> tuple[str | None, bool | None]:
        """(context, whether to cite), which only documents have."""
        if kind == "file":
            return part.context, part.cite
        if part.context is not None:
            self.note(f"{path}.context", "dropped", "only documents have a context")
        if part.cite:
            self.note(f"{path}.cite", "dropped", "only documents are cited")
        return None, None

    def _search_result(self, part: Media, source: PlainText | Blocks, path: str) -> Media:
        """A document that a search found. It must have a title."""
        if part.context is not None:
            self.note(f"{path}.context", "dropped", "a search result has no context")
        texts = Blocks((Text(source.text),)) if isinstance(source, PlainText) else source
        title = part.name or part.origin
        cache = self.cache(part.cache, path)
        return Media("file", texts, name=title, cite=part.cite, origin=part.origin, cache=cache, native=SEARCH_RESULT)

    def _document_name(self, part: Media, word: str | None, path: str) -> str:
        name, changed = self._documents.write(part.name, word)
        if part.name is None:
            self.note(f"{path}.name", "added", "every document needs a name of its own")
        elif changed:
            self.note(f"{path}.name", "changed", f"{part.name!r} became {name!r}")
        return name


def _stretch(citation: Citation, text: str) -> tuple[int, int]:
    """The part of the text that rests on the citation: all of it unless it says otherwise."""
    start, end = citation.start, citation.end
    if start is None or end is None or not 0 <= start < end <= len(text):
        return 0, len(text)
    return start, end


def _format(part: Media, media_type: str | None, source: Source) -> tuple[MediaKind, str | None]:
    """(kind, format word): from the MIME type, else from a file extension."""
    kind = part.kind
    if media_type is not None:
        major = media_type.partition("/")[0].lower()
        kind = _KIND_OF_MAJOR.get(major, "file" if kind == "image" else kind)
        word = format_of(kind, media_type)
        if word is not None:
            return kind, word
    names = (part.name, source.url if isinstance(source, Url) else None)
    words = [(name or "").rpartition(".")[2].lower() for name in names]
    return kind, next((word for word in words if word in MEDIA_TYPES[kind]), None)


def image_format(media_type: str | None, data: str) -> str:
    """The format word of an image that a model made: by its type, else by how the bytes begin."""
    return format_of("image", media_type) or format_of("image", sniffed(data)) or "png"


def server_content(content: Any) -> list[Any]:
    """A provider's JSON as the content of a tool result."""
    return [{"text": content}] if isinstance(content, str) else [{"json": content}]


_ADAPTERS: dict[type, Callable[[PartAdapter, Any, str, bool, bool], list[Part]]] = {
    Text: PartAdapter._text,
    Thinking: PartAdapter._thinking,
    Refusal: PartAdapter._refusal,
    Media: PartAdapter._media,
    Json: PartAdapter._json,
    ToolCall: PartAdapter._call,
    ToolResult: PartAdapter._result,
    ServerToolCall: PartAdapter._server_call,
    ServerToolResult: PartAdapter._server_result,
    Opaque: PartAdapter._opaque,
}
