"""What an environment holds, and how it is installed: names, commands, ways out. Pure.

An environment is a folder of programs under a name, which sandboxes see at `AT`, read-only. The name comes from what it
holds, so that whoever wants the same packages finds the same folder. It is one prefix of npm and one virtual
environment of Python at once: both put programs into `AT/bin`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct, field

from penstock.agents.errors import Invalid
from penstock.agents.sandboxes.driver import HOME

Manager = Literal["npm", "pypi"]
AT = "/opt/agent"
"""Where sandboxes see their environment. Programs remember it, so it is the same when they are installed and used."""
MARK = f"{AT}/.complete"
"""Written last: an environment without it is what a crash left."""
PATH = f"{AT}/bin:{HOME}/.local/bin:/usr/local/bin:/usr/bin:/bin"
_NPM = re.compile(r"^(@[a-z0-9][a-z0-9._-]*/)?[a-z0-9][a-z0-9._-]*(@[A-Za-z0-9^~<>=.*-]+)?$")
_PYPI = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]*(\[[A-Za-z0-9,_-]+\])?([=<>!~]=?=?[A-Za-z0-9.*+!<>=~,-]+)?$")


class Registry(Struct, frozen=True):
    """Where packages come from, as the operator says.

    Attributes:
        url: of npm: the registry; of pypi: its "simple" index.
        hosts: others that files are loaded from.
        addresses: host to the private networks that it may be found in, for a registry inside the house.
        upstream_cas: host to PEM of authorities that vouch for it, beside the system's.
    """

    url: str
    hosts: tuple[str, ...] = ()
    addresses: dict[str, tuple[str, ...]] = field(default_factory=dict)
    upstream_cas: dict[str, str] = field(default_factory=dict)

    @property
    def rules(self) -> tuple[str, ...]:
        """The ways out that an installation gets: reading, from these hosts, and nothing else."""
        parts = urlsplit(self.url)
        origins = (f"{parts.scheme}://{parts.netloc}", *(f"https://{host}" for host in self.hosts))
        return tuple(f"GET,HEAD {origin}/*" for origin in dict.fromkeys(origins))


class Packages(Struct, frozen=True):
    """What shall be installed, by manager; with versions where it must be the same tomorrow."""

    npm: tuple[str, ...] = ()
    pypi: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for manager, names, pattern in (("npm", self.npm, _NPM), ("pypi", self.pypi, _PYPI)):
            for name in names:
                if not pattern.fullmatch(name):
                    raise Invalid(
                        f"{name[:200]!r} is no package of {manager}",
                        fix="write its name, or its name and a version; options, paths and URLs are not taken",
                    )

    def __bool__(self) -> bool:
        return bool(self.npm or self.pypi)

    @property
    def managers(self) -> tuple[Manager, ...]:
        """Those that have something to do."""
        return tuple(manager for manager, names in (("npm", self.npm), ("pypi", self.pypi)) if names)  # type: ignore[misc]

    @property
    def name(self) -> str:
        """The environment's name."""
        sorted_names = (sorted(set(self.npm)), sorted(set(self.pypi)))
        return "env-" + hashlib.sha256(msgspec.json.encode(sorted_names)).hexdigest()[:24]

    def name_in(self, system: str) -> str:
        """The environment's name where sandboxes see this system (`Driver.system`): what is installed fits one only."""
        return f"{self.name}-{hashlib.sha256(system.encode()).hexdigest()[:16]}" if system else self.name


def union(several: Iterable[Packages]) -> Packages:
    """All of them in one environment."""
    found = list(several)
    return Packages(
        tuple(dict.fromkeys(name for one in found for name in one.npm)),
        tuple(dict.fromkeys(name for one in found for name in one.pypi)),
    )


def variables(path: str = "") -> dict[str, str]:
    """What makes programs of an environment found, in the sandboxes that see it. `path`: where theirs are, if elsewhere
    than on this machine.
    """
    return {"PATH": f"{AT}/bin:{path}" if path else PATH}


def commands(packages: Packages, registries: Mapping[Manager, Registry]) -> list[list[str]]:
    """The programs that install it, in turn. Python comes first: a virtual environment wants its folder for itself."""
    found: list[list[str]] = []
    if packages.pypi:
        found.append(["python3", "-m", "venv", AT])
        index = ["--index-url", registries["pypi"].url]
        quiet = ["--no-input", "--no-cache-dir", "--disable-pip-version-check", "--progress-bar=off"]
        found.append([f"{AT}/bin/pip", "install", *quiet, *index, "--", *packages.pypi])
    if packages.npm:
        quiet = ["--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error"]
        prefix = ["--global", f"--prefix={AT}", f"--registry={registries['npm'].url}"]
        found.append(["npm", "install", *quiet, *prefix, "--", *packages.npm])
    found.append(["touch", MARK])
    return found
