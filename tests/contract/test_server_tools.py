"""What becomes of provider-run tools on the way from one dialect to another: a table of pairs, and the rules that hold
for all of them: what narrows a tool arrives or the tool is left out, all that is lost is noted, and no secret shows.
"""

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from penstock.dialects import registry, wire
from penstock.dialects.dialect import Context, PathMatch
from penstock.types.content import Text
from penstock.types.errors import LossError
from penstock.types.notes import Note
from penstock.types.profile import DEFAULT_PROFILE, Profile
from penstock.types.request import Message, Request, Tool, ToolChoice
from penstock.types.response import Choice, Response
from penstock.types.tool_settings import NARROWING, ToolSettings, UserLocation
from tests.contract.server_tool_pairs import CLAUDE_MCP, PAIRS, RESPONSES_MCP, RESPONSES_SEARCH
from tests.unit.dialects.test_tool_settings import (
    MCP,
    SERVED,
    SERVER,
    TOOLSET,
    fields_of,
    read,
)


@pytest.mark.parametrize(
    ("label", "source", "fields", "target", "profile", "said", "lost"),
    PAIRS,
    ids=[f"{pair[0]}: {pair[1]} to {pair[3]}" for pair in PAIRS],
)
def test_pairs(
    label: str,
    source: str,
    fields: dict[str, Any],
    target: str,
    profile: Profile,
    said: dict[str, Any],
    lost: list[str],
) -> None:
    request = replace(read(source, fields), max_tokens=None)
    assert fields_of(target, request, profile) == said
    rendered = registry.get(target).render_request(request, profile)
    losses = [note for note in rendered.notes if note.kind != "added"]
    assert [note.path for note in losses] == lost
    if lost:
        with pytest.raises(LossError, match="tools"):
            rendered.require_lossless()


def test_a_tool_left_out_says_why() -> None:
    notes = registry.get("gemini").render_request(read("openai_responses", RESPONSES_SEARCH), DEFAULT_PROFILE).notes
    assert str(notes[-1]) == (
        "dropped tools[0]: left out: Gemini cannot keep it to its allowed_domains, and without, it would reach further"
    )


def test_servers_get_labels_that_the_target_takes() -> None:
    servers = tuple(
        Tool("mcp", "server", settings=replace(SERVED, server_label=label, require_approval="never"))
        for label in ("1 wiki", None, "wiki", "wiki")
    )
    message = Message("user", (Text("Hi"),))
    request = Request(dialect="nobody", model="m", messages=(message,), tools=servers)
    responses = fields_of("openai_responses", request)["tools"]
    assert [tool["server_label"] for tool in responses] == ["mcp_1_wiki", "mcp", "wiki", "wiki"]
    claude = fields_of("anthropic_messages", request)
    assert [server["name"] for server in claude["mcp_servers"]] == ["1 wiki", "mcp", "wiki", "wiki_2"]
    assert [tool["mcp_server_name"] for tool in claude["tools"]] == ["1 wiki", "mcp", "wiki", "wiki_2"]


CHOICES: list[tuple[ToolChoice, dict[str, Any] | None]] = [
    (ToolChoice("tool", "web_search"), {"type": "tool", "name": "web_search"}),
    (ToolChoice("tool", "text_editor"), {"type": "tool", "name": "str_replace_based_edit_tool"}),
    (ToolChoice("tool", "wiki"), {"type": "auto"}),
    (ToolChoice("tool", "elsewhere"), {"type": "auto"}),
]


@pytest.mark.parametrize(("choice", "said"), CHOICES)
def test_only_a_tool_that_is_there_is_chosen(choice: ToolChoice, said: dict[str, Any]) -> None:
    request = replace(
        read("openai_responses", {"tools": [{"type": "web_search"}, {**MCP, "require_approval": "never"}]}),
        tool_choice=choice,
    )
    request = replace(request, tools=(*(request.tools or ()), Tool("text_editor", "server")))
    rendered = registry.get("anthropic_messages").render_request(request, DEFAULT_PROFILE)
    assert rendered.value["tool_choice"] == said
    assert ("tool_choice" in {note.path for note in rendered.notes}) == (said == {"type": "auto"})


