"""The official `openai` client reads what the simulated OpenAI says: chat, responses, and the smaller endpoints."""

import asyncio
import base64
import io
import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from pydantic import BaseModel

from penstock.testing.providers import (
    ErrorEvent,
    ProviderError,
    Refusal,
    Reply,
    SimulatedProviders,
    Text,
    Thinking,
    ToolCall,
    Usage,
    UsagePlace,
)
from tests.unit.testing.reading import drain

PARIS = ToolCall("get_weather", {"city": "Paris"})
OSLO = ToolCall("get_weather", {"city": "Oslo"})
WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
ASK: Any = [{"role": "user", "content": "Weather?"}]


@pytest.fixture
def client(provider: SimulatedProviders) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=provider.url("openai_chat"), api_key="sk-fake", max_retries=0) as client:
        yield client


# --- chat ------------------------------------------------------------------------------------------------------------


def test_the_default_answer_repeats_what_the_user_said(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "Grüße"}])
    assert answer.choices[0].message.content == "You said: Grüße"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


def test_a_streamed_text_arrives_in_the_scripted_pieces(provider: SimulatedProviders, client: openai.OpenAI) -> None:
    provider.script(Reply.text("Hello there.", pieces=["Hel", "lo", " there."]))
    with client.chat.completions.create(model="gpt-4o", messages=ASK, stream=True) as stream:
        chunks = list(stream)
    assert [chunk.choices[0].delta.content for chunk in chunks] == ["", "Hel", "lo", " there.", None]
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert all(chunk.usage is None for chunk in chunks), "usage was not asked for"


def test_a_stream_bears_usage_when_it_is_asked_for(provider: SimulatedProviders, client: openai.OpenAI) -> None:
    provider.script(Reply.text("Hi").reporting(Usage(120, 9, cached_tokens=100, reasoning_tokens=4)))
    options: Any = {"include_usage": True}
    with client.chat.completions.create(model="gpt-4o", messages=ASK, stream=True, stream_options=options) as stream:
        last = list(stream)[-1]
    assert last.choices == []
    assert last.usage is not None
    assert (last.usage.prompt_tokens, last.usage.completion_tokens, last.usage.total_tokens) == (120, 9, 129)
    assert last.usage.prompt_tokens_details is not None
    assert last.usage.prompt_tokens_details.cached_tokens == 100
    assert last.usage.completion_tokens_details is not None
    assert last.usage.completion_tokens_details.reasoning_tokens == 4


def test_parallel_tool_calls_whole_and_streamed(provider: SimulatedProviders, client: openai.OpenAI) -> None:
    reply = Reply.tool_calls(PARIS, OSLO, saying="Let me look.")
    provider.script(reply, reply)
    whole = client.chat.completions.create(model="gpt-4o", messages=ASK, tools=[WEATHER])
    with client.chat.completions.stream(model="gpt-4o", messages=ASK, tools=[WEATHER]) as stream:
        streamed = stream.get_final_completion()
    for answer in (whole, streamed):
        choice = answer.choices[0]
        assert choice.finish_reason == "tool_calls"
        assert choice.message.content == "Let me look."
        calls: Any = choice.message.tool_calls
        assert [call.function.arguments for call in calls] == ['{"city":"Paris"}', '{"city":"Oslo"}']
        assert len({call.id for call in calls}) == 2


def test_a_conversation_with_tools_goes_round(client: openai.OpenAI, provider: SimulatedProviders) -> None:
    provider.script(Reply.tool_calls(PARIS), Reply.text("Sunny."))
    first = client.chat.completions.create(model="gpt-4o", messages=ASK, tools=[WEATHER])
    message: Any = first.choices[0].message
    history = [*ASK, message, {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "22 C"}]
    second = client.chat.completions.create(model="gpt-4o", messages=history, tools=[WEATHER])
    assert second.choices[0].message.content == "Sunny."
    assert provider.last.json["messages"][-1]["content"] == "22 C"


