"""ToolSettings: how a provider-run tool may be used, in the words that at least two wire formats have.

A search may be kept to some domains, an MCP server to some of its tools, a call may need somebody's consent. These are
matters of safety, so the rule is: *on its way to another format, what narrows a tool arrives, or the tool is left out*
(docs/decisions/0007). NARROWING names these settings; the others (a location, a limit of uses) are left out with a
note, since without them the tool reaches no further.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from msgspec import Struct


class UserLocation(Struct, frozen=True):
    """Roughly where the user is: `country` as two letters (ISO 3166-1), `timezone` as IANA has it ("Europe/Paris")."""

    city: str | None = None
    region: str | None = None
    country: str | None = None
    timezone: str | None = None


class ToolSettings(Struct, frozen=True, kw_only=True):
    """The settings of a provider-run tool. None: the caller did not say.

    web_search, web_fetch
        allowed_domains      only these, with their subdomains ("example.com"); some hosts take paths too
        blocked_domains      never these
        user_location        for results that fit the place
        search_context_size  how much of what was found the model reads: low, medium, high
        max_uses             calls in one request at most
        max_results          results of one call at most (file_search too)
        max_content_tokens   of one page at most
    file_search
        stores               ids or names of the stores to look into; each provider reads only its own
    mcp
        server_label         its name, for the calls in the answer
        server_url           its address
        server_description   what it is good for
        authorization        the bearer token that it wants. Secret
        headers              to send to it. Secret; a narrowing too, since some servers take theirs there
        allowed_tools        only these of its tools; () is none
        require_approval     "never", "always" or OpenAI's object that says which tools need the caller's consent. None
                             means "always": formats that never ask say "never" when they are read
    any
        narrowed_by          the wire names of what else narrows the tool, in words of its own format alone (the words
                             lie in the tool's extras)

    The repr shows no secret, and of `server_url` only the host: some servers have the key in their address.
    """

    allowed_domains: tuple[str, ...] | None = None
    blocked_domains: tuple[str, ...] | None = None
    user_location: UserLocation | None = None
    search_context_size: str | None = None
    max_uses: int | None = None
    max_results: int | None = None
    max_content_tokens: int | None = None
    stores: tuple[str, ...] | None = None
    server_label: str | None = None
    server_url: str | None = None
    server_description: str | None = None
    authorization: str | None = None
    headers: dict[str, str] | None = None
    allowed_tools: tuple[str, ...] | None = None
    require_approval: str | dict[str, Any] | None = None
    narrowed_by: tuple[str, ...] = ()

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        said = [(name, getattr(self, name)) for name in self.__struct_fields__]
        return [(name, _shown(name, value)) for name, value in said if value is not None and value != ()]

    def __repr__(self) -> str:
        return f"ToolSettings({', '.join(f'{name}={value!r}' for name, value in self.__rich_repr__())})"


NARROWING = ("allowed_domains", "blocked_domains", "headers", "allowed_tools", "require_approval", "narrowed_by")
"""What a tool must not go without: left out, the tool would reach further than its caller allows."""


def _shown(name: str, value: Any) -> Any:
    if name == "authorization":
        return "..."
    if name == "server_url":
        return _host_of(value)
    return sorted(value) if name == "headers" else value


def _host_of(url: str) -> str:
    try:
        parts = urlsplit(url)
        return f"{parts.scheme}://{parts.hostname}/..."
    except ValueError:
        return "..."
