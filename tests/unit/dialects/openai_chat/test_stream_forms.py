"""The many ways in which hosts stream: what a stream adds up to, and that it comes back frame by frame."""

import json
from typing import Any

import pytest

from penstock.dialects.openai_chat import DIALECT
from penstock.types.content import Base64, Citation, Media, Opaque, Part, Signature, Text, Thinking, ToolCall
from penstock.types.errors import DialectError, ErrorResponse
from penstock.types.fold import Fold
from tests.contract import dialects as contract


def chunk(delta: Any, reason: str | None = None, **choice: Any) -> dict[str, Any]:
    """One chunk with one choice."""
    return {
        "id": "c",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "delta": delta, "finish_reason": reason, **choice}],
    }


def stream(*chunks: dict[str, Any], end: str = "data: [DONE]\n\n") -> bytes:
    """The bytes of a stream."""
    return ("".join(f"data: {json.dumps(each)}\n\n" for each in chunks) + end).encode()


def added_up(data: bytes) -> Fold:
    """What a stream adds up to; it comes back exactly, and any split of it is read alike."""
    contract.assert_stream_exact(DIALECT, data)
    contract.assert_splits_agree(DIALECT, data, [7] * (len(data) // 7))
    total = Fold(DIALECT.name)
    for event in contract.parse_stream(DIALECT, data):
        total.add(event)
    return total


def parts(*chunks: dict[str, Any]) -> tuple[Part, ...]:
    total = added_up(stream(*chunks))
    assert total.complete
    return total.response().choices[0].parts


Pieces = list[list[dict[str, Any]]]


def piece(arguments: Any = None, name: Any = None, **fields: Any) -> dict[str, Any]:
    """A piece of a function call."""
    function = {key: value for key, value in (("name", name), ("arguments", arguments)) if value is not None}
    return {**fields, "function": function}


A, B = {"index": 0, "id": "a", "type": "function"}, {"index": 1, "id": "b", "type": "function"}
CALLS: dict[str, tuple[Pieces, list[tuple[str | None, str, str]]]] = {
    "OpenAI": (
        [[piece("", "f", **A)], [piece('{"x"', index=0)], [piece(":1}", index=0)]],
        [("a", "f", '{"x":1}')],
    ),
    "interleaved": (
        [[piece("", "f", **A)], [piece("", "g", **B)], [piece("{", index=0)], [piece("[", index=1)]],
        [("a", "f", "{"), ("b", "g", "[")],
    ),
    "two in a chunk": ([[piece("{}", "f", **A), piece("[]", "g", **B)]], [("a", "f", "{}"), ("b", "g", "[]")]),
    "no index": (
        [[piece("{}", "f", id="a")], [piece("", "g", id="b")], [piece("[]")]],
        [("a", "f", "{}"), ("b", "g", "[]")],
    ),
    "no index, ids in every piece, interleaved": (
        [[piece("{", "f", id="a")], [piece("[", "g", id="b")], [piece("}", "f", id="a")], [piece("]", "g", id="b")]],
        [("a", "f", "{}"), ("b", "g", "[]")],
    ),
    "every call has the index 0": (
        [[piece("{}", "f", index=0, id="a")], [piece("", "g", index=0, id="b")], [piece("[]", index=0)]],
        [("a", "f", "{}"), ("b", "g", "[]")],
    ),
    "every call has the index 0 and no id": (
        [[piece("{}", "f", index=0, id="")], [piece('{"x":1}', "f", index=0, id="")]],
        [(None, "f", "{}"), (None, "f", '{"x":1}')],
    ),
    "id and name in every piece": (
        [[piece('{"x"', "f", **A)], [piece(":", "f", **A)], [piece("1}", "f", **A)]],
        [("a", "f", '{"x":1}')],
    ),
    "name in every piece, no id": (
        [[piece('{"x":{', "f", index=0)], [piece("}", "f", index=0)], [piece("}", "f", index=0)]],
        [(None, "f", '{"x":{}}')],
    ),
    "empty id and name in later pieces": (
        [[piece("", "f", **A)], [piece("{}", "", index=0, id="", type="function")]],
        [("a", "f", "{}")],
    ),
    "a late id": ([[piece("", "f", index=0)], [piece("{}", index=0, id="a")]], [("a", "f", "{}")]),
    "an id that never comes": ([[piece("", "f", index=0)], [piece("{}", index=0)]], [(None, "f", "{}")]),
    "no id and no arguments": ([[piece("", "f", index=0)]], [(None, "f", "")]),
    "a late name": (
        [[piece('{"x"', index=0, id="a")], [piece(":1", "f", index=0)], [piece("}", index=0)]],
        [("a", "f", '{"x":1}')],
    ),
    "a name that never comes": ([[piece("{}", index=0, id="a")]], [("a", "", "{}")]),
    "an object": ([[piece({"x": 1}, "f", **A)]], [("a", "f", '{"x":1}')]),
    "an index in words": ([[piece("{", "f", index="0", id="a")], [piece("}", index="0")]], [("a", "f", "{}")]),
    "nothing in a piece": (
        [[piece("{}", "f", **A)], [{"index": 0, "function": None}], [{"index": 0}]],
        [("a", "f", "{}")],
    ),
}


@pytest.mark.parametrize("label", CALLS)
def test_tool_calls_in_pieces(label: str) -> None:
    pieces, expected = CALLS[label]
    found = parts(*[chunk({"tool_calls": each}) for each in pieces], chunk({}, "tool_calls"))
    assert [(part.call_id, part.name, part.arguments) for part in found if isinstance(part, ToolCall)] == expected
    assert len(found) == len(expected)


@pytest.mark.parametrize("end", ["stop", "mark"])
def test_a_call_that_waits_for_its_name_is_told_at_the_end(end: str) -> None:
    begun = chunk({"tool_calls": [piece("{}", index=0, id="a")]})
    total = added_up(stream(begun, chunk({}, "stop")) if end == "stop" else stream(begun))
    choice = total.response().choices[0]
    assert [type(part) for part in choice.parts] == [ToolCall]
    assert choice.stop_reason == ("tool_calls" if end == "stop" else None)


THOUGHT = {"type": "summary_text", "text": "Hm.", "signature": ""}
FORMS: dict[str, tuple[list[Any], tuple[Part, ...]]] = {
    "a call from before tools": (
        [{"function_call": {"name": "f", "arguments": ""}}, {"function_call": {"arguments": "{}"}}],
        (ToolCall(None, "f", "{}", native="function_call"),),
    ),
    "a custom tool": (
        [
            {"tool_calls": [{"index": 0, "id": "a", "type": "custom", "custom": {"name": "f", "input": "x"}}]},
            {"tool_calls": [{"index": 0, "custom": {"input": "y"}}]},
        ],
        (ToolCall("a", "f", "xy", True, extras={"type": "custom"}),),
    ),
    "a single call that is no list": (
        [{"tool_calls": piece("{}", "f", **A)}],
        (ToolCall("a", "f", "{}", extras={"type": "function"}),),
    ),
    "Z.ai: a call that the host ran": (
        [{"tool_calls": [{"id": "c", "type": "web_search_tool", "index": 0}]}],
        (Opaque({"id": "c", "type": "web_search_tool", "index": 0}, native="tool_calls"),),
    ),
    "images": (
        [{"content": "Look"}, {"images": [{"image_url": {"url": "data:image/png;base64,AAAA"}}]}],
        (Text("Look"), Media("image", Base64("AAAA"), "image/png", native="images", extras={"image_url": {}})),
    ),
    "Mistral: typed content": (
        [
            {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "H"}]}]},
            {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "m"}], "closed": True}]},
            {"content": [{"type": "text", "text": "a"}, {"type": "reference", "reference_ids": [0]}]},
            {"content": "b"},
        ],
        (
            Thinking("Hm", native="thinking"),
            Text("a"),
            Opaque({"type": "reference", "reference_ids": [0]}, native="content"),
            Text("b"),
        ),
    ),
    "Databricks: reasoning in the content": (
        [
            {"content": [{"type": "reasoning", "summary": [THOUGHT]}]},
            {"content": [{"type": "reasoning", "summary": [{**THOUGHT, "text": "", "signature": "c2ln"}]}]},
            {"content": "Yes"},
        ],
        (Thinking("Hm.", signature=Signature("c2ln", "anthropic"), native="content:reasoning"), Text("Yes")),
    ),
    "parsed JSON as the content": ([{"content": {"type": "odd"}}], (Opaque({"type": "odd"}, native="content"),)),
    "reasoning of a new kind": (
        [{"reasoning_details": [{"type": "new", "x": 1}]}],
        (Opaque({"type": "new", "x": 1}, native="reasoning_details"),),
    ),
    "an annotation without its wrapping": (
        [{"content": "x"}, {"annotations": [{"type": "url_citation", "url": "u"}, "odd"]}],
        (Text("x", (Citation("u", native="flat"),)),),
    ),
    "fields of another shape": (
        [{"content": "x", "refusal": [], "audio": 1, "annotations": {}, "images": 7, "reasoning_details": "y"}],
        (Text("x"),),
    ),
    "log probabilities before there is text": (
        [{"content": "", "reasoning": "t"}],
        (Thinking("t", native="reasoning"),),
    ),
}


