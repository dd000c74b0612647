"""HTTP/1.1 as the vault reads it: of every message there is one reading or none, however its bytes are cut.

The corpus is what request smuggling is made of: each line is refused, and nothing of it has gone on. What is accepted
beside it stands in the tables after it, so that strictness does not cost a client that follows the RFC.
"""

import random
from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.vault.http1 import (
    Data,
    End,
    Framing,
    RequestParser,
    ResponseParser,
    Trailers,
    parse_target,
    render_chunk,
    render_last_chunk,
    render_request,
    render_response,
)
from penstock.vault.http1.parser import WAITING_BYTES
from penstock.vault.values import Headers, Refusal, RequestHead, ResponseHead

Message = tuple[RequestHead | ResponseHead, bytes, Headers]


def joined(events: Iterable[object]) -> list[object]:
    """Join neighbouring `Data`: how a body is cut depends on the cuts of the input."""
    result: list[object] = []
    for event in events:
        if isinstance(event, Data) and result and isinstance(result[-1], Data):
            result[-1] = Data(result[-1].data + event.data)
        else:
            result.append(event)
    return result


def requests(raw: bytes, cuts: Iterable[int] = ()) -> list[object]:
    """All events of all requests in `raw`, fed in pieces."""
    parser, events = RequestParser(), []
    edges = sorted({0, len(raw), *(cut for cut in cuts if cut < len(raw))})
    for start, stop in pairwise(edges):
        new = parser.feed(raw[start:stop])
        events += new
        while new and new[-1] == End() and parser.facts and parser.facts.keep_alive:
            new = parser.next()
            events += new
    if parser.facts is None or parser.facts.keep_alive:
        parser.eof()
    return joined(events)


def response(raw: bytes, method: str = "GET", cuts: Iterable[int] = (), upgrade: str = "") -> list[object]:
    parser, events = ResponseParser(), []
    parser.expect(method, upgrade)
    edges = sorted({0, len(raw), *(cut for cut in cuts if cut < len(raw))})
    for start, stop in pairwise(edges):
        events += parser.feed(raw[start:stop])
    events += parser.eof()
    return joined(events)


def get(fields: bytes = b"", start: bytes = b"GET / HTTP/1.1", host: bytes = b"Host: a.example\r\n") -> bytes:
    return start + b"\r\n" + host + fields + b"\r\n"


def post(fields: bytes, body: bytes = b"") -> bytes:
    return get(fields, b"POST /x HTTP/1.1") + body


CHUNKED = b"Transfer-Encoding: chunked\r\n"
SMUGGLED = b"GET /admin HTTP/1.1\r\nHost: a.example\r\n\r\n"

