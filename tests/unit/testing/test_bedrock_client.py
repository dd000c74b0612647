"""boto3's `bedrock-runtime` client reads what the simulated Bedrock says, event stream and checksums included."""

import json
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import boto3
import httpx
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, EventStreamError

from penstock.testing.providers import (
    ErrorEvent,
    ProviderError,
    RedactedThinking,
    Reply,
    SimulatedProviders,
    Text,
    Thinking,
    ToolCall,
    Usage,
    UsagePlace,
)
from tests.unit.testing.reading import drain

MODEL = "anthropic.claude-sonnet-4-5-20250929-v1:0"
ASK: Any = [{"role": "user", "content": [{"text": "Weather?"}]}]
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOLS: Any = {"tools": [{"toolSpec": {"name": "get_weather", "inputSchema": {"json": SCHEMA}}}]}
PARIS = ToolCall("get_weather", {"city": "Paris"})
OSLO = ToolCall("get_weather", {"city": "Oslo"})
SECRETS = {"AKIDFAKE": "fake-secret"}


def connect(provider: SimulatedProviders, secret: str = "fake-secret") -> Any:
    return boto3.client(
        "bedrock-runtime",
        region_name="us-east-1",
        endpoint_url=provider.url("bedrock_converse"),
        aws_access_key_id="AKIDFAKE",
        aws_secret_access_key=secret,
        config=Config(retries={"total_max_attempts": 1}),
    )


@pytest.fixture
def provider() -> Iterator[SimulatedProviders]:
    with SimulatedProviders(aws_secrets=SECRETS) as running:
        yield running


@pytest.fixture
def client(provider: SimulatedProviders) -> Iterator[Any]:
    client = connect(provider)
    yield client
    client.close()


def fold(events: list[Any]) -> tuple[list[Any], str, Any]:
    """The content blocks, stop reason and usage of a stream."""
    blocks: dict[int, Any] = {}
    stop, usage = "", None
    for event in events:
        if start := event.get("contentBlockStart"):
            blocks[start["contentBlockIndex"]] = {**start["start"]["toolUse"], "input": ""}
        elif delta := event.get("contentBlockDelta"):
            block = blocks.setdefault(delta["contentBlockIndex"], {})
            _add(block, delta["delta"])
        elif end := event.get("messageStop"):
            stop = end["stopReason"]
        elif last := event.get("metadata"):
            usage = last["usage"]
    return [blocks[index] for index in sorted(blocks)], stop, usage


def _add(block: dict[str, Any], delta: Any) -> None:
    if "toolUse" in delta:
        block["input"] += delta["toolUse"]["input"]
    elif "text" in delta:
        block["text"] = block.get("text", "") + delta["text"]
    else:
        for name, value in delta["reasoningContent"].items():
            block[name] = block.get(name, type(value)()) + value


def test_text_whole_and_streamed(client: Any, provider: SimulatedProviders) -> None:
    reply = Reply.text("Hello there").reporting(
        Usage(100, 7, cached_tokens=60, cache_written_tokens=20, cache_written_1h_tokens=10)
    )
    provider.script(reply, reply)
    whole = client.converse(modelId=MODEL, messages=ASK)
    blocks, stop, usage = fold(list(client.converse_stream(modelId=MODEL, messages=ASK)["stream"]))
    assert whole["output"]["message"]["content"] == blocks == [{"text": "Hello there"}]
    assert whole["stopReason"] == stop == "end_turn"
    assert whole["usage"] == usage
    assert (usage["inputTokens"], usage["outputTokens"], usage["totalTokens"]) == (10, 7, 107)
    assert (usage["cacheReadInputTokens"], usage["cacheWriteInputTokens"]) == (60, 30)
    assert usage["cacheDetails"] == [{"ttl": "5m", "inputTokens": 20}, {"ttl": "1h", "inputTokens": 10}]


