"""Addresses: putting base URLs and paths together the way people mean it, telling whose host a URL is, and showing one.

People paste base URLs with more or less of the path: `https://api.anthropic.com`, `.../v1`, `.../v1/messages`. Where
the end of the base is the beginning of the path, the two are taken for the same segments and written once.
"""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from urllib.parse import quote, urlsplit

from penstock.providers.errors import ProviderError
from penstock.providers.provider import Provider


def join(base: str, path: str) -> str:
    """`base` and `path` as one address, their overlap written once. A query in `base` goes to the end."""
    base, question, query = base.partition("?")
    base_segments = base.rstrip("/").split("/")
    path_segments = path.strip("/").split("/")
    first = 3 if "://" in base else 1  # scheme, empty and host never overlap
    longest = min(len(base_segments) - first, len(path_segments))
    overlap = next((n for n in range(longest, 0, -1) if base_segments[-n:] == path_segments[:n]), 0)
    return "/".join(base_segments + path_segments[overlap:]) + question + query


def check(base_url: str, provider: str) -> str:
    """`base_url` without surrounding spaces and final slashes. Raises ProviderError where it is not an http(s) address
    with a host.
    """
    text = base_url.strip()
    try:
        parts = urlsplit(text)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        valid = False
    if not valid:
        fix = f"Write it like https://host/v1, or http://localhost:8000/v1 (you wrote {base_url!r})."
        raise ProviderError("missing_setting", "The base URL is not an http or https address.", fix, provider=provider)
    return text.rstrip("/")


def complete_local(address: str, default_port: int) -> str:
    """The address of a server on the user's own machine, from as little as `host`, `host:port` or `:port`: the forms in
    which such servers take their own variable (Ollama: `OLLAMA_HOST`). An address to listen everywhere is this machine.
    """
    text = address.strip()
    if "://" in text:
        return text
    if text.startswith(":"):
        text = f"127.0.0.1{text}"
    host, colon, port = text.rpartition(":")
    if not colon or text.endswith("]") or not port.isdigit():
        host, port = text, str(default_port)
    here = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}  # noqa: S104  # read, not bound
    return f"http://{here.get(host, host)}:{port}"


def host_of(url: str) -> str:
    """The host name in `url`, lower case; "" where there is none."""
    try:
        return (urlsplit(url if "://" in url else f"//{url}").hostname or "").lower()
    except ValueError:
        return ""


def origin_of(url: str) -> str:
    """Scheme, host and port of `url` (https where it names no scheme); "" where it has no host."""
    parts = urlsplit(url if "://" in url else f"https://{url}")
    return f"{parts.scheme}://{parts.netloc}" if parts.netloc else ""


def belongs_to(url: str, provider: Provider) -> bool:
    """Whether the host of `url` is one of the provider's."""
    return closeness(url, provider) > 0


def closeness(url: str, provider: Provider) -> int:
    """How exactly the host of `url` is named by the provider's globs: 0 not at all, more for longer globs, most for the
    very name.
    """
    host = host_of(url)
    fitting = [glob for glob in host_globs(provider) if host and fnmatchcase(host, glob)]
    return max((len(glob) + (1000 if glob == host else 0) for glob in fitting), default=0)


def host_globs(provider: Provider) -> tuple[str, ...]:
    """Globs over the provider's host names. A server on the user's machine has none: anything may listen there."""
    if provider.local or provider.base_url is None:
        return provider.hosts
    glob = re.sub(r"\{[^{}]*\}", "*", host_of_template(provider.base_url))
    return provider.hosts if set(glob) <= {"*", "."} else (glob, *provider.hosts)


def host_of_template(template: str) -> str:
    """The host part of a URL template, placeholders included."""
    return template.partition("://")[2].partition("/")[0].lower()


def without_secrets(url: str) -> str:
    """`url` for a message, 200 characters at most: without user and password, and all behind the question mark."""
    address = url.partition("?")[0]
    start = address.find("://") + 3 if "://" in address else 0
    host, slash, path = address[start:].partition("/")
    return f"{address[:start]}{host.rpartition('@')[2]}{slash}{path}"[:200]


def quote_model(path: str, model: str) -> str:
    """The path with `{model}` (percent-encoded whole) and `{+model}` (slashes and colons kept) replaced."""
    kept = quote(model, safe="/:@!$&'()*+,;=-._~")
    return path.replace("{model}", quote(model, safe="@")).replace("{+model}", kept)
