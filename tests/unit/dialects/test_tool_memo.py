"""What a request changes in its tools, its answer changes back."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.dialects.tool_memo import (
    ToolNames,
    as_object,
    free_form,
    recall,
    recall_parts,
    stop_after,
    tool_names_of,
)
from penstock.types.content import Text, ToolCall
from penstock.types.notes import NO_MEMO, Memo
from penstock.types.request import Message, Request, Tool, ToolChoice

BAD = re.compile(r"[^a-z0-9_]")


def test_names_come_from_declarations_the_choice_and_the_history() -> None:
    request = Request(
        dialect="x",
        model=None,
        messages=(Message("assistant", (ToolCall("1", "called", {}),)),),
        tools=(Tool("declared"), Tool("web_search", "server")),
        tool_choice=ToolChoice("allowed", "chosen", ("allowed",)),
    )
    assert tool_names_of(request) == {"declared", "called", "chosen", "allowed"}


@given(st.sets(st.text(max_size=12), max_size=8), st.sampled_from([None, "_"]))
def test_names_fit_stay_apart_and_come_back(names: set[str], prefix: str | None) -> None:
    found = ToolNames(names, BAD, 10, prefix)
    written = {name: found.write(name) for name in names}
    assert len(set(written.values())) == len(names)
    assert all(0 < len(name) <= 10 and not BAD.search(name) for name in written.values())
    assert prefix is None or not any(name[0].isdigit() for name in written.values())
    back = found.changed() or {}
    assert {back.get(name, name) for name in written.values()} == names
    assert all(written[name] == name for name in names if written[name] not in back)


def test_a_name_that_fits_is_never_taken() -> None:
    names = ToolNames(["a.b", "a_b", "a b"], BAD, 64)
    assert names.write("a_b") == "a_b"
    assert {names.write("a.b"), names.write("a b")} == {"a_b_2", "a_b_3"}
    assert names.free("a_b") == "a_b_4"
    assert names.write("unannounced") == "unannounced"
    assert ToolNames(["fine"], BAD, 64).changed() is None


@pytest.mark.parametrize(
    ("arguments", "value", "exact"),
    [
        ({"a": 1}, {"a": 1}, True),
        ('{"a": 1}', {"a": 1}, True),
        ("", {}, True),
        (" ", {}, True),
        ("[1]", {"input": "[1]"}, False),
        ('{"a": ', {"input": '{"a": '}, False),
    ],
)
def test_arguments_as_an_object(arguments: dict[str, int] | str, value: object, exact: bool) -> None:
    assert as_object(arguments) == (value, exact)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ('{"input": "words"}', "words"),
        ({"input": "words"}, "words"),
        ('{"input": 7}', '{"input": 7}'),
        ({"input": "words", "more": 1}, '{"input":"words","more":1}'),
        ("{cut", "{cut"),
    ],
)
def test_a_free_form_input(arguments: dict[str, object] | str, text: str) -> None:
    assert free_form(arguments) == text


def test_calls_are_recalled() -> None:
    memo = Memo({"a_b": "a.b"}, "json_response", frozenset({"write"}))
    assert recall(ToolCall("1", "a_b", "{}"), memo) == ToolCall("1", "a.b", "{}")
    assert recall(ToolCall("1", "write", '{"input":"words"}'), memo) == ToolCall("1", "write", "words", custom=True)
    assert recall(ToolCall("1", "json_response", {"a": 1}), memo) == Text('{"a":1}')
    parts = (Text("a"), ToolCall("1", "a_b", "{}"))
    assert recall_parts(parts, NO_MEMO) is parts
    assert recall_parts(parts, memo)[0] is parts[0]


def test_the_calls_decide_why_an_answer_stopped() -> None:
    assert stop_after("stop", True) == "tool_calls"
    assert stop_after("tool_calls", False) == "stop"
    assert stop_after("length", True) == stop_after("length", False) == "length"
    assert stop_after(None, True) is None