@pytest.mark.parametrize("label", FORMS)
def test_forms_of_content(label: str) -> None:
    deltas, expected = FORMS[label]
    logprobs: dict[str, Any] = {"logprobs": {"content": []}} if label.startswith("log") else {}
    assert parts(*[chunk(delta, None, **logprobs) for delta in deltas], chunk({}, "stop")) == expected


def test_an_answer_begins_with_the_first_chunk_that_names_it() -> None:
    filtered = {"id": "", "model": "", "created": 0, "choices": [], "prompt_filter_results": [{"prompt_index": 0}]}
    response = added_up(stream(filtered, chunk({"content": "x"}, "stop"))).response()
    assert (response.id, response.model, response.created) == ("c", "m", 1)


def test_sources_are_told_once_when_the_answer_stops() -> None:
    source = {"citations": ["https://example.com/a"]}
    chunks = [{**chunk({"content": each}), **source} for each in ("a", "b")]
    found = parts(*chunks, {**chunk({}, "stop"), **source})
    assert found == (Text("ab", (Citation("https://example.com/a", native="source"),)),)


USAGE = {"prompt_tokens": 3, "completion_tokens": 5, "total_tokens": 8}


@pytest.mark.parametrize(
    "chunks",
    [
        [chunk({"content": "x"}, "stop"), {"id": "c", "choices": [], "usage": USAGE}],
        [{**chunk({"content": "x"}, "stop"), "usage": USAGE}],
        [
            {**chunk({"content": "x"}), "usage": {**USAGE, "completion_tokens": 1}},
            {**chunk({}, "stop"), "usage": USAGE},
        ],
        [chunk({"content": "x"}), chunk({}, "stop", usage=USAGE)],
        [{**chunk({"content": "x"}, "stop"), "x_groq": {"id": "r", "usage": USAGE}}],
        [{**chunk({"content": "x"}, "stop"), "usage": USAGE}, {"id": "c", "choices": [], "usage": None}],
        [{**chunk({"content": "x"}), "usage": []}, {**chunk({}, "stop"), "usage": USAGE}],
    ],
)
def test_usage_in_odd_places(chunks: list[dict[str, Any]]) -> None:
    usage = added_up(stream(*chunks)).response().usage
    assert usage is not None
    assert (usage.input_tokens, usage.output_tokens) == (3, 5)


