"""The scrubber: bytes go in, as many come out, and where a secret stood in any form stands the stub in the same form.

A stream is read in windows: what was held back, and what is new. A window that holds no seed of a needle and no escape
that matters cannot hold a secret, and goes on but for its end; any other one is read through all its views. Held back
is
the longest end of which more bytes could make a secret, and no byte besides. What was exchanged in it is remembered, so
that overlapping secrets are found across windows as well.

The cap: no more is held than the longest piece of a secret takes in its longest escaped form, `Scrubber.most_held`
bytes.
It follows from the rule above; should it ever be passed, the stream is refused like any other doubt.
"""

import re
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from penstock.vault.scrub.gate import Gate
from penstock.vault.scrub.index import Index, Match
from penstock.vault.scrub.needles import ALPHABET, VALUES, Edge, exact_needles, hex_needles, terms
from penstock.vault.scrub.views import LINES, View, kinds
from penstock.vault.values import Refusal

SLICE = 64 * 1024
"""Bytes that are read at once: what takes memory is in proportion to it, however much is fed."""

DEPTH = 3
"""Decoders after one another: JSON within JSON within JSON is still read."""

SHORTEST, LONGEST = 8, 8192
"""Lengths of secrets, in bytes. A shorter one stands in ordinary text by chance."""

RELEASED = 4
"""Bytes that may be let go while more could make a secret of them: too few to be worth anything."""

_UNIT = 128
_PARTIAL = 96
_RUN = re.compile(rb"[A-Za-z0-9+/_-]*")
_RUN_BEFORE = re.compile(rb"[A-Za-z0-9+/_-]*\Z")
_URL_SAFE = bytes.maketrans(b"+/", b"-_")


class Finding(NamedTuple):
    """Which secret was found, by its place in `pairs`, and in which encoding, the outermost first: `percent+base64`."""

    secret: int
    encoding: str


def _check(secret: bytes, stub: bytes) -> None:
    if not SHORTEST <= len(secret) <= LONGEST or len(secret.strip()) < SHORTEST:
        raise ValueError(f"A secret of {len(secret)} bytes cannot be scrubbed: use one of {SHORTEST} to {LONGEST}.")
    if len(stub) != len(secret):
        raise ValueError(f"The stub has {len(stub)} bytes and its secret {len(secret)}: mint one of the same length.")
    if stub == secret:
        raise ValueError("The stub is the secret itself: mint another.")


