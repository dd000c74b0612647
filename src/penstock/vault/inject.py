"""A request is not patched but built anew from its parsed values, and a secret enters it in one place only.

In order: the slot is read and must hold exactly the stub; then everything leaves the request that is not for the
upstream (hop by hop, what proxies tell), that makes it another request (method overrides), and, on a bound host, that
carries any credential but the slot; then the value is written; then `Host` and the framing are the vault's own.

What was taken out is reported by name, so that nothing is dropped in silence. Where a body would have to be changed to
take a credential out (a field of a form), the request is refused instead. Pure: no clock, no I/O, no randomness.
"""

import hmac
import re
from typing import NamedTuple, NoReturn

from penstock.vault import names
from penstock.vault.carriers import (
    FORM_CREDENTIALS,
    SIGV4_HEADERS,
    SIGV4_PARAMETERS,
    family,
    is_credential_parameter,
    is_form,
    is_method_override,
    protocols_without_credentials,
)
from penstock.vault.paths import query_pairs
from penstock.vault.policy import Permit
from penstock.vault.rules import Binding
from penstock.vault.slots import Slot, other_half, read, write
from penstock.vault.values import DEFAULT_PORTS, Destination, Headers, Refusal, RequestHead

_NEVER_NOMINATED = frozenset(
    ("host", "content-length", "transfer-encoding", "content-type", "content-encoding", "authorization", "cookie")
)
"""End-to-end by definition: `Connection: authorization` does not make them hop-by-hop (RFC 9110 7.6.1)."""
_FRAMING = frozenset(("content-length", "transfer-encoding"))
_PARTIAL = frozenset(("range", "if-range"))
_KNOWN_CREDENTIAL = re.compile(
    rb"(?:gh[pousr]_|github_pat_|glpat-|glcbt-|gldt-|sk-|xox[abposr]-|AKIA|ASIA|AIza|npm_|hf_|ATATT|eyJ)[\w.-]{12,}"
)


class Rebuilt(NamedTuple):
    """The request as it goes out. `stripped` names what was taken out: headers, and parameters as `?name`."""

    head: RequestHead
    body: bytes | None
    stripped: tuple[str, ...]


def rebuild(
    destination: Destination,
    head: RequestHead,
    permit: Permit,
    stub: bytes | None = None,
    value: bytes | None = None,
    body: bytes | None = None,
    *,
    scrubbed: bool = True,
    websocket: bool = False,
) -> Rebuilt:
    """Build the request that goes out.

    Args:
        destination: where it goes; `Host` will say so.
        head: as parsed and permitted.
        permit: what `Policy.decide` returned for it.
        stub: what this session holds for the secret of the permit's binding.
        value: the secret. None for a credential that signs (`sigv4`): it finds the client's signature still in place.
        body: the whole body where it is there (`Permit.needs_body`), else None: it follows as the head frames it.
        scrubbed: the session has secrets, so its responses must come whole and uncompressed.
        websocket: the upgrade of this request is wanted, and its frames will be looked at.

    Raises:
        Refusal: `stub_missing` (401 with a challenge for Basic, else 403), `stub_mismatch`, `foreign_credential`,
            `bad_slot`, `bad_query`, `bad_secret`.
    """
    binding = permit.binding
    check(head, permit, stub, body)
    stripped: list[str] = []
    rebuilt = RequestHead(head.method, *_strip(head, binding, stripped, scrubbed, websocket))
    if binding is not None and value is not None:
        rebuilt, body = write(binding.slot, rebuilt, body, value)
    headers = _own_headers(destination, rebuilt.headers, body, scrubbed, websocket)
    if binding is not None and _is_untyped(head, body):
        headers += (("content-type", "application/octet-stream"),)
    return Rebuilt(RequestHead(rebuilt.method, rebuilt.target, headers), body, tuple(dict.fromkeys(stripped)))