def test_parallel_tools_and_thinking_go_round(client: Any, provider: SimulatedProviders) -> None:
    spoken = Reply.of(Thinking("let me see"), RedactedThinking(), Text("I look."), PARIS, OSLO)
    provider.script(spoken, spoken, Reply.text("Sunny."))
    whole = client.converse(modelId=MODEL, messages=ASK, toolConfig=TOOLS)
    stream = client.converse_stream(modelId=MODEL, messages=ASK, toolConfig=TOOLS)["stream"]
    blocks, stop, _ = fold(list(stream))
    assert whole["stopReason"] == stop == "tool_use"
    assert [json.loads(block["input"]) for block in blocks[3:]] == [{"city": "Paris"}, {"city": "Oslo"}]
    said = whole["output"]["message"]
    reasoning = said["content"][0]["reasoningContent"]["reasoningText"]
    assert reasoning["text"] == blocks[0]["text"] == "let me see"
    assert reasoning["signature"] == blocks[0]["signature"]
    assert said["content"][1]["reasoningContent"]["redactedContent"] == blocks[1]["redactedContent"]
    uses = [part["toolUse"] for part in said["content"] if "toolUse" in part]
    results = [{"toolResult": {"toolUseId": use["toolUseId"], "content": [{"json": {"celsius": 22}}]}} for use in uses]
    history = [*ASK, said, {"role": "user", "content": results}]
    last = client.converse(modelId=MODEL, messages=history, toolConfig=TOOLS)
    assert last["output"]["message"]["content"][0]["text"] == "Sunny."


@pytest.mark.parametrize(
    ("status", "name"),
    [
        (400, "ValidationException"),
        (403, "AccessDeniedException"),
        (404, "ResourceNotFoundException"),
        (408, "ModelTimeoutException"),
        (424, "ModelErrorException"),
        (429, "ThrottlingException"),
        (500, "InternalServerException"),
        (503, "ServiceUnavailableException"),
    ],
)
def test_errors_raise_the_clients_own_classes(
    client: Any, provider: SimulatedProviders, status: int, name: str
) -> None:
    provider.script(Reply.error(status, "the reason"))
    with pytest.raises(getattr(client.exceptions, name)) as raised:
        client.converse(modelId=MODEL, messages=ASK)
    error: ClientError = raised.value
    assert error.response["Error"] == {"Message": "the reason", "Code": name}
    assert error.response["ResponseMetadata"]["HTTPStatusCode"] == status
    assert error.response["ResponseMetadata"]["RequestId"]


@pytest.mark.parametrize(
    ("status", "name"),
    [(429, "throttlingException"), (424, "modelStreamErrorException"), (500, "internalServerException")],
)
def test_an_exception_in_the_middle_of_a_stream(
    client: Any, provider: SimulatedProviders, status: int, name: str
) -> None:
    provider.script(Reply.text("one two").with_faults(ErrorEvent(ProviderError(status, "no more"), after=2)))
    seen: list[Any] = []
    with (
        closing(client.converse_stream(modelId=MODEL, messages=ASK)["stream"]) as stream,
        pytest.raises(EventStreamError) as raised,
    ):
        drain(stream, seen)
    assert [name for event in seen for name in event] == ["messageStart", "contentBlockDelta"]
    assert raised.value.response["Error"] == {"Code": name, "Message": "no more"}


def test_a_wrong_signature_is_refused(provider: SimulatedProviders) -> None:
    client = connect(provider, secret="another-secret")
    with pytest.raises(ClientError) as raised:
        client.converse(modelId=MODEL, messages=ASK)
    assert raised.value.response["Error"]["Code"] == "InvalidSignatureException"
    client.close()


def test_a_bedrock_api_key_is_a_bearer_token() -> None:
    """boto3 sends one over https only, so this goes by a plain client."""
    with SimulatedProviders(keys={"fake-token"}) as provider:
        url = f"{provider.url('bedrock')}/model/{MODEL}/converse"
        good = httpx.post(url, json={"messages": ASK}, headers={"authorization": "Bearer fake-token"})
        bad = httpx.post(url, json={"messages": ASK}, headers={"authorization": "Bearer other"})
        none = httpx.post(url, json={"messages": ASK})
    assert good.status_code == 200
    assert (bad.status_code, bad.headers["x-amzn-errortype"].partition(":")[0]) == (403, "AccessDeniedException")
    assert none.json() == {"message": "Missing Authentication Token"}


