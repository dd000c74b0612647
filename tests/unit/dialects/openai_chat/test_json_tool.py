"""The tool that takes the answer: asked for where there is no schema mode, and never seen by the caller, whatever way
the bytes of a stream are cut.
"""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.dialects.dialect import Context
from penstock.dialects.openai_chat import DIALECT
from penstock.types.content import Text, ToolCall
from penstock.types.errors import DialectError
from penstock.types.fold import Fold
from penstock.types.notes import Memo
from penstock.types.profile import Profile
from penstock.types.request import Message, Request, ResponseFormat, Tool, ToolChoice
from penstock.types.response import Response

SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
FORMAT = ResponseFormat("json_schema", SCHEMA, "answer")
TOOL_HOST = Profile(structured_output="tool")
LOOK = Tool("look", parameters={"type": "object", "properties": {}})
MEMO = Memo(json_tool="json_tool_call")


def rendered(profile: Profile = TOOL_HOST, **fields: Any) -> tuple[dict[str, Any], Memo]:
    fields = {"response_format": FORMAT} | fields
    request = Request(dialect="other", model="m", messages=(Message("user", (Text("x"),)),), **fields)
    made = DIALECT.render_request(request, profile)
    return made.value, made.memo


def named(body: dict[str, Any]) -> list[str]:
    return [tool["function"]["name"] for tool in body.get("tools", ())]


def test_alone_it_must_be_called() -> None:
    body, memo = rendered()
    assert memo == MEMO
    assert body["tools"][0]["function"]["parameters"] == SCHEMA
    assert body["tool_choice"] == {"type": "function", "function": {"name": "json_tool_call"}}
    assert "response_format" not in body


@pytest.mark.parametrize(
    ("choice", "sent"),
    [
        (None, "required"),
        (ToolChoice("auto"), "required"),
        (ToolChoice("none"), {"type": "function", "function": {"name": "json_tool_call"}}),
    ],
)
def test_beside_others_one_must_be_called(choice: ToolChoice | None, sent: Any) -> None:
    body, memo = rendered(tools=(LOOK,), tool_choice=choice)
    assert named(body) == ["look", "json_tool_call"]
    assert body["tool_choice"] == sent
    assert memo.json_tool == "json_tool_call"


def test_the_hosts_own_word_for_any_tool() -> None:
    body, _ = rendered(Profile(structured_output="tool", tool_choice_required="any"), tools=(LOOK,))
    assert body["tool_choice"] == "any"


@pytest.mark.parametrize("choice", [ToolChoice("required"), ToolChoice("tool", "look")])
def test_a_tool_that_the_caller_forces_comes_first(choice: ToolChoice) -> None:
    body, memo = rendered(tools=(LOOK,), tool_choice=choice)
    assert named(body) == ["look"]
    assert memo.json_tool is None
    assert body["response_format"] == {"type": "json_object"}
    assert "JSON Schema" in body["messages"][0]["content"]


def test_a_name_that_is_taken() -> None:
    body, memo = rendered(tools=(Tool("json_tool_call", parameters={"type": "object", "properties": {}}),))
    assert named(body) == ["json_tool_call", "json_tool_call_2"]
    assert memo.json_tool == "json_tool_call_2"


@pytest.mark.parametrize("level", ["json_schema", "json_object", "prompt"])
def test_hosts_with_another_way_get_no_tool(level: Any) -> None:
    body, memo = rendered(Profile(structured_output=level))
    assert memo.json_tool is None
    assert "tools" not in body


def call(name: str, arguments: str, index: int) -> dict[str, Any]:
    return {
        "index": index,
        "id": f"call_{index}",
        "type": "function",
        "function": {"name": name, "arguments": arguments},
    }


def answer(*calls: dict[str, Any], content: str | None = None, reason: str = "tool_calls") -> dict[str, Any]:
    message = {"role": "assistant", "content": content, "tool_calls": list(calls)}
    return {"id": "x", "model": "m", "choices": [{"index": 0, "message": message, "finish_reason": reason}]}


def test_its_call_is_the_text_of_the_answer() -> None:
    given_answer = answer(call("json_tool_call", '{"a": 1}', 0))
    before = json.dumps(given_answer)
    (choice,) = DIALECT.parse_response(given_answer, MEMO).choices
    assert [part.text for part in choice.parts if isinstance(part, Text)] == ['{"a": 1}']
    assert not any(isinstance(part, ToolCall) for part in choice.parts)
    assert (choice.stop_reason, choice.stop_native) == ("stop", "stop")
    assert json.dumps(given_answer) == before, "what was given is not changed"


def test_other_calls_stay_calls() -> None:
    (choice,) = DIALECT.parse_response(answer(call("look", "{}", 0), call("json_tool_call", "{}", 1)), MEMO).choices
    assert [part.name for part in choice.parts if isinstance(part, ToolCall)] == ["look"]
    assert choice.stop_reason == "tool_calls"


def test_without_the_memo_it_is_a_call_like_any() -> None:
    (choice,) = DIALECT.parse_response(answer(call("json_tool_call", "{}", 0)), Memo()).choices
    assert [part.name for part in choice.parts if isinstance(part, ToolCall)] == ["json_tool_call"]


@pytest.mark.parametrize("odd", [None, [], "x", [None], [{"message": None}], [{"message": {"tool_calls": [7, {}]}}]])
def test_odd_answers_are_left_to_the_reader(odd: Any) -> None:
    assert outcome(odd, MEMO) == outcome(odd, Memo())


def outcome(choices: Any, memo: Memo) -> Response | str:
    try:
        return DIALECT.parse_response({"choices": choices}, memo)
    except DialectError as error:
        return str(error)


def frames(other: bool) -> bytes:
    pieces: list[dict[str, Any]] = [{"delta": {"role": "assistant", "content": None}}]
    if other:
        pieces.append({"delta": {"tool_calls": [call("look", "{}", 0)]}})
    ours = int(other)
    pieces.append({"delta": {"tool_calls": [call("json_tool_call", "", ours)]}})
    for text in ('{"a', '": ', "1}"):
        pieces.append({"delta": {"tool_calls": [{"index": ours, "function": {"arguments": text}}]}})
    chunks = [{"id": "x", "choices": [{"index": 0, "finish_reason": None, **piece}]} for piece in pieces]
    chunks.append({"id": "x", "choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]})
    return b"".join(b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks) + b"data: [DONE]\n\n"


@given(st.booleans(), st.lists(st.integers(1, 400), max_size=12))
def test_a_stream_in_any_pieces(other: bool, cuts: list[int]) -> None:
    data = frames(other)
    parser, total = DIALECT.stream_parser(MEMO), Fold("openai_chat")
    renderer = DIALECT.stream_renderer(Context(source="openai_chat"))
    places = [0, *sorted(cut for cut in cuts if cut < len(data)), len(data)]
    written = b""
    for start, end in pairwise(places):
        for event in parser.feed(data[start:end]):
            total.add(event)
            written += renderer.render(event)
    for event in parser.close():
        total.add(event)
    (choice,) = total.response().choices
    assert "".join(part.text for part in choice.parts if isinstance(part, Text)) == '{"a": 1}'
    assert [part.name for part in choice.parts if isinstance(part, ToolCall)] == (["look"] if other else [])
    assert choice.stop_reason == ("tool_calls" if other else "stop")
    assert b"json_tool_call" not in written, "the caller's stream does not show it either"
