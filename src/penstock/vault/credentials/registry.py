"""The kinds of credentials: the one list. It is checked when it is read, so a clash fails at start and not at night."""

from collections.abc import Iterable, Mapping
from typing import NoReturn

from penstock.vault.credentials import (
    aws_sigv4,
    client_credentials,
    github_app,
    jwt_assertion,
    oauth_refresh,
    ssh,
    static,
)
from penstock.vault.credentials.contract import Credential, Kind, Tools
from penstock.vault.credentials.fields import known_or_refuse
from penstock.vault.values import Fetched, Headers, Refusal


def registered(kinds: Iterable[Kind]) -> Mapping[str, Kind]:
    """Return the kinds by name. Raises ValueError where two bear the same, or one has no slot to stand in."""
    found: dict[str, Kind] = {}
    for kind in kinds:
        if kind.name in found or not kind.slots:
            raise ValueError(f"the kind {kind.name!r} is registered twice, or fits no slot")
        found[kind.name] = kind
    return found


KINDS: Mapping[str, Kind] = registered(
    (
        static.KIND,
        ssh.KEY_KIND,
        ssh.PASSWORD_KIND,
        oauth_refresh.KIND,
        client_credentials.KIND,
        github_app.KIND,
        jwt_assertion.KIND,
        aws_sigv4.KIND,
    )
)


def make(
    kind: str, name: str, value: bytes, *, version: int = 1, options: Mapping[str, str] | None = None, tools: Tools
) -> Credential:
    """Make the credential of a stored secret. Nothing is called yet.

    Args:
        kind: a name of the registry.
        name: the secret's name.
        value: its stored bytes.
        version: which value of the secret this is.
        options: settings that are not secret.
        tools: what it may use.

    Raises:
        Refusal: `bad_kind`, `bad_secret`.
    """
    return _kind(name, kind).make(name, value, version, options or {}, tools)


def check(kind: str, name: str, value: bytes, options: Mapping[str, str], slots: Iterable[str] = ()) -> None:
    """Check a value before it is stored, and the slots of its bindings (`header`, `sigv4` ...), without using it.

    Raises:
        Refusal: `bad_kind`, `bad_secret`.
    """
    check_kind(kind, name, slots).make(name, value, 1, options, _NO_TOOLS)


def check_kind(kind: str, name: str, slots: Iterable[str]) -> Kind:
    """Check what can be checked without a value, for it comes from a source. Raises Refusal as `check`."""
    found = _kind(name, kind)
    for slot in slots:
        known_or_refuse(name, slot, found.slots, "slot")
    return found


def _kind(name: str, kind: str) -> Kind:
    try:
        known_or_refuse(name, kind, tuple(KINDS), "kind")
    except Refusal as refusal:
        reason = f"There is no such kind of credential for the secret {name!r}."
        raise Refusal("bad_kind", reason, fix=refusal.fix, status=400) from None
    return KINDS[kind]


async def _no_fetch(method: str, url: str, headers: Headers = (), body: bytes = b"") -> Fetched:
    raise Refusal("fetch_failed", "A check calls nobody.")


def _no_turn() -> NoReturn:
    raise Refusal("not_stored", "A check stores nothing.")


_NO_TOOLS = Tools(fetch=_no_fetch, clock=lambda: 0.0, random=bytes, turn=_no_turn)
