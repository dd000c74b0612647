"""`penstock sessions`: start sessions of agents, look at them, tell them what to do.

penstock sessions create helper "fix the failing test" --follow
penstock sessions message ses_... "now the other one"
"""

from __future__ import annotations

import argparse
import json
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

from msgspec import convert

from penstock.agents.events import Artifact, TurnEnd
from penstock.cli import CommandError, agents_client
from penstock.cli.agents_client import Server, found_by_name, server
from penstock.cli.handed_out import newest, place_of
from penstock.cli.shown_events import Shown, line_of
from penstock.cli.table import table

DEFAULT = "default"
"""The environment that is made where none is named: no way out but to models."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `penstock sessions`."""
    agents_client.add_arguments(parser)
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    listing = actions.add_parser("list", help="list sessions, newest first")
    listing.add_argument("--state", help="those in this state only")
    create = actions.add_parser("create", help="start a session of an agent")
    create.add_argument("agent", metavar="AGENT", help="its name or id")
    create.add_argument("message", nargs="?", default="", metavar="MESSAGE", help="what it shall do")
    create.add_argument("--environment", "-e", default="", metavar="NAME", help="where it runs (default: no way out)")
    create.add_argument("--allow", action="append", default=[], metavar="RULE", help="a way out; repeatable")
    create.add_argument("--image", default="", metavar="IMAGE", help="its system, on a server with the driver docker")
    create.add_argument("--title", default="")
    create.add_argument("--follow", "-f", action="store_true", help="show what happens until the turn is over")
    message = actions.add_parser("message", help="say something to a session")
    _session(message)
    message.add_argument("message", metavar="MESSAGE")
    message.add_argument("--follow", "-f", action="store_true", help="show what happens until the turn is over")
    fork = actions.add_parser("fork", help="make another session out of the first events of one")
    _session(fork)
    fork.add_argument("--at", type=int, required=True, metavar="N", help="the number of the last event that they share")
    fork.add_argument("message", nargs="?", default="", metavar="MESSAGE")
    artifacts = actions.add_parser("artifacts", help="list what the agent has handed out, or fetch it")
    _session(artifacts)
    artifacts.add_argument("--to", type=Path, metavar="DIR", help="write the newest of each name into this folder")
    for name, summary in (
        ("show", "show a session"),
        ("interrupt", "end the turn, keep the session"),
        ("suspend", "stop what runs; workspace and conversation stay"),
        ("resume", "go on"),
        ("terminate", "end it for good; its log stays"),
    ):
        _session(actions.add_parser(name, help=summary))


def _artifacts(server: Server, arguments: argparse.Namespace) -> int:
    path, after = f"/v1/sessions/{arguments.session}/artifacts", 0
    found: list[Artifact] = []
    while after is not None:
        page = server.call("GET", path, params={"after": after, "limit": 1000})
        found += [convert(row["data"], Artifact) for row in page["data"]]
        after = page["next"]
    if arguments.to is None:
        rows = [[each.artifact, line_of(each.name, 60), f"{each.size:,}"] for each in found]
        print(table(["ID", "NAME", "BYTES"], rows) if rows else "It has handed out nothing.")
        return 0
    for each in newest(found):
        target = place_of(each, arguments.to)
        server.download(f"{path}/{each.artifact}", target)
        print(target)
    return 0


def _session(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("session", metavar="SESSION")


def run(arguments: argparse.Namespace) -> int:
    """Do what the action says; a turn that is followed and fails gives 1."""
    with server(arguments) as found:
        return ACTIONS[arguments.action](found, arguments) or 0


def _list(server: Server, arguments: argparse.Namespace) -> int:
    rows = [
        [
            row["id"],
            row["state"],
            row.get("reason", ""),
            f"${Decimal(row['usage']['dollars']):.4f}",
            str(row["usage"]["turns"]),
            line_of(row.get("title") or "-", 40),
        ]
        for row in server.pages("/v1/sessions", state=arguments.state)
    ]
    print(table(["ID", "STATE", "REASON", "COST", "TURNS", "TITLE"], rows) if rows else "There are no sessions.")
    return 0


def _create(server: Server, arguments: argparse.Namespace) -> int:
    agent = found_by_name(server, "agent", arguments.agent)
    environment = _environment(server, arguments)
    wanted: dict[str, Any] = {"agent": agent["id"], "environment": environment["id"], "title": arguments.title}
    if arguments.message:
        wanted["message"] = arguments.message
    made = server.call("POST", "/v1/sessions", json=wanted)
    print(made["id"], file=sys.stderr if arguments.follow else sys.stdout, flush=True)
    return _turn(server, made["id"], 0) if arguments.follow and arguments.message else 0


def _environment(server: Server, arguments: argparse.Namespace) -> dict[str, Any]:
    if arguments.environment:
        if arguments.allow or arguments.image:
            raise CommandError("an environment says its own ways out and image: leave it, or --allow and --image")
        return found_by_name(server, "environment", arguments.environment)
    own = bool(arguments.allow or arguments.image)
    if not own:
        for row in server.pages("/v1/environments", name=DEFAULT):
            return row
    name = "ways out of one session" if own else DEFAULT
    body = {"name": name, "egress": arguments.allow, "image": arguments.image}
    made: dict[str, Any] = server.call("POST", "/v1/environments", json=body)
    return made


def _turn(server: Server, session: str, after: int) -> int:
    """Show what happens until the turn that answers what stands after this event is over."""
    shown = Shown(colour=sys.stderr.isatty())
    for event, _ in server.follow(session, after):
        shown.show(event)
        if isinstance(event.data, TurnEnd) and event.data.message > after:
            return {"completed": 0, "failed": 1, "interrupted": 130}[event.data.outcome]
    return 1


def _message(server: Server, arguments: argparse.Namespace) -> int:
    said = server.call("POST", f"/v1/sessions/{arguments.session}/messages", json={"text": arguments.message})
    return _turn(server, arguments.session, said["number"] - 1) if arguments.follow else 0


def _fork(server: Server, arguments: argparse.Namespace) -> int:
    wanted = {"number": arguments.at, **({"message": arguments.message} if arguments.message else {})}
    print(server.call("POST", f"/v1/sessions/{arguments.session}/fork", json=wanted)["id"])
    return 0


def _show(server: Server, arguments: argparse.Namespace) -> int:
    print(json.dumps(server.call("GET", f"/v1/sessions/{arguments.session}"), indent=2))
    return 0


def _command(server: Server, arguments: argparse.Namespace) -> int:
    done = server.call("POST", f"/v1/sessions/{arguments.session}/{arguments.action}")
    print(f"{done['id']} is {done['state']} ({done['reason']}).")
    return 0


ACTIONS = {
    "artifacts": _artifacts,
    "list": _list,
    "create": _create,
    "message": _message,
    "fork": _fork,
    "show": _show,
    "interrupt": _command,
    "suspend": _command,
    "resume": _command,
    "terminate": _command,
}
"""Each action and what does it."""
