"""boto3 as a peer: it validates the requests that we render, and reads the answers, streams and errors that we render.

No socket: the client's own hook hands over the request that it would send, and takes the answer's bytes.
"""

import json
from base64 import b64decode
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from botocore.exceptions import ClientError, EventStreamError, ParamValidationError

from penstock.dialects.aws_event_stream import MEDIA_TYPE
from penstock.dialects.bedrock_converse import DIALECT
from penstock.dialects.dialect import Context
from penstock.types.content import Base64, Cache, Citation, Media, Signature, Text, Thinking, ToolCall, ToolResult
from penstock.types.errors import ErrorResponse
from penstock.types.notes import NO_MEMO
from penstock.types.profile import Profile
from penstock.types.request import Message, Reasoning, Request, Tool, ToolChoice
from penstock.types.response import Choice, Response
from penstock.types.stream import (
    ArgumentsDelta,
    CitationDelta,
    Delta,
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
from penstock.types.usage import Usage
from tests.contract.dialects import EVERY_FIELD, EVERY_PART, PIXEL, SCHEMA, foreign_request, request_with
from tests.unit.dialects.bedrock_converse.samples import EVENTS, REQUEST, STREAM, WHOLE


class Body:
    """The bytes of an answer, in pieces."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def stream(self, amount: int = 0, decode_content: bool = True) -> Iterator[bytes]:
        for start in range(0, len(self._data), 50):
            yield self._data[start : start + 50]

    def close(self) -> None:
        pass


class Peer:
    """A boto3 client whose wire ends here."""

    def __init__(self) -> None:
        self.client: Any = boto3.client(
            "bedrock-runtime",
            region_name="us-east-1",
            aws_access_key_id="AKIDFAKE",
            aws_secret_access_key="fake-secret",
        )
        self.sent: Any = None
        self.path = ""
        self._answer: tuple[int, Any, bytes] = (200, {}, b"{}")
        self.client.meta.events.register("before-send.bedrock-runtime.*", self._send)

    def _send(self, request: Any, **_: Any) -> AWSResponse:
        self.sent = json.loads(request.body)
        self.path = request.url.partition(".amazonaws.com")[2]
        status, headers, data = self._answer
        return AWSResponse(request.url, status, headers, Body(data))

    def converse(self, body: dict[str, Any], answer: dict[str, Any], status: int = 200) -> dict[str, Any]:
        self._answer = (status, {"content-type": "application/json"}, json.dumps(answer).encode())
        found: dict[str, Any] = self.client.converse(modelId="us.amazon.nova-lite-v1:0", **_with_blobs(body))
        return found

    def stream(self, data: bytes) -> list[dict[str, Any]]:
        self._answer = (200, {"content-type": MEDIA_TYPE}, data)
        return list(self.client.converse_stream(modelId="m.m", messages=[])["stream"])


def _with_blobs(value: Any) -> Any:
    """The body as boto3 wants it: bytes where the wire has base64."""
    if isinstance(value, list):
        return [_with_blobs(inner) for inner in value]
    if not isinstance(value, dict):
        return value
    return {
        key: b64decode(inner) if key in ("bytes", "redactedContent") and isinstance(inner, str) else _with_blobs(inner)
        for key, inner in value.items()
    }


@pytest.fixture(scope="module")
def peer() -> Iterator[Peer]:
    made = Peer()
    yield made
    made.client.close()


ANSWER: dict[str, Any] = {"output": {"message": {"role": "assistant", "content": [{"text": "ok"}]}}}


# -- requests ----------------------------------------------------------------------------------------------------------


def assert_accepted(peer: Peer, request: Request, profile: Profile) -> None:
    """boto3's model of the API takes the request, and sends just that."""
    body = DIALECT.render_request(request, profile).value
    peer.converse(body, ANSWER)
    assert peer.sent == body
    assert peer.path == DIALECT.path("us.amazon.nova-lite-v1:0", False)


PROFILES = (
    Profile(),
    Profile(reasoning="adaptive", structured_output="tool"),
    Profile(reasoning="level", structured_output="prompt", repair_turns=True, replay_thinking=True),
)


@pytest.mark.parametrize("profile", PROFILES)
def test_requests_of_every_part(peer: Peer, profile: Profile) -> None:
    for role, part in EVERY_PART.values():
        assert_accepted(peer, request_with(role, part), profile)


@pytest.mark.parametrize("profile", PROFILES)
def test_a_request_of_every_field(peer: Peer, profile: Profile) -> None:
    assert_accepted(peer, foreign_request(**EVERY_FIELD), profile)


def test_a_rich_conversation(peer: Peer) -> None:
    assert_accepted(
        peer,
        foreign_request(
            system=(Text("Be brief.", cache=Cache("1h")),),
            messages=(
                Message("user", (Text("See"), Media("file", Base64("JVBERi0="), "application/pdf", "a: b.pdf"))),
                Message("assistant", (Thinking("Hm.", signature=Signature("c2ln", "anthropic")), Text("I look."))),
                Message("assistant", (ToolCall("call|1", "look.up", '{"city":"Paris"}'),)),
                Message("tool", (ToolResult("call|1", (Media("image", Base64(PIXEL), "image/png"),), is_error=False),)),
                Message("user", (Text("Well?", cache=Cache()),)),
            ),
            tools=(Tool("look.up", parameters=SCHEMA, cache=Cache()),),
            tool_choice=ToolChoice("tool", "look.up"),
            reasoning=Reasoning("low"),
            max_tokens=5000,
        ),
        Profile(),
    )


DOCUMENTED = {
    *("text", "image", "document", "video", "audio", "toolUse", "toolResult", "guardContent", "cachePoint"),
    *("reasoningContent", "citationsContent", "searchResult", "toolAddition"),
}


def test_our_samples_are_of_the_api(peer: Peer) -> None:
    """The golden tests prove little if the samples are not what Amazon documents: boto3 knows every kind of block."""
    accepted: set[str] = set()
    for message in REQUEST["messages"][:3]:
        for block in message["content"]:
            body = {"messages": [{"role": message["role"], "content": [block]}]}
            with suppress(ParamValidationError):
                peer.converse(body, ANSWER)
                assert peer.sent == body
                accepted.add(next(iter(block)))
    assert accepted == DOCUMENTED


# -- answers -----------------------------------------------------------------------------------------------------------


def test_an_answer(peer: Peer) -> None:
    response = Response(
        dialect="contract",
        choices=(
            Choice(
                (
                    Thinking("Hm.", signature=Signature("c2ln", "anthropic")),
                    Thinking(signature=Signature("EqQB", "anthropic"), redacted=True),
                    Text("Paris", (Citation("https://example.com", "E", "cited"),)),
                    ToolCall("call_1", "look_up", '{"city":"Paris"}'),
                    Media("image", Base64(PIXEL), "image/png"),
                ),
                "tool_calls",
            ),
        ),
        usage=Usage(input_tokens=30, output_tokens=5, cache_read_tokens=10),
        service_tier="flex",
    )
    found = peer.converse({"messages": []}, DIALECT.render_response(response, Context()).value)
    found.pop("ResponseMetadata")
    assert found == {
        "output": {
            "message": {
                "role": "assistant",
                "content": [
                    {"reasoningContent": {"reasoningText": {"text": "Hm.", "signature": "c2ln"}}},
                    {"reasoningContent": {"redactedContent": b"EqQB"}},
                    {
                        "citationsContent": {
                            "content": [{"text": "Paris"}],
                            "citations": [
                                {
                                    "title": "E",
                                    "sourceContent": [{"text": "cited"}],
                                    "location": {"web": {"url": "https://example.com"}},
                                }
                            ],
                        }
                    },
                    {"toolUse": {"toolUseId": "call_1", "name": "look_up", "input": {"city": "Paris"}}},
                    {"image": {"format": "png", "source": {"bytes": b64decode(PIXEL)}}},
                ],
            }
        },
        "stopReason": "tool_use",
        "usage": {"inputTokens": 20, "outputTokens": 5, "totalTokens": 35, "cacheReadInputTokens": 10},
        "metrics": {"latencyMs": 0},
        "serviceTier": {"type": "flex"},
    }


def test_an_error(peer: Peer) -> None:
    status, body = DIALECT.render_error(ErrorResponse(kind="rate_limit", status=400, message="Slow down"))
    with pytest.raises(ClientError) as caught:
        peer.converse({"messages": []}, body, status)
    assert caught.value.response["Error"] == {"Code": "ThrottlingException", "Message": "Slow down"}


# -- streams -----------------------------------------------------------------------------------------------------------


def render(*deltas: Delta, source: str = "contract") -> bytes:
    writer = DIALECT.stream_renderer(Context(source=source))
    return b"".join(writer.render(StreamEvent((delta,))) for delta in deltas)


def test_a_stream_of_another_dialect(peer: Peer) -> None:
    data = render(
        Start("id"),
        ThinkingDelta(0, "Hm."),
        SignatureDelta(0, Signature("c2ln", "anthropic")),
        PartStart(1, Thinking(signature=Signature("EqQB", "anthropic"), redacted=True)),
        TextDelta(2, "Grüße"),
        CitationDelta(2, Citation("https://example.com", "E")),
        PartEnd(2),
        PartStart(3, ToolCall("call_1", "look_up", {})),
        ArgumentsDelta(3, '{"city":"Paris"}'),
        PartEnd(3),
        Stop("tool_calls"),
        UsageDelta(Usage(input_tokens=3, output_tokens=2)),
        End(),
    )
    citation = {"title": "E", "location": {"web": {"url": "https://example.com"}}}
    assert peer.stream(data) == [
        {"messageStart": {"role": "assistant"}},
        delta(0, {"reasoningContent": {"text": "Hm."}}),
        delta(0, {"reasoningContent": {"signature": "c2ln"}}),
        stop(0),
        delta(1, {"reasoningContent": {"redactedContent": b"EqQB"}}),
        stop(1),
        delta(2, {"text": "Grüße"}),
        delta(2, {"citation": citation}),
        stop(2),
        {
            "contentBlockStart": {
                "start": {"toolUse": {"toolUseId": "call_1", "name": "look_up"}},
                "contentBlockIndex": 3,
            }
        },
        delta(3, {"toolUse": {"input": '{"city":"Paris"}'}}),
        stop(3),
        {"messageStop": {"stopReason": "tool_use"}},
        {
            "metadata": {
                "usage": {"inputTokens": 3, "outputTokens": 2, "totalTokens": 5},
                "metrics": {"latencyMs": 0},
            }
        },
    ]


def delta(index: int, piece: dict[str, Any]) -> dict[str, Any]:
    return {"contentBlockDelta": {"delta": piece, "contentBlockIndex": index}}


def stop(index: int) -> dict[str, Any]:
    return {"contentBlockStop": {"contentBlockIndex": index}}


def test_our_own_stream_says_the_same_to_boto3_before_and_after(peer: Peer) -> None:
    known = [name for name, _ in EVENTS if name != "futureEvent"]
    before = peer.stream(STREAM)
    assert [next(iter(event)) for event in before] == known
    parser = DIALECT.stream_parser(NO_MEMO)
    writer = DIALECT.stream_renderer(Context(source="bedrock_converse"))
    again = b"".join(writer.render(event) for event in [*parser.feed(STREAM), *parser.close()]) + writer.close()
    assert peer.stream(again) == before


def test_the_whole_answer_is_of_the_api(peer: Peer) -> None:
    found = peer.converse({"messages": []}, WHOLE)
    assert len(found["output"]["message"]["content"]) == len(WHOLE["output"]["message"]["content"])


@pytest.mark.parametrize("kind", ["rate_limit", "overloaded", "server", "timeout", "context_window"])
def test_a_failure_in_a_stream(peer: Peer, kind: Any) -> None:
    failure = Failure(ErrorResponse(kind=kind, status=500, message="It broke.", dialect="contract"))
    with pytest.raises(EventStreamError, match=r"It broke\.") as caught:
        peer.stream(render(TextDelta(0, "Hi"), failure))
    assert caught.value.response["Error"]["Code"].endswith("Exception")
