"""However an answer is cut on its way, the same is heard. No socket here, so that the cuts are exact."""

from __future__ import annotations

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.exchange import Timeouts
from penstock.gateway.outbox import Outbox
from penstock.gateway.upstream import Limits, NetworkSettings
from penstock.gateway.upstream.connection import Connection
from penstock.gateway.upstream.dialling import Route
from penstock.gateway.upstream.heads import Start
from penstock.gateway.upstream.ongoing import Ongoing
from penstock.gateway.upstream.origins import parse
from penstock.gateway.upstream.pool import Pool
from penstock.gateway.upstream.timers import Wheel
from tests.support.upstream import Heard, ask
from tests.support.wire import Wire


def heard_of(pieces: list[bytes]) -> Heard:
    """What is heard of the pieces and the end after them."""
    loop = asyncio.new_event_loop()
    try:
        place = parse("http://a.example/")
        pool = Pool(
            Route(place.origin, None, NetworkSettings()),
            Limits(),
            Wheel(loop),
            Outbox(loop),
            lambda: 0.0,
            lambda *_: None,
        )
        connection, heard, wire = Connection(pool), Heard(), Wire()
        connection.connection_made(wire)  # type: ignore[arg-type]  # as much of a transport as is asked
        head = Start("POST", place).head([], {})
        ongoing = Ongoing(heard, ask("http://a.example/"), head, Timeouts(), float("inf"), loop)
        connection.start(ongoing, 0.0)
        pool.outbox.send()
        for piece in pieces:
            if not wire.closed:
                connection.data_received(piece)
        if not wire.closed:
            connection.eof_received()
        return heard
    finally:
        loop.close()


NAMES = st.sampled_from([b"X-A", b"Date", b"set-cookie", b"X-Request-Id", b"Server"])
VALUES = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=12).map(str.encode)


@st.composite
def answers(draw: st.DrawFn) -> tuple[bytes, list[tuple[bytes, bytes]], bytes]:
    """The bytes of a valid answer, its headers and its body."""
    headers = draw(st.lists(st.tuples(NAMES, VALUES), max_size=5))
    parts = draw(st.lists(st.binary(min_size=1, max_size=40), max_size=6))
    body = b"".join(parts)
    interim = b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" * draw(st.integers(0, 2))
    framing = draw(st.sampled_from(["length", "chunked", "end"]))
    if framing == "length":
        headers.append((b"Content-Length", b"%d" % len(body)))
    elif framing == "chunked":
        headers.append((b"Transfer-Encoding", b"chunked"))
    head = b"".join(b"%b: %b\r\n" % pair for pair in headers)
    sent = body
    if framing == "chunked":
        extension = draw(st.sampled_from([b"", b";a=b"]))
        sent = b"".join(b"%x%b\r\n%b\r\n" % (len(part), extension, part) for part in parts)
        sent += b"0\r\n" + draw(st.sampled_from([b"", b"X-Trailer: t\r\n"])) + b"\r\n"
    whole = interim + b"HTTP/1.1 200 OK\r\n" + head + b"\r\n" + sent
    return whole, [(name.lower(), value) for name, value in headers], body


@settings(max_examples=1000)
@given(answers(), st.data())
def test_any_cut_is_heard_the_same(answer: tuple[bytes, list[tuple[bytes, bytes]], bytes], data: st.DataObject) -> None:
    whole, headers, body = answer
    cuts = sorted(data.draw(st.lists(st.integers(1, max(1, len(whole) - 1)), max_size=8)))
    pieces = [whole[start:end] for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True) if start < end]
    heard = heard_of(pieces)
    assert (heard.status, heard.headers, heard.body) == (200, headers, body)
    assert heard.told[0] == "head" and heard.told[-1] == "end"
    assert heard_of([bytes([each]) for each in whole]).body == body


@settings(max_examples=300)
@given(answers(), st.data())
def test_a_part_is_never_taken_for_the_whole(
    answer: tuple[bytes, list[tuple[bytes, bytes]], bytes], data: st.DataObject
) -> None:
    """Cut short anywhere, an answer whose length is known is broken, and nothing is heard that was not sent."""
    whole, headers, body = answer
    part = whole[: data.draw(st.integers(0, len(whole) - 1))]
    heard = heard_of([part])
    known = any(name in (b"content-length", b"transfer-encoding") for name, _ in headers)
    assert body.startswith(heard.body)
    assert heard.told[-1] == ("broken" if known or not heard.status else "end")


@settings(max_examples=300)
@given(st.binary(max_size=200), st.binary(max_size=60))
def test_garbage_breaks_nothing(garbage: bytes, more: bytes) -> None:
    """Whatever comes: one end or one breaking, and no exception."""
    for pieces in ([garbage, more], [b"HTTP/1.1 200 OK\r\n" + garbage, more]):
        heard = heard_of([piece for piece in pieces if piece])
        assert [told for told in heard.told if told in ("end", "broken")] == heard.told[-1:]
