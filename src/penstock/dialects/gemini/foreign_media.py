"""Media of other dialects: bytes go inline, addresses as fileData where Google fetches them, Google's own ids, too.

Google Cloud Storage, the Files API and YouTube are always fetched; other addresses by the hosts whose profile says so
 (`image_urls`). Everything else must be fetched before rendering.

Source: https://ai.google.dev/gemini-api/docs/file-input-methods
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from penstock.dialects import wire
from penstock.dialects.gemini.media import EXTENSIONS, guess_type, is_youtube
from penstock.dialects.gemini.parts import LEVEL_OF
from penstock.types.content import Base64, FileId, Media, Url
from penstock.types.notes import Note
from penstock.types.profile import Profile

FILES = "https://generativelanguage.googleapis.com/"

_DEFAULT_TYPES = {"image": "image/jpeg", "audio": "audio/wav", "video": "video/mp4", "file": "application/pdf"}


def write_media(part: Media, path: str, profile: Profile, notes: list[Note]) -> dict[str, Any] | None:
    """The wire part of a medium, or None where a note says that it does not go out."""
    found = _write_source(part, path, profile, notes)
    if found is None:
        return None
    if part.name is not None:
        notes.append(Note(f"{path}.name", "dropped", "media have no names here"))
    if part.transcript is not None:
        notes.append(Note(f"{path}.transcript", "dropped", "the audio itself is sent"))
    if part.detail not in (None, "auto"):
        _write_detail(part, path, profile, notes, found)
    return found


def _write_source(part: Media, path: str, profile: Profile, notes: list[Note]) -> dict[str, Any] | None:
    source = part.source
    if isinstance(source, Url):
        inline = wire.data_url(source.url)
        if inline is not None:
            source = Base64(inline[1])
            part = Media(part.kind, source, part.media_type or inline[0].partition(";")[0] or None)
        else:
            return _write_url(part, source.url, path, profile, notes)
    if isinstance(source, Base64):
        return {"inlineData": {"mimeType": _media_type(part, path, notes), "data": source.data}}
    if isinstance(source, FileId):
        return _write_file_id(part, source.id, path, notes)
    notes.append(Note(path, "dropped", "there is nothing to send: no bytes, no address"))
    return None


def _media_type(part: Media, path: str, notes: list[Note]) -> str:
    """The MIME type of bytes: as it was said, as they begin, or the most common one of their kind."""
    found = part.media_type or (guess_type(part.source) if part.source is not None else None)
    if found is None and part.name is not None:
        found = EXTENSIONS.get(part.name.rpartition(".")[2].lower())
    if found is not None:
        return found
    guess = _DEFAULT_TYPES[part.kind]
    notes.append(Note(f"{path}.media_type", "added", f"{guess} is a guess: nothing says what type these bytes are"))
    return guess


def _write_url(part: Media, url: str, path: str, profile: Profile, notes: list[Note]) -> dict[str, Any] | None:
    if not _fetched(url, profile):
        notes.append(Note(path, "dropped", "this host does not fetch this address: fetch it first, or give the bytes"))
        return None
    inner = {"fileUri": url}
    media_type = part.media_type or guess_type(Url(url))
    if media_type is not None:
        inner["mimeType"] = media_type
    return {"fileData": inner}


def _fetched(url: str, profile: Profile) -> bool:
    if reads_url(url):
        return True
    return profile.image_urls and _scheme(url) in ("https", "http")


def reads_url(url: str) -> bool:
    """Whether Google reads this address whatever the host: Cloud Storage, uploaded files, YouTube."""
    return _scheme(url) == "gs" or url.startswith(FILES) or is_youtube(url)


def _scheme(url: str) -> str:
    try:
        return urlsplit(url).scheme.lower()
    except ValueError:
        return ""


def _write_file_id(part: Media, file_id: str, path: str, notes: list[Note]) -> dict[str, Any] | None:
    """Google's own ids are `files/abc`, or the whole address."""
    if not file_id.startswith(("files/", "gs://", FILES)):
        notes.append(Note(path, "dropped", "a file that was uploaded to another provider"))
        return None
    uri = f"{FILES}v1beta/{file_id}" if file_id.startswith("files/") else file_id
    inner = {"fileUri": uri}
    if part.media_type is not None:
        inner["mimeType"] = part.media_type
    return {"fileData": inner}


def _write_detail(part: Media, path: str, profile: Profile, notes: list[Note], found: dict[str, Any]) -> None:
    level = LEVEL_OF.get(part.detail or "")
    if profile.media_detail and level is not None:
        found["mediaResolution"] = {"level": level}
    else:
        notes.append(Note(f"{path}.detail", "dropped", "this model has one resolution for all media"))
