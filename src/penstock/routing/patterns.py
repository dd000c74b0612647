"""Patterns: regular expressions that are searched in linear time, whatever the text is.

Python's `re` backtracks, so that a pattern like `(a+)+b`, or a prompt that somebody made for it, can stop a worker.
Here a pattern becomes an automaton (Thompson, 1968) whose states are sets of places in the pattern, made when they are
first met; a text is read once, character by character. What no automaton can do (back-references, look-around,
conditions) is refused when the pattern is read, and so are patterns that would become too large.

The language is that of `re` (its parser reads the patterns), but case never counts, and all it says is whether the
pattern occurs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

_parser = import_module("re._parser")  # the one that `re.compile` uses; there is no public door to it

LARGEST = 5000
"""Places that a pattern may have, its repetitions written out."""
_MOST_STATES = 2000
"""Sets of places that are remembered; beyond that all are forgotten and made anew."""


class MalformedPattern(ValueError):
    """No regular expression, or one that cannot be searched in linear time. The message says why."""


class Pattern:
    """A compiled pattern. `found(text)` tells whether it occurs. Raises MalformedPattern."""

    __slots__ = ("_accepts", "_edges", "_start", "_steps", "source")

    def __init__(self, source: str) -> None:
        self.source = source
        try:
            tree = _parser.parse(source)
        except (re.error, RecursionError, OverflowError) as error:
            raise MalformedPattern(f"{source!r} is no regular expression: {error}") from None
        flags = tree.state.flags & ~(re.IGNORECASE | re.UNICODE)
        if flags & ~(re.DOTALL | re.MULTILINE | re.VERBOSE):
            raise MalformedPattern(f"{source!r}: flags other than i, m, s and x are not supported")
        builder = _Builder(source, flags)
        try:
            start, end = builder.sequence(tree)
        except RecursionError:
            raise MalformedPattern(f"{source!r} is nested too deeply") from None
        self._edges = builder.edges
        self._start = start
        self._accepts = end
        self._steps: dict[Any, Any] = {}

    def found(self, text: str) -> bool:
        """Whether the pattern occurs in the text."""
        places, before = frozenset((self._start,)), ""
        steps = self._steps
        for character in text.lower():
            if len(steps) > _MOST_STATES:
                steps.clear()
            key = (places, before, character)
            following = steps.get(key)
            if following is None:
                following = steps[key] = self._step(places, before, character)
            if following is True:
                return True
            places, before = following
        return self._accepts in self._closed(places, before, "")

    def _step(self, places: frozenset[int], before: str, character: str) -> Any:
        """The places after this character, and what of it matters to the next; True: the pattern has occurred."""
        closed = self._closed(places, before, character)
        if self._accepts in closed:
            return True
        following = {self._start}
        for place in closed:
            for test, to in self._edges[place]:
                if test is not None and not isinstance(test, str) and test(character):
                    following.add(to)
        return frozenset(following), _kind(character)

    def _closed(self, places: frozenset[int], before: str, character: str) -> set[int]:
        """The places that can be reached without reading anything, between two characters ("": the text's ends)."""
        found, to_do = set(places), list(places)
        after = _kind(character)
        while to_do:
            for test, to in self._edges[to_do.pop()]:
                if (test is None or (isinstance(test, str) and _HOLDS[test](before, after))) and to not in found:
                    found.add(to)
                    to_do.append(to)
        return found


def _kind(character: str) -> str:
    """What of a character matters to its neighbours: "" (there is none), a line's end, part of a word, or neither."""
    if not character:
        return ""
    if character == "\n":
        return "\n"
    return "w" if character.isalnum() or character == "_" else " "


_HOLDS: dict[str, Callable[[str, str], bool]] = {
    "AT_BEGINNING_STRING": lambda before, after: before == "",
    "AT_BEGINNING": lambda before, after: before == "",
    "AT_END_STRING": lambda before, after: after == "",
    "AT_BEGINNING_LINE": lambda before, after: before in ("", "\n"),
    "AT_END_LINE": lambda before, after: after in ("", "\n"),
    "AT_BOUNDARY": lambda before, after: (before == "w") != (after == "w"),
    "AT_NON_BOUNDARY": lambda before, after: (before == "w") == (after == "w"),
}
"""Where an assertion holds, by what stands before and after."""

_Test = Callable[[str], bool]


class _Builder:
    """Writes a parsed pattern out as places with edges: None (nothing is read), an assertion's name, or a test of a
    character.
    """

    def __init__(self, source: str, flags: int) -> None:
        self.source = source
        self.flags = flags
        self.edges: list[list[tuple[Any, int]]] = []

    def place(self) -> int:
        if len(self.edges) >= LARGEST:
            raise MalformedPattern(f"{self.source!r} is too large: repeat less, or by * and +")
        self.edges.append([])
        return len(self.edges) - 1

    def sequence(self, items: Any) -> tuple[int, int]:
        """First and last place of what stands one after the other."""
        start = end = self.place()
        for name, argument in items:
            first, last = self.item(str(name), argument)
            self.edges[end].append((None, first))
            end = last
        return start, end

    def item(self, name: str, argument: Any) -> tuple[int, int]:
        if name in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
            if name == "POSSESSIVE_REPEAT":
                raise self.refused("possessive repetition")
            return self.repeat(*argument)
        if name == "BRANCH":
            return self.branch(argument[1])
        if name == "SUBPATTERN":
            if argument[1] or argument[2]:
                raise self.refused("flags within the pattern")
            return self.sequence(argument[3])
        if name == "AT":
            return self.edge(self.assertion(str(argument)))
        return self.edge(self.test(name, argument))

    def edge(self, test: Any) -> tuple[int, int]:
        start, end = self.place(), self.place()
        self.edges[start].append((test, end))
        return start, end

    def assertion(self, name: str) -> str:
        if self.flags & re.MULTILINE and name in ("AT_BEGINNING", "AT_END"):
            name += "_LINE"
        if name == "AT_END":
            raise self.refused("$ (say \\Z for the end of the text, or (?m) for ends of lines)")
        return name

    def branch(self, ways: Any) -> tuple[int, int]:
        start, end = self.place(), self.place()
        for way in ways:
            first, last = self.sequence(way)
            self.edges[start].append((None, first))
            self.edges[last].append((None, end))
        return start, end

    def repeat(self, least: int, most: Any, items: Any) -> tuple[int, int]:
        start = end = self.place()
        for _ in range(int(least)):
            first, last = self.sequence(items)
            self.edges[end].append((None, first))
            end = last
        if most == _parser.MAXREPEAT:
            first, last = self.sequence(items)
            self.edges[end].append((None, first))
            self.edges[last].append((None, end))
            return start, end
        over = self.place()
        for _ in range(int(most) - int(least)):
            self.edges[end].append((None, over))
            first, last = self.sequence(items)
            self.edges[end].append((None, first))
            end = last
        self.edges[end].append((None, over))
        return start, over

    def test(self, name: str, argument: Any) -> _Test:
        if name == "LITERAL":
            literal = chr(argument).lower()
            return literal.__eq__
        if name == "NOT_LITERAL":
            literal = chr(argument).lower()
            return literal.__ne__
        if name == "ANY":
            return _any if self.flags & re.DOTALL else _any_but_line_ends
        if name == "IN":
            return self.one_of(argument)
        raise self.refused(_WORDS.get(name, name.lower()))

    def one_of(self, members: Any) -> _Test:
        """A set of characters. Case never counts, so either case of a character may be in it."""
        tests = list(self.members(members))
        if members and str(members[0][0]) == "NEGATE":
            return lambda character: not any(test(character) for test in tests)
        return lambda character: any(test(character) for test in tests)

    def members(self, members: Any) -> Iterator[_Test]:
        for name, argument in members:
            kind = str(name)
            if kind == "LITERAL":
                yield chr(argument).lower().__eq__
            elif kind == "RANGE":
                yield _within(*argument)
            elif kind == "CATEGORY":
                yield _CATEGORIES[str(argument)]
            elif kind != "NEGATE":
                raise self.refused(kind.lower())

    def refused(self, what: str) -> MalformedPattern:
        return MalformedPattern(f"{self.source!r} cannot be searched in linear time: it has {what}")


def _any(character: str) -> bool:
    return True


def _any_but_line_ends(character: str) -> bool:
    return character != "\n"


def _within(first: int, last: int) -> _Test:
    return lambda character: (
        first <= ord(character) <= last or (len(upper := character.upper()) == 1 and first <= ord(upper) <= last)
    )


def _is_word(character: str) -> bool:
    return character.isalnum() or character == "_"


_CATEGORIES: dict[str, _Test] = {
    "CATEGORY_DIGIT": str.isdecimal,
    "CATEGORY_NOT_DIGIT": lambda character: not character.isdecimal(),
    "CATEGORY_SPACE": str.isspace,
    "CATEGORY_NOT_SPACE": lambda character: not character.isspace(),
    "CATEGORY_WORD": _is_word,
    "CATEGORY_NOT_WORD": lambda character: not _is_word(character),
}
_WORDS = {
    "GROUPREF": "a back-reference",
    "GROUPREF_EXISTS": "a condition",
    "ASSERT": "look-around",
    "ASSERT_NOT": "look-around",
    "ATOMIC_GROUP": "an atomic group",
}
