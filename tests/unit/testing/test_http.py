"""The HTTP reader and the multipart reader: any split of the bytes gives the same requests; bad bytes are refused."""

from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.testing.providers.http import BadRequest, Head, RequestReader, chunk, parse_head, response_head
from penstock.testing.providers.multipart import FormPart, parse_form

SIMPLE = b"POST /v1/x?a=b HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = b"POST /y HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5;ignored=1\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"
BARE = b"GET /z HTTP/1.1\r\nConnection: close\r\n\r\n"


def read(pieces: list[bytes]) -> list[tuple[Head, bytes]]:
    reader = RequestReader()
    found = []
    for piece in pieces:
        reader.feed(piece)
        while request := reader.next():
            found.append(request)
    return found


@given(cuts=st.lists(st.integers(0, len(SIMPLE + CHUNKED + BARE)), max_size=12))
def test_any_split_gives_the_same_requests(cuts: list[int]) -> None:
    raw = SIMPLE + CHUNKED + BARE
    bounds = [0, *sorted(cuts), len(raw)]
    pieces = [raw[a:b] for a, b in pairwise(bounds)]
    requests = read(pieces)
    assert [(head.method, head.target, body) for head, body in requests] == [
        ("POST", "/v1/x?a=b", b"hello"),
        ("POST", "/y", b"hello world"),
        ("GET", "/z", b""),
    ]
    assert [head.keeps_alive for head, _ in requests] == [True, True, False]


@given(body=st.binary(max_size=200), sizes=st.lists(st.integers(1, 50), min_size=1, max_size=8))
def test_a_chunked_body_is_put_together_again(body: bytes, sizes: list[int]) -> None:
    framed, rest = b"", body
    for size in sizes * 200:
        piece, rest = rest[:size], rest[size:]
        if not piece:
            break
        framed += chunk(piece)
    head = b"POST /y HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert read([head + framed + b"0\r\n\r\n"])[0][1] == body


@pytest.mark.parametrize(
    "raw",
    [
        b"hello\r\n\r\n",
        b"GET /\r\n\r\n",
        b"GET / HTTP/2\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET / HTTP/1.1\r\n folded: x\r\n\r\n",
        b"POST / HTTP/1.1\r\ncontent-length: many\r\n\r\n",
        b"POST / HTTP/1.1\r\ncontent-length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\ntransfer-encoding: gzip\r\n\r\n",
        b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n",
        b"GET / HTTP/1.1\r\nx: " + b"y" * 300_000,
    ],
)
def test_what_is_no_request_is_refused(raw: bytes) -> None:
    with pytest.raises(BadRequest):
        read([raw])


@given(st.binary(max_size=400))
def test_any_bytes_give_requests_or_a_refusal(raw: bytes) -> None:
    with suppress(BadRequest):  # any other exception fails the test
        assert all(isinstance(head, Head) for head, _ in read([raw]))


def test_a_client_that_waits_is_noticed() -> None:
    reader = RequestReader()
    reader.feed(b"POST / HTTP/1.1\r\ncontent-length: 2\r\nexpect: 100-continue\r\n\r\n")
    assert reader.next() is None
    assert reader.waiting_for_continue
    reader.feed(b"hi")
    assert reader.next() is not None
    assert not reader.waiting_for_continue


def test_heads_are_read_and_written() -> None:
    head = parse_head(b"GET /a HTTP/1.0\r\nX-Thing: one\r\nx-thing: two")
    assert head.get("x-thing") == "one"
    assert not head.keeps_alive, "HTTP/1.0 closes unless it is asked not to"
    assert response_head(529, [("a", "b")]) == b"HTTP/1.1 529 Site is overloaded\r\na: b\r\n\r\n"
    assert response_head(200, []) == b"HTTP/1.1 200 OK\r\n\r\n"


# --- multipart -------------------------------------------------------------------------------------------------------

KIND = "multipart/form-data; boundary=XYZ"


def test_fields_and_files_are_told_apart() -> None:
    body = (
        b'--XYZ\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n'
        b'--XYZ\r\nContent-Disposition: form-data; name="file"; filename="a \\"b\\".txt"\r\n'
        b"Content-Type: text/plain\r\n\r\nline\r\n\r\nline\r\n--XYZ--\r\n"
    )
    assert parse_form(KIND, body) == [
        FormPart("purpose", b"batch"),
        FormPart("file", b"line\r\n\r\nline", 'a \\"b\\".txt', "text/plain"),
    ]
    assert parse_form(KIND, body)[0].text == "batch"


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/json", b"{}"),
        ("multipart/form-data", b"--XYZ--"),
        (KIND, b""),
        (KIND, b"--XYZ\r\n\r\n"),
        (KIND, b"junk--XYZ\r\n--XYZ--"),
        (KIND, b"--XYZ\r\nno end of headers--XYZ--"),
        (KIND, b"--XYZ\r\ncontent-disposition: form-data\r\n\r\nnameless\r\n--XYZ--"),
    ],
)
def test_what_is_no_form_is_refused(kind: str, body: bytes) -> None:
    with pytest.raises(ValueError, match="multipart"):
        parse_form(kind, body)


@given(content=st.binary(max_size=100).filter(lambda data: b"--XYZ" not in data))
def test_any_content_comes_through(content: bytes) -> None:
    body = b'--XYZ\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\n' + content + b"\r\n--XYZ--\r\n"
    assert parse_form(KIND, body)[0].content == content
