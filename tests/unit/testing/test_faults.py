"""What goes wrong on the way, seen on a bare socket: every fault, every way of delivery, byte for byte.

The requests are of no model's: each wire format is asked for a short stream or a short answer, and what comes is looked
at before any client has tidied it.
"""

import gzip
import json
import socket
import zlib
from datetime import UTC, datetime
from typing import Any

import pytest

from penstock.testing.providers import (
    Cut,
    EmptyEvent,
    ErrorEvent,
    Fault,
    Malformed,
    NotJSON,
    ProviderError,
    Reply,
    ScriptError,
    SimulatedProviders,
    Stall,
    Truncated,
)
from penstock.testing.providers.event_stream import event
from tests.unit.testing.reading import receive, receive_until, request_bytes, talk, unchunk

CHAT = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]}
CLAUDE = {**CHAT, "max_tokens": 5, "stream": True}
GEMINI = {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}
BEDROCK = {"messages": [{"role": "user", "content": [{"text": "hi"}]}]}

# how each wire format is asked for a stream: path, body, headers
STREAMS: dict[str, tuple[str, Any]] = {
    "openai_chat": ("/v1/chat/completions", {**CHAT, "stream": True}),
    "openai_responses": ("/v1/responses", {"model": "gpt-4o", "input": "hi", "stream": True}),
    "anthropic_messages": ("/v1/messages", CLAUDE),
    "gemini": ("/v1beta/models/g:streamGenerateContent?alt=sse", GEMINI),
    "bedrock_converse": ("/model/m/converse-stream", BEDROCK),
    "cohere_chat": ("/v2/chat", {**CHAT, "stream": True}),
    "ollama_chat": ("/api/chat", CHAT),
}
WHOLES: dict[str, tuple[str, Any]] = {
    "openai_chat": ("/v1/chat/completions", CHAT),
    "openai_responses": ("/v1/responses", {"model": "gpt-4o", "input": "hi"}),
    "anthropic_messages": ("/v1/messages", {**CLAUDE, "stream": False}),
    "gemini": ("/v1beta/models/g:generateContent", GEMINI),
    "bedrock_converse": ("/model/m/converse", BEDROCK),
    "cohere_chat": ("/v2/chat", CHAT),
    "ollama_chat": ("/api/chat", {**CHAT, "stream": False}),
}
KEYS = {
    "authorization": "Bearer fake",
    "x_api_key": "fake",
    "x_goog_api_key": "fake",
    "anthropic_version": "2023-06-01",
}
every_format = pytest.mark.parametrize("name", STREAMS)


def ask(name: str, table: dict[str, tuple[str, Any]] = STREAMS, last: bool = True) -> bytes:
    """The request as bytes; `last` asks the server to close the connection afterwards."""
    path, body = table[name]
    closing = {"connection": "close"} if last else {}
    return request_bytes(path, json.dumps(body).encode(), content_type="application/json", **KEYS, **closing)


def stream(provider: SimulatedProviders, name: str, reply: Reply) -> bytes:
    provider.script(reply)
    return talk(provider, ask(name))


def whole_stream(name: str, reply: Reply) -> list[bytes]:
    """The chunks of the same reply without any fault."""
    with SimulatedProviders() as provider:
        chunks, ended = unchunk(stream(provider, name, reply))
    assert ended
    return chunks


TEXT = Reply.text("one two three four")


# --- the connection --------------------------------------------------------------------------------------------------


@every_format
def test_a_stream_that_is_whole_ends_its_http_message(name: str) -> None:
    assert len(whole_stream(name, TEXT)) >= 4


@every_format
@pytest.mark.parametrize("reset", [False, True])
def test_a_cut_ends_the_connection_without_the_end_of_the_message(
    provider: SimulatedProviders, name: str, reset: bool
) -> None:
    chunks, ended = unchunk(stream(provider, name, TEXT.with_faults(Cut(after=2, reset=reset))))
    assert not ended
    assert chunks == whole_stream(name, TEXT)[:2] or reset  # a reset may overtake what was sent
    assert provider.wait_until(lambda provider: provider.last.outcome == "faulted")


@every_format
def test_a_cut_in_the_middle_of_an_event(provider: SimulatedProviders, name: str) -> None:
    chunks, ended = unchunk(stream(provider, name, TEXT.with_faults(Cut(after=2, inside="event"))))
    right = whole_stream(name, TEXT)
    assert not ended
    assert chunks[:2] == right[:2]
    assert len(chunks[2]) < len(right[2])
    assert right[2].startswith(chunks[2])


