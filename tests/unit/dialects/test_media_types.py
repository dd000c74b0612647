"""Types of files by their first bytes: every format that a dialect carries, in either alphabet and cut anywhere."""

from base64 import b64encode, urlsafe_b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.dialects.media_types import sniffed

LENGTH = b"\x24\x08\x00\x00"
BOX = b"\x00\x00\x00\x20ftyp"
OGG = b"OggS\x00\x02" + bytes(22)
MATROSKA = b"\x1a\x45\xdf\xa3\x9f\x42\x86\x81\x01\x42\xf7\x81\x01\x42\xf2\x81\x04\x42\xf3\x81\x08\x42\x82\x84"
FILES: dict[str, list[bytes]] = {
    "image/png": [b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"],
    "image/jpeg": [b"\xff\xd8\xff\xe0\x00\x10JFIF", b"\xff\xd8\xff\xdb"],
    "image/gif": [b"GIF87a\x01\x00", b"GIF89a\x01\x00"],
    "image/webp": [b"RIFF" + LENGTH + b"WEBPVP8 "],
    "audio/wav": [b"RIFF" + LENGTH + b"WAVEfmt "],
    "video/x-msvideo": [b"RIFF" + LENGTH + b"AVI LIST"],
    "image/bmp": [b"BM\x36\x04\x00\x00\x00\x00\x00\x00\x36\x04"],
    "image/tiff": [b"II*\x00\x08\x00\x00\x00", b"MM\x00*\x00\x00\x00\x08"],
    "image/heic": [BOX + b"heic\x00\x00\x00\x00"],
    "image/heif": [BOX + b"mif1\x00\x00\x00\x00"],
    "image/avif": [BOX + b"avif\x00\x00\x00\x00"],
    "video/mp4": [BOX + b"isom\x00\x00\x02\x00", BOX + b"mp42\x00\x00\x00\x00"],
    "audio/mp4": [BOX + b"M4A \x00\x00\x02\x00"],
    "video/quicktime": [BOX + b"qt  \x00\x00\x02\x00"],
    "video/webm": [MATROSKA + b"webm"],
    "video/x-matroska": [MATROSKA + b"matroska"],
    "audio/mpeg": [b"ID3\x04\x00\x00", b"\xff\xfb\x90\x64\x00"],
    "audio/aac": [b"\xff\xf1\x50\x80"],
    "audio/flac": [b"fLaC\x00\x00\x00\x22"],
    "audio/ogg": [OGG + b"\x01\x13OpusHead", OGG + b"\x01\x1e\x01vorbis"],
    "audio/aiff": [b"FORM\x00\x00\x10\x00AIFFCOMM"],
    "application/pdf": [b"%PDF-1.7\n"],
}
CASES = [(kind, data) for kind, files in FILES.items() for data in files]


@pytest.mark.parametrize(("kind", "data"), CASES)
def test_every_format_is_told_by_its_first_bytes(kind: str, data: bytes) -> None:
    for content in (data, data + bytes(range(256))):
        for text in (b64encode(content).decode(), urlsafe_b64encode(content).decode()):
            assert sniffed(text) == kind
            assert sniffed(text.rstrip("=")) == kind


@pytest.mark.parametrize("data", [b"", b"hello, world", b"BM, said the man", b"RIFF" + LENGTH + b"ACON", b"II", b"{}"])
def test_what_says_nothing_stays_unknown(data: bytes) -> None:
    assert sniffed(b64encode(data).decode()) is None


@given(st.text(max_size=120))
def test_no_text_is_too_strange(text: str) -> None:
    assert sniffed(text) is None or isinstance(sniffed(text), str)
