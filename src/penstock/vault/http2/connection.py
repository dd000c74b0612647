"""One HTTP/2 connection, for either side, without I/O: the `h2` package keeps the protocol, this file its bounds.

    server = ServerConnection()                  client = ClientConnection()
    for stream, event in server.feed(data, now): ...   # heads, Data, Trailers, End, Reset, Refused, Sendable, GoAway
    writer.write(server.out())                         # after every call: all calls may have something to send

Backpressure goes both ways: a peer gets room for more only for the bytes that were given to `acknowledge`, and
`send_data` takes as much as the peer has room for; `Sendable` says when to try again.
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

import msgspec
from h2 import events as lib
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.exceptions import H2Error, StreamClosedError
from h2.settings import SettingCodes, Settings
from hpack.exceptions import HPACKError
from hyperframe.exceptions import HyperframeError

from penstock.vault.http2.frames import FRAME_BYTES, Frames
from penstock.vault.http2.heads import (
    BoundedEncoder,
    Encoded,
    read_request,
    read_response,
    read_trailers,
    write_request,
    write_response,
    write_trailers,
)
from penstock.vault.http_parts import (
    HEAD_BYTES,
    INFORMATIONAL_HEADS,
    Data,
    End,
    GoAway,
    Refused,
    Reset,
    Sendable,
    Side,
    Trailers,
    bad_message,
    content_length,
)
from penstock.vault.values import Headers, Refusal, RequestHead, ResponseHead

CONCURRENT_STREAMS = 100
"""The most streams that a client may have open at once."""
STREAM_WINDOW = 256 * 1024
"""The most bytes of one stream that wait here for `acknowledge`."""
CONNECTION_WINDOW = 1024 * 1024
"""The most bytes of all streams of a connection that wait here for `acknowledge`."""

NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, REFUSED_STREAM, CANCEL, ENHANCE_YOUR_CALM = 0, 1, 2, 7, 8, 11
"""Error codes of resets and GOAWAY (RFC 9113 section 7)."""

Head = TypeVar("Head", RequestHead, ResponseHead)
_Common = Data | Trailers | End | Reset | Refused | Sendable | GoAway


class _Connection(H2Connection):
    MAX_CLOSED_STREAMS = 1024  # what it remembers of streams that are over


class _Stream(msgspec.Struct):
    """What we know of a stream that is not over.

    Args:
        method: of the request; it decides whether a response has a body.
        declared: the Content-Length of what comes, or None.
        received: bytes of the body that came.
        owed: of those, the bytes that are not acknowledged.
        informational: how many 1xx heads came.
        refused: whether what comes is dropped.
        came: whether all has come.
        went: whether all was sent.
    """

    method: str = ""
    declared: int | None = None
    received: int = 0
    owed: int = 0
    informational: int = 0
    refused: bool = False
    came: bool = False
    went: bool = False


class _Peer(Generic[Head]):
    """What both sides share. `Head` is what the other side sends."""

    _reads: Side  # what comes in
    _writes: Side  # what goes out

    def __init__(self, client_side: bool, scheme: str) -> None:
        self._scheme = scheme
        self._frames = Frames(self._reads)
        self._streams: dict[int, _Stream] = {}
        self._broken = False
        self._now = 0.0
        config = H2Configuration(client_side=client_side, header_encoding=None)
        self._lib = _Connection(config)
        self._lib.local_settings = Settings(client=client_side, initial_values=self._settings(client_side))
        self._lib.encoder = BoundedEncoder()
        self._lib.max_inbound_frame_size = FRAME_BYTES
        self._lib.decoder.max_header_list_size = HEAD_BYTES
        self._lib.initiate_connection()
        self._lib.increment_flow_control_window(CONNECTION_WINDOW - 65_535)

    @staticmethod
    def _settings(client_side: bool) -> dict[SettingCodes, int]:
        common = {
            SettingCodes.INITIAL_WINDOW_SIZE: STREAM_WINDOW,
            SettingCodes.MAX_FRAME_SIZE: FRAME_BYTES,
            SettingCodes.MAX_HEADER_LIST_SIZE: HEAD_BYTES,
            SettingCodes.MAX_CONCURRENT_STREAMS: CONCURRENT_STREAMS,
        }
        return common | {SettingCodes.ENABLE_PUSH: 0} if client_side else common

    # -- bytes --------------------------------------------------------------------------------------------------------

    def feed(self, data: bytes, now: float) -> list[tuple[int, Head | _Common]]:
        """Return what `data` brings, each event with the number of its stream (0: the connection).

        Args:
            data: bytes as they come.
            now: seconds of any steady clock; floods are measured by it.

        Raises:
            Refusal: the connection is of no more use (`bad_request` or `bad_response`): send `out()`, which says so to
                the peer, and close it. The events of this call are lost.
        """
        if self._broken:
            raise bad_message(self._reads, "more bytes on a connection that was refused")
        self._now = now
        events: list[tuple[int, Head | _Common]] = []
        try:
            for part in self._frames.screen(data, now):
                if isinstance(part, GoAway):
                    self._go_away_came(part, events)
                else:
                    self._receive(part, events)
        except Refusal:
            self.close(ENHANCE_YOUR_CALM)
            raise
        return events

    def _receive(self, data: bytes, events: list[tuple[int, Head | _Common]]) -> None:
        found = self._ask(lambda: self._lib.receive_data(data))
        if found is None:  # outside of the handler, so that no trace leads to the library's message: it quotes values
            self._broken = True
            raise bad_message(self._reads, "a breach of HTTP/2")
        for event in found:
            self._translate(event, events)

    @staticmethod
    def _ask(call: Callable[[], list[lib.Event]]) -> list[lib.Event] | None:
        try:
            return call()
        except (H2Error, HyperframeError, HPACKError, ValueError, KeyError, IndexError):
            return None

    def out(self) -> bytes:
        """Return the bytes that are to be sent now."""
        return self._lib.data_to_send()

    def eof(self) -> list[tuple[int, Reset]]:
        """Take note that the peer has closed: every stream that was not over is reset."""
        self._broken = True
        open_streams, self._streams = list(self._streams), {}
        return [(stream, Reset(CANCEL)) for stream in open_streams]

    def close(self, code: int = NO_ERROR) -> None:
        """End the connection and all its streams; `out()` has the GOAWAY that says so."""
        if not self._broken:
            self._broken = True
            self._lib.close_connection(code)

    @property
    def idle(self) -> bool:
        """Whether no stream is open."""
        return not self._streams

    # -- what comes ---------------------------------------------------------------------------------------------------

    def _translate(self, event: lib.Event, events: list[tuple[int, Head | _Common]]) -> None:
        match event:
            case lib.RequestReceived() | lib.ResponseReceived() | lib.InformationalResponseReceived():
                self._begin(event.stream_id or 0, event.headers or [], events)
            case lib.DataReceived():
                self._data(event, events)
            case lib.TrailersReceived():
                self._trailers(event.stream_id or 0, event.headers or [], events)
            case lib.StreamEnded():
                self._end(event.stream_id or 0, events)
            case lib.StreamReset():
                self._reset_came(event.stream_id or 0, int(event.error_code or 0), events)
            case lib.WindowUpdated():
                if not event.stream_id or event.stream_id in self._streams:
                    events.append((event.stream_id or 0, Sendable()))
            case lib.RemoteSettingsChanged():
                events.append((0, Sendable()))

    def _stream_of_head(self, number: int) -> _Stream | None:
        raise NotImplementedError

    def _read_head(self, number: int, encoded: Encoded) -> Head:
        raise NotImplementedError

    def _begin(self, number: int, encoded: Encoded, events: list[tuple[int, Head | _Common]]) -> None:
        stream = self._stream_of_head(number)
        if stream is None:
            return
        try:
            head = self._read_head(number, encoded)
            stream.declared = self._declared(stream, head)
        except Refusal as refusal:
            self._refuse(number, refusal, events)
        else:
            events.append((number, head))

    def _declared(self, stream: _Stream, head: Head) -> int | None:
        """Return how many bytes of body the head announces."""
        return content_length(self._reads, head.headers)

    def _data(self, event: lib.DataReceived, events: list[tuple[int, Head | _Common]]) -> None:
        number, data = event.stream_id or 0, bytes(event.data or b"")
        padding = (event.flow_controlled_length or 0) - len(data)
        stream = self._streams.get(number)
        if not data and event.stream_ended is None:
            self._frames.charge_control(self._now)
        if stream is None or stream.refused:
            self._give_room(number, padding + len(data))
            return
        self._give_room(number, padding)
        stream.received += len(data)
        stream.owed += len(data)
        if stream.declared is not None and stream.received > stream.declared:
            self._refuse(number, bad_message(self._reads, "a body longer than its Content-Length"), events)
        elif data:
            events.append((number, Data(data)))

    def _trailers(self, number: int, encoded: Encoded, events: list[tuple[int, Head | _Common]]) -> None:
        stream = self._streams.get(number)
        if stream is None or stream.refused:
            return
        try:
            fields = read_trailers(self._reads, encoded)
        except Refusal as refusal:
            self._refuse(number, refusal, events)
        else:
            if fields:
                events.append((number, Trailers(fields)))

    def _end(self, number: int, events: list[tuple[int, Head | _Common]]) -> None:
        stream = self._streams.get(number)
        if stream is None:
            return
        stream.came = True
        if not stream.refused:
            if stream.declared is not None and stream.received != stream.declared:
                self._refuse(number, bad_message(self._reads, "a body shorter than its Content-Length"), events)
            else:
                events.append((number, End()))
        self._forget_if_over(number)

    def _reset_came(self, number: int, code: int, events: list[tuple[int, Head | _Common]]) -> None:
        if number in self._streams:
            self._drop(number)
            events.append((number, Reset(code)))

    def _refuse(self, number: int, refusal: Refusal, events: list[tuple[int, Head | _Common]]) -> None:
        """Have no more of what this stream brings."""
        self._frames.charge_reset(self._now)
        self._streams[number].refused = True
        self._pay(number)
        events.append((number, Refused(refusal)))

    def _go_away_came(self, event: GoAway, events: list[tuple[int, Head | _Common]]) -> None:
        events.append((0, event))

    # -- room for more ------------------------------------------------------------------------------------------------

    def acknowledge(self, stream: int, count: int) -> None:
        """Let the peer send `count` more bytes, for as many of `stream` have found their way."""
        found = self._streams.get(stream)
        if found is not None:
            count = min(count, found.owed)
            found.owed -= count
            self._give_room(stream, count)

    def _give_room(self, stream: int, count: int) -> None:
        if count and not self._broken:
            self._lib.acknowledge_received_data(count, stream)

    def _pay(self, number: int) -> None:
        """Give back what this stream holds of the window that all share."""
        stream = self._streams[number]
        owed, stream.owed = stream.owed, 0
        self._give_room(number, owed)

    def _drop(self, number: int) -> None:
        self._pay(number)
        del self._streams[number]

    def _forget_if_over(self, number: int) -> None:
        stream = self._streams.get(number)
        if stream is not None and stream.came and stream.went:
            self._drop(number)

    # -- what goes ----------------------------------------------------------------------------------------------------

    def room(self, stream: int) -> int:
        """Return how many bytes of body the peer takes now on `stream`.

        Raises:
            Refusal: `stream_closed`: the stream, or the connection, is over.
        """
        self._check_open(stream)
        return max(0, self._lib.local_flow_control_window(stream))

    def send_data(self, stream: int, data: bytes, *, end: bool = False) -> int:
        """Send as much of `data` as the peer takes now, and return how much that was. `end` counts if it was all.

        Raises:
            Refusal: `stream_closed`.
        """
        room = self.room(stream)
        sent = 0
        while sent < len(data) and room > sent:
            size = min(self._lib.max_outbound_frame_size, room - sent)
            part = data[sent : sent + size]
            with self._sending():
                self._lib.send_data(stream, part)
            self._frames.sent_data()
            sent += len(part)
        if end and sent == len(data):
            with self._sending():
                self._lib.end_stream(stream)
            self._sent_all(stream)
        return sent

    def send_trailers(self, stream: int, fields: Headers) -> None:
        """Send trailers, which end the stream.

        Raises:
            Refusal: `stream_closed`, `unsafe_message`, or a field that may not come after the body.
        """
        self._check_open(stream)
        encoded = write_trailers(self._writes, fields)
        with self._sending():
            self._lib.send_headers(stream, encoded, end_stream=True)
        self._sent_all(stream)

    def reset(self, stream: int, code: int = CANCEL) -> None:
        """End a stream before it is over; one that is over is left alone."""
        if stream in self._streams and not self._broken:
            self._drop(stream)
            with contextlib.suppress(StreamClosedError):
                self._lib.reset_stream(stream, code)

    def _sent_all(self, number: int) -> None:
        self._streams[number].went = True
        self._forget_if_over(number)

    @contextlib.contextmanager
    def _sending(self) -> Iterator[None]:
        """Say of what the library will not send only that: its own message quotes values."""
        failed = False
        try:
            yield
        except (H2Error, ValueError):
            failed = True
        if failed:
            raise Refusal("stream_closed", "The HTTP/2 stream does not take what was to be sent.", status=502)

    def _check_open(self, stream: int) -> None:
        found = self._streams.get(stream)
        if self._broken or found is None or found.went:
            raise Refusal("stream_closed", "The HTTP/2 stream is over.", status=502)


class ServerConnection(_Peer[RequestHead]):
    """The vault's side of a connection from a client: requests come, responses go."""

    _reads, _writes = "request", "response"

    def __init__(self, scheme: str = "https") -> None:
        super().__init__(client_side=False, scheme=scheme)

    def send_response(self, stream: int, head: ResponseHead, length: int | None = None, *, end: bool = False) -> None:
        """Send a head: any number of 1xx, then one that is final.

        Args:
            stream: the number that came with the request.
            head: its fields of framing and of the connection are left out.
            length: the Content-Length to tell (for HEAD and 304, that of the body which does not follow), if any.
            end: whether nothing follows.

        Raises:
            Refusal: `stream_closed`: the client has left it. `unsafe_message`: a part cannot be sent as it is.
        """
        self._check_open(stream)
        encoded = write_response(head, length)
        with self._sending():
            self._lib.send_headers(stream, encoded, end_stream=end)
        if end:
            self._sent_all(stream)

    def _stream_of_head(self, number: int) -> _Stream | None:
        return self._streams.setdefault(number, _Stream())

    def _read_head(self, number: int, encoded: Encoded) -> RequestHead:
        return read_request(encoded, self._scheme)


