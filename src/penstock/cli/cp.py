"""`penstock cp`: files between this machine and a session's workspace.

    penstock cp ses_...:report.md .
    penstock cp data.csv ses_...:inputs/

What comes out was written by a program that nobody trusts: only plain files and folders are taken, below the target,
never through a link.
"""

from __future__ import annotations

import argparse
import posixpath
import re
import tarfile
import tempfile
from pathlib import Path

import httpx

from penstock.cli import CommandError, agents_client
from penstock.cli.agents_client import Server, server
from penstock.cli.shown_events import line_of

_REMOTE = re.compile(r"^(ses_[0-9a-z]{26}):(.*)$", re.DOTALL)
TAR = "application/x-tar"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `penstock cp`."""
    agents_client.add_arguments(parser)
    parser.add_argument("source", metavar="SOURCE", help="a path here, or SESSION:PATH")
    parser.add_argument("target", metavar="TARGET", help="a path here, or SESSION:PATH")


def run(arguments: argparse.Namespace) -> int:
    """Copy."""
    source, target = _REMOTE.match(arguments.source), _REMOTE.match(arguments.target)
    if (source is None) == (target is None):
        raise CommandError("name one place in a session, as SESSION:PATH, and one on this machine")
    with server(arguments) as found:
        if source is not None:
            _out(found, source[1], source[2] or ".", Path(arguments.target))
        elif target is not None:
            _in(found, Path(arguments.source), target[1], target[2] or ".")
    return 0


def _in(server: Server, source: Path, session: str, path: str) -> None:
    if not source.exists():
        raise CommandError(f"there is no {source}")
    with tempfile.TemporaryFile() as file:
        with tarfile.open(fileobj=file, mode="w") as archive:
            archive.add(source, source.resolve().name, filter=_plain)
        file.seek(0)
        asked = {"path": path.rstrip("/") or "."}
        headers = {"content-type": TAR}
        done = server.call("PUT", f"/v1/sessions/{session}/files", params=asked, content=file, headers=headers)
    print(f"{done['files']} file{'' if done['files'] == 1 else 's'} copied.")


def _plain(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """Plain files and folders, without who owns them here."""
    if not (member.isfile() or member.isdir()):
        return None
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


def _out(server: Server, session: str, path: str, target: Path) -> None:
    with tempfile.TemporaryFile() as file:
        try:
            with server.http.stream("GET", f"/v1/sessions/{session}/files", params={"path": path}) as answer:
                if answer.status_code >= 400:
                    answer.read()
                    server.check(answer)
                for chunk in answer.iter_bytes():
                    file.write(chunk)
        except httpx.HTTPError as error:
            raise CommandError(f"the server ended the archive: {error}") from None
        file.seek(0)
        with tarfile.open(fileobj=file) as archive:
            left = unpacked(archive, posixpath.basename(path.rstrip("/")), target)
    for name, why in left:
        print(f"left out: {line_of(name)}: {why}")


def unpacked(archive: tarfile.TarFile, name: str, target: Path) -> list[tuple[str, str]]:
    """Unpack what came out of a session. A single file named `name` becomes `target`, where that is no folder.

    Python's `data` filter (PEP 706) refuses names and links that lead out; links are left out altogether. Returns what
    was left out, and why.
    """
    members = archive.getmembers()
    left = [
        (member.name, "it is no plain file or folder") for member in members if not (member.isfile() or member.isdir())
    ]
    plain = [member for member in members if member.isfile() or member.isdir()]
    if len(plain) == 1 and plain[0].isfile() and not target.is_dir():
        content = archive.extractfile(plain[0])
        assert content is not None
        if target.is_symlink():
            raise CommandError(f"{target} is a link: name a file or a folder")
        target.write_bytes(content.read())
        return left
    target.mkdir(parents=True, exist_ok=True)
    for member in plain:
        try:
            archive.extract(member, target, filter="data")
        except (tarfile.FilterError, OSError) as error:
            left.append((member.name, str(error)))
    return left
