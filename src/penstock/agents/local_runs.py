"""Where single runs on this machine keep their sandboxes: a folder for each, so that many can be under way at once.

    ROOT/lock          held while a run begins, and looks after those whose process was killed
    ROOT/ID/           the driver's state of one run; its lock tells whether the run lives
    ROOT/ID/driver     which driver it is, and what that was told
    ROOT/ID/folder     the user's folder that it works on a copy of; absent where there is none
    ROOT/ID/kept       somebody was told of this copy: it is his, and nothing removes it

A run that ends leaves nothing. One whose process was killed is ended by the next run; if it worked on a copy of a
folder, the copy stays, for it holds work that is nowhere else.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from penstock.agents.sandboxes.driver import SandboxError
from penstock.agents.sandboxes.local import LocalDriver, trees
from penstock.agents.sandboxes.registry import Choice, made


class Kept(msgspec.Struct, frozen=True):
    """A copy that was not brought back: the user's folder, and where the copy is."""

    folder: str
    copy: str


class LocalRuns:
    """The runs below one folder.

    Args:
        root: made where it is not there. As root, sandboxes' users must be able to enter it.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    async def begin(
        self,
        id: str,
        folder: Path | None,
        choice: Choice = Choice(),  # noqa: B008  # frozen
    ) -> tuple[LocalDriver, list[Kept]]:
        """Return the driver of a new run (on an absolute `folder`), and what killed runs have left for their users.

        Raises:
            SandboxError: the driver cannot be had, or the folder cannot be used; says why.
        """
        driver = made(self._root / id, choice)
        self._root.mkdir(parents=True, exist_ok=True)
        self._root.chmod(0o711 if os.geteuid() == 0 else 0o700)
        with self._locked():
            kept = [found for each in self._others() if (found := await self._sweep(each)) is not None]
            driver.state.open()
            (self._root / id / "driver").write_bytes(msgspec.json.encode(choice))
            if folder is not None:
                (self._root / id / "folder").write_bytes(os.fsencode(folder))
        return driver, kept

    async def finish(self, id: str, driver: LocalDriver, *, keep: bool) -> Kept | None:
        """Remove what a run has left, or keep its copy; its sandbox has been destroyed."""
        await driver.close()
        if keep:
            return self._keep(self._root / id)
        trees.remove(self._root / id)
        return None

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        handle = os.open(self._root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def _others(self) -> list[Path]:
        return [each for each in sorted(self._root.iterdir()) if each.is_dir() and not (each / "kept").exists()]

    async def _sweep(self, run: Path) -> Kept | None:
        """End a run whose process is gone. None: it lives, or has left nothing that anybody misses."""
        driver = made(run, _choice_of(run))
        try:
            await driver.sweep(())
        except SandboxError:
            return None  # it is somebody's who lives; or its engine does not answer now
        finally:
            await driver.close()
        if (run / "folder").exists():
            return self._keep(run)
        trees.remove(run)
        return None

    def _keep(self, run: Path) -> Kept | None:
        copy = next((run / "workspaces").glob("*/work"), None)
        if copy is None or not any(copy.iterdir()):
            trees.remove(run)
            return None
        (run / "kept").touch()
        return Kept(os.fsdecode((run / "folder").read_bytes()), str(copy))


def _choice_of(run: Path) -> Choice:
    """Which driver made what is there. A run that was killed before it said so has made nothing yet."""
    try:
        return msgspec.json.decode((run / "driver").read_bytes(), type=Choice)
    except (FileNotFoundError, msgspec.DecodeError):
        return Choice()
