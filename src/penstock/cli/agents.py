"""`penstock agents`: the server of the agent platform, and the agents that it knows.

penstock agents serve
penstock agents create helper --harness loop --model demo
"""

from __future__ import annotations

import argparse
import json
from typing import Any

from penstock.cli import CommandError, agents_client, agents_serve
from penstock.cli.agents_client import Server, found_by_name, server
from penstock.cli.extras import need_agents
from penstock.cli.table import table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `penstock agents`."""
    agents_client.add_arguments(parser)
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    agents_serve.add_arguments(actions.add_parser("serve", help="run the server of the agent platform"))
    actions.add_parser("list", help="list agents")
    _add_create(actions.add_parser("create", help="make an agent"))
    for name, summary in (("show", "show an agent"), ("archive", "let no new session use it")):
        actions.add_parser(name, help=summary).add_argument("name", metavar="AGENT", help="its name or id")


def _add_create(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME")
    parser.add_argument("--harness", required=True, help="which program: loop, claude-code, codex ...")
    parser.add_argument("--model", "-m", default="", help="model, as the gateway knows it")
    parser.add_argument("--system", default="", metavar="TEXT", help="instructions, beside the program's own")
    parser.add_argument("--secret", action="append", default=[], metavar="NAME", help="a secret it may use; repeatable")
    parser.add_argument(
        "--tool", action="append", default=[], metavar="NAME=auto|ask|deny", help="whether it may use a tool; * for all"
    )
    parser.add_argument("--max-dollars", metavar="N", help="what a session may cost at most")
    parser.add_argument("--max-seconds", type=int, metavar="N", help="how long a session may be up")
    parser.add_argument("--idle-seconds", type=int, metavar="N", help="after which an idle session is suspended")


def run(arguments: argparse.Namespace) -> int:
    """Do what the action says."""
    need_agents()
    if arguments.action == "serve":
        return agents_serve.run(arguments)
    with server(arguments) as found:
        ACTIONS[arguments.action](found, arguments)
    return 0


def _list(server: Server, arguments: argparse.Namespace) -> None:
    rows = [
        [row["spec"]["name"], row["id"], str(row["version"]), row["spec"]["harness"], row["spec"].get("model") or "-"]
        for row in server.pages("/v1/agents")
    ]
    print(table(["NAME", "ID", "VERSION", "HARNESS", "MODEL"], rows) if rows else "There are no agents.")


def _create(server: Server, arguments: argparse.Namespace) -> None:
    budget = {
        "dollars": arguments.max_dollars, "wall_seconds": arguments.max_seconds, "idle_seconds": arguments.idle_seconds
    }  # fmt: skip
    wanted: dict[str, Any] = {
        "name": arguments.name,
        "harness": arguments.harness,
        "model": arguments.model,
        "system": arguments.system,
        "credentials": arguments.secret,
        "tools": dict(_setting(text) for text in arguments.tool),
        "budget": {name: value for name, value in budget.items() if value is not None},
    }
    made = server.call("POST", "/v1/agents", json=wanted)
    print(f"{made['id']}  {arguments.name}, version {made['version']}")


def _setting(text: str) -> tuple[str, str]:
    name, _, setting = text.partition("=")
    if not name or setting not in ("auto", "ask", "deny"):
        raise CommandError(f"--tool {text!r}: write NAME=auto, NAME=ask or NAME=deny")
    return name, setting


def _show(server: Server, arguments: argparse.Namespace) -> None:
    print(json.dumps(found_by_name(server, "agent", arguments.name), indent=2))


def _archive(server: Server, arguments: argparse.Namespace) -> None:
    found = found_by_name(server, "agent", arguments.name)
    server.call("POST", f"/v1/agents/{found['id']}/archive")
    print(f"{found['id']} is archived.")


ACTIONS = {"list": _list, "create": _create, "show": _show, "archive": _archive}
"""Each action and what does it."""
