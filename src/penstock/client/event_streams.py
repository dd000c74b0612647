"""Streams whose chunks are not OpenAI's chat chunks: events of the caller's own dialect, and events that a provider
sends as they are.

`EventState` writes what any chat dialect says as the events of another (Responses, Anthropic, Gemini). `FrameState`
is for calls that no second dialect speaks (text completions, transcriptions, images): each frame's JSON is the event.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

from penstock.calls.opening import OpenStream
from penstock.client.objects import Answer
from penstock.client.streams import Finish, FoldedState
from penstock.dialects import wire
from penstock.dialects.dialect import Context, Dialect
from penstock.dialects.framing import Frame, ServerSentEvents
from penstock.types.errors import DialectError, ErrorResponse
from penstock.types.stream import StreamEvent

C = TypeVar("C", bound=Answer)
R = TypeVar("R", bound=Answer)


class EventState(FoldedState[C, R]):
    """The events of `dialect`, as objects of the class `chunk`."""

    def __init__(
        self,
        dialect: Dialect,
        chunk: type[C],
        opened: OpenStream,
        context: Context,
        hidden: dict[str, Any],
        finish: Finish[R],
    ) -> None:
        same = opened.dialect == dialect.name
        super().__init__(opened, finish, dialect.name if same else "stream")
        self._chunk = chunk
        self._hidden = hidden
        self._renderer = dialect.stream_renderer(context)
        self._frames = ServerSentEvents()

    def _chunks(self, events: list[StreamEvent]) -> Iterator[C]:
        for event in events:
            self._fold.add(event)
            if self._fold.error is not None:
                raise self._failed(self._fold.error)
            yield from self._said(self._renderer.render(event))

    def _end(self) -> Iterator[C]:
        return self._said(self._renderer.close())

    def _said(self, data: bytes) -> Iterator[C]:
        for frame in self._frames.feed(data) if data else ():
            if frame.data and frame.data != b"[DONE]":
                yield self._chunk(wire.decode(frame.data))._with(self._hidden)


class OpenFrames:
    """A stream of frames that has begun: the bytes that had arrived, and how an error in it is read."""

    def __init__(self, first: bytes, parse_error: Callable[[bytes], ErrorResponse]) -> None:
        self.data = first
        self.parse_error = parse_error


class FrameState(Generic[C, R]):
    """The frames of a stream, each one's JSON made an event by `chunk`. `finish` makes the whole answer of all
    of them; a stream is complete with `[DONE]`, or when `ends` says so of an event.
    """

    def __init__(
        self,
        opened: OpenFrames,
        chunk: Callable[[dict[str, Any]], C],
        hidden: dict[str, Any],
        ends: Callable[[C], bool],
        finish: Callable[[list[C]], R],
        error: Callable[[ErrorResponse, list[C]], Exception],
    ) -> None:
        self.response: R | None = None
        self._opened, self._chunk, self._hidden = opened, chunk, hidden
        self._ends, self._finish, self._error = ends, finish, error
        self._frames = ServerSentEvents()
        self._seen: list[C] = []
        self._complete = False

    def first(self) -> Iterator[C]:
        """The events of what had arrived when the stream was opened."""
        return self.feed(self._opened.data)

    def feed(self, data: bytes) -> Iterator[C]:
        """The events that these bytes complete."""
        yield from self._chunks(self._frames.feed(data))

    def finish(self) -> Iterator[C]:
        """The rest. Raises the exception for a stream that was cut."""
        yield from self._chunks(self._frames.close())
        if not self._complete:
            raise self.cut("the stream ended before its end")
        self.response = self._finish(self._seen)

    def so_far(self) -> R | None:
        """Nothing: only all of the events make an answer."""
        return None

    def cut(self, reason: str) -> Exception:
        """The exception for a stream that broke off."""
        error = ErrorResponse(kind="unavailable", status=503, message=reason, native="interrupted")
        return self._error(error, self._seen)

    def _chunks(self, frames: list[Frame]) -> Iterator[C]:
        for frame in frames:
            if frame.data == b"[DONE]":
                self._complete = True
            elif frame.data:
                event = self._read(frame.data)
                self._seen.append(event)
                self._complete = self._complete or self._ends(event)
                yield event

    def _read(self, data: bytes) -> C:
        try:
            value = wire.obj(wire.decode(data))
        except DialectError as error:
            broken = ErrorResponse(kind="bad_gateway", status=502, message=str(error), native="protocol")
            raise self._error(broken, self._seen) from error
        if value.get("error") is not None:
            raise self._error(self._opened.parse_error(data), self._seen)
        return self._chunk(value)._with(self._hidden)
