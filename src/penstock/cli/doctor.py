"""`penstock doctor`: what works on this machine, what is missing, and what to do about it. Calls nobody but a local
Ollama and a container engine whose socket is there; sandboxes are tried by making one.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.metadata
import importlib.util
import os
import platform
import socket
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from penstock import __version__
from penstock.cli.ollama import ollama_address, ollama_models
from penstock.control.config.master_key import master_key
from penstock.providers.errors import ProviderError
from penstock.providers.facts import current_facts
from penstock.providers.registry import default_registry
from penstock.providers.ways import providers_with_keys

if TYPE_CHECKING:
    from penstock.agents.sandboxes.driver import Driver, Report

_MARKS = {"ok": "ok  ", "note": "--  ", "bad": "BAD "}
PORT = 4000


class Finding(Struct, frozen=True):
    """One line of the report: state "ok", "note" (fine, but could be more) or "bad" (must be mended), and what to
    do.
    """

    state: str
    what: str
    advice: str = ""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `penstock doctor`."""
    parser.add_argument("--image", default="", metavar="IMAGE", help="try containers with this image")


def run(arguments: argparse.Namespace) -> int:
    """Print the findings; 1 where something must be mended."""
    findings = [*dict.fromkeys(_found(look, os.environ) for look in LOOKS), *sandbox_findings(arguments.image)]
    for finding in findings:
        print(_MARKS[finding.state] + finding.what + (f"\n      {finding.advice}" if finding.advice else ""))
    return int(any(finding.state == "bad" for finding in findings))


def _found(look: Callable[[Mapping[str, str]], Finding], environment: Mapping[str, str]) -> Finding:
    """What it finds, or what kept it from looking, such as a provider plug-in that cannot be loaded."""
    try:
        return look(environment)
    except ProviderError as error:
        return Finding("bad", error.message, error.fix)


def _python(environment: Mapping[str, str]) -> Finding:
    version = platform.python_version()
    what = f"Penstock {__version__} on Python {version}, {platform.system()} {platform.machine()}"
    return Finding("ok", what)


def _base(environment: Mapping[str, str]) -> Finding:
    return _packages("base packages", ("msgspec", "httpx"), "bad", "pip install penstock")


def _gateway(environment: Mapping[str, str]) -> Finding:
    advice = "pip install 'penstock[gateway]' for `penstock serve`"
    return _packages("gateway packages", ("uvicorn", "httptools"), "note", advice)


def _packages(title: str, names: tuple[str, ...], state: str, advice: str) -> Finding:
    found, missing = [], []
    for name in names:
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            missing.append(name)
    if missing:
        return Finding(state, f"{title}: {', '.join(missing)} missing", advice)
    return Finding("ok", f"{title}: {', '.join(found)}")


def _facts(environment: Mapping[str, str]) -> Finding:
    return Finding("ok", f"catalog: {len(default_registry())} providers, {len(current_facts()):,} models with facts")


def _keys(environment: Mapping[str, str]) -> Finding:
    found = providers_with_keys(default_registry(), environment)
    if not found:
        advice = "Set one, such as OPENAI_API_KEY; the model `demo` needs none."
        return Finding("note", "no provider keys in the environment", advice)
    return Finding("ok", f"keys in the environment for {', '.join(found)}")


def _ollama(environment: Mapping[str, str]) -> Finding:
    address = ollama_address(environment)
    models = ollama_models(address)
    if models is None:
        return Finding("note", f"no Ollama answers on {address}", "Start one to serve its models without a key.")
    return Finding("ok", f"Ollama on {address}: {', '.join(models) or 'no models pulled yet'}")


def _master_key(environment: Mapping[str, str]) -> Finding:
    key, name = master_key(None, "", environment)
    if key is None:
        advice = "`penstock serve` makes one a run; set PENSTOCK_MASTER_KEY to keep it."
        return Finding("note", "no master key is set", advice)
    if len(key) < 16:
        return Finding("bad", f"{name} is short and can be guessed", "Choose at least 16 characters.")
    return Finding("ok", f"master key from {name}")


def _port(environment: Mapping[str, str]) -> Finding:
    with socket.socket() as probe:
        probe.settimeout(0.3)
        if probe.connect_ex(("127.0.0.1", PORT)) == 0:
            return Finding("note", f"port {PORT} is taken", "Serve on another: `penstock serve --port 4001`.")
    return Finding("ok", f"port {PORT} is free")


def sandbox_findings(image: str = "", environment: Mapping[str, str] = os.environ) -> list[Finding]:
    """What this machine offers to sandboxes, as tried: a line for each driver, and one for each thing that is missing.

    Args:
        image: with which containers are tried.
        environment: may name the engine's socket.
    """
    if importlib.util.find_spec("cryptography") is None or sys.platform != "linux":
        advice = "pip install 'penstock[agents]' on Linux, for `penstock run` and `penstock secrets`"
        return [Finding("note", "no sandboxes for agents", advice)]
    return [*_local_findings(), *_docker_findings(image, environment)]


def _local_findings() -> list[Finding]:
    from penstock.agents.sandboxes.local import LocalDriver
    from penstock.cli.places import sandbox_directory

    return from_report(asyncio.run(_report(LocalDriver(sandbox_directory(None)))))


def _docker_findings(image: str, environment: Mapping[str, str]) -> list[Finding]:
    """Nothing where there is no engine: who does not use one need not hear of it."""
    from penstock.agents.sandboxes.docker import DockerDriver
    from penstock.agents.sandboxes.docker.engine import SOCKET, socket_of
    from penstock.agents.sandboxes.driver import HostLacks
    from penstock.cli.places import sandbox_directory

    try:
        engine = socket_of(environment.get("DOCKER_HOST") or SOCKET)
    except HostLacks as error:
        return [Finding("note", f"sandboxes (docker): {error.message}", error.fix)]
    if not Path(engine).is_socket():
        return []
    driver = DockerDriver(sandbox_directory(None).with_name("sandboxes-docker"), image=image, engine=engine)
    return from_report(asyncio.run(_report(driver)))


async def _report(driver: Driver) -> Report:
    try:
        return await driver.check()
    finally:
        await driver.close()


def from_report(report: Report) -> list[Finding]:
    """The lines of a driver's report. A host that has no sandbox at all is fit for the gateway, so it is only noted."""
    name = f"sandboxes ({report.driver})"
    whole = {
        "full": Finding("ok", f"{name}: full isolation"),
        "weak": Finding("note", f"{name}: weak isolation only", "--isolation weak accepts that"),
        None: Finding("note", f"{name}: none can be made here"),
    }[report.isolation]
    missing = [finding for finding in report.findings if not finding.works]
    return [whole, *(Finding("note", f"{name}: no {each.name}: {each.detail}", each.fix) for each in missing)]


LOOKS: tuple[Callable[[Mapping[str, str]], Finding], ...] = (
    _python,
    _base,
    _gateway,
    _facts,
    _keys,
    _ollama,
    _master_key,
    _port,
)
"""What is looked at, in the order of the report."""
