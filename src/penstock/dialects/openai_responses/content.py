"""Content parts of Responses: `{"type": "input_text" | "output_text" | "refusal" | "input_image" | "input_file" |
"input_audio" | ...}`, both ways.

The same parts stand in messages and in the outputs of tools. What the caller writes is `input_*`, what the model wrote
is `output_*`: each place has its usual type for a text, and `Part.native` remembers a type that is not the usual one. A
type that is not known becomes an Opaque with native "content".

Source: https://platform.openai.com/docs/api-reference/responses/create (input),
https://platform.openai.com/docs/api-reference/responses/object (output).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from penstock.dialects import wire
from penstock.dialects.openai_responses.fields import ENVELOPE, ITEM, at, required_string
from penstock.dialects.openai_responses.media import READERS, read_cache, write_cache, write_media
from penstock.dialects.token_logprobs import logprobs_or_none, write_logprobs
from penstock.types.content import (
    Cache,
    Citation,
    Extras,
    Json,
    Media,
    Opaque,
    Part,
    Refusal,
    Signature,
    Text,
)
from penstock.types.errors import DialectError, MalformedError

# Reading


def read_content(value: list[Any], usual: str) -> tuple[Part, ...]:
    """The elements of a content list. `usual` is the type of text that this place usually holds."""
    parts: list[Part] = []
    try:
        for element in value:
            parts.append(read_part(element, usual))
    except DialectError as error:
        raise error.at(len(parts)) from None
    return tuple(parts)


def read_answer_part(value: Any, usual: str) -> Part:
    """One content part of an answer: one that we cannot read under its type is kept whole."""
    try:
        return read_part(value, usual)
    except DialectError:
        return Opaque(value, native="content")


def read_part(value: Any, usual: str) -> Part:
    """One content part."""
    part = wire.obj(value)
    kind = part.get("type")
    if not isinstance(kind, str):
        return Opaque(part, native="content")
    read = _READERS.get(kind)
    if read is not None:
        return read(part, usual)
    read_media = READERS.get(kind)
    return Opaque(part, native="content") if read_media is None else read_media(part)


def _read_text(part: dict[str, Any], usual: str) -> Part:
    text = part.get("text")
    if type(text) is not str:
        text = required_string(part, "text")
    kind = part["type"]
    native = None if kind == usual else kind
    if len(part) == 2:
        return Text(text, native=native)
    annotations, logprobs = part.get("annotations"), part.get("logprobs")
    if annotations is not None:
        annotations = at("annotations", wire.each, read_citation, annotations) if annotations != [] else ()
    extras, signature = wire.rest(part, _TEXT_KEYS), None
    if logprobs is not None:
        logprobs = logprobs_or_none(logprobs)
        extras = {**(extras or {}), "logprobs": part["logprobs"]} if logprobs is None else extras
    if extras and _THOUGHT in extras:
        signature, extras = read_thought(part, extras)
    return Text(text, annotations, logprobs, signature, read_cache(part), None, native, extras)


_TEXT_KEYS = frozenset({"type", "text", "annotations", "logprobs", "prompt_cache_breakpoint"})


_THOUGHT = "provider_specific_fields"


def read_thought(holder: dict[str, Any], extras: Extras) -> tuple[Signature | None, Extras]:
    """(signature, extras without it) of a text or a call. Gemini signs those too; a client of Responses finds and
    returns the value where LiteLLM's users know it: `{"provider_specific_fields": {"thought_signature": ...}}`.
    """
    fields = holder.get(_THOUGHT)
    if not isinstance(fields, dict) or not isinstance(fields.get("thought_signature"), str):
        return None, extras
    left = {key: value for key, value in fields.items() if key != "thought_signature"}
    others = {key: value for key, value in (extras or {}).items() if key != _THOUGHT}
    return Signature(fields["thought_signature"], "gemini"), {**others, **({_THOUGHT: left} if left else {})} or None


def write_thought(signature: Signature, extras: Extras) -> dict[str, Any]:
    """The fields that carry the signature of a text or a call; none where they cannot carry it."""
    if signature.origin != "gemini":
        return {}
    return {_THOUGHT: {**((extras or {}).get(_THOUGHT) or {}), "thought_signature": signature.value}}


def _read_refusal(part: dict[str, Any], usual: str) -> Part:
    return Refusal(required_string(part, "refusal"), extras=wire.rest(part, _REFUSAL_KEYS))


_REFUSAL_KEYS = frozenset({"type", "refusal"})


def read_citation(value: Any) -> Citation:
    """An annotation: url_citation (native None), file_citation, container_file_citation, file_path, or another host's
    own.
    """
    annotation = wire.obj(value)
    kind = annotation.get("type")
    title_key = "title" if kind == "url_citation" else "filename"
    left = dict(annotation)
    if isinstance(kind, str) and kind != UNTYPED:
        del left["type"]
    found = {
        name: left.pop(key)
        for name, key, types in _CITATION_FIELDS
        if isinstance(left.get(key), types) and not isinstance(left[key], bool)
    }
    if isinstance(left.get(title_key), str):
        found["title"] = left.pop(title_key)
    native = None if kind == "url_citation" else kind if isinstance(kind, str) else UNTYPED
    return Citation(**found, native=native, extras=left or None)


UNTYPED = "untyped"
"""The native of an annotation without a type."""

_CITATION_FIELDS = (
    ("url", "url", str),
    ("start", "start_index", int),
    ("end", "end_index", int),
    ("file_id", "file_id", str),
)


def write_citation(citation: Citation) -> dict[str, Any]:
    """The annotation again."""
    kind = "url_citation" if citation.native is None else citation.native
    found: dict[str, Any] = {} if kind == UNTYPED else {"type": kind}
    if citation.title is not None:
        found["title" if kind == "url_citation" else "filename"] = citation.title
    for name, key, _ in _CITATION_FIELDS:
        value = getattr(citation, name)
        if value is not None:
            found[key] = value
    return wire.merge(citation.extras, found)


_READERS: dict[str, Callable[[dict[str, Any], str], Part]] = {
    "input_text": _read_text,
    "output_text": _read_text,
    "text": _read_text,
    "refusal": _read_refusal,
}


# Writing


def write_content(parts: tuple[Part, ...] | list[Part], usual: str) -> list[dict[str, Any]]:
    """Content parts as a list."""
    return [write_part(part, usual) for part in parts]


def write_part(part: Part, usual: str) -> dict[str, Any]:
    """One content part. Raises MalformedError for a kind that content cannot hold."""
    write = _WRITERS.get(type(part))
    if write is None:
        raise MalformedError(f"{type(part).__name__} has no place in message content")
    found: dict[str, Any] = write(part, usual)
    cache: Cache | None = part.cache
    extras: Extras = part.extras
    if cache is not None:
        found["prompt_cache_breakpoint"] = write_cache(cache)
    if not extras:
        return found
    left = {key: value for key, value in extras.items() if key not in (ITEM, ENVELOPE)}
    return wire.deep_merge(left, found)


def _write_text(part: Text, usual: str) -> dict[str, Any]:
    found: dict[str, Any] = {"type": part.native or usual, "text": part.text}
    if part.citations is not None:
        found["annotations"] = [write_citation(citation) for citation in part.citations]
    if part.logprobs is not None:
        found["logprobs"] = write_logprobs(part.logprobs)
    if part.signature is not None:
        found.update(write_thought(part.signature, part.extras))
    return found


def _write_refusal(part: Refusal, usual: str) -> dict[str, Any]:
    return {"type": "refusal", "refusal": part.text}


def _write_json(part: Json, usual: str) -> dict[str, Any]:
    return {"type": usual, "text": wire.encode(part.value).decode()}


def _write_opaque(part: Opaque, usual: str) -> Any:
    return dict(part.value) if isinstance(part.value, dict) else part.value


def _write_media(part: Media, usual: str) -> dict[str, Any]:
    return write_media(part)


_WRITERS: dict[type, Callable[[Any, str], dict[str, Any]]] = {
    Text: _write_text,
    Refusal: _write_refusal,
    Json: _write_json,
    Opaque: _write_opaque,
    Media: _write_media,
}
