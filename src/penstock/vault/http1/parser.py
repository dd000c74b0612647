"""The two parsers of HTTP/1.1: states, bodies and the end of the input. The rules of heads are in `heads`.

Whoever drives a parser gives it bytes as they come and gets the events of one message, up to its `End`:

    request: head --> length | chunk_line <-> chunk, chunk_end --> trailers --> end --next()--> head
    response: end --expect()--> head (1xx: head again) --> as above, or close --eof()--> end

What was refused stays refused: a parser that raised is broken, and so is its connection.
"""

import re
from typing import Literal

from penstock.vault.http1.heads import (
    Framing,
    RequestFacts,
    ResponseFacts,
    parse_fields,
    parse_request_head,
    parse_request_line,
    parse_response_head,
    parse_status_line,
    parse_target,
)
from penstock.vault.http_parts import (
    HEAD_BYTES,
    INFORMATIONAL_HEADS,
    METHOD_BYTES,
    TARGET_BYTES,
    TRAILER_BYTES,
    Data,
    End,
    Side,
    Trailers,
    bad_message,
    check_names,
    check_trailers,
)
from penstock.vault.values import Refusal, RequestHead, ResponseHead

CHUNK_DIGITS = 12
"""The most hexadecimal digits of a chunk's size."""
CHUNK_LINE_BYTES = 1024
"""The longest line before a chunk: its size and its extensions, which are dropped."""
WAITING_BYTES = 1024 * 1024
"""The most bytes that wait behind an `End` for `next()`."""
START_LINE_BYTES = METHOD_BYTES + TARGET_BYTES + 16
"""The longest first line of a head."""

RequestEvent = RequestHead | Data | Trailers | End
ResponseEvent = ResponseHead | Data | Trailers | End
_Event = RequestHead | ResponseHead | Data | Trailers | End

_CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,%d})(?:;[\t\x20-\x7e\x80-\xff]*)?" % CHUNK_DIGITS)
_NEVER_IN_A_HEAD = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|(?<!\r)\n|\r(?!\n|\Z)")


class _Waiting:
    """Bytes that came and are not parsed yet. What a body takes of them is sliced once, whole where it can be."""

    def __init__(self) -> None:
        self._data: bytes | bytearray = b""
        self._at = 0
        self._searched = 0

    def __len__(self) -> int:
        return len(self._data) - self._at

    def add(self, data: bytes) -> None:
        if self._at == len(self._data):
            self._data, self._at, self._searched = data, 0, 0
            return
        if not isinstance(self._data, bytearray):
            self._data = bytearray(self._data)
        del self._data[: self._at]
        self._searched = max(0, self._searched - self._at)
        self._at = 0
        self._data += data

    def take(self, most: int) -> bytes:
        end = min(self._at + most, len(self._data))
        part = bytes(self._data) if (self._at, end) == (0, len(self._data)) else bytes(self._data[self._at : end])
        self._at = end
        return part

    def until(self, mark: bytes) -> bytes | None:
        """Take what is before `mark`, and the mark; None while it has not come. Nothing is searched twice."""
        found = self._data.find(mark, max(self._at, self._searched - len(mark) + 1))
        if found < 0:
            self._searched = len(self._data)
            return None
        part = bytes(self._data[self._at : found])
        self._at = self._searched = found + len(mark)
        return part

    def unread(self) -> tuple[bytes | bytearray, int, int]:
        """The bytes, where those begin that wait, and from where on none has been searched."""
        return self._data, self._at, max(self._at, self._searched)

    def peek(self, count: int) -> bytes:
        return bytes(self._data[self._at : self._at + count])


_State = Literal["head", "length", "chunk_line", "chunk", "chunk_end", "trailers", "close", "end", "broken"]


