"""Content parts of Chat Completions: `{"type": "text" | "image_url" | "input_audio" | "file" | ...}`, both ways.

Source: https://platform.openai.com/docs/api-reference/chat/create (messages), with the parts that compatible hosts
add: `video_url` and `audio_url`, Mistral's `document_url` and `thinking` chunks
(https://docs.mistral.ai/api/#tag/chat), the `reasoning` chunks of Databricks
(https://docs.databricks.com/aws/en/machine-learning/model-serving/query-reason-models).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from penstock.dialects import wire
from penstock.dialects.media_types import AUDIO_TYPES, audio_format
from penstock.types.content import (
    Base64,
    Cache,
    FileId,
    Media,
    MediaKind,
    Opaque,
    Part,
    Refusal,
    Signature,
    Source,
    Text,
    Thinking,
    Url,
)
from penstock.types.errors import MalformedError


def read_content_part(value: Any) -> Part:
    """One element of a content list. A type that is not known becomes Opaque."""
    part = wire.obj(value)
    kind = part.get("type")
    read = _READERS.get(kind) if isinstance(kind, str) else None
    return Opaque(part, native="content") if read is None else read(part)


def read_cache(value: Any) -> Cache | None:
    """A `cache_control` marker, as Anthropic-like hosts accept it beside a part, a message or a tool."""
    if value is None:
        return None
    marker = wire.obj(value)
    kind = marker.get("type")
    extras = wire.rest(marker, frozenset({"type", "ttl"}))
    if not isinstance(kind, str) or not isinstance(marker.get("ttl"), str | None):
        raise MalformedError("expected a marker like {'type': 'ephemeral', 'ttl': '5m'}", "cache_control")
    return Cache(marker.get("ttl"), kind, extras)


def write_cache(cache: Cache) -> dict[str, Any]:
    """The marker again."""
    marker: dict[str, Any] = {"type": cache.kind}
    if cache.ttl is not None:
        marker["ttl"] = cache.ttl
    return wire.merge(cache.extras, marker)


def source_of_url(url: str) -> tuple[Source, str | None]:
    """(source, media type) of a URL, which may hold the bytes themselves."""
    data = wire.data_url(url)
    return (Url(url), None) if data is None else (Base64(data[1]), data[0])


def url_of(media: Media, default_type: str) -> str:
    """The URL for a part: its own, or a `data:` URL of its bytes."""
    if isinstance(media.source, Url):
        return media.source.url
    if isinstance(media.source, Base64):
        media_type = default_type if media.media_type is None else media.media_type
        return f"data:{media_type};base64,{media.source.data}"
    raise MalformedError("this media has neither a URL nor bytes")


def _read_text(part: dict[str, Any]) -> Part:
    return Text(
        wire.string(part.get("text")),
        cache=read_cache(part.get("cache_control")),
        native="text",
        extras=wire.rest(part, _TEXT_KEYS),
    )


def _read_refusal(part: dict[str, Any]) -> Part:
    return Refusal(wire.string(part.get("refusal")), native="refusal", extras=wire.rest(part, _REFUSAL_KEYS))


def _url_reader(kind: MediaKind, key: str) -> Callable[[dict[str, Any]], Part]:
    """A reader of `{"type": key, key: {"url": ..., "detail": ...}}`, or of Mistral's `{key: "https://..."}`."""
    known = frozenset({"type", key, "cache_control"})
    inner_known = frozenset({"url", "detail"})

    def read(part: dict[str, Any]) -> Part:
        inner = part.get(key)
        extras = wire.rest(part, known)
        cache = read_cache(part.get("cache_control"))
        if isinstance(inner, str):
            source, media_type = source_of_url(inner)
            return Media(kind, source, media_type, cache=cache, native=f"{key}:string", extras=extras)
        inner = wire.obj(inner)
        source, media_type = source_of_url(wire.string(inner.get("url")))
        left = wire.rest(inner, inner_known)
        extras = {**(extras or {}), key: left} if left else extras
        detail = None if inner.get("detail") is None else wire.string(inner["detail"])
        return Media(kind, source, media_type, detail=detail, cache=cache, native=key, extras=extras)

    return read


