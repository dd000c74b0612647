"""Principal: who calls, as far as the data plane must know. The control plane makes one of a virtual key's row (or of a
key that the configuration lists) and workers hold it until they are told that it changed.

A principal bears no key: `id` is the SHA-256 of the key in hex, which is also what LiteLLM's clients know as its
`token`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Literal

from msgspec import Struct

QuotaKind = Literal["requests", "tokens", "parallel", "money"]


class Quota(Struct, frozen=True, kw_only=True):
    """Something of which there is a limited amount, and of which workers draw leases.

    name      unique over all quotas, such as "key:3f..:requests": counters and leases go by it
    kind      what is counted: requests or tokens in a window of `window` seconds, parallel requests (they come back),
              or
              money in picodollars
    limit     how many there are (in a window; at once; until the budget is reset)
    window    seconds after which the count begins again (requests, tokens); 0: it does not (parallel, money)
    resets_at Unix seconds at which a money quota begins again; None: never
    spent     picodollars that were spent before the control plane made this quota (money only)
    """

    name: str
    kind: QuotaKind
    limit: int
    window: float = 0.0
    resets_at: float | None = None
    spent: int = 0


class Principal(Struct, frozen=True, kw_only=True):
    """Who calls.

    id        SHA-256 of the key, hex
    label     the key as it may be shown: "sk-...1a2b"
    alias     the name that its owner gave it
    role      "master" may do everything and has no quotas; "key" is a virtual key
    models    model groups that it may ask for, with `*` as a wildcard; empty: all
    aliases   names that are only its own -> model groups
    expires   Unix seconds after which it is refused; None: never
    blocked   refused, until it is unblocked
    quotas    what its calls draw on
    tags      tags that its calls bear, beside those that a request says itself
    metadata  the owner's own, for the ledger
    """

    id: str
    label: str
    alias: str | None = None
    role: Literal["master", "key"] = "key"
    models: tuple[str, ...] = ()
    aliases: Mapping[str, str] = {}
    expires: float | None = None
    blocked: bool = False
    quotas: tuple[Quota, ...] = ()
    tags: tuple[str, ...] = ()
    metadata: Mapping[str, Any] = {}


def key_digest(key: str) -> str:
    """The id of the principal that presents this key."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