def test_structured_output_and_forced_tools(client: Any) -> None:
    structure = {"jsonSchema": {"schema": json.dumps(SCHEMA), "name": "place"}}
    shaped = client.converse(
        modelId=MODEL, messages=ASK, outputConfig={"textFormat": {"type": "json_schema", "structure": structure}}
    )
    assert json.loads(shaped["output"]["message"]["content"][0]["text"]) == {"city": "text"}
    forced = client.converse(modelId=MODEL, messages=ASK, toolConfig={**TOOLS, "toolChoice": {"any": {}}})
    assert forced["output"]["message"]["content"][0]["toolUse"]["input"] == {"city": "text"}


def test_usage_may_be_missing_from_a_stream(client: Any, provider: SimulatedProviders) -> None:
    provider.script(Reply.text("x").reporting(place=UsagePlace.MISSING))
    events = list(client.converse_stream(modelId=MODEL, messages=ASK)["stream"])
    assert "metadata" not in [name for event in events for name in event]


def test_tokens_are_counted(client: Any) -> None:
    counted = client.count_tokens(modelId=MODEL, input={"converse": {"messages": ASK}})
    assert counted["inputTokens"] > 0
    body = json.dumps({"anthropic_version": "bedrock-2023-05-31", "max_tokens": 5, "messages": [
        {"role": "user", "content": "hi"}]})  # fmt: skip
    assert client.count_tokens(modelId=MODEL, input={"invokeModel": {"body": body}})["inputTokens"] > 0


@pytest.mark.parametrize(
    ("model", "body", "read"),
    [
        ("amazon.titan-embed-text-v2:0", {"inputText": "a cat", "dimensions": 4}, lambda made: made["embedding"]),
        (
            "cohere.embed-v4:0",
            {"texts": ["a cat"], "input_type": "search_query", "output_dimension": 4},
            lambda made: made["embeddings"]["float"][0],
        ),
        (
            "amazon.nova-2-multimodal-embeddings-v1:0",
            {
                "taskType": "SINGLE_EMBEDDING",
                "singleEmbeddingParams": {
                    "embeddingPurpose": "GENERIC_RETRIEVAL",
                    "embeddingDimension": 4,
                    "text": {"truncationMode": "NONE", "value": "a cat"},
                },
            },
            lambda made: made["embeddings"][0]["embedding"],
        ),
    ],
)
def test_embeddings_by_invoke(client: Any, model: str, body: Any, read: Any) -> None:
    answer = client.invoke_model(modelId=model, body=json.dumps(body))
    assert len(read(json.loads(answer["body"].read()))) == 4
    with pytest.raises(client.exceptions.ValidationException, match="extraneous key"):
        client.invoke_model(modelId=model, body=json.dumps({**body, "nonsense": 1}))


def test_claude_by_invoke_whole_and_streamed(client: Any) -> None:
    asked = [{"role": "user", "content": "hi"}]
    body = json.dumps({"anthropic_version": "bedrock-2023-05-31", "max_tokens": 5, "messages": asked})
    whole = json.loads(client.invoke_model(modelId=MODEL, body=body)["body"].read())
    assert whole["content"] == [{"type": "text", "text": "You said: hi"}]
    stream = client.invoke_model_with_response_stream(modelId=MODEL, body=body)["body"]
    events = [json.loads(event["chunk"]["bytes"]) for event in stream]
    said = [event["delta"]["text"] for event in events if event["type"] == "content_block_delta"]
    assert "".join(said) == "You said: hi"
    without = json.dumps({"max_tokens": 5, "messages": asked})
    with pytest.raises(client.exceptions.ValidationException, match="anthropic_version: Field required"):
        client.invoke_model(modelId=MODEL, body=without)
