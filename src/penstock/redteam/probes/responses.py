"""Getting the secret reflected, in responses that cannot be read, in every place of a response, and as a new token
(threat model, section 1).
"""

from __future__ import annotations

import base64
import gzip
import re
import zlib
from collections.abc import Iterator

from penstock.redteam.expect import (
    both,
    cut,
    exactly,
    h2_stub_back,
    replies,
    stub_back,
    swapped,
)
from penstock.redteam.messages import (
    chunked,
    h2_fields,
    h2_request,
    request,
    response,
)
from penstock.redteam.probe import LOGIN, Answer, Asked, Expect, Kit, Part, Probe, Seen, Wire
from penstock.redteam.probes.building import Encode, brotli, whole, zstd

# -- it cannot be read ------------------------------------------------------------------------------------------------


def _coded_badly(encoding: str, spoil: Encode, encode: Encode = gzip.compress) -> Answer:
    def answer(asked: Asked, kit: Kit) -> Iterator[Part]:
        yield response(
            spoil(encode(asked.credential + bytes(range(256)) * 8)), "200 OK", f"Content-Encoding: {encoding}"
        )

    return answer


def _middle(data: bytes) -> bytes:
    half = len(data) // 2
    return data[:half] + b"\xff\x00\xff\x00\xff\xff" + data[half + 6 :]


def _broken_chunks(asked: Asked, kit: Kit) -> Iterator[Part]:
    yield b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n" + asked.credential
    yield "close"


def _no_last_chunk(asked: Asked, kit: Kit) -> Iterator[Part]:
    yield chunked([b"hello " + asked.credential])[0] + b"6\r\nhello \r\n"
    yield "close"


def _reset(asked: Asked, kit: Kit) -> Iterator[Part]:
    yield response(b"hello " + asked.credential, length=4000)
    yield 0.05
    yield "reset"


def _too_short(asked: Asked, kit: Kit) -> Iterator[Part]:
    yield response(b"hello " + asked.credential, length=4000)
    yield "close"


def _bomb(asked: Asked, kit: Kit) -> Iterator[Part]:
    made = zlib.compressobj(9, wbits=31)
    data = b"".join(made.compress(bytes(1 << 20)) for _ in range(64)) + made.compress(asked.credential) + made.flush()
    yield response(data, "200 OK", "Content-Encoding: gzip")


def _smuggled_response(asked: Asked, kit: Kit) -> Iterator[Part]:
    yield (
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
        + asked.credential
    )


def _field_name(asked: Asked, kit: Kit) -> Iterator[Part]:
    name = re.sub(rb"[^A-Za-z0-9+&-]", b"-", asked.credential)
    yield response(b"ok", "200 OK", f"{asked.credential.decode('latin-1')}: 1", f"{name.decode()}: 1")


_FAILS = tuple(
    Probe(
        id=f"fail-open.{name}",
        row="fail-open",
        tries=words,
        attack=Wire(send=(request(),)),
        answer=answer,
        expect=both(swapped, cut),
    )
    for name, words, answer in (
        ("gzip-corrupt", "gzip with wrong bytes in its middle", _coded_badly("gzip", _middle)),
        ("gzip-truncated", "gzip that ends early", _coded_badly("gzip", lambda data: data[:-12])),
        (
            "gzip-trailing",
            "gzip with the secret plain behind its end",
            _coded_badly("gzip", lambda data: data + b"canary"),
        ),
        ("gzip-plain", "plain text that is said to be gzip", _coded_badly("gzip", bytes, bytes)),
        ("br-truncated", "br that ends early", _coded_badly("br", lambda data: data[:-6], brotli)),
        ("zstd-corrupt", "zstd with wrong bytes in its middle", _coded_badly("zstd", _middle, zstd)),
        ("deflate-corrupt", "deflate with wrong bytes in its middle", _coded_badly("deflate", _middle, zlib.compress)),
        ("unknown-coding", "a coding that nobody knows", _coded_badly("x-secret", lambda data: data[::-1], bytes)),
        ("chunks-malformed", "a chunk whose length is no number", _broken_chunks),
        ("chunks-truncated", "chunks that end without the last one", _no_last_chunk),
        ("reset", "the upstream resets the connection in the body", _reset),
        ("short-body", "a body that is shorter than it was said", _too_short),
        ("bomb", "64 MiB of nothing in 64 KiB of gzip, then the secret", _bomb),
        ("two-framings", "a response with a length and with chunks", _smuggled_response),
        ("field-name", "the secret is the name of a header", _field_name),
    )
)

# -- places of a response ---------------------------------------------------------------------------------------------


def _header(*lines: str, line: str = "200 OK") -> Answer:
    def answer(asked: Asked, kit: Kit) -> Iterator[Part]:
        secret = asked.credential.decode("latin-1")
        code, _, reason = line.partition(" ")
        yield response(
            b"ok", f"{code} {reason.replace('SECRET', secret)}", *(each.replace("SECRET", secret) for each in lines)
        )

    return answer


def _status(line: str) -> Answer:
    return lambda asked, kit: [response(b'{"error": "bad token ' + asked.credential + b'"}', line)]


def _early(asked: Asked, kit: Kit) -> Iterator[Part]:
    secret = asked.credential
    yield b"HTTP/1.1 103 Early Hints\r\nLink: </" + secret + b">\r\n\r\nHTTP/1.1 102 " + secret + b"\r\n\r\n"
    yield response(b"ok " + secret)


