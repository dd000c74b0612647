"""What generateContent's JSON means: pairs of wire value and representation, each read and written."""

from typing import Any

import pytest

from penstock.dialects import registry
from penstock.dialects.dialect import Context, PathMatch
from penstock.dialects.gemini import DIALECT, match_path, path
from penstock.dialects.gemini.errors import read_error
from penstock.dialects.gemini.grounding import put_back
from penstock.types.content import (
    Base64,
    Citation,
    Json,
    Media,
    Opaque,
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
from penstock.types.errors import DialectError
from penstock.types.fold import Fold, fold
from penstock.types.notes import NO_MEMO, Memo
from penstock.types.profile import DEFAULT_PROFILE
from penstock.types.request import Reasoning, Request, ResponseFormat, Tool, ToolChoice
from penstock.types.response import Choice, Response
from penstock.types.stream import End, Start, Stop, StreamEvent, TextDelta, UsageDelta
from penstock.types.tool_settings import ToolSettings
from penstock.types.usage import Usage
from tests.contract import dialects as contract
from tests.contract.dialects import parse_stream
from tests.unit.dialects.gemini.samples import ANSWER, CHUNKS, PARTIAL_CALL, SIGNATURE, STREAM, frame

SIGNED = Signature(SIGNATURE, "gemini")

# -- paths -------------------------------------------------------------------------------------------------------------

VERTEX = "/projects/p-1/locations/europe-west4/publishers"
PATHS: dict[str, PathMatch | None] = {
    "/v1beta/models/gemini-2.5-flash:generateContent": PathMatch("gemini-2.5-flash", False),
    "/v1/models/gemini-2.5-flash:streamGenerateContent": PathMatch("gemini-2.5-flash", True),
    "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse&key=x": PathMatch("gemini-2.5-flash", True),
    "/models/gemini-2.5-flash:generateContent": PathMatch("gemini-2.5-flash", False),
    "/gateway/v1beta/models/gemini%2D2.5%2Dflash%3AgenerateContent": PathMatch("gemini-2.5-flash", False),
    "/v1beta/models/openai/gpt-4o:generateContent": PathMatch("openai/gpt-4o", False),
    "/v1beta/models/us.anthropic.claude-v1:0:generateContent": PathMatch("us.anthropic.claude-v1:0", False),
    "/v1beta/tunedModels/mine:generateContent": PathMatch("tunedModels/mine", False),
    f"/v1beta1{VERTEX}/google/models/gemini-2.5-pro:streamGenerateContent": PathMatch("gemini-2.5-pro", True),
    f"/v1{VERTEX}/meta/models/llama-4:generateContent": PathMatch("meta/llama-4", False),
    "/v1/projects/p/locations/l/endpoints/123:generateContent": PathMatch("endpoints/123", False),
    "/v1beta/models/gemini-2.5-flash:countTokens": None,
    "/v1beta/models/gemini-embedding-001:embedContent": None,
    "/v1beta/models/gemini-2.5-flash": None,
    "/v1beta/cachedContents/abc": None,
    "/v1beta/openai/chat/completions": None,
    f"/v1{VERTEX}/anthropic/models/claude:rawPredict": None,
}


@pytest.mark.parametrize("wire_path", PATHS)
def test_paths(wire_path: str) -> None:
    assert match_path(wire_path) == PATHS[wire_path]


@pytest.mark.parametrize("model", ["gemini-2.5-flash", "models/gemini-2.5-flash"])
def test_own_paths(model: str) -> None:
    assert path(model, False) == "/v1beta/models/gemini-2.5-flash:generateContent"
    assert path(model, True) == "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse"


def test_paths_lead_back() -> None:
    for model in ("gemini-2.5-flash", "tunedModels/a b", "openai/gpt-4o"):
        assert match_path(path(model, True)) == PathMatch(model, True)


# -- parts -------------------------------------------------------------------------------------------------------------

IMAGE = {"mimeType": "image/png", "data": "iVBORw0K"}

PARTS: tuple[tuple[dict[str, Any], Part], ...] = (
    ({"text": "a"}, Text("a")),
    ({"text": "", "thoughtSignature": SIGNATURE}, Text("", signature=SIGNED)),
    ({"text": "a", "thought": True}, Thinking("a")),
    ({"text": "a", "thought": True, "thoughtSignature": SIGNATURE}, Thinking("a", signature=SIGNED)),
    ({"text": "a", "thought_signature": SIGNATURE}, Text("a", signature=SIGNED, native="thought_signature")),
    ({}, Text("", native="-text")),
    ({"thoughtSignature": SIGNATURE}, Text("", signature=SIGNED, native="-text")),
    ({"inlineData": IMAGE}, Media("image", Base64("iVBORw0K"), "image/png")),
    ({"inlineData": IMAGE, "thought": True}, Opaque({"inlineData": IMAGE, "thought": True}, native="thought")),
    (
        {"inline_data": {"mime_type": "audio/wav", "data": "_-8="}},
        Media("audio", Base64("/+8="), "audio/wav", native="inline_data mime_type data=urlsafe"),
    ),
    (
        {"fileData": {"fileUri": "gs://a/b.pdf", "mimeType": "application/pdf", "displayName": "b"}},
        Media("file", Url("gs://a/b.pdf"), "application/pdf", "b"),
    ),
    ({"fileData": {"fileUri": "https://youtu.be/x"}}, Media("video", Url("https://youtu.be/x"))),
    (
        {
            "fileData": {"fileUri": "gs://a/b.mp4"},
            "mediaResolution": {"level": "MEDIA_RESOLUTION_HIGH"},
            "videoMetadata": {"fps": 1},
        },
        Media("video", Url("gs://a/b.mp4"), detail="high", extras={"videoMetadata": {"fps": 1}}),
    ),
    (
        {"functionCall": {"name": "f", "args": {"a": 1}, "id": "c"}, "thoughtSignature": SIGNATURE},
        ToolCall("c", "f", {"a": 1}, signature=SIGNED),
    ),
    ({"functionCall": {"name": "f"}}, ToolCall(None, "f", {}, native="-args")),
    ({"functionResponse": {"name": "f", "response": {"a": 1}}}, ToolResult(None, (Json({"a": 1}),), "f")),
    (
        {"functionResponse": {"id": "c", "name": "f", "response": {"output": "a"}}},
        ToolResult("c", (Text("a", native="output"),), "f"),
    ),
    (
        {"functionResponse": {"name": "f", "response": {"error": "a"}, "parts": [{"inlineData": IMAGE}]}},
        ToolResult(
            None, (Text("a", native="error"), Media("image", Base64("iVBORw0K"), "image/png")), "f", is_error=True
        ),
    ),
    (
        {"executableCode": {"language": "PYTHON", "code": "1", "id": "e"}},
        ServerToolCall("e", "code_execution", {"language": "PYTHON", "code": "1"}, native="code"),
    ),
    (
        {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1"}},
        ServerToolResult(None, "code_execution", {"outcome": "OUTCOME_OK", "output": "1"}, native="code"),
    ),
    (
        {"toolCall": {"toolType": "GOOGLE_SEARCH_WEB", "args": {"queries": ["a"]}, "id": "t"}},
        ServerToolCall("t", "web_search", {"queries": ["a"]}),
    ),
    (
        {"toolResponse": {"toolType": "GOOGLE_SEARCH_IMAGE", "response": {}}},
        ServerToolResult(None, "GOOGLE_SEARCH_IMAGE", {}),
    ),
    ({"newKind": {"a": 1}}, Opaque({"newKind": {"a": 1}})),
)


@pytest.mark.parametrize(("wire", "part"), PARTS, ids=str)
def test_parts(wire: dict[str, Any], part: Part) -> None:
    body = {"contents": [{"role": "user", "parts": [wire]}]}
    request = DIALECT.parse_request(body, PathMatch("m", False))
    assert request.messages[0].parts == (part,)
    assert DIALECT.render_request(request, DEFAULT_PROFILE).value == body


# -- requests ----------------------------------------------------------------------------------------------------------

SCHEMA = {"type": "object", "properties": {"a": {"type": ["string", "null"]}}, "required": ["a"]}
SUBSET = {"type": "OBJECT", "properties": {"a": {"type": "STRING", "nullable": True}}, "required": ["a"]}

FIELDS: tuple[tuple[dict[str, Any], dict[str, Any]], ...] = (
    (
        {"systemInstruction": {"role": "system", "parts": [{"text": "a"}]}},
        {"system": (Text("a"),), "spelling": {"system_role": "system"}},
    ),
    ({"generationConfig": {"temperature": 1, "topP": 0.5}}, {"temperature": 1, "top_p": 0.5}),
    ({"generationConfig": {"topK": 40.0}}, {"top_k": 40.0}),
    ({"generationConfig": {"candidateCount": 2, "maxOutputTokens": 9}}, {"n": 2, "max_tokens": 9}),
    ({"generationConfig": {"seed": 3, "presencePenalty": 0, "frequencyPenalty": 1}},
     {"seed": 3, "presence_penalty": 0, "frequency_penalty": 1}),
    ({"generationConfig": {"stopSequences": ["a"]}}, {"stop": ("a",)}),
    ({"generationConfig": {"responseLogprobs": True, "logprobs": 2}}, {"logprobs": True, "top_logprobs": 2}),
    ({"generationConfig": {"responseModalities": ["TEXT", "IMAGE"]}}, {"modalities": ("text", "image")}),
    (
        {"generationConfig": {"speechConfig": {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": "Kore"}}}}},
        {"audio": {"voice": "Kore"}},
    ),
    (
        {"generationConfig": {"responseMimeType": "application/json"}},
        {"response_format": ResponseFormat("json_object")},
    ),
    (
        {"generationConfig": {"responseMimeType": "application/json", "responseJsonSchema": SCHEMA}},
        {"response_format": ResponseFormat("json_schema", SCHEMA)},
    ),
    (
        {"generationConfig": {"responseMimeType": "application/json", "responseSchema": SUBSET}},
        {"response_format": ResponseFormat("json_schema", SCHEMA, native="subset capitals nullable")},
    ),
    ({"generationConfig": {"thinkingConfig": {"thinkingBudget": 0}}}, {"reasoning": Reasoning(enabled=False)}),
    ({"generationConfig": {"thinkingConfig": {"thinkingBudget": -1}}}, {"reasoning": Reasoning(adaptive=True)}),
    (
        {"generationConfig": {"thinkingConfig": {"thinkingBudget": 512, "includeThoughts": True}}},
        {"reasoning": Reasoning(budget_tokens=512, include=True)},
    ),
    ({"generationConfig": {"thinkingConfig": {"thinkingLevel": "HIGH"}}}, {"reasoning": Reasoning("high")}),
    (
        {"generation_config": {"max_output_tokens": 5, "new": 1}},
        {
            "max_tokens": 5,
            "spelling": {"config": "generation_config", "max_tokens": "max_output_tokens"},
            "extras": {"generation_config": {"new": 1}},
        },
    ),
    (
        {"tools": [{"functionDeclarations": [{"name": "f", "description": "d", "parametersJsonSchema": SCHEMA}]}]},
        {"tools": (Tool("f", description="d", parameters=SCHEMA),)},
    ),
    (
        {"tools": [{"functionDeclarations": [{"name": "f", "parameters": SUBSET}]}, {"googleSearch": {"a": 1}}]},
        {
            "tools": (
                Tool("f", parameters=SCHEMA, native="parameters capitals nullable"),
                Tool("web_search", "server", native="googleSearch new", extras={"a": 1}),
            )
        },
    ),
    (
        {"tools": [{"urlContext": {}, "mcpServers": [{"name": "a"}], "brandNew": {}}]},
        {
            "tools": (
                Tool("web_fetch", "server", native="urlContext"),
                Tool(
                    "mcp",
                    "server",
                    native="mcpServers",
                    settings=ToolSettings(server_label="a", require_approval="never"),
                ),
                Tool("brandNew", "server", native="brandNew"),
            )
        },
    ),
    ({"toolConfig": {"functionCallingConfig": {"mode": "AUTO"}}}, {"tool_choice": ToolChoice("auto")}),
    ({"toolConfig": {"functionCallingConfig": {"mode": "NONE"}}}, {"tool_choice": ToolChoice("none")}),
    ({"toolConfig": {"functionCallingConfig": {"mode": "ANY"}}}, {"tool_choice": ToolChoice("required")}),
    (
        {"toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f"]}}},
        {"tool_choice": ToolChoice("tool", "f")},
    ),
    (
        {"toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f", "g"]}}},
        {"tool_choice": ToolChoice("allowed", names=("f", "g"), allowed_mode="required")},
    ),
    (
        {"toolConfig": {"functionCallingConfig": {"mode": "VALIDATED", "allowedFunctionNames": ["f"]}}},
        {"tool_choice": ToolChoice("allowed", names=("f",), allowed_mode="auto", native="mode=VALIDATED")},
    ),
    ({"labels": {"a": "b"}, "serviceTier": "flex", "store": False},
     {"metadata": {"a": "b"}, "service_tier": "flex", "store": False}),
    ({"serviceTier": "standard"}, {"service_tier": "default", "spelling": {"tier_word": "standard"}}),
    ({"safetySettings": [{"a": 1}], "cachedContent": "c"},
     {"extras": {"safetySettings": [{"a": 1}], "cachedContent": "c"}}),
)  # fmt: skip


