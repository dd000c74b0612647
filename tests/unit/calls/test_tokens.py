"""Token counts: exact where they say so, estimates that say so where not, and the same without the extra."""

from __future__ import annotations

import asyncio
import base64
import copy
import pickle
import socket
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from penstock import (
    AuthenticationError,
    BadRequestError,
    TokenCount,
    acount_tokens,
    completion,
    count_tokens,
    token_counter,
)
from penstock.calls import tokenizers
from penstock.calls.image_sizes import size_of
from penstock.calls.image_tokens import OTHER, RULES, ImageRule, image_rule, image_tokens
from penstock.calls.token_families import FAMILIES, family_of
from penstock.calls.tokens import count_request
from penstock.testing.providers import SimulatedProviders
from penstock.types.content import Signature, Text, ToolCall, ToolResult
from penstock.types.request import Message, Reasoning, Request
from tests.support import need
from tests.support.targets import TARGETS, simulating

ASK: list[Any] = [{"role": "user", "content": "Hello there"}]


@pytest.fixture
def _extra() -> None:
    need(module="toktok", hint="pip install 'penstock[tokenizers]'")


@pytest.fixture
def _without_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokenizers, "counter", lambda: None)


GOLDEN = [
    ("hello world", 2, 2),
    ("", 0, 0),
    ("The quick brown fox jumps over the lazy dog.", 10, 10),
    ("1234567890", 4, 4),
    ("Donaudampfschifffahrtsgesellschaft", 10, 13),
    ("今天天气很好，我们去公园散步。", 11, 18),
    ("def f(x):\n    return x + 1\n", 11, 11),
]
"""Texts with their tokens in o200k_base and cl100k_base, as OpenAI's own `tiktoken` counts them."""


@pytest.mark.usefixtures("_extra")
@pytest.mark.parametrize(("text", "o200k", "cl100k"), GOLDEN)
def test_texts_are_exact_for_openais_models(text: str, o200k: int, cl100k: int) -> None:
    for model, tokens in (
        ("gpt-4o", o200k),
        ("openai/gpt-5-mini", o200k),
        ("gpt-4", cl100k),
        ("gpt-3.5-turbo", cl100k),
    ):
        count = token_counter(model, text=text)
        assert (count, count.exact, count.error) == (tokens, True, 0.0), model
        assert count.method.startswith("tokenizer:")


@pytest.mark.usefixtures("_extra")
@pytest.mark.parametrize(
    ("model", "messages", "tokens"),
    [
        # Reported by the provider: 3 + 4 a message + the text for gpt-4o, 2 + 4 for reasoning models.
        ("gpt-4o", [{"role": "user", "content": "x"}], 8),
        ("gpt-4o", [{"role": "system", "content": "x"}, {"role": "user", "content": "x"}], 13),
        ("o3-mini", [{"role": "user", "content": "x"}], 7),
        ("gpt-5", [{"role": "user", "content": "x"}, {"role": "assistant", "content": "x"}], 14),
    ],
)
def test_plain_conversations_are_exact_for_openais_models(model: str, messages: Any, tokens: int) -> None:
    count = token_counter(model, messages=messages)
    assert (count, count.exact) == (tokens, True)


@pytest.mark.parametrize(
    "more",
    [
        {"tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]},
        {"messages": [{"role": "user", "name": "ada", "content": "x"}]},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}]},
        {
            "messages": [
                {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://a.example/b.png"}}]}
            ]
        },
        {"model": "claude-sonnet-4-5"},
        {"model": "gemini-2.5-flash"},
        {"model": "nobody/knows-this"},
        {"model": ""},
    ],
)
def test_what_is_no_more_than_an_estimate_says_so(more: dict[str, Any]) -> None:
    count = token_counter(**({"model": "gpt-4o", "messages": ASK} | more))
    assert not count.exact
    assert count.method.startswith("estimate:")
    assert count > 0
    assert count.error > 0


@pytest.mark.usefixtures("_without_extra")
def test_without_the_extra_everything_is_an_estimate() -> None:
    count = token_counter("gpt-4o", text="The quick brown fox jumps over the lazy dog.")
    assert not count.exact
    assert count.method == "estimate:pieces"
    assert 8 <= count <= 12


def test_nothing_is_downloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: Any, **more: Any) -> None:
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    for model in ("gpt-4o", "gpt-4", "openai/gpt-oss-120b", "claude-opus-4-8", "mistral-large-latest"):
        assert token_counter(model, messages=ASK) > 0


@given(st.text(max_size=300))
def test_pieces_never_fail_and_grow_with_the_text(text: str) -> None:
    assert 0 <= tokenizers.pieces(text) <= 2 * len(text) + 1
    assert tokenizers.pieces(text + " and more words") > tokenizers.pieces(text)


