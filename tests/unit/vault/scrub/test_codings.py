"""Content codings: what real encoders write is read at any split; everything else is refused; memory stays flat."""

import gzip
import random
import tracemalloc
import zlib
from collections.abc import Callable
from contextlib import suppress

import brotli  # type: ignore[import-untyped]  # says nothing of its types
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.vault.scrub import Scrubber, decoder
from penstock.vault.scrub.codings import FREE, STEP
from penstock.vault.values import Refusal

PLAIN = b'{"key": "fake value"}\n' * 4000 + random.Random(3).randbytes(3000)


def _raw_deflate(data: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-15)
    return compressor.compress(data) + compressor.flush()


def _zstd(data: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(data)


ENCODERS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "gzip": ("gzip", gzip.compress),
    "x-gzip": ("X-GZIP", gzip.compress),
    "gzip, two members": ("gzip", lambda data: gzip.compress(data[:9]) + gzip.compress(data[9:])),
    "br": ("br", brotli.compress),
    "zstd": ("zstd", _zstd),
    "zstd, two frames": ("zstd", lambda data: _zstd(data[:9]) + _zstd(data[9:])),
    "zstd, skipped frame": ("zstd", lambda data: b"\x50\x2a\x4d\x18\x03\x00\x00\x00abc" + _zstd(data)),
    "deflate": ("deflate", zlib.compress),
    "deflate, raw": ("deflate", _raw_deflate),
    "stacked": ("gzip, br ,identity", lambda data: brotli.compress(gzip.compress(data))),
    "thrice": ("deflate,zstd,gzip", lambda data: gzip.compress(_zstd(zlib.compress(data)))),
    "identity": ("identity", lambda data: data),
    "none": ("", lambda data: data),
}
CODED = [name for name in ENCODERS if name not in ("identity", "none")]


def decode(content_encoding: str, pieces: list[bytes]) -> bytes:
    decoding = decoder(content_encoding)
    said = b"".join(part for piece in pieces for part in decoding.feed(piece))
    decoding.end()
    return said


@pytest.mark.parametrize("name", ENCODERS)
@pytest.mark.parametrize("size", [1, 2, 3, 100, 1 << 20])
def test_what_encoders_write_is_read_in_pieces_of_any_size(name: str, size: int) -> None:
    content_encoding, encode = ENCODERS[name]
    coded = encode(PLAIN)
    assert decode(content_encoding, [coded[at : at + size] for at in range(0, len(coded), size)]) == PLAIN


@pytest.mark.parametrize("name", ENCODERS)
def test_a_body_of_nothing_is_well(name: str) -> None:
    content_encoding, encode = ENCODERS[name]
    assert decode(content_encoding, []) == b""
    assert decode(content_encoding, [encode(b"")]) == b""


@pytest.mark.parametrize("name", CODED)
def test_a_truncated_body_is_refused(name: str) -> None:
    content_encoding, encode = ENCODERS[name]
    coded = encode(PLAIN[:200])
    whole = {len(gzip.compress(PLAIN[:9])), len(_zstd(PLAIN[:9])), 11} if "two" in name or "skip" in name else set()
    for end in range(1, len(coded)):
        if end not in whole:
            with pytest.raises(Refusal) as caught:
                decode(content_encoding, [coded[:end]])
            assert caught.value.code == "bad_encoding"


@pytest.mark.parametrize("name", CODED)
@pytest.mark.parametrize("apart", [False, True])
def test_what_follows_the_end_is_refused(name: str, apart: bool) -> None:
    content_encoding, encode = ENCODERS[name]
    pieces = [encode(PLAIN[:50]), b"garbage"]
    with pytest.raises(Refusal):
        decode(content_encoding, pieces if apart else [b"".join(pieces)])


@pytest.mark.parametrize("name", ["gzip", "zstd", "deflate"])
def test_a_damaged_body_is_refused(name: str) -> None:
    content_encoding, encode = ENCODERS[name]
    if name == "zstd":
        encode = zstandard.ZstdCompressor(write_checksum=True).compress
    coded = bytearray(encode(PLAIN))
    coded[-6] ^= 0xFF
    with pytest.raises(Refusal):
        decode(content_encoding, [bytes(coded)])


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(["gzip", "br", "zstd", "deflate"]), st.binary(min_size=1, max_size=300))
def test_any_bytes_end_well_or_in_a_refusal(content_encoding: str, data: bytes) -> None:
    with suppress(Refusal):  # zlib.error, brotli.error, ZstdError and any other would fail the test
        decode(content_encoding, [data])


@pytest.mark.parametrize("value", ["compress", "gzip;q=1", "aws-chunked", "gzip,gzip,gzip,gzip", "gzip\tbr", "exi"])
def test_other_codings_are_refused(value: str) -> None:
    with pytest.raises(Refusal) as caught:
        decoder(value)
    assert caught.value.code == "bad_encoding"


def test_a_zstd_window_beyond_8_mib_is_refused() -> None:
    parameters = zstandard.ZstdCompressionParameters(window_log=27, strategy=1)
    compressor = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    coded = compressor.compress(PLAIN) + compressor.flush()
    with pytest.raises(Refusal):
        decode("zstd", [coded])


@pytest.mark.parametrize("name", ["gzip", "br", "zstd", "deflate, raw", "stacked"])
def test_a_bomb_is_refused_in_flat_memory(name: str) -> None:
    content_encoding, encode = ENCODERS[name]
    coded = encode(bytes(4 * FREE))
    assert len(coded) < FREE // 200
    decoding = decoder(content_encoding)
    tracemalloc.start()
    said = 0
    with pytest.raises(Refusal) as caught:  # noqa: PT012 - the pieces before it count
        for part in decoding.feed(coded):
            assert len(part) <= STEP
            said += len(part)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert caught.value.code == "bad_encoding"
    assert said <= FREE + 200 * len(coded)
    assert peak < 14 * 1024 * 1024  # of which zstd's window takes 8


@pytest.mark.parametrize("name", CODED)
def test_a_secret_within_is_exchanged(name: str) -> None:
    content_encoding, encode = ENCODERS[name]
    coded = encode(b"<p>fake-secret-in-here-1</p>" * 100)
    stream = Scrubber([(b"fake-secret-in-here-1", b"fake-stub-in-place-22")]).stream()
    decoding = decoder(content_encoding)
    parts = [part for at in range(0, len(coded), 7) for part in decoding.feed(coded[at : at + 7])]
    decoding.end()
    said = b"".join(stream.feed(part) for part in parts) + stream.end()
    assert said == b"<p>fake-stub-in-place-22</p>" * 100
