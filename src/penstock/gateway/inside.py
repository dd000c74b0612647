"""Inside: keys, and addresses that mean something on our own network only. They do not leave it in an error's text.

A provider may repeat the key that it was sent, and a proxy in front of a model likes to say whom it could not reach.
What is inside can be told from an address itself: a private IP, a name of one word in a URL, a name under a domain
that no public server has, or a host that the configuration gives.

Unlike what goes into a log (`redact`), an error is read by who caused it: only what we know to be ours is taken out of
it, not all that looks like a key.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from penstock.gateway.redact import SHORTEST, spellings
from penstock.resolve import is_public

IN_ITS_PLACE = b"[address removed]"
_DOMAINS = (".internal", ".local", ".localhost", ".localdomain", ".lan", ".intranet", ".corp", ".home", ".svc")
"""Ends of names that are resolved at home only (RFC 6761, RFC 6762, RFC 8375, ICANN's list of name collisions)."""
_ADDRESS = re.compile(
    rb"(?P<scheme>[a-z][a-z0-9+.-]{0,20}://(?:[^\s/@\"'<>]{1,200}@)?)?"
    rb"(?P<host>\[[0-9a-f:.]{2,45}\]|[a-z0-9_](?:[a-z0-9_.-]{0,252}[a-z0-9_])?)(?::\d{1,5})?",
    re.IGNORECASE,
)
_REST = re.compile(re.escape(IN_ITS_PLACE) + rb"/[^\s\"'<>\\)\]]*")
"""What stood behind an address that was removed: its path and query."""


def addresses_removed(data: bytes, hosts: frozenset[str] = frozenset()) -> bytes:
    """`data` with a mark in the place of each address of the inside; `hosts` (in lower case) are inside too."""

    def replace(found: re.Match[bytes]) -> bytes:
        name = found["host"].decode().lower()
        return IN_ITS_PLACE if is_inside(name, found["scheme"] is not None, hosts) else found[0]

    return _REST.sub(IN_ITS_PLACE, _ADDRESS.sub(replace, data))


def is_inside(name: str, in_url: bool, hosts: frozenset[str]) -> bool:
    """Whether a host's name or IP address (in lower case) means something inside only."""
    if name in hosts or name == "localhost" or name.endswith(_DOMAINS) or ".svc." in name:
        return True
    if name.startswith("["):
        return not is_public(name[1:-1])
    if re.fullmatch(r"\d{1,3}(?:\.\d{1,3}){3}", name):
        return not is_public(name)
    return in_url and "." not in name


class InsideRemover:
    """Takes known keys, and addresses of the inside, out of what leaves. `hosts` are inside, whatever their names. Keys
    that are too short to be told from a common word are left.
    """

    IN_THEIR_PLACE = b"[key removed]"

    def __init__(self, keys: Iterable[str] = (), hosts: Iterable[str] = ()) -> None:
        given = {form.encode() for key in keys if len(key) >= SHORTEST for form in spellings(key)}
        self._keys = sorted(given, key=len, reverse=True)  # a key that holds another goes first
        self._hosts = frozenset(host.lower() for host in hosts)

    def __call__(self, data: bytes) -> bytes:
        return addresses_removed(self.keys(data), self._hosts)

    def keys(self, data: bytes) -> bytes:
        """Take out the keys alone."""
        for key in self._keys:
            data = data.replace(key, self.IN_THEIR_PLACE)
        return data
