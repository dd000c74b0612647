"""Where sandboxes of tests keep their state, and whether this machine can have any."""

import asyncio
import contextlib
import functools
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from penstock.agents.sandboxes.local import LocalDriver
from tests.support.needs import in_ci, need


def need_sandboxes() -> None:
    """Skip where the machine has no bubblewrap, no namespaces, or is no Linux; fail in CI, where it must be able."""
    if sys.platform != "linux":
        pytest.skip("only on Linux")
    need(command="bwrap", hint="apt-get install bubblewrap")
    need(module="pyseccomp", hint="pip install pyseccomp; apt-get install libseccomp2")
    if refused := _refused():
        (pytest.fail if in_ci() else pytest.skip)(f"this machine allows no namespaces: {refused}")


@functools.cache
def _refused() -> str:
    """What bubblewrap says where the machine lets nobody make namespaces; "" where it does."""
    command = ["bwrap", "--unshare-user", "--unshare-net", "--unshare-pid", "--ro-bind", "/", "/", "true"]
    done = subprocess.run(command, capture_output=True, text=True)
    return "" if done.returncode == 0 else done.stderr.strip() or f"status {done.returncode}"


@contextlib.contextmanager
def sandbox_folder() -> Iterator[Path]:
    """A folder for a driver's state. Not pytest's own, which sandboxes' users cannot enter. What a test has left
    running in it is ended: sandboxes outlive whoever made them.
    """
    parent = Path(tempfile.mkdtemp(prefix="penstock-sandboxes-"))
    parent.chmod(0o711)
    try:
        yield parent / "state"
    finally:
        end_sandboxes(parent)
        shutil.rmtree(parent, ignore_errors=True)


def end_sandboxes(folder: Path) -> None:
    """End every local sandbox whose state is somewhere in this folder."""
    roots = [run.parent for depth in ("run", "*/run", "*/*/run") for run in folder.glob(depth) if any(run.iterdir())]
    if roots:
        sweeping = threading.Thread(target=lambda: asyncio.run(_swept(roots)))  # a test may have a loop of its own
        sweeping.start()
        sweeping.join()


async def _swept(roots: Sequence[Path]) -> None:
    for root in roots:
        driver = LocalDriver(root)
        try:
            await driver.sweep(())
        finally:
            await driver.close()
