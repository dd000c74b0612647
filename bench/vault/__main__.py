"""`python -m bench.vault`: what the vault costs. A table: latency added, throughput, memory, revocation.

The vault has one core for itself, its clients and the upstream the other. Clients and upstream speak TLS, the requests
bear a stub that is swapped, and every answer passes the scrubber. Latency is the difference of medians between requests
through the vault and direct ones, taken in turns. Rates are by the CPU time of the vault's process: what one core does.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding

from bench.vault.upstream import __file__ as upstream_file
from penstock.vault.api import SessionSpec, VaultClient, open_secrets
from tests.support.certificates import certificate, write

SESSIONS = 100
BIG = 64 * 1024 * 1024
SMALL = 700


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(_measure(Path(folder)))


async def _measure(folder: Path) -> None:
    authority = certificate("bench")
    public, private = write(folder, "up", certificate("up", authority, "127.0.0.1"))
    ca_file = write(folder, "ca", authority)[0]
    with _upstream(public, private) as port:
        with open_secrets(folder / "vault") as store:
            store.set(
                "TOKEN",
                secrets.token_hex(20).encode(),
                env="TOKEN",
                bindings=[f"GET https://127.0.0.1:{port}/bytes/* header:authorization"],
                upstream_ca=authority[0].public_bytes(Encoding.PEM).decode(),
            )
        vault = await VaultClient.start(folder / "vault")
        assert vault.pid is not None
        _pin(vault.pid, 0)
        try:
            bench = _Bench(vault, vault.pid, port, ca_file, folder)
            await bench.run()
        finally:
            await vault.stop()


@contextlib.contextmanager
def _upstream(public: str, private: str) -> Iterator[int]:
    process = subprocess.Popen(
        [sys.executable, upstream_file, public, private], stdout=subprocess.PIPE, env={**os.environ}
    )
    assert process.stdout is not None
    try:
        port = int(process.stdout.readline())
        _pin(process.pid, 1)
        _pin(os.getpid(), 1)
        yield port
    finally:
        process.kill()
        process.wait()


def _pin(pid: int, core: int) -> None:
    if os.cpu_count() or 1 > 1:
        os.sched_setaffinity(pid, {core})


class _Bench:
    def __init__(self, vault: VaultClient, pid: int, port: int, ca_file: str, folder: Path) -> None:
        self._vault = vault
        self._pid = pid
        self._port = port
        self._direct = ssl.create_default_context(cafile=ca_file)
        self._folder = folder

    async def run(self) -> None:
        """Print every row."""
        listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self._proxy = listener.getsockname()[1]
        opened = await self._vault.open(SessionSpec(id="bench", secrets=("TOKEN",)), [("proxy", listener)])
        ca = self._folder / "session.pem"
        ca.write_text(opened.ca_pem)
        self._inside = ssl.create_default_context(cafile=ca)
        self._stub = opened.env["TOKEN"]
        print(f"{'what':58} {'measured':>22}")
        for row in (self._kept, self._fresh, self._requests, self._bytes):
            for name, value in await asyncio.to_thread(row):
                print(f"{name:58} {value:>22}", flush=True)
        await self._memory()
        await self._revoke()

    # -- clients -------------------------------------------------------------------------------------------------

    def _connect(self, *, direct: bool) -> ssl.SSLSocket:
        if direct:
            return self._direct.wrap_socket(
                socket.create_connection(("127.0.0.1", self._port)), server_hostname="127.0.0.1"
            )
        sock = socket.create_connection(("127.0.0.1", self._proxy))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.sendall(b"CONNECT 127.0.0.1:%d HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n" % (self._port, self._port))
        assert sock.recv(4096).startswith(b"HTTP/1.1 200")
        return self._inside.wrap_socket(sock, server_hostname="127.0.0.1")

    def _ask(self, sock: ssl.SSLSocket, size: int) -> None:
        sock.sendall(
            f"GET /bytes/{size} HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\nAuthorization: Bearer {self._stub}\r\n"
            "Accept: */*\r\nUser-Agent: bench\r\n\r\n".encode()
        )
        left: int | None = None
        data = b""
        while left is None or left > 0:
            got = sock.recv(262144)
            if not got:
                raise ConnectionError("cut")
            if left is not None:
                left -= len(got)
                continue
            data += got
            if b"\r\n\r\n" in data:
                left = size - len(data.partition(b"\r\n\r\n")[2])

    def _cpu(self) -> float:
        fields = Path(f"/proc/{self._pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    # -- rows ----------------------------------------------------------------------------------------------------

    def _kept(self) -> list[tuple[str, str]]:
        ways = {direct: self._connect(direct=direct) for direct in (True, False)}
        taken: dict[bool, list[float]] = {True: [], False: []}
        for _ in range(1500):
            for direct, sock in ways.items():
                taken[direct].append(_timed(lambda sock=sock: self._ask(sock, SMALL)))  # type: ignore[misc]
        added = [_at(taken[False], q) - _at(taken[True], q) for q in (0.5, 0.99)]
        return [("added latency, kept-alive tunnel, p50 / p99", f"{added[0]:.2f} / {added[1]:.2f} ms")]

    def _fresh(self) -> list[tuple[str, str]]:
        taken: dict[bool, list[float]] = {True: [], False: []}
        for _ in range(150):
            for direct in (True, False):
                taken[direct].append(_timed(lambda direct=direct: self._once(direct)))  # type: ignore[misc]
        return [("added latency, fresh tunnel, p50", f"{_at(taken[False], 0.5) - _at(taken[True], 0.5):.2f} ms")]

    def _once(self, direct: bool) -> None:
        with self._connect(direct=direct) as sock:
            self._ask(sock, SMALL)

    def _requests(self) -> list[tuple[str, str]]:
        socks = [self._connect(direct=False) for _ in range(16)]
        before, begun = self._cpu(), time.monotonic()
        _together([lambda sock=sock: [self._ask(sock, SMALL) for _ in range(300)] for sock in socks])  # type: ignore[misc]
        cpu, wall, count = self._cpu() - before, time.monotonic() - begun, 16 * 300
        return [("requests a second of the vault's CPU (by the clock)", f"{count / cpu:,.0f} ({count / wall:,.0f})")]

    def _bytes(self) -> list[tuple[str, str]]:
        socks = [self._connect(direct=False) for _ in range(4)]
        before, begun = self._cpu(), time.monotonic()
        _together([lambda sock=sock: self._ask(sock, BIG) for sock in socks])  # type: ignore[misc]
        cpu, wall, size = self._cpu() - before, time.monotonic() - begun, 4 * BIG / 1e6
        return [("MB a second of the vault's CPU (by the clock)", f"{size / cpu:,.0f} ({size / wall:,.0f})")]

    async def _memory(self) -> None:
        listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(SESSIONS)]
        for number, listener in enumerate(listeners):
            await self._vault.open(SessionSpec(id=f"s{number}", secrets=("TOKEN",)), [("proxy", listener)])
        rss = await asyncio.to_thread(_resident, self._pid)
        print(f"{f'memory of the vault with {SESSIONS} sessions':58} {f'{rss / 1024:.0f} MB':>22}", flush=True)

    async def _revoke(self) -> None:
        """A stream runs; the secret is revoked; until the client's last byte."""
        sock = await asyncio.to_thread(self._connect, direct=False)
        ended: list[float] = []

        def read_until_cut() -> None:
            sock.settimeout(10)
            with contextlib.suppress(OSError):
                self._ask(sock, 1 << 34)
            ended.append(time.monotonic())

        reader = threading.Thread(target=read_until_cut)
        reader.start()
        await asyncio.sleep(0.5)
        begun = time.monotonic()
        with open_secrets(self._folder / "vault") as store:
            store.revoke("TOKEN")
        await asyncio.to_thread(reader.join)
        print(f"{'revoke to last byte':58} {f'{ended[0] - begun:.2f} s':>22}", flush=True)


def _resident(pid: int) -> int:
    """KiB of a process in memory."""
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))


def _timed(call: Callable[[], None]) -> float:
    begun = time.perf_counter()
    call()
    return (time.perf_counter() - begun) * 1000


def _at(values: list[float], quantile: float) -> float:
    return statistics.quantiles(values, n=1000)[int(quantile * 1000) - 1]


def _together(calls: list[Callable[[], object]]) -> None:
    threads = [threading.Thread(target=call) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main()
