"""A tap hears of a stream what reading all of it would tell, however its bytes come."""

import random
from collections.abc import Iterator
from itertools import pairwise

import pytest

from penstock.conformance.recording import Exchange, read_folder
from penstock.dialects.dialect import PathMatch
from penstock.gateway.surfaces import anthropic_messages, gemini, openai_chat, openai_responses
from penstock.gateway.surfaces.chat import ChatSurface
from penstock.gateway.tap import Seen, StreamTap, read_event
from penstock.types.errors import DialectError
from penstock.types.notes import NO_MEMO
from tests.support.needs import shared_folder

SURFACES = (openai_chat.SURFACE, openai_responses.SURFACE, anthropic_messages.SURFACE, gemini.SURFACE)


def whole(surface: ChatSurface, data: bytes) -> Seen:
    """What reading the whole stream tells."""
    parser, seen = surface.dialect.stream_parser(NO_MEMO), Seen()
    for event in [*parser.feed(data), *parser.close()]:
        read_event(event, seen)
    return seen


def tapped(surface: ChatSurface, pieces: list[bytes]) -> tuple[Seen, StreamTap]:
    tap = StreamTap(surface.dialect, surface.marks)
    for piece in pieces:
        tap.feed(piece)
    return tap.read(), tap


def cut(data: bytes, chance: random.Random) -> list[bytes]:
    places = sorted({0, len(data), *(chance.randrange(len(data) + 1) for _ in range(chance.choice((0, 3, 40))))})
    return [data[start:end] for start, end in pairwise(places)]


def streams() -> Iterator[tuple[ChatSurface, Exchange]]:
    for exchange in read_folder(shared_folder("provider-exchanges")):
        body = exchange.response_body
        if exchange.status != 200 or not isinstance(body, bytes) or b"data:" not in body[:4096]:
            continue
        for surface in SURFACES:
            match = surface.dialect.match_path(exchange.path)
            if isinstance(match, PathMatch):
                yield surface, exchange
                break


def test_recorded_streams_are_read_alike() -> None:
    chance, count = random.Random(7), 0
    for surface, exchange in streams():
        data = exchange.response_body
        try:
            expected = whole(surface, data)
        except DialectError:
            continue
        for _ in range(3):
            found, tap = tapped(surface, cut(data, chance))
            if expected.usage is None:
                assert found.usage is None, exchange.id
                continue
            assert found.usage is not None, exchange.id
            for name in (
                "input_tokens",
                "output_tokens",
                "cache_read_tokens",
                "cache_write_tokens",
                "reasoning_tokens",
            ):
                assert getattr(found.usage, name) == getattr(expected.usage, name), (exchange.id, name)
            assert tap.ended or not surface.marks.last, exchange.id
            count += 1
    assert count > 100


CHAT = (
    b'data: {"id":"c","choices":[{"index":0,"delta":{"content":"a"}}],"usage":null}\n\n'
    b'data: {"id":"c","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":null}\n\n'
    b'data: {"id":"c","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4,"total_tokens":7}}\n\n'
    b"data: [DONE]\n\n"
)


@pytest.mark.parametrize("lines", [b"\n", b"\r\n"])
@pytest.mark.parametrize("size", [1, 2, 3, 5, 17, 1000])
def test_any_pieces_will_do(lines: bytes, size: int) -> None:
    data = CHAT.replace(b"\n", lines)
    seen, tap = tapped(openai_chat.SURFACE, [data[at : at + size] for at in range(0, len(data), size)])
    assert seen.usage is not None
    assert (seen.usage.input_tokens, seen.usage.output_tokens) == (3, 4)
    assert tap.ended
    assert not tap.failed
    assert not tap.in_frame


def test_a_stream_that_was_cut_is_seen_to_be() -> None:
    seen, tap = tapped(openai_chat.SURFACE, [CHAT[:100]])
    assert seen.usage is None
    assert not tap.ended
    assert tap.in_frame
    assert tap.frames == 1


def test_an_error_in_a_stream_is_heard() -> None:
    said = b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"busy"}}\n\n'
    seen, tap = tapped(anthropic_messages.SURFACE, [said])
    assert tap.failed
    assert seen.error is not None
    assert seen.error.kind == "overloaded"


@pytest.mark.parametrize("word", [b"error", b"[DONE]", b"data: [DONE]", b'\\"error\\":{', b"finish_reason", b"usage"])
def test_what_a_model_writes_is_no_mark(word: bytes) -> None:
    """A model that writes about errors does not make one."""
    frame = b'data: {"id":"c","choices":[{"index":0,"delta":{"content":"%b"},"finish_reason":null}]}\n\n' % word
    _, tap = tapped(openai_chat.SURFACE, [frame])
    assert not (tap.failed or tap.ended or tap.finished)
    assert tap.bad(frame) == -1


def test_a_frame_that_cannot_be_read_is_found() -> None:
    good = b'data: {"id":"c","choices":[]}\n\n'
    tap = StreamTap(openai_chat.SURFACE.dialect, openai_chat.SURFACE.marks)
    assert tap.bad(good + b'data: {"id":"c","cho\n\n' + good) == len(good)
    assert tap.bad(b": ping\n\n" + good + b"data: [DONE]\n\n") == -1
    assert tap.bad(b'data: {"id":\ndata: "c","choices":[]}\n\n') == -1


def test_only_whole_frames_go_on() -> None:
    tap = StreamTap(openai_chat.SURFACE.dialect, openai_chat.SURFACE.marks)
    pieces = [CHAT[at : at + 7] for at in range(0, len(CHAT), 7)]
    assert b"".join(whole for piece in pieces if (whole := tap.whole(piece))) == CHAT
    assert tap.whole(b"data: {}") == b""
    assert tap.rest() == b"data: {}\n\n"
    assert tap.rest() == b""


def test_why_it_ended_is_heard_where_each_frame_has_usage() -> None:
    frame = b'data: {"id":"x","choices":[{"index":0,"delta":{},"finish_reason":%b}],"usage":{"prompt_tokens":%d}}\n\n'
    usage = b'data: {"id":"x","choices":[],"usage":{"prompt_tokens":9}}\n\n'
    seen, _ = tapped(openai_chat.SURFACE, [frame % (b"null", 3), frame % (b'"stop"', 5), usage, b"data: [DONE]\n\n"])
    assert seen.finish_reason == "stop"
    assert seen.usage is not None
    assert seen.usage.input_tokens == 9


def test_a_frame_without_an_end_goes_on_unread_when_it_is_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("penstock.gateway.tap.LONGEST_FRAME", 100)
    tap = StreamTap(openai_chat.SURFACE.dialect, openai_chat.SURFACE.marks)
    given = [tap.whole(b"x" * 30) for _ in range(5)]
    assert given == [b"", b"", b"", b"x" * 120, b""]
    assert tap.in_frame
