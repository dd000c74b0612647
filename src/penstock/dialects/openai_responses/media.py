"""Images, files, audio and video in content: `{"type": "input_image" | "input_file" | "input_audio", ...}`.

A source is a URL, bytes as a `data:` URL (files also as bare base64), or an uploaded file. `Part.native` remembers what
the kind and source of the media do not say.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from penstock.dialects import wire
from penstock.dialects.media_types import AUDIO_TYPES, audio_format
from penstock.dialects.openai_responses.fields import at, required_string
from penstock.types.content import Base64, Cache, Extras, FileId, Media, MediaKind, Part, Source, Url
from penstock.types.errors import MalformedError


def read_cache(holder: dict[str, Any]) -> Cache | None:
    """`prompt_cache_breakpoint`: `{"mode": "explicit", "ttl": "30m"}`. The mode "explicit" is what every other dialect
    calls an ephemeral marker.
    """
    marker = holder.get("prompt_cache_breakpoint")
    if marker is None:
        return None
    cache: Cache = at("prompt_cache_breakpoint", _read_marker, marker)
    return cache


def _read_marker(value: Any) -> Cache:
    marker = wire.obj(value)
    mode = wire.optional_string(marker, "mode")
    extras = wire.rest(marker, frozenset({"mode", "ttl"}))
    if mode in ("ephemeral", _NO_MODE):
        return Cache(wire.optional_string(marker, "ttl"), extras={**(extras or {}), "mode": mode})
    kind = "ephemeral" if mode == "explicit" else _NO_MODE if mode is None else mode
    return Cache(wire.optional_string(marker, "ttl"), kind, extras)


_NO_MODE = "none"


def write_cache(cache: Cache) -> dict[str, Any]:
    """The breakpoint again."""
    marker: dict[str, Any] = {}
    if cache.kind != _NO_MODE:
        marker["mode"] = "explicit" if cache.kind == "ephemeral" else cache.kind
    if cache.ttl is not None:
        marker["ttl"] = cache.ttl
    return {**marker, **cache.extras} if cache.extras else marker


def _read_image(part: dict[str, Any]) -> Part:
    kind = part["type"]
    source, media_type, taken = _image_source(part)
    return Media(
        "image",
        source,
        media_type,
        detail=wire.optional_string(part, "detail"),
        cache=read_cache(part),
        native=None if kind == "input_image" else kind,
        extras=wire.rest(part, _IMAGE_KEYS[taken]),
    )


_IMAGE_KEYS = {
    key: frozenset({"type", "prompt_cache_breakpoint", "detail", key}) for key in ("image_url", "file_id", "")
}


def _image_source(part: dict[str, Any]) -> tuple[Source | None, str | None, str]:
    """(source, media type, the key it was read from)."""
    url = wire.optional_string(part, "image_url")
    if url is not None:
        data = wire.data_url(url)
        return (Url(url), None, "image_url") if data is None else (Base64(data[1]), data[0], "image_url")
    file_id = wire.optional_string(part, "file_id")
    return (None, None, "") if file_id is None else (FileId(file_id), None, "file_id")


def _media_rest(part: dict[str, Any], *taken: str) -> Extras:
    return wire.rest(part, frozenset({"type", "prompt_cache_breakpoint", *taken}))


def _read_file(part: dict[str, Any]) -> Part:
    source, media_type, taken = _file_source(part)
    return Media(
        "file",
        source,
        media_type,
        name=wire.optional_string(part, "filename"),
        detail=wire.optional_string(part, "detail"),
        cache=read_cache(part),
        native="file_data" if isinstance(source, Url) and taken == "file_data" else None,
        extras=_media_rest(part, taken, "filename", "detail"),
    )


def _file_source(part: dict[str, Any]) -> tuple[Source | None, str | None, str]:
    """(source, media type, key): bytes as a data URL or as bare base64, a URL (some hosts take it in `file_data` too),
    an uploaded file.
    """
    text = wire.optional_string(part, "file_data")
    if text is not None:
        data = wire.data_url(text)
        if data is not None:
            return Base64(data[1]), data[0], "file_data"
        if text.startswith("data:"):
            return None, None, ""
        return (Url(text) if "://" in text[:16] else Base64(text)), None, "file_data"
    for key, make in (("file_url", Url), ("file_id", FileId)):
        value = wire.optional_string(part, key)
        if value is not None:
            return make(value), None, key
    return None, None, ""


def _read_audio(part: dict[str, Any]) -> Part:
    inner = at("input_audio", wire.obj, part.get("input_audio"))
    data = at("input_audio", required_string, inner, "data")
    name = at("input_audio", wire.optional_string, inner, "format")
    media_type = None if name is None else AUDIO_TYPES.get(name, f"audio/{name}")
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
    return None if audio_format(media_type) == name else f"format:{name}"


def _read_video(part: dict[str, Any]) -> Part:
    """OpenRouter's addition (https://openrouter.ai/docs/api-reference/responses-api)."""
    url = required_string(part, "video_url")
    data = wire.data_url(url)
    source: Source = Url(url) if data is None else Base64(data[1])
    media_type = None if data is None else data[0]
    return Media("video", source, media_type, cache=read_cache(part), extras=_media_rest(part, "video_url"))


READERS: dict[str, Callable[[dict[str, Any]], Part]] = {
    "input_image": _read_image,
    "computer_screenshot": _read_image,
    "input_file": _read_file,
    "input_audio": _read_audio,
    "input_video": _read_video,
}


def write_media(part: Media) -> dict[str, Any]:
    """One media part, without its cache marker and unmodelled fields."""
    return _WRITERS[part.kind](part)


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
    name = native.removeprefix("format:") if native and native.startswith("format:") else audio_format(part.media_type)
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


_WRITERS: dict[MediaKind, Callable[[Media], dict[str, Any]]] = {
    "image": _write_image,
    "file": _write_file,
    "audio": _write_audio,
    "video": _write_video,
}
