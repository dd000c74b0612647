"""What is in a file: its type where nobody said it, and its text where it has one.

Base64 of a known beginning begins in a known way, so nothing is decoded to tell a PNG from a JPEG.
"""

from __future__ import annotations

import base64
import binascii

from penstock.types.content import Base64, Blocks, Media, PlainText, Text

_BEGINNINGS = {
    "iVBORw0KGgo": "image/png",
    "/9j/": "image/jpeg",
    "R0lGOD": "image/gif",
    "UklGR": "image/webp",
    "Qk": "image/bmp",
    "JVBERi0": "application/pdf",
}
AUDIO_TYPES = {
    "wav": "audio/wav",
    "mp3": "audio/mpeg",
    "flac": "audio/flac",
    "opus": "audio/opus",
    "pcm16": "audio/pcm",
}
"""OpenAI's words for formats of audio, and their MIME types."""
_AUDIO_FORMATS = {media_type: name for name, media_type in AUDIO_TYPES.items()} | {
    "audio/mp3": "mp3",
    "audio/mpga": "mp3",
    "audio/x-mp3": "mp3",
    "audio/x-mpeg": "mp3",
    "audio/x-wav": "wav",
    "audio/wave": "wav",
    "audio/vnd.wave": "wav",
    "audio/x-flac": "flac",
    "audio/l16": "pcm16",
}
_TEXTUAL = frozenset(
    {
        "application/json",
        "application/xml",
        "application/yaml",
        "application/x-yaml",
        "application/javascript",
        "application/csv",
    }
)


def audio_format(media_type: str | None) -> str:
    """OpenAI's word for a format of audio. WAV where nobody said one."""
    kind = (media_type or "").partition(";")[0].strip().lower()
    return _AUDIO_FORMATS.get(kind, kind.removeprefix("audio/")) or "wav"


def sniffed(data: str) -> str | None:
    """The MIME type of base64 `data`, by how it begins; None where that says nothing."""
    return next((kind for start, kind in _BEGINNINGS.items() if data.startswith(start)), None)


def media_type_of(media: Media) -> str | None:
    """The MIME type without parameters, in lower case: the one that was said, or the one that the data shows."""
    named = (media.media_type or "").partition(";")[0].strip().lower()
    if named and named != "application/octet-stream":
        return "image/jpeg" if named == "image/jpg" else named
    return sniffed(media.source.data) if isinstance(media.source, Base64) else None


def plain_text_of(media: Media) -> str | None:
    """The text of a document that is text: given as such, as blocks of text, or as bytes of a textual type. None: it is
    something else.
    """
    source = media.source
    if isinstance(source, PlainText):
        return source.text
    if isinstance(source, Blocks):
        texts = [part.text for part in source.parts if isinstance(part, Text)]
        return "\n\n".join(texts) if len(texts) == len(source.parts) else None
    if media.kind != "file" or not isinstance(source, Base64):
        return None
    kind = media_type_of(media)
    if kind is not None and not kind.startswith("text/") and kind not in _TEXTUAL:
        return None
    try:
        return base64.b64decode(source.data, validate=True).decode()
    except (binascii.Error, ValueError):
        return None
