"""Whose secrets in the vault's store an owner's sessions use. Pure."""

from __future__ import annotations

LOCAL = "local"
"""The owner of what a person does on this machine; their secrets are those of `penstock secrets set`."""


def vault_owner(owner: str) -> str:
    """The store's word for an owner."""
    return "" if owner == LOCAL else owner