def test_a_server_is_allowed_by_its_label() -> None:
    choice = ToolChoice("allowed", names=("wiki",), allowed_mode="auto")
    request = replace(read("openai_responses", RESPONSES_MCP), tool_choice=choice)
    assert fields_of("anthropic_messages", request) == {**CLAUDE_MCP, "tool_choice": {"type": "auto"}}


# Secrets.

SECRET = "fake-secret-4711"
SECRETIVE: list[tuple[str, dict[str, Any]]] = [
    ("openai_responses", {"tools": [{**MCP, "authorization": SECRET, "headers": {"X-Key": SECRET}}]}),
    ("openai_responses", {"tools": [{**MCP, "authorization": {"bad": SECRET}, "headers": [SECRET]}]}),
    (
        "openai_responses",
        {"tools": [{**MCP, "server_url": f"https://user:{SECRET}@mcp.example.com/{SECRET}?k={SECRET}"}]},
    ),
    (
        "openai_responses",
        {
            "tools": [
                {
                    "type": "code_interpreter",
                    "container": {
                        "type": "auto",
                        "network_policy": {"type": "allowlist", "domain_secrets": [{"value": SECRET}]},
                    },
                }
            ]
        },
    ),
    ("anthropic_messages", {"tools": [TOOLSET], "mcp_servers": [{**SERVER, "authorization_token": SECRET}]}),
    ("anthropic_messages", {"mcp_servers": [{**SERVER, "authorization_token": [SECRET]}]}),
    ("gemini", {"tools": [{"exaAiSearch": {"apiKey": SECRET}}]}),
    (
        "gemini",
        {
            "tools": [
                {
                    "mcpServers": [
                        {
                            "name": "wiki",
                            "streamableHttpTransport": {"url": "https://mcp.example.com", "headers": {"X-Key": SECRET}},
                        }
                    ]
                }
            ]
        },
    ),
    ("openai_chat", {"tools": [{**MCP, "authorization": SECRET}]}),
]


@pytest.mark.parametrize(("dialect", "fields"), SECRETIVE)
def test_no_secret_in_a_repr_or_a_note(dialect: str, fields: dict[str, Any]) -> None:
    request = read(dialect, fields)
    assert request.tools
    assert SECRET not in repr(request.tools)
    assert SECRET not in repr([tool.__rich_repr__() for tool in request.tools])
    assert SECRET not in repr([tool.settings.__rich_repr__() for tool in request.tools if tool.settings])
    for target in registry.dialects():
        notes = target.render_request(request, DEFAULT_PROFILE).notes
        assert SECRET not in "".join(map(str, notes)), target.name


def test_a_repr_shows_what_is_no_secret() -> None:
    shown = repr(Tool("mcp", "server", settings=replace(SERVED, authorization="x", headers={"X-Team": "a"})))
    assert "https://mcp.example.com/..." in shown
    assert "X-Team" in shown
    assert repr(Tool("f", parameters={"type": "object"}, extras={"a": 1})).endswith("extras={'a': 1}, settings=None)")
    assert "..." in repr(ToolSettings(server_url="https://[broken"))


# Properties.