@every_format
def test_a_cut_in_the_middle_of_a_character(provider: SimulatedProviders, name: str) -> None:
    reply = Reply.text("one zwölf three").with_faults(Cut(after=1, inside="character"))
    received = b"".join(unchunk(stream(provider, name, reply))[0])
    assert received[-1:] == "ö".encode()[:1]
    with pytest.raises(UnicodeDecodeError):
        received[-1:].decode()


@every_format
def test_a_truncated_stream_ends_http_properly_and_itself_not(provider: SimulatedProviders, name: str) -> None:
    chunks, ended = unchunk(stream(provider, name, TEXT.with_faults(Truncated(after=3))))
    assert ended
    assert chunks == whole_stream(name, TEXT)[:3]


@every_format
def test_a_stall_holds_the_connection_open(provider: SimulatedProviders, name: str) -> None:
    provider.script(TEXT.with_faults(Stall(after=2)))
    with socket.create_connection(("127.0.0.1", provider.port)) as sock:
        sock.sendall(ask(name))
        chunks, ended = unchunk(receive_until(sock, lambda raw: len(unchunk(raw)[0]) >= 2))
    assert (chunks, ended) == (whole_stream(name, TEXT)[:2], False)
    assert provider.wait_until(lambda provider: provider.requests[0].outcome == "client left")


def test_a_stall_may_end(provider: SimulatedProviders) -> None:
    chunks, ended = unchunk(stream(provider, "openai_chat", TEXT.with_faults(Stall(after=2, seconds=0.05))))
    assert ended
    assert chunks == whole_stream("openai_chat", TEXT)


def test_a_slow_first_token_comes_after_the_head(provider: SimulatedProviders) -> None:
    provider.script(TEXT.delivered(before_first=30.0))
    with socket.create_connection(("127.0.0.1", provider.port)) as sock:
        sock.sendall(ask("openai_chat"))
        head, _, body = receive_until(sock, lambda raw: b"\r\n\r\n" in raw).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200")
    assert body == b""


def test_a_slow_head_sends_nothing_first(provider: SimulatedProviders) -> None:
    provider.script(Reply.error(503).delivered(before_headers=30.0))
    with socket.create_connection(("127.0.0.1", provider.port), timeout=0.3) as sock:
        sock.sendall(ask("openai_chat", WHOLES))
        assert receive(sock) == b""


# --- what is inside --------------------------------------------------------------------------------------------------


def payloads(name: str, chunks: list[bytes]) -> list[bytes]:
    """What each frame carries."""
    if name == "ollama_chat":
        return [chunk.rstrip(b"\n") for chunk in chunks]
    return [chunk.partition(b"data: ")[2].rstrip(b"\n") for chunk in chunks]


TEXTUAL = [name for name in STREAMS if name != "bedrock_converse"]


@pytest.mark.parametrize("name", TEXTUAL)
def test_a_malformed_event_is_a_whole_frame_with_broken_json(provider: SimulatedProviders, name: str) -> None:
    chunks, ended = unchunk(stream(provider, name, TEXT.with_faults(Malformed(after=2))))
    right = whole_stream(name, TEXT)
    assert ended
    assert len(chunks) == len(right)
    assert [chunk == other for chunk, other in zip(chunks, right, strict=True)].count(False) == 1
    with pytest.raises(ValueError, match=r"."):
        json.loads(payloads(name, chunks)[2])


def test_a_malformed_event_of_an_event_stream_has_right_checksums(provider: SimulatedProviders) -> None:
    chunks, _ = unchunk(stream(provider, "bedrock_converse", TEXT.with_faults(Malformed(after=2))))
    for chunk in chunks:
        assert zlib.crc32(chunk[:8]) == int.from_bytes(chunk[8:12], "big")
        assert zlib.crc32(chunk[:-4]) == int.from_bytes(chunk[-4:], "big")
        assert len(chunk) == int.from_bytes(chunk[:4], "big")
    assert chunks[2][-6:-4] != b"}}"


@every_format
def test_an_event_that_is_not_json_comes_in_between(provider: SimulatedProviders, name: str) -> None:
    chunks, _ = unchunk(stream(provider, name, TEXT.with_faults(NotJSON(after=2, payload="<oops>"))))
    right = whole_stream(name, TEXT)
    assert [*chunks[:2], *chunks[3:]] == right
    assert b"<oops>" in chunks[2]


@every_format
def test_an_empty_event_comes_in_between(provider: SimulatedProviders, name: str) -> None:
    chunks, _ = unchunk(stream(provider, name, TEXT.with_faults(EmptyEvent(after=2))))
    assert [*chunks[:2], *chunks[3:]] == whole_stream(name, TEXT)


def test_an_empty_event_of_chat_has_no_choices(provider: SimulatedProviders) -> None:
    chunks, _ = unchunk(stream(provider, "openai_chat", TEXT.with_faults(EmptyEvent(after=0))))
    assert json.loads(payloads("openai_chat", chunks)[0])["choices"] == []


