"""Overrides: what one request says about its own routing, in headers or in its body.

The words are LiteLLM's (https://docs.litellm.ai/docs/proxy/request_headers) and the same with `x-penstock-`; of a
header and a member of the body that say the same, the header holds. The members belong to the router and not to the
model: `BODY_WORDS` are to be taken out of what is sent on. A word that is not to be understood is an error that names
it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from msgspec import Struct

from penstock.types.errors import MalformedError


class Overrides(Struct, frozen=True, kw_only=True):
    """What a request says otherwise than the router. None and empty: nothing.

    retries          further attempts within a group
    timeout          seconds for the whole call; `stream_timeout` for a stream to begin
    fallbacks        groups to go to when one has failed, in order; `context_window_fallbacks` and
                     `content_policy_fallbacks` for these two errors
    changes          group -> what shall differ in a request that falls back to it
    disable_fallbacks  go nowhere else
    tags             deployments to ask (deployment.py)
    priority         place in the line where requests wait for capacity: 0 before 1
    session          what ties the requests of a conversation together
    trace            what ties them together in logs
    """

    retries: int | None = None
    timeout: float | None = None
    stream_timeout: float | None = None
    fallbacks: tuple[str, ...] = ()
    context_window_fallbacks: tuple[str, ...] = ()
    content_policy_fallbacks: tuple[str, ...] = ()
    changes: Mapping[str, Mapping[str, Any]] = {}
    disable_fallbacks: bool = False
    tags: tuple[str, ...] = ()
    priority: int | None = None
    session: str | None = None
    trace: str | None = None


NO_OVERRIDES = Overrides()
PREFIXES = ("x-penstock-", "x-litellm-")
"""How headers begin. Ours holds before LiteLLM's."""
_HEADERS = {
    "num-retries": "retries",
    "timeout": "timeout",
    "stream-timeout": "stream_timeout",
    "tags": "tags",
    "priority": "priority",
    "session-id": "session",
    "trace-id": "trace",
    "fallbacks": "fallbacks",
    "disable-fallbacks": "disable_fallbacks",
}
"""What follows the prefix -> field."""
_BODY = {
    "num_retries": "retries",
    "max_retries": "retries",
    "timeout": "timeout",
    "request_timeout": "timeout",
    "stream_timeout": "stream_timeout",
    "fallbacks": "fallbacks",
    "context_window_fallbacks": "context_window_fallbacks",
    "content_policy_fallbacks": "content_policy_fallbacks",
    "disable_fallbacks": "disable_fallbacks",
    "tags": "tags",
    "priority": "priority",
    "litellm_session_id": "session",
    "litellm_trace_id": "trace",
}
"""Member of the body -> field."""
BODY_WORDS = frozenset({*_BODY, "litellm_metadata"})
"""Members of a body that are for the router and never for a model. (`metadata` is for both.)"""
_METADATA = {"tags": "tags", "session_id": "session", "trace_id": "trace"}
_MOST_TAGS = 100
_MOST_HOPS = 20


def overrides_of(
    headers: Mapping[str, str] | None = None, body: Mapping[str, Any] | None = None, *, routes: bool = True
) -> Overrides:
    """What the headers (names in lower case) and the decoded body of a request say. `routes`: a member called `tags` or
    `timeout` may be a parameter of the call's own in a dialect; False leaves bodies' bare words alone.

    Raises MalformedError with the name of the header or member.
    """
    found: dict[str, Any] = {}
    changes: dict[str, Mapping[str, Any]] = {}
    if body and routes:
        _from_body(body, found, changes)
    if headers:
        _from_headers(headers, found)
    if not found:
        return NO_OVERRIDES
    return Overrides(**found, changes=changes)


def said_in_headers(headers: Mapping[bytes, Any]) -> bool:
    """Whether any raw header (lower-case) is of this kind: for those who would rather not decode what is not there."""
    for name in headers:  # noqa: SIM110  # a generator costs more, and most requests say nothing
        if name[:2] == b"x-" and name.startswith((b"x-penstock-", b"x-litellm-")):
            return True
    return False


def _from_body(body: Mapping[str, Any], found: dict[str, Any], changes: dict[str, Mapping[str, Any]]) -> None:
    for place in ("metadata", "litellm_metadata"):
        metadata = body.get(place)
        if isinstance(metadata, Mapping):
            for word, field in _METADATA.items():
                if metadata.get(word) is not None:
                    found[field] = _READ[field](metadata[word], f"{place}.{word}")
    for word, field in _BODY.items():
        value = body.get(word)
        if value is None:
            continue
        if field.endswith("fallbacks") and field != "disable_fallbacks":
            value = _apart(value, word, changes)
        found[field] = _READ[field](value, word)


def _from_headers(headers: Mapping[str, str], found: dict[str, Any]) -> None:
    for prefix in reversed(PREFIXES):
        for word, field in _HEADERS.items():
            text = headers.get(prefix + word)
            if text is not None and text.strip():
                found[field] = _READ[field](_listed(text) if field in _LISTS else text.strip(), prefix + word)


def _apart(entries: Any, word: str, changes: dict[str, Mapping[str, Any]]) -> list[Any]:
    """The names of the groups; what else an entry says is what shall differ there."""
    if isinstance(entries, str | Mapping) or not isinstance(entries, Sequence):
        raise MalformedError("expected a list of model names", word)
    names: list[Any] = []
    for entry in entries:
        if isinstance(entry, Mapping) and isinstance(entry.get("model"), str):
            change = {name: value for name, value in entry.items() if name != "model"}
            if change:
                changes[entry["model"]] = change
            entry = entry["model"]
        names.append(entry)
    return names


def _listed(text: str) -> list[str]:
    return [part for part in (each.strip() for each in text.split(",")) if part]


def _texts(most: int) -> Callable[[Any, str], tuple[str, ...]]:
    def read(value: Any, word: str) -> tuple[str, ...]:
        if isinstance(value, str | Mapping) or not isinstance(value, Sequence):
            raise MalformedError("expected a list of strings", word)
        if len(value) > most or not all(isinstance(each, str) and each for each in value):
            raise MalformedError(f"expected a list of at most {most} strings", word)
        return tuple(value)

    return read


def _seconds(value: Any, word: str) -> float:
    number = _number(value)
    if number is None or not 0 < number < 1e7:
        raise MalformedError(f"expected seconds, more than 0, got {value!r}", word)
    return number


def _whole(least: int, most: int) -> Callable[[Any, str], int]:
    def read(value: Any, word: str) -> int:
        number = _number(value)
        if number is None or number != int(number) or not least <= number <= most:
            raise MalformedError(f"expected a whole number from {least} to {most}, got {value!r}", word)
        return int(number)

    return read


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if abs(number) < 1e15 else None


def _text(value: Any, word: str) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= 512:
        raise MalformedError("expected a text of at most 512 characters", word)
    return value


def _truth(value: Any, word: str) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in ("true", "1", "false", "0"):
        return value.lower() in ("true", "1")
    raise MalformedError(f"expected true or false, got {value!r}", word)


_LISTS = frozenset({"tags", "fallbacks"})
_READ: dict[str, Callable[[Any, str], Any]] = {
    "retries": _whole(0, 100),
    "timeout": _seconds,
    "stream_timeout": _seconds,
    "fallbacks": _texts(_MOST_HOPS),
    "context_window_fallbacks": _texts(_MOST_HOPS),
    "content_policy_fallbacks": _texts(_MOST_HOPS),
    "disable_fallbacks": _truth,
    "tags": _texts(_MOST_TAGS),
    "priority": _whole(-1000, 1_000_000),
    "session": _text,
    "trace": _text,
}
