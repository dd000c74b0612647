"""A program: a supervisor over children that only answer "worker 1 (pid)": what can be shown of processes without the
rest of the gateway. `python stub_gateway.py STATE [WORKERS] [WAY]`; what it prints begins with its port.

WAY: "well", or how it fails: "keeper-cannot-start", "worker-dies" (at once, always), "deaf" (workers never end).
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

from penstock.control.keeper_slot import CANNOT_START, KeeperSlot, Told
from penstock.control.listening import listen
from penstock.control.state_directory import open_state_directory
from penstock.control.supervisor import Plan, Supervisor, say
from penstock.gateway.worker_slot import WorkerSlot

WAY = sys.argv[3] if len(sys.argv) > 3 else "well"


def note(state: Path, text: str) -> None:
    with (state / "notes").open("a") as notes:
        notes.write(f"{text}\n")


def worker(slot: WorkerSlot) -> None:
    if WAY == "worker-dies":
        sys.exit(3)
    asyncio.run(answer(slot))


async def answer(slot: WorkerSlot) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, (lambda: None) if WAY == "deaf" else stop.set)
    loop.add_reader(slot.supervisor, stop.set)
    calls: set[asyncio.Task[None]] = set()

    async def call(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        body = f"worker {slot.index} ({os.getpid()})".encode()
        writer.write(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(body))
        await writer.drain()
        if b"/slow" in head:
            note(slot.state, "slow")
            while not (slot.state / "go").exists():  # noqa: ASYNC110  # the test says when
                await asyncio.sleep(0.01)
        writer.write(body)
        await writer.drain()
        writer.close()

    def begun(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = loop.create_task(call(reader, writer))
        calls.add(task)
        task.add_done_callback(calls.discard)

    server = await asyncio.start_server(begun, sock=slot.listener)
    slot.serving()
    await stop.wait()
    server.close()
    note(slot.state, f"worker {slot.index} drains")
    while calls:
        await asyncio.wait(calls)


def keeper(slot: KeeperSlot) -> None:
    if WAY == "keeper-cannot-start":
        say("the configuration is wrong")
        sys.exit(CANNOT_START)
    asyncio.run(keep(slot))


async def keep(slot: KeeperSlot) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    loop.add_signal_handler(signal.SIGHUP, note, slot.state, "keeper: reads again")
    loop.add_signal_handler(signal.SIGUSR1, note, slot.state, "keeper: draining")
    loop.add_reader(slot.supervisor, stop.set)
    slot.tell(Told(welcome=f"{slot.address} keeper={os.getpid()}"))
    await stop.wait()
    note(slot.state, "keeper: ended")


def main() -> int:
    state = open_state_directory(Path(sys.argv[1]), 0, os.environ, 10, say)
    sockets = listen("127.0.0.1", int(os.environ.get("STUB_PORT", "0")), int(sys.argv[2]))
    plan = Plan(
        worker,
        keeper,
        sockets,
        state,
        address=f"http://127.0.0.1:{sockets.port}",
        made_key="sk-fake",
        drain_seconds=float(os.environ.get("STUB_DRAIN", "30")),
    )
    return Supervisor(
        plan,
        lambda text: print(text, flush=True),  # noqa: T201  # a program
    ).run()


if __name__ == "__main__":
    sys.exit(main())
