"""The audit: one JSON line a decision, each bound to the one before by a keyed hash, written before the call returns.

    audit-00000001.jsonl    {"seq":1,"time":"...",...,"prev":"<hash of the row before>","hash":"<of this row>"}
    audit-00000002.jsonl    its first row follows the last one of file 1
    audit.head              two slots: seq, file, size, hash of the last row, authenticated; flock is held on this file

`hash = HMAC-SHA256(key, prev || the line up to its hash)`: a row can be neither edited, removed, added nor moved by
somebody without the key. What a chain cannot show by itself, that its end is missing, the head shows. All processes
append to one chain under a lock (seven short system calls) instead of one file each: one order of events is what an
inquiry needs, and the file of a dead process could be removed unseen.

The row is written first, the head second. A kill between the two leaves a whole row behind the head: it is authentic by
its hash, and the next append takes it over. A kill within the row leaves a torn line: the next append moves those bytes
into `torn-<seq>.bin`, and says so in a row of its own. The slots of the head take turns, so one of them is whole
whenever power is lost. A head that is ahead of its rows, or missing, means that somebody cut the log: nothing is
appended any more (`audit_tampered`), so nothing is decided any more, either.

"Written" means: in the kernel's page cache, of which a SIGKILL takes nothing. A machine that loses power may lose the
last seconds; `sync=True` waits for the disk with each row (milliseconds), and `AuditLog.sync()` does so when called.

Rows hold fingerprints, never secrets or stubs. The second line: every text passes `redact` (the scrubber's `text`).
"""

from __future__ import annotations

import contextlib
import fcntl
import hmac
import os
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from penstock.vault.audit_rows import (
    GENESIS,
    SLOT_SIZE,
    BadRowError,
    Head,
    check_line,
    each_text,
    fields_of,
    file_name,
    read_head,
    shortened,
    slot_of,
    start_of,
    tampered,
)
from penstock.vault.keyfile import private_directory
from penstock.vault.values import Clock, Refusal

HEAD = "audit.head"
ROTATE = 64 * 1024 * 1024
MAX_LINE = 16 * 1024
LOCK_SECONDS = 5.0


class Verdict(msgspec.Struct, frozen=True):
    """What `verify` found.

    `rows` were good. When `ok` is false, `reason` is a sentence, and `bad_row` and `file` name the first bad row (its
    number as it should be). `witness` is (number, hash) of the last row: kept elsewhere and given to a later `verify`,
    it shows that the log was not put back to an older state. `notes` are findings that a crash may have left.
    """

    ok: bool
    rows: int
    reason: str = ""
    bad_row: int | None = None
    file: str = ""
    witness: tuple[int, str] | None = None
    notes: tuple[str, ...] = ()


