"""`python -m bench [PART ...]`: print the figures of all parts, or of those named. `python -m bench gateway ...`: the
gateway beside its peers (bench/gateway); `python -m bench vault`, `scrub`, `sandbox`, `events`, `sessions`: the agent
platform's.
"""

from __future__ import annotations

import argparse
import platform
import sys
from importlib import import_module

PARTS = ("imports", "calls", "streams", "wheel")
TABLES = {
    "vault": "bench.vault.__main__",
    "scrub": "bench.vault.scrub",
    "sandbox": "bench.sandbox.__main__",
    "events": "bench.agents.events",
    "sessions": "bench.agents.sessions",
}
"""Benchmarks that print a table of their own."""


def main() -> None:
    """Measure and print."""
    if sys.argv[1:2] == ["gateway"]:
        sys.exit(import_module("bench.gateway.command").main(sys.argv[2:]))
    if sys.argv[1:2] and sys.argv[1] in TABLES:
        module = import_module(TABLES[sys.argv.pop(1)])
        sys.exit(module.main())
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"any of {', '.join(PARTS)} (default: all)")
    arguments = parser.parse_args()
    print(f"Python {platform.python_version()}, {platform.system()} {platform.machine()}")
    for part in arguments.parts or PARTS:
        print(f"\n{part}")
        for figure in import_module(f"bench.{part}").figures():
            print(f"  {figure.line}", flush=True)


if __name__ == "__main__":
    main()
