"""What is said in the benchmark: requests of 250 bytes, answers of 700, in the shapes of OpenAI and Anthropic.

`EVERYDAY` is how a client calls the model and `MODEL` how the provider does: a gateway has to map the one to the other.
"""

from __future__ import annotations

import json
from typing import Any

REQUEST_SIZE, ANSWER_SIZE = 250, 700
MODEL, EVERYDAY = "gpt-4o-mini", "everyday"
CLAUDE, THOUGHTFUL = "claude-sonnet-4-5", "thoughtful"
STREAMED = "streamed"  # the group whose deployment is the upstream of streams
ANSWER_MARK = "Sluices open at dawn"  # what a right answer says, in whichever shape
INPUT_TOKENS, OUTPUT_TOKENS = 46, 80
_CREATED = 1_760_000_000


def _encode(value: dict[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def chat_request(model: str, size: int = REQUEST_SIZE) -> bytes:
    """A Chat Completions request of exactly `size` bytes."""
    value: dict[str, Any] = {
        "model": model,
        "messages": [{"role": "user", "content": ""}],
        "max_tokens": 100,
        "temperature": 0.5,
    }
    return _filled(value, value["messages"][0], "content", size)


def messages_request(model: str, size: int = REQUEST_SIZE) -> bytes:
    """A Messages request of exactly `size` bytes."""
    value: dict[str, Any] = {
        "model": model,
        "max_tokens": 100,
        "messages": [{"role": "user", "content": ""}],
        "temperature": 0.5,
    }
    return _filled(value, value["messages"][0], "content", size)


def chat_answer(size: int = ANSWER_SIZE) -> bytes:
    """A chat completion of exactly `size` bytes, with its usage."""
    message: dict[str, Any] = {"role": "assistant", "content": "", "refusal": None, "annotations": []}
    usage = {
        "prompt_tokens": INPUT_TOKENS,
        "completion_tokens": OUTPUT_TOKENS,
        "total_tokens": INPUT_TOKENS + OUTPUT_TOKENS,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    }
    value = {
        "id": "chatcmpl-bench0000000000000000000000",
        "object": "chat.completion",
        "created": _CREATED,
        "model": MODEL,
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}],
        "usage": usage,
        "service_tier": "default",
        "system_fingerprint": "fp_bench",
    }
    return _filled(value, message, "content", size)


def messages_answer(size: int = ANSWER_SIZE) -> bytes:
    """A message of exactly `size` bytes, with its usage."""
    block = {"type": "text", "text": ""}
    value = {
        "id": "msg_bench0000000000000000",
        "type": "message",
        "role": "assistant",
        "model": CLAUDE,
        "content": [block],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": INPUT_TOKENS, "output_tokens": OUTPUT_TOKENS},
    }
    return _filled(value, block, "text", size)


def _filled(value: dict[str, Any], place: dict[str, Any], name: str, size: int) -> bytes:
    """The value as JSON, `place[name]` filled with as many words as make it `size` bytes."""
    place[name] = ANSWER_MARK + ". "
    missing = size - len(_encode(value))
    if missing < 0:
        raise ValueError(f"{size} bytes are too few: the rest of the body takes {size - missing}")
    place[name] += ("the quick brown fox jumps over the lazy dog " * (missing // 44 + 1))[:missing]
    return _encode(value)


def text_of(body: bytes) -> str:
    """What an answer in either shape says, and "" where it is neither."""
    try:
        value = json.loads(body)
    except ValueError:
        return ""
    for path in (("choices", 0, "message", "content"), ("content", 0, "text")):
        try:
            found: Any = value
            for step in path:
                found = found[step]
        except (KeyError, IndexError, TypeError):
            continue
        return str(found)
    return ""
