"""Text completions as a surface: chat between two changes of shape, whole and in a stream."""

from __future__ import annotations

import json
from typing import Any

import pytest

from penstock.dialects.dialect import Context, PathMatch
from penstock.gateway.relay import members_of
from penstock.gateway.surfaces.openai_text import DIALECT, SURFACE
from penstock.types.errors import DialectError
from penstock.types.notes import NO_MEMO
from penstock.types.stream import UsageDelta

USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}


def chunk(text: str, reason: str | None = None, **more: Any) -> dict[str, Any]:
    choice = {"text": text, "index": 0, "logprobs": None, "finish_reason": reason}
    return {"id": "cmpl-1", "object": "text_completion", "created": 1, "model": "m", "choices": [choice], **more}


def test_a_prompt_is_a_message_of_the_user() -> None:
    body = {"model": "m", "prompt": "Once", "max_tokens": 7, "stop": ["."], "temperature": 0.5, "suffix": "end"}
    request = DIALECT.parse_request(body, PathMatch())
    assert [message.role for message in request.messages] == ["user"]
    assert (request.max_tokens, request.temperature, tuple(request.stop or ())) == (7, 0.5, (".",))


@pytest.mark.parametrize("prompt", [None, 5, [], [1, 2], ["a", 1], {}])
def test_what_is_no_prompt_is_refused(prompt: Any) -> None:
    with pytest.raises(DialectError):
        DIALECT.parse_request({"model": "m", "prompt": prompt}, PathMatch())


def test_a_native_answer_is_read_for_its_usage() -> None:
    response = DIALECT.parse_response({**chunk("upon a time", "length"), "usage": USAGE}, NO_MEMO)
    assert response.usage is not None and response.usage.output_tokens == 2
    assert response.choices[0].stop_reason == "length"
    shown = DIALECT.render_response(response, Context()).value
    assert shown["object"] == "text_completion" and shown["choices"][0]["text"] == "upon a time"


def test_native_chunks_become_text_again_whatever_they_are_cut_into() -> None:
    frames = [chunk("upon "), chunk("a time"), chunk("", "stop"), {**chunk(""), "choices": [], "usage": USAGE}]
    data = b"".join(b"data: %b\n\n" % json.dumps(frame).encode() for frame in frames) + b"data: [DONE]\n\n"
    for size in (1, 7, len(data)):
        parser, writer = DIALECT.stream_parser(NO_MEMO), DIALECT.stream_renderer(Context())
        events = [each for at in range(0, len(data), size) for each in parser.feed(data[at : at + size])]
        assert any(isinstance(delta, UsageDelta) for event in events for delta in event.deltas)
        said = b"".join(writer.render(event) for event in events)
        read = [json.loads(frame[6:]) for frame in said.split(b"\n\n") if frame.startswith(b"data: {")]
        assert "".join(each["choices"][0]["text"] for each in read if each["choices"]) == "upon a time"
        assert {each["object"] for each in read} == {"text_completion"}
        assert said.endswith(b"data: [DONE]\n\n")


@pytest.mark.parametrize(
    ("body", "choices"),
    [
        ({"prompt": "a"}, 1),
        ({"prompt": ["a", "b"], "n": 2}, 4),
        ({"prompt": [1, 2, 3]}, 1),
        ({"prompt": [[1], [2]], "best_of": 3}, 6),
    ],
)
def test_all_that_may_come_out_is_counted(body: dict[str, Any], choices: int) -> None:
    assert SURFACE.peek(members_of(json.dumps(body).encode()), PathMatch()).choices == choices
