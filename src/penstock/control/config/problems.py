"""Problems: what is wrong with a configuration, each with the place where it stands, all of them at once.

A problem never shows a value that may be a secret: values are shown by `Node.shown`, which knows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches

from msgspec import Struct


class Place(Struct, frozen=True, order=True):
    """A line (from 1) of a file, which is named as the configuration names it."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"line {self.line} of {self.file}"


class Problem(Struct, frozen=True):
    """Something that is wrong (an error) or that should be known (a warning).

    message  what it is and what to do
    path     the key, as it is written there ("models[2].api_base"); empty: the file as a whole
    place    where; None: it stands in no file
    """

    message: str
    path: str = ""
    place: Place | None = None

    def __str__(self) -> str:
        where = ", ".join(str(each) for each in (self.path, self.place) if each)
        return f"{where}: {self.message}" if where else self.message


class ConfigErrors(ValueError):
    """A configuration that is refused. `problems` are all that were found, in the order of the files; there is one at
    least.
    """

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(set(problems), key=_position))
        super().__init__("\n".join(map(str, self.problems)))


def _position(problem: Problem) -> tuple[bool, str, int, str, str]:
    place = problem.place
    return (place is None, place.file if place else "", place.line if place else 0, problem.path, problem.message)


def did_you_mean(name: str, known: Sequence[str]) -> str:
    """ "; did you mean x?" for the nearest of the names that there are; empty where none is near."""
    near = get_close_matches(name, known, n=1, cutoff=0.6) or [each for each in known if each.startswith(f"{name}_")]
    return f"; did you mean {near[0]}?" if near else ""
