"""`penstock serve`: the gateway, with nothing to set up before it.

It offers the built-in `demo` model, the models of an Ollama that answers on this machine, and every provider whose key
is in the environment. It says what it found, the key where it made one, and a line to try. Ctrl-C or SIGTERM stop it.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import sys
from collections.abc import Mapping
from typing import Any

from penstock.calls.engine import Engine
from penstock.cli import CommandError
from penstock.cli.catalog import chat_models
from penstock.cli.ollama import ollama_address, ollama_models
from penstock.gateway.config import DEMO, LOCAL, Gateway, gateway_of, providers_with_keys
from penstock.providers.registry import default_registry

GRACE = 10
"""Seconds that calls under way have to end, when the gateway is told to stop."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `penstock serve`."""
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: this machine only)")
    parser.add_argument("--port", type=_port, default=4000, help="port; 0 picks a free one (default: %(default)s)")
    parser.add_argument(
        "--log-level",
        default="warning",
        choices=("debug", "info", "warning", "error"),
        help="the least severe messages to print (default: %(default)s)",
    )


def _port(text: str) -> int:
    if not text.isdigit() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port: choose one from 0 to 65535")
    return int(text)


def run(arguments: argparse.Namespace) -> int:
    """Serve until interrupted (Ctrl-C) or told to stop (SIGTERM): then calls under way may end, and the status is 0."""
    try:
        import uvicorn

        from penstock.gateway.app import Application
        from penstock.gateway.listener import Listener
    except ImportError as error:
        raise CommandError(f"{error.name} is missing: pip install 'penstock[gateway]'") from None
    _stop_cleanly()
    listener = _listen(arguments.host, arguments.port)
    gateway = gateway_here(os.environ)
    said = welcome(gateway, f"http://{_name(arguments.host)}:{listener.getsockname()[1]}")
    application = Application(gateway, Engine(), started=lambda: print(said, flush=True))
    server = uvicorn.Server(
        uvicorn.Config(
            application,
            http=Listener,
            log_level=arguments.log_level,
            access_log=False,
            lifespan="on",
            server_header=False,
            proxy_headers=False,
            ws="none",
            timeout_graceful_shutdown=GRACE,
        )
    )
    server.run(sockets=[listener])
    return 0


def gateway_here(environment: Mapping[str, str]) -> Gateway:
    """What this machine can serve. Asks nobody but a local Ollama. Raises ProviderError for a plug-in that fails."""
    registry = default_registry()
    registry.load_plugins()
    known = chat_models(registry, providers_with_keys(registry, environment))
    return gateway_of(registry, environment, ollama_models(ollama_address(environment, registry)) or (), known)


def _stop_cleanly() -> None:
    """Let a signal end the program with status 0. While uvicorn runs it catches them itself, ends gracefully, and then
    raises them once more: to these handlers.
    """

    def stop(number: int, frame: Any) -> None:
        sys.exit(0)

    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, stop)


def _listen(host: str, port: int) -> socket.socket:
    """A socket that listens: a client may connect as soon as the address is printed. Raises CommandError."""
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(2048)
    except OSError as error:
        listener.close()
        reason = error.strerror or str(error)
        raise CommandError(f"port {port} of {host} cannot be had ({reason}); choose another with --port") from None
    return listener


def _name(host: str) -> str:
    """An address that a client on this machine can use."""
    everywhere = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104  # read, not bound
    return everywhere.get(host, f"[{host}]" if ":" in host else host)


def welcome(gateway: Gateway, address: str) -> str:
    """What is shown at the start: what is served, the key where it was made here, and a line to try."""
    key = gateway.key if gateway.made else f"${gateway.key_variable}"
    lines = [f"Penstock listens on {address}", ""]
    if gateway.made:
        lines += [
            f"Master key, made for this run and shown only now: {gateway.key}",
            "(set PENSTOCK_MASTER_KEY to choose your own)",
            "",
        ]
    lines += [*_models(gateway), "", "Try it:", "", _curl(address, key), ""]
    return "\n".join(lines)


def _models(gateway: Gateway) -> list[str]:
    lines = [f"Models: {DEMO} (offline, no key needed)"]
    local = [model.id for model in gateway.models if model.owned_by == "ollama"]
    if local:
        lines.append(f"        {', '.join(local)} (from the Ollama on this machine)")
    hosted = sorted(gateway.providers - LOCAL)
    if hosted:
        lines.append(f"        {', '.join(f'{name}/...' for name in hosted)} (keys found in the environment)")
    else:
        lines.append(
            "        more with a provider's key in the environment, such as OPENAI_API_KEY or ANTHROPIC_API_KEY"
        )
    return lines


def _curl(address: str, key: str) -> str:
    body = '{"model": "demo", "messages": [{"role": "user", "content": "Hello"}]}'
    return (
        f"  curl {address}/v1/chat/completions \\\n"
        f'    -H "Authorization: Bearer {key}" -H "Content-Type: application/json" \\\n'
        f"    -d '{body}'"
    )
