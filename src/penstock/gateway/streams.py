"""Streams on their way to the client: relayed as they come, or translated event by event.

What both hold to: the call's record is complete before the frame that ends the stream goes out; a stream that breaks
off ends with an error in the client's dialect, never as if it were whole; a client that reads slowly slows the
provider down; when the client leaves, the provider's stream is cut, or read on for its usage, as the configuration
says.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from penstock.calls.opening import OpenStream
from penstock.exchange import Broken, Reply
from penstock.gateway import bounds
from penstock.gateway.driver import Piped
from penstock.gateway.tap import Seen, StreamTap, read_event
from penstock.types.errors import DialectError, ErrorResponse
from penstock.types.stream import End, Failure, Stop, StreamEvent
from penstock.types.usage import Usage

if TYPE_CHECKING:
    from penstock.gateway.chat import ChatCall, RelayAttempt, TranslateAttempt


class RelayedStream:
    """A provider's stream in the client's own dialect: its bytes go through, and a tap reads along."""

    __slots__ = ("_call", "_done", "_first_token", "_hides", "_made", "_piped", "_reply", "_tail", "_tap")

    def __init__(self, call: ChatCall, made: RelayAttempt, reply: Reply) -> None:
        self._call = call
        self._made = made
        self._reply = reply
        self._piped: Piped = reply.stream
        surface = call.surface
        self._tap = StreamTap(surface.dialect, surface.marks)
        self._hides = not call.peeked.counts and surface.count is not None
        self._tail = b""
        self._done = False
        self._first_token = time.perf_counter() - call.sent_at

    def begin(self) -> None:
        """Send the head, and what has come; then whatever comes."""
        call, piped = self._call, self._piped
        call.waited += time.perf_counter() - call.sent_at
        kind = self._reply.headers.get("content-type", call.surface.dialect.stream_media_type)
        head = b"content-type: %b\r\ncache-control: no-cache\r\nx-accel-buffering: no\r\n" % kind.encode("latin-1")
        inbound = call.inbound
        inbound.begin(200, call.answer_head(self._made.target, head, None))
        inbound.slow = piped.slow
        inbound.client_left, inbound.answering = self._client_left, self
        self._take(self._reply.body)
        piped.attach(self._take)

    def _take(self, piece: bytes | Broken | None) -> None:
        if self._done:
            return
        if type(piece) is not bytes:
            self._end(piece if isinstance(piece, Broken) else None)
            return
        tap = self._tap
        if self._hides:
            piece = self._without_usage(piece)
            if not piece:
                return
        else:
            tap.feed(piece)
        if (tap.ended or tap.failed) and self._call.open is not None:
            self._record("broken" if tap.failed else "success")
        self._call.inbound.write(piece)

    def _without_usage(self, piece: bytes) -> bytes:
        """Whole frames only, and without the one with the usage that the client did not ask for."""
        data = self._tail + piece if self._tail else piece
        cut = max(data.rfind(b"\n\n") + 2, data.rfind(b"\r\n\r\n") + 4)
        if cut < 4:
            self._tail = data
            return b""
        data, self._tail = data[:cut], data[cut:]
        self._tap.take(data)
        if b'"usage"' not in data:
            return data
        frames = data.replace(b"\r\n\r\n", b"\n\n").split(b"\n\n")
        kept = [frame for frame in frames if frame and not _is_usage_alone(frame)]
        return b"".join(frame + b"\n\n" for frame in kept)

    def _end(self, broken: Broken | None) -> None:
        """The provider's stream is over, or broke off."""
        self._done = True
        call, tap = self._call, self._tap
        whole = broken is None and (tap.ended or not call.surface.marks.last)
        if self._tail:
            call.inbound.write(self._tail)
        if call.open is not None:
            self._record("success" if whole else "broken")
        if whole or tap.failed or (tap.ended and broken is not None):
            call.inbound.end()
            call.release()
            return
        call.route.broke(broken)
        reason = "the stream ended before its end" if broken is None else broken.message
        said = _failure(call, f"the provider's stream broke off: {reason}")
        if tap.in_frame or self._tail:
            said = b"\n\n" + said
        call.inbound.end(said)
        call.release()

    def _record(self, outcome: str) -> None:
        call, tap = self._call, self._tap
        seen = tap.read()
        usage, estimated = seen.usage, False
        if usage is None:
            usage, estimated = estimate(call, tap.frames), True
        picodollars, text = call.charge(self._made.target, usage, seen.service_tier, None)
        error = seen.error.kind if seen.error is not None else None
        call.finish(
            200,
            usage,
            picodollars,
            text,
            seen.finish_reason,
            seen.response_id,
            outcome=outcome,
            error=error or ("unavailable" if outcome == "broken" else None),
            estimated=estimated,
            first_token=self._first_token,
        )

    def cut(self, error: ErrorResponse) -> None:
        """End it here, and tell why: its key was revoked."""
        if self._done:
            return
        self._done = True
        self._piped.close()
        if self._call.open is not None:
            self._record("cancelled")
        said = _failure(self._call, error.message, error.kind, error.status)
        self._call.inbound.end(b"\n\n" + said if self._tap.in_frame or self._tail else said)

    def _client_left(self) -> None:
        call = self._call
        if call.open is None:
            self._done = True
            self._piped.close()
            return
        if call.plane.snapshot.settings.on_disconnect == "drain":
            self._piped.slow(False)
            return  # what is written now goes nowhere; the end is recorded as it comes
        self._done = True
        self._piped.close()
        self._record("cancelled")