def test_more_of_anything_is_more_tokens() -> None:
    def f(city: str) -> None:
        """The weather."""

    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"city":"Paris"}'}}
    steps: list[dict[str, Any]] = [
        {"messages": ASK},
        {"messages": ASK, "tools": [f]},
        {"messages": [*ASK, {"role": "assistant", "tool_calls": [call]}], "tools": [f]},
        {
            "messages": [
                *ASK,
                {"role": "assistant", "tool_calls": [call]},
                {"role": "tool", "tool_call_id": "c", "content": "sunny"},
            ],
            "tools": [f],
        },
    ]
    for family in FAMILIES:
        counts = [token_counter(family.name.split(" ")[0], **step) for step in steps]
        assert counts == sorted(set(counts)), family.name


def test_thoughts_of_earlier_turns_are_not_counted() -> None:
    thought = {
        "role": "assistant",
        "content": "so",
        "reasoning_content": "long thoughts " * 50,
        "thinking_blocks": [{"type": "thinking", "thinking": "long thoughts " * 50, "signature": "fake"}],
    }
    plain = {"role": "assistant", "content": "so"}
    more = {"role": "user", "content": "go on"}
    model = "claude-sonnet-4-5"
    assert token_counter(model, messages=[*ASK, thought, more]) == token_counter(model, messages=[*ASK, plain, more])
    assert token_counter(model, messages=[*ASK, thought]) > token_counter(model, messages=[*ASK, plain]) + 50


def test_answers_of_earlier_calls_may_stand_among_the_messages() -> None:
    answer: Any = completion("demo", ASK)
    assert token_counter("gpt-4o", messages=[*ASK, answer.choices[0].message]) > token_counter("gpt-4o", messages=ASK)


def test_other_ways_to_ask() -> None:
    assert token_counter("gpt-4o", text=["hello world", "hello world"]) == 2 * token_counter(
        "gpt-4o", text="hello world"
    )
    assert token_counter("gpt-4o", messages=ASK, count_response_tokens=True) == token_counter(
        "gpt-4o", text="Hello there"
    )

    class Letters:
        def encode(self, text: str) -> list[str]:
            return list(text)

    count = token_counter("mine", text="four", custom_tokenizer=Letters())
    assert (count, count.exact, count.method) == (4, True, "tokenizer:custom")


def test_what_cannot_be_counted() -> None:
    with pytest.raises(BadRequestError, match="text"):
        token_counter("gpt-4o")
    with pytest.raises(BadRequestError, match="messages"):
        token_counter("gpt-4o", messages="Hello")
    assert token_counter("gpt-4o", messages="Hello", default_token_count=7) == 7


def test_a_count_is_an_int_that_travels_whole() -> None:
    count = TokenCount(5, exact=False, method="estimate:pieces", error=0.2)
    assert count + 1 == 6
    assert isinstance(count, int)
    assert (count.total_tokens, count.tokenizer_type) == (5, "estimate:pieces")
    for other in (pickle.loads(pickle.dumps(count)), copy.deepcopy(count)):
        assert (other, other.exact, other.method, other.error) == (5, False, "estimate:pieces", 0.2)


@pytest.mark.parametrize(
    ("model", "family"),
    [
        ("gpt-4o-2024-08-06", "gpt-4o and gpt-4.1"),
        ("azure/gpt-4.1-mini", "gpt-4o and gpt-4.1"),
        ("gpt-4-turbo", "gpt-4 and gpt-3.5"),
        ("gpt-3.5-turbo", "gpt-4 and gpt-3.5"),
        ("openai/gpt-5.2", "gpt-5 and o-series"),
        ("o3", "gpt-5 and o-series"),
        ("openai.gpt-oss-120b-1:0", "gpt-oss"),
        ("claude-opus-4-8", "claude-new"),
        ("vertex_ai/gemini-2.5-pro", "gemini on vertex"),
        ("gemini-2.5-flash", "gemini 2.5"),
        ("gemini/gemini-3-pro-preview", "gemini"),
        ("claude-sonnet-4-20250514", "claude until 4.1"),
        ("anthropic.claude-opus-4-1-20250805-v1:0", "claude until 4.1"),
        ("us.anthropic.claude-3-7-sonnet-20250219-v1:0", "claude until 4.1"),
        ("vertex_ai/claude-sonnet-4@20250514", "claude until 4.1"),
        ("claude-sonnet-4-0", "claude until 4.1"),
        ("claude-2.1", "claude until 4.1"),
        ("claude-haiku-4-5", "claude"),
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", "claude"),
        ("anthropic/claude-sonnet-4.5", "claude"),
        ("claude-opus-4-6", "claude"),
        ("gemini-2.0-flash", "gemini 2.0 and older"),
        ("mixtral-8x7b", "mistral"),
        ("foo-3", "other"),
    ],
)
def test_whose_rules_hold(model: str, family: str) -> None:
    assert family_of(model).name == family


