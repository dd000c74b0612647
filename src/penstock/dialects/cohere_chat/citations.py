"""Citations: `{"start", "end", "text", "sources", "type", "content_index"}`, both ways, and where they belong.

A message has one list of citations for all its content; the representation has them at the text that they are of:

    content_index    names the block of `content`; without it, the first text
    type PLAN        the text in `tool_plan`
    type THINKING_CONTENT, or a block that is no text: there is no place, and the citation stays in the extras

Where the list does not go from text to text in order, ORDER remembers how it went.

`start` and `end` count in the citing text. Of the first source, the id, the title, the address and the words are
modelled; `text` only repeats what `start` and `end` say. Source: https://docs.cohere.com/docs/rag-citations
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from penstock.dialects import wire
from penstock.dialects.cohere_chat.names import PLAN
from penstock.types.content import Citation, Part, Text
from penstock.types.errors import DialectError

ORDER = "(citations)"
"""In a message's extras: for each citation of the wire list, the index of its part, or NOWHERE."""

NOWHERE = -1

_SPAN = "(text)"
_TYPE = "(type)"
_INDEXED = "(content_index)"
_WORDS_KEY = "(words)"
_DEFAULT_TYPE = "TEXT_CONTENT"
_NO_TYPE = "(absent)"
_SOURCES = "(sources)"
"""`sources` where the representation says all that they say."""

_SAME = "(id)"
"""In the object of a source: its id is repeated here."""

_PLACES: dict[str, tuple[str, tuple[str, ...]]] = {
    "document": ("document", ("text", "snippet")),
    "tool": ("tool_output", ("content", "text", "snippet")),
}
"""Type of a source -> (the field that holds it, the keys in it that may hold its words)."""

_NO_PLACE: tuple[str, tuple[str, ...]] = ("", ())
_EMPTY: dict[str, Any] = {}


def read_citation(value: Any) -> Citation:
    """One citation. What it does not model is in its extras."""
    citation = wire.obj(value)
    found: dict[str, Any] = {}
    extras: dict[str, Any] = {}
    for key, inner in citation.items():
        if key in ("start", "end") and type(inner) is int:
            found[key] = inner
        elif key == "text":
            extras[_SPAN] = inner
        elif key == "content_index" and type(inner) is int:
            extras[_INDEXED] = inner
        elif key == "sources" and isinstance(inner, list) and inner and isinstance(inner[0], dict):
            first = _read_source(inner[0], found)
            extras[_SOURCES if len(inner) == 1 and _is_bare(first) else "sources"] = [first, *inner[1:]]
        elif key != "type":
            extras[key] = inner
    kind = citation.get("type", _NO_TYPE)
    if kind != _DEFAULT_TYPE:
        extras[_TYPE] = kind
    return Citation(**found, extras=extras or None)


