"""Annotations of an answer, both ways: `{"type": "url_citation", "url_citation": {...}}`.

Some hosts leave out the wrapping (FLAT_CITATION); an annotation that is no URL citation is kept whole ("opaque").

Hosts that search (Perplexity, xAI) name the sources of the whole answer beside it, as `citations` (addresses) and
`search_results`, and the text may refer to them by number: `[1]`. Those are citations too, which are never written as
annotations again.

Sources: https://platform.openai.com/docs/api-reference/chat/object (choices.message.annotations),
https://docs.perplexity.ai/api-reference/chat-completions-post.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from penstock.dialects import wire
from penstock.types.content import Citation

_KNOWN_CITATION = frozenset({"type", "url_citation"})


def read_citation(value: Any) -> Citation:
    """One annotation. Only URL citations have fields that other dialects know; others keep theirs in `extras`."""
    annotation = wire.obj(value)
    inner = annotation.get("url_citation")
    if annotation.get("type") != "url_citation" or not isinstance(inner, dict):
        return _read_flat_citation(annotation)
    extras = wire.rest(annotation, _KNOWN_CITATION)
    known = {key for key, types in _CITATION_TYPES.items() if isinstance(inner.get(key), types)}
    left = wire.rest(inner, frozenset(known))
    return Citation(
        inner["url"] if "url" in known else None,
        inner["title"] if "title" in known else None,
        start=inner["start_index"] if "start_index" in known else None,
        end=inner["end_index"] if "end_index" in known else None,
        extras={**(extras or {}), "url_citation": left} if left else extras,
    )


FLAT_CITATION = "flat"
"""The native of an annotation whose fields are not wrapped in `url_citation`."""


def _read_flat_citation(annotation: dict[str, Any]) -> Citation:
    """A URL citation as Responses has it, which some hosts send here too, or an annotation that is none."""
    if annotation.get("type") != "url_citation" or not isinstance(annotation.get("url"), str):
        return Citation(native="opaque", extras=annotation)
    known = {key for key, types in _CITATION_TYPES.items() if type(annotation.get(key)) is types}
    names = {"start_index": "start", "end_index": "end"}
    values: dict[str, Any] = {names.get(key, key): annotation[key] for key in known}
    return Citation(**values, native=FLAT_CITATION, extras=wire.rest(annotation, frozenset({"type", *known})))


_CITATION_TYPES: dict[str, type] = {"url": str, "title": str, "start_index": int, "end_index": int}


def write_citation(citation: Citation) -> dict[str, Any]:
    """The annotation again."""
    if citation.native == "opaque":
        return citation.extras or {}
    values = {
        "url": citation.url,
        "title": citation.title,
        "start_index": citation.start,
        "end_index": citation.end,
    }
    inner = {key: value for key, value in values.items() if value is not None}
    if citation.native == FLAT_CITATION:
        return wire.merge(citation.extras, {"type": "url_citation", **inner})
    return wire.deep_merge(citation.extras, {"type": "url_citation", "url_citation": inner})


SOURCES = frozenset({"citations", "search_results"})
SAID_IN_CITATIONS = "(sources)"
"""The key in `Response.extras` for the lists of sources, which other dialects have as the citations of the text."""
SOURCE = "source"
"""The native of a citation that was read of such a list."""


def read_sources(holder: Mapping[str, Any]) -> tuple[Citation, ...]:
    """The sources in the order of their numbers; none where the lists have another form."""
    addresses, results = holder.get("citations"), holder.get("search_results")
    described = [each for each in results if isinstance(each, dict)] if isinstance(results, list) else []
    by_address = {each["url"]: each for each in described if isinstance(each.get("url"), str)}
    listed = addresses if isinstance(addresses, list) and addresses else list(by_address)
    found = [_source(url, by_address.get(url, {})) for url in listed if isinstance(url, str)]
    return tuple(found) if len(found) == len(listed) else ()


def _source(url: str, described: dict[str, Any]) -> Citation:
    title, words = described.get("title"), described.get("snippet")
    return Citation(
        url,
        title if isinstance(title, str) and title else None,
        words if isinstance(words, str) and words else None,
        native=SOURCE,
    )


def cite_sources(text: str, sources: tuple[Citation, ...]) -> tuple[Citation, ...]:
    """The citations of `text`: one for each number in brackets that refers to a source; where there is none, all
    sources are cited by the whole.
    """
    found = [
        replace(sources[int(mark[1]) - 1], start=mark.start(), end=mark.end())
        for mark in _MARK.finditer(text)
        if 0 < int(mark[1]) <= len(sources)
    ]
    return tuple(found) or sources


_MARK = re.compile(r"\[(\d{1,3})\]")
