"""What programs print, read: lines that each printed here (shortened), and whatever else may come.

`recorded/NAME.tool.txt`: a text, a shell command, a text. `recorded/NAME.failed.txt`: the model refuses the prompt.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.agents.events import Draft, Error, Text, Thinking, ToolCall, ToolResult, TurnEnd
from penstock.agents.harnesses.contract import Question, Turn
from penstock.agents.harnesses.registry import HARNESSES

RECORDED = Path(__file__).parent / "recorded"
TURN = Turn(prompt="Make it.", arguments=("true",))
SHELL = {"command": "echo made-it | tee made.txt"}
DESCRIBED = {**SHELL, "description": "Make it"}
Seen = list[tuple[Any, ...]]

TOLD: dict[str, Seen] = {
    "claude-code": [
        ("thinks", "Let me see."), ("says", "I run it."), ("uses", "Bash", DESCRIBED), ("gets", "made-it"),
        ("says", "It is made."), ("ends", "completed"),
    ],
    "codex": [
        ("thinks", "Let me see."), ("says", "I run it."),
        ("uses", "command_execution", {"command": "/bin/bash -lc 'echo made-it | tee made.txt'"}), ("gets", "made-it"),
        ("says", "It is made."), ("ends", "completed"),
    ],
    "opencode": [
        ("says", "I run it."), ("uses", "bash", DESCRIBED), ("gets", "made-it"), ("says", "It is made."),
        ("ends", "completed"),
    ],
    "gemini": [
        ("says", "I run it."), ("uses", "run_shell_command", DESCRIBED), ("gets", "made-it"), ("says", "It is made."),
        ("ends", "completed"),
    ],
    "aider": [
        ("says", "I write it.\n\nmade.txt\n```\n<<<<<<< SEARCH\n=======\nmade-it\n>>>>>>> REPLACE\n```\n\n\nmade.txt"),
        ("uses", "edit", {"path": "made.txt"}), ("gets", "Applied edit to made.txt"), ("ends", "completed"),
    ],
    "loop": [
        ("says", "I run it."), ("uses", "shell", SHELL), ("gets", "made-it"), ("says", "It is made."),
        ("ends", "completed"),
    ],
}  # fmt: skip
"""What somebody who reads the log learns."""
STATUS = {"gemini": 144, "loop": 0, "aider": 0}
"""With which status a program ends whose model refused; 1 where nothing is said."""


def read(name: str, lines: list[bytes], status: int = 0, errors: bytes = b"", **end: Any) -> tuple[list[Draft], Any]:
    reading = HARNESSES[name].reading(TURN)
    events = [event for line in lines for event in reading.feed(line)]
    return [*events, *reading.end(status, errors, **end)], reading


def told(events: list[Draft]) -> Seen:
    """Events as a reader takes them: pieces of one part are one text."""
    found: Seen = []
    part = ""
    for event in events:
        match event:
            case Text() | Thinking():
                verb = "says" if isinstance(event, Text) else "thinks"
                if event.part and event.part == part:
                    found[-1] = (verb, found[-1][1] + event.text)
                else:
                    found.append((verb, event.text))
                part = event.part
            case ToolCall():
                found.append(("uses", event.name, event.arguments))
            case ToolResult():
                found.append(("fails" if event.is_error else "gets", event.output.strip()))
            case Error():
                found.append(("error", event.message))
            case TurnEnd():
                found.append(("ends", event.outcome))
    return [(row[0], row[1].strip(), *row[2:]) for row in found]


def lines_of(name: str, what: str) -> list[bytes]:
    return (RECORDED / f"{name}.{what}.txt").read_bytes().splitlines()


@pytest.mark.parametrize("name", TOLD)
def test_a_turn_with_a_tool(name: str) -> None:
    events, reading = read(name, lines_of(name, "tool"))
    assert told(events) == TOLD[name]
    assert reading.resume
    calls = [event.call for event in events if isinstance(event, ToolCall)]
    assert [event.call for event in events if isinstance(event, ToolResult)] == calls
    assert events[-1].resume == reading.resume  # type: ignore[union-attr]


@pytest.mark.parametrize("name", TOLD)
def test_a_turn_that_the_model_refuses(name: str) -> None:
    events, _ = read(name, lines_of(name, "failed"), STATUS.get(name, 1), b"a trace that nobody needs")
    *said, error, end = told(events)
    assert said == []
    assert error[0] == "error"
    assert error[1].endswith("This prompt is a fake one.")
    assert "{" not in error[1]
    assert end == ("ends", "failed")


@pytest.mark.parametrize("name", TOLD)
def test_a_turn_that_somebody_interrupts(name: str) -> None:
    """Wherever it is cut, what was begun is closed, and the end is the last word and the only one."""
    lines = lines_of(name, "tool")
    for cut in range(len(lines) + 1):
        events, _ = read(name, lines[:cut], 130, interrupted=True)
        assert [event for event in events if isinstance(event, TurnEnd)] == events[-1:]
        assert told(events)[-1] == ("ends", "interrupted")
        closed = {event.part for event in events if isinstance(event, (Text, Thinking)) and not event.more}
        assert {event.part for event in events if isinstance(event, (Text, Thinking))} <= closed


@pytest.mark.parametrize("name", sorted(HARNESSES))
def test_a_program_that_dies(name: str) -> None:
    events, _ = read(name, [], 139, b"Segmentation fault\n")
    assert told(events) == [
        ("error", "the program ended with status 139: Segmentation fault"), ("ends", "failed"),
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["claude-code", "codex", "gemini", "loop"])
def test_a_program_that_ends_in_the_middle_has_failed_whatever_its_status_is(name: str) -> None:
    events, _ = read(name, lines_of(name, "tool")[:-1])
    assert told(events)[-2:] == [("error", "the program ended before the turn was over"), ("ends", "failed")]


@pytest.mark.parametrize("name", sorted(HARNESSES))
def test_a_turn_that_fails_before_it_begins_forgets_nothing(name: str) -> None:
    reading = HARNESSES[name].reading(Turn(prompt="", resume="before", arguments=("true",)))
    (*_, end) = reading.end(1, b"cannot reach the model")
    assert isinstance(end, TurnEnd)
    assert end.resume == "before"


@pytest.mark.parametrize("name", sorted(HARNESSES))
@given(lines=st.lists(st.binary(max_size=200)))
def test_no_bytes_end_the_reader(name: str, lines: list[bytes]) -> None:
    events, _ = read(name, lines)
    assert isinstance(events[-1], TurnEnd)


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=4,
)


@pytest.mark.parametrize("name", TOLD)
@given(data=st.data())
def test_no_other_version_ends_the_reader(name: str, data: st.DataObject) -> None:
    """Real lines of which one value anywhere is something else."""
    values = [json.loads(line) for line in lines_of(name, "tool") if line.startswith(b"{")] or [{}]
    value = data.draw(st.sampled_from(values))
    here = value
    while isinstance(here, dict) and here:
        key = data.draw(st.sampled_from(sorted(here)))
        if not isinstance(here[key], dict) or data.draw(st.booleans()):
            here[key] = data.draw(ANY_JSON)
            break
        here = here[key]
    events, _ = read(name, [json.dumps(value).encode()])
    assert isinstance(events[-1], TurnEnd)


def test_a_line_that_is_no_json_is_a_text() -> None:
    events, _ = read("codex", [b"WARNING: something of the program's own", *lines_of("codex", "tool")])
    assert told(events)[0] == ("says", "WARNING: something of the program's own")


def test_claude_code_asks_and_is_answered() -> None:
    asked = {
        "type": "control_request", "request_id": "r1",
        "request": {"subtype": "can_use_tool", "tool_name": "Bash", "input": SHELL, "tool_use_id": "t1"},
    }  # fmt: skip
    reading = HARNESSES["claude-code"].reading(TURN)
    assert reading.feed(json.dumps(asked).encode()) == []
    assert reading.asked() == [Question("r1", "Bash", SHELL)]
    assert reading.asked() == []
    yes = json.loads(reading.answer("r1", True))
    assert yes["response"] == {
        "subtype": "success", "request_id": "r1", "response": {"behavior": "allow", "updatedInput": SHELL}
    }  # fmt: skip
    with pytest.raises(KeyError):
        reading.answer("r1", True)
    reading.feed(json.dumps(asked).encode())
    no = json.loads(reading.answer("r1", False))
    assert no["response"]["response"]["behavior"] == "deny"


def test_a_subagents_words_are_not_the_agents() -> None:
    delta = {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "inner"}}
    line = {"type": "stream_event", "event": delta, "parent_tool_use_id": "t1", "session_id": "s"}
    assert HARNESSES["claude-code"].reading(TURN).feed(json.dumps(line).encode()) == []
