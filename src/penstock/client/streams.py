"""Streams of the SDK: bytes of any dialect in, chunks in the caller's shape out, for a loop or an async loop.

`StreamState` holds everything that is not I/O: the parser, the fold that knows the whole response at the end, and the
writer that makes chunks. A stream that ends with neither its end mark nor a stop reason was cut: the iterator raises
StreamInterruptedError, whose `partial` is the response as far as it had arrived. (A host that leaves out the mark alone
has said all that it had to say.)

`Stream` and `AsyncStream` read the bytes and ask a state (`PureStream`) what they say: the one here writes OpenAI's
chat chunks, those of event_streams.py the events of another shape.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator, Iterator
from typing import Any, Generic, Protocol, Self, TypeAlias, TypeVar

from penstock.calls.opening import OpenStream
from penstock.calls.transport import StreamBroken
from penstock.client.objects import Answer, ModelResponse, ModelResponseStream
from penstock.dialects.dialect import Context
from penstock.dialects.openai_chat.stream_writer import ChunkWriter
from penstock.types.errors import DialectError, ErrorResponse
from penstock.types.fold import Fold
from penstock.types.response import Response
from penstock.types.stream import StreamEvent

C = TypeVar("C", bound=Answer)
R = TypeVar("R", bound=Answer)
ChunkT = TypeVar("ChunkT", bound=Answer, covariant=True)
WholeT = TypeVar("WholeT", bound=Answer, covariant=True)


class PureStream(Protocol[ChunkT, WholeT]):
    """What bytes say. `response` is the whole answer, known once `finish` is through; `so_far` is what has arrived
    of it, where that can be told.
    """

    @property
    def response(self) -> WholeT | None: ...
    def first(self) -> Iterator[ChunkT]: ...
    def feed(self, data: bytes) -> Iterator[ChunkT]: ...
    def finish(self) -> Iterator[ChunkT]: ...
    def cut(self, reason: str) -> Exception: ...
    def so_far(self) -> WholeT | None: ...


class Finish(Generic[R]):
    """What a stream's owner wants to do when it is over: with the whole response, or with the error and what had
    arrived.
    """

    def __init__(self, response: Callable[[Response], R], error: Callable[[ErrorResponse, R], Exception]) -> None:
        self.response = response
        self.error = error


class FoldedState(Generic[C, R]):
    """The pure half of a stream of chat events, whatever is written of them: parser, fold, and what happens at the end.

    `dialect` names the wire format whose whole answer the fold shall make ("stream": nobody's own, constants and roles
    are to be completed).
    """

    def __init__(self, opened: OpenStream, finish: Finish[R], dialect: str = "stream") -> None:
        self.response: R | None = None
        self._opened = opened
        self._finish = finish
        self._fold = Fold(dialect)

    def first(self) -> Iterator[C]:
        """The chunks of what had arrived when the stream was opened."""
        return self._chunks(self._opened.first)

    def feed(self, data: bytes) -> Iterator[C]:
        """The chunks that these bytes complete."""
        return self._chunks(self._events(lambda: self._opened.parser.feed(data)))

    def finish(self) -> Iterator[C]:
        """The chunks that were still under way; then the response is known. Raises the exception for a stream that
        was cut.
        """
        yield from self._chunks(self._events(self._opened.parser.close))
        if not self._fold.complete and not self._fold.stopped:
            raise self.cut("the stream ended before its end")
        yield from self._end()
        self.response = self._finish.response(self._fold.response())

    def _events(self, read: Callable[[], list[StreamEvent]]) -> list[StreamEvent]:
        """What `read` makes of the bytes; the exception, with what had arrived, where they are no events."""
        try:
            return read()
        except DialectError as error:
            said = ErrorResponse(kind="bad_gateway", status=502, message=str(error), native="protocol")
            raise self._failed(said) from error

    def cut(self, reason: str) -> Exception:
        """The exception for a stream that broke off."""
        return self._failed(ErrorResponse(kind="unavailable", status=503, message=reason, native="interrupted"))

    def so_far(self) -> R | None:
        """The answer as far as it has arrived."""
        return self._finish.response(self._fold.response())

    def _failed(self, error: ErrorResponse) -> Exception:
        return self._finish.error(error, self._finish.response(self._fold.response()))

    def _chunks(self, events: list[StreamEvent]) -> Iterator[C]:
        """What these events are in the caller's shape."""
        raise NotImplementedError

    def _end(self) -> Iterator[C]:
        """What the caller's shape says at the end of a stream."""
        return iter(())


