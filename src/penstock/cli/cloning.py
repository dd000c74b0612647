"""`--repo URL`: a clone that is made inside of the sandbox, through the vault; and what to do where none can be made.

The clone's first commit is marked (`refs/penstock/base`), so that a patch holds what the agent committed, too.
"""

from __future__ import annotations

import shlex
from pathlib import Path
from urllib.parse import urlsplit

from penstock.cli import CommandError

MARK = (
    "if git rev-parse --verify -q HEAD >/dev/null; then export GIT_INDEX_FILE=/tmp/base-index; git read-tree HEAD && "
    'git add -A . && git update-ref refs/penstock/base "$(git write-tree)"; rm -f /tmp/base-index; fi'
)
"""Run inside, before the agent: note how a repository was, what its user has not committed included."""


def keep_patch(patch: bytes, asked: Path | None, runs: Path, run: str) -> str:
    """Write what a run changed in its copy of a repository, which is gone after it; return what to tell, if anything.

    Args:
        patch: for `git apply`; may be empty.
        asked: where its user wants it; None: beside the runs, where there is any change.
        runs: the folder of runs.
        run: its id.
    """
    if asked is None and not patch:
        return ""
    path = asked or runs.with_name("patches") / f"{run}.patch"
    if asked is None:
        path.parent.mkdir(mode=0o700, exist_ok=True)
    path.write_bytes(patch)
    how = "" if asked is not None else f"; take it with `git apply {shlex.quote(str(path))}`"
    return f"{path}: what it changed ({len(patch):,} bytes){how}"


def clone_rules(url: str, bound: tuple[str, ...]) -> list[str]:
    """What a clone and a fetch of this repository may send, where no secret says more (`bound`: its hosts). Pure.

    Raises:
        CommandError: it is not an address that can be cloned from.
    """
    parts = urlsplit(url)
    if is_ssh(url):
        return []  # a secret's binding says it; without one the vault refuses, and says what to do
    if parts.scheme not in ("https", "http") or not parts.hostname or parts.username or parts.query:
        raise CommandError(
            f"--repo {url}: name a folder that is there, or https://HOST/OWNER/NAME without a user or password"
        )
    port = parts.port or (443 if parts.scheme == "https" else 80)
    if f"{parts.hostname}:{port}" in bound:
        return []
    path = parts.path.rstrip("/").removesuffix(".git")
    places = [f"{parts.scheme}://{parts.netloc}{path}{end}" for end in ("", ".git")]
    return [rule for place in places for rule in (f"GET {place}/info/refs", f"POST {place}/git-upload-pack")]


def is_ssh(url: str) -> bool:
    """Whether git would use SSH for it. Pure."""
    parts = urlsplit(url)
    return parts.scheme == "ssh" or (not parts.scheme and "@" in url)


def clone_commands(url: str) -> tuple[str, ...]:
    """What is run inside, in the empty workspace. Pure."""
    return (f"GIT_TERMINAL_PROMPT=0 git clone --quiet -- {shlex.quote(url)} .", MARK)


def clone_failed(url: str, said: str, secrets: bool) -> str:
    """Say why there is no clone, and what to do about it. Pure.

    Args:
        url: of the repository.
        said: git's last words, and within them the vault's.
        secrets: whether the run has any.
    """
    words = said.partition(" ended with ")[2].partition(": ")[2] or said
    lines = [line.removeprefix("remote: ").strip() for line in words.splitlines()]
    why = " ".join(line for line in lines if line and not line.startswith("fatal: unable to access"))
    why = why or words.strip()
    return f"--repo {url}: it cannot be cloned: {why.rstrip('.')}. {_advice(url, words, secrets)}".rstrip()


def _advice(url: str, words: str, secrets: bool) -> str:
    if is_ssh(url):
        return (
            "Over SSH a clone needs a key that is bound to the place (--secret NAME; see "
            "`penstock secrets set --help`, kind ssh-key); without one, name its https:// address."
        )
    if "issuer certificate" in words:
        return "Here, that is --upstream-ca FILE."
    if "could not read Username" in words or "Authentication failed" in words or "not found" in words:
        place = url.rstrip("/").removesuffix(".git")
        binding = f"'* {place}.git/* basic:password' --binding '* {place}/* basic:password'"
        keep = f"penstock secrets set NAME --binding {binding}, then --secret NAME"
        begin = "The secrets of this run do not open it" if secrets else "It is not there, or it is private"
        return f"{begin}. Look at its address; for a private one keep a token: {keep}."
    return "" if "penstock:" in words and "To allow it" in words else "Look at its address, and try again."
