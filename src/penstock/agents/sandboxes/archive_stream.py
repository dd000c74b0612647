"""A tar archive read by a thread while it still comes."""

from __future__ import annotations

import asyncio
import os
import tarfile
from collections.abc import Callable

from penstock.agents.sandboxes.driver import Export

CHUNK = 256 * 1024


async def read_through(export: Export, read: Callable[[tarfile.TarFile], None]) -> None:
    """Have a thread read an archive as it comes.

    Raises:
        SandboxError, OSError: what went wrong on either side, the sender's first.
    """
    source, sink = os.pipe2(os.O_CLOEXEC)
    reading = asyncio.ensure_future(asyncio.to_thread(_read_archive, source, read))
    try:
        await _send(export, sink)
    finally:
        os.close(sink)
        await asyncio.wait([reading])
    await reading


async def _send(export: Export, sink: int) -> None:
    readable = True
    async for chunk in export:
        view = memoryview(chunk)
        while view and readable:
            try:
                view = view[await asyncio.to_thread(os.write, sink, view) :]
            except BrokenPipeError:
                readable = False  # the reader says why


def _read_archive(source: int, read: Callable[[tarfile.TarFile], None]) -> None:
    with os.fdopen(source, "rb") as file:
        with tarfile.open(fileobj=file, mode="r|", errorlevel=1) as members:
            read(members)
        while file.read(CHUNK):
            pass  # what follows an archive's end
