"""What each piece of Converse means: pairs of wire and representation, read in both directions."""

from typing import Any

import pytest

from penstock.dialects.bedrock_converse import DIALECT
from penstock.dialects.dialect import Context, PathMatch
from penstock.types.content import (
    Base64,
    Blocks,
    Cache,
    Citation,
    Json,
    Media,
    Opaque,
    Part,
    PlainText,
    ServerToolCall,
    ServerToolResult,
    Signature,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Url,
)
from penstock.types.errors import MalformedError
from penstock.types.notes import NO_MEMO, Memo
from penstock.types.profile import DEFAULT_PROFILE, Profile
from penstock.types.request import Message, Reasoning, Request, ResponseFormat, Tool, ToolChoice
from penstock.types.response import Choice, Response
from penstock.types.usage import Usage
from tests.unit.dialects.bedrock_converse.samples import PIXEL, SCHEMA, WITHHELD

MATCH = PathMatch("m", False)


def request(**fields: Any) -> Request:
    fields.setdefault("messages", ())
    return Request(dialect="bedrock_converse", model="m", stream=False, **fields)


# -- blocks ------------------------------------------------------------------------------------------------------------

CLAUDE = Signature("c2ln", "anthropic")
ONE = Citation("https://example.com/a", "A", native="web", extras={"location": {"web": {"domain": "example.com"}}})

BLOCKS: list[tuple[dict[str, Any], Part]] = [
    ({"text": "words"}, Text("words")),
    ({"image": {"format": "png", "source": {"bytes": PIXEL}}}, Media("image", Base64(PIXEL), "image/png")),
    (
        {"image": {"format": "jpeg", "source": {"s3Location": {"uri": "s3://b/a.jpg", "bucketOwner": "1"}}}},
        Media(
            "image",
            Url("s3://b/a.jpg"),
            "image/jpeg",
            extras={"image": {"source": {"s3Location": {"bucketOwner": "1"}}}},
        ),
    ),
    (
        {"document": {"format": "pdf", "name": "Report", "source": {"bytes": "JVBERi0="}, "context": "c"}},
        Media("file", Base64("JVBERi0="), "application/pdf", "Report", context="c"),
    ),
    (
        {"document": {"name": "R", "source": {"text": "t"}, "citations": {"enabled": True, "new": 1}}},
        Media("file", PlainText("t"), name="R", cite=True, extras={"document": {"citations": {"new": 1}}}),
    ),
    (
        {"document": {"format": "md", "name": "Note", "source": {"text": "# Hi"}}},
        Media("file", PlainText("# Hi"), "text/markdown", "Note"),
    ),
    (
        {"document": {"name": "Parts", "source": {"content": [{"text": "one"}, {"text": "two"}]}}},
        Media("file", Blocks((Text("one"), Text("two"))), name="Parts"),
    ),
    ({"video": {"format": "three_gp", "source": {"bytes": "AA=="}}}, Media("video", Base64("AA=="), "video/3gpp")),
    ({"audio": {"format": "mp3", "source": {"bytes": "SUQz"}}}, Media("audio", Base64("SUQz"), "audio/mpeg")),
    (
        {"audio": {"format": "audio/wav", "source": {"bytes": "AA=="}}},
        Media("audio", Base64("AA=="), "audio/wav", native="format:audio/wav"),
    ),
    (
        {"searchResult": {"source": "s", "title": "T", "content": [{"text": "t"}]}},
        Media("file", Blocks((Text("t"),)), name="T", origin="s", native="searchResult"),
    ),
    (
        {"guardContent": {"text": {"text": "g", "qualifiers": ["query"]}}},
        Text("g", native="guardContent", extras={"guardContent": {"text": {"qualifiers": ["query"]}}}),
    ),
    (
        {"guardContent": {"image": {"format": "png", "source": {"bytes": PIXEL}}}},
        Media("image", Base64(PIXEL), "image/png", native="guardContent"),
    ),
    (
        {"toolUse": {"toolUseId": "t1", "name": "look_up", "input": {"a": 1}}},
        ToolCall("t1", "look_up", {"a": 1}),
    ),
    (
        {"toolUse": {"toolUseId": "t1", "name": "look_up", "input": {}, "type": "tool_use"}},
        ToolCall("t1", "look_up", {}, native="tool_use"),
    ),
    (
        {"toolUse": {"toolUseId": "s1", "name": "nova_grounding", "input": {}, "type": "server_tool_use"}},
        ServerToolCall("s1", "web_search", {}, native="server_tool_use"),
    ),
    (
        {"reasoningContent": {"reasoningText": {"text": "Hm.", "signature": "c2ln"}}},
        Thinking("Hm.", signature=CLAUDE),
    ),
    ({"reasoningContent": {"reasoningText": {"text": "Hm."}}}, Thinking("Hm.")),
    (
        {"reasoningContent": {"redactedContent": WITHHELD}},
        Thinking(signature=Signature("EqQBCkYIBxgCKkBT", "anthropic"), redacted=True),
    ),
    (
        {"reasoningContent": {"redactedContent": "//79"}},
        Thinking(signature=Signature("//79", "anthropic"), redacted=True, native="blob"),
    ),
    (
        {"citationsContent": {"content": [{"text": "so"}], "citations": [{"title": "A", "location": {"web": {}}}]}},
        Text("so", (Citation(title="A", native="web"),), native="citationsContent"),
    ),
    (
        {
            "citationsContent": {
                "content": [{"text": "so"}],
                "citations": [
                    {
                        "title": "A",
                        "location": {"web": {"url": "https://example.com/a", "domain": "example.com"}},
                    },
                    {
                        "source": "doc",
                        "sourceContent": [{"text": "cited"}],
                        "location": {"documentPage": {"documentIndex": 2, "start": 1, "end": 3}},
                    },
                ],
            }
        },
        Text(
            "so",
            (
                ONE,
                Citation(
                    "doc",
                    cited_text="cited",
                    document_index=2,
                    unit="page",
                    source_start=1,
                    source_end=3,
                    native="documentPage",
                ),
            ),
            native="citationsContent",
        ),
    ),
    (
        {
            "citationsContent": {
                "content": [{"text": "so"}],
                "citations": [{"source": "kept", "location": {"web": {"domain": "example.com"}}}],
            }
        },
        Text(
            "so",
            (Citation(native="web", extras={"source": "kept", "location": {"web": {"domain": "example.com"}}}),),
            native="citationsContent",
        ),
    ),
    ({"toolAddition": {"tool": {"name": "x"}}}, Opaque({"toolAddition": {"tool": {"name": "x"}}})),
]
RESULTS: list[tuple[dict[str, Any], Part]] = [
    (
        {"toolResult": {"toolUseId": "t1", "content": [{"text": "ok"}, {"json": {"a": 1}}], "status": "success"}},
        ToolResult("t1", (Text("ok"), Json({"a": 1})), is_error=False),
    ),
    (
        {"toolResult": {"toolUseId": "t1", "content": [], "status": "error"}},
        ToolResult("t1", (), is_error=True),
    ),
    (
        {"toolResult": {"toolUseId": "t1", "content": [{"image": {"format": "gif", "source": {"bytes": "R0lG"}}}]}},
        ToolResult("t1", (Media("image", Base64("R0lG"), "image/gif"),)),
    ),
]
SERVED: list[tuple[dict[str, Any], Part]] = [
    (
        {"toolResult": {"toolUseId": "s1", "content": [{"json": {}}], "type": "nova_code_interpreter_result"}},
        ServerToolResult("s1", "code_execution", [{"json": {}}], native="nova_code_interpreter_result"),
    ),
]


