"""Other dialects' requests and answers in Gemini's terms: what they become, and what is noted."""

from typing import Any

import pytest
from msgspec.structs import replace

from penstock.dialects.dialect import Context, PathMatch
from penstock.dialects.gemini import DIALECT
from penstock.dialects.gemini.errors import read_error, render_error
from penstock.dialects.registry import NAMES, get
from penstock.providers.profiles import family_profile
from penstock.types.content import (
    Base64,
    Cache,
    Citation,
    FileId,
    Json,
    Media,
    Part,
    Refusal,
    ServerToolCall,
    ServerToolResult,
    Signature,
    Text,
    Thinking,
    TokenLogprob,
    ToolCall,
    ToolResult,
    Url,
)
from penstock.types.errors import ErrorResponse
from penstock.types.fold import fold
from penstock.types.notes import NO_MEMO, Memo
from penstock.types.profile import DEFAULT_PROFILE, Profile
from penstock.types.request import Message, Reasoning, Request, ResponseFormat, Tool, ToolChoice
from penstock.types.response import Choice, Response
from penstock.types.stream import (
    End,
    Failure,
    PartEnd,
    PartStart,
    SignatureDelta,
    Start,
    Stop,
    StreamEvent,
    TextDelta,
    ThinkingDelta,
    UsageDelta,
)
from penstock.types.unfold import unfold
from penstock.types.usage import Usage
from tests.contract import dialects as contract
from tests.contract.dialects import SCHEMA, TOOLS, foreign_request
from tests.contract.streams import STREAMS
from tests.unit.dialects.gemini.samples import ANSWER, REQUEST, SIGNATURE, STREAM

HELLO = Message("user", (Text("Hello"),))
SIGNED = Signature(SIGNATURE, "gemini")
OTHERS = tuple(name for name in NAMES if name != "gemini")


def body_of(request: Request, profile: Profile = DEFAULT_PROFILE) -> dict[str, Any]:
    return DIALECT.render_request(request, profile).value


def notes_of(request: Request, profile: Profile = DEFAULT_PROFILE) -> list[str]:
    return [f"{note.kind} {note.path}" for note in DIALECT.render_request(request, profile).notes]


def config_of(profile: Profile = DEFAULT_PROFILE, **fields: Any) -> dict[str, Any]:
    found: dict[str, Any] = body_of(foreign_request(**fields), profile).get("generationConfig", {})
    return found


# -- turns -------------------------------------------------------------------------------------------------------------


def test_instructions_move_out_of_the_turns() -> None:
    messages = (Message("developer", (Text("b"),)), HELLO, Message("system", (Text("c"),)), HELLO)
    request = foreign_request(system=(Text("a"),), messages=messages)
    body = body_of(request)
    assert body["systemInstruction"] == {"parts": [{"text": "a"}, {"text": "b"}, {"text": "c"}]}
    assert body["contents"] == [{"role": "user", "parts": [{"text": "Hello"}, {"text": "Hello"}]}]
    assert notes_of(request) == ["changed messages[2]"]


def test_results_of_parallel_calls_are_one_turn_before_what_the_user_says() -> None:
    calls = Message("assistant", (ToolCall("1", "a", {}), ToolCall("2", "b", '{"x": 1}')))
    first, second = (ToolResult("2", (Text("two"),)), ToolResult("1", (Json({"one": 1}),)))
    request = foreign_request(messages=(HELLO, calls, Message("tool", (first,)), Message("tool", (second,)), HELLO))
    assert body_of(request)["contents"][1:] == [
        {
            "role": "model",
            "parts": [
                {"functionCall": {"name": "a", "args": {}, "id": "1"}},
                {"functionCall": {"name": "b", "args": {"x": 1}, "id": "2"}},
            ],
        },
        {
            "role": "user",
            "parts": [
                {"functionResponse": {"name": "b", "id": "2", "response": {"result": "two"}}},
                {"functionResponse": {"name": "a", "id": "1", "response": {"one": 1}}},
                {"text": "Hello"},
            ],
        },
    ]
    assert notes_of(request) == []


def test_results_without_ids_find_their_names() -> None:
    calls = Message("assistant", (ToolCall(None, "a", {}),))
    request = foreign_request(messages=(HELLO, calls, Message("tool", (ToolResult(None, (Text("x"),)),))))
    response = body_of(request)["contents"][2]["parts"][0]["functionResponse"]
    assert (response["name"], response["id"]) == ("a", "call_1")


RESULTS: tuple[tuple[ToolResult, Any], ...] = (
    (ToolResult("1", (Text("a"),)), {"result": "a"}),
    (ToolResult("1", (Text("a"),), is_error=True), {"error": "a"}),
    (ToolResult("1", (Json({"a": 1}),)), {"a": 1}),
    (ToolResult("1", (Json({"a": 1}),), is_error=True), {"error": {"a": 1}}),
    (ToolResult("1", (Json([1]),)), {"result": [1]}),
    (ToolResult("1", (Text("a"), Json({"b": 1}))), {"result": 'a\n{"b":1}'}),
    (ToolResult("1", ()), {"result": ""}),
)


