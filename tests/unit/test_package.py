"""The package as its users get it: what an import costs, what a wheel holds, what a plain install is."""

import re
import subprocess
import sys
import zipfile
from email import message_from_bytes
from email.message import Message
from pathlib import Path

import pytest

from tests.support.fresh import clean_environment, watched
from tests.support.needs import REPOSITORY
from tools import audit

HEAVY = {
    "an HTTP client": {"httpx", "httpcore", "anyio", "requests", "urllib3", "aiohttp", "http.client", "urllib.request"},
    "an event loop or a server": {"asyncio", "ssl", "uvicorn", "uvloop", "httptools", "starlette", "fastapi"},
    "a vendor's client": {"openai", "anthropic", "google.genai", "boto3", "botocore"},
    "pydantic": {"pydantic", "pydantic_core"},
    "a provider or a layer above": {
        "penstock.providers",
        "penstock.client",
        "penstock.gateway",
        "penstock.control",
        "penstock.agents",
        "penstock.vault",
        "penstock.cli",
        "penstock.testing",
    },
}


@pytest.mark.parametrize("what", HEAVY)
def test_import_loads_nothing_heavy(what: str) -> None:
    assert watched("import penstock").modules & HEAVY[what] == set()


@pytest.mark.parametrize("program", ["import penstock", "from penstock import *"])
def test_import_reaches_for_nothing(program: str) -> None:
    """No socket is opened, no name looked up, no process started; not even by importing every public name."""
    assert watched(program).events == ()


def test_the_watch_sees_a_look_up() -> None:
    """So that the test above can fail."""
    assert any("socket.getaddrinfo" in event for event in watched("import socket; socket.getaddrinfo('::1', 1)").events)


# -- the wheel --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return audit.build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def wheel_metadata(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return message_from_bytes(archive.read(name))


def test_the_wheel_is_small_typed_and_holds_nothing_that_runs_by_itself(wheel: Path) -> None:
    assert audit.check_wheel(wheel, audit.Rules.load()) == []


def test_the_wheel_holds_every_source_file(wheel: Path) -> None:
    source = REPOSITORY / "src"
    files = {path.relative_to(source) for path in source.rglob("*") if path.is_file()}
    ours = {file.as_posix() for file in files if not any(part.startswith((".", "__pycache__")) for part in file.parts)}
    with zipfile.ZipFile(wheel) as archive:
        assert ours - set(archive.namelist()) == set()


def test_a_plain_install_asks_for_msgspec_and_httpx_alone(wheel_metadata: Message) -> None:
    requirements = wheel_metadata.get_all("Requires-Dist", [])
    plain = [re.split(r"[<>=;! ]", line)[0] for line in requirements if "extra ==" not in line]
    assert sorted(plain) == ["httpx", "msgspec"]


def test_the_extras_are_there(wheel_metadata: Message) -> None:
    assert {"gateway", "agents"} <= set(wheel_metadata.get_all("Provides-Extra", []))


def test_the_licence_is_in_the_wheel_and_its_metadata(wheel: Path, wheel_metadata: Message) -> None:
    assert wheel_metadata["License-Expression"] == "Apache-2.0"
    with zipfile.ZipFile(wheel) as archive:
        (licence,) = (name for name in archive.namelist() if name.endswith("/licenses/LICENSE"))
        assert archive.read(licence) == (REPOSITORY / "LICENSE").read_bytes()


def test_the_wheel_installs_and_imports_where_our_sources_are_not(wheel: Path, tmp_path: Path) -> None:
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", f"--target={tmp_path}"]
    subprocess.run([*pip, str(wheel)], check=True, capture_output=True)
    program = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import penstock; print(penstock.__file__)"
    done = subprocess.run(
        [sys.executable, "-I", "-c", program], env=clean_environment(), check=True, capture_output=True, text=True
    )
    assert Path(done.stdout.strip()).is_relative_to(tmp_path)
