"""Refused: the gateway itself says no. A value of an error, which the client's dialect renders."""

from __future__ import annotations

from penstock.types.errors import ErrorKind, ErrorResponse


class Refused(Exception):
    """No, and why. `error` is what the client is told."""

    def __init__(
        self,
        kind: ErrorKind,
        status: int,
        message: str,
        *,
        type: str | None = None,
        param: str | None = None,
        code: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.error = ErrorResponse(
            kind=kind, status=status, message=message, type=type, param=param, code=code, retry_after=retry_after
        )


class Nowhere(Refused):
    """There is nothing at this path, as only its handler could tell."""

    def __init__(self) -> None:
        super().__init__("not_found", 404, "there is nothing at this path")
