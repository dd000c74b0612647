"""Resolve: media that a host does not fetch itself is fetched before rendering, and nothing that must not be.

The only place that follows an address out of a request's content, so the only place where somebody who writes a
prompt could make us reach into a private network. The rules, in the order in which they are applied to the first
address and to each redirect:

1. `https` or `http`, a host name, no user and password in it;
2. every address that the name has is a public one (loopback, private, link-local with the clouds' metadata services,
multicast and translated forms of these are refused);
3. the connection is made to the very address that was checked, so that a name cannot change its mind in between, and
not through a proxy, which could;
4. no more than `MAX_BYTES`, `MAX_REDIRECTS` and `TIMEOUT`.

Like a credential flow this is a generator: it yields `LookUp` and `FetchPinned`, and whoever drives the exchange does
them.
"""

from __future__ import annotations

import base64
import ipaddress
from collections.abc import Callable, Generator, Iterator
from typing import Any, TypeAlias
from urllib.parse import urljoin, urlsplit

from msgspec import Struct
from msgspec.structs import replace

from penstock.dialects.dialect import Dialect
from penstock.providers.urls import without_secrets
from penstock.types.content import Base64, Blocks, Media, Part, Text, ToolResult, Url
from penstock.types.profile import Profile
from penstock.types.request import Message, Request

MAX_BYTES = 50 * 1024 * 1024
MAX_REDIRECTS = 3
TIMEOUT = 30.0


class FetchRefused(ValueError):
    """Media that could not, or may not, be fetched. `fix` says what the caller can do."""

    def __init__(self, url: str, reason: str) -> None:
        self.url = without_secrets(url)
        self.fix = "Send the bytes themselves (a data: URL), or upload the file to the provider."
        super().__init__(f"{self.url} was not fetched: {reason}. {self.fix}")


class LookUp(Struct, frozen=True):
    """Ask the name system for all addresses of a host. Outcome: Addresses (empty: there is none)."""

    host: str
    port: int


class Addresses(Struct, frozen=True):
    """What the name system answered."""

    addresses: tuple[str, ...]


class FetchPinned(Struct, frozen=True):
    """GET `url` from `address`, directly, without following redirects, at most `max_bytes` of body. Outcome:
    FetchedMedia or NotFetched.
    """

    url: str
    address: str
    max_bytes: int = MAX_BYTES
    timeout: float = TIMEOUT


class FetchedMedia(Struct, frozen=True):
    """An answer of any status."""

    status: int
    headers: dict[str, str]
    body: bytes


class NotFetched(Struct, frozen=True):
    """No answer, or one that was too large."""

    reason: str


Wanted: TypeAlias = Callable[[Media], bool]
"""Whether a medium's address must be fetched by us."""


def resolve_media(request: Request, dialect: Dialect, profile: Profile) -> Generator[Any, Any, Request]:
    """`request` with bytes in the place of every web address that the host would not fetch, wherever it stands:
    messages, instructions, tool results, documents made of parts. Raises FetchRefused.

    A host that fetches no images (`profile.image_urls`) fetches nothing from the web. Addresses that only a provider
    can read (gs:, s3:, `dialect.reads_url`) stay as they are.
    """
    carried = dialect.carries_urls if profile.image_urls else frozenset[str]()

    def wanted(media: Media) -> bool:
        source = media.source
        if media.kind in carried or not isinstance(source, Url):
            return False
        return _is_web(source.url) and not dialect.reads_url(source.url)

    if not any(_needs_fetching(part, wanted) for parts in _places(request) for part in parts):
        return request
    messages: list[Message] = []
    for message in request.messages:
        parts = yield from _resolve_parts(message.parts, wanted)
        messages.append(replace(message, parts=parts))
    system = request.system
    if system is not None:
        system = yield from _resolve_parts(system, wanted)
    return replace(request, messages=tuple(messages), system=system)


