"""Where stubs stand that should not: a session's own by its table, those of other sessions by the neighbours'.

What is found is an alarm; what becomes of it the session says. Nothing is changed here, and no secret is known.
"""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Mapping, Sequence
from urllib.parse import unquote

from penstock.vault.neighbours import Neighbours
from penstock.vault.rules import Binding
from penstock.vault.stubs import Misuse, StubTable
from penstock.vault.values import RequestHead

ANOTHER = "another session"
"""Whose secret an alarm names where a stub was carried over."""


class Lookout:
    """The lookout of one session.

    Args:
        session: its name.
        neighbours: the stubs of all sessions of the vault.
    """

    def __init__(self, session: str, neighbours: Neighbours) -> None:
        self._session = session
        self._neighbours = neighbours
        self.stubs = StubTable({})

    def __repr__(self) -> str:
        return f"Lookout({self._session!r})"

    def know(self, stubs: Mapping[bytes, str]) -> None:
        """Take the session's stubs of now, by which secret each stands for."""
        self.stubs = StubTable(stubs)
        self._neighbours.add(self._session, stubs)

    @property
    def longest(self) -> int:
        """Bytes of the longest form of a stub."""
        return max(self.stubs.longest, self._neighbours.longest)

    def in_head(self, head: RequestHead, own: Sequence[Binding] = ()) -> list[Misuse]:
        """Look through the head of a request, as the client sent it. The stubs of `own` may stand in their slots."""
        found = self.stubs.find(head, binding=own[0] if own else None)
        for binding in own[1:]:
            also = self.stubs.find(head, binding=binding)
            found = [each for each in found if each in also]
        return [*found, *self._carried_over(head)]

    def in_body(self, head: RequestHead, body: bytes, binding: Binding | None) -> list[Misuse]:
        """Look through a body that is there whole; the stub of `binding` may stand in its slot."""
        if not body:
            return []
        found = [each for each in self.stubs.find(head, body, binding=binding) if each.where == "body"]
        return [*found, Misuse(ANOTHER, "body")] if self._is_foreign(body) else found

    def in_bytes(self, data: bytes, where: str) -> list[Misuse]:
        """Look through some bytes in which no stub may stand."""
        found = [Misuse(name, where) for name in self.stubs.names_in(data)]
        return [*found, Misuse(ANOTHER, where)] if self._is_foreign(data) else found

    def is_other(self, value: bytes, secret: str) -> bool:
        """Whether some bytes are a stub and nothing else: of another secret than `secret`, or of another session."""
        name = self.stubs.name_of(value)
        return name != secret if name is not None else self._neighbours.is_of_another(self._session, value)

    def _carried_over(self, head: RequestHead) -> list[Misuse]:
        """Where a stub of another session stands: as it is, percent-encoded, or in HTTP's Basic."""
        values = [head.target, *(value for _, value in head.headers)]
        text = "\n".join(values)
        if "%" in text or "asic " in text.lower():
            text = "\n".join(map(_readings, values))
        if not self._is_foreign(text.encode()):
            return []
        places = ["target", *(f"header {name}" for name, _ in head.headers)]
        pairs = zip(places, values, strict=True)
        return [Misuse(ANOTHER, where) for where, value in pairs if self._is_foreign(_readings(value).encode())]

    def _is_foreign(self, data: bytes) -> bool:
        return self._neighbours.are_in(self._session, data)


def _readings(text: str) -> str:
    """A text as it is, percent-decoded, and as HTTP's Basic says it."""
    readings = [text, unquote(text, "latin-1")] if "%" in text else [text]
    word, _, encoded = text.partition(" ")
    if word.lower() == "basic":
        with contextlib.suppress(ValueError):
            readings.append(base64.b64decode(encoded.strip() + "==").decode("latin-1"))
    return "\n".join(readings)