@pytest.mark.parametrize(("result", "response"), RESULTS, ids=str)
def test_results_are_objects(result: ToolResult, response: Any) -> None:
    asked = Message("assistant", (ToolCall("1", "f", {}),))
    request = foreign_request(messages=(HELLO, asked, Message("tool", (result,))))
    assert body_of(request)["contents"][2]["parts"][0]["functionResponse"]["response"] == response


def test_media_in_results_go_inside_or_beside() -> None:
    image = Media("image", Base64("iVBORw0K"), "image/png")
    asked = Message("assistant", (ToolCall("1", "f", {}), ToolCall("2", "f", {})))
    answers = Message("user", (ToolResult("1", (Text("see"), image)), ToolResult("2", (Text("b"),))))
    request = foreign_request(messages=(HELLO, asked, answers))
    wire = {"inlineData": {"mimeType": "image/png", "data": "iVBORw0K"}}
    beside = body_of(request)["contents"][2]["parts"]
    assert [next(iter(part)) for part in beside] == ["functionResponse", "functionResponse", "inlineData"]
    assert notes_of(request) == ["changed messages[2].parts[0]"]
    inside = body_of(request, Profile(tool_result_media=True))["contents"][2]["parts"]
    assert inside[0]["functionResponse"]["parts"] == [wire]
    assert notes_of(request, Profile(tool_result_media=True)) == []


def test_nothing_but_instructions_still_has_a_turn() -> None:
    request = foreign_request(messages=(Message("system", (Text("a"),)),))
    assert body_of(request)["contents"] == [{"role": "user", "parts": [{"text": " "}]}]
    assert notes_of(request) == ["added messages"]


# -- parts -------------------------------------------------------------------------------------------------------------


def test_thinking_goes_back_signed_or_unsigned() -> None:
    parts: tuple[Part, ...] = (
        Thinking("a", signature=SIGNED),
        Thinking("b", signature=Signature("x", "anthropic")),
        Thinking(summary=("c", "d")),
        Thinking(signature=Signature("x", "openai"), redacted=True),
        Text("e", signature=SIGNED),
        ToolCall("1", "f", {}, signature=SIGNED),
    )
    request = foreign_request(messages=(HELLO, Message("assistant", parts)))
    assert body_of(request)["contents"][1]["parts"] == [
        {"text": "a", "thought": True, "thoughtSignature": SIGNATURE},
        {"text": "b", "thought": True},
        {"text": "c\n\nd", "thought": True},
        {"text": "e", "thoughtSignature": SIGNATURE},
        {"functionCall": {"name": "f", "args": {}, "id": "1"}, "thoughtSignature": SIGNATURE},
    ]
    assert notes_of(request) == ["dropped messages[1].parts[1].signature", "dropped messages[1].parts[3]"]


def test_a_placeholder_stands_in_for_a_signature_where_the_model_wants_one() -> None:
    step = Message("assistant", (ToolCall("1", "f", {}), ToolCall("2", "f", {})))
    signed = Message("assistant", (ToolCall("3", "f", {}, signature=SIGNED), ToolCall("4", "f", {})))
    results = Message("tool", (ToolResult("1", ()), ToolResult("2", ())))
    request = foreign_request(messages=(HELLO, step, results, signed))
    contents = body_of(request, Profile(placeholder_signatures=True))["contents"]
    signatures = [part.get("thoughtSignature") for turn in (contents[1], contents[3]) for part in turn["parts"]]
    assert signatures == ["skip_thought_signature_validator", None, SIGNATURE, None]
    assert "skip" not in str(body_of(request))


URLS: dict[str, tuple[Media, Profile, Any]] = {
    "cloud storage": (Media("file", Url("gs://b/a.pdf")), Profile(image_urls=False), "application/pdf"),
    "files": (
        Media("image", Url("https://generativelanguage.googleapis.com/v1beta/files/abc"), "image/png"),
        Profile(image_urls=False),
        "image/png",
    ),
    "youtube": (Media("video", Url("https://www.youtube.com/watch?v=x")), Profile(image_urls=False), "video/mp4"),
    "web": (Media("image", Url("https://example.com/a.webp?x=1")), Profile(), "image/webp"),
    "web, not fetched": (Media("image", Url("https://example.com/a.webp")), Profile(image_urls=False), None),
    "other storage": (Media("image", Url("s3://b/a.png")), Profile(), None),
    "no address": (Media("image", Url("http://[bad")), Profile(), None),
}


@pytest.mark.parametrize("label", URLS)
def test_addresses_go_where_google_fetches_them(label: str) -> None:
    media, profile, media_type = URLS[label]
    request = foreign_request(messages=(Message("user", (Text("a"), media)),))
    parts = body_of(request, profile)["contents"][0]["parts"][1:]
    assert isinstance(media.source, Url)
    if media_type is None:
        assert parts == []
        assert notes_of(request, profile) == ["dropped messages[0].parts[1]"]
    else:
        assert parts == [{"fileData": {"fileUri": media.source.url, "mimeType": media_type}}]
        assert notes_of(request, profile) == []