def test_the_default_answer_obeys_a_forced_tool_and_a_schema(client: openai.OpenAI) -> None:
    class City(BaseModel):
        name: str
        population: int

    forced: Any = {"type": "function", "function": {"name": "get_weather"}}
    called = client.chat.completions.create(model="gpt-4o", messages=ASK, tools=[WEATHER], tool_choice=forced)
    calls: Any = called.choices[0].message.tool_calls
    assert json.loads(calls[0].function.arguments) == {"city": "text"}
    parsed = client.chat.completions.parse(model="gpt-4o", messages=ASK, response_format=City)
    assert parsed.choices[0].message.parsed == City(name="text", population=1)


def test_a_structured_reply_is_text_or_the_forced_tools_arguments(
    client: openai.OpenAI, provider: SimulatedProviders
) -> None:
    provider.script(Reply.structured({"city": "Rome"}), Reply.structured({"city": "Rome"}))
    text = client.chat.completions.create(model="gpt-4o", messages=ASK)
    called = client.chat.completions.create(model="gpt-4o", messages=ASK, tools=[WEATHER], tool_choice="required")
    assert text.choices[0].message.content == '{"city":"Rome"}'
    calls: Any = called.choices[0].message.tool_calls
    assert calls[0].function.arguments == '{"city":"Rome"}'


def test_a_refusal_is_said_as_openai_says_it(client: openai.OpenAI, provider: SimulatedProviders) -> None:
    provider.script(Reply.refusal("I can't help."), Reply.refusal("I can't help."))
    whole = client.chat.completions.create(model="gpt-4o", messages=ASK)
    with client.chat.completions.create(model="gpt-4o", messages=ASK, stream=True) as stream:
        said = "".join(chunk.choices[0].delta.refusal or "" for chunk in stream)
    assert whole.choices[0].message.refusal == said == "I can't help."
    assert whole.choices[0].message.content is None


def test_openai_hides_reasoning_but_counts_it(client: openai.OpenAI, provider: SimulatedProviders) -> None:
    provider.script(Reply.thinking("a long thought indeed", "42"))
    answer = client.chat.completions.create(model="gpt-5", messages=ASK)
    assert answer.choices[0].message.content == "42"
    assert "long thought" not in answer.model_dump_json()
    usage: Any = answer.usage
    assert usage.completion_tokens_details.reasoning_tokens == 6


@pytest.mark.parametrize(
    ("name", "field"), [("compatible", "reasoning_content"), ("deepseek", "reasoning_content"), ("groq", "reasoning")]
)
def test_compatible_servers_show_reasoning(provider: SimulatedProviders, name: str, field: str) -> None:
    provider.script(Reply.thinking("hm", "42"), Reply.thinking("hm", "42"))
    with openai.OpenAI(base_url=provider.url(name), api_key="fake") as client:
        whole = client.chat.completions.create(model="m", messages=ASK)
        assert getattr(whole.choices[0].message, field) == "hm"
        with client.chat.completions.create(model="m", messages=ASK, stream=True) as stream:
            shown = [getattr(chunk.choices[0].delta, field, None) for chunk in stream if chunk.choices]
    assert "hm" in shown


@pytest.mark.parametrize(
    ("place", "where"),
    [
        (UsagePlace.EVERY_EVENT, [True, True, True, True]),
        (UsagePlace.FIRST_EVENT, [True, False, False, False]),
        (UsagePlace.LAST_EVENT, [False, False, False, True]),
        (UsagePlace.EMPTY_CHOICES, [False, False, False, False, True]),
        (UsagePlace.TWICE, [False, False, False, True, True]),
        (UsagePlace.MISSING, [False, False, False, False]),
    ],
)
def test_usage_stands_where_the_script_puts_it(
    client: openai.OpenAI, provider: SimulatedProviders, place: UsagePlace, where: list[bool]
) -> None:
    provider.script(Reply.text("ab", pieces=2).reporting(Usage(3, 4), place))
    with client.chat.completions.create(model="gpt-4o", messages=ASK, stream=True) as stream:
        chunks = list(stream)
    assert [chunk.usage is not None for chunk in chunks] == where
    reported = [chunk.usage for chunk in chunks if chunk.usage]
    assert not reported or reported[-1].completion_tokens == 4


