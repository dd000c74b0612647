"""What several processes have under way at deployments, without processes: a `routing.table.Elsewhere` for each."""

from __future__ import annotations

from collections import Counter
from typing import Any


class Counts:
    """What all processes have under way."""

    def __init__(self) -> None:
        self.of: Counter[tuple[str, int]] = Counter()

    def all(self, name: str) -> int:
        return sum(count for (known, _), count in self.of.items() if known == name)

    def seen_by(self, process: int) -> Any:
        counts = self

        class Seen:
            def take(self, name: str, own: int, most: int) -> bool:
                if self.count(name) + own >= most:
                    return False
                counts.of[name, process] = own + 1
                return True

            def tell(self, name: str, own: int) -> None:
                counts.of[name, process] = own

            def count(self, name: str) -> int:
                return counts.all(name) - counts.of[name, process]

        return Seen()
