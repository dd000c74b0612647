"""The management API on its Unix socket. uvicorn serves it; signals stay the keeper's own."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from penstock.control.api.application import application
from penstock.control.api.services import Services

_GRACE = 5
"""Seconds that requests under way have at the end."""


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """The keeper decides what signals mean."""
        yield


class ApiServer:
    """Serves the API on a socket that listens already, and that others hold open too."""

    def __init__(self, services: Services, listener: socket.socket) -> None:
        config = uvicorn.Config(
            application(services),
            log_config=None,
            access_log=False,
            lifespan="off",
            ws="none",
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=_GRACE,
        )
        self._server = _Server(config)
        self._listener = listener

    async def serve(self) -> None:
        """Serve until `stop`."""
        await self._server.serve(sockets=[self._listener])

    def stop(self) -> None:
        """Let requests under way end, and then end."""
        self._server.should_exit = True