class AuditLog:
    """The log, open for appending. Safe between threads and between processes; make one with `AuditLog.open`."""

    def __init__(
        self, directory: Path, key: bytes, redact: Callable[[str], str], rotate: int, sync: bool, clock: Clock
    ) -> None:
        self._directory = directory
        self._key = key
        self._redact = redact
        self._rotate = rotate
        self._sync = sync
        self._clock = clock
        self._lock = threading.Lock()
        self._head = Head()
        self._slots = b""
        self._head_handle = -1
        self._handle = -1

    @classmethod
    def open(
        cls,
        directory: Path,
        key: bytes,
        *,
        redact: Callable[[str], str] = str,
        rotate: int = ROTATE,
        sync: bool = False,
        clock: Clock = time.time,
    ) -> AuditLog:
        """Open the log in `directory`, or begin one; mend what a kill has left.

        Args:
            directory: of the vault alone (0700); made where it is not there.
            key: 32 bytes, such as `Store.derived_key("audit")`.
            redact: replaces every live secret in a text: the scrubber's `text`.
            rotate: bytes of a file, after which the next one is begun.
            sync: wait for the disk with each row.
            clock: seconds since 1970.

        Raises:
            Refusal: `bad_directory`, `audit_tampered`, `audit_blocked`, `audit_failed`.
        """
        private_directory(directory)
        log = cls(directory, key, redact, rotate, sync, clock)
        log._head_handle = _open_file(directory / HEAD)
        try:
            with log._locked():
                log._settle(first=True)
        except BaseException:
            log.close()
            raise
        return log

    def close(self) -> None:
        """Close the files. What was appended is written already."""
        for handle in (self._handle, self._head_handle):
            if handle >= 0:
                os.close(handle)
        self._handle = self._head_handle = -1

    def sync(self) -> None:
        """Wait until the disk has every row."""
        os.fdatasync(self._handle)
        os.fdatasync(self._head_handle)

    @property
    def witness(self) -> tuple[int, str]:
        """(number, hash) of the last row that this process knows: keep it elsewhere, give it to `verify`."""
        return self._head.seq, self._head.hash.hex()

    def append(self, event: Mapping[str, object]) -> int:
        """Write one row, and return its number; when it returns, the row is in the file.

        Keys are snake_case words; values are texts, numbers, booleans, None, or lists of texts. The usual ones:
        `session`, `decision` (allow, deny, swap, scrub, capture, alarm, open, close, revoke), `rule`, `destination`,
        `method`, `path`, `secret`, `version`, `fingerprint`, `reason`, `bytes`. Of a `path`, the values of the query
        are dropped.

        Raises:
            Refusal: `audit_failed` (the disk), `audit_blocked` (another process holds the lock for seconds),
                `audit_tampered`: what was to be recorded must not happen.
            ValueError: the event cannot be a row: a fault of the caller.
        """
        fields = fields_of(event)
        with self._lock, self._locked():
            self._settle()
            return self._write(fields)

    # -- under the lock -----------------------------------------------------------------------------------------------

    def _write(self, fields: dict[str, Any]) -> int:
        head = self._head
        line, digest = self._line(fields, head)
        if head.size and head.size + len(line) > self._rotate:
            self._next_file()
            head = self._head
        _write_whole(self._handle, line, head.size)
        if self._sync:
            os.fdatasync(self._handle)
        self._put_head(Head(head.seq + 1, head.file, head.size + len(line), digest))
        return self._head.seq

    def _line(self, fields: dict[str, Any], head: Head) -> tuple[bytes, bytes]:
        """Return the row after `head`, and its hash."""
        moment = datetime.fromtimestamp(self._clock(), UTC).isoformat(timespec="microseconds")
        body = {"seq": head.seq + 1, "time": moment, **self._redacted(fields), "prev": head.hash.hex()}
        text = msgspec.json.encode(body)[:-1]
        digest = hmac.digest(self._key, head.hash + text, "sha256")
        return b'%b,"hash":"%b"}\n' % (text, digest.hex().encode()), digest

    def _redacted(self, fields: dict[str, Any]) -> dict[str, Any]:
        """Let no live secret through: one look at the whole; where it found something, at each text by itself."""
        whole = msgspec.json.encode(fields)
        if len(whole) > MAX_LINE:
            fields = {key: each_text(value, shortened) for key, value in fields.items()}
            whole = msgspec.json.encode(fields)
        if len(whole) > MAX_LINE:
            raise ValueError(f"an event has {MAX_LINE} bytes at most, not {len(whole)}")
        text = whole.decode()
        if self._redact(text) == text:
            return fields
        cleaned = {key: each_text(value, self._redact) for key, value in fields.items()}
        again = msgspec.json.encode(cleaned).decode()
        if self._redact(again) == again:
            return cleaned
        return {"decision": "alarm", "reason": "unredactable_event"}

    def _next_file(self) -> None:
        os.fdatasync(self._handle)
        os.close(self._handle)
        self._handle = -1
        self._head = Head(self._head.seq, self._head.file + 1, 0, self._head.hash)
        self._handle = _open_file(self._directory / file_name(self._head.file))

    def _put_head(self, head: Head) -> None:
        slot = slot_of(self._key, head)
        place = head.seq % 2 * SLOT_SIZE
        _write_whole(self._head_handle, slot, place)
        slots = bytearray(self._slots.ljust(2 * SLOT_SIZE, b"\0"))
        slots[place : place + SLOT_SIZE] = slot
        self._slots = bytes(slots)
        self._head = head

    def _settle(self, *, first: bool = False) -> None:
        """Know where the chain ends. The usual case: nobody else wrote since, three system calls."""
        slots = os.pread(self._head_handle, 2 * SLOT_SIZE, 0)
        if not first and slots == self._slots:
            found = os.fstat(self._handle)
            if found.st_size == self._head.size and found.st_nlink and os.fstat(self._head_handle).st_nlink:
                return
        self._settle_anew(slots)

    def _settle_anew(self, slots: bytes) -> None:
        head, damaged = read_head(self._key, slots)
        self._refuse_cut(head, slots)
        self._slots = slots
        self._move_to(head)
        torn = self._take_over()
        if torn:
            self._set_apart(torn)
            self._write({"decision": "alarm", "reason": "torn_line", "bytes": torn})
        if damaged:
            self._write({"decision": "alarm", "reason": "head_damaged"})

    def _refuse_cut(self, head: Head | None, slots: bytes) -> None:
        """Refuse to go on where files are gone, or older than this process remembers."""
        if os.fstat(self._head_handle).st_nlink == 0:
            raise tampered("its head record was deleted")
        if head is None and (slots or self._head.seq or (self._directory / file_name(2)).exists()):
            raise tampered("its head record is not authentic")
        if head is None and _size(self._directory / file_name(1)) and not self._is_first_row():
            raise tampered("its head record is missing")
        if (head or Head()).seq < self._head.seq:
            raise tampered("it was put back to an older state")

    def _is_first_row(self) -> bool:
        """A log of one row, whole or torn, without a head: its process was killed before it could write one."""
        return (self._directory / file_name(1)).read_bytes().count(b"\n") <= 1

    def _move_to(self, head: Head | None) -> None:
        """Open the file that the head names, and check that nothing of it is missing."""
        head = head or Head()
        path = self._directory / file_name(head.file)
        if _size(path) < head.size:
            raise tampered(f"{path.name} is shorter than its head record says")
        if self._handle >= 0:
            os.close(self._handle)
        self._handle = _open_file(path)
        self._head = head

    def _take_over(self) -> int:
        """Accept whole, authentic rows behind the head; return the bytes of a torn line behind those."""
        while True:
            size = os.fstat(self._handle).st_size
            rest = os.pread(self._handle, size - self._head.size, self._head.size)
            for line in rest.split(b"\n")[:-1]:
                _, digest = check_line(self._key, self._head.hash, self._head.seq + 1, line + b"\n")
                self._put_head(Head(self._head.seq + 1, self._head.file, self._head.size + len(line) + 1, digest))
            if size > self._head.size or not _size(self._directory / file_name(self._head.file + 1)):
                return size - self._head.size
            self._next_file()

    def _set_apart(self, torn: int) -> None:
        rest = os.pread(self._handle, torn, self._head.size)
        copy = os.open(
            self._directory / f"torn-{self._head.seq + 1:08}.bin",
            os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC,
            0o600,
        )
        with os.fdopen(copy, "wb") as file:
            file.write(rest)
        os.ftruncate(self._handle, self._head.size)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with _lock(self._head_handle), _disk_errors():
            yield


