"""stream_chunk_builder: the chunks of a stream make the answer that the same reply makes whole, in every dialect."""

from __future__ import annotations

from typing import Any

import openai
import pytest

import penstock
from penstock import BadRequestError, stream_chunk_builder
from penstock.testing.providers import Reply, Thinking, ToolCall
from penstock.testing.providers import Text as Said
from tests.support.targets import TARGETS, every_dialect, simulating

completion: Any = penstock.completion
ASK: list[Any] = [{"role": "user", "content": "Hello"}]
TOOLS = [
    {"type": "function", "function": {"name": name, "parameters": {"type": "object", "properties": {}}}}
    for name in ("one", "two")
]
REPLIES = {
    "text": Reply.text("one two three"),
    "calls": Reply.tool_calls(ToolCall("one", {"a": 1}, id="call_fake1"), ToolCall("two", {"b": "c"}, id="call_fake2")),
}


def compared(answer: Any) -> Any:
    """What must be the same: everything but ids and times."""
    dumped = answer.model_dump(exclude_none=True)
    for name in ("id", "created", "system_fingerprint", "service_tier"):
        dumped.pop(name, None)
    for choice in dumped["choices"]:
        for each in choice["message"].get("tool_calls", ()):
            each.pop("id", None)
            each.pop("index", None)
    return dumped


@every_dialect
@pytest.mark.parametrize("kind", REPLIES)
def test_the_chunks_make_the_whole_answer(target: Any, kind: str) -> None:
    with simulating() as simulated:
        simulated.script(REPLIES[kind], REPLIES[kind])
        arguments = target.arguments(simulated) | {"messages": ASK, "tools": TOOLS}
        stream: Any = completion(stream=True, stream_options={"include_usage": True}, **arguments)
        chunks = list(stream)
        built = stream_chunk_builder(chunks)
        whole = completion(**arguments)
    assert built is not None
    assert compared(built) == compared(stream.response)
    assert compared(built)["choices"][0]["message"].get("content") == compared(whole)["choices"][0]["message"].get(
        "content"
    )
    assert [dict(each.function) for each in built.choices[0].message.tool_calls or ()] == [
        dict(each.function) for each in whole.choices[0].message.tool_calls or ()
    ]
    assert built.usage is not None
    assert built.usage.total_tokens == whole.usage.total_tokens
    assert built._hidden_params["custom_llm_provider"] == target.model.partition("/")[0]


def test_thoughts_keep_their_signatures() -> None:
    anthropic = TARGETS[2]
    with simulating() as simulated:
        simulated.script(Reply.of(Thinking("let me see", "fake-signature"), Said("fine")))
        stream: Any = completion(
            messages=ASK, stream=True, reasoning_effort="low", max_tokens=4000, **anthropic.arguments(simulated)
        )
        built: Any = stream_chunk_builder(list(stream))
    message = built.choices[0].message
    assert message.reasoning_content == "let me see"
    assert message.thinking_blocks[0]["thinking"] == "let me see"
    assert message.thinking_blocks[0]["signature"] == stream.response.choices[0].message.thinking_blocks[0]["signature"]


def test_chunks_of_the_openai_package() -> None:
    with simulating() as simulated:
        simulated.script(Reply.text("one two"))
        client = openai.OpenAI(base_url=simulated.url("openai"), api_key="sk-fake")
        chunks = list(client.chat.completions.create(model="gpt-4o", messages=ASK, stream=True))
        client.close()
    built = stream_chunk_builder(chunks)
    assert built is not None
    assert built.choices[0].message.content == "one two"


def chunk(delta: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "id": "x",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "gpt-4o",
        "choices": [{"index": 0, "delta": delta, "finish_reason": None, **more}],
    }


def test_audio_and_citations() -> None:
    citation = {
        "type": "url_citation",
        "url_citation": {"url": "https://example.com", "start_index": 0, "end_index": 2},
    }
    built: Any = stream_chunk_builder(
        [
            chunk({"role": "assistant", "content": "So", "annotations": [citation]}),
            chunk({"audio": {"id": "audio_1", "data": "AAAA", "transcript": "so"}}),
            chunk({"audio": {"data": "BBBB"}}, finish_reason="stop"),
        ]
    )
    message = built.choices[0].message
    assert message.annotations[0]["url_citation"]["url"] == "https://example.com"
    assert message.audio.data == "AAAABBBB"
    assert message.audio.transcript == "so"


def test_usage_is_counted_where_no_chunk_brought_it() -> None:
    chunks = [chunk({"role": "assistant", "content": "Hello there"}), chunk({}, finish_reason="stop")]
    without: Any = stream_chunk_builder(chunks)
    counted: Any = stream_chunk_builder(chunks, messages=ASK)
    assert without.usage is None
    assert counted.usage.completion_tokens == 2
    assert counted.usage.prompt_tokens == 8
    assert counted.usage.total_tokens == 10


def test_no_chunks_and_what_is_no_chunk() -> None:
    assert stream_chunk_builder([]) is None
    with pytest.raises(BadRequestError, match=r"chunks\[1\]"):
        stream_chunk_builder([chunk({"content": "a"}), "b"])


def piece_of(delta: dict[str, Any], reason: str | None = None) -> dict[str, Any]:
    """A chunk as a dict."""
    choice = {"index": 0, "delta": delta, "finish_reason": reason}
    return {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}


def test_thoughts_in_pieces_as_litellm_cuts_them() -> None:
    """Each piece of its streams has a signature, which is empty but in the last one."""
    pieces = [("let ", ""), ("me see", ""), ("", "c2ln")]
    chunks = [
        piece_of(
            {
                "reasoning_content": text,
                "thinking_blocks": [{"type": "thinking", "thinking": text, "signature": signature}],
            }
        )
        for text, signature in pieces
    ]
    answer: Any = stream_chunk_builder([*chunks, piece_of({"content": "Yes."}, "stop")])
    message = answer.choices[0].message
    assert message.thinking_blocks == [{"type": "thinking", "thinking": "let me see", "signature": "c2ln"}]
    assert (message.reasoning_content, message.content) == ("let me see", "Yes.")


def test_the_one_call_of_the_time_before_tools() -> None:
    first, second = {"function_call": {"name": "f", "arguments": ""}}, {"function_call": {"arguments": "{}"}}
    answer: Any = stream_chunk_builder([piece_of(first), piece_of(second), piece_of({}, "function_call")])
    (call,) = answer.choices[0].message.tool_calls
    assert call.function == {"name": "f", "arguments": "{}"}, "it comes as a tool call"