def _read_audio(part: dict[str, Any]) -> Part:
    inner = part.get("input_audio")
    if isinstance(inner, str):
        return _read_bare_audio(part, inner)
    inner = wire.obj(inner)
    if inner.get("format") is None:
        media_type, native = None, _NO_FORMAT
    else:
        name = wire.string(inner["format"])
        media_type = AUDIO_TYPES.get(name, f"audio/{name}")
        native = "input_audio" if audio_format(media_type) == name else f"input_audio:{name}"
    extras = wire.rest(part, frozenset({"type", "input_audio", "cache_control"}))
    left = wire.rest(inner, frozenset({"data", "format"}))
    extras = {**(extras or {}), "input_audio": left} if left else extras
    data = Base64(wire.string(inner.get("data")))
    return Media("audio", data, media_type, cache=read_cache(part.get("cache_control")), native=native, extras=extras)


_NO_FORMAT = "input_audio:(none)"
_BARE_AUDIO = "input_audio:(bare)"


def _read_bare_audio(part: dict[str, Any], value: str) -> Part:
    """Mistral's form: the bytes, or where they are, without a word on the format."""
    source, media_type = source_of_url(value) if "://" in value[:16] or value[:5] == "data:" else (Base64(value), None)
    extras = wire.rest(part, frozenset({"type", "input_audio", "cache_control"}))
    cache = read_cache(part.get("cache_control"))
    return Media("audio", source, media_type, cache=cache, native=_BARE_AUDIO, extras=extras)


_FLAT_FILE = "file:flat"


def _read_file(part: dict[str, Any]) -> Part:
    if isinstance(part.get("file_id"), str) and "file" not in part:  # Mistral's form
        extras = wire.rest(part, frozenset({"type", "file_id", "cache_control"}))
        cache = read_cache(part.get("cache_control"))
        return Media("file", FileId(part["file_id"]), cache=cache, native=_FLAT_FILE, extras=extras)
    inner = wire.obj(part.get("file"))
    name = inner.get("filename")
    source, media_type, taken = _file_source(inner)
    extras = wire.rest(part, frozenset({"type", "file", "cache_control"}))
    left = wire.rest(inner, frozenset({"filename", taken}))
    extras = {**(extras or {}), "file": left} if left else extras
    return Media(
        "file",
        source,
        media_type,
        name=None if name is None else wire.string(name),
        cache=read_cache(part.get("cache_control")),
        native="file",
        extras=extras,
    )


def _file_source(inner: dict[str, Any]) -> tuple[Source | None, str | None, str]:
    """(source, media type, the key it was read from) of a file: uploaded before, or here as a data URL, a URL or bare
    base64.
    """
    if isinstance(inner.get("file_id"), str):
        return FileId(inner["file_id"]), None, "file_id"
    if not isinstance(inner.get("file_data"), str):
        return None, None, ""
    data: str = inner["file_data"]
    if data.startswith("data:"):
        source, media_type = source_of_url(data)
        return source, media_type, "file_data"
    return (Url(data) if "://" in data[:16] else Base64(data)), None, "file_data"


def _read_thinking(part: dict[str, Any]) -> Part:
    """Mistral's thinking chunk, whose text is itself a list of chunks: one text is modelled, anything richer is kept
    whole.
    """
    inner = part.get("thinking")
    if (
        isinstance(inner, list)
        and len(inner) == 1
        and isinstance(inner[0], dict)
        and inner[0].keys() == {"type", "text"}
    ):
        text = inner[0]["text"]
        if inner[0]["type"] == "text" and isinstance(text, str):
            return Thinking(text, native="thinking", extras=wire.rest(part, frozenset({"type", "thinking"})))
    if isinstance(inner, str):
        return Thinking(inner, native="thinking:string", extras=wire.rest(part, frozenset({"type", "thinking"})))
    return Opaque(part, native="content")


def _read_reasoning(part: dict[str, Any]) -> Part:
    """Databricks' reasoning chunk: a summary of one text, which Claude signs. Anything richer is kept whole."""
    summary = part.get("summary")
    entry = summary[0] if isinstance(summary, list) and len(summary) == 1 else None
    if not isinstance(entry, dict) or not isinstance(entry.get("text"), str):
        return Opaque(part, native="content")
    value = entry.get("signature")
    signature = Signature(value, "anthropic") if isinstance(value, str) else None
    extras = wire.rest(part, frozenset({"type", "summary"}))
    known = frozenset({"text", "signature"} if signature is not None else {"text"})
    extras = {**(extras or {}), "summary": [{key: inner for key, inner in entry.items() if key not in known}]}
    return Thinking(entry["text"], signature=signature, native=REASONING_CHUNK, extras=extras)