# -- verifying --------------------------------------------------------------------------------------------------------


def verify(directory: Path, key: bytes, *, witness: tuple[int, str] | None = None, first: int = 1) -> Verdict:
    """Read the whole log, and say whether every row is there, as it was written, in its order.

    It may run while others append: it looks at what was there when it began. `first` is the number of the first file
    where older ones were moved away; `witness` is what an earlier verdict (or `AuditLog.witness`) gave.

    Raises:
        OSError: a file cannot be read.
    """
    return _Reading(key, witness, first).verdict(directory)


class _Reading:
    """One pass over the files: what was read so far."""

    def __init__(self, key: bytes, witness: tuple[int, str] | None, first: int) -> None:
        self._key = key
        self._witness = witness
        self._first = first
        self._seq = 0
        self._rows = 0
        self._digest: bytes | None = GENESIS if first == 1 else None
        self._notes: list[str] = []

    def verdict(self, directory: Path) -> Verdict:
        try:
            slots, sizes = _snapshot(directory)
            head, damaged = read_head(self._key, slots)
            if damaged:
                self._notes.append(
                    "one of the two head records is damaged: power was lost, or the last row was removed"
                )
            self._files(directory, sizes)
            self._compare(head, slots)
        except BadRowError as bad:
            return Verdict(False, self._rows, bad.reason, bad.seq, bad.file, notes=tuple(self._notes))
        return Verdict(
            ok=not damaged,
            rows=self._rows,
            reason=self._notes[0] if damaged else "",
            witness=(self._seq, self._digest.hex()) if self._digest else None,
            notes=tuple(self._notes),
        )

    def _files(self, directory: Path, sizes: Mapping[int, int]) -> None:
        last = max(sizes, default=self._first - 1)
        for number in range(self._first, last + 1):
            if number not in sizes:
                raise BadRowError(f"the file {file_name(number)} is missing", self._seq + 1, file_name(number))
            self._file(directory / file_name(number), sizes[number], last=number == last)

    def _file(self, path: Path, size: int, *, last: bool) -> None:
        with path.open("rb") as file:
            while file.tell() < size:
                line = file.readline(min(2 * MAX_LINE, size - file.tell()))
                if not line.endswith(b"\n") and last and file.tell() == size:
                    self._notes.append(f"{path.name} ends in a torn line of {len(line)} bytes")
                    return
                self._row(line, path.name)

    def _row(self, line: bytes, name: str) -> None:
        if self._digest is None:
            self._seq, self._digest = start_of(line, name)
        try:
            self._seq, self._digest = check_line(self._key, self._digest, self._seq + 1, line)
        except Refusal as refusal:
            raise BadRowError(refusal.reason, self._seq + 1, name) from None
        self._rows += 1
        if self._witness and self._witness[0] == self._seq and self._witness[1] != self._digest.hex():
            raise BadRowError("the row is not the one that the witness names", self._seq, name)

    def _compare(self, head: Head | None, slots: bytes) -> None:
        """Hold the rows against the head, and against the witness."""
        if head is None and (slots.strip(b"\0") or self._seq > 1):
            raise BadRowError("the head record is missing or not authentic", self._seq + 1, HEAD)
        wanted = max(head.seq if head else 0, self._witness[0] if self._witness else 0)
        if wanted > self._seq:
            reason = f"rows are missing at the end: there were {wanted} at least"
            raise BadRowError(reason, self._seq + 1, file_name(head.file if head else 1))
        behind = self._seq - (head.seq if head else 0)
        if behind:
            self._notes.append(f"{behind} authentic row(s) behind the head record: a process was killed, or is writing")


