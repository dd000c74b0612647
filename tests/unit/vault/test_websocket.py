"""WebSocket: no secret crosses in any cut of frames and bytes, no frame passes that could be read two ways.

wsproto stands for the honest parties: it writes what goes in, and reads what comes out.
"""

import base64
import itertools
import struct
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Event, Ping, Pong, TextMessage

from penstock.vault.values import Headers, Refusal, RequestHead, ResponseHead
from penstock.vault.websocket import (
    ClientFrames,
    Handshake,
    ServerFrames,
    accept_of,
    check_request,
    check_response,
    client_response,
    upstream_request,
)

SECRET, STUB = b"sk-fake-secret-000", b"sk-stub-public-111"


class Swap:
    """A scrubber of one secret, as the real one speaks: same length, holds back what could be a beginning."""

    def __init__(self) -> None:
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        data = (self._held + data).replace(SECRET, STUB)
        size = next((n for n in range(len(SECRET) - 1, 0, -1) if data.endswith(SECRET[:n])), 0)
        self._held = data[len(data) - size :]
        return data[: len(data) - size]

    def end(self) -> bytes:
        return self._held


def frame(opcode: int, payload: bytes, fin: bool = True, mask: bytes = b"", rsv: int = 0) -> bytes:
    first = bytes((opcode | (0x80 if fin else 0) | rsv,))
    bit = 0x80 if mask else 0
    if len(payload) < 126:
        length = bytes((len(payload) | bit,))
    elif len(payload) < 1 << 16:
        length = bytes((126 | bit,)) + struct.pack(">H", len(payload))
    else:
        length = bytes((127 | bit,)) + struct.pack(">Q", len(payload))
    if mask:
        payload = bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))
    return first + length + mask + payload


def read(raw: bytes, role: ConnectionType = ConnectionType.CLIENT) -> list[Event]:
    """What the other party understands of `raw`, messages joined."""
    connection = Connection(role)
    connection.receive_data(raw)
    found: list[Event] = []
    text, blob = "", b""
    for event in connection.events():
        if isinstance(event, TextMessage):
            text += event.data
            if event.message_finished:
                found.append(TextMessage(text))
                text = ""
        elif isinstance(event, BytesMessage):
            blob += event.data
            if event.message_finished:
                found.append(BytesMessage(blob))
                blob = b""
        else:
            found.append(event)
    assert not text and not blob
    return found


# -- from the server --------------------------------------------------------------------------------------------------


def test_a_message_that_came_whole_goes_out_whole() -> None:
    assert ServerFrames(Swap).feed(frame(1, b"key " + SECRET + b"!")) == frame(1, b"key " + STUB + b"!")


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65535, 65536, 300_000])
def test_messages_of_any_size(size: int) -> None:
    assert ServerFrames(Swap).feed(frame(2, b"x" * size)) == frame(2, b"x" * size)


def test_a_secret_across_fragments_is_found_and_pings_between_do_not_wait() -> None:
    frames = ServerFrames(Swap)
    first = frames.feed(frame(1, b"key " + SECRET[:5], fin=False))
    assert first == frame(1, b"key ", fin=False)
    assert frames.feed(frame(9, b"ping")) == frame(9, b"ping")
    last = frames.feed(frame(0, SECRET[5:] + b"!"))
    assert read(first + last) == [TextMessage(f"key {STUB.decode()}!")]


def test_a_message_that_is_all_tail_ends() -> None:
    frames = ServerFrames(Swap)
    out = frames.feed(frame(1, SECRET[:5], fin=False))
    assert out == b""
    assert frames.feed(frame(0, b"")) == frame(1, SECRET[:5])


def test_a_message_ends_with_what_was_held_back_and_the_next_begins_anew() -> None:
    frames = ServerFrames(Swap)
    out = frames.feed(frame(1, SECRET[:5]) + frame(1, SECRET[5:]))
    assert out == frame(1, SECRET[:5]) + frame(1, SECRET[5:])


@pytest.mark.parametrize("opcode", [9, 10])
def test_control_frames_are_scrubbed(opcode: int) -> None:
    assert ServerFrames(Swap).feed(frame(opcode, SECRET)) == frame(opcode, STUB)


def test_the_reason_of_a_close_is_scrubbed_and_nothing_follows() -> None:
    frames = ServerFrames(Swap)
    assert frames.feed(frame(8, struct.pack(">H", 1000) + SECRET)) == frame(8, struct.pack(">H", 1000) + STUB)
    assert frames.closed
    frames.eof()
    with pytest.raises(Refusal):
        frames.feed(frame(1, b"more"))