def check(head: RequestHead, permit: Permit, stub: bytes | None, body: bytes | None = None) -> None:
    """Check what `rebuild` checks of the client's own credential: before one is obtained at somebody's expense.

    Raises:
        Refusal: `stub_missing`, `stub_mismatch`, `foreign_credential`, `bad_slot`.
    """
    if permit.binding is not None:
        _check_stub(permit.binding, head, body, stub)
        _check_body(permit.binding.slot, head, body)


# -- the stub -------------------------------------------------------------------------------------------------------


def _check_stub(binding: Binding, head: RequestHead, body: bytes | None, stub: bytes | None) -> None:
    """The slot must hold the stub of this session: nobody uses a credential of their own on a bound host."""
    slot = binding.slot
    if not _is_there(slot, head):
        _refuse_missing(binding)
    found = read(slot, head, body)
    if not found:
        _refuse_missing(binding)
    if stub is None or not hmac.compare_digest(found, stub):
        reason = f"The {slot} of this request does not hold the stub that this session has for {binding.secret}."
        raise Refusal("stub_mismatch", reason, fix="Use the value of the environment variable of the secret.")
    if slot.kind == "basic" and _KNOWN_CREDENTIAL.match(other_half(slot, head)):
        _refuse_foreign("the other half of HTTP's Basic is a credential")


def _is_there(slot: Slot, head: RequestHead) -> bool:
    """Whether the header of the slot is there at all; without it git, say, is asked for its login."""
    return slot.kind != "basic" or bool(head.values("authorization"))


def _refuse_missing(binding: Binding) -> NoReturn:
    basic = binding.slot.kind == "basic"
    raise Refusal(
        "stub_missing",
        f"{binding.rule.host} is bound to {binding.secret}, and the request has nothing in {binding.slot}.",
        fix="Send the value of the environment variable of the secret there.",
        status=401 if basic else 403,
        challenge=f'Basic realm="{binding.rule.host}"' if basic else None,
    )


def _check_body(slot: Slot, head: RequestHead, body: bytes | None) -> None:
    """A form may bear a credential or a method of its own. Bodies are not rewritten for that: refused."""
    if not body or not is_form(head.values("content-type")):
        return
    try:
        text = body.decode("ascii")
    except UnicodeDecodeError:
        _refuse_foreign("the form is not percent-encoded ASCII, so that nobody can say what is in it")
    for name, _, _ in query_pairs(text, what="form"):
        ours = slot.kind == "form" and name == slot.name
        if not ours and (name.strip().lower() in FORM_CREDENTIALS or is_method_override(name)):
            _refuse_foreign(f"its form has a field `{name.strip().lower()}`")


def _refuse_foreign(reason: str) -> NoReturn:
    raise Refusal(
        "foreign_credential",
        f"On a bound host a request carries one credential, in its slot: {reason}.",
        fix="Take it out, or bind the secret to that place.",
    )


# -- taking out -----------------------------------------------------------------------------------------------------


def _strip(
    head: RequestHead, binding: Binding | None, stripped: list[str], scrubbed: bool, websocket: bool
) -> tuple[str, Headers]:
    slot = binding.slot if binding is not None else None
    target = head.target
    if "?" in target:
        target = _strip_query(target, slot, stripped)
    return target, _strip_headers(head, slot, stripped, scrubbed, websocket)


def _strip_query(target: str, slot: Slot | None, stripped: list[str]) -> str:
    """Take method overrides out, and, on a bound host, parameters that carry credentials."""
    path, _, query = target.partition("?")
    if slot is None and "method" not in query.lower() and "%" not in query:
        return target
    try:
        pairs = query_pairs(query)
    except Refusal:
        if slot is not None:
            raise
        return target  # no secret goes with it, and what the upstream makes of it is the client's affair
    kept = []
    for name, _, as_sent in pairs:
        if _leaves_query(name, slot):
            kept.append(as_sent)
        else:
            stripped.append(f"?{name.strip().lower()}")
    if len(kept) == len(pairs):
        return target
    return f"{path}?{'&'.join(kept)}" if kept else path