def _snapshot(directory: Path) -> tuple[bytes, dict[int, int]]:
    """Return the head record and the sizes of the files at one moment, between two rows."""
    path = directory / HEAD
    if not path.exists():
        return b"", _sizes(directory)
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        with _lock(handle):
            return os.pread(handle, 2 * SLOT_SIZE, 0), _sizes(directory)
    finally:
        os.close(handle)


def _sizes(directory: Path) -> dict[int, int]:
    found = {}
    for path in directory.glob("audit-*.jsonl"):
        number = re.fullmatch(r"audit-(\d{8,})\.jsonl", path.name)
        if number:
            found[int(number[1])] = path.lstat().st_size
    return found


# -- files ------------------------------------------------------------------------------------------------------------


def _open_file(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except FileNotFoundError:
        return 0


def _write_whole(handle: int, data: bytes, place: int) -> None:
    """Write all of `data` at `place`; where the disk takes a part only, take that part back and fail."""
    written = os.pwrite(handle, data, place)
    if written != len(data):
        with contextlib.suppress(OSError):
            os.ftruncate(handle, place)
        raise OSError(28, "the disk took a part of the row only")


@contextmanager
def _lock(handle: int) -> Iterator[None]:
    """Hold the lock, or give up after LOCK_SECONDS: a stopped process must not stop every other for good."""
    deadline = 0.0
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            deadline = deadline or time.monotonic() + LOCK_SECONDS
            if time.monotonic() > deadline:
                fix = "Look for a stopped process of Penstock."
                raise Refusal("audit_blocked", "Another process holds the audit log.", fix=fix, status=503) from None
            time.sleep(0.0005)
    try:
        yield
    finally:
        fcntl.flock(handle, fcntl.LOCK_UN)


@contextmanager
def _disk_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        fix = "Make room on the disk; nothing is let through that cannot be recorded."
        raise Refusal(
            "audit_failed", f"The audit log cannot be written: {error.strerror}.", fix=fix, status=503
        ) from None