def test_bytes_get_a_type() -> None:
    def sent(media: Media) -> str:
        request = foreign_request(messages=(Message("user", (media,)),))
        found: str = body_of(request)["contents"][0]["parts"][0]["inlineData"]["mimeType"]
        return found

    assert sent(Media("image", Base64("iVBORw0KGgoAAAA="))) == "image/png"
    assert sent(Media("file", Base64("JVBERi0xLjQ="))) == "application/pdf"
    assert sent(Media("audio", Base64("UklGRiQAAABXQVZFZm10IA=="))) == "audio/wav"
    assert sent(Media("image", Base64("UklGRiQAAABXRUJQVlA4IA=="))) == "image/webp"
    assert sent(Media("file", Base64("YQ=="), name="notes.csv")) == "text/csv"
    assert sent(Media("image", Url("data:image/gif;base64,R0lGOA=="))) == "image/gif"
    unknown = Media("video", Base64("YQ=="))
    assert sent(unknown) == "video/mp4"
    assert notes_of(foreign_request(messages=(Message("user", (unknown,)),))) == [
        "added messages[0].parts[0].media_type"
    ]


def test_files_of_google_go_and_others_stay() -> None:
    ours, theirs = Media("file", FileId("files/abc"), "application/pdf"), Media("file", FileId("file-abc"))
    request = foreign_request(messages=(Message("user", (ours, theirs)),))
    uri = "https://generativelanguage.googleapis.com/v1beta/files/abc"
    assert body_of(request)["contents"][0]["parts"] == [{"fileData": {"fileUri": uri, "mimeType": "application/pdf"}}]
    assert notes_of(request) == ["dropped messages[0].parts[1]"]


def test_code_that_another_provider_ran_is_replayed() -> None:
    call = ServerToolCall("s", "code_execution", {"code": "1/0"})
    result = ServerToolResult("s", "code_execution", {"stdout": "", "stderr": "no", "return_code": 1})
    request = foreign_request(messages=(HELLO, Message("assistant", (call, result))))
    assert body_of(request)["contents"][1]["parts"] == [
        {"executableCode": {"language": "PYTHON", "code": "1/0"}},
        {"codeExecutionResult": {"outcome": "OUTCOME_FAILED", "output": "no"}},
    ]


# -- tools -------------------------------------------------------------------------------------------------------------


def test_names_are_made_to_fit_and_come_back() -> None:
    names = ("mcp/get", "mcp:get", "2fast", "x" * 70, "fine.name-1")
    request = foreign_request(
        tools=tuple(Tool(name) for name in names),
        tool_choice=ToolChoice("tool", "mcp:get"),
        messages=(HELLO, Message("assistant", (ToolCall("1", "gone away", {}),))),
    )
    rendered = DIALECT.render_request(request, DEFAULT_PROFILE)
    declared = [function["name"] for function in rendered.value["tools"][0]["functionDeclarations"]]
    assert declared == ["mcp_get", "mcp_get_2", "_2fast", "x" * 64, "fine.name-1"]
    assert rendered.value["toolConfig"]["functionCallingConfig"]["allowedFunctionNames"] == ["mcp_get_2"]
    assert rendered.value["contents"][1]["parts"][0]["functionCall"]["name"] == "gone_away"
    assert rendered.memo == Memo(
        {"mcp_get": "mcp/get", "mcp_get_2": "mcp:get", "_2fast": "2fast", "x" * 64: "x" * 70, "gone_away": "gone away"}
    )
    assert rendered.notes == ()


CHOICES: tuple[tuple[ToolChoice, dict[str, Any], list[str]], ...] = (
    (ToolChoice("auto"), {"mode": "AUTO"}, []),
    (ToolChoice("none"), {"mode": "NONE"}, []),
    (ToolChoice("required"), {"mode": "ANY"}, []),
    (ToolChoice("tool", "look_up"), {"mode": "ANY", "allowedFunctionNames": ["look_up"]}, []),
    (
        ToolChoice("allowed", names=("look_up", "put.down"), allowed_mode="required"),
        {"mode": "ANY", "allowedFunctionNames": ["look_up", "put.down"]},
        [],
    ),
    (
        ToolChoice("allowed", names=("look_up",), allowed_mode="auto"),
        {"mode": "VALIDATED", "allowedFunctionNames": ["look_up"]},
        [],
    ),
    (ToolChoice("tool", "web_search"), {"mode": "AUTO"}, ["weakened tool_choice"]),
)


@pytest.mark.parametrize(("choice", "wire", "notes"), CHOICES, ids=str)
def test_choices(choice: ToolChoice, wire: dict[str, Any], notes: list[str]) -> None:
    request = foreign_request(tools=TOOLS, tool_choice=choice)
    assert body_of(request)["toolConfig"] == {"functionCallingConfig": wire}
    assert notes_of(request) == notes


def test_a_strict_tool_is_validated() -> None:
    request = foreign_request(tools=(Tool("f", parameters=SCHEMA, strict=True),))
    assert body_of(request)["toolConfig"]["functionCallingConfig"] == {"mode": "VALIDATED"}
    loose = Profile(strict_tools=False)
    assert "toolConfig" not in body_of(request, loose)
    assert notes_of(request, loose) == ["dropped tools[0].strict"]


