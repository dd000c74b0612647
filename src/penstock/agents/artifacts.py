"""Artifacts: what an agent hands out. Whatever lies in `FOLDER` when a turn ends is kept, and stands in the log.

The bytes are kept on the server under their SHA-256: what is there twice is kept once, a copy of the log (a fork) finds
them, and a turn that is run again after a crash keeps nothing twice. What the agent does with its file later changes
nothing. Names and bytes are the agent's: they become a path on this machine nowhere.
"""

from __future__ import annotations

import asyncio
import hashlib
import mimetypes
import os
import posixpath
import secrets
import tarfile
import tempfile
from collections.abc import AsyncIterator, Callable, Collection
from pathlib import Path
from typing import IO

from msgspec import Struct

from penstock.agents.errors import NotFound
from penstock.agents.events import Artifact, Draft, Error
from penstock.agents.sandboxes.driver import HOME, MIB, Export, NoSuchPath, Sandbox

FOLDER = f"{HOME}/artifacts"
VARIABLE = "PENSTOCK_ARTIFACTS"
"""Tells programs inside where that is."""
MOST_BYTES = 256 * MIB
MOST_FILES = 200
"""Of one turn."""
LONGEST_NAME = 500
_CHUNK = 1 << 16

Known = Collection[tuple[str, str]]
"""Names and digests of the artifacts that are in the log."""


class Kept(Struct, frozen=True):
    """A file whose bytes are kept."""

    name: str
    size: int
    sha256: str


class TooMuch(Exception):
    """The agent hands out more than is kept; the message says so."""


class Artifacts:
    """The bytes of artifacts, in a folder of the server's own (made when it is needed)."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def collected(self, sandbox: Sandbox, known: Known, new_id: Callable[[], str]) -> list[Draft]:
        """Keep what lies in the folder and is not in the log yet (`known`); returns the events to write. Raises
        SandboxError.
        """
        export = sandbox.get(FOLDER)
        try:
            kept, left_out = await self._kept(export)
        except NoSuchPath:
            return []
        except TooMuch as error:
            return [Error("artifacts_left_out", str(error), f"put less into {FOLDER}, or pack it")]
        made: list[Draft] = [_artifact(new_id(), each) for each in kept if (each.name, each.sha256) not in known]
        if left_out:
            shown = ", ".join(f"{name[:100]!r} ({why})" for name, why in left_out[:5])
            made.append(Error("artifacts_left_out", f"{len(left_out)} in {FOLDER} are not handed out: {shown}"))
        return made

    async def _kept(self, export: Export) -> tuple[list[Kept], list[tuple[str, str]]]:
        """Raises NoSuchPath, TooMuch."""
        await asyncio.to_thread(self._folder.mkdir, mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=self._folder) as spooled:
            size = 0
            async for chunk in export:
                size += len(chunk)
                if size > MOST_BYTES:
                    raise TooMuch(f"an agent may hand out {MOST_BYTES // MIB} MiB a turn; nothing of it is kept")
                await asyncio.to_thread(spooled.write, chunk)
            spooled.seek(0)
            kept, left_out = await asyncio.to_thread(self._unpacked, spooled)
        return kept, [*left_out, *export.left_out]

    def _unpacked(self, spooled: IO[bytes]) -> tuple[list[Kept], list[tuple[str, str]]]:
        """Raises TooMuch."""
        kept: list[Kept] = []
        left_out: list[tuple[str, str]] = []
        with tarfile.open(fileobj=spooled) as archive:
            for member in archive:
                name = member.name.removeprefix("./").encode("utf-8", "surrogateescape").decode("utf-8", "replace")
                found = archive.extractfile(member) if member.isreg() else None
                if found is not None and len(name) <= LONGEST_NAME:
                    kept.append(Kept(name, member.size, self._keep(found)))
                elif not member.isdir():
                    left_out.append((name, "no plain file" if found is None else "its name is too long"))
                if len(kept) > MOST_FILES:
                    raise TooMuch(f"an agent may hand out {MOST_FILES} files a turn; there are more")
        return kept, left_out

    def _keep(self, source: IO[bytes]) -> str:
        """Keep these bytes, durably; returns their digest."""
        fresh = self._folder / f".{secrets.token_hex(8)}"
        digest = hashlib.sha256()
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
            while chunk := source.read(_CHUNK):
                digest.update(chunk)
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._folder / digest.hexdigest())
        return digest.hexdigest()

    async def read(self, artifact: Artifact) -> AsyncIterator[bytes]:
        """An artifact's bytes. Raises NotFound."""
        try:
            file = await asyncio.to_thread((self._folder / artifact.sha256).open, "rb")
        except FileNotFoundError:
            raise NotFound("the bytes of this artifact are not here any more") from None
        with file:
            while chunk := await asyncio.to_thread(file.read, _CHUNK):
                yield chunk


async def make_folder(sandbox: Sandbox) -> None:
    """Make the folder, so that programs need not. Raises SandboxError."""

    async def chunks() -> AsyncIterator[bytes]:
        entry = tarfile.TarInfo(posixpath.basename(FOLDER))
        entry.type, entry.mode = tarfile.DIRTYPE, 0o755
        yield entry.tobuf() + bytes(2 * tarfile.BLOCKSIZE)

    await sandbox.put(chunks(), HOME)


def _artifact(id_: str, kept: Kept) -> Artifact:
    media_type = mimetypes.guess_type(kept.name)[0] or "application/octet-stream"
    return Artifact(id_, kept.name, kept.size, kept.sha256, media_type)
