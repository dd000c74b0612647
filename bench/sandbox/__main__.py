"""`python -m bench.sandbox [--runs N]`: prints a table of times (milliseconds) and memory of local sandboxes.

Each run makes a sandbox, runs `/bin/true` in it, and ends it. "warm" claims one that waits. Memory is what an idle
sandbox has beside programs, as its group counts it (kernel memory too), and as the shares of its processes (PSS).
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from penstock.agents.sandboxes.driver import Listener, Sandbox, SandboxSpec
from penstock.agents.sandboxes.local import LocalDriver, usage
from penstock.agents.sandboxes.pool import Pool


async def alone(listeners: Sequence[Listener]) -> None:
    """Nobody listens."""


class Times:
    """Named samples, in milliseconds."""

    def __init__(self) -> None:
        self._samples: dict[str, list[float]] = {}
        self._began = 0.0

    def start(self) -> None:
        self._began = time.perf_counter()

    def stop(self, name: str) -> None:
        self._samples.setdefault(name, []).append((time.perf_counter() - self._began) * 1000)

    def show(self) -> None:
        print(f"{'what':38} {'p50':>8} {'p90':>8} {'max':>8}  ms")
        for name, found in self._samples.items():
            found.sort()
            print(f"{name:38} {statistics.median(found):8.1f} {found[int(len(found) * 0.9)]:8.1f} {found[-1]:8.1f}")


async def run_true(sandbox: Sandbox) -> None:
    assert (await (await sandbox.exec(["/bin/true"])).wait()).status == 0


async def cold(driver: LocalDriver, times: Times, runs: int) -> None:
    for number in range(runs):
        times.start()
        sandbox = await driver.create(SandboxSpec(id="b", workspace=f"cold{number}"), alone)
        await run_true(sandbox)
        times.stop("create to first exec, cold")
        times.start()
        await run_true(sandbox)
        times.stop("one more exec")
        await sandbox.exec(["sleep", "1000"])
        times.start()
        await sandbox.suspend()
        times.stop("suspend")
        times.start()
        await sandbox.resume()
        times.stop("resume")
        times.start()
        await sandbox.destroy()
        times.stop("destroy")


async def warm(driver: LocalDriver, times: Times, runs: int) -> None:
    pool = Pool(driver, SandboxSpec(id="t", workspace="t"), 2)
    pool.start()
    for number in range(runs):
        await pool.full()
        times.start()
        sandbox = await pool.claim(SandboxSpec(id="w", workspace=f"warm{number}"), alone)
        await run_true(sandbox)
        times.stop("claim to first exec, warm")
        await sandbox.destroy()
    await pool.close()


async def memory(driver: LocalDriver) -> None:
    made = [await driver.create(SandboxSpec(id="m", workspace=f"memory{number}"), alone) for number in range(10)]
    for sandbox in made:
        await run_true(sandbox)
    groups = [(await sandbox.stats()).memory for sandbox in made]
    shares = [sum(usage.share(pid) for pid in (one.record.pid, one.record.monitor)) for one in made]
    print(
        f"idle memory, MiB: group {statistics.median(groups) / 2**20:.2f}, PSS {statistics.median(shares) / 2**20:.2f}"
    )
    for sandbox in made:
        await sandbox.destroy()


async def measured(runs: int) -> None:
    with tempfile.TemporaryDirectory(prefix="penstock-bench-") as folder:
        Path(folder).chmod(0o711)  # noqa: ASYNC240
        driver, times = LocalDriver(Path(folder) / "state"), Times()
        await cold(driver, Times(), 2)
        await cold(driver, times, runs)
        await warm(driver, times, runs)
        times.show()
        await memory(driver)
        await driver.close()


def main() -> None:
    """`python -m bench sandbox [--runs N]`."""
    parser = argparse.ArgumentParser(prog="python -m bench sandbox", description=__doc__)
    parser.add_argument("--runs", type=int, default=30)
    asyncio.run(measured(parser.parse_args().runs))


if __name__ == "__main__":
    main()