@pytest.mark.parametrize(
    ("role", "wire", "part"),
    [
        *(("user", *pair) for pair in BLOCKS + RESULTS),
        *(("assistant", *pair) for pair in BLOCKS + SERVED),
    ],
)
def test_blocks(role: Any, wire: dict[str, Any], part: Part) -> None:
    body = {"messages": [{"role": role, "content": [wire]}]}
    meant = request(messages=(Message(role, (part,)),))
    assert DIALECT.parse_request(body, MATCH) == meant
    assert DIALECT.render_request(meant, DEFAULT_PROFILE).value == body


def test_a_cache_point_marks_the_block_before_it() -> None:
    point, hour = {"cachePoint": {"type": "default"}}, {"cachePoint": {"type": "default", "ttl": "1h"}}
    tool = {"toolSpec": {"name": "t", "inputSchema": {"json": SCHEMA}}}
    body = {
        "system": [{"text": "Be brief."}, hour],
        "messages": [{"role": "user", "content": [{"text": "a"}, point, {"text": "b"}]}],
        "toolConfig": {"tools": [tool, point]},
    }
    meant = request(
        system=(Text("Be brief.", cache=Cache("1h")),),
        messages=(Message("user", (Text("a", cache=Cache()), Text("b"))),),
        tools=(Tool("t", parameters=SCHEMA, cache=Cache()),),
    )
    assert DIALECT.parse_request(body, MATCH) == meant
    assert DIALECT.render_request(meant, DEFAULT_PROFILE).value == body