class Scrubber:
    """Exchanges secrets for stubs in responses. One is made for a session, and whenever its secrets change.

    Args:
        pairs: secrets and their stubs, equally long, of 8 to 8,192 bytes. No pairs: everything passes.

    Raises:
        ValueError: a length is wrong, or a stub is its secret. The text holds neither.
    """

    def __init__(self, pairs: Sequence[tuple[bytes, bytes]]) -> None:
        for secret, stub in pairs:
            _check(secret, stub)
        self.found: Counter[Finding] = Counter()
        self._indexes: list[Index] = []
        self.most_held = 0
        all_terms = [term for index, (secret, stub) in enumerate(pairs) for term in terms(secret, stub, index)]
        if not all_terms:
            return
        all_terms.sort(key=lambda term: -len(term.real))
        exact = [needle for term in all_terms for needle in exact_needles(term)]
        folded = [needle for term in all_terms for needle in hex_needles(term)]
        self._indexes = [Index(exact), Index(folded, fold=True)]
        relevant = bytes(
            {*b"".join(t.real for t in all_terms), *b"".join(n.pattern for n in exact if n.encoding == "base64")}
        )
        self._gate = Gate(relevant)
        self._kinds = kinds(relevant + b"\r\n")
        # No needle, no escape and no beginning of one ends with these; a line break may stand within base64.
        self._quiet = frozenset(b"\n\0\"'()<>[]^`|~*!?,.:@$ ") - self._indexes[0].bytes - self._indexes[1].bytes
        longest = max(index.longest for index in self._indexes)
        self._reach = longest + longest // 4 + _UNIT
        self.most_held = (longest + 2) * _UNIT

    def __repr__(self) -> str:
        return f"Scrubber(found={dict(self.found)!r})"

    def stream(self) -> "ScrubStream":
        """Begin one body, or one direction of a connection."""
        return ScrubStream(self)

    def text(self, text: str) -> str:
        """Scrub a header value, a reason phrase or another short text of one byte a character (latin-1)."""
        raw = text.encode("latin-1")
        if not self.suspects(raw):
            return text
        stream = self.stream()
        return (stream.feed(raw) + stream.end()).decode("latin-1")

    def texts(self, texts: Sequence[str]) -> list[str]:
        """Scrub many short texts as `text` does each, which takes hardly longer than one."""
        if not self.suspects("\n".join(texts).encode("latin-1")):
            return list(texts)
        return [self.text(text) for text in texts]

    def suspects(self, window: bytes) -> bool:
        """Say whether a secret may be in `window`; False is certain."""
        if self.idle:
            return False
        return any(index.suspects(window) for index in self._indexes) or self._gate.open(window)

    def views(self, text: bytes) -> list[View]:
        """Read `text` in every order of decoders up to `DEPTH`, each different reading once, the plainest first."""
        views = layer = [View(text)]
        seen = {text}
        for _ in range(DEPTH):
            layer = [child for view in layer for kind in self._kinds if (child := view.decode(kind))]
            layer = [view for view in layer if view.text not in seen and not seen.add(view.text)]  # type: ignore[func-returns-value]
            views = views + layer
        return views

    def matches(self, view: View) -> list[tuple[View, Match, bool]]:
        """Return what is found in a view, and in it with line breaks taken out; the flag: case does not matter."""
        found = []
        for index in self._indexes:
            if index.suspects(view.text):
                found += [(view, match, index.fold) for match in index.matches(view.text)]
                joined = None if index.fold else view.decode(LINES)
                if joined:
                    found += [(joined, match, False) for match in index.matches(joined.text) if match.needle.is_base64]
        return found

    def held_from(self, window: bytes) -> int:
        """Return where the end of `window` begins that must wait, for a window that holds no escape that matters."""
        if not window or (
            window[-1] in self._quiet and not LINES.partial.search(window, max(0, len(window) - _PARTIAL))
        ):
            return len(window)
        low = max(0, len(window) - self._reach)
        tail = window[low:]
        if any(byte in tail[-_PARTIAL:] for byte in b"%\\&"):
            return low + self.held_in(self.views(tail))
        return low + self._held_in_view(View(tail))

    def held_in(self, views: list[View]) -> int:
        """Return the same for a window with these views."""
        return min(view.origin(self._held_in_view(view)) for view in views)

    def _held_in_view(self, view: View) -> int:
        low = max(0, len(view.text) - self._reach)
        return low + self._held_but_for_partial(view.text[low:], DEPTH)

    def _held_but_for_partial(self, tail: bytes, depth: int) -> int:
        """The same for a tail whose last bytes may begin an escape, of one kind within the beginning of another."""
        start = self._held_in_text(tail)
        for kind in self._kinds if depth else ():
            partial = kind.partial.search(tail, max(0, len(tail) - _PARTIAL))
            if partial:
                start = min(start, self._held_but_for_partial(tail[: partial.start(1)], depth - 1))
        partial = LINES.partial.search(tail, max(0, len(tail) - _PARTIAL))
        if partial:
            # A line break may only stand within base64: where none has begun, none goes on.
            begun = self._held_in_text(tail[: partial.start(1)])
            start = min(start, begun if begun < partial.start(1) else len(tail))
        return start

    def _held_in_text(self, tail: bytes) -> int:
        start = min(index.held_from(tail) for index in self._indexes)
        if b"\n" in tail or b"\\n" in tail:
            joined = View(tail).decode(LINES)
            if joined:
                start = min(start, *(joined.origin(index.held_from(joined.text)) for index in self._indexes))
        return start

    @property
    def idle(self) -> bool:
        """Say whether there is nothing to look for."""
        return not self._indexes