class _Parser:
    """What both sides share: bodies, waiting bytes, the end of the input."""

    _side: Side

    def __init__(self) -> None:
        self._waiting = _Waiting()
        self._state: _State = "head"
        self._left = 0  # bytes of the body, or of the chunk, still to come
        self._body: list[bytes] = []  # what this call found of the body, not yet an event

    def _feed(self, data: bytes) -> list[_Event]:
        if self._state == "broken":
            raise bad_message(self._side, "more bytes after a message that was refused")
        if data:
            self._waiting.add(data)
        if self._state == "end":
            return self._wait()
        try:
            return self._events()
        except Refusal:
            self._state = "broken"
            raise

    def _wait(self) -> list[_Event]:
        if len(self._waiting) > WAITING_BYTES:
            self._state = "broken"
            raise bad_message(
                self._side, f"more than {WAITING_BYTES} bytes behind a message that is not answered yet", 429
            )
        return []

    def _events(self) -> list[_Event]:
        events: list[_Event] = []
        while self._step(events):
            pass
        self._flush(events)
        return events

    def _step(self, events: list[_Event]) -> bool:
        """Do what the state can do with the waiting bytes; return whether to go on."""
        match self._state:
            case "head":
                return self._head(events)
            case "length" | "chunk":
                return self._part(events)
            case "chunk_line":
                return self._chunk_line()
            case "chunk_end":
                return self._chunk_end()
            case "trailers":
                return self._trailers(events)
            case "close":
                if len(self._waiting):
                    self._body.append(self._waiting.take(len(self._waiting)))
        return False

    def _flush(self, events: list[_Event]) -> None:
        if self._body:
            events.append(Data(self._body[0] if len(self._body) == 1 else b"".join(self._body)))
            self._body = []

    def _end(self, events: list[_Event]) -> bool:
        self._flush(events)
        events.append(End())
        self._state = "end"
        return False

    def _head(self, events: list[_Event]) -> bool:
        raise NotImplementedError

    def _head_text(self) -> str | None:
        """Take a head, without its empty line, or return None while it is not whole; what is hopeless is refused."""
        data, begin, fresh = self._waiting.unread()
        head = self._waiting.until(b"\r\n\r\n")
        if (len(head) if head is not None else len(data) - begin) > HEAD_BYTES:
            raise bad_message(self._side, f"the head is longer than {HEAD_BYTES} bytes", 431)
        if head is not None:
            return head.decode("latin-1")
        if data.startswith(b"\r\n", begin):
            raise bad_message(self._side, "an empty line where a message should begin")
        if _NEVER_IN_A_HEAD.search(data, max(begin, fresh - 1)):
            raise bad_message(self._side, "a control character in the head, or a line that ends without CR LF")
        line_end = data.find(b"\r\n", begin, begin + START_LINE_BYTES + 2)
        if line_end < 0 and len(data) - begin > START_LINE_BYTES + 1:
            raise bad_message(self._side, f"the first line is longer than {START_LINE_BYTES} bytes", 414)
        if line_end >= max(0, fresh - 1):  # else it was judged when it came
            self._check_start(bytes(data[begin:line_end]).decode("latin-1"))
        return None

    def _check_start(self, line: str) -> None:
        """Refuse a first line that no further byte can mend, before the rest of the head comes."""
        raise NotImplementedError

    def _begin_body(self, framing: Framing, events: list[_Event]) -> bool:
        if framing == "chunked":
            self._state = "chunk_line"
        elif framing == "close":
            self._state = "close"
        elif framing == "none" or framing == 0:
            return self._end(events)
        else:
            self._state, self._left = "length", int(framing)
        return True

    def _part(self, events: list[_Event]) -> bool:
        part = self._waiting.take(self._left)
        if not part:
            return False
        self._body.append(part)
        self._left -= len(part)
        if self._left:
            return False
        if self._state == "length":
            return self._end(events)
        self._state = "chunk_end"
        return True

    def _chunk_line(self) -> bool:
        line = self._waiting.until(b"\r\n")
        if (len(line) if line is not None else len(self._waiting)) > CHUNK_LINE_BYTES:
            raise bad_message(self._side, f"a chunk's line is longer than {CHUNK_LINE_BYTES} bytes")
        if line is None:
            return self._hopeless("a chunk's line does not end with CR LF")
        match = _CHUNK_LINE.fullmatch(line)
        if match is None:
            raise bad_message(self._side, "a chunk does not begin with its size in hexadecimal digits")
        self._left = int(match[1], 16)
        self._state = "chunk" if self._left else "trailers"
        return True

    def _hopeless(self, reason: str) -> Literal[False]:
        data, begin, _ = self._waiting.unread()
        if _NEVER_IN_A_HEAD.search(data, begin):
            raise bad_message(self._side, reason)
        return False

    def _chunk_end(self) -> bool:
        if not b"\r\n".startswith(self._waiting.peek(2)):
            raise bad_message(self._side, "a chunk is not followed by CR LF")
        if len(self._waiting) < 2:
            return False
        self._waiting.take(2)
        self._state = "chunk_line"
        return True

    def _trailers(self, events: list[_Event]) -> bool:
        if self._waiting.peek(2) == b"\r\n":
            self._waiting.take(2)
            return self._end(events)
        block = self._waiting.until(b"\r\n\r\n")
        if (len(block) if block is not None else len(self._waiting)) > TRAILER_BYTES:
            raise bad_message(self._side, f"the trailers are longer than {TRAILER_BYTES} bytes", 431)
        if block is None:
            return self._hopeless("a trailer's line does not end with CR LF")
        fields = parse_fields(self._side, block.decode("latin-1").split("\r\n"))
        check_names(self._side, fields)
        check_trailers(self._side, fields)
        self._flush(events)
        events.append(Trailers(fields))
        return self._end(events)

    def rest(self) -> bytes:
        """Return the bytes behind the message that ended, and take no more: another protocol has the connection."""
        if self._state != "end" or not self._may_switch():
            raise bad_message(self._side, "the connection was to change its protocol in the middle of a message")
        self._state = "broken"
        return self._waiting.take(len(self._waiting))

    def _may_switch(self) -> bool:
        return True


