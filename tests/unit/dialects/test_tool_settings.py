"""Settings of provider-run tools: what each dialect's words mean, that they come back exactly, that a change of the
settings shows. (How they go from one dialect to another: tests/contract/test_server_tools.py.)
"""

import copy
import json
from typing import Any

import pytest
from msgspec.structs import replace

from penstock.dialects import registry
from penstock.dialects.dialect import PathMatch
from penstock.types.profile import DEFAULT_PROFILE, Profile
from penstock.types.request import Request
from penstock.types.tool_settings import ToolSettings, UserLocation

EMPTY: dict[str, dict[str, Any]] = {
    "anthropic_messages": {"max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]},
    "openai_responses": {"input": "Hi"},
    "openai_chat": {"messages": [{"role": "user", "content": "Hi"}]},
    "gemini": {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]},
    "bedrock_converse": {"messages": [{"role": "user", "content": [{"text": "Hi"}]}]},
    "cohere_chat": {"messages": [{"role": "user", "content": "Hi"}]},
    "ollama_chat": {"messages": [{"role": "user", "content": "Hi"}]},
}


def read(dialect: str, fields: dict[str, Any]) -> Request:
    return registry.get(dialect).parse_request({**EMPTY[dialect], **fields}, PathMatch())


def fields_of(dialect: str, request: Request, profile: Profile = DEFAULT_PROFILE) -> dict[str, Any]:
    """What a rendered request has beside an empty one of its dialect."""
    body = registry.get(dialect).render_request(request, profile).value
    return {key: value for key, value in body.items() if key not in EMPTY[dialect]}


UTRECHT = UserLocation(city="Utrecht", country="NL")
NEAR_UTRECHT = {"type": "approximate", "city": "Utrecht", "country": "NL"}
TOKEN = "fake-token"
MCP: dict[str, Any] = {"type": "mcp", "server_label": "wiki", "server_url": "https://mcp.example.com/mcp"}
SERVED = ToolSettings(server_label="wiki", server_url="https://mcp.example.com/mcp")
UNASKED = replace(SERVED, require_approval="never")
SERVER: dict[str, Any] = {"type": "url", "name": "wiki", "url": "https://mcp.example.com/mcp"}
TOOLSET: dict[str, Any] = {"type": "mcp_toolset", "mcp_server_name": "wiki"}

