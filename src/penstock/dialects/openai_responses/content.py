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
from penstock.types.content import (
    Base64,
    Cache,
    Citation,
    Extras,
    FileId,
    Json,
    Media,
    MediaKind,
    Opaque,
    Part,
    Refusal,
    Signature,
    Source,
    Text,
    TokenLogprob,
    Url,
)
from penstock.types.errors import DialectError, MalformedError

ITEM = "(item)"
"""The key in `extras` for fields of an item that say nothing to another dialect (its status), so that their loss is not
noted. On the first part of an output message it also marks where the message begins.
"""
ENVELOPE = "item"
"""The key in the `extras` of an output message's first part for the message's other unmodelled fields (`phase`)."""

_HIDDEN = (ITEM, ENVELOPE)


def optional_string(holder: dict[str, Any], key: str) -> str | None:
    """The string at `key`, None where there is none or an explicit null."""
    value = holder.get(key)
    if value is None or isinstance(value, str):
        return value
    raise MalformedError(f"expected a string, got {wire.describe(value)}", key)


def required_string(holder: dict[str, Any], key: str) -> str:
    """The string at `key`."""
    value = holder.get(key)
    if isinstance(value, str):
        return value
    raise MalformedError(f"expected a string, got {wire.describe(value) if key in holder else 'nothing'}", key)


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


def read_part(value: Any, usual: str) -> Part:
    """One content part."""
    part = wire.obj(value)
    kind = part.get("type")
    read = _READERS.get(kind) if isinstance(kind, str) else None
    return Opaque(part, native="content") if read is None else read(part, usual)


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
        annotations = _at("annotations", wire.each, read_citation, annotations) if annotations != [] else ()
    if logprobs is not None:
        logprobs = _at("logprobs", read_logprobs, logprobs) if logprobs != [] else ()
    extras, signature = wire.rest(part, _TEXT_KEYS), None
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


def _at(key: str, read: Callable[..., Any], *arguments: Any) -> Any:
    """`read(*arguments)`, with `key` put in front of an error's path."""
    try:
        return read(*arguments)
    except DialectError as error:
        raise error.at(key) from None


def _read_refusal(part: dict[str, Any], usual: str) -> Part:
    return Refusal(required_string(part, "refusal"), extras=wire.rest(part, _REFUSAL_KEYS))


_REFUSAL_KEYS = frozenset({"type", "refusal"})


def read_cache(holder: dict[str, Any]) -> Cache | None:
    """`prompt_cache_breakpoint`: `{"mode": "explicit", "ttl": "30m"}`. The mode "explicit" is what every other dialect
    calls an ephemeral marker.
    """
    marker = holder.get("prompt_cache_breakpoint")
    if marker is None:
        return None
    return _at("prompt_cache_breakpoint", _read_marker, marker)  # type: ignore[no-any-return]


def _read_marker(value: Any) -> Cache:
    marker = wire.obj(value)
    mode = optional_string(marker, "mode")
    extras = wire.rest(marker, frozenset({"mode", "ttl"}))
    if mode in ("ephemeral", _NO_MODE):
        return Cache(optional_string(marker, "ttl"), extras={**(extras or {}), "mode": mode})
    kind = "ephemeral" if mode == "explicit" else _NO_MODE if mode is None else mode
    return Cache(optional_string(marker, "ttl"), kind, extras)


_NO_MODE = "none"


def write_cache(cache: Cache) -> dict[str, Any]:
    """The breakpoint again."""
    marker: dict[str, Any] = {}
    if cache.kind != _NO_MODE:
        marker["mode"] = "explicit" if cache.kind == "ephemeral" else cache.kind
    if cache.ttl is not None:
        marker["ttl"] = cache.ttl
    return {**marker, **cache.extras} if cache.extras else marker


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


def read_logprobs(value: Any) -> tuple[TokenLogprob, ...]:
    """A list of token log probabilities. Those of a stream have no `bytes`."""
    if type(value) is not list:
        value = wire.array(value)
    return tuple([_read_logprob(entry) for entry in value])


def _read_logprob(value: Any) -> TokenLogprob:
    entry = wire.obj(value)
    data, top, logprob = entry.get("bytes"), entry.get("top_logprobs"), entry.get("logprob")
    return TokenLogprob(
        required_string(entry, "token"),
        None if logprob is None else wire.number(logprob),
        None if data is None else wire.each(wire.integer, data),
        None if top is None else read_logprobs(top),
        wire.rest(entry, _LOGPROB_KEYS),
    )


