"""The contract of drivers, kept by the local driver: with what this host gives, and without control groups."""

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest

from penstock.agents.sandboxes.driver import Driver
from penstock.agents.sandboxes.local import LocalDriver, cgroups
from penstock.agents.sandboxes.local.state import State
from tests.contract.sandboxes.driver import DriverContract
from tests.support.sandboxes import need_sandboxes, sandbox_folder


class TestLocal(DriverContract):
    """With cgroups, where the host gives them."""

    groups = True

    @pytest.fixture(autouse=True)
    def _folder(self) -> Iterator[None]:
        need_sandboxes()
        with sandbox_folder() as folder:
            self.folder = folder
            yield

    def new_driver(self) -> AbstractAsyncContextManager[Driver]:
        @asynccontextmanager
        async def made() -> AsyncIterator[Driver]:
            driver = LocalDriver(self.folder, groups=self.groups)
            try:
                yield driver
            finally:
                await driver.close()

        return made()

    def host_sees(self) -> set[str]:
        state = State(self.folder, as_root=os.geteuid() == 0)
        place = cgroups.probe(f"penstock-{state.instance}")
        found = {f"process {pid}" for pid in state.marked()} | {f"group {name}" for name in cgroups.names(place)}
        for home in {*place.homes.values(), *([place.unified] if place.unified else [])}:
            found |= {str(home)} if (home / "cgroup.procs").read_text() else set()
        cgroups.leave(place)
        return found | {str(path) for path in (self.folder / "run").glob("*")}


class TestLocalWithoutGroups(TestLocal):
    """As on a host, or for a user, that has no cgroups: rlimits and watching."""

    groups = False