MEANINGS: list[tuple[str, dict[str, Any], list[ToolSettings | None]]] = [
    # Responses
    ("openai_responses", {"tools": [{"type": "web_search"}]}, [None]),
    (
        "openai_responses",
        {"tools": [{"type": "web_search", "filters": {"allowed_domains": ["a.org"]}, "search_context_size": "low"}]},
        [ToolSettings(allowed_domains=("a.org",), search_context_size="low")],
    ),
    (
        "openai_responses",
        {"tools": [{"type": "web_search_preview", "user_location": {**NEAR_UTRECHT, "region": None}}]},
        [ToolSettings(user_location=UTRECHT)],
    ),
    ("openai_responses", {"tools": [{"type": "web_search", "user_location": {"type": "approximate"}}]}, [None]),
    (
        "openai_responses",
        {"tools": [{"type": "web_search", "filters": {"excluded_domains": ["a.org"]}}]},
        [ToolSettings(blocked_domains=("a.org",))],
    ),
    (
        "openai_responses",
        {"tools": [{"type": "web_search", "filters": {"blocked_domains": ["a.org"]}}]},
        [ToolSettings(blocked_domains=("a.org",))],
    ),
    (
        "openai_responses",
        {"tools": [{"type": "web_search", "filters": {"allowed_domains": None}, "user_location": None}]},
        [None],
    ),
    ("openai_responses", {"tools": [{"type": "web_search", "filters": {}}]}, [None]),
    (
        "openai_responses",
        {"tools": [{"type": "web_search", "filters": {"new": ["a.org"]}}]},
        [ToolSettings(narrowed_by=("filters",))],
    ),
    (
        "openai_responses",
        {"tools": [{"type": "web_search", "filters": {"allowed_domains": "a.org"}}]},
        [ToolSettings(narrowed_by=("filters.allowed_domains", "filters"))],
    ),
    (
        "openai_responses",
        {"tools": [{"type": "web_search", "external_web_access": False}]},
        [ToolSettings(narrowed_by=("external_web_access",))],
    ),
    ("openai_responses", {"tools": [{"type": "web_search", "external_web_access": True}]}, [None]),
    (
        "openai_responses",
        {"tools": [{"type": "openrouter:web_search", "parameters": {"max_uses": 1, "engine": "exa"}}]},
        [ToolSettings(max_uses=1)],
    ),
    (
        "openai_responses",
        {"tools": [{"type": "file_search", "vector_store_ids": ["vs_1"], "max_num_results": 3}]},
        [ToolSettings(stores=("vs_1",), max_results=3)],
    ),
    (
        "openai_responses",
        {
            "tools": [
                {"type": "file_search", "vector_store_ids": ["vs_1"], "filters": {"type": "eq", "key": "a", "value": 1}}
            ]
        },
        [ToolSettings(stores=("vs_1",), narrowed_by=("filters",))],
    ),
    (
        "openai_responses",
        {"tools": [{"type": "code_interpreter", "container": {"type": "auto", "file_ids": ["f"]}}]},
        [None],
    ),
    (
        "openai_responses",
        {
            "tools": [
                {
                    **MCP,
                    "authorization": TOKEN,
                    "headers": {"X-Team": "a"},
                    "allowed_tools": ["ask"],
                    "require_approval": "never",
                }
            ]
        },
        [replace(UNASKED, authorization=TOKEN, headers={"X-Team": "a"}, allowed_tools=("ask",))],
    ),
    (
        "openai_responses",
        {
            "tools": [
                {
                    **MCP,
                    "allowed_tools": {"tool_names": ["ask"]},
                    "require_approval": {"never": {"tool_names": ["ask"]}},
                }
            ]
        },
        [replace(SERVED, allowed_tools=("ask",), require_approval={"never": {"tool_names": ["ask"]}})],
    ),
    (
        "openai_responses",
        {"tools": [{**MCP, "allowed_tools": {"tool_names": ["ask"], "read_only": True}}]},
        [replace(SERVED, allowed_tools=("ask",), narrowed_by=("allowed_tools",))],
    ),
    ("openai_responses", {"tools": [{**MCP, "allowed_tools": []}]}, [replace(SERVED, allowed_tools=())]),
    # Anthropic
    (
        "anthropic_messages",
        {
            "tools": [
                {
                    "type": "web_search_20260209",
                    "name": "web_search",
                    "max_uses": 2,
                    "allowed_domains": ["a.org"],
                    "blocked_domains": None,
                    "user_location": NEAR_UTRECHT,
                }
            ]
        },
        [ToolSettings(max_uses=2, allowed_domains=("a.org",), user_location=UTRECHT)],
    ),
    (
        "anthropic_messages",
        {
            "tools": [
                {
                    "type": "web_fetch_20250910",
                    "name": "web_fetch",
                    "blocked_domains": ["a.org"],
                    "max_content_tokens": 9,
                    "citations": {"enabled": True},
                }
            ]
        },
        [ToolSettings(blocked_domains=("a.org",), max_content_tokens=9)],
    ),
    ("anthropic_messages", {"tools": [TOOLSET], "mcp_servers": [SERVER]}, [UNASKED]),
    (
        "anthropic_messages",
        {"tools": [TOOLSET], "mcp_servers": [{**SERVER, "authorization_token": TOKEN}]},
        [replace(UNASKED, authorization=TOKEN)],
    ),
    ("anthropic_messages", {"tools": [TOOLSET], "mcp_servers": [{**SERVER, "authorization_token": None}]}, [UNASKED]),
    (
        "anthropic_messages",
        {
            "tools": [
                {
                    **TOOLSET,
                    "default_config": {"enabled": False},
                    "configs": {"ask": {"enabled": True, "defer_loading": True}, "go": {"enabled": False}},
                }
            ],
            "mcp_servers": [SERVER],
        },
        [replace(UNASKED, allowed_tools=("ask",))],
    ),
    (
        "anthropic_messages",
        {"tools": [{**TOOLSET, "default_config": {"enabled": False}}], "mcp_servers": [SERVER]},
        [replace(UNASKED, allowed_tools=())],
    ),
    (
        "anthropic_messages",
        {"tools": [{**TOOLSET, "default_config": {"enabled": False}, "configs": {}}], "mcp_servers": [SERVER]},
        [replace(UNASKED, allowed_tools=())],
    ),
    (
        "anthropic_messages",
        {"tools": [{**TOOLSET, "configs": {"ask": {"enabled": False}}}], "mcp_servers": [SERVER]},
        [replace(UNASKED, narrowed_by=("configs",))],
    ),
    (
        "anthropic_messages",
        {"tools": [{**TOOLSET, "tools": [{"name": "ask"}]}], "mcp_servers": [SERVER]},
        [replace(UNASKED, narrowed_by=("tools",))],
    ),
    ("anthropic_messages", {"tools": [TOOLSET]}, [ToolSettings(server_label="wiki", require_approval="never")]),
    ("anthropic_messages", {"mcp_servers": [SERVER]}, [UNASKED]),
    ("anthropic_messages", {"tools": [], "mcp_servers": [SERVER]}, [UNASKED]),
    (
        "anthropic_messages",
        {"mcp_servers": [{**SERVER, "tool_configuration": {"enabled": True, "allowed_tools": ["ask"]}}]},
        [replace(UNASKED, allowed_tools=("ask",))],
    ),
    ("anthropic_messages", {"mcp_servers": [{**SERVER, "tool_configuration": {"enabled": True}}]}, [UNASKED]),
    (
        "anthropic_messages",
        {"mcp_servers": [{**SERVER, "tool_configuration": {"enabled": False}}]},
        [replace(UNASKED, narrowed_by=("tool_configuration.enabled",))],
    ),
    (
        "anthropic_messages",
        {
            "tools": [{**TOOLSET, "mcp_server_name": "b"}, TOOLSET],
            "mcp_servers": [{**SERVER, "name": "c"}, SERVER, {"name": "b"}, {**SERVER, "name": "b"}],
        },
        [
            ToolSettings(server_label="b", require_approval="never"),
            UNASKED,
            replace(UNASKED, server_label="c"),
            replace(UNASKED, server_label="b"),
        ],
    ),
    (
        "anthropic_messages",
        {"tools": [TOOLSET], "mcp_servers": []},
        [ToolSettings(server_label="wiki", require_approval="never")],
    ),
    (
        "anthropic_messages",
        {"tools": [TOOLSET], "mcp_servers": [7]},
        [ToolSettings(server_label="wiki", require_approval="never")],
    ),
    # Gemini
    (
        "gemini",
        {"tools": [{"googleSearch": {"excludeDomains": ["a.org"]}}]},
        [ToolSettings(blocked_domains=("a.org",))],
    ),
    (
        "gemini",
        {"tools": [{"google_search": {"exclude_domains": ["a.org"]}}, {"urlContext": {}}]},
        [ToolSettings(blocked_domains=("a.org",)), None],
    ),
    (
        "gemini",
        {"tools": [{"googleSearch": {"timeRangeFilter": {"startTime": "2026-01-01T00:00:00Z"}}}]},
        [ToolSettings(narrowed_by=("timeRangeFilter",))],
    ),
    (
        "gemini",
        {"tools": [{"fileSearch": {"file_search_store_names": ["fileSearchStores/a"], "topK": 3}}]},
        [ToolSettings(stores=("fileSearchStores/a",), max_results=3)],
    ),
    (
        "gemini",
        {"tools": [{"fileSearch": {"fileSearchStoreNames": ["fileSearchStores/a"], "metadataFilter": "a = 1"}}]},
        [ToolSettings(stores=("fileSearchStores/a",), narrowed_by=("metadataFilter",))],
    ),
    (
        "gemini",
        {
            "tools": [
                {
                    "mcpServers": [
                        {
                            "name": "wiki",
                            "streamableHttpTransport": {
                                "url": "https://mcp.example.com/mcp",
                                "headers": {"Authorization": f"Bearer {TOKEN}"},
                                "timeout": "5s",
                            },
                        }
                    ]
                }
            ]
        },
        [replace(UNASKED, headers={"Authorization": f"Bearer {TOKEN}"})],
    ),
    (
        "gemini",
        {
            "tools": [
                {"mcp_servers": [{"name": "wiki", "streamable_http_transport": {"url": "https://mcp.example.com/mcp"}}]}
            ]
        },
        [UNASKED],
    ),
    # Chat Completions
    ("openai_chat", {"web_search_options": {}}, [None]),
    (
        "openai_chat",
        {
            "web_search_options": {
                "search_context_size": "low",
                "user_location": {"type": "approximate", "approximate": {"city": "Utrecht", "country": "NL"}},
            }
        },
        [ToolSettings(search_context_size="low", user_location=UTRECHT)],
    ),
    (
        "openai_chat",
        {"web_search_options": {"user_location": {"country": "NL"}}},
        [ToolSettings(user_location=UserLocation(country="NL"))],
    ),
    (
        "openai_chat",
        {"web_search_options": {}, "search_domain_filter": ["a.org", "b.org"]},
        [ToolSettings(allowed_domains=("a.org", "b.org"))],
    ),
    (
        "openai_chat",
        {"web_search_options": {}, "search_domain_filter": ["-a.org"]},
        [ToolSettings(blocked_domains=("a.org",))],
    ),
    (
        "openai_chat",
        {"web_search_options": {}, "search_domain_filter": ["a.org", "-b.org"]},
        [ToolSettings(narrowed_by=("search_domain_filter",))],
    ),
    ("openai_chat", {"web_search_options": {}, "search_domain_filter": []}, [None]),
    ("openai_chat", {"search_domain_filter": ["a.org"]}, []),
    (
        "openai_chat",
        {
            "plugins": [
                {"id": "file-parser"},
                {"id": "web", "enabled": True, "engine": "exa", "max_results": 3, "include_domains": ["a.org"]},
                {"id": "web"},
            ]
        },
        [ToolSettings(max_results=3, allowed_domains=("a.org",))],
    ),
    ("openai_chat", {"plugins": [{"id": "web"}]}, [None]),
    ("openai_chat", {"plugins": [{"id": "web", "enabled": False}]}, []),
    ("openai_chat", {"plugins": {"web": {}}}, []),
    (
        "openai_chat",
        {
            "plugins": [{"id": "web", "exclude_domains": ["a.org"]}],
            "web_search_options": {"search_context_size": "low"},
        },
        [ToolSettings(blocked_domains=("a.org",)), ToolSettings(search_context_size="low")],
    ),
    ("openai_chat", {"search_parameters": {}}, [None]),
    (
        "openai_chat",
        {
            "search_parameters": {
                "mode": "auto",
                "max_search_results": 5,
                "sources": [{"type": "x"}, {"type": "web", "country": "NL", "allowed_websites": ["a.org"]}],
            }
        },
        [ToolSettings(max_results=5, allowed_domains=("a.org",), user_location=UserLocation(country="NL"))],
    ),
    (
        "openai_chat",
        {"search_parameters": {"mode": "on", "from_date": "2026-01-01"}},
        [ToolSettings(narrowed_by=("from_date",))],
    ),
    ("openai_chat", {"search_parameters": {"mode": "off"}}, []),
    ("openai_chat", {"search_parameters": {"sources": [{"type": "x"}]}}, []),
    (
        "openai_chat",
        {
            "tools": [
                {
                    "type": "openrouter:web_search",
                    "parameters": {"excluded_domains": ["a.org"], "user_location": NEAR_UTRECHT},
                }
            ]
        },
        [ToolSettings(blocked_domains=("a.org",), user_location=UTRECHT)],
    ),
    (
        "openai_chat",
        {"tools": [{"type": "openrouter:web_fetch", "parameters": {"blocked_domains": ["a.org"]}}]},
        [ToolSettings(blocked_domains=("a.org",))],
    ),
    (
        "openai_chat",
        {"tools": [{"type": "web_search_20250305", "name": "web_search", "max_uses": 2, "allowed_domains": ["a.org"]}]},
        [ToolSettings(max_uses=2, allowed_domains=("a.org",))],
    ),
    ("openai_chat", {"tools": [{**MCP, "require_approval": "never"}]}, [UNASKED]),
    (
        "openai_chat",
        {"tools": [{"googleSearch": {}}, {"googleSearch": {"excludeDomains": ["a.org"]}}]},
        [None, ToolSettings(blocked_domains=("a.org",))],
    ),
    (
        "openai_chat",
        {"tools": [{"googleSearch": {"timeRangeFilter": {"startTime": "x"}}}]},
        [ToolSettings(narrowed_by=("googleSearch",))],
    ),
    (
        "openai_chat",
        {"tools": [{"type": "browser_search"}, {"type": "code_interpreter", "container": {"type": "auto"}}]},
        [None, None],
    ),
    (
        "openai_chat",
        {"tools": [{"type": "web_search", "web_search": {"search_domain_filter": "a.org"}}]},
        [ToolSettings(narrowed_by=("web_search.search_domain_filter",))],
    ),
    # Dialects without settings
    ("bedrock_converse", {"toolConfig": {"tools": [{"systemTool": {"name": "nova_grounding"}}]}}, [None]),
    (
        "cohere_chat",
        {"tools": [{"type": "web_search", "filters": {"allowed_domains": ["a.org"]}}]},
        [ToolSettings(narrowed_by=("filters",))],
    ),
    (
        "ollama_chat",
        {"tools": [{"type": "web_search", "filters": {"allowed_domains": ["a.org"]}}]},
        [ToolSettings(narrowed_by=("filters",))],
    ),
]


