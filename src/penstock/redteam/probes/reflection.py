"""Getting the secret reflected (threat model, section 1): an upstream that says the credential back, in every encoding,
in every place of a response, cut in every way.
"""

from __future__ import annotations

import base64
import gzip
import html
import json
import re
import zlib
from collections.abc import Callable, Iterator
from urllib.parse import quote

from penstock.redteam.expect import (
    both,
    cut,
    h2_stub_back,
    refused,
    status,
    stub_back,
    swapped,
    unread,
    without,
)
from penstock.redteam.messages import (
    PATH,
    chunked,
    h2_fields,
    h2_request,
    request,
    response,
)
from penstock.redteam.probe import ITEMS, Answer, Asked, Expect, Kit, Part, Probe, Wire
from penstock.redteam.probes.building import Encode, brotli, whole, zstd


def _json(text: bytes) -> bytes:
    return json.dumps(text.decode("latin-1"))[1:-1].encode()


def _each(form: str) -> Encode:
    return lambda text: "".join(form.format(byte) for byte in text).encode()


def _lines(text: bytes, width: int) -> bytes:
    return b"\r\n".join(text[index : index + width] for index in range(0, len(text), width))


# -- encodings --------------------------------------------------------------------------------------------------------

ENCODINGS: tuple[tuple[str, str, Encode, bool], ...] = (
    ("raw", "as it is", bytes, True),
    ("json", "in JSON", _json, True),
    ("json-solidus", "in JSON with \\/", lambda text: _json(text).replace(b"/", b"\\/"), True),
    ("json-escapes", "in JSON, every character as \\u0000", _each("\\u{:04x}"), True),
    ("json-in-json", "in JSON in JSON", lambda text: _json(_json(b'"' + text + b'"')), True),
    ("javascript-hex", "as \\x00", _each("\\x{:02x}"), True),
    ("octal", "as \\000", _each("\\{:03o}"), True),
    ("percent", "percent-encoded", lambda text: quote(text, safe="").encode(), False),
    ("percent-all", "percent-encoded, every character", _each("%{:02X}"), True),
    ("percent-lower", "percent-encoded in small letters", _each("%{:02x}"), True),
    ("percent-twice", "percent-encoded twice", lambda text: quote(quote(text, safe=""), safe="").encode(), False),
    ("html", "escaped as HTML", lambda text: html.escape(text.decode()).encode(), True),
    ("html-decimal", "as HTML's decimal references", _each("&#{:d};"), False),
    ("html-hexadecimal", "as HTML's hexadecimal references", _each("&#x{:02x};"), True),
    ("base64", "in base64", base64.b64encode, True),
    ("base64-offset-1", "in base64 behind one byte", lambda text: base64.b64encode(b"x" + text), True),
    ("base64-offset-2", "in base64 behind two bytes", lambda text: base64.b64encode(b"xy" + text), True),
    ("base64-url", "in base64 for URLs", lambda text: base64.urlsafe_b64encode(b"x:" + text).rstrip(b"="), True),
    ("base64-mime", "in base64 in lines of 76", lambda text: _lines(base64.b64encode(b"user:" * 9 + text), 76), True),
    ("base64-basic", "as Basic", lambda text: b"Basic " + base64.b64encode(b"agent:" + text), True),
    ("base64-json", "in base64 of JSON", lambda text: base64.b64encode(b'{"token": "' + _json(text) + b'"}'), True),
    ("base64-twice", "in base64 of base64", lambda text: base64.b64encode(base64.b64encode(text)), False),
    (
        "percent-base64",
        "in base64, percent-encoded",
        lambda text: quote(base64.b64encode(b"x" + text), safe="").encode(),
        True,
    ),
    ("hex", "in hexadecimal", lambda text: text.hex().encode(), True),
    ("hex-upper", "in capital hexadecimal", lambda text: text.hex().upper().encode(), True),
    ("hex-colons", "in hexadecimal with colons", lambda text: text.hex(":").encode(), True),
    (
        "hex-mixed",
        "in hexadecimal of mixed case",
        lambda text: "".join(c.upper() if i % 2 else c for i, c in enumerate(text.hex())).encode(),
        False,
    ),
    ("utf-16", "in UTF-16", lambda text: text.decode("latin-1").encode("utf-16-le"), True),
    ("utf-16-big", "in UTF-16, the other byte order", lambda text: text.decode("latin-1").encode("utf-16-be"), True),
    (
        "html-percent",
        "percent-encoded, escaped as HTML",
        lambda text: html.escape(quote(text, safe="/").replace("%", "&#37;")).encode(),
        False,
    ),
)
"""name, in words, how it is written, and whether the stub must come back letter by letter in the same way. (It need not
where the number of characters depends on the letter; that the secret does not come back is always held.)
"""


