"""Forms: what is uploaded arrives, whatever it holds and however it is called."""

from __future__ import annotations

import io
from email import message_from_bytes
from email.policy import HTTP
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.client import multipart
from penstock.client.multipart import FilePart, file_part
from penstock.types.errors import MalformedError


def parsed(body: bytes, content_type: str) -> list[tuple[str, str | None, str, bytes]]:
    """(name, file name, media type, content) of each part, as the standard library reads the form."""
    message = message_from_bytes(f"Content-Type: {content_type}\r\n\r\n".encode() + body, policy=HTTP)
    found = []
    for part in message.iter_parts():
        name = part.get_param("name", header="content-disposition")
        content = part.get_payload(decode=True)
        assert isinstance(content, bytes)
        found.append((str(name), part.get_filename(), part.get_content_type(), content))
    return found


def test_fields_and_files_arrive() -> None:
    fields = multipart.fields_of({"model": "whisper-1", "n": 2, "stream": True, "skipped": None})
    body, content_type = multipart.encode(fields, [("file", FilePart("a.wav", b"RIFF\r\n\x00\xff", "audio/wav"))])
    assert parsed(body, content_type) == [
        ("model", None, "text/plain", b"whisper-1"),
        ("n", None, "text/plain", b"2"),
        ("stream", None, "text/plain", b"true"),
        ("file", "a.wav", "audio/wav", b"RIFF\r\n\x00\xff"),
    ]


def test_lists_and_objects_are_spelled_as_forms_do() -> None:
    values = {"granularities": ["word", "segment"], "expires_after": {"anchor": "created_at", "seconds": 60}}
    assert multipart.fields_of(values) == [
        ("granularities[]", "word"),
        ("granularities[]", "segment"),
        ("expires_after[anchor]", "created_at"),
        ("expires_after[seconds]", "60"),
    ]


@given(content=st.binary(), name=st.text(), media_type=st.text())
def test_no_name_and_no_content_breaks_the_frame(content: bytes, name: str, media_type: str) -> None:
    body, content_type = multipart.encode([("field", "value")], [("file", FilePart(name, content, media_type))])
    boundary = content_type.partition("boundary=")[2].encode()
    head, _, rest = body.partition(b"--" + boundary + b"\r\n")[2].partition(b"--" + boundary)
    assert head.endswith(b"value\r\n")
    headers, _, kept = rest.removeprefix(b"\r\n").partition(b"\r\n\r\n")
    assert len(headers.split(b"\r\n")) == 2
    assert headers.split(b"\r\n")[0].count(b'"') == 4
    assert kept == content + b"\r\n--" + boundary + b"--\r\n"


def test_a_text_that_utf_8_cannot_say_is_sent_with_a_mark() -> None:
    """A lone surrogate, as from a cut emoji."""
    body, content_type = multipart.encode([("prompt", "a\ud83d")], [])
    assert parsed(body, content_type)[0][3] == b"a?"


@given(content=st.binary())
def test_the_boundary_is_not_in_the_content(content: bytes) -> None:
    _, first = multipart.encode([], [("file", FilePart("a", content, "text/plain"))])
    boundary = first.partition("boundary=")[2].encode()
    again, second = multipart.encode([], [("file", FilePart("a", content + boundary, "text/plain"))])
    other = second.partition("boundary=")[2].encode()
    assert again.count(other) == 2


class Named(io.BytesIO):
    name = "/somewhere/talk.mp3"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"\x89PNG\r\n\x1a\n", FilePart("image.png", b"\x89PNG\r\n\x1a\n", "image/png")),
        (b"RIFF\x00\x00\x00\x00WAVEfmt", FilePart("image.wav", b"RIFF\x00\x00\x00\x00WAVEfmt", "audio/wav")),
        (b"RIFF\x00\x00\x00\x00WEBP", FilePart("image.webp", b"RIFF\x00\x00\x00\x00WEBP", "image/webp")),
        (b"who knows", FilePart("image", b"who knows", "application/octet-stream")),
        (io.BytesIO(b"ID3"), FilePart("image.mp3", b"ID3", "audio/mpeg")),
        (io.StringIO("text"), FilePart("image", b"text", "application/octet-stream")),
        (Named(b"x"), FilePart("talk.mp3", b"x", "audio/mpeg")),
        (("a.jsonl", b"{}"), FilePart("a.jsonl", b"{}", "application/jsonl")),
        (("a.bin", io.BytesIO(b"x"), "audio/x-raw"), FilePart("a.bin", b"x", "audio/x-raw")),
        ((None, b"%PDF-1.7"), FilePart("image.pdf", b"%PDF-1.7", "application/pdf")),
    ],
)
def test_what_a_file_may_be(value: Any, expected: FilePart) -> None:
    assert file_part(value, "image", "image") == expected


def test_a_path_is_read(tmp_path: Path) -> None:
    (tmp_path / "talk.flac").write_bytes(b"fLaC")
    for path in (tmp_path / "talk.flac", str(tmp_path / "talk.flac")):
        assert file_part(path, "file") == FilePart("talk.flac", b"fLaC", "audio/flac")


@pytest.mark.parametrize("value", [3, None, ["a"], {"a": 1}])
def test_what_is_no_file_is_refused_by_name(value: Any) -> None:
    with pytest.raises(MalformedError, match="expected bytes, an open binary file, a path") as caught:
        file_part(value, "image")
    assert caught.value.path == "image"


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(MalformedError, match=r"nothing\.wav.*cannot be read") as caught:
        file_part(tmp_path / "nothing.wav", "file")
    assert caught.value.path == "file"
