"""What a scenario gives: a table of what was measured, the claims that it decides, and what to know of both."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from bench.gateway.bench import Bench


@dataclass(frozen=True, slots=True)
class Claim:
    """A line of the promise: what, the target in words, what was measured in the same words, and whether it holds.

    `met` is None where the machine could not decide.
    """

    what: str
    target: str
    measured: str
    met: bool | None


@dataclass(slots=True)
class Outcome:
    """A scenario's result. `figures`: name of peer -> name of figure -> median, for further use."""

    columns: Sequence[str]
    rows: list[Sequence[str]] = field(default_factory=list)
    claims: list[Claim] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    figures: dict[str, dict[str, float]] = field(default_factory=dict)

    def ratio(self, figure: str, of: str, to: str) -> float | None:
        """One peer's figure over another's; None where either was not measured."""
        try:
            return self.figures[of][figure] / self.figures[to][figure]
        except (KeyError, ZeroDivisionError):
            return None


@dataclass(frozen=True, slots=True)
class Scenario:
    """A named line of the table: `run` is the function that measures it."""

    name: str
    title: str
    run: Callable[[Bench], Outcome]
