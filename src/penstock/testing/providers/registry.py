"""Every path that the simulated providers answer: one table of routes, one table of mounts.

A *route* is a method and a path pattern ({name} matches within one path segment) with the operation behind it. A *mount*
is a provider's place on the server: a path prefix, the families of operations that live there, and the flavour with
which they are spoken. The root mount holds everything, so `http://127.0.0.1:PORT/v1` works by hand; where two providers
use the same path, Anthropic's `anthropic-version` header decides.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from penstock.testing.providers.openai_chat import CHAT, FLAVOURS
from penstock.testing.providers.openai_family import OPENAI
from penstock.testing.providers.script import ProviderError
from penstock.testing.providers.state import Flavour
from penstock.testing.providers.wire import Body, Call, Family, Operation, ReceivedRequest


@dataclass(frozen=True, slots=True)
class Route:
    """One method and path pattern, and what answers there."""

    method: str
    pattern: str
    operation: Operation


@dataclass(frozen=True, slots=True)
class Mount:
    """A provider's place: `prefix` is what its paths begin with, `base` what its official client takes as base URL."""

    name: str
    prefix: str
    base: str
    families: tuple[Family, ...]
    flavour: Flavour


ROUTES: tuple[Route, ...] = (Route("POST", "/v1/chat/completions", CHAT),)

MOUNTS: tuple[Mount, ...] = (Mount("openai", "/openai", "/openai/v1", (OPENAI,), FLAVOURS["openai"]),)

DIALECTS: Mapping[str, str] = {"openai_chat": "openai"}

ROOT = Mount("", "", "", (OPENAI,), FLAVOURS["openai"])

OPERATIONS: Mapping[str, Operation] = {route.operation.name: route.operation for route in ROUTES}


@dataclass(frozen=True, slots=True)
class Match:
    """Where a request arrived. Without an operation, `family` says how the refusal looks."""

    mount: Mount
    family: Family
    operation: Operation | None
    params: Mapping[str, str]
    known_path: bool = False

    def refusal(self, call: Call) -> Body:
        """The answer to a path or a method that the provider does not know."""
        if self.known_path:
            return self.family.error(ProviderError(405, "Method Not Allowed"), call)
        return self.family.unknown_path(call)


def resolve_path(request: ReceivedRequest) -> Match:
    """The mount and operation of a request."""
    mount = _mount(request.path)
    path = request.path.removeprefix(mount.prefix)
    method = "GET" if request.method == "HEAD" else request.method
    found = [(route, match) for route in ROUTES if (match := _pattern(route.pattern).fullmatch(path))]
    found = [(route, match) for route, match in found if route.operation.family in mount.families]
    fitting = [(route, match) for route, match in found if route.method == method]
    if not fitting:
        family = found[0][0].operation.family if found else _family(mount, path)
        return Match(mount, family, None, {}, bool(found))
    route, match = _preferred(fitting, request)
    return Match(mount, route.operation.family, route.operation, match.groupdict())


def _mount(path: str) -> Mount:
    fitting = [mount for mount in MOUNTS if path.startswith(mount.prefix + "/")]
    return max(fitting, key=lambda mount: len(mount.prefix), default=ROOT)


def _preferred(
    found: list[tuple[Route, re.Match[str]]], request: ReceivedRequest
) -> tuple[Route, re.Match[str]]:
    """Of several providers on one path (at the root mount), Anthropic if its version header is there."""
    wanted = "anthropic" if "anthropic-version" in request.headers else None
    return next((pair for pair in found if pair[0].operation.family.name == wanted), found[0])


def _family(mount: Mount, path: str) -> Family:
    """Whose error answers an unknown path: the mount's; at the root, that of the provider whose paths begin so."""
    for family, prefix in ((pair[0].operation.family, pair[1]) for pair in _PREFIXES):
        if family in mount.families and path.startswith(prefix):
            return family
    return mount.families[0]


_PREFIXES = [(route, "/".join(route.pattern.split("/")[:2]) + "/") for route in ROUTES]


@cache
def _pattern(pattern: str) -> re.Pattern[str]:
    """A path pattern as a regular expression: {name} is one segment."""
    pieces = re.split(r"\{(\w+)\}", pattern)
    return re.compile(
        "".join(f"(?P<{piece}>[^/]+)" if i % 2 else re.escape(piece) for i, piece in enumerate(pieces))
    )
