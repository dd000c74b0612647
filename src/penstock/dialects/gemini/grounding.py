"""Where an answer comes from: three kinds of metadata beside a candidate, and the citations that they mean elsewhere.

    groundingMetadata      chunks (sources) and supports (segments of the answer, with the chunks that bear them out)
    citationMetadata       passages that the model recited (`citationSources` in the Gemini API's older form)
    urlContextMetadata     pages that the URL context tool has read

The metadata stay in the choice's extras, so that they go out again as they came; the citations are derived from them,
say so in `native`, and are left aside by the writer of this dialect. What the citations say to the last stands there
under a key of its own (`set_aside`, `put_back`): no other dialect loses it. Other dialects' citations become
groundingMetadata.

Offsets are bytes of UTF-8 on the wire and characters in the representation. Since answers are often counted against the
joined text of all parts, an offset is believed only if the segment's own text stands there; else the text is searched.

Source: https://ai.google.dev/api/generate-content#GroundingMetadata, #CitationMetadata, #UrlContextMetadata
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from msgspec.structs import replace

from penstock.types.content import Citation, Part, Text

GROUNDING, RECITATION, URL_CONTEXT = "groundingMetadata", "citationMetadata", "urlContextMetadata"
KEYS = (GROUNDING, RECITATION, URL_CONTEXT)
DERIVED = frozenset(KEYS)
"""Values of `Citation.native` for citations that were derived from metadata of that name."""

Texts = Mapping[int, str]
"""The texts of a choice by the index of their part."""


def cite(parts: tuple[Part, ...], metadata: Mapping[str, Any]) -> tuple[Part, ...]:
    """`parts` with the citations that `metadata` (a candidate's fields) says."""
    if not any(metadata.get(key) for key in KEYS):
        return parts
    texts = texts_of(parts)
    found: dict[int, list[Citation]] = {}
    for index, citation in derive(metadata, texts):
        found.setdefault(index, []).append(citation)
    return tuple(
        replace(part, citations=tuple(found[index])) if index in found and type(part) is Text else part
        for index, part in enumerate(parts)
    )


def texts_of(parts: tuple[Part, ...]) -> dict[int, str]:
    """The texts among `parts`."""
    return {index: part.text for index, part in enumerate(parts) if type(part) is Text}


def derive(metadata: Mapping[str, Any], texts: Texts) -> list[tuple[int, Citation]]:
    """(index of the cited text, citation), in the order of the metadata. Without a text there is nothing to cite."""
    if not texts:
        return []
    found = [*_grounding(_dict(metadata.get(GROUNDING)), texts), *_recitations(metadata.get(RECITATION), texts)]
    known = {citation.url for _, citation in found}
    last = max(texts)
    return found + [
        (last, citation) for citation in _read_pages(metadata.get(URL_CONTEXT)) if citation.url not in known
    ]


def _dict(value: Any) -> dict[str, Any]:
    return value if type(value) is dict else {}


def _dicts(value: Any) -> list[dict[str, Any]]:
    """The objects of a list; nothing of anything else."""
    return [element for element in value if type(element) is dict] if type(value) is list else []


def _string(value: Any) -> str | None:
    return value if type(value) is str else None


def _grounding(metadata: dict[str, Any], texts: Texts) -> Iterator[tuple[int, Citation]]:
    chunks = metadata.get("groundingChunks")
    sources = [_source(_dict(chunk)) for chunk in chunks] if type(chunks) is list else []
    supports = _dicts(metadata.get("groundingSupports"))
    for support in supports:
        index, start, end = _locate(_dict(support.get("segment")), texts)
        numbers = support.get("groundingChunkIndices")
        for number in numbers if type(numbers) is list else ():
            if type(number) is int and 0 <= number < len(sources):
                yield index, replace(sources[number], start=start, end=end)
    if not supports:
        yield from ((max(texts), source) for source in sources)


def _source(chunk: dict[str, Any]) -> Citation:
    """A chunk of any kind: a page, a passage of a document, a place, a picture."""
    kind = next((key for key in ("web", "retrievedContext", "maps", "image") if type(chunk.get(key)) is dict), "")
    inner = _dict(chunk.get(kind))
    return Citation(
        url=_string(inner.get("sourceUri" if kind == "image" else "uri")),
        title=_string(inner.get("title")),
        cited_text=_string(inner.get("text")),
        file_id=_string(inner.get("documentName")),
        native=GROUNDING,
    )


def _locate(segment: dict[str, Any], texts: Texts) -> tuple[int, int | None, int | None]:
    """(index of the part, start, end in characters) of a segment; without a place, it stands for the whole text."""
    index = segment.get("partIndex", 0)
    index = index if type(index) is int and index in texts else min(texts)
    start, end, words = segment.get("startIndex", 0), segment.get("endIndex"), _string(segment.get("text"))
    if type(start) is int and type(end) is int:
        begin, finish = _characters(texts[index], start), _characters(texts[index], end)
        if words is None or texts[index][begin:finish] == words:
            return index, begin, finish
    for place, text in texts.items():
        begin = text.find(words) if words else -1
        if begin >= 0 and words is not None:
            return place, begin, begin + len(words)
    return min(texts), None, None


def _characters(text: str, count: int) -> int:
    """The number of characters in the first `count` bytes of `text`."""
    if text.isascii():
        return max(0, min(count, len(text)))
    return len(text.encode("utf-8", "surrogatepass")[: max(0, count)].decode("utf-8", "ignore"))


def _recitations(metadata: Any, texts: Texts) -> Iterator[tuple[int, Citation]]:
    holder = _dict(metadata)
    for source in _dicts(holder.get("citations") or holder.get("citationSources")):
        index, start, end = _locate(source, texts)
        url, title = _string(source.get("uri")), _string(source.get("title"))
        yield index, Citation(url, title, start=start, end=end, native=RECITATION)


def _read_pages(metadata: Any) -> Iterator[Citation]:
    for page in _dicts(_dict(metadata).get("urlMetadata")):
        url = _string(page.get("retrievedUrl"))
        if url is not None and page.get("urlRetrievalStatus") == "URL_RETRIEVAL_STATUS_SUCCESS":
            yield Citation(url, native=URL_CONTEXT)


# What the citations carry of the metadata.


_LISTS = {
    GROUNDING: ("groundingChunks", "groundingSupports"),
    RECITATION: ("citations", "citationSources"),
    URL_CONTEXT: ("urlMetadata",),
}
_SAID = "(said in citations)"
_PLACE = frozenset({"startIndex", "endIndex", "partIndex"})
_SEGMENT = _PLACE | {"text"}
_PASSAGE = frozenset({"startIndex", "endIndex", "uri", "title"})
_CHUNKS: dict[str, frozenset[str]] = {
    "web": frozenset({"uri", "title", "domain"}),  # (the domain is that of the address)
    "retrievedContext": frozenset({"uri", "title", "text", "documentName"}),
    "maps": frozenset({"uri", "title", "text"}),
    "image": frozenset({"sourceUri", "title"}),
}


def set_aside(extras: dict[str, Any], texts: Texts) -> dict[str, Any]:
    """`extras` of a choice, with the lists that its citations say to the last under a key of their own."""
    said: dict[str, Any] = {}
    left = dict(extras)
    for key, names in _LISTS.items():
        metadata = extras.get(key)
        if type(metadata) is dict and any(metadata.get(name) for name in names) and _CARRIED[key](metadata, texts):
            said[key] = {name: metadata[name] for name in names if name in metadata}
            left[key] = {name: value for name, value in metadata.items() if name not in names}
    return {**left, _SAID: said} if said else extras


def put_back(extras: Mapping[str, Any]) -> Mapping[str, Any]:
    """`extras` as they were before `set_aside`."""
    said = extras.get(_SAID)
    if said is None:
        return extras
    left = {key: value for key, value in extras.items() if key != _SAID}
    return left | {key: {**left.get(key, {}), **lists} for key, lists in said.items()}


def _grounding_is_carried(metadata: dict[str, Any], texts: Texts) -> bool:
    """Whether every chunk is cited by its source, and every support stands at its place."""
    chunks, supports = metadata.get("groundingChunks", []), metadata.get("groundingSupports", [])
    if type(chunks) is not list or type(supports) is not list or not texts:
        return False
    if not all(_is_source(chunk) for chunk in chunks):
        return False
    if not all(_is_support(support, len(chunks), texts) for support in supports):
        return False
    cited = {number for support in supports for number in support["groundingChunkIndices"]}
    return not supports or cited >= set(range(len(chunks)))


def _is_source(chunk: Any) -> bool:
    if type(chunk) is not dict or len(chunk) != 1:
        return False
    kind, inner = next(iter(chunk.items()))
    return type(inner) is dict and _CHUNKS.get(kind, frozenset()) >= inner.keys() and _are_strings(inner)


def _are_strings(inner: dict[str, Any]) -> bool:
    return all(type(value) is str for value in inner.values())


def _is_support(support: Any, count: int, texts: Texts) -> bool:
    if type(support) is not dict or support.keys() - {"confidenceScores"} != {"segment", "groundingChunkIndices"}:
        return False
    segment, numbers = support["segment"], support["groundingChunkIndices"]
    if support.get("confidenceScores") or type(numbers) is not list or not numbers:
        return False
    known = all(type(number) is int and 0 <= number < count for number in numbers)
    return known and type(segment) is dict and segment.keys() <= _SEGMENT and _locate(segment, texts)[1] is not None


def _recitations_are_carried(metadata: dict[str, Any], texts: Texts) -> bool:
    if not texts or (metadata.get("citations") and metadata.get("citationSources")):
        return False
    sources = metadata.get("citations") or metadata.get("citationSources")
    return type(sources) is list and all(
        type(source) is dict and source.keys() <= _PASSAGE and _locate(source, texts)[1] is not None
        for source in sources
    )


def _pages_are_carried(metadata: dict[str, Any], texts: Texts) -> bool:
    pages = metadata.get("urlMetadata")
    return (
        bool(texts)
        and type(pages) is list
        and all(type(page) is dict and page.keys() == {"retrievedUrl", "urlRetrievalStatus"} for page in pages)
        and len(list(_read_pages(metadata))) == len(pages)
    )


_CARRIED: dict[str, Callable[[dict[str, Any], Texts], bool]] = {
    GROUNDING: _grounding_is_carried,
    RECITATION: _recitations_are_carried,
    URL_CONTEXT: _pages_are_carried,
}


# What was searched.


def count_searches(candidates: Iterable[Mapping[str, Any]]) -> dict[str, int] | None:
    """What Google ran for these candidates, by generic tool name, as it bills it: each query of a web search, and maps
    once. None where nothing was run. (https://ai.google.dev/gemini-api/docs/google-search#pricing)
    """
    searches = maps = 0
    for candidate in candidates:
        metadata = _dict(put_back(candidate).get(GROUNDING))
        queries = [each for key in _QUERIES for each in _list(metadata.get(key)) if each]
        kinds = {kind for chunk in _dicts(metadata.get("groundingChunks")) for kind in chunk}
        searches += len(queries) or int("web" in kinds)
        maps |= int("maps" in kinds)
    found = {"web_search": searches, "maps": maps}
    return {name: count for name, count in found.items() if count} or None


_QUERIES = ("webSearchQueries", "imageSearchQueries")


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


# Other dialects' citations as groundingMetadata.


def write_grounding(parts: Mapping[int, Text]) -> dict[str, Any] | None:
    """groundingMetadata for the citations of texts, by their index on the wire; None where there are none."""
    chunks: list[dict[str, Any]] = []
    supports: list[dict[str, Any]] = []
    for index, part in parts.items():
        for citation in part.citations or ():
            if citation.native in DERIVED:
                continue
            chunk = _chunk(citation)
            if chunk not in chunks:
                chunks.append(chunk)
            supports.append(_support(index, part.text, citation, chunks.index(chunk)))
    return {"groundingChunks": chunks, "groundingSupports": supports} if chunks else None


def _chunk(citation: Citation) -> dict[str, Any]:
    if citation.url is not None and citation.cited_text is None:
        inner = {"uri": citation.url, "title": citation.title}
        return {"web": {key: value for key, value in inner.items() if value is not None}}
    inner = {
        "uri": citation.url,
        "title": citation.title,
        "text": citation.cited_text,
        "documentName": citation.file_id,
    }
    return {"retrievedContext": {key: value for key, value in inner.items() if value is not None}}


def _support(index: int, text: str, citation: Citation, chunk: int) -> dict[str, Any]:
    start = 0 if citation.start is None else max(0, citation.start)
    words = text[start : citation.end]
    begin = len(text[:start].encode("utf-8", "replace"))
    segment: dict[str, Any] = {"endIndex": begin + len(words.encode("utf-8", "replace")), "text": words}
    if begin:
        segment["startIndex"] = begin
    if index:
        segment["partIndex"] = index
    return {"segment": segment, "groundingChunkIndices": [chunk]}
