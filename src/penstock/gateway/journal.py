"""The journal: what a worker writes about each call, so that no kill of any process loses it.

A record is in the journal when the call that writes it returns. "In" means: in the kernel's page cache, of which a
SIGKILL takes nothing. (A machine that loses its power may lose the last moments; the ledger's database, which drains
the journal every fraction of a second, is what is synced to the disk.)

    journals/                      mode 0700
        3-4711-9f3c01ab/           one folder a worker process: its life, never used again
            lock                   flock, held while the process lives: whoever gets it knows that the worker is dead
            0000000001.journal     segments, in order, mode 0600
            0000000002.journal

A segment is a file of fixed size, allocated when it is made, so that a write into it cannot fail for want of space:

    16 bytes   FORMAT: what this is, and its version
    16 bytes   random: names the segment, however files are named
    then frames: length (4 bytes, little-endian), CRC32 of the payload (4), payload: one MessagePack `Record`
    then zeros

The payload is written before its length, so a reader of a living worker's segment sees a whole frame or none (and where
a machine reorders memory, the CRC says so). A segment is over when the next one exists. What a kill can leave is one
torn frame as the very last of the last segment; a frame that does not fit its CRC anywhere else is damage, and is said
to be.

Segments are written through a shared memory map: 1.8 us a record with encoding and CRC, where os.write takes 2.9. A map
answers a full disk with SIGBUS unless every block is there already, so it is used on the file systems that promise this
of posix_fallocate, and os.pwrite, whose errors are exceptions, on all others.

`opened` leaves the last quarter of a segment to the ends of what is under way: when the disk is full, new calls are
refused (`JournalError`, before anything is sent), and those that were sent can still be recorded.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import mmap
import os
import re
import secrets
import struct
import zlib
from pathlib import Path
from typing import Any, Literal, NamedTuple

import msgspec

from penstock.gateway.records import Closed, Ended, Opened, Record

FORMAT = b"penstock journ\x00\x01"
PREFACE = 32
"""Bytes before the first frame of a segment: FORMAT and the segment's own 16 random bytes."""

FRAME = struct.Struct("<II")
SEGMENT_SIZE = 8 * 1024 * 1024
LOCK = "lock"
SUFFIX = ".journal"

_ALLOCATES = frozenset({"ext2", "ext3", "ext4", "xfs", "tmpfs", "f2fs"})
_WORKER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")

_LARGEST = 2**63 - 1

_crc32 = zlib.crc32
_pack_into = FRAME.pack_into
_unpack_from = FRAME.unpack_from


class JournalError(RuntimeError):
    """The journal cannot take a record (the message says why, and what to do): the call may not be sent."""


# -- frames: pure -----------------------------------------------------------------------------------------------------

Tail = Literal["end", "more", "torn"]


class Frames(NamedTuple):
    """What a piece of a segment holds.

    payloads   those of its whole frames, in order
    size       bytes that these take
    tail       what follows them: "end" nothing yet (zeros), "more" the beginning of a frame whose rest is not in this
               piece (`needed` bytes in all, header included), "torn" a frame that does not fit its CRC
    """

    payloads: list[bytes]
    size: int
    tail: Tail
    needed: int = 0


def read_frames(data: bytes, at: int = 0) -> Frames:
    """The frames in `data` from `at` on (any piece of a segment that begins with a frame). Never raises."""
    payloads: list[bytes] = []
    position, end = at, len(data)
    while end - position >= 8:
        length, crc = _unpack_from(data, position)
        if not length:
            return Frames(payloads, position - at, "torn" if crc else "end")
        if position + 8 + length > end:
            return Frames(payloads, position - at, "more", 8 + length)
        payload = data[position + 8 : position + 8 + length]
        if _crc32(payload) != crc:
            return Frames(payloads, position - at, "torn")
        payloads.append(payload)
        position += 8 + length
    return Frames(payloads, position - at, "more", 8)


# -- writing ----------------------------------------------------------------------------------------------------------


