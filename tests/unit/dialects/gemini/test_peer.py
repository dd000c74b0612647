"""Peers: the official `google-genai` package reads what we write and is read by us; the simulated Gemini, which was
written from Google's documentation alone, takes our requests.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from google import genai
from google.genai import errors, types

from penstock.dialects.dialect import Context, PathMatch
from penstock.dialects.gemini import DIALECT, match_path
from penstock.dialects.gemini.errors import render_error
from penstock.dialects.registry import NAMES, get
from penstock.testing.providers import Reply, SimulatedProviders
from penstock.testing.providers import Thinking as Thought
from penstock.testing.providers import ToolCall as Called
from penstock.types.content import Media, Part, Signature, Text, Thinking, ToolCall, ToolResult
from penstock.types.errors import ErrorResponse
from penstock.types.fold import fold
from penstock.types.notes import NO_MEMO
from penstock.types.profile import DEFAULT_PROFILE, Profile
from penstock.types.request import Reasoning, Request
from penstock.types.response import Choice, Response
from penstock.types.stream import Failure, StreamEvent
from tests.contract import dialects as contract
from tests.contract.streams import STREAMS
from tests.unit.dialects.gemini.conftest import Answerer
from tests.unit.dialects.gemini.samples import ANSWER, STREAM

MODEL = "gemini-2.5-flash"


def ask(official: genai.Client) -> types.GenerateContentResponse:
    return official.models.generate_content(model=MODEL, contents="Hello")


def ask_streaming(official: genai.Client) -> list[types.GenerateContentResponse]:
    return list(official.models.generate_content_stream(model=MODEL, contents="Hello"))


# -- what the client reads ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("label", [label for label, (role, _) in contract.EVERY_PART.items() if role == "assistant"])
def test_answers_of_others_are_read(official: genai.Client, answerer: Answerer, label: str) -> None:
    part = contract.EVERY_PART[label][1]
    response = Response(dialect=contract.NOBODY, id="r", model="m", choices=(Choice((part, Text("beside")), "stop"),))
    answerer.whole(DIALECT.render_response(response, Context()).value)
    read = ask(official)
    assert read.response_id == "r"
    assert read.candidates is not None
    content = read.candidates[0].content
    assert content is not None
    assert content.parts is not None
    assert content.parts[-1].text == "beside"


def test_own_answers_are_read(official: genai.Client, answerer: Answerer) -> None:
    answerer.whole(DIALECT.render_response(DIALECT.parse_response(ANSWER, NO_MEMO), Context()).value)
    read = ask(official)
    assert read.text == "Für Paris: sunny."
    assert [call.name for call in read.function_calls or []] == ["look"]


@pytest.mark.parametrize("label", STREAMS)
def test_streams_of_others_are_read(official: genai.Client, answerer: Answerer, label: str) -> None:
    """Every frame is an answer with content, as the client's chats demand, and together they say what was said."""
    answerer.stream(contract.render_events(DIALECT, STREAMS[label], contract.NOBODY))
    chunks = ask_streaming(official)
    parts: list[types.Part] = []
    for chunk in chunks:
        assert chunk.candidates
        for candidate in chunk.candidates:
            assert candidate.content is not None
            assert candidate.content.parts
            assert types.Part() not in candidate.content.parts
            parts += candidate.content.parts
    assert chunks[-1].candidates is not None
    assert chunks[-1].candidates[0].finish_reason is not None
    said = fold(STREAMS[label], "x")
    texts = "".join(part.text or "" for part in parts if not part.thought)
    for choice in said.choices:
        for part in choice.parts:
            assert not isinstance(part, Text) or set(part.text) <= set(texts)
    calls = [part.function_call for part in parts if part.function_call is not None]
    asked = [part for choice in said.choices for part in choice.parts if isinstance(part, ToolCall)]
    assert [call.name for call in calls] == [part.name for part in asked]
    assert chunks[-1].usage_metadata is None or chunks[-1].usage_metadata.total_token_count == 107


def test_a_chat_goes_on_after_a_stream_of_others(official: genai.Client, answerer: Answerer) -> None:
    """The client keeps a turn only if every chunk of it is valid, and sends it back with the next one."""
    answerer.stream(contract.render_events(DIALECT, STREAMS["signed thinking"], contract.NOBODY))
    chat = official.chats.create(model=MODEL)
    list(chat.send_message_stream("Hello"))
    list(chat.send_message_stream("And?"))
    path, body = answerer.asked
    request = DIALECT.parse_request(body, match_path(path) or PathMatch())
    assert request.stream
    said = [part for message in request.messages if message.role == "assistant" for part in message.parts]
    assert "".join(part.text for part in said if isinstance(part, Text)) == "Hello"
    assert [part.signature for part in said if isinstance(part, Thinking) and part.signature] != []


