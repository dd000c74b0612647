"""Limits: what is left of a deployment's requests and tokens, as its provider told in the headers of its last answer.

The names of the headers and how a reset is written differ by provider and are data (`RateLimitHeaders`,
providers/provider.py). What was told holds until its reset; requests that began since then are taken off. What cannot
be read says nothing: a limit is a hint for the order of deployments, never a reason to fail.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Protocol

from msgspec import Struct


class HeaderNames(Protocol):
    """The names of the headers, in lower case, and how resets are written: "duration" ("1m30s"), "seconds" or
    "timestamp" (RFC 3339, or Unix seconds).
    """

    @property
    def limit_requests(self) -> str: ...
    @property
    def remaining_requests(self) -> str: ...
    @property
    def reset_requests(self) -> str: ...
    @property
    def limit_tokens(self) -> str: ...
    @property
    def remaining_tokens(self) -> str: ...
    @property
    def reset_tokens(self) -> str: ...
    @property
    def resets(self) -> str: ...


class Limit(Struct, frozen=True):
    """One limit as it was told: of `limit` units `remaining` are left until `resets` (monotonic seconds)."""

    limit: float
    remaining: float
    resets: float


class Limits(Struct, frozen=True):
    """What one answer told of its provider's limits, at `told` (monotonic seconds). None: nothing."""

    told: float = 0.0
    requests: Limit | None = None
    tokens: Limit | None = None


NO_LIMITS = Limits()
_MINUTE = 60.0
"""How long what is left is believed where the header does not say when it grows again."""
_DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:(\d+(?:\.\d+)?)ms)?")
_UNITS = (86_400.0, 3600.0, 60.0, 1.0, 0.001)


def limits_of(headers: Mapping[str, str], names: HeaderNames, now: float, unix: float) -> Limits:
    """The limits in the headers (names in lower case) of an answer that came now."""
    requests = _limit(headers, names.limit_requests, names.remaining_requests, names.reset_requests, names, now, unix)
    tokens = _limit(headers, names.limit_tokens, names.remaining_tokens, names.reset_tokens, names, now, unix)
    return Limits(now, requests, tokens)


def _limit(
    headers: Mapping[str, str], limit: str, left: str, reset: str, names: HeaderNames, now: float, unix: float
) -> Limit | None:
    remaining = _amount(headers.get(left))
    if remaining is None:
        return None
    most = _amount(headers.get(limit))
    wait = _seconds(headers.get(reset), names.resets, unix)
    return Limit(max(remaining, most or 0.0), remaining, now + (_MINUTE if wait is None else max(0.0, wait)))


def _amount(text: str | None) -> float | None:
    try:
        amount = float(text) if text else -1.0
    except ValueError:
        return None
    return amount if 0 <= amount < 1e15 else None


def _seconds(text: str | None, written: str, unix: float) -> float | None:
    """Seconds until a reset, as its header says."""
    if not text:
        return None
    if written == "timestamp":
        moment = _moment(text)
        return None if moment is None else moment - unix
    amount = _amount(text)
    if amount is not None:
        return amount
    match = _DURATION.fullmatch(text.strip()) if len(text) < 40 else None
    if match is None or not any(match.groups()):
        return None
    return sum(float(part) * unit for part, unit in zip(match.groups(), _UNITS, strict=True) if part)


def _moment(text: str) -> float | None:
    amount = _amount(text)
    if amount is not None:
        return amount
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment.timestamp() if moment.tzinfo else None
