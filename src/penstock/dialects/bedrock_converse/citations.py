"""`citationsContent`: a text together with the sources that it rests on, both ways.

    {"content": [{"text": "..."}], "citations": [{"title", "source", "sourceContent": [{"text"}], "location": {...}}]}

A location is one of `web`, `documentChar`, `documentPage`, `documentChunk` and `searchResultLocation`; its name is the
citation's `native`. Its numbers count in the *source*; which words of the answer rest on it, Converse says by cutting
the answer into blocks.

Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_CitationsContentBlock.html
"""

from __future__ import annotations

from typing import Any

from penstock.dialects import wire
from penstock.types.content import Citation, Extras, Part, Text
from penstock.types.errors import DialectError

BLOCK = "citationsContent"
_UNITS: dict[str, Any] = {
    "documentChar": "char",
    "documentPage": "page",
    "documentChunk": "block",
    "searchResultLocation": "result",
}
LOCATIONS = {unit: kind for kind, unit in _UNITS.items()}
"""What the numbers of a citation count -> the location that holds them."""
_SPAN = {"start": "source_start", "end": "source_end"}
_SPLIT = "(lengths)"
"""Key in `extras` for the lengths of the pieces that `content` cut the text into, where it was not one piece."""


def read_citations_content(name: str, value: Any, siblings: Extras) -> Part:
    """The block as one text with citations. Nova sends it without `content`, after the text that it is about."""
    inner = wire.obj(value)
    left = dict(inner)
    text, lengths = _read_content(left)
    citations = _read_citations(left)
    extras = {**(siblings or {}), BLOCK: left} if left else siblings
    if lengths is not None:
        extras = {**(extras or {}), _SPLIT: lengths}
    return Text(text, citations, native=BLOCK, extras=extras)


def _read_content(left: dict[str, Any]) -> tuple[str, list[int] | None]:
    """(the text, the lengths of its pieces unless there is exactly one). What is not a list of plain texts stays."""
    content = left.get("content")
    if content is None:
        return "", []
    pieces = wire.array(content)
    texts = [piece["text"] for piece in pieces if _is_plain(piece)]
    if len(texts) < len(pieces) or not pieces:
        return "".join(texts), []
    del left["content"]
    return "".join(texts), None if len(texts) == 1 else [len(text) for text in texts]


def _is_plain(piece: Any) -> bool:
    return isinstance(piece, dict) and piece.keys() == {"text"} and isinstance(piece["text"], str)


def _read_citations(left: dict[str, Any]) -> tuple[Citation, ...] | None:
    if left.get("citations") is None:
        return None
    try:
        found: tuple[Citation, ...] = wire.each(read_citation, left.pop("citations"))
    except DialectError as error:
        raise error.at("citations") from None
    return found


def read_citation(value: Any) -> Citation:
    """One citation, of a whole answer or of a stream."""
    left = dict(wire.obj(value))
    title = left.pop("title") if isinstance(left.get("title"), str) else None
    place = _read_location(left)
    if "url" not in place and place.get("native") != "web" and isinstance(left.get("source"), str):
        place["url"] = left.pop("source")
    cited_text = _read_cited_text(left)
    return Citation(title=title, cited_text=cited_text, **place, extras=left or None)


def _read_location(left: dict[str, Any]) -> dict[str, Any]:
    """What `location` says, by field of Citation, taken out of `left`."""
    location = left.get("location")
    if not (isinstance(location, dict) and len(location) == 1):
        return {}
    kind, inner = next(iter(location.items()))
    if not isinstance(inner, dict):
        return {}
    found: dict[str, Any] = {"native": kind}
    rest: dict[str, Any] = {}
    if kind in _UNITS:
        found["unit"] = _UNITS[kind]
    table = _fields_of(kind)
    for key, value in inner.items():
        name = table.get(key)
        if name is not None and type(value) is (str if name == "url" else int):
            found[name] = value
        else:
            rest[key] = value
    if rest:
        left["location"] = {kind: rest}
    else:
        del left["location"]
    return found


def _fields_of(kind: str) -> dict[str, str]:
    """Field of a location on the wire -> field of Citation."""
    if kind == "web":
        return {"url": "url"}
    if kind not in _UNITS:
        return {}
    index = "searchResultIndex" if kind == "searchResultLocation" else "documentIndex"
    return {index: "document_index", **_SPAN}


def _read_cited_text(left: dict[str, Any]) -> str | None:
    pieces = left.get("sourceContent")
    if not (isinstance(pieces, list) and len(pieces) == 1 and _is_plain(pieces[0])):
        return None
    del left["sourceContent"]
    text: str = pieces[0]["text"]
    return text


def write_citations_content(part: Text) -> dict[str, Any]:
    """The block again, or the block for another dialect's text with citations."""
    inner: dict[str, Any] = {}
    extras = part.extras
    lengths = extras.get(_SPLIT) if extras else None
    if lengths != []:
        inner["content"] = [{"text": piece} for piece in _cut(part.text, lengths)]
    if part.citations is not None:
        inner["citations"] = [write_citation(citation) for citation in part.citations]
    if not extras:
        return {BLOCK: inner}
    found = wire.deep_merge(extras, {BLOCK: inner})
    found.pop(_SPLIT, None)
    return found


def _cut(text: str, lengths: list[int] | None) -> list[str]:
    """The pieces of `text`; in one piece where it is no longer as long as it was."""
    if not lengths or sum(lengths) != len(text):
        return [text]
    pieces = []
    start = 0
    for length in lengths:
        pieces.append(text[start : start + length])
        start += length
    return pieces


def write_citation(citation: Citation) -> dict[str, Any]:
    """The citation again."""
    found: dict[str, Any] = {}
    if citation.title is not None:
        found["title"] = citation.title
    if citation.url is not None and citation.native != "web":
        found["source"] = citation.url
    if citation.cited_text is not None:
        found["sourceContent"] = [{"text": citation.cited_text}]
    location = _write_location(citation)
    if location is not None:
        found["location"] = {citation.native: location}
    return wire.deep_merge(citation.extras, found)


def _write_location(citation: Citation) -> dict[str, Any] | None:
    if citation.native is None:
        return None
    values = {key: getattr(citation, name) for key, name in _fields_of(citation.native).items()}
    return {key: value for key, value in values.items() if value is not None}
