"""Errors of embedding APIs are those of the host's chat API: these two functions ask that dialect, when there is an
error to read.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from penstock.dialects import registry
from penstock.dialects.dialect import Headers
from penstock.types.errors import ErrorResponse


def errors_of(
    chat_dialect: str,
) -> tuple[
    Callable[[int, Headers, bytes], ErrorResponse],
    Callable[[ErrorResponse], tuple[int, dict[str, Any]]],
]:
    """(parse_error, render_error) of a chat dialect, loaded on first use."""

    def parse_error(status: int, headers: Headers, body: bytes) -> ErrorResponse:
        return registry.get(chat_dialect).parse_error(status, headers, body)

    def render_error(error: ErrorResponse) -> tuple[int, dict[str, Any]]:
        return registry.get(chat_dialect).render_error(error)

    return parse_error, render_error
