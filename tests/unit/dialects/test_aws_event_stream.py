"""The AWS event stream: what is written is read again, by us and by botocore; what is damaged is never believed."""

import struct
from binascii import crc32
from contextlib import suppress
from typing import Any

import pytest
from botocore.eventstream import ChecksumMismatch, DuplicateHeader, EventStreamBuffer
from hypothesis import given
from hypothesis import strategies as st

from penstock.dialects import aws_event_stream as aws
from penstock.dialects.aws_event_stream import AwsEventStream, Header, HeaderType
from penstock.dialects.framing import Frame, FrameParser
from penstock.types.errors import MalformedError

# -- one message, byte by byte -----------------------------------------------------------------------------------------

HEADER_BLOCK = bytes.fromhex(
    "0b3a6576656e742d74797065070007"  # :event-type, a string of 7 bytes
    "6d657373616765"  # message
    "0d3a636f6e74656e742d74797065070010"  # :content-type, a string of 16 bytes
    "6170706c69636174696f6e2f6a736f6e"  # application/json
    "0d3a6d6573736167652d74797065070005"  # :message-type, a string of 5 bytes
    "6576656e74"  # event
)


def test_an_event_has_the_documented_bytes() -> None:
    """The two checksums are computed here with another function than in the source."""
    payload = b'{"a":1}'
    lengths = bytes.fromhex("000000640000004d")  # 100 bytes in all, 77 of headers
    body = lengths + struct.pack(">I", crc32(lengths)) + HEADER_BLOCK + payload
    assert aws.write_event(payload, "message") == body + struct.pack(">I", crc32(body))


ALL_TYPES = (
    Header("true", True, HeaderType.TRUE),
    Header("false", False, HeaderType.FALSE),
    Header("byte", -128, HeaderType.BYTE),
    Header("short", 32767, HeaderType.SHORT),
    Header("integer", -(2**31), HeaderType.INTEGER),
    Header("long", 2**63 - 1, HeaderType.LONG),
    Header("bytes", b"\x00\xff", HeaderType.BYTES),
    Header("string", "Grüße 👋", HeaderType.STRING),
    Header("timestamp", 1_700_000_000_123, HeaderType.TIMESTAMP),
    Header("uuid", bytes(range(16)), HeaderType.UUID),
)


def read(data: bytes) -> list[Frame]:
    parser: FrameParser = AwsEventStream()
    return parser.feed(data) + parser.close()


def test_all_ten_types_of_headers() -> None:
    data = aws.write_message(ALL_TYPES, b"payload")
    (frame,) = read(data)
    assert frame == Frame(b"payload", None, {"headers": ALL_TYPES})
    assert aws.write_event(frame.data, frame.event or "", frame.transport) == data


def test_botocore_reads_all_ten_types() -> None:
    (message,) = peer(aws.write_message(ALL_TYPES, b"payload"))
    assert message == ({header.name: header.value for header in ALL_TYPES}, b"payload")


def peer(data: bytes) -> list[tuple[dict[str, Any], bytes]]:
    """(headers, payload) of every message, as botocore reads them."""
    buffer: Any = EventStreamBuffer()
    buffer.add_data(data)
    return [(message.headers, message.payload) for message in buffer]


# -- events, exceptions, errors ----------------------------------------------------------------------------------------


def test_an_event_needs_no_transport() -> None:
    data = aws.write_event(b"{}", "contentBlockDelta")
    assert read(data) == [Frame(b"{}", "contentBlockDelta")]
    assert aws.header_of(read(data)[0], ":message-type") == "event"
    assert peer(data)[0][0] == {
        ":event-type": "contentBlockDelta",
        ":content-type": "application/json",
        ":message-type": "event",
    }


def test_an_exception_says_so() -> None:
    data = aws.write_exception(b"{}", "throttlingException")
    (frame,) = read(data)
    assert frame.event == "throttlingException"
    assert aws.header_of(frame, ":message-type") == "exception"
    assert aws.header_of(frame, ":exception-type") == "throttlingException"
    assert aws.header_of(frame, ":error-code") is None
    assert aws.write_event(frame.data, "throttlingException", frame.transport) == data


def test_an_error_that_the_service_does_not_model() -> None:
    headers = (
        Header(":message-type", "error"),
        Header(":error-code", "InternalError"),
        Header(":error-message", "it broke"),
    )
    (frame,) = read(aws.write_message(headers, b""))
    assert (frame.event, frame.data) == ("InternalError", b"")
    assert aws.header_of(frame, ":error-message") == "it broke"