def test_a_large_frame_streams() -> None:
    """Nothing waits for its end: 4 GiB may be announced, and each piece goes on as it comes."""
    frames = ServerFrames(Swap)
    assert frames.feed(b"\x82\x7f" + (1 << 32).to_bytes(8)) == b""
    for _ in range(3):
        assert frames.feed(b"x" * 70_000).endswith(b"x" * 70_000)


PIECES = st.sampled_from([SECRET, SECRET[:7], SECRET[7:], b"x", b"", b"sk-", b"y" * 130, "ä".encode()])


@given(st.lists(st.lists(PIECES, min_size=1, max_size=4), max_size=4), st.lists(st.integers(0, 900), max_size=10))
def test_no_secret_crosses_in_any_cut(messages: list[list[bytes]], cuts: list[int]) -> None:
    raw, expected = b"", []
    for pieces in messages:
        for index, piece in enumerate(pieces):
            raw += frame(0 if index else 2, piece, fin=index == len(pieces) - 1)
            raw += frame(9, SECRET)
        whole = b"".join(pieces)
        expected.append(whole.replace(SECRET, STUB))
    edges = sorted({0, len(raw), *(cut for cut in cuts if cut < len(raw))})
    frames = ServerFrames(Swap)
    out = b"".join(frames.feed(raw[start:stop]) for start, stop in itertools.pairwise(edges))
    frames.eof()
    found = read(out)
    assert [bytes(event.data) for event in found if isinstance(event, BytesMessage)] == expected
    assert all(event.payload == STUB for event in found if isinstance(event, Ping))
    assert SECRET not in out


REFUSED = {
    "reserved bit 1, as compression uses it": frame(1, b"x", rsv=0x40),
    "reserved bit 2": frame(1, b"x", rsv=0x20),
    "reserved bit 3": frame(9, b"x", rsv=0x10),
    "opcode 3": frame(3, b"x"),
    "opcode 11": frame(11, b"x"),
    "a fragment without its message": frame(0, b"x"),
    "a message within another": frame(1, b"x", fin=False) + frame(2, b"y"),
    "a ping in fragments": frame(9, b"x", fin=False),
    "a ping that is too long": frame(9, b"x" * 126),
    "a close of one byte": frame(8, b"x"),
    "a close without a code that may be": frame(8, struct.pack(">H", 1005)),
    "a close with a code below": frame(8, struct.pack(">H", 999)),
    "a close whose reason is no text": frame(8, struct.pack(">H", 1000) + b"\xff"),
    "something behind a close": frame(8, b"") + frame(1, b"x"),
    "a length in two bytes too many": b"\x81\x7e\x00\x05hello",
    "a length in eight bytes too many": b"\x81\x7f" + (70).to_bytes(8) + b"x" * 70,
    "a length with its highest bit": b"\x82\x7f" + (1 << 63).to_bytes(8),
    "a length past the cap": b"\x82\x7f" + ((1 << 32) + 1).to_bytes(8),
    "a flood of empty fragments": frame(1, b"", fin=False) + frame(0, b"", fin=False) * 65,
}


def masked(raw: bytes) -> bytes:
    """The same frame heads, of a client: the mask is zero, so the payload looks the same."""
    out, at = b"", 0
    while at < len(raw):
        wide = {126: 2, 127: 8}.get(raw[at + 1], 0)
        length = int.from_bytes(raw[at + 2 : at + 2 + wide]) if wide else raw[at + 1]
        body = at + 2 + wide
        out += (
            raw[at : at + 1] + bytes((raw[at + 1] | 0x80,)) + raw[at + 2 : body] + bytes(4) + raw[body : body + length]
        )
        at = body + length
    return out


def drip(frames: ServerFrames | ClientFrames, raw: bytes, step: int) -> bytes:
    return b"".join(frames.feed(raw[at : at + step]) for at in range(0, len(raw), step))


@pytest.mark.parametrize("step", [1, 1000])
@pytest.mark.parametrize("raw", REFUSED.values(), ids=REFUSED.keys())
def test_a_malformed_frame_is_refused_on_both_sides(raw: bytes, step: int) -> None:
    server, client = ServerFrames(Swap), ClientFrames()
    with pytest.raises(Refusal) as caught:
        drip(server, raw, step)
    assert (caught.value.code, caught.value.status) == ("bad_websocket", 502)
    with pytest.raises(Refusal) as caught:
        drip(client, masked(raw), step)
    assert (caught.value.code, caught.value.status) == ("bad_websocket", 400)
    for frames in (server, client):
        with pytest.raises(Refusal):
            frames.feed(b"")


