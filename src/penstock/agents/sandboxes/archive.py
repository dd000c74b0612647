"""Which members of a tar archive may come into a workspace, and which may leave it. Pure.

An archive is written by somebody, and unpacked with somebody else's rights: its names must not lead elsewhere. A name
is taken only if every part of it is plain; nothing is repaired, for a name that was repaired is not the one that was
meant. The other half of the protection is where files are opened: never through a symbolic link (local/files.py).
"""

from __future__ import annotations

import tarfile

from penstock.agents.sandboxes.driver import UnsafeArchive

MODE = 0o777
"""The bits that survive: no set-user-id, set-group-id or sticky bit."""
MOST_MEMBERS = 1_000_000
LONGEST_NAME = 4096


def parts_of(name: str) -> tuple[str, ...]:
    """Return the parts of a relative path; "." and "./" are ().

    Raises:
        UnsafeArchive: it is absolute, goes up, is empty, too long, or holds a NUL.
    """
    if not name or len(name.encode("utf-8", "surrogateescape")) > LONGEST_NAME or "\0" in name:
        raise UnsafeArchive(f"the archive has a name that no file can have: {name[:80]!r}")
    if name.startswith("/"):
        raise UnsafeArchive(f"the archive has an absolute name: {name[:200]!r}", fix="pack it with relative names")
    parts = tuple(part for part in name.split("/") if part not in ("", "."))
    if ".." in parts:
        raise UnsafeArchive(
            f"the archive has a name that goes up: {name[:200]!r}", fix="pack it from the folder itself"
        )
    return parts


def check_member(member: tarfile.TarInfo, *, links: bool) -> tuple[str, ...]:
    """Return the parts of the name of a member that may be unpacked.

    Raises:
        UnsafeArchive: it may not; the message says why.
    """
    parts = parts_of(member.name)
    if member.issparse():
        raise UnsafeArchive(f"{member.name!r} is a sparse file", fix="pack it without --sparse")
    if member.isreg() or member.isdir():
        return parts
    if not member.issym():
        raise UnsafeArchive(f"{member.name!r} is {kind_of(member)}", fix="only files and folders are taken")
    if not links:
        raise UnsafeArchive(f"{member.name!r} is a symbolic link", fix="allow links, or pack with --dereference")
    if not stays_below(parts, member.linkname):
        raise UnsafeArchive(f"{member.name!r} is a symbolic link that leads out: {member.linkname[:200]!r}")
    return parts


def stays_below(parts: tuple[str, ...], target: str) -> bool:
    """True where a symbolic link at `parts` with this target leads to a place below the top.

    Going up is taken only at the target's beginning, where folders are real (nothing is unpacked through a link). After
    a name, `..` could start from wherever another link leads: `p/up -> ..`, then `p/up/../x` is above the top.
    """
    steps = [step for step in target.split("/") if step not in ("", ".")]
    up = next((index for index, step in enumerate(steps) if step != ".."), len(steps))
    if not target or target.startswith("/") or "\0" in target or not parts:
        return False
    return up <= len(parts) - 1 and ".." not in steps[up:]


def kind_of(member: tarfile.TarInfo) -> str:
    """Name the kind of a member that is no file, folder or symbolic link."""
    if member.islnk():
        return f"a hard link (to {member.linkname[:200]!r})"
    return (
        "a device" if member.isdev() and not member.isfifo() else "a pipe" if member.isfifo() else "of an unknown kind"
    )