def test_server_tools_go_by_their_generic_names() -> None:
    tools = (
        Tool("web_search", "server", extras={"max_uses": 3}),
        Tool("web_search", "server"),
        Tool("code_execution", "server"),
        Tool("bash", "server"),
        *TOOLS,
    )
    request = foreign_request(tools=tools)
    body = body_of(request)
    assert body["tools"][1:] == [{"googleSearch": {}}, {"codeExecution": {}}]
    assert body["toolConfig"] == {"includeServerSideToolInvocations": True}
    assert notes_of(request) == ["dropped tools[0].max_uses", "dropped tools[3]"]
    assert "toolConfig" not in body_of(request, Profile(mixed_tools="allowed"))
    assert len(body_of(request, Profile(mixed_tools="refused"))["tools"]) == 1
    alone = foreign_request(tools=tools[:3])
    assert body_of(alone, Profile(mixed_tools="refused"))["tools"] == body["tools"][1:]


def test_a_free_form_tool_becomes_a_function_with_one_string() -> None:
    call = ToolCall("1", "write", "free words", custom=True)
    request = foreign_request(tools=(Tool("write", "custom"),), messages=(HELLO, Message("assistant", (call,))))
    rendered = DIALECT.render_request(request, DEFAULT_PROFILE)
    (function,) = rendered.value["tools"][0]["functionDeclarations"]
    assert function["parametersJsonSchema"]["required"] == ["input"]
    assert rendered.value["contents"][1]["parts"][0]["functionCall"]["args"] == {"input": "free words"}
    assert rendered.memo == Memo(custom_tools=frozenset({"write"}))


def test_schemas_in_either_language() -> None:
    schema = {"type": "object", "properties": {"a": {"type": ["string", "null"], "pattern": "x"}}, "$schema": "s"}
    request = foreign_request(tools=(Tool("f", parameters=schema),))

    def declared(profile: Profile) -> dict[str, Any]:
        found: dict[str, Any] = body_of(request, profile)["tools"][0]["functionDeclarations"][0]
        return found

    assert declared(DEFAULT_PROFILE)["parametersJsonSchema"] == schema
    assert declared(Profile(schema_subset=True))["parameters"] == {
        "type": "OBJECT",
        "properties": {"a": {"type": "STRING", "nullable": True, "pattern": "x"}},
    }
    refused = Profile(schema_unsupported=frozenset({"pattern", "$schema"}))
    assert declared(refused)["parametersJsonSchema"]["properties"] == {"a": {"type": ["string", "null"]}}
    assert notes_of(request, refused) == ["weakened tools[0].parameters"]


# -- configuration -----------------------------------------------------------------------------------------------------

BUDGETS: tuple[tuple[Reasoning, dict[str, Any]], ...] = (
    (Reasoning("none"), {"thinkingBudget": 0}),
    (Reasoning("minimal"), {"includeThoughts": True, "thinkingBudget": 512}),
    (Reasoning("max"), {"includeThoughts": True, "thinkingBudget": 16384}),
    (Reasoning(budget_tokens=3000), {"includeThoughts": True, "thinkingBudget": 3000}),
    (Reasoning(enabled=False), {"thinkingBudget": 0}),
    (Reasoning(enabled=True), {"includeThoughts": True, "thinkingBudget": -1}),
    (Reasoning(adaptive=True), {"includeThoughts": True, "thinkingBudget": -1}),
    (Reasoning("low", include=False), {"includeThoughts": False, "thinkingBudget": 1024}),
    (Reasoning(summary="auto"), {"includeThoughts": True}),
)
LEVELS: tuple[tuple[Reasoning, dict[str, Any], list[str]], ...] = (
    (Reasoning("low"), {"includeThoughts": True, "thinkingLevel": "LOW"}, []),
    (Reasoning("max"), {"includeThoughts": True, "thinkingLevel": "HIGH"}, ["weakened reasoning.effort"]),
    (Reasoning("none"), {"thinkingLevel": "MINIMAL"}, ["weakened reasoning.effort"]),
    (
        Reasoning(budget_tokens=3000),
        {"includeThoughts": True, "thinkingLevel": "HIGH"},
        ["changed reasoning.budget_tokens"],
    ),
    (Reasoning(adaptive=True), {"includeThoughts": True}, []),
)


@pytest.mark.parametrize(("reasoning", "wire"), BUDGETS, ids=str)
def test_thinking_by_budget(reasoning: Reasoning, wire: dict[str, Any]) -> None:
    assert config_of(reasoning=reasoning) == {"thinkingConfig": wire}


@pytest.mark.parametrize(("reasoning", "wire", "notes"), LEVELS, ids=str)
def test_thinking_by_level(reasoning: Reasoning, wire: dict[str, Any], notes: list[str]) -> None:
    profile = Profile(reasoning="level")
    assert config_of(profile, reasoning=reasoning) == {"thinkingConfig": wire}
    assert notes_of(foreign_request(reasoning=reasoning), profile) == notes


def test_known_levels_are_the_profiles() -> None:
    profile = Profile(reasoning="level", reasoning_efforts=("low", "high", "xhigh"))
    assert config_of(profile, reasoning=Reasoning("max")) == {
        "thinkingConfig": {"includeThoughts": True, "thinkingLevel": "XHIGH"}
    }