_NAMES = st.sampled_from(["a.org", "b.org", "docs.a.org", "https://c.org/path", "*.d.org", ""])
_LISTS = st.none() | st.lists(_NAMES, max_size=3).map(tuple)
_TEXT = st.none() | st.sampled_from(["wiki", "1 2", "", "low"])
_COUNT = st.none() | st.integers(0, 9)
_HEADERS = st.none() | st.dictionaries(
    st.sampled_from(["Authorization", "X-Team"]), st.sampled_from(["Bearer fake", "b"])
)
_APPROVAL = st.sampled_from(
    [None, "never", "always", {"never": {"tool_names": ["ask"]}}, {"always": {"read_only": True}}]
)
_LOCATIONS = st.none() | st.builds(UserLocation, city=_TEXT, country=_TEXT)
_STORES = st.none() | st.lists(st.sampled_from(["vs_1", "fileSearchStores/a"]), max_size=2).map(tuple)
SETTINGS = st.builds(
    ToolSettings,
    allowed_domains=_LISTS,
    blocked_domains=_LISTS,
    user_location=_LOCATIONS,
    search_context_size=_TEXT,
    max_uses=_COUNT,
    max_results=_COUNT,
    max_content_tokens=_COUNT,
    stores=_STORES,
    server_label=_TEXT,
    server_url=st.none() | st.just("https://mcp.example.com/mcp"),
    authorization=_TEXT,
    headers=_HEADERS,
    allowed_tools=st.none() | st.lists(st.sampled_from(["ask", "go"]), max_size=2, unique=True).map(tuple),
    require_approval=_APPROVAL,
    narrowed_by=st.just(()) | st.just(("filters",)),
)
PROFILES = [
    DEFAULT_PROFILE,
    Profile(
        search_excludes=True, server_tools={"web_search": "openrouter:web_search", "web_fetch": "openrouter:web_fetch"}
    ),
    Profile(server_tools={"web_search": "search_domain_filter"}),
    Profile(server_tools={"web_search": "plugins"}),
]


@given(
    st.sampled_from(["web_search", "web_fetch", "file_search", "mcp", "code_execution", "web_search_20250305"]),
    SETTINGS,
    st.sampled_from(PROFILES),
    st.sampled_from(registry.NAMES),
)
def test_no_tool_reaches_further_than_it_was_allowed_to(
    name: str, settings: ToolSettings, profile: Profile, target: str
) -> None:
    """Whatever the settings: what narrows a tool is read again from what was written, or the tool is not there. And
    what is not there was noted.
    """
    tool = Tool(name, "server", settings=settings)
    message = Message("user", (Text("Hi"),))
    rendered = registry.get(target).render_request(
        Request(dialect="nobody", model="m", messages=(message,), tools=(tool,)), profile
    )
    again = registry.get(target).parse_request(wire.decode(wire.encode(rendered.value)), PathMatch("m"))
    written = [each for each in again.tools or () if each.kind == "server"]
    paths = {note.path for note in rendered.notes}
    if not written:
        assert "tools[0]" in paths
        return
    (found,) = written
    got = found.settings or ToolSettings()
    assert not settings.narrowed_by or name == "web_search_20250305"
    _assert_kept_to_domains(settings, got)
    for field in ToolSettings.__struct_fields__:
        asked = getattr(settings, field)
        if field not in NARROWING and asked not in (None, (), ""):
            assert (
                _says(field, asked, got) or f"tools[0].settings.{field}" in paths or _elsewhere(field, rendered.value)
            ), field
    if found.name == "mcp":
        assert got.allowed_tools == settings.allowed_tools
        asked_first = settings.require_approval not in (None, "always")
        assert (
            got.require_approval in (settings.require_approval, "never")
            if asked_first
            else got.require_approval != "never"
        )
        assert (settings.headers or {}).keys() <= (got.headers or {}).keys() | (
            {"Authorization"} if got.authorization else set()
        )


def _assert_kept_to_domains(asked: ToolSettings, got: ToolSettings) -> None:
    def plain(domains: tuple[str, ...] | None) -> list[str]:
        return [domain.removeprefix("https://") for domain in domains or ()]

    assert plain(got.allowed_domains) == plain(asked.allowed_domains)
    if not asked.allowed_domains:
        assert plain(got.blocked_domains) == plain(asked.blocked_domains)