def new_worker_id(slot: int) -> str:
    """A name for one life of the worker in this slot (0, 1, ...), which no other process ever has: 0-4711-9f3c01ab."""
    return f"{slot}-{os.getpid()}-{secrets.token_hex(4)}"


class Journal:
    """One worker's journal. Not thread-safe: a worker has one thread. Make it after the fork, in the worker itself.

    directory      the folder of all workers' journals; made where it does not exist
    worker_id      names this life of the worker (see `new_worker_id`); 1 to 100 of A-Z a-z 0-9 _ . -
    segment_size   bytes of a segment; a record that does not fit gets one of its own
    mapped         write through a memory map (None: where the file system allows it)

    `opened`, `closed` and `ended` return when the record can no longer be lost by a kill of this process. They raise
    JournalError where it cannot be kept (disk full, file system gone): the call must not be sent, or, when it has been,
    will be found without its end after this process and be accounted with what was reserved for it.
    """

    __slots__ = (
        "_encode",
        "_end",
        "_file",
        "_lock",
        "_map",
        "_mapped",
        "_opened_end",
        "_position",
        "_segment_size",
        "directory",
        "segments",
        "worker_id",
    )

    directory: Path

    def __init__(
        self,
        directory: str | os.PathLike[str],
        worker_id: str,
        *,
        segment_size: int = SEGMENT_SIZE,
        mapped: bool | None = None,
    ) -> None:
        if not _WORKER.fullmatch(worker_id):
            raise ValueError(f"{worker_id!r} cannot name a worker: use up to 100 of A-Z a-z 0-9 _ . -, a word first")
        parent = Path(directory)
        parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.worker_id = worker_id
        self.segments = 0
        self._encode = msgspec.msgpack.Encoder().encode
        self._segment_size = max(4096, segment_size)
        self._mapped = _allocation_is_kept(parent) if mapped is None else mapped
        self._lock = self._file = -1
        self._map: mmap.mmap | None = None
        self._position = self._end = self._opened_end = 0
        self.directory = self._begin(parent)

    def opened(self, record: Opened) -> None:
        """Write that this request is about to be sent."""
        self._write(record, self._opened_end)

    def closed(self, record: Closed) -> None:
        """Write how this attempt ended."""
        self._write(record, self._end)

    def ended(self, record: Ended) -> None:
        """Write that this request is over."""
        self._write(record, self._end)

    def close(self) -> None:
        """Let go of the journal: nothing can be written any more, and the ledger takes this worker for ended."""
        self._close_segment()
        self._position = self._end = self._opened_end = 0
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _write(self, record: Record, end: int, crc32: Any = _crc32, pack_into: Any = _pack_into) -> None:
        """Append the record, before `end` or in a new segment. (Hot path: no call that it can avoid.)"""
        try:
            payload = self._encode(record)
        except (UnicodeEncodeError, OverflowError):  # half of a surrogate pair, or 10^30 tokens, out of somebody's JSON
            payload = self._encode(_encodable(msgspec.to_builtins(record)))
        length = len(payload)
        position = self._position
        after = position + 8 + length
        if after > end:
            self._next_segment(length)
            position, after = PREFACE, PREFACE + 8 + length
        segment = self._map
        if segment is None:
            self._write_to_file(position, FRAME.pack(length, crc32(payload)) + payload)
        else:
            segment[position + 8 : after] = payload
            pack_into(segment, position, length, crc32(payload))
        self._position = after

    def _write_to_file(self, position: int, frame: bytes) -> None:
        """What could be written in part only is taken back: a zero for its length says that nothing is there."""
        try:
            if os.pwrite(self._file, frame, position) != len(frame):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            with contextlib.suppress(OSError):
                os.pwrite(self._file, bytes(FRAME.size), position)
            raise JournalError(_why(error, self.directory)) from error

    def _begin(self, parent: Path) -> Path:
        """Make this life's folder: nobody sees it before it is locked and has its first segment."""
        made = parent / f".new-{self.worker_id}-{secrets.token_hex(4)}"
        life = parent / self.worker_id
        try:
            made.mkdir(mode=0o700)
            self._lock = os.open(made / LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.directory = made
            self._next_segment(0)
            made.rename(life)
        except OSError as error:
            self._abandon(made)
            if error.errno in (errno.EEXIST, errno.ENOTEMPTY):
                raise JournalError(f"{life} is another process's: give each worker process a name of its own") from None
            raise JournalError(_why(error, parent)) from error
        except JournalError:
            self._abandon(made)
            raise
        return life

    def _abandon(self, made: Path) -> None:
        self.close()
        with contextlib.suppress(OSError):
            for path in made.iterdir():
                path.unlink()
            made.rmdir()

    def _next_segment(self, payload_size: int) -> None:
        """Go on in a new segment, with room for a payload of this size. Where none can be made the old one stays."""
        if self._lock < 0:
            raise JournalError("this journal was closed: make a new one, under a name of its own")
        size = max(self._segment_size, (PREFACE + 8 + payload_size) * 4 // 3 + 8)
        path = self.directory / f"{self.segments + 1:010d}{SUFFIX}"
        try:
            file, map_ = _made_segment(path, size, self._mapped)
        except OSError as error:
            raise JournalError(_why(error, self.directory)) from error
        self._close_segment()
        self._file, self._map = file, map_
        self.segments += 1
        self._position, self._end, self._opened_end = PREFACE, size, size - size // 4

    def _close_segment(self) -> None:
        if self._map is not None:
            self._map.close()
            self._map = None
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def _made_segment(path: Path, size: int, mapped: bool) -> tuple[int, mmap.mmap | None]:
    """A new segment under this name, ready and whole: its file, or its map."""
    partial = path.with_suffix(".new")
    file = os.open(partial, os.O_CREAT | os.O_TRUNC | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        allocated = _allocate(file, size)
        os.pwrite(file, FORMAT + secrets.token_bytes(16), 0)
        map_ = mmap.mmap(file, size, flags=mmap.MAP_SHARED) if mapped and allocated else None
        partial.rename(path)
    except BaseException:
        os.close(file)
        partial.unlink(missing_ok=True)
        raise
    if map_ is not None:
        os.close(file)
        file = -1
    return file, map_


def _allocate(fd: int, size: int) -> bool:
    """Take the disk's blocks for this file. False where the system has no such call: the file only gets its size."""
    try:
        os.posix_fallocate(fd, 0, size)
    except (AttributeError, OSError) as error:
        if getattr(error, "errno", None) not in (None, errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS):
            raise
        os.ftruncate(fd, size)
        return False
    return True


def _allocation_is_kept(directory: Path) -> bool:
    """Whether this file system keeps the blocks that posix_fallocate promised: not so where it writes copies (btrfs,
    ZFS, an overlay of who knows what), nor over a network.
    """
    status = directory.stat().st_dev
    wanted = f"{os.major(status)}:{os.minor(status)}"
    try:
        lines = Path("/proc/self/mountinfo").read_text(errors="replace").splitlines()
    except OSError:
        return False
    mounts = (line.split(" - ", 1) for line in lines if line.split(" ", 3)[2] == wanted)
    return any(len(parts) == 2 and parts[1].split(" ", 1)[0] in _ALLOCATES for parts in mounts)


def _encodable(value: Any) -> Any:
    """The same values, with ? for what is no character, and the largest integer of 64 bits for larger ones."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, int) and not isinstance(value, bool):
        return max(-_LARGEST, min(value, _LARGEST))
    if isinstance(value, list | tuple):
        return [_encodable(item) for item in value]
    if isinstance(value, dict):
        return {_encodable(key): _encodable(item) for key, item in value.items()}
    return value


def _why(error: OSError, where: Path) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"the journal's disk is full ({where}): make room there; calls are refused until they can be recorded"
    return f"the journal cannot be written ({where}): {error.strerror or error}"
