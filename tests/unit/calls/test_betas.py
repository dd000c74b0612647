"""Names of betas: sent with the parts that need them, in the host's own place, beside those that the caller gave."""

import json
from typing import Any, get_args

import pytest
from msgspec.structs import replace

from penstock.calls.betas import joined
from penstock.calls.engine import Engine
from penstock.client.chat import ChatCall
from penstock.client.dialect_calls import MESSAGES_SHAPE
from penstock.client.operations import SimpleCall
from penstock.client.provider_counts import COUNT
from penstock.client.shapes import CHAT_SHAPE
from penstock.dialects import registry
from penstock.dialects.dialect import PathMatch
from penstock.exchange import HTTPRequest, Send
from penstock.providers.betas import ANTHROPIC_BETAS, betas_of
from penstock.types.profile import DEFAULT_PROFILE, Profile
from tests.support import need

ENVIRONMENT = {
    "ANTHROPIC_API_KEY": "fake",
    "AWS_BEARER_TOKEN_BEDROCK": "fake",
    "AWS_REGION": "us-east-1",
    "OPENAI_API_KEY": "fake",
    "GOOGLE_OAUTH_ACCESS_TOKEN": "fake",
    "VERTEXAI_PROJECT": "proj",
    "VERTEXAI_LOCATION": "global",
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
    need(module="anthropic", hint="pip install anthropic")
    from anthropic.types.anthropic_beta_param import AnthropicBetaParam

    known = {word for choice in get_args(AnthropicBetaParam) for word in get_args(choice)}
    # Withdrawn into general availability, accepted still.
    assert {beta.name for beta in ANTHROPIC_BETAS} - known <= {"web-fetch-2025-09-10", "code-execution-2025-08-25"}


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


MILLION = "context-1m-2025-08-07"
INVOKE, CONVERSE = "bedrock/invoke/anthropic.claude-opus-4-6-v1", "bedrock/converse/anthropic.claude-opus-4-6-v1"
HOSTS = ("anthropic/claude-opus-4-6", "vertex_ai/claude-opus-4-6", INVOKE, CONVERSE)


def _names_in(sent: HTTPRequest) -> list[str]:
    """The names as the host will see them: in a header, in the body, in Converse's fields of the model."""
    body = json.loads(sent.body)
    listed = body.get("anthropic_beta") or (body.get("additionalModelRequestFields") or {}).get("anthropic_beta")
    header = {name.lower(): value for name, value in sent.headers}.get("anthropic-beta", "")
    return list(listed) if listed else [name for name in header.split(",") if name]


def _place_of(sent: HTTPRequest) -> str:
    body = json.loads(sent.body)
    if "anthropic_beta" in body:
        return "body"
    return "model fields" if "anthropic_beta" in body.get("additionalModelRequestFields", {}) else "header"


PLACES = dict(zip(HOSTS, ("header", "header", "body", "model fields"), strict=True))
GIVEN: dict[str, dict[str, Any]] = {
    "header": {"extra_headers": {"anthropic-beta": MILLION}},
    "betas, as the official client calls them": {"betas": [MILLION]},
    "body, as Bedrock's has them": {"anthropic_beta": [MILLION]},
    "extra body": {"extra_body": {"anthropic_beta": [MILLION]}},
}


@pytest.mark.parametrize("how", GIVEN)
@pytest.mark.parametrize("model", HOSTS)
def test_the_callers_names_arrive_at_every_host_of_claude(model: str, how: str) -> None:
    sent = _sent(model, messages=PLAIN, **GIVEN[how])
    assert (_names_in(sent), _place_of(sent)) == ([MILLION], PLACES[model])
    assert json.loads(sent.body).keys().isdisjoint({"betas"})


@pytest.mark.parametrize("how", ["header", "extra body"])
@pytest.mark.parametrize("model", HOSTS)
def test_so_they_do_from_chat_completions(model: str, how: str) -> None:
    engine = Engine(environment=ENVIRONMENT)
    call = ChatCall.of(engine, CHAT_SHAPE, {"model": model, "messages": PLAIN, **GIVEN[how]})
    step = next(engine.exchange(call.plan(), call.options))
    assert isinstance(step, Send)
    assert (_names_in(step.request), _place_of(step.request)) == ([MILLION], PLACES[model])


def test_converse_has_the_names_that_the_models_own_fields_need() -> None:
    own = {
        "additionalModelRequestFields": {
            "anthropic_beta": ["x-2026-01-01"],
            "tools": [{"type": "computer_20250124", "name": "computer"}],
            "context_management": {"edits": [{"type": "clear_tool_uses_20250919"}]},
        }
    }
    sent = _sent(CONVERSE, messages=PLAIN, extra_body=own)
    names = ["x-2026-01-01", "context-management-2025-06-27", "computer-use-2025-01-24"]
    assert json.loads(sent.body)["additionalModelRequestFields"]["anthropic_beta"] == names
    assert own["additionalModelRequestFields"]["anthropic_beta"] == ["x-2026-01-01"], "it is the caller's"


def test_a_model_of_another_maker_gets_none() -> None:
    sent = _sent("bedrock/amazon.nova-pro-v1:0", messages=PLAIN, betas=[MILLION], drop_params=True)
    assert "additionalModelRequestFields" not in json.loads(sent.body)


def _passed_on(model: str, names: str) -> tuple[list[str], list[tuple[str, str]]]:
    engine = Engine(environment=ENVIRONMENT)
    request = registry.get("anthropic_messages").parse_request({"max_tokens": 9, "messages": PLAIN}, PathMatch())
    attempt = engine.chat_attempt(request, model, engine.defaults)
    attempt.passed_betas = names
    run = attempt.prepare(0.0)
    try:
        next(run)
    except StopIteration as done:
        sent = done.value
    return _names_in(sent), [(note.kind, note.path) for note in attempt.notes]


@pytest.mark.parametrize("model", HOSTS)
def test_what_a_client_of_the_gateway_names_is_sorted_out(model: str) -> None:
    names, notes = _passed_on(model, f"claude-code-20250219, {MILLION},new-2030-01-01")
    if model == HOSTS[0]:
        assert (names, notes) == (["claude-code-20250219", MILLION, "new-2030-01-01"], [])
    else:
        assert (names, notes) == ([MILLION, "new-2030-01-01"], [("dropped", "betas")])


def test_nobody_else_hears_of_them() -> None:
    assert _passed_on("openai/gpt-5-mini", MILLION) == ([], [])
    assert _passed_on("bedrock/amazon.nova-pro-v1:0", MILLION)[0] == []


def test_the_dialects_carry_the_names_to_each_other() -> None:
    anthropic, converse = registry.get("anthropic_messages"), registry.get("bedrock_converse")
    wire = {"anthropic_beta": ["a", "b"], "max_tokens": 9, "messages": PLAIN}
    there = converse.render_request(anthropic.parse_request(wire, PathMatch("claude", False)), DEFAULT_PROFILE)
    assert (there.value["additionalModelRequestFields"], there.notes) == ({"anthropic_beta": ["a", "b"]}, ())
    back = anthropic.render_request(converse.parse_request(there.value, PathMatch("claude", False)), DEFAULT_PROFILE)
    assert (back.value["anthropic_beta"], back.notes) == (["a", "b"], ())
    nova = Profile(signature_origin="none")
    rendered = converse.render_request(anthropic.parse_request(wire, PathMatch("nova", False)), nova)
    assert "additionalModelRequestFields" not in rendered.value
    assert [(note.path, note.kind) for note in rendered.notes] == [("betas", "dropped")]


@pytest.mark.parametrize("odd", ["a,b", [1], None, [], {"a": 1}])
def test_odd_lists_stay_as_they_are(odd: Any) -> None:
    for name, wire in (
        ("anthropic_messages", {"anthropic_beta": odd, "messages": []}),
        ("bedrock_converse", {"messages": [], "additionalModelRequestFields": {"anthropic_beta": odd}}),
    ):
        dialect = registry.get(name)
        request = dialect.parse_request(wire, PathMatch("claude", False))
        assert dialect.render_request(request, DEFAULT_PROFILE).value == wire


def test_counting_names_them_too() -> None:
    engine = Engine(environment=ENVIRONMENT)
    request = registry.get("anthropic_messages").parse_request({"max_tokens": 9, "messages": FILE}, PathMatch())
    request = replace(request, dialect="contract")
    found = {}
    for model in ("anthropic/claude-opus-4-6", "bedrock/anthropic.claude-opus-4-6-v1"):
        given = {"model": model, "request": request, "extra_headers": {"anthropic-beta": MILLION}}
        step = next(SimpleCall.of(engine, COUNT, given).run())
        assert isinstance(step, Send)
        found[model] = step.request
    names = dict(found["anthropic/claude-opus-4-6"].headers)["anthropic-beta"]
    assert names == f"files-api-2025-04-14,{MILLION}"
    body = json.loads(found["bedrock/anthropic.claude-opus-4-6-v1"].body)
    assert body["input"]["converse"]["additionalModelRequestFields"] == {"anthropic_beta": [MILLION]}


def test_other_formats_have_none() -> None:
    sent = _sent("openai/gpt-5-mini", messages=PLAIN)
    assert not [name for name, _ in sent.headers if name.endswith("-beta")]


def test_headers_whose_names_differ_in_case_are_one() -> None:
    assert joined({"Content-Type": "a", "x": "1"}, None, {"content-type": "b"}) == {"x": "1", "content-type": "b"}