ORDERS: list[tuple[Header, ...]] = [
    (Header(":message-type", "event"), Header(":event-type", "x"), Header(":content-type", "application/json")),
    (Header(":event-type", "x"), Header(":content-type", "text/plain"), Header(":message-type", "event")),
    (Header(":event-type", "x"), Header(":message-type", "event")),
    (Header(":event-type", 7, HeaderType.BYTE),),
    (),
]


@pytest.mark.parametrize("headers", ORDERS)
def test_headers_in_another_order_are_written_as_they_came(headers: tuple[Header, ...]) -> None:
    data = aws.write_message(headers, b"{}")
    (frame,) = read(data)
    assert frame.transport == {"headers": headers}
    assert aws.write_event(frame.data, frame.event or "", frame.transport) == data


def test_a_name_that_looks_like_more_headers_is_only_a_name() -> None:
    """The quick way to the plain headers must not be led astray by what stands inside of a value."""
    inner = aws.write_event(b"", "x")[12:-4].decode("latin-1")
    data = aws.write_event(b"{}", inner)
    assert [frame.event for frame in read(data)] == [inner]
    tricky = (Header(":event-type", "a"), Header("more", "b"), *ORDERS[1][2:])
    assert read(aws.write_message(tricky, b""))[0].transport == {"headers": tricky}


# -- any value, any split ----------------------------------------------------------------------------------------------

TEXT = st.text(st.characters(codec="utf-8"), max_size=40)
VALUES = st.one_of(
    st.builds(lambda flag: (flag, HeaderType.TRUE if flag else HeaderType.FALSE), st.booleans()),
    st.tuples(st.integers(-(2**7), 2**7 - 1), st.just(HeaderType.BYTE)),
    st.tuples(st.integers(-(2**15), 2**15 - 1), st.just(HeaderType.SHORT)),
    st.tuples(st.integers(-(2**31), 2**31 - 1), st.just(HeaderType.INTEGER)),
    st.tuples(st.integers(-(2**63), 2**63 - 1), st.sampled_from([HeaderType.LONG, HeaderType.TIMESTAMP])),
    st.tuples(st.binary(max_size=40), st.just(HeaderType.BYTES)),
    st.tuples(TEXT, st.just(HeaderType.STRING)),
    st.tuples(st.binary(min_size=16, max_size=16), st.just(HeaderType.UUID)),
)
HEADERS = st.lists(
    st.builds(
        lambda name, value: Header(name, *value), st.text(st.characters(codec="utf-8"), min_size=1, max_size=20), VALUES
    ),
    max_size=6,
    unique_by=lambda header: header.name,
)
MESSAGES = st.lists(st.tuples(HEADERS, st.binary(max_size=60)), max_size=5)


@given(MESSAGES, st.lists(st.integers(0, 120), max_size=20))
def test_any_messages_in_any_split(messages: list[tuple[list[Header], bytes]], sizes: list[int]) -> None:
    data = b"".join(aws.write_message(headers, payload) for headers, payload in messages)
    parser = AwsEventStream()
    frames: list[Frame] = []
    position = 0
    for size in sizes:
        frames += parser.feed(data[position : position + size])
        position += size
    frames += parser.feed(data[position:]) + parser.close()
    assert b"".join(aws.write_event(frame.data, frame.event or "", frame.transport) for frame in frames) == data
    assert peer(data) == [({header.name: header.value for header in headers}, payload) for headers, payload in messages]


def test_a_split_at_every_byte() -> None:
    data = aws.write_event(b'{"a":1}', "one") + aws.write_message(ALL_TYPES, b"") + aws.write_exception(b"{}", "two")
    whole = read(data)
    for position in range(len(data)):
        parser = AwsEventStream()
        assert parser.feed(data[:position]) + parser.feed(data[position:]) == whole
    parser = AwsEventStream()
    assert [frame for byte in data for frame in parser.feed(bytes([byte]))] == whole


def test_a_message_that_the_end_cuts_off_is_left_out() -> None:
    one, two = aws.write_event(b"{}", "one"), aws.write_event(b"{}", "two")
    assert [frame.event for frame in read(one + two[:-1])] == ["one"]
    assert read(one[:5]) == []


# -- damage ------------------------------------------------------------------------------------------------------------


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_one_changed_byte_is_always_noticed(position: int, flip: int) -> None:
    data = aws.write_message(ALL_TYPES, b'{"text":"hello"}')
    position %= len(data)
    damaged = data[:position] + bytes([data[position] ^ flip]) + data[position + 1 :]
    with pytest.raises(MalformedError, match="checksum"):
        read(damaged)
    with pytest.raises(ChecksumMismatch):
        peer(damaged)


