"""Golden pairs: a piece of a request or answer on the wire, and what it means. Read forwards and backwards."""

import json
from typing import Any

import pytest
from msgspec.structs import replace

from penstock.dialects.cohere_chat import DIALECT, match_path
from penstock.dialects.dialect import Context, PathMatch
from penstock.types.content import (
    Base64,
    Citation,
    Json,
    Media,
    Opaque,
    Part,
    PlainText,
    Text,
    Thinking,
    TokenLogprob,
    ToolCall,
    ToolResult,
    Url,
)
from penstock.types.errors import DialectError, ErrorKind
from penstock.types.fold import fold
from penstock.types.notes import NO_MEMO, Memo
from penstock.types.profile import DEFAULT_PROFILE, Profile
from penstock.types.request import Message, Reasoning, ResponseFormat, Tool, ToolChoice
from penstock.types.response import Choice, StopReason
from penstock.types.stream import (
    ArgumentsDelta,
    CitationDelta,
    End,
    Failure,
    PartEnd,
    PartStart,
    Start,
    Stop,
    TextDelta,
    ThinkingDelta,
    UsageDelta,
)
from penstock.types.usage import Usage
from tests.contract import dialects as contract
from tests.contract.dialects import SCHEMA
from tests.unit.dialects.cohere_chat.samples import (
    CALL,
    CALL_STREAM,
    DOCUMENT_CITATION,
    PLAN_CITATION,
    START,
    TEXT_STREAM,
    TOOL_CITATION,
    USAGE,
    event,
    lines,
    said,
)

BLOCKS: list[tuple[dict[str, Any], Part]] = [
    ({"type": "text", "text": "words"}, Text("words", native="text")),
    ({"type": "text", "text": "words", "a": None}, Text("words", native="text", extras={"a": None})),
    ({"type": "thinking", "thinking": "Hm."}, Thinking("Hm.")),
    ({"type": "image_url", "image_url": {"url": "https://example.com"}}, Media("image", Url("https://example.com"))),
    (
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA", "detail": "low"}},
        Media("image", Base64("AAAA"), "image/png", detail="low"),
    ),
    (
        {"type": "document", "document": {"data": {"text": "words", "title": "T"}, "id": "a"}},
        Media("file", PlainText("words"), name="T", id="a", native="document"),
    ),
    ({"type": "future", "a": None}, Opaque({"type": "future", "a": None}, native="content")),
]


@pytest.mark.parametrize(
    ("block", "part"), BLOCKS, ids=lambda value: value.get("type") if isinstance(value, dict) else ""
)
def test_a_block_is_a_part(block: dict[str, Any], part: Part) -> None:
    body = {"messages": [{"role": "user", "content": [block]}]}
    request = DIALECT.parse_request(body, PathMatch())
    assert request.messages == (Message("user", (part,)),)
    assert DIALECT.render_request(request, DEFAULT_PROFILE).value == body


MESSAGES: list[tuple[dict[str, Any], Message]] = [
    ({"role": "user", "content": "words"}, Message("user", (Text("words"),))),
    ({"role": "system", "content": "words"}, Message("system", (Text("words"),))),
    (
        {"role": "assistant", "tool_plan": "I look.", "tool_calls": [CALL]},
        Message(
            "assistant",
            (Text("I look.", native="tool_plan"), ToolCall("look_up_1", "look_up", '{"city":"Paris"}')),
        ),
    ),
    (
        {"role": "assistant", "content": "Sun", "citations": [PLAN_CITATION]},
        Message("assistant", (Text("Sun"),), extras={"citations": [PLAN_CITATION]}),
    ),
    (
        {"role": "tool", "tool_call_id": "look_up_1", "content": "Sun"},
        Message("tool", (ToolResult("look_up_1", (Text("Sun"),)),)),
    ),
    (
        {
            "role": "tool",
            "tool_call_id": "look_up_1",
            "content": [{"type": "document", "document": {"data": {"text": "Sun"}, "id": "1"}}],
        },
        Message("tool", (ToolResult("look_up_1", (Json({"text": "Sun"}, id="1", native="document"),)),)),
    ),
]


@pytest.mark.parametrize(("wire", "message"), MESSAGES, ids=str)
def test_a_message(wire: dict[str, Any], message: Message) -> None:
    request = DIALECT.parse_request({"messages": [wire]}, PathMatch())
    assert request.messages == (message,)
    assert DIALECT.render_request(request, DEFAULT_PROFILE).value == {"messages": [wire]}


