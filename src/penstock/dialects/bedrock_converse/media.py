"""Images, documents, videos and audio of Converse, both ways, and the table between its formats and MIME types.

A media block is `{"image": {"format": "png", "source": {"bytes": "..."}}}`: a format word instead of a MIME type, and
bytes (base64 in JSON) or a place in S3. Documents may also be given as text or as a list of texts. A search result is a
document with its own block, whose `source` is `Media.origin`. What has no place in a `Media` (an S3 bucket's owner)
stays in `extras`, nested as on the wire.

Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ContentBlock.html and the pages below it.
"""

from __future__ import annotations

from typing import Any

from penstock.dialects import wire
from penstock.types.content import Base64, Blocks, Extras, Media, MediaKind, Part, PlainText, Source, Text, Url
from penstock.types.errors import DialectError, MalformedError

SEARCH_RESULT = "searchResult"
KINDS: dict[str, MediaKind] = {"image": "image", "document": "file", "video": "video", "audio": "audio"}
"""Block name -> kind of media."""
_BLOCK_NAMES = {kind: name for name, kind in KINDS.items()}

MEDIA_TYPES: dict[MediaKind, dict[str, str]] = {
    "image": {"png": "image/png", "jpeg": "image/jpeg", "gif": "image/gif", "webp": "image/webp"},
    "file": {
        "pdf": "application/pdf",
        "csv": "text/csv",
        "doc": "application/msword",
        "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "xls": "application/vnd.ms-excel",
        "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "html": "text/html",
        "txt": "text/plain",
        "md": "text/markdown",
    },
    "video": {
        "mp4": "video/mp4",
        "mov": "video/quicktime",
        "mkv": "video/x-matroska",
        "webm": "video/webm",
        "flv": "video/x-flv",
        "mpeg": "video/mpeg",
        "mpg": "video/mpg",
        "wmv": "video/x-ms-wmv",
        "three_gp": "video/3gpp",
    },
    "audio": {
        "mp3": "audio/mpeg",
        "wav": "audio/wav",
        "flac": "audio/flac",
        "ogg": "audio/ogg",
        "opus": "audio/opus",
        "aac": "audio/aac",
        "m4a": "audio/x-m4a",
        "mp4": "audio/mp4",
        "webm": "audio/webm",
        "mkv": "audio/x-matroska",
        "mka": "audio/matroska",
        "pcm": "audio/pcm",
        "x-aac": "audio/x-aac",
        "mpga": "audio/mpga",
        "mpeg": "audio/x-mpeg",
    },
}
"""Format word -> MIME type, for each kind of media."""

_SYNONYMS = {
    "image/jpg": "jpeg",
    "audio/mp3": "mp3",
    "audio/x-wav": "wav",
    "audio/wave": "wav",
    "audio/vnd.wave": "wav",
    "audio/x-flac": "flac",
    "audio/m4a": "m4a",
    "audio/l16": "pcm",
    "video/3gp": "three_gp",
    "video/x-m4v": "mp4",
    "application/x-pdf": "pdf",
    "application/csv": "csv",
    "text/x-markdown": "md",
    "application/xhtml+xml": "html",
}
_FORMATS: dict[MediaKind, dict[str, str]] = {
    kind: {media_type: word for word, media_type in words.items()} for kind, words in MEDIA_TYPES.items()
}


def format_of(kind: MediaKind, media_type: str | None) -> str | None:
    """The format word for a MIME type (its parameters aside), or None where Converse has none."""
    if media_type is None:
        return None
    bare = media_type.partition(";")[0].strip().lower()
    word = _FORMATS[kind].get(bare)
    if word is None:
        word = _SYNONYMS.get(bare)
    return word if word in MEDIA_TYPES[kind] else None


def read_media(name: str, value: Any, siblings: Extras) -> Part:
    """The block `{name: value}`. A format word that is not in the table is remembered in `native`."""
    inner = wire.obj(value)
    kind = KINDS[name]
    left = dict(inner)
    media_type, native = _read_format(left, kind)
    title = _take_string(left, "name")
    context, cite = (_take_string(left, "context"), _take_citing(left)) if kind == "file" else (None, None)
    try:
        source = _read_source(left)
    except DialectError as error:
        raise error.at("source") from None
    extras = {**(siblings or {}), name: left} if left else siblings
    return Media(kind, source, media_type, title, context=context, cite=cite, native=native, extras=extras)


def _take_citing(left: dict[str, Any]) -> bool | None:
    """`citations.enabled`, taken out of `left`: whether the answer shall cite the document."""
    citations = left.get("citations")
    if not (isinstance(citations, dict) and isinstance(citations.get("enabled"), bool)):
        return None
    _put(left, "citations", {key: value for key, value in citations.items() if key != "enabled"})
    cite: bool = citations["enabled"]
    return cite


def _read_format(left: dict[str, Any], kind: MediaKind) -> tuple[str | None, str | None]:
    """(MIME type, the word itself where it is an odd one), taken out of `left`."""
    word = _take_string(left, "format")
    if word is None:
        return None, None
    media_type = MEDIA_TYPES[kind].get(word)
    if media_type is not None:
        return media_type, None
    return (word if "/" in word else f"{_MAJOR[kind]}/{word}"), f"format:{word}"


