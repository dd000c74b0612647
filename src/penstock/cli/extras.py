"""What a command needs beyond the base packages, looked for before anything is begun."""

from __future__ import annotations

from importlib.util import find_spec

from penstock.cli import CommandError

AGENTS = ("cryptography", "h2", "asyncssh", "idna", "ahocorasick_rs", "brotli", "zstandard", "uvloop")
"""Modules that the vault cannot do without (from the extra `agents`)."""


def need_agents() -> None:
    """Raise CommandError where a part of the extra `agents` is missing."""
    missing = [name for name in AGENTS if find_spec(name) is None]
    if missing:
        raise CommandError(f"{', '.join(missing)} missing: pip install 'penstock[agents]'")
