"""What comes back of a user's folder out of a sandbox: written with care, for nobody trusts whoever has made it.

- Nothing is written through a symbolic link, and nothing outside of the folder.
- Of a git repository only what git keeps data in comes back, never what it executes or obeys (hooks, config, a `.git`
  that points elsewhere). What editors and shells act on by themselves is named, so that somebody looks at it first.
- A file that its user has changed meanwhile stays as he left it, and so does what was never copied in.
- First everything is written, each file beside the old one and then put in its place; only then is removed what the
  program removed. What could not be read in the sandbox counts as there, not as removed.
"""

from __future__ import annotations

import contextlib
import os
import stat
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import msgspec

from penstock.agents import held_files
from penstock.agents.held_files import Facts, Parts
from penstock.agents.repositories import GIT, is_packed_by_git, may_vanish, refused_part, repositories
from penstock.agents.sandboxes.archive import check_member

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


class Survey:
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


class Bringing:
    """The way back of one archive."""

    def __init__(
        self, top: Path, packed: dict[Parts, Facts], survey: Survey, left_out: Sequence[tuple[str, str]]
    ) -> None:
        self.brought = Brought(left_out=list(left_out))
        self._top = top
        self._packed = packed
        self._survey = survey
        self._unreadable = {tuple(name.split("/")) for name, _ in left_out}
        self._may_remove = len(left_out) < MANY_LEFT_OUT
        self._told: set[str] = set()
        self._umask = held_files.umask()

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
        with held_files.folder_of(self._top, parts, self._umask, make=refused is None) as parent:
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
        old = held_files.lstat(parent, parts[-1])
        if old is None or stat.S_IFMT(old.st_mode) == _kind(member):
            return True
        for inner in sorted((each for each in self._packed if each[: len(parts)] == parts), reverse=True):
            self._remove(inner)
        if held_files.lstat(parent, parts[-1]) is None:
            return True
        self._leave(parts, "something else of that name is here", conflict=True)
        return False

    def _bring_folder(self, parent: int, parts: Parts, mode: int) -> None:
        if held_files.lstat(parent, parts[-1]) is None:
            os.mkdir(parts[-1], mode & 0o777 & ~self._umask | 0o700, dir_fd=parent)
            held_files.give(parent, parts[-1])

    def _bring_link(self, parent: int, parts: Parts, target: str) -> None:
        old = held_files.lstat(parent, parts[-1])
        if old is not None and os.readlink(parts[-1], dir_fd=parent) == target:
            return
        if self._may_replace(parts, old):
            beside = held_files.beside()
            os.symlink(target, beside, dir_fd=parent)
            self._put(parent, beside, parts)

    def _bring_file(self, parent: int, parts: Parts, content: IO[bytes], member: tarfile.TarInfo) -> None:
        old = held_files.lstat(parent, parts[-1])
        mode = self._mode(parts, member.mode, old)
        with held_files.opened(parent, parts[-1]) as before:
            same = held_files.same_bytes(before, content) if before is not None else (0, b"")
            if same is not None:
                if self._may_replace(parts, old):
                    self._replace(parent, parts, held_files.Both(before, content, same), mode, member.mtime)
            elif old is not None and mode != stat.S_IMODE(old.st_mode) and self._may_replace(parts, old):
                os.chmod(parts[-1], mode, dir_fd=parent)
                self._note(parts)

    def _replace(self, parent: int, parts: Parts, chunks: held_files.Both, mode: int, mtime: float) -> None:
        beside = held_files.beside()
        try:
            held_files.write(parent, beside, chunks, mode, mtime)
            self._put(parent, beside, parts)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(beside, dir_fd=parent)
            raise

    def _put(self, parent: int, beside: str, parts: Parts) -> None:
        held_files.give(parent, beside, like=parts[-1])
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
        with (
            held_files.folder_of(self._top, parts, self._umask, make=False) as parent,
            contextlib.suppress(FileNotFoundError),
        ):
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


def _is_there(parent: int, name: str, member: tarfile.TarInfo, content: IO[bytes] | None) -> bool:
    """Whether the same is here already."""
    old = held_files.lstat(parent, name)
    if old is None or stat.S_IFMT(old.st_mode) != _kind(member):
        return False
    if member.issym():
        return os.readlink(name, dir_fd=parent) == member.linkname
    if content is None:
        return True
    with held_files.opened(parent, name) as before:
        return before is not None and held_files.same_bytes(before, content) is None


def _kind(member: tarfile.TarInfo) -> int:
    return stat.S_IFDIR if member.isdir() else stat.S_IFLNK if member.issym() else stat.S_IFREG
