"""What an image has: a program, and where it looks for programs. Seen by looking inside, in a sandbox of its own."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from msgspec import Struct

from penstock.agents.sandboxes.driver import Driver, Listener, SandboxSpec

LOOK = 'printf %s "$PATH"; command -v -- "$0" >/dev/null'


class Seen(Struct, frozen=True):
    """What was seen of a system: whether it has a program, and its PATH ("": this machine's)."""

    has_program: bool
    path: str = ""


async def look_inside(driver: Driver, image: str, program: str) -> Seen:
    """Look for the PATH and a program ("": none, and none is found) in an image. Raises SandboxError."""
    name = f"look-{secrets.token_hex(8)}"
    sandbox = await driver.create(SandboxSpec(id=name, workspace=name, image=image), _no_way_out)
    try:
        process = await sandbox.exec(["sh", "-c", LOOK, program])
        path = b""
        while data := await process.read():
            path += data
        found = (await process.wait()).status == 0
    finally:
        await sandbox.destroy(workspace=True)
    return Seen(bool(program) and found, path.decode("utf-8", "replace"))


async def _no_way_out(listeners: Sequence[Listener]) -> None:
    """Attach to nothing: looking needs no network."""
