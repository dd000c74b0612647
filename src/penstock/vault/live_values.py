"""What no answer may show: each live value of a session's secrets, and those before it, with what is shown instead.

Values change while a session runs (a token is refreshed, a secret rotated, a login captured). The scrubber is made anew
when they do, and a former value stays in it: nobody knows for how long the upstream takes it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from penstock.vault.credentials.contract import Random
from penstock.vault.held import Held
from penstock.vault.scrub import Scrubber
from penstock.vault.scrub.stream import LONGEST, SHORTEST
from penstock.vault.stubs import mint
from penstock.vault.values import Refusal

RETIRED = 1024
"""Former values that one session keeps in mind; a client that logs in more often is refused the next login."""


class LiveValues:
    """The values of one session.

    Args:
        held: its secrets, as they are at each moment.
        random: random bytes.
    """

    def __init__(self, held: Callable[[], Iterable[Held]], random: Random) -> None:
        self._held = held
        self._random = random
        self._fillers: dict[bytes, bytes] = {}
        self._retired: dict[bytes, None] = {}
        self._seen: tuple[list[tuple[bytes, tuple[bytes, ...]]], int] = [], 0
        self._scrubber = Scrubber(())
        self._lowered: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"LiveValues({len(self._lowered)})"

    def retire(self, values: Iterable[bytes]) -> None:
        """Keep on scrubbing values that are not those of a secret any more.

        Raises:
            Refusal: `too_many_tokens`.
        """
        for value in values:
            self._retired[value] = None
        if len(self._retired) > RETIRED:
            raise Refusal("too_many_tokens", f"This session has replaced more than {RETIRED} values.", status=429)

    @property
    def scrubber(self) -> Scrubber:
        """The scrubber of now."""
        seen = [(each.stub, tuple(each.credential.live())) for each in self._held()], len(self._retired)
        if seen != self._seen:
            pairs = tuple(self._all_pairs())
            self._seen, self._scrubber = seen, Scrubber(pairs)
            self._lowered = tuple(value.decode("latin-1").lower() for value, _ in pairs)
        return self._scrubber

    def in_name(self, names: str) -> bool:
        """Whether a value stands in the names of fields, which are lower case."""
        return any(value in names for value in self._lowered) or self._scrubber.text(names) != names

    def _all_pairs(self) -> Iterator[tuple[bytes, bytes]]:
        """Every value in pieces that can be scrubbed, once, with what is as long and shown instead."""
        seen: set[bytes] = set()
        for value, stub in self._values():
            for piece in _pieces(value):
                if piece not in seen:
                    seen.add(piece)
                    yield piece, stub if len(stub) == len(piece) else self._filler(piece)

    def _values(self) -> Iterator[tuple[bytes, bytes]]:
        """Live values first: one that has its stub as long as itself is shown as that."""
        for held in self._held():
            for live in held.credential.live():
                yield live, held.stub
        for former in self._retired:
            yield former, b""

    def _filler(self, piece: bytes) -> bytes:
        if piece not in self._fillers:
            self._fillers[piece] = _like(piece, self._random)
        return self._fillers[piece]


def _pieces(value: bytes) -> Iterator[bytes]:
    """A value as the scrubber takes it: in pieces where it is very long, not at all where it is no more than a word.

    Kinds refuse short values when they are set; what is left is what an upstream issues, such as a token of four
    digits, which stands in ordinary text by chance.
    """
    for start in range(0, len(value), LONGEST):
        piece = value[start : start + LONGEST]
        if len(piece.strip()) >= SHORTEST:
            yield piece


def _like(piece: bytes, random: Random) -> bytes:
    """Something as long, and alike where anything in it varies."""
    try:
        return mint(piece, random)
    except Refusal:
        return (b"x" if piece[:1] != b"x" else b"y") * len(piece)