@every_format
def test_an_error_event_ends_the_stream(provider: SimulatedProviders, name: str) -> None:
    chunks, ended = unchunk(stream(provider, name, TEXT.with_faults(ErrorEvent(ProviderError(500, "oops!"), after=2))))
    assert ended
    assert chunks[:2] == whole_stream(name, TEXT)[:2]
    assert b"oops!" in chunks[2]
    assert len(chunks) <= 4


def test_faults_may_be_combined(provider: SimulatedProviders) -> None:
    reply = TEXT.with_faults(NotJSON(after=1, payload="<oops>"), Cut(after=3))
    chunks, ended = unchunk(stream(provider, "openai_chat", reply))
    assert not ended
    assert len(chunks) == 3
    assert b"<oops>" in chunks[1]


# --- how it travels --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("line_end", ["\r\n", "\r"])
def test_line_ends(provider: SimulatedProviders, line_end: Any) -> None:
    chunks, _ = unchunk(stream(provider, "anthropic_messages", TEXT.delivered(line_end=line_end)))
    frame = chunks[0].decode()
    assert frame.startswith(f"event: message_start{line_end}data: ")
    assert frame.endswith(line_end * 2)
    assert [c.replace(line_end.encode(), b"\n") for c in chunks] == whole_stream("anthropic_messages", TEXT)


def test_comments_stand_before_events(provider: SimulatedProviders) -> None:
    reply = TEXT.delivered(comment=": keep-alive", comment_every=2)
    chunks, _ = unchunk(stream(provider, "openai_chat", reply))
    assert [chunk.startswith(b": keep-alive\n\n") for chunk in chunks[:4]] == [True, False, True, False]


def test_openrouter_comments_by_itself(provider: SimulatedProviders) -> None:
    body = json.dumps({**CHAT, "stream": True}).encode()
    raw = talk(provider, request_bytes("/openrouter/api/v1/chat/completions", body, connection="close", **KEYS))
    assert unchunk(raw)[0][0].startswith(b": OPENROUTER PROCESSING\n\ndata: ")


@every_format
@pytest.mark.parametrize("size", [1, 7])
def test_writes_of_any_size_carry_the_same_bytes(provider: SimulatedProviders, name: str, size: int) -> None:
    chunks, ended = unchunk(stream(provider, name, TEXT.delivered(writes=size)))
    assert (chunks, ended) == (whole_stream(name, TEXT), True)


@every_format
def test_a_stream_in_one_write_is_the_same_stream(provider: SimulatedProviders, name: str) -> None:
    assert unchunk(stream(provider, name, TEXT.delivered(writes="whole")))[0] == whole_stream(name, TEXT)


@pytest.mark.parametrize(("encoding", "wbits"), [("gzip", 31), ("deflate", 15)])
@every_format
def test_a_compressed_stream_can_be_read_event_by_event(
    provider: SimulatedProviders, name: str, encoding: Any, wbits: int
) -> None:
    raw = stream(provider, name, TEXT.delivered(encoding=encoding))
    assert f"content-encoding: {encoding}".encode() in raw
    decoder = zlib.decompressobj(wbits=wbits)
    assert [decoder.decompress(chunk) for chunk in unchunk(raw)[0]] == whole_stream(name, TEXT)
    assert decoder.eof


def test_a_compressed_body(provider: SimulatedProviders) -> None:
    provider.script(TEXT.delivered(encoding="gzip"))
    body = talk(provider, ask("openai_chat", WHOLES)).partition(b"\r\n\r\n")[2]
    assert json.loads(gzip.decompress(body))["object"] == "chat.completion"


def header(raw: bytes, name: str) -> str | None:
    """The value of a response header."""
    lines = raw.partition(b"\r\n\r\n")[0].decode().split("\r\n")[1:]
    return {line.partition(": ")[0]: line.partition(": ")[2] for line in lines}.get(name)


def test_content_types(provider: SimulatedProviders) -> None:
    assert header(stream(provider, "openai_chat", TEXT), "content-type") == "text/event-stream; charset=utf-8"
    wrong = TEXT.delivered(content_type="application/octet-stream")
    assert header(stream(provider, "openai_chat", wrong), "content-type") == "application/octet-stream"
    assert header(stream(provider, "openai_chat", TEXT.delivered(content_type=None)), "content-type") is None


@pytest.mark.parametrize("framing", ["close", "length", "chunked"])
@every_format
def test_the_end_of_a_body_is_framed_in_three_ways(provider: SimulatedProviders, name: str, framing: Any) -> None:
    raw = stream(provider, name, TEXT.delivered(framing=framing))
    body = raw.partition(b"\r\n\r\n")[2]
    expected = b"".join(whole_stream(name, TEXT))
    if framing == "chunked":
        assert b"".join(unchunk(raw)[0]) == expected
    else:
        assert body == expected
    assert header(raw, "content-length") == (str(len(expected)) if framing == "length" else None)
    assert provider.wait_until(lambda provider: provider.last.outcome == "complete")