def _read_source(source: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    """What of the first source is not modelled; the rest goes to `found`."""
    left = dict(source)
    if isinstance(source.get("id"), str):
        found["file_id"] = left.pop("id")
    place, words = _place_of(source)
    held = source.get(place)
    if isinstance(held, dict):
        left[place] = held = dict(held)
        for key in ("title", "url"):
            if isinstance(held.get(key), str):
                found[key] = held.pop(key)
        if isinstance(held.get("id"), str) and held["id"] == found.get("file_id"):
            del held["id"]
            held[_SAME] = True
        key = next((key for key in words if isinstance(held.get(key), str)), "")
        if key:
            found["cited_text"] = held.pop(key)
            left[_WORDS_KEY] = key
    return left


def _place_of(source: dict[str, Any]) -> tuple[str, tuple[str, ...]]:
    kind = source.get("type")
    return _PLACES.get(kind, _NO_PLACE) if isinstance(kind, str) else _NO_PLACE


def _is_bare(source: dict[str, Any]) -> bool:
    """Whether nothing is left but the frame of a source."""
    place, _ = _place_of(source)
    held = source.get(place)
    return source.keys() <= {"type", place, _WORDS_KEY} and isinstance(held, dict) and held.keys() <= {_SAME}


def write_citation(citation: Citation) -> dict[str, Any]:
    """The citation again."""
    extras = dict(citation.extras or _EMPTY)
    found: dict[str, Any] = {}
    kind = extras.pop(_TYPE, _DEFAULT_TYPE)
    if kind != _NO_TYPE:
        found["type"] = kind
    for mark, key in ((_SPAN, "text"), (_INDEXED, "content_index")):
        if mark in extras:
            found[key] = extras.pop(mark)
    sources = extras.pop(_SOURCES, None) or extras.get("sources")
    found |= extras
    if isinstance(sources, list) and sources and isinstance(sources[0], dict):
        found["sources"] = [_write_source(sources[0], citation), *sources[1:]]
    if citation.start is not None:
        found["start"] = citation.start
    if citation.end is not None:
        found["end"] = citation.end
    return found


def _write_source(left: dict[str, Any], citation: Citation) -> dict[str, Any]:
    found = dict(left)
    words = found.pop(_WORDS_KEY, None)
    place, _ = _place_of(found)
    if citation.file_id is not None:
        found["id"] = citation.file_id
    if isinstance(found.get(place), dict):
        held = found[place] = dict(found[place])
        same = citation.file_id if held.pop(_SAME, False) else None
        values = {"id": same, "title": citation.title, "url": citation.url, words: citation.cited_text}
        held |= {key: value for key, value in values.items() if key is not None and value is not None}
    return found


def foreign_citation(citation: Citation, text: str, offset: int = 0, whole: int | None = None) -> Citation:
    """Another dialect's citation of `text` as one of this: a document, with all that is known of it.

    `offset` is where the text begins in the text that carries it in the end; `whole` the index of the block that does,
    where it must be named.
    """
    start = 0 if citation.start is None else citation.start
    end = len(text) if citation.end is None else citation.end
    source: dict[str, Any] = {"type": "document", "document": {}}
    if citation.cited_text is not None:
        source[_WORDS_KEY] = "text"
    extras: dict[str, Any] = {_SPAN: text[start:end], _SOURCES: [source]}
    if whole is not None:
        extras[_INDEXED] = whole
    return Citation(
        citation.url,
        citation.title,
        citation.cited_text,
        offset + start,
        offset + end,
        citation.file_id or citation.url or f"doc:{citation.document_index or 0}",
        extras=extras,
    )


def foreign_plan(texts: Sequence[Text]) -> Text:
    """Several texts before tool calls as the one `tool_plan`, with their citations."""
    citations: list[Citation] = []
    offset = 0
    for text in texts:
        for citation in text.citations or ():
            placed = foreign_citation(citation, text.text, offset)
            citations.append(replace(placed, extras={**(placed.extras or _EMPTY), _TYPE: "PLAN"}))
        offset += len(text.text)
    return Text("".join(text.text for text in texts), tuple(citations) or None, native=PLAN)


def foreign_block(text: Text, index: int, first: bool) -> Text:
    """A text as block `index` of `content`, with its citations. `first`: no text is before it."""
    if not text.citations:
        return replace(text, citations=None)
    named = None if first else index
    return replace(text, citations=tuple(foreign_citation(cited, text.text, 0, named) for cited in text.citations))


# Where they belong


def assign(values: Any, parts: Sequence[Part], blocks: int) -> tuple[list[Part], dict[str, Any]]:
    """(the parts with their citations, what goes to the message's extras). The first `blocks` parts are `content`."""
    targets: list[int] = []
    groups: dict[int, list[Citation]] = {}
    homeless: list[Any] = []
    for number, value in enumerate(wire.array(values)):
        try:
            citation = read_citation(value)
        except DialectError as error:
            raise error.at(number) from None
        target = target_of(value, parts, blocks)
        targets.append(target)
        if target == NOWHERE:
            homeless.append(value)
        else:
            groups.setdefault(target, []).append(citation)
    found = [_with_citations(part, groups.get(number)) for number, part in enumerate(parts)]
    extras: dict[str, Any] = {"citations": homeless} if homeless or not targets else {}
    if targets != sorted(targets, key=lambda target: (target == NOWHERE, target)):
        extras[ORDER] = targets
    return found, extras


def _with_citations(part: Part, citations: list[Citation] | None) -> Part:
    if citations is None or not isinstance(part, Text):
        return part
    return Text(part.text, tuple(citations), part.logprobs, native=part.native, extras=part.extras)


def target_of(citation: dict[str, Any], parts: Sequence[Part], blocks: int) -> int:
    """The index of the text that a citation on the wire is of, or NOWHERE."""
    kind, index = citation.get("type"), citation.get("content_index")
    if kind == "PLAN":
        places = [number for number, part in enumerate(parts) if part.native == PLAN]
    elif type(index) is int:
        places = [index] if 0 <= index < blocks else []
    elif kind == "THINKING_CONTENT":
        places = []
    else:
        places = [number for number, part in enumerate(parts[:blocks]) if type(part) is Text]
    return places[0] if places and type(parts[places[0]]) is Text else NOWHERE


def collect(parts: Sequence[Part], extras: dict[str, Any] | None) -> list[Any] | None:
    """The wire list again; None where there is none."""
    groups = {
        number: [write_citation(citation) for citation in part.citations]
        for number, part in enumerate(parts)
        if type(part) is Text and part.citations
    }
    extras = extras or _EMPTY
    homeless = extras.get("citations")
    if not groups:
        return homeless if isinstance(homeless, list) else None
    groups[NOWHERE] = list(homeless) if isinstance(homeless, list) else []
    found = [groups[target].pop(0) for target in extras.get(ORDER, ()) if groups.get(target)]
    for target in sorted(groups, key=lambda target: (target == NOWHERE, target)):
        found += groups[target]
    return found