def _says(field: str, asked: Any, got: ToolSettings) -> bool:
    said = getattr(got, field)
    if field == "user_location":
        return bool(asked == UserLocation() or said == asked)
    if field == "authorization":
        return bool(said == asked or (got.headers or {}).get("Authorization") == f"Bearer {asked}")
    return bool(said == asked)


def _elsewhere(field: str, body: dict[str, Any]) -> bool:
    return field == "max_uses" and bool("max_tool_calls" in body)


_JSON: Any = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["", "a.org", "web", "never"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["type", "id", "name", "enabled", "tool_names"]), inner, max_size=3)
    ),
    max_leaves=6,
)
_KEYS: dict[str, tuple[str, tuple[str, ...]]] = {
    "openai_responses": (
        "type",
        (
            "filters",
            "user_location",
            "max_uses",
            "authorization",
            "headers",
            "allowed_tools",
            "require_approval",
            "vector_store_ids",
            "parameters",
        ),
    ),
    "openai_chat": ("type", ("filters", "user_location", "parameters", "name", "allowed_domains", "web_search")),
    "anthropic_messages": (
        "type",
        (
            "allowed_domains",
            "user_location",
            "max_uses",
            "default_config",
            "configs",
            "mcp_server_name",
            "tools",
            "url_sources",
        ),
    ),
}
_TYPES = {
    "openai_responses": ["web_search", "mcp", "file_search", "openrouter:web_search", "shell", "new"],
    "openai_chat": ["web_search", "mcp", "openrouter:web_fetch", "web_search_20250305", "new"],
    "anthropic_messages": ["web_search_20250305", "web_fetch_20250910", "mcp_toolset", "bash_20250124"],
}
_ROOTS = {
    "openai_responses": ["max_tool_calls"],
    "openai_chat": ["web_search_options", "plugins", "search_parameters", "search_domain_filter"],
    "anthropic_messages": ["mcp_servers"],
}


@st.composite
def _requests(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    dialect = draw(st.sampled_from(sorted(_KEYS)))
    kinds = st.fixed_dictionaries({"type": st.sampled_from(_TYPES[dialect])})
    rest = st.dictionaries(st.sampled_from(_KEYS[dialect][1]), _JSON, max_size=4)
    tools = draw(st.lists(st.builds(lambda kind, others: {**others, **kind}, kinds, rest), max_size=3))
    roots = draw(st.dictionaries(st.sampled_from(_ROOTS[dialect]), _JSON, max_size=3))
    return dialect, {"tools": tools, **roots}


@given(_requests())
def test_anything_comes_back_exactly(case: tuple[str, dict[str, Any]]) -> None:
    dialect, fields = case
    request = read(dialect, fields)
    before = copy.deepcopy(request)
    assert fields_of(dialect, request) == fields
    for target in registry.dialects():
        target.render_request(request, PROFILES[1])
    assert request == before
    assert all(isinstance(note, Note) for note in registry.get(dialect).render_request(request, DEFAULT_PROFILE).notes)


@pytest.mark.parametrize(("dialect", "fields"), SECRETIVE)
def test_no_secret_in_an_answer(dialect: str, fields: dict[str, Any]) -> None:
    """An answer of Responses repeats the tools, as OpenAI does without what opens a server."""
    request = read(dialect, fields)
    response = Response(dialect="nobody", id="r", choices=(Choice((Text("Hi"),), "stop"),))
    for target in registry.dialects():
        answer = target.render_response(response, Context(request=request))
        assert SECRET not in json.dumps(answer.value), target.name
    told = registry.get("openai_responses").render_response(
        response, Context(request=read("openai_responses", RESPONSES_MCP))
    )
    assert told.value["tools"] == [
        {
            "type": "mcp",
            "server_label": "wiki",
            "server_url": "https://mcp.example.com/<redacted>",
            "allowed_tools": ["ask"],
            "require_approval": "never",
        }
    ]
