"""Citations: the location types of a text block, both ways.

    web_search_result_location   url, title, cited_text; `encrypted_index` proves that the search happened
    search_result_location       source, title, cited_text; which search result, which of its blocks
    char_location, page_location, content_block_location
                                 document_index, document_title, cited_text, file_id; where in the document

Offsets into the *source* stay in extras: the representation's `start` and `end` count in the citing text, which
Anthropic says by cutting the text into blocks. Source: https://platform.claude.com/docs/en/build-with-claude/citations
"""

from __future__ import annotations

from typing import Any

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
_PLACES: dict[str, dict[str, str]] = {
    "web_search_result_location": {"url": "url", "title": "title", "cited_text": "cited_text"},
    "search_result_location": {"source": "url", "title": "title", "cited_text": "cited_text"},
    "char_location": _DOCUMENT,
    "page_location": _DOCUMENT,
    "content_block_location": _DOCUMENT,
}
"""Wire field -> field of Citation, for each location type."""


def read_citation(value: Any) -> Citation:
    """One element of `citations`. A type that is not known keeps all its fields in extras."""
    citation = wire.obj(value)
    kind = text_at(citation, "type")
    table = _PLACES.get(kind, {})
    found: dict[str, Any] = {}
    extras: dict[str, Any] = {}
    for key, inner in citation.items():
        name = table.get(key)
        if name is not None and isinstance(inner, int if name == "document_index" else str):
            found[name] = inner
        elif key != "type":
            extras[key] = inner
    return Citation(**found, native=kind, extras=extras or None)


def write_citation(citation: Citation) -> dict[str, Any]:
    """The citation of this dialect again."""
    found: dict[str, Any] = {"type": citation.native}
    for key, name in _PLACES.get(citation.native or "", {}).items():
        value = getattr(citation, name)
        if value is not None:
            found[key] = value
    return wire.merge(citation.extras, found)


def write_foreign_citation(citation: Citation, path: str, notes: list[Note]) -> dict[str, Any] | None:
    """Another dialect's citation for a client of this one: a web page as such, a file as a search result. None where it
    has neither address nor name.
    """
    cited = citation.cited_text or ""
    if citation.url is not None:
        kind = "web_search_result_location"
        return {"type": kind, "url": citation.url, "title": citation.title, "cited_text": cited, "encrypted_index": ""}
    source = citation.file_id or citation.title
    if source is None:
        notes.append(Note(path, "dropped", "a citation needs an address or a name here"))
        return None
    notes.append(Note(path, "changed", "cited as a search result"))
    return {
        "type": "search_result_location",
        "source": source,
        "title": citation.title,
        "cited_text": cited,
        "search_result_index": citation.document_index or 0,
        "start_block_index": 0,
        "end_block_index": 1,
    }