@pytest.mark.parametrize(("wire", "fields"), FIELDS, ids=str)
def test_requests(wire: dict[str, Any], fields: dict[str, Any]) -> None:
    body = {"contents": [], **wire}
    request = DIALECT.parse_request(body, PathMatch("m", True))
    assert request == Request(dialect="gemini", model="m", messages=(), stream=True, **fields)
    assert DIALECT.render_request(request, DEFAULT_PROFILE).value == body


BAD: dict[str, tuple[Any, str]] = {
    "no object": ([], "expected an object, got a list"),
    "no contents": ({}, "a list of contents is missing at contents"),
    "contents": ({"contents": "hi"}, "expected a list, got a string at contents"),
    "content": ({"contents": ["hi"]}, "expected an object, got a string at contents[0]"),
    "role": (
        {"contents": [{"role": "narrator", "parts": []}]},
        "expected the role user or model, got 'narrator' at contents[0].role",
    ),
    "text": (
        {"contents": [{"role": "user", "parts": [{"text": "a"}, {"text": 5}]}]},
        "expected a string, got an integer at contents[0].parts[1].text",
    ),
    "data": (
        {"contents": [{"parts": [{"inlineData": {"data": 5}}]}]},
        "expected a string, got an integer at contents[0].parts[0].inlineData.data",
    ),
    "args": (
        {"contents": [{"parts": [{"functionCall": {"name": "f", "args": []}}]}]},
        "expected an object, got a list at contents[0].parts[0].functionCall.args",
    ),
    "result": (
        {"contents": [{"parts": [{"functionResponse": {"parts": [{"inlineData": 5}]}}]}]},
        "expected an object, got an integer at contents[0].parts[0].functionResponse.parts[0].inlineData",
    ),
    "temperature": (
        {"contents": [], "generationConfig": {"temperature": "hot"}},
        "expected a number, got a string at generationConfig.temperature",
    ),
    "budget": (
        {"contents": [], "generationConfig": {"thinkingConfig": {"thinkingBudget": "1"}}},
        "expected an integer, got a string at generationConfig.thinkingConfig.thinkingBudget",
    ),
    "tool": (
        {"contents": [], "tools": [{}, {"functionDeclarations": [{"name": "f"}, {"description": "d"}]}]},
        "expected a string, got null at tools[1].functionDeclarations[1].name",
    ),
    "choice": (
        {"contents": [], "toolConfig": {"functionCallingConfig": {"mode": 5}}},
        "expected a string, got an integer at toolConfig.functionCallingConfig.mode",
    ),
}


