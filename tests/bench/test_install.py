"""Peers are installed when asked for, in exact versions, outside of the repository, and never a poisoned one."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench.gateway import command, install
from bench.gateway.install import ENVOY, LITELLM, PACKAGES, PORTKEY, Package
from bench.gateway.peers import PEERS
from tests.support.needs import REPOSITORY


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PENSTOCK_BENCH_CACHE", str(tmp_path))
    return tmp_path


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands that would have been run; they succeed."""
    found: list[list[str]] = []

    def run(given: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        found.append(given)
        return subprocess.CompletedProcess(given, 0, "", "")

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(shutil, "which", lambda name: name)
    return found


def test_no_version_is_a_poisoned_one() -> None:
    assert {(package.name, package.version) for package in PACKAGES.values()} & install.POISONED == set()
    assert {("litellm", "1.82.7"), ("litellm", "1.82.8")} == install.POISONED


@pytest.mark.parametrize("version", ["1.82.7", "1.82.8"])
def test_a_poisoned_version_is_refused(version: str, commands: list[list[str]]) -> None:
    assert "poisoned" in str(install.install(replace(LITELLM, version=version)))
    assert commands == []


@pytest.mark.parametrize("package", PACKAGES.values(), ids=lambda package: package.peer)
def test_nothing_of_a_package_runs_at_its_installation(package: Package, commands: list[list[str]]) -> None:
    assert install.install(package) is None
    (line,) = (given for given in commands if package.requirement in given)
    assert ("--ignore-scripts" if package.registry == "npm" else "--only-binary=:all:") in line


def test_the_cache_is_where_the_user_says_and_never_the_repository(
    cache: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert install.cache() == cache
    monkeypatch.delenv("PENSTOCK_BENCH_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert install.cache() == tmp_path / "xdg" / "penstock-bench"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert install.cache() == tmp_path / ".cache" / "penstock-bench"
    assert REPOSITORY not in install.cache().parents


@pytest.mark.parametrize("name", PACKAGES)
def test_a_peer_that_is_not_installed_says_how_to_get_it(name: str) -> None:
    assert PEERS[name].missing() == f"not installed: python -m bench gateway install {name}"


def test_an_installation_that_was_cut_off_does_not_count(commands: list[list[str]]) -> None:
    program = install.installed_program(ENVOY)
    program.parent.mkdir(parents=True)
    program.touch()
    assert install.not_installed(ENVOY) is not None
    assert install.install(ENVOY) is None
    assert commands, "it is installed anew"


def test_what_the_client_said_is_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: name)
    failed = subprocess.CompletedProcess([], 1, "", "much\nERROR: no such version\n")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: failed)
    assert install.install(PORTKEY) == f"{PORTKEY.requirement} cannot be installed: ERROR: no such version"


def test_the_command_says_what_and_where_and_asks(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], commands: list[list[str]], cache: Path
) -> None:
    monkeypatch.setattr("builtins.input", lambda _: "n")
    assert command.main(["install", "litellm"]) == 1
    assert commands == []
    said = capsys.readouterr().out
    assert LITELLM.requirement in said and str(cache) in said and "PyPI" in said


def test_the_command_installs_after_a_yes(monkeypatch: pytest.MonkeyPatch, commands: list[list[str]]) -> None:
    monkeypatch.setattr("builtins.input", lambda _: "y")
    assert command.main(["install", "portkey"]) == 0
    assert [given[0] for given in commands] == ["npm"]