FORMATS: tuple[tuple[str, ResponseFormat, dict[str, Any]], ...] = (
    ("json_schema", ResponseFormat("text"), {"responseMimeType": "text/plain"}),
    ("json_schema", ResponseFormat("json_object"), {"responseMimeType": "application/json"}),
    (
        "json_schema",
        ResponseFormat("json_schema", SCHEMA, "n", strict=True),
        {"responseMimeType": "application/json", "responseJsonSchema": SCHEMA},
    ),
    (
        "json_schema",
        ResponseFormat("json_schema", SCHEMA, description="d"),
        {"responseMimeType": "application/json", "responseJsonSchema": {**SCHEMA, "description": "d"}},
    ),
    ("json_object", ResponseFormat("json_schema", SCHEMA), {"responseMimeType": "application/json"}),
    ("prompt", ResponseFormat("json_schema", SCHEMA), {}),
    ("tool", ResponseFormat("json_schema", SCHEMA), {}),
    ("none", ResponseFormat("json_schema", SCHEMA), {}),
)


@pytest.mark.parametrize(("level", "wanted", "wire"), FORMATS, ids=str)
def test_forms_of_the_answer(level: Any, wanted: ResponseFormat, wire: dict[str, Any]) -> None:
    profile = Profile(structured_output=level)
    rendered = DIALECT.render_request(foreign_request(response_format=wanted), profile)
    assert rendered.value.get("generationConfig", {}) == wire
    assert ("systemInstruction" in rendered.value) == (level in ("json_object", "prompt"))
    assert rendered.memo.json_tool == ("json_tool_call" if level == "tool" else None)
    assert (rendered.notes == ()) == (level in ("json_schema", "tool"))


def test_limits_of_the_api() -> None:
    request = foreign_request(stop=tuple("abcdefg"), seed=2**40 + 5)
    assert config_of(stop=tuple("abcdefg"), seed=2**40 + 5) == {"seed": 5, "stopSequences": list("abcde")}
    assert notes_of(request) == ["changed seed", "weakened stop"]


def test_limits_of_the_model() -> None:
    profile = Profile(max_output_tokens=100)
    assert config_of(profile, max_tokens=200) == {"maxOutputTokens": 100}
    assert config_of(profile, max_tokens=50) == {"maxOutputTokens": 50}
    assert notes_of(foreign_request(max_tokens=200), profile) == ["changed max_tokens"]


def test_fields_that_a_host_refuses_are_left_out_whatever_they_are() -> None:
    profile = Profile(unsupported=frozenset(contract.EVERY_FIELD) - {"system", "tools", "stream", "extras"})
    body = body_of(foreign_request(**contract.EVERY_FIELD), profile)
    assert body.keys() == {"contents", "systemInstruction", "tools"}


def test_what_the_host_refuses_or_renames() -> None:
    profile = Profile(
        unsupported=frozenset({"seed"}),
        unsupported_while_reasoning=frozenset({"temperature"}),
        renames={"top_k": "topKay"},
        labels=True,
    )
    request = foreign_request(
        seed=1, temperature=1, top_k=5, reasoning=Reasoning("low"), metadata={"a": "b"}, service_tier="default"
    )
    body = body_of(request, profile)
    assert body["generationConfig"].keys() == {"topKay", "thinkingConfig"}
    assert (body["labels"], body["serviceTier"]) == ({"a": "b"}, "standard")
    assert notes_of(request, profile) == ["dropped temperature", "dropped seed"]
    assert body_of(replace(request, reasoning=None), profile)["generationConfig"]["temperature"] == 1
    assert notes_of(foreign_request(metadata={"a": 1}, service_tier="scale")) == [
        "dropped service_tier",
        "dropped metadata",
    ]


def test_what_gemini_cannot_say_is_noted() -> None:
    request = foreign_request(
        messages=(Message("user", (Text("a", cache=Cache()),), name="Ann", cache=Cache(), extras={"odd": 1}),),
        tools=(Tool("f", cache=Cache(), extras={"type": "function", "odd": {"deep": 1}}),),
        parallel_tool_calls=False,
        logit_bias={"1": 1},
        verbosity="low",
        user="u",
        extras={"odd": [1], "empty": {}},
    )
    assert sorted(notes_of(request)) == [
        "dropped logit_bias",
        "dropped messages[0].cache",
        "dropped messages[0].name",
        "dropped messages[0].odd",
        "dropped messages[0].parts[0].cache",
        "dropped odd",
        "dropped parallel_tool_calls",
        "dropped tools[0].cache",
        "dropped tools[0].odd.deep",
        "dropped user",
        "dropped verbosity",
    ]


# -- answers -----------------------------------------------------------------------------------------------------------


def answer(*parts: Part, **fields: Any) -> Response:
    return Response(dialect="other", id="r", model="m", choices=(Choice(parts, **fields),))