def test_headers_are_added_and_replaced(provider: SimulatedProviders) -> None:
    reply = Reply.text("x").delivered(headers=(("x-request-id", "mine"), ("x-ratelimit-remaining-requests", "0")))
    provider.script(reply)
    raw = talk(provider, ask("openai_chat", WHOLES))
    assert header(raw, "x-request-id") == "mine"
    assert header(raw, "x-ratelimit-remaining-requests") == "0"
    assert raw.lower().count(b"x-request-id") == 1


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        (1, "1"),
        (0.25, "0.25"),
        (datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "Fri, 02 Jan 2026 03:04:05 GMT"),
        (None, None),
    ],
)
def test_retry_after_in_seconds_and_as_a_date(provider: SimulatedProviders, given: Any, sent: str | None) -> None:
    provider.script(Reply.error(429, retry_after=given))
    assert header(talk(provider, ask("openai_chat", WHOLES)), "retry-after") == sent


# --- answers that are not streamed -----------------------------------------------------------------------------------


def body_of(provider: SimulatedProviders, name: str, reply: Reply) -> tuple[int, bytes, bytes]:
    provider.script(reply)
    head, _, body = talk(provider, ask(name, WHOLES)).partition(b"\r\n\r\n")
    return int(head.split(b" ")[1]), head, body


@every_format
def test_an_error_inside_a_200(provider: SimulatedProviders, name: str) -> None:
    first, _, inside = body_of(provider, name, Reply.error(429, "slow down").delivered(status=200))
    second, _, fault = body_of(provider, name, TEXT.with_faults(ErrorEvent(ProviderError(429, "slow down"))))
    assert first == second == 200
    assert b"slow down" in inside
    assert b"slow down" in fault


@every_format
def test_a_200_with_html_and_a_200_with_nothing(provider: SimulatedProviders, name: str) -> None:
    status, head, body = body_of(provider, name, Reply.html())
    assert (status, body[:6]) == (200, b"<html>")
    assert b"content-type: text/html" in head
    assert body_of(provider, name, Reply.empty())[::2] == (200, b"")


@every_format
def test_html_and_nothing_in_place_of_a_stream(provider: SimulatedProviders, name: str) -> None:
    assert b"<html>" in stream(provider, name, Reply.html(502))
    assert stream(provider, name, Reply.empty()).endswith(b"\r\n\r\n")


@every_format
@pytest.mark.parametrize("fault", [Malformed(), Truncated(), NotJSON()])
def test_a_body_that_is_not_json(provider: SimulatedProviders, name: str, fault: Fault) -> None:
    status, head, body = body_of(provider, name, TEXT.with_faults(fault))
    assert status == 200
    assert f"content-length: {len(body)}".encode() in head
    with pytest.raises(ValueError, match=r"."):
        json.loads(body)


@every_format
def test_a_body_that_is_cut_is_shorter_than_it_says(provider: SimulatedProviders, name: str) -> None:
    _, head, body = body_of(provider, name, TEXT.with_faults(Cut()))
    promised = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
    assert 0 < len(body) < promised


def test_a_fault_that_a_wire_format_cannot_have_is_a_script_error() -> None:
    for name, reply in (
        ("openai_chat", TEXT.with_faults(Cut(inside="character"))),
        ("bedrock_converse", TEXT.delivered(comment=": hi")),
        ("bedrock_converse", TEXT.delivered(line_end="\r\n")),
    ):
        provider = SimulatedProviders().start()
        raw = stream(provider, name, reply)
        assert b"HTTP/1.1 500" in raw
        assert b"the script failed" in raw
        with pytest.raises(ScriptError):
            provider.close()


# --- the event stream, against numbers of another hand ---------------------------------------------------------------


def test_an_event_stream_message_is_the_documented_one() -> None:
    """Total and header lengths, and both checksums, by arithmetic done apart from the encoder."""
    message = event("messageStop", b'{"stopReason":"end_turn"}')
    headers = (
        b"\x0b:event-type\x07\x00\x0bmessageStop"
        b"\x0d:content-type\x07\x00\x10application/json"
        b"\x0d:message-type\x07\x00\x05event"
    )
    prelude = (16 + len(headers) + 25).to_bytes(4, "big") + len(headers).to_bytes(4, "big")
    before = prelude + zlib.crc32(prelude).to_bytes(4, "big") + headers + b'{"stopReason":"end_turn"}'
    assert message == before + zlib.crc32(before).to_bytes(4, "big")