FIELDS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"p": 0.5, "k": 7}, {"top_p": 0.5, "top_k": 7}),
    ({"stop_sequences": ["a"]}, {"stop": ("a",)}),
    ({"tool_choice": "REQUIRED"}, {"tool_choice": ToolChoice("required")}),
    ({"tool_choice": "NONE"}, {"tool_choice": ToolChoice("none")}),
    ({"response_format": {"type": "text"}}, {"response_format": ResponseFormat("text")}),
    ({"response_format": {"type": "json_object"}}, {"response_format": ResponseFormat("json_object")}),
    (
        {"response_format": {"type": "json_object", "json_schema": SCHEMA}},
        {"response_format": ResponseFormat("json_schema", SCHEMA)},
    ),
    ({"thinking": {"type": "disabled"}}, {"reasoning": Reasoning(enabled=False)}),
    (
        {"thinking": {"type": "enabled", "token_budget": 512}},
        {"reasoning": Reasoning(enabled=True, budget_tokens=512)},
    ),
    (
        {"tools": [{"type": "function", "function": {"name": "a", "parameters": SCHEMA}}], "strict_tools": True},
        {"tools": (Tool("a", parameters=SCHEMA, strict=True),)},
    ),
    ({"tools": [{"type": "function", "function": {"name": "a"}}]}, {"tools": (Tool("a"),)}),
    ({"safety_mode": "OFF", "priority": 1}, {"extras": {"safety_mode": "OFF", "priority": 1}}),
    ({"stream": True, "logprobs": True}, {"stream": True, "logprobs": True}),
]


@pytest.mark.parametrize(("wire", "fields"), FIELDS, ids=str)
def test_a_field(wire: dict[str, Any], fields: dict[str, Any]) -> None:
    body = {"model": "m", "messages": [], **wire}
    request = DIALECT.parse_request(body, PathMatch())
    assert {name: getattr(request, name) for name in fields} == fields
    assert DIALECT.render_request(request, DEFAULT_PROFILE).value == body


DOCUMENTS: list[tuple[Any, Part]] = [
    ("words", Media("file", PlainText("words"), native="documents:string")),
    (
        {"data": {"text": "words", "title": "T", "author": "A"}, "id": "a"},
        Media("file", PlainText("words"), name="T", id="a", native="documents", extras={"data": {"author": "A"}}),
    ),
    (
        {"data": {"snippet": "words"}},
        Media("file", PlainText("words"), native="documents", extras={"(text_key)": "snippet"}),
    ),
    ({"data": "words"}, Media("file", PlainText("words"), native="documents:text")),
    ({"data": {"year": 1984}, "id": "b"}, Json({"year": 1984}, id="b", native="documents")),
]


@pytest.mark.parametrize(("wire", "part"), DOCUMENTS, ids=str)
def test_a_document_of_the_request_is_in_front_of_the_last_users_words(wire: Any, part: Part) -> None:
    body = {
        "messages": [
            {"role": "user", "content": "First"},
            {"role": "user", "content": "Last"},
            {"role": "assistant", "content": "Well"},
        ],
        "documents": [wire],
    }
    request = DIALECT.parse_request(body, PathMatch())
    assert request.messages[1].parts == (part, Text("Last"))
    assert DIALECT.render_request(request, DEFAULT_PROFILE).value == body


def test_a_change_of_the_representation_shows_on_the_wire() -> None:
    request = DIALECT.parse_request(
        {"messages": [{"role": "user", "content": "a"}], "documents": ["b"], "strict_tools": True}, PathMatch()
    )
    message = Message("user", (Media("file", PlainText("c"), name="T", native="documents"), Text("d")))
    changed = replace(request, messages=(message,), max_tokens=7, system=(Text("e"),))
    assert DIALECT.render_request(changed, DEFAULT_PROFILE).value == {
        "messages": [{"role": "system", "content": "e"}, {"role": "user", "content": "d"}],
        "documents": [{"data": {"text": "c", "title": "T"}}],
        "strict_tools": True,
        "max_tokens": 7,
    }


CITATIONS: list[tuple[dict[str, Any], Citation]] = [
    (
        DOCUMENT_CITATION,
        Citation(
            "https://example.com/a",
            "Cities",
            "Paris is one.",
            4,
            9,
            "doc:0",
            extras={
                "(text)": "Paris",
                "(sources)": [{"type": "document", "document": {"(id)": True}, "(words)": "snippet"}],
            },
        ),
    ),
    (
        TOOL_CITATION,
        Citation(
            cited_text="Sun in Paris",
            start=0,
            end=3,
            file_id="look_up_1:0",
            extras={
                "(text)": "Sun",
                "(content_index)": 1,
                "sources": [
                    {"type": "tool", "tool_output": {}, "(words)": "content"},
                    {"type": "document", "id": "b", "document": {"data": {"a": 1}}},
                ],
            },
        ),
    ),
]


