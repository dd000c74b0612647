"""`penstock redteam`: try to steal a secret from a sandbox, in every way of the threat model, and show what came of it.

    penstock redteam                     all probes; a line a row of the threat model
    penstock redteam --only 'smuggling*' some of them, by id or row
    penstock redteam --list              what there is, without running it

It makes a vault with canary secrets, two sandboxes and the hosts they talk to, all on this machine, and leaves nothing
behind. No probe reaches another machine. Exit status 1 where a probe failed; with `--strict` also where one could not
run.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time

from penstock.agents.errors import AgentsError
from penstock.cli import CommandError
from penstock.cli.table import table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `penstock redteam`."""
    parser.add_argument("--only", default="*", metavar="PATTERN", help="probes whose id or row matches, as in a shell")
    parser.add_argument("--list", action="store_true", help="list the probes, and run none")
    parser.add_argument("--json", action="store_true", help="each probe with its evidence, as JSON")
    parser.add_argument("--verbose", "-v", action="store_true", help="show the evidence of probes that passed, too")
    parser.add_argument("--strict", action="store_true", help="count probes that cannot run here as failed")
    parser.add_argument(
        "--isolation", choices=("full", "weak"), default="full", help="`weak` on a host that cannot filter system calls"
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the probes; 1 where one failed."""
    from penstock.redteam import report, suite
    from penstock.vault.api import Refusal, VaultGone

    probes = suite.chosen(arguments.only)
    if not probes:
        raise CommandError(f"no probe matches {arguments.only!r}; --list shows them")
    if arguments.list:
        rows = [[probe.id, probe.row, probe.tries] for probe in probes.values()]
        print(json.dumps([dict(zip(("id", "row", "tries"), row, strict=True)) for row in rows], indent=2)
              if arguments.json else table(["ID", "ROW", "TRIES"], rows))  # fmt: skip
        return 0
    print(f"{len(probes)} probes ...", file=sys.stderr)
    began = time.monotonic()
    try:
        results = asyncio.run(suite.run(probes, arguments.isolation))
    except (AgentsError, Refusal, VaultGone, RuntimeError) as error:
        raise CommandError(str(error)) from None  # the text names the fix, where there is one
    seconds = time.monotonic() - began
    if arguments.json:
        print(json.dumps(report.document(results, seconds), indent=2))
    else:
        _show(results, seconds, arguments.verbose)
    return report.status(results, strict=arguments.strict)


def _show(results: list, seconds: float, verbose: bool) -> None:  # type: ignore[type-arg]
    from penstock.redteam import report

    width = max(len(line[0]) for _, lines in report.rows(results) for line in lines)
    for section, lines in report.rows(results):
        padded = [[line[0].ljust(width), *line[1:]] for line in lines]
        print(f"\n{section}\n{table(list(report.HEAD), padded, frozenset((1, 2, 3)))}")
    print()
    if verbose:
        for result in results:
            if result.outcome == "passed":
                print(f"passed: {result.id}: {result.evidence}")
    for line in report.troubles(results):
        print(line)
    print(f"{report.total(results)}, in {seconds:.0f} seconds")
