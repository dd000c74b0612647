"""Bodies that are compressed although nobody asked."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.gateway.upstream.decoding import FREE, GROWTH, PIECE, Undecodable, decoder_for
from tests.support.upstream import Peer, ask, client, send, serving

Run = Callable[[Any], None]


def raw(data: bytes) -> bytes:
    squeezer = zlib.compressobj(wbits=-15)
    return squeezer.compress(data) + squeezer.flush()


PACKED: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "gzip": ("gzip", gzip.compress),
    "x-gzip": (" X-GZip ", gzip.compress),
    "deflate": ("deflate", zlib.compress),
    "raw deflate": ("identity, deflate", raw),
    "members": ("gzip", lambda data: gzip.compress(data[:5]) + gzip.compress(data[5:])),
}


@pytest.mark.parametrize("name", PACKED)
@given(
    data=st.binary(max_size=500) | st.binary(max_size=9).map(lambda data: data * 30_000),
    cuts=st.lists(st.integers(1, 90)),
)
def test_any_cut_gives_the_same(name: str, data: bytes, cuts: list[int]) -> None:
    encoding, pack = PACKED[name]
    packed = pack(data)
    decoder = decoder_for(encoding)
    assert decoder is not None
    pieces: list[bytes] = []
    for size in (*cuts, len(packed)):
        part, packed = packed[:size], packed[size:]
        pieces += decoder.pieces(part)
    decoder.end()
    assert b"".join(pieces) == data and all(0 < len(piece) <= PIECE for piece in pieces)


def test_what_needs_no_decoding() -> None:
    assert decoder_for("") is None and decoder_for("identity, ") is None


@pytest.mark.parametrize("encodings", ["br", "zstd", "gzip, gzip", "gzip, br", "compress", "x" * 300])
def test_what_nobody_asked_for(encodings: str) -> None:
    with pytest.raises(Undecodable, match="not asked for") as refused:
        decoder_for(encodings)
    assert len(str(refused.value)) < 200


def test_bombs() -> None:
    """A stream that grows by more than any text does is given up soon after what is free."""
    bomb = gzip.compress(b"\0" * 80_000_000)
    decoder = decoder_for("gzip")
    assert decoder is not None and len(bomb) * GROWTH < 80_000_000
    sizes: list[int] = []
    with pytest.raises(Undecodable, match="grows"):
        sizes.extend(len(piece) for piece in decoder.pieces(bomb))
    assert sum(sizes) <= max(FREE, len(bomb) * GROWTH) + PIECE


@pytest.mark.parametrize(
    ("encoding", "packed"),
    [
        ("gzip", gzip.compress(b"hello")[:-1]),
        ("gzip", b"hello"),
        ("gzip", gzip.compress(b"hello") + b"x" * 20),
        ("deflate", zlib.compress(b"hello")[:-1]),
        ("deflate", zlib.compress(b"hello") + b"x"),
        ("deflate", b"\xff\xff\xff"),
    ],
    ids=["cut", "not packed", "followed by something", "cut deflate", "followed deflate", "not deflated"],
)
def test_damage(encoding: str, packed: bytes) -> None:
    with pytest.raises(Undecodable):
        read(encoding, packed)


def read(encoding: str, packed: bytes) -> None:
    decoder = decoder_for(encoding)
    assert decoder is not None
    list(decoder.pieces(packed))
    decoder.end()


def provider(encoding: bytes, body: bytes) -> Callable[[Peer], Any]:
    async def serve(peer: Peer) -> None:
        while await peer.request() is not None:
            head = b"HTTP/1.1 200 OK\r\ncontent-encoding: %b\r\nx-a: 1\r\ncontent-length: %d\r\n\r\n"
            peer.say(head % (encoding, len(body)) + body)

    return serve


def test_over_a_connection(run: Run) -> None:
    """The body comes decoded, without the headers that spoke of what it was; the connection is kept."""

    async def main() -> None:
        async with serving(provider(b"gzip", gzip.compress(b"hello"))) as server, client() as upstream:
            for _ in range(2):
                heard = await send(upstream, server.url).over()
                assert (heard.body, heard.headers) == (b"hello", [(b"x-a", b"1")])
            assert server.connections == 1 and b"accept-encoding: identity\r\n" in server.asked[0]

    run(main)


def test_who_asked_for_it_gets_it_as_it_is(run: Run) -> None:
    async def main() -> None:
        async with serving(provider(b"br", b"packed")) as server, client() as upstream:
            heard = await send(upstream, ask(server.url, accept_encoding="br, gzip")).over()
            assert heard.body == b"packed" and (b"content-encoding", b"br") in heard.headers

    run(main)


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        (b"br", b"x"),
        (b"gzip", b"x" * 30),
        (b"gzip", gzip.compress(b"hello")[:-2]),
        (b"gzip", gzip.compress(b"\0" * 80_000_000)),
    ],
    ids=["brotli", "damaged", "cut", "bomb"],
)
def test_what_cannot_be_read(run: Run, encoding: bytes, body: bytes) -> None:
    async def main() -> None:
        async with serving(provider(encoding, body)) as server, client() as upstream:
            heard = await send(upstream, server.url).over()
            assert heard.why is not None and (heard.why.kind, heard.why.sent) == ("protocol", True)
            assert "compress" in heard.why.message and upstream.stats()[0].open == 0

    run(main)
