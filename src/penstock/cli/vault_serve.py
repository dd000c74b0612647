"""`penstock vault serve`: the vault as a proxy for programs outside of any sandbox, such as a container or a job of CI.

    penstock vault serve --secret GITHUB --env-file vault.env
    . ./vault.env && curl -H "Authorization: Bearer $GH_TOKEN" https://api.github.com/user

The programs hold stubs; what they may do with them is what the bindings say. Nothing but their good will leads them
through the vault here: a sandbox (`penstock run`) is what makes it the only way out.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import ipaddress
import os
import secrets
import shlex
import signal
import socket
import sys
from pathlib import Path

from penstock.agents.sandboxes import trust
from penstock.cli import CommandError
from penstock.cli.places import vault_directory
from penstock.vault.api import Event, SessionSpec, VaultClient


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `penstock vault serve`."""
    parser.add_argument("--secret", action="append", default=[], metavar="NAME", help="a secret to offer; repeatable")
    parser.add_argument("--allow", action="append", default=[], metavar="RULE", help="a way out without a secret")
    parser.add_argument(
        "--listen", default="127.0.0.1:3128", metavar="ADDRESS:PORT", help="a loopback address (default: %(default)s)"
    )
    parser.add_argument(
        "--env-file", type=Path, default=Path("vault.env"), metavar="FILE", help="written: variables for the shell"
    )


def run(arguments: argparse.Namespace) -> int:
    """Serve until SIGINT or SIGTERM."""
    return asyncio.run(_serve(arguments))


async def _serve(arguments: argparse.Namespace) -> int:
    host, port = _loopback(arguments.listen)
    vault = await VaultClient.start(vault_directory(arguments.state_dir), on_event=_say)
    try:
        with socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET) as listener:
            address = listener.getsockname()
            spec = SessionSpec(
                id=f"serve-{secrets.token_hex(6)}", secrets=tuple(arguments.secret), rules=tuple(arguments.allow)
            )
            opened = await vault.open(spec, [("proxy", listener)])
        ca_file = arguments.env_file.with_suffix(".ca.pem").absolute()
        _write(ca_file, opened.ca_pem, 0o644)
        where = f"[{address[0]}]:{address[1]}" if ":" in host else f"{address[0]}:{address[1]}"
        variables = {**trust.variables(str(ca_file), where), **opened.env}
        lines = [f"export {name}={shlex.quote(value)}\n" for name, value in variables.items()]
        _write(arguments.env_file, "".join(lines), 0o600)
        print(f"The vault listens on {where}. In a shell: . {arguments.env_file}", flush=True)
        print("Whoever can connect there has what these secrets' bindings allow.", file=sys.stderr, flush=True)
        await _until_told_to_stop()
    finally:
        await vault.stop()
    return 0


def _loopback(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    host = host.strip("[]")
    with contextlib.suppress(ValueError):
        if ipaddress.ip_address(host).is_loopback and port.isdigit() and int(port) < 65536:
            return host, int(port)
    raise CommandError(f"--listen {text!r}: only a loopback address (127.0.0.1:PORT) keeps strangers out")


def _write(path: Path, text: str, mode: int) -> None:
    """Make a file anew, with its mode from the start."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode), "w") as file:
        file.write(text)


async def _until_told_to_stop() -> None:
    told = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    await told.wait()


def _say(event: Event) -> None:
    print(f"penstock: {event.kind}: {event.detail} {event.proposal}".rstrip(), file=sys.stderr, flush=True)
