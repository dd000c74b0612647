"""The agents' API as a process of its own, which tests may kill: `python -m tests.support.agents_server DATABASE PORT`.

Its runner does nothing: sessions stay as tests have made them.
"""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import time
from pathlib import Path

from tests.support.needs import REPOSITORY


class AgentsServer:
    """The process, at an address that stays the same over restarts."""

    def __init__(self, database: Path) -> None:
        self._database = database
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self.start()

    def start(self) -> None:
        """Start it, and wait until it listens."""
        command = [sys.executable, "-m", "tests.support.agents_server", str(self._database), str(self.port)]
        self.process = subprocess.Popen(command, cwd=REPOSITORY)
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                assert self.process.poll() is None, "the server has ended"
                time.sleep(0.02)

    def kill(self) -> None:
        """kill -9."""
        self.process.kill()
        self.process.wait()

    def __enter__(self) -> AgentsServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()


async def serve(database: Path, port: int) -> None:
    """Serve until killed."""
    import uvicorn

    from penstock.agents.api.application import create_app
    from penstock.agents.store.sqlite import open_sqlite
    from tests.support.agents import OneFile, OneVault, service_on

    vault = OneVault(database.with_name("vault"))
    service = service_on(open_sqlite(database), files=OneFile(), secrets=vault)
    config = uvicorn.Config(create_app(service), port=port, log_level="warning", lifespan="off", ws="websockets-sansio")
    await uvicorn.Server(config).serve()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]), int(sys.argv[2])))
