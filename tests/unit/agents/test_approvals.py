"""Approvals: what was said holds, nobody is asked twice, and nobody can be asked without end."""

from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from penstock.agents.approvals import (
    MOST_ASKED,
    MOST_OPEN,
    WINDOW,
    check_open,
    check_rate,
    is_open,
    remembered,
    same_open,
)
from penstock.agents.errors import Conflict, TooMany
from penstock.agents.types import Approval, Ask
from tests.support.agents import NOON

RULE = Ask("egress", "may I?", "GET https://example.com:443/*")


def asked(number: int = 1, ask: Ask = RULE, **fields: Any) -> Approval:
    at = fields.pop("at", NOON)
    made = Approval(
        id=f"apr_{number}", owner="o", session="s", ask=ask, asked_at=at, expires_at=at + timedelta(minutes=5)
    )
    return replace(made, **fields)


def test_an_answer_holds_for_the_same_rule() -> None:
    denied = asked(decision="denied", remember=True, decided_at=NOON)
    assert remembered(RULE, [denied]) == denied
    assert remembered(replace(RULE, summary="please, please!"), [denied]) == denied, "other words, the same rule"
    assert remembered(replace(RULE, rule="GET https://example.com:443/other"), [denied]) is None
    assert remembered(replace(RULE, about="tool"), [denied]) is None
    assert remembered(RULE, [replace(denied, remember=False)]) is None


@pytest.mark.parametrize("decision", ["expired", "withdrawn", None])
def test_no_answer_is_not_remembered(decision: Any) -> None:
    assert remembered(RULE, [asked(decision=decision, remember=True)]) is None


def test_the_last_answer_counts() -> None:
    no = asked(1, decision="denied", remember=True, decided_at=NOON)
    yes = asked(2, decision="approved", remember=True, decided_at=NOON + timedelta(seconds=1))
    assert remembered(RULE, [yes, no]) == yes


def test_where_there_is_no_rule_the_words_count() -> None:
    tool = Ask("tool", "run rm -rf build")
    denied = asked(ask=tool, decision="denied", remember=True)
    assert remembered(tool, [denied]) == denied
    assert remembered(Ask("tool", "run rm -rf /"), [denied]) is None


def test_the_same_question_is_not_open_twice() -> None:
    first = asked()
    assert same_open(RULE, [first], NOON) == first
    assert same_open(RULE, [first], first.expires_at) is None
    assert same_open(RULE, [replace(first, decision="denied")], NOON) is None


def test_so_many_at_once() -> None:
    questions = [asked(number, Ask("tool", str(number))) for number in range(MOST_OPEN)]
    check_rate(questions[1:], NOON)
    with pytest.raises(TooMany, match="are open"):
        check_rate(questions, NOON)
    check_rate(questions, questions[0].expires_at)


def test_so_many_in_a_while() -> None:
    questions = [asked(number, decision="denied", at=NOON + timedelta(seconds=number)) for number in range(MOST_ASKED)]
    with pytest.raises(TooMany, match="wider rule"):
        check_rate(questions, NOON + timedelta(minutes=1))
    check_rate(questions, NOON + WINDOW)


def test_time_out_means_no() -> None:
    question = asked()
    assert is_open(question, question.expires_at - timedelta(microseconds=1))
    assert not is_open(question, question.expires_at)
    with pytest.raises(Conflict, match="which means no"):
        check_open(question, question.expires_at)
    with pytest.raises(Conflict, match="denied already"):
        check_open(replace(question, decision="denied"), NOON)