ERRORS: list[tuple[str, str, str]] = [
    ('data: {"error": {"message": "no", "code": 500}}', "no", "server"),
    ('data: {"error": "no"}', "no", "unknown"),
    ('event: error\ndata: {"error": {"message": "no", "type": "overloaded_error"}}', "no", "overloaded"),
    ('data: {"object": "error", "message": "no", "code": 400}', "no", "invalid_request"),
    ('data: {"detail": "no"}', "no", "unknown"),
    ('data: {"message": "no", "type": "server_error"}', "no", "server"),
    ('data: [{"error": {"message": "no", "code": 429}}]', "no", "rate_limit"),
    (
        'data: {"base_resp": {"status_code": 1008, "status_msg": "insufficient balance"}}',
        "insufficient balance",
        "billing",
    ),
    ("data: Internal Server Error", "the stream holds what is not JSON: Internal Server Error", "bad_gateway"),
    ("event: error\ndata: upstream is gone", "the stream holds what is not JSON: upstream is gone", "bad_gateway"),
    ('{"error": {"message": "no"}}', "no", "unknown"),
    ('data: {"id": "c", "choices": [], "x_groq": {"error": "no"}}', "no", "unknown"),
]


@pytest.mark.parametrize("begun", [True, False])
@pytest.mark.parametrize(("frame", "message", "kind"), ERRORS)
def test_errors_in_a_stream(frame: str, message: str, kind: str, begun: bool) -> None:
    total = added_up(stream(*[chunk({"content": "x"})] * begun, end=f"{frame}\n\n"))
    assert isinstance(total.error, ErrorResponse)
    assert (total.error.message, total.error.kind) == (message, kind)
    assert [part for choice in total.response().choices for part in choice.parts] == [Text("x")] * begun


@pytest.mark.parametrize("frame", ['{"id": "c", "cho', "[1]", '"text"', "null", "\xff", "7"])
def test_what_is_neither_a_chunk_nor_an_error_is_refused(frame: str) -> None:
    with pytest.raises(DialectError):
        contract.parse_stream(
            DIALECT, stream(chunk({"content": "x"})) + b"data: " + frame.encode("latin-1") + b"\n\n\n"
        )


@pytest.mark.parametrize(
    "end",
    [
        "data: [DONE]\n\n",
        "data:[DONE]\n\n",
        "data: [DONE]",
        "data: [DONE] \n\n",
        "data: [done]\r\n\r\n",
        'data: "[DONE]"\n\n',
        "event: done\ndata: [DONE]\n\n",
        "data: [DONE]\n\ndata: [DONE]\n\n",
        ": bye\n\ndata: [DONE]\n\n",
    ],
)
def test_end_marks(end: str) -> None:
    assert added_up(stream(chunk({"content": "x"}, "stop"), end=end)).complete
