"""HTTP/2: the same words as HTTP/1.1 on both sides, floods end the connection, malformed heads end their stream.

Attacks are frames made by hand (hyperframe, hpack): no library would send them. The honest parties are real: curl,
nghttp, node.
"""

import json
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from itertools import pairwise
from typing import Any

import pytest
from hpack import Decoder, Encoder
from hyperframe import frame as f
from hypothesis import given
from hypothesis import strategies as st

from penstock.vault.http2 import (
    ClientConnection,
    Data,
    End,
    GoAway,
    Refused,
    Reset,
    Sendable,
    ServerConnection,
    Trailers,
)
from penstock.vault.http2.connection import CONCURRENT_STREAMS, CONNECTION_WINDOW, STREAM_WINDOW
from penstock.vault.http2.frames import FRAME_BYTES, Bucket, Frames
from penstock.vault.values import Refusal, RequestHead, ResponseHead

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + f.SettingsFrame(0).serialize()
REQUEST = ((":method", "POST"), (":scheme", "https"), (":authority", "a.example"), (":path", "/x"))
GET = RequestHead("GET", "/", (("host", "a.example"),))

Events = list[tuple[int, Any]]


def pair() -> tuple[ClientConnection, ServerConnection]:
    client, server = ClientConnection(), ServerConnection()
    settle(client, server)
    return client, server


def settle(client: ClientConnection, server: ServerConnection, now: float = 0.0) -> tuple[Events, Events]:
    """Carry bytes both ways until nobody has more to say; what each side got."""
    at_client: Events = []
    at_server: Events = []
    while True:
        there, back = client.out(), server.out()
        if not there and not back:
            return at_client, at_server
        at_server += server.feed(there, now) if there else []
        at_client += client.feed(back, now) if back else []


def of(events: Events, stream: int) -> list[Any]:
    return [event for number, event in events if number == stream and not isinstance(event, Sendable)]


def headers(stream: int, fields: Iterable[tuple[str, str]], flags: Iterable[str] = ("END_HEADERS",)) -> bytes:
    block = Encoder().encode([(name.encode("latin-1"), value.encode("latin-1")) for name, value in fields])
    return bytes(f.HeadersFrame(stream, data=block, flags=list(flags)).serialize())


WHOLE = ("END_HEADERS", "END_STREAM")


def data(stream: int, body: bytes, flags: Iterable[str] = ()) -> bytes:
    return bytes(f.DataFrame(stream, data=body, flags=list(flags)).serialize())


# -- what a peer makes us remember ------------------------------------------------------------------------------------


@pytest.mark.parametrize("offered", [1 << 31, 4096, 100, 0])
def test_a_peer_that_offers_a_huge_table_of_fields_makes_us_remember_no_more(offered: int) -> None:
    server, decoder = ServerConnection(), Decoder()
    server.feed(PREFACE + f.SettingsFrame(0, settings={f.SettingsFrame.HEADER_TABLE_SIZE: offered}).serialize(), 0.0)
    server.out()
    decoder.max_allowed_table_size = offered
    for stream in range(1, 41, 2):
        server.feed(headers(stream, REQUEST, WHOLE), 0.0)
        server.out()
        unique = (("x-unique", f"{stream}-" + "a" * 900),)
        server.send_response(stream, ResponseHead(200, "", unique), end=True)
        assert [(str(name), str(value)) for name, value in decoder.decode(server.out()[9:])] == [
            (":status", "200"),
            *unique,
        ]
    table = server._lib.encoder.header_table.dynamic_entries
    assert sum(len(name) + len(value) + 32 for name, value in table) <= min(offered, 4096)


# -- an exchange ------------------------------------------------------------------------------------------------------


def test_an_exchange_with_bodies_and_trailers_as_grpc_makes_it() -> None:
    client, server = pair()
    head = RequestHead("POST", "/pkg.Service/Method", (("host", "a.example"), ("x-a", "\xe4"), ("te", "trailers")))
    stream = client.send_request(head)
    assert client.send_data(stream, b"ping", end=True) == 4
    _, came = settle(client, server)
    assert of(came, stream) == [head, Data(b"ping"), End()]
    server.send_response(stream, ResponseHead(103, "", (("link", "x"),)))
    server.send_response(stream, ResponseHead(200, "OK", (("content-type", "application/grpc"),)))
    server.send_data(stream, b"pong")
    server.send_trailers(stream, (("grpc-status", "0"),))
    came, _ = settle(client, server)
    assert of(came, stream) == [
        ResponseHead(103, "", (("link", "x"),)),
        ResponseHead(200, "", (("content-type", "application/grpc"),)),
        Data(b"pong"),
        Trailers((("grpc-status", "0"),)),
        End(),
    ]
    assert client.idle and server.idle


