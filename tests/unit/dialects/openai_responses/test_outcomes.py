"""What another provider's own tool answered stands in the item of its call, in whole answers and in streams alike."""

from typing import Any

import pytest

from penstock.dialects.dialect import Context
from penstock.dialects.openai_responses import DIALECT
from penstock.types.content import Part, ServerToolCall, ServerToolResult, Text
from penstock.types.response import Choice, Response
from penstock.types.stream import End, PartEnd, PartStart, Start, Stop, StreamEvent
from tests.contract import dialects as contract

CODE = ServerToolCall("c", "code_execution", {"code": "print(1)"})
SEARCH = ServerToolCall("s", "web_search", {"query": "x"})
PAGES = [{"type": "web_search_result", "url": "u1", "title": "U"}, {"url": "u2"}, {"url": "u1"}]

OUTCOMES: list[tuple[ServerToolCall, ServerToolResult, dict[str, Any]]] = [
    (
        CODE,
        ServerToolResult("c", "code_execution", {"stdout": "1", "stderr": "oh", "return_code": 0}),
        {"code": "print(1)", "outputs": [{"type": "logs", "logs": "1\noh"}]},
    ),
    (
        ServerToolCall(None, "code_execution", {"code": "f()"}),
        ServerToolResult(None, "code_execution", {"outcome": "OUTCOME_OK", "output": "2"}),
        {"code": "f()", "outputs": [{"type": "logs", "logs": "2"}]},
    ),
    (CODE, ServerToolResult("c", "code_execution", {"stdout": ""}), {"code": "print(1)", "outputs": []}),
    (
        SEARCH,
        ServerToolResult("s", "web_search", PAGES),
        {
            "action": {
                "type": "search",
                "query": "x",
                "sources": [{"type": "url", "url": "u1"}, {"type": "url", "url": "u2"}],
            }
        },
    ),
]


def whole(*parts: Part) -> tuple[list[dict[str, Any]], list[tuple[str, str]]]:
    """(the items of an answer, the notes)."""
    response = Response(dialect="elsewhere", id="a", choices=(Choice(parts, "stop"),))
    said = DIALECT.render_response(response, Context())
    return said.value["output"], [(note.path, note.kind) for note in said.notes]


def streamed(*parts: Part) -> tuple[list[dict[str, Any]], list[tuple[str, str]], list[dict[str, Any]]]:
    """(the items of the last event, the notes, those of the events that end an item)."""
    events = [StreamEvent((Start("a"),))]
    for index, part in enumerate(parts):
        events += [StreamEvent((PartStart(index, part),)), StreamEvent((PartEnd(index),))]
    events.append(StreamEvent((Stop("stop"), End())))
    writer = DIALECT.stream_renderer(Context(source="elsewhere"))
    data = b"".join(map(writer.render, events)) + writer.close()
    frames = [frame for _, frame in contract.frames(DIALECT, data)]
    done = [frame["item"] for frame in frames if frame["type"] == "response.output_item.done"]
    return frames[-1]["response"]["output"], [(note.path, note.kind) for note in writer.notes], done


@pytest.mark.parametrize(("call", "result", "fields"), OUTCOMES, ids=str)
def test_an_outcome_stands_in_the_item_of_its_call(
    call: ServerToolCall, result: ServerToolResult, fields: dict[str, Any]
) -> None:
    items, notes = whole(Text("Before."), call, result, Text("After."))
    assert [item["type"] == "message" for item in items] == [True, False, True]
    assert {key: items[1][key] for key in fields} == fields
    assert notes == [("choices[0].parts[2]", "weakened")]
    assert streamed(Text("Before."), call, result, Text("After.")) == (items, notes, items)


@pytest.mark.parametrize(
    "result",
    [
        ServerToolResult("other", "code_execution", {"stdout": "1"}),
        ServerToolResult("c", "web_search", PAGES),
        ServerToolResult("c", "code_execution", [1]),
    ],
    ids=str,
)
def test_a_result_that_is_of_no_call_is_noted(result: ServerToolResult) -> None:
    items, notes = whole(CODE, result)
    assert [item["outputs"] for item in items] == [None]
    assert notes == [("choices[0].parts[1]", "dropped")]
    assert streamed(CODE, result) == (items, notes, items)


def test_calls_without_outcome_come_in_order() -> None:
    items, notes = whole(CODE, SEARCH, Text("Yes"))
    assert [item["type"] for item in items] == ["code_interpreter_call", "web_search_call", "message"]
    assert streamed(CODE, SEARCH, Text("Yes")) == (items, notes, items)