def test_groq_bears_usage_in_a_field_of_its_own(provider: SimulatedProviders) -> None:
    native = Reply.text("ab").reporting(Usage(3, 4))
    provider.script(native, native.reporting(Usage(3, 4), UsagePlace.X_GROQ))
    last: list[Any] = []
    with openai.OpenAI(base_url=provider.url("groq"), api_key="fake") as client:
        for _ in range(2):
            with client.chat.completions.create(model="m", messages=ASK, stream=True) as stream:
                last.append(list(stream)[-1])
    assert [chunk.x_groq["usage"]["completion_tokens"] for chunk in last] == [4, 4]
    assert [chunk.usage is None for chunk in last] == [False, True], "today Groq writes it in both places"


def test_several_choices_and_logprobs(client: openai.OpenAI, provider: SimulatedProviders) -> None:
    provider.script(Reply.text("one two"), Reply.text("one two"))
    whole = client.chat.completions.create(model="gpt-4o", messages=ASK, n=2, logprobs=True)
    assert [choice.index for choice in whole.choices] == [0, 1]
    tokens = whole.choices[0].logprobs and whole.choices[0].logprobs.content
    assert [token.token for token in tokens or []] == ["one", " two"]
    with client.chat.completions.create(model="gpt-4o", messages=ASK, n=2, logprobs=True, stream=True) as stream:
        said = ["", ""]
        for chunk in stream:
            said[chunk.choices[0].index] += chunk.choices[0].delta.content or ""
    assert said == ["one two", "one two"]


def test_no_choices_at_all(client: openai.OpenAI, provider: SimulatedProviders) -> None:
    provider.script(Reply.of())
    assert client.chat.completions.create(model="gpt-4o", messages=ASK).choices == []


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (400, openai.BadRequestError),
        (401, openai.AuthenticationError),
        (403, openai.PermissionDeniedError),
        (404, openai.NotFoundError),
        (408, openai.APIStatusError),
        (409, openai.ConflictError),
        (413, openai.APIStatusError),
        (422, openai.UnprocessableEntityError),
        (429, openai.RateLimitError),
        (500, openai.InternalServerError),
        (502, openai.InternalServerError),
        (503, openai.InternalServerError),
        (529, openai.InternalServerError),
    ],
)
def test_errors_raise_the_clients_own_classes(
    client: openai.OpenAI, provider: SimulatedProviders, status: int, expected: type[openai.APIStatusError]
) -> None:
    provider.script(Reply.error(status, "the reason"))
    with pytest.raises(expected) as raised:
        client.chat.completions.create(model="gpt-4o", messages=ASK)
    assert raised.value.status_code == status
    assert raised.value.body["message"] == "the reason"  # type: ignore[index]  # an object, or the test fails
    assert raised.value.request_id == "req_sim00000001"


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("context_window", "context_length_exceeded"),
        ("content_policy", "content_policy_violation"),
        ("quota", "insufficient_quota"),
        ("unknown_model", "model_not_found"),
    ],
)
def test_errors_of_a_kind_bear_their_native_code(
    client: openai.OpenAI, provider: SimulatedProviders, kind: Any, code: str
) -> None:
    provider.script(Reply.error(400, kind=kind))
    with pytest.raises(openai.BadRequestError) as raised:
        client.chat.completions.create(model="gpt-4o", messages=ASK)
    assert raised.value.code == code


def test_retry_after_is_honoured_by_the_client(provider: SimulatedProviders) -> None:
    provider.script(Reply.error(429, retry_after=0.01), Reply.text("second try"))
    with openai.OpenAI(base_url=provider.url("openai_chat"), api_key="fake", max_retries=1) as client:
        answer = client.chat.completions.create(model="gpt-4o", messages=ASK)
    assert answer.choices[0].message.content == "second try"
    assert len(provider.requests) == 2


