"""Cascades: what is asked next, which answers are taken, and why not."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.routing.cascade import (
    Accept,
    Answer,
    Ask,
    Cascade,
    GiveUp,
    Judge,
    MalformedCascade,
    alike,
    cascades_of,
    failing,
    next_step,
)
from penstock.types.content import Refusal, Text, ToolCall
from penstock.types.request import Message, Request, ResponseFormat, Tool
from penstock.types.response import Choice, Response, StopReason

CHECKS = ("complete", "refusal", "schema", "tools")
SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}


def request(**fields: Any) -> Request:
    return Request(dialect="openai_chat", model="smart", messages=(Message("user", (Text("x"),)),), **fields)


def response(*parts: Any, stop: StopReason | None = "stop") -> Response:
    whole = tuple(Text(part) if isinstance(part, str) else part for part in parts)
    return Response(dialect="openai_chat", choices=(Choice(whole, stop_reason=stop),))


GOOD, CUT = response("Fine."), response("Fi", stop="length")
TOOL = Tool("add", parameters={"type": "object", "properties": {"a": {"type": "number"}}, "required": ["a"]})


@pytest.mark.parametrize(
    ("answer", "asked", "why"),
    [
        (GOOD, request(), None),
        (CUT, request(), "cut"),
        (response("x", stop="content_filter"), request(), "withheld"),
        (response("x", stop="pause"), request(), "not finished"),
        (response("  "), request(), "empty"),
        (Response(dialect="openai_chat"), request(), "empty"),
        (response(Refusal("No.")), request(), "refused"),
        (response("x", stop="refusal"), request(), "refused"),
        (response("I\u2019m sorry, but I can't help with that."), request(), "refusal"),
        (response("Es tut mir leid, aber ich kann das nicht."), request(), "refusal"),
        (response("申し訳ありませんが、お手伝いできません。"), request(), "refusal"),
        (response("Sorry is a song by Justin Bieber."), request(), None),
        (response('{"n": 1}'), request(response_format=ResponseFormat("json_schema", SCHEMA)), None),
        (response('{"n": "1"}'), request(response_format=ResponseFormat("json_schema", SCHEMA)), "schema"),
        (response("n = 1"), request(response_format=ResponseFormat("json_schema", SCHEMA)), "not JSON"),
        (response("[1]"), request(response_format=ResponseFormat("json_object")), "no JSON object"),
        (response(ToolCall("c", "add", '{"a": 1}')), request(tools=(TOOL,)), None),
        (response(ToolCall("c", "add", {"a": 1})), request(tools=(TOOL,)), None),
        (response(ToolCall("c", "add", '{"a": "1"}')), request(tools=(TOOL,)), "do not fit"),
        (response(ToolCall("c", "add", '{"a": ')), request(tools=(TOOL,)), "not JSON"),
        (response(ToolCall("c", "sub", "{}")), request(tools=(TOOL,)), "there is not"),
        (response(ToolCall("c", "add", "")), request(tools=(TOOL,)), "do not fit"),
        (response(ToolCall("c", "free", "any text", custom=True)), request(tools=(TOOL,)), None),
        (
            response(ToolCall("c", "add", '{"a": 1}')),
            request(tools=(TOOL,), response_format=ResponseFormat("json_object")),
            None,
        ),
    ],
)
def test_checks(answer: Response, asked: Request, why: str | None) -> None:
    found = failing(asked, answer, CHECKS)
    assert found is None if why is None else (found is not None and why in found)
    assert failing(asked, answer, ()) in (None, "it is empty")


def test_every_choice_is_checked() -> None:
    both = msgspec.structs.replace(GOOD, choices=(*GOOD.choices, *CUT.choices))
    assert failing(request(), both, CHECKS) == "it was cut at the token limit"


def test_a_clients_pattern_cannot_stop_a_worker() -> None:
    schema = {"type": "object", "properties": {"n": {"type": "string", "pattern": "^(a+)+$"}}}
    answer = response(msgspec.json.encode({"n": "a" * 40 + "!"}).decode())
    found = failing(request(response_format=ResponseFormat("json_schema", schema)), answer, CHECKS)
    assert found is None, "it is not looked for, which would take years"
    harmless = {"type": "object", "properties": {"n": {"type": "string", "pattern": "^a+$"}}}
    assert failing(request(response_format=ResponseFormat("json_schema", harmless)), answer, CHECKS) is not None


# -- what is asked next -----------------------------------------------------------------------------------------------

TWO = Cascade(name="smart", groups=("cheap", "strong"))
THREE = Cascade(name="smart", groups=("cheap", "middle", "strong"))
TWICE = Cascade(name="smart", groups=("cheap", "strong"), agreement=0.8)
JUDGED = Cascade(name="smart", groups=("cheap", "strong"), hook="http://127.0.0.1/judge")


def cheap(answer: Response | None, **fields: Any) -> Answer:
    return Answer("cheap", answer, **fields)


def strong(answer: Response | None) -> Answer:
    return Answer("strong", answer)


@pytest.mark.parametrize(
    ("cascade", "answers", "step"),
    [
        (TWO, [], Ask("cheap")),
        (TWO, [cheap(GOOD)], Accept(0, ("cheap: accepted",))),
        (TWO, [cheap(CUT)], Ask("strong")),
        (TWO, [cheap(None)], Ask("strong")),
        (
            TWO,
            [cheap(CUT), strong(CUT)],
            Accept(1, ("cheap: it was cut at the token limit", "strong: taken as it is")),
        ),
        (
            TWO,
            [cheap(CUT), strong(None)],
            Accept(0, ("cheap: it was cut at the token limit", "strong: it failed", "cheap: better than none")),
        ),
        (TWO, [cheap(None), strong(None)], GiveUp(("cheap: it failed", "strong: it failed"))),
        (THREE, [cheap(CUT)], Ask("middle")),
        (THREE, [cheap(CUT), Answer("middle", CUT)], Ask("strong")),
        (
            THREE,
            [cheap(CUT), Answer("middle", GOOD)],
            Accept(1, ("cheap: it was cut at the token limit", "middle: accepted")),
        ),
        (TWICE, [cheap(GOOD)], Ask("cheap")),
        (TWICE, [cheap(CUT)], Ask("strong")),
        (TWICE, [cheap(GOOD), cheap(GOOD)], Accept(1, ("cheap: accepted",))),
        (TWICE, [cheap(GOOD), cheap(CUT)], Ask("strong")),
        (TWICE, [cheap(GOOD), cheap(response("Not at all."))], Ask("strong")),
        (TWICE, [cheap(GOOD), cheap(None)], Ask("strong")),
        (
            TWICE,
            [cheap(GOOD), cheap(None), strong(GOOD)],
            Accept(2, ("cheap: it failed", "strong: taken as it is")),
        ),
        (JUDGED, [cheap(GOOD)], Judge(0)),
        (JUDGED, [cheap(CUT)], Ask("strong")),
        (JUDGED, [cheap(GOOD, accepted=True)], Accept(0, ("cheap: accepted",))),
        (JUDGED, [cheap(GOOD, accepted=False, why="too dull")], Ask("strong")),
        (
            JUDGED,
            [cheap(GOOD, accepted=False, why="too dull"), strong(GOOD)],
            Accept(1, ("cheap: the hook refused it: too dull", "strong: taken as it is")),
        ),
    ],
)
def test_steps(cascade: Cascade, answers: list[Answer], step: Any) -> None:
    assert next_step(cascade, request(), answers) == step


@given(
    st.integers(2, 4),
    st.booleans(),
    st.booleans(),
    st.lists(st.sampled_from([GOOD, CUT, None, response("Something else.")]), min_size=9, max_size=9),
    st.lists(st.booleans(), min_size=9, max_size=9),
)
def test_any_cascade_ends_with_an_answer_if_there_was_one(
    stages: int, twice: bool, judged: bool, outcomes: list[Response | None], verdicts: list[bool]
) -> None:
    groups = tuple(map(str, range(stages)))
    cascade = Cascade(name="c", groups=groups, agreement=0.9 if twice else None, hook="http://h" if judged else None)
    answers: list[Answer] = []
    for _ in range(30):
        step = next_step(cascade, request(), answers)
        if isinstance(step, Ask):
            answers.append(Answer(step.group, outcomes[len(answers)]))
        elif isinstance(step, Judge):
            answers[step.index] = msgspec.structs.replace(answers[step.index], accepted=verdicts[step.index])
        else:
            break
    assert [answer.group for answer in answers] == sorted(answer.group for answer in answers), "cheap before strong"
    assert len(answers) <= (2 if twice else 1) * (stages - 1) + 1
    if any(answer.response is not None for answer in answers):
        assert isinstance(step, Accept) and answers[step.index].response is not None
    else:
        assert isinstance(step, GiveUp)


@pytest.mark.parametrize(
    ("one", "other", "likeness"),
    [
        (response("It is 42."), response("It is 42."), 1.0),
        (response("It is 42."), response("it IS 42"), 1.0),
        (response("It is 42."), response("It is 43."), 0.0),
        (response('{"a": 1, "b": 2}'), response('{"b":2,"a":1}'), 1.0),
        (response('{"a": 1}'), response('{"a": 2}'), 0.0),
        (response("one two three four"), response("one two three five"), 0.6),
        (response(ToolCall("1", "f", '{"a": 1}')), response(ToolCall("2", "f", {"a": 1})), 1.0),
        (response(ToolCall("1", "f", "{}")), response("f"), 0.0),
        (response(""), response(""), 1.0),
    ],
)
def test_likeness(one: Response, other: Response, likeness: float) -> None:
    assert alike(one, other) == alike(other, one) == pytest.approx(likeness)


def test_reading() -> None:
    found = cascades_of({"smart": {"groups": ["a", "b"], "agreement": 0.5, "streams": "first"}})["smart"]
    assert (found.name, found.groups, found.agreement, found.group_of_streams) == ("smart", ("a", "b"), 0.5, "a")
    assert TWO.group_of_streams == "strong"


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ([], "must be a cascade"),
        ({}, r"cascades\.smart\.groups must be a list"),
        ({"groups": ["a"]}, "two different groups"),
        ({"groups": ["a", "a"]}, "two different groups"),
        ({"groups": ["a", "b"], "check": []}, "no 'check'; did you mean 'checks'"),
        ({"groups": ["a", "b"], "checks": ["spelling"]}, "'spelling' is none of: complete, refusal"),
        ({"groups": ["a", "b"], "agreement": 2}, "from 0 to 1"),
        ({"groups": ["a", "b"], "agreement": True}, "from 0 to 1"),
        ({"groups": ["a", "b"], "hook": "module:function"}, "http"),
        ({"groups": ["a", "b"], "hook_timeout": 0}, "seconds"),
        ({"groups": ["a", "b"], "streams": "middle"}, "first or last"),
    ],
)
def test_what_is_wrong_is_named(entry: Any, words: str) -> None:
    with pytest.raises(MalformedCascade, match=words):
        cascades_of({"smart": entry})