class ClientConnection(_Peer[ResponseHead]):
    """The vault's side of a connection to an upstream: requests go, responses come."""

    _reads, _writes = "response", "request"

    def __init__(self, scheme: str = "https") -> None:
        super().__init__(client_side=True, scheme=scheme)
        self._leaving = False

    @property
    def usable(self) -> bool:
        """Whether another request can be sent now."""
        most = self._lib.remote_settings.max_concurrent_streams
        return not self._broken and not self._leaving and self._lib.open_outbound_streams < most

    def send_request(self, head: RequestHead, length: int | None = None, *, end: bool = False) -> int:
        """Send a head, and return the number of its stream.

        Args:
            head: its one `host` becomes `:authority`; its fields of framing and of the connection are left out.
            length: the Content-Length to tell, if any.
            end: whether nothing follows.

        Raises:
            Refusal: `stream_closed`: the connection is not `usable`. `unsafe_message`: a part cannot be sent as it is.
        """
        if not self.usable:
            raise Refusal("stream_closed", "The HTTP/2 connection to the upstream takes no more requests.", status=502)
        encoded = write_request(head, self._scheme, length)
        number = self._lib.get_next_available_stream_id()
        with self._sending():
            self._lib.send_headers(number, encoded, end_stream=end)
        self._streams[number] = _Stream(method=head.method, went=end)
        return number

    def _stream_of_head(self, number: int) -> _Stream | None:
        return self._streams.get(number)

    def _read_head(self, number: int, encoded: Encoded) -> ResponseHead:
        head = read_response(encoded)
        stream = self._streams[number]
        stream.informational += head.status < 200
        if stream.informational > INFORMATIONAL_HEADS:
            raise bad_message("response", f"more than {INFORMATIONAL_HEADS} informational heads")
        return head

    def _declared(self, stream: _Stream, head: ResponseHead) -> int | None:
        declared = content_length("response", head.headers)
        if stream.method == "HEAD" or head.status == 304:
            return 0
        if (head.status < 200 or head.status == 204) and declared:
            raise bad_message("response", "a body announced where this status has none")
        return None if head.status < 200 else 0 if head.status == 204 else declared

    def _refuse(self, number: int, refusal: Refusal, events: list[tuple[int, ResponseHead | _Common]]) -> None:
        super()._refuse(number, refusal, events)
        self.reset(number, PROTOCOL_ERROR)

    def _go_away_came(self, event: GoAway, events: list[tuple[int, ResponseHead | _Common]]) -> None:
        """Send no more requests; those that the upstream did not take are reset (it is safe to send them elsewhere)."""
        self._leaving = True
        super()._go_away_came(event, events)
        for number in [number for number in self._streams if number > event.last_stream]:
            self.reset(number, CANCEL)
            events.append((number, Reset(REFUSED_STREAM)))
