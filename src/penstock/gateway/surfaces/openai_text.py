"""OpenAI's text completions as a surface. What has them is relayed to; for every other model they are a way to say a
chat with one message, so this surface's dialect is that of chat between two changes of shape.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from penstock.calls.text_shape import Body, bridged, text_of
from penstock.dialects import wire
from penstock.dialects.dialect import Context, PathMatch, StreamParser, StreamRenderer, boundary
from penstock.dialects.framing import Frame, FramedParser, ServerSentEvents
from penstock.dialects.openai_chat import DIALECT as CHAT
from penstock.dialects.openai_chat.stream import ChunkReader
from penstock.gateway.relay import Members, Peeked, count, value
from penstock.gateway.surfaces import openai_chat
from penstock.gateway.surfaces.chat import ChatSurface
from penstock.types.errors import DialectError
from penstock.types.notes import Memo, Note, Rendered
from penstock.types.request import Request
from penstock.types.response import Response
from penstock.types.stream import StreamEvent

NAME = "openai_text_completion"


def parse_request(given: Any, match: PathMatch) -> Request:
    """The request of the (first) prompt, as a chat. Raises DialectError."""
    body = wire.obj(given)
    return CHAT.parse_request(bridged(body, drop=True)[0], match)


def _as_chat(given: Body) -> Body:
    """A native answer or chunk with its texts where chat has them."""
    choices = given.get("choices")
    if not isinstance(choices, list):
        return given
    return {**given, "choices": [_said(choice) if isinstance(choice, dict) else choice for choice in choices]}


def _said(choice: Body) -> Body:
    if "text" not in choice:
        return choice
    said = {"role": "assistant", "content": choice["text"]}
    reason = choice.get("finish_reason")
    return {"index": choice.get("index", 0), "finish_reason": reason, "message": said, "delta": said}


def parse_response(given: Any, memo: Memo) -> Response:
    """A native answer. Raises DialectError."""
    return CHAT.parse_response(_as_chat(wire.obj(given)), memo)


def render_response(response: Response, context: Context) -> Rendered[Body]:
    """The answer of a chat as a text completion."""
    rendered = CHAT.render_response(response, context)
    return Rendered(text_of(rendered.value), rendered.notes)


def stream_parser(memo: Memo) -> StreamParser:
    """A parser of native chunks."""
    reader = ChunkReader(memo)

    def read(frame: Frame) -> StreamEvent:
        try:
            found = wire.decode(frame.data)
        except DialectError:
            return reader.read(frame)
        return reader.read(Frame(wire.encode(_as_chat(found)), frame.event) if isinstance(found, dict) else frame)

    return FramedParser(ServerSentEvents(), read, NAME)


class TextWriter:
    """Writes the events of a chat as chunks of a text completion."""

    def __init__(self, context: Context) -> None:
        self._chunks: StreamRenderer = CHAT.stream_renderer(context)

    @property
    def notes(self) -> list[Note]:
        """What could not be said."""
        return self._chunks.notes

    @notes.setter
    def notes(self, notes: list[Note]) -> None:
        self._chunks.notes = notes

    def render(self, event: StreamEvent) -> bytes:
        """The frames of one event."""
        return _as_text(self._chunks.render(event))

    def close(self) -> bytes:
        """The end of the stream."""
        return _as_text(self._chunks.close())


def _as_text(frames: bytes) -> bytes:
    """Whole frames of a chat stream as those of a text completion."""
    if not frames:
        return frames
    return b"".join(_frame(frame) for frame in frames.split(b"\n\n") if frame)


def _frame(frame: bytes) -> bytes:
    if not frame.startswith(b"data: {"):
        return frame + b"\n\n"
    return b"data: %b\n\n" % wire.encode(text_of(wire.obj(wire.decode(frame[6:]))))


def peek(members: Members, match: PathMatch) -> Peeked:
    """What the body says. Raises MalformedError."""
    found = openai_chat.peek(members, match)
    found.choices = max(found.choices, count(members, "best_of") or 1) * _prompts(members)
    return found


def _prompts(members: Members) -> int:
    prompt = value(members, "prompt")
    several = isinstance(prompt, list) and bool(prompt) and not isinstance(prompt[0], int)
    return len(prompt) if several else 1


DIALECT = replace(
    CHAT,
    name=NAME,
    match_path=lambda path: PathMatch() if path.endswith("/completions") else None,
    path=lambda model, stream: "/v1/completions",
    parse_request=boundary(NAME)(parse_request),
    parse_response=boundary(NAME)(parse_response),
    render_response=render_response,
    stream_parser=stream_parser,
    stream_renderer=TextWriter,
)
SURFACE = ChatSurface(
    dialect=DIALECT,
    id_prefix="cmpl-",
    peek=peek,
    quick=openai_chat.quick,
    marks=openai_chat.SURFACE.marks,
    cap=lambda members, tokens, word: openai_chat.cap(members, tokens, "max_tokens"),
    count=openai_chat.ask_for_usage,
    prefers=False,
)
