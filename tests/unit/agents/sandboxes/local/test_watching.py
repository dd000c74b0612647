"""The limits that nobody but the driver holds: the disk, the clock; and what it says when they are passed."""

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from penstock.agents.sandboxes.driver import MIB, Exit, File, InvalidSpec, Limits, Mount, NotRunning, Trouble
from penstock.agents.sandboxes.local import LocalDriver
from penstock.agents.sandboxes.local import sandbox as sandboxes
from penstock.agents.sandboxes.local.sandbox import LocalSandbox
from tests.contract.sandboxes.driver import alone, output_of, shell, specification
from tests.support.sandboxes import need_sandboxes, sandbox_folder


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    need_sandboxes()
    monkeypatch.setattr(sandboxes, "LOOKING", 0.1)
    with sandbox_folder() as found:
        yield found


@asynccontextmanager
async def watched(folder: Path, **fields: Any) -> AsyncIterator[tuple[LocalSandbox, list[Trouble]]]:
    heard: list[Trouble] = []
    driver = LocalDriver(folder, on_trouble=lambda sandbox, trouble: heard.append(trouble))
    made = await driver.create(specification(**fields), alone)
    try:
        yield made, heard
    finally:
        await made.destroy()
        await driver.close()


@pytest.mark.parametrize("hidden", ["", "mkdir -p d/e; cd d/e; ", "mkdir -p d/e; (sleep 1; chmod 0 d) & cd d/e; "])
def test_a_full_disk_ends_the_programs_and_keeps_the_sandbox(folder: Path, hidden: str) -> None:
    async def run() -> None:
        async with watched(folder, limits=Limits(disk=4 * MIB)) as (sandbox, heard):
            script = f"{hidden} i=0; while :; do head -c 1000000 /dev/zero > f$i; i=$((i+1)); done"
            process = await sandbox.exec(["/bin/sh", "-c", script])
            assert await process.wait() == Exit(None, signal.SIGKILL, "disk_quota")
            assert {trouble.reason for trouble in heard} == {"disk_quota"} and "4194304" in heard[0].detail
            assert sandbox.troubles[0] == heard[0]
            while (await shell(sandbox, "rm -rf f* d"))[0] != 0:  # whoever watches may look once more meanwhile
                pass
            assert (await sandbox.stats()).disk < 4 * MIB
            assert await output_of(sandbox, "echo lives") == "lives\n"

    asyncio.run(run())


def test_folders_too_deep_to_be_measured_count_as_too_much(folder: Path) -> None:
    async def run() -> None:
        async with watched(folder) as (sandbox, heard):
            script = "i=0; while [ $i -lt 500 ]; do mkdir d && cd d; i=$((i+1)); done; while :; do :; done"
            process = await sandbox.exec(["/bin/sh", "-c", script])
            assert (await process.wait()).reason == "disk_quota"
            assert "deep" in heard[0].detail

    asyncio.run(run())


def test_time_ends(folder: Path) -> None:
    async def run() -> None:
        async with watched(folder, limits=Limits(wall=0.5)) as (sandbox, heard):
            process = await sandbox.exec(["sleep", "1000"])
            assert await process.wait() == Exit(None, signal.SIGKILL, "wall_clock")
            assert [trouble.reason for trouble in heard] == ["wall_clock"]
            with pytest.raises(NotRunning, match="time is over"):
                await sandbox.exec(["true"])

    asyncio.run(run())


def test_an_environment_is_built_in_one_sandbox_and_read_in_another(folder: Path) -> None:
    async def run() -> None:
        driver = LocalDriver(folder)
        with pytest.raises(InvalidSpec, match="no environment"):
            await driver.create(specification(mounts=(Mount("tools", "/opt/env"),)), alone)
        builder = await driver.create(specification(mounts=(Mount("tools", "/opt/env", writable=True),)), alone)
        await output_of(builder, "echo '#!/bin/sh\necho tool' > /opt/env/tool; chmod 755 /opt/env/tool")
        await builder.destroy()
        user = await driver.create(
            specification(id="two", workspace="two", mounts=(Mount("tools", "/opt/env"),)), alone
        )
        assert await output_of(user, "/opt/env/tool") == "tool\n"
        assert (await shell(user, "echo x > /opt/env/tool"))[0] != 0
        await user.destroy()
        await driver.forget(environment="tools")
        await driver.close()

    asyncio.run(run())


def test_what_was_placed_is_closed_to_others_on_the_host(folder: Path) -> None:
    async def run() -> None:
        async with watched(folder, files={"/etc/x": File(b"stub", 0o644)}) as (sandbox, _):
            here = Path(sandbox.record.files["/etc/x"])
            assert here.stat().st_mode & 0o007 == 0  # noqa: ASYNC240 (a file of this machine)
            record = folder / "run" / sandbox.record.token / "record"
            assert record.stat().st_mode & 0o077 == 0
            assert b"stub" not in record.read_bytes()

    asyncio.run(run())
