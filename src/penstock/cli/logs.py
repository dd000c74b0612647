"""`penstock logs SESSION`: what has happened in a session, and with -f what happens, until it is over."""

from __future__ import annotations

import argparse
import sys

from penstock.agents.events import decode
from penstock.cli import agents_client
from penstock.cli.agents_client import Server, server
from penstock.cli.shown_events import Shown


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `penstock logs`."""
    agents_client.add_arguments(parser)
    parser.add_argument("session", metavar="SESSION")
    parser.add_argument("--follow", "-f", action="store_true", help="go on until the session is over")
    parser.add_argument("--after", type=int, default=0, metavar="N", help="events after this number only")
    parser.add_argument("--json", action="store_true", help="print events as JSON, one a line")


def run(arguments: argparse.Namespace) -> int:
    """Print the log."""
    shown = Shown(colour=sys.stderr.isatty())
    with server(arguments) as found:
        if arguments.follow:
            for event, data in found.follow(arguments.session, arguments.after):
                print(data.decode(), flush=True) if arguments.json else shown.show(event)
        else:
            _print(found, arguments, shown)
    return 0


def _print(server: Server, arguments: argparse.Namespace, shown: Shown) -> None:
    import msgspec

    after: int | None = arguments.after
    while after is not None:
        page = server.call("GET", f"/v1/sessions/{arguments.session}/events", params={"after": after, "limit": 1000})
        for row in page["data"]:
            data = msgspec.json.encode(row)
            print(data.decode()) if arguments.json else shown.show(decode(data))
        after = page["next"]