@pytest.mark.parametrize("label", BAD)
def test_bad_requests_say_what_and_where(label: str) -> None:
    wire, message = BAD[label]
    with pytest.raises(DialectError) as refused:
        DIALECT.parse_request(wire, PathMatch())
    assert str(refused.value) == f"gemini: {message}"


# -- answers -----------------------------------------------------------------------------------------------------------


def test_an_answer_in_full() -> None:
    answer = DIALECT.parse_response(ANSWER, NO_MEMO)
    assert (answer.id, answer.model) == ("abc-_1", "gemini-2.5-flash")
    assert answer.created == pytest.approx(1779900825.443719, abs=1e-6)
    first, second = answer.choices
    assert (first.stop_reason, first.stop_native, second.stop_reason) == ("tool_calls", "STOP", "length")
    thinking, text, call = first.parts
    assert thinking == Thinking("Thinking.")
    assert call == ToolCall("c1", "look", {"x": [1, {"y": None}]})
    assert isinstance(text, Text)
    assert text.signature == SIGNED
    assert text.citations == (
        Citation("https://example.com/a", "A", start=0, end=10, native="groundingMetadata"),
        Citation(None, "T", "words", 0, 10, "d", native="groundingMetadata"),
        Citation("https://example.com/b", start=0, end=3, native="citationMetadata"),
        Citation("https://example.com/c", native="urlContextMetadata"),
    )
    token = TokenLogprob("Hi", -0.5, extras={"tokenId": 5})
    assert text.logprobs == (TokenLogprob("Hi", -0.5, top=(token, TokenLogprob("Ho")), extras={"tokenId": 5}),)
    assert answer.usage == Usage(
        input_tokens=110,
        output_tokens=12,
        total_tokens=122,
        cache_read_tokens=4,
        reasoning_tokens=7,
        tool_use_input_tokens=100,
        input_text_tokens=6,
        output_text_tokens=5,
        cache_read_audio_tokens=4,
        service_tier="priority",
        server_tool_calls={"web_search": 1},
        spelling={
            "promptTokensDetails": "TEXT DOCUMENT=4",
            "candidatesTokensDetails": "TEXT",
            "cacheTokensDetails": "AUDIO",
            "toolUsePromptTokensDetails": "TEXT=100",
            "service_tier": "trafficType",
        },
    )


