"""The helpers that touch a workspace's files: unpack, pack, copy, measure.

A workspace is written by agents, and everything in it may be a trap: a link where a folder was, a pipe that blocks who
opens it, a folder that nobody may read. So these helpers run as the workspace's own user (who can reach nothing else),
start from a folder that the server opened for them, and open every name with openat2(RESOLVE_BENEATH,
RESOLVE_NO_SYMLINKS): no name leads through a link, whoever puts one there meanwhile. They do not enter the sandbox,
so they work while it is suspended or gone. Their memory is limited, for an archive's headers may claim any length.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import resource
import stat
import sys
import tarfile
from typing import BinaryIO

from msgspec import Struct

from penstock.agents.sandboxes.archive import MODE, MOST_MEMBERS, check_member, stays_below
from penstock.agents.sandboxes.driver import NoSuchPath, UnsafeArchive
from penstock.agents.sandboxes.local import kernel
from penstock.agents.sandboxes.local.helper import Answer, Channel, become

CHUNK = 1 << 20
MEMORY = 1 << 30
FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
DEEPEST = 400
"""Folders in one another that are packed, copied or measured; an agent that hides something deeper is refused."""


class Put(Struct, frozen=True):
    """Unpack into the folder `at` (its parts, below the given folder)."""

    owner: int
    at: tuple[str, ...]
    links: bool
    disk: int


class Get(Struct, frozen=True):
    """Pack the file or folder at these parts."""

    owner: int
    path: tuple[str, ...]


class Copy(Struct, frozen=True):
    """Copy the first given folder's contents into the second."""

    owner: int


class Usage(Struct, frozen=True):
    """Measure the given folders."""

    owner: int


def _prepare(owner: int) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    sys.setrecursionlimit(10 * DEEPEST)
    os.umask(0o022)
    become(owner)


def below(folder: int, parts: tuple[str, ...], flags: int, mode: int = 0) -> int:
    """Open what lies at `parts` below an open folder, never through a link."""
    return kernel.openat2(folder, "/".join(parts) or ".", flags, mode)


# -- in ---------------------------------------------------------------------------------------------------------------


def put(wanted: Put, channel: Channel) -> None:
    """Unpack a tar stream (second descriptor) below a folder (first descriptor)."""
    _prepare(wanted.owner)
    resource.setrlimit(resource.RLIMIT_FSIZE, (wanted.disk, wanted.disk))
    root, stream = channel.fds
    channel.step = "/".join(wanted.at)
    folder = _made_folder(root, wanted.at)
    with os.fdopen(stream, "rb") as file:
        try:
            modes = _unpack_all(file, folder, wanted, channel)
        except (tarfile.TarError, EOFError, ValueError) as error:
            raise UnsafeArchive(f"this is no tar archive, or a broken one: {error}") from None
        while file.read(CHUNK):
            pass  # what follows an archive's end (padding) is read, so that its writer can finish
    for parts, mode in reversed(modes.items()):
        _set_mode(folder, parts, mode)
    channel.say(Answer())


def _unpack_all(file: BinaryIO, folder: int, wanted: Put, channel: Channel) -> dict[tuple[str, ...], int]:
    """Unpack every member; return the modes of folders, to be set when nothing is put into them any more."""
    modes: dict[tuple[str, ...], int] = {}
    with tarfile.open(fileobj=file, mode="r|", errorlevel=1) as archive:
        for count, member in enumerate(archive):
            if count >= MOST_MEMBERS:
                raise UnsafeArchive(f"the archive has more than {MOST_MEMBERS} members")
            channel.step = member.name[:200]
            _unpack(folder, check_member(member, links=wanted.links), member, archive, modes)
            archive.members = []  # type: ignore[attr-defined] # a stream is read once: no need to remember it
    return modes


def _unpack(
    folder: int,
    parts: tuple[str, ...],
    member: tarfile.TarInfo,
    archive: tarfile.TarFile,
    modes: dict[tuple[str, ...], int],
) -> None:
    if member.isdir():
        os.close(_made_folder(folder, parts))
        modes[parts] = member.mode & MODE | 0o700
        return
    if not parts:
        raise UnsafeArchive(f"{member.name!r} is no name for a file")
    parent = _made_folder(folder, parts[:-1])
    try:
        _remove(parent, parts[-1], member.name)
        if member.issym():
            os.symlink(member.linkname, parts[-1], dir_fd=parent)
        else:
            _write_file(parent, parts[-1], member, archive)
    finally:
        os.close(parent)


def _made_folder(folder: int, parts: tuple[str, ...]) -> int:
    """Open the folder at `parts`, making what is not there."""
    current = os.dup(folder)
    for part in parts:
        with contextlib.suppress(FileExistsError):
            os.mkdir(part, 0o755, dir_fd=current)
        try:
            following = below(current, (part,), FOLDER)
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENOTDIR, errno.EXDEV):
                raise UnsafeArchive(f"{'/'.join(parts)!r} leads through {part!r}, which is no folder") from None
            raise
        finally:
            os.close(current)
        current = following
    return current


