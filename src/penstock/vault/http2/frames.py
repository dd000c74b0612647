"""The frames of HTTP/2, counted before the library sees them: what floods are made of, and what ends a connection.

The library keeps the protocol's states; what it cannot know is how much is too much. A peer that only opens and resets
streams (CVE-2023-44487), or sends empty frames, settings, pings (CVE-2019-9511 to 9518) or endless header blocks
(CVE-2024-27316), breaks no rule of RFC 9113 and costs us everything. So control frames are paid out of a bucket that
fills with time. GOAWAY is taken out, too: for the library it ends all streams, for RFC 9113 section 6.8 only new ones.
"""

from penstock.vault.http_parts import GoAway, Side, bad_message

FRAME_BYTES = 64 * 1024
"""The longest frame that we take (SETTINGS_MAX_FRAME_SIZE); its payload is refused by its head, before it comes."""
HEADER_BLOCK_BYTES = 64 * 1024
"""The longest header block, compressed."""
CONTINUATIONS = 8
"""The most CONTINUATION frames of one header block."""
CONTROL_BURST, CONTROL_RATE = 200, 20.0
"""Frames that only cost (PING, SETTINGS, PRIORITY, empty DATA, unknown ones): how many at once, how many a second."""
RESET_BURST, RESET_RATE = 200, 20.0
"""Streams that end before they are answered: how many at once, how many a second."""
FREE_UPDATES, UPDATES_PER_DATA = 1000, 4
"""WINDOW_UPDATE frames that are free at first, and for each DATA frame sent to the peer; the others only cost."""

_PREFACE_BYTES = 24
_HEAD_BYTES = 9
_DATA, _HEADERS, _RST_STREAM, _PUSH_PROMISE, _GOAWAY, _WINDOW_UPDATE, _CONTINUATION = 0, 1, 3, 5, 7, 8, 9


class Bucket:
    """So many at once, so many a second: `take` says whether one more is within bounds."""

    def __init__(self, burst: int, rate: float) -> None:
        self._burst = burst
        self._rate = rate
        self._left = float(burst)
        self._since: float | None = None

    def take(self, now: float) -> bool:
        passed = 0.0 if self._since is None else max(0.0, now - self._since)
        self._left = min(self._burst, self._left + passed * self._rate) - 1
        self._since = now
        return self._left >= 0


class Frames:
    """Screens what one peer sends, frame by frame, in pieces of any size."""

    def __init__(self, side: Side) -> None:
        self._side: Side = side
        self._preface = _PREFACE_BYTES if side == "request" else 0
        self._head = b""
        self._left = 0  # bytes of the payload still to come
        self._goaway: bytearray | None = None  # the payload of a GOAWAY that is coming
        self._block = self._continuations = 0
        self._control = Bucket(CONTROL_BURST, CONTROL_RATE)
        self._resets = Bucket(RESET_BURST, RESET_RATE)
        self._free_updates = FREE_UPDATES

    def screen(self, data: bytes, now: float) -> list[bytes | GoAway]:
        """Return what of `data` is for the library, and the GOAWAYs between, in their order.

        Raises:
            Refusal: a frame is too long, a header block too large, or the peer floods.
        """
        result: list[bytes | GoAway] = []
        passed = bytearray()
        at = 0
        while at < len(data):
            at = self._step(data, at, now, passed)
            if self._goaway is not None and not self._left:
                result += [bytes(passed), self._read_goaway(bytes(self._goaway))]
                passed.clear()
                self._goaway = None
        return [*result, bytes(passed)] if passed else result

    def _step(self, data: bytes, at: int, now: float, passed: bytearray) -> int:
        """Handle the part of a preface, a head or a payload that begins at `at`; return where it ends."""
        if self._preface:
            end = min(len(data), at + self._preface)
            self._preface -= end - at
            passed += data[at:end]
        elif self._left:
            end = min(len(data), at + self._left)
            self._left -= end - at
            (passed if self._goaway is None else self._goaway).extend(data[at:end])
        else:
            end = min(len(data), at + _HEAD_BYTES - len(self._head))
            self._head += data[at:end]
            if len(self._head) == _HEAD_BYTES:
                self._begin(now, passed)
        return end

    def _begin(self, now: float, passed: bytearray) -> None:
        head, self._head = self._head, b""
        self._left, kind = int.from_bytes(head[:3]), head[3]
        if self._left > FRAME_BYTES:
            raise bad_message(self._side, f"an HTTP/2 frame is longer than {FRAME_BYTES} bytes")
        if kind == _GOAWAY:
            if self._left < 8 or head[5:9] != bytes(4):
                raise bad_message(self._side, "a GOAWAY frame is malformed")
            self._goaway = bytearray()
        else:
            self._judge(kind, now)
            passed += head

    def _judge(self, kind: int, now: float) -> None:
        if kind in (_HEADERS, _CONTINUATION, _PUSH_PROMISE):
            self._count_block(kind)
        elif kind == _RST_STREAM:
            self.charge_reset(now)
        elif kind == _WINDOW_UPDATE and self._free_updates:
            self._free_updates -= 1
        elif kind != _DATA:
            self.charge_control(now)

    def _count_block(self, kind: int) -> None:
        first = kind != _CONTINUATION
        self._block = self._left if first else self._block + self._left
        self._continuations = 0 if first else self._continuations + 1
        if self._block > HEADER_BLOCK_BYTES or self._continuations > CONTINUATIONS:
            raise bad_message(self._side, "an HTTP/2 header block is too long", 431)

    def charge_control(self, now: float) -> None:
        """Count a frame that only costs."""
        if not self._control.take(now):
            raise bad_message(self._side, "a flood of HTTP/2 control frames", 429)

    def charge_reset(self, now: float) -> None:
        """Count a stream that ended before its answer."""
        if not self._resets.take(now):
            raise bad_message(self._side, "a flood of HTTP/2 streams that are reset at once", 429)

    def sent_data(self) -> None:
        """Take note of a DATA frame to the peer, which it may answer with window updates."""
        self._free_updates = min(self._free_updates + UPDATES_PER_DATA, 100_000)

    @staticmethod
    def _read_goaway(payload: bytes) -> GoAway:
        return GoAway(int.from_bytes(payload[:4]) & 0x7FFFFFFF, int.from_bytes(payload[4:8]))
