"""Keeping secrets: what is checked before one is stored, and what may be known of it afterwards.

A value goes in and never comes out: whoever lists or shows secrets sees names, places and fingerprints. Checks come
when a secret is set, for then its owner is there to mend it: whether its slots can carry it, whether its kind can read
it, whether a stub can stand for it.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from penstock.vault import audit, slots, sources
from penstock.vault.credentials import registry
from penstock.vault.names import format_authority, parse_authority
from penstock.vault.policy import Explanation, Policy, explain
from penstock.vault.records import SecretRecord
from penstock.vault.rules import covers_host, parse_binding, parse_rule
from penstock.vault.seal import Store
from penstock.vault.stubs import mint
from penstock.vault.values import DEFAULT_PORTS, Destination, Refusal, Scheme


class Secrets:
    """The secrets of one state directory.

    Args:
        directory: the vault's own, made where it is not there (mode 0700).

    Raises:
        Refusal: the store cannot be opened; says what to do.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._store = Store.open(directory)

    def __enter__(self) -> Secrets:
        return self

    def __exit__(self, *exception: object) -> None:
        self._store.close()

    def set(
        self,
        name: str,
        value: bytes | None,
        *,
        bindings: Sequence[str],
        env: str | None = None,
        kind: str = "static",
        source: str | None = None,
        addresses: Mapping[str, Sequence[str]] | None = None,
        upstream_ca: str | None = None,
        options: Mapping[str, Any] | None = None,
        owner: str = "",
    ) -> SecretRecord:
        """Store a secret, or a new version of it.

        Args:
            name: how it is called everywhere.
            value: its bytes; None where it has a `source`.
            bindings: where it may go, each as `METHOD scheme://host:port/path SLOT`.
            env: the variable that holds its stub in a sandbox.
            kind: what becomes of the value (docs/reference/credential-kinds.md).
            source: where the value is kept instead of here: `env:`, `file:`, `exec:`, `vault:`.
            addresses: host to the private networks that it may be found in.
            upstream_ca: PEM of the authorities that vouch for its hosts, beside the system's.
            options: settings of the kind.
            owner: whose it is.

        Raises:
            Refusal: something of it is wrong; nothing was stored.
        """
        found = [parse_binding(text, name) for text in bindings]
        if not found:
            raise Refusal(
                "no_binding", f"The secret {name} is bound to no place, so it could go nowhere.",
                fix="Name one: --binding 'GET https://api.example.com/* header:authorization'.", status=400,
            )  # fmt: skip
        wanted = [binding.slot.kind for binding in found]
        _check_addressed([binding.rule.host for binding in found], addresses or {})
        if source is not None:
            sources.parse(source)
            registry.check_kind(kind, name, wanted)
        if value is not None:
            registry.check(kind, name, value, options or {}, wanted)
            if kind == "static":
                for binding in found:
                    slots.check_value(binding.slot, value)
                mint(value, secrets.token_bytes)
        return self._store.put(
            name,
            value,
            source=source,
            kind=kind,
            env=env,
            bindings=[str(binding) for binding in found],
            addresses=addresses or {},
            upstream_ca=upstream_ca,
            options=options or {},
            owner=owner,
        )

    def list(self, owner: str | None = None) -> list[SecretRecord]:
        """Return the newest record of each secret. No record holds a value."""
        return self._store.list(owner)

    def get(self, name: str, *, owner: str = "") -> SecretRecord:
        """Return the record of a secret. Raises Refusal."""
        return self._store.get(name, owner=owner)

    def rotate(self, name: str, value: bytes, *, owner: str = "") -> SecretRecord:
        """Replace the value; where it may go stays. Live sessions use it within a second. Raises Refusal."""
        record = self._store.get(name, owner=owner)
        registry.check(record.kind, name, value, record.options)
        return self._store.rotate(name, value, owner=owner)

    def revoke(self, name: str, *, owner: str = "") -> SecretRecord:
        """Destroy the value for good; live connections that used it are cut within a second. Raises Refusal."""
        return self._store.revoke(name, owner=owner)

    def delete(self, name: str, *, owner: str = "") -> None:
        """Remove a secret with its records. Raises Refusal."""
        self._store.delete(name, owner=owner)

    def why(
        self, method: str, url: str, *, names: Sequence[str], rules: Sequence[str] = (), owner: str = ""
    ) -> Explanation:
        """Say what would happen to a request of a session with these secrets and rules, and why. Raises Refusal."""
        records = [self._store.get(name, owner=owner) for name in names]
        bindings = [parse_binding(text, record.name) for record in records for text in record.bindings]
        scheme, authority, path = split_url(url)
        destination = Destination(scheme, *parse_authority(authority, DEFAULT_PORTS[scheme]))
        return explain(Policy(bindings, [parse_rule(text) for text in rules]), destination, method, path)

    def hosts(self, names: Sequence[str], rules: Sequence[str], owner: str = "") -> tuple[str, ...]:
        """Return `host:port` of every place that a session with these secrets and rules may name. Raises Refusal."""
        return named_hosts(self._store, names, rules, owner)

    def verify_audit(self) -> audit.Verdict:
        """Read the whole audit log; say whether it is whole and unchanged."""
        return audit.verify(self._directory / "audit", self._store.derived_key("audit"))


def _check_addressed(named: Sequence[str], addresses: Mapping[str, Sequence[str]]) -> None:
    """Refuse a private network for a host that no binding is for: a typing error, or the wrong secret."""
    for host in addresses:
        if host not in named and not any(covers_host(each, host) for each in named):
            reason = f"No binding of this secret is for {host}, so no network of it is of use."
            raise Refusal(
                "bad_address", reason, fix=f"The bindings name {', '.join(dict.fromkeys(named))}.", status=400
            )


def named_hosts(store: Store, names: Sequence[str], rules: Sequence[str], owner: str = "") -> tuple[str, ...]:
    """Return `host:port` of every place that a session with these secrets and rules may name. Raises Refusal."""
    records = [store.get(name, owner=owner) for name in names]
    found = [parse_binding(text).rule for record in records for text in record.bindings]
    found += [parse_rule(text) for text in rules]
    return tuple(dict.fromkeys(format_authority(rule.host, rule.port, -1) for rule in found))


def split_url(url: str) -> tuple[Scheme, str, str]:
    """Take a URL apart: scheme, host with port, path with query.

    Raises:
        Refusal: `bad_url`.
    """
    scheme, sign, rest = url.partition("://")
    for known in DEFAULT_PORTS:
        if sign and scheme == known:
            authority, slash, path = rest.partition("/")
            return known, authority.rpartition("@")[2] if known == "ssh" else authority, f"{slash or '/'}{path}"
    raise Refusal("bad_url", f"{url!r} is no URL that the vault knows.", fix="Write https://HOST/PATH.", status=400)
