"""The official clients as peers: `openai`, `anthropic` and `google-genai` against a gateway that runs in front of
simulated providers.

Each client talks to each provider through the gateway, streamed and not, with text, tool calls and errors: it must
get what it would get from its own provider.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import anthropic
import openai
import pytest
from google import genai
from google.genai import types as gemini_types

from penstock.testing.providers import Reply, SimulatedProviders, ToolCall
from tests.e2e.gateway import KEY, Running, environment_for, serving

MODELS = ("openai/gpt-4o", "anthropic/claude-sonnet-4-5", "gemini/gemini-2.5-flash")
WEATHER: dict[str, object] = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


@pytest.fixture(scope="module")
def providers() -> Iterator[SimulatedProviders]:
    with SimulatedProviders() as simulated:
        yield simulated


@pytest.fixture(scope="module")
def gateway(providers: SimulatedProviders) -> Iterator[Running]:
    with serving({**environment_for(providers), "PENSTOCK_MASTER_KEY": KEY}) as running:
        yield running


@pytest.fixture
def openai_client(gateway: Running) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=gateway.key, max_retries=0) as client:
        yield client


@pytest.fixture
def anthropic_client(gateway: Running) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=gateway.url, api_key=gateway.key, max_retries=0) as client:
        yield client


@pytest.fixture
def gemini_client(gateway: Running) -> Iterator[genai.Client]:
    options = gemini_types.HttpOptions(base_url=gateway.url)
    with genai.Client(api_key=gateway.key, http_options=options) as client:
        yield client


@pytest.mark.parametrize("model", MODELS)
class TestOpenAI:
    """Chat Completions in, any provider out."""

    def test_text(self, openai_client: openai.OpenAI, providers: SimulatedProviders, model: str) -> None:
        providers.script(Reply.text("Good morning"))
        answer = openai_client.chat.completions.create(model=model, messages=[{"role": "user", "content": "Hi"}])
        assert answer.choices[0].message.content == "Good morning"
        assert answer.choices[0].finish_reason == "stop"
        assert answer.usage is not None and answer.usage.total_tokens > 0

    def test_stream(self, openai_client: openai.OpenAI, providers: SimulatedProviders, model: str) -> None:
        providers.script(Reply.text("Good morning to you"))
        stream = openai_client.chat.completions.create(
            model=model,
            messages=[{"role": "user", "content": "Hi"}],
            stream=True,
            stream_options={"include_usage": True},
        )
        chunks = list(stream)
        text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
        assert text == "Good morning to you"
        assert [chunk.usage for chunk in chunks if chunk.usage is not None], "usage was asked for"

    def test_tool_call(self, openai_client: openai.OpenAI, providers: SimulatedProviders, model: str) -> None:
        providers.script(Reply.tool_calls(ToolCall("get_weather", {"city": "Paris"})))
        answer = openai_client.chat.completions.create(
            model=model,
            messages=[{"role": "user", "content": "Weather?"}],
            tools=[{"type": "function", "function": {"name": "get_weather", "parameters": WEATHER}}],
        )
        calls = answer.choices[0].message.tool_calls
        assert calls is not None and calls[0].type == "function"
        assert calls[0].function.name == "get_weather"
        assert calls[0].function.arguments.replace(" ", "") == '{"city":"Paris"}'
        assert answer.choices[0].finish_reason == "tool_calls"

    def test_rate_limit(self, openai_client: openai.OpenAI, providers: SimulatedProviders, model: str) -> None:
        providers.script(*[Reply.error(429, retry_after=0)] * 3)
        with pytest.raises(openai.RateLimitError) as caught:
            openai_client.chat.completions.create(model=model, messages=[{"role": "user", "content": "Hi"}])
        assert caught.value.status_code == 429


@pytest.mark.parametrize("model", MODELS)
class TestResponses:
    """The Responses API in (which Codex speaks), any provider out."""

    def test_text(self, openai_client: openai.OpenAI, providers: SimulatedProviders, model: str) -> None:
        providers.script(Reply.text("Good morning"))
        answer = openai_client.responses.create(model=model, input="Hi", instructions="Be polite")
        assert answer.output_text == "Good morning"
        assert answer.status == "completed" and answer.output[-1].type == "message"
        assert answer.usage is not None and answer.usage.total_tokens > 0

    def test_stream(self, openai_client: openai.OpenAI, providers: SimulatedProviders, model: str) -> None:
        providers.script(Reply.text("Good morning to you"))
        events = list(openai_client.responses.create(model=model, input="Hi", stream=True))
        said = [event.delta for event in events if event.type == "response.output_text.delta"]
        assert "".join(said) == "Good morning to you"
        assert events[0].type == "response.created" and events[-1].type == "response.completed"

    def test_tool_calls(self, openai_client: openai.OpenAI, providers: SimulatedProviders, model: str) -> None:
        providers.script(Reply.tool_calls(ToolCall("get_weather", {"city": "Paris"})), Reply.text("Sunny"))
        tools: list[Any] = [{"type": "function", "name": "get_weather", "parameters": WEATHER, "strict": False}]
        said: list[Any] = [{"role": "user", "content": "Weather in Paris?"}]
        first = openai_client.responses.create(model=model, input=said, tools=tools)
        (call,) = [item for item in first.output if item.type == "function_call"]
        assert (call.name, json.loads(call.arguments)) == ("get_weather", {"city": "Paris"})
        result = {"type": "function_call_output", "call_id": call.call_id, "output": "sun"}
        said += [*[item.to_dict() for item in first.output], result]
        assert openai_client.responses.create(model=model, input=said, tools=tools).output_text == "Sunny"

    def test_error(self, openai_client: openai.OpenAI, providers: SimulatedProviders, model: str) -> None:
        providers.script(Reply.error(400, "No such thing"))
        with pytest.raises(openai.BadRequestError, match="No such thing"):
            openai_client.responses.create(model=model, input="Hi")


@pytest.mark.parametrize("model", MODELS)
class TestAnthropic:
    """Messages in, any provider out."""

    def test_text(self, anthropic_client: anthropic.Anthropic, providers: SimulatedProviders, model: str) -> None:
        providers.script(Reply.text("Good morning"))
        answer = anthropic_client.messages.create(
            model=model, max_tokens=100, messages=[{"role": "user", "content": "Hi"}], system="Be kind."
        )
        assert [block.text for block in answer.content if block.type == "text"] == ["Good morning"]
        assert answer.stop_reason == "end_turn"

    def test_stream(self, anthropic_client: anthropic.Anthropic, providers: SimulatedProviders, model: str) -> None:
        providers.script(Reply.text("Good morning to you"))
        messages: list[anthropic.types.MessageParam] = [{"role": "user", "content": "Hi"}]
        with anthropic_client.messages.stream(model=model, max_tokens=100, messages=messages) as stream:
            assert "".join(stream.text_stream) == "Good morning to you"
            assert stream.get_final_message().stop_reason == "end_turn"

    def test_tool_call(self, anthropic_client: anthropic.Anthropic, providers: SimulatedProviders, model: str) -> None:
        providers.script(Reply.tool_calls(ToolCall("get_weather", {"city": "Paris"})))
        answer = anthropic_client.messages.create(
            model=model,
            max_tokens=100,
            messages=[{"role": "user", "content": "Weather?"}],
            tools=[{"name": "get_weather", "input_schema": WEATHER}],
        )
        calls = [block for block in answer.content if block.type == "tool_use"]
        assert [(call.name, call.input) for call in calls] == [("get_weather", {"city": "Paris"})]
        assert answer.stop_reason == "tool_use"

    def test_rate_limit(self, anthropic_client: anthropic.Anthropic, providers: SimulatedProviders, model: str) -> None:
        providers.script(*[Reply.error(429, retry_after=0)] * 3)
        with pytest.raises(anthropic.RateLimitError):
            anthropic_client.messages.create(model=model, max_tokens=100, messages=[{"role": "user", "content": "Hi"}])


@pytest.mark.parametrize("model", MODELS)
class TestGemini:
    """generateContent in, any provider out."""

    def test_text(self, gemini_client: genai.Client, providers: SimulatedProviders, model: str) -> None:
        providers.script(Reply.text("Good morning"))
        answer = gemini_client.models.generate_content(model=model, contents="Hi")
        assert answer.text == "Good morning"

    def test_stream(self, gemini_client: genai.Client, providers: SimulatedProviders, model: str) -> None:
        providers.script(Reply.text("Good morning to you"))
        chunks = gemini_client.models.generate_content_stream(model=model, contents="Hi")
        assert "".join(chunk.text or "" for chunk in chunks) == "Good morning to you"

    def test_tool_call(self, gemini_client: genai.Client, providers: SimulatedProviders, model: str) -> None:
        providers.script(Reply.tool_calls(ToolCall("get_weather", {"city": "Paris"})))
        declaration = gemini_types.FunctionDeclaration(name="get_weather", parameters_json_schema=WEATHER)
        config = gemini_types.GenerateContentConfig(
            tools=[gemini_types.Tool(function_declarations=[declaration])],
            automatic_function_calling=gemini_types.AutomaticFunctionCallingConfig(disable=True),
        )
        answer = gemini_client.models.generate_content(model=model, contents="Weather?", config=config)
        assert answer.function_calls is not None
        assert [(call.name, call.args) for call in answer.function_calls] == [("get_weather", {"city": "Paris"})]

    def test_rate_limit(self, gemini_client: genai.Client, providers: SimulatedProviders, model: str) -> None:
        providers.script(*[Reply.error(429, retry_after=0)] * 3)
        with pytest.raises(genai.errors.ClientError) as caught:
            gemini_client.models.generate_content(model=model, contents="Hi")
        assert caught.value.code == 429