def _remove(parent: int, name: str, whole: str) -> None:
    try:
        os.unlink(name, dir_fd=parent)
    except FileNotFoundError:
        return
    except (IsADirectoryError, PermissionError):
        raise UnsafeArchive(f"{whole!r} is a folder already", fix="remove it first") from None


def _write_file(parent: int, name: str, member: tarfile.TarInfo, archive: tarfile.TarFile) -> None:
    source = archive.extractfile(member)
    assert source is not None
    fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=parent)
    with os.fdopen(fd, "wb") as file:
        left = member.size
        while left > 0:
            data = source.read(min(CHUNK, left))
            if not data:
                raise UnsafeArchive(f"the archive ends within {member.name!r}")
            file.write(data)
            left -= len(data)
        file.flush()
        os.fchmod(fd, member.mode & MODE | 0o400)
        with contextlib.suppress(OverflowError, ValueError, OSError):
            os.utime(fd, (member.mtime, member.mtime))


def _set_mode(folder: int, parts: tuple[str, ...], mode: int) -> None:
    with contextlib.suppress(OSError):  # it may have been removed meanwhile
        fd = below(folder, parts, FOLDER)
        os.fchmod(fd, mode)
        os.close(fd)


# -- out --------------------------------------------------------------------------------------------------------------


def get(wanted: Get, channel: Channel) -> None:
    """Pack what lies below a folder (first descriptor) into a tar stream (second)."""
    _prepare(wanted.owner)
    root, stream = channel.fds
    left_out: list[tuple[str, str]] = []
    try:
        top = _opened_top(root, wanted.path)
    except OSError as error:
        raise NoSuchPath(f"{'/'.join(wanted.path)!r}: {error.strerror}") from None
    channel.say(Answer(kind="begun"))
    with os.fdopen(stream, "wb") as file, tarfile.open(fileobj=file, mode="w|", format=tarfile.PAX_FORMAT) as archive:
        if stat.S_ISDIR(os.fstat(top).st_mode):
            _pack_folder(archive, top, (), left_out)
        else:
            _pack_file(archive, top, (wanted.path[-1],), left_out)
    channel.say(Answer(left_out=tuple(left_out[:1000])))


def _opened_top(root: int, path: tuple[str, ...]) -> int:
    fd = below(root, path, READ)
    mode = os.fstat(fd).st_mode
    if stat.S_ISDIR(mode) or stat.S_ISREG(mode):
        return fd
    os.close(fd)
    raise OSError(errno.EINVAL, "neither a file nor a folder")


def _pack_folder(
    archive: tarfile.TarFile, folder: int, parts: tuple[str, ...], left_out: list[tuple[str, str]]
) -> None:
    """Pack an open folder (and close it). Folders are opened one in another, never by a path."""
    try:
        _check_depth(len(parts))
        archive.addfile(_header(parts, os.fstat(folder), tarfile.DIRTYPE))
        for entry in sorted(os.listdir(folder)):
            inner = (*parts, entry)
            try:
                _pack_entry(archive, folder, entry, inner, left_out)
            except OSError as error:
                left_out.append(("/".join(inner), error.strerror or str(error)))
    finally:
        os.close(folder)


def _pack_entry(
    archive: tarfile.TarFile, folder: int, name: str, parts: tuple[str, ...], left_out: list[tuple[str, str]]
) -> None:
    mode = os.lstat(name, dir_fd=folder).st_mode
    if stat.S_ISLNK(mode):
        target = os.readlink(name, dir_fd=folder)
        if not stays_below(parts, target):
            left_out.append(("/".join(parts), f"a symbolic link that leads out: {target[:200]}"))
            return
        header = _header(parts, os.lstat(name, dir_fd=folder), tarfile.SYMTYPE)
        header.linkname = target
        archive.addfile(header)
    elif stat.S_ISDIR(mode):
        _pack_folder(archive, below(folder, (name,), FOLDER), parts, left_out)
    elif stat.S_ISREG(mode):
        _pack_file(archive, below(folder, (name,), READ), parts, left_out)
    else:
        left_out.append(("/".join(parts), "neither a file, a folder nor a link"))


def _pack_file(archive: tarfile.TarFile, fd: int, parts: tuple[str, ...], left_out: list[tuple[str, str]]) -> None:
    with os.fdopen(fd, "rb") as file:
        facts = os.fstat(fd)
        if not stat.S_ISREG(facts.st_mode):
            left_out.append(("/".join(parts), "changed while it was packed"))
            return
        header = _header(parts, facts, tarfile.REGTYPE)
        header.size = facts.st_size
        archive.addfile(header, _Exactly(file, facts.st_size))  # type: ignore[arg-type]