def test_a_changed_value_shows() -> None:
    """The wire object is written from the representation: nothing of what was read is kept beside it."""
    body = {"messages": [{"role": "user", "content": [{"image": {"format": "png", "source": {"bytes": "AA=="}}}]}]}
    read = DIALECT.parse_request(body, MATCH)
    part = read.messages[0].parts[0]
    assert isinstance(part, Media)
    changed = request(messages=(Message("user", (Media("image", Base64("BB=="), "image/webp", extras=part.extras),)),))
    assert DIALECT.render_request(changed, DEFAULT_PROFILE).value["messages"][0]["content"] == [
        {"image": {"format": "webp", "source": {"bytes": "BB=="}}}
    ]


# -- fields ------------------------------------------------------------------------------------------------------------

TEXT_FORMAT = {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": {"name": "C", "schema": '{"a":{}}'}}}}
FIELDS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    (
        {"inferenceConfig": {"maxTokens": 10, "temperature": 0.0, "topP": 1, "stopSequences": ["E"]}},
        {"max_tokens": 10, "temperature": 0.0, "top_p": 1, "stop": ("E",)},
    ),
    ({"toolConfig": {"toolChoice": {"auto": {}}}}, {"tool_choice": ToolChoice("auto")}),
    ({"toolConfig": {"toolChoice": {"any": {}}}}, {"tool_choice": ToolChoice("required")}),
    ({"toolConfig": {"toolChoice": {"tool": {"name": "t"}}}}, {"tool_choice": ToolChoice("tool", "t")}),
    (
        {"toolConfig": {"tools": [{"systemTool": {"name": "nova_code_interpreter"}}]}},
        {"tools": (Tool("code_execution", "server", native="nova_code_interpreter"),)},
    ),
    (
        {"toolConfig": {"tools": [{"toolSpec": {"name": "t", "description": "d", "strict": True}}]}},
        {"tools": (Tool("t", description="d", strict=True),)},
    ),
    ({"serviceTier": {"type": "flex"}}, {"service_tier": "flex"}),
    ({"requestMetadata": {"team": "blue"}}, {"metadata": {"team": "blue"}}),
    ({"additionalModelRequestFields": {"top_k": 5}}, {"top_k": 5}),
    (
        {"additionalModelRequestFields": {"inferenceConfig": {"topK": 5}}},
        {"top_k": 5, "spelling": {"top_k": "inferenceConfig.topK"}},
    ),
    (
        {"additionalModelRequestFields": {"thinking": {"type": "enabled", "budget_tokens": 1024}}},
        {"reasoning": Reasoning(budget_tokens=1024, enabled=True, native="thinking")},
    ),
    (
        {"additionalModelRequestFields": {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}}},
        {"reasoning": Reasoning("high", enabled=True, adaptive=True, native="thinking,output_config")},
    ),
    (
        {"additionalModelRequestFields": {"thinking": {"type": "disabled", "display": "omitted"}}},
        {"reasoning": Reasoning(enabled=False, include=False, native="thinking")},
    ),
    (
        {"additionalModelRequestFields": {"reasoning_effort": "medium"}},
        {"reasoning": Reasoning("medium", native="reasoning_effort")},
    ),
    (
        {"additionalModelRequestFields": {"reasoning_config": "high"}},
        {"reasoning": Reasoning("high", native="reasoning_config")},
    ),
    (
        {"additionalModelRequestFields": {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "low"}}},
        {"reasoning": Reasoning("low", enabled=True, native="reasoningConfig")},
    ),
    ({"outputConfig": {"effort": "max"}}, {"reasoning": Reasoning("max", native="outputConfig")}),
    ({"outputConfig": TEXT_FORMAT}, {"response_format": ResponseFormat("json_schema", {"a": {}}, "C")}),
    (
        {"guardrailConfig": {"guardrailIdentifier": "g"}, "promptVariables": {"v": {"text": "x"}}},
        {"extras": {"guardrailConfig": {"guardrailIdentifier": "g"}, "promptVariables": {"v": {"text": "x"}}}},
    ),
]


@pytest.mark.parametrize(("body", "fields"), FIELDS)
def test_fields(body: dict[str, Any], fields: dict[str, Any]) -> None:
    assert DIALECT.parse_request(body, MATCH) == request(**fields)
    assert DIALECT.render_request(request(**fields), DEFAULT_PROFILE).value == body


