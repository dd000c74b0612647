"""Made: which deployment made what a provider keeps (a response, a file, a batch), and for whom.

Whatever is fetched, continued or deleted later goes back to the deployment that has it, and only for the principal
that it was made for. A worker remembers what it made itself; for the rest it asks the control plane, whose ledger has
it.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

MOST = 50_000
"""Things that are remembered."""


class Made(Struct, frozen=True):
    """Who made it, and for whom: a deployment's id, and a principal's."""

    deployment: str
    principal: str


Found = Callable[[Made | None, str | None], None]
"""(what was found, why nobody could be asked)."""


class MadeThings:
    """What was made. `ask` asks the control plane: (id, then)."""

    def __init__(self, ask: Callable[[str, Found], None]) -> None:
        self._ask = ask
        self._known: dict[str, Made] = {}

    def put(self, name: str, made: Made) -> None:
        """Remember what was made."""
        if len(self._known) >= MOST:
            self._known.pop(next(iter(self._known)))
        self._known[name] = made

    def find(self, name: str) -> Made | None:
        """What is remembered of it."""
        return self._known.get(name)

    def look_up(self, name: str, then: Found) -> None:
        """Find out; `then` may be called at once."""
        known = self._known.get(name)
        if known is not None:
            then(known, None)
            return

        def answered(made: Made | None, why: str | None) -> None:
            if made is not None:
                self.put(name, made)
            then(made, why)

        self._ask(name, answered)
