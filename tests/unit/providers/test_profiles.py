"""Profiles: what a renderer is told, from family, host and model, and which layer wins."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from penstock.conformance.check import recognise
from penstock.conformance.recording import read_folder
from penstock.dialects.dialect import Dialect
from penstock.providers.facts import Facts
from penstock.providers.facts.profile import profile_changes
from penstock.providers.profiles import overlay, profile_for
from penstock.providers.provider import ModelRule, Provider
from penstock.providers.registry import Registry
from penstock.providers.routes import main_format
from penstock.types.profile import DEFAULT_PROFILE, Profile

REGISTRY = Registry(plugins=lambda: ())

LOW_TO_HIGH = ("low", "medium", "high")

CASES: list[tuple[str, str, str, dict[str, Any]]] = [
    # OpenAI
    ("openai", "gpt-4o", "openai_chat", {"reasoning": "default", "system_role": None, "max_tokens_field": None}),
    ("openai", "o3-mini", "openai_chat", {"system_role": "developer", "max_tokens_field": "max_completion_tokens"}),
    ("openai", "gpt-5-mini", "openai_chat", {"reasoning": "effort"}),
    ("openai", "gpt-5-chat-latest", "openai_chat", {"reasoning": "default"}),
    ("azure", "gpt-5", "openai_responses", {"reasoning": "effort"}),
    ("openrouter", "openai/o4-mini", "openai_chat", {"system_role": "developer", "reasoning": "object"}),
    ("upstage", "solar-pro3", "openai_chat", {"system_role": None}),
    ("groq", "openai/gpt-oss-120b", "openai_chat", {"system_role": None, "structured_output": "json_schema"}),
    ("moonshot", "kimi-k3", "openai_chat", {"reasoning": "effort", "reasoning_efforts": ("low", "high", "max")}),
    ("moonshot", "kimi-k2.7-code", "openai_chat", {"reasoning": "none"}),
    ("moonshot", "kimi-k2.6", "openai_chat", {"reasoning": "thinking_type"}),
    ("moonshot", "moonshot-v1-8k", "openai_chat", {"unsupported": frozenset()}),
    ("deepseek", "deepseek-reasoner", "openai_chat", {"tools": True, "reasoning": "thinking_type"}),
    ("groq", "llama-3.3-70b", "openai_chat", {"structured_output": "tool", "nulls": False}),
    # Claude, wherever it is
    ("anthropic", "claude-3-5-sonnet-20241022", "anthropic_messages", {"reasoning": "none"}),
    ("anthropic", "claude-3-7-sonnet-20250219", "anthropic_messages", {"reasoning": "budget"}),
    ("anthropic", "claude-opus-4-20250514", "anthropic_messages", {"reasoning": "budget"}),
    (
        "anthropic",
        "claude-sonnet-4-5-20250929",
        "anthropic_messages",
        {"reasoning": "budget", "unsupported": frozenset()},
    ),
    ("anthropic", "claude-opus-4-6", "anthropic_messages", {"reasoning": "adaptive", "unsupported": frozenset()}),
    ("anthropic", "claude-opus-4-7", "anthropic_messages", {"reasoning": "adaptive"}),
    ("anthropic", "claude-sonnet-5", "anthropic_messages", {"reasoning": "adaptive"}),
    ("anthropic", "claude-haiku-5-5", "anthropic_messages", {"reasoning": "adaptive"}),
    ("vertex_ai", "claude-opus-4-6@20260205", "anthropic_messages", {"reasoning": "adaptive", "image_urls": False}),
    ("bedrock", "us.anthropic.claude-sonnet-4-5-20250929-v1:0", "bedrock_converse", {"reasoning": "budget"}),
    ("bedrock", "global.anthropic.claude-opus-4-6-v1:0", "bedrock_converse", {"reasoning": "adaptive"}),
    (
        "bedrock",
        "us.amazon.nova-lite-v1:0",
        "bedrock_converse",
        {
            "signature_origin": "none",
            "reasoning": "none",
            "structured_output": "tool",
            "strict_tools": False,
            "renames": {"top_k": "inferenceConfig.topK"},
        },
    ),
    ("bedrock", "us.amazon.nova-2-lite-v1:0", "bedrock_converse", {"reasoning": "level", "structured_output": "tool"}),
    (
        "bedrock",
        "openai.gpt-oss-120b-1:0",
        "bedrock_converse",
        {"reasoning": "effort", "renames": {}, "structured_output": "json_schema"},
    ),
    (
        "bedrock",
        "qwen.qwen3-32b-v1:0",
        "bedrock_converse",
        {"reasoning": "effort", "renames": {"reasoning_effort": "reasoning_config"}, "strict_tools": True},
    ),
    ("bedrock", "google.gemma-3-27b-it", "bedrock_converse", {"structured_output": "json_schema"}),
    ("bedrock", "meta.llama3-70b-instruct-v1:0", "bedrock_converse", {"structured_output": "tool"}),
    ("bedrock", "anthropic.claude-3-5-sonnet-20240620-v1:0", "bedrock_converse", {"structured_output": "tool"}),
    ("bedrock", "anthropic.claude-sonnet-4-20250514-v1:0", "bedrock_converse", {"structured_output": "tool"}),
    ("bedrock", "us.anthropic.claude-sonnet-4-6", "bedrock_converse", {"structured_output": "json_schema"}),
    ("bedrock", "arn:aws:bedrock:us-east-1:1:inference-profile/x", "bedrock_converse", {"signature_origin": None}),
    ("bedrock_mantle", "anthropic.claude-opus-4-6", "anthropic_messages", {"structured_output": "tool"}),
    (
        "openrouter",
        "anthropic/claude-opus-4.6",
        "openai_chat",
        {"reasoning": "object", "signature_origin": "anthropic", "thinking_field": "reasoning_details"},
    ),
    ("openrouter", "openai/gpt-5", "openai_responses", {"signature_origin": "openai"}),
    ("azure_ai", "gpt-5.2", "openai_responses", {"signature_origin": "openai"}),
    ("gemini", "gemini-3-flash-preview", "openai_chat", {"signature_origin": "gemini", "message_extensions": True}),
    ("vertex_ai", "google/gemini-3-flash-preview", "openai_chat", {"signature_origin": "gemini"}),
    ("anthropic", "claude-3-5-sonnet-20241022", "anthropic_messages", {"structured_output": "tool"}),
    ("anthropic", "claude-sonnet-4-20250514", "anthropic_messages", {"structured_output": "tool"}),
    ("anthropic", "claude-opus-4-5", "anthropic_messages", {"structured_output": "json_schema"}),
    ("anthropic", "claude-sonnet-4-5", "anthropic_messages", {"exclusive_sampling": True, "system_turns": False}),
    ("anthropic", "claude-opus-4-8", "anthropic_messages", {"system_turns": True, "signature_origin": "anthropic"}),
    ("bedrock", "us.anthropic.claude-opus-4-5-20251101-v1:0", "bedrock_converse", {"parallel_tool_switch": True}),
    ("bedrock", "anthropic.claude-sonnet-5", "bedrock_converse", {"parallel_tool_switch": True}),
    ("bedrock", "anthropic.claude-opus-4-1-20250805-v1:0", "bedrock_converse", {"parallel_tool_switch": False}),
    ("bedrock", "anthropic.claude-3-5-sonnet-20241022-v2:0", "bedrock_converse", {"parallel_tool_switch": False}),
    ("bedrock", "amazon.nova-pro-v1:0", "bedrock_converse", {"parallel_tool_switch": False}),
    ("openai", "gpt-5.6-sol", "openai_chat", {"cache_breakpoints": True, "message_extensions": False}),
    ("azure", "gpt-5.5", "openai_responses", {"cache_breakpoints": False, "message_extensions": False}),
    # Gemini
    ("gemini", "gemini-2.5-flash", "gemini", {"reasoning": "budget", "signature_origin": "gemini"}),
    ("gemini", "gemini-3-flash-preview", "gemini", {"reasoning": "level"}),
    ("vertex_ai", "gemini-3.1-pro-preview", "gemini", {"reasoning": "level"}),
    ("gemini", "gemini-2.0-flash", "gemini", {"reasoning": "none"}),
    # quirks of hosts
    ("mistral", "mistral-small", "openai_chat", {"renames": {"seed": "random_seed"}, "tool_choice_required": "any"}),
    ("deepseek", "deepseek-chat", "openai_chat", {"content_lists": False, "replay_thinking": True}),
    ("ollama", "llama3", "ollama_chat", {"image_urls": False, "reasoning": "default"}),
    ("ollama", "gpt-oss:20b", "ollama_chat", {"reasoning": "effort", "reasoning_efforts": LOW_TO_HIGH}),
    ("groq", "openai/gpt-oss-20b", "openai_chat", {"reasoning": "effort", "reasoning_efforts": LOW_TO_HIGH}),
    ("hosted_vllm", "openai/gpt-oss-20b", "openai_chat", {"reasoning": "effort", "reasoning_efforts": LOW_TO_HIGH}),
    ("bedrock", "openai.gpt-oss-120b-1:0", "bedrock_converse", {"reasoning_efforts": LOW_TO_HIGH}),
    ("hosted_vllm", "qwen3", "openai_chat", {"reasoning": "template"}),
    ("dashscope", "qwen3-max", "openai_chat", {"reasoning": "enable_thinking"}),
    ("zai", "glm-4.7", "openai_chat", {"reasoning": "thinking_type"}),
]


@pytest.mark.parametrize(("host", "model", "wire_format", "fields"), CASES)
def test_what_is_known(host: str, model: str, wire_format: str, fields: dict[str, Any]) -> None:
    profile = profile_for(REGISTRY.get(host), model, wire_format)
    assert {name: getattr(profile, name) for name in fields} == fields


@pytest.mark.parametrize(
    ("model", "refused", "refused_while_reasoning"),
    [
        ("gpt-4o", set(), set()),
        ("o3", {"temperature", "top_p", "stop"}, set()),
        ("gpt-5", {"temperature", "top_p", "stop"}, set()),
        ("gpt-5.1", {"stop"}, {"temperature", "top_p"}),
        ("gpt-6-sol", {"stop"}, {"temperature"}),
    ],
)
def test_sampling_of_reasoning_models(model: str, refused: set[str], refused_while_reasoning: set[str]) -> None:
    profile = profile_for(REGISTRY.get("openai"), model, "openai_chat")
    assert refused <= profile.unsupported
    assert refused_while_reasoning <= profile.unsupported_while_reasoning
    assert ("temperature" in profile.unsupported) is ("temperature" in refused)


def test_sampling_of_the_newer_claudes() -> None:
    for model, refused in (("claude-opus-4-6", False), ("claude-opus-4-7", True), ("claude-sonnet-5-5", True)):
        profile = profile_for(REGISTRY.get("anthropic"), model, "anthropic_messages")
        assert ("temperature" in profile.unsupported) is refused, model


def test_the_later_layer_wins_and_sets_grow() -> None:
    host = Provider(
        name="h",
        base_url="https://h.example",
        profile=Profile(max_tokens_field="max_tokens", unsupported=frozenset({"seed"}), renames={"a": "b"}),
        model_rules=(
            ModelRule(models=("*gpt-5*",), profile={"unsupported": ["n"], "renames": {"c": "d"}, "nulls": False}),
            ModelRule(models=("*gpt-5*",), unless=("*-nano",), profile={"nulls": True}),
            ModelRule(models=("*gpt-5*",), formats=("gemini",), profile={"tools": False}),
        ),
    )
    profile = profile_for(host, "gpt-5", "openai_chat")
    assert profile.max_tokens_field == "max_tokens"  # the host, over the family's max_completion_tokens
    assert {"seed", "n", "temperature"} <= profile.unsupported
    assert profile.renames == {"a": "b", "c": "d"}
    assert (profile.nulls, profile.tools) == (True, True)
    assert profile_for(host, "gpt-5-nano", "openai_chat").nulls is False
    assert profile_for(host, "GPT-5", "gemini").tools is False


def test_a_host_may_do_without_families() -> None:
    host = Provider(name="h", base_url="https://h.example", inherits_families=False)
    assert profile_for(host, "gpt-5", "openai_chat") is DEFAULT_PROFILE


@pytest.mark.parametrize(
    ("host", "main"),
    [
        ("openai", "openai_chat"),
        ("azure", "openai_chat"),
        ("azure_ai", "openai_chat"),
        ("vertex_ai", "gemini"),
        ("bedrock", "bedrock_converse"),
        ("perplexity", "openai_chat"),
        ("voyage", None),
    ],
)
def test_the_main_format(host: str, main: str | None) -> None:
    assert main_format(REGISTRY.get(host)) == main


def test_quirks_of_one_format_are_not_those_of_another() -> None:
    row = REGISTRY.get("deepseek")
    chat, messages = (profile_for(row, "deepseek-chat", name) for name in ("openai_chat", "anthropic_messages"))
    assert (chat.max_tokens_field, chat.reasoning, chat.image_urls) == ("max_tokens", "thinking_type", False)
    assert (messages.max_tokens_field, messages.reasoning, messages.image_urls) == (None, "default", False)
    voyage = profile_for(REGISTRY.get("voyage"), "voyage-4", "openai_embeddings")
    assert voyage.renames == {"dimensions": "output_dimension"}


def test_nothing_to_say_is_the_default_itself() -> None:
    """Renderers skip all quirks by this identity."""
    assert profile_for(Provider(name="h", base_url="https://h.example"), "m", "openai_chat") is DEFAULT_PROFILE


@pytest.mark.parametrize("changes", [{"typo": 1}, {"nulls": "no"}, {"reasoning": "telepathy"}])
def test_changes_that_profile_does_not_have(changes: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        overlay(DEFAULT_PROFILE, changes)


# -- families, held to the shared facts --------------------------------------------------------------------------------

CLAUDE_FACTS: dict[str, Callable[[Profile], bool]] = {
    "supports_adaptive_thinking": lambda profile: profile.reasoning == "adaptive",
    "supports_mid_conversation_system": lambda profile: profile.system_turns,
}


def test_what_the_facts_say_of_claude(shared: Callable[..., Path]) -> None:
    """Every Claude of the facts, at every host: the same answer by the look of its name."""
    count = 0
    for name, fact in json.loads(shared("model-facts.json").read_text()).items():
        if "claude" not in name or fact["litellm_provider"] not in CLAUDE_HOSTS or "mythos-preview" in name:
            continue  # (on the preview the facts of different hosts disagree)
        profile = profile_for(Provider(name="h", base_url="https://h.example"), name, "anthropic_messages")
        for field, holds in CLAUDE_FACTS.items():
            assert holds(profile) is bool(fact.get(field)), (name, field)
        refuses = "temperature" in profile.unsupported
        assert refuses is (fact.get("supports_sampling_params") is False), (name, "supports_sampling_params")
        if not fact.get("supports_reasoning"):
            assert profile.reasoning == "none", name
        count += 1
    assert count > 150


CLAUDE_HOSTS = ("anthropic", "bedrock", "bedrock_converse", "azure_ai", "vertex_ai-anthropic_models")


def test_what_the_facts_say_of_gpt(shared: Callable[..., Path]) -> None:
    count = 0
    for name, fact in json.loads(shared("model-facts.json").read_text()).items():
        if fact.get("litellm_provider") == "openai" and fact.get("mode") in ("chat", "responses"):
            profile = profile_for(Provider(name="h", base_url="https://h.example"), name, "openai_chat")
            if fact.get("supports_prompt_cache_breakpoint"):
                assert profile.cache_breakpoints, name
            if fact.get("supports_reasoning") and "chat" not in name and "search" not in name:
                assert profile.reasoning == "effort", name
            elif name.startswith("gpt-4"):
                assert profile is DEFAULT_PROFILE, name
            count += 1
    assert count > 100


NAMES = {"vertex": "vertex_ai", "bedrock-mantle": "bedrock_mantle"}
"""Providers of the recordings -> rows, where the names differ."""


def test_nothing_that_a_host_has_taken_is_kept_from_it(shared: Callable[..., Path]) -> None:
    """What a recorded request carried, and its host answered, a row and the facts must not drop for that model."""
    dropped = []
    for exchange in read_folder(shared("provider-exchanges")):
        found = recognise(exchange)
        if found is None or exchange.status >= 400 or not isinstance(exchange.request_body, dict):
            continue
        dialect, match = found
        if not isinstance(dialect, Dialect):
            continue
        request = dialect.parse_request(exchange.request_body, match)
        row, model = REGISTRY.get(NAMES.get(exchange.provider, exchange.provider)), request.model or "m"
        facts = Facts().find(model, row.name)
        changes = profile_changes(facts, dialect.name) if facts else {}
        rendered = dialect.render_request(request, profile_for(row, model, dialect.name, facts=changes))
        dropped += [(exchange.provider, model, note) for note in rendered.notes if note.kind == "dropped"]
    assert dropped == []
