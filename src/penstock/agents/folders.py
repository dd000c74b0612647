"""A user's folder in and out of a sandbox: copied in as it is, and what the program changed copied back with care.

What comes back was written by a program that nobody trusts, into a folder that other programs will read. So:

- Nothing is written through a symbolic link, and nothing outside of the folder.
- Of a git repository only what git keeps data in comes back, never what it executes or obeys (hooks, config, a `.git`
  that points elsewhere). What editors and shells act on by themselves is named, so that somebody looks at it first.
- A file that its user has changed meanwhile stays as he left it, and so does what was never copied in.
- First everything is written, each file beside the old one and then put in its place; only then is removed what the
  program removed. What could not be read in the sandbox counts as there, not as removed.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import stat
import tarfile
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from typing import IO

import msgspec

from penstock.agents.repositories import GIT, is_packed_by_git, may_vanish, refused_part, repositories
from penstock.agents.sandboxes.archive import check_member, stays_below
from penstock.agents.sandboxes.driver import Export

CHUNK = 256 * 1024
BLOCK = tarfile.BLOCKSIZE
MANY_LEFT_OUT = 1000
"""A driver names so many files that it left out; if it named as many there may be more, and nothing is removed."""

LOOK_FIRST = frozenset((
    ".gitattributes", ".gitmodules", ".envrc", ".direnv", ".mise.toml", "mise.toml", ".tool-versions", ".vscode",
    ".idea", ".zed", ".cursor", ".claude", ".mcp.json", ".devcontainer", ".husky", ".pre-commit-config.yaml", ".npmrc",
    ".yarnrc", ".yarnrc.yml", ".exrc", ".vimrc", ".nvimrc", ".nvim.lua", ".gdbinit", ".lldbinit", ".dir-locals.el",
    "Makefile",
))  # fmt: skip
"""Names that other programs act on by themselves, or that people run without looking."""

ORDERS = "git would execute it, or take orders from it"

Parts = tuple[str, ...]


class Brought(msgspec.Struct):
    """What came back. Names are relative to the folder.

    Attributes:
        changed, removed: files.
        left_out: name, and why it did not come.
        look_first: changed files that other programs may execute by themselves.
        conflicts: files that differ and were not brought, because the user's own are newer, or were never copied in.
    """

    changed: list[str] = msgspec.field(default_factory=list)
    removed: list[str] = msgspec.field(default_factory=list)
    left_out: list[tuple[str, str]] = msgspec.field(default_factory=list)
    look_first: list[str] = msgspec.field(default_factory=list)
    conflicts: list[str] = msgspec.field(default_factory=list)


class Facts(msgspec.Struct, frozen=True):
    """A file as it was when it was copied in."""

    kind: int
    mode: int
    size: int
    changed: int

    @classmethod
    def of(cls, found: os.stat_result) -> Facts:
        """Take them from lstat; a folder's size and time say nothing of it."""
        folder = stat.S_ISDIR(found.st_mode)
        return cls(
            stat.S_IFMT(found.st_mode),
            stat.S_IMODE(found.st_mode),
            0 if folder else found.st_size,
            0 if folder else found.st_mtime_ns,
        )


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
                data = _read(file, min(CHUNK, left)) or bytes(min(CHUNK, left))
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
        survey = _Survey()
        listing = export()
        await _read_through(listing, survey.read)
        bringing = _Bringing(self._top, self._packed, survey, listing.left_out)
        await _read_through(export(), bringing.read)
        await asyncio.to_thread(bringing.remove)
        return bringing.brought


class _Survey:
    """What an archive holds: the kind of each name."""

    def __init__(self) -> None:
        self.kinds: dict[Parts, bytes] = {}
        self.repositories: frozenset[Parts] = frozenset()

    def read(self, members: tarfile.TarFile) -> None:
        """Read it through."""
        for member in members:
            self.kinds[check_member(member, links=True)] = member.type
            members.members = []  # type: ignore[attr-defined] # a stream is read once: no need to remember it
        self.repositories = repositories(self.kinds)