def test_an_answer_of_another_dialect() -> None:
    response = answer(
        Thinking("hm", signature=Signature("x", "anthropic")),
        Text("Für dich", (Citation("https://example.com", "E", start=4, end=8),), (TokenLogprob("Für", -0.5),)),
        Refusal("No."),
        Media("audio", Base64("AAAA"), "audio/wav", transcript="spoken"),
        ToolCall("c", "f", '{"a": 1}'),
        ToolCall("d", "f", "cut {"),
        ServerToolCall("s", "web_search", {"q": 1}),
        ServerToolResult("s", "web_search", [1]),
        stop_reason="tool_calls",
        stop_native="tool_use",
    )
    response = replace(response, usage=Usage(input_tokens=10, output_tokens=7, reasoning_tokens=3, cache_read_tokens=4))
    rendered = DIALECT.render_response(response, Context(model="alias"))
    (candidate,) = rendered.value["candidates"]
    assert candidate["content"]["parts"][1:] == [
        {"text": "Für dich"},
        {"text": "No."},
        {"inlineData": {"mimeType": "audio/wav", "data": "AAAA"}, "audioTranscription": {"text": "spoken"}},
        {"functionCall": {"name": "f", "args": {"a": 1}, "id": "c"}},
        {"functionCall": {"name": "f", "args": {"input": "cut {"}, "id": "d"}},
        {"toolCall": {"toolType": "GOOGLE_SEARCH_WEB", "args": {"q": 1}, "id": "s"}},
        {"toolResponse": {"toolType": "GOOGLE_SEARCH_WEB", "response": {"result": [1]}, "id": "s"}},
    ]
    assert candidate["finishReason"] == "STOP"
    assert candidate["groundingMetadata"] == {
        "groundingChunks": [{"web": {"uri": "https://example.com", "title": "E"}}],
        "groundingSupports": [
            {
                "segment": {"partIndex": 1, "startIndex": 5, "endIndex": 9, "text": "dich"},
                "groundingChunkIndices": [0],
            }
        ],
    }
    assert candidate["logprobsResult"] == {"chosenCandidates": [{"token": "Für", "logProbability": -0.5}]}
    assert rendered.value["usageMetadata"] == {
        "promptTokenCount": 10,
        "candidatesTokenCount": 4,
        "thoughtsTokenCount": 3,
        "cachedContentTokenCount": 4,
        "totalTokenCount": 17,
    }
    assert (rendered.value["modelVersion"], rendered.value["responseId"]) == ("alias", "r")
    read = DIALECT.parse_response(rendered.value, NO_MEMO).choices[0]
    assert read.parts[0] == response.choices[0].parts[0]
    assert isinstance(read.parts[1], Text)
    assert read.parts[1].citations is not None
    cited = read.parts[1].citations[0]
    assert (cited.url, cited.start, cited.end) == ("https://example.com", 4, 8)


@pytest.mark.parametrize(
    ("reason", "native", "wire"),
    [
        ("stop", "end_turn", {"finishReason": "STOP"}),
        ("length", "max_tokens", {"finishReason": "MAX_TOKENS"}),
        ("content_filter", None, {"finishReason": "SAFETY"}),
        ("refusal", "refusal", {"finishReason": "SAFETY", "finishMessage": "refusal"}),
        ("pause", "pause_turn", {"finishReason": "OTHER", "finishMessage": "pause: pause_turn"}),
        (None, None, {"finishReason": "STOP"}),
    ],
)
def test_reasons_to_stop_of_others(reason: Any, native: str | None, wire: dict[str, Any]) -> None:
    rendered = DIALECT.render_response(answer(stop_reason=reason, stop_native=native), Context())
    assert rendered.value["candidates"] == [{"content": {"role": "model"}, **wire, "index": 0}]


def test_losses_in_answers_are_noted() -> None:
    response = replace(
        answer(Media("audio", None), stop_sequence="END", extras={"odd": [1]}),
        usage=Usage(input_tokens=1, cache_write_tokens=5, extras={"odd": [1]}),
        extras={"odd": [1]},
    )
    notes = [f"{note.kind} {note.path}" for note in DIALECT.render_response(response, Context()).notes]
    assert sorted(notes) == [
        "dropped choices[0].odd",
        "dropped choices[0].parts[0]",
        "dropped choices[0].stop_sequence",
        "dropped odd",
        "dropped usage.cache_write_tokens",
        "dropped usage.odd",
    ]


# -- streams -----------------------------------------------------------------------------------------------------------


def said(response: Response) -> dict[int, dict[str, Any]]:
    """What a response says, whatever its parts are cut into."""
    return {
        choice.index: {
            "text": "".join(part.text for part in choice.parts if isinstance(part, Text | Refusal)),
            "thinking": "".join(
                part.text or "\n\n".join(part.summary or ()) for part in choice.parts if isinstance(part, Thinking)
            ),
            "signatures": [
                signature for part in choice.parts if (signature := getattr(part, "signature", None)) is not None
            ],
            "calls": [
                (part.call_id, part.name, _decoded(part.arguments))
                for part in choice.parts
                if isinstance(part, ToolCall)
            ],
        }
        for choice in response.choices
    }


def _decoded(arguments: Any) -> Any:
    import json

    if isinstance(arguments, dict):
        return arguments
    try:
        return json.loads(arguments or "{}")
    except ValueError:
        return {"input": arguments}


CHANGED: dict[str, dict[str, Any]] = {
    "json and opaque": {"text": '{"a":1}'},  # a JSON value becomes a text
    "texts that interleave": {"text": "abc"},  # nothing waits: texts come in the order in which they were said
    "three calls and a text that interleave": {  # calls come in the order in which they ended
        "calls": [("call_2", "look_up", {"b": 1}), ("call_1", "look_up", {"a": 0}), ("call_3", "look_up", {})]
    },
}


