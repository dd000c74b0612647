"""Annotations of an answer, both ways: `{"type": "url_citation", "url_citation": {...}}`.

Some hosts leave out the wrapping (`"native"` FLAT); an annotation that is no URL citation is kept whole ("opaque").

Source: https://platform.openai.com/docs/api-reference/chat/object (choices.message.annotations).
"""

from __future__ import annotations

from typing import Any

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
