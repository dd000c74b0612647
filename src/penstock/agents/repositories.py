"""Which parts of a git repository may come out of a sandbox, and which may vanish from one. Pure.

Git keeps data in few places of a repository (gitrepository-layout(5)); the others it executes (hooks), obeys (config,
attributes, the todo of a rebase) or follows elsewhere (alternates). So this is a list of what is data. A folder is a
repository not by its name: git takes any folder with the three parts of one for a bare repository.
"""

from __future__ import annotations

from collections.abc import Collection

Parts = tuple[str, ...]

GIT = ".git"
DATA = frozenset((
    "objects", "refs", "reftable", "logs", "HEAD", "ORIG_HEAD", "FETCH_HEAD", "MERGE_HEAD", "MERGE_MSG", "MERGE_MODE",
    "AUTO_MERGE", "CHERRY_PICK_HEAD", "REVERT_HEAD", "COMMIT_EDITMSG", "index", "packed-refs", "shallow",
))  # fmt: skip
"""What comes back."""
ELSEWHERE = (("objects", "info", "alternates"), ("objects", "info", "http-alternates"))
"""What of it does not: it names other places."""
REMOVABLE = frozenset(("MERGE_HEAD", "MERGE_MSG", "MERGE_MODE", "AUTO_MERGE", "CHERRY_PICK_HEAD", "REVERT_HEAD"))
REMOVABLE_BELOW = frozenset(("refs", "logs", "reftable"))
"""What may vanish, while the repository is there: a branch, the end of a merge. History that was removed stays."""
NEEDED = frozenset(("HEAD", "objects", "refs"))


def repositories(names: Collection[Parts]) -> frozenset[Parts]:
    """Return the folders that git would take for a repository."""
    holds: dict[Parts, set[str]] = {}
    for parts in names:
        if parts and parts[-1] in NEEDED:
            holds.setdefault(parts[:-1], set()).add(parts[-1])
    return frozenset(parts for parts, found in holds.items() if found >= NEEDED)


def refused_part(parts: Parts, found: Collection[Parts]) -> Parts | None:
    """Return the part of a repository that a name is or lies in and that must not come back; None where it may.

    Args:
        parts: the name.
        found: the folders that are repositories.
    """
    for index in range(1, len(parts) + 1):
        rest = parts[index:]
        if rest and (parts[index - 1] == GIT or parts[:index] in found):
            return _refused(parts[:index], rest)
    return _refused((), parts) if () in found else None


def _refused(repository: Parts, rest: Parts) -> Parts | None:
    if rest[0] not in DATA:
        return (*repository, rest[0])
    return (*repository, *rest) if rest in ELSEWHERE else None


def may_vanish(parts: Parts, names: Collection[Parts]) -> bool:
    """Say whether what lay at this name, below a `.git`, may be removed. `names` is what is there still."""
    end = parts.index(GIT) + 1
    rest = parts[end:]
    if not rest or (*parts[:end], "HEAD") not in names:
        return False
    return rest[0] in REMOVABLE or (rest[0] in REMOVABLE_BELOW and len(rest) > 1)


def is_packed_by_git(parts: Parts) -> bool:
    """Say whether git itself removes such files: loose objects that are in a pack now. They do no harm."""
    return parts[parts.index(GIT) + 1 :][:1] == ("objects",)
