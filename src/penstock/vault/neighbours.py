"""The stubs of all sessions of a vault: one that turns up in another session than its own was carried over.

It is worth nothing there, for each session knows its own stubs only. But somebody carried it, and that is an alarm.
"""

from __future__ import annotations

from collections.abc import Iterable

from ahocorasick_rs import BytesAhoCorasick


class Neighbours:
    """Who owns which stub. One look costs the same however many sessions there are."""

    def __init__(self) -> None:
        self.longest = 0
        """Bytes of the longest stub; who looks through a stream keeps one less of each piece for the next."""
        self._owners: dict[bytes, str] = {}
        self._alone: str | None = None
        self._stubs: list[bytes] = []
        self._index: BytesAhoCorasick | None = None

    def __repr__(self) -> str:
        return f"Neighbours({len(self._owners)} stubs)"

    def add(self, session: str, stubs: Iterable[bytes]) -> None:
        """Take in the stubs of a session."""
        self._owners.update(dict.fromkeys(stubs, session))
        self._changed()

    def remove(self, session: str) -> None:
        """Forget the stubs of a session that is over."""
        self._owners = {stub: owner for stub, owner in self._owners.items() if owner != session}
        self._changed()

    def _changed(self) -> None:
        self._index = None
        owners = set(self._owners.values())
        self._alone = next(iter(owners)) if len(owners) == 1 else None
        self.longest = max(map(len, self._owners), default=0)

    def is_of_another(self, session: str, value: bytes) -> bool:
        """Whether some bytes are a stub of another session than `session`, and nothing else."""
        return self._owners.get(value, session) != session

    def are_in(self, session: str, data: bytes) -> bool:
        """Whether a stub of another session than `session` stands in some bytes, as it is."""
        if self._alone == session:
            return False
        if self._index is None:
            self._stubs = list(self._owners)
            self._index = BytesAhoCorasick(self._stubs)
        if not self._stubs:
            return False
        found = self._index.find_matches_as_indexes(data, overlapping=True)
        return any(self._owners[self._stubs[number]] != session for number, _, _ in found)