REFUSED_REQUESTS: dict[str, bytes] = {
    # two framings
    "CL.TE": post(b"Content-Length: 6\r\n" + CHUNKED, b"0\r\n\r\nG"),
    "TE.CL": post(CHUNKED + b"Content-Length: 4\r\n", b"1\r\nZ\r\n0\r\n\r\n"),
    "TE with a Content-Length of zero": post(b"Content-Length: 0\r\n" + CHUNKED, b"0\r\n\r\n"),
    "TE twice": post(CHUNKED + CHUNKED, b"0\r\n\r\n"),
    "TE.TE: second is unknown": post(CHUNKED + b"Transfer-Encoding: x\r\n", b"0\r\n\r\n"),
    "TE.TE: first is unknown": post(b"Transfer-Encoding: x\r\n" + CHUNKED, b"0\r\n\r\n"),
    "TE list that ends with chunked": post(b"Transfer-Encoding: gzip, chunked\r\n", b"0\r\n\r\n"),
    "TE list that begins with chunked": post(b"Transfer-Encoding: chunked, gzip\r\n", b"0\r\n\r\n"),
    "TE chunked twice in a list": post(b"Transfer-Encoding: chunked, chunked\r\n", b"0\r\n\r\n"),
    "TE with a comma behind": post(b"Transfer-Encoding: chunked,\r\n", b"0\r\n\r\n"),
    "TE with a comma before": post(b"Transfer-Encoding: ,chunked\r\n", b"0\r\n\r\n"),
    "TE with a parameter": post(b"Transfer-Encoding: chunked;q=1\r\n", b"0\r\n\r\n"),
    "TE in quotes": post(b'Transfer-Encoding: "chunked"\r\n', b"0\r\n\r\n"),
    "TE in single quotes": post(b"Transfer-Encoding: 'chunked'\r\n", b"0\r\n\r\n"),
    "TE xchunked": post(b"Transfer-Encoding: xchunked\r\n", b"0\r\n\r\n"),
    "TE chunkedx": post(b"Transfer-Encoding: chunkedx\r\n", b"0\r\n\r\n"),
    "TE chunk": post(b"Transfer-Encoding: chunk\r\n", b"0\r\n\r\n"),
    "TE identity": post(b"Transfer-Encoding: identity\r\n", b""),
    "TE empty": post(b"Transfer-Encoding:\r\n", b"0\r\n\r\n"),
    "TE with a vertical tab": post(b"Transfer-Encoding: \x0bchunked\r\n", b"0\r\n\r\n"),
    "TE with a form feed behind": post(b"Transfer-Encoding: chunked\x0c\r\n", b"0\r\n\r\n"),
    "TE with a NUL behind": post(b"Transfer-Encoding: chunked\x00\r\n", b"0\r\n\r\n"),
    "TE with a CR before": post(b"Transfer-Encoding: \rchunked\r\n", b"0\r\n\r\n"),
    "TE with a no-break space": post(b"Transfer-Encoding: \xa0chunked\r\n", b"0\r\n\r\n"),
    "TE in obsolete folding": post(b"Transfer-Encoding:\r\n chunked\r\n", b"0\r\n\r\n"),
    "TE folded with a tab": post(b"Transfer-Encoding:\r\n\tchunked\r\n", b"0\r\n\r\n"),
    "TE with a blank before the colon": post(b"Transfer-Encoding : chunked\r\n", b"0\r\n\r\n"),
    "TE with a tab before the colon": post(b"Transfer-Encoding\t: chunked\r\n", b"0\r\n\r\n"),
    "TE with a NUL before the colon": post(b"Transfer-Encoding\x00: chunked\r\n", b"0\r\n\r\n"),
    "TE with a blank before the name": post(b" Transfer-Encoding: chunked\r\n", b"0\r\n\r\n"),
    "TE with an underscore": post(b"Transfer_Encoding: chunked\r\n", b"0\r\n\r\n"),
    "TE behind a lone LF": post(b"X: y\nTransfer-Encoding: chunked\r\n", b"0\r\n\r\n"),
    "TE behind a lone CR": post(b"X: y\rTransfer-Encoding: chunked\r\n", b"0\r\n\r\n"),
    "TE behind a colon": post(b": Transfer-Encoding: chunked\r\n", b"0\r\n\r\n"),
    "TE in HTTP/1.0": get(CHUNKED, b"POST / HTTP/1.0") + b"0\r\n\r\n",
    # lengths
    "CL twice": post(b"Content-Length: 5\r\nContent-Length: 6\r\n", b"hello"),
    "CL twice, equal": post(b"Content-Length: 5\r\nContent-Length: 5\r\n", b"hello"),
    "CL list": post(b"Content-Length: 5, 5\r\n", b"hello"),
    "CL list of different ones": post(b"Content-Length: 5,6\r\n", b"hello"),
    "CL with a plus": post(b"Content-Length: +5\r\n", b"hello"),
    "CL with a minus": post(b"Content-Length: -5\r\n", b"hello"),
    "CL in hexadecimal": post(b"Content-Length: 0x5\r\n", b"hello"),
    "CL of hexadecimal digits": post(b"Content-Length: a\r\n", b"hellohello"),
    "CL with a fraction": post(b"Content-Length: 5.0\r\n", b"hello"),
    "CL with an exponent": post(b"Content-Length: 5e0\r\n", b"hello"),
    "CL with an underscore in it": post(b"Content-Length: 1_0\r\n", b"hellohello"),
    "CL with a blank in it": post(b"Content-Length: 1 0\r\n", b"hellohello"),
    "CL in other digits": post("Content-Length: ٥\r\n".encode(), b"hello"),
    "CL with a superscript in latin-1": post(b"Content-Length: \xb2\r\n", b"he"),
    "CL empty": post(b"Content-Length:\r\n"),
    "CL in quotes": post(b'Content-Length: "5"\r\n', b"hello"),
    "CL too large for any integer": post(b"Content-Length: " + b"9" * 30 + b"\r\n"),
    "CL with a blank before the colon": post(b"Content-Length : 5\r\n", b"hello"),
    "CL with an underscore": post(b"Content_Length: 5\r\n", b"hello"),
    "CL with a NUL": post(b"Content-Length: 5\x00\r\n", b"hello"),
    "CL with a vertical tab": post(b"Content-Length: \x0b5\r\n", b"hello"),
    "CL folded": post(b"Content-Length:\r\n 5\r\n", b"hello"),
    "CL longer than the body": post(b"Content-Length: 50\r\n", b"hello"),
    # chunks
    "chunk size with 0x": post(CHUNKED, b"0x5\r\nhello\r\n0\r\n\r\n"),
    "chunk size with a plus": post(CHUNKED, b"+5\r\nhello\r\n0\r\n\r\n"),
    "chunk size with a minus": post(CHUNKED, b"-5\r\nhello\r\n0\r\n\r\n"),
    "chunk size with a blank before": post(CHUNKED, b" 5\r\nhello\r\n0\r\n\r\n"),
    "chunk size with a blank behind": post(CHUNKED, b"5 \r\nhello\r\n0\r\n\r\n"),
    "chunk size with a tab behind": post(CHUNKED, b"5\t\r\nhello\r\n0\r\n\r\n"),
    "chunk size with an underscore": post(CHUNKED, b"0_5\r\nhello\r\n0\r\n\r\n"),
    "chunk size empty": post(CHUNKED, b"\r\nhello\r\n0\r\n\r\n"),
    "chunk size no number": post(CHUNKED, b"g\r\nhello\r\n0\r\n\r\n"),
    "chunk size past 64 bits": post(CHUNKED, b"10000000000000005\r\nhello\r\n0\r\n\r\n"),
    "chunk size of many zeros": post(CHUNKED, b"0" * 200 + b"5\r\nhello\r\n0\r\n\r\n"),
    "chunk line ends with LF": post(CHUNKED, b"5\nhello\r\n0\r\n\r\n"),
    "chunk line ends with CR": post(CHUNKED, b"5\rhello\r\n0\r\n\r\n"),
    "chunk line ends with CR CR LF": post(CHUNKED, b"5\r\r\nhello\r\n0\r\n\r\n"),
    "chunk extension with LF": post(CHUNKED, b"2;\nxx\r\n5c\r\nGET / HTTP/1.1\r\n0\r\n\r\n"),
    "chunk extension with CR": post(CHUNKED, b"5;a\rb\r\nhello\r\n0\r\n\r\n"),
    "chunk extension with NUL": post(CHUNKED, b"5;a\x00\r\nhello\r\n0\r\n\r\n"),
    "chunk extension without semicolon": post(CHUNKED, b"5 a=b\r\nhello\r\n0\r\n\r\n"),
    "chunk extension with LF in quotes": post(CHUNKED, b'5;a="\n"\r\nhello\r\n0\r\n\r\n'),
    "chunk extension without end": post(CHUNKED, b"5;" + b"a" * 2000),
    "chunk data longer than its size": post(CHUNKED, b"4\r\nhello\r\n0\r\n\r\n"),
    "chunk data shorter than its size": post(CHUNKED, b"6\r\nhello\r\n0\r\n\r\n"),
    "chunk data ends with LF": post(CHUNKED, b"5\r\nhello\n0\r\n\r\n"),
    "chunk data ends with CR": post(CHUNKED, b"5\r\nhello\r0\r\n\r\n"),
    "chunk data ends with other bytes": post(CHUNKED, b"5\r\nhelloXX0\r\n\r\n"),
    "chunks without the last": post(CHUNKED, b"5\r\nhello\r\n"),
    "last chunk ends with LF": post(CHUNKED, b"5\r\nhello\r\n0\n\r\n"),
    "last chunk, then LF": post(CHUNKED, b"5\r\nhello\r\n0\r\n\n"),
    "last chunk, then a request line": post(CHUNKED, b"0\r\n" + SMUGGLED),
    "trailer Content-Length": post(CHUNKED, b"0\r\nContent-Length: 5\r\n\r\n"),
    "trailer Transfer-Encoding": post(CHUNKED, b"0\r\nTransfer-Encoding: chunked\r\n\r\n"),
    "trailer Host": post(CHUNKED, b"0\r\nHost: b.example\r\n\r\n"),
    "trailer Authorization": post(CHUNKED, b"0\r\nAuthorization: Basic eA==\r\n\r\n"),
    "trailer folded": post(CHUNKED, b"0\r\nX: a\r\n b\r\n\r\n"),
    "trailer ends with LF": post(CHUNKED, b"0\r\nX: a\n\r\n"),
    "trailer without a colon": post(CHUNKED, b"0\r\nX\r\n\r\n"),
    "trailers too many": post(CHUNKED, b"0\r\n" + b"X: a\r\n" * 33 + b"\r\n"),
    "trailers too long": post(CHUNKED, b"0\r\nX: " + b"a" * 9000 + b"\r\n\r\n"),
    # lines and fields
    "lines end with LF": b"GET / HTTP/1.1\nHost: a.example\n\n",
    "first line ends with LF": b"GET / HTTP/1.1\nHost: a.example\r\n\r\n",
    "one line ends with LF": get(b"X: y\n"),
    "lines end with CR": b"GET / HTTP/1.1\rHost: a.example\r\r",
    "head ends with LF LF": b"GET / HTTP/1.1\r\nHost: a.example\n\n",
    "head ends with CR LF LF": b"GET / HTTP/1.1\r\nHost: a.example\r\n\n",
    "empty line before": b"\r\n" + get(),
    "LF before": b"\n" + get(),
    "blank before": b" " + get(),
    "blank line of blanks": b"GET / HTTP/1.1\r\nHost: a.example\r\n \r\n\r\n",
    "folded field": get(b"X: a\r\n b\r\n"),
    "folded with a tab": get(b"X: a\r\n\tb\r\n"),
    "first field begins with a blank": get(host=b" Host: a.example\r\n"),
    "blank before the colon": get(b"X : y\r\n"),
    "name with a blank in it": get(b"X Y: z\r\n"),
    "name empty": get(b": z\r\n"),
    "name of other letters": get(b"\xc3\xa4: z\r\n"),
    "name with a slash": get(b"X/Y: z\r\n"),
    "name with a parenthesis": get(b"X(Y): z\r\n"),
    "line without a colon": get(b"hello\r\n"),
    "value with NUL": get(b"X: a\x00b\r\n"),
    "value with DEL": get(b"X: a\x7fb\r\n"),
    "value with CR": get(b"X: a\rb\r\n"),
    "value with ESC": get(b"X: a\x1bb\r\n"),
    "value with a backspace": get(b"X: a\x08b\r\n"),
    "fields too many": get(b"X: y\r\n" * 128),
    "head too long": get(b"X: " + b"a" * 70_000 + b"\r\n"),
    "head too long, never ending": b"GET / HTTP/1.1\r\nX: " + b"a" * 70_000,
    # first lines
    "HTTP/0.9": b"GET /\r\n",
    "HTTP/0.9 with fields": b"GET /\r\nHost: a.example\r\n\r\n",
    "HTTP/0.9 version": get(start=b"GET / HTTP/0.9"),
    "HTTP/1.2": get(start=b"GET / HTTP/1.2"),
    "HTTP/2.0": get(start=b"GET / HTTP/2.0"),
    "HTTP/01.1": get(start=b"GET / HTTP/01.1"),
    "HTTP/1.1.1": get(start=b"GET / HTTP/1.1.1"),
    "HTTP/1,1": get(start=b"GET / HTTP/1,1"),
    "HTTP/1. 1": get(start=b"GET / HTTP/1. 1"),
    "http/1.1": get(start=b"GET / http/1.1"),
    "ICAP/1.0": get(start=b"GET / ICAP/1.0"),
    "HTTP/1.10": get(start=b"GET / HTTP/1.10"),
    "the preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "two blanks": get(start=b"GET  / HTTP/1.1"),
    "tab between": get(start=b"GET\t/ HTTP/1.1"),
    "vertical tab between": get(start=b"GET\x0b/ HTTP/1.1"),
    "blank behind": get(start=b"GET / HTTP/1.1 "),
    "blank in the target": get(start=b"GET /a b HTTP/1.1"),
    "smuggled line in the target": get(start=b"GET / HTTP/1.1 /x HTTP/1.1"),
    "no target": get(start=b"GET HTTP/1.1"),
    "no method": get(start=b"/ HTTP/1.1"),
    "method with a colon": get(start=b"GE:T / HTTP/1.1"),
    "method too long": get(start=b"G" * 33 + b" / HTTP/1.1"),
    "target too long": get(start=b"GET /" + b"a" * 9000 + b" HTTP/1.1"),
    "target with NUL": get(start=b"GET /\x00 HTTP/1.1"),
    "target with DEL": get(start=b"GET /\x7f HTTP/1.1"),
    "target of other letters": get(start="GET /ä HTTP/1.1".encode()),
    "target with a fragment": get(start=b"GET /a#b HTTP/1.1"),
    "target without a slash": get(start=b"GET a HTTP/1.1"),
    "target of another scheme": get(start=b"GET ftp://a.example/ HTTP/1.1"),
    "target file": get(start=b"GET file:///etc/passwd HTTP/1.1"),
    "target with one slash behind the scheme": get(start=b"GET http:/a.example/ HTTP/1.1"),
    "target asterisk with GET": get(start=b"GET * HTTP/1.1"),
    "target authority with GET": get(start=b"GET a.example:443 HTTP/1.1"),
    "TLS where HTTP should be": b"\x16\x03\x01\x02\x00\x01\x00",
    "SSH where HTTP should be": b"SSH-2.0-OpenSSH_9.2\r\n",
    "SOCKS where HTTP should be": b"\x05\x01\x00",
    # hosts
    "no Host": get(host=b""),
    "no Host in HTTP/1.0": get(host=b"", start=b"GET / HTTP/1.0"),
    "Host twice": get(b"Host: b.example\r\n"),
    "Host twice, equal": get(b"Host: a.example\r\n"),
    "Host twice in other case": get(b"hOST: b.example\r\n"),
    "Host empty": get(host=b"Host:\r\n"),
    "Host list": get(host=b"Host: a.example, b.example\r\n"),
    "Host with a blank": get(host=b"Host: a.example b.example\r\n"),
    "Host with user information": get(host=b"Host: a.example@b.example\r\n"),
    "Host with a slash": get(host=b"Host: a.example/b\r\n"),
    "Host with a backslash": get(host=b"Host: a.example\\b\r\n"),
    "Host with a question mark": get(host=b"Host: a.example?b\r\n"),
    "Host with a blank before the colon": get(host=b"Host : a.example\r\n"),
    "Host folded": get(host=b"Host:\r\n a.example\r\n"),
    "Host of other letters": get(host="Host: ä.example\r\n".encode()),
    "Host_ twin": get(b"HO_ST: b\r\n", host=b""),
    "URL of another host": get(start=b"GET http://b.example/ HTTP/1.1"),
    "URL of another port": get(start=b"GET http://a.example:8080/ HTTP/1.1"),
    "URL with user information": get(start=b"GET http://a.example@b.example/ HTTP/1.1"),
    "URL with user information, Host equal": get(
        start=b"GET http://u@a.example/ HTTP/1.1", host=b"Host: u@a.example\r\n"
    ),
    "URL with an empty host": get(start=b"GET http:/// HTTP/1.1"),
    "URL with a backslash in its host": get(start=b"GET http://a.example\\@b.example/ HTTP/1.1"),
    "CONNECT without a port": get(start=b"CONNECT a.example HTTP/1.1"),
    "CONNECT to a path": get(start=b"CONNECT / HTTP/1.1"),
    "CONNECT to a URL": get(start=b"CONNECT http://a.example:443 HTTP/1.1"),
    "CONNECT with another Host": get(start=b"CONNECT b.example:443 HTTP/1.1"),
    "CONNECT with another port in Host": get(start=b"CONNECT a.example:443 HTTP/1.1", host=b"Host: a.example:22\r\n"),
    "CONNECT with user information": get(start=b"CONNECT u@a.example:443 HTTP/1.1"),
    "CONNECT to a port of letters": get(start=b"CONNECT a.example:https HTTP/1.1"),
    "CONNECT with a body": get(b"Content-Length: 5\r\n", b"CONNECT a.example:443 HTTP/1.1") + b"hello",
    "CONNECT with chunks": get(CHUNKED, b"CONNECT a.example:443 HTTP/1.1") + b"0\r\n\r\n",
    # the rest
    "Expect of something else": post(b"Expect: 200-ok\r\nContent-Length: 0\r\n"),
    "Expect twice": post(b"Expect: 100-continue\r\nExpect: 100-continue\r\nContent-Length: 0\r\n"),
    "bytes behind that are no request": get() + b"hello\r\n",
    "a body that nothing announced": post(b"", b"hello\r\n\r\n"),
    "a length of zero, and a body": post(b"Content-Length: 0\r\n", b"hello\r\n\r\n"),
    "the end in the middle of the head": b"GET / HTTP/1.1\r\nHost: a.exam",
}


