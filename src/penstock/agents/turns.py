"""One turn: a harness's program in a sandbox, from its start to its end, and each thing it says in the log once.

What was read is written before more is read, so a slow disk makes a slow program and no queue. Events bear the turn's
own numbers (`Source`): if an append is repeated because nobody knows whether it came through, nothing is doubled.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import posixpath
import signal
import tarfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

import msgspec

from penstock.agents.errors import AgentsError, Conflict
from penstock.agents.events import Draft, Error, TurnEnd
from penstock.agents.harnesses.contract import Harness, Launch, Question, Reading
from penstock.agents.log import Source
from penstock.agents.output import KEPT_ERRORS, Lines, sized, too_long
from penstock.agents.sandboxes.driver import HOME, WORKSPACE, Exit, File, Process, Sandbox
from penstock.agents.store.base import Appended

CHUNK = 65536
GRACE = 2.0
"""Seconds that a program has to end after it was interrupted, before everything in its sandbox is killed."""
LEFTOVER = 1.0
"""Seconds after a program's end in which its output must end; what it left running may hold it open for ever."""


class Append(Protocol):
    """Writes events of one session (the runner's; durable when it returns)."""

    async def __call__(self, drafts: Sequence[Draft], source: Source | None = None) -> Appended: ...


class Diary:
    """The turn's way into the log: numbers its events, and lets somebody look at each.

    Args:
        append: writes.
        producer: a name that no other turn has, nor this one when it is run again.
        look: is given every draft before it is written.
    """

    def __init__(self, append: Append, producer: str, look: Callable[[Draft], None] = lambda draft: None) -> None:
        self._append = append
        self._producer = producer
        self._look = look
        self._next = 1

    async def add(self, drafts: Iterable[Draft]) -> Appended | None:
        """Write these. Raises Conflict where the session takes no more."""
        ready = list(sized(drafts))
        if not ready:
            return None
        for draft in ready:
            self._look(draft)
        writing = asyncio.ensure_future(self._append(ready, Source(self._producer, self._next)))
        try:
            return await asyncio.shield(writing)
        finally:  # who is cancelled here must know whether it was written, for the numbers' sake
            await asyncio.wait([writing])
            if not writing.cancelled() and writing.exception() is None:
                self._next += len(ready)


class Finished(msgspec.Struct, frozen=True):
    """How a turn ended: its last drafts, which are not written yet, and its end. `reason`: the sandbox's part in it."""

    drafts: list[Draft]
    end: TurnEnd
    reason: str = ""


Judge = Callable[[Question], Awaitable[tuple[bool, str]]]
"""Says whether the agent may use a tool, and what to tell it."""


async def run(
    sandbox: Sandbox,
    launch: Launch,
    reading: Reading,
    diary: Diary,
    *,
    judge: Judge,
    stop: Callable[[], Awaitable[object]],
) -> Finished:
    """Run the program to its end, or until `stop` returns; then it is interrupted, and killed if that does not help.

    Raises:
        SandboxError: it could not be started. Conflict: the session takes no more events; the program is killed.
    """
    await place(sandbox, launch.files)
    process = await sandbox.exec(launch.argv, env=launch.env, stdin=bool(launch.stdin) or launch.answers)
    entry = _Entry(process, reading, judge)
    stopping = asyncio.ensure_future(stop())
    tasks: list[asyncio.Task[bytes | None]] = [
        asyncio.create_task(_said(process, reading, diary, entry)),
        asyncio.create_task(_last_of(process)),
        asyncio.create_task(entry.begin(launch)),
    ]
    try:
        ended, stopped = await _ended(sandbox, process, stopping)
        await asyncio.wait(tasks[:2], timeout=LEFTOVER)
        for task in tasks:
            task.cancel()
        said, errors, _ = await asyncio.gather(*tasks, return_exceptions=True)
        if isinstance(said, Exception):
            raise said
    finally:
        stopping.cancel()
        for task in tasks:
            task.cancel()
        entry.close()
        await _kill(process)
    return _finished(reading, ended, errors if isinstance(errors, bytes) else b"", stopped)


class _Entry:
    """The program's input: what it is told first, and answers to what it asks."""

    def __init__(self, process: Process, reading: Reading, judge: Judge) -> None:
        self._process = process
        self._reading = reading
        self._judge = judge
        self._answering: set[asyncio.Task[None]] = set()
        self._writing = asyncio.Lock()

    async def begin(self, launch: Launch) -> None:
        """Tell it what it begins with."""
        if launch.stdin:
            await self._write(launch.stdin)
        if not launch.answers:
            self._process.close_input()

    def ask(self, question: Question) -> None:
        """Have a question answered, while the program says on."""
        task = asyncio.create_task(self._answer(question))
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)

    async def _answer(self, question: Question) -> None:
        try:
            allowed, note = await self._judge(question)
        except AgentsError as error:
            allowed, note = False, error.message
        with contextlib.suppress(KeyError):
            await self._write(self._reading.answer(question.call, allowed, note))

    async def _write(self, data: bytes) -> None:
        async with self._writing:
            with contextlib.suppress(BrokenPipeError, ConnectionError):
                await self._process.write(data)

    def look(self) -> None:
        """End its input once it wants nothing more."""
        if self._reading.finished:
            self._process.close_input()

    def close(self) -> None:
        """Nobody waits for answers any more."""
        for task in list(self._answering):
            task.cancel()