def _body(encode: Encode) -> Answer:
    def answer(asked: Asked, kit: Kit) -> Iterator[Part]:
        yield response(b"you sent: " + encode(asked.credential) + b" ;\n", "200 OK", "Content-Type: text/plain")

    return answer


_ENCODED = tuple(
    Probe(
        id=f"echo.{name}",
        row="echo",
        tries=f"a bound host says the credential back {words}",
        attack=Wire(send=(request(),)),
        answer=_body(encode),
        expect=both(stub_back(encode) if same else swapped, whole),
    )
    for name, words, encode, same in ENCODINGS
)

# -- methods and versions ---------------------------------------------------------------------------------------------

_ECHOES = (
    Probe(
        id="echo.trace",
        row="echo",
        tries="TRACE",
        attack=Wire(send=(request("TRACE"),)),
        expect=refused("method_refused"),
    ),
    Probe(
        id="echo.track",
        row="echo",
        tries="TRACK",
        attack=Wire(send=(request("TRACK"),)),
        expect=refused("method_refused"),
    ),
    Probe(
        id="echo.options",
        row="echo",
        tries="OPTIONS, and the request comes back",
        attack=Wire(send=(request("OPTIONS"),)),
        expect=stub_back(),
    ),
    Probe(
        id="echo.http2",
        row="echo",
        tries="the request comes back over HTTP/2",
        attack=Wire(alpn=("h2",), send=(h2_request(*h2_fields(("authorization", "Bearer @STUB@"))),)),
        expect=h2_stub_back,
    ),
    Probe(
        id="echo.transparent",
        row="echo",
        tries="the request comes back to a client that knows of no proxy",
        attack=Wire(way="transparent", send=(request(),)),
        expect=stub_back(),
    ),
)

# -- compressed, split ------------------------------------------------------------------------------------------------


def _coded(encoding: str, encode: Encode, piece: int = 0) -> Answer:
    """A body in a content coding, whole or in pieces."""

    def answer(asked: Asked, kit: Kit) -> Iterator[Part]:
        data = encode(b"you sent: " + asked.credential + b" ;" + b"." * 400)
        if piece:
            pieces = [data[index : index + piece] for index in range(0, len(data), piece)]
            yield from chunked(pieces, f"Content-Encoding: {encoding}")
        else:
            yield response(data, "200 OK", f"Content-Encoding: {encoding}")

    return answer


def _raw_deflate(data: bytes) -> bytes:
    made = zlib.compressobj(wbits=-15)
    return made.compress(data) + made.flush()


CODINGS: tuple[tuple[str, str, Encode], ...] = (
    ("gzip", "gzip", gzip.compress),
    ("x-gzip", "x-gzip", gzip.compress),
    ("deflate", "deflate", zlib.compress),
    ("deflate-raw", "deflate", _raw_deflate),
    ("br", "br", brotli),
    ("zstd", "zstd", zstd),
    ("stacked", "gzip, br", lambda data: brotli(gzip.compress(data))),
    ("gzip-members", "gzip", lambda data: gzip.compress(data[:24]) + gzip.compress(data[24:])),
)


def _split_body(split: Callable[[bytes], list[bytes]], *headers: str, pause: float = 0.0) -> Answer:
    def answer(asked: Asked, kit: Kit) -> Iterator[Part]:
        for part in chunked(split(b"you sent: " + asked.credential + b" ;"), *headers):
            yield part
            if pause:
                yield pause

    return answer