def test_the_corpus_is_large() -> None:
    assert len(REFUSED_REQUESTS) >= 150


@pytest.mark.parametrize("raw", REFUSED_REQUESTS.values(), ids=REFUSED_REQUESTS.keys())
def test_what_two_readers_could_read_two_ways_is_refused(raw: bytes) -> None:
    with pytest.raises(Refusal) as caught:
        requests(raw)
    assert caught.value.code == "bad_request"
    assert caught.value.status in (400, 414, 417, 431, 501, 505)


@pytest.mark.parametrize("raw", REFUSED_REQUESTS.values(), ids=REFUSED_REQUESTS.keys())
def test_it_is_refused_byte_by_byte_too_and_never_ends_as_a_message(raw: bytes) -> None:
    events: list[object] = []
    with pytest.raises(Refusal):
        drip(raw, events)
    assert events.count(End()) == (1 if raw in LATER else 0)


def drip(raw: bytes, events: list[object]) -> None:
    """Feed `raw` byte by byte and collect the events before the refusal."""
    parser = RequestParser()
    for index in range(len(raw)):
        events += parser.feed(raw[index : index + 1])
        if events[-1:] == [End()]:
            events += parser.next()
    parser.eof()


# The first message is a good one, and ends; what comes behind it is none.
LATER = {
    REFUSED_REQUESTS[name]
    for name in (
        "bytes behind that are no request",
        "a body that nothing announced",
        "a length of zero, and a body",
    )
}


