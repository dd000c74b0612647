"""A gateway of one's own: `penstock serve` as a child, for commands that need models and find no server.

It has the environment's provider keys, a free port on this machine only, and a key that nobody else knows. It ends with
the process that started it, however that ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import re
import secrets
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from msgspec import Struct

from penstock.cli import CommandError

STARTING = 60.0
"""Seconds in which it must listen; it needs one or two."""
ENDING = 15.0
_LISTENS = re.compile(rb"listens on (http://\S+)")
_PR_SET_PDEATHSIG = 1


class Gateway(Struct, frozen=True):
    """Where it listens, and the key that may make keys there."""

    url: str
    key: str


@contextlib.asynccontextmanager
async def gateway(state: Path, config: Path | None = None, *, key: str = "") -> AsyncIterator[Gateway]:
    """A gateway that ends with this block. `state`: folder of its ledger. `key`: its master key; empty: one is made.

    Raises:
        CommandError: it does not start; with its last words.
    """
    key = key or f"sk-{secrets.token_urlsafe(24)}"
    environment = {**os.environ, "PENSTOCK_MASTER_KEY": key, "PYTHONUNBUFFERED": "1"}
    environment.pop("LITELLM_MASTER_KEY", None)
    command = [sys.executable, "-m", "penstock", "serve", "--port", "0", "--workers", "1", "--state-dir", str(state)]
    command += ["--drain-seconds", "2", *(["--config", str(config)] if config else [])]
    await asyncio.to_thread(state.mkdir, 0o700, parents=True, exist_ok=True)
    process = await asyncio.create_subprocess_exec(
        *command, env=environment, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT, start_new_session=True, preexec_fn=_end_with_parent,
    )  # fmt: skip
    reading: asyncio.Task[None] | None = None
    try:
        assert process.stdout is not None
        url = await _address(process.stdout)
        reading = asyncio.create_task(_drain(process.stdout, state / "log"))
        yield Gateway(url, key)
    finally:
        await _ended(process)
        if reading is not None:
            await asyncio.gather(reading, return_exceptions=True)


async def check_has_models(found: Gateway) -> None:
    """See that there is a model beside `demo`, for an agent of which nobody has said a model.

    Raises:
        CommandError: there is none; it says what to do.
    """
    import httpx

    async with httpx.AsyncClient(trust_env=False, headers={"authorization": f"Bearer {found.key}"}) as client:
        answer = await client.get(f"{found.url}/v1/models")
    if answer.is_success and {each["id"] for each in answer.json()["data"]} <= {"demo"}:
        raise CommandError(
            "the gateway has no model for this agent: put a provider's key into the environment (ANTHROPIC_API_KEY, "
            "OPENAI_API_KEY, GEMINI_API_KEY ...), or try it offline with `--model demo`"
        )


def _end_with_parent() -> None:
    """Between fork and exec: have the kernel end it when its parent dies (prctl(2), Linux)."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


async def _address(output: asyncio.StreamReader) -> str:
    said = b""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(STARTING):
            while line := await output.readline():
                said = (said + line)[-4000:]
                if found := _LISTENS.search(line):
                    return found[1].decode()
    raise CommandError(f"the gateway did not start: {said.decode('utf-8', 'replace').strip() or 'it said nothing'}")


async def _drain(output: asyncio.StreamReader, log: Path) -> None:
    """Keep what it says."""
    with log.open("ab") as file:
        while data := await output.read(65536):
            file.write(data)
            file.flush()


async def _ended(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        await asyncio.wait_for(process.wait(), ENDING)
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
