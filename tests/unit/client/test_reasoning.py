"""Reasoning: one `reasoning_effort` for every dialect, and thoughts whose signatures live through the caller's message
history, also where another provider's turn came in between. The simulated Anthropic, Bedrock and Gemini refuse a
signature that they did not give out, and a tool turn that lost its own.
"""

from __future__ import annotations

from typing import Any

import pytest

import penstock
from penstock.testing.providers import RedactedThinking, Reply, SimulatedProviders, Text, Thinking, ToolCall
from tests.support.targets import GROQ, TARGETS, Target, simulating

completion: Any = penstock.completion
ASK: list[Any] = [{"role": "user", "content": "What is the weather in Paris?"}]
OPENAI, RESPONSES, ANTHROPIC, GEMINI, BEDROCK, COHERE, OLLAMA = TARGETS
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "weather",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
        },
    }
]
CALL = ToolCall("weather", {"city": "Paris"})


def thinking_of(body: dict[str, Any]) -> Any:
    """What a request says about thinking, wherever its dialect says it."""
    inner = body.get("generationConfig") or body.get("additionalModelRequestFields") or {}
    names = ("reasoning_effort", "reasoning", "thinking", "output_config", "think", "thinkingConfig", "reasoningConfig")
    return {name: value for name, value in {**body, **inner}.items() if name in names}


def budget(tokens: int) -> dict[str, Any]:
    return {"thinking": {"type": "enabled", "budget_tokens": tokens}}


def gemini(**config: Any) -> dict[str, Any]:
    return {"thinkingConfig": {"includeThoughts": True, **config}}


MAPPED: list[tuple[str, Target, dict[str, Any]]] = [
    (
        "openai/gpt-5",
        OPENAI,
        {
            "minimal": {"reasoning_effort": "minimal"},
            "low": {"reasoning_effort": "low"},
            "high": {"reasoning_effort": "high"},
        },
    ),
    (
        "openai/responses/gpt-5",
        RESPONSES,
        {"low": {"reasoning": {"effort": "low"}}, "high": {"reasoning": {"effort": "high"}}},
    ),
    (
        "anthropic/claude-sonnet-4-5",
        ANTHROPIC,
        {
            "none": {"thinking": {"type": "disabled"}},
            "minimal": budget(1024),
            "low": budget(1024),
            "medium": budget(2048),
            "high": budget(4096),
            "xhigh": budget(8192),
            "max": budget(16384),
        },
    ),
    (
        "anthropic/claude-opus-4-7",
        ANTHROPIC,
        {
            "low": {"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}},
            "max": {"thinking": {"type": "adaptive"}, "output_config": {"effort": "max"}},
        },
    ),
    (
        "gemini/gemini-2.5-flash",
        GEMINI,
        {
            "none": {"thinkingConfig": {"thinkingBudget": 0}},
            "minimal": gemini(thinkingBudget=512),
            "low": gemini(thinkingBudget=1024),
            "medium": gemini(thinkingBudget=2048),
            "high": gemini(thinkingBudget=4096),
        },
    ),
    (
        "gemini/gemini-3-pro-preview",
        GEMINI,
        {"low": gemini(thinkingLevel="LOW"), "high": gemini(thinkingLevel="HIGH"), "max": gemini(thinkingLevel="HIGH")},
    ),
    (
        BEDROCK.model,
        BEDROCK,
        {"none": {"thinking": {"type": "disabled"}}, "low": budget(1024), "high": budget(4096)},
    ),
    (
        "bedrock/us.amazon.nova-2-lite-v1:0",
        BEDROCK,
        {"medium": {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "medium"}}},
    ),
    (
        "cohere/command-a-reasoning-08-2025",
        COHERE,
        {
            "none": {"thinking": {"type": "disabled"}},
            "low": {"thinking": {"type": "enabled", "token_budget": 1024}},
        },
    ),
    ("ollama/qwen3", OLLAMA, {"none": {"think": False}, "high": {"think": True}}),
    ("groq/openai/gpt-oss-120b", GROQ, {"low": {"reasoning_effort": "low"}, "high": {"reasoning_effort": "high"}}),
]