@pytest.mark.parametrize("raw", REFUSED_REQUESTS.values(), ids=REFUSED_REQUESTS.keys())
def test_what_was_refused_stays_refused(raw: bytes) -> None:
    parser = RequestParser()
    with pytest.raises(Refusal):
        feed_all(parser, raw)
    with pytest.raises(Refusal):
        parser.feed(SMUGGLED)


def feed_all(parser: RequestParser, raw: bytes) -> None:
    parser.feed(raw)
    parser.next()
    parser.eof()


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (REFUSED_REQUESTS["target too long"], 414),
        (REFUSED_REQUESTS["Expect of something else"], 417),
        (REFUSED_REQUESTS["fields too many"], 431),
        (REFUSED_REQUESTS["head too long"], 431),
        (REFUSED_REQUESTS["TE list that ends with chunked"], 501),
        (REFUSED_REQUESTS["HTTP/2.0"], 505),
        (REFUSED_REQUESTS["the preface of HTTP/2"], 505),
        (REFUSED_REQUESTS["CL twice"], 400),
    ],
    ids=["414", "417", "431 fields", "431 bytes", "501", "505", "505 preface", "400"],
)
def test_the_status_says_what_is_wrong(raw: bytes, status: int) -> None:
    with pytest.raises(Refusal) as caught:
        requests(raw)
    assert caught.value.status == status


