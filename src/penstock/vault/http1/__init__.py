"""HTTP/1.1 by the letter, as pure functions of bytes: what could be read two ways is refused.

Request smuggling lives on leniency: one server ends a line at LF, another at CRLF; one lets Content-Length win, the
other Transfer-Encoding. So this parser has one reading of every message or none (RFC 9112, and its section 11), and
what goes on is never the bytes that came, but what `render_request` and `render_response` write from the values.

A parser yields the events of one message and stops at its `End`. Bytes that follow wait in it until `next()`, so that
a client who pipelines is answered one request at a time, and who drives the parser decides when to read more.
"""

from penstock.vault.http1.heads import Framing, RequestFacts, ResponseFacts, Target, parse_target
from penstock.vault.http1.parser import RequestEvent, RequestParser, ResponseEvent, ResponseParser
from penstock.vault.http1.render import render_chunk, render_last_chunk, render_request, render_response
from penstock.vault.http_parts import Data, End, Trailers

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
"""What a client that sent `Expect: 100-continue` waits for before it sends its body."""

__all__ = [
    "CONTINUE",
    "Data",
    "End",
    "Framing",
    "RequestEvent",
    "RequestFacts",
    "RequestParser",
    "ResponseEvent",
    "ResponseFacts",
    "ResponseParser",
    "Target",
    "Trailers",
    "parse_target",
    "render_chunk",
    "render_last_chunk",
    "render_request",
    "render_response",
]
