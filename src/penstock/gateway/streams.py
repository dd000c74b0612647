"""Streams on their way to the client: relayed as they come, or translated event by event.

What both hold to: the call's record is complete before the frame that ends the stream goes out; a stream that breaks
off ends with an error in the client's dialect, never as if it were whole; a client that reads slowly slows the
provider down; when the client leaves, the provider's stream is cut, or read on for its usage, as the configuration
says.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

from penstock.calls.opening import OpenStream
from penstock.exchange import Broken, Reply
from penstock.gateway import bounds
from penstock.gateway.call import place_of
from penstock.gateway.driver import Piped
from penstock.gateway.naming import StreamRenamer
from penstock.gateway.tap import Seen, StreamTap, read_event
from penstock.types.errors import DialectError, ErrorResponse
from penstock.types.stream import End, Failure, Stop, StreamEvent
from penstock.types.usage import Usage

if TYPE_CHECKING:
    from penstock.gateway.chat import ChatCall
    from penstock.gateway.chat_attempts import RelayAttempt, TranslateAttempt

_log = logging.getLogger("penstock.gateway")


class RelayedStream:
    """A provider's stream in the client's own dialect: its frames go through, each whole, and a tap reads along."""

    __slots__ = ("_call", "_done", "_first_token", "_hides", "_made", "_piped", "_rename", "_reply", "_tap")

    def __init__(self, call: ChatCall, made: RelayAttempt, reply: Reply) -> None:
        self._call = call
        self._made = made
        self._reply = reply
        self._piped: Piped = reply.stream
        surface = call.surface
        self._tap = StreamTap(surface.dialect, surface.marks)
        self._hides = not call.peeked.counts and surface.count is not None
        asked = call.requested
        by_another = asked != made.target.resolved.model
        self._rename = StreamRenamer(surface.model_key, asked) if by_another else None
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
        inbound.pace(piped.slow)
        inbound.client_left, inbound.answering = self._client_left, self
        self._take(self._reply.body)
        piped.attach(self._take)

    def _take(self, piece: bytes | Broken | None) -> None:
        if self._done:
            return
        try:
            if type(piece) is bytes:
                data = self._tap.whole(piece)
                if self._tap.is_plain(data):
                    self._pass_plain(data)
                elif data:
                    self._pass(data)
            else:
                self._end(piece if isinstance(piece, Broken) else None)
        except Exception as error:
            self._fail(our_fault(self._call, error))

    def _fail(self, fault: ErrorResponse) -> None:
        """The gateway itself failed: say so, if the end was not said yet."""
        if not self._done:
            try:
                self.cut(fault)
                return
            except Exception as worse:  # its end could not even be recorded
                our_fault(self._call, worse)
        self._call.inbound.abort()
        self._call.release()

    def _pass_plain(self, data: bytes) -> None:
        """Pass on a frame that brings more text and nothing else."""
        call = self._call
        if call.kept is not None:
            call.kept.take(data)
        call.inbound.write(data if self._rename is None else self._rename(data))

    def _pass(self, data: bytes) -> None:
        """Pass on whole frames; of such as cannot be read, none, and nothing behind them."""
        tap, call = self._tap, self._call
        bad = tap.bad(data)
        if bad >= 0:
            data = data[:bad]
        tap.take(data)
        if self._rename is not None:
            data = self._rename(data)
        if self._hides and b'"usage"' in data:
            data = _without_usage(data)
        if tap.failed:
            data = call.plane.redact(data)
        if call.kept is not None:
            call.kept.take(data)
        if (tap.ended or tap.failed) and call.open is not None:
            if tap.failed:
                call.route.broke(tap.read().error)
            self._record("broken" if tap.failed else "success")
        call.inbound.write(data)
        if bad >= 0:
            self._piped.close()
            self._end(Broken("protocol", "what came is no event of its dialect"))

    def _end(self, broken: Broken | None) -> None:
        """The provider's stream is over, or broke off."""
        if self._done:
            return
        call, tap = self._call, self._tap
        if broken is None and (rest := tap.rest()):
            self._pass(rest)
            if self._done:
                return
        self._done = True
        whole = broken is None and (tap.ended or tap.finished)
        if not whole:
            call.route.broke(broken)
        if call.open is not None:
            self._record("success" if whole else "broken")
        if whole or tap.failed or (tap.ended and broken is not None):
            call.inbound.end(b"" if tap.ended or tap.failed else self._closing())
            call.release()
            return
        reason = "the stream ended before its end" if broken is None else broken.message
        call.inbound.end(_failure(call, f"the provider's stream broke off: {reason}"))
        call.release()

    def _closing(self) -> bytes:
        """What the dialect ends a stream with, for a provider that has left it out."""
        last = self._call.surface.marks.last
        return last[0] + b"\n\n" if last else b""

    def _record(self, outcome: str) -> None:
        call, tap = self._call, self._tap
        seen = tap.read()
        usage, estimated = seen.usage, False
        if usage is None:
            usage, estimated = estimate(call, tap.frames), True
        elif outcome != "success" and not tap.ended:
            usage, estimated = as_far_as_it_came(usage, tap.frames), True
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
        self._call.inbound.end(said)
        self._call.release()

    def _client_left(self) -> None:
        call = self._call
        if call.open is None:
            self._done = True
            self._piped.close()
            call.release()
            return
        if call.plane.snapshot.settings.on_disconnect == "drain":
            self._piped.slow(False)
            return  # what is written now goes nowhere; the end is recorded as it comes
        self._done = True
        self._piped.close()
        self._record("cancelled")
        call.release()


