"""Request smuggling (threat model, section 2): requests that two programs read differently. Either the vault refuses,
or one well-formed request arrives: never a second one, never both kinds of framing.
"""

from __future__ import annotations

from penstock.redteam.expect import either, refused, replies, requests
from penstock.redteam.messages import BEARER, CLOSE, raw
from penstock.redteam.probe import Probe, Seen, Wire

HOST = "Host: api.bound.example"
POST = "POST /@TOKEN@/x HTTP/1.1"
GET = "GET /@TOKEN@/x HTTP/1.1"
INNER = b"GET /@TOKEN@/smuggled HTTP/1.1\r\nHost: api.bound.example\r\n\r\n"
CHUNKED = "Transfer-Encoding: chunked"


def one_request(seen: Seen) -> str:
    """At most one request arrived, with one kind of framing, and nothing that was hidden in it stands in its head."""
    arrived = requests(seen, "bound")
    if len(arrived) > 1:
        return f"{len(arrived)} requests arrived"
    for asked in arrived:
        head = asked.head.lower()
        if b"smuggled" in head:
            return "what was hidden became a request, or a part of its head"
        if head.count(b"content-length:") + head.count(b"transfer-encoding:") > 1:
            return "it arrived with two framings"
        if head.count(b"\r\nhost:") != 1 or b"\n" in head.replace(b"\r\n", b""):
            return "it arrived malformed"
    return ""


def refused_or_closed(seen: Seen) -> str:
    """The vault refused it as malformed or closed the connection; nothing arrived."""
    got = requests(seen)
    if got:
        return f"{len(got)} requests arrived"
    if any(not reply.refusal for reply in replies(seen)):
        return "it was answered"
    return "" if replies(seen) or seen.back.ended or seen.back.error else "it was neither refused nor closed"


def _arrived(seen: Seen) -> str:
    return one_request(seen) or ("" if requests(seen, "bound") else "nothing arrived")


def _lines(*lines: str, body: bytes = b"") -> bytes:
    return raw(*lines, body=body)


