"""What may be known of a secret, and what is refused before it is stored: a record is shown, so it holds no value."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
from cryptography import x509

from penstock.vault.quality import check_env, check_value
from penstock.vault.values import Refusal

MAX_TEXT = 64 * 1024
"""Characters of a record as JSON: bindings, options and PEM of one secret together."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")

Check = Callable[[bytes, Sequence[str]], None]
"""Refuses a value that does not fit the slots of its bindings (as typed), by raising `Refusal`."""


class SecretRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What may be known of one version of a secret; its value is not in here, and cannot be had from here.

    `addresses`: host -> the networks (CIDR) to which it may resolve although they are private. `options` are settings
    of the kind, in the clear: never put a secret in them. `fingerprint`: 16 hexadecimal digits, equal for equal values
    of the same store; empty for a secret with a `source`, whose value is not known here. Times are seconds since 1970.
    """

    name: str
    version: int
    kind: str = "static"
    env: str | None = None
    bindings: tuple[str, ...] = ()
    addresses: Mapping[str, tuple[str, ...]] = {}
    upstream_ca: str | None = None
    options: Mapping[str, Any] = {}
    source: str | None = None
    fingerprint: str = ""
    owner: str = ""
    created_at: float = 0.0
    updated_at: float = 0.0
    revoked_at: float | None = None


def check_record(draft: SecretRecord, value: bytes | None, check: Check) -> None:
    """Check a secret before it is stored: a record that may be shown, and either a `value` or a source.

    Raises:
        Refusal: as `Store.put` says.
    """
    if not _NAME.fullmatch(draft.name):
        raise Refusal(
            "bad_secret_name", "A secret's name has letters, digits, '.', '_' and '-', 128 at most.", status=400
        )
    if (value is None) == (draft.source is None):
        raise Refusal("bad_secret", f"{draft.name} needs either a value or a source.", status=400)
    if draft.env is not None:
        check_env(draft.env)
    _check_text(draft, value)
    _check_addresses(draft.addresses)
    if draft.upstream_ca is not None:
        _check_certificates(draft.upstream_ca)
    if value is not None:
        check_value(value)
        check(value, draft.bindings)


def _check_text(draft: SecretRecord, value: bytes | None) -> None:
    """A record is shown to whoever may list secrets: it is small, it is JSON, and the value is not in it."""
    try:
        text = msgspec.json.encode(draft)
        decoded = msgspec.json.decode(text, type=SecretRecord)
    except (TypeError, ValueError, msgspec.MsgspecError):
        raise Refusal("bad_secret", f"The options of {draft.name} are not JSON.", status=400) from None
    if len(text) > MAX_TEXT or decoded != draft:
        raise Refusal("bad_secret", f"The settings of {draft.name} are too large, or not plain JSON.", status=400)
    plain = repr(msgspec.to_builtins(draft)).encode()
    if value and len(value) >= 8 and (value in text or value in plain):
        raise Refusal(
            "secret_in_metadata",
            f"The value of {draft.name} also stands in its name, bindings or options, which are not secret.",
            fix="Take it out there: a binding names the place of the secret, never the secret.",
            status=400,
        )


def _check_addresses(addresses: Mapping[str, Sequence[str]]) -> None:
    for host, networks in addresses.items():
        for network in networks:
            try:
                ipaddress.ip_network(network)
            except ValueError:
                fix = "Write an address or a network such as 10.1.2.0/24 (no bits set behind the prefix)."
                raise Refusal("bad_address", f"{network!r} (for {host}) is no network.", fix=fix, status=400) from None


def _check_certificates(pem: str) -> None:
    fix = "Give the CA certificates as PEM (BEGIN CERTIFICATE), without any key."
    if "PRIVATE KEY" in pem:
        raise Refusal("bad_upstream_ca", "The file of the upstream's CA holds a private key.", fix=fix, status=400)
    try:
        x509.load_pem_x509_certificates(pem.encode())
    except ValueError:
        raise Refusal("bad_upstream_ca", "The upstream's CA is not a PEM certificate.", fix=fix, status=400) from None