class ScrubStream:
    """One stream through a scrubber. After a refusal it gives nothing more: the connection must be dropped."""

    def __init__(self, scrubber: Scrubber) -> None:
        self.found: Counter[Finding] = Counter()
        self._scrubber = scrubber
        self._raw = b""  # held back, as it came
        self._out = b""  # the same with what is already exchanged
        self._done = b""  # the same length: 1 where it is exchanged
        self._sent = 0  # how much of it was let go before its time
        self._edges: dict[int, int] = {}  # of characters between two terms, by their place: what they say by now
        self._over = False

    def __repr__(self) -> str:
        return f"ScrubStream(held={self.held}, found={dict(self.found)!r})"

    @property
    def held(self) -> int:
        """Bytes that wait for more."""
        return len(self._raw)

    def feed(self, data: bytes) -> bytes:
        """Take the next bytes, any number; return those that may go on.

        Raises:
            Refusal: `scrub_failed`: something is not as it should be; drop the connection.
        """
        return self._run([data[at : at + SLICE] for at in range(0, len(data), SLICE)], final=False)

    def moved_to(self, scrubber: Scrubber) -> "ScrubStream":
        """Go on with another scrubber, whose secrets are those of now; what is held goes along. This one is over."""
        moved = scrubber.stream()
        moved._raw, moved._out, moved._done = self._raw, self._out, self._done
        moved._edges, moved._over, moved._sent = self._edges, self._over, self._sent
        self._over = True
        return moved

    def release(self) -> bytes:
        """Let go of what is held, where it is at most `RELEASED` bytes: who reads may wait for just these before the
        other side says more (git does, and so does whoever types). They are still read together with what follows, so
        that a secret that began with them is found, and all of it hidden but them.
        """
        if self._over or len(self._raw) > RELEASED:
            return b""
        said, self._sent = self._out[self._sent :], len(self._raw)
        return said

    def end(self) -> bytes:
        """Return what was held, at the end of the stream.

        Raises:
            Refusal: as `feed`.
        """
        return self._run([b""], final=True)

    def _run(self, slices: list[bytes], *, final: bool) -> bytes:
        if self._over:
            raise Refusal("scrub_failed", "The response went on after its end.", status=502)
        self._over = True  # until this has come to a good end
        try:
            said = b"".join([self._step(data, final) for data in slices])
        except Exception:
            # No cause: the exception's frames and text may hold the response.
            raise Refusal("scrub_failed", "The response could not be scrubbed.", status=502) from None
        self._over = final
        return said

    def _step(self, data: bytes, final: bool) -> bytes:
        scrubber = self._scrubber
        window = self._raw + data
        if scrubber.idle:
            return self._keep(window, self._out + data, b"", len(window))
        if self._out != self._raw or scrubber.suspects(window):
            return self._careful(window, data, final)
        start = len(window) if final else scrubber.held_from(window)
        return self._keep(window, window, bytes(len(window) - start), start)

    def _keep(self, window: bytes, out: bytes, done: bytes, start: int) -> bytes:
        self._raw, self._out, self._done = window[start:], out[start:], done
        if len(self._raw) > self._scrubber.most_held:
            raise AssertionError("more held than any secret needs")
        said, self._sent = out[self._sent : start], max(0, self._sent - start)
        return said

    def _careful(self, window: bytes, data: bytes, final: bool) -> bytes:
        # A last byte that belongs to nothing ends references of HTML that have no semicolon.
        views = self._scrubber.views(window + b"\n" if final else window)
        start = len(window) if final else self._scrubber.held_in(views)
        page = _Page(bytearray(self._out + data), bytearray(self._done + bytes(len(data))), len(window), self._edges)
        for view in views:
            for where, match, fold in self._scrubber.matches(view):
                # What is within the held part is found again, when more is known: a longer secret may be around it.
                if where.origin(match.start) < start and page.exchange(where, match, fold):
                    finding = Finding(match.needle.secret, "+".join([*reversed(where.path), match.needle.encoding]))
                    self.found[finding] += 1
                    self._scrubber.found[finding] += 1
        self._edges = {place - start: value for place, value in page.edges.items() if place >= start}
        return self._keep(window, bytes(page.out), bytes(page.done[start:]), start)


class _Page:
    """A window under correction: what goes out, and which of its bytes are exchanged already."""

    def __init__(self, out: bytearray, done: bytearray, size: int, edges: dict[int, int]) -> None:
        self.out = out
        self.done = done
        self._size = size
        self.edges = edges

    def exchange(self, view: View, match: Match, fold: bool) -> bool:
        """Write the stub in place of a match; False where it is there already."""
        start, end, needle = match
        first, last = view.origin(start), min(view.origin(end), self._size)
        new = self.done.find(0, first, last) >= 0
        if new:
            for at, byte in enumerate(_suited(view.text, match, fold), start):
                view.write(at, byte, self._put)
            self.done[first:last] = b"\1" * (last - first)
        if needle.head and start:
            self._exchange_edge(view, start - 1, needle.head)
        if needle.tail and end < len(view.text):
            self._exchange_edge(view, end, needle.tail)
        return new

    def _put(self, place: int, byte: int) -> None:
        if not self.done[place]:
            self.out[place] = byte

    def _exchange_edge(self, view: View, at: int, edge: Edge) -> None:
        """Exchange the bits of the term in the character beside it, which two neighbouring terms may share."""
        place = view.origin(at)
        value = VALUES.get(view.text[at])
        if value is None or value & edge.mask != edge.real:
            return
        value = self.edges.get(place, value) & ~edge.mask | edge.fake
        self.edges[place] = value
        byte = ALPHABET[value : value + 1].translate(_URL_SAFE if _is_url_safe(view.text, at) else None)[0]
        view.write(at, byte, self.out.__setitem__)


def _is_url_safe(text: bytes, at: int) -> bool:
    """Say whether the base64 around `at` has the url-safe alphabet; if nothing tells, it has the standard one."""
    before = _RUN_BEFORE.search(text[max(0, at - 1024) : at])
    after = _RUN.match(text, at, at + 1024)
    run = (before[0] if before else b"") + (after[0] if after else b"")
    return (b"-" in run or b"_" in run) and b"+" not in run and b"/" not in run


def _suited(text: bytes, match: Match, fold: bool) -> bytes:
    """The replacement in the case of the digits, or in the alphabet of the base64, that stands there."""
    start, end, needle = match
    said = needle.replacement
    if fold and any(byte in b"ABCDEF" for byte in text[start:end]):
        return bytes(old if old in b"xX" else byte for old, byte in zip(text[start:end], said.upper(), strict=True))
    if needle.is_base64 and (b"+" in said or b"/" in said) and _is_url_safe(text, start):
        return said.translate(_URL_SAFE)
    return said
