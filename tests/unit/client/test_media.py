"""Media: what streamed pieces add up to, and by what a call is charged."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from penstock import Client
from penstock.client.media import IMAGE_GENERATION, TRANSCRIPTION
from penstock.client.result_objects import BinaryContent, ImageResponse, StreamedEvent, TranscriptionResponse
from penstock.exchange import HTTPRequest, Reply, Send
from penstock.providers.cost import Terms
from penstock.types.usage import Usage


def test_streamed_images_add_up() -> None:
    events = [
        StreamedEvent({"type": "image_generation.partial_image", "b64_json": "AA==", "partial_image_index": 0}),
        StreamedEvent({"type": "image_generation.completed", "b64_json": "BB==", "created_at": 7, "size": "auto"}),
    ]
    assert [IMAGE_GENERATION.ends(event) for event in events] == [False, True]
    assert IMAGE_GENERATION.whole is not None
    whole = IMAGE_GENERATION.whole(events)
    assert (whole.created, whole.data, whole.size) == (7, [{"b64_json": "BB=="}], "auto")
    assert IMAGE_GENERATION.whole(events[:1]).data == []


def test_a_transcription_that_broke_off_is_what_was_heard() -> None:
    assert TRANSCRIPTION.whole is not None
    heard = [StreamedEvent({"type": "transcript.text.delta", "delta": piece}) for piece in ("he", "llo")]
    assert TRANSCRIPTION.whole(heard).text == "hello"


def test_images_without_tokens_are_charged_by_size_and_quality() -> None:
    answer = ImageResponse({"created": 1, "data": [{"url": "u"}] * 2})
    bill = IMAGE_GENERATION.bill({"model": "azure/dall-e-3", "size": "1024x1792", "quality": "hd"}, answer)
    assert bill.usage == Usage(images=2)
    assert bill.names == ("hd/1024-x-1792/dall-e-3", "1024-x-1792/dall-e-3")
    assert bill.facts == {"terms": Terms(size="1024x1792")}


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"text": "a", "duration": 2.5}, Usage(seconds=2.5)),
        ({"text": "a", "usage": {"type": "duration", "seconds": 3}}, Usage(seconds=3.0)),
        (
            {"text": "a", "usage": {"input_tokens": 9, "output_tokens": 2, "input_token_details": {"audio_tokens": 9}}},
            Usage(input_tokens=9, input_audio_tokens=9, output_tokens=2),
        ),
        ({"text": "a"}, None),
    ],
)
def test_a_transcription_is_charged_by_what_it_reports(answer: dict[str, Any], expected: Usage | None) -> None:
    assert TRANSCRIPTION.bill({}, TranscriptionResponse(answer)).usage == expected


class One:
    """A transport with one answer."""

    def __init__(self, body: bytes, media_type: str = "application/json") -> None:
        self.reply = Reply(200, {"content-type": media_type}, body)
        self.requests: list[HTTPRequest] = []

    def send(self, send: Send) -> Reply:
        self.requests.append(send.request)
        return self.reply

    def close(self) -> None:
        pass


def test_an_azure_image_has_an_exact_price() -> None:
    transport = One(b'{"created": 1, "data": [{"url": "https://example.com/a.png"}]}')
    client = Client(environment={}, transport=transport, api_key="fake", api_base="https://x.openai.azure.com")
    answer: Any = client.images.generate(model="azure/dall-e-3", prompt="a fox", size="1024x1024", quality="hd")
    assert answer._hidden_params["response_cost"] is not None


def test_fill_in_the_middle_is_a_text_completion() -> None:
    transport = One(
        b'{"id": "1", "object": "chat.completion", "created": 1, "model": "codestral-latest", "choices": [{"index": 0,'
        b' "message": {"role": "assistant", "content": "return 1"}, "finish_reason": "stop"}],'
        b' "usage": {"prompt_tokens": 4, "completion_tokens": 2, "total_tokens": 6}}'
    )
    client = Client(environment={}, transport=transport, api_key="fake")
    answer: Any = client.completions.create(model="mistral/codestral-latest", prompt="def f():", suffix="\n")
    assert (answer.object, answer.choices[0].text) == ("text_completion", "return 1")
    assert transport.requests[0].url == "https://api.mistral.ai/v1/fim/completions"
    assert b'"suffix":"\\n"' in transport.requests[0].body


def test_binary_content(tmp_path: Path) -> None:
    content = BinaryContent(b"abcde", "audio/mpeg")
    assert list(content.iter_bytes(2)) == [b"ab", b"cd", b"e"]
    assert list(content.iter_bytes()) == [b"abcde"]
    assert list(BinaryContent(b"").iter_bytes()) == []

    async def pieces() -> list[bytes]:
        await content.astream_to_file(tmp_path / "a.mp3")
        return [piece async for piece in content.aiter_bytes(4)]

    assert asyncio.run(pieces()) == [b"abcd", b"e"]
    assert (tmp_path / "a.mp3").read_bytes() == content.read() == b"abcde"
    assert (content.text, BinaryContent(b'{"a": 1}').json()) == ("abcde", {"a": 1})