STOPS: dict[str, str] = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "SAFETY": "content_filter",
    "RECITATION": "content_filter",
    "OTHER": "content_filter",
    "IMAGE_SAFETY": "content_filter",
    "MODEL_ARMOR": "content_filter",
    "MALFORMED_FUNCTION_CALL": "error",
    "UNEXPECTED_TOOL_CALL": "error",
    "CONTINUATION": "pause",
    "BRAND_NEW": "stop",
}


@pytest.mark.parametrize("native", STOPS)
def test_reasons_to_stop(native: str) -> None:
    (choice,) = DIALECT.parse_response({"candidates": [{"finishReason": native}]}, NO_MEMO).choices
    assert (choice.stop_reason, choice.stop_native) == (STOPS[native], native)


def test_a_blocked_prompt_is_a_refused_choice() -> None:
    feedback = {"blockReason": "SAFETY", "blockReasonMessage": "No.", "safetyRatings": [{"a": 1}]}
    (choice,) = DIALECT.parse_response({"promptFeedback": feedback}, NO_MEMO).choices
    assert choice == Choice(
        (Refusal("No.", native="blockReasonMessage"),),
        "content_filter",
        "SAFETY",
        native="blocked",
        extras={"safetyRatings": [{"a": 1}]},
    )


def test_an_error_is_no_answer() -> None:
    with pytest.raises(DialectError, match="this is not an answer"):
        DIALECT.parse_response({"error": {"message": "no"}}, NO_MEMO)


