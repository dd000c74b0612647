"""Origins: what an URL says of whom to connect to, and what to ask there. Strict: an URL comes from configuration and
from values (a model's name) that a client chose, so whatever could end the request line early is refused.

    https://api.example.com/v1/x?y=1   ->  Origin("https", "api.example.com", 443), "/v1/x?y=1"
    unix:/run/penstock/api.sock:/key   ->  Origin("unix", "/run/penstock/api.sock", 0), "/key"     (as nginx writes it)

An URL's grammar is RFC 3986's; a request target is ASCII (RFC 9112, 3.2), so other characters are percent-encoded as
UTF-8, which is what browsers and httpx do.
"""

from __future__ import annotations

import re

from msgspec import Struct

__all__ = ["Origin", "Place", "Unsendable", "parse"]

PORTS = {"http": 80, "https": 443}


class Unsendable(ValueError):
    """This request cannot be sent as it is, to nobody. The message says what to mend, and holds no secret."""


class Origin(Struct, frozen=True):
    """Whom to connect to. `host` is a name, an address without brackets, or the path of a Unix socket (port 0)."""

    scheme: str
    host: str
    port: int

    @property
    def authority(self) -> str:
        """As a `host` header has it: the port only where it is not the usual one."""
        if self.scheme == "unix":
            return "localhost"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if PORTS[self.scheme] == self.port else f"{host}:{self.port}"

    @property
    def host_and_port(self) -> str:
        """As CONNECT has it: always with the port."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def __str__(self) -> str:
        return f"unix:{self.host}" if self.scheme == "unix" else f"{self.scheme}://{self.authority}"


class Place(Struct, frozen=True):
    """An URL in parts: the origin, what to ask there, and `user:password` (still percent-encoded) or nothing."""

    origin: Origin
    target: str
    userinfo: str = ""


def parse(url: str) -> Place:
    """The parts of an URL. Raises Unsendable."""
    if _NEVER.search(url):
        raise Unsendable("the URL holds a space or a control character: percent-encode what it is made of")
    if url.startswith("unix:"):
        return _unix(url)
    scheme, slashes, rest = url.partition("://")
    scheme = scheme.lower()
    if not slashes or scheme not in PORTS:
        raise Unsendable("the URL must begin with http://, https:// or unix:/")
    end = next((index for index, letter in enumerate(rest) if letter in "/?#\\"), len(rest))
    userinfo, _, authority = rest[:end].rpartition("@")
    host, port = _host_and_port(authority, PORTS[scheme])
    return Place(Origin(scheme, host, port), _target(rest[end:]), userinfo)


_NEVER = re.compile(r"[\x00-\x20\x7f]")
_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._~-]*[A-Za-z0-9_.])?")


def _unix(url: str) -> Place:
    path, colon, target = url.removeprefix("unix:").partition(":")
    if not path.startswith("/"):
        raise Unsendable("a Unix socket's URL is unix:/path/of/the.socket:/what/to/ask")
    return Place(Origin("unix", path, 0), _target(target) if colon else "/")


def _host_and_port(authority: str, usual: int) -> tuple[str, int]:
    host, bracket, port = authority.partition("]") if authority.startswith("[") else authority.partition(":")
    if bracket == "]":
        host, known = host[1:], _is_address(host[1:])
        port = _after_bracket(port)
    else:
        host = host if host.isascii() else _ascii_name(host)
        known = _NAME.fullmatch(host) is not None
    if not known:
        raise Unsendable("the URL names no host, or one that no host can have")
    return host.lower(), _port(port, usual)


def _is_address(host: str) -> bool:
    from ipaddress import AddressValueError, IPv6Address

    try:
        return IPv6Address(host).scope_id is None
    except AddressValueError:
        return False


def _after_bracket(rest: str) -> str:
    if rest and not rest.startswith(":"):
        raise Unsendable("after the address of the URL's host may come a colon and a port, and nothing else")
    return rest[1:]


def _port(port: str, usual: int) -> int:
    if not port:
        return usual
    if not (port.isascii() and port.isdigit() and 0 < int(port[:6]) < 65536):
        raise Unsendable("the URL's port is no number from 1 to 65535")
    return int(port)


def _ascii_name(host: str) -> str:
    try:
        return host.encode("idna").decode("ascii")
    except UnicodeError:
        raise Unsendable("the URL's host is no name that can be looked up") from None


def _target(rest: str) -> str:
    target = rest.partition("#")[0]
    if not target.isascii():
        from urllib.parse import quote

        target = quote(target, safe=_ALL_ASCII)
    return target if target.startswith("/") else f"/{target}"


_ALL_ASCII = "".join(chr(code) for code in range(33, 127))