def test_a_schema_keeps_its_spelling_while_it_stays_the_same() -> None:
    definition = {"schema": '{ "a": {} }'}
    body = {"outputConfig": {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": definition}}}}
    read = DIALECT.parse_request(body, MATCH)
    assert DIALECT.render_request(read, DEFAULT_PROFILE).value == body
    assert read.response_format is not None
    other = ResponseFormat("json_schema", {"b": {}}, native=read.response_format.native)
    written = DIALECT.render_request(request(response_format=other), DEFAULT_PROFILE).value
    assert written["outputConfig"]["textFormat"]["structure"]["jsonSchema"] == {"schema": '{"b":{}}'}


def test_what_a_host_refuses_is_left_out_with_a_note() -> None:
    profile = Profile(unsupported=frozenset({"temperature", "seed"}))
    rendered = DIALECT.render_request(request(temperature=0.5, max_tokens=5), profile)
    assert rendered.value == {"inferenceConfig": {"maxTokens": 5}}
    assert [(note.path, note.kind) for note in rendered.notes] == [("temperature", "dropped")]


# -- paths -------------------------------------------------------------------------------------------------------------

ARN = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc123"
PATHS = [
    ("/model/anthropic.claude-v2/converse", "anthropic.claude-v2", False),
    ("/model/us.amazon.nova-lite-v1%3A0/converse-stream", "us.amazon.nova-lite-v1:0", True),
    (
        "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Aapplication-inference-profile%2Fabc123/converse",
        ARN,
        False,
    ),
]


@pytest.mark.parametrize(("path", "model", "stream"), PATHS)
def test_paths_name_the_model(path: str, model: str, stream: bool) -> None:
    assert DIALECT.match_path(path) == PathMatch(model, stream)
    assert DIALECT.path(model, stream) == path


@pytest.mark.parametrize(
    ("path", "match"),
    [
        ("/model/us.amazon.nova-lite-v1:0/converse", PathMatch("us.amazon.nova-lite-v1:0", False)),
        (f"/model/{ARN}/converse-stream", PathMatch(ARN, True)),
        ("/bedrock/model/m/converse/", PathMatch("m", False)),
        ("/model/m/invoke", None),
        ("/model/m/invoke-with-response-stream", None),
        ("/model/m/count-tokens", None),
        ("/model//converse", None),
        ("/v1/chat/completions", None),
    ],
)
def test_other_paths(path: str, match: PathMatch | None) -> None:
    assert DIALECT.match_path(path) == match


# -- answers -----------------------------------------------------------------------------------------------------------


def answer(reason: str = "end_turn", *blocks: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"output": {"message": {"role": "assistant", "content": list(blocks)}}, "stopReason": reason, **fields}


STOPS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "guardrail_intervened": "content_filter",
    "content_filtered": "content_filter",
    "malformed_model_output": "error",
    "malformed_tool_use": "error",
    "future_reason": None,
}


@pytest.mark.parametrize(("native", "unified"), STOPS.items())
def test_stop_reasons(native: str, unified: Any) -> None:
    read = DIALECT.parse_response(answer(native), NO_MEMO)
    assert (read.choices[0].stop_reason, read.choices[0].stop_native) == (unified, native)
    assert DIALECT.render_response(read, Context()).value["stopReason"] == native


def test_an_answer() -> None:
    wire = answer(
        "stop_sequence",
        {"text": "Paris"},
        additionalModelResponseFields={"stop_sequence": "END"},
        usage={"inputTokens": 10, "outputTokens": 5, "totalTokens": 15},
        metrics={"latencyMs": 7},
        serviceTier={"type": "flex"},
    )
    meant = Response(
        dialect="bedrock_converse",
        choices=(Choice((Text("Paris"),), "stop", "stop_sequence", "END"),),
        usage=Usage(input_tokens=10, output_tokens=5, total_tokens=15),
        service_tier="flex",
        extras={"metrics": {"latencyMs": 7}},
    )
    assert DIALECT.parse_response(wire, NO_MEMO) == meant
    assert DIALECT.render_response(meant, Context()).value == wire


def test_counts_are_inclusive() -> None:
    """`inputTokens` leaves the cache out, `Usage.input_tokens` does not."""
    wire = {
        "inputTokens": 10,
        "outputTokens": 2,
        "totalTokens": 1325,
        "cacheReadInputTokens": 5,
        "cacheWriteInputTokens": 1308,
        "cacheDetails": [{"ttl": "1h", "inputTokens": 1000}, {"ttl": "5m", "inputTokens": 308}],
    }
    meant = Usage(
        input_tokens=1323,
        output_tokens=2,
        total_tokens=1325,
        cache_read_tokens=5,
        cache_write_tokens=1308,
        cache_write_1h_tokens=1000,
        cache_write_5m_tokens=308,
    )
    assert DIALECT.parse_response(answer(usage=wire), NO_MEMO).usage == meant
    whole = Response(dialect="bedrock_converse", choices=(Choice(),), usage=meant)
    assert DIALECT.render_response(whole, Context()).value["usage"] == wire


def test_the_model_that_a_router_chose() -> None:
    wire = answer(trace={"promptRouter": {"invokedModelId": "arn:m"}})
    assert DIALECT.parse_response(wire, NO_MEMO).model == "arn:m"


def test_the_memo_undoes_what_the_request_changed() -> None:
    memo = Memo({"put_down": "put.down", "w": "write it"}, "json_response", frozenset({"write it"}))
    blocks = [
        {"toolUse": {"toolUseId": "1", "name": "put_down", "input": {"a": 1}}},
        {"toolUse": {"toolUseId": "2", "name": "w", "input": {"input": "free words"}}},
        {"toolUse": {"toolUseId": "3", "name": "json_response", "input": {"city": "Paris"}}},
    ]
    both = DIALECT.parse_response(answer("tool_use", *blocks), memo).choices[0]
    assert both.parts == (
        ToolCall("1", "put.down", {"a": 1}),
        ToolCall("2", "write it", "free words", custom=True),
        Text('{"city":"Paris"}'),
    )
    assert both.stop_reason == "tool_calls"
    alone = DIALECT.parse_response(answer("tool_use", blocks[2]), memo).choices[0]
    assert (alone.parts, alone.stop_reason, alone.stop_native) == ((Text('{"city":"Paris"}'),), "stop", "tool_use")


# -- what is refused, and how ------------------------------------------------------------------------------------------


def user(*blocks: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": list(blocks)}]}


@pytest.mark.parametrize(
    ("body", "path", "words"),
    [
        ([], "", "expected an object, got a list"),
        ({"messages": "hello"}, "messages", "expected a list, got a string"),
        ({"messages": [{"role": "user", "content": "hi"}]}, "messages[0].content", "expected a list, got a string"),
        ({"messages": [{"role": "tool", "content": []}]}, "messages[0].role", "expected one of"),
        ({"messages": [{"role": "user"}]}, "messages[0].content", "expected a list, got null"),
        (user("hi"), "messages[0].content[0]", "expected an object, got a string"),
        (user({"text": 5}), "messages[0].content[0].text", "expected a string, got an integer"),
        (
            user({"image": {"source": {"bytes": 5}}}),
            "messages[0].content[0].image.source.bytes",
            "expected a string, got an integer",
        ),
        (
            user({"document": {"source": {"s3Location": {}}}}),
            "messages[0].content[0].document.source.s3Location.uri",
            "expected a string, got null",
        ),
        (user({"toolUse": {"toolUseId": "t"}}), "messages[0].content[0].toolUse.name", "expected a string, got null"),
        (
            user({"toolResult": {"toolUseId": "t", "content": [{"text": None}, {"text": 1}]}}),
            "messages[0].content[0].toolResult.content[1].text",
            "expected a string, got an integer",
        ),
        ({"system": {}}, "system", "expected a list, got an object"),
        ({"inferenceConfig": {"maxTokens": "5"}}, "inferenceConfig.maxTokens", "expected an integer, got a string"),
        ({"toolConfig": {"tools": [{"toolSpec": {}}]}}, "toolConfig.tools[0].toolSpec.name", "every tool has a name"),
    ],
)
def test_bad_requests_are_refused_with_a_path(body: Any, path: str, words: str) -> None:
    with pytest.raises(MalformedError, match=words) as caught:
        DIALECT.parse_request(body, MATCH)
    assert (caught.value.path, caught.value.dialect) == (path, "bedrock_converse")


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({}, "output"),
        ({"message": "an error in a 200"}, "output"),
        ({"output": {"message": {"content": [{"text": 1}]}}}, "output.message.content[0].text"),
        ({"output": [], "stopReason": "end_turn"}, "output"),
        (answer(usage=5), "usage"),
    ],
)
def test_bad_answers_are_refused_with_a_path(body: Any, path: str) -> None:
    with pytest.raises(MalformedError) as caught:
        DIALECT.parse_response(body, NO_MEMO)
    assert caught.value.path == path