class _Bringing:
    """The way back of one archive."""

    def __init__(
        self, top: Path, packed: dict[Parts, Facts], survey: _Survey, left_out: Sequence[tuple[str, str]]
    ) -> None:
        self.brought = Brought(left_out=list(left_out))
        self._top = top
        self._packed = packed
        self._survey = survey
        self._unreadable = {tuple(name.split("/")) for name, _ in left_out}
        self._may_remove = len(left_out) < MANY_LEFT_OUT
        self._told: set[str] = set()
        self._umask = _umask()

    def read(self, members: tarfile.TarFile) -> None:
        """Bring every member."""
        for member in members:
            parts = check_member(member, links=True)
            if parts:
                content = members.extractfile(member) if member.isreg() else None
                self._bring(parts, member, content)
            members.members = []  # type: ignore[attr-defined] # as above

    def _bring(self, parts: Parts, member: tarfile.TarInfo, content: IO[bytes] | None) -> None:
        refused = self._refused(parts)
        with _folder_of(self._top, parts, self._umask, make=refused is None) as parent:
            if refused is not None:
                if parent is None or not _is_there(parent, parts[-1], member, content):
                    self._leave(refused, ORDERS)
                return
            if parent is None:
                self._leave(parts, "its way leads through what is no folder here", conflict=True)
                return
            if not self._make_way(parent, parts, member):
                return
            if member.isdir():
                self._bring_folder(parent, parts, member.mode)
            elif content is None:
                self._bring_link(parent, parts, member.linkname)
            else:
                self._bring_file(parent, parts, content, member)

    def _make_way(self, parent: int, parts: Parts, member: tarfile.TarInfo) -> bool:
        """Remove what is of another kind, where it is what was copied in. False: it stays, and nothing is brought."""
        old = _lstat(parent, parts[-1])
        if old is None or stat.S_IFMT(old.st_mode) == _kind(member):
            return True
        for inner in sorted((each for each in self._packed if each[: len(parts)] == parts), reverse=True):
            self._remove(inner)
        if _lstat(parent, parts[-1]) is None:
            return True
        self._leave(parts, "something else of that name is here", conflict=True)
        return False

    def _bring_folder(self, parent: int, parts: Parts, mode: int) -> None:
        if _lstat(parent, parts[-1]) is None:
            os.mkdir(parts[-1], mode & 0o777 & ~self._umask | 0o700, dir_fd=parent)
            _give(parent, parts[-1])

    def _bring_link(self, parent: int, parts: Parts, target: str) -> None:
        old = _lstat(parent, parts[-1])
        if old is not None and os.readlink(parts[-1], dir_fd=parent) == target:
            return
        if self._may_replace(parts, old):
            beside = _beside()
            os.symlink(target, beside, dir_fd=parent)
            self._put(parent, beside, parts)

    def _bring_file(self, parent: int, parts: Parts, content: IO[bytes], member: tarfile.TarInfo) -> None:
        old = _lstat(parent, parts[-1])
        mode = self._mode(parts, member.mode, old)
        with _opened(parent, parts[-1]) as before:
            same = _same_bytes(before, content) if before is not None else (0, b"")
            if same is not None:
                if self._may_replace(parts, old):
                    self._replace(parent, parts, _Both(before, content, same), mode, member.mtime)
            elif old is not None and mode != stat.S_IMODE(old.st_mode) and self._may_replace(parts, old):
                os.chmod(parts[-1], mode, dir_fd=parent)
                self._note(parts)

    def _replace(self, parent: int, parts: Parts, chunks: _Both, mode: int, mtime: float) -> None:
        beside = _beside()
        try:
            _write(parent, beside, chunks, mode, mtime)
            self._put(parent, beside, parts)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(beside, dir_fd=parent)
            raise

    def _put(self, parent: int, beside: str, parts: Parts) -> None:
        _give(parent, beside, like=parts[-1])
        os.replace(beside, parts[-1], src_dir_fd=parent, dst_dir_fd=parent)
        self._note(parts)

    def _mode(self, parts: Parts, wanted: int, old: os.stat_result | None) -> int:
        """The rights of a file: those it has, but for the right to execute; of a new one, what the umask leaves."""
        if old is None:
            return wanted & 0o777 & ~self._umask | 0o600
        mode, packed = stat.S_IMODE(old.st_mode), self._packed.get(parts)
        if packed is None or bool(wanted & 0o100) == bool(packed.mode & 0o100):
            return mode
        return mode | (mode & 0o444) >> 2 if wanted & 0o100 else mode & ~0o111

    def _may_replace(self, parts: Parts, old: os.stat_result | None) -> bool:
        """Decide about a file that differs, and note why not."""
        if old is not None and self._packed.get(parts) != Facts.of(old):
            self._leave(parts, "yours was changed meanwhile, and stays", conflict=True)
            return False
        return True

    def _refused(self, parts: Parts) -> Parts | None:
        """The part of a repository that the name is, or lies in, and that does not come back."""
        if parts[-1] == GIT and self._survey.kinds.get(parts) != tarfile.DIRTYPE:
            return parts
        return refused_part(parts, self._survey.repositories)

    def _note(self, parts: Parts) -> None:
        name = "/".join(parts)
        self.brought.changed.append(name)
        if LOOK_FIRST.intersection(parts):
            self.brought.look_first.append(name)

    def _leave(self, parts: Parts, why: str, *, conflict: bool = False) -> None:
        name = "/".join(parts)
        if name not in self._told:
            self._told.add(name)
            self.brought.left_out.append((name, why))
            if conflict:
                self.brought.conflicts.append(name)

    # -- what the program removed -----------------------------------------------------------------------------------

    def remove(self) -> None:
        """Remove what was copied in and is not there any more."""
        for parts in sorted(self._packed, reverse=True) if self._may_remove else ():
            if parts not in self._survey.kinds and not self._is_unreadable(parts) and self._may_vanish(parts):
                self._remove(parts)

    def _is_unreadable(self, parts: Parts) -> bool:
        return any(parts[: index + 1] in self._unreadable for index in range(len(parts)))

    def _may_vanish(self, parts: Parts) -> bool:
        if GIT not in parts or may_vanish(parts, self._survey.kinds):
            return True
        if not is_packed_by_git(parts):
            self._leave(parts[: parts.index(GIT) + 2], "removed in the sandbox; git's own data stays")
        return False

    def _remove(self, parts: Parts) -> None:
        with _folder_of(self._top, parts, self._umask, make=False) as parent, contextlib.suppress(FileNotFoundError):
            if parent is None:
                return
            found = os.lstat(parts[-1], dir_fd=parent)
            if stat.S_ISDIR(found.st_mode):
                with contextlib.suppress(OSError):  # something of the user's own is in it
                    os.rmdir(parts[-1], dir_fd=parent)
            elif self._packed[parts] != Facts.of(found):
                self._leave(parts, "yours was changed meanwhile, and stays; the program removed it", conflict=True)
            else:
                os.unlink(parts[-1], dir_fd=parent)
                self.brought.removed.append("/".join(parts))


