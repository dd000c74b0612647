"""Header lists of HTTP/2, to and from the values of HTTP/1.1: `host` for `:authority`, no field of a connection.

RFC 9113 section 8 makes a list with a wrong pseudo-header, an upper-case name or a field of the connection malformed;
translated, one such list is how requests are smuggled through HTTP/2. The library checks most of it; all of it is
checked here again, because a proxy bets on it.
"""

import re

from hpack import Encoder
from hpack.table import HeaderTable

from penstock.vault.http_parts import (
    FRAMING,
    HEAD_FIELDS,
    METHOD_BYTES,
    Side,
    bad_message,
    check_names,
    check_trailers,
    content_length,
    is_authority,
    is_target,
    is_token,
    is_value,
)
from penstock.vault.values import Headers, Refusal, RequestHead, ResponseHead

Encoded = list[tuple[bytes, bytes]]

CONNECTION_FIELDS = frozenset({"connection", "proxy-connection", "keep-alive", "transfer-encoding", "upgrade"})
"""Fields that HTTP/2 has no place for (RFC 9113 section 8.2.2)."""

_REQUEST_PSEUDO = {":method", ":scheme", ":authority", ":path"}
_STATUS = re.compile(r"[1-9][0-9]{2}")


class BoundedEncoder(Encoder):
    """Remembers fields as the peer allows it, but no more than by default: a peer may allow gigabytes."""

    @property
    def header_table_size(self) -> int:
        """Bytes of the fields that are remembered, at most."""
        return self.header_table.maxsize

    @header_table_size.setter
    def header_table_size(self, value: int) -> None:
        self.header_table.maxsize = min(value, HeaderTable.DEFAULT_SIZE)
        if self.header_table.resized:
            self.table_size_changes.append(self.header_table.maxsize)


def read_request(encoded: Encoded, scheme: str) -> RequestHead:
    """Return the head that `encoded` says: its `host` first, from `:authority` or from `host`, which may not differ.

    Args:
        encoded: the header list.
        scheme: what `:scheme` has to be: `https` within TLS.

    Raises:
        Refusal: `bad_request`; also of CONNECT, plain or extended (405): ENABLE_CONNECT_PROTOCOL was never announced.
    """
    pseudo, fields = _split("request", encoded)
    if ":protocol" in pseudo:
        raise _no_tunnel("WebSocket over HTTP/2 (RFC 8441) is not served.", "Open it over HTTP/1.1, by `Upgrade`.")
    if pseudo.get(":method") == "CONNECT":
        raise _no_tunnel("CONNECT within HTTP/2 is not served.", "CONNECT to the proxy itself.")
    if not {":method", ":scheme", ":path"} <= pseudo.keys() <= _REQUEST_PSEUDO:
        raise bad_message("request", "a pseudo-header field is missing, or is none of a request")
    if pseudo[":scheme"] != scheme:
        raise bad_message("request", f":scheme is not {scheme}")
    method, path = pseudo[":method"], pseudo[":path"]
    if not is_token(method) or len(method) > METHOD_BYTES:
        raise bad_message("request", ":method is no token")
    if not is_target(path) or not (path.startswith("/") or (path == "*" and method == "OPTIONS")):
        raise bad_message("request", ":path is no path", 400 if is_target(path[:1]) else 414)
    return RequestHead(method, path, _with_host(pseudo.get(":authority"), fields))


def _no_tunnel(reason: str, fix: str) -> Refusal:
    """The refusal of a stream that would be a tunnel: nobody would see what is in it."""
    return Refusal("bad_request", reason, fix=fix, status=405)


def _with_host(authority: str | None, fields: Headers) -> Headers:
    """Return `fields` with the one host that the request names, in front."""
    hosts = [value for name, value in fields if name == "host"]
    if len(hosts) > 1 or (authority is None and not hosts):
        raise bad_message("request", "no host, or more than one")
    host = hosts[0] if authority is None else authority
    if hosts and hosts[0].lower() != host.lower():
        raise bad_message("request", "Host differs from :authority")
    if not is_authority(host):
        raise bad_message("request", ":authority is empty or holds a character that a host cannot hold")
    return (("host", host), *(field for field in fields if field[0] != "host"))


