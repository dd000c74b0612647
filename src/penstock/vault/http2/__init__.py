"""HTTP/2 for both sides of the vault, as pure functions of bytes and time, in the words of HTTP/1.1.

The `h2` package speaks the protocol (RFC 9113) and its header compression; here are the bounds that it leaves to its
user, the strict reading of heads, and events and heads that are the same for either version of HTTP.
"""

from penstock.vault.http2.connection import (
    CANCEL,
    ENHANCE_YOUR_CALM,
    INTERNAL_ERROR,
    NO_ERROR,
    PROTOCOL_ERROR,
    REFUSED_STREAM,
    ClientConnection,
    ServerConnection,
)
from penstock.vault.http_parts import Data, End, GoAway, Refused, Reset, Sendable, Trailers

__all__ = [
    "CANCEL",
    "ENHANCE_YOUR_CALM",
    "INTERNAL_ERROR",
    "NO_ERROR",
    "PROTOCOL_ERROR",
    "REFUSED_STREAM",
    "ClientConnection",
    "Data",
    "End",
    "GoAway",
    "Refused",
    "Reset",
    "Sendable",
    "ServerConnection",
    "Trailers",
]
