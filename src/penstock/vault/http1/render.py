"""Heads and chunks of HTTP/1.1, written from values: nothing can break out of its line.

The caller says how the body is framed; what the head itself says about it (Content-Length, Transfer-Encoding) is left
out. All else of the head is the caller's: fields of the connection are stripped before, `connection: close` added.
"""

from penstock.vault.http1.heads import Framing
from penstock.vault.http_parts import FRAMING, check_trailers, is_target, is_token, is_value
from penstock.vault.values import Headers, Refusal, RequestHead, ResponseHead

LAST_CHUNK = b"0\r\n\r\n"


def render_request(head: RequestHead, framing: Framing) -> bytes:
    """Return the head of a request as bytes.

    Args:
        head: its target in the form that the receiver wants (`/path` for an origin, a URL for a proxy).
        framing: the body's length, `none` (nothing is written about a body), or `chunked`.

    Raises:
        Refusal: `unsafe_message`: a part holds a character that would end its line, or is no token.
    """
    if framing == "close":
        raise _unsafe("a request cannot end with its connection")
    if not is_token(head.method) or not is_target(head.target):
        raise _unsafe("its method or its target")
    return f"{head.method} {head.target} HTTP/1.1\r\n{_fields(head.headers)}{_framing(framing)}\r\n".encode("latin-1")


def render_response(head: ResponseHead, framing: Framing) -> bytes:
    """Return the head of a response as bytes.

    Args:
        head: the response.
        framing: the body's length (for HEAD and 304 of the one that GET would bring), `none` for a status without one,
            `chunked`, or `close` (add `connection: close`): of the last two, an HTTP/1.0 client knows this one only.

    Raises:
        Refusal: `unsafe_message`.
    """
    if not 100 <= head.status <= 999 or not is_value(head.reason):
        raise _unsafe("its status or its reason phrase")
    return f"HTTP/1.1 {head.status} {head.reason}\r\n{_fields(head.headers)}{_framing(framing)}\r\n".encode("latin-1")


def render_chunk(data: bytes) -> bytes:
    """Return `data` as one chunk; nothing for no data, since an empty chunk would be the last one."""
    return b"%x\r\n%b\r\n" % (len(data), data) if data else b""


def render_last_chunk(trailers: Headers = ()) -> bytes:
    """Return the end of a chunked body, with its trailers.

    Raises:
        Refusal: `unsafe_message`, or a trailer that may not be one (`bad_response`).
    """
    if not trailers:
        return LAST_CHUNK
    check_trailers("response", trailers)
    return f"0\r\n{_fields(trailers)}\r\n".encode("latin-1")


def _fields(fields: Headers) -> str:
    lines = []
    for name, value in fields:
        if not is_token(name) or not is_value(value):
            raise _unsafe("one of its fields")
        if name.lower() not in FRAMING:
            lines.append(f"{name}: {value}\r\n")
    return "".join(lines)


def _framing(framing: Framing) -> str:
    if framing == "chunked":
        return "transfer-encoding: chunked\r\n"
    if isinstance(framing, int):
        if framing < 0:
            raise _unsafe("its length")
        return f"content-length: {framing}\r\n"
    return ""


def _unsafe(part: str) -> Refusal:
    """Name the part, never its text: it may hold a secret."""
    return Refusal("unsafe_message", f"A message was not sent, for HTTP cannot carry {part} as it is.", status=502)
