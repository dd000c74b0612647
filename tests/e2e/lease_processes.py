"""Real processes for tests/e2e/test_exact_limits.py: a keeper, and workers whose calls race for units.

The journal of a worker is a file of lines, appended with one write each, so that it survives its process:
"t NAME UNITS" when a call has taken units, "s NAME UNITS USED" when it has settled. The file is locked while the
worker lives.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import signal
import socket
import sys
import time
from collections import Counter
from pathlib import Path

from penstock.control.channel import Channel, ChannelServer
from penstock.control.lease_desk import LeaseDesk
from penstock.control.leases import Question
from penstock.gateway.lease_channel import lease_handlers
from penstock.gateway.leases import Denied, Leases
from penstock.gateway.principal import Quota


def alive(folder: Path, worker: str) -> bool:
    with (folder / worker).open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
    return False


def used(folder: Path, worker: str, name: str) -> int:
    """What a journal says: what was taken, less what was given back."""
    total = 0
    for line in (folder / worker).read_text().split("\n")[:-1]:
        what, quota, units, *rest = line.split()
        if quota == name:
            total += int(units) if what == "t" else int(rest[0]) - int(units)
    return total


def journals(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name.startswith("worker-")]


async def keep(folder: Path, listener: socket.socket) -> None:
    """The keeper. It answers questions from the journals of whoever is not alive."""

    def ask_ledger(question: Question) -> None:
        dead = [one for one in journals(folder) if one not in question.live]
        total = sum(used(folder, one, question.quota.name) for one in dead)
        desk.book.ledger_says(question, total, time.time())

    desk = LeaseDesk(
        ask_ledger,
        alive=lambda worker: alive(folder, worker),
        drain=lambda worker, then: then(),
        expel=lambda worker: os.kill(int(worker.split("-")[1]), signal.SIGKILL),
        expected=[one for one in journals(folder) if alive(folder, one)],
    )
    server = ChannelServer(desk.handlers(), lambda connection: None, desk.closed)
    await server.start(listener)
    desk.start()
    await asyncio.Event().wait()


class Work:
    """A worker whose calls take, hold for a moment, and settle, until everything is refused or `stop` is there."""

    def __init__(self, folder: Path, path: str, quotas: list[Quota], clients: int) -> None:
        self.folder, self.quotas, self.clients = folder, quotas, clients
        self.name = f"worker-{os.getpid()}-{time.time_ns():x}"
        self.file = os.open(folder / f".{self.name}", os.O_CREAT | os.O_APPEND | os.O_WRONLY)
        fcntl.flock(self.file, fcntl.LOCK_EX)
        (folder / f".{self.name}").rename(folder / self.name)
        self.admitted: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        loop = asyncio.get_running_loop()
        self.leases = Leases(self.name, self.tell, time.time, loop.call_later)
        self.channel = Channel(path, lease_handlers(self.leases), self.leases.connected, lambda why: self.leases.lost())

    def tell(self, kind: str, message: object) -> None:
        self.channel.tell(kind, message)

    def write(self, line: str) -> None:
        os.write(self.file, line.encode() + b"\n")

    async def take(self, quota: Quota, wanted: int, least: int) -> int | Denied:
        while True:
            answer: asyncio.Future[int | Denied] = asyncio.get_running_loop().create_future()
            self.try_to_take(quota, wanted, least, answer)
            granted = await answer
            if not isinstance(granted, Denied) or not granted.away:
                return granted
            await asyncio.sleep(0.01)

    def try_to_take(self, quota: Quota, wanted: int, least: int, answer: asyncio.Future[int | Denied]) -> None:
        granted = self.leases.take(quota, wanted, least)
        if granted is None:
            self.leases.draw(quota, wanted, least, lambda: self.try_to_take(quota, wanted, least, answer))
            return
        if isinstance(granted, int):
            self.write(f"t {quota.name} {granted}")
        answer.set_result(granted)

    async def client(self, quota: Quota) -> None:
        patience = 20
        while patience:
            wanted = 7 if quota.kind == "money" else 1
            granted = await self.take(quota, wanted, 1)
            if isinstance(granted, Denied):
                self.refused[quota.name] += 1
                patience -= 1
                await asyncio.sleep(0.03)
                continue
            patience = 20
            self.admitted[quota.name] += 1
            await asyncio.sleep(0.001)
            spent = granted // 2 + 1 if quota.kind == "money" else 0 if quota.kind == "parallel" else granted
            self.write(f"s {quota.name} {granted} {spent}")
            self.leases.settle(quota.name, granted, spent, time.time())
            if quota.kind == "parallel" and self.admitted[quota.name] > 400:
                return

    async def run(self) -> None:
        self.channel.start()
        await asyncio.gather(*[self.client(quota) for quota in self.quotas for _ in range(self.clients)])
        sys.stdout.write(json.dumps({"admitted": self.admitted, "refused": self.refused}))


async def work(folder: Path, path: str, quotas: list[Quota], clients: int) -> None:
    await Work(folder, path, quotas, clients).run()


def main() -> None:
    role, folder = sys.argv[1], Path(sys.argv[2])
    if role == "keeper":
        listener = socket.socket(fileno=int(sys.argv[3]))
        asyncio.run(keep(folder, listener))
    else:
        quotas = [Quota(**one) for one in json.loads(sys.argv[4])]
        asyncio.run(work(folder, sys.argv[3], quotas, int(sys.argv[5])))


if __name__ == "__main__":
    main()
