"""Redaction: secrets taken out of text that goes into a log or a trace. (Of errors for clients: `inside`.)

Three nets, for none of them catches all: the secrets that we know (of the configuration), what looks like a key or a
token of anybody, and what stands behind a name that says that it is one. What is taken out leaves `[redacted]`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote

import msgspec

REDACTED = "[redacted]"

SHORTEST = 8
"""Characters of the shortest secret that is looked for by itself: a shorter one would take words out of sentences."""

_NAME = (
    r"(?:api[-_]?key|secret|token|passw(?:or)?d|authorization|credential|cookie|signature|(?:private|access)[-_]?key)"
)
"""What the name of a secret ends in, or has in it."""
_NAMES_A_SECRET = re.compile(_NAME, re.IGNORECASE)
_NAMES_NO_SECRET = re.compile(
    r"tokens|token_(?:limit|count|url|endpoint)|secret_name|key_(?:id|alias|name)$", re.IGNORECASE
)

_SHAPES: tuple[tuple[tuple[str, ...], str, str], ...] = (
    (
        ("-----begin",),
        r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----.*?(?:-----END [A-Z ]{0,30}PRIVATE KEY-----|\Z)",
        REDACTED,
    ),
    (("bearer", "basic", "token"), r"\b((?:Bearer|Basic|Token)\s{1,5})[\w.~+/=:-]{6,}", r"\1" + REDACTED),
    (("sk", "pk", "rk"), r"\b(?:sk|pk|rk)[-_](?=[\w-]{0,100}\d|[\w-]{16})[\w-]{8,}", REDACTED),
    (
        ("gsk", "xai", "pplx", "nvapi", "csk", "tgp_v1", "dapi", "whsec"),
        r"\b(?:gsk|xai|pplx|nvapi|csk|tgp_v1|dapi|whsec)[-_]?[a-z0-9_]{20,}",
        REDACTED,
    ),
    (("hf_", "r8_"), r"\b(?:hf|r8)_[a-z0-9]{16,}", REDACTED),
    (("gh", "glpat-", "xox", "ya29"), r"\b(?:gh[pousr]_|github_pat_|glpat-|xox[abprs]-|ya29\.)[\w.-]{8,}", REDACTED),
    (("aiza",), r"\bAIza[\w-]{20,}", REDACTED),
    (("akia", "asia", "absk"), r"\b(?:AKIA|ASIA|ABSK)[\w+/=]{12,}", REDACTED),
    (("eyj",), r"\beyJ[\w-]{5,}\.[\w-]{5,}\.[\w-]*", REDACTED),
    (("://",), r"(://)[^\s/@:]{0,100}:[^\s/@]{1,200}@", r"\1" + REDACTED + "@"),
    (("?", "&"), r"([?&](?:key|sig|[\w-]{0,30}" + _NAME + r")=)[^&\s\"']+", r"\1" + REDACTED),
    ((":", "="), r"(" + _NAME + r"[\"']?\s{0,5}[:=]\s{0,5}[\"'])[^\"']+", r"\1" + REDACTED),
    (
        (":", "="),
        r"(" + _NAME + r"\s{0,5}[:=]\s{0,5})(?![\"'\[]|Bearer|Basic|Token)[^\s\"',;&})\]]{6,}",
        r"\1" + REDACTED,
    ),
)
"""What looks like a secret: strings of which one is in a text (in small letters) that has such a one; what it looks
like; and what is left of it. The last four: userinfo of a URL, a query's value, and what is assigned to a name that
says what it is, quoted and bare. No part may grow without a bound behind a beginning that occurs often: callers write
these texts too.
"""


class Redactor:
    """Takes out the secrets that it is given, and whatever looks like one."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        spelled = {way for secret in secrets if len(secret) >= SHORTEST for way in spellings(secret)}
        known = sorted(spelled, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, known))) if known else None

    def text(self, text: str) -> str:
        """The text without secrets."""
        if self._known is not None:
            text = self._known.sub(REDACTED, text)
        small = text.lower()
        for signs, shape, rest in _COMPILED:
            for sign in signs:
                if sign in small:
                    text = shape.sub(rest, text)
                    break
        return text

    def value(self, value: Any, name: str = "") -> Any:
        """A plain value without secrets: strings in it are cleaned, and what stands under the name of a secret is taken
        out whole. What is no plain value becomes text.
        """
        if isinstance(value, str):
            return REDACTED if value and names_a_secret(name) else self.text(value)
        if value is None or isinstance(value, bool | int | float):
            return value
        if isinstance(value, Mapping):
            return {self.text(str(key)): self.value(item, str(key)) for key, item in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self.value(item, name) for item in value]
        return self.text(str(value))


def spellings(secret: str) -> set[str]:
    """A secret as it is, in JSON and in a URL."""
    in_json = msgspec.json.encode(secret.encode("utf-8", "replace").decode()).decode()[1:-1]
    return {secret, in_json, quote(secret.encode("utf-8", "replace"), safe="")}


def names_a_secret(name: str) -> bool:
    """Whether a field of this name holds a secret: `api_key` and `aws_secret_access_key` do, `max_tokens` does not."""
    return _NAMES_A_SECRET.search(name) is not None and _NAMES_NO_SECRET.search(name) is None


def secrets_in(value: Any, name: str = "") -> Iterator[str]:
    """Every secret in a configuration, at any depth: strings under the name of one, and the values of headers. A long
    one is also given line by line, since a private key may be printed so.
    """
    if isinstance(value, Mapping):
        headers = "headers" in name.lower()
        for key, item in value.items():
            yield from secrets_in(item, "authorization" if headers else str(key))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from secrets_in(item, name)
    elif isinstance(value, str) and value and names_a_secret(name):
        yield value
        yield from (line for line in value.splitlines() if len(line) >= 2 * SHORTEST)


_COMPILED = tuple((signs, re.compile(shape, re.DOTALL | re.IGNORECASE), rest) for signs, shape, rest in _SHAPES)