@pytest.mark.parametrize("label", STREAMS)
def test_streams_of_others_say_the_same(label: str) -> None:
    data = contract.render_events(DIALECT, STREAMS[label], contract.NOBODY)
    events = contract.parse_stream(DIALECT, data)
    expected = said(fold(STREAMS[label], "x"))
    expected[0] |= CHANGED.get(label, {})
    assert said(fold(events, "gemini")) == expected
    assert events[-1] == StreamEvent((End(),)), "it is whole"


def test_a_signature_stands_with_its_thought() -> None:
    events = [
        StreamEvent((delta,))
        for delta in (
            Start("r", "m"),
            ThinkingDelta(0, "hm"),
            SignatureDelta(0, Signature("a", "anthropic"), append=True),
            SignatureDelta(0, Signature("b", "anthropic"), append=True),
            TextDelta(1, "Hello"),
            Stop("stop", "end_turn"),
            UsageDelta(Usage(input_tokens=3, output_tokens=2)),
            End(),
        )
    ]
    data = contract.render_events(DIALECT, events, "anthropic_messages")
    (choice,) = fold(contract.parse_stream(DIALECT, data), "gemini").choices
    assert choice.parts == (Thinking("hm", signature=Signature("ab", "anthropic")), Text("Hello"))
    last = contract.frames(DIALECT, data)[-1][1]
    assert last == {
        "candidates": [{"content": {"parts": [{"text": ""}], "role": "model"}, "finishReason": "STOP", "index": 0}],
        "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 2, "totalTokenCount": 5},
        "modelVersion": "m",
        "responseId": "r",
    }


def test_a_part_that_is_told_at_its_end_only_is_one_of_its_choice() -> None:
    """Else a choice of only such parts never ended, where there was another, and their citations were lost."""
    cited = Text("Hi", (Citation("https://example.com", "E"),))
    events = [StreamEvent((delta,)) for delta in (TextDelta(0, "Ho", choice=1), PartEnd(0, cited), End())]
    data = contract.render_events(DIALECT, events, contract.NOBODY)
    assert contract.parse_stream(DIALECT, data)[-1] == StreamEvent((End(),)), "it is whole"
    first, second = contract.folded(DIALECT, data).choices
    (text,) = first.parts
    assert isinstance(text, Text)
    assert text.text == "Hi"
    assert [citation.title for citation in text.citations or ()] == ["E"]
    assert second.parts == (Text("Ho"),)


def test_losses_in_streams_are_noted_once() -> None:
    part = PartStart(0, Text("a", extras={"odd": 1}))
    usage = UsageDelta(Usage(input_tokens=1, cache_write_tokens=2))
    stop = Stop("stop", sequence="END", extras={"odd": [1]})
    renderer = DIALECT.stream_renderer(Context(source=contract.NOBODY))
    for delta in (Start(extras={"odd": [1]}), part, stop, stop, usage, End()):
        renderer.render(StreamEvent((delta,)))
    assert [note.path for note in renderer.notes] == [
        "odd",
        "choices[0].parts[0].odd",
        "choices[0].odd",
        "choices[0].stop_sequence",
        "usage.cache_write_tokens",
    ]


def test_an_error_of_ours_ends_a_stream_of_geminis() -> None:
    """The gateway may have to break off a stream that it passes on unchanged."""
    events = contract.parse_stream(DIALECT, STREAM)[:2]
    broken = StreamEvent((Failure(ErrorResponse(kind="timeout", status=504, message="Too late")),))
    data = contract.render_events(DIALECT, [*events, broken], DIALECT.name)
    last = contract.frames(DIALECT, data)[-1][1]
    assert last == {"error": {"code": 504, "message": "Too late", "status": "DEADLINE_EXCEEDED"}}


@pytest.mark.parametrize("name", OTHERS)
def test_every_dialect_writes_what_gemini_said(name: str) -> None:
    """Whole requests, answers and streams, in each of the others: they take our values, to the last part."""
    other = get(name)
    request = DIALECT.parse_request(REQUEST, PathMatch("m", False))
    assert other.render_request(request, DEFAULT_PROFILE).value
    assert other.render_response(DIALECT.parse_response(ANSWER, NO_MEMO), Context()).value
    events = contract.parse_stream(DIALECT, STREAM)
    data = contract.render_events(other, events, "gemini")
    again = contract.parse_stream(other, data)
    words = said(fold(again, name))[0]
    assert words["text"].replace("\n", "") == "It is sünny 🌞 today.Done."
    assert [(call_name, arguments) for _, call_name, arguments in words["calls"]] == [("look", {"x": 1.5})]


# -- errors ------------------------------------------------------------------------------------------------------------


def test_errors_of_others_speak_googles_words() -> None:
    error = ErrorResponse(
        kind="invalid_request", status=400, message="Bad top_k", code="bad_value", param="top_k", dialect="openai_chat"
    )
    assert render_error(error) == (
        400,
        {
            "error": {
                "code": 400,
                "message": "Bad top_k",
                "status": "INVALID_ARGUMENT",
                "details": [
                    {
                        "@type": "type.googleapis.com/google.rpc.BadRequest",
                        "fieldViolations": [{"field": "top_k", "description": "Bad top_k"}],
                    },
                    {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "bad_value", "domain": "penstock"},
                ],
            }
        },
    )


