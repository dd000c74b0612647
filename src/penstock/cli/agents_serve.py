"""`penstock agents serve`: the server of the agent platform on this machine.

penstock agents serve                                         with a gateway of its own
penstock agents serve --driver docker --image python:3.13     sandboxes are containers
PENSTOCK_GATEWAY_KEY=sk-... penstock agents serve --gateway http://127.0.0.1:4000
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import fcntl
import logging
import os
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from penstock.agents.harnesses.registry import HARNESSES
from penstock.agents.installing import Installing
from penstock.agents.keys import GatewayKeys
from penstock.agents.platform import Places, Platform, opened
from penstock.agents.sandboxes.driver import SandboxError
from penstock.agents.server import Whereabouts, bound, serve, url_of
from penstock.cli import CommandError, drivers
from penstock.cli.own_gateway import Gateway, gateway
from penstock.cli.places import sessions_directory, state_directory, vault_directory
from penstock.cli.registries import registries


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `penstock agents serve`."""
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: this machine only)")
    parser.add_argument("--port", type=int, default=4100, help="port; 0 picks a free one (default: %(default)s)")
    parser.add_argument(
        "--gateway", metavar="URL", default=os.environ.get("PENSTOCK_GATEWAY_URL", ""),
        help="gateway of the sessions' models, its master key in PENSTOCK_GATEWAY_KEY (default: one is started)",
    )  # fmt: skip
    parser.add_argument(
        "--config", "-c", type=Path, metavar="FILE", help="configuration of the gateway that is started"
    )
    parser.add_argument("--name", action="append", default=[], metavar="HOST", help="a name that clients call it by")
    parser.add_argument(
        "--pool", type=int, default=0, metavar="N", help="sandboxes that are ready before they are asked for"
    )
    drivers.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Serve until told to stop."""
    logging.basicConfig(level="WARNING", format="%(asctime)s %(levelname)s %(message)s")
    try:
        asyncio.run(_serve(arguments))
    except SandboxError as error:
        raise CommandError(str(error)) from None
    except OSError as error:
        raise CommandError(f"{arguments.host}:{arguments.port}: {error.strerror or error}") from None
    return 0


def agents_directory(given: Path | None) -> Path:
    """The server's own folder: its database, its gateway, where it listens."""
    return state_directory(given) / "agents"


async def _serve(arguments: argparse.Namespace) -> None:
    choice = drivers.chosen(arguments)
    folder = agents_directory(arguments.state_dir)
    await asyncio.to_thread(folder.mkdir, 0o700, parents=True, exist_ok=True)
    with _alone(folder):
        listener = bound(arguments.host, arguments.port)
        async with _gateway(arguments, folder) as found:
            places = Places(
                folder / "sessions.db",
                vault_directory(arguments.state_dir),
                sessions_directory(arguments.state_dir, choice.driver),
            )
            keys = GatewayKeys(found.url, found.key)
            known = await asyncio.to_thread(registries)
            async with opened(
                places,
                HARNESSES,
                keys,
                pool=arguments.pool,
                install=lambda driver, way_out: Installing(driver, way_out, known),
                choice=choice,
                api=url_of(listener),
            ) as platform:
                await _tell_of_others(platform)
                await serve(platform, listener, folder, hosts=arguments.name, ready=_tell)


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One server a state: two would run every session twice."""
    handle = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise CommandError(f"a server runs already with the state in {folder}") from None
    try:
        yield
    finally:
        os.close(handle)


@contextlib.asynccontextmanager
async def _gateway(arguments: argparse.Namespace, folder: Path) -> AsyncIterator[Gateway]:
    if arguments.gateway:
        key = os.environ.get("PENSTOCK_GATEWAY_KEY") or os.environ.get("PENSTOCK_MASTER_KEY", "")
        if not key:
            raise CommandError("say the gateway's master key in PENSTOCK_GATEWAY_KEY: sessions get keys of their own")
        yield Gateway(arguments.gateway, key)
        return
    async with gateway(folder / "gateway", arguments.config, key=_kept_key(folder / "gateway-key")) as found:
        yield found


def _kept_key(path: Path) -> str:
    """The key of a gateway of our own, the same after a restart."""
    try:
        return path.read_text()
    except FileNotFoundError:
        key = f"sk-{secrets.token_urlsafe(24)}"
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(key)
        return key


async def _tell_of_others(platform: Platform) -> None:
    """Say which sessions nobody here can go on with."""
    rows = await asyncio.to_thread(platform.store.living)
    others = Counter(row.driver for row in rows if row.driver not in ("", platform.driver.kind))
    for driver, count in others.items():
        print(f"Sessions of another driver are left alone: {count} of {driver}. Serve with --driver {driver} to go on.")


def _tell(found: Whereabouts) -> None:
    print(f"Penstock agents listen on {found.url}\n")
    print("Try it:\n\n  penstock agents create helper --harness loop --model demo")
    print('  penstock sessions create helper "hello" --follow\n', flush=True)
