"""Parts that come in any order are told one after the other, and nothing of them is lost."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from penstock.dialects.openai_responses.in_turn import InTurn
from penstock.types.content import Citation, Json, Part, Text, Thinking, ToolCall
from penstock.types.fold import fold
from penstock.types.stream import (
    ArgumentsDelta,
    CitationDelta,
    Delta,
    PartEnd,
    PartStart,
    StreamEvent,
    SummaryDelta,
    TextDelta,
    ThinkingDelta,
)
from tests.contract import dialects as contract

CALL = ToolCall("c", "f", "")


def arranged(*deltas: Delta) -> list[Delta]:
    late: list[Any] = []
    turns = InTurn(lambda *what: late.append(what))
    found = turns.arrange(deltas) + turns.end_all()
    assert not late
    return found


def parts(deltas: list[Delta]) -> tuple[Part, ...]:
    choices = fold([StreamEvent(tuple(deltas))], contract.NOBODY).choices
    return choices[0].parts if choices else ()


def test_what_comes_in_order_is_told_as_it_came() -> None:
    deltas: list[Delta] = [TextDelta(0, "a"), PartEnd(0), PartStart(1, CALL), ArgumentsDelta(1, "{"), PartEnd(1)]
    found = arranged(*deltas)
    assert len(found) == len(deltas)
    assert all(told is given for told, given in zip(found, deltas, strict=True))


@pytest.mark.parametrize("arguments", ["{}", '{"a": {}}', ' {"a": "}"} '])
def test_a_call_whose_input_is_whole_ends_when_another_part_speaks(arguments: str) -> None:
    assert arranged(PartStart(0, CALL), ArgumentsDelta(0, arguments), TextDelta(1, "a"))[2:] == [
        PartEnd(0),
        TextDelta(1, "a"),
        PartEnd(1),
    ]


@pytest.mark.parametrize(
    ("call", "arguments"),
    [(CALL, ""), (CALL, '{"a": {}'), (CALL, '{"a": "}'), (ToolCall("c", "f", "", custom=True), "{}")],
)
def test_a_call_whose_input_may_go_on_lets_others_wait(call: ToolCall, arguments: str) -> None:
    turns = InTurn(lambda *_: None)
    assert len(turns.arrange([PartStart(0, call), ArgumentsDelta(0, arguments), TextDelta(1, "a")])) == 2
    assert turns.arrange([TextDelta(1, "b")]) == []
    assert turns.arrange([PartEnd(0)]) == [PartEnd(0), TextDelta(1, "a"), TextDelta(1, "b")]


def test_calls_that_wait_for_each_other_are_told_as_they_began() -> None:
    deltas: list[Delta] = [PartStart(index, ToolCall(str(index), "f", "")) for index in range(3)]
    for piece in ("{", '"a"', ":1", "}"):
        deltas += [ArgumentsDelta(index, piece) for index in (2, 1, 0)]
    found = arranged(*deltas)
    assert [delta.index for delta in found if isinstance(delta, PartEnd)] == [0, 1, 2]
    assert parts(found) == parts(deltas)


def test_what_waited_for_a_call_that_never_got_whole_is_told_at_the_end() -> None:
    found = arranged(PartStart(0, CALL), PartStart(1, CALL), ArgumentsDelta(1, "{"), TextDelta(2, "a"))
    assert parts(found) == (CALL, ToolCall("c", "f", "{"), Text("a"))
    assert [delta for delta in found if isinstance(delta, PartEnd)] == [PartEnd(0), PartEnd(1), PartEnd(2)]


def test_a_part_that_is_told_when_it_ends_leaves_the_turn_to_others_until_then() -> None:
    found = arranged(TextDelta(0, "a"), PartStart(1, Json(1)), TextDelta(0, "b"), PartEnd(1), TextDelta(0, "c"))
    assert [type(delta).__name__ for delta in found] == [
        "TextDelta",
        "PartStart",
        "TextDelta",
        "PartEnd",
        "PartEnd",
        "TextDelta",
        "PartEnd",
    ]
    assert parts(found) == (Text("ab"), Json(1), Text("c"))


def test_what_is_said_of_places_in_a_part_moves_with_it() -> None:
    found = arranged(
        PartStart(0, Text("ab")),
        TextDelta(0, "c"),
        SummaryDelta(1, "x", 0),
        TextDelta(0, "def"),
        CitationDelta(0, Citation("u", start=4, end=5)),
        SummaryDelta(1, "y", 1),
        SummaryDelta(1, "z", 2),
    )
    assert parts(found) == (
        Text("abc"),
        Thinking(summary=("x",)),
        Text("def", citations=(Citation("u", start=1, end=2),)),
        Thinking(summary=("y", "z")),
    )


WORDS = st.text('{}"a1: ', max_size=4)
INDEX = st.integers(0, 4)
DELTA = st.one_of(
    st.builds(TextDelta, INDEX, WORDS),
    st.builds(ThinkingDelta, INDEX, WORDS),
    st.builds(ArgumentsDelta, INDEX, WORDS | st.just("{}")),
    st.builds(PartStart, INDEX, st.sampled_from((CALL, Text("t"), Thinking("h"), Json(1)))),
    st.builds(PartEnd, INDEX),
)
KINDS: dict[type, type] = {TextDelta: Text, ThinkingDelta: Thinking, ArgumentsDelta: ToolCall}


def possible(deltas: list[Any]) -> list[Delta]:
    """The deltas that a parser could have made: each of its part's kind, one beginning, nothing after the end."""
    kinds: dict[int, type] = {}
    ended: set[int] = set()
    kept: list[Delta] = []
    for delta in deltas:
        begun = isinstance(delta, PartStart)
        kind = type(delta.part) if begun else KINDS.get(type(delta), kinds.get(delta.index))
        new = delta.index not in kinds
        if delta.index in ended or kind is None or (begun and not new) or kinds.get(delta.index, kind) is not kind:
            continue
        kinds[delta.index] = kind
        if isinstance(delta, PartEnd):
            ended.add(delta.index)
        kept.append(delta)
    return kept