def test_a_response_of_trailers_only() -> None:
    client, server = pair()
    stream = client.send_request(GET, end=True)
    settle(client, server)
    server.send_response(stream, ResponseHead(200, "", (("grpc-status", "12"),)), end=True)
    came, _ = settle(client, server)
    assert of(came, stream) == [ResponseHead(200, "", (("grpc-status", "12"),)), End()]


@pytest.mark.parametrize(
    ("method", "status", "length"), [("HEAD", 200, 10), ("GET", 304, 10), ("GET", 204, None), ("GET", 200, 0)]
)
def test_statuses_without_a_body(method: str, status: int, length: int | None) -> None:
    client, server = pair()
    stream = client.send_request(RequestHead(method, "/", GET.headers), end=True)
    settle(client, server)
    server.send_response(stream, ResponseHead(status, "", ()), length, end=True)
    came, _ = settle(client, server)
    fields = () if length is None else (("content-length", str(length)),)
    assert of(came, stream) == [ResponseHead(status, "", fields), End()]


def test_what_belongs_to_a_connection_and_to_framing_is_not_sent() -> None:
    client, server = pair()
    fields = (*GET.headers, ("connection", "x"), ("keep-alive", "1"), ("upgrade", "h2c"), ("te", "gzip"))
    fields = (*fields, ("transfer-encoding", "chunked"), ("content-length", "99"), ("X-Case", " y "))
    stream = client.send_request(RequestHead("POST", "/", fields), 2)
    client.send_data(stream, b"hi", end=True)
    _, came = settle(client, server)
    kept = (("host", "a.example"), ("x-case", "y"), ("content-length", "2"), ("te", "trailers"))
    assert of(came, stream)[0].headers == kept


@pytest.mark.parametrize(
    "head",
    [
        RequestHead("GET", "/", ()),
        RequestHead("GET", "/", (("host", "a"), ("host", "b"))),
        RequestHead("GET", "/\r\n", GET.headers),
        RequestHead("G T", "/", GET.headers),
        RequestHead("GET", "/", (*GET.headers, ("x", "sk-fake\r\ny: z"))),
        RequestHead("GET", "/", (*GET.headers, ("x\n", "y"))),
    ],
)
def test_nothing_breaks_out_of_its_field(head: RequestHead) -> None:
    client, _ = pair()
    with pytest.raises(Refusal) as caught:
        client.send_request(head, end=True)
    assert caught.value.code == "unsafe_message" and "sk-fake" not in str(caught.value)
    assert client.idle


# -- backpressure -----------------------------------------------------------------------------------------------------


def test_a_body_goes_as_far_as_its_reader_has_room() -> None:
    client, server = pair()
    stream = client.send_request(GET)
    body = b"x" * (STREAM_WINDOW + 100)
    sent = client.send_data(stream, body, end=True)
    assert sent == STREAM_WINDOW and client.room(stream) == 0
    _, came = settle(client, server)
    assert sum(len(event.data) for event in of(came, stream) if isinstance(event, Data)) == STREAM_WINDOW
    assert End() not in of(came, stream)
    server.acknowledge(stream, STREAM_WINDOW)
    came, _ = settle(client, server)
    assert (stream, Sendable()) in came
    assert client.send_data(stream, body[sent:], end=True) == 100
    _, came = settle(client, server)
    assert of(came, stream) == [Data(b"x" * 100), End()]