_LOGPROB_KEYS = frozenset({"token", "logprob", "bytes", "top_logprobs"})


def write_logprob(entry: TokenLogprob) -> dict[str, Any]:
    """One token log probability."""
    found: dict[str, Any] = {"token": entry.token}
    if entry.logprob is not None:
        found["logprob"] = entry.logprob
    if entry.bytes is not None:
        found["bytes"] = list(entry.bytes)
    if entry.top is not None:
        found["top_logprobs"] = [write_logprob(other) for other in entry.top]
    return wire.merge(entry.extras, found)


def _read_image(part: dict[str, Any], usual: str) -> Part:
    kind = part["type"]
    source, media_type, taken = _image_source(part)
    return Media(
        "image",
        source,
        media_type,
        detail=optional_string(part, "detail"),
        cache=read_cache(part),
        native=None if kind == "input_image" else kind,
        extras=wire.rest(part, _IMAGE_KEYS[taken]),
    )


_IMAGE_KEYS = {
    key: frozenset({"type", "prompt_cache_breakpoint", "detail", key}) for key in ("image_url", "file_id", "")
}


def _image_source(part: dict[str, Any]) -> tuple[Source | None, str | None, str]:
    """(source, media type, the key it was read from)."""
    url = optional_string(part, "image_url")
    if url is not None:
        data = wire.data_url(url)
        return (Url(url), None, "image_url") if data is None else (Base64(data[1]), data[0], "image_url")
    file_id = optional_string(part, "file_id")
    return (None, None, "") if file_id is None else (FileId(file_id), None, "file_id")


def _media_rest(part: dict[str, Any], *taken: str) -> Extras:
    return wire.rest(part, frozenset({"type", "prompt_cache_breakpoint", *taken}))


def _read_file(part: dict[str, Any], usual: str) -> Part:
    source, media_type, taken = _file_source(part)
    return Media(
        "file",
        source,
        media_type,
        name=optional_string(part, "filename"),
        detail=optional_string(part, "detail"),
        cache=read_cache(part),
        native="file_data" if isinstance(source, Url) and taken == "file_data" else None,
        extras=_media_rest(part, taken, "filename", "detail"),
    )


def _file_source(part: dict[str, Any]) -> tuple[Source | None, str | None, str]:
    """(source, media type, key): bytes as a data URL or as bare base64, a URL (some hosts take it in `file_data` too),
    an uploaded file.
    """
    text = optional_string(part, "file_data")
    if text is not None:
        data = wire.data_url(text)
        if data is not None:
            return Base64(data[1]), data[0], "file_data"
        if text.startswith("data:"):
            return None, None, ""
        return (Url(text) if "://" in text[:16] else Base64(text)), None, "file_data"
    for key, make in (("file_url", Url), ("file_id", FileId)):
        value = optional_string(part, key)
        if value is not None:
            return make(value), None, key
    return None, None, ""


_AUDIO_TYPES = {
    "wav": "audio/wav",
    "mp3": "audio/mpeg",
    "flac": "audio/flac",
    "opus": "audio/opus",
    "pcm16": "audio/pcm",
}
_AUDIO_FORMATS = {media_type: name for name, media_type in _AUDIO_TYPES.items()} | {
    "audio/mp3": "mp3",
    "audio/x-wav": "wav",
}


def _audio_format(media_type: str | None) -> str:
    kind = "audio/wav" if media_type is None else media_type
    return _AUDIO_FORMATS.get(kind, kind.removeprefix("audio/"))


def _read_audio(part: dict[str, Any], usual: str) -> Part:
    inner = _at("input_audio", wire.obj, part.get("input_audio"))
    data, name = (
        _at("input_audio", required_string, inner, "data"),
        _at("input_audio", optional_string, inner, "format"),
    )
    media_type = None if name is None else _AUDIO_TYPES.get(name, f"audio/{name}")
    extras = _media_rest(part, "input_audio")
    left = wire.rest(inner, frozenset({"data", "format"}))
    return Media(
        "audio",
        Base64(data),
        media_type,
        cache=read_cache(part),
        native=_format_spelling(name, media_type),
        extras={**(extras or {}), "input_audio": left} if left else extras,
    )


_NO_FORMAT = "no format"


