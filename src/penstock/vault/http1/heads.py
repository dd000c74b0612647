"""The heads of HTTP/1.1 requests and responses: text in, values out, and what they say of the message.

Every rule that keeps two readers of one message in agreement stands here or in `http_parts` (RFC 9112 sections 3 to 6).
"""

import re
from typing import Literal

import msgspec

from penstock.vault.http_parts import (
    HEAD_FIELDS,
    METHOD_BYTES,
    TARGET_BYTES,
    Side,
    bad_message,
    check_names,
    content_length,
    is_authority,
    is_target,
    is_token,
    is_value,
)
from penstock.vault.values import Headers, RequestHead, ResponseHead

Framing = int | Literal["none", "chunked", "close"]
"""Where a body ends: after so many bytes, nowhere (there is none), by its last chunk, or with the connection."""

Version = Literal["1.0", "1.1"]


class Target(msgspec.Struct, frozen=True):
    """A request's target, taken apart; its parts are as they came (`names` and `paths` make them canonical).

    | form | example | scheme | authority | path |
    |---|---|---|---|---|
    | origin | `/a?b` | "" | "" | `/a?b` |
    | absolute (to a proxy) | `http://h:80/a?b` | `http` | `h:80` | `/a?b` |
    | authority (CONNECT) | `h:443` | "" | `h:443` | "" |
    | asterisk (OPTIONS) | `*` | "" | "" | `*` |
    """

    form: Literal["origin", "absolute", "authority", "asterisk"]
    scheme: str
    authority: str
    path: str


class RequestFacts(msgspec.Struct, frozen=True):
    """What a request's head says about its message and its connection.

    Args:
        version: which HTTP/1 the client speaks; 1.0 knows no chunks.
        target: the target, taken apart.
        framing: a length, `none` or `chunked`.
        keep_alive: whether the client can take another exchange on this connection.
        expect_continue: whether it waits for `CONTINUE` before it sends its body.
        upgrade: the protocol that it asks to change to, lower case, or "".
    """

    version: Version
    target: Target
    framing: Framing
    keep_alive: bool
    expect_continue: bool
    upgrade: str


class ResponseFacts(msgspec.Struct, frozen=True):
    """What a response's head says about its message and its connection.

    Args:
        version: which HTTP/1 the upstream speaks.
        framing: how the body comes that follows now.
        declared: its Content-Length, also where no body follows (HEAD, 304).
        keep_alive: whether another request may be sent on this connection.
        switched: whether the connection is another protocol's from now on (101, or 2xx to CONNECT): see `rest()`.
    """

    version: Version
    framing: Framing
    declared: int | None
    keep_alive: bool
    switched: bool


# -- lines and fields -------------------------------------------------------------------------------------------------

_REQUEST_LINE = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+) ([\x21-\x7e]+) HTTP/(1\.[01])")
_STATUS_LINE = re.compile(r"HTTP/(1\.[01]) ([1-9][0-9]{2})(?: ([\t\x20-\x7e\x80-\xff]*))?")
_FIELD = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):([\t\x20-\x7e\x80-\xff]*)")
_ABSOLUTE = re.compile(r"(https?)://([^/?#]*)([/?].*)?", re.IGNORECASE)


def parse_fields(side: Side, lines: list[str], limit: int = HEAD_FIELDS) -> Headers:
    """Return the fields of `lines` (each without its CRLF): names lower case, values without the blanks around them.

    Raises:
        Refusal: a line is no `name: value`: folded, with a blank before the colon, with a control character.
    """
    if len(lines) > limit:
        raise bad_message(side, f"more than {limit} fields", 431)
    fields = []
    for line in lines:
        match = _FIELD.fullmatch(line)
        if match is None:
            raise bad_message(side, _what_is_wrong_with(line))
        fields.append((match[1].lower(), match[2].strip(" \t")))
    return tuple(fields)


def _what_is_wrong_with(line: str) -> str:
    if line[:1] in (" ", "\t"):
        return "a field is folded over several lines, or the first begins with a blank"
    if "\r" in line or "\n" in line:
        return "a line ends without CR LF"
    name, colon, value = line.partition(":")
    if not colon or not name:
        return "a line has no field name and colon"
    return "a field's name is no token" if is_value(value) else "a field's value holds a control character"