@pytest.mark.parametrize(("wire", "citation"), CITATIONS, ids=["document", "tool"])
def test_a_citation_says_where_a_text_comes_from(wire: dict[str, Any], citation: Citation) -> None:
    content = [{"type": "thinking", "thinking": "Hm."}, {"type": "text", "text": "Sun in Paris."}]
    answer = {"message": {"role": "assistant", "content": content, "citations": [wire]}}
    response = DIALECT.parse_response(answer, NO_MEMO)
    assert response.choices[0].parts == (Thinking("Hm."), Text("Sun in Paris.", (citation,)))
    assert DIALECT.render_response(response, Context()).value == answer


def test_citations_of_the_plan_stand_at_the_plan() -> None:
    answer = {"message": {"role": "assistant", "tool_plan": "I look.", "citations": [PLAN_CITATION]}}
    (plan,) = DIALECT.parse_response(answer, NO_MEMO).choices[0].parts
    assert isinstance(plan, Text) and plan.native == "tool_plan"
    assert plan.citations is not None and (plan.citations[0].start, plan.citations[0].end) == (0, 1)


STOPS: list[tuple[str | None, StopReason | None]] = [
    ("COMPLETE", "stop"),
    ("STOP_SEQUENCE", "stop"),
    ("MAX_TOKENS", "length"),
    ("TOOL_CALL", "tool_calls"),
    ("ERROR", "error"),
    ("TIMEOUT", "error"),
    ("ERROR_TOXIC", "content_filter"),
    ("FUTURE", "stop"),
    (None, None),
]


@pytest.mark.parametrize(("word", "reason"), STOPS)
def test_a_reason_to_stop(word: str | None, reason: StopReason | None) -> None:
    answer: dict[str, Any] = {"message": {"role": "assistant"}, "finish_reason": word}
    choice = DIALECT.parse_response(answer, NO_MEMO).choices[0]
    assert (choice.stop_reason, choice.stop_native) == (reason, word)


USAGES: list[tuple[dict[str, Any], Usage]] = [
    (
        USAGE,
        Usage(
            input_tokens=100,
            output_tokens=25,
            cache_read_tokens=64,
            billed_input_tokens=10,
            billed_output_tokens=20,
            extras={"billed_units": {}, "tokens": {}},
        ),
    ),
    (
        {"billed_units": {"input_tokens": 10.0, "search_units": 1}},
        Usage(
            input_tokens=10,
            billed_input_tokens=10,
            search_units=1,
            spelling={"(floats)": "billed_input_tokens", "input_tokens": "billed_units.input_tokens"},
            extras={"billed_units": {}},
        ),
    ),
    ({"tokens": {"input_tokens": 0.5}}, Usage(input_tokens=0.5, extras={"tokens": {}})),  # type: ignore[arg-type]  # what a provider may say against its own types
    ({"tokens": None}, Usage(extras={"tokens": None})),
]


@pytest.mark.parametrize(("wire", "usage"), USAGES, ids=str)
def test_usage(wire: dict[str, Any], usage: Usage) -> None:
    answer = {"message": {"role": "assistant"}, "usage": wire}
    response = DIALECT.parse_response(answer, NO_MEMO)
    assert response.usage == usage
    contract.assert_response_exact(DIALECT, answer)


def test_a_piece_of_several_tokens_adds_up() -> None:
    piece = {"text": " in Paris", "token_ids": [2, 3], "logprobs": [-0.25, -0.5]}
    answer = {"message": {"content": [{"type": "text", "text": "a"}], "role": "assistant"}, "logprobs": [piece]}
    (text,) = DIALECT.parse_response(answer, NO_MEMO).choices[0].parts
    assert isinstance(text, Text)
    assert text.logprobs == (
        TokenLogprob(" in Paris", -0.25, extras={"(token_id)": 2}),
        TokenLogprob("", -0.5, extras={"(joined)": True, "(token_id)": 3}),
    )


# -- streams -----------------------------------------------------------------------------------------------------------


