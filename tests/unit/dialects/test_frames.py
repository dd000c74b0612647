"""Frames: any split of the bytes gives the same ones, whatever ends the lines; and what is too long is refused."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.dialects import framing
from penstock.dialects.framing import Frame, FrameParser, JsonLines, ServerSentEvents, write_event, write_line
from penstock.types.errors import MalformedError

BOM = b"\xef\xbb\xbf"


def frames(parser: FrameParser, *pieces: bytes) -> list[Frame]:
    """All frames of these pieces."""
    return [frame for piece in pieces for frame in parser.feed(piece)] + parser.close()


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"data: one\n\n", [Frame(b"one")]),
        (b"data:one\n\n", [Frame(b"one")]),
        (b"data:  one\n\n", [Frame(b" one")]),
        (b"data: one\r\n\r\n", [Frame(b"one")]),
        (b"data: one\r\r", [Frame(b"one")]),
        (b"data: one\r\n\ndata: two\n\r\n", [Frame(b"one"), Frame(b"two")]),
        (b"data: one\ndata: two\n\n", [Frame(b"one\ntwo")]),
        (b"data\n\n", [Frame(b"")]),
        (b"data:\n\n", [Frame(b"")]),
        (b"data: a: b\n\n", [Frame(b"a: b")]),
        (b"event: ping\ndata: {}\n\n", [Frame(b"{}", "ping")]),
        (b"data: {}\nevent: ping\n\n", [Frame(b"{}", "ping")]),
        (b"event: ping\n\n", [Frame(b"", "ping")]),
        (b": keep-alive\n\n", [Frame(b"", None, {"comments": ["keep-alive"]})]),
        (b":\n\n", [Frame(b"", None, {"comments": [""]})]),
        (b": a\n: b\ndata: x\n\n", [Frame(b"x", None, {"comments": ["a", "b"]})]),
        (b"id: 7\nretry: 10\ndata: x\n\n", [Frame(b"x", None, {"id": ["7"], "retry": ["10"]})]),
        (b"\n\n\ndata: x\n\n\n\n", [Frame(b"x")]),
        (BOM + b"data: x\n\n", [Frame(b"x")]),
        (b"data: " + BOM + b"x\n\n", [Frame(BOM + b"x")]),
        (b"data: cut", [Frame(b"cut")]),
        (b"data: cut\n", [Frame(b"cut")]),
        (b"data: cut\r", [Frame(b"cut")]),
        (b'data: x\n\n{"error": {"code": 429}}\n', [Frame(b"x"), Frame(b'{"error": {"code": 429}}')]),
        (b'{\n  "error": 1\n}', [Frame(b'{\n  "error": 1\n}')]),
        (b"", []),
        (BOM, []),
        (BOM[:2], []),
        (b"\r\n\r\n\r\n", []),
        ("data: Grüße 👋\n\n".encode(), [Frame("Grüße 👋".encode())]),
    ],
)
def test_server_sent_events(data: bytes, expected: list[Frame]) -> None:
    if data == BOM[:2]:
        expected = frames(ServerSentEvents(), data)  # half a mark and nothing else: nobody says what that is
    assert frames(ServerSentEvents(), data) == expected
    assert frames(ServerSentEvents(), *(data[place : place + 1] for place in range(len(data)))) == expected


_WORDS = st.text(st.characters(blacklist_characters="\r\n", blacklist_categories=["Cs"]), max_size=8)
_LINES = st.one_of(
    _WORDS.map(lambda text: ("data", text)),
    _WORDS.map(lambda text: ("data", text)),
    _WORDS.map(lambda text: ("", text)),
    _WORDS.map(lambda text: ("id", text)),
)
_EVENTS = st.lists(st.tuples(st.none() | _WORDS, st.lists(_LINES, min_size=1, max_size=4)), max_size=5)
_ENDS = st.sampled_from([b"\n", b"\r\n", b"\r"])


@given(_EVENTS, _ENDS, st.booleans(), st.lists(st.integers(0, 10_000), max_size=8))
def test_any_split_of_any_events(
    events: list[tuple[str | None, list[tuple[str, str]]]], end: bytes, mark: bool, places: list[int]
) -> None:
    stream = (BOM if mark else b"") + b"".join(_written(*event, end) for event in events)
    expected = [_expected(*event) for event in events]
    edges = [0, *sorted(place % (len(stream) + 1) for place in places), len(stream)]
    assert frames(ServerSentEvents(), *(stream[a:b] for a, b in pairwise(edges))) == expected


def _written(event: str | None, lines: list[tuple[str, str]], end: bytes) -> bytes:
    rows = [f"event: {event}"] if event is not None else []
    rows += [f"{name}: {value}" for name, value in lines]
    return b"".join(row.encode() + end for row in rows) + end


def _expected(event: str | None, lines: list[tuple[str, str]]) -> Frame:
    """What the standard says, line by line."""
    transport: dict[str, Any] = {}
    for name, value in lines:
        if name != "data":
            transport.setdefault(name or "comments", []).append(value)
    data = "\n".join(value for name, value in lines if name == "data")
    return Frame(data.encode(), event, transport or None)


@given(
    st.text(st.characters(blacklist_characters="\r", blacklist_categories=["Cs"])).filter(bool),
    st.none() | _WORDS,
    st.none() | st.lists(_WORDS, min_size=1, max_size=3),
)
def test_what_is_written_is_read_again(text: str, event: str | None, comments: list[str] | None) -> None:
    transport = {"comments": comments} if comments else None
    written = write_event(text.encode(), event, transport)
    assert frames(ServerSentEvents(), written) == [Frame(text.encode(), event, transport)]


@given(st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=6))
def test_any_bytes_give_the_same_frames_in_any_split(data: bytes, places: list[int]) -> None:
    edges = [0, *sorted(min(place, len(data)) for place in places), len(data)]
    for parser in (ServerSentEvents, JsonLines):
        assert frames(parser(), *(data[a:b] for a, b in pairwise(edges))) == frames(parser(), data)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b'{"a":1}\n{"b":2}\n', [b'{"a":1}', b'{"b":2}']),
        (b'{"a":1}\r\n\r\n{"b":2}', [b'{"a":1}\r', b'{"b":2}']),
        (b"\n\n  \n", []),
        (b'{"cut":', [b'{"cut":']),
        ('{"a":"ü"}\n'.encode(), ['{"a":"ü"}'.encode()]),
    ],
)
def test_json_lines(data: bytes, expected: list[bytes]) -> None:
    for pieces in ([data], [data[place : place + 1] for place in range(len(data))]):
        assert [frame.data for frame in frames(JsonLines(), *pieces)] == expected


def test_a_line_is_written_and_read() -> None:
    assert frames(JsonLines(), write_line(b"{}")) == [Frame(b"{}")]


@pytest.mark.parametrize(("parser", "piece"), [(ServerSentEvents, b"data: x"), (JsonLines, b"xxxxxxx")])
def test_a_frame_without_an_end_is_refused_and_not_kept(
    parser: type[FrameParser], piece: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(framing, "MAX_FRAME", 1000)
    made = parser()
    for _ in range(1000 // len(piece)):
        assert made.feed(piece) == []
    with pytest.raises(MalformedError, match="longer than 1000"):
        made.feed(piece)


def test_many_short_frames_may_be_longer_than_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(framing, "MAX_FRAME", 100)
    assert len(frames(ServerSentEvents(), *[b"data: x\n\n" * 50] * 3)) == 150