@pytest.mark.parametrize("kind", ["authentication", "permission", "not_found", "rate_limit", "timeout", "server"])
def test_kinds_survive_the_way(kind: Any) -> None:
    import json

    from penstock.dialects.errors import STATUS

    status, body = render_error(ErrorResponse(kind=kind, status=STATUS[kind], message="m", retry_after=2.5))
    read = read_error(status, {}, json.dumps(body).encode())
    assert (read.kind, read.message, read.retry_after) == (kind, "m", 2.5)


# -- JSON beside tools -------------------------------------------------------------------------------------------------

BEFORE_3 = family_profile("gemini-2.5-flash", "gemini")
FROM_3 = family_profile("gemini-3-flash-preview", "gemini")
SEARCH = Tool("web_search", "server")
ANSWER_SCHEMA = ResponseFormat("json_schema", SCHEMA, name="answer")


def test_a_model_before_gemini_3_answers_in_json_by_a_tool_beside_functions() -> None:
    """Google refuses both together: "Function calling with a response mime type: 'application/json' is unsupported"."""
    request = foreign_request(tools=TOOLS, response_format=ANSWER_SCHEMA)
    rendered = DIALECT.render_request(request, BEFORE_3)
    assert "generationConfig" not in rendered.value
    declared = [function["name"] for function in rendered.value["tools"][0]["functionDeclarations"]]
    assert declared[-1] == rendered.memo.json_tool == "json_tool_call"
    assert rendered.value["toolConfig"] == {"functionCallingConfig": {"mode": "ANY"}}
    assert body_of(request, FROM_3)["generationConfig"]["responseJsonSchema"] == SCHEMA
    assert body_of(foreign_request(response_format=ANSWER_SCHEMA), BEFORE_3)["generationConfig"] == {
        "responseMimeType": "application/json",
        "responseJsonSchema": SCHEMA,
    }


@pytest.mark.parametrize(
    ("tools", "wanted"),
    [
        ((SEARCH,), ANSWER_SCHEMA),
        ((SEARCH,), ResponseFormat("json_object")),
        (TOOLS, ResponseFormat("json_object")),
    ],
)
def test_else_the_instruction_asks_for_json(tools: tuple[Tool, ...], wanted: ResponseFormat) -> None:
    request = foreign_request(tools=tools, response_format=wanted)
    body = body_of(request, BEFORE_3)
    assert "generationConfig" not in body
    assert body["tools"] == body_of(request, FROM_3)["tools"]
    assert body["systemInstruction"]["parts"][-1]["text"].startswith("Answer with JSON only")
    assert notes_of(request, BEFORE_3) == ["weakened response_format"]
    assert body_of(request, FROM_3)["generationConfig"]["responseMimeType"] == "application/json"


def test_text_beside_tools_is_nothing_special() -> None:
    request = foreign_request(tools=TOOLS, response_format=ResponseFormat("text"))
    assert body_of(request, BEFORE_3)["generationConfig"] == {"responseMimeType": "text/plain"}


@pytest.mark.parametrize(("voice", "wire"), [("Kore", "Kore"), ("alloy", None), ("marin", None)])
def test_a_voice_is_one_of_googles(voice: str, wire: str | None) -> None:
    request = foreign_request(audio={"voice": voice}, modalities=("audio",))
    config = body_of(request)["generationConfig"]
    assert config["responseModalities"] == ["AUDIO"]
    said = {"speechConfig": {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": wire}}}} if wire else {}
    assert {key: value for key, value in config.items() if key == "speechConfig"} == said
    assert notes_of(request) == ([] if wire else ["dropped audio.voice"])


CALLS: tuple[tuple[ToolCall, dict[str, Any], list[str]], ...] = (
    (ToolCall("1", "f", '{"a": 1}'), {"a": 1}, []),
    (ToolCall("1", "f", ""), {}, []),
    (ToolCall("1", "f", '{"a": 1'), {"input": '{"a": 1'}, ["changed choices[0].parts[0].arguments"]),
    (ToolCall("1", "f", '{"a": 1}', custom=True), {"input": '{"a": 1}'}, []),
    (ToolCall("1", "f", "words", custom=True), {"input": "words"}, []),
)


@pytest.mark.parametrize(("call", "args", "notes"), CALLS, ids=str)
def test_arguments_of_an_answer_are_an_object(call: ToolCall, args: dict[str, Any], notes: list[str]) -> None:
    response = Response(dialect=contract.NOBODY, id="r", choices=(Choice((call,), "tool_calls"),))
    rendered = DIALECT.render_response(response, Context())
    (part,) = rendered.value["candidates"][0]["content"]["parts"]
    assert part["functionCall"]["args"] == args
    assert [f"{note.kind} {note.path}" for note in rendered.notes] == notes
    renderer = DIALECT.stream_renderer(Context(source=contract.NOBODY))
    data = b"".join([renderer.render(event) for event in unfold(response)]) + renderer.close()
    calls = [part for _, frame in contract.frames(DIALECT, data) for part in frame["candidates"][0]["content"]["parts"]]
    assert [part["functionCall"]["args"] for part in calls if "functionCall" in part] == [args]
    assert [f"{note.kind} {note.path}" for note in renderer.notes] == notes
