"""`penstock serve`: the gateway: a keeper, and a worker on each core, behind one address.

Without a configuration it offers the built-in `demo` model, the models of an Ollama that answers on this machine, and
every provider whose key is in the environment. It says what it found, the key where it made one, and a line to try.

Ctrl-C or SIGTERM let calls under way end, refuse new ones, and end with status 0; a second Ctrl-C ends at once. SIGHUP
reads the configuration anew (so does a change of its file). A worker or a keeper that dies is started again.
"""

from __future__ import annotations

import argparse
import math
import os
import secrets
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from penstock.cli import CommandError

NEEDED = ("uvicorn", "fastapi", "sqlalchemy", "alembic", "yaml", "httptools")
"""What the `gateway` extra brings."""
DRAIN_SECONDS = 30.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `penstock serve`."""
    parser.add_argument("--config", "-c", type=Path, metavar="FILE", help="configuration, Penstock's or LiteLLM's")
    parser.add_argument(
        "--workers", "--num_workers", type=_workers, metavar="N", help="worker processes (default: one for each core)"
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: this machine only)")
    parser.add_argument("--port", type=_port, default=4000, help="port; 0 picks a free one (default: %(default)s)")
    parser.add_argument(
        "--state-dir",
        type=Path,
        metavar="DIR",
        help="folder of database and journals (default: the configuration's, else $PENSTOCK_STATE_DIR, else "
        "penstock/PORT in ~/.local/state)",
    )
    parser.add_argument(
        "--drain-seconds",
        type=_seconds,
        metavar="SECONDS",
        help="how long calls under way may take to end, when told to stop (default: the configuration's, else 30)",
    )
    parser.add_argument(
        "--log-level",
        choices=("debug", "info", "warning", "error"),
        help="the least severe messages to print (default: the configuration's, else info)",
    )


def _port(text: str) -> int:
    if not text.isdigit() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port: choose one from 0 to 65535")
    return int(text)


def _workers(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= 512:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of workers: choose one from 1 to 512")
    return int(text)


def _seconds(text: str) -> float:
    try:
        found = float(text)
    except ValueError:
        found = -1.0
    if not 0 <= found < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds")
    return found


def run(arguments: argparse.Namespace) -> int:
    """Serve until told to stop; the exit status. Raises CommandError."""
    _check_surroundings()
    from penstock.control.listening import CannotListen, listen
    from penstock.control.state_directory import StateDirectoryTaken, open_state_directory
    from penstock.control.supervisor import Plan, Supervisor, say

    patience = (DRAIN_SECONDS if arguments.drain_seconds is None else arguments.drain_seconds) + 5
    workers = arguments.workers or usable_cores()
    config = _config(arguments.config)
    try:
        given = arguments.state_dir or _state_dir(config)
        state = open_state_directory(given, arguments.port, os.environ, patience, say)
    except StateDirectoryTaken as error:
        raise CommandError(str(error)) from None
    try:
        sockets = listen(arguments.host, arguments.port, workers)
    except CannotListen as error:
        state.close()
        raise CommandError(str(error)) from None
    plan = Plan(
        worker=_worker(),
        keeper=_keeper(),
        sockets=sockets,
        state=state,
        address=f"http://{_name(arguments.host)}:{sockets.port}",
        made_key=f"sk-{secrets.token_urlsafe(24)}",
        config=config,
        drain_seconds=arguments.drain_seconds,
        log_level=arguments.log_level,
    )
    return Supervisor(plan, lambda said: print(said, flush=True)).run()


def _check_surroundings() -> None:
    """Raises CommandError where the gateway cannot run at all."""
    if not hasattr(os, "fork"):
        raise CommandError("the gateway runs on Linux and macOS (on Windows: in WSL)")
    missing = next((name for name in NEEDED if find_spec(name) is None), None)
    if missing is not None:
        raise CommandError(f"{missing} is missing: pip install 'penstock[gateway]'")


def _config(given: Path | None) -> Path | None:
    """The configuration's absolute path: a relative one would depend on who is asked. Raises CommandError."""
    if given is not None and not given.is_file():
        raise CommandError(f"there is no file {given}: give the configuration's path with --config")
    return None if given is None else given.absolute()


def _state_dir(config: Path | None) -> Path | None:
    """What the configuration says. Only a file that may say it is parsed: that takes a while, and memory for good."""
    try:
        text = b"" if config is None else config.read_bytes()
    except OSError:  # the keeper says so
        text = b""
    if config is None or not (b"state_dir" in text or b"include" in text):
        return None
    from penstock.control.config.state_dir import configured_state_dir

    return configured_state_dir(config, os.environ)


def _worker() -> Any:
    """What a worker does. It is imported here, once: workers share the memory of what they are forked from."""
    from penstock.gateway.worker import run

    return run


def _keeper() -> Any:
    """What the keeper does. What it needs besides is imported in its own process."""

    def keep(slot: Any) -> None:
        from penstock.control.app import run

        run(slot, local_models)

    return keep


def local_models(environment: Mapping[str, str]) -> Sequence[str]:
    """The models of an Ollama on this machine."""
    from penstock.cli.ollama import ollama_address, ollama_models

    return ollama_models(ollama_address(environment)) or ()


def usable_cores() -> int:
    """Cores that this process may use: of the machine, of its affinity, and of its container's share (cgroup v2)."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # macOS
        cores = os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        cores = min(cores, math.ceil(int(quota) / int(period)))
    except (OSError, ValueError):  # no such file, or "max"
        pass
    return max(1, cores)


def _name(host: str) -> str:
    """An address that a client on this machine can use."""
    everywhere = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104  # read, not bound
    return everywhere.get(host, f"[{host}]" if ":" in host else host)
