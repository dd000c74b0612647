"""`python -m bench [PART ...]`: print the figures of all parts, or of those named."""

from __future__ import annotations

import argparse
import platform
from importlib import import_module

PARTS = ("imports", "calls", "streams", "wheel")


def main() -> None:
    """Measure and print."""
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
