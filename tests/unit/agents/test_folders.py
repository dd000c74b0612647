"""A user's folder in and out: what the program did comes back, and nothing else happens, whatever the archive says."""

from __future__ import annotations

import asyncio
import io
import os
import stat
import subprocess
import tarfile
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import pytest

from penstock.agents import folders, held_files
from penstock.agents.folders import Brought, Folder
from penstock.agents.sandboxes.driver import CannotCreate, UnsafeArchive


class Exported:
    """What a driver's `get` gives: an archive, and afterwards what it does not have."""

    def __init__(self, data: bytes, left_out: Sequence[tuple[str, str]] = (), fails: bool = False) -> None:
        self._data, self._left_out, self._fails = data, left_out, fails

    @property
    def left_out(self) -> Sequence[tuple[str, str]]:
        return self._left_out

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for start in range(0, len(self._data), 10_000):
            yield self._data[start : start + 10_000]
        if self._fails:
            raise CannotCreate("the helper that packs was killed")


class Inside:
    """A sandbox's workspace: what was packed is unpacked here, something happens to it, and it is packed again."""

    def __init__(self, outside: Path, inside: Path) -> None:
        self.outside, self.path = outside, inside
        self.folder = Folder(outside)
        inside.mkdir()
        data = asyncio.run(self._packed())
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            assert not [member.name for member in archive if member.islnk()], "drivers take no hard links"
            archive.extractall(inside, filter="fully_trusted")

    async def _packed(self) -> bytes:
        return b"".join([data async for data in self.folder.pack()])

    def tar(self, change: Callable[[tarfile.TarInfo], tarfile.TarInfo | None] = lambda info: info) -> bytes:
        file = io.BytesIO()
        with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as archive:
            archive.add(self.path, ".", filter=lambda info: _plain(change(info)))
        return file.getvalue()

    def back(self, data: bytes | None = None, left_out: Sequence[tuple[str, str]] = (), fails: bool = False) -> Brought:
        data = self.tar() if data is None else data
        return asyncio.run(self.folder.unpack(lambda: Exported(data, left_out, fails)))


def _plain(info: tarfile.TarInfo | None) -> tarfile.TarInfo | None:
    if info is not None:
        info.mtime = int(info.mtime)
    return info


def tree(top: Path) -> dict[str, str]:
    """Every name below, with what it is."""
    found = {}
    for path in sorted(top.rglob("*")):
        name = path.relative_to(top).as_posix()
        found[name] = (
            f"-> {path.readlink()}" if path.is_symlink() else "/" if path.is_dir() else path.read_text("latin-1")
        )
    return found


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "src").mkdir()
    (folder / "src" / "main.py").write_text("print('one')\n")
    (folder / "notes").write_text("notes\n")
    return folder


@pytest.fixture
def inside(outside: Path, tmp_path: Path) -> Inside:
    return Inside(outside, tmp_path / "inside")


def again(inside: Inside) -> Inside:
    """Copy the folder in once more, after a test has prepared it."""
    return Inside(inside.outside, inside.path.with_name("again"))


# -- what a program does ----------------------------------------------------------------------------------------------


def test_what_changed_comes_back_and_nothing_else_is_touched(inside: Inside) -> None:
    before = (inside.outside / "notes").lstat()
    (inside.path / "src" / "main.py").write_text("print('two')\n")
    (inside.path / "src" / "new").mkdir()
    (inside.path / "src" / "new" / "file").write_text("new")
    brought = inside.back()
    assert tree(inside.outside) == {
        "notes": "notes\n",
        "src": "/",
        "src/main.py": "print('two')\n",
        "src/new": "/",
        "src/new/file": "new",
    }
    assert sorted(brought.changed) == ["src/main.py", "src/new/file"]
    assert (brought.removed, brought.left_out, brought.conflicts) == ([], [], [])
    after = (inside.outside / "notes").lstat()
    assert (after.st_ino, after.st_mtime_ns, after.st_mode) == (before.st_ino, before.st_mtime_ns, before.st_mode)


def test_a_change_that_shows_in_no_time_and_no_size(inside: Inside) -> None:
    path = inside.path / "src" / "main.py"
    before = path.stat()
    path.write_text("print('TWO')\n")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert inside.back().changed == ["src/main.py"]
    assert (inside.outside / "src" / "main.py").read_text() == "print('TWO')\n"


