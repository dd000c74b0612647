"""Hosts have one spelling: everything that is compared with a rule goes through `canonical_host` first.

A name that two programs read differently is how a request leaves for a host that no rule names. So a host is either a
name (letters, digits, hyphens; other alphabets by IDNA 2008 without any mapping), an IPv4 address of four plain decimal
numbers, or an IPv6 address (returned as RFC 5952 writes it). Whatever another program might read as something else
(`0x7f.1`, `good@evil`, `%65vil`, a full stop of another alphabet) is refused, never repaired: RFC 3986 3.2.2, RFC 5890,
RFC 5891; "ends in a number" as in the WHATWG URL standard.

What is *private* is decided by one table below, not by Python's `ipaddress`, whose opinion changes between versions:
all that IANA's special-purpose registries do not call globally reachable, and the metadata services of clouds.
"""

import re
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import NoReturn

import idna

from penstock.vault.values import Refusal

LONGEST_NAME = 253
"""Characters of a name without its trailing dot (RFC 1035)."""

_LABEL = r"(?!-)[a-z0-9-]{1,63}(?<!-)"
_PLAIN_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_ENDS_IN_NUMBER = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)")
_OCTET = r"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_DOTTED_QUAD = re.compile(rf"{_OCTET}(?:\.{_OCTET}){{3}}")
_IPV6 = re.compile(r"[0-9a-f:]{2,39}")
_PORT = re.compile(r"[1-9][0-9]{0,4}")
_TO_LOWER = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz")
_OTHER_FULL_STOPS = "\u3002\uff0e\uff61"

# Never part of a host, and each with its own reason; looked for only when a name is not plain.
_TRICKS = (
    ("@", "it holds a user name"),
    ("%", "it holds a percent-encoding or a zone id"),
    ("\\", "it holds a backslash"),
    ("/", "it holds a slash"),
    ("?", "it holds a question mark"),
    ("#", "it holds a number sign"),
    ("*", "it holds a wildcard"),
    ("_", "it holds an underscore; host names are letters, digits and hyphens"),
    ("[", "it holds a bracket"),
    ("]", "it holds a bracket"),
)


def canonical_host(text: str) -> str:
    """Return the one spelling of a host: a lower-case name without trailing dot, or an address.

    Args:
        text: a name, a dotted quad, or an IPv6 address without brackets. Names of other alphabets become A-labels.

    Raises:
        Refusal: `bad_host` (400), with the reason.
    """
    lowered = text.translate(_TO_LOWER)
    if ":" in lowered:
        return _canonical_ipv6(lowered)
    name = lowered.removesuffix(".")
    if not name.isascii() or "xn--" in name:
        name = _to_ascii(name)
    if len(name) > LONGEST_NAME or not _PLAIN_NAME.fullmatch(name):
        _refuse(_what_is_wrong_with(name))
    if _ENDS_IN_NUMBER.fullmatch(name):
        return _canonical_ipv4(name, lowered)
    return name


def parse_authority(text: str, default_port: int) -> tuple[str, int]:
    """Split `host`, `host:port` or `[address]:port` as it stands in CONNECT, `Host` or a target, and check both.

    Raises:
        Refusal: `bad_host` (400): user names, empty or odd ports, IPv6 without brackets, anything beyond ASCII.
    """
    if not text.isascii():
        _refuse("on the wire a host is ASCII; other alphabets are written as xn-- labels")
    host, port = _split_authority(text)
    return canonical_host(host), default_port if port is None else parse_port(port)


def parse_port(text: str) -> int:
    """Return a port of 1 to 65535, in decimal without sign or leading zero. Raises `Refusal`: `bad_host`."""
    if not _PORT.fullmatch(text) or int(text) > 65535:
        _refuse("a port is a number from 1 to 65535 without leading zeros")
    return int(text)


def format_authority(host: str, port: int, default_port: int) -> str:
    """Write a canonical host as `Host` has it: brackets around IPv6, the port only where it is not the default."""
    bracketed = f"[{host}]" if ":" in host else host
    return bracketed if port == default_port else f"{bracketed}:{port}"


def is_address(host: str) -> bool:
    """Say whether a canonical host is an address and not a name."""
    return ":" in host or _DOTTED_QUAD.fullmatch(host) is not None


def _split_authority(text: str) -> tuple[str, str | None]:
    if text.startswith("["):
        host, closed, rest = text[1:].partition("]")
        if not closed or ":" not in host or (rest and not rest.startswith(":")):
            _refuse("brackets go around an IPv6 address, as in [2001:db8::1]:443")
        return host, rest[1:] if rest else None
    if text.count(":") > 1:
        _refuse("an IPv6 address stands in brackets, as in [2001:db8::1]:443")
    host, colon, port = text.partition(":")
    return host, port if colon else None


def _to_ascii(name: str) -> str:
    """Turn each label of another alphabet into its A-label, and check each A-label against its U-label."""
    if any(stop in name for stop in _OTHER_FULL_STOPS):
        _refuse("it holds a full stop of another alphabet; write a plain one")
    return ".".join(_label_to_ascii(label) for label in name.split("."))


