"""The management API over a Unix socket, as the keeper serves it, with a store in SQLite and workers that note what
they are told.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from penstock.control.api.application import application
from penstock.control.api.services import Services
from penstock.control.config.loaded import Loaded
from penstock.control.config.no_file import no_file
from penstock.control.configuration import Configuration
from penstock.control.metrics import Gatherer
from penstock.control.store.sqlite import SqliteStore, open_sqlite
from penstock.control.virtual_keys import VirtualKeys
from penstock.gateway.metrics.counting import Metrics
from penstock.providers.registry import default_registry

MASTER = "sk-fake-master-key-for-tests"


@dataclass
class Api:
    """The API as a client sees it, and what lies behind."""

    http: httpx.Client
    services: Services
    store: SqliteStore
    told: list[list[str]] = field(default_factory=list)

    def post(self, path: str, **body: Any) -> Any:
        """The answer of a request that succeeds."""
        answer = self.http.post(path, json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def get(self, path: str, **parameters: Any) -> Any:
        answer = self.http.get(path, params=parameters)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def refused(self, status: int, path: str, **body: Any) -> dict[str, Any]:
        """The error of a request that is refused: LiteLLM's clients read exactly these four."""
        answer = self.http.post(path, json=body)
        assert answer.status_code == status, answer.text
        error: dict[str, Any] = answer.json()["error"]
        assert error.keys() == {"message", "type", "param", "code"} and error["code"] == str(status)
        return error

    def as_caller(self, key: str) -> dict[str, str]:
        return {"authorization": f"Bearer {key}"}


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    store = open_sqlite(tmp_path / "penstock.db")
    told: list[list[str]] = []

    async def forget(tokens: Sequence[str]) -> None:
        told.append(list(tokens))

    keys = VirtualKeys(store, forget)
    configuration = Configuration(store, None, {}, lambda: no_file(default_registry(), {}), lambda text: None)
    keys.configure(MASTER, configuration.begin().loaded)

    async def publish(loaded: Loaded) -> None:
        keys.configure(MASTER, loaded)

    configuration.serve(keys.adopt, publish)
    services = Services(store, keys, configuration, lambda: 2, metrics=Gatherer(Metrics()))
    path = tmp_path / "api"
    with listening(path) as listener, Running(services, listener):
        transport = httpx.HTTPTransport(uds=str(path))
        headers = {"authorization": f"Bearer {MASTER}"}
        with httpx.Client(transport=transport, base_url="http://keeper", headers=headers, timeout=60) as http:
            yield Api(http, services, store, told)
    store.close()


def listening(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()
    return listener


class Running:
    """The application on a socket, in a thread."""

    def __init__(self, services: Services, listener: socket.socket) -> None:
        config = uvicorn.Config(application(services), log_config=None, lifespan="off")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [listener]})

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *error: object) -> None:
        self._server.should_exit = True
        self._thread.join()
