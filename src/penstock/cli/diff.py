"""`penstock diff SESSION`: what a session has changed in its workspace, as a patch for `git apply`.

It is made inside the sandbox. The patch was written by a program that nobody trusts: read it before you apply it.
"""

from __future__ import annotations

import argparse
import sys

import httpx

from penstock.cli import CommandError, agents_client
from penstock.cli.agents_client import server
from penstock.cli.shown_events import plain


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `penstock diff`."""
    agents_client.add_arguments(parser)
    parser.add_argument("session", metavar="SESSION")


def run(arguments: argparse.Namespace) -> int:
    """Print the patch: to a terminal as text, elsewhere byte for byte."""
    with server(arguments) as found:
        try:
            with found.http.stream("GET", f"/v1/sessions/{arguments.session}/diff") as answer:
                if answer.status_code >= 400:
                    answer.read()
                    found.check(answer)
                for chunk in answer.iter_bytes():
                    if sys.stdout.isatty():
                        sys.stdout.write(plain(chunk.decode("utf-8", "replace")))
                    else:
                        sys.stdout.buffer.write(chunk)
        except httpx.HTTPError as error:
            raise CommandError(f"the server ended the patch: {error}") from None
    return 0