def test_the_model_shows_in_what_is_written() -> None:
    """What is modelled is written from the model: a change is seen, whatever the wire said."""
    from msgspec.structs import replace

    answer = DIALECT.parse_response(ANSWER, NO_MEMO)
    assert answer.usage is not None
    first = answer.choices[0]
    changed = replace(
        answer,
        id="other",
        created=0,
        choices=(replace(first, parts=(Text("new"), *first.parts[2:]), stop_native="MAX_TOKENS"),),
        usage=replace(answer.usage, output_tokens=20, input_text_tokens=1, service_tier="flex"),
    )
    wire = DIALECT.render_response(changed, Context(model="alias")).value
    assert wire["responseId"] == "other"
    assert wire["modelVersion"] == "alias"
    assert wire["createTime"] == "1970-01-01T00:00:00Z"
    assert wire["candidates"][0]["content"]["parts"][0] == {"text": "new"}
    assert wire["candidates"][0]["finishReason"] == "MAX_TOKENS"
    assert wire["usageMetadata"]["candidatesTokenCount"] == 13
    assert wire["usageMetadata"]["promptTokensDetails"][0]["tokenCount"] == 1
    assert wire["usageMetadata"]["trafficType"] == "ON_DEMAND_FLEX"


def test_a_memo_undoes_what_the_request_did() -> None:
    calls = [("mcp_x", {"a": 1}), ("write", {"input": "free"}), ("json_tool_call", {"b": 2})]
    parts = [{"functionCall": {"name": name, "args": args}} for name, args in calls]
    memo = Memo({"mcp_x": "mcp/x"}, "json_tool_call", frozenset({"write"}))
    wire = {"candidates": [{"content": {"parts": parts, "role": "model"}, "finishReason": "STOP", "index": 0}]}
    expected = (ToolCall(None, "mcp/x", {"a": 1}), ToolCall(None, "write", "free", custom=True), Text('{"b":2}'))
    (choice,) = DIALECT.parse_response(wire, memo).choices
    assert choice.parts == expected
    parser = DIALECT.stream_parser(memo)
    (streamed,) = fold(parser.feed(frame(wire)), "gemini").choices
    assert streamed == choice
    only_json = {"candidates": [{"content": {"parts": parts[2:]}, "finishReason": "STOP"}]}
    assert DIALECT.parse_response(only_json, memo).choices[0].stop_reason == "stop"


# -- streams -----------------------------------------------------------------------------------------------------------


def whole_of(chunks: tuple[dict[str, Any], ...]) -> dict[str, Any]:
    """The answer that would have come without streaming: neighbouring texts of one kind joined, the last usage."""
    parts: list[dict[str, Any]] = []
    for chunk in chunks:
        for part in chunk["candidates"][0]["content"]["parts"]:
            before = parts[-1] if parts else {}
            if "text" in part and "text" in before and part.get("thought") == before.get("thought"):
                parts[-1] = {**before, **part, "text": before["text"] + part["text"]}
            else:
                parts.append(part)
    last = chunks[-1]["candidates"][0]
    candidate = {**last, "content": {"parts": parts, "role": "model"}}
    return {**chunks[-1], "candidates": [candidate]}