def _halves(data: bytes) -> list[bytes]:
    return [data[: len(data) // 2], data[len(data) // 2 :]]


def _letters(data: bytes) -> list[bytes]:
    return [data[index : index + 1] for index in range(len(data))]


def _events(data: bytes) -> list[bytes]:
    return [b'data: {"text": "', *_letters(data), b'"}\n\n', b"data: [DONE]\n\n"]


def _segments(asked: Asked, kit: Kit) -> Iterator[Part]:
    data = response(b"you sent: " + asked.credential + b" ;")
    for index in range(0, len(data), 7):
        yield data[index : index + 7]
        yield 0.002


def _multipart(asked: Asked, kit: Kit) -> Iterator[Part]:
    half = len(asked.credential) // 2
    parts = [asked.credential[:half] + asked.credential[half:], b"x" + asked.credential]
    body = b"".join(b"--b\r\nContent-Range: bytes 0-9/20\r\n\r\n" + part + b"\r\n" for part in parts) + b"--b--\r\n"
    yield response(body, "206 Partial Content", "Content-Type: multipart/byteranges; boundary=b")


def _ranged(asked: Asked, kit: Kit) -> Iterator[Part]:
    """Obey a Range: give away one half of the secret, and say so."""
    wanted = re.match(r"bytes=(\d+)-(\d+)", next(iter(asked.values("range")), ""))
    if wanted is None:
        yield response(asked.credential)
    else:
        part = asked.credential[int(wanted[1]) : int(wanted[2]) + 1]
        yield response(part, "206 Partial Content", f"Content-Range: bytes {wanted[1]}-{wanted[2]}/59")


def _gzip_file(asked: Asked, kit: Kit) -> Iterator[Part]:
    yield response(gzip.compress(b"you sent: " + asked.credential), "200 OK", "Content-Type: application/gzip")


def _until_closed(asked: Asked, kit: Kit) -> Iterator[Part]:
    yield b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nyou sent: " + asked.credential
    yield "close"


def _split(name: str, tries: str, answer: Answer, expect: Expect, *headers: str) -> Probe:
    return Probe(
        id=f"split.{name}",
        row="split",
        tries=tries,
        attack=Wire(send=(request("GET", PATH, *headers),)),
        answer=answer,
        expect=expect,
    )


_SPLITS = (
    *(
        _split(
            f"coding-{name}",
            f"the echo comes with Content-Encoding: {encoding} though none was asked for",
            _coded(encoding, encode),
            stub_back(),
        )
        for name, encoding, encode in CODINGS
    ),
    _split("coding-gzip-bytes", "gzip, a byte a chunk", _coded("gzip", gzip.compress, 1), stub_back()),
    _split(
        "coding-asked",
        "the client asks for br, zstd and gzip",
        lambda asked, kit: [response(asked.head + asked.credential)],
        both(stub_back(), unread("gzip", "zstd")),
        "Accept-Encoding: br, zstd, gzip;q=0.5",
    ),
    _split("gzip-file", "the body is a gzip file", _gzip_file, both(swapped, cut)),
    _split(
        "chunks-halves",
        "the secret over two chunks, with a pause between",
        _split_body(_halves, pause=0.1),
        stub_back(),
    ),
    _split("chunks-letters", "the secret in chunks of one byte", _split_body(_letters), stub_back()),
    _split("segments", "the secret over many segments of TCP", _segments, stub_back()),
    _split(
        "events",
        "the secret over many writes of an event stream",
        _split_body(_events, "Content-Type: text/event-stream", pause=0.001),
        stub_back(),
    ),
    _split("multipart", "the secret in parts of multipart/byteranges", _multipart, stub_back()),
    _split(
        "range-first",
        "Range: the first half of the secret",
        _ranged,
        both(swapped, without("range"), status(200)),
        "Range: bytes=0-29",
    ),
    _split(
        "range-second",
        "Range: the second half",
        _ranged,
        both(swapped, without("range"), status(200)),
        "Range: bytes=30-58",
        'If-Range: "x"',
    ),
    _split("until-closed", "a body of HTTP/1.0 that ends with the connection", _until_closed, stub_back()),
)

# -- parts of the secret ----------------------------------------------------------------------------------------------

_PARTIAL = tuple(
    Probe(
        id=f"partial.{name}",
        row="partial",
        tries=f"ask a bound host for {words}, where only /v1/items/* is bound",
        attack=Wire(host=ITEMS, send=(request("GET", path, host=ITEMS),)),
        expect=refused("no_binding"),
    )
    for name, words, path in (
        ("hash", "a hash of the token", "/v1/debug/sha256?of=authorization&probe=@TOKEN@"),
        ("substring", "a piece of the token", "/v1/echo/authorization/0/10?@TOKEN@"),
        ("reverse", "the token backwards", "/v1/items?reverse=authorization&@TOKEN@"),
    )
)


PROBES: tuple[Probe, ...] = (*_ENCODED, *_ECHOES, *_SPLITS, *_PARTIAL)
