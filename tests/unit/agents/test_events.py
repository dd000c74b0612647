"""Events as JSON: each kind there and back, on one line, within the cap; and what is shortened says so."""

from datetime import UTC, datetime
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.agents.errors import TooLarge
from penstock.agents.events import (
    KINDS,
    MOST_BYTES,
    ApprovalDecided,
    ApprovalRequested,
    Artifact,
    Cost,
    Error,
    Payload,
    SessionEvent,
    Status,
    TerminalChanged,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    TurnEnd,
    UserMessage,
    WorkerChanged,
    decode,
    encode,
    fitted,
)
from penstock.agents.machine import Cause, Reason, State
from penstock.agents.plans import PlanChanged, Step, StepChange
from penstock.agents.types import Amounts
from tests.support.agents import NOON

ONE_OF_EACH: list[Payload] = [
    UserMessage("hello", "tok_1", ("a/b.txt",)),
    Thinking("hm", "p1", True),
    Text("line\nline\u2028\x00", "p2"),
    ToolCall("c1", "shell", {"command": ["ls", "-l"], "deep": {"x": [1, None, 2.5]}}),
    ToolResult("c1", "no such file", True, 3),
    Status(State.IDLE, Reason.READY, Cause.READY, "up", 4),
    ApprovalRequested("a1", "push", "push to main", "POST https://h:443/x", NOON),
    ApprovalDecided("a1", "denied", "tok_2", True, "no"),
    Cost(Decimal("0.000000000001"), 1, 2, 3, 4, "m"),
    Artifact("art_1", "report.pdf", 10, "0" * 64, "application/pdf"),
    Error("sandbox_lost", "it is gone", "start it again", True),
    TurnEnd("completed", 4, "done"),
    TerminalChanged("shell", "ended", "tok_1", 3),
    WorkerChanged("ses_1", "ended", Reason.COMPLETED, Amounts(tokens=10), Amounts(Decimal("0.5"), 7, 1, 9)),
    PlanChanged("pln_1", 2, "Title", (Step("b", "B", depends_on=("a",)),), ("b", "a"), (StepChange("a", result="r"),)),
]


def test_there_is_one_of_each() -> None:
    assert [type(each) for each in ONE_OF_EACH] == list(KINDS.values())
    assert set(KINDS) == {
        *("user_message", "thinking", "text", "tool_call", "tool_result", "status", "approval_requested"),
        *("approval_decided", "cost", "artifact", "error", "turn_end", "terminal", "worker", "plan"),
    }


@pytest.mark.parametrize("payload", ONE_OF_EACH, ids=lambda payload: type(payload).__name__)
def test_there_and_back(payload: Payload) -> None:
    event = SessionEvent(7, NOON, payload)
    written = encode(event)
    assert decode(written) == event
    assert b"\n" not in written and b"\r" not in written, "an event is one line of a stream"
    as_json = msgspec.json.decode(written)
    assert (as_json["number"], as_json["at"], as_json["data"]["kind"]) == (7, "2027-01-15T12:00:00.123456Z", event.kind)


@given(st.text(), st.datetimes(datetime(2000, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001
def test_any_text_is_one_line(text: str, at: datetime) -> None:
    event = SessionEvent(1, at, Text(text))
    assert decode(encode(event)) == event
    assert len(encode(event).splitlines()) == 1


def test_too_large_says_what_to_do() -> None:
    with pytest.raises(TooLarge, match="split its text"):
        encode(SessionEvent(1, NOON, Text("x" * MOST_BYTES)))


@pytest.mark.parametrize("character", ["x", '"', "\x00", "\u2028", "\U0001f600", "\\"])
@pytest.mark.parametrize("size", [1000, 50_000, 300_000, 2_000_000])
def test_what_a_program_prints_always_fits(character: str, size: int) -> None:
    text = character * size
    for payload in (ToolResult("c", text), Error("e", text), ToolCall("c", "t", {"a": [text]})):
        short = fitted(payload)
        encode(SessionEvent(2**53, NOON, short))
        if size == 1000:
            assert short == payload
    result = fitted(ToolResult("c", text))
    assert isinstance(result, ToolResult)
    if result.omitted:
        assert result.output.startswith(character) and result.output.endswith(character)
        assert result.output.count(character) + result.omitted >= size
    else:
        assert result.output == text


def test_words_of_people_and_models_are_not_shortened() -> None:
    said = UserMessage("x" * MOST_BYTES)
    assert fitted(said) is said
