"""What is in a file: its type where nobody said it, and its text where it has one.

Nearly every format says in its first bytes what it is, so only those are decoded. Containers (RIFF, ISO base media,
Ogg, Matroska) say a little later what they contain.

Source: https://mimesniff.spec.whatwg.org/#matching-a-mime-type-pattern,
https://www.garykessler.net/library/file_sigs.html
"""

from __future__ import annotations

import base64
import binascii

from penstock.types.content import Base64, Blocks, Media, MediaKind, PlainText, Text

_SIGNATURES: dict[bytes, str] = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF87a": "image/gif",
    b"GIF89a": "image/gif",
    b"II*\x00": "image/tiff",
    b"MM\x00*": "image/tiff",
    b"%PDF-": "application/pdf",
    b"ID3": "audio/mpeg",
    b"\xff\xfb": "audio/mpeg",
    b"\xff\xfa": "audio/mpeg",
    b"\xff\xf3": "audio/mpeg",
    b"\xff\xf2": "audio/mpeg",
    b"\xff\xf1": "audio/aac",
    b"\xff\xf9": "audio/aac",
    b"fLaC": "audio/flac",
    b"#!AMR": "audio/amr",
    b"\x00\x00\x01\xba": "video/mpeg",
    b"\x00\x00\x01\xb3": "video/mpeg",
    b"FLV\x01": "video/x-flv",
    b"\x30\x26\xb2\x75\x8e\x66\xcf\x11": "video/x-ms-wmv",
}
"""First bytes -> MIME type."""
_BY_FIRST_BYTE = {
    byte: tuple((start, kind) for start, kind in _SIGNATURES.items() if start[0] == byte)
    for byte in {start[0] for start in _SIGNATURES}
}
_RIFF = {b"WEBP": "image/webp", b"WAVE": "audio/wav", b"AVI ": "video/x-msvideo"}
"""Kind of a RIFF file (bytes 8 to 12) -> MIME type."""
_BRANDS = {
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"), "image/heic"),
    **dict.fromkeys((b"mif1", b"msf1"), "image/heif"),
    **dict.fromkeys((b"avif", b"avis"), "image/avif"),
    **dict.fromkeys((b"M4A ", b"M4B ", b"M4P ", b"F4A "), "audio/mp4"),
    b"qt  ": "video/quicktime",
    **dict.fromkeys((b"3gp4", b"3gp5", b"3gp6", b"3g2a"), "video/3gpp"),
}
"""Major brand of an ISO base media file (bytes 8 to 12) -> MIME type; all others are MP4."""
_HEAD = 88
"""Characters of base64 that are looked at: 66 bytes."""
_TO_STANDARD = str.maketrans("-_", "+/")
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
    """The MIME type of base64 `data` (in either alphabet), by how it begins; None where that says nothing."""
    head = _first_bytes(data)
    if not head:
        return None
    found = next((kind for start, kind in _BY_FIRST_BYTE.get(head[0], ()) if head.startswith(start)), None)
    return found or _contained(head)


def _first_bytes(data: str) -> bytes:
    head = data[:_HEAD].translate(_TO_STANDARD).rstrip("=")
    head = head[:-1] if len(head) % 4 == 1 else head
    try:
        return binascii.a2b_base64(head + "=" * (-len(head) % 4))
    except ValueError:
        return b""


def _contained(head: bytes) -> str | None:
    """What a container says that it contains."""
    if head.startswith(b"RIFF"):
        return _RIFF.get(head[8:12])
    if head[4:8] == b"ftyp":
        return _BRANDS.get(head[8:12], "video/mp4")
    if head.startswith(b"OggS"):
        return "video/ogg" if b"theora" in head else "audio/ogg"
    if head.startswith(b"\x1a\x45\xdf\xa3"):
        return "video/webm" if b"webm" in head else "video/x-matroska"
    if head.startswith(b"FORM") and head[8:12] in (b"AIFF", b"AIFC"):
        return "audio/aiff"
    return "image/bmp" if head.startswith(b"BM") and head[6:10] == b"\0\0\0\0" else None


KINDS: dict[str, MediaKind] = {"image": "image", "audio": "audio", "video": "video"}
"""First half of a MIME type -> kind. All others are files."""


def media_type_of(media: Media) -> str | None:
    """The MIME type without parameters, in lower case: the one that was said, or the one that the data shows."""
    named = (media.media_type or "").partition(";")[0].strip().lower()
    if named and named != "application/octet-stream":
        return "image/jpeg" if named == "image/jpg" else named
    return sniffed(media.source.data) if isinstance(media.source, Base64) else None


_FILE_EXTENSIONS = {
    "text/plain": "txt",
    "text/markdown": "md",
    "text/javascript": "js",
    "application/javascript": "js",
    "application/x-yaml": "yaml",
    "application/msword": "doc",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation": "pptx",
    "application/vnd.ms-excel": "xls",
    "application/vnd.ms-powerpoint": "ppt",
    "application/vnd.oasis.opendocument.text": "odt",
}
"""MIME type -> extension, where that is not the second half of the type."""


def derived_name(media_type: str) -> str:
    """A name for a file that has none, where the API refuses such files: OpenAI tells from the extension what is in
    it (https://platform.openai.com/docs/guides/pdf-files).
    """
    kind = media_type.partition(";")[0].strip().lower()
    return f"file.{_FILE_EXTENSIONS.get(kind) or kind.rpartition('/')[2]}"


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
