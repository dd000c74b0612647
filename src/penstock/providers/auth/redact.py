"""Redaction: what a service says of a request, without the secrets that were in the request. Some services quote what
they refuse, and what they say goes into exceptions and logs.
"""

from __future__ import annotations

import base64
import binascii
import re
from urllib.parse import parse_qsl

from penstock.providers.auth.commands import Fetch

SECRET_HEADERS = frozenset(
    {
        "authorization",
        "x-amz-security-token",
        "x-amz-sso_bearer_token",
        "x-aws-ec2-metadata-token",
        "x-identity-header",
    }
)
SECRET_FIELDS = frozenset(
    {
        "apikey",
        "assertion",
        "client_assertion",
        "client_secret",
        "refresh_token",
        "subject_token",
        "WebIdentityToken",
    }
)
"""Form fields and headers of token requests that are secret; errors are about the others: a scope, an audience."""
_SHORTEST = 4
_KEY_LIKE = re.compile(r"[A-Za-z0-9/+=]{40,}")


def without_secrets(said: str, command: Fetch) -> str:
    """`said` with the secrets of `command` blackened."""
    for secret in sorted(_secrets(command), key=len, reverse=True):
        said = said.replace(secret, "***")
    return said


def without_keys(said: str) -> str:
    """`said` without what looks like a secret key or a session token: for programs, of which no secret is known."""
    return _KEY_LIKE.sub("***", said)


def _secrets(command: Fetch) -> set[str]:
    headers = [value for name, value in command.headers.items() if name.lower() in SECRET_HEADERS]
    words = [word for value in headers for word in (value, *value.split(" ")[1:])]
    fields = parse_qsl(command.body.decode(errors="replace")) if command.body else []
    found = [*words, *(part for word in words for part in _pair(word))]
    found += [value for name, value in fields if name in SECRET_FIELDS]
    return {secret for secret in found if len(secret) >= _SHORTEST}


def _pair(word: str) -> list[str]:
    """Name and password of a Basic header: the password."""
    try:
        return [base64.b64decode(word, validate=True).decode().partition(":")[2]]
    except (binascii.Error, ValueError):
        return []
