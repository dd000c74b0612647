"""`penstock vault`: ask the vault's rules and its audit log.

    penstock vault why GET https://api.github.com/user --secret GITHUB

says whether a session with these secrets and rules may send such a request, which rule decides, and what to type to
change it. `penstock vault verify` reads the whole audit log and says whether a row is missing or was changed.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from penstock.cli import CommandError, vault_serve
from penstock.cli.extras import need_agents
from penstock.cli.inputs import refused
from penstock.cli.places import vault_directory
from penstock.vault.api import Refusal, open_secrets

if TYPE_CHECKING:
    from penstock.vault.api import Secrets


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `penstock vault`."""
    parser.add_argument("--state-dir", type=Path, metavar="DIR", help="folder of the vault")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    why = actions.add_parser("why", help="say whether a request may leave, and why")
    why.add_argument("method", metavar="METHOD")
    why.add_argument("url", metavar="URL")
    why.add_argument("--secret", action="append", metavar="NAME", help="a secret of the session (default: all)")
    why.add_argument("--allow", action="append", default=[], metavar="RULE", help="an egress rule of the session")
    vault_serve.add_arguments(actions.add_parser("serve", help="be a proxy for programs outside of sandboxes"))
    actions.add_parser("verify", help="read the audit log; 1 where it is not whole")


def run(arguments: argparse.Namespace) -> int:
    """Do what the action says; 1 for a request that may not leave, and a log that is not whole."""
    need_agents()
    try:
        if arguments.action == "serve":
            return vault_serve.run(arguments)
        with open_secrets(vault_directory(arguments.state_dir)) as secrets:
            return _why(secrets, arguments) if arguments.action == "why" else _verify(secrets)
    except Refusal as refusal:
        raise CommandError(refused(refusal)) from None


def _why(secrets: Secrets, arguments: argparse.Namespace) -> int:
    names = arguments.secret
    if names is None:
        names = [record.name for record in secrets.list() if record.revoked_at is None]
    found = secrets.why(arguments.method, arguments.url, names=names, rules=arguments.allow)
    print(f"{'allowed' if found.allowed else 'refused'}: {found.reason}")
    lines = {
        "code": "" if found.allowed else found.code,
        "decided by": found.decided_by,
        "secret": found.secret,
        "closest": f"{found.closest}   (differs in {', '.join(found.differs)})" if found.closest else "",
        "to allow it": found.proposal.removeprefix("To allow it: "),
    }
    for name, text in lines.items():
        if text:
            print(f"{name + ':':13} {text}")
    return 0 if found.allowed else 1


def _verify(secrets: Secrets) -> int:
    verdict = secrets.verify_audit()
    for note in verdict.notes:
        print(f"note: {note}")
    if verdict.ok:
        print(f"whole: {verdict.rows:,} rows, each as it was written, in its order")
        return 0
    print(
        f"NOT whole: {verdict.reason} (row {verdict.bad_row} in {verdict.file}; {verdict.rows:,} rows before are good)"
    )
    return 1
