"""Proxies: which one stands between us and an origin. The rules are those of the SDK (httpx), which are curl's and
urllib's: `HTTPS_PROXY`, `HTTP_PROXY` and `ALL_PROXY` (lower case wins), and `NO_PROXY`, a list of

    *                    no proxy at all
    .example.com         hosts below it          example.com     the host and those below it
    10.0.0.1, ::1, localhost    that host        http://example.com:8080    by scheme, host and port
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from msgspec import Struct

from penstock.gateway.upstream.heads import basic
from penstock.gateway.upstream.origins import PORTS, Origin, Unsendable, parse

__all__ = ["Proxy", "ProxyRules", "as_proxy"]


class Proxy(Struct, frozen=True):
    """A proxy: where it is, and the line of a head that it wants (`proxy-authorization: ...`), or nothing."""

    origin: Origin
    authorization: str = ""

    def __repr__(self) -> str:
        return f"Proxy({self.origin})"


def as_proxy(url: str) -> Proxy:
    """The proxy of an URL. Raises Unsendable."""
    try:
        place = parse(url if "://" in url else f"http://{url}")
    except Unsendable:
        raise Unsendable(
            "the proxy's URL must be http://[user:password@]host:port (or https://); SOCKS is not spoken here"
        ) from None
    authorization = f"proxy-authorization: {basic(place.userinfo)}\r\n" if place.userinfo else ""
    return Proxy(place.origin, authorization)


class ProxyRules:
    """What an environment says of proxies, read once."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        lowered = {name.lower(): value for name, value in environment.items() if name.isupper() and value}
        lowered |= {name: value for name, value in environment.items() if name.islower() and value}
        if "REQUEST_METHOD" in environment and "http_proxy" not in environment:
            lowered.pop(
                "http_proxy", None
            )  # a CGI program's HTTP_PROXY is a client's header `Proxy` (CVE-2016-1000110)
        names = [each.strip() for each in lowered.get("no_proxy", "").split(",")]
        self._proxies = {} if "*" in names else {each: lowered.get(f"{each}_proxy", "") for each in (*PORTS, "all")}
        self._without = [_exception(each) for each in names if each]

    def proxy(self, origin: Origin) -> Proxy | None:
        """The proxy for an origin. Raises Unsendable where the environment names none that can be one."""
        if origin.scheme == "unix":
            return None
        url = self._proxies.get(origin.scheme) or self._proxies.get("all")
        if not url or any(each.covers(origin) for each in self._without):
            return None
        return as_proxy(url)


class _Exception(Struct, frozen=True):
    """An entry of NO_PROXY: hosts that a pattern matches, of any scheme and port where it names none."""

    hosts: re.Pattern[str] | None
    scheme: str = ""
    port: int = 0

    def covers(self, origin: Origin) -> bool:
        if (self.scheme and self.scheme != origin.scheme) or (self.port and self.port != origin.port):
            return False
        return self.hosts is None or self.hosts.fullmatch(origin.host) is not None


def _exception(entry: str) -> _Exception:
    scheme, slashes, authority = entry.lower().rpartition("://")
    host, port = _host_and_port(authority)
    scheme = "" if scheme == "all" else scheme
    if slashes:
        return _Exception(_with_url_wildcards(host), scheme, port)
    if host == "localhost" or _is_address(host):
        return _Exception(re.compile(re.escape(host.partition("/")[0])))
    if host.startswith("."):
        return _Exception(re.compile(rf".+{re.escape(host)}"), port=port)
    return _Exception(re.compile(rf"(?:.+\.)?{re.escape(host.lstrip('*'))}"), port=port)


def _with_url_wildcards(host: str) -> re.Pattern[str] | None:
    if host in ("", "*"):
        return None
    if host.startswith("*."):
        return re.compile(rf".+\.{re.escape(host[2:])}")
    if host.startswith("*"):
        return re.compile(rf"(?:.+\.)?{re.escape(host[1:])}")
    return re.compile(re.escape(host))


def _host_and_port(authority: str) -> tuple[str, int]:
    if authority.startswith("["):
        host, _, port = authority[1:].partition("]")
        port = port.removeprefix(":")
    elif authority.count(":") == 1:
        host, _, port = authority.partition(":")
    else:
        host, port = authority, ""
    return host, int(port) if port.isascii() and port.isdigit() else 0


def _is_address(host: str) -> bool:
    from ipaddress import ip_address

    try:
        ip_address(host.partition("/")[0])
    except ValueError:
        return False
    return True
