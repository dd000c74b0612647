"""The arguments of `penstock run HARNESS`, beside those of any run; what carries them out is run_agent.py. `--repo`
and `--patch` are for any program.

They stand apart because that file needs a database and much else, which `penstock run command` should not wait for.
"""

from __future__ import annotations

import argparse
from decimal import Decimal, InvalidOperation
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of agents, beside those of `penstock run command`."""
    group = parser.add_argument_group("agents")
    group.add_argument(
        "--model", "-m", default="", metavar="NAME", help="model, as the gateway knows it; demo: offline"
    )
    group.add_argument("--system", default="", metavar="TEXT", help="instructions, beside the agent's own")
    group.add_argument(
        "--repo", metavar="URL|DIR", help="a repository to work on: cloned inside, or a local folder that is copied in"
    )
    group.add_argument(
        "--patch", type=Path, metavar="FILE", help="write what it changed, as a patch (with --repo, one is kept anyway)"
    )
    group.add_argument("--artifacts", type=Path, metavar="DIR", help="write what it hands out into this folder")
    group.add_argument("--max-dollars", type=_dollars, metavar="N", help="what its models may cost at most")
    group.add_argument("--max-seconds", type=int, metavar="N", help="how long it may work")
    group.add_argument(
        "--ask", action="store_true", help="ask here about hosts and branches that no rule names, instead of refusing"
    )
    group.add_argument("--json", action="store_true", help="print events as JSON, one a line")
    group.add_argument("--config", "-c", type=Path, metavar="FILE", help="configuration of the gateway that is started")


def only_of_agents(arguments: argparse.Namespace) -> str:
    """The first option that says something of an agent, where there is none; "" for no such option."""
    said = ("model", "system", "artifacts", "max_dollars", "max_seconds", "ask", "json", "config")
    return next((f"--{name.replace('_', '-')}" for name in said if getattr(arguments, name)), "")


def _dollars(text: str) -> Decimal:
    try:
        found = Decimal(text)
    except InvalidOperation:
        found = Decimal(-1)
    if not found.is_finite() or found <= 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no amount of dollars")
    return found
