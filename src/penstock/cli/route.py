"""`penstock route explain`: where a request would go and why, without sending it.

    penstock route explain --config penstock.yaml --request request.json
    penstock route explain --config penstock.yaml --request - --path /v1/messages --header "x-penstock-tags: eu"

The request is the body as a client would send it, in the dialect of the path. Health and limits are unknown here, for
nobody is asked: all deployments are taken to be well.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from penstock.cli import CommandError
from penstock.cli.table import table
from penstock.dialects import wire
from penstock.providers.errors import ProviderError
from penstock.types.errors import DialectError

if TYPE_CHECKING:
    from penstock.gateway.explain import Explanation, Placed


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `penstock route`."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    explain = actions.add_parser("explain", help="say where a request would go, and why, without sending it")
    explain.add_argument("--config", type=Path, required=True, help="configuration file")
    explain.add_argument("--request", required=True, help="file with the body of the request; - is standard input")
    explain.add_argument("--path", default=None, help="the path it is sent to (default: /v1/chat/completions)")
    explain.add_argument("--header", action="append", default=[], help='a header, as "name: value" (may be repeated)')
    explain.add_argument("--tag", action="append", default=[], help="a tag of the key (may be repeated)")
    explain.add_argument("--key", help="alias of the key, for rules that ask for it")
    explain.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace) -> int:
    """Print why; the exit status is 1 where nobody could be asked."""
    explanation = _explained(arguments)
    if arguments.json:
        print(wire.encode(explanation).decode())
    else:
        print("\n".join(_lines(explanation)))
    return 0 if any(placed.place is not None for placed in explanation.placed) else 1


def _explained(arguments: argparse.Namespace) -> Explanation:
    try:
        from penstock.control.config.load import load
        from penstock.control.config.problems import ConfigErrors
    except ImportError as error:
        raise CommandError(f"{error.name} is missing: pip install 'penstock[gateway]'") from None
    from penstock.calls.engine import Engine
    from penstock.gateway.explain import USUAL_PATH, explain
    from penstock.gateway.router import Router

    try:
        snapshot = load(arguments.config, os.environ).snapshot
    except ConfigErrors as errors:
        raise CommandError("\n".join([f"{arguments.config} is wrong:", *map(str, errors.problems)])) from None
    body = sys.stdin.buffer.read() if arguments.request == "-" else Path(arguments.request).read_bytes()
    try:
        return explain(
            Router(snapshot, Engine()),
            body,
            path=arguments.path or USUAL_PATH,
            headers=dict(map(_header, arguments.header)),
            tags=tuple(arguments.tag),
            key=arguments.key or "",
        )
    except (DialectError, ProviderError) as error:
        raise CommandError(f"the request: {error}") from None


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon:
        raise CommandError(f'a header is given as "name: value", not {text!r}')
    return name.strip().lower(), value.strip()


def _lines(explanation: Explanation) -> Iterator[str]:
    task = ", ".join(f"{word}: {_shown(value)}" for word, value in explanation.task.items())
    yield f"asked for   {explanation.asked} ({explanation.dialect})"
    yield f"request     {task}"
    if explanation.decision is not None:
        for step in explanation.decision.steps:
            yield f"rule        {'hit ' if step.hit else 'miss'}  {step.rule}: {step.why}"
    if explanation.cascade is not None:
        yield f"cascade     {' -> '.join(explanation.cascade)}: the next where an answer fails its checks"
    yield f"group       {explanation.group} ({explanation.strategy})"
    yield from _table(explanation.placed)
    for kind, groups in explanation.fallbacks.items():
        if groups:
            yield f"fallback    {kind}: {', '.join(groups)}"
    if not any(placed.place is not None for placed in explanation.placed):
        yield "nobody      can be asked in this group"


def _table(placed: tuple[Placed, ...]) -> Iterator[str]:
    head = ("PLACE", "DEPLOYMENT", "MODEL", "FIRST", "$ IN", "$ OUT AT MOST", "WHY")
    rows = [
        (
            "-" if each.place is None else str(each.place),
            each.deployment,
            each.model,
            "" if each.chance is None else f"{each.chance:g} %",
            _dollars(each.input_cost),
            _dollars(each.output_cost),
            each.why,
        )
        for each in placed
    ]
    return (f"  {line}" for line in table(head, rows, frozenset({0, 3, 4, 5})).splitlines())


def _dollars(amount: Decimal | None) -> str:
    return "" if amount is None else f"{amount.normalize():f}"


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes"
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