def test_the_mask_is_the_clients() -> None:
    with pytest.raises(Refusal):
        ServerFrames(Swap).feed(frame(1, b"x", mask=b"abcd"))
    with pytest.raises(Refusal):
        ClientFrames().feed(frame(1, b"x"))


@pytest.mark.parametrize("raw", [b"\x81", frame(1, b"hello")[:4], frame(1, b"x", fin=False)])
def test_an_end_in_the_middle_is_told(raw: bytes) -> None:
    for frames, sent in ((ServerFrames(Swap), raw), (ClientFrames(), masked(raw) if len(raw) > 1 else raw)):
        frames.feed(sent)
        with pytest.raises(Refusal):
            frames.eof()


# -- from the client --------------------------------------------------------------------------------------------------

MASKS = st.binary(min_size=4, max_size=4)


@given(st.lists(st.tuples(PIECES, MASKS, st.booleans()), min_size=1, max_size=6), st.lists(st.integers(0, 900)))
def test_a_client_is_passed_on_as_it_is_and_looked_at(pieces: list[tuple[bytes, bytes, bool]], cuts: list[int]) -> None:
    raw, messages, fresh = b"", [b""], True
    for payload, mask, fin in [*pieces, (b"end", b"mask", True)]:
        raw += frame(2 if fresh else 0, payload, fin, mask) + frame(10, b"pong", mask=mask)
        messages[-1] += payload
        fresh = fin
        if fin:
            messages.append(b"")
    seen: list[bytes] = [b""]

    pongs: list[bytes] = []

    def look(piece: bytes, last: bool) -> None:
        seen[-1] += piece
        if last:
            seen.append(b"")

    frames = ClientFrames(look, pongs.append)
    edges = sorted({0, len(raw), *(cut for cut in cuts if cut < len(raw))})
    out = b"".join(frames.feed(raw[start:stop]) for start, stop in itertools.pairwise(edges))
    frames.eof()
    assert out == raw
    assert seen == messages
    assert pongs == [b"pong"] * (len(pieces) + 1)
    assert Pong(b"pong") in read(out, ConnectionType.SERVER)


def test_what_the_look_refuses_does_not_go_on() -> None:
    def look(piece: bytes, last: bool) -> None:
        if STUB in piece:
            raise Refusal("stub_misused", "A stub was seen where it does not belong.")

    frames = ClientFrames(look)
    assert frames.feed(frame(1, b"fine", mask=b"abcd"))
    with pytest.raises(Refusal) as caught:
        frames.feed(frame(1, b"fine", mask=b"abcd") + frame(1, STUB, mask=b"abcd"))
    assert caught.value.code == "stub_misused"


@pytest.mark.parametrize("role", ["client", "server"])
def test_wsproto_is_understood(role: str) -> None:
    kind = ConnectionType.CLIENT if role == "client" else ConnectionType.SERVER
    party = Connection(kind)
    events: list[Event] = [
        TextMessage("hello ä", message_finished=False),
        Ping(b"p"),
        TextMessage(" world"),
        BytesMessage(b"z" * 70_000),
        CloseConnection(1000, "bye"),
    ]
    raw = b"".join(party.send(event) for event in events)
    frames = ClientFrames() if role == "client" else ServerFrames(Swap)
    other = ConnectionType.SERVER if role == "client" else ConnectionType.CLIENT
    found = read(drip(frames, raw, 999), other)
    assert TextMessage("hello ä world") in found and BytesMessage(b"z" * 70_000) in found
    assert found[-1] == CloseConnection(1000, "bye")


@given(st.binary(max_size=200), st.integers(1, 50))
def test_any_bytes_are_read_or_refused(noise: bytes, step: int) -> None:
    for frames in (ServerFrames(Swap), ClientFrames(lambda piece, last: None)):
        with suppress(Refusal):
            drip(frames, noise, step)
            frames.eof()


# -- the handshake ----------------------------------------------------------------------------------------------------

