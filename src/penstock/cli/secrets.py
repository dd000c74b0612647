"""`penstock secrets`: keep credentials for agents. A value goes in and never comes out again; agents get stubs.

    penstock secrets set GITHUB --env GH_TOKEN --binding '* https://api.github.com/* header:authorization'

reads the value from standard input (or asks for it, on a terminal). A second `set` replaces value and bindings.
"""

from __future__ import annotations

import argparse
import getpass
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from penstock.cli import CommandError
from penstock.cli.extras import need_agents
from penstock.cli.inputs import gathered, option, pem_file, refused
from penstock.cli.places import vault_directory
from penstock.cli.table import table
from penstock.vault.api import Refusal, open_secrets

if TYPE_CHECKING:
    from penstock.vault.api import Secrets


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `penstock secrets`."""
    parser.add_argument("--state-dir", type=Path, metavar="DIR", help="folder of the vault's store")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    _add_set(actions.add_parser("set", help="store a secret: the value comes from standard input"))
    actions.add_parser("list", help="list secrets: names, places, fingerprints")
    for name, summary in (
        ("show", "show a secret's record (never its value)"),
        ("rotate", "replace the value, from standard input; its bindings stay"),
        ("revoke", "destroy the value; live connections that use it are cut within a second"),
        ("delete", "remove a secret and its records"),
    ):
        actions.add_parser(name, help=summary).add_argument("name", metavar="NAME")


def _add_set(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME")
    parser.add_argument("--env", metavar="VAR", help="the variable that holds its stub in a sandbox")
    parser.add_argument(
        "--binding",
        action="append",
        default=[],
        metavar="'METHOD scheme://host:port/path SLOT'",
        help="where it may go; repeatable; SLOT is header:NAME, basic:password, query:NAME, json:/POINTER ...",
    )
    parser.add_argument("--kind", default="static", help="what becomes of the value (default: it is used as it is)")
    parser.add_argument(
        "--source",
        metavar="env:NAME|file:/PATH|exec:COMMAND|vault:PATH#FIELD",
        help="read the value there, when needed",
    )
    parser.add_argument("--upstream-ca", type=Path, metavar="FILE", help="PEM of the authority of its servers")
    parser.add_argument(
        "--address",
        action="append",
        default=[],
        metavar="HOST=CIDR",
        help="a private network that HOST may be found in",
    )
    parser.add_argument(
        "--option",
        action="append",
        default=[],
        metavar="NAME=VALUE|NAME=@FILE",
        help="a setting of the kind; @FILE: what the file says",
    )


def run(arguments: argparse.Namespace) -> int:
    """Do what the action says; 1 where it is refused."""
    need_agents()
    try:
        with open_secrets(vault_directory(arguments.state_dir)) as secrets:
            ACTIONS[arguments.action](secrets, arguments)
    except Refusal as refusal:
        raise CommandError(refused(refusal)) from None
    return 0


def _set(secrets: Secrets, arguments: argparse.Namespace) -> None:
    value = None if arguments.source else _value(arguments.name, arguments.env)
    record = secrets.set(
        arguments.name,
        value,
        bindings=arguments.binding,
        env=arguments.env,
        kind=arguments.kind,
        source=arguments.source,
        addresses=gathered(arguments.address),
        upstream_ca=pem_file(arguments.upstream_ca) or None,
        options=dict(option(text) for text in arguments.option),
    )
    where = f", as ${record.env} in sandboxes" if record.env else ""
    print(f"{record.name} is kept, version {record.version}{where}.")
    if record.source and (missing := _missing(record.source)):
        print(f"penstock secrets: {missing} Where the vault runs it must be there.", file=sys.stderr)


def _missing(source: str) -> str:
    """What of a source is not here, where the vault may not run: it is no error, but somebody should know."""
    kind, _, rest = source.partition(":")
    if kind == "env" and rest not in os.environ:
        return f"The variable {rest} is not set here."
    if kind == "file" and not Path(rest).is_file():
        return f"There is no file {rest} here."
    return ""


def _value(name: str, env: str | None = None) -> bytes:
    """What standard input says, without the line break that `echo` puts at its end. `env`: where its stub will be."""
    if sys.stdin is None:
        raise CommandError(_no_value(name, env))
    if sys.stdin.isatty():
        return getpass.getpass(f"Value of {name}: ").encode()
    data = sys.stdin.buffer.read()
    value = data.removesuffix(b"\n").removesuffix(b"\r") if data.count(b"\n") == 1 else data
    if not value:
        raise CommandError(_no_value(name, env))
    return value


def _no_value(name: str, env: str | None) -> str:
    hint = f" (--env names the variable of its stub in sandboxes; nothing is read from {env} here)" if env else ""
    variable = env or "TOKEN"
    return f'no value of {name} came on standard input: printf %s "${variable}" | penstock secrets ...{hint}'


def _list(secrets: Secrets, arguments: argparse.Namespace) -> None:
    rows = [
        [record.name, record.env or "", record.kind, _state(record.revoked_at), "; ".join(record.bindings)]
        for record in secrets.list(owner="")  # sessions keep some of their own, which are no business of anybody
    ]
    print(table(["NAME", "ENV", "KIND", "STATE", "BINDINGS"], rows) if rows else "No secrets are kept.")


def _state(revoked_at: float | None) -> str:
    return "kept" if revoked_at is None else "revoked"


def _show(secrets: Secrets, arguments: argparse.Namespace) -> None:
    record = secrets.get(arguments.name)
    fields = {
        "name": record.name,
        "version": record.version,
        "kind": record.kind,
        "env": record.env or "-",
        "source": record.source or "kept here",
        "fingerprint": record.fingerprint or "-",
        "updated": time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(record.updated_at)),
        "state": _state(record.revoked_at),
    }
    for name, value in fields.items():
        print(f"{name:12} {value}")
    for binding in record.bindings:
        print(f"{'binding':12} {binding}")


def _rotate(secrets: Secrets, arguments: argparse.Namespace) -> None:
    record = secrets.rotate(arguments.name, _value(arguments.name))
    print(f"{record.name} has a new value, version {record.version}.")


def _revoke(secrets: Secrets, arguments: argparse.Namespace) -> None:
    secrets.revoke(arguments.name)
    print(f"{arguments.name} is revoked; its value is destroyed.")


def _delete(secrets: Secrets, arguments: argparse.Namespace) -> None:
    secrets.delete(arguments.name)
    print(f"{arguments.name} is gone.")


ACTIONS = {"set": _set, "list": _list, "show": _show, "rotate": _rotate, "revoke": _revoke, "delete": _delete}
"""Each action and what does it."""