def test_a_stream_adds_up_to_the_whole_answer() -> None:
    chunks = tuple({**chunk, "createTime": CHUNKS[-1]["createTime"]} for chunk in CHUNKS)
    events = parse_stream(DIALECT, b"".join(frame(chunk) for chunk in chunks))
    whole = DIALECT.parse_response(whole_of(chunks), NO_MEMO)
    from msgspec.structs import replace

    assert fold(events, "gemini") == replace(whole, native=None)


def test_arguments_that_come_in_pieces_add_up() -> None:
    (choice,) = fold(parse_stream(DIALECT, b"".join(map(frame, PARTIAL_CALL))), "gemini").choices
    arguments = {"city": "Paris", "at": [None, {"a b": 2}], "sure": True, "none": None}
    assert choice.parts[0] == ToolCall("c1", "look", arguments, signature=SIGNED)
    assert choice.stop_reason == "tool_calls"


def test_pieces_of_audio_are_one_part() -> None:
    def audio(data: str) -> bytes:
        part = {"inlineData": {"mimeType": "audio/L16;rate=24000", "data": data}}
        return frame({"candidates": [{"content": {"parts": [part]}}]})

    (choice,) = fold(parse_stream(DIALECT, audio("AAAA") + audio("BBBB") + audio("CC==") + audio("DDDD")), "g").choices
    sources = [part.source for part in choice.parts if isinstance(part, Media)]
    assert sources == [Base64("AAAABBBBCC=="), Base64("DDDD")]


def test_probabilities_and_sources_come_with_their_texts() -> None:
    first = {"content": {"parts": [{"text": "Über "}]}, "logprobsResult": {"chosenCandidates": [{"token": "Über "}]}}
    second = {"content": {"parts": [{"text": "uns"}]}, "logprobsResult": {"chosenCandidates": [{"token": "uns"}]}}
    grounding = {
        "groundingChunks": [{"web": {"uri": "https://example.com"}}],
        "groundingSupports": [{"segment": {"startIndex": 6, "endIndex": 9}, "groundingChunkIndices": [0]}],
    }
    third = {"finishReason": "STOP", "groundingMetadata": grounding}
    data = b"".join(frame({"candidates": [candidate]}) for candidate in (first, second, third))
    (choice,) = fold(parse_stream(DIALECT, data), "gemini").choices
    cited = Citation("https://example.com", start=5, end=8, native="groundingMetadata")
    assert choice.parts == (Text("Über uns", (cited,), (TokenLogprob("Über "), TokenLogprob("uns"))),)
    assert put_back(choice.extras or {}) == {"groundingMetadata": grounding}


def test_probabilities_that_come_behind_their_text_are_its_own() -> None:
    late = {"logprobsResult": {"chosenCandidates": [{"token": "Hi"}], "avgLogprobs": -1}}
    pieces = {"content": {"parts": [{"text": "Hi"}]}}
    last = {"finishReason": "STOP", "content": {"role": "model"}, **late}
    data = b"".join(frame({"candidates": [{**each, "index": index} for index in (0, 1)]}) for each in (pieces, last))
    for choice in fold(parse_stream(DIALECT, data), "gemini").choices:
        assert choice.parts == (Text("Hi", logprobs=(TokenLogprob("Hi"),)),)
        assert choice.extras == {"logprobsResult": {"avgLogprobs": -1}}
    contract.assert_stream_exact(DIALECT, data)


CHUNK = {"web": {"uri": "https://example.com", "title": "E"}}
SUPPORT = {"segment": {"startIndex": 0, "endIndex": 2, "text": "Hi"}, "groundingChunkIndices": [0]}
SAID_IN_CITATIONS: list[tuple[dict[str, Any], list[str]]] = [
    ({"groundingMetadata": {"groundingChunks": [CHUNK], "groundingSupports": [SUPPORT]}}, []),
    ({"groundingMetadata": {"groundingChunks": [CHUNK]}}, []),
    (
        {"groundingMetadata": {"groundingChunks": [CHUNK], "groundingSupports": [{"groundingChunkIndices": [{}, []]}]}},
        ["groundingChunks", "groundingSupports"],
    ),
    (
        {"groundingMetadata": {"groundingChunks": [CHUNK], "groundingSupports": [SUPPORT], "webSearchQueries": ["q"]}},
        ["webSearchQueries"],
    ),
    (
        {"groundingMetadata": {"groundingChunks": [CHUNK, CHUNK], "groundingSupports": [SUPPORT]}},
        ["groundingChunks", "groundingSupports"],
    ),
    (
        {"groundingMetadata": {"groundingChunks": [{"maps": {"uri": "u", "placeId": "p"}}]}},
        ["groundingChunks"],
    ),
    (
        {
            "groundingMetadata": {
                "groundingChunks": [CHUNK],
                "groundingSupports": [{**SUPPORT, "confidenceScores": [1]}],
            }
        },
        ["groundingChunks", "groundingSupports"],
    ),
    ({"citationMetadata": {"citations": [{"startIndex": 0, "endIndex": 2, "uri": "u"}]}}, []),
    (
        {"citationMetadata": {"citations": [{"startIndex": 0, "endIndex": 2, "uri": "u", "license": "x"}]}},
        ["citations"],
    ),
    (
        {
            "urlContextMetadata": {
                "urlMetadata": [{"retrievedUrl": "u", "urlRetrievalStatus": "URL_RETRIEVAL_STATUS_SUCCESS"}]
            }
        },
        [],
    ),
]