class RequestParser(_Parser):
    """Parses what a client sends. `facts` describes the message whose `RequestHead` came last.

    Each method raises `Refusal` (`bad_request`, with the status that fits); the events of that call are lost with it:
    of a message that is malformed in the bytes at hand, nothing goes on.
    """

    _side = "request"

    def __init__(self) -> None:
        super().__init__()
        self.facts: RequestFacts | None = None

    def feed(self, data: bytes) -> list[RequestEvent]:
        """Return what `data` brings of the current message; nothing once it has ended."""
        return self._feed(data)  # type: ignore[return-value]

    @property
    def begun(self) -> bool:
        """Whether a part of a head is there, and the rest is awaited."""
        return self._state == "head" and len(self._waiting) > 0

    def next(self) -> list[RequestEvent]:
        """Begin with the next message of the connection, and return what has already come of it.

        Raises:
            Refusal: also if the last message has not ended, or closed the connection.
        """
        if self._state != "end" or self.facts is None or not self.facts.keep_alive:
            self._state = "broken"
            raise bad_message("request", "another request where none may follow")
        self._state = "head"
        return self.feed(b"")

    def eof(self) -> None:
        """Take note that the client will send nothing more.

        Raises:
            Refusal: a message was under way.
        """
        if self._state not in ("end", "head") or (self._state == "head" and len(self._waiting)):
            self._state = "broken"
            raise bad_message("request", "the connection ended in the middle of a message")

    def _head(self, events: list[_Event]) -> bool:
        text = self._head_text()
        if text is None:
            return False
        head, self.facts = parse_request_head(text)
        events.append(head)
        return self._begin_body(self.facts.framing, events)

    def _check_start(self, line: str) -> None:
        method, target, _ = parse_request_line(line)
        parse_target(method, target)


class ResponseParser(_Parser):
    """Parses what an upstream sends. `facts` describes the message whose `ResponseHead` came last.

    Each method raises `Refusal` (`bad_response`, 502). After it the connection is worth nothing, and a response
    that was passed on in part must be cut off, never ended well.
    """

    _side = "response"

    def __init__(self) -> None:
        super().__init__()
        self._state = "end"
        self.facts: ResponseFacts | None = None
        self._method = ""
        self._upgrade = ""
        self._informational = 0
        self._closed = False

    @property
    def reusable(self) -> bool:
        """Whether the connection can take another request: none is under way, the last left nothing behind."""
        kept = self.facts is None or (self.facts.keep_alive and not self.facts.switched)
        return self._state == "end" and kept and not self._closed and not len(self._waiting)

    def expect(self, method: str, upgrade: str = "") -> None:
        """Await the response to a request of `method`, which asked to change to the protocol `upgrade` (or "").

        Raises:
            Refusal: the connection is not `reusable`; an upstream that sent what nobody asked for is not asked again.
        """
        if not self.reusable:
            raise bad_message("response", "the connection to the upstream cannot take another request")
        self._state = "head"
        self._method, self._upgrade, self._informational = method, upgrade.lower(), 0

    def feed(self, data: bytes) -> list[ResponseEvent]:
        """Return what `data` brings of the awaited response: 1xx heads first, if it has any."""
        return self._feed(data)  # type: ignore[return-value]

    def eof(self) -> list[ResponseEvent]:
        """Take note that the upstream has closed: the `End` of a body that ends so, or nothing between two messages.

        Raises:
            Refusal: the response is cut off.
        """
        self._closed = True
        if self._state == "close":
            self._state = "broken"
            return [End()]
        if self._state != "end":
            self._state = "broken"
            raise bad_message("response", "the upstream closed the connection before the response was over")
        return []

    def _head(self, events: list[_Event]) -> bool:
        text = self._head_text()
        if text is None:
            return False
        head, self.facts = parse_response_head(text, self._method, self._upgrade)
        events.append(head)
        if head.status >= 200 or self.facts.switched:
            return self._begin_body(self.facts.framing, events)
        self._informational += 1
        if self._informational > INFORMATIONAL_HEADS:
            raise bad_message("response", f"more than {INFORMATIONAL_HEADS} informational heads")
        return True

    def _check_start(self, line: str) -> None:
        parse_status_line(line)

    def _may_switch(self) -> bool:
        return self.facts is not None and self.facts.switched