def _tokens(fields: Headers, name: str) -> list[str]:
    return [item.strip(" \t").lower() for key, value in fields if key == name for item in value.split(",")]


def _one_framing(side: Side, version: str, fields: Headers) -> Literal["chunked"] | int | None:
    """Return how the body is framed, or None where the head does not say.

    Raises:
        Refusal: Content-Length beside Transfer-Encoding, either of them twice, another coding, chunks in HTTP/1.0.
    """
    length = content_length(side, fields)
    codings = [value for name, value in fields if name == "transfer-encoding"]
    if not codings:
        return length
    if length is not None:
        raise bad_message(side, "both Content-Length and Transfer-Encoding")
    if version == "1.0":
        raise bad_message(side, "Transfer-Encoding in HTTP/1.0")
    if len(codings) > 1 or codings[0].lower() != "chunked":
        raise bad_message(side, "a Transfer-Encoding other than one plain `chunked`", 501)
    return "chunked"


def _keeps_alive(version: str, fields: Headers) -> bool:
    options = _tokens(fields, "connection")
    return "close" not in options and (version == "1.1" or "keep-alive" in options)


# -- requests ---------------------------------------------------------------------------------------------------------


def parse_target(method: str, target: str) -> Target:
    """Return `target` taken apart, in the one form that `method` allows (RFC 9112 section 3.2).

    Raises:
        Refusal: another form, another scheme than http and https, user information, a fragment.
    """
    if len(target) > TARGET_BYTES:
        raise bad_message("request", f"the target is longer than {TARGET_BYTES} bytes", 414)
    if not is_target(target):
        raise bad_message("request", "the target holds a character that a target cannot hold")
    if method == "CONNECT":
        if not is_authority(target) or not re.fullmatch(r".+:[0-9]{1,5}", target):
            raise bad_message("request", "the target of CONNECT is not host:port")
        return Target("authority", "", target, "")
    if target.startswith("/"):
        return Target("origin", "", "", target)
    if target == "*" and method == "OPTIONS":
        return Target("asterisk", "", "", "*")
    return _absolute(target)


def _absolute(target: str) -> Target:
    match = _ABSOLUTE.fullmatch(target)
    if match is None:
        raise bad_message("request", "the target is neither a path nor an http or https URL")
    if not is_authority(match[2]):
        raise bad_message("request", "the target's host holds a character that a host cannot hold")
    path = match[3] or "/"
    return Target("absolute", match[1].lower(), match[2], path if path.startswith("/") else "/" + path)


def _plain_authority(authority: str, port: str) -> str:
    """Return `authority` for a comparison by letters: lower case, without the port that its scheme implies."""
    return authority.lower().removesuffix(":" + port)


def _check_host(version: str, target: Target, fields: Headers) -> None:
    """Refuse a request that names no host, several, or another one in its target."""
    hosts = [value for name, value in fields if name == "host"]
    if len(hosts) > 1:
        raise bad_message("request", "more than one Host")
    if not hosts:
        if version == "1.1" or not target.authority:
            raise bad_message("request", "no Host")
        return
    if not is_authority(hosts[0]):
        raise bad_message("request", "Host is empty or holds a character that a host cannot hold")
    if target.authority:
        port = "80" if target.scheme == "http" else "443"
        named, host = _plain_authority(target.authority, port), _plain_authority(hosts[0], port)
        bare = re.sub(r":[0-9]+\Z", "", named) if target.form == "authority" else named
        if host not in (named, bare):
            raise bad_message("request", "Host differs from the target's host")


def _expects_continue(version: str, fields: Headers) -> bool:
    expected = [value.lower() for name, value in fields if name == "expect"]
    if expected and expected != ["100-continue"]:
        raise bad_message("request", "an Expect other than 100-continue", 417)
    return bool(expected) and version == "1.1"


def _upgrade(version: str, fields: Headers) -> str:
    asked = [value.lower() for name, value in fields if name == "upgrade"]
    if version == "1.0" or not asked or "upgrade" not in _tokens(fields, "connection"):
        return ""
    return asked[0] if len(asked) == 1 and is_token(asked[0]) else ", ".join(asked)