_MAJOR: dict[MediaKind, str] = {"image": "image", "file": "application", "video": "video", "audio": "audio"}


def _take_string(left: dict[str, Any], key: str) -> str | None:
    """The string `left[key]`, taken out; an explicit null stays."""
    value = left.get(key)
    if value is None:
        return None
    try:
        found = wire.string(value)
    except DialectError as error:
        raise error.at(key) from None
    del left[key]
    return found


def _read_source(left: dict[str, Any]) -> Source | None:
    """The source, taken out of `left`; what of it is not modelled stays."""
    value = left.get("source")
    if value is None:
        return None
    source = wire.obj(value)
    for key, read in _SOURCES.items():
        if source.get(key) is not None:
            try:
                found, rest = read(source[key])
            except DialectError as error:
                raise error.at(key) from None
            others = {name: other for name, other in source.items() if name != key}
            if rest:
                others[key] = rest
            _put(left, "source", others)
            return found
    return None


def _put(left: dict[str, Any], key: str, rest: dict[str, Any]) -> None:
    if rest:
        left[key] = rest
    else:
        del left[key]


def _read_bytes(value: Any) -> tuple[Source, Extras]:
    return Base64(wire.string(value)), None


def _read_place(value: Any) -> tuple[Source, Extras]:
    place = wire.obj(value)
    if not isinstance(place.get("uri"), str):
        raise MalformedError(f"expected a string, got {wire.describe(place.get('uri'))}", "uri")
    return Url(place["uri"]), wire.rest(place, _PLACE)


def _read_text(value: Any) -> tuple[Source, Extras]:
    return PlainText(wire.string(value)), None


def _read_content(value: Any) -> tuple[Source, Extras]:
    return Blocks(wire.each(_read_piece, value)), None


def _read_piece(value: Any) -> Part:
    piece = wire.obj(value)
    text = piece.get("text")
    if not isinstance(text, str):
        raise MalformedError(f"expected a string, got {wire.describe(text)}", "text")
    return Text(text, extras=wire.rest(piece, _PIECE))


_PLACE = frozenset({"uri"})
_PIECE = frozenset({"text"})
_SOURCES = {"bytes": _read_bytes, "s3Location": _read_place, "text": _read_text, "content": _read_content}


def read_search_result(name: str, value: Any, siblings: Extras) -> Part:
    """`searchResult`: a document of texts."""
    left = dict(wire.obj(value))
    title, origin, cite = _take_string(left, "title"), _take_string(left, "source"), _take_citing(left)
    source: Source | None = None
    if left.get("content") is not None:
        try:
            source, _ = _read_content(left.pop("content"))
        except DialectError as error:
            raise error.at("content") from None
    extras = {**(siblings or {}), name: left} if left else siblings
    return Media("file", source, name=title, cite=cite, origin=origin, native=SEARCH_RESULT, extras=extras)


def write_media(media: Media) -> dict[str, Any]:
    """The block again. A source that Converse cannot carry (an uploaded file's id) raises MalformedError."""
    if media.native == SEARCH_RESULT:
        return wire.deep_merge(media.extras, {SEARCH_RESULT: _write_search_result(media)})
    inner: dict[str, Any] = {}
    word = _write_format(media)
    if word is not None:
        inner["format"] = word
    if media.name is not None:
        inner["name"] = media.name
    if media.source is not None:
        inner["source"] = _write_source(media.source)
    _write_tails(media, inner)
    block = {_BLOCK_NAMES[media.kind]: inner}
    return wire.deep_merge(media.extras, block) if media.extras else block


def _write_search_result(media: Media) -> dict[str, Any]:
    inner: dict[str, Any] = {}
    if media.name is not None:
        inner["title"] = media.name
    if isinstance(media.source, Blocks):
        inner["content"] = _write_pieces(media.source)
    if media.origin is not None:
        inner["source"] = media.origin
    _write_tails(media, inner)
    return inner


def _write_tails(media: Media, inner: dict[str, Any]) -> None:
    if media.context is not None:
        inner["context"] = media.context
    if media.cite is not None:
        inner["citations"] = {"enabled": media.cite}


def _write_format(media: Media) -> str | None:
    if media.native is not None and media.native.startswith("format:"):
        return media.native[7:]
    return format_of(media.kind, media.media_type)


def _write_source(source: Source) -> dict[str, Any]:
    if isinstance(source, Base64):
        return {"bytes": source.data}
    if isinstance(source, Url):
        return {"s3Location": {"uri": source.url}}
    if isinstance(source, PlainText):
        return {"text": source.text}
    if isinstance(source, Blocks):
        return {"content": _write_pieces(source)}
    raise MalformedError("Converse takes bytes, text or a place in S3, and no uploaded file's id")


def _write_pieces(source: Blocks) -> list[dict[str, Any]]:
    return [wire.merge(part.extras, {"text": part.text}) for part in source.parts if isinstance(part, Text)]