# -- images -----------------------------------------------------------------------------------------------------------


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


PNG = b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", 640, 480) + b"\x08\x02\x00\x00\x00"
GIF = b"GIF89a" + struct.pack("<HH", 640, 480) + b"\x00"
JPEG = b"\xff\xd8\xff\xe0\x00\x04ab\xff\xc0\x00\x11\x08" + struct.pack(">HH", 480, 640) + b"\x03" * 20
WEBP = b"RIFF\x00\x00\x00\x00WEBPVP8 \x00\x00\x00\x00\x00\x00\x00\x9d\x01\x2a" + struct.pack("<HH", 640, 480)


@pytest.mark.parametrize("data", [PNG, GIF, JPEG, WEBP], ids=["png", "gif", "jpeg", "webp"])
def test_the_size_of_a_picture(data: bytes) -> None:
    assert size_of(b64(data)) == (640, 480)


@given(st.binary(max_size=64), st.sampled_from([b"", PNG[:12], GIF[:6], JPEG[:3], WEBP[:16]]))
def test_any_bytes_have_a_size_or_none(data: bytes, head: bytes) -> None:
    found = size_of(b64(head + data))
    assert found is None or (found[0] >= 0 and found[1] >= 0)


@pytest.mark.parametrize(
    ("size", "detail", "model", "tokens"),
    [
        # platform.openai.com/docs/guides/images-vision#calculating-costs
        ((1024, 1024), None, "gpt-4o", 765),
        ((2048, 4096), "high", "gpt-4.1", 1105),
        ((4096, 8192), "low", "azure/gpt-4o", 85),
        ((1024, 1024), "high", "gpt-4o-mini", 2833 + 4 * 5667),
        ((1024, 1024), "high", "gpt-5", 70 + 4 * 140),
        ((1024, 1024), "low", "openai/o3", 75),
        ((1024, 1024), None, "gpt-4.1-mini", 1659),
        ((1800, 2400), None, "gpt-4.1-mini", 2353),  # 1,452 patches
        ((540, 360), None, "gpt-4.1-nano", 502),  # recorded
        ((1024, 1024), None, "gpt-5-mini", 1229),
        ((1280, 720), "low", "gpt-5-mini", 1104),
        # platform.claude.com/docs/en/build-with-claude/vision
        ((1092, 1092), None, "claude-sonnet-4-5", 1590),
        ((200, 200), None, "claude-sonnet-4-5", 53),
        ((4000, 3000), None, "claude-sonnet-4-5", 1600),
        ((4000, 3000), None, "claude-opus-4-8", 4784),
        # ai.google.dev/gemini-api/docs/image-understanding, .../media-resolution
        ((300, 300), None, "gemini-2.5-flash", 258),
        ((960, 540), None, "gemini/gemini-2.5-flash", 6 * 258),
        ((960, 540), None, "gemini-3-flash-preview", 1120),
        ((960, 540), "low", "gemini-3-flash-preview", 280),
        ((1024, 1024), None, "nobody-knows-this", 765),
    ],
)
def test_the_makers_own_examples(size: tuple[int, int], detail: str | None, model: str, tokens: int) -> None:
    assert image_tokens(size, detail, image_rule(model)) == tokens


@given(
    st.tuples(st.integers(0, 10**6), st.integers(0, 10**6)),
    st.sampled_from([None, "low", "high", "auto"]),
    st.sampled_from([*RULES, OTHER]),
)
def test_any_size_costs_something(size: tuple[int, int], detail: str | None, rule: ImageRule) -> None:
    assert image_tokens(size, detail, rule) >= 0
    if rule.kind == "patches":
        assert image_tokens(size, detail, rule) <= 1536 * rule.piece + 1


# -- what stands around the texts --------------------------------------------------------------------------------------

QUESTION: list[Any] = [{"role": "user", "content": "What is the weather in Paris?"}]
TOOL: list[Any] = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}]


def test_a_tool_that_must_be_called_is_explained_at_more_length() -> None:
    for model, more in (("claude-sonnet-4-5", 122), ("claude-opus-4-1-20250805", 20), ("gpt-4o", 0)):
        free = token_counter(model, messages=QUESTION, tools=TOOL, tool_choice="auto")
        forced = token_counter(model, messages=QUESTION, tools=TOOL, tool_choice="required")
        assert forced - free == more, model


def test_a_host_may_add_something_to_one_format() -> None:
    chat = Request(dialect="openai_chat", model="m", messages=(Message("user", (Text("Hello"),)),))
    responses = replace(chat, dialect="openai_responses")
    assert count_request(responses, "deepseek-v4-flash") - count_request(chat, "deepseek-v4-flash") == 80


