"""Names of betas: sent with the parts that need them, in the host's own place, beside those that the caller gave."""

import json
from typing import Any

import pytest

from penstock.client.betas import joined
from penstock.client.chat import ChatCall
from penstock.client.dialect_calls import MESSAGES_SHAPE
from penstock.client.engine import Engine
from penstock.dialects import registry
from penstock.dialects.dialect import PathMatch
from penstock.exchange import HTTPRequest, Send
from penstock.providers.betas import ANTHROPIC_BETAS, betas_of

ENVIRONMENT = {
    "ANTHROPIC_API_KEY": "fake",
    "AWS_BEARER_TOKEN_BEDROCK": "fake",
    "AWS_REGION": "us-east-1",
    "OPENAI_API_KEY": "fake",
}
TOOL = {"name": "look", "input_schema": {"type": "object", "properties": {"file": {"type": "file"}}}}


def _user(*blocks: dict[str, Any]) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": list(blocks)}]}


@pytest.mark.parametrize(
    ("body", "names"),
    [
        ({}, []),
        ({"tools": [TOOL, {"type": "custom", **TOOL}]}, []),
        (_user({"type": "text", "text": "type: file"}), []),
        (_user({"type": "tool_use", "id": "t", "name": "n", "input": {"type": "file"}}), []),
        (_user({"type": "document", "source": {"type": "file", "file_id": "f"}}), ["files-api-2025-04-14"]),
        (
            _user({"type": "tool_result", "content": [{"type": "image", "source": {"type": "file", "file_id": "f"}}]}),
            ["files-api-2025-04-14"],
        ),
        ({"mcp_servers": [{"type": "url"}]}, ["mcp-client-2025-04-04"]),
        ({"mcp_servers": [{"type": "url"}], "tools": [{"type": "mcp_toolset"}]}, ["mcp-client-2025-11-20"]),
        ({"tools": [{"type": "code_execution_20250825"}]}, ["code-execution-2025-08-25"]),
        ({"tools": [{"type": "computer_20251124"}]}, ["computer-use-2025-11-24"]),
        (
            {"context_management": {"edits": [{"type": "clear_tool_uses_20250919"}]}},
            ["context-management-2025-06-27"],
        ),
        ({"context_management": {"edits": [{"type": "compact_20260112"}]}}, ["compact-2026-01-12"]),
        ({"output_config": {"format": {"type": "json_schema", "schema": {"type": "file"}}}}, []),
        ({"output_config": {"task_budget": {"type": "tokens", "total": 9}}}, ["task-budgets-2026-03-13"]),
        ({"output_format": {"type": "json_schema"}}, ["structured-outputs-2025-11-13"]),
        ({"container": {"skills": [{"type": "anthropic"}]}}, ["skills-2025-10-02"]),
        ({"container": "c_1"}, []),
    ],
)
def test_which_part_needs_which_name(body: dict[str, Any], names: list[str]) -> None:
    assert betas_of(body, ANTHROPIC_BETAS) == names


def test_each_name_is_one_that_the_provider_knows() -> None:
    anthropic = pytest.importorskip("anthropic")
    from typing import get_args

    from anthropic.types.anthropic_beta_param import AnthropicBetaParam

    known = {word for choice in get_args(AnthropicBetaParam) for word in get_args(choice)}
    # Withdrawn into general availability, accepted still.
    assert {beta.name for beta in ANTHROPIC_BETAS} - known <= {"web-fetch-2025-09-10", "code-execution-2025-08-25"}
    assert anthropic


def _sent(model: str, **arguments: Any) -> HTTPRequest:
    engine = Engine(environment=ENVIRONMENT)
    call = ChatCall.of(engine, MESSAGES_SHAPE, {"model": model, "max_tokens": 9, **arguments})
    step = next(engine.exchange(call.plan(), call.options))
    assert isinstance(step, Send)
    return step.request


FILE = _user({"type": "document", "source": {"type": "file", "file_id": "f"}})["messages"]
PLAIN = _user({"type": "text", "text": "Hi"})["messages"]


def test_a_header_where_the_host_takes_one() -> None:
    headers = dict(_sent("anthropic/claude-opus-4-6", messages=FILE).headers)
    assert headers["anthropic-beta"] == "files-api-2025-04-14"
    assert "anthropic-beta" not in dict(_sent("anthropic/claude-opus-4-6", messages=PLAIN).headers)


def test_the_callers_names_are_added_up() -> None:
    own = {"Anthropic-Beta": "context-1m-2025-08-07, files-api-2025-04-14"}
    headers = dict(_sent("anthropic/claude-opus-4-6", messages=FILE, extra_headers=own).headers)
    values = [value for name, value in headers.items() if name.lower() == "anthropic-beta"]
    assert values == ["files-api-2025-04-14,context-1m-2025-08-07"]


def test_the_name_that_goes_with_a_token_is_kept() -> None:
    headers = dict(_sent("anthropic/claude-opus-4-6", messages=FILE, api_key="sk-ant-oat-fake").headers)
    assert headers["anthropic-beta"].split(",") == ["files-api-2025-04-14", "oauth-2025-04-20"]


def test_the_body_where_the_host_takes_them_there() -> None:
    tools = [{"type": "computer_20251124", "name": "computer"}]
    own = {"anthropic-beta": "context-1m-2025-08-07"}
    sent = _sent("bedrock/invoke/anthropic.claude-opus-4-6-v1", messages=PLAIN, tools=tools, extra_headers=own)
    body = json.loads(sent.body)
    assert body["anthropic_beta"] == ["computer-use-2025-11-24", "context-1m-2025-08-07"]
    assert body["anthropic_version"] == "bedrock-2023-05-31"
    assert body.keys().isdisjoint({"model", "stream"})


def test_a_body_for_one_host_becomes_one_for_another() -> None:
    """A request as Bedrock's `invoke` takes it, sent to Anthropic: its path and its lists find their places."""
    wire = {"anthropic_version": "bedrock-2023-05-31", "anthropic_beta": ["x-2026-01-01"], "max_tokens": 9}
    dialect = registry.get("anthropic_messages")
    request = dialect.parse_request({**wire, "messages": PLAIN}, PathMatch("anthropic.claude-opus-4-6-v1", False))
    engine = Engine(environment=ENVIRONMENT)
    call = ChatCall.of(engine, MESSAGES_SHAPE, {"model": "anthropic/claude-opus-4-6", "max_tokens": 9, "messages": []})
    attempt = engine.chat_attempt(request, "anthropic/claude-opus-4-6", call.options)
    run = attempt.prepare(0.0)
    try:
        next(run)
    except StopIteration as done:
        sent = done.value
    body = json.loads(sent.body)
    assert body == {"model": "claude-opus-4-6", "max_tokens": 9, "messages": PLAIN, "stream": False}
    assert dict(sent.headers)["anthropic-beta"] == "x-2026-01-01"


def test_other_formats_have_none() -> None:
    sent = _sent("openai/gpt-5-mini", messages=PLAIN)
    assert not [name for name, _ in sent.headers if name.endswith("-beta")]


def test_headers_whose_names_differ_in_case_are_one() -> None:
    assert joined({"Content-Type": "a", "x": "1"}, None, {"content-type": "b"}) == {"x": "1", "content-type": "b"}
