"""The sealed store of secrets: what lies on the disk is of no use to whoever copies the disk, or edits the file.

One SQLite file, one row a version of a secret. A value is sealed by AES-256-GCM under a data key of its own row; the
data key is wrapped by the *store key*, which is not in the database (a key file beside it, or a key that the caller
has from elsewhere). All that says where a secret may go (bindings, addresses, CA, kind, owner ...) is the *associated
data* of the seal: whoever edits a binding in the file, or exchanges two rows, has a row that no longer opens. Every
record that this module hands out was verified so, also those of revoked secrets and of secrets with a source, whose
seal holds no value.

    secrets     owner, name, version | record (JSON, as authenticated) | wrapped (data key) | sealed (value)
    properties  format; key_id (names the store key); root (wrapped: fingerprints and derived keys come from it)

A value leaves by `reveal` only. There is deliberately no way to change where a secret goes without its value: who may
edit a binding could otherwise send the secret to a host of their own.

When a secret is replaced, rotated or revoked, the former value is overwritten (and its data key with it); its record
stays, for the audit. docs/explanation/vault-at-rest.md says against whom this protects, and against whom it cannot.
"""

from __future__ import annotations

import difflib
import fcntl
import hashlib
import hmac
import os
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from msgspec.structs import replace

from penstock.vault.keyfile import KEY_SIZE, create_key, finish_key, private_directory, read_key, stage_key
from penstock.vault.quality import check_lines
from penstock.vault.records import Check, SecretRecord, check_record
from penstock.vault.values import Clock, Refusal, Secret

DATABASE = "secrets.db"
KEY_FILE = "secrets.key"
FORMAT = "1"
NONCE = 12
_TABLES = """
CREATE TABLE IF NOT EXISTS properties (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS secrets (
    owner TEXT NOT NULL, name TEXT NOT NULL, version INTEGER NOT NULL,
    record TEXT NOT NULL, wrapped BLOB NOT NULL, sealed BLOB NOT NULL,
    PRIMARY KEY (owner, name, version)
) STRICT;
"""