@pytest.mark.parametrize("at", [0, 1, folders.CHUNK - 1, folders.CHUNK, folders.CHUNK + 1, 2 * folders.CHUNK + 99])
def test_a_large_file_that_differs_at_one_byte_or_in_its_length(inside: Inside, at: int) -> None:
    data = bytes(range(256)) * (folders.CHUNK // 100)
    (inside.outside / "large").write_bytes(data)
    changed = again(inside)
    other = data[:at] + b"?" + data[at + 1 :]
    (changed.path / "large").write_bytes(other)
    assert changed.back().changed == ["large"]
    assert (inside.outside / "large").read_bytes() == other
    shorter = Inside(inside.outside, inside.path.with_name("shorter"))
    (shorter.path / "large").write_bytes(other[:at])
    shorter.back()
    assert (inside.outside / "large").read_bytes() == other[:at]


def test_what_was_removed_is_removed(inside: Inside) -> None:
    (inside.path / "src" / "main.py").unlink()
    (inside.path / "src").rmdir()
    brought = inside.back()
    assert tree(inside.outside) == {"notes": "notes\n"}
    assert brought.removed == ["src/main.py"]


def test_files_folders_and_links_change_places(inside: Inside) -> None:
    (inside.outside / "data").symlink_to("notes")
    changed = again(inside)
    for name in ("notes", "data"):
        (changed.path / name).unlink()
    (changed.path / "src" / "main.py").unlink()
    (changed.path / "src").rmdir()
    (changed.path / "src").write_text("a file now")
    (changed.path / "notes").mkdir()
    (changed.path / "notes" / "one").write_text("1")
    (changed.path / "data").write_text("no link")
    brought = changed.back()
    assert tree(inside.outside) == {"data": "no link", "notes": "/", "notes/one": "1", "src": "a file now"}
    assert brought.conflicts == []


def test_names_that_are_unusual(inside: Inside) -> None:
    names = ["new\nline", "-rf", "x" * 255, "ü" * 120, "tab\t", "\x1b[31mred", "a\\b", " ", os.fsdecode(b"latin\xff")]
    for name in names:
        (inside.outside / name).write_text("out")
    changed = again(inside)
    for name in names:
        assert (changed.path / name).read_text() == "out"
        (changed.path / name).write_text("back")
    assert sorted(changed.back().changed) == sorted(names)
    assert {(inside.outside / name).read_text() for name in names} == {"back"}


def test_rights_are_kept_and_only_the_right_to_execute_is_brought(inside: Inside) -> None:
    private = inside.outside / "private"
    private.write_text("mine")
    private.chmod(0o600)
    (inside.outside / "tool").write_text("#!/bin/sh\n")
    changed = again(inside)
    (changed.path / "private").write_text("changed")
    (changed.path / "private").chmod(0o666)
    (changed.path / "tool").chmod(0o4777)
    (changed.path / "new").write_text("new")
    (changed.path / "new").chmod(0o777)
    before = os.umask(0o027)
    try:
        changed.back()
    finally:
        os.umask(before)
    modes = {name: stat.S_IMODE((inside.outside / name).stat().st_mode) for name in ("private", "tool", "new")}
    assert modes == {"private": 0o600, "tool": 0o755, "new": 0o750}


def test_several_names_of_one_file_go_in_as_files_of_their_own(inside: Inside) -> None:
    os.link(inside.outside / "notes", inside.outside / "same")
    changed = again(inside)
    assert (changed.path / "same").read_text() == "notes\n"
    assert changed.back() == Brought()


def test_a_large_tree_is_unchanged(inside: Inside) -> None:
    for number in range(1500):
        folder = inside.outside / f"folder{number % 30}" / "below"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"file{number}").write_text(str(number))
    changed = again(inside)
    assert changed.back() == Brought()


# -- what is the user's own -------------------------------------------------------------------------------------------