def _is_usage_alone(frame: bytes) -> bool:
    """Whether a frame of OpenAI's chat stream holds the usage of the whole and no choice."""
    return b'"usage"' in frame and (b'"choices":[]' in frame or b'"choices": []' in frame)


def estimate(call: ChatCall, frames: int) -> Usage:
    """The usage of an answer that was cut off before anybody told it: what went in at a quarter of a token a byte,
    and a
    token for each frame that came.
    """
    inward = max(1, bounds.tight(call.inbound.body) // 4)
    return Usage(input_tokens=inward, output_tokens=frames, total_tokens=inward + frames)


def _failure(call: ChatCall, message: str, kind: Any = "unavailable", status: int = 503) -> bytes:
    """An error as the client's dialect says it in a stream."""
    renderer = call.surface.dialect.stream_renderer(call.context(None))
    error = ErrorResponse(kind=kind, status=status, message=message)
    said: bytes = call.plane.redact(renderer.render(StreamEvent((Failure(error),))))
    return said


class TranslatedStream:
    """A stream in another dialect: events parsed, and rendered in the client's."""

    __slots__ = (
        "_call",
        "_ended",
        "_events",
        "_failed",
        "_first_token",
        "_held",
        "_made",
        "_over",
        "_parser",
        "_piped",
        "_renderer",
        "_seen",
        "_source",
    )

    def __init__(self, call: ChatCall, made: TranslateAttempt | None, opened: OpenStream, piped: Piped | None) -> None:
        from msgspec.structs import replace

        self._call = call
        self._made = made
        self._piped = piped
        self._parser = opened.parser
        context = replace(call.context(made), source=opened.dialect)
        self._renderer = call.surface.dialect.stream_renderer(context)
        self._source = opened
        self._seen = Seen()
        self._events = 0
        self._ended = self._failed = self._over = False
        self._first_token = time.perf_counter() - call.sent_at if call.sent_at else None

    def begin(self) -> None:
        """Send the head, and what has come; then whatever comes."""
        call, inbound = self._call, self._call.inbound
        if call.sent_at:
            call.waited += time.perf_counter() - call.sent_at
        if self._made is not None:
            call.notes = self._made.chat.notes
        dialect = call.surface.dialect
        kind = dialect.stream_type_asked(inbound.query) or dialect.stream_media_type
        head = b"content-type: %b\r\ncache-control: no-cache\r\nx-accel-buffering: no\r\n" % kind.encode("ascii")
        inbound.begin(200, call.answer_head(call.target, head, None))
        inbound.client_left, inbound.answering = self._client_left, self
        piped = self._piped
        if piped is None:
            self._write(self._source.first)
            self._take(None)
            return
        inbound.slow = piped.slow
        self._write(self._source.first)
        piped.attach(self._take)

    def _take(self, piece: bytes | Broken | None) -> None:
        if self._over:
            return
        try:
            if type(piece) is bytes:
                self._write(self._parser.feed(piece))
            elif piece is None:
                self._write(self._parser.close())
                self._finish(None)
            elif isinstance(piece, Broken):
                self._finish(piece.message)
        except DialectError as error:
            self._finish(str(error))

    def _write(self, events: list[StreamEvent]) -> None:
        call, said = self._call, []
        for event in events:
            self._events += 1
            read_event(event, self._seen)
            for delta in event.deltas:
                if isinstance(delta, End | Stop):
                    self._ended = True
                elif isinstance(delta, Failure):
                    self._failed = True
            said.append(self._renderer.render(event))
        if self._failed:
            call.inbound.write(call.plane.redact(b"".join(said)))
            self._finish(None)
        elif said:
            call.inbound.write(b"".join(said))

    def _finish(self, broken: str | None) -> None:
        """The end: recorded first, then said."""
        if self._over:
            return
        self._over = True
        call = self._call
        whole = self._ended and not self._failed
        self._record("success" if whole else "broken")
        if self._failed:
            if self._piped is not None:
                self._piped.close()
            call.inbound.end()
        elif whole:
            call.inbound.end(self._renderer.close())
        else:
            reason = broken or "the stream ended before its end"
            error = ErrorResponse(kind="unavailable", status=503, message=f"the provider's stream broke off: {reason}")
            call.inbound.end(call.plane.redact(self._renderer.render(StreamEvent((Failure(error),)))))
        call.release()

    def _record(self, outcome: str) -> None:
        call, seen, target = self._call, self._seen, self._call.target
        usage, estimated = seen.usage, False
        if usage is None:
            usage, estimated = estimate(call, self._events), True
        picodollars, text = (None, None) if target is None else call.charge(target, usage, seen.service_tier, None)
        call.notes += tuple(self._renderer.notes)
        error = seen.error.kind if seen.error is not None else None
        call.finish(
            200,
            usage,
            picodollars,
            text,
            seen.finish_reason,
            seen.response_id,
            outcome=outcome,
            error=error or ("unavailable" if outcome == "broken" else None),
            estimated=estimated,
            first_token=self._first_token,
        )

    def cut(self, error: ErrorResponse) -> None:
        """End it here, and tell why: its key was revoked."""
        if self._over:
            return
        self._over = True
        if self._piped is not None:
            self._piped.close()
        self._record("cancelled")
        self._call.inbound.end(self._call.plane.redact(self._renderer.render(StreamEvent((Failure(error),)))))

    def _client_left(self) -> None:
        if self._over:
            return
        call = self._call
        if self._piped is not None and call.plane.snapshot.settings.on_disconnect == "drain":
            self._piped.slow(False)
            return
        self._over = True
        if self._piped is not None:
            self._piped.close()
        self._record("cancelled")
