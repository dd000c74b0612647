"""Taking turns: of all vaults over one store, one at a time renews a login.

A refresh token that its service replaces may be shown once; shown twice, by two vaults that know nothing of each other,
it looks stolen, and the service ends the login. Whoever renews a secret holds a lock (`flock`) on a file of its own in
the store's directory, and reads the store again when it has it. The kernel lets go of it when its process dies, however
it dies. The files are empty, are named by a hash, and stay: to remove one that somebody waits for would make two locks.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from penstock.vault.values import Refusal

FOLDER = "turns"
WAIT_SECONDS = 75.0
"""How long one waits: more than a call to a token endpoint may take, names, addresses and answer together."""
LOOK_SECONDS = 0.02
"""How often one looks whether the lock is free: a thread that waits in the kernel could not be cancelled."""


@asynccontextmanager
async def turn(directory: Path, owner: str, name: str) -> AsyncIterator[None]:
    """Wait for our turn with a secret, and hold it.

    Args:
        directory: of the store; a folder is made in it.
        owner: whose the secret is.
        name: the secret's.

    Raises:
        Refusal: `token_unavailable` (503): another vault holds it too long.
        OSError: the file cannot be made.
    """
    handle = _open(directory / FOLDER, owner, name)
    try:
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await _lock(handle)
        except TimeoutError:
            raise _blocked(name) from None
        yield
    finally:
        os.close(handle)  # and with it the lock


def _open(folder: Path, owner: str, name: str) -> int:
    folder.mkdir(mode=0o700, exist_ok=True)
    path = folder / hashlib.sha256(f"{owner}\0{name}".encode()).hexdigest()[:32]
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)


async def _lock(handle: int) -> None:
    while True:
        try:
            return fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            await asyncio.sleep(LOOK_SECONDS)


def _blocked(name: str) -> Refusal:
    reason = f"Another vault has been renewing the secret {name!r} for more than {WAIT_SECONDS:.0f} seconds."
    fix = "Try again; if it stays so, look for a stopped process of Penstock."
    return Refusal("token_unavailable", reason, fix=fix, status=503)
