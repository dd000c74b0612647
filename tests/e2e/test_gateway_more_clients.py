"""What the official clients do besides the plain call: their async twins, model lists, raw answers, beta headers, the
demo model with tools and schemas, and streams that fail.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, TypeVar

import anthropic
import openai
import pytest
from google import genai
from google.genai import types as gemini_types

from penstock.testing.providers import Cut, ReceivedRequest, Reply, SimulatedProviders
from tests.e2e.gateway import KEY, Running, environment_for, serving

T = TypeVar("T")
MODELS = ("openai/gpt-4o", "anthropic/claude-sonnet-4-5", "gemini/gemini-2.5-flash")
WEATHER: dict[str, Any] = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
SAID: Any = [{"role": "user", "content": "Hi there"}]


@pytest.fixture(scope="module")
def server() -> Iterator[SimulatedProviders]:
    with SimulatedProviders() as simulated:
        yield simulated


@pytest.fixture
def providers(server: SimulatedProviders) -> SimulatedProviders:
    server.clear()
    return server


@pytest.fixture(scope="module")
def gateway(server: SimulatedProviders) -> Iterator[Running]:
    with serving(environment_for(server, PENSTOCK_MASTER_KEY=KEY)) as running:
        yield running


@pytest.fixture
def chat(gateway: Running) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=gateway.key, max_retries=0) as client:
        yield client


@pytest.fixture
def claude(gateway: Running) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=gateway.url, api_key=gateway.key, max_retries=0) as client:
        yield client


@pytest.fixture
def gemini(gateway: Running) -> Iterator[genai.Client]:
    with genai.Client(api_key=gateway.key, http_options=gemini_types.HttpOptions(base_url=gateway.url)) as client:
        yield client


def with_openai(gateway: Running, use: Callable[[openai.AsyncOpenAI], Awaitable[T]]) -> T:
    async def main() -> T:
        async with openai.AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key=gateway.key, max_retries=0) as client:
            return await use(client)

    return asyncio.run(main())


# -- async twins ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", MODELS)
def test_async_openai(gateway: Running, providers: SimulatedProviders, model: str) -> None:
    async def use(client: openai.AsyncOpenAI) -> tuple[str | None, str]:
        whole = await client.chat.completions.create(model=model, messages=SAID)
        stream = await client.chat.completions.create(model=model, messages=SAID, stream=True)
        pieces = [chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices]
        return whole.choices[0].message.content, "".join(pieces)

    providers.script(Reply.text("Good morning"), Reply.text("Good evening"))
    assert with_openai(gateway, use) == ("Good morning", "Good evening")


@pytest.mark.parametrize("model", MODELS)
def test_async_anthropic(gateway: Running, providers: SimulatedProviders, model: str) -> None:
    async def main() -> tuple[Any, str]:
        async with anthropic.AsyncAnthropic(base_url=gateway.url, api_key=gateway.key, max_retries=0) as client:
            whole = await client.messages.create(model=model, max_tokens=50, messages=SAID)
            async with client.messages.stream(model=model, max_tokens=50, messages=SAID) as stream:
                return whole.content[0], "".join([text async for text in stream.text_stream])

    providers.script(Reply.text("Good morning"), Reply.text("Good evening"))
    block, streamed = asyncio.run(main())
    assert (block.text, streamed) == ("Good morning", "Good evening")


@pytest.mark.parametrize("model", MODELS)
def test_async_gemini(gemini: genai.Client, providers: SimulatedProviders, model: str) -> None:
    async def main() -> tuple[str | None, str]:
        whole = await gemini.aio.models.generate_content(model=model, contents="Hi")
        stream = await gemini.aio.models.generate_content_stream(model=model, contents="Hi")
        found = whole.text, "".join([chunk.text or "" async for chunk in stream])
        await gemini.aio.aclose()
        return found

    providers.script(Reply.text("Good morning"), Reply.text("Good evening"))
    assert asyncio.run(main()) == ("Good morning", "Good evening")


def test_many_calls_at_once_get_their_own_answers(gateway: Running, providers: SimulatedProviders) -> None:
    async def use(client: openai.AsyncOpenAI) -> list[str | None]:
        async def one(number: int) -> str | None:
            messages: Any = [{"role": "user", "content": f"number {number}"}]
            answer = await client.chat.completions.create(model=MODELS[number % 3], messages=messages)
            return answer.choices[0].message.content

        return await asyncio.gather(*map(one, range(30)))

    def echo(request: ReceivedRequest) -> Reply:
        return Reply.text("you are " + re.findall(r"number (\d+)", request.body.decode())[0])

    providers.answer_with(echo)
    assert with_openai(gateway, use) == [f"you are {number}" for number in range(30)]


# -- lists and ids ----------------------------------------------------------------------------------------------------


def test_openai_lists_models(chat: openai.OpenAI) -> None:
    names = [model.id for model in chat.models.list()]
    assert names[0] == "demo" and "openai/gpt-4o" in names
    assert chat.models.retrieve("openai/gpt-4o").owned_by == "openai"
    with pytest.raises(openai.NotFoundError):
        chat.models.retrieve("no-such-model")


def test_anthropic_lists_models(claude: anthropic.Anthropic) -> None:
    assert "anthropic/claude-sonnet-4-5" in [model.id for model in claude.models.list()]


def test_gemini_lists_models(gemini: genai.Client) -> None:
    assert "models/gemini/gemini-2.5-flash" in [model.name for model in gemini.models.list()]


def test_clients_show_the_id_of_a_call(chat: openai.OpenAI, claude: anthropic.Anthropic) -> None:
    raw = chat.chat.completions.with_raw_response.create(model="demo", messages=SAID)
    assert raw.parse()._request_id == raw.headers["x-penstock-call-id"]
    with pytest.raises(anthropic.NotFoundError) as caught:
        claude.messages.create(model="no-such-model", max_tokens=5, messages=SAID)
    assert caught.value.request_id == caught.value.response.headers["x-penstock-call-id"]


# -- what an agent sends ----------------------------------------------------------------------------------------------

CLAUDE_CODE = {
    "user-agent": "claude-cli/2.0.0 (external, cli)",
    "x-app": "cli",
    "anthropic-dangerous-direct-browser-access": "true",
    "x-stainless-helper-method": "stream",
    "x-claude-code-session-id": "5a1f0000-0000-0000-0000-000000000000",
}
BETAS = ["claude-code-20250219", "interleaved-thinking-2025-05-14"]


@pytest.mark.parametrize("model", MODELS)
def test_a_coding_agents_request_passes(claude: anthropic.Anthropic, providers: SimulatedProviders, model: str) -> None:
    """Betas, cache markers, tools, metadata, a list of system blocks: as such an agent sends them."""
    providers.script(Reply.text("Done"))
    answer = claude.beta.messages.create(
        model=model,
        max_tokens=1000,
        betas=BETAS,
        extra_headers=CLAUDE_CODE,
        system=[{"type": "text", "text": "You are an agent.", "cache_control": {"type": "ephemeral"}}],
        messages=[
            {"role": "user", "content": [{"type": "text", "text": "Hi", "cache_control": {"type": "ephemeral"}}]}
        ],
        tools=[{"name": "Bash", "description": "Run a command", "input_schema": WEATHER}],
        metadata={"user_id": "user_abc_account__session_def"},
    )
    assert answer.content[0].type == "text" and answer.content[0].text == "Done"
    sent = providers.last.headers
    passed_on = model.startswith("anthropic/")
    assert sent.get("anthropic-beta") == (",".join(BETAS) if passed_on else None)
    assert "x-claude-code-session-id" not in sent, "what is not part of the dialect stays here"
    assert KEY not in str(list(sent.items())), "the gateway's key is for the gateway"


# -- the demo model ---------------------------------------------------------------------------------------------------


def test_the_demo_model_speaks_chat_completions(chat: openai.OpenAI) -> None:
    answer = chat.chat.completions.create(model="demo", messages=SAID)
    assert (answer.choices[0].message.content or "").endswith("You said: Hi there")
    assert answer.id.startswith("chatcmpl-")
    stream = chat.chat.completions.create(
        model="demo", messages=SAID, stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices).endswith("You said: Hi there")
    assert chunks[-1].usage is not None and chunks[-1].usage.prompt_tokens == 2


def test_the_demo_model_calls_tools_and_answers_schemas(chat: openai.OpenAI) -> None:
    called = chat.chat.completions.create(
        model="demo",
        messages=SAID,
        tool_choice="required",
        tools=[{"type": "function", "function": {"name": "get_weather", "parameters": WEATHER}}],
    )
    calls = called.choices[0].message.tool_calls
    assert calls is not None and calls[0].type == "function"
    assert json.loads(calls[0].function.arguments) == {"city": "demo"}
    shaped = chat.chat.completions.create(
        model="demo",
        messages=SAID,
        response_format={"type": "json_schema", "json_schema": {"name": "weather", "schema": WEATHER}},
    )
    assert json.loads(shaped.choices[0].message.content or "") == {"city": "demo"}


def test_the_demo_model_speaks_messages(claude: anthropic.Anthropic) -> None:
    answer = claude.messages.create(model="demo", max_tokens=50, messages=SAID)
    assert answer.content[0].type == "text" and answer.content[0].text.endswith("You said: Hi there")
    assert answer.id.startswith("msg_")
    with claude.messages.stream(
        model="demo",
        max_tokens=50,
        messages=SAID,
        tools=[{"name": "get_weather", "input_schema": WEATHER}],
        tool_choice={"type": "tool", "name": "get_weather"},
    ) as stream:
        final = stream.get_final_message()
    assert [block.input for block in final.content if block.type == "tool_use"] == [{"city": "demo"}]
    assert final.stop_reason == "tool_use"


def test_the_demo_model_speaks_gemini(gemini: genai.Client) -> None:
    config = gemini_types.GenerateContentConfig(response_mime_type="application/json", response_json_schema=WEATHER)
    shaped = gemini.models.generate_content(model="demo", contents="Hi there", config=config)
    assert json.loads(shaped.text or "") == {"city": "demo"}
    chunks = gemini.models.generate_content_stream(model="demo", contents="Hi there")
    assert "".join(chunk.text or "" for chunk in chunks).endswith("You said: Hi there")


# -- streams that fail ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", MODELS)
def test_each_client_sees_that_its_stream_broke_off(
    chat: openai.OpenAI,
    claude: anthropic.Anthropic,
    gemini: genai.Client,
    providers: SimulatedProviders,
    model: str,
) -> None:
    providers.script(*[Reply.text("one two three four five six seven eight").with_faults(Cut(after=5))] * 3)
    with pytest.raises(openai.APIError, match="broke off"):
        list(chat.chat.completions.create(model=model, messages=SAID, stream=True))
    with (
        pytest.raises(anthropic.APIError, match="broke off"),
        claude.messages.stream(model=model, max_tokens=50, messages=SAID) as stream,
    ):
        stream.get_final_message()
    with pytest.raises(genai.errors.APIError, match="broke off"):
        list(gemini.models.generate_content_stream(model=model, contents="Hi"))