def test_streams_that_end_early_give_their_room_back() -> None:
    """The window of the connection does not leak away by streams that were reset, refused, or never acknowledged."""
    client, server = pair()
    for round_ in range(3 * CONNECTION_WINDOW // STREAM_WINDOW):
        stream = client.send_request(GET)
        assert client.send_data(stream, b"x" * STREAM_WINDOW) == STREAM_WINDOW
        settle(client, server, now=round_)
        if round_ % 2:
            server.reset(stream)
        else:
            client.reset(stream)
        settle(client, server, now=round_)
        assert client.idle and server.idle


def test_padding_needs_no_acknowledgement() -> None:
    server = ServerConnection()
    server.feed(PREFACE + headers(1, REQUEST), 0)
    for round_ in range(2 * CONNECTION_WINDOW // 256):
        padded = f.DataFrame(1, data=b"x", flags=["PADDED"], pad_length=255).serialize()
        server.feed(padded, round_)
        server.acknowledge(1, 1)


def test_sending_on_a_stream_that_is_over_is_refused() -> None:
    client, server = pair()
    stream = client.send_request(GET, end=True)
    settle(client, server)
    client.reset(stream)
    _, came = settle(client, server)
    assert of(came, stream) == [Reset(8)]
    with pytest.raises(Refusal) as caught:
        server.send_response(stream, ResponseHead(200, "", ()), end=True)
    assert caught.value.code == "stream_closed"
    server.reset(stream)
    server.acknowledge(stream, 10)


# -- malformed heads --------------------------------------------------------------------------------------------------


def with_field(name: str, value: str) -> tuple[tuple[str, str], ...]:
    return (*REQUEST, (name, value))


def without(name: str) -> tuple[tuple[str, str], ...]:
    return tuple(field for field in REQUEST if field[0] != name)


def changed(name: str, value: str) -> tuple[tuple[str, str], ...]:
    return tuple((key, value if key == name else old) for key, old in REQUEST)


MALFORMED: dict[str, Iterable[tuple[str, str]]] = {
    "no method": without(":method"),
    "no scheme": without(":scheme"),
    "no path": without(":path"),
    "no authority": without(":authority"),
    "method twice": (REQUEST[0], *REQUEST),
    "path twice": (REQUEST[3], *REQUEST),
    "unknown pseudo-header": ((":x", "y"), *REQUEST),
    "status in a request": ((":status", "200"), *REQUEST),
    "pseudo-header after a field": (*REQUEST[:3], ("x", "y"), REQUEST[3]),
    "other scheme": changed(":scheme", "http"),
    "odd scheme": changed(":scheme", "https://evil.example/?"),
    "scheme in capitals": changed(":scheme", "HTTPS"),
    "method with a blank": changed(":method", "GET / HTTP/1.1"),
    "method empty": changed(":method", ""),
    "CONNECT": ((":method", "CONNECT"), (":authority", "a.example:22")),
    "extended CONNECT": (*changed(":method", "CONNECT"), (":protocol", "websocket")),
    "protocol without CONNECT": ((":protocol", "websocket"), *REQUEST),
    "path empty": changed(":path", ""),
    "path of another form": changed(":path", "https://b.example/"),
    "path with a blank": changed(":path", "/a b"),
    "path with a line": changed(":path", "/ HTTP/1.1\r\nx: y"),
    "path with a fragment": changed(":path", "/a#b"),
    "path asterisk": changed(":path", "*"),
    "path too long": changed(":path", "/" + "a" * 9000),
    "authority empty": changed(":authority", ""),
    "authority with user information": changed(":authority", "a.example@b.example"),
    "authority with a slash": changed(":authority", "a.example/b"),
    "authority with a line": changed(":authority", "a.example\r\nx: y"),
    "host differs": with_field("host", "b.example"),
    "host twice": (*with_field("host", "a.example"), ("host", "a.example")),
    "name in capitals": with_field("X-Y", "z"),
    "name with a blank": with_field("x y", "z"),
    "name with a colon": with_field("x:y", "z"),
    "name with a line": with_field("x\r\ny", "z"),
    "name empty": with_field("", "z"),
    "value with CR LF": with_field("x", "y\r\nz: a"),
    "value with LF": with_field("x", "y\nz"),
    "value with NUL": with_field("x", "y\0"),
    "value with DEL": with_field("x", "y\x7f"),
    "connection": with_field("connection", "close"),
    "keep-alive": with_field("keep-alive", "1"),
    "proxy-connection": with_field("proxy-connection", "x"),
    "transfer-encoding": with_field("transfer-encoding", "chunked"),
    "upgrade": with_field("upgrade", "h2c"),
    "te": with_field("te", "gzip"),
    "length with a plus": with_field("content-length", "+5"),
    "length list": with_field("content-length", "5, 5"),
    "length twice": (*with_field("content-length", "5"), ("content-length", "5")),
    "length empty": with_field("content-length", ""),
    "length twin": with_field("content_length", "5"),
    "expect": with_field("expect", "200-ok"),
    "fields too many": (*REQUEST, *((f"x-{n}", "y") for n in range(129))),
    "a list too long": (*REQUEST, *((f"x-{n}", "y" * 1000) for n in range(70))),
}


@pytest.mark.parametrize("fields", MALFORMED.values(), ids=MALFORMED.keys())
def test_a_malformed_head_never_becomes_a_request(fields: Iterable[tuple[str, str]]) -> None:
    server = ServerConnection()
    refusal, whole = refusal_of(server, PREFACE + headers(1, fields))
    assert refusal.code == "bad_request"
    if whole:
        assert server.out()[-14] == 7  # GOAWAY
        with pytest.raises(Refusal):
            server.feed(headers(3, REQUEST), 0)


def refusal_of(peer: ServerConnection | ClientConnection, raw: bytes) -> tuple[Refusal, bool]:
    """The refusal of stream 1, which is all that comes of it, and whether it is one of the whole connection."""
    try:
        events = of(list(peer.feed(raw, 0)), 1)
    except Refusal as refusal:
        return refusal, True
    [refused] = events
    assert isinstance(refused, Refused)
    return refused.refusal, False


def test_a_refused_stream_is_answered_and_leaves_the_others_alone() -> None:
    server = ServerConnection()
    came = server.feed(PREFACE + headers(1, changed(":path", "/a#b")) + data(1, b"x" * 100), 0)
    assert [type(event) for event in of(came, 1)] == [Refused]
    server.send_response(1, ResponseHead(400, "", ()), end=True)
    assert of(server.feed(data(1, b"", ["END_STREAM"]), 0), 1) == []
    assert server.idle
    assert of(server.feed(headers(3, REQUEST, WHOLE), 0), 3)[-1] == End()


@pytest.mark.parametrize(
    ("length", "frames"),
    [
        ("5", [data(1, b"hell", ["END_STREAM"])]),
        ("5", [data(1, b"hello!", ["END_STREAM"])]),
        ("5", [data(1, b"hell"), headers(1, [("x", "y")], WHOLE)]),
        ("0", [data(1, b"x")]),
        ("5", [data(1, b"", ["END_STREAM"])]),
    ],
    ids=["shorter", "longer", "shorter, then trailers", "zero and a body", "empty"],
)
def test_a_body_is_as_long_as_its_head_says(length: str, frames: list[bytes]) -> None:
    server = ServerConnection()
    server.feed(PREFACE + headers(1, with_field("content-length", length)), 0)
    with suppress(Refusal):
        events = of([event for part in frames for event in server.feed(part, 0)], 1)
        assert End() not in events and isinstance(events[-1], Refused)


def test_a_length_without_a_body_is_refused() -> None:
    events = of(ServerConnection().feed(PREFACE + headers(1, with_field("content-length", "5"), WHOLE), 0), 1)
    assert End() not in events and isinstance(events[-1], Refused)


@pytest.mark.parametrize(
    "field", [(":path", "/"), ("content-length", "5"), ("authorization", "x"), ("host", "b"), ("connection", "x")]
)
def test_trailers_are_no_place_for_what_belongs_in_front(field: tuple[str, str]) -> None:
    server = ServerConnection()
    server.feed(PREFACE + headers(1, REQUEST), 0)
    with suppress(Refusal):
        events = of(server.feed(headers(1, [field], WHOLE), 0), 1)
        assert len(events) == 1 and isinstance(events[0], Refused)


RESPONSE = ((":status", "200"),)

MALFORMED_RESPONSES: dict[str, Iterable[tuple[str, str]]] = {
    "no status": (("x", "y"),),
    "status twice": (*RESPONSE, *RESPONSE),
    "status of letters": ((":status", "abc"),),
    "status of two digits": ((":status", "20"),),
    "status with a sign": ((":status", "+20"),),
    "101": ((":status", "101"),),
    "path in a response": (*RESPONSE, (":path", "/")),
    "connection": (*RESPONSE, ("connection", "close")),
    "transfer-encoding": (*RESPONSE, ("transfer-encoding", "chunked")),
    "value with LF": (*RESPONSE, ("x", "y\nz")),
    "two lengths": (*RESPONSE, ("content-length", "5"), ("content-length", "6")),
    "204 with a length": ((":status", "204"), ("content-length", "5")),
}


@pytest.mark.parametrize("fields", MALFORMED_RESPONSES.values(), ids=MALFORMED_RESPONSES.keys())
def test_a_malformed_response_never_comes_through(fields: Iterable[tuple[str, str]]) -> None:
    client = ClientConnection()
    client.send_request(GET, end=True)
    refusal, whole = refusal_of(client, f.SettingsFrame(0).serialize() + headers(1, fields))
    assert (refusal.code, refusal.status) == ("bad_response", 502)
    assert whole or client.idle


def test_pushed_streams_are_refused() -> None:
    client = ClientConnection()
    assert b"\x00\x02\x00\x00\x00\x00" in client.out()  # SETTINGS_ENABLE_PUSH = 0
    client.send_request(GET, end=True)
    promise = f.PushPromiseFrame(1, promised_stream_id=2, data=Encoder().encode(REQUEST), flags=["END_HEADERS"])
    with pytest.raises(Refusal):
        client.feed(f.SettingsFrame(0).serialize() + promise.serialize(), 0)


def test_too_many_informational_heads_are_refused() -> None:
    client = ClientConnection()
    client.send_request(GET, end=True)
    hints = headers(1, [(":status", "103")]) * 17
    events = of(client.feed(f.SettingsFrame(0).serialize() + hints, 0), 1)
    assert len(events) == 17 and isinstance(events[-1], Refused)


# -- floods -----------------------------------------------------------------------------------------------------------


def test_a_bucket_fills_with_time() -> None:
    bucket = Bucket(2, 1.0)
    assert [bucket.take(now) for now in (0, 0, 0)] == [True, True, False]
    assert [bucket.take(now) for now in (3, 3, 3)] == [True, True, False]
    assert [bucket.take(now) for now in (100, 101, 102, 103)] == [True] * 4


FLOODS: dict[str, Callable[[int], bytes]] = {
    "ping": lambda _: f.PingFrame(0, opaque_data=b"12345678").serialize(),
    "settings": lambda _: f.SettingsFrame(0).serialize(),
    "priority": lambda n: f.PriorityFrame(2 * n + 101, depends_on=0, stream_weight=1).serialize(),
    "empty data": lambda _: data(1, b""),
    "padding only": lambda _: f.DataFrame(1, data=b"", flags=["PADDED"], pad_length=9).serialize(),
    "unknown frames": lambda _: b"\0\0\x01\xfa\0\0\0\0\0x",
    "rapid reset": lambda n: headers(2 * n + 3, REQUEST, WHOLE) + f.RstStreamFrame(2 * n + 3, 8).serialize(),
    "refused streams": lambda n: (
        headers(2 * n + 3, changed(":path", "/#"), WHOLE) + f.RstStreamFrame(2 * n + 3, 8).serialize()
    ),
    "window updates": lambda _: f.WindowUpdateFrame(0, window_increment=1).serialize(),
}


def feed_each(server: ServerConnection, frames: Iterable[bytes]) -> None:
    """Feed frames at a thousand a second."""
    for number, frame in enumerate(frames):
        server.feed(frame, number / 1000)


@pytest.mark.parametrize("flood", FLOODS.values(), ids=FLOODS.keys())
def test_a_flood_ends_the_connection(flood: Callable[[int], bytes]) -> None:
    server = ServerConnection()
    server.feed(PREFACE + headers(1, REQUEST), 0)
    with pytest.raises(Refusal) as caught:
        feed_each(server, (flood(number) for number in range(1500)))
    assert caught.value.status == 429
    assert server.out().endswith(b"\0\0\0\x0b")  # GOAWAY, ENHANCE_YOUR_CALM


@pytest.mark.parametrize("flood", FLOODS.values(), ids=FLOODS.keys())
def test_the_same_at_leisure_is_none(flood: Callable[[int], bytes]) -> None:
    server = ServerConnection()
    server.feed(PREFACE + headers(1, REQUEST), 0)
    for number in range(1500):
        server.feed(flood(number), number)
        server.out()


def test_a_flood_of_continuations_ends_the_connection() -> None:
    server = ServerConnection()
    start = PREFACE + headers(1, REQUEST, ())
    with pytest.raises(Refusal):
        server.feed(start + f.ContinuationFrame(1, data=b"").serialize() * 9, 0)


def test_a_header_block_has_a_bound_before_it_is_whole() -> None:
    server = ServerConnection()
    block = f.HeadersFrame(1, data=b"\0" * 40_000, flags=[]).serialize()
    more = f.ContinuationFrame(1, data=b"\0" * 40_000).serialize()
    with pytest.raises(Refusal):
        server.feed(PREFACE + block + more[:9], 0)


def test_a_bomb_of_compressed_fields_is_refused() -> None:
    encoder = Encoder()
    block = encoder.encode([*REQUEST, ("x-a", "y" * 4000)]) + encoder.encode([("x-a", "y" * 4000)]) * 1000
    frame = f.HeadersFrame(1, data=block, flags=["END_HEADERS"]).serialize()
    with pytest.raises(Refusal):
        ServerConnection().feed(PREFACE + frame, 0)


def test_a_frame_that_is_too_long_is_refused_by_its_head() -> None:
    for length in (FRAME_BYTES + 1, 2**24 - 1):
        with pytest.raises(Refusal):
            ServerConnection().feed(PREFACE + length.to_bytes(3) + b"\0\0\0\0\0\1", 0)


def test_more_streams_than_agreed_are_refused() -> None:
    server = ServerConnection()
    server.feed(PREFACE, 0)
    with pytest.raises(Refusal):
        feed_each(server, (headers(2 * number + 1, REQUEST) for number in range(CONCURRENT_STREAMS + 1)))


@pytest.mark.parametrize("raw", [b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"\x16\x03\x01", b"PRI * HTTP/2.0\r\n\r\nXX"])
def test_what_is_no_http2_is_refused(raw: bytes) -> None:
    with pytest.raises(Refusal):
        ServerConnection().feed(raw, 0)


# -- the end ----------------------------------------------------------------------------------------------------------


def test_a_server_that_leaves_still_answers_what_it_took() -> None:
    """nginx says GOAWAY after so many requests, and answers them (RFC 9113 section 6.8)."""
    client = ClientConnection()
    taken, left = client.send_request(GET, end=True), client.send_request(GET, end=True)
    goaway = f.GoAwayFrame(0, last_stream_id=taken, error_code=0, additional_data=b"bye").serialize()
    start = f.SettingsFrame(0).serialize() + headers(taken, RESPONSE)
    events = client.feed(start + goaway + data(taken, b"hi", ["END_STREAM"]), 0)
    assert (0, GoAway(taken, 0)) in events
    assert of(events, taken) == [ResponseHead(200, "", ()), Data(b"hi"), End()]
    assert of(events, left) == [Reset(7)]
    assert not client.usable
    with pytest.raises(Refusal):
        client.send_request(GET, end=True)


def test_a_connection_that_closes_resets_what_was_under_way() -> None:
    client = ClientConnection()
    stream = client.send_request(GET, end=True)
    assert client.eof() == [(stream, Reset(8))]
    assert client.eof() == []


def test_closing_says_goaway() -> None:
    server = ServerConnection()
    server.feed(PREFACE + headers(1, REQUEST), 0)
    server.out()
    server.close()
    assert server.out()[3] == 7
    with pytest.raises(Refusal):
        server.send_response(1, ResponseHead(200, "", ()), end=True)


# -- any bytes --------------------------------------------------------------------------------------------------------

GOOD = (
    headers(1, with_field("x", "y"))
    + data(1, b"hello")
    + f.PingFrame(0, opaque_data=b"12345678").serialize()
    + headers(1, [("x", "y")], WHOLE)
    + headers(3, REQUEST, WHOLE)
    + f.GoAwayFrame(0, last_stream_id=0).serialize()
    + f.WindowUpdateFrame(0, window_increment=5).serialize()
)


@given(st.lists(st.integers(0, len(GOOD) + len(PREFACE)), max_size=20))
def test_no_cut_changes_the_reading(cuts: list[int]) -> None:
    raw = PREFACE + GOOD
    edges = sorted({0, len(raw), *cuts})
    server = ServerConnection()
    parts = [raw[start:stop] for start, stop in pairwise(edges)]
    events = [event for part in parts for event in server.feed(part, 0)]
    assert events == ServerConnection().feed(raw, 0)
    assert (0, GoAway(0, 0)) in events


@given(st.binary(max_size=60), st.integers(0, len(GOOD)), st.integers(0, 12), st.sampled_from(["server", "client"]))
def test_any_bytes_are_read_or_refused(noise: bytes, at: int, dropped: int, role: str) -> None:
    mutated = GOOD[:at] + noise[:6] + GOOD[at + dropped :]
    for raw in (noise, PREFACE + noise, PREFACE + mutated, PREFACE[24:] + mutated):
        peer = ServerConnection() if role == "server" else ClientConnection()
        if isinstance(peer, ClientConnection):
            peer.send_request(GET, end=True)
        with suppress(Refusal):
            peer.feed(raw, 0)
        peer.out()
        peer.eof()


@given(st.binary(max_size=200))
def test_frames_alone_are_screened_or_refused(noise: bytes) -> None:
    with suppress(Refusal):
        passed = Frames("response").screen(noise, 0)
        assert sum(len(part) for part in passed if isinstance(part, bytes)) <= len(noise)


# -- real parties -----------------------------------------------------------------------------------------------------


def needed(program: str) -> str:
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"only on machines with {program}")
    return found


class EchoServer:
    """Answers each request with what it was, in JSON, and a trailer; drives `ServerConnection` over plain TCP."""

    def __enter__(self) -> "EchoServer":
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                threading.Thread(target=self._connection, args=(connection,), daemon=True).start()

    def _connection(self, connection: socket.socket) -> None:
        server, asked, waiting = ServerConnection("http"), {}, {}
        with connection, suppress(OSError):
            connection.sendall(server.out())
            while received := connection.recv(65536):
                for stream, event in server.feed(received, 0):
                    if isinstance(event, RequestHead):
                        asked[stream] = (event, bytearray())
                    elif isinstance(event, Data):
                        asked[stream][1].extend(event.data)
                        server.acknowledge(stream, len(event.data))
                    elif isinstance(event, End):
                        head, body = asked.pop(stream)
                        waiting[stream] = self._answer(head, body)
                        server.send_response(stream, ResponseHead(200, "", (("content-type", "application/json"),)))
                for stream, rest in list(waiting.items()):
                    waiting[stream] = rest[server.send_data(stream, rest) :]
                    if not waiting[stream]:
                        server.send_trailers(stream, (("x-trailer", "here"),))
                        del waiting[stream]
                connection.sendall(server.out())

    @staticmethod
    def _answer(head: RequestHead, body: bytearray) -> bytes:
        said = {"method": head.method, "target": head.target, "headers": dict(head.headers), "length": len(body)}
        return json.dumps({**said, "padding": "x" * 300_000}).encode()


def test_curl_is_served(tmp_path: Any) -> None:
    (tmp_path / "body").write_bytes(b"b" * 1_000_000)
    with EchoServer() as server:
        url = f"http://127.0.0.1:{server.port}/a?b"
        command = [needed("curl"), "-sS", "--noproxy", "*", "--http2-prior-knowledge", "-D", "-", "-H", "x-y: z"]
        done = subprocess.run(
            [*command, "--data-binary", f"@{tmp_path / 'body'}", url], capture_output=True, timeout=60, check=True
        )
    head, _, body = done.stdout.partition(b"\r\n\r\n")
    said = json.loads(body[: body.rindex(b"}") + 1])
    assert head.startswith(b"HTTP/2 200")
    assert (said["method"], said["target"], said["length"]) == ("POST", "/a?b", 1_000_000)
    assert said["headers"]["host"] == f"127.0.0.1:{server.port}" and said["headers"]["x-y"] == "z"
    assert b"x-trailer: here" in done.stdout


def test_nghttp_is_served_on_many_streams() -> None:
    with EchoServer() as server:
        command = [needed("nghttp"), "-v", "--multiply=50", f"http://127.0.0.1:{server.port}/"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.count("x-trailer: here") == 50


NODE_SERVER = """
const h2 = require('http2');
const s = h2.createServer();
s.on('stream', (stream, headers) => {
  let n = 0;
  stream.on('data', d => n += d.length).on('end', () => {
    const head = {':status': 200, 'x-path': headers[':path'], 'x-auth': headers[':authority']};
    stream.respond(head, {waitForTrailers: true});
    stream.on('wantTrailers', () => stream.sendTrailers({'grpc-status': '0', 'x-length': String(n)}));
    stream.end(Buffer.alloc(1000000, 'y'));
  });
});
s.listen(0, '127.0.0.1', () => console.log(s.address().port));
"""


def exchange(port: int, requests: list[tuple[RequestHead, bytes]]) -> dict[int, list[Any]]:
    """Send all requests at once over one connection, and collect what comes of each."""
    client = ClientConnection("http")
    rest: dict[int, bytes] = {}
    found: dict[int, list[Any]] = {}
    for head, body in requests:
        stream = client.send_request(head, len(body) if body else None, end=not body)
        found[stream] = []
        if body:
            rest[stream] = body
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        while not client.idle:
            for stream, body in list(rest.items()):
                rest[stream] = body[client.send_data(stream, body) :]
                if not rest[stream]:
                    client.send_data(stream, b"", end=True)
                    del rest[stream]
            connection.sendall(client.out())
            received = connection.recv(65536)
            assert received, "the server closed"
            for stream, event in client.feed(received, 0):
                if stream and not isinstance(event, Sendable):
                    found[stream].append(event)
                if isinstance(event, Data):
                    client.acknowledge(stream, len(event.data))
    return found


def test_a_node_server_is_asked() -> None:
    process = subprocess.Popen([needed("node"), "-e", NODE_SERVER], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        head = RequestHead("POST", "/p?q", (("host", "a.example"), ("te", "trailers")))
        found = exchange(port, [(head, b"z" * 500_000), (GET, b"")])
    finally:
        process.kill()
        process.communicate()
    for stream, length, path in ((1, "500000", "/p?q"), (3, "0", "/")):
        first, *parts, trailers, end = found[stream]
        assert (first.status, dict(first.headers)["x-path"]) == (200, path)
        assert dict(first.headers)["x-auth"] == "a.example"
        assert b"".join(part.data for part in parts) == b"y" * 1_000_000
        assert trailers == Trailers((("grpc-status", "0"), ("x-length", length))) and end == End()


NODE_CLIENT = """
const c = require('http2').connect('http://127.0.0.1:' + process.argv[1]);
const r = c.request({':method': 'POST', ':path': '/n', te: 'trailers', cookie: ['a=b', 'c=d']});
let n = 0;
r.on('data', d => n += d.length).on('trailers', t => console.log(JSON.stringify(t)));
r.on('end', () => { console.log(n); c.close(); });
r.end(Buffer.alloc(400000, 'z'));
"""


def test_a_node_client_is_served() -> None:
    with EchoServer() as server:
        command = [needed("node"), "-e", NODE_CLIENT, str(server.port)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    trailers, length = done.stdout.split()
    assert json.loads(trailers)["x-trailer"] == "here" and int(length) > 300_000


def test_nghttpd_is_asked(tmp_path: Any) -> None:
    (tmp_path / "file").write_bytes(b"f" * 300_000)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [needed("nghttpd"), "--no-tls", "-d", str(tmp_path), "-a", "127.0.0.1", str(port)], stdout=subprocess.DEVNULL
    )
    try:
        wait_for(port)
        head = RequestHead("GET", "/file", (("host", "a.example"),))
        missing = RequestHead("GET", "/missing", (("host", "a.example"),))
        found = exchange(port, [(head, b""), (missing, b"")])
    finally:
        process.kill()
        process.communicate()
    assert b"".join(event.data for event in found[1] if isinstance(event, Data)) == b"f" * 300_000
    assert found[1][0].status == 200 and found[3][0].status == 404


def wait_for(port: int) -> None:
    for _ in range(200):
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        threading.Event().wait(0.05)
    raise AssertionError("the server did not start")