def test_signatures_of_others_come_back_from_the_client(official: genai.Client, answerer: Answerer) -> None:
    """The client decodes and encodes them in another alphabet; they are the same, and know whose they are."""
    signature = Signature("a?b>c~d" * 9, "anthropic")
    parts = (Thinking("hm", signature=signature), Thinking(signature=signature, redacted=True), Text("Hello"))
    response = Response(dialect=contract.NOBODY, choices=(Choice(parts, "stop"),))
    answerer.whole(DIALECT.render_response(response, Context()).value)
    chat = official.chats.create(model=MODEL)
    chat.send_message("Hello")
    chat.send_message("And?")
    request = DIALECT.parse_request(answerer.asked[1], PathMatch())
    first, second, _ = request.messages[1].parts
    assert isinstance(first, Thinking)
    assert isinstance(second, Thinking)
    assert (first.text, first.signature, first.redacted) == ("hm", signature, False)
    assert (second.signature, second.redacted) == (signature, True)
    assert DIALECT.render_request(request, DEFAULT_PROFILE).value == answerer.asked[1]


def test_errors_of_others_are_raised(official: genai.Client, answerer: Answerer) -> None:
    refusal = ErrorResponse(kind="rate_limit", status=429, message="Slow down", retry_after=7.0)
    answerer.whole(render_error(refusal)[1], 429)
    with pytest.raises(errors.ClientError) as raised:
        ask(official)
    assert (raised.value.code, raised.value.status, raised.value.message) == (429, "RESOURCE_EXHAUSTED", "Slow down")


def test_errors_inside_of_streams_are_raised(official: genai.Client, answerer: Answerer) -> None:
    refusal = ErrorResponse(kind="overloaded", status=529, message="Busy")
    events = [*STREAMS["text"][:2], StreamEvent((Failure(refusal),))]
    renderer = DIALECT.stream_renderer(Context(source=contract.NOBODY))
    answerer.stream(b"".join(renderer.render(event) for event in events))
    with pytest.raises(errors.APIError, match="Busy"):
        ask_streaming(official)


# -- what the client writes --------------------------------------------------------------------------------------------


def get_weather(city: str, days: int = 1) -> str:
    """Tell the weather."""
    return f"{city} {days}"


CONFIGS: dict[str, types.GenerateContentConfig] = {
    "plain": types.GenerateContentConfig(),
    "everything": types.GenerateContentConfig(
        system_instruction="Be brief.",
        temperature=0.5,
        top_p=0.9,
        top_k=40,
        candidate_count=1,
        max_output_tokens=100,
        stop_sequences=["END"],
        seed=7,
        presence_penalty=0.1,
        frequency_penalty=0.1,
        response_modalities=["TEXT"],
        thinking_config=types.ThinkingConfig(include_thoughts=True, thinking_budget=1024),
        safety_settings=[
            types.SafetySetting(
                category=types.HarmCategory.HARM_CATEGORY_HARASSMENT, threshold=types.HarmBlockThreshold.BLOCK_NONE
            )
        ],
        tools=[get_weather, types.Tool(google_search=types.GoogleSearch())],
        automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
        tool_config=types.ToolConfig(
            function_calling_config=types.FunctionCallingConfig(
                mode=types.FunctionCallingConfigMode.ANY, allowed_function_names=["get_weather"]
            )
        ),
        speech_config=types.SpeechConfig(
            voice_config=types.VoiceConfig(prebuilt_voice_config=types.PrebuiltVoiceConfig(voice_name="Kore"))
        ),
    ),
    "schema": types.GenerateContentConfig(
        response_mime_type="application/json",
        response_schema=types.Schema(
            type=types.Type.OBJECT, properties={"a": types.Schema(type=types.Type.STRING, nullable=True)}
        ),
    ),
    "json schema": types.GenerateContentConfig(
        response_mime_type="application/json", response_json_schema={"type": "object"}
    ),
    "level": types.GenerateContentConfig(thinking_config=types.ThinkingConfig(thinking_level=types.ThinkingLevel.LOW)),
}


@pytest.mark.parametrize("label", CONFIGS)
def test_what_the_client_writes_is_read_and_comes_back(official: genai.Client, answerer: Answerer, label: str) -> None:
    answerer.whole(ANSWER)
    contents: list[Any] = [
        types.Content(
            role="user",
            parts=[
                types.Part(text="Look"),
                types.Part(inline_data=types.Blob(mime_type="image/png", data=b"\xfb\xff\xfe")),
                types.Part.from_uri(file_uri="gs://b/a.pdf", mime_type="application/pdf"),
            ],
        ),
        types.Content(role="model", parts=[types.Part.from_function_call(name="get_weather", args={"city": "Paris"})]),
        types.Content(
            role="user", parts=[types.Part.from_function_response(name="get_weather", response={"result": "sunny"})]
        ),
    ]
    official.models.generate_content(model=MODEL, contents=contents, config=CONFIGS[label])
    path, body = answerer.asked
    match = match_path(path)
    assert match == PathMatch(MODEL, False)
    contract.assert_request_exact(DIALECT, body, match)
    request = DIALECT.parse_request(body, match)
    image = request.messages[0].parts[1]
    assert isinstance(image, Media)
    assert contract._builtin(image.source) == {"type": "base64", "data": "+//+"}
    assert request.messages[2].parts == (ToolResult(None, (Text("sunny", native="result"),), "get_weather"),)
    if label == "everything":
        assert request.tools is not None
        assert [tool.name for tool in request.tools] == ["web_search", "get_weather"]
        assert request.reasoning == Reasoning(
            budget_tokens=1024, include=True, native="include_thoughts thinking_budget"
        )


