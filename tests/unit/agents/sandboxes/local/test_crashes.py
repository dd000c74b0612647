"""kill -9 of the server at any instant: what it had made is adopted, what it was making is swept, nothing is left."""

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from penstock.agents.sandboxes.local import LocalDriver, cgroups
from penstock.agents.sandboxes.local.state import State
from tests.contract.sandboxes.driver import output_of
from tests.support.sandboxes import need_sandboxes, sandbox_folder

SERVER = """
import asyncio, sys
from pathlib import Path
from penstock.agents.sandboxes.driver import SandboxSpec
from penstock.agents.sandboxes.local import LocalDriver

async def alone(listeners):
    await asyncio.sleep(0.002)

async def main():
    driver = LocalDriver(Path(sys.argv[1]))
    number = 0
    while True:
        number += 1
        sandbox = await driver.create(SandboxSpec(id=f"s{number}", workspace=f"w{number}"), alone)
        await sandbox.exec(["sleep", "1000"])
        print(sandbox.handle, flush=True)
        if number % 3 == 0:
            await sandbox.snapshot(f"snap{number}")
            await sandbox.destroy()
            print("gone " + sandbox.handle, flush=True)

asyncio.run(main())
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    need_sandboxes()
    with sandbox_folder() as found:
        yield found


def leftovers(folder: Path) -> set[str]:
    state = State(folder, as_root=os.geteuid() == 0)
    place = cgroups.probe(f"penstock-{state.instance}")
    inside = {home for home in {*place.homes.values()} if (home / "cgroup.procs").read_text()}
    groups = cgroups.names(place)
    cgroups.leave(place)
    return {*map(str, state.marked()), *groups, *map(str, (folder / "run").glob("*")), *map(str, inside)}


@pytest.mark.parametrize("number", range(6))
def test_a_killed_server_loses_and_leaves_nothing(folder: Path, number: int) -> None:
    pause = random.Random(number).uniform(0.2, 1.2)  # the seed is the case's name: what failed can be run again
    server = subprocess.Popen([sys.executable, "-c", SERVER, str(folder)], stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    first = server.stdout.readline().strip()
    time.sleep(pause)
    server.send_signal(signal.SIGKILL)
    said = [first, *server.stdout.read().splitlines()]
    server.wait()
    server.stdout.close()
    gone = {line.removeprefix("gone ") for line in said if line.startswith("gone ")}
    told = [line for line in said if line.startswith("{") and line.endswith("}") and line not in gone]

    async def after() -> None:
        driver = LocalDriver(folder)
        kept = told[:-1] if len(told) > 1 else told  # the last may have been on its way to its end
        await driver.sweep(keep=kept)
        assert sorted(await driver.living()) == sorted(kept)
        for handle in kept:
            found = await driver.adopt(handle)
            assert found is not None
            assert await output_of(found, "echo lives") == "lives\n"
            assert (await found.stats()).processes == 1  # the program that it ran is still there
        for handle in kept:
            found = await driver.adopt(handle)
            assert found is not None
            await found.destroy(workspace=True)
        assert await driver.sweep(keep=[]) == []
        await driver.close()

    asyncio.run(after())
    assert leftovers(folder) == set()


def test_a_pid_that_somebody_else_has_now_is_not_taken_for_the_sandbox(folder: Path) -> None:
    async def run() -> None:
        from tests.contract.sandboxes.driver import alone, specification

        driver = LocalDriver(folder)
        made = await driver.create(specification(), alone)
        handle, token = made.handle, made.record.token
        await driver.close()
        record = (folder / "run" / token / "record").read_bytes()
        for before, after in ((f'"pid":{made.record.pid}', f'"pid":{os.getpid()}'), (made.record.boot, "x" * 36)):
            driver = LocalDriver(folder)
            (folder / "run" / token / "record").write_bytes(record.replace(before.encode(), after.encode()))
            assert await driver.adopt(handle.replace(before, after)) is None
            assert list(await driver.living()) == []
            await driver.close()
        (folder / "run" / token / "record").write_bytes(record)
        driver = LocalDriver(folder)
        assert await driver.sweep(keep=[]) != []
        await driver.close()

    asyncio.run(run())
    assert leftovers(folder) == set()


def test_the_helper_is_started_again_when_it_died(folder: Path) -> None:
    async def run() -> None:
        from tests.contract.sandboxes.driver import alone, specification

        driver = LocalDriver(folder)
        made = await driver.create(specification(), alone)
        process = await made.exec(["sleep", "1000"])
        assert driver.forks.pid is not None
        os.kill(driver.forks.pid, signal.SIGKILL)
        assert (await process.wait()).reason == "helper_lost"
        assert await output_of(made, "echo lives") == "lives\n"
        await made.destroy()
        await driver.close()

    asyncio.run(run())
    assert leftovers(folder) == set()


def test_two_servers_do_not_share_a_folder(folder: Path) -> None:
    async def run() -> None:
        first, second = LocalDriver(folder), LocalDriver(folder)
        await first.living()
        with pytest.raises(Exception, match="another process"):
            await second.living()
        await first.close()
        assert list(await second.living()) == []
        await second.close()

    asyncio.run(run())