def test_a_stream_of_text() -> None:
    deltas = [delta for step in contract.parse_stream(DIALECT, TEXT_STREAM) for delta in step.deltas]
    assert [type(delta) for delta in deltas] == [
        Start,
        PartStart,
        ThinkingDelta,
        ThinkingDelta,
        PartEnd,
        PartStart,
        TextDelta,
        TextDelta,
        CitationDelta,
        PartEnd,
        Stop,
        UsageDelta,
        End,
    ]
    assert [delta.index for delta in deltas if hasattr(delta, "index")] == [0, 0, 0, 0, 1, 1, 1, 1, 1]


def test_a_stream_of_calls_numbers_plan_and_calls_as_parts() -> None:
    deltas = [delta for step in contract.parse_stream(DIALECT, CALL_STREAM) for delta in step.deltas]
    starts = [(delta.index, delta.part) for delta in deltas if isinstance(delta, PartStart)]
    assert starts == [
        (0, Text("", native="tool_plan")),
        (1, ToolCall("look_up_1", "look_up", "")),
        (2, ToolCall("put_1", "put", "{}")),
    ]
    assert [delta.index for delta in deltas if isinstance(delta, CitationDelta)] == [0]
    assert "".join(delta.text for delta in deltas if isinstance(delta, ArgumentsDelta)) == '{"city":"Paris"}'


def test_a_number_that_is_used_twice_is_two_parts() -> None:
    """Some deployments number thinking and text both 0."""
    data = lines(
        START,
        said("content-start", 0, content={"type": "thinking", "thinking": ""}),
        said("content-delta", 0, content={"thinking": "Hm."}),
        event("content-end", index=0),
        said("content-start", 0, content={"type": "text", "text": ""}),
        said("content-delta", 0, content={"text": "Sun"}),
        event("message-end", delta={"finish_reason": "COMPLETE"}),
    )
    assert contract.folded(DIALECT, data).choices[0].parts == (Thinking("Hm."), Text("Sun"))
    missing = lines(
        START,
        said("content-delta", 0, content={"thinking": "Hm."}),
        said("content-delta", 0, content={"text": "Sun"}),
    )
    assert contract.folded(DIALECT, missing).choices[0].parts == (Thinking("Hm."), Text("Sun"))


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (lines(START, event("message-end", delta={"finish_reason": "ERROR", "error": "it broke"})), "server"),
        (b'data: {"message": "too many tokens: try a shorter prompt"}\n\n', "server"),
    ],
)
def test_an_error_in_a_stream_is_a_failure(data: bytes, kind: ErrorKind) -> None:
    deltas = [delta for step in contract.parse_stream(DIALECT, data) for delta in step.deltas]
    failure = deltas[-1]
    assert isinstance(failure, Failure)
    assert failure.error.kind == kind
    assert failure.error.status >= 400


def test_a_cut_stream_is_not_complete() -> None:
    assert End() not in [delta for step in contract.parse_stream(DIALECT, TEXT_STREAM[:-9]) for delta in step.deltas]


def test_what_a_request_changed_is_undone_in_its_answer() -> None:
    memo = Memo({"put_down": "put.down"}, "json_response", frozenset({"write"}))
    calls: list[dict[str, Any]] = [
        {"id": "1", "type": "function", "function": {"name": "put_down", "arguments": "{}"}},
        {"id": "2", "type": "function", "function": {"name": "write", "arguments": '{"input": "free words"}'}},
        {"id": "3", "type": "function", "function": {"name": "json_response", "arguments": '{"a": 1}'}},
    ]
    answer = {"message": {"tool_plan": "I answer.", "tool_calls": calls}, "finish_reason": "TOOL_CALL"}
    choice = DIALECT.parse_response(answer, memo).choices[0]
    expected = (
        Thinking("I answer."),
        ToolCall("1", "put.down", "{}"),
        ToolCall("2", "write", "free words", custom=True),
        Text('{"a": 1}'),
    )
    assert (choice.parts, choice.stop_reason) == (expected, "tool_calls")
    parser = DIALECT.stream_parser(memo)
    pieces = [
        frame
        for number, call in enumerate(calls)
        for frame in (
            said("tool-call-start", number, tool_calls={**call, "function": {**call["function"], "arguments": ""}}),
            said("tool-call-delta", number, tool_calls={"function": {"arguments": call["function"]["arguments"][:5]}}),
            said("tool-call-delta", number, tool_calls={"function": {"arguments": call["function"]["arguments"][5:]}}),
            event("tool-call-end", index=number),
        )
    ]
    data = lines(
        START,
        said("tool-plan-delta", tool_plan="I answer."),
        *pieces,
        event("message-end", delta={"finish_reason": "TOOL_CALL"}),
    )
    assert fold(parser.feed(data), DIALECT.name).choices[0].parts == expected