def read_response(encoded: Encoded) -> ResponseHead:
    """Return the head that `encoded` says; HTTP/2 has no reason phrase, and no 101.

    Raises:
        Refusal: `bad_response`.
    """
    pseudo, fields = _split("response", encoded)
    if pseudo.keys() != {":status"} or not _STATUS.fullmatch(pseudo[":status"]) or pseudo[":status"] == "101":
        raise bad_message("response", ":status is missing or no status of HTTP/2")
    return ResponseHead(int(pseudo[":status"]), "", fields)


def read_trailers(side: Side, encoded: Encoded) -> Headers:
    """Return the trailers that `encoded` says.

    Raises:
        Refusal: a pseudo-header field is among them, or a field that may not come after the body.
    """
    pseudo, fields = _split(side, encoded)
    if pseudo:
        raise bad_message(side, "a pseudo-header field among the trailers")
    check_trailers(side, fields)
    return fields


def _split(side: Side, encoded: Encoded) -> tuple[dict[str, str], Headers]:
    """Return pseudo-header fields and fields; the first stand in front, each once (RFC 9113 section 8.3)."""
    if len(encoded) > HEAD_FIELDS + len(_REQUEST_PSEUDO):
        raise bad_message(side, f"more than {HEAD_FIELDS} fields", 431)
    pseudo: dict[str, str] = {}
    fields: list[tuple[str, str]] = []
    for raw_name, raw_value in encoded:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        if not is_value(value) or value != value.strip(" \t"):
            raise bad_message(side, "a field's value holds a control character or blanks around it")
        if name.startswith(":"):
            if fields or name in pseudo:
                raise bad_message(side, "a pseudo-header field comes twice, or after the others")
            pseudo[name] = value
        else:
            _check_field(side, name, value)
            fields.append((name, value))
    check_names(side, fields)
    content_length(side, tuple(fields))
    return pseudo, tuple(fields)


def _check_field(side: Side, name: str, value: str) -> None:
    if not is_token(name) or name != name.lower():
        raise bad_message(side, "a field's name is no token in lower case")
    if name in CONNECTION_FIELDS or (name == "te" and value.lower() != "trailers"):
        raise bad_message(side, "a field of the connection, which HTTP/2 does not have")
    if side == "request" and name == "expect" and value.lower() != "100-continue":
        raise bad_message(side, "an Expect other than 100-continue", 417)


def write_request(head: RequestHead, scheme: str, length: int | None) -> Encoded:
    """Return the header list of `head`, whose one `host` becomes `:authority`.

    `te: trailers` is always said: the vault itself takes trailers from its upstream, and gRPC servers insist on it.

    Raises:
        Refusal: `unsafe_message`: no host or several, or a part that HTTP cannot carry as it is.
    """
    hosts = head.values("host")
    if len(hosts) != 1 or not is_authority(hosts[0]) or not is_token(head.method) or not is_target(head.target):
        raise _unsafe("its method, its target or its host")
    pseudo = ((":method", head.method), (":scheme", scheme), (":authority", hosts[0]), (":path", head.target))
    fields = tuple(field for field in head.headers if field[0].lower() not in ("host", "te"))
    encoded = [(name.encode(), value.encode()) for name, value in pseudo]
    return [*encoded, *_write_fields(fields, length), (b"te", b"trailers")]


def write_response(head: ResponseHead, length: int | None) -> Encoded:
    """Return the header list of `head`.

    Raises:
        Refusal: `unsafe_message`.
    """
    if not 100 <= head.status <= 999 or head.status == 101:
        raise _unsafe("its status")
    return [(b":status", b"%d" % head.status), *_write_fields(head.headers, length)]


def write_trailers(side: Side, fields: Headers) -> Encoded:
    """Return the header list of trailers.

    Raises:
        Refusal: `unsafe_message`, or a field that may not come after the body.
    """
    check_trailers(side, fields)
    return _write_fields(fields, None)


def _write_fields(fields: Headers, length: int | None) -> Encoded:
    """Write `fields` without those of a connection (HTTP/1.1 has them), and with the length that the caller found."""
    result = []
    for name, value in fields:
        lower = name.lower()
        if not is_token(name) or not is_value(value):
            raise _unsafe("one of its fields")
        if lower in FRAMING or lower in CONNECTION_FIELDS or lower == "te":
            continue
        result.append((lower.encode("latin-1"), value.strip(" \t").encode("latin-1")))
    if length is not None:
        result.append((b"content-length", b"%d" % length))
    return result


def _unsafe(part: str) -> Refusal:
    """Name the part, never its text: it may hold a secret."""
    return Refusal("unsafe_message", f"A message was not sent, for HTTP/2 cannot carry {part} as it is.", status=502)
