"""Compressed files as bodies: they pass unaltered, and are cut before the bytes leave that complete a secret."""

import gzip
import io
import random
import tarfile
import zlib
from collections.abc import Callable

import pytest
import zstandard

from penstock.vault.scrub import Scrubber, Watcher
from penstock.vault.values import Refusal

SECRET, STUB = b"fake-secret-in-a-file-0001", b"fake-stub-in-its-place-001"
SCRUBBER = Scrubber([(SECRET, STUB)])


def _tar(content: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        entry = tarfile.TarInfo("home/notes.txt")
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
    return out.getvalue()


FILES: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "zlib": zlib.compress,
    "zstd": zstandard.ZstdCompressor().compress,
    "tar.gz": _tar,
    "gzip in gzip": lambda data: gzip.compress(gzip.compress(data)),
}
FILLER = random.Random(5).randbytes(5000)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("size", [1, 50, 1 << 20])
def test_a_file_without_secrets_passes_unaltered(name: str, size: int) -> None:
    body = FILES[name](FILLER)
    watcher = Watcher(SCRUBBER)
    assert b"".join(watcher.feed(body[at : at + size]) for at in range(0, len(body), size)) == body
    watcher.end()


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("size", [1, 50, 1 << 20])
def test_a_file_with_a_secret_is_cut_before_it_is_whole(name: str, size: int) -> None:
    body = FILES[name](FILLER + b"token=" + SECRET + b"\n" + FILLER)
    watcher = Watcher(SCRUBBER)
    passed = b""
    with pytest.raises(Refusal) as caught:  # noqa: PT012 - what passed before it counts
        for at in range(0, len(body), size):
            passed += watcher.feed(body[at : at + size])
    assert caught.value.code == "secret_in_archive"
    assert SECRET not in _as_far_as_it_goes(name, passed)


def _as_far_as_it_goes(name: str, body: bytes) -> bytes:
    if name == "zstd":
        return zstandard.ZstdDecompressor().decompressobj().decompress(body)
    said = zlib.decompressobj(47).decompress(body)
    return zlib.decompressobj(47).decompress(said) if name == "gzip in gzip" else said


def test_what_cannot_be_read_further_is_refused() -> None:
    watcher = Watcher(SCRUBBER)
    with pytest.raises(Refusal) as caught:
        watcher.feed(gzip.compress(FILLER) + b"and then" + gzip.compress(SECRET))
    assert caught.value.code == "bad_encoding"


@pytest.mark.parametrize(
    "body", [b"x^2 + y^2 = z^2\n" * 9, b"x\x9cis no file", b"", b"x", b"plain text", b"PK\x03\x04"]
)
def test_a_text_that_only_begins_like_a_file_passes(body: bytes) -> None:
    watcher = Watcher(SCRUBBER)
    assert watcher.feed(body) == body
    watcher.end()


def test_a_file_cut_short_is_let_go() -> None:
    body = gzip.compress(FILLER)[:-9]
    watcher = Watcher(SCRUBBER)
    assert watcher.feed(body) == body
    watcher.end()
