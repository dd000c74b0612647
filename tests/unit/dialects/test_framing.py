"""Framed streams: a frame that cannot be read loses nothing that stood before it, however the bytes were split."""

import base64
import json
from collections.abc import Callable, Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.calls.wrapped_streams import UnwrappedEvents
from penstock.dialects import registry
from penstock.dialects.aws_event_stream import write_event as write_message
from penstock.dialects.dialect import Context, StreamParser
from penstock.dialects.framing import FrameParser, JsonLines, Pieces, ServerSentEvents
from penstock.dialects.gemini.frames import GeminiFrames
from penstock.types.errors import DialectError
from penstock.types.notes import NO_MEMO
from penstock.types.stream import StreamEvent, TextDelta


def _sse(value: object, event: str | None = None) -> bytes:
    head = f"event: {event}\n" if event else ""
    return f"{head}data: {json.dumps(value)}\n\n".encode()


def _wrapped(payload: bytes) -> bytes:
    return write_message(json.dumps({"bytes": base64.b64encode(payload).decode()}).encode(), "chunk")


def _anthropic(text: str) -> dict[str, object]:
    return {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}


def _gemini(text: str) -> dict[str, object]:
    return {"candidates": [{"content": {"role": "model", "parts": [{"text": text}]}, "index": 0}]}


PIECES = ("Once", " upon", " a time")

GOOD: dict[str, list[bytes]] = {
    "openai_chat": [_sse({"choices": [{"index": 0, "delta": {"content": each}}]}) for each in PIECES],
    "anthropic_messages": [_sse(_anthropic(each), "content_block_delta") for each in PIECES],
    "gemini": [_sse(_gemini(each)) for each in PIECES],
    "cohere_chat": [
        _sse({"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": each}}}})
        for each in PIECES
    ],
    "ollama_chat": [
        json.dumps({"message": {"role": "assistant", "content": each}, "done": False}).encode() + b"\n"
        for each in PIECES
    ],
    "bedrock_converse": [
        write_message(json.dumps({"contentBlockIndex": 0, "delta": {"text": each}}).encode(), "contentBlockDelta")
        for each in PIECES
    ],
}
GOOD["openai_responses"] = [
    _sse(
        {"type": "response.output_text.delta", "item_id": "m", "output_index": 0, "content_index": 0, "delta": each},
        "response.output_text.delta",
    )
    for each in PIECES
]
BROKEN = {"ollama_chat": b'{"message": \n', "bedrock_converse": bytes(16)}
NOT_JSON = b"data: {not json\n\n"

CASES = [
    *((name, pieces, BROKEN.get(name, NOT_JSON)) for name, pieces in GOOD.items()),
    (
        "gemini",
        [b"[" + json.dumps(_gemini(PIECES[0])).encode(), *(b"," + json.dumps(_gemini(p)).encode() for p in PIECES[1:])],
        b"nonsense",
    ),
    ("wrapped", [_wrapped(json.dumps(_anthropic(each)).encode()) for each in PIECES], bytes(16)),
    ("wrapped", [_wrapped(json.dumps(_anthropic(each)).encode()) for each in PIECES], _wrapped(b"{not json")),
    ("wrapped", [_wrapped(json.dumps(_anthropic(each)).encode()) for each in PIECES], write_message(b"[]", "chunk")),
]


def _parser(name: str) -> StreamParser:
    if name == "wrapped":
        return UnwrappedEvents(registry.get("anthropic_messages").stream_parser(NO_MEMO))
    return registry.get(name).stream_parser(NO_MEMO)


def _read(parser: StreamParser, pieces: Sequence[bytes]) -> tuple[list[StreamEvent], str]:
    """The events before the error, and the error's words."""
    events: list[StreamEvent] = []
    try:
        for piece in pieces:
            events += parser.feed(piece)
        events += parser.close()
    except DialectError as error:
        return events, str(error)
    return events, ""


def _texts(events: Sequence[StreamEvent]) -> list[str]:
    return [delta.text for event in events for delta in event.deltas if isinstance(delta, TextDelta)]


def _cut(data: bytes, places: Sequence[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:end] for start, end in pairwise(edges)]


@pytest.mark.parametrize(("name", "good", "broken"), CASES)
@given(places=st.lists(st.integers(0, 2000), max_size=6))
def test_what_stands_before_a_malformed_frame_is_delivered_first(
    name: str, good: list[bytes], broken: bytes, places: list[int]
) -> None:
    data = b"".join(good) + broken
    events, words = _read(_parser(name), _cut(data, places))
    assert _texts(events) == list(PIECES)
    assert words
    alone, words_alone = _read(_parser(name), [data[n : n + 1] for n in range(len(data))])
    assert alone == events
    assert words_alone


@pytest.mark.parametrize(("name", "good", "broken"), CASES)
def test_the_error_is_told_once_and_from_then_on_always(name: str, good: list[bytes], broken: bytes) -> None:
    parser = _parser(name)
    assert _texts(parser.feed(b"".join(good) + broken)) == list(PIECES)
    for _ in range(2):
        with pytest.raises(DialectError):
            parser.feed(good[0])
    with pytest.raises(DialectError):
        parser.close()


