"""Model facts: what the first look-up costs a fresh process in time and memory, and what a look-up and a cost take
then.

    python -m bench.facts [RUNS]

Each run is a process of its own, since only the first look-up reads the facts. The median and the worst are printed;
files are warm from the second run on.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import zlib
from pathlib import Path

FACTS = Path(__file__).resolve().parents[1] / "src" / "penstock" / "providers" / "facts" / "models.jsonl"

PROGRAM = """
import decimal, json, sys, time, timeit
import msgspec  # which everything of ours needs

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4

start, before = time.perf_counter(), resident()
from penstock.providers.facts import current_facts
from penstock.providers.cost import cost
from penstock.types.usage import Usage
imported, light = time.perf_counter(), resident()
prices = current_facts().prices("gpt-4o")
looked_up, full = time.perf_counter(), resident()

def each(function, number=5_000):
    return min(timeit.repeat(function, number=number, repeat=3)) / number * 1e6

usage = Usage(input_tokens=2006, cache_read_tokens=1920, output_tokens=300, reasoning_tokens=64)
facts = current_facts()
print(json.dumps({
    "import, ms": (imported - start) * 1e3,
    "import, MB": (light - before) / 1024,
    "first look-up, ms": (looked_up - imported) * 1e3,
    "first look-up, MB": (full - light) / 1024,
    "look-up by the exact name, us": each(lambda: facts.prices("gpt-4o")),
    "look-up by provider and name, us": each(lambda: facts.prices("gpt-4o", "azure")),
    "cost of four lines, us": each(lambda: cost(usage, prices)),
}))
"""

LIMITS = {"first look-up, ms": 30.0, "first look-up, MB": 15.0}


def measure(runs: int) -> dict[str, list[float]]:
    """Name of a figure -> its value in each run."""
    found: dict[str, list[float]] = {}
    for _ in range(runs):
        done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
        for name, value in json.loads(done.stdout).items():
            found.setdefault(name, []).append(value)
    return found


def main(arguments: list[str]) -> int:
    """Print the figures."""
    runs = int(arguments[0]) if arguments else 7
    text = FACTS.read_bytes()
    print(f"{FACTS.name}: {len(text):,} bytes, {len(zlib.compress(text, 9)):,} in a wheel")
    print(f"{'':36}{'median':>10}{'worst':>10}{'at most':>10}   ({runs} processes)")
    for name, values in measure(runs).items():
        limit = f"{LIMITS[name]:10.0f}" if name in LIMITS else f"{'':>10}"
        print(f"{name:36}{statistics.median(values):10.2f}{max(values):10.2f}{limit}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