@given(st.lists(DELTA, max_size=30), st.booleans())
def test_any_order_is_told_one_after_the_other_and_adds_up(given_deltas: list[Any], at_once: bool) -> None:
    deltas = possible(given_deltas)
    late: list[Any] = []
    turns = InTurn(lambda *what: late.append(what))
    steps = [deltas] if at_once else [[delta] for delta in deltas]
    found = [delta for step in steps for delta in turns.arrange(step)] + turns.end_all()
    growing: int | None = None
    seen: list[int] = []
    for delta in found:
        index: int = delta.index  # type: ignore[union-attr]  # all that is told here is of a part
        if (isinstance(delta, PartStart | PartEnd) and isinstance(parts(found)[index], Json)) or index == growing:
            growing = None if isinstance(delta, PartEnd) else growing
            continue
        assert growing is None
        assert index not in seen, "what was ended is not told again"
        growing = index
        seen.append(index)
    assert growing is None
    whole, told = parts(deltas), parts(found)
    for kind in (Text, Thinking):
        assert sorted(_all(kind, whole)) == sorted(_all(kind, told))
    assert sum(isinstance(part, Json) for part in whole) == sum(isinstance(part, Json) for part in told)
    if not late:
        assert sorted(map(repr, _calls(told))) == sorted(map(repr, _calls(whole)))


def _calls(found: tuple[Part, ...]) -> list[ToolCall]:
    """The calls, without the space behind their input: what comes after a whole object is not told if it is no more."""
    calls = [part for part in found if isinstance(part, ToolCall)]
    return [replace(part, arguments=part.arguments.rstrip()) for part in calls if isinstance(part.arguments, str)]


def _all(kind: type, found: tuple[Part, ...]) -> str:
    return "".join(part.text for part in found if isinstance(part, Text | Thinking) and type(part) is kind)
