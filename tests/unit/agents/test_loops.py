"""Loops: what is one, and what only looks like one."""

from collections.abc import Iterable

import pytest

from penstock.agents.events import Payload, Text, ToolCall, ToolResult, UserMessage
from penstock.agents.loops import FAILURES, REPEATS, Trail, found, walked


def trail(payloads: Iterable[Payload]) -> Trail:
    made = Trail()
    for payload in payloads:
        made = walked(made, payload)
    return made


def calls(*steps: tuple[str, str] | str) -> list[Payload]:
    """Calls with their results: ("arguments", "result"); a text alone stands for a result "ok"."""
    payloads: list[Payload] = []
    for number, step in enumerate(steps):
        asked, result = (step, "ok") if isinstance(step, str) else step
        payloads += [ToolCall(f"c{number}", "shell", {"command": asked}), Text("so"), ToolResult(f"c{number}", result)]
    return payloads


LOOPS = {
    "the same call": calls(*["ls"] * REPEATS),
    "two in turn": calls(*["ls", "cat"] * REPEATS),
    "three in turn": calls(*["a", "b", "c"] * REPEATS),
    "four in turn": calls(*["a", "b", "c", "d"] * REPEATS),
    "after other things": calls("x", "y", "z", *["ls"] * REPEATS),
    "fields in another order": [
        part
        for number in range(REPEATS)
        for part in (
            ToolCall(str(number), "t", {"a": 1, "b": 2} if number % 2 else {"b": 2, "a": 1}),
            ToolResult(str(number), "same"),
        )
    ],
    "the last has no result yet": [*calls(*["ls"] * (REPEATS - 1)), ToolCall("last", "shell", {"command": "ls"})],
}
FINE = {
    "nothing": [],
    "one less": calls(*["ls"] * (REPEATS - 1)),
    "the result changes": calls(*[("poll", f"{percent} %") for percent in range(30)]),
    "different arguments": calls(*[f"sed -n {line}p" for line in range(40)]),
    "five in turn": calls(*["a", "b", "c", "d", "e"] * REPEATS),
    "a user's message in between": [*calls(*["ls"] * (REPEATS - 1)), UserMessage("again"), *calls("ls")],
    "another tool": [ToolCall(str(number), f"tool{number}", {}) for number in range(20)],
    "the same but for an error": calls(*[("make", "ok"), ("make", "error")] * 2),
}


@pytest.mark.parametrize("payloads", LOOPS.values(), ids=LOOPS)
def test_what_is_a_loop(payloads: list[Payload]) -> None:
    assert found(trail(payloads)) is not None
    assert found(trail(payloads), 0) is None, "nobody wants to know"


@pytest.mark.parametrize("payloads", FINE.values(), ids=FINE)
def test_what_is_none(payloads: list[Payload]) -> None:
    assert found(trail(payloads)) is None


def test_a_session_may_be_stricter_or_laxer() -> None:
    three = trail(calls(*["ls"] * 3))
    assert found(three, 3) == "the same tool call 3 times in a row, with the same results"
    assert found(three, 4) is None


def test_failures_in_a_row() -> None:
    failed = [part for number in range(FAILURES) for part in (
        ToolCall(str(number), "t", number), ToolResult(str(number), f"error {number}", True))]  # fmt: skip
    assert found(trail(failed)) == f"{FAILURES} tool calls in a row have failed"
    assert found(trail([*failed[:-1], ToolResult(str(FAILURES - 1), "fine")])) is None


def test_a_long_turn_takes_no_more_memory() -> None:
    assert len(trail(calls(*[str(number) for number in range(2000)])).steps) < 300
