"""What no answer may show: each live value of a session's secrets, and those before it, with what is shown instead.

Values change while a session runs (a token is refreshed, a secret rotated, a login captured). The scrubber is made anew
when they do, and a former value stays in it: nobody knows for how long the upstream takes it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from penstock.vault.credentials.contract import Random
from penstock.vault.held import Held
from penstock.vault.scrub import Scrubber
from penstock.vault.scrub.stream import LONGEST, SHORTEST
from penstock.vault.stubs import mint, stub_bits
from penstock.vault.values import Refusal

RETIRED = 1024
"""Former values that one session keeps in mind; a client that logs in more often is refused the next login."""

GUESSABLE_BITS = 64.0
"""A value with less chance in it is not looked for in requests: a refusal would tell who guesses that it was right."""

_OF_EVERY_KEY = b"b3BlbnNzaC1rZXktdjE"
"""How the first line of a key in OpenSSH's form begins, and most of it is the same in all of them."""


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
        self._certain: dict[int, str] = {}

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
            found = tuple(self._all_pieces())
            self._seen, self._scrubber = seen, Scrubber([(piece, stub) for piece, stub, _ in found])
            self._lowered = tuple(piece.decode("latin-1").lower() for piece, _, _ in found)
            self._certain = {at: name for at, (piece, _, name) in enumerate(found) if _is_certain(piece)}
        return self._scrubber

    @property
    def certain(self) -> Mapping[int, str]:
        """Which findings of the scrubber cannot be chance, nor somebody's guess, and the names of their secrets."""
        return self._certain

    def in_name(self, names: str) -> bool:
        """Whether a value stands in the names of fields, which are lower case."""
        return any(value in names for value in self._lowered) or self._scrubber.text(names) != names

    def _all_pieces(self) -> Iterator[tuple[bytes, bytes, str]]:
        """Every value in pieces that can be scrubbed, once, with what is as long and shown instead, and its name."""
        seen: set[bytes] = set()
        for value, stub, name in self._values():
            for piece in _pieces(value):
                if piece not in seen:
                    seen.add(piece)
                    yield piece, stub if len(stub) == len(piece) else self._filler(piece), name

    def _values(self) -> Iterator[tuple[bytes, bytes, str]]:
        """Live values first: one that has its stub as long as itself is shown as that."""
        for held in self._held():
            for live in held.credential.live():
                yield live, held.stub, held.record.name
        for former in self._retired:
            yield former, b"", "a former value"

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


def _is_certain(piece: bytes) -> bool:
    return stub_bits(piece) >= GUESSABLE_BITS and not piece.startswith(_OF_EVERY_KEY)