def parse_request_head(text: str) -> tuple[RequestHead, RequestFacts]:
    """Return the head in `text` (latin-1, without the empty line) and what it says about its message.

    Raises:
        Refusal: `bad_request` with the status that fits (400, 414, 417, 431, 501, 505).
    """
    start, *lines = text.split("\r\n")
    method, target, version = parse_request_line(start)
    fields = parse_fields("request", lines)
    check_names("request", fields)
    parts = parse_target(method, target)
    _check_host(version, parts, fields)
    framing = _one_framing("request", version, fields)
    if method == "CONNECT" and framing not in (None, 0):
        raise bad_message("request", "CONNECT with a body")
    facts = RequestFacts(
        "1.1" if version == "1.1" else "1.0",
        parts,
        "none" if framing is None else framing,
        _keeps_alive(version, fields),
        _expects_continue(version, fields),
        _upgrade(version, fields),
    )
    return RequestHead(method, target, fields), facts


def parse_request_line(line: str) -> tuple[str, str, str]:
    """Return method, target and version of a request's first line."""
    match = _REQUEST_LINE.fullmatch(line)
    if match is None:
        if line == "PRI * HTTP/2.0":
            raise bad_message("request", "HTTP/2 where HTTP/1.1 was agreed", 505)
        if re.search(r" HTTP/[0-9.]+\Z", line) and not line.endswith((" HTTP/1.1", " HTTP/1.0")):
            raise bad_message("request", "another version than HTTP/1.1 or HTTP/1.0", 505)
        raise bad_message("request", "the first line is not `METHOD target HTTP/1.1`, with single spaces")
    if len(match[1]) > METHOD_BYTES:
        raise bad_message("request", f"the method is longer than {METHOD_BYTES} bytes")
    return match[1], match[2], match[3]


# -- responses --------------------------------------------------------------------------------------------------------


def parse_response_head(text: str, method: str, upgrade: str = "") -> tuple[ResponseHead, ResponseFacts]:
    """Return the head in `text` (latin-1, without the empty line) and what it says, as the answer to a request.

    Args:
        text: the head.
        method: of the request that it answers: it decides whether a body follows.
        upgrade: the protocol that the request asked to change to, lower case, or "".

    Raises:
        Refusal: `bad_response`.
    """
    start, *lines = text.split("\r\n")
    version, status, reason = parse_status_line(start)
    fields = parse_fields("response", lines)
    check_names("response", fields)
    named = _one_framing("response", version, fields)
    switched = _switches(status, method, upgrade, fields)
    facts = ResponseFacts(
        "1.1" if version == "1.1" else "1.0",
        "none" if switched else _response_framing(status, method, named),
        named if isinstance(named, int) else None,
        _keeps_alive(version, fields),
        switched,
    )
    return ResponseHead(status, reason, fields), facts


def parse_status_line(line: str) -> tuple[str, int, str]:
    """Return version, status and reason phrase of a response's first line."""
    match = _STATUS_LINE.fullmatch(line)
    if match is None:
        raise bad_message("response", "the first line is not `HTTP/1.1 status reason`")
    return match[1], int(match[2]), match[3] or ""


def _switches(status: int, method: str, upgrade: str, fields: Headers) -> bool:
    """Return whether this head hands the connection over. One that does so unasked is refused."""
    if status == 101:
        named = [value.lower() for name, value in fields if name == "upgrade"]
        if not upgrade or named != [upgrade] or "upgrade" not in _tokens(fields, "connection"):
            raise bad_message("response", "101 to a protocol that the request did not ask for")
        return True
    return method == "CONNECT" and 200 <= status < 300


def _response_framing(status: int, method: str, named: Literal["chunked"] | int | None) -> Framing:
    """Return how the body comes (RFC 9112 section 6.3)."""
    if status < 200 or status == 204:
        if named not in (None, 0):
            raise bad_message("response", "a body announced where this status has none")
        return "none"
    if status == 304 or method == "HEAD":
        return "none"
    return "close" if named is None else named