class Store:
    """The sealed store, open. Safe between threads and between processes; make one with `Store.open`."""

    def __init__(
        self, directory: Path, database: sqlite3.Connection, key_path: Path | None, key: bytes, clock: Clock
    ) -> None:
        self.directory = directory
        self._database = database
        self._key_path = key_path
        self._key = key
        self._clock = clock
        self._lock = threading.RLock()
        self._root = b""

    def __repr__(self) -> str:
        return "Store(sealed)"

    @classmethod
    def open(
        cls, directory: Path, key: bytes | None = None, *, key_file: Path | None = None, clock: Clock = time.time
    ) -> Store:
        """Open the store in `directory`, making both where they are not there yet (0700, files 0600).

        Args:
            directory: of the vault alone; refused when others could read or write in it.
            key: 32 bytes, where the caller keeps the store key elsewhere; else it is read from the key file.
            key_file: where the key file is, when not in `directory` (another disk, a mounted secret).
            clock: seconds since 1970.

        Raises:
            Refusal: `bad_directory`, `bad_key_file`, `key_missing`, `wrong_key`, `store_damaged`; each with its fix.
        """
        if key is not None and len(key) != KEY_SIZE:
            raise Refusal("bad_key", f"A store key has {KEY_SIZE} bytes; this one has {len(key)}.")
        private_directory(directory)
        key_path = None if key is not None else key_file or directory / KEY_FILE
        with _alone(directory), _sqlite_errors():
            database = _connect(directory / DATABASE)
            try:
                store = cls(directory, database, key_path, key or b"", clock)
                store._begin()
            except BaseException:
                database.close()
                raise
        return store

    def close(self) -> None:
        """Close the file. What was written is in it already."""
        self._database.close()

    # -- reading ------------------------------------------------------------------------------------------------------

    def get(self, name: str, *, owner: str = "", version: int | None = None) -> SecretRecord:
        """Return the record of a secret: its newest version, or `version`.

        Raises:
            Refusal: `no_such_secret`; `store_tampered` when the row was not written by this store, as it is.
        """
        with self._reading():
            return self._opened(self._row(owner, name, version))[0]

    def list(self, owner: str | None = None, *, versions: bool = False) -> list[SecretRecord]:
        """Return the records of `owner` (None: everybody's), by owner and name: the newest of each, or all versions."""
        with self._reading():
            rows = self._database.execute("SELECT * FROM secrets ORDER BY owner, name, version").fetchall()
            records = [self._opened(row)[0] for row in rows if owner is None or row[0] == owner]
        if versions:
            return records
        return [*{(record.owner, record.name): record for record in records}.values()]

    def reveal(self, name: str, *, owner: str = "") -> Secret:
        """Return the value of a secret: the one way to it, for the vault's process.

        Raises:
            Refusal: `no_such_secret`, `secret_revoked`, `store_tampered`; `secret_has_source` when the value is not
                sealed here: read it with `sources.Sources`.
        """
        with self._reading():
            record, value = self._opened(self._row(owner, name, None))
        if record.revoked_at is not None:
            raise Refusal("secret_revoked", f"The secret {name} was revoked.", fix="Set it anew.", status=403)
        if record.source is not None:
            raise Refusal("secret_has_source", f"The value of {name} is not in the store: it comes from a source.")
        return Secret(name, value, record.version)

    def changes(self) -> tuple[int, int]:
        """Return a mark that differs from the last one when any process wrote anything since (microseconds)."""
        with self._lock:
            (others,) = self._database.execute("PRAGMA data_version").fetchone()
            return others, self._database.total_changes

    def fingerprint(self, value: bytes) -> str:
        """Return the fingerprint of a value: a keyed hash, of no use without the store, the same after `rekey`."""
        return hmac.digest(self._root, b"fingerprint\0" + value, "sha256").hex()[:16]

    def derived_key(self, purpose: str) -> bytes:
        """Return 32 bytes for another use (`"audit"`), bound to this store and the same after `rekey`."""
        return hmac.digest(self._root, b"derived\0" + purpose.encode(), "sha256")

    # -- writing ------------------------------------------------------------------------------------------------------

    def put(
        self,
        name: str,
        value: bytes | None = None,
        *,
        kind: str = "static",
        env: str | None = None,
        bindings: Sequence[str] = (),
        addresses: Mapping[str, Sequence[str]] | None = None,
        upstream_ca: str | None = None,
        options: Mapping[str, Any] | None = None,
        source: str | None = None,
        owner: str = "",
        check: Check = check_lines,
    ) -> SecretRecord:
        """Write a new version of a secret: a `value` to seal, or the `source` that has it. The former value goes.

        `bindings` are kept as typed; parse them with `rules.parse_binding` first. `check` holds the value against
        their slots; the default refuses line breaks for slots of a head (header, basic, cookie, query).

        Raises:
            Refusal: `bad_secret_name`, `bad_env_name`, `secret_too_short` (with why), `secret_too_long`,
                `secret_has_line_break`, `secret_in_metadata`, `bad_address`, `bad_upstream_ca`, `bad_secret`.
        """
        draft = SecretRecord(
            name=name, version=0, kind=kind, env=env, bindings=tuple(bindings), upstream_ca=upstream_ca,
            addresses={host: tuple(networks) for host, networks in (addresses or {}).items()},
            options=dict(options or {}), source=source, owner=owner,
        )  # fmt: skip
        check_record(draft, value, check)
        with self._writing():
            row = self._newest(owner, name)
            return self._append(draft, value, self._opened(row)[0] if row else None)

    def rotate(
        self, name: str, value: bytes, *, owner: str = "", expected: int | None = None, check: Check = check_lines
    ) -> SecretRecord:
        """Replace the value, and leave all else. `expected`: the version that the caller replaces.

        Raises:
            Refusal: `no_such_secret`, `secret_revoked`, those of `put`; `secret_changed` when another version is there.
        """
        with self._writing():
            former = self._opened(self._row(owner, name, None))[0]
            if former.revoked_at is not None:
                raise Refusal("secret_revoked", f"The secret {name} was revoked.", fix="Set it anew.")
            if expected is not None and former.version != expected:
                raise Refusal("secret_changed", f"{name} has version {former.version}, not {expected}.", status=409)
            draft = replace(former, source=None)
            check_record(draft, value, check)
            return self._append(draft, value, former)

    def revoke(self, name: str, *, owner: str = "") -> SecretRecord:
        """Destroy the value for good, and keep the record, marked. A second time changes nothing.

        Raises:
            Refusal: `no_such_secret`, `store_tampered`.
        """
        with self._writing():
            record = self._opened(self._row(owner, name, None))[0]
            if record.revoked_at is None:
                record = self._empty(record)
        self._forget_pages()
        return record

    def delete(self, name: str, *, owner: str = "") -> None:
        """Remove every version and its record, damaged ones as well.

        Raises:
            Refusal: `no_such_secret`.
        """
        with self._writing():
            gone = self._database.execute("DELETE FROM secrets WHERE owner = ? AND name = ?", (owner, name))
            if gone.rowcount == 0:
                raise self._absent(owner, name)
        self._forget_pages()

    def rekey(self, key: bytes | None = None) -> None:
        """Wrap every data key with a new store key: `key`, or one made here where the key is in a key file.

        Killed at any moment, the store opens with the old key or with the new: the new key file is beside the old
        one before the rows change, and takes its place afterwards. Other processes find the new key by themselves.

        Raises:
            Refusal: `bad_key`; `store_tampered` (nothing was changed).
        """
        if (key is None) != (self._key_path is not None):
            raise Refusal("bad_key", "A store with a key file makes its new key itself; one without is given it.")
        with self._writing():
            new = key if key is not None else self._staged()
            for row in self._database.execute("SELECT * FROM secrets").fetchall():
                self._opened(row)
                data_key = _open(self._key, row[4], _place(*row[:3]))
                self._database.execute(
                    "UPDATE secrets SET wrapped = ? WHERE owner = ? AND name = ? AND version = ?",
                    (_seal(new, data_key, _place(*row[:3])), *row[:3]),
                )
            self._set_property("root", _seal(new, self._root, b"root"))
            self._set_property("key_id", _key_id(new))
        if self._key_path is not None:
            finish_key(self._key_path)
        self._key = new
        self._forget_pages()

    def _staged(self) -> bytes:
        """Make the next key; first put one in its place that is in force but staged (its `rekey` was killed)."""
        assert self._key_path is not None
        if read_key(self._key_path) != self._key:
            finish_key(self._key_path)
        return stage_key(self._key_path)

    # -- rows ---------------------------------------------------------------------------------------------------------

    def _append(self, draft: SecretRecord, value: bytes | None, former: SecretRecord | None) -> SecretRecord:
        """Write the version after `former`, and destroy the value of `former`."""
        now = self._clock()
        record = replace(
            draft,
            version=1 if former is None else former.version + 1,
            fingerprint="" if value is None else self.fingerprint(value),
            created_at=now if former is None else former.created_at,
            updated_at=now,
            revoked_at=None,
        )
        if former is not None and former.revoked_at is None:
            self._empty(former)
        self._write(record, value or b"")
        return record

    def _empty(self, record: SecretRecord) -> SecretRecord:
        now = self._clock()
        record = replace(record, updated_at=now, revoked_at=now)
        self._write(record, b"")
        return record

    def _write(self, record: SecretRecord, value: bytes) -> None:
        """Seal and write one row, under a data key that no other row has, nor this row before."""
        text = msgspec.json.encode(record, order="deterministic")
        place = _place(record.owner, record.name, record.version)
        data_key = AESGCM.generate_key(256)
        self._database.execute(
            "INSERT OR REPLACE INTO secrets VALUES (?, ?, ?, ?, ?, ?)",
            (
                record.owner, record.name, record.version, text.decode(),
                _seal(self._key, data_key, place), _seal(data_key, value, place + text),
            ),
        )  # fmt: skip

    def _opened(self, row: tuple[Any, ...]) -> tuple[SecretRecord, bytes]:
        """Verify one row, and return its record and its value (empty: revoked, or from a source)."""
        owner, name, version, text, wrapped, sealed = row
        place = _place(owner, name, version)
        try:
            data_key = _open(self._key, wrapped, place)
            value = _open(data_key, sealed, place + text.encode())
            record = msgspec.json.decode(text, type=SecretRecord)
        except (InvalidTag, ValueError):
            raise Refusal(
                "store_tampered",
                f"The row of the secret {name!r} (version {version}) was changed by something other than this store.",
                fix=f"Find out who writes to {DATABASE}; then delete the secret and set it anew.",
                status=503,
            ) from None
        return record, value

    def _newest(self, owner: str, name: str) -> tuple[Any, ...] | None:
        query = "SELECT * FROM secrets WHERE owner = ? AND name = ? ORDER BY version DESC LIMIT 1"
        row: tuple[Any, ...] | None = self._database.execute(query, (owner, name)).fetchone()
        return row

    def _absent(self, owner: str, name: str) -> Refusal:
        """The refusal of a name that is none, with the one that may have been meant."""
        names = [
            row[0] for row in self._database.execute("SELECT DISTINCT name FROM secrets WHERE owner = ?", (owner,))
        ]
        meant = difflib.get_close_matches(name, names, 1)
        fix = f"Did you mean {meant[0]}?" if meant else "`penstock secrets list` shows those that there are."
        return Refusal("no_such_secret", f"There is no secret {name!r}.", fix=fix, status=404)

    def _row(self, owner: str, name: str, version: int | None) -> tuple[Any, ...]:
        row = self._newest(owner, name)
        if row is not None and version is not None:
            query = "SELECT * FROM secrets WHERE owner = ? AND name = ? AND version = ?"
            row = self._database.execute(query, (owner, name, version)).fetchone()
        if row is None:
            raise self._absent(owner, name)
        return row

    # -- keys and transactions ----------------------------------------------------------------------------------------

    def _begin(self) -> None:
        """Read or make tables and keys. The caller holds the directory's lock."""
        found = self._tables()
        if self._key_path is not None and not found and not self._key_path.exists():
            create_key(self._key_path)
        if found:
            self._fit_key()
            return
        if self._key_path is not None:
            self._key = read_key(self._key_path)
        self._root = AESGCM.generate_key(256)
        with self._transaction("IMMEDIATE"):
            self._set_property("format", FORMAT.encode())
            self._set_property("root", _seal(self._key, self._root, b"root"))
            self._set_property("key_id", _key_id(self._key))

    def _tables(self) -> bool:
        """Make the tables; return whether the store was there already. A newer format is refused."""
        self._database.executescript(_TABLES)
        found = self._property("format")
        if found not in (None, FORMAT.encode()):
            raise Refusal("store_newer", "The store was written by a newer Penstock.", fix="Use that version.")
        return found is not None

    def _fit_key(self) -> None:
        """Have the key with which the rows are wrapped now: another process may have exchanged it."""
        wanted = self._property("key_id")
        if self._root and wanted == _key_id(self._key):
            return
        for key in self._candidates():
            if _key_id(key) == wanted:
                self._key = key
                self._root = _open(key, self._property("root") or b"", b"root")
                return
        raise Refusal(
            "wrong_key",
            "The store was sealed with another key than this one.",
            fix="Give the key that it was made with; without it, its secrets cannot be read: move the store away.",
            status=503,
        )

    def _candidates(self) -> Iterator[bytes]:
        """The key given; or the key file's, then that of a `rekey` that is under way or was killed before its end."""
        if self._key_path is None:
            yield self._key
            return
        yield read_key(self._key_path)
        staged = self._key_path.with_name(self._key_path.name + ".new")
        if staged.exists():
            yield read_key(staged)

    def _property(self, name: str) -> bytes | None:
        row = self._database.execute("SELECT value FROM properties WHERE name = ?", (name,)).fetchone()
        return None if row is None else row[0]

    def _set_property(self, name: str, value: bytes) -> None:
        self._database.execute("INSERT OR REPLACE INTO properties VALUES (?, ?)", (name, value))

    @contextmanager
    def _transaction(self, mode: str) -> Iterator[None]:
        self._database.execute(f"BEGIN {mode}")
        try:
            yield
        except BaseException:
            self._database.execute("ROLLBACK")
            raise
        self._database.execute("COMMIT")

    @contextmanager
    def _reading(self) -> Iterator[None]:
        with self._lock, _sqlite_errors(), self._transaction("DEFERRED"):
            self._fit_key()
            yield

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with self._lock, _sqlite_errors(), self._transaction("IMMEDIATE"):
            self._fit_key()
            yield

    def _forget_pages(self) -> None:
        """Empty the write-ahead log, where sealed pages of before lie; a reader may hold them a while longer."""
        with self._lock, _sqlite_errors():
            self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