def _leaves_query(name: str, slot: Slot | None) -> bool:
    if is_method_override(name):
        return False
    if slot is None:
        return True
    if slot.kind == "query" and name == slot.name:
        return True
    if slot.kind == "sigv4" and name.strip().lower() in SIGV4_PARAMETERS:
        return True
    return not is_credential_parameter(name) and not (slot.kind == "query" and name.lower() == slot.name.lower())


def _strip_headers(
    head: RequestHead, slot: Slot | None, stripped: list[str], scrubbed: bool, websocket: bool
) -> Headers:
    nominated = _nominated(head, slot)
    kept = []
    for name, value in head.headers:
        if name in nominated or not _leaves(name, slot, scrubbed, websocket):
            if name in nominated or family(name) != "hop":  # every program takes those out; it is no news
                stripped.append(name)
        elif name == "sec-websocket-protocol" and slot is not None:
            kept += _clean_protocols(value, stripped)
        elif name == "cookie" and slot is not None:
            kept += _only_cookie(slot.name, value, stripped)
        else:
            kept.append((name, value))
    return tuple(kept)


def _clean_protocols(value: str, stripped: list[str]) -> list[tuple[str, str]]:
    name, clean = "sec-websocket-protocol", protocols_without_credentials(value)
    if clean != value:
        stripped.append(name)
    return [(name, clean)] if clean else []


def _only_cookie(name: str, value: str, stripped: list[str]) -> list[tuple[str, str]]:
    """Of a `Cookie` header, the slot's own cookie: any other could be another login. (HTTP/2 may send several.)"""
    pairs = [pair.strip(" \t") for pair in value.split(";")]
    kept = [pair for pair in pairs if pair.partition("=")[0] == name]
    if len(kept) < len(pairs):
        stripped.append("cookie")
    return [("cookie", pair) for pair in kept]


def _leaves(name: str, slot: Slot | None, scrubbed: bool, websocket: bool) -> bool:
    if slot is not None and _is_slots(name, slot):
        return True
    if scrubbed and name in _PARTIAL:
        return False
    if name == "sec-websocket-extensions":
        return not websocket  # a compressed frame cannot be scrubbed; without an upgrade it means nothing
    kind = family(name)
    return kind == "other" or (kind == "credential" and slot is None)


def _is_slots(name: str, slot: Slot) -> bool:
    """Whether a header belongs to the slot. `_` for `-` is another header, and not ours."""
    return name == slot.header or (slot.kind == "sigv4" and name in SIGV4_HEADERS)


def _nominated(head: RequestHead, slot: Slot | None) -> frozenset[str]:
    """What `Connection` calls hop-by-hop, but for headers that cannot be, and the slot."""
    values = head.values("connection")
    if not values:
        return frozenset()
    listed = {part.strip().lower() for value in values for part in value.split(",")}
    return frozenset(listed - _NEVER_NOMINATED - {slot.header if slot is not None else None})


def _is_untyped(head: RequestHead, body: bytes | None) -> bool:
    """Whether a body follows of which nobody says what it is: some take it for a form then (Rack), unread by us."""
    return body != b"" and head.method in ("POST", "PUT", "PATCH") and not head.values("content-type")


# -- our own --------------------------------------------------------------------------------------------------------


def _own_headers(
    destination: Destination, headers: Headers, body: bytes | None, scrubbed: bool, websocket: bool
) -> Headers:
    """Put `Host` first, and frame the body; ask for no compression where the answer will be scrubbed."""
    host = names.format_authority(destination.host, destination.port, DEFAULT_PORTS[destination.scheme])
    ours = [("host", host)]
    replaced = {"host"}
    if scrubbed:
        replaced.add("accept-encoding")
    framed = body is not None and (body or any(name in _FRAMING for name, _ in headers))
    if framed:
        replaced.update(_FRAMING)
    ours += [pair for pair in headers if pair[0] not in replaced]
    if scrubbed:
        ours.append(("accept-encoding", "identity"))
    if framed:
        ours.append(("content-length", str(len(body or b""))))
    if websocket:
        ours += [("connection", "upgrade"), ("upgrade", "websocket")]
    return tuple(ours)