def test_damage_is_reported_after_the_whole_messages_before_it_and_stays() -> None:
    good, bad = aws.write_event(b"{}", "good"), bytearray(aws.write_event(b"{}", "bad"))
    bad[-1] ^= 1
    parser = AwsEventStream()
    assert [frame.event for frame in parser.feed(good + bytes(bad) + good)] == ["good"]
    for _ in range(2):
        with pytest.raises(MalformedError):
            parser.feed(good)
    with pytest.raises(MalformedError):
        parser.close()


def forged(total: int, headers_length: int, rest: bytes = b"") -> bytes:
    """A message whose prelude has a right checksum, whatever it says."""
    lengths = struct.pack(">II", total, headers_length)
    return lengths + struct.pack(">I", crc32(lengths)) + rest


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (forged(15, 0), "payload"),
        (forged(0, 0), "payload"),
        (forged(100, 90), "payload"),
        (forged(2**32 - 1, 0), "payload"),
        (forged(aws.MAX_PAYLOAD + 17, 0), "payload"),
        (forged(2**20, aws.MAX_HEADERS + 1), "headers"),
        (b"event: message\ndata: {}\n\n", "no AWS event stream"),
    ],
)
def test_lengths_that_cannot_be_are_refused_before_anything_is_buffered(data: bytes, words: str) -> None:
    with pytest.raises(MalformedError, match=words):
        AwsEventStream().feed(data)


def with_block(block: bytes) -> bytes:
    """A message with right checksums around any bytes as headers."""
    data = forged(16 + len(block), len(block)) + block
    return data + struct.pack(">I", crc32(data))


@pytest.mark.parametrize(
    ("block", "words"),
    [
        (b"\x05ab", "cut off"),
        (b"\x01a", "cut off"),
        (b"\x01a\x0a", "unknown type 10"),
        (b"\x01a\x04\x00", "cut off"),
        (b"\x01a\x07\x00", "cut off"),
        (b"\x01a\x07\x00\x05ab", "cut off"),
        (b"\x01a\x09" + bytes(15), "cut off"),
        (b"\x01a\x07\x00\x01\xff", "UTF-8"),
        (b"\x01\xff\x00", "UTF-8"),
        (b"\x01a\x00\x01a\x01", "twice"),
    ],
)
def test_headers_that_cannot_be_are_refused(block: bytes, words: str) -> None:
    with pytest.raises(MalformedError, match=words):
        AwsEventStream().feed(with_block(block))


def test_botocore_refuses_doubled_headers_too() -> None:
    with pytest.raises(DuplicateHeader):
        peer(with_block(b"\x01a\x00\x01a\x01"))


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    for block in (data, with_block(data)):
        with suppress(MalformedError):
            assert all(isinstance(frame, Frame) for frame in AwsEventStream().feed(block))


@pytest.mark.parametrize(
    "header",
    [
        Header("", "x"),
        Header("n" * 256, "x"),
        Header("a", "x" * 0x10000),
        Header("a", b"x" * 0x10000, HeaderType.BYTES),
        Header("a", 128, HeaderType.BYTE),
        Header("a", "text", HeaderType.INTEGER),
        Header("a", 7, HeaderType.STRING),
        Header("a", b"short", HeaderType.UUID),
    ],
)
def test_headers_that_do_not_fit_are_not_written(header: Header) -> None:
    with pytest.raises(MalformedError):
        aws.write_message([header], b"")


def test_a_payload_that_does_not_fit_is_not_written() -> None:
    with pytest.raises(MalformedError, match="do not fit"):
        aws.write_event(bytes(aws.MAX_PAYLOAD + 1), "big")
    with pytest.raises(MalformedError, match="do not fit"):
        aws.write_message([Header(f"h{number}", "x" * 60_000) for number in range(3)], b"")


def test_the_largest_message_arrives_in_small_pieces() -> None:
    """Buffering is linear: a whole image in 1,500 pieces of the network's size."""
    payload = bytes(aws.MAX_PAYLOAD)
    data = aws.write_event(payload, "big")
    parser = AwsEventStream()
    frames = [frame for start in range(0, len(data), 16_384) for frame in parser.feed(data[start : start + 16_384])]
    assert [len(frame.data) for frame in frames] == [len(payload)]