@pytest.mark.parametrize(("metadata", "lost"), SAID_IN_CITATIONS)
def test_what_citations_say_is_no_loss(metadata: dict[str, Any], lost: list[str]) -> None:
    candidate = {
        "content": {"parts": [{"text": "Hi"}], "role": "model"},
        "finishReason": "STOP",
        "index": 0,
        **metadata,
    }
    wire = {"candidates": [candidate], "responseId": "r", "modelVersion": "m"}
    contract.assert_response_exact(DIALECT, wire)
    contract.assert_stream_exact(DIALECT, frame(wire))
    whole = DIALECT.parse_response(wire, NO_MEMO)
    streamed = fold(parse_stream(DIALECT, frame(wire)), "gemini")
    assert streamed.choices[0].extras == whole.choices[0].extras
    (key,) = metadata
    for response in (whole, streamed):
        said = registry.get("openai_responses").render_response(response, Context())
        assert [note.path for note in said.notes] == [f"choices[0].{key}.{name}" for name in lost]


@pytest.mark.parametrize(
    ("tier", "said", "noted"),
    [("default", "standard", []), ("auto", None, []), ("on_demand", None, ["service_tier"]), (None, None, [])],
)
def test_tiers_of_others(tier: str | None, said: str | None, noted: list[str]) -> None:
    usage = Usage(input_tokens=1, output_tokens=1)
    response = Response(dialect="contract", choices=(Choice((Text("Hi"),), "stop"),), usage=usage, service_tier=tier)
    rendered = DIALECT.render_response(response, Context())
    assert rendered.value["usageMetadata"].get("serviceTier") == said
    assert [note.path for note in rendered.notes] == noted
    writer = DIALECT.stream_renderer(Context(source="contract"))
    head = StreamEvent((Start(service_tier=tier), TextDelta(0, "Hi"), Stop("stop"), UsageDelta(usage), End()))
    assert (b"serviceTier" in writer.render(head) + writer.close()) == (said is not None)
    assert [note.path for note in writer.notes] == noted


def test_metadata_after_the_end_of_a_choice_still_counts() -> None:
    chunks = ({"finishReason": "STOP", "content": {"parts": [{"text": "a"}]}}, {"safetyRatings": [1]})
    events = parse_stream(DIALECT, b"".join(frame({"candidates": [chunk]}) for chunk in chunks))
    assert fold(events, "gemini").choices[0].extras == {"safetyRatings": [1]}
    assert events[-1] == StreamEvent((End(),))


def complete(data: bytes) -> bool:
    total = Fold("gemini")
    for event in parse_stream(DIALECT, data):
        total.add(event)
    return total.complete


def test_a_cut_stream_is_noticed() -> None:
    frames = STREAM.split(b"\r\n\r\n")
    assert complete(STREAM)
    assert complete(STREAM.rstrip()), "the last blank line may be missing"
    assert not complete(b"\r\n\r\n".join(frames[:-2]) + b"\r\n\r\n"), "no reason to stop was seen"
    assert not complete(STREAM[:-20])
    assert not complete(STREAM + b'data: {"usageMeta'), "cut in a later frame"
    assert not complete(b"")
    two = frame({"candidates": [{"finishReason": "STOP"}, {"index": 1, "content": {"parts": [{"text": "a"}]}}]})
    assert not complete(two)


def test_an_array_is_complete_when_it_is_closed() -> None:
    objects = [chunk[6:].decode() for chunk in STREAM.split(b"\r\n\r\n")[:-1]]
    array = ("[" + ",\r\n".join(objects) + "\n]").encode()
    assert parse_stream(DIALECT, array) == parse_stream(DIALECT, STREAM)
    assert complete(array)
    assert not complete(array[:-1])


def test_a_blocked_prompt_in_a_stream() -> None:
    data = frame({"promptFeedback": {"blockReason": "SAFETY"}, "modelVersion": "m"})
    events = parse_stream(DIALECT, data)
    assert Stop("content_filter", "SAFETY") in events[0].deltas
    assert complete(data)