async def _ended(sandbox: Sandbox, process: Process, stopping: asyncio.Future[object]) -> tuple[Exit, bool]:
    """The program's end, and whether we made it end."""
    waiting: asyncio.Future[Exit] = asyncio.ensure_future(process.wait())
    both: list[asyncio.Future[Any]] = [waiting, stopping]
    await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
    if waiting.done():
        return await waiting, False
    await process.kill(signal.SIGINT)
    await asyncio.wait([waiting], timeout=GRACE)
    if not waiting.done():
        await _kill(process)
        with contextlib.suppress(Exception):
            await sandbox.stop()  # also what it left in the background
    return await waiting, True


async def _kill(process: Process) -> None:
    with contextlib.suppress(Exception):
        await process.kill()


async def _said(process: Process, reading: Reading, diary: Diary, entry: _Entry) -> None:
    """Write what it prints, as it comes. When the log takes no more, the program has nobody to work for."""
    lines = Lines()
    try:
        while data := await process.read(CHUNK):
            await _read(lines.feed(data), reading, diary, entry)
        await _read(lines.end(), reading, diary, entry)
        if lines.left_out:
            await diary.add([too_long(lines.left_out)])
    except BaseException:
        await _kill(process)
        raise


async def _read(lines: Sequence[bytes], reading: Reading, diary: Diary, entry: _Entry) -> None:
    """Write first, and then let questions be put: whoever decides can read what led to them."""
    await diary.add([draft for line in lines for draft in reading.feed(line)])
    for question in reading.asked():
        entry.ask(question)
    entry.look()


async def _last_of(process: Process) -> bytes | None:
    kept = b""
    with contextlib.suppress(asyncio.CancelledError):  # what was read until then is what there is
        while data := await process.read_error(CHUNK):
            kept = (kept + data)[-KEPT_ERRORS:]
    return kept


def _finished(reading: Reading, ended: Exit, errors: bytes, stopped: bool) -> Finished:
    """The last words, with why the sandbox ended it, if it did. Pure."""
    *drafts, last = [*reading.end(ended.status, errors, interrupted=stopped)]
    end = last if isinstance(last, TurnEnd) else TurnEnd("failed", summary="the harness did not say how it ended")
    if end is not last:
        drafts.append(last)
    if ended.reason:
        drafts.append(Error(ended.reason, f"the sandbox ended the program: {ended.reason}"))
        end = msgspec.structs.replace(end, outcome="failed")
    if stopped:
        end = msgspec.structs.replace(end, outcome="interrupted")
    return Finished(drafts, msgspec.structs.replace(end, resume=reading.resume or end.resume), ended.reason)


# -- files ------------------------------------------------------------------------------------------------------------


async def place(sandbox: Sandbox, files: Mapping[str, File]) -> None:
    """Put a launch's files into the home and the workspace. They are the agent's from then on."""
    for top in (HOME, WORKSPACE):
        own = {path: file for path, file in files.items() if path.startswith(f"{top}/")}
        if own:
            await sandbox.put(_tar(top, own), top)
    elsewhere = [path for path in files if not path.startswith((f"{HOME}/", f"{WORKSPACE}/"))]
    if elsewhere:
        raise Conflict(f"a harness can place files below {HOME} and {WORKSPACE} only, not at {elsewhere[0]}")


async def _tar(top: str, files: Mapping[str, File]) -> AsyncIterator[bytes]:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        for path, file in files.items():
            entry = tarfile.TarInfo(posixpath.relpath(path, top))
            entry.size, entry.mode = len(file.content), file.mode
            archive.addfile(entry, io.BytesIO(file.content))
    data = made.getvalue()
    for at in range(0, len(data), CHUNK):
        yield data[at : at + CHUNK]


def prompt_of(texts: Iterable[tuple[str, Sequence[str]]]) -> str:
    """What users have said since the last turn, as one prompt; files that they speak of are named. Pure."""
    return "\n\n".join(text + "".join(f"\n[file: {name}]" for name in files) for text, files in texts)


def harness_named(harnesses: Mapping[str, Harness], name: str) -> Harness:
    """The harness. Raises Conflict where there is none of that name any more."""
    if name not in harnesses:
        raise Conflict(f"there is no harness {name!r} here", fix=f"use one of {', '.join(sorted(harnesses))}")
    return harnesses[name]
