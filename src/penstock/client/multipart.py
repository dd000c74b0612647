"""multipart/form-data (RFC 7578): the body of uploads. Pure but for reading the file that the caller named by its path.

A file may be bytes, an open binary file, a path, or a tuple (name, content[, media type]), as with the `openai`
package. Names go into a header, so quotes, line ends and control characters in them are escaped as browsers do it
(https://html.spec.whatwg.org/multipage/form-control-infrastructure.html#multipart-form-data); the boundary is derived
from the content's digest, so that it cannot occur in it and the same call makes the same bytes.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from penstock.dialects import wire
from penstock.types.errors import MalformedError


class FilePart(Struct, frozen=True):
    """One file of a form."""

    name: str
    content: bytes
    media_type: str


_MEDIA_TYPES = {
    "flac": "audio/flac",
    "gif": "image/gif",
    "jpeg": "image/jpeg",
    "jpg": "image/jpeg",
    "json": "application/json",
    "jsonl": "application/jsonl",
    "m4a": "audio/mp4",
    "mp3": "audio/mpeg",
    "mp4": "video/mp4",
    "mpeg": "audio/mpeg",
    "mpga": "audio/mpeg",
    "ogg": "audio/ogg",
    "opus": "audio/ogg",
    "pdf": "application/pdf",
    "png": "image/png",
    "txt": "text/plain",
    "wav": "audio/wav",
    "webm": "audio/webm",
    "webp": "image/webp",
}
_MAGIC = (
    (b"\x89PNG\r\n", "png"),
    (b"\xff\xd8\xff", "jpg"),
    (b"GIF8", "gif"),
    (b"fLaC", "flac"),
    (b"OggS", "ogg"),
    (b"ID3", "mp3"),
    (b"\xff\xfb", "mp3"),
    (b"%PDF", "pdf"),
    (b"\x1aE\xdf\xa3", "webm"),
)


def file_part(value: Any, parameter: str, fallback: str = "upload") -> FilePart:
    """The file that a caller means. Bytes without a name get one with the ending that their first bytes tell, since
    providers go by it. Raises MalformedError with the parameter's name.
    """
    if isinstance(value, tuple):
        name, content, *more = value if len(value) >= 2 else (*value, None)
        inner = file_part(content, parameter, fallback)
        given = next((word for word in more if isinstance(word, str)), None)
        found = str(name) if name else inner.name
        return FilePart(found, inner.content, given or _media_type(found, inner.media_type))
    if isinstance(value, str | os.PathLike):
        path = Path(value)
        try:
            return FilePart(path.name, path.read_bytes(), _media_type(path.name))
        except OSError as error:
            raise MalformedError(f"the file {str(path)!r} cannot be read: {error.strerror}", parameter) from error
    content = _content(value, parameter)
    name = getattr(value, "name", None)
    found = Path(name).name if isinstance(name, str) and name else f"{fallback}{_ending(content)}"
    return FilePart(found, content, _media_type(found))


def _content(value: Any, parameter: str) -> bytes:
    read = getattr(value, "read", None)
    content = read() if callable(read) else value
    if isinstance(content, str):
        content = content.encode()
    if not isinstance(content, bytes | bytearray | memoryview):
        message = f"expected bytes, an open binary file, a path, or (name, content), got {wire.describe(value)}"
        raise MalformedError(message, parameter)
    return bytes(content)


def _ending(content: bytes) -> str:
    if content[:4] == b"RIFF":
        return ".webp" if content[8:12] == b"WEBP" else ".wav"
    if content[4:8] == b"ftyp":
        return ".m4a" if content[8:11] == b"M4A" else ".mp4"
    return next((f".{ending}" for magic, ending in _MAGIC if content.startswith(magic)), "")


def _media_type(name: str, fallback: str = "application/octet-stream") -> str:
    return _MEDIA_TYPES.get(name.rpartition(".")[2].lower(), fallback)


def fields_of(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Plain values as form fields: a list repeats its field with `[]`, an object becomes `name[key]`, booleans are
    "true" and "false".
    """
    found: list[tuple[str, str]] = []
    for name, value in values.items():
        if isinstance(value, Mapping):
            found += fields_of({f"{name}[{key}]": inner for key, inner in value.items()})
        elif isinstance(value, list | tuple):
            found += [(f"{name}[]", wire.as_text(element)) for element in value]
        elif value is not None:
            found.append((name, wire.as_text(value)))
    return found


def encode(fields: Iterable[tuple[str, str]], files: Iterable[tuple[str, FilePart]]) -> tuple[bytes, str]:
    """(body, content type) of a form with these fields and files, in this order."""
    parts = [(f'name="{_safe(name)}"', "", value.encode("utf-8", "replace")) for name, value in fields]
    for name, file in files:
        disposition = f'name="{_safe(name)}"; filename="{_safe(file.name)}"'
        parts.append((disposition, f"Content-Type: {_header_value(file.media_type)}\r\n", file.content))
    digest = hashlib.sha256()
    for _, _, content in parts:
        digest.update(content)
    boundary = f"penstock-{digest.hexdigest()[:48]}"  # RFC 2046 allows 70 characters
    pieces: list[bytes] = []
    for disposition, media_type, content in parts:
        head = f"--{boundary}\r\nContent-Disposition: form-data; {disposition}\r\n{media_type}\r\n"
        pieces += [head.encode(), content, b"\r\n"]
    return b"".join([*pieces, f"--{boundary}--\r\n".encode()]), f"multipart/form-data; boundary={boundary}"


def _safe(name: str) -> str:
    """A name for a quoted header parameter: no quote, no line end, no control character gets through."""
    escaped = name.replace("\\", "%5C").replace('"', "%22")
    return "".join(letter if letter.isprintable() else f"%{ord(letter):02X}" for letter in escaped)


def _header_value(value: str) -> str:
    return "".join(letter for letter in value if letter.isprintable())
