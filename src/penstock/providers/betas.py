"""Betas: what parts of a request a host takes only with the name of a beta, as data.

Anthropic lets new features in by name: `anthropic-beta: mcp-client-2025-11-20,...` in a header, or, where the body is
all that a host passes on (Bedrock's `invoke`), `anthropic_beta: [...]` in the body; Converse has the same list in
`additionalModelRequestFields`. A row of the table says which part of a body needs which name; a name is sent only when
its part is there. What changes how a model behaves without showing in the body (a context of a million tokens,
interleaved thinking) is the caller's to ask for: `extra_headers={"anthropic-beta": ...}`, `betas=[...]` of `messages`,
or the list in the body, whatever the host; docs/how-to/betas.md.

Sources: platform.claude.com/docs/en/api/beta-headers and the pages of the features; the beta types of the `anthropic`
package.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import Struct

from penstock.providers.globs import fits


class Beta(Struct, frozen=True, kw_only=True):
    """`name` must be sent with a body that has one of `fields` (a dot leads into an object), or that holds an object
    whose `type` fits one of the globs `types`: a tool, a block of content, its source, an edit of the context. Not
    where a type fits `unless`.
    """

    name: str
    fields: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    unless: tuple[str, ...] = ()


ANTHROPIC_BETAS: tuple[Beta, ...] = (
    Beta(name="files-api-2025-04-14", types=("file", "container_upload")),
    Beta(name="skills-2025-10-02", fields=("container.skills",)),
    Beta(name="mcp-client-2025-11-20", types=("mcp_toolset",)),
    Beta(name="mcp-client-2025-04-04", fields=("mcp_servers",), unless=("mcp_toolset",)),
    Beta(name="context-management-2025-06-27", types=("clear_tool_uses_*", "clear_thinking_*")),
    Beta(name="compact-2026-01-12", types=("compact_20260112", "compaction")),
    Beta(name="code-execution-2025-05-22", types=("code_execution_20250522",)),
    Beta(name="code-execution-2025-08-25", types=("code_execution_20250825",)),
    Beta(name="web-fetch-2025-09-10", types=("web_fetch_20250910",)),
    Beta(name="computer-use-2024-10-22", types=("computer_20241022", "bash_20241022", "text_editor_20241022")),
    Beta(name="computer-use-2025-01-24", types=("computer_20250124",)),
    Beta(name="computer-use-2025-11-24", types=("computer_20251124",)),
    Beta(name="advisor-tool-2026-03-01", types=("advisor_*",)),
    Beta(name="mid-conversation-tool-changes-2026-07-01", types=("tool_addition", "tool_removal")),
    Beta(name="structured-outputs-2025-11-13", fields=("output_format",)),
    Beta(name="task-budgets-2026-03-13", fields=("output_config.task_budget",)),
    Beta(name="fast-mode-2026-02-01", fields=("speed",)),
    Beta(name="server-side-fallback-2026-07-01", fields=("fallbacks",)),
    Beta(name="fallback-credit-2026-07-01", fields=("fallback_credit_token",)),
    Beta(name="message-threads-2026-08-12", fields=("thread",)),
)


ANTHROPICS_OWN: tuple[str, ...] = (
    "advanced-tool-use-*",
    "advisor-tool-*",
    "claude-code-*",
    "code-execution-*",
    "extended-cache-ttl-*",
    "fast-mode-*",
    "files-api-*",
    "mcp-client-*",
    "mcp-servers-*",
    "message-threads-*",
    "oauth-*",
    "prompt-caching-scope-*",
    "skills-*",
    "web-fetch-*",
)
"""Features of Anthropic's own API and marks of its own programs: Bedrock ("invalid beta flag") and Vertex AI refuse a
request that names one, and programs like Claude Code name them in every request.

Sources: docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-anthropic-claude-messages-request-response.html
lists what Bedrock takes; github.com/anthropics/claude-code/issues 30926, 49370 and 56595 what it refuses.
"""


def betas_of(body: Mapping[str, Any], table: tuple[Beta, ...]) -> list[str]:
    """The names that must be sent with this body."""
    if not table:
        return []
    types = frozenset(_types(body))
    return [beta.name for beta in table if _concerns(beta, body, types)]


def _concerns(beta: Beta, body: Mapping[str, Any], types: frozenset[str]) -> bool:
    if any(fits(kind, beta.unless) for kind in types):
        return False
    return any(_has(body, path) for path in beta.fields) or any(fits(kind, beta.types) for kind in types)


def _has(body: Any, path: str) -> bool:
    for step in path.split("."):
        if not isinstance(body, dict) or body.get(step) is None:
            return False
        body = body[step]
    return True


_USUAL = frozenset({"text", "image", "tool_use", "thinking", "custom", "base64", "url"})
"""Types that are in nearly every request and need nothing."""
_SCHEMAS = frozenset({"input_schema", "input", "metadata", "output_config"})
"""The caller's own objects: what is called `type` there is none of the API's."""


def _types(value: Any) -> Iterator[str]:
    """The `type` of every object in the body, but for the caller's own and the most usual ones."""
    if isinstance(value, dict):
        kind = value.get("type")
        if isinstance(kind, str) and kind not in _USUAL:
            yield kind
        for key, inner in value.items():
            if type(inner) in _NESTED and key not in _SCHEMAS:
                yield from _types(inner)
    elif isinstance(value, list):
        for inner in value:
            if type(inner) in _NESTED:
                yield from _types(inner)


_NESTED = frozenset({dict, list})
