"""The examiner's own reading of bytes: a secret is found however it is written, and nothing else is."""

import base64
import gzip
import html
import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.redteam import leaks
from penstock.redteam.probes.reflection import ENCODINGS

SECRET = b"canary-0a1b2c3d4e5f+0a1b2c3d4e5f/0a1b2c3d4e5f&<0a1b2c3d4e5f"
OTHER = b"zpwqxv-9z8y7x6w5v4u+9z8y7x6w5v4u/9z8y7x6w5v4u&<9z8y7x6w5v4u"


@pytest.mark.parametrize("encoding", ENCODINGS, ids=lambda row: row[0])
@given(st.binary(max_size=20), st.binary(max_size=20))
def test_it_finds_every_encoding_that_upstreams_use(encoding, before, after) -> None:  # type: ignore[no-untyped-def]
    text = b" " + encoding[2](SECRET) + b" "
    assert leaks.find(before + text + after, [SECRET])


@pytest.mark.parametrize("encoding", ENCODINGS, ids=lambda row: row[0])
def test_it_finds_nothing_in_another_secret(encoding) -> None:  # type: ignore[no-untyped-def]
    assert leaks.find(encoding[2](OTHER), [SECRET]) == ""


@pytest.mark.parametrize(
    "text",
    [
        gzip.compress(b"you sent " + SECRET, mtime=0),
        json.dumps(html.escape(SECRET.decode())).encode(),
        quote(base64.b64encode(b"user:" + SECRET)).encode(),
        SECRET[:30],
        SECRET[-25:],
        SECRET.upper(),
        b"HTTP/1.1 200 OK\r\n\r\n5\r\n" + SECRET[:5] + b"\r\n36\r\n" + SECRET[5:],
        base64.b64encode(gzip.compress(SECRET, mtime=0)),
    ],
    ids=range(8),
)
def test_it_finds_compositions_and_parts(text: bytes) -> None:
    assert leaks.find(text, [SECRET])


@given(st.binary(max_size=2000))
def test_it_reads_anything(data: bytes) -> None:
    assert leaks.find(data, [SECRET]) == ""
