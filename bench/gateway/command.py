"""`python -m bench gateway [SCENARIO ...] [--peers A,B]`, `... gateway install PEER ...`, and
`... gateway instructions`.

Without --peers: all that are installed. Nothing is downloaded but by `install`, which says what and where first.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Collection, Sequence

from bench.gateway import bench, install, instructions, machine, report
from bench.gateway.bench import Bench, Effort
from bench.gateway.drivers import wrk
from bench.gateway.install import Package
from bench.gateway.peers import PEERS
from bench.gateway.peers.peer import Peer
from bench.gateway.processes import Failed
from bench.gateway.scenarios import SCENARIOS
from bench.gateway.scenarios.scenario import Outcome


def main(arguments: Sequence[str]) -> int:
    """The exit status: 0, or 1 where something did not go as it should."""
    if arguments and arguments[0] == "install":
        return _install(arguments[1:])
    if arguments and arguments[0] == "instructions":
        return instructions.main(arguments[1:])
    options = _parser().parse_args(arguments)
    if reason := wrk.missing():
        print(reason, file=sys.stderr)
        return 1
    failures = _install_all([install.PACKAGES[name] for name in options.install], sure=True)
    missing = {name: reason for name in options.peers or PEERS if (reason := PEERS[name].missing())} | failures
    for name, reason in missing.items():
        print(f"without {name}: {reason}")
    peers = [PEERS[name] for name in PEERS if name in (options.peers or PEERS) and name not in missing]
    effort = Effort(options.rounds, options.seconds, options.full)
    scenarios = [name for names in options.scenarios for name in names]
    return _run(scenarios or list(SCENARIOS), peers, effort, options, missing)


def _run(
    names: Sequence[str], peers: Sequence[Peer], effort: Effort, options: argparse.Namespace, missing: dict[str, str]
) -> int:
    outcomes: dict[str, Outcome] = {}
    say = (lambda text: None) if options.quiet else (lambda text: print(text, flush=True))
    print(machine.describe())
    with bench.prepared(peers, effort, say, options.keep) as running:
        for name in names:
            try:
                outcomes[name] = _measure(name, running)
            except (Failed, OSError) as error:
                running.problem(f"{name} was given up: {error}")
        problems = running.problems
    if options.write:
        report.write(outcomes, peers, missing, effort, problems)
    for problem in problems:
        print(f"! {problem}", file=sys.stderr)
    return 1 if problems else 0


def _measure(name: str, running: Bench) -> Outcome:
    scenario = SCENARIOS[name]
    print(f"\n{name}: {scenario.title}", flush=True)
    outcome = scenario.run(running)
    print(report.as_text(outcome), flush=True)
    return outcome


def _install(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench gateway install", description=install.__doc__)
    parser.add_argument("peers", nargs="+", choices=sorted(install.PACKAGES), metavar="PEER")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    options = parser.parse_args(arguments)
    failures = _install_all([install.PACKAGES[name] for name in options.peers], sure=options.yes)
    for reason in failures.values():
        print(reason, file=sys.stderr)
    return 1 if failures else 0


def _install_all(packages: Sequence[Package], sure: bool) -> dict[str, str]:
    """Install those that are not there, after saying what and (unless `sure`) asking; peer -> why it failed."""
    wanted = [package for package in packages if install.not_installed(package)]
    for package in wanted:
        print(f"installing {package.requirement} and what it needs, from {package.registry}, into {package.folder}")
    if wanted and not sure and input("Go on? [y/N] ").strip().lower() not in ("y", "yes"):
        return {package.peer: "not installed: you said no" for package in wanted}
    return {package.peer: reason for package in wanted if (reason := install.install(package))}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench gateway", description=__doc__)
    scenarios = f"of {', '.join(SCENARIOS)} (default: all)"
    parser.add_argument("scenarios", nargs="*", type=_scenarios, metavar="SCENARIO", help=scenarios)
    parser.add_argument("--peers", type=_names, default=[], help=f"of {','.join(PEERS)} (default: all that are there)")
    parser.add_argument("--install", type=_packages, default=[], help="install these peers first, without asking")
    parser.add_argument("--rounds", type=int, default=5, help="how often each peer's turn comes")
    parser.add_argument("--seconds", type=int, default=1, help="how long a turn takes")
    parser.add_argument("--full", action="store_true", help="the long forms of many-streams and soak")
    parser.add_argument("--write", action="store_true", help="write the figures into docs/benchmarks.md")
    parser.add_argument("--keep", action="store_true", help="keep configurations and logs, and say where")
    parser.add_argument("--quiet", action="store_true", help="print tables only")
    return parser


def _names(text: str, known: Collection[str] = tuple(PEERS)) -> list[str]:
    names = [name for name in text.split(",") if name]
    if unknown := [name for name in names if name not in known]:
        raise argparse.ArgumentTypeError(f"no {', '.join(unknown)}; there are {', '.join(known)}")
    return names


def _packages(text: str) -> list[str]:
    return _names(text, tuple(install.PACKAGES))


def _scenarios(text: str) -> list[str]:
    return _names(text, tuple(SCENARIOS))