@pytest.mark.parametrize(
    ("model", "target", "effort", "sent"),
    [(model, target, effort, sent) for model, target, table in MAPPED for effort, sent in table.items()],
    ids=[f"{model}-{effort}" for model, _, table in MAPPED for effort in table],
)
def test_one_word_for_every_dialect(model: str, target: Target, effort: str, sent: Any) -> None:
    with simulating() as simulated:
        simulated.script(Reply.text("fine"))
        completion(messages=ASK, reasoning_effort=effort, **(target.arguments(simulated) | {"model": model}))
        assert thinking_of(simulated.last.json) == sent


THINKERS = [
    (ANTHROPIC, ANTHROPIC.model),
    (BEDROCK, BEDROCK.model),
    (GEMINI, "gemini/gemini-2.5-flash"),
    (GEMINI, "gemini/gemini-3-pro-preview"),
]
thinkers = pytest.mark.parametrize(("target", "model"), THINKERS, ids=[model for _, model in THINKERS])


def say(simulated: SimulatedProviders, target: Target, model: str, messages: list[Any], **more: Any) -> Any:
    """A thinking turn with a tool; of a stream, the whole answer."""
    answer = completion(
        messages=messages,
        tools=TOOLS,
        reasoning_effort="low",
        **more,
        **(target.arguments(simulated) | {"model": model}),
    )
    if more.get("stream"):
        for _ in answer:
            pass
        return answer.response
    return answer


def answered(history: list[Any], answer: Any, text: str = "sunny") -> list[Any]:
    """The history with the answer's message, and the results of its calls."""
    message = answer.choices[0].message
    results = [{"role": "tool", "tool_call_id": call.id, "content": text} for call in message.get("tool_calls") or ()]
    return [*history, message, *results]


@thinkers
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("as_json", [False, True], ids=["as it is", "as JSON"])
def test_thoughts_go_back_with_their_signatures(target: Target, model: str, stream: bool, as_json: bool) -> None:
    with simulating() as simulated:
        simulated.script(Reply.thinking("I should look.", CALL), Reply.text("It is sunny."))
        first = say(simulated, target, model, ASK, stream=stream)
        assert first.choices[0].message.reasoning_content == "I should look."
        history = answered(ASK, first)
        if as_json:
            history = [penstock.ModelResponse({"m": each}).model_dump()["m"] for each in history]
        last = say(simulated, target, model, history)
    assert last.choices[0].message.content == "It is sunny."


@thinkers
def test_chunks_that_were_kept_go_back_too(target: Target, model: str) -> None:
    with simulating() as simulated:
        simulated.script(Reply.thinking("I should look.", CALL), Reply.text("It is sunny."))
        arguments = target.arguments(simulated) | {"model": model}
        chunks = list(completion(messages=ASK, tools=TOOLS, reasoning_effort="low", stream=True, **arguments))
        built = penstock.stream_chunk_builder(chunks)
        last = say(simulated, target, model, answered(ASK, built))
    assert last.choices[0].message.content == "It is sunny."


@thinkers
@pytest.mark.parametrize("other", [OPENAI, RESPONSES, COHERE, OLLAMA, GROQ], ids=lambda other: other.model)
def test_they_live_through_a_turn_of_another_provider(target: Target, model: str, other: Target) -> None:
    """A thinks, B answers on the same history, then A again: B is not shown what it cannot read, A gets its own."""
    with simulating() as simulated:
        simulated.script(
            Reply.thinking("I should look.", CALL),
            Reply.text("It is sunny."),
            Reply.text("Rome too."),
        )
        first = say(simulated, target, model, ASK)
        history = answered(ASK, first)
        between = completion(messages=history, tools=TOOLS, **other.arguments(simulated))
        shown = simulated.last.body.decode()
        history = [*answered(history, between), {"role": "user", "content": "And in Rome?"}]
        last = say(simulated, target, model, history)
    assert last.choices[0].message.content == "Rome too."
    signature = _signature(first.choices[0].message)
    assert signature
    assert signature not in shown, "a proof is shown only to who can check it"
    assert signature in simulated.last.body.decode()


@thinkers
@pytest.mark.parametrize("other", [OPENAI, RESPONSES], ids=lambda other: other.model)
def test_a_tool_turn_that_another_provider_went_on_with(target: Target, model: str, other: Target) -> None:
    """Claude does not think on in a turn whose last calls came without thoughts: it goes on without, if it may."""
    with simulating() as simulated:
        simulated.script(
            Reply.thinking("I should look.", CALL),
            Reply.tool_calls(ToolCall("weather", {"city": "Rome"})),
            Reply.text("Both are sunny."),
        )
        history = answered(ASK, say(simulated, target, model, ASK))
        between = completion(messages=history, tools=TOOLS, **other.arguments(simulated))
        last = say(simulated, target, model, answered(history, between), modify_params=True)
    assert last.choices[0].message.content == "Both are sunny."