def test_an_error_in_the_middle_of_a_stream(client: openai.OpenAI, provider: SimulatedProviders) -> None:
    broken = ErrorEvent(ProviderError(500, "it broke"), after=3)
    provider.script(Reply.text("one two three").with_faults(broken))
    seen: list[Any] = []
    with (
        client.chat.completions.create(model="gpt-4o", messages=ASK, stream=True) as stream,
        pytest.raises(openai.APIError, match="it broke"),
    ):
        drain(stream, seen)
    assert [chunk.choices[0].delta.content for chunk in seen] == ["", "one", " two"]


def test_the_async_client_reads_a_stream(provider: SimulatedProviders) -> None:
    async def talk() -> str:
        async with openai.AsyncOpenAI(base_url=provider.url("openai_chat"), api_key="fake") as client:
            stream = await client.chat.completions.create(model="gpt-4o", messages=ASK, stream=True)
            return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

    assert asyncio.run(talk()) == "You said: Weather?"


def test_azure_names_the_deployment_in_the_path(provider: SimulatedProviders) -> None:
    with openai.AzureOpenAI(
        azure_endpoint=provider.url("azure"), api_key="fake", api_version="2024-10-21", azure_deployment="my-gpt"
    ) as client:
        answer = client.chat.completions.create(model="my-gpt", messages=ASK)
    assert answer.choices[0].message.content == "You said: Weather?"
    assert provider.last.path == "/azure/openai/deployments/my-gpt/chat/completions"
    assert provider.last.headers["api-key"] == "fake"


# --- responses -------------------------------------------------------------------------------------------------------

FLAT: Any = {
    "type": "function",
    "name": "get_weather",
    "parameters": WEATHER["function"]["parameters"],
    "strict": False,
}


def test_a_response_whole_and_streamed(client: openai.OpenAI, provider: SimulatedProviders) -> None:
    reply = Reply.of(Thinking("step by step"), Text("Four."), PARIS, OSLO).reporting(Usage(10, 20, reasoning_tokens=5))
    provider.script(reply, reply)
    whole = client.responses.create(model="gpt-5", input="2+2?", tools=[FLAT])
    with client.responses.stream(model="gpt-5", input="2+2?", tools=[FLAT]) as stream:
        kinds = [event.type for event in stream]
        streamed = stream.get_final_response()
    for answer in (whole, streamed):
        assert answer.output_text == "Four."
        assert [item.type for item in answer.output] == ["reasoning", "message", "function_call", "function_call"]
        assert answer.status == "completed"
        assert answer.usage is not None
        assert answer.usage.output_tokens_details.reasoning_tokens == 5
        calls: Any = answer.output[2:]
        assert [json.loads(call.arguments)["city"] for call in calls] == ["Paris", "Oslo"]
    assert kinds[:2] == ["response.created", "response.in_progress"]
    assert kinds[-1] == "response.completed"
    for kind in ("response.reasoning_summary_text.delta", "response.function_call_arguments.delta"):
        assert kind in kinds


def test_events_of_a_response_are_numbered_without_a_gap(client: openai.OpenAI) -> None:
    with client.responses.create(model="gpt-4o", input="hi", stream=True) as stream:
        numbers = [event.sequence_number for event in stream]
    assert numbers == list(range(len(numbers)))


def test_a_response_that_is_cut_off_says_so(client: openai.OpenAI, provider: SimulatedProviders) -> None:
    provider.script(Reply.text("too lo").stopping("length"), Reply.of(Refusal("no")))
    cut = client.responses.create(model="gpt-4o", input="hi")
    assert cut.status == "incomplete"
    assert cut.incomplete_details is not None
    assert cut.incomplete_details.reason == "max_output_tokens"
    refused: Any = client.responses.create(model="gpt-4o", input="hi").output[0]
    assert refused.content[0].refusal == "no"