@pytest.mark.parametrize(
    ("dialect", "fields", "settings"), MEANINGS, ids=lambda value: json.dumps(value) if isinstance(value, dict) else ""
)
def test_words_mean_settings_and_come_back(
    dialect: str, fields: dict[str, Any], settings: list[ToolSettings | None]
) -> None:
    before = copy.deepcopy(fields)
    request = read(dialect, fields)
    assert [tool.settings for tool in request.tools or ()] == settings
    assert fields_of(dialect, request) == before == fields


def test_generic_names() -> None:
    """Who runs a tool decides what it is, not what its type is called."""
    found = {
        "openai_responses": [
            {"type": "shell", "environment": {"type": "container_auto"}},
            {"type": "shell", "environment": {"type": "local"}},
            {"type": "openrouter:web_fetch"},
        ],
        "openai_chat": [{"type": "browser_search"}, {"type": "code_interpreter"}, {"googleSearch": {}}],
    }
    names = {
        dialect: [tool.name for tool in read(dialect, {"tools": tools}).tools or ()] for dialect, tools in found.items()
    }
    assert names == {
        "openai_responses": ["code_execution", "bash", "web_fetch"],
        "openai_chat": ["web_search", "code_execution", "web_search"],
    }


CHANGES: list[tuple[str, dict[str, Any], ToolSettings | None, dict[str, Any]]] = [
    (
        "openai_responses",
        {"tools": [{"type": "web_search", "filters": {"blocked_domains": ["a.org"], "new": 1}}]},
        ToolSettings(blocked_domains=("b.org",), user_location=UTRECHT),
        {
            "tools": [
                {
                    "type": "web_search",
                    "filters": {"blocked_domains": ["b.org"], "new": 1},
                    "user_location": NEAR_UTRECHT,
                }
            ]
        },
    ),
    (
        "anthropic_messages",
        {"tools": [{**TOOLSET, "cache_control": {"type": "ephemeral"}}], "mcp_servers": [{**SERVER, "new": 1}]},
        replace(SERVED, server_label="docs", allowed_tools=("ask",), authorization=TOKEN),
        {
            "tools": [
                {
                    "type": "mcp_toolset",
                    "mcp_server_name": "docs",
                    "cache_control": {"type": "ephemeral"},
                    "default_config": {"enabled": False},
                    "configs": {"ask": {"enabled": True}},
                }
            ],
            "mcp_servers": [{**SERVER, "name": "docs", "authorization_token": TOKEN, "new": 1}],
        },
    ),
    (
        "gemini",
        {"tools": [{"fileSearch": {"file_search_store_names": ["fileSearchStores/a"]}}]},
        ToolSettings(stores=("fileSearchStores/b",)),
        {"tools": [{"fileSearch": {"file_search_store_names": ["fileSearchStores/b"]}}]},
    ),
    (
        "openai_chat",
        {"web_search_options": {}, "search_domain_filter": ["a.org"]},
        ToolSettings(blocked_domains=("b.org",)),
        {"web_search_options": {}, "search_domain_filter": ["-b.org"]},
    ),
    (
        "openai_chat",
        {"plugins": [{"id": "moderation"}, {"id": "web", "include_domains": ["a.org"]}]},
        ToolSettings(max_uses=1),
        {"plugins": [{"id": "moderation"}, {"id": "web", "max_uses": 1}]},
    ),
]


@pytest.mark.parametrize(("dialect", "fields", "settings", "changed"), CHANGES)
def test_a_change_of_the_settings_shows(
    dialect: str, fields: dict[str, Any], settings: ToolSettings | None, changed: dict[str, Any]
) -> None:
    request = read(dialect, fields)
    (tool,) = request.tools or ()
    assert fields_of(dialect, replace(request, tools=(replace(tool, settings=settings),))) == changed


def test_a_tool_that_was_removed_is_gone() -> None:
    request = read("openai_chat", {"plugins": [{"id": "moderation"}, {"id": "web"}], "search_domain_filter": ["a.org"]})
    assert fields_of("openai_chat", replace(request, tools=None)) == {
        "plugins": [{"id": "moderation"}],
        "search_domain_filter": ["a.org"],
    }
    request = read("anthropic_messages", {"tools": [TOOLSET], "mcp_servers": [SERVER]})
    assert fields_of("anthropic_messages", replace(request, tools=None)) == {}
