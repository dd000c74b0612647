"""Files that hold a key: 0600, whole or not there at all, refused when anybody else could have read them.

A key file is 32 random bytes as URL-safe base64 and a line break. It is written under another name and then linked
into place, which fails where a file is there already: so two processes agree on one key, and a kill in between
leaves no half of one.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import os
import secrets
import stat
from pathlib import Path

from penstock.vault.values import Refusal

KEY_SIZE = 32


def private_directory(directory: Path) -> None:
    """Make `directory` (0700), or check that it is ours and closed to others.

    Raises:
        Refusal: `bad_directory`.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = directory.stat()
    if found.st_uid != os.geteuid():
        raise Refusal(
            "bad_directory", f"{directory} belongs to another user.", fix=f"chown it: {directory}", status=503
        )
    if found.st_mode & 0o077:
        raise Refusal("bad_directory", f"{directory} is open to others.", fix=f"chmod 700 {directory}", status=503)


def create_key(path: Path) -> None:
    """Write a new key to `path`, unless another process was faster: then its key stands."""
    temporary = _write_key(path.with_name(f"{path.name}.{secrets.token_hex(8)}.tmp"))
    with contextlib.suppress(FileExistsError):
        os.link(temporary, path)
    temporary.unlink()
    _sync_directory(path.parent)


def stage_key(path: Path) -> bytes:
    """Write a new key beside `path`, as PATH.new, and return it. `finish_key` puts it in its place."""
    staged = path.with_name(path.name + ".new")
    staged.unlink(missing_ok=True)  # of a change that was killed before its rows were written: no row knows this key
    _write_key(staged)
    _sync_directory(path.parent)
    return read_key(staged)


def finish_key(path: Path) -> None:
    """Let the staged key take the place of the former one."""
    path.with_name(path.name + ".new").replace(path)
    _sync_directory(path.parent)


def read_key(path: Path) -> bytes:
    """Return the key in a key file.

    Raises:
        Refusal: `key_missing`; `bad_key_file` when it is a link, not ours, open to others, or not a key.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        fix = "Put it back from where you keep it: without it, the secrets cannot be read."
        raise Refusal("key_missing", f"The key file {path} is not there.", fix=fix, status=503) from None
    except OSError as error:
        raise Refusal("bad_key_file", f"The key file {path} cannot be read: {error.strerror}.", status=503) from None
    try:
        _check_mode(path, os.fstat(handle))
        return _decode(path, os.read(handle, 1024))
    finally:
        os.close(handle)


def _check_mode(path: Path, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode) or found.st_uid not in (os.geteuid(), 0):
        fix = f"Make it a file of the vault's user: {path}"
        raise Refusal("bad_key_file", f"The key file {path} is not a file of ours.", fix=fix, status=503)
    if found.st_mode & 0o077:
        fix = f"chmod 600 {path}, and `penstock secrets rekey` if somebody may have read it."
        raise Refusal("bad_key_file", f"The key file {path} can be read by others.", fix=fix, status=503)


def _decode(path: Path, text: bytes) -> bytes:
    try:
        key = base64.b64decode(text.strip(), altchars=b"-_", validate=True)
    except binascii.Error:
        key = b""
    if len(key) != KEY_SIZE:
        fix = "Put back the one that was there; or, for a new store, write `openssl rand -base64 32` into it."
        raise Refusal("bad_key_file", f"The key file {path} holds no key of {KEY_SIZE} bytes.", fix=fix, status=503)
    return key


def _write_key(path: Path) -> Path:
    text = base64.urlsafe_b64encode(os.urandom(KEY_SIZE)) + b"\n"
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(text)
        file.flush()
        os.fsync(handle)
    return path


def _sync_directory(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