KEY = base64.b64encode(b"0123456789abcdef").decode()
FIELDS: Headers = (
    ("host", "a.example"),
    ("connection", "keep-alive, Upgrade"),
    ("upgrade", "WebSocket"),
    ("sec-websocket-version", "13"),
    ("sec-websocket-key", KEY),
    ("sec-websocket-extensions", "permessage-deflate; client_max_window_bits"),
    ("sec-websocket-protocol", "chat, superchat"),
)
REQUEST = RequestHead("GET", "/ws", FIELDS)
ASKED = Handshake(KEY, ("chat", "superchat"))
ANSWER: Headers = (
    ("connection", "Upgrade"),
    ("upgrade", "websocket"),
    ("sec-websocket-accept", accept_of(KEY)),
    ("sec-websocket-protocol", "chat"),
)


def changed(fields: Headers, name: str, *values: str) -> Headers:
    return (*(field for field in fields if field[0] != name), *((name, value) for value in values))


def test_the_accept_of_the_rfc() -> None:
    assert accept_of("dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


def test_a_handshake() -> None:
    assert check_request(REQUEST) == ASKED
    check_response(ASKED, ResponseHead(101, "", ANSWER))
    check_response(ASKED, ResponseHead(101, "", changed(ANSWER, "sec-websocket-protocol")))


def test_extensions_are_not_offered() -> None:
    sent = upstream_request(REQUEST)
    assert "sec-websocket-extensions" not in dict(sent.headers)
    assert sent.values("connection") == ["Upgrade"] and sent.values("upgrade") == ["websocket"]
    assert check_request(sent) == ASKED
    told = client_response(ResponseHead(101, "x", (*ANSWER, ("content-length", "0"))))
    assert "content-length" not in dict(told.headers)
    check_response(ASKED, told)


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (RequestHead("POST", "/", FIELDS), 400),
        (RequestHead("GET", "/", (*FIELDS, ("content-length", "5"))), 400),
        (RequestHead("GET", "/", (*FIELDS, ("transfer-encoding", "chunked"))), 400),
        (RequestHead("GET", "/", changed(FIELDS, "upgrade")), 400),
        (RequestHead("GET", "/", changed(FIELDS, "upgrade", "websocket", "h2c")), 400),
        (RequestHead("GET", "/", changed(FIELDS, "upgrade", "websocket, h2c")), 400),
        (RequestHead("GET", "/", changed(FIELDS, "connection", "keep-alive")), 400),
        (RequestHead("GET", "/", changed(FIELDS, "sec-websocket-version", "8")), 426),
        (RequestHead("GET", "/", changed(FIELDS, "sec-websocket-version", "13", "8")), 426),
        (RequestHead("GET", "/", changed(FIELDS, "sec-websocket-version")), 426),
        (RequestHead("GET", "/", changed(FIELDS, "sec-websocket-key")), 400),
        (RequestHead("GET", "/", changed(FIELDS, "sec-websocket-key", KEY, KEY)), 400),
        (RequestHead("GET", "/", changed(FIELDS, "sec-websocket-key", "c2hvcnQ=")), 400),
        (RequestHead("GET", "/", changed(FIELDS, "sec-websocket-key", "ä" * 24)), 400),
        (RequestHead("GET", "/", changed(FIELDS, "sec-websocket-protocol", "a b")), 400),
        (RequestHead("GET", "/", changed(FIELDS, "sec-websocket-protocol", "a, a")), 400),
    ],
)
def test_a_handshake_that_is_none(head: RequestHead, status: int) -> None:
    with pytest.raises(Refusal) as caught:
        check_request(head)
    assert (caught.value.code, caught.value.status) == ("bad_websocket", status)


@pytest.mark.parametrize(
    "head",
    [
        ResponseHead(200, "", ANSWER),
        ResponseHead(101, "", changed(ANSWER, "upgrade", "h2c")),
        ResponseHead(101, "", changed(ANSWER, "connection")),
        ResponseHead(101, "", changed(ANSWER, "sec-websocket-accept")),
        ResponseHead(101, "", changed(ANSWER, "sec-websocket-accept", accept_of("other"))),
        ResponseHead(101, "", changed(ANSWER, "sec-websocket-accept", accept_of(KEY), accept_of(KEY))),
        ResponseHead(101, "", (*ANSWER, ("sec-websocket-extensions", "permessage-deflate"))),
        ResponseHead(101, "", changed(ANSWER, "sec-websocket-protocol", "other")),
        ResponseHead(101, "", changed(ANSWER, "sec-websocket-protocol", "chat", "superchat")),
    ],
)
def test_an_answer_that_is_none(head: ResponseHead) -> None:
    with pytest.raises(Refusal) as caught:
        check_response(ASKED, head)
    assert (caught.value.code, caught.value.status) == ("bad_websocket", 502)
