"""Where packages come from when an agent's program has to be installed: what npm and pip on this machine are told.

NPM_CONFIG_REGISTRY and PIP_INDEX_URL say otherwise. PENSTOCK_REGISTRY_HOSTS names further hosts that files are loaded
from, as indexes of Python packages often have. A registry inside of the house is found at a private address; who uses
this machine has named it, so that very address may be reached while something is installed.
"""

from __future__ import annotations

import ipaddress
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from penstock.agents.environments.packages import Manager, Registry

_PIP = "from pip._internal.models.index import PyPI as index; print(index.simple_url, index.file_storage_domain)"
"""pip knows its own default, and tells nobody but so."""


def registries(environment: Mapping[str, str] = os.environ) -> dict[Manager, Registry]:
    """The registries that are known here. One that nobody names is left out: what needs it says so."""
    more = environment.get("PENSTOCK_REGISTRY_HOSTS", "").split()
    npm = _named(environment, "NPM_CONFIG_REGISTRY") or _told(("npm", "config", "get", "registry"))
    pypi = _named(environment, "PIP_INDEX_URL") or _told(("pip", "config", "get", "global.index-url"))
    said: dict[Manager, list[str]] = {"npm": npm.split(), "pypi": (pypi or _told((sys.executable, "-c", _PIP))).split()}
    return {
        manager: _registry(words[0], (*words[1:], *more))
        for manager, words in said.items()
        if words and urlsplit(words[0]).scheme in ("http", "https")
    }


def _named(environment: Mapping[str, str], variable: str) -> str:
    return environment.get(variable) or environment.get(variable.lower()) or ""


def _registry(url: str, hosts: Sequence[str]) -> Registry:
    names = (urlsplit(url).hostname or "", *hosts)
    found = {name: private for name in names if (private := _private(name))}
    return Registry(url, hosts=tuple(hosts), addresses=found)


def _private(host: str) -> tuple[str, ...]:
    """The private addresses that this machine finds a host at."""
    try:
        found = {ipaddress.ip_address(str(each[4][0])) for each in socket.getaddrinfo(host, 443)}
    except (OSError, ValueError):
        return ()
    return tuple(sorted(f"{address}/{address.max_prefixlen}" for address in found if not address.is_global))


def _told(command: tuple[str, ...]) -> str:
    """What a program of this machine says; empty where it is not there or says nothing."""
    if shutil.which(command[0]) is None:
        return ""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)  # noqa: S603  # ours
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
