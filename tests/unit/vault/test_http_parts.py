"""The words and bounds that both versions of HTTP share, and the page that tells of them."""

import re

import pytest
from hpack.table import HeaderTable

from penstock.vault import hello, http_parts, websocket
from penstock.vault.http1 import parser
from penstock.vault.http2 import connection, frames
from penstock.vault.http_parts import bad_message, check_names, check_trailers, content_length, is_authority, is_target
from penstock.vault.values import Refusal
from tests.support.needs import REPOSITORY

PAGE = (REPOSITORY / "docs" / "reference" / "vault-protocol-limits.md").read_text(encoding="utf-8")

CAPS = {
    "a head:": [http_parts.HEAD_BYTES],
    "fields of a head": [http_parts.HEAD_FIELDS],
    "target (": [http_parts.TARGET_BYTES],
    "first line": [parser.START_LINE_BYTES],
    "method": [http_parts.METHOD_BYTES],
    "authority": [http_parts.AUTHORITY_BYTES],
    "digits of a Content-Length": [http_parts.LENGTH_DIGITS],
    "digits of a chunk": [parser.CHUNK_DIGITS],
    "the line before a chunk": [parser.CHUNK_LINE_BYTES],
    "trailers": [http_parts.TRAILER_FIELDS, http_parts.TRAILER_BYTES],
    "1xx heads": [http_parts.INFORMATIONAL_HEADS],
    "bytes behind a request": [parser.WAITING_BYTES],
    "streams at once": [connection.CONCURRENT_STREAMS],
    "bytes that wait": [connection.STREAM_WINDOW, connection.CONNECTION_WINDOW],
    "an HTTP/2 frame": [frames.FRAME_BYTES],
    "a header block": [frames.HEADER_BLOCK_BYTES, frames.CONTINUATIONS],
    "fields that are remembered": [HeaderTable.DEFAULT_SIZE],
    "PING": [frames.CONTROL_BURST, int(frames.CONTROL_RATE)],
    "streams that are reset": [frames.RESET_BURST, int(frames.RESET_RATE)],
    "WINDOW_UPDATE": [frames.FREE_UPDATES, frames.UPDATES_PER_DATA],
    "a WebSocket frame": [websocket.FRAME_BYTES],
    "a WebSocket control frame": [websocket.CONTROL_BYTES],
    "empty fragments": [websocket.EMPTY_FRAGMENTS],
    "a ClientHello": [hello.HELLO_BYTES, hello.HELLO_RECORDS],
}


def test_the_page_tells_every_cap_as_it_is() -> None:
    table = PAGE.split("## Caps")[1].split("\n## ")[0]
    rows = [line.strip("|").split("|") for line in table.splitlines() if line.startswith("| ")][1:]
    told = {
        row[0].strip(): [int(number.replace(",", "")) for number in re.findall(r"[\d,]*\d", row[1])] for row in rows
    }
    expected = {name: CAPS[next(cap for cap in CAPS if name.startswith(cap))] for name in told}
    assert told == expected
    assert len(told) == len(CAPS)


@pytest.mark.parametrize(
    ("text", "fit"),
    [
        *(("a.example", True), ("a.example:80", True), ("[::1]:80", True), ("xn--a", True), ("a" * 512, True)),
        *(("", False), ("a b", False), ("u@a", False), ("a/b", False), ("a?b", False), ("a#b", False)),
        *(("a\\b", False), ("ä", False), ("a\n", False), ("a" * 513, False)),
    ],
)
def test_what_an_authority_is_made_of(text: str, fit: bool) -> None:
    assert is_authority(text) is fit


@pytest.mark.parametrize(
    ("text", "fit"),
    [("/", True), ("/a?b=%20", True), ("", False), ("/a b", False), ("/#", False), ("/\n", False), ("/ä", False)],
)
def test_what_a_target_is_made_of(text: str, fit: bool) -> None:
    assert is_target(text) is fit


@pytest.mark.parametrize("value", ["", "+1", "-1", "1 ", "1,1", "0x1", "1_0", "٣", "²", "1" * 17])
def test_a_length_is_digits(value: str) -> None:
    with pytest.raises(Refusal):
        content_length("request", (("content-length", value),))


def test_names_that_gateways_confuse() -> None:
    check_names("request", [("x_api_key", ""), ("content-length", "")])
    for name in ("content_length", "transfer_encoding"):
        with pytest.raises(Refusal):
            check_names("request", [(name, "")])


@pytest.mark.parametrize("name", sorted(http_parts.FORBIDDEN_TRAILERS))
def test_trailers_that_belong_in_front(name: str) -> None:
    check_trailers("response", (("grpc-status", "0"),))
    with pytest.raises(Refusal):
        check_trailers("response", ((name, ""),))


def test_an_upstream_that_errs_is_a_bad_gateway() -> None:
    assert bad_message("response", "x", 431).status == 502
    assert bad_message("request", "x", 431).status == 431