def _signature(message: Any) -> str:
    blocks = message.get("thinking_blocks") or []
    calls = message.get("tool_calls") or []
    found = [block.get("signature") or block.get("data") for block in blocks]
    found += [(call.get("provider_specific_fields") or {}).get("thought_signature") for call in calls]
    return next((text for text in found if text), "")


def test_anthropic_to_gemini_and_back() -> None:
    """Two makers that both sign: each gets its own signatures back, and not the other's."""
    with simulating() as simulated:
        simulated.script(
            Reply.thinking("Claude thinks.", CALL),
            Reply.thinking("Gemini thinks.", ToolCall("weather", {"city": "Rome"})),
            Reply.text("sunny"),
            Reply.text("sunny"),
        )
        claude = say(simulated, ANTHROPIC, ANTHROPIC.model, ASK)
        history = answered(ASK, claude)
        google = say(simulated, GEMINI, GEMINI.model, history)
        history = answered(history, google)
        say(simulated, ANTHROPIC, ANTHROPIC.model, history, modify_params=True)
        to_claude = simulated.last.body.decode()
        say(simulated, GEMINI, GEMINI.model, history)
        to_google = simulated.last.body.decode()
    claudes, googles = (_signature(answer.choices[0].message) for answer in (claude, google))
    assert claudes in to_claude
    assert googles not in to_claude
    assert googles in to_google
    assert claudes not in to_google


def test_the_same_maker_on_another_host_can_read_them() -> None:
    """Claude's signature from Anthropic is good on Bedrock."""
    with simulating(any_signature=True) as simulated:
        simulated.script(Reply.thinking("I should look.", CALL), Reply.text("sunny"))
        first = say(simulated, ANTHROPIC, ANTHROPIC.model, ASK)
        say(simulated, BEDROCK, BEDROCK.model, answered(ASK, first))
        assert _signature(first.choices[0].message) in simulated.last.body.decode()


@pytest.mark.parametrize("target", [ANTHROPIC, BEDROCK], ids=lambda target: target.dialect)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_redacted_thoughts_go_back_too(target: Target, stream: bool) -> None:
    with simulating() as simulated:
        simulated.script(Reply.of(RedactedThinking(), CALL), Reply.text("sunny"))
        first = say(simulated, target, target.model, ASK, stream=stream)
        assert first.choices[0].message.thinking_blocks[0]["type"] == "redacted_thinking"
        assert say(simulated, target, target.model, answered(ASK, first)).choices[0].message.content == "sunny"


@pytest.mark.parametrize("way", ["whole", "streamed", "chunks"])
def test_openais_encrypted_reasoning_goes_back(way: str) -> None:
    """Of the Responses API, where the thoughts themselves are never shown."""
    model = "openai/responses/gpt-5"
    with simulating() as simulated:
        simulated.script(Reply.of(Thinking("I should look."), CALL), Reply.text("sunny"))
        if way == "chunks":
            arguments = RESPONSES.arguments(simulated) | {"model": model, "messages": ASK, "tools": TOOLS}
            first: Any = penstock.stream_chunk_builder(
                list(completion(reasoning_effort="low", stream=True, **arguments))
            )
        else:
            first = say(simulated, RESPONSES, model, ASK, stream=way == "streamed")
        last = say(simulated, RESPONSES, model, answered(ASK, first))
        items = simulated.last.json["input"]
    assert last.choices[0].message.content == "sunny"
    kept = [item for item in items if item.get("type") == "reasoning"]
    assert len(kept) == 1
    assert kept[0]["encrypted_content"]
    assert kept[0]["id"].startswith("rs_")


def test_thoughts_without_calls_may_be_said_in_plain_words_too() -> None:
    with simulating() as simulated:
        simulated.script(Reply.of(Thinking("hm"), Text("Hello.")), Reply.text("again"))
        first = say(simulated, ANTHROPIC, ANTHROPIC.model, ASK)
        message = {"role": "assistant", "content": first.choices[0].message.content}
        history = [*ASK, message, {"role": "user", "content": "again"}]
        assert say(simulated, ANTHROPIC, ANTHROPIC.model, history).choices[0].message.content == "again"