def test_links_that_lead_out_stay_the_users_own(inside: Inside, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("precious")
    (inside.outside / "link").symlink_to(precious)
    (inside.outside / "up").symlink_to("..")
    changed = again(inside)
    assert not (changed.path / "link").is_symlink()
    (changed.path / "link").write_text("over it")
    (changed.path / "up").mkdir()
    (changed.path / "up" / "precious").write_text("through it")
    brought = changed.back()
    assert precious.read_text() == "precious"
    assert (inside.outside / "link").readlink() == precious
    assert sorted(brought.conflicts) == ["link", "up", "up/precious"]
    assert sorted(name for name, _ in changed.folder.not_packed) == ["link", "up"]


def test_a_folder_that_became_a_link_is_not_written_through(inside: Inside, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "main.py").write_text("elsewhere")
    (inside.path / "src" / "main.py").write_text("print('two')\n")
    (inside.outside / "src" / "main.py").unlink()
    (inside.outside / "src").rmdir()
    (inside.outside / "src").symlink_to(elsewhere)
    brought = inside.back()
    assert (elsewhere / "main.py").read_text() == "elsewhere"
    assert "src/main.py" in brought.conflicts


def test_what_the_user_changed_meanwhile_stays(inside: Inside) -> None:
    (inside.outside / "notes").write_text("the user's newer notes\n")
    (inside.outside / "src" / "main.py").write_text("the user's\n")
    (inside.outside / "fresh").write_text("made meanwhile\n")
    (inside.path / "notes").write_text("the program's\n")
    (inside.path / "src" / "main.py").unlink()
    (inside.path / "fresh").write_text("the program's too\n")
    brought = inside.back()
    assert tree(inside.outside) == {
        "fresh": "made meanwhile\n",
        "notes": "the user's newer notes\n",
        "src": "/",
        "src/main.py": "the user's\n",
    }
    assert sorted(brought.conflicts) == ["fresh", "notes", "src/main.py"]


def test_what_cannot_be_read_in_the_sandbox_was_not_removed(inside: Inside) -> None:
    data = inside.tar(lambda info: None if "src" in info.name else info)
    brought = inside.back(data, [("src", "Permission denied")])
    assert tree(inside.outside)["src/main.py"] == "print('one')\n"
    assert brought.removed == []
    many = [(f"file{number}", "Permission denied") for number in range(folders.MANY_LEFT_OUT)]
    assert inside.back(data, many).removed == []


def test_a_half_archive_changes_nothing(inside: Inside) -> None:
    (inside.path / "notes").write_text("other\n")
    whole = inside.tar()
    before = tree(inside.outside)
    with pytest.raises(CannotCreate):
        inside.back(whole[:512], fails=True)
    with pytest.raises(CannotCreate):
        inside.back(whole, fails=True)
    assert tree(inside.outside) == before


def test_a_disk_that_is_full_removes_nothing(inside: Inside, monkeypatch: pytest.MonkeyPatch) -> None:
    (inside.path / "src" / "main.py").unlink()
    (inside.path / "notes").write_text("other\n")

    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    before = tree(inside.outside)
    monkeypatch.setattr(held_files, "write", full)
    with pytest.raises(OSError, match="No space"):
        inside.back()
    assert tree(inside.outside) == before


# -- archives that no program should be able to make, and do -----------------------------------------------------------


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname = kind, link
    return made


BAD = {
    "absolute": [member("/etc/passwd")],
    "up": [member("../up")],
    "link out": [member("link", tarfile.SYMTYPE, "/etc")],
    "link up": [member("a/link", tarfile.SYMTYPE, "../..")],
    "hard link": [member("hard", tarfile.LNKTYPE, "/etc/passwd")],
    "device": [member("device", tarfile.CHRTYPE)],
    "pipe": [member("pipe", tarfile.FIFOTYPE)],
}


@pytest.mark.parametrize("members", BAD.values(), ids=BAD.keys())
def test_archives_that_lead_out_bring_nothing(inside: Inside, members: list[tarfile.TarInfo]) -> None:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for each in (member("good"), *members):
            archive.addfile(each, io.BytesIO())
    before = tree(inside.outside)
    with pytest.raises(UnsafeArchive):
        inside.back(file.getvalue())
    assert tree(inside.outside) == before


def test_a_link_and_a_file_below_it_in_one_archive(inside: Inside, tmp_path: Path) -> None:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for each in (member("d", tarfile.DIRTYPE), member("l", tarfile.SYMTYPE, "d"), member("l/file")):
            archive.addfile(each, io.BytesIO())
    brought = inside.back(file.getvalue())
    assert not (inside.outside / "d" / "file").exists()
    assert "l/file" in brought.conflicts


# -- repositories -----------------------------------------------------------------------------------------------------


def git(folder: Path, *words: str) -> str:
    names = {"GIT_AUTHOR_NAME": "A", "GIT_AUTHOR_EMAIL": "a@example.test", "GIT_CONFIG_NOSYSTEM": "1"}
    names |= {name.replace("AUTHOR", "COMMITTER"): value for name, value in names.items()}
    done = subprocess.run(
        ["git", "-C", str(folder), *words], env=os.environ | names, capture_output=True, text=True, check=True
    )
    return done.stdout


@pytest.fixture
def repository(inside: Inside) -> Inside:
    git(inside.outside, "init", "-q", "-b", "main")
    git(inside.outside, "add", "notes")
    git(inside.outside, "commit", "-q", "-m", "one")
    return again(inside)


def test_commits_and_branches_come_back(repository: Inside) -> None:
    (repository.path / "notes").write_text("two\n")
    git(repository.path, "checkout", "-q", "-b", "work")
    git(repository.path, "commit", "-q", "-a", "-m", "two")
    git(repository.path, "branch", "-q", "-D", "main")
    git(repository.path, "gc", "-q", "--prune=now")
    brought = repository.back()
    assert git(repository.outside, "log", "--format=%s", "work") == "two\none\n"
    assert git(repository.outside, "branch", "--format=%(refname:short)") == "work\n"
    assert git(repository.outside, "status", "--porcelain") == "?? src/\n"
    assert brought.conflicts == []
    git(repository.outside, "fsck", "--strict")


ORDERS = {
    "hook": ".git/hooks/pre-commit",
    "config": ".git/config",
    "attributes": ".git/info/attributes",
    "todo of a rebase": ".git/rebase-merge/git-rebase-todo",
    "todo of a sequence": ".git/sequencer/todo",
    "alternates": ".git/objects/info/alternates",
    "commondir": ".git/commondir",
    "a submodule's hook": ".git/modules/sub/hooks/post-checkout",
    "a worktree's config": ".git/worktrees/one/config.worktree",
    "a pointer": "sub/.git",
    "a hook of a clone within": "sub/.git/hooks/post-commit",
}


@pytest.mark.parametrize("name", ORDERS.values(), ids=ORDERS.keys())
def test_what_git_would_obey_stays_in_the_sandbox(repository: Inside, name: str) -> None:
    path = repository.path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("gitdir: evil\n" if name == "sub/.git" else "#!/bin/sh\ntouch /pwned\n")
    before = tree(repository.outside)
    brought = repository.back()
    assert [found for found, _ in brought.left_out if name.startswith(found)]
    after = tree(repository.outside)
    assert {name: after[name] for name in after if name not in ("sub", "sub/.git")} == before
    assert after.get("sub/.git", "/") == "/", "no pointer"


def test_a_bare_repository_by_another_name_comes_without_its_orders(inside: Inside) -> None:
    git(inside.path, "init", "-q", "--bare", "innocent")
    with (inside.path / "innocent" / "config").open("a") as config:
        config.write("[core]\n\tfsmonitor = touch pwned\n")
    brought = inside.back()
    assert not (inside.outside / "innocent" / "config").exists()
    assert not (inside.outside / "innocent" / "hooks").exists()
    assert "innocent/config" in [name for name, _ in brought.left_out]


def test_a_git_folder_that_became_a_link_stays_a_folder(repository: Inside) -> None:
    (repository.path / ".git").rename(repository.path / "evil")
    (repository.path / ".git").symlink_to("evil")
    (repository.path / "evil" / "config").write_text("[core]\n\tfsmonitor = touch pwned\n")
    repository.back()
    assert (repository.outside / ".git").is_dir() and not (repository.outside / ".git").is_symlink()
    assert not (repository.outside / "evil" / "config").exists()
    assert git(repository.outside, "log", "--format=%s") == "one\n"


def test_history_that_was_removed_stays(repository: Inside) -> None:
    subprocess.run(["rm", "-rf", str(repository.path / ".git")], check=True)
    brought = repository.back()
    assert git(repository.outside, "log", "--format=%s") == "one\n"
    assert brought.removed == []


def test_what_other_programs_act_on_is_named(inside: Inside) -> None:
    for name in (".envrc", ".vscode/tasks.json", "Makefile", "sub/.gitattributes"):
        (inside.path / name).parent.mkdir(exist_ok=True)
        (inside.path / name).write_text("touch /pwned")
    assert sorted(inside.back().look_first) == [".envrc", ".vscode/tasks.json", "Makefile", "sub/.gitattributes"]
