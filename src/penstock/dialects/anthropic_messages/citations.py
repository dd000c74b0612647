"""Citations: the location types of a text block, both ways.

    web_search_result_location   url, title, cited_text; `encrypted_index` proves that the search happened
    search_result_location       source, title, cited_text; which search result, from which of its blocks to which
    char_location, page_location, content_block_location
                                 document_index, document_title, cited_text, file_id; from where in the document to
                                 where, in characters, pages or blocks

All of these count in the *source*. Which words of the answer rest on it, Anthropic says by cutting the text into
blocks. Source: https://platform.claude.com/docs/en/build-with-claude/citations
"""

from __future__ import annotations

from typing import Any, Final

from penstock.dialects import wire
from penstock.dialects.anthropic_messages.access import text_at
from penstock.types.content import Citation
from penstock.types.notes import Note

_DOCUMENT = {
    "cited_text": "cited_text",
    "document_title": "title",
    "document_index": "document_index",
    "file_id": "file_id",
}
_BLOCKS = {"start_block_index": "source_start", "end_block_index": "source_end"}
_PLACES: dict[str, dict[str, str]] = {
    "web_search_result_location": {"url": "url", "title": "title", "cited_text": "cited_text"},
    "search_result_location": {
        "source": "url",
        "title": "title",
        "cited_text": "cited_text",
        "search_result_index": "document_index",
        **_BLOCKS,
    },
    "char_location": {**_DOCUMENT, "start_char_index": "source_start", "end_char_index": "source_end"},
    "page_location": {**_DOCUMENT, "start_page_number": "source_start", "end_page_number": "source_end"},
    "content_block_location": {**_DOCUMENT, **_BLOCKS},
}
"""Wire field -> field of Citation, for each location type."""

_UNITS: dict[str, Any] = {
    "char_location": "char",
    "page_location": "page",
    "content_block_location": "block",
    "search_result_location": "result",
}
_LOCATIONS = {unit: kind for kind, unit in _UNITS.items()}
_COUNTS = frozenset({"document_index", "source_start", "source_end"})


def read_citation(value: Any) -> Citation:
    """One element of `citations`. A type that is not known keeps all its fields in extras."""
    citation = wire.obj(value)
    kind = text_at(citation, "type")
    table = _PLACES.get(kind, {})
    found: dict[str, Any] = {}
    extras: dict[str, Any] = {}
    for key, inner in citation.items():
        name = table.get(key)
        if name is not None and type(inner) is (int if name in _COUNTS else str):
            found[name] = inner
        elif key != "type":
            extras[key] = inner
    return Citation(**found, unit=_UNITS.get(kind), native=kind, extras=extras or None)


def write_citation(citation: Citation) -> dict[str, Any]:
    """The citation of this dialect again."""
    found: dict[str, Any] = {"type": citation.native}
    for key, name in _PLACES.get(citation.native or "", {}).items():
        value = getattr(citation, name)
        if value is not None:
            found[key] = value
    return wire.merge(citation.extras, found)


def write_foreign_citation(citation: Citation, path: str, notes: list[Note]) -> dict[str, Any] | None:
    """Another dialect's citation for a client of this one: a place in a document or a search result as such, else a
    web page, else a file as a search result. None where it has neither place nor address nor name.
    """
    cited = citation.cited_text or ""
    if citation.unit is not None and citation.document_index is not None:
        return _write_place(citation, _LOCATIONS[citation.unit], cited)
    if citation.url is not None:
        kind = "web_search_result_location"
        return {"type": kind, "url": citation.url, "title": citation.title, "cited_text": cited, "encrypted_index": ""}
    source = citation.file_id or citation.title
    if source is None:
        notes.append(Note(path, "dropped", "a citation needs an address or a name here"))
        return None
    notes.append(Note(path, "changed", "cited as a search result"))
    return _write_place(citation, "search_result_location", cited)


_FIRST: Final = {"char": 0, "page": 1, "block": 0, "result": 0}


def _write_place(citation: Citation, kind: str, cited: str) -> dict[str, Any]:
    """A location with all the fields that the official client wants. An end that nobody said is behind the start."""
    start = _FIRST[_UNITS[kind]] if citation.source_start is None else citation.source_start
    values = {
        "url": citation.url or citation.file_id or citation.title or "",
        "title": citation.title,
        "cited_text": cited,
        "document_index": citation.document_index or 0,
        "source_start": start,
        "source_end": start + 1 if citation.source_end is None else citation.source_end,
        "file_id": citation.file_id,
    }
    return {"type": kind, **{key: values[name] for key, name in _PLACES[kind].items()}}
