"""What a renderer is told about a model: only what its facts say, in the form that profiles are made of."""

from typing import Any

import pytest

from penstock.providers.facts import Facts
from penstock.providers.facts.profile import profile_changes
from penstock.providers.profiles import overlay
from penstock.types.profile import DEFAULT_PROFILE

FACTS = Facts()


def changes(name: str, wire_format: str, provider: str | None = None) -> dict[str, Any]:
    row = FACTS.find(name, provider)
    assert row is not None
    return profile_changes(row, wire_format)


def row_changes(wire_format: str = "openai_chat", **fields: Any) -> dict[str, Any]:
    row = FACTS.with_rows({"m": fields}).find("m")
    assert row is not None
    return profile_changes(row, wire_format)


def test_nothing_said_changes_nothing() -> None:
    assert row_changes(mode="chat") == {}
    assert row_changes(supports_function_calling=True, supports_response_schema=True) == {}


def test_limits_and_refusals() -> None:
    assert row_changes(max_output_tokens=8192, max_tokens=8192) == {"max_output_tokens": 8192}
    assert row_changes(supports_function_calling=False) == {"tools": False}
    assert row_changes(supports_sampling_params=False) == {"unsupported": ["temperature", "top_p", "top_k"]}
    assert row_changes(supports_reasoning=False) == {"reasoning": "none"}


@pytest.mark.parametrize(
    ("wire_format", "fields", "level"),
    [
        ("openai_chat", {"supports_response_schema": False}, "tool"),
        ("openai_chat", {"supports_response_schema": False, "supports_function_calling": False}, "prompt"),
        ("anthropic_messages", {"supports_response_schema": True, "supports_native_structured_output": False}, "tool"),
        ("anthropic_messages", {"supports_native_structured_output": True}, None),
        ("bedrock_converse", {"supports_bedrock_native_structured_output": True}, "json_schema"),
        ("bedrock_converse", {"supports_bedrock_native_structured_output": False}, "tool"),
        ("bedrock_converse", {"supports_response_schema": True}, None),
    ],
)
def test_structured_output(wire_format: str, fields: dict[str, Any], level: str | None) -> None:
    assert row_changes(wire_format, **fields).get("structured_output") == level


@pytest.mark.parametrize(
    ("fields", "efforts"),
    [
        ({"supports_reasoning": True}, None),
        ({"supports_xhigh_reasoning_effort": True}, None),
        ({"supports_reasoning": True, "supports_minimal_reasoning_effort": True}, ["minimal", "low", "medium", "high"]),
        (
            {
                "supports_reasoning": True,
                "supports_none_reasoning_effort": True,
                "supports_xhigh_reasoning_effort": True,
            },
            ["none", "low", "medium", "high", "xhigh"],
        ),
        ({"supports_reasoning": True, "supports_low_reasoning_effort": False}, ["medium", "high"]),
        ({"reasoning_effort_levels": ["max", "low", "high"]}, ["low", "high", "max"]),
        ({"reasoning_effort_levels": [], "supports_reasoning": True}, None),
    ],
)
def test_efforts(fields: dict[str, Any], efforts: list[str] | None) -> None:
    assert row_changes(**fields).get("reasoning_efforts") == efforts


def test_adaptive_thinking_is_claudes_own_way() -> None:
    assert changes("claude-opus-5", "anthropic_messages")["reasoning"] == "adaptive"
    assert "reasoning" not in changes("claude-opus-5", "openai_chat")
    assert changes("us.anthropic.claude-opus-5", "bedrock_converse")["reasoning"] == "adaptive"


@pytest.mark.parametrize(
    "wire_format", ["openai_chat", "openai_responses", "anthropic_messages", "gemini", "bedrock_converse"]
)
def test_profiles_can_be_made_of_every_row(wire_format: str) -> None:
    for row in FACTS.rows():
        overlay(DEFAULT_PROFILE, profile_changes(row, wire_format))
