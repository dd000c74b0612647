"""Policies by error in LiteLLM's words: `{"RateLimitErrorRetries": 5, "TimeoutErrorRetries": 0}` as kinds of errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from penstock.types.errors import ErrorKind, MalformedError

ERRORS: Mapping[str, tuple[ErrorKind, ...]] = {
    "BadRequestError": ("invalid_request",),
    "AuthenticationError": ("authentication", "permission"),
    "TimeoutError": ("timeout",),
    "RateLimitError": ("rate_limit", "quota"),
    "ContentPolicyViolationError": ("content_policy",),
    "InternalServerError": ("server", "bad_gateway"),
    "ServiceUnavailableError": ("unavailable", "overloaded"),
    "NotFoundError": ("not_found",),
}
"""LiteLLM's names of errors in a policy."""


def kinds_of(name: str, ending: str) -> tuple[ErrorKind, ...]:
    """The kinds of errors that an entry of a policy is about. `ending` is "Retries" or "AllowedFails".

    Raises MalformedError for a name that there is not.
    """
    kinds = ERRORS.get(name.removesuffix(ending)) if name.endswith(ending) else None
    if kinds is None:
        raise MalformedError(f"{name!r} is none of: {', '.join(f'{each}{ending}' for each in ERRORS)}")
    return kinds


def policy_of(given: Any, argument: str, ending: str) -> dict[ErrorKind, int]:
    """LiteLLM's RetryPolicy (`ending` "Retries") or AllowedFailsPolicy ("AllowedFails"), as a dict or as its object.
    Raises MalformedError.
    """
    if given is None:
        return {}
    found: dict[ErrorKind, int] = {}
    for name, count in (given if isinstance(given, Mapping) else vars(given)).items():
        try:
            kinds = kinds_of(str(name), ending)
        except MalformedError as error:
            raise MalformedError(error.message, argument) from None
        if count is not None:
            found |= dict.fromkeys(kinds, whole(f"{argument}.{name}", count))
    return found


def whole(name: str, value: Any) -> int:
    """A whole number. Raises MalformedError with the argument's name."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise MalformedError(f"expected a whole number, 0 or more, got {value!r}", name)
    return value
