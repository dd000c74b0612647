"""Tokens and tickets: how their secrets look, and what of them is kept. A secret is shown once; the store has its hash.

    pst_...   a token: sent as `Authorization: Bearer`, never in an address
    tkt_...   a ticket: for those who cannot send headers (a browser's EventSource and WebSocket). It stands once, for
              one
              path, for 30 seconds, so that an address in a log opens nothing.

Secrets are 256 bits of chance, so a plain SHA-256 of them cannot be guessed back, and looking up that hash tells
nothing
by the time it takes.
"""

from __future__ import annotations

import base64
import hashlib
from datetime import datetime, timedelta

from penstock.agents.ids import Random
from penstock.agents.types import Principal, Token

TOKEN_PREFIX = "pst_"  # noqa: S105  # no password: how one begins
TICKET_PREFIX = "tkt_"
TICKET_LIFE = timedelta(seconds=30)
LONGEST = 200


def mint_secret(prefix: str, random: Random) -> str:
    """A new secret: the prefix and 43 characters of base64url."""
    return prefix + base64.urlsafe_b64encode(random(32)).rstrip(b"=").decode()


def digest_of(secret: str) -> str:
    """SHA-256, hex: what is kept of a secret."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()


def is_good(token: Token, now: datetime) -> bool:
    """Whether a token still stands."""
    return token.revoked_at is None and (token.expires_at is None or now < token.expires_at)


def principal_of(token: Token) -> Principal:
    """Who calls with it."""
    return Principal(token.owner, frozenset(token.scopes), token.id, token.session)