@pytest.mark.parametrize("name", sorted(GOOD))
def test_an_unforeseen_shape_loses_nothing_either(name: str) -> None:
    """Shapes that no check foresaw become the dialect's own error, behind the events before them."""
    deep = b"[" * 100 + b"]" * 100
    frame = write_message(deep, "contentBlockDelta") if name == "bedrock_converse" else b"data: " + deep + b"\n\n"
    frame = deep + b"\n" if name == "ollama_chat" else frame
    events, words = _read(_parser(name), [b"".join(GOOD[name]) + frame])
    assert _texts(events) == list(PIECES)
    assert words.startswith(name)


def test_a_last_frame_that_was_cut_is_left_out() -> None:
    for name in ("openai_chat", "anthropic_messages", "gemini", "cohere_chat", "ollama_chat", "openai_responses"):
        events, words = _read(_parser(name), [b"".join(GOOD[name])[:-9]])
        assert (_texts(events), words) == (list(PIECES[:2]), ""), name


# Work: every byte is copied a fixed number of times.

LARGE = b"A" * 2_000_000
STREAMS_OF_ONE: dict[str, tuple[Callable[[], FrameParser], bytes]] = {
    "events": (ServerSentEvents, b": hello\n\ndata: " + LARGE + b"\n\n"),
    "events with carriage returns": (ServerSentEvents, b": hello\r\n\r\ndata: " + LARGE + b"\r\n\r\n"),
    "lines": (JsonLines, LARGE + b"\n"),
    "gemini events": (GeminiFrames, b"data: " + LARGE + b"\n\n"),
}


@pytest.mark.parametrize("name", STREAMS_OF_ONE)
def test_pieces_of_a_large_frame_are_joined_once(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a buffer that is joined anew for every piece, a thousand pieces would copy five hundred times the bytes."""
    make, data = STREAMS_OF_ONE[name]
    joined = 0
    take = Pieces.take

    def counted(self: Pieces, more: bytes = b"") -> bytes:
        nonlocal joined
        found = take(self, more)
        joined += len(found)
        return found

    class Piece(bytes):
        """Bytes that must not be added to a growing buffer."""

        def __radd__(self, before: bytes) -> bytes:
            nonlocal joined
            joined += len(before) + len(self)
            return bytes(before) + bytes(self)

    monkeypatch.setattr(Pieces, "take", counted)
    parser = make()
    frames = [frame for at in range(0, len(data), 2000) for frame in parser.feed(Piece(data[at : at + 2000]))]
    assert LARGE in frames[-1].data
    assert joined < 1.1 * len(data)


@given(places=st.lists(st.integers(0, 200), max_size=12))
def test_blank_lines_are_found_wherever_the_bytes_are_cut(places: list[int]) -> None:
    data = b"data: 1\n\n\n\ndata: 2\ndata: 3\n\nevent: x\r\n\r\ndata: 4\r\n\r\n\r\n: end\n"
    pieces = _cut(data, places)
    whole, parser = ServerSentEvents(), ServerSentEvents()
    assert [frame for piece in pieces for frame in parser.feed(piece)] + parser.close() == whole.feed(
        data
    ) + whole.close()


@pytest.mark.parametrize("make", [ServerSentEvents, JsonLines])
def test_a_frame_without_end_is_refused(make: Callable[[], FrameParser], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("penstock.dialects.framing.MAX_FRAME", 100)
    end = b"\n\n"
    parser = make()
    assert len(parser.feed(b"data: 1" + end + b"x" * 101)) == 1, "what stands before is not lost"
    with pytest.raises(DialectError, match="longer than 100 bytes"):
        parser.feed(b"x")
    parser = make()
    parser.feed(b"x" * 60)
    with pytest.raises(DialectError, match="longer than 100 bytes"):
        parser.feed(b"x" * 60)


def test_events_out_of_a_wrapping_bear_their_names() -> None:
    """Anthropic's clients go by the name of an event, and overlook one without: the wrapping has none."""
    dialect = registry.get("anthropic_messages")
    stop = {"type": "message_stop", "amazon-bedrock-invocationMetrics": {"inputTokenCount": 1}}
    parser, sent = UnwrappedEvents(dialect.stream_parser(NO_MEMO)), [_anthropic("Once"), stop]
    renderer = dialect.stream_renderer(Context(source=dialect.name))
    events = parser.feed(b"".join(_wrapped(json.dumps(each).encode()) for each in sent)) + parser.close()
    said = b"".join(renderer.render(event) for event in events).decode()
    assert [line for line in said.splitlines() if line.startswith("event")] == [
        "event: content_block_delta",
        "event: message_stop",
    ]
    assert [json.loads(line.removeprefix("data: ")) for line in said.splitlines() if line.startswith("data")] == sent