def test_a_tool_that_stood_for_json_is_no_reason_to_call_tools() -> None:
    memo = Memo(json_tool="json_response")
    call = {"id": "3", "type": "function", "function": {"name": "json_response", "arguments": '{"a": 1}'}}
    choice = DIALECT.parse_response({"message": {"tool_calls": [call]}, "finish_reason": "TOOL_CALL"}, memo).choices[0]
    assert choice == Choice((Text('{"a": 1}'),), "stop", "TOOL_CALL", extras={"message": {"(absent)": ["role"]}})


# -- errors and paths --------------------------------------------------------------------------------------------------

ERRORS: list[tuple[int, dict[str, Any], ErrorKind]] = [
    (400, {"message": "invalid request: list of messages must not be empty"}, "invalid_request"),
    (400, {"message": "too many tokens: total number of tokens in the prompt cannot exceed 4081"}, "context_window"),
    (400, {"message": "too many tokens: max tokens must be less than or equal to 4096"}, "invalid_request"),
    (400, {"message": "invalid request: response_format is not supported with RAG."}, "unsupported"),
    (400, {"message": "blocked output: the response was blocked"}, "content_policy"),
    (401, {"message": "invalid api token", "id": "7"}, "authentication"),
    (402, {"message": "Please add a payment method"}, "billing"),
    (403, {"message": "no access"}, "permission"),
    (404, {"message": "model 'xyz' not found"}, "not_found"),
    (422, {"message": "unknown field: parameter 'a' is not a valid field"}, "unsupported"),
    (429, {"message": "You are past the per minute request limit"}, "rate_limit"),
    (429, {"message": "You are using a Trial key, which is limited to 1000 API calls / month, per month"}, "quota"),
    (498, {"message": "invalid token"}, "authentication"),
    (499, {"message": "request cancelled"}, "timeout"),
    (500, {"message": "internal server error"}, "server"),
    (503, {"detail": "busy"}, "unavailable"),
]


@pytest.mark.parametrize(("status", "body", "kind"), ERRORS, ids=str)
def test_an_error(status: int, body: dict[str, Any], kind: ErrorKind) -> None:
    error = DIALECT.parse_error(status, {"retry-after": "7"}, json.dumps(body).encode())
    assert (error.kind, error.status, error.retry_after) == (kind, status, 7)
    assert error.message in body.values()
    contract.assert_error_exact(DIALECT, status, body)


def test_bad_input_is_named() -> None:
    for body, message in (
        ({}, "a list of messages is missing at messages"),
        ({"messages": [{"role": "user", "content": 7}]}, "expected a list, got an integer at messages[0].content"),
        ({"messages": [{"role": "critic"}]}, "got 'critic' at messages[0].role"),
        (
            {"messages": [{"role": "user", "content": [{"type": "text"}]}]},
            "expected a string, got null at messages[0].content[0].text",
        ),
        (
            {"messages": [{"role": "assistant", "tool_calls": [{"function": {"name": 7}}]}]},
            "expected a string, got an integer at messages[0].tool_calls[0].function",
        ),
        ({"messages": [], "tool_choice": {}}, "expected a string, got an object at tool_choice"),
        ({"messages": [], "documents": [7]}, "expected an object, got an integer at documents[0]"),
    ):
        with pytest.raises(DialectError) as caught:
            DIALECT.parse_request(body, PathMatch())
        assert str(caught.value).startswith("cohere_chat: ")
        assert message in str(caught.value)


def test_a_200_with_an_error_is_no_answer() -> None:
    with pytest.raises(DialectError, match="expected the assistant's message, got a string at message"):
        DIALECT.parse_response({"message": "no api key supplied"}, NO_MEMO)


def test_paths() -> None:
    assert match_path("/v2/chat") == match_path("https://api.cohere.com/v2/chat/") == PathMatch()
    assert match_path("/cohere/v2/chat") == PathMatch()
    assert match_path("/v2/chats") is match_path("/v1/chat") is match_path("/v2/embed") is None
    assert DIALECT.path("command", True) == "/v2/chat"


def test_what_the_host_refuses_is_left_out_with_a_note() -> None:
    request = DIALECT.parse_request({"messages": [], "p": 0.5, "seed": 7}, PathMatch())
    rendered = DIALECT.render_request(request, Profile(unsupported=frozenset({"top_p", "max_tokens"})))
    assert rendered.value == {"messages": [], "seed": 7}
    assert [str(note) for note in rendered.notes] == ["dropped top_p: this host or model does not take it"]