@pytest.mark.parametrize("model", ["deepseek-reasoner", "zai/glm-4.7", "qwen3-32b"])
@pytest.mark.parametrize("thoughts", ["<think>It is a greeting. " * 9 + "</think>", "A greeting. " * 9 + "</think>"])
def test_thoughts_in_plain_words_are_left_out_of_earlier_answers(model: str, thoughts: str) -> None:
    def history(answer: str) -> list[Any]:
        return [*QUESTION, {"role": "assistant", "content": answer}, {"role": "user", "content": "And in Rome?"}]

    assert token_counter(model, messages=history(thoughts + "Sunny.")) == token_counter(
        model, messages=history("Sunny.")
    )
    assert token_counter("gpt-4o", messages=history(thoughts + "Sunny.")) > token_counter(
        "gpt-4o", messages=history("Sunny.")
    )


def test_signatures_count_at_gemini_and_not_on_vertex() -> None:
    call = ToolCall("1", "weather", {}, signature=Signature("s" * 1000, "gemini"))
    turns = (
        Message("user", (Text("Weather?"),)),
        Message("assistant", (call,)),
        Message("user", (ToolResult("1", (Text("sunny"),)),)),
    )
    signed = Request(dialect="gemini", model="m", messages=turns)
    plain = replace(signed, messages=(turns[0], Message("assistant", (replace(call, signature=None),)), turns[2]))
    later = (Message("assistant", (Text("Sunny."),)), Message("user", (Text("Thanks"),)))
    for model, more in (("gemini-3-flash-preview", 200), ("vertex_ai/gemini-3-flash-preview", 0)):
        assert count_request(signed, model) - count_request(plain, model) == more
        over = [replace(each, messages=(*each.messages, *later)) for each in (signed, plain)]
        assert count_request(over[0], model) == count_request(over[1], model), "those of earlier turns are dropped"


def test_a_budget_for_thoughts_is_explained() -> None:
    plain = Request(dialect="anthropic_messages", model="m", messages=(Message("user", (Text("Hello"),)),))
    thinking = replace(plain, reasoning=Reasoning(budget_tokens=1024))
    assert count_request(thinking, "claude-sonnet-4-5") - count_request(plain, "claude-sonnet-4-5") == 28


# -- the provider's own count -----------------------------------------------------------------------------------------


def weather(city: str) -> str:
    """The weather."""
    return city


COUNTED = [target for target in TARGETS if target.dialect not in ("cohere_chat", "ollama_chat", "openai_responses")]


def ask(simulated: SimulatedProviders, target: Any, **more: Any) -> TokenCount:
    return count_tokens(messages=ASK, **more, **target.arguments(simulated))


@pytest.mark.parametrize("target", COUNTED, ids=lambda target: target.dialect)
def test_the_provider_counts(target: Any) -> None:
    with simulating() as simulated:
        plain = ask(simulated, target)
        full = ask(simulated, target, tools=[weather], system="Be brief.")
        requests = list(simulated.requests)
    assert plain.exact
    assert full > plain > 0
    assert plain.method.startswith("provider:")
    assert all("count" in request.path.lower() or "input_tokens" in request.path for request in requests)
    assert "Be brief." in requests[-1].body.decode()
    assert not any(name in requests[-1].json for name in ("max_tokens", "stream", "inferenceConfig"))


def test_vertex_counts_in_its_own_way() -> None:
    with simulating() as simulated:
        base = f"{simulated.url('vertex')}/v1/projects/p/locations/us-central1"
        count = count_tokens("vertex_ai/gemini-2.5-flash", ASK, system="Be brief.", api_base=base, api_key="fake")
        assert simulated.last.path.endswith("/publishers/google/models/gemini-2.5-flash:countTokens")
        assert set(simulated.last.json) == {"contents", "systemInstruction"}
    assert count.exact
    assert count.method == "provider:vertex_count_tokens"


def test_from_a_coroutine() -> None:
    with simulating() as simulated:
        count = asyncio.run(acount_tokens(messages=ASK, **TARGETS[2].arguments(simulated)))
    assert count.exact


def test_a_provider_that_does_not_count_is_not_asked() -> None:
    with simulating() as simulated:
        count = count_tokens("groq/llama-3.3-70b", ASK, api_key="sk-fake", api_base=simulated.url("groq"))
        assert simulated.requests == []
    assert not count.exact
    assert count == token_counter("groq/llama-3.3-70b", messages=ASK)


def test_a_failure_is_one() -> None:
    with SimulatedProviders(keys={"another"}) as simulated, pytest.raises(AuthenticationError):
        ask(simulated, TARGETS[2])