def _format_spelling(name: str | None, media_type: str | None) -> str | None:
    """The native of audio whose media type would be written as another format than `name`."""
    if name is None:
        return _NO_FORMAT
    return None if _audio_format(media_type) == name else f"format:{name}"


def _read_video(part: dict[str, Any], usual: str) -> Part:
    """OpenRouter's addition (https://openrouter.ai/docs/api-reference/responses-api)."""
    url = required_string(part, "video_url")
    data = wire.data_url(url)
    source: Source = Url(url) if data is None else Base64(data[1])
    media_type = None if data is None else data[0]
    return Media("video", source, media_type, cache=read_cache(part), extras=_media_rest(part, "video_url"))


_READERS: dict[str, Callable[[dict[str, Any], str], Part]] = {
    "input_text": _read_text,
    "output_text": _read_text,
    "text": _read_text,
    "refusal": _read_refusal,
    "input_image": _read_image,
    "computer_screenshot": _read_image,
    "input_file": _read_file,
    "input_audio": _read_audio,
    "input_video": _read_video,
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
    left = {key: value for key, value in extras.items() if key not in _HIDDEN}
    return wire.deep_merge(left, found)


def _write_text(part: Text, usual: str) -> dict[str, Any]:
    found: dict[str, Any] = {"type": part.native or usual, "text": part.text}
    if part.citations is not None:
        found["annotations"] = [write_citation(citation) for citation in part.citations]
    if part.logprobs is not None:
        found["logprobs"] = [write_logprob(entry) for entry in part.logprobs]
    if part.signature is not None:
        found.update(write_thought(part.signature, part.extras))
    return found


def _write_refusal(part: Refusal, usual: str) -> dict[str, Any]:
    return {"type": "refusal", "refusal": part.text}


def _write_json(part: Json, usual: str) -> dict[str, Any]:
    return {"type": usual, "text": wire.encode(part.value).decode()}


def _write_opaque(part: Opaque, usual: str) -> dict[str, Any]:
    return dict(part.value)


def _write_media(part: Media, usual: str) -> dict[str, Any]:
    return _MEDIA_WRITERS[part.kind](part)


def _write_image(part: Media) -> dict[str, Any]:
    found: dict[str, Any] = {"type": part.native or "input_image"}
    if isinstance(part.source, FileId):
        found["file_id"] = part.source.id
    elif part.source is not None:
        found["image_url"] = _url_of(part, "image/png")
    if part.detail is not None:
        found["detail"] = part.detail
    return found


def _write_file(part: Media) -> dict[str, Any]:
    found: dict[str, Any] = {"type": "input_file"}
    if isinstance(part.source, FileId):
        found["file_id"] = part.source.id
    elif isinstance(part.source, Url):
        found["file_data" if part.native == "file_data" else "file_url"] = part.source.url
    elif part.source is not None:
        bare = isinstance(part.source, Base64) and part.media_type is None
        found["file_data"] = part.source.data if bare and isinstance(part.source, Base64) else _url_of(part, "")
    if part.name is not None:
        found["filename"] = part.name
    if part.detail is not None:
        found["detail"] = part.detail
    return found


def _write_audio(part: Media) -> dict[str, Any]:
    if not isinstance(part.source, Base64):
        raise MalformedError("audio must be given as bytes")
    native = part.native
    name = native.removeprefix("format:") if native and native.startswith("format:") else _audio_format(part.media_type)
    inner = {"data": part.source.data}
    if native != _NO_FORMAT:
        inner["format"] = name
    return {"type": "input_audio", "input_audio": inner}


def _write_video(part: Media) -> dict[str, Any]:
    return {"type": "input_video", "video_url": _url_of(part, "video/mp4")}


def _url_of(part: Media, default_type: str) -> str:
    if isinstance(part.source, Url):
        return part.source.url
    if isinstance(part.source, Base64):
        media_type = default_type if part.media_type is None else part.media_type
        return f"data:{media_type};base64,{part.source.data}"
    raise MalformedError(f"this {part.kind} has neither a URL nor bytes")


_MEDIA_WRITERS: dict[MediaKind, Callable[[Media], dict[str, Any]]] = {
    "image": _write_image,
    "file": _write_file,
    "audio": _write_audio,
    "video": _write_video,
}

_WRITERS: dict[type, Callable[[Any, str], dict[str, Any]]] = {
    Text: _write_text,
    Refusal: _write_refusal,
    Json: _write_json,
    Opaque: _write_opaque,
    Media: _write_media,
}