# -- sealing: pure ----------------------------------------------------------------------------------------------------


def _seal(key: bytes, plain: bytes, associated: bytes) -> bytes:
    nonce = os.urandom(NONCE)
    return nonce + AESGCM(key).encrypt(nonce, plain, associated)


def _open(key: bytes, sealed: bytes, associated: bytes) -> bytes:
    return AESGCM(key).decrypt(sealed[:NONCE], sealed[NONCE:], associated)


def _place(owner: str, name: str, version: int) -> bytes:
    """Where a row belongs, so that no two places have the same bytes."""
    return msgspec.json.encode(["penstock-secret", owner, name, version]) + b"\n"


def _key_id(key: bytes) -> bytes:
    return hmac.digest(key, b"penstock store key", hashlib.sha256)[:8]


# -- the file ---------------------------------------------------------------------------------------------------------


def _connect(path: Path) -> sqlite3.Connection:
    """Open the database; SQLite gives its write-ahead log the mode of the file, so the file is made first."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
    if path.stat().st_mode & 0o077:
        raise Refusal("bad_directory", f"{path} is open to others.", fix=f"chmod 600 {path}", status=503)
    database = sqlite3.connect(path, timeout=10, isolation_level=None, check_same_thread=False)
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "secure_delete = ON", "trusted_schema = OFF"):
        database.execute(f"PRAGMA {pragma}").fetchall()
    return database


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """Hold the directory's lock: two processes that start at the same time make one store and one key."""
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


@contextmanager
def _sqlite_errors() -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        fix = "Look at the disk, and at who holds the store open."
        raise Refusal("store_failed", f"The store of secrets failed: {error}.", fix=fix, status=503) from None
    except sqlite3.DatabaseError as error:
        fix = "Put back a copy of the whole directory, or move it away and set the secrets anew."
        raise Refusal("store_damaged", f"The store of secrets is damaged: {error}.", fix=fix, status=503) from None