def _label_to_ascii(label: str) -> str:
    if label.isascii() and not label.startswith("xn--"):
        return label  # plain labels are checked by the caller, in one go
    try:
        return idna.alabel(label).decode("ascii")
    except (idna.IDNAError, UnicodeError, IndexError, ValueError):
        _refuse("a label is not valid under IDNA 2008")


def _canonical_ipv4(name: str, written: str) -> str:
    if written != name or not _DOTTED_QUAD.fullmatch(name):
        _refuse("an IPv4 address is four decimal numbers without leading zeros; no name ends in a number")
    return name


def _canonical_ipv6(text: str) -> str:
    if not _IPV6.fullmatch(text):
        _refuse("an IPv6 address is hexadecimal groups without zone id or dotted quad")
    try:
        address = IPv6Address(text)
    except ValueError:
        _refuse("it is not an IPv6 address")
    if address.ipv4_mapped is not None:
        _refuse("an IPv4 address inside IPv6 is written as IPv4")
    return address.compressed


def _what_is_wrong_with(name: str) -> str:
    if not name:
        return "it is empty"
    if len(name) > LONGEST_NAME:
        return f"a name has at most {LONGEST_NAME} characters"
    if any(ord(character) <= 32 or ord(character) == 127 for character in name):
        return "it holds a space or a control character"
    for trick, reason in _TRICKS:
        if trick in name:
            return reason
    if "" in name.split("."):
        return "a label is empty"
    if any(len(label) > 63 for label in name.split(".")):
        return "a label has at most 63 characters"
    return "labels are letters, digits and hyphens, with no hyphen at either end"


def _refuse(reason: str) -> NoReturn:
    raise Refusal("bad_host", f"This host is not acceptable: {reason}.", status=400)


# -- addresses ------------------------------------------------------------------------------------------------------

_NOT_GLOBAL_V4 = tuple(
    map(
        IPv4Network,
        (
            "0.0.0.0/8",  # this network (RFC 791)
            "10.0.0.0/8",  # private (RFC 1918)
            "100.64.0.0/10",  # shared address space of carriers (RFC 6598); 100.100.100.200 is Alibaba's metadata
            "127.0.0.0/8",  # loopback
            "168.63.129.16/32",  # Azure's host, with metadata
            "169.254.0.0/16",  # link-local; 169.254.169.254 is most clouds' metadata
            "172.16.0.0/12",  # private
            "192.0.0.0/24",  # protocol assignments; 192.0.0.192 is Oracle's metadata
            "192.0.2.0/24",  # documentation
            "192.88.99.0/24",  # relays of 6to4, deprecated (RFC 7526)
            "192.168.0.0/16",  # private
            "198.18.0.0/15",  # benchmarks (RFC 2544)
            "198.51.100.0/24",  # documentation
            "203.0.113.0/24",  # documentation
            "224.0.0.0/4",  # multicast
            "240.0.0.0/4",  # reserved, with the broadcast address
        ),
    )
)
_GLOBAL_V6 = IPv6Network("2000::/3")
_NOT_GLOBAL_V6 = tuple(
    map(
        IPv6Network,
        (
            "2001::/23",  # protocol assignments, with Teredo (2001::/32), benchmarks (2001:2::/48), ORCHID
            "2001:db8::/32",  # documentation
            "3fff::/20",  # documentation (RFC 9637)
        ),
    )
)
_MAPPED = IPv6Network("::ffff:0:0/96")
_NAT64 = IPv6Network("64:ff9b::/96")
_SIX_TO_FOUR = IPv6Network("2002::/16")


def is_private(address: str) -> bool:
    """Say whether an address is anything but globally reachable unicast, also where IPv6 carries such an IPv4 address.

    Private, loopback, link-local, unspecified, multicast, reserved, documentation, benchmark and carrier ranges,
    metadata services; IPv4-mapped, 6to4 and NAT64 by the address inside; Teredo and site-local always.

    Args:
        address: as a resolver returns it; a zone id (`fe80::1%eth0`) makes it private.

    Raises:
        Refusal: `bad_host`: this is not an address.
    """
    text, zone, _ = address.partition("%")
    try:
        parsed = ip_address(text)
    except ValueError:
        _refuse("it is not an address")
    return bool(zone) or (_is_private_v4(parsed) if isinstance(parsed, IPv4Address) else _is_private_v6(parsed))


def in_networks(address: str, networks: tuple[str, ...]) -> bool:
    """Say whether an address lies in one of these networks (`10.0.0.0/8`, or a single address)."""
    parsed = ip_address(address.partition("%")[0])
    return any(parsed in ip_network(network) for network in networks)


def _is_private_v4(address: IPv4Address) -> bool:
    return any(address in network for network in _NOT_GLOBAL_V4)


def _is_private_v6(address: IPv6Address) -> bool:
    if address in _MAPPED or address in _NAT64:
        return _is_private_v4(IPv4Address(int(address) & 0xFFFFFFFF))
    if address in _SIX_TO_FOUR:
        return _is_private_v4(IPv4Address(int(address) >> 80 & 0xFFFFFFFF))
    return address not in _GLOBAL_V6 or any(address in network for network in _NOT_GLOBAL_V6)