class StreamState(FoldedState[ModelResponseStream, ModelResponse]):
    """A stream of OpenAI's chunks. `hidden` is what every chunk carries in `_hidden_params`."""

    def __init__(
        self, opened: OpenStream, context: Context, hidden: dict[str, Any], finish: Finish[ModelResponse]
    ) -> None:
        super().__init__(opened, finish)
        self._wants_usage = context.stream_usage
        self._hidden = hidden
        self._writer = ChunkWriter(context)

    def _chunks(self, events: list[StreamEvent]) -> Iterator[ModelResponseStream]:
        fold, writer = self._fold, self._writer
        for event in events:
            fold.add(event)
            if fold.error is not None:
                raise self._failed(fold.error)
            for chunk in writer.chunks(event):
                if self._wants_usage or self._strip_usage(chunk):
                    yield ModelResponseStream(_whole(chunk))._with(self._hidden)

    @staticmethod
    def _strip_usage(chunk: dict[str, Any]) -> bool:
        """Take out the usage that we asked the provider for and the caller did not; False: nothing is left of the
        chunk.
        """
        return chunk.pop("usage", None) is None or bool(chunk.get("choices"))


def _whole(chunk: dict[str, Any]) -> dict[str, Any]:
    """A chunk that can be looped over: some hosts send one without choices, or a choice without a delta, to say that
    they are still there.
    """
    choices = chunk.get("choices")
    if choices is None:
        chunk["choices"] = []
        return chunk
    for choice in choices:
        if choice.get("delta") is None:
            choice["delta"] = {}
    return chunk


class Stream(Generic[C, R]):
    """The chunks of an answer, to be looped over. Afterwards `response` is the whole answer, its cost in
    `_hidden_params`.
    """

    _closed: tuple[Callable[[], None], ...] = ()

    def __init__(self, state: PureStream[C, R], source: Any) -> None:
        self._state = state
        self._source = source
        self._chunks = self._run()

    @property
    def response(self) -> R | None:
        """The whole response, once the stream has ended well."""
        return self._state.response

    @property
    def partial(self) -> R | None:
        """The response as far as it has arrived, at any time."""
        return self._state.so_far()

    def watch(
        self,
        around: Callable[[Generator[C, None, None]], Generator[C, None, None]],
        closed: Callable[[], None] | None = None,
    ) -> Self:
        """Let `around` see every chunk on its way, and the end; `closed` is told where somebody closes the stream."""
        self._chunks = around(self._chunks)
        self._closed = self._closed if closed is None else (*self._closed, closed)
        return self

    def __iter__(self) -> Iterator[C]:
        return self

    def __next__(self) -> C:
        return next(self._chunks)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *details: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop early: the connection is given up, and the provider sees it."""
        self._chunks.close()
        if self._source is not None:
            self._source.close()
        for closed in self._closed:
            closed()

    def _run(self) -> Generator[C, None, None]:
        state = self._state
        try:
            yield from state.first()
            for data in self._source or ():
                yield from state.feed(data)
            yield from state.finish()
        except StreamBroken as broken:
            raise state.cut(broken.broken.message) from broken
        finally:
            if self._source is not None:
                self._source.close()


class AsyncStream(Generic[C, R]):
    """The chunks of an answer, to be looped over with `async for`."""

    _closed: tuple[Callable[[], Awaitable[None]], ...] = ()

    def __init__(self, state: PureStream[C, R], source: Any) -> None:
        self._state = state
        self._source = source
        self._chunks = self._run()

    @property
    def response(self) -> R | None:
        """The whole response, once the stream has ended well."""
        return self._state.response

    @property
    def partial(self) -> R | None:
        """The response as far as it has arrived, at any time."""
        return self._state.so_far()

    def watch(
        self,
        around: Callable[[AsyncGenerator[C, None]], AsyncGenerator[C, None]],
        closed: Callable[[], Awaitable[None]] | None = None,
    ) -> Self:
        """Let `around` see every chunk on its way, and the end; `closed` is told where somebody closes the stream."""
        self._chunks = around(self._chunks)
        self._closed = self._closed if closed is None else (*self._closed, closed)
        return self

    def __aiter__(self) -> AsyncIterator[C]:
        return self._chunks

    async def __anext__(self) -> C:
        return await anext(self._chunks)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *details: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Stop early: the connection is given up, and the provider sees it."""
        await self._chunks.aclose()
        if self._source is not None:
            await self._source.aclose()
        for closed in self._closed:
            await closed()

    close = aclose

    async def _run(self) -> AsyncGenerator[C, None]:
        state = self._state
        try:
            for chunk in state.first():
                yield chunk
            if self._source is not None:
                async for data in self._source:
                    for chunk in state.feed(data):
                        yield chunk
            for chunk in state.finish():
                yield chunk
        except StreamBroken as broken:
            raise state.cut(broken.broken.message) from broken
        finally:
            if self._source is not None:
                await self._source.aclose()


ChatStream: TypeAlias = Stream[ModelResponseStream, ModelResponse]
AsyncChatStream: TypeAlias = AsyncStream[ModelResponseStream, ModelResponse]
