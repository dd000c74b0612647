"""Provider-run tools of one dialect in the words of another: a table of pairs, each with what is lost on the way."""

from typing import Any

from penstock.types.profile import DEFAULT_PROFILE, Profile
from tests.unit.dialects.test_tool_settings import MCP, NEAR_UTRECHT, SERVER, TOKEN, TOOLSET

OPENROUTER = Profile(
    search_excludes=True, server_tools={"web_search": "openrouter:web_search", "web_fetch": "openrouter:web_fetch"}
)
PERPLEXITY = Profile(server_tools={"web_search": "search_domain_filter"})
GROQ = Profile(server_tools={"web_search": "browser_search", "code_execution": "code_interpreter"})
VERTEX = Profile(search_excludes=True, unsupported=frozenset({"mcp", "file_search"}))

RESPONSES_SEARCH = {
    "tools": [{"type": "web_search", "filters": {"allowed_domains": ["a.org"]}, "user_location": NEAR_UTRECHT}]
}
CLAUDE_SEARCH = {
    "tools": [{"type": "web_search_20250305", "name": "web_search", "max_uses": 3, "blocked_domains": ["b.org"]}]
}
CHAT_SEARCH = {
    "web_search_options": {
        "search_context_size": "low",
        "user_location": {"type": "approximate", "approximate": {"city": "Utrecht", "country": "NL"}},
    }
}
RESPONSES_MCP = {"tools": [{**MCP, "authorization": TOKEN, "allowed_tools": ["ask"], "require_approval": "never"}]}
CLAUDE_MCP = {
    "tools": [{**TOOLSET, "default_config": {"enabled": False}, "configs": {"ask": {"enabled": True}}}],
    "mcp_servers": [{**SERVER, "authorization_token": TOKEN}],
}
GEMINI_MCP = {
    "tools": [
        {
            "mcpServers": [
                {
                    "name": "wiki",
                    "streamableHttpTransport": {
                        "url": "https://mcp.example.com/mcp",
                        "headers": {"Authorization": f"Bearer {TOKEN}"},
                    },
                }
            ]
        }
    ]
}
OPEN_CLAUDE_MCP = {"tools": [TOOLSET], "mcp_servers": [{**SERVER, "authorization_token": TOKEN}]}
OPEN_RESPONSES_MCP = {"tools": [{**MCP, "authorization": TOKEN, "require_approval": "never"}]}
GEMINI_FILES = {"tools": [{"fileSearch": {"fileSearchStoreNames": ["fileSearchStores/a"], "topK": 3}}]}
SEARCH_NEAR = {"type": "web_search_20250305", "name": "web_search", "user_location": NEAR_UTRECHT}

