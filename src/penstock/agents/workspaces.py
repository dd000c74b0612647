"""The files of sessions (`ports.Files`): tars in and out, and what has changed, as a patch.

Everything happens inside of a sandbox, as the agent's user: the session's own, or, where it is suspended or over, one
that is made for the moment and has no way out. So no path, no link and no git configuration that an agent has written
can mean anything on this machine.
"""

from __future__ import annotations

import asyncio
import contextlib
import posixpath
import secrets
import tarfile
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

from penstock.agents.artifacts import Artifacts
from penstock.agents.errors import Conflict, NotFound
from penstock.agents.events import Artifact
from penstock.agents.homes import check_home
from penstock.agents.machine import UP
from penstock.agents.sandboxes.driver import (
    WORKSPACE,
    Driver,
    Identity,
    Listener,
    NoSuchPath,
    Sandbox,
    SandboxSpec,
)
from penstock.agents.types import Session

DIFF = """
set -e
export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null GIT_OPTIONAL_LOCKS=0 GIT_TERMINAL_PROMPT=0
index=$(mktemp)
trap 'rm -f "$index"' EXIT
marked() { git rev-parse --verify -q refs/penstock/base 2>/dev/null || git rev-parse --verify -q HEAD 2>/dev/null; }
empty=
if base=$(marked); then rm -f "$index"
else
  work=$(mktemp -d); trap 'rm -rf "$work" "$index"' EXIT
  rm -f "$index"; git init -q "$work/.git.d" >/dev/null
  empty=yes
  export GIT_DIR="$work/.git.d/.git" GIT_WORK_TREE="$PWD"
  base=$(git hash-object -t tree -w --stdin </dev/null)
fi
GIT_INDEX_FILE="$index"; export GIT_INDEX_FILE
[ "$empty" ] || git read-tree "$base"
git -c core.fsmonitor=false -c core.hooksPath=/dev/null add -A .
git -c core.fsmonitor=false diff --cached --binary --no-ext-diff --no-textconv --no-color --src-prefix=a/ --dst-prefix=b/ "$base"
"""  # noqa: E501  # a shell's lines
"""Run inside: the workspace against how it was marked (cli/cloning.py), else against its last commit, or against
nothing where it is no repository. It writes nothing into the workspace's own index.
"""
CHUNK = 65536
KEPT = 4000


class Workspaces:
    """The files of sessions.

    Args:
        driver: makes sandboxes for workspaces that have none at the moment.
        sandbox: the sandbox of a session that is up.
        artifacts: has what agents have handed out.
        image: the image that a session's environment names; "": the driver's own.
    """

    def __init__(
        self,
        driver: Driver,
        sandbox: Callable[[str], Sandbox | None],
        artifacts: Artifacts,
        image: Callable[[Session], Awaitable[str]],
    ) -> None:
        self._driver = driver
        self._sandbox = sandbox
        self._artifacts = artifacts
        self._image = image
        self._locks: dict[str, asyncio.Lock] = {}

    async def archive(self, session: Session, path: str) -> AsyncIterator[bytes]:
        """This file or folder as a tar. Raises NotFound, Conflict."""
        async with self._in(session) as sandbox:
            try:
                async for chunk in sandbox.get(_inside(path)):
                    yield chunk
            except NoSuchPath as error:
                raise NotFound(error.message, fix=error.fix) from None

    async def unpack(self, session: Session, path: str, body: AsyncIterator[bytes]) -> int:
        """Unpack a tar into this folder; returns how many files it were. Raises Invalid, NotFound, Conflict."""
        counted = _Counting(body)
        async with self._in(session) as sandbox:
            try:
                await sandbox.put(counted.chunks(), _inside(path))
            except NoSuchPath as error:
                raise NotFound(error.message, fix=error.fix) from None
        return counted.files

    async def diff(self, session: Session) -> AsyncIterator[bytes]:
        """What changed in the workspace since its last commit, or since it was empty, as a patch for `git apply`."""
        async with self._in(session) as sandbox:
            async for chunk in patch_of(sandbox):
                yield chunk

    def artifact(self, session: Session, artifact: Artifact) -> AsyncIterator[bytes]:
        """An artifact's bytes, as they were when it was handed out. Raises NotFound."""
        return self._artifacts.read(artifact)

    @contextlib.asynccontextmanager
    async def _in(self, session: Session) -> AsyncIterator[Sandbox]:
        """A sandbox on the session's workspace. Raises Conflict where it has none yet."""
        async with self._locks.setdefault(session.id, asyncio.Lock()):
            own = self._sandbox(session.id)
            if own is not None:
                yield own
                return
            check_home(session, self._driver.kind)
            if session.state in UP or session.last_event < 3:
                raise Conflict("this session has no workspace at present", fix="try again when it is up")
            spec = SandboxSpec(
                id=f"files-{secrets.token_hex(8)}", workspace=session.id, image=await self._image(session)
            )
            made = await self._driver.create(spec, _no_way_out)
            try:
                yield made
            finally:
                await made.destroy()


async def patch_of(sandbox: Sandbox) -> AsyncIterator[bytes]:
    """What changed in the workspace of a sandbox that is up, as a patch. Raises Conflict: git cannot tell."""
    process = await sandbox.exec(["sh", "-c", DIFF])
    errors = asyncio.ensure_future(_last(process.read_error))
    while chunk := await process.read(CHUNK):
        yield chunk
    said, ended = await asyncio.gather(errors, process.wait())
    if ended.status != 0:
        raise Conflict(f"git cannot compare the workspace: {said.decode('utf-8', 'replace').strip()}")


async def _no_way_out(listeners: Sequence[Listener]) -> Identity | None:
    """Attach to nothing."""
    return None


def _inside(path: str) -> str:
    """The path in the sandbox. A leading `/workspace` or none is the same; what leads out is the driver's to refuse."""
    if path == WORKSPACE or path.startswith(f"{WORKSPACE}/"):
        return path
    return WORKSPACE if path in (".", "", "/") else posixpath.join(WORKSPACE, path.removeprefix("./"))


async def _last(read: Callable[[], object]) -> bytes:
    kept = b""
    while data := await read():  # type: ignore[misc]
        kept = (kept + data)[-KEPT:]
    return kept


class _Counting:
    """Counts the members of a tar as it goes by: headers are blocks of 512 bytes that say how much follows."""

    def __init__(self, body: AsyncIterator[bytes]) -> None:
        self._body = body
        self.files = 0
        self._skip = 0
        self._block = bytearray()

    async def chunks(self) -> AsyncIterator[bytes]:
        """The same chunks."""
        async for chunk in self._body:
            self._look(chunk)
            yield chunk

    def _look(self, chunk: bytes) -> None:
        at = 0
        while at < len(chunk):
            if self._skip:
                step = min(self._skip, len(chunk) - at)
                self._skip -= step
            else:
                step = min(512 - len(self._block), len(chunk) - at)
                self._block += chunk[at : at + step]
                if len(self._block) == 512:
                    self._header(bytes(self._block))
                    self._block.clear()
            at += step

    def _header(self, block: bytes) -> None:
        with contextlib.suppress(tarfile.HeaderError):
            member = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
            self._skip = -(-member.size // 512) * 512 if member.isreg() or block[156:157] in b"xgLK" else 0
            self.files += member.isreg()