# -- files by the folder that holds them ------------------------------------------------------------------------------


class _Both:
    """The bytes of a file that begins as another one did: (how many, what follows), and then the rest of the stream."""

    def __init__(self, before: IO[bytes] | None, content: IO[bytes], same: tuple[int, bytes]) -> None:
        self._before, self._content, self._same = before, content, same

    def __iter__(self) -> Iterator[bytes]:
        left, following = self._same
        if self._before is not None and left:
            self._before.seek(0)
            while left > 0 and (data := _read(self._before, min(CHUNK, left))):
                left -= len(data)
                yield data
        yield following
        while data := _read(self._content, CHUNK):
            yield data


def _read(file: IO[bytes], most: int) -> bytes:
    return file.read(most)


def _is_there(parent: int, name: str, member: tarfile.TarInfo, content: IO[bytes] | None) -> bool:
    """Whether the same is here already."""
    old = _lstat(parent, name)
    if old is None or stat.S_IFMT(old.st_mode) != _kind(member):
        return False
    if member.issym():
        return os.readlink(name, dir_fd=parent) == member.linkname
    if content is None:
        return True
    with _opened(parent, name) as before:
        return before is not None and _same_bytes(before, content) is None


def _same_bytes(before: IO[bytes], content: IO[bytes]) -> tuple[int, bytes] | None:
    """Compare two files. None: they are the same; else how many bytes are, and what was read of the second beyond."""
    done = 0
    while True:
        new = _read(content, CHUNK)
        old = _read(before, len(new) or 1)
        if new != old:
            return done, new
        if not new:
            return None
        done += len(new)


def _write(parent: int, name: str, chunks: _Both, mode: int, mtime: float) -> None:
    opened = os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=parent)
    with os.fdopen(opened, "wb") as file:
        for data in chunks:
            file.write(data)
        file.flush()
        os.fchmod(opened, mode)
        with contextlib.suppress(OverflowError, ValueError, OSError):
            os.utime(opened, (mtime, mtime))


def _beside() -> str:
    """A name that nobody else has."""
    return f".penstock-{secrets.token_hex(8)}"


def _give(parent: int, name: str, like: str = "") -> None:
    """Give what root has made to whom the file that it replaces belongs, or the folder."""
    if os.geteuid() == 0:
        found = (_lstat(parent, like) if like else None) or os.fstat(parent)
        os.chown(name, found.st_uid, found.st_gid, dir_fd=parent, follow_symlinks=False)


def _lstat(parent: int, name: str) -> os.stat_result | None:
    try:
        return os.lstat(name, dir_fd=parent)
    except FileNotFoundError:
        return None


@contextlib.contextmanager
def _opened(parent: int, name: str) -> Iterator[IO[bytes] | None]:
    """A file that is there and can be read."""
    try:
        opened = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=parent)
    except OSError:
        yield None
        return
    with os.fdopen(opened, "rb") as file:
        yield file


@contextlib.contextmanager
def _folder_of(top: Path, parts: Parts, umask: int, *, make: bool = True) -> Iterator[int | None]:
    """The open folder that holds a name, made where it is not there; None where something else stands in the way."""
    handle = os.open(top, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in parts[:-1]:
            if make:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(part, 0o777 & ~umask, dir_fd=handle)
            try:
                below = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=handle)
            except OSError:
                yield None
                return
            os.close(handle)
            handle = below
        yield handle
    finally:
        os.close(handle)


def _kind(member: tarfile.TarInfo) -> int:
    return stat.S_IFDIR if member.isdir() else stat.S_IFLNK if member.issym() else stat.S_IFREG


def _umask() -> int:
    found = os.umask(0o077)
    os.umask(found)
    return found


# -- archives as streams ----------------------------------------------------------------------------------------------


async def _read_through(export: Export, read: Callable[[tarfile.TarFile], None]) -> None:
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