REFUSED: tuple[tuple[str, str, bytes], ...] = (
    (
        "cl-te",
        "Content-Length and Transfer-Encoding",
        _lines(POST, HOST, BEARER, "Content-Length: 6", CHUNKED, body=b"0\r\n\r\n" + INNER),
    ),
    (
        "te-cl",
        "Transfer-Encoding and a shorter Content-Length",
        _lines(POST, HOST, BEARER, CHUNKED, "Content-Length: 4", body=b"5c\r\n" + INNER + b"0\r\n\r\n"),
    ),
    (
        "cl-cl",
        "two different lengths",
        _lines(POST, HOST, BEARER, "Content-Length: 5", "Content-Length: 90", body=b"hello" + INNER),
    ),
    (
        "cl-cl-equal",
        "the same length twice",
        _lines(POST, HOST, BEARER, "Content-Length: 5", "Content-Length: 5", body=b"hello"),
    ),
    ("cl-list", "a list of lengths", _lines(POST, HOST, BEARER, "Content-Length: 5, 5", body=b"hello")),
    ("cl-plus", "a length with a sign", _lines(POST, HOST, BEARER, "Content-Length: +5", body=b"hello")),
    ("cl-minus", "a negative length", _lines(POST, HOST, BEARER, "Content-Length: -5", body=b"hello")),
    ("cl-hex", "a hexadecimal length", _lines(POST, HOST, BEARER, "Content-Length: 0x5", body=b"hello")),
    (
        "cl-underscore",
        "a length with an underscore",
        _lines(POST, HOST, BEARER, "Content-Length: 1_0", body=b"hellohello"),
    ),
    ("cl-unicode", "a length in other digits", _lines(POST, HOST, BEARER, "Content-Length: \xb2", body=b"he")),
    ("cl-empty", "an empty length", _lines(POST, HOST, BEARER, "Content-Length: ", body=INNER)),
    (
        "cl-huge",
        "a length beyond all integers",
        _lines(POST, HOST, BEARER, "Content-Length: 99999999999999999999999999"),
    ),
    ("cl-alias", "Content_Length", _lines(POST, HOST, BEARER, "Content_Length: 5", body=b"hello")),
    (
        "te-identity",
        "Transfer-Encoding: identity",
        _lines(POST, HOST, BEARER, "Transfer-Encoding: identity", "Content-Length: 5", body=b"hello"),
    ),
    (
        "te-list",
        "chunked among others",
        _lines(POST, HOST, BEARER, "Transfer-Encoding: gzip, chunked", body=b"0\r\n\r\n"),
    ),
    ("te-twice", "Transfer-Encoding twice", _lines(POST, HOST, BEARER, CHUNKED, CHUNKED, body=b"0\r\n\r\n")),
    (
        "te-twice-other",
        "chunked, and something else",
        _lines(POST, HOST, BEARER, CHUNKED, "Transfer-Encoding: x", body=b"0\r\n\r\n"),
    ),
    (
        "te-xchunked",
        "xchunked",
        _lines(POST, HOST, BEARER, "Transfer-Encoding: xchunked", "Content-Length: 5", body=b"hello"),
    ),
    ("te-quoted", "chunked in quotes", _lines(POST, HOST, BEARER, 'Transfer-Encoding: "chunked"', body=b"0\r\n\r\n")),
    (
        "te-vertical-tab",
        "chunked behind a vertical tab",
        _lines(POST, HOST, BEARER, "Transfer-Encoding: \x0bchunked", body=b"0\r\n\r\n"),
    ),
    (
        "te-space-before-colon",
        "a space before the colon",
        _lines(POST, HOST, BEARER, "Transfer-Encoding : chunked", body=b"0\r\n\r\n"),
    ),
    (
        "te-tab-before-colon",
        "a tab before the colon",
        _lines(POST, HOST, BEARER, "Transfer-Encoding\t: chunked", body=b"0\r\n\r\n"),
    ),
    (
        "te-leading-space",
        "a header behind a space",
        _lines(POST, HOST, " Transfer-Encoding: chunked", BEARER, body=b"0\r\n\r\n"),
    ),
    (
        "te-underscore",
        "Transfer_Encoding",
        _lines(POST, HOST, BEARER, "Transfer_Encoding: chunked", "Content-Length: 5", body=b"hello"),
    ),
    ("te-http10", "chunked in HTTP/1.0", _lines("POST /@TOKEN@/x HTTP/1.0", HOST, BEARER, CHUNKED, body=b"0\r\n\r\n")),
    (
        "te-bare-cr",
        "chunked behind a bare CR",
        _lines(POST, HOST, BEARER, "X: y\rTransfer-Encoding: chunked", body=b"0\r\n\r\n"),
    ),
    ("obs-fold", "a folded header", _lines(POST, HOST, BEARER, "Transfer-Encoding:", " chunked", body=b"0\r\n\r\n")),
    (
        "bare-lf",
        "line ends without CR",
        b"POST /@TOKEN@/x HTTP/1.1\nHost: api.bound.example\nAuthorization: Bearer @STUB@\n\n",
    ),
    (
        "bare-lf-header",
        "one header ends without CR",
        b"GET /@TOKEN@/x HTTP/1.1\r\nHost: api.bound.example\r\nX: y\nAuthorization: Bearer @STUB@\r\n\r\n",
    ),
    (
        "bare-cr",
        "a line that ends in CR",
        b"GET /@TOKEN@/x HTTP/1.1\r\nHost: api.bound.example\rX: y\r\nAuthorization: Bearer @STUB@\r\n\r\n",
    ),
    ("nul", "a NUL in a header", _lines(GET, HOST, BEARER, "X: a\x00b")),
    ("control", "a control character in a name", _lines(GET, HOST, BEARER, "X\x01Y: a")),
    ("no-colon", "a header without a colon", _lines(GET, HOST, BEARER, "X-Nothing")),
    ("empty-name", "a header without a name", _lines(GET, HOST, BEARER, ": x")),
    ("space-in-name", "a space in a name", _lines(GET, HOST, BEARER, "X Y: a")),
    ("host-twice", "Host twice", _lines(GET, HOST, HOST, BEARER)),
    ("no-host", "HTTP/1.1 without Host", _lines(GET, BEARER)),
    ("line-two-spaces", "two spaces in the request line", _lines("GET  /@TOKEN@/x HTTP/1.1", HOST, BEARER)),
    ("line-tab", "a tab in the request line", _lines("GET\t/@TOKEN@/x HTTP/1.1", HOST, BEARER)),
    ("line-version", "HTTP/1.2", _lines("GET /@TOKEN@/x HTTP/1.2", HOST, BEARER)),
    ("line-version-2", "HTTP/2.0 in a request line", _lines("GET /@TOKEN@/x HTTP/2.0", HOST, BEARER)),
    ("line-none", "HTTP/0.9", b"GET /@TOKEN@/x\r\n\r\n"),
    ("line-four-words", "four words in the request line", _lines("GET /@TOKEN@/x /smuggled HTTP/1.1", HOST, BEARER)),
    ("line-beyond-ascii", "a path beyond ASCII", _lines("GET /@TOKEN@/\xe9 HTTP/1.1", HOST, BEARER)),
    (
        "chunk-size-sign",
        "a chunk's size with a sign",
        _lines(POST, HOST, BEARER, CHUNKED, body=b"+5\r\nhello\r\n0\r\n\r\n"),
    ),
    ("chunk-size-0x", "a chunk's size with 0x", _lines(POST, HOST, BEARER, CHUNKED, body=b"0x5\r\nhello\r\n0\r\n\r\n")),
    (
        "chunk-size-huge",
        "a chunk's size beyond 64 bits",
        _lines(POST, HOST, BEARER, CHUNKED, body=b"10000000000000005\r\nhello\r\n0\r\n\r\n"),
    ),
    ("chunk-lf", "a chunk's size ends without CR", _lines(POST, HOST, BEARER, CHUNKED, body=b"5\nhello\r\n0\r\n\r\n")),
    (
        "chunk-end",
        "a chunk that does not end in CRLF",
        _lines(POST, HOST, BEARER, CHUNKED, body=b"5\r\nhelloXX0\r\n\r\n"),
    ),
    (
        "chunk-extension-lf",
        "a line feed in a chunk's extension",
        _lines(POST, HOST, BEARER, CHUNKED, body=b"5;a\nx\r\nhello\r\n0\r\n\r\n"),
    ),
    (
        "trailer-framing",
        "a length in the trailers",
        _lines(POST, HOST, BEARER, CHUNKED, body=b"5\r\nhello\r\n0\r\nContent-Length: 9\r\n\r\n"),
    ),
    (
        "trailer-host",
        "Host in the trailers",
        _lines(POST, HOST, BEARER, CHUNKED, body=b"5\r\nhello\r\n0\r\nHost: a.example\r\n\r\n"),
    ),
    ("fragment", "a fragment in the target", _lines("GET /@TOKEN@/x#@evil HTTP/1.1", HOST, BEARER)),
    ("h2-preface", "the preface of HTTP/2 where HTTP/1.1 was agreed", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
)
"""Each must be refused or end the connection, before anything arrives."""

ONE: tuple[tuple[str, str, bytes], ...] = (
    (
        "expect-100",
        "Expect: 100-continue",
        _lines(POST, HOST, BEARER, "Expect: 100-continue", "Content-Length: 5", CLOSE, body=b"hello"),
    ),
    (
        "zero-length",
        "a length of zero, then a request that wears no credential",
        _lines(POST, HOST, BEARER, "Content-Length: 0", body=INNER),
    ),
    (
        "get-body",
        "a GET with a body that is a request",
        _lines(GET, HOST, BEARER, "Content-Length: @LENGTH@", CLOSE, body=INNER),
    ),
    (
        "chunk-extension",
        "extensions of chunks",
        _lines(POST, HOST, BEARER, CHUNKED, CLOSE, body=b"5;a=smuggled\r\nhello\r\n0;b\r\n\r\n"),
    ),
    (
        "te-capital",
        "CHUNKED",
        _lines(POST, HOST, BEARER, "Transfer-Encoding: CHUNKED", CLOSE, body=b"5\r\nhello\r\n0\r\n\r\n"),
    ),
    ("leading-lines", "empty lines before the request", b"\r\n" + _lines(GET, HOST, BEARER, CLOSE)),
    (
        "h2c",
        "Upgrade: h2c",
        _lines(GET, HOST, BEARER, "Upgrade: h2c", "HTTP2-Settings: AAMAAABk", "Connection: Upgrade, HTTP2-Settings"),
    ),
    ("upgrade-unknown", "Upgrade: smuggled", _lines(GET, HOST, BEARER, "Upgrade: raw", "Connection: Upgrade")),
    (
        "connection-te",
        "Connection names Transfer-Encoding",
        _lines(POST, HOST, BEARER, CHUNKED, "Connection: close, Transfer-Encoding", body=b"5\r\nhello\r\n0\r\n\r\n"),
    ),
    (
        "connection-cl",
        "Connection names Content-Length",
        _lines(POST, HOST, BEARER, "Content-Length: 5", "Connection: close, Content-Length", body=b"hello"),
    ),
)
"""Some servers accept these: refused, or one request arrives."""

PROBES: tuple[Probe, ...] = (
    *(
        Probe(
            id=f"smuggling.{name}",
            row="smuggling",
            tries=words,
            attack=Wire(send=(data,)),
            expect=refused_or_closed,
        )
        for name, words, data in REFUSED
    ),
    *(
        Probe(
            id=f"smuggling.{name}",
            row="smuggling",
            tries=words,
            attack=Wire(send=(data,)),
            expect=either(refused(), _arrived),
        )
        for name, words, data in ONE
    ),
)
