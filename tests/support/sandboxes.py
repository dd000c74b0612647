"""Where sandboxes of tests keep their state, and whether this machine can have any."""

import contextlib
import functools
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

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
    """A folder for a driver's state. Not pytest's own, which sandboxes' users cannot enter."""
    parent = Path(tempfile.mkdtemp(prefix="penstock-sandboxes-"))
    parent.chmod(0o711)
    try:
        yield parent / "state"
    finally:
        shutil.rmtree(parent, ignore_errors=True)