def _without_usage(data: bytes) -> bytes:
    """Whole frames without the one with the usage that the client did not ask for."""
    frames = data.replace(b"\r\n\r\n", b"\n\n").split(b"\n\n")
    return b"".join(frame + b"\n\n" for frame in frames if frame and not _is_usage_alone(frame))


def _is_usage_alone(frame: bytes) -> bool:
    """Whether a frame of OpenAI's chat stream holds the usage of the whole and no choice."""
    return b'"usage"' in frame and (b'"choices":[]' in frame or b'"choices": []' in frame)


def estimate(call: ChatCall, frames: int) -> Usage:
    """The usage of an answer that was cut off before anybody told it: what went in at a quarter of a token a byte,
    and a token for each frame that came.
    """
    inward = max(1, bounds.tight(call.inbound.body) // 4)
    return Usage(input_tokens=inward, output_tokens=frames, total_tokens=inward + frames)


def our_fault(call: ChatCall, error: Exception) -> ErrorResponse:
    """What a client is told of a fault of the gateway's own. The log is told more."""
    _log.error("the stream of call %s failed in the gateway itself: %s", call.id, place_of(error))
    message = f"the gateway failed; its log tells more under call {call.id}"
    return ErrorResponse(kind="server", status=500, message=message)


def as_far_as_it_came(usage: Usage, frames: int) -> Usage:
    """The usage of an answer that was cut off: what was told at its beginning (Anthropic's `message_start`) counts one
    token out, and each frame that came was one at least.
    """
    from msgspec.structs import replace

    more = frames - (usage.output_tokens or 0)
    if more <= 0:
        return usage
    total = None if usage.total_tokens is None else usage.total_tokens + more
    return replace(usage, output_tokens=frames, total_tokens=total)


def _failure(call: ChatCall, message: str, kind: Any = "unavailable", status: int = 503) -> bytes:
    """An error as the client's dialect says it in a stream."""
    renderer = call.surface.dialect.stream_renderer(call.context())
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
        context = replace(call.context(), source=opened.dialect)
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
        inbound.pace(piped.slow)
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
                self._finish(piece)
        except DialectError as error:
            self._finish(Broken("protocol", str(error)))
        except Exception as error:
            fault = our_fault(self._call, error)
            try:
                if not self._over:
                    self._finish(None, fault)
                    return
            except Exception as worse:  # its end could not even be recorded
                our_fault(self._call, worse)
            self._call.inbound.abort()  # nothing can be said any more, but nobody must wait for ever
            self._call.release()

    def _write(self, events: list[StreamEvent]) -> None:
        call, said = self._call, []
        for event in events:
            self._events += 1
            read_event(event, self._seen)
            for delta in event.deltas:
                kind = type(delta)
                if kind is End or kind is Stop:
                    self._ended = True
                elif kind is Failure:
                    self._failed = True
            said.append(self._renderer.render(event))
        if call.kept is not None:
            call.kept.take(b"".join(said))
        if self._failed:
            call.inbound.write(call.plane.redact(b"".join(said)))
            self._finish(None)
        elif said:
            call.inbound.write(b"".join(said))

    def _finish(self, broken: Broken | None, error: ErrorResponse | None = None) -> None:
        """The end: recorded first, then said. `error`: why it cannot go on, where that is not the provider's doing."""
        if self._over:
            return
        self._over = True
        call = self._call
        whole = self._ended and not self._failed and error is None
        if not whole and error is None:
            call.route.broke(self._seen.error or broken)
        self._record("success" if whole else "broken")
        if not whole and self._piped is not None:
            self._piped.close()
        if self._failed:
            call.inbound.end()
        elif whole:
            call.inbound.end(self._renderer.close())
        else:
            reason = "the stream ended before its end" if broken is None else broken.message
            error = error or ErrorResponse(
                kind="unavailable", status=503, message=f"the provider's stream broke off: {reason}"
            )
            call.inbound.end(call.plane.redact(self._renderer.render(StreamEvent((Failure(error),)))))
        call.release()

    def _record(self, outcome: str) -> None:
        call, seen, target = self._call, self._seen, self._call.target
        usage, estimated = seen.usage, False
        if usage is None:
            usage, estimated = estimate(call, self._events), True
        elif outcome != "success" and not self._ended:
            usage, estimated = as_far_as_it_came(usage, self._events), True
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
        self._call.release()

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
        call.release()