OVERLOADED = b'{"error": {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}}'


@pytest.mark.parametrize(
    "tail",
    [
        b"data: " + OVERLOADED + b"\r\n\r\n",
        OVERLOADED.replace(b"{", b"{\n  ").replace(b",", b",\n  ") + b"\n",
        b"[" + OVERLOADED + b"]",
    ],
    ids=["event", "bare", "list"],
)
def test_an_error_breaks_off_a_stream(tail: bytes) -> None:
    """As an event of its own, or as bare JSON in the middle of the events."""
    for data in (STREAM[: STREAM.index(b"\r\n\r\n") + 4] + tail, tail):
        total = Fold("gemini")
        for event in parse_stream(DIALECT, data):
            total.add(event)
        assert total.error is not None
        assert (total.error.kind, total.error.status) == ("overloaded", 503)
        assert not total.complete


# -- errors ------------------------------------------------------------------------------------------------------------


def google(code: int, status: str, message: str = "m", *details: Any) -> bytes:
    import json

    return json.dumps({"error": {"code": code, "message": message, "status": status, "details": details}}).encode()


def quota(name: str, value: str = "10") -> dict[str, Any]:
    return {
        "@type": "type.googleapis.com/google.rpc.QuotaFailure",
        "violations": [{"quotaId": name, "quotaValue": value}],
    }


EXCEEDED = "You exceeded your current quota, please check your plan and billing details."
TOO_LONG = "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576)."
ERRORS: tuple[tuple[int, bytes, str], ...] = (
    (400, google(400, "INVALID_ARGUMENT"), "invalid_request"),
    (400, google(400, "INVALID_ARGUMENT", "API key not valid.", {"reason": "API_KEY_INVALID"}), "authentication"),
    (400, google(400, "INVALID_ARGUMENT", TOO_LONG), "context_window"),
    (400, google(400, "FAILED_PRECONDITION", "User location is not supported."), "invalid_request"),
    (401, google(401, "UNAUTHENTICATED"), "authentication"),
    (403, google(403, "PERMISSION_DENIED"), "permission"),
    (403, google(403, "PERMISSION_DENIED", "m", {"reason": "SERVICE_DISABLED"}), "permission"),
    (403, google(403, "PERMISSION_DENIED", "m", {"reason": "BILLING_DISABLED"}), "billing"),
    (404, google(404, "NOT_FOUND"), "not_found"),
    (429, google(429, "RESOURCE_EXHAUSTED", "Resource exhausted. Please try again later."), "rate_limit"),
    (429, google(429, "RESOURCE_EXHAUSTED", EXCEEDED), "rate_limit"),
    (429, google(429, "RESOURCE_EXHAUSTED", EXCEEDED, quota("RequestsPerMinutePerModel")), "rate_limit"),
    (429, google(429, "RESOURCE_EXHAUSTED", EXCEEDED, quota("RequestsPerDayPerModel")), "quota"),
    (429, google(429, "RESOURCE_EXHAUSTED", EXCEEDED, quota("TokensPerMinute", "0")), "quota"),
    (499, google(499, "CANCELLED"), "timeout"),
    (500, google(500, "INTERNAL"), "server"),
    (501, google(501, "UNIMPLEMENTED"), "unsupported"),
    (503, google(503, "UNAVAILABLE"), "unavailable"),
    (503, google(503, "UNAVAILABLE", "The model is overloaded."), "overloaded"),
    (504, google(504, "DEADLINE_EXCEEDED"), "timeout"),
    (502, b"<html>Bad Gateway</html>", "bad_gateway"),
    (500, b"", "server"),
    (400, b'{"error": "invalid_grant"}', "invalid_request"),
)


@pytest.mark.parametrize(("status", "body", "kind"), ERRORS, ids=str)
def test_kinds_of_errors(status: int, body: bytes, kind: str) -> None:
    error = read_error(status, {}, body)
    assert (error.kind, error.status) == (kind, status)
    if body.startswith(b"{"):
        assert read_error(status, {}, b"[" + body + b"]").kind == kind


def test_an_error_says_when_to_come_back_and_what_was_wrong() -> None:
    violation = {"fieldViolations": [{"field": "generation_config.top_k", "description": "too large"}]}
    body = google(400, "INVALID_ARGUMENT", "m", violation, {"retryDelay": "34.5s"})
    error = read_error(400, {"retry-after": "7", "x-request-id": "r"}, body)
    assert (error.retry_after, error.param, error.request_id) == (34.5, "generation_config.top_k", "r")
    assert (error.type, error.code, error.message) == ("INVALID_ARGUMENT", 400, "m")
    assert read_error(429, {"retry-after": "7"}, b"").retry_after == 7