PAIRS: list[tuple[str, str, dict[str, Any], str, Profile, dict[str, Any], list[str]]] = [
    # label, from, fields, to, profile, fields, what is lost
    (
        "allowed domains and a place",
        "openai_responses",
        RESPONSES_SEARCH,
        "anthropic_messages",
        DEFAULT_PROFILE,
        {"tools": [{**SEARCH_NEAR, "allowed_domains": ["a.org"]}]},
        [],
    ),
    (
        "allowed domains and a place",
        "anthropic_messages",
        {"tools": [{**SEARCH_NEAR, "allowed_domains": ["a.org"]}]},
        "openai_responses",
        DEFAULT_PROFILE,
        RESPONSES_SEARCH,
        [],
    ),
    (
        "allowed domains, which Google does not know",
        "openai_responses",
        RESPONSES_SEARCH,
        "gemini",
        VERTEX,
        {},
        ["tools[0].settings.allowed_domains", "tools[0]"],
    ),
    (
        "allowed domains, which Nova does not know",
        "openai_responses",
        RESPONSES_SEARCH,
        "bedrock_converse",
        DEFAULT_PROFILE,
        {},
        ["tools[0].settings.allowed_domains", "tools[0]"],
    ),
    (
        "allowed domains, which OpenAI's search models do not know",
        "openai_responses",
        RESPONSES_SEARCH,
        "openai_chat",
        DEFAULT_PROFILE,
        {},
        ["tools[0].settings.allowed_domains", "tools[0]"],
    ),
    (
        "allowed domains for OpenRouter",
        "openai_responses",
        RESPONSES_SEARCH,
        "openai_chat",
        OPENROUTER,
        {
            "tools": [
                {
                    "type": "openrouter:web_search",
                    "parameters": {"allowed_domains": ["a.org"], "user_location": NEAR_UTRECHT},
                }
            ]
        },
        [],
    ),
    (
        "allowed domains for Perplexity",
        "openai_responses",
        RESPONSES_SEARCH,
        "openai_chat",
        PERPLEXITY,
        {
            "web_search_options": {
                "user_location": {"type": "approximate", "approximate": {"city": "Utrecht", "country": "NL"}}
            },
            "search_domain_filter": ["a.org"],
        },
        [],
    ),
    (
        "blocked domains and a limit",
        "anthropic_messages",
        CLAUDE_SEARCH,
        "openai_responses",
        DEFAULT_PROFILE,
        {},
        ["tools[0].settings.blocked_domains", "tools[0]"],
    ),
    (
        "blocked domains and a limit for xAI",
        "anthropic_messages",
        CLAUDE_SEARCH,
        "openai_responses",
        OPENROUTER,
        {"tools": [{"type": "web_search", "filters": {"excluded_domains": ["b.org"]}}], "max_tool_calls": 3},
        [],
    ),
    (
        "blocked domains and a limit for Vertex AI",
        "anthropic_messages",
        CLAUDE_SEARCH,
        "gemini",
        VERTEX,
        {"tools": [{"googleSearch": {"excludeDomains": ["b.org"]}}]},
        ["tools[0].settings.max_uses"],
    ),
    (
        "blocked domains for the Gemini API",
        "anthropic_messages",
        CLAUDE_SEARCH,
        "gemini",
        DEFAULT_PROFILE,
        {},
        ["tools[0].settings.blocked_domains", "tools[0]"],
    ),
    (
        "blocked domains of Google",
        "gemini",
        {"tools": [{"googleSearch": {"excludeDomains": ["https://b.org/"]}}]},
        "anthropic_messages",
        DEFAULT_PROFILE,
        {"tools": [{"type": "web_search_20250305", "name": "web_search", "blocked_domains": ["b.org"]}]},
        [],
    ),
    (
        "a span of time",
        "gemini",
        {"tools": [{"googleSearch": {"timeRangeFilter": {"startTime": "a", "endTime": "b"}}}]},
        "anthropic_messages",
        DEFAULT_PROFILE,
        {},
        ["tools[0].timeRangeFilter.startTime", "tools[0].timeRangeFilter.endTime", "tools[0]"],
    ),
    (
        "an offline search",
        "openai_responses",
        {"tools": [{"type": "web_search", "external_web_access": False}]},
        "anthropic_messages",
        DEFAULT_PROFILE,
        {},
        ["tools[0].external_web_access", "tools[0]"],
    ),
    (
        "search options",
        "openai_chat",
        CHAT_SEARCH,
        "anthropic_messages",
        DEFAULT_PROFILE,
        {"tools": [SEARCH_NEAR]},
        ["tools[0].settings.search_context_size"],
    ),
    (
        "search options",
        "openai_chat",
        CHAT_SEARCH,
        "openai_responses",
        DEFAULT_PROFILE,
        {"tools": [{"type": "web_search", "search_context_size": "low", "user_location": NEAR_UTRECHT}]},
        [],
    ),
    (
        "search options",
        "openai_responses",
        {"tools": [{"type": "web_search", "search_context_size": "low", "user_location": NEAR_UTRECHT}]},
        "openai_chat",
        DEFAULT_PROFILE,
        CHAT_SEARCH,
        [],
    ),
    (
        "a plugin of OpenRouter",
        "openai_chat",
        {"plugins": [{"id": "web", "include_domains": ["a.org"], "max_uses": 2}]},
        "anthropic_messages",
        DEFAULT_PROFILE,
        {"tools": [{"type": "web_search_20250305", "name": "web_search", "max_uses": 2, "allowed_domains": ["a.org"]}]},
        [],
    ),
    (
        "a plugin of OpenRouter",
        "openai_chat",
        {"plugins": [{"id": "web", "exclude_domains": ["b.org"]}]},
        "gemini",
        VERTEX,
        {"tools": [{"googleSearch": {"excludeDomains": ["b.org"]}}]},
        [],
    ),
    (
        "xAI's live search",
        "openai_chat",
        {"search_parameters": {"mode": "auto", "sources": [{"type": "web", "allowed_websites": ["a.org"]}]}},
        "openai_responses",
        DEFAULT_PROFILE,
        {"tools": [{"type": "web_search", "filters": {"allowed_domains": ["a.org"]}}]},
        [],
    ),
    (
        "Anthropic's own version, carried by Chat Completions",
        "openai_chat",
        {
            "tools": [
                {"type": "web_search_20260209", "name": "web_search", "max_uses": 2, "allowed_callers": ["direct"]}
            ]
        },
        "anthropic_messages",
        DEFAULT_PROFILE,
        {
            "tools": [
                {"type": "web_search_20260209", "name": "web_search", "max_uses": 2, "allowed_callers": ["direct"]}
            ]
        },
        [],
    ),
    (
        "Anthropic's own version, carried by Chat Completions",
        "openai_chat",
        {"tools": [{"type": "web_search_20250305", "name": "web_search", "allowed_domains": ["a.org"]}]},
        "openai_responses",
        DEFAULT_PROFILE,
        {"tools": [{"type": "web_search", "filters": {"allowed_domains": ["a.org"]}}]},
        [],
    ),
    (
        "both lists, of which one says nothing",
        "openai_responses",
        {"tools": [{"type": "web_search", "filters": {"allowed_domains": ["a.org"], "blocked_domains": ["b.org"]}}]},
        "anthropic_messages",
        DEFAULT_PROFILE,
        {"tools": [{"type": "web_search_20250305", "name": "web_search", "allowed_domains": ["a.org"]}]},
        [],
    ),
    (
        "both lists, of which both matter",
        "openai_responses",
        {"tools": [{"type": "web_search", "filters": {"allowed_domains": ["a.org"], "blocked_domains": ["x.a.org"]}}]},
        "anthropic_messages",
        DEFAULT_PROFILE,
        {},
        ["tools[0].settings.blocked_domains", "tools[0]"],
    ),
    (
        "no domains at all",
        "openai_responses",
        {"tools": [{"type": "web_search", "filters": {"allowed_domains": []}}]},
        "gemini",
        DEFAULT_PROFILE,
        {"tools": [{"googleSearch": {}}]},
        [],
    ),
    (
        "pages to fetch",
        "anthropic_messages",
        {
            "tools": [
                {
                    "type": "web_fetch_20250910",
                    "name": "web_fetch",
                    "allowed_domains": ["a.org"],
                    "max_content_tokens": 9,
                }
            ]
        },
        "openai_chat",
        OPENROUTER,
        {
            "tools": [
                {
                    "type": "openrouter:web_fetch",
                    "parameters": {"allowed_domains": ["a.org"], "max_content_tokens": 9},
                }
            ]
        },
        [],
    ),
    (
        "pages to fetch",
        "anthropic_messages",
        {"tools": [{"type": "web_fetch_20250910", "name": "web_fetch", "allowed_domains": ["a.org"]}]},
        "gemini",
        DEFAULT_PROFILE,
        {},
        ["tools[0].settings.allowed_domains", "tools[0]"],
    ),
    (
        "code in a container",
        "openai_responses",
        {"tools": [{"type": "code_interpreter", "container": {"type": "auto", "file_ids": ["file-1"]}}]},
        "anthropic_messages",
        DEFAULT_PROFILE,
        {"tools": [{"type": "code_execution_20250825", "name": "code_execution"}]},
        ["tools[0].container.file_ids"],
    ),
    (
        "a shell in OpenAI's container is not one on the caller's machine",
        "openai_responses",
        {"tools": [{"type": "shell", "environment": {"type": "container_auto"}}]},
        "anthropic_messages",
        DEFAULT_PROFILE,
        {"tools": [{"type": "code_execution_20250825", "name": "code_execution"}]},
        [],
    ),
    (
        "code for Groq",
        "gemini",
        {"tools": [{"codeExecution": {}}]},
        "openai_chat",
        GROQ,
        {"tools": [{"type": "code_interpreter", "container": {"type": "auto"}}]},
        [],
    ),
    (
        "files in OpenAI's stores",
        "openai_responses",
        {"tools": [{"type": "file_search", "vector_store_ids": ["vs_1"]}]},
        "gemini",
        DEFAULT_PROFILE,
        {},
        ["tools[0]"],
    ),
    (
        "files in Google's stores, asked for by a client of Responses",
        "openai_responses",
        {"tools": [{"type": "file_search", "vector_store_ids": ["fileSearchStores/a"], "max_num_results": 3}]},
        "gemini",
        DEFAULT_PROFILE,
        GEMINI_FILES,
        [],
    ),
    (
        "files that fit a filter",
        "openai_responses",
        {
            "tools": [
                {
                    "type": "file_search",
                    "vector_store_ids": ["fileSearchStores/a"],
                    "filters": {"type": "eq", "key": "team", "value": "a"},
                }
            ]
        },
        "gemini",
        DEFAULT_PROFILE,
        {},
        ["tools[0].filters.key", "tools[0].filters.value", "tools[0]"],
    ),
    ("files in Google's stores", "gemini", GEMINI_FILES, "openai_responses", DEFAULT_PROFILE, {}, ["tools[0]"]),
    ("a server", "openai_responses", RESPONSES_MCP, "anthropic_messages", DEFAULT_PROFILE, CLAUDE_MCP, []),
    ("a server", "anthropic_messages", CLAUDE_MCP, "openai_responses", DEFAULT_PROFILE, RESPONSES_MCP, []),
    (
        "a server of the older beta",
        "anthropic_messages",
        {
            "mcp_servers": [
                {
                    **SERVER,
                    "authorization_token": TOKEN,
                    "tool_configuration": {"enabled": True, "allowed_tools": ["ask"]},
                }
            ]
        },
        "openai_responses",
        DEFAULT_PROFILE,
        RESPONSES_MCP,
        [],
    ),
    ("an open server", "anthropic_messages", OPEN_CLAUDE_MCP, "gemini", DEFAULT_PROFILE, GEMINI_MCP, []),
    ("an open server", "gemini", GEMINI_MCP, "anthropic_messages", DEFAULT_PROFILE, OPEN_CLAUDE_MCP, []),
    ("an open server", "openai_responses", OPEN_RESPONSES_MCP, "gemini", DEFAULT_PROFILE, GEMINI_MCP, []),
    ("an open server for Vertex AI", "openai_responses", OPEN_RESPONSES_MCP, "gemini", VERTEX, {}, ["tools[0]"]),
    (
        "an open server",
        "gemini",
        GEMINI_MCP,
        "openai_responses",
        DEFAULT_PROFILE,
        {"tools": [{**MCP, "headers": {"Authorization": f"Bearer {TOKEN}"}, "require_approval": "never"}]},
        [],
    ),
    (
        "a server, some of its tools",
        "openai_responses",
        RESPONSES_MCP,
        "gemini",
        DEFAULT_PROFILE,
        {},
        ["tools[0].settings.allowed_tools", "tools[0]"],
    ),
    (
        "a server whose calls need consent",
        "openai_responses",
        {"tools": [{**MCP, "require_approval": "always"}]},
        "anthropic_messages",
        DEFAULT_PROFILE,
        {},
        ["tools[0].settings.require_approval", "tools[0]"],
    ),
    (
        "a server whose calls need consent because nothing else was said",
        "openai_responses",
        {"tools": [MCP]},
        "gemini",
        DEFAULT_PROFILE,
        {},
        ["tools[0].settings.require_approval", "tools[0]"],
    ),
    (
        "a server whose allowed tools need none",
        "openai_responses",
        {
            "tools": [
                {
                    **MCP,
                    "authorization": TOKEN,
                    "allowed_tools": {"tool_names": ["ask"]},
                    "require_approval": {"never": {"tool_names": ["ask", "go"]}},
                }
            ]
        },
        "anthropic_messages",
        DEFAULT_PROFILE,
        CLAUDE_MCP,
        [],
    ),
    (
        "a server with headers of its own",
        "openai_responses",
        {"tools": [{**MCP, "headers": {"X-Read-Only": "true"}, "require_approval": "never"}]},
        "anthropic_messages",
        DEFAULT_PROFILE,
        {},
        ["tools[0].settings.headers", "tools[0]"],
    ),
    (
        "a server without some of its tools",
        "anthropic_messages",
        {"tools": [{**TOOLSET, "configs": {"go": {"enabled": False}}}], "mcp_servers": [SERVER]},
        "openai_responses",
        DEFAULT_PROFILE,
        {},
        ["tools[0].configs.go.enabled", "tools[0]"],
    ),
    (
        "a connector has no address",
        "openai_responses",
        {"tools": [{"type": "mcp", "server_label": "mail", "connector_id": "connector_gmail"}]},
        "anthropic_messages",
        DEFAULT_PROFILE,
        {},
        ["tools[0].connector_id", "tools[0]"],
    ),
    (
        "a server, carried by Chat Completions",
        "openai_chat",
        RESPONSES_MCP,
        "anthropic_messages",
        DEFAULT_PROFILE,
        CLAUDE_MCP,
        [],
    ),
    (
        "a tool that a dialect without such tools was given",
        "cohere_chat",
        {"tools": [{"type": "web_search", "allowed_domains": ["a.org"]}]},
        "anthropic_messages",
        DEFAULT_PROFILE,
        {},
        ["tools[0].allowed_domains", "tools[0]"],
    ),
]