def test_reasoning_and_tools_go_round(client: openai.OpenAI, provider: SimulatedProviders) -> None:
    provider.script(Reply.of(Thinking("hm"), PARIS), Reply.text("Sunny."))
    asked: list[Any] = [{"role": "user", "content": "Weather?"}]
    first = client.responses.create(
        model="gpt-5", input=asked, tools=[FLAT], include=["reasoning.encrypted_content"], store=False
    )
    call: Any = first.output[1]
    answered = {"type": "function_call_output", "call_id": call.call_id, "output": "22 C"}
    history: Any = [*asked, *(item.model_dump(exclude_none=True) for item in first.output), answered]
    assert client.responses.create(model="gpt-5", input=history, tools=[FLAT]).output_text == "Sunny."


def test_stored_responses_are_kept(client: openai.OpenAI, provider: SimulatedProviders) -> None:
    made = client.responses.create(model="gpt-4o", input="remember me")
    again = client.responses.create(model="gpt-4o", input="and now?", previous_response_id=made.id)
    assert again.previous_response_id == made.id
    assert client.responses.retrieve(made.id).output_text == "You said: remember me"
    listed: Any = client.responses.input_items.list(made.id).data
    assert listed[0].content == "remember me"
    client.responses.delete(made.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(made.id)
    with pytest.raises(openai.BadRequestError) as raised:
        client.responses.create(model="gpt-4o", input="hi", previous_response_id=made.id)
    assert raised.value.code == "previous_response_not_found"


def test_a_response_stream_fails_in_the_middle(client: openai.OpenAI, provider: SimulatedProviders) -> None:
    provider.script(Reply.text("a b c").with_faults(ErrorEvent(ProviderError(429, "slow down"), after=3)))
    with (
        pytest.raises(openai.APIError, match="slow down"),
        client.responses.create(model="gpt-4o", input="hi", stream=True) as stream,
    ):
        list(stream)


def test_input_tokens_are_counted(client: openai.OpenAI) -> None:
    assert client.responses.input_tokens.count(model="gpt-5", input="Tell me a joke.").input_tokens > 0


# --- the smaller endpoints -------------------------------------------------------------------------------------------


def test_embeddings_as_numbers_and_as_base64(client: openai.OpenAI, provider: SimulatedProviders) -> None:
    packed = client.embeddings.create(model="text-embedding-3-small", input=["a cat", "a cat", "a dog"], dimensions=16)
    assert provider.last.json["encoding_format"] == "base64"  # the client's own choice
    plain = client.embeddings.create(
        model="text-embedding-3-small", input=["a cat"], dimensions=16, encoding_format="float"
    )
    first, second, third = (item.embedding for item in packed.data)
    assert first == second != third
    assert first == pytest.approx(plain.data[0].embedding)
    assert sum(value * value for value in first) == pytest.approx(1)


def test_images_are_made_and_edited(client: openai.OpenAI) -> None:
    made: Any = client.images.generate(model="gpt-image-1", prompt="a fox", n=2)
    assert [base64.b64decode(image.b64_json)[:4] for image in made.data] == [b"\x89PNG"] * 2
    assert made.usage.total_tokens > 0
    linked: Any = client.images.generate(model="dall-e-3", prompt="a fox")
    assert linked.data[0].url.startswith("https://")
    edited: Any = client.images.edit(model="gpt-image-1", image=("fox.png", b"\x89PNG"), prompt="a blue fox")
    assert edited.data[0].b64_json


def test_speech_is_binary_and_transcriptions_are_uploads(client: openai.OpenAI, provider: SimulatedProviders) -> None:
    spoken = client.audio.speech.create(model="tts-1", voice="alloy", input="hello", response_format="wav").read()
    assert spoken[:4] == b"RIFF"
    provider.script(Reply.text("hello"), Reply.text("hello there"))
    heard = client.audio.transcriptions.create(model="whisper-1", file=("speech.wav", spoken))
    assert heard.text == "hello"
    assert next(part for part in provider.last.form if part.name == "file").content == spoken
    long = client.audio.transcriptions.create(
        model="whisper-1", file=io.BytesIO(spoken), response_format="verbose_json"
    )
    assert [word.word for word in long.words or []] == ["hello", "there"]


def test_a_transcription_streams(client: openai.OpenAI, provider: SimulatedProviders) -> None:
    provider.script(Reply.text("one two"))
    with client.audio.transcriptions.create(
        model="gpt-4o-transcribe", file=("a.wav", b"RIFF"), stream=True, response_format="json"
    ) as stream:
        events: list[Any] = list(stream)
    assert "".join(event.delta for event in events[:-1]) == events[-1].text == "one two"


def test_moderations_flag_what_the_script_says(client: openai.OpenAI, provider: SimulatedProviders) -> None:
    results = client.moderations.create(input=["a kind word", "an unsafe word"]).results
    assert [result.flagged for result in results] == [False, True]
    provider.script(Reply.refusal("blocked"))
    assert client.moderations.create(input="anything").results[0].flagged


def test_legacy_completions_whole_and_streamed(client: openai.OpenAI, provider: SimulatedProviders) -> None:
    provider.script(Reply.text("a time"), Reply.text("a time"))
    whole = client.completions.create(model="gpt-3.5-turbo-instruct", prompt="Once upon", echo=True)
    assert whole.choices[0].text == "Once upona time"
    with client.completions.create(model="gpt-3.5-turbo-instruct", prompt="Once upon", stream=True) as stream:
        assert "".join(chunk.choices[0].text for chunk in stream) == "a time"


def test_models_are_listed() -> None:
    with (
        SimulatedProviders(models={"gpt-4o", "gpt-5"}) as provider,
        openai.OpenAI(base_url=provider.url("openai"), api_key="fake") as client,
    ):
        assert [model.id for model in client.models.list()] == ["gpt-4o", "gpt-5"]
        assert client.models.retrieve("gpt-5").id == "gpt-5"
        with pytest.raises(openai.NotFoundError) as raised:
            client.chat.completions.create(model="gpt-6", messages=ASK)
    assert raised.value.code == "model_not_found"


def test_a_batch_really_answers_its_lines(client: openai.OpenAI) -> None:
    good = {"model": "gpt-4o", "messages": [{"role": "user", "content": "first"}]}
    lines = [
        {"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": good},
        {"custom_id": "b", "method": "POST", "url": "/v1/chat/completions", "body": {**good, "nonsense": 1}},
    ]
    content = "\n".join(json.dumps(line) for line in lines).encode()
    uploaded = client.files.create(file=("in.jsonl", content), purpose="batch")
    assert client.files.content(uploaded.id).read() == content
    batch = client.batches.create(
        input_file_id=uploaded.id, endpoint="/v1/chat/completions", completion_window="24h", metadata={"team": "a"}
    )
    assert batch.status == "validating"
    done = client.batches.retrieve(batch.id)
    assert done.status == "completed"
    assert done.request_counts is not None
    assert (done.request_counts.completed, done.request_counts.failed) == (1, 1)
    answer = json.loads(client.files.content(str(done.output_file_id)).read())
    assert answer["custom_id"] == "a"
    assert answer["response"]["body"]["choices"][0]["message"]["content"] == "You said: first"
    refused = json.loads(client.files.content(str(done.error_file_id)).read())
    assert refused["response"]["body"]["error"]["code"] == "unknown_parameter"
    assert [item.id for item in client.batches.list()] == [batch.id]


def test_a_batch_is_cancelled_and_files_are_deleted(client: openai.OpenAI) -> None:
    uploaded = client.files.create(file=("in.jsonl", b"{}"), purpose="batch")
    batch = client.batches.create(input_file_id=uploaded.id, endpoint="/v1/chat/completions", completion_window="24h")
    assert client.batches.cancel(batch.id).status == "cancelled"
    assert [file.id for file in client.files.list()] == [uploaded.id]
    assert client.files.delete(uploaded.id).deleted
    with pytest.raises(openai.NotFoundError):
        client.files.retrieve(uploaded.id)
