"""A user's folder in and out of a sandbox: copied in as it is, and what the program changed copied back with care.

How it comes back is said in bringing.py.
"""

from __future__ import annotations

import asyncio
import os
import stat
import tarfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

from penstock.agents.bringing import MANY_LEFT_OUT, Bringing, Brought, Survey
from penstock.agents.held_files import CHUNK, Facts, Parts
from penstock.agents.sandboxes.archive import stays_below
from penstock.agents.sandboxes.archive_stream import read_through
from penstock.agents.sandboxes.driver import Export

__all__ = ["CHUNK", "MANY_LEFT_OUT", "Brought", "Folder"]

BLOCK = tarfile.BLOCKSIZE


class Folder:
    """One folder of a user, out and back.

    Args:
        path: a folder, or a link to one.
    """

    def __init__(self, path: Path) -> None:
        self.path = self._top = path.resolve()
        self._packed: dict[Parts, Facts] = {}
        self.not_packed: list[tuple[str, str]] = []

    # -- out ------------------------------------------------------------------------------------------------------

    async def pack(self) -> AsyncIterator[bytes]:
        """Give the folder as a tar archive. Sockets, devices, links that lead out of it, and what cannot be read are
        left out (`not_packed`). Several names of one file become several files.
        """
        for parts in self._names():
            for data in self._member(parts):
                yield data
                await asyncio.sleep(0)
        yield bytes(2 * BLOCK)

    def _names(self) -> Iterator[Parts]:
        for folder, folders, files in os.walk(self._top, onerror=self._cannot_list):
            for name in sorted((*folders, *files)):
                yield Path(folder, name).relative_to(self._top).parts

    def _cannot_list(self, error: OSError) -> None:
        name = Path(os.fsdecode(error.filename)).relative_to(self._top).as_posix()
        self.not_packed.append((name, error.strerror or "it cannot be read"))

    def _member(self, parts: Parts) -> Iterator[bytes]:
        path = self._top.joinpath(*parts)
        try:
            facts = path.lstat()
            if stat.S_ISREG(facts.st_mode):
                yield from self._file(path, parts)
            elif stat.S_ISDIR(facts.st_mode):
                yield self._header(parts, facts, tarfile.DIRTYPE)
            elif stat.S_ISLNK(facts.st_mode) and stays_below(parts, target := str(path.readlink())):
                yield self._header(parts, facts, tarfile.SYMTYPE, target)
            else:
                self.not_packed.append(("/".join(parts), "a link that leads out, or no file at all"))
        except OSError as error:
            self.not_packed.append(("/".join(parts), error.strerror or str(error)))

    def _file(self, path: Path, parts: Parts) -> Iterator[bytes]:
        """Give a file with the size that its header says, though it may grow or shrink meanwhile."""
        opened = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(opened, "rb") as file:
            facts = os.fstat(opened)
            if not stat.S_ISREG(facts.st_mode):
                return
            yield self._header(parts, facts, tarfile.REGTYPE)
            left = facts.st_size
            while left > 0:
                data = file.read(min(CHUNK, left)) or bytes(min(CHUNK, left))
                left -= len(data)
                yield data
            yield bytes(-facts.st_size % BLOCK)

    def _header(self, parts: Parts, facts: os.stat_result, kind: bytes, target: str = "") -> bytes:
        info = tarfile.TarInfo("/".join(parts))
        info.type, info.linkname = kind, target
        info.mode, info.mtime = stat.S_IMODE(facts.st_mode) & 0o777, int(facts.st_mtime)
        info.size = facts.st_size if kind == tarfile.REGTYPE else 0
        self._packed[parts] = Facts.of(facts)
        return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")

    # -- back -----------------------------------------------------------------------------------------------------

    async def unpack(self, export: Callable[[], Export]) -> Brought:
        """Write what changed.

        Args:
            export: packs the sandbox's folder, in which nothing runs any more. It is read twice: what there is, and
                then what is in it.

        Raises:
            SandboxError: the archive could not be made whole, or is none that the sandbox's driver makes.
            OSError: something cannot be written; what was written until then is there, and nothing was removed.
        """
        survey = Survey()
        listing = export()
        await read_through(listing, survey.read)
        bringing = Bringing(self._top, self._packed, survey, listing.left_out)
        await read_through(export(), bringing.read)
        await asyncio.to_thread(bringing.remove)
        return bringing.brought