def _trailers(asked: Asked, kit: Kit) -> Iterator[Part]:
    secret = asked.credential.decode("latin-1")
    yield from chunked([b"ok"], "Trailer: x-checksum", trailers=(f"x-checksum: {secret}", f"x-other: {secret}"))


def _stub_in_head(seen: Seen) -> str:
    return "" if seen.kit.stub in seen.back.data else "the stub did not come back in the head"


_PLACES = tuple(
    Probe(
        id=f"slots.{name}",
        row="slots",
        tries=f"the upstream puts the secret into {words}",
        attack=Wire(send=(request(),)),
        answer=answer,
        expect=both(swapped, expect),
    )
    for name, words, answer, expect in (
        ("reason", "the reason phrase", _header(line="200 SECRET"), _stub_in_head),
        ("header", "a header", _header("X-Debug: token=SECRET; ok"), _stub_in_head),
        (
            "header-basic",
            "a header, in base64",
            lambda asked, kit: [
                response(b"ok", "200 OK", "X-Debug: " + base64.b64encode(b"a:" + asked.credential).decode())
            ],
            whole,
        ),
        ("set-cookie", "Set-Cookie", _header("Set-Cookie: session=SECRET; HttpOnly"), _stub_in_head),
        ("location", "Location", _header("Location: https://evil.example/?t=SECRET", line="302 Found"), _stub_in_head),
        (
            "challenge",
            "WWW-Authenticate",
            _header('WWW-Authenticate: Bearer realm="SECRET"', line="401 No"),
            _stub_in_head,
        ),
        (
            "link",
            "Link and ETag",
            _header("Link: <https://a.example/SECRET>; rel=next", 'ETag: "SECRET"'),
            _stub_in_head,
        ),
        ("many-headers", "sixty headers", _header(*(f"X-H{n}: SECRET" for n in range(60))), _stub_in_head),
        ("400", "the message of a 400", _status("400 Bad Request"), stub_back()),
        ("401", "the message of a 401", _status("401 Unauthorized"), stub_back()),
        ("404", "the message of a 404", _status("404 Not Found"), stub_back()),
        ("500", "the message of a 500", _status("500 Internal Server Error"), stub_back()),
        ("informational", "103 Early Hints and 102", _early, stub_back()),
        ("trailers", "trailers", _trailers, whole),
    )
)

_HTTP2_PLACES = (
    Probe(
        id="slots.http2",
        row="slots",
        tries="the upstream puts the secret into headers and trailers of an HTTP/2 client's answer",
        attack=Wire(alpn=("h2",), send=(h2_request(*h2_fields(("authorization", "Bearer @STUB@"))),)),
        answer=lambda asked, kit: chunked(
            [b"ok " + asked.credential],
            f"X-Debug: {asked.credential.decode('latin-1')}",
            trailers=(f"x-checksum: {asked.credential.decode('latin-1')}",),
        ),
        expect=h2_stub_back,
    ),
)

# -- tokens that endpoints return -------------------------------------------------------------------------------------


def _issues(shape: str, content_type: str = "application/json", *headers: str) -> Answer:
    def answer(asked: Asked, kit: Kit) -> Iterator[Part]:
        yield response(
            shape.replace("ISSUED", kit.issued.decode()).encode(), "200 OK", f"Content-Type: {content_type}", *headers
        )

    return answer


def _login(name: str, words: str, form: str, answer: Answer, expect: Expect) -> Probe:
    body = f"{form}&client_secret=@LOGINSTUB@&probe=@TOKEN@".encode()
    head = request(
        "POST",
        "/oauth/@TOKEN@/token",
        "Content-Type: application/x-www-form-urlencoded",
        host=LOGIN,
        auth="",
        body=body,
    )
    return Probe(
        id=f"tokens.{name}",
        row="tokens",
        tries=words,
        attack=Wire(host=LOGIN, send=(head,)),
        answer=answer,
        expect=both(exactly(1), expect),
    )


def _stubbed(seen: Seen) -> str:
    """A token came down, of the issued one's shape, and it is another one."""
    text = b"".join(reply.body for reply in replies(seen))
    found = re.search(rb"[0-9a-z]{6}-[0-9a-z]{6}-[0-9a-z]{32}", text)
    return "" if found and seen.kit.issued not in text else "no stub came in the token's place"


_TOKENS = (
    _login(
        "json",
        "a token endpoint answers in JSON",
        "grant_type=client_credentials",
        _issues('{"access_token": "ISSUED", "token_type": "bearer"}'),
        _stubbed,
    ),
    _login(
        "nested",
        "the token stands deep in the answer",
        "grant_type=client_credentials",
        _issues('{"data": [{"auth": {"access_token": "ISSUED", "refresh_token": "ISSUED"}}]}'),
        _stubbed,
    ),
    _login(
        "form",
        "the answer is a form, as GitHub's",
        "grant_type=client_credentials",
        _issues("access_token=ISSUED&token_type=bearer", "application/x-www-form-urlencoded"),
        _stubbed,
    ),
    _login(
        "device", "a device code", "client_id=abc", _issues('{"device_code": "ISSUED", "user_code": "AB-CD"}'), _stubbed
    ),
    _login(
        "unreadable",
        "the answer cannot be read",
        "grant_type=client_credentials",
        _issues('{"access_token": "ISSUED"', "application/json"),
        cut,
    ),
)


PROBES: tuple[Probe, ...] = (*_FAILS, *_PLACES, *_HTTP2_PLACES, *_TOKENS)