@pytest.mark.parametrize(
    "raw",
    [b"GET / HTTP/1.1\n", b"GET /\r\n", b"PRI * HTTP/2.0\r\n", b"\x16", b"\x05\x01\x00", b"SSH-2.0-x\r\n", b"\r\n"],
    ids=["LF", "0.9", "h2", "tls", "socks", "ssh", "empty line"],
)
def test_a_hopeless_beginning_is_refused_at_once(raw: bytes) -> None:
    """Nobody waits for the end of a head that cannot become one."""
    with pytest.raises(Refusal):
        RequestParser().feed(raw)


def test_no_refusal_quotes_what_came() -> None:
    for raw in (get(b"X: sk-fake-canary\x00\r\n"), post(b"Content-Length: sk-fake-canary\r\n")):
        with pytest.raises(Refusal) as caught:
            requests(raw)
        assert "canary" not in str(caught.value)


# -- what is accepted -------------------------------------------------------------------------------------------------

HOST = ("host", "a.example")


@pytest.mark.parametrize(
    ("raw", "events"),
    [
        (get(), [RequestHead("GET", "/", (HOST,)), End()]),
        (
            post(b"Content-Length: 5\r\n", b"hello"),
            [RequestHead("POST", "/x", (HOST, ("content-length", "5"))), Data(b"hello"), End()],
        ),
        (
            post(b"Content-Length:\t 0005 \t\r\n", b"hello"),
            [RequestHead("POST", "/x", (HOST, ("content-length", "0005"))), Data(b"hello"), End()],
        ),
        (
            post(b"transfer-ENCODING: Chunked\r\n", b"5;a=b;c\r\nhello\r\n00B\r\n, world and\r\n0;z\r\n\r\n"),
            [
                RequestHead("POST", "/x", (HOST, ("transfer-encoding", "Chunked"))),
                Data(b"hello, world and"),
                End(),
            ],
        ),
        (
            post(CHUNKED, b"1\r\nx\r\n0\r\nDigest: y\r\nx-T:  z \r\n\r\n"),
            [
                RequestHead("POST", "/x", (HOST, ("transfer-encoding", "chunked"))),
                Data(b"x"),
                Trailers((("digest", "y"), ("x-t", "z"))),
                End(),
            ],
        ),
        (
            get(b"X:\r\nx: \xe4\xff\r\nCookie: a=b; c\r\nX-Y: a\tb  c\r\n"),
            [
                RequestHead("GET", "/", (HOST, ("x", ""), ("x", "\xe4\xff"), ("cookie", "a=b; c"), ("x-y", "a\tb  c"))),
                End(),
            ],
        ),
        (
            post(b"Content-Length: 0\r\n") + get(),
            [
                RequestHead("POST", "/x", (HOST, ("content-length", "0"))),
                End(),
                RequestHead("GET", "/", (HOST,)),
                End(),
            ],
        ),
        (
            get(start=b"GET /a?b=c|{d}\\e HTTP/1.1") * 2,
            [RequestHead("GET", "/a?b=c|{d}\\e", (HOST,)), End()] * 2,
        ),
        (get(start=b"OPTIONS * HTTP/1.1"), [RequestHead("OPTIONS", "*", (HOST,)), End()]),
        (
            get(start=b"GET http://A.example:80/x HTTP/1.1"),
            [RequestHead("GET", "http://A.example:80/x", (HOST,)), End()],
        ),
        (
            b"CONNECT a.example:443 HTTP/1.0\r\n\r\n",
            [RequestHead("CONNECT", "a.example:443", ()), End()],
        ),
        (
            get(start=b"CONNECT [2001:db8::1]:443 HTTP/1.1", host=b"Host: [2001:DB8::1]\r\n"),
            [RequestHead("CONNECT", "[2001:db8::1]:443", (("host", "[2001:DB8::1]"),)), End()],
        ),
    ],
    ids=[
        "get",
        "length",
        "length with blanks and zeros",
        "chunks with extensions",
        "trailers",
        "values",
        "length of zero, then a request",
        "pipelined",
        "asterisk",
        "absolute",
        "connect without host",
        "connect to v6",
    ],
)
def test_one_reading(raw: bytes, events: list[object]) -> None:
    assert requests(raw) == events
    assert requests(raw, range(len(raw))) == events