def test_the_client_streams_from_own_path(official: genai.Client, answerer: Answerer) -> None:
    answerer.stream(STREAM)
    ask_streaming(official)
    own = DIALECT.path(MODEL, True)
    assert answerer.asked[0].partition("/models/")[2] == own.partition("/models/")[2], "but for the version"


# -- what the client's types say of our requests -----------------------------------------------------------------------


def check_types(body: dict[str, Any]) -> None:
    """The client's own models of a request; they refuse unknown fields."""
    for content in body["contents"]:
        types.Content.model_validate(content)
    types.Content.model_validate(body.get("systemInstruction", {}))
    for tool in body.get("tools", []):
        types.Tool.model_validate(tool)
    types.ToolConfig.model_validate(body.get("toolConfig", {}))
    types.GenerationConfig.model_validate(body.get("generationConfig", {}))
    known = {
        "contents",
        "systemInstruction",
        "tools",
        "toolConfig",
        "generationConfig",
        "serviceTier",
        "labels",
        "store",
    }
    assert body.keys() <= known


def requests_of_others() -> Iterator[tuple[str, Request]]:
    """Each part in a conversation, and each field on its own and with all others."""
    for label, (role, part) in contract.EVERY_PART.items():
        yield label, contract.request_with(role, part)
    for name, value in contract.EVERY_FIELD.items():
        yield name, contract.foreign_request(**{"tools": contract.TOOLS, name: value})
    yield "everything", contract.foreign_request(**contract.EVERY_FIELD)


PROFILES = {
    "default": DEFAULT_PROFILE,
    "gemini 3": Profile(reasoning="level", placeholder_signatures=True, tool_result_media=True, media_detail=True),
    "old": Profile(schema_subset=True, structured_output="tool", mixed_tools="refused", reasoning="none"),
}


@pytest.mark.parametrize("profile", PROFILES)
def test_requests_of_others_fit_the_types(profile: str) -> None:
    for _, request in requests_of_others():
        check_types(DIALECT.render_request(request, PROFILES[profile]).value)


def test_recorded_requests_of_others_fit_the_types(shared: Callable[..., Path]) -> None:
    seen = 0
    for name in set(NAMES) - {"gemini"}:
        dialect = get(name)
        for exchange, match in contract.recorded(shared("provider-exchanges"), dialect):
            body = exchange["request"]["body"]
            if isinstance(body, dict) and dialect.recognises(body):
                check_types(DIALECT.render_request(dialect.parse_request(body, match), DEFAULT_PROFILE).value)
                seen += 1
    assert seen >= 500


# -- the simulated Gemini ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def simulated() -> Iterator[SimulatedProviders]:
    with SimulatedProviders() as provider:
        yield provider


def post(provider: SimulatedProviders, body: dict[str, Any], stream: bool = False) -> httpx.Response:
    path = DIALECT.path("gemini-3-flash-preview", stream)
    return httpx.post(provider.url("gemini") + path, json=body, headers={"x-goog-api-key": "fake-key"})


UNSIGNED = Profile(placeholder_signatures=True, reasoning="level", signature_origin="nobody")


def test_the_simulated_gemini_takes_requests_of_others(simulated: SimulatedProviders) -> None:
    for label, request in requests_of_others():
        simulated.script(Reply.text("Yes"))
        answer = post(simulated, DIALECT.render_request(request, UNSIGNED).value)
        assert answer.status_code == 200, (label, answer.text)


REPLY = Reply(parts=(Thought("Hm."), *Reply.text("Let me see.").parts, Called("look_up", {"city": "Paris"})))


@pytest.mark.parametrize("stream", [False, True])
def test_answers_of_the_simulated_gemini_are_read(simulated: SimulatedProviders, stream: bool) -> None:
    simulated.script(REPLY)
    body = DIALECT.render_request(contract.foreign_request(tools=contract.TOOLS, reasoning=Reasoning("high")), UNSIGNED)
    answer = post(simulated, body.value, stream)
    if stream:
        contract.assert_stream_exact(DIALECT, answer.content)
        read = fold(contract.parse_stream(DIALECT, answer.content), "gemini")
    else:
        contract.assert_response_exact(DIALECT, answer.json())
        read = DIALECT.parse_response(answer.json(), NO_MEMO)
    kinds: list[type[Part]] = [type(part) for part in read.choices[0].parts]
    assert kinds == [Thinking, Text, ToolCall]
    assert read.choices[0].parts[2].arguments == {"city": "Paris"}  # type: ignore[union-attr]  # a call, or the test fails
    assert read.choices[0].stop_reason == "tool_calls"
