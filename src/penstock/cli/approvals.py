"""`penstock approvals`: what sessions ask of people, with the exact rule that a yes would add.

penstock approvals list
penstock approvals approve apr_... --remember
"""

from __future__ import annotations

import argparse

from penstock.cli import agents_client
from penstock.cli.agents_client import Server, server
from penstock.cli.shown_events import line_of, plain
from penstock.cli.table import table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `penstock approvals`."""
    agents_client.add_arguments(parser)
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    listing = actions.add_parser("list", help="list what is open")
    listing.add_argument("--all", action="store_true", help="what was decided, too")
    listing.add_argument("--session", metavar="SESSION", help="of this session only")
    for name, summary in (("approve", "say yes"), ("deny", "say no, for the rest of the session")):
        action = actions.add_parser(name, help=summary)
        action.add_argument("approval", metavar="APPROVAL")
        action.add_argument("--note", default="", help="what the agent is told")
        if name == "approve":
            action.add_argument("--remember", action="store_true", help="for the rest of the session, suspended or not")


def run(arguments: argparse.Namespace) -> int:
    """Do what the action says."""
    with server(arguments) as found:
        ACTIONS[arguments.action](found, arguments)
    return 0


def _list(server: Server, arguments: argparse.Namespace) -> None:
    path = f"/v1/sessions/{arguments.session}/approvals" if arguments.session else "/v1/approvals"
    rows = [
        [row["id"], row["session"], row.get("decision") or "open", line_of(row["ask"]["summary"], 60), rule_of(row)]
        for row in server.pages(path, open=None if arguments.all else "true")
    ]
    print(table(["ID", "SESSION", "DECISION", "WHAT", "RULE"], rows) if rows else "Nothing is asked.")


def rule_of(row: dict[str, dict[str, str]]) -> str:
    """The rule, whole: nobody may be shown less than what a yes allows. Pure."""
    return " ".join(plain(row["ask"].get("rule", "")).split()) or "-"


def _decide(server: Server, arguments: argparse.Namespace) -> None:
    approved = arguments.action == "approve"
    wanted = {"decision": "approved" if approved else "denied", "note": arguments.note}
    if approved:
        wanted["remember"] = arguments.remember
    done = server.call("POST", f"/v1/approvals/{arguments.approval}/decide", json=wanted)
    print(f"{done['id']} is {done['decision']}.")


ACTIONS = {"list": _list, "approve": _decide, "deny": _decide}
"""Each action and what does it."""