class _Exactly:
    """A file that has just the size that its header says, though it grows or shrinks meanwhile (then zeros follow)."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file, self._left = file, size

    def read(self, most: int) -> bytes:
        wanted = min(most, self._left)
        data = self._file.read(wanted)
        data += bytes(wanted - len(data))
        self._left -= wanted
        return data


def _header(parts: tuple[str, ...], facts: os.stat_result, kind: bytes) -> tarfile.TarInfo:
    header = tarfile.TarInfo("/".join(parts) or ".")
    header.type, header.mode, header.mtime = kind, facts.st_mode & MODE, int(facts.st_mtime)
    return header


# -- copies and sizes -------------------------------------------------------------------------------------------------


def copy(wanted: Copy, channel: Channel) -> None:
    """Copy a folder's contents into another: shared blocks where the file system can (FICLONE), else bytes.

    Modes, times and links stay; what several names have in common (hard links) becomes several files; sockets, pipes
    and devices are left out.
    """
    _prepare(wanted.owner)
    source, target = channel.fds
    channel.say(Answer(size=_copy_folder(source, target)))


def _copy_folder(source: int, target: int, depth: int = 0) -> int:
    _check_depth(depth)
    total = 0
    for name in os.listdir(source):
        facts = os.lstat(name, dir_fd=source)
        if stat.S_ISLNK(facts.st_mode):
            os.symlink(os.readlink(name, dir_fd=source), name, dir_fd=target)
        elif stat.S_ISDIR(facts.st_mode):
            total += _copy_inner(source, target, name, facts, depth)
        elif stat.S_ISREG(facts.st_mode):
            total += _copy_file(source, target, name, facts)
    return total


def _copy_inner(source: int, target: int, name: str, facts: os.stat_result, depth: int) -> int:
    os.mkdir(name, 0o700, dir_fd=target)
    inner, outer = _opened_anyway(source, name), below(target, (name,), FOLDER)
    try:
        total = _copy_folder(inner, outer, depth + 1)
        os.fchmod(outer, facts.st_mode & MODE)
        os.utime(outer, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    finally:
        os.close(inner)
        os.close(outer)
    return total


def _copy_file(source: int, target: int, name: str, facts: os.stat_result) -> int:
    try:
        inner = below(source, (name,), READ)
    except PermissionError:
        os.chmod(name, 0o600 | facts.st_mode & MODE, dir_fd=source)  # ours; its rights are set again below
        inner = below(source, (name,), READ)
        os.fchmod(inner, facts.st_mode & MODE)
    with os.fdopen(inner, "rb", buffering=0) as file:
        fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=target)
        with os.fdopen(fd, "wb", buffering=0) as made:
            _copy_bytes(file.fileno(), fd, facts.st_size)
            os.fchmod(fd, facts.st_mode & MODE)
            os.utime(fd, ns=(facts.st_atime_ns, facts.st_mtime_ns))
            return os.fstat(made.fileno()).st_blocks * 512


def _copy_bytes(source: int, target: int, size: int) -> None:
    try:
        fcntl.ioctl(target, kernel.FICLONE, source)
    except OSError:
        left = size
        while left > 0 and (done := os.copy_file_range(source, target, left)):
            left -= done


def usage(wanted: Usage, channel: Channel) -> None:
    """Add up the bytes on disk of all files below the given folders. A folder that its owner may not read hides
    nothing: it gets that right back.
    """
    _prepare(wanted.owner)
    seen: set[tuple[int, int]] = set()
    channel.say(Answer(size=sum(_usage(os.dup(folder), seen) for folder in channel.fds)))


def _usage(folder: int, seen: set[tuple[int, int]], depth: int = 0) -> int:
    """Add up one open folder (and close it). As many descriptors are open as folders lie in one another."""
    total = 0
    try:
        _check_depth(depth)
        for entry in os.scandir(folder):
            facts = entry.stat(follow_symlinks=False)
            total += _blocks(facts, seen)
            if stat.S_ISDIR(facts.st_mode):
                with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                    total += _usage(_opened_anyway(folder, entry.name), seen, depth + 1)
    finally:
        os.close(folder)
    return total


def _check_depth(depth: int) -> None:
    if depth > DEEPEST:
        raise OSError(errno.ELOOP, f"folders lie more than {DEEPEST} deep")


def _blocks(facts: os.stat_result, seen: set[tuple[int, int]]) -> int:
    if facts.st_nlink > 1 and not stat.S_ISDIR(facts.st_mode):
        if (facts.st_dev, facts.st_ino) in seen:
            return 0
        seen.add((facts.st_dev, facts.st_ino))
    return facts.st_blocks * 512


def _opened_anyway(folder: int, name: str) -> int:
    """Open a folder, giving its owner (us) the right to read it where an agent took it away."""
    try:
        return below(folder, (name,), FOLDER)
    except PermissionError:
        fd = below(folder, (name,), os.O_PATH | os.O_DIRECTORY)
        try:
            os.chmod(f"/proc/self/fd/{fd}", 0o700)  # noqa: PTH101
        finally:
            os.close(fd)
        return below(folder, (name,), FOLDER)
