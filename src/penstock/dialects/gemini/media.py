"""Media: what kind a MIME type or an address says, and base64 in the two alphabets and with or without padding.

The representation holds standard, padded base64. Google's servers take all variants and its Python client sends the
URL-safe one, so what was different is remembered in a shape word and written back.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from penstock.dialects.media_types import KINDS, sniffed
from penstock.types.content import Base64, MediaKind, Source, Url

_URL_SAFE = "data=urlsafe"
_UNPADDED = "data=unpadded"

EXTENSIONS: dict[str, str] = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "gif": "image/gif",
    "webp": "image/webp",
    "heic": "image/heic",
    "heif": "image/heif",
    "mp3": "audio/mpeg",
    "wav": "audio/wav",
    "aac": "audio/aac",
    "aiff": "audio/aiff",
    "ogg": "audio/ogg",
    "flac": "audio/flac",
    "mp4": "video/mp4",
    "mpeg": "video/mpeg",
    "mov": "video/quicktime",
    "webm": "video/webm",
    "avi": "video/x-msvideo",
    "wmv": "video/x-ms-wmv",
    "3gp": "video/3gpp",
    "pdf": "application/pdf",
    "txt": "text/plain",
    "md": "text/markdown",
    "html": "text/html",
    "csv": "text/csv",
    "json": "application/json",
}
"""The types that Gemini reads (https://ai.google.dev/gemini-api/docs/file-input-methods), by file name extension."""

_YOUTUBE = frozenset({"youtube.com", "www.youtube.com", "m.youtube.com", "youtu.be"})


def kind_of(media_type: str | None, source: Source | None) -> MediaKind:
    """The kind of a medium, from its MIME type, else from its address."""
    found = media_type or (guess_type(source) if source is not None else None) or ""
    return KINDS.get(found.partition("/")[0], "file")


def guess_type(source: Source) -> str | None:
    """The MIME type that the first bytes or the address of a medium give away. YouTube's addresses are videos."""
    if isinstance(source, Base64):
        return sniffed(source.data)
    if not isinstance(source, Url):
        return None
    if is_youtube(source.url):
        return "video/mp4"
    try:
        path = urlsplit(source.url).path
    except ValueError:
        return None
    return EXTENSIONS.get(path.rpartition(".")[2].lower())


def is_youtube(url: str) -> bool:
    """Whether this is the address of a YouTube video, which Gemini watches by itself."""
    try:
        return urlsplit(url).hostname in _YOUTUBE
    except ValueError:
        return False


def read_base64(data: str) -> tuple[Base64, str]:
    """(the standard form, the shape words that lead back). Text that mixes the alphabets is left alone."""
    shapes: list[str] = []
    if ("-" in data or "_" in data) and "+" not in data and "/" not in data:
        data = data.replace("-", "+").replace("_", "/")
        shapes.append(_URL_SAFE)
    if len(data) % 4 in (2, 3) and not data.endswith("="):
        data += "=" * (-len(data) % 4)
        shapes.append(_UNPADDED)
    return Base64(data), " ".join(shapes)


def write_base64(data: str, shapes: frozenset[str]) -> str:
    """Base64 as it was spelled."""
    if _UNPADDED in shapes:
        data = data.rstrip("=")
    return data.replace("+", "-").replace("/", "_") if _URL_SAFE in shapes else data
