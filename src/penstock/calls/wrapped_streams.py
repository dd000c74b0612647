"""Streams that a host wraps into another framing: Amazon Bedrock's `invoke-with-response-stream` sends each event of
the model's own API as base64 in a message of an AWS event stream (`Route.framing`).

Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_InvokeModelWithResponseStream.html.
"""

from __future__ import annotations

from penstock.dialects import registry
from penstock.dialects.aws_event_stream import AwsEventStream, header_of, unwrapped, write_exception
from penstock.dialects.dialect import StreamParser
from penstock.dialects.framing import Frame
from penstock.types.errors import DialectError
from penstock.types.notes import NO_MEMO
from penstock.types.stream import StreamEvent


class UnwrappedEvents:
    """A parser of wrapped streams: unwraps, and hands the events to the parser of the model's own API. An exception of
    the host's is read as the host's own API reads it.
    """

    def __init__(self, inner: StreamParser) -> None:
        self._inner = inner
        self._messages = AwsEventStream()
        self._damage: DialectError | None = None

    def feed(self, data: bytes) -> list[StreamEvent]:
        """The events that these bytes complete. Raises DialectError, once the events before it were returned."""
        if self._damage is not None:
            raise self._damage
        events: list[StreamEvent] = []
        try:
            for frame in self._messages.feed(data):
                events += self._read(frame)
        except DialectError as damage:
            self._damage = damage
            if not events:
                raise
        return events

    def close(self) -> list[StreamEvent]:
        """What was still under way. Raises the DialectError that waits to be told."""
        if self._damage is not None:
            raise self._damage
        self._messages.close()
        return self._inner.close()

    def _read(self, frame: Frame) -> list[StreamEvent]:
        if header_of(frame, ":message-type") in ("exception", "error"):
            host = registry.get("bedrock_converse").stream_parser(NO_MEMO)
            return host.feed(write_exception(frame.data, frame.event or "internalServerException"))
        return self._inner.feed(unwrapped(frame))
