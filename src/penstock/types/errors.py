"""What goes wrong between us and a wire format, and what a provider says when it refuses.

    DialectError            raised by every parse and render function, and nothing else is
    +-- MalformedError      these bytes or this value are not of the dialect: whoever sent them must act (`path` says
                            where)
    +-- LossError           strict mode: the target cannot say what the caller said

`ErrorResponse` is not an exception but a value: an error that a provider (or we) answered, which every dialect can
parse and render.
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from msgspec import Struct

from penstock.types.content import Extras


class DialectError(ValueError):
    """A wire format could not be read or written. `path` is where ("messages[0].content"), `dialect` which."""

    def __init__(self, message: str, path: str = "", dialect: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.path = path
        self.dialect = dialect

    def at(self, step: str | int) -> DialectError:
        """The same error seen from one level further out: its path grows on the left."""
        step = f"[{step}]" if isinstance(step, int) else step
        joint = "" if not self.path or self.path.startswith("[") else "."
        self.path = f"{step}{joint}{self.path}"
        return self

    def __str__(self) -> str:
        where = f" at {self.path}" if self.path else ""
        who = f"{self.dialect}: " if self.dialect else ""
        return f"{who}{self.message}{where}"


def describe(value: Any) -> str:
    """The JSON type of `value` in words, for the messages of errors."""
    names = {
        bool: "a boolean",
        int: "an integer",
        float: "a number",
        str: "a string",
        list: "a list",
        dict: "an object",
    }
    return "null" if value is None else names.get(type(value), type(value).__name__)


class MalformedError(DialectError):
    """The bytes or the value are not of this dialect."""


class LossError(DialectError):
    """Strict mode refused a translation that would have lost something."""


ErrorKind: TypeAlias = Literal[
    "invalid_request",
    "context_window",
    "content_policy",
    "unsupported",
    "authentication",
    "billing",
    "permission",
    "not_found",
    "timeout",
    "conflict",
    "too_large",
    "unprocessable",
    "rate_limit",
    "quota",
    "server",
    "bad_gateway",
    "unavailable",
    "overloaded",
    "unknown",
]
"""What an error means for the caller: the one word that retry, fallback and exception mapping decide by. `rate_limit`
passes by waiting, `quota` and `billing` do not."""


class ErrorResponse(Struct, frozen=True, kw_only=True):
    """An error answer. `type`, `code` and `param` are the provider's own words; `retry_after` is in seconds; `body` is
    the decoded body as it came; `native` names the body's shape where a dialect knows several."""

    kind: ErrorKind
    status: int
    message: str
    type: str | None = None
    code: str | int | None = None
    param: str | None = None
    retry_after: float | None = None
    request_id: str | None = None
    dialect: str | None = None
    native: str | None = None
    body: Any = None
    extras: Extras = None