@pytest.mark.parametrize(
    ("method", "target", "parts"),
    [
        ("GET", "/a?b", ("origin", "", "", "/a?b")),
        ("GET", "//evil.example/a", ("origin", "", "", "//evil.example/a")),
        ("GET", "HTTPS://a.example:1", ("absolute", "https", "a.example:1", "/")),
        ("GET", "http://a.example?x", ("absolute", "http", "a.example", "/?x")),
        ("GET", "http://[::1]:80/x", ("absolute", "http", "[::1]:80", "/x")),
        ("CONNECT", "a.example:443", ("authority", "", "a.example:443", "")),
        ("OPTIONS", "*", ("asterisk", "", "", "*")),
    ],
)
def test_targets_come_apart(method: str, target: str, parts: tuple[str, str, str, str]) -> None:
    found = parse_target(method, target)
    assert (found.form, found.scheme, found.authority, found.path) == parts


@pytest.mark.parametrize(
    ("raw", "facts"),
    [
        (get(), ("1.1", "none", True, False, "")),
        (get(b"Connection: Close\r\n"), ("1.1", "none", False, False, "")),
        (get(b"Connection: x, CLOSE\r\n"), ("1.1", "none", False, False, "")),
        (get(start=b"GET / HTTP/1.0"), ("1.0", "none", False, False, "")),
        (get(b"Connection: keep-alive\r\n", b"GET / HTTP/1.0"), ("1.0", "none", True, False, "")),
        (post(b"Expect: 100-Continue\r\nContent-Length: 7\r\n"), ("1.1", 7, True, True, "")),
        (get(b"Expect: 100-continue\r\n", b"PUT / HTTP/1.0"), ("1.0", "none", False, False, "")),
        (get(b"Connection: upgrade\r\nUpgrade: WebSocket\r\n"), ("1.1", "none", True, False, "websocket")),
        (get(b"Upgrade: websocket\r\n"), ("1.1", "none", True, False, "")),
        (get(b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"), ("1.1", "none", True, False, "h2c")),
        (post(CHUNKED), ("1.1", "chunked", True, False, "")),
    ],
)
def test_the_head_says_how_to_go_on(raw: bytes, facts: tuple[str, Framing, bool, bool, str]) -> None:
    parser = RequestParser()
    parser.feed(raw)
    found = parser.facts
    assert found is not None
    assert (found.version, found.framing, found.keep_alive, found.expect_continue, found.upgrade) == facts


def test_a_request_waits_until_the_one_before_is_answered() -> None:
    parser = RequestParser()
    assert parser.feed(get() + get()[:10])[-1] == End()
    assert parser.feed(get()[10:]) == []
    assert parser.next() == [RequestHead("GET", "/", (HOST,)), End()]
    assert parser.next() == []
    parser.eof()


def test_waiting_requests_have_a_cap() -> None:
    parser = RequestParser()
    parser.feed(get())
    parser.feed(b"x" * WAITING_BYTES)
    with pytest.raises(Refusal):
        parser.feed(b"x")


def test_nothing_follows_a_request_that_closes() -> None:
    parser = RequestParser()
    parser.feed(get(b"Connection: close\r\n") + SMUGGLED)
    with pytest.raises(Refusal):
        parser.next()


def test_bytes_behind_a_connect_are_handed_over() -> None:
    parser = RequestParser()
    parser.feed(get(start=b"CONNECT a.example:443 HTTP/1.1") + b"\x16\x03")
    parser.feed(b"\x01")
    assert parser.rest() == b"\x16\x03\x01"
    with pytest.raises(Refusal):
        parser.feed(b"GET")


def test_bytes_of_a_message_are_not_handed_over() -> None:
    parser = RequestParser()
    parser.feed(post(b"Content-Length: 9\r\n", b"hello"))
    with pytest.raises(Refusal):
        parser.rest()


# -- responses --------------------------------------------------------------------------------------------------------

OK = b"HTTP/1.1 200 OK\r\n"

REFUSED_RESPONSES: dict[str, bytes] = {
    "both framings": OK + b"Content-Length: 5\r\n" + CHUNKED + b"\r\n0\r\n\r\n",
    "two lengths": OK + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
    "two equal lengths": OK + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
    "length list": OK + b"Content-Length: 5, 5\r\n\r\nhello",
    "negative length": OK + b"Content-Length: -1\r\n\r\n",
    "gzip as transfer coding": OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "chunked twice": OK + CHUNKED + CHUNKED + b"\r\n0\r\n\r\n",
    "chunks in HTTP/1.0": b"HTTP/1.0 200 OK\r\n" + CHUNKED + b"\r\n0\r\n\r\n",
    "cut in its head": OK + b"Content-Len",
    "cut in its body": OK + b"Content-Length: 5\r\n\r\nhell",
    "cut in a chunk": OK + CHUNKED + b"\r\n5\r\nhel",
    "cut before the last chunk": OK + CHUNKED + b"\r\n5\r\nhello\r\n",
    "cut in the trailers": OK + CHUNKED + b"\r\n0\r\nX: y\r\n",
    "nothing": b"",
    "informational only": b"HTTP/1.1 100 Continue\r\n\r\n",
    "too many informational": b"HTTP/1.1 103 Early Hints\r\n\r\n" * 17 + OK + b"Content-Length: 0\r\n\r\n",
    "informational with a length": b"HTTP/1.1 103 x\r\nContent-Length: 3\r\n\r\nabc" + OK + b"\r\n",
    "204 with a length": b"HTTP/1.1 204 x\r\nContent-Length: 3\r\n\r\nabc",
    "204 with chunks": b"HTTP/1.1 204 x\r\n" + CHUNKED + b"\r\n0\r\n\r\n",
    "101 unasked": b"HTTP/1.1 101 x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
    "lines end with LF": b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
    "folded field": OK + b"X: a\r\n b\r\nContent-Length: 0\r\n\r\n",
    "blank before the colon": OK + b"Content-Length : 0\r\n\r\n",
    "NUL in a value": OK + b"X: \x00\r\nContent-Length: 0\r\n\r\n",
    "control character in the reason": b"HTTP/1.1 200 O\x1bK\r\nContent-Length: 0\r\n\r\n",
    "status of two digits": b"HTTP/1.1 20 OK\r\n\r\n",
    "status of four digits": b"HTTP/1.1 2000 OK\r\n\r\n",
    "status with a sign": b"HTTP/1.1 +20 OK\r\n\r\n",
    "status zero": b"HTTP/1.1 000 OK\r\n\r\n",
    "version 2": b"HTTP/2 200 OK\r\n\r\n",
    "version 0.9": b"hello",
    "ICY": b"ICY 200 OK\r\n\r\n",
    "empty line before": b"\r\n" + OK + b"Content-Length: 0\r\n\r\n",
    "chunk line with LF": OK + CHUNKED + b"\r\n5;\nhello\r\n0\r\n\r\n",
    "set-cookie as trailer": OK + CHUNKED + b"\r\n0\r\nSet-Cookie: a=b\r\n\r\n",
    "head too long": OK + b"X: " + b"a" * 70_000,
    "fields too many": OK + b"X: y\r\n" * 129 + b"\r\n",
    "underscore twin": OK + b"Content_Length: 5\r\n\r\nhello",
}


@pytest.mark.parametrize("step", [1, 1 << 20], ids=["byte by byte", "at once"])
@pytest.mark.parametrize("raw", REFUSED_RESPONSES.values(), ids=REFUSED_RESPONSES.keys())
def test_a_response_that_could_be_read_two_ways_is_refused(raw: bytes, step: int) -> None:
    with pytest.raises(Refusal) as caught:
        response(raw, cuts=range(0, len(raw), step))
    assert (caught.value.code, caught.value.status) == ("bad_response", 502)


@pytest.mark.parametrize(
    ("raw", "method", "events"),
    [
        (OK + b"Content-Length: 2\r\n\r\nhi", "GET", [200, Data(b"hi"), End()]),
        (OK + b"\r\nhi", "GET", [200, Data(b"hi"), End()]),
        (OK + b"\r\n", "GET", [200, End()]),
        (OK + CHUNKED + b"\r\n2\r\nhi\r\n0\r\nX: y\r\n\r\n", "GET", [200, Data(b"hi"), Trailers((("x", "y"),)), End()]),
        (OK + b"Content-Length: 2\r\n\r\n", "HEAD", [200, End()]),
        (OK + CHUNKED + b"\r\n", "HEAD", [200, End()]),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\n", "GET", [304, End()]),
        (b"HTTP/1.1 204 No Content\r\n\r\n", "GET", [204, End()]),
        (b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", "GET", [204, End()]),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 x\r\n\r\n" + OK + b"\r\n", "POST", [100, 103, 200, End()]),
        (b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", "GET", [200, End()]),
        (b"HTTP/1.0 200 OK\r\n\r\nhi", "GET", [200, Data(b"hi"), End()]),
        (b"HTTP/1.1 999 \xe4\r\nSet-Cookie: a\r\nSet-Cookie: b\r\n\r\n", "GET", [999, End()]),
        (OK + b"\r\n", "CONNECT", [200, End()]),
    ],
    ids=[
        "length",
        "until close",
        "until close, nothing",
        "chunks",
        "head",
        "head with chunks",
        "304",
        "204",
        "204 with a zero",
        "informational",
        "no reason",
        "1.0",
        "odd status",
        "connect",
    ],
)
def test_one_reading_of_a_response(raw: bytes, method: str, events: list[object]) -> None:
    for cuts in ((), range(len(raw))):
        found = [e.status if isinstance(e, ResponseHead) else e for e in response(raw, method, cuts)]
        assert found == events


def test_a_connection_that_left_bytes_behind_takes_no_other_request() -> None:
    """A response that nobody asked for would be the answer to the next request."""
    parser = ResponseParser()
    parser.expect("GET")
    parser.feed(OK + b"Content-Length: 2\r\n\r\nhi" + OK + b"Content-Length: 0\r\n\r\n")
    assert not parser.reusable
    with pytest.raises(Refusal):
        parser.expect("GET")


def test_a_connection_is_used_again() -> None:
    parser = ResponseParser()
    for _ in range(3):
        assert parser.reusable
        parser.expect("GET")
        assert parser.feed(OK + b"Content-Length: 2\r\n\r\nhi")[-1] == End()
    assert parser.eof() == []
    assert not parser.reusable


@pytest.mark.parametrize("head", [OK + b"Connection: close\r\n", b"HTTP/1.0 200 OK\r\n"])
def test_a_connection_that_closes_is_not_used_again(head: bytes) -> None:
    parser = ResponseParser()
    parser.expect("GET")
    parser.feed(head + b"Content-Length: 0\r\n\r\n")
    assert not parser.reusable


SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\n\r\n"


def test_a_switch_that_was_asked_for_hands_the_connection_over() -> None:
    parser = ResponseParser()
    parser.expect("GET", "websocket")
    assert parser.feed(SWITCH + b"\x81\x00")[-1] == End()
    assert parser.facts and parser.facts.switched
    assert parser.rest() == b"\x81\x00"


def test_a_switch_to_something_else_is_refused() -> None:
    parser = ResponseParser()
    parser.expect("GET", "websocket")
    with pytest.raises(Refusal):
        parser.feed(SWITCH.replace(b"WebSocket", b"h2c"))


def test_the_rest_of_a_connection_that_did_not_switch_is_not_handed_over() -> None:
    parser = ResponseParser()
    parser.expect("GET")
    parser.feed(OK + b"Content-Length: 0\r\n\r\n\x81\x00")
    with pytest.raises(Refusal):
        parser.rest()


def test_the_length_that_head_names_is_told() -> None:
    parser = ResponseParser()
    parser.expect("HEAD")
    parser.feed(OK + b"Content-Length: 2\r\n\r\n")
    assert parser.facts and (parser.facts.framing, parser.facts.declared) == ("none", 2)


# -- rendering --------------------------------------------------------------------------------------------------------


def test_framing_is_written_anew() -> None:
    head = RequestHead("POST", "/x", (HOST, ("content-length", "5"), ("Transfer-Encoding", "chunked")))
    assert render_request(head, 7) == b"POST /x HTTP/1.1\r\nhost: a.example\r\ncontent-length: 7\r\n\r\n"
    assert render_request(head, "chunked").endswith(b"host: a.example\r\ntransfer-encoding: chunked\r\n\r\n")
    assert render_request(head, "none") == b"POST /x HTTP/1.1\r\nhost: a.example\r\n\r\n"
    assert render_response(ResponseHead(204, "", ()), "none") == b"HTTP/1.1 204 \r\n\r\n"


@pytest.mark.parametrize("bad", ["a\r\nx: y", "a\nb", "a\rb", "a\x00b", "a\x7f", "€", "a\x0bb"])
def test_nothing_breaks_out_of_its_line(bad: str) -> None:
    heads = [
        RequestHead("GET", "/", (("x", bad),)),
        RequestHead("GET", "/", ((bad, "x"),)),
        RequestHead("GET", "/" + bad, ()),
        RequestHead(bad, "/", ()),
    ]
    for head in heads:
        with pytest.raises(Refusal) as caught:
            render_request(head, "none")
        assert caught.value.code == "unsafe_message"
        assert bad not in str(caught.value)
    for answer in (ResponseHead(200, bad, ()), ResponseHead(200, "", (("x", bad),))):
        with pytest.raises(Refusal):
            render_response(answer, "none")
    with pytest.raises(Refusal):
        render_last_chunk((("x", bad),))


def test_a_request_does_not_end_with_its_connection() -> None:
    with pytest.raises(Refusal):
        render_request(RequestHead("GET", "/", ()), "close")


def test_no_data_is_no_chunk() -> None:
    assert render_chunk(b"") == b""


TOKENS = st.text("abcdefghijklmnopqrstuvwxyz0123456789-!#$%&'*+.^`|~", min_size=1, max_size=12)
VALUES = st.text([chr(c) for c in (9, *range(32, 127), *range(128, 256))], max_size=20).map(lambda s: s.strip(" \t"))
FIELDS = st.lists(st.tuples(TOKENS.map("x-".__add__), VALUES), max_size=6).map(tuple)
PARTS = st.lists(st.binary(min_size=1, max_size=40), max_size=4)
CUTS = st.lists(st.integers(0, 400), max_size=12)


@given(FIELDS, PARTS, FIELDS, st.booleans(), CUTS)
def test_what_is_written_is_read_back(
    fields: Headers, parts: list[bytes], trailers: Headers, chunked: bool, cuts: list[int]
) -> None:
    body = b"".join(parts)
    head = RequestHead("POST", "/x?y", (HOST, *fields))
    if chunked:
        raw = render_request(head, "chunked") + b"".join(map(render_chunk, parts)) + render_last_chunk(trailers)
    else:
        raw = render_request(head, len(body)) + body
    found, *events = requests(raw + get(), cuts)
    assert isinstance(found, RequestHead)
    assert found.headers[:-1] == head.headers
    expected: list[object] = [Data(body)] if body else []
    expected += [Trailers(trailers)] if chunked and trailers else []
    assert events == [*expected, End(), RequestHead("GET", "/", (HOST,)), End()]


def outcome(raw: bytes, cuts: Iterable[int], role: str) -> object:
    """What comes of `raw`: the events, or that it is refused."""
    try:
        return requests(raw, cuts) if role == "request" else response(raw, cuts=cuts)
    except Refusal as refusal:
        return refusal.code


SEEDS = {"request": list(REFUSED_REQUESTS.values()), "response": list(REFUSED_RESPONSES.values())}
PIECES = st.sampled_from(
    [b"\r\n", b"\n", b"\r", b"0", b"5", b";", b":", b" ", b"\t", b"\0", b"Content-Length: 5\r\n", CHUNKED, SMUGGLED, OK]
)


@given(st.sampled_from(["request", "response"]), st.randoms(use_true_random=False), st.lists(PIECES, max_size=4), CUTS)
def test_no_cut_changes_the_reading(role: str, chance: random.Random, pieces: list[bytes], cuts: list[int]) -> None:
    """Mutations of the corpus: pieces put in at random places."""
    raw = chance.choice([*SEEDS[role], post(CHUNKED, b"5\r\nhello\r\n0\r\nX: y\r\n\r\n"), get() * 2])[:600]
    for piece in pieces:
        at = chance.randrange(len(raw) + 1)
        raw = raw[:at] + piece + raw[at + chance.randrange(3) :]
    assert outcome(raw, cuts, role) == outcome(raw, (), role) == outcome(raw, range(len(raw)), role)


@given(st.binary(max_size=300), CUTS)
def test_any_bytes_are_read_or_refused(raw: bytes, cuts: list[int]) -> None:
    for role in ("request", "response"):
        outcome(raw, cuts, role)
        outcome(OK + CHUNKED + b"\r\n" + raw, cuts, role)
        outcome(post(CHUNKED) + raw, cuts, role)