REASONING_CHUNK = "content:reasoning"
"""The native of a Thinking that stood in a content list as a `reasoning` element."""

_TEXT_KEYS = frozenset({"type", "text", "cache_control"})
_REFUSAL_KEYS = frozenset({"type", "refusal"})

_READERS: dict[str, Callable[[dict[str, Any]], Part]] = {
    "text": _read_text,
    "refusal": _read_refusal,
    "image_url": _url_reader("image", "image_url"),
    "video_url": _url_reader("video", "video_url"),
    "audio_url": _url_reader("audio", "audio_url"),
    "document_url": _url_reader("file", "document_url"),
    "input_audio": _read_audio,
    "file": _read_file,
    "thinking": _read_thinking,
    "reasoning": _read_reasoning,
}


def write_text(part: Text) -> dict[str, Any]:
    """A text as a list element."""
    found: dict[str, Any] = {"type": "text", "text": part.text}
    if part.cache is not None:
        found["cache_control"] = write_cache(part.cache)
    return wire.merge(part.extras, found)


def write_thinking(part: Thinking) -> dict[str, Any]:
    """Mistral's thinking chunk again, or Databricks' reasoning chunk."""
    if part.native == REASONING_CHUNK:
        entry = {"text": part.text}
        if part.signature is not None:
            entry["signature"] = part.signature.value
        return wire.deep_merge(part.extras, {"type": "reasoning", "summary": [entry]})
    text: Any = part.text if part.native == "thinking:string" else [{"type": "text", "text": part.text}]
    return wire.merge(part.extras, {"type": "thinking", "thinking": text})


def write_media(media: Media) -> dict[str, Any]:
    """An image, video, audio or file as a list element. Raises MalformedError where it has no source that Chat
    Completions can carry.
    """
    found = _MEDIA_WRITERS[media.kind](media)
    if media.cache is not None:
        found["cache_control"] = write_cache(media.cache)
    return wire.deep_merge(media.extras, found)


def _write_url(media: Media, key: str, default_type: str) -> dict[str, Any]:
    url = url_of(media, default_type)
    if media.native == f"{key}:string":
        return {"type": key, key: url}
    inner = {"url": url}
    if media.detail is not None:
        inner["detail"] = media.detail
    return {"type": key, key: inner}


def _write_image(media: Media) -> dict[str, Any]:
    return _write_url(media, "image_url", "image/png")


def _write_video(media: Media) -> dict[str, Any]:
    return _write_url(media, "video_url", "video/mp4")


def _write_audio(media: Media) -> dict[str, Any]:
    if media.native in ("audio_url", "audio_url:string"):
        return _write_url(media, "audio_url", "audio/wav")
    if media.native == _BARE_AUDIO:
        source = media.source
        bare = source.data if isinstance(source, Base64) and media.media_type is None else url_of(media, "audio/wav")
        return {"type": "input_audio", "input_audio": bare}
    if not isinstance(media.source, Base64):
        raise MalformedError("audio must be given as bytes")
    if media.native == _NO_FORMAT:
        return {"type": "input_audio", "input_audio": {"data": media.source.data}}
    _, colon, spelled = (media.native or "").partition(":")
    name = spelled if colon else audio_format(media.media_type)
    return {"type": "input_audio", "input_audio": {"data": media.source.data, "format": name}}


def _write_file(media: Media) -> dict[str, Any]:
    if media.native in ("document_url", "document_url:string"):
        return _write_url(media, "document_url", "application/pdf")
    if media.native == _FLAT_FILE and isinstance(media.source, FileId):
        return {"type": "file", "file_id": media.source.id}
    inner: dict[str, Any] = {}
    if isinstance(media.source, FileId):
        inner["file_id"] = media.source.id
    elif isinstance(media.source, Base64) and media.media_type is None:
        inner["file_data"] = media.source.data
    elif media.source is not None:
        inner["file_data"] = url_of(media, "application/pdf")
    if media.name is not None:
        inner["filename"] = media.name
    return {"type": "file", "file": inner}


_MEDIA_WRITERS: dict[MediaKind, Callable[[Media], dict[str, Any]]] = {
    "image": _write_image,
    "video": _write_video,
    "audio": _write_audio,
    "file": _write_file,
}