def _places(request: Request) -> Iterator[tuple[Part, ...]]:
    yield request.system or ()
    for message in request.messages:
        yield message.parts


def _needs_fetching(part: Part, wanted: Wanted) -> bool:
    if type(part) is Text:
        return False  # nearly every part
    if isinstance(part, ToolResult):
        return any(_needs_fetching(inner, wanted) for inner in part.parts)
    if not isinstance(part, Media):
        return False
    if isinstance(part.source, Blocks):
        return any(_needs_fetching(inner, wanted) for inner in part.source.parts)
    return wanted(part)


def _is_web(url: str) -> bool:
    return url[:8].lower().startswith(("http://", "https://"))


def _resolve_parts(parts: tuple[Part, ...], wanted: Wanted) -> Generator[Any, Any, tuple[Part, ...]]:
    found: list[Part] = []
    for part in parts:
        if not _needs_fetching(part, wanted):
            pass
        elif isinstance(part, ToolResult):
            inner = yield from _resolve_parts(part.parts, wanted)
            part = replace(part, parts=inner)
        elif isinstance(part, Media) and isinstance(part.source, Blocks):
            inner = yield from _resolve_parts(part.source.parts, wanted)
            part = replace(part, source=Blocks(inner))
        elif isinstance(part, Media) and isinstance(part.source, Url):
            media_type, body = yield from fetch(part.source.url)
            data = base64.b64encode(body).decode()
            part = replace(part, source=Base64(data), media_type=part.media_type or media_type)
        found.append(part)
    return tuple(found)


def fetch(url: str) -> Generator[Any, Any, tuple[str, bytes]]:
    """(media type, bytes) behind a web address. Raises FetchRefused."""
    for _ in range(MAX_REDIRECTS + 1):
        host, port = check_url(url)
        found = yield LookUp(host, port)
        assert isinstance(found, Addresses)
        answer = yield FetchPinned(url, check_addresses(url, found.addresses))
        if isinstance(answer, NotFetched):
            raise FetchRefused(url, answer.reason)
        if answer.status in (301, 302, 303, 307, 308) and "location" in answer.headers:
            url = urljoin(url, answer.headers["location"])
            continue
        if answer.status != 200:
            raise FetchRefused(url, f"its host answered {answer.status}")
        media_type = answer.headers.get("content-type", "").partition(";")[0].strip()
        return media_type or "application/octet-stream", answer.body
    raise FetchRefused(url, f"it leads on more than {MAX_REDIRECTS} times")


def check_url(url: str) -> tuple[str, int]:
    """(host, port) of an address that may be followed. Raises FetchRefused."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise FetchRefused(url, "it is not a valid address") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise FetchRefused(url, "only http and https addresses are fetched")
    if parts.username is not None or parts.password is not None:
        raise FetchRefused(url, "it holds a user name")
    return parts.hostname, port or (443 if parts.scheme == "https" else 80)


def check_addresses(url: str, addresses: tuple[str, ...]) -> str:
    """The address to connect to: the first, if all are public. Raises FetchRefused."""
    if not addresses:
        raise FetchRefused(url, "its host has no address")
    for address in addresses:
        if not is_public(address):
            raise FetchRefused(url, "its host has a private address")
    return addresses[0]


def is_public(address: str) -> bool:
    """Whether an IP address is one of the public internet's, also behind its translated forms (IPv4 in IPv6, 6to4,
    Teredo, NAT64).
    """
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address):
        inner = found.ipv4_mapped or found.sixtofour or (found.teredo or (None, None))[1] or _nat64(found)
        if inner is not None:
            return is_public(str(inner))
        if found in _LOCAL_NAT64 or found.is_site_local:
            return False
    return found.is_global and not found.is_multicast and not found.is_reserved


_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_LOCAL_NAT64 = ipaddress.ip_network("64:ff9b:1::/48")
"""RFC 8215: what IPv4 address is behind one of these, only the local network knows."""


def _nat64(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF) if address in _NAT64 else None
