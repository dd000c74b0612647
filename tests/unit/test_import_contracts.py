"""The import contracts bite: each is given a package that breaks it, and says so (.importlinter).

Modules in the contracts are optional, so that they may be written before the modules are. The price is that a
misspelt name would never be noticed; these tests are the notice.
"""

import configparser
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.needs import REPOSITORY

CONTRACTS = REPOSITORY / ".importlinter"

# name of the contract -> imports that break it: (the importing module, the imported one)
VIOLATIONS = {
    "layers": [
        ("types", "dialects"),
        ("dialects", "providers"),
        ("providers", "exchange"),
        ("providers", "resolve"),
        ("exchange", "client"),
        ("resolve", "client"),
        ("client", "gateway"),
        ("calls", "client"),
        ("exchange", "calls"),
        ("routing", "dialects"),
        ("routing", "providers"),
        ("dialects", "routing"),
        ("control", "agents"),
        ("gateway", "agents"),
        ("agents", "cli"),
        ("gateway", "cli"),
    ],
    "gateway-and-client-are-strangers": [("gateway", "client"), ("client", "gateway")],
    "pure": [
        ("types", "time"),
        ("dialects", "os"),
        ("dialects.gemini", "httpx"),
        ("routing", "random"),
        ("providers.cost", "asyncio"),
        ("agents.machine", "socket"),
        ("vault.inject", "pathlib"),
    ],
    "no-io-below-the-transport": [("exchange", "httpx"), ("providers", "os"), ("providers.auth.sigv4", "time")],
    "rows-are-data": [("providers.rows.labs", "providers.registry")],
    "one-dialect-knows-no-other": [
        ("dialects.openai_chat", "dialects.openai_responses"),
        ("dialects.anthropic_messages", "dialects.bedrock_converse"),
        ("dialects.gemini", "dialects.cohere_chat"),
        ("dialects.ollama_chat", "dialects.openai_chat"),
    ],
    "msgspec-where-bytes-flow": [("types", "pydantic"), ("dialects", "openai"), ("exchange", "fastapi")],
    "agents-are-customers": [("agents", "client"), ("agents", "gateway"), ("agents", "providers")],
    "vault-stands-alone": [("vault", "types"), ("vault", "providers"), ("vault.proxy", "gateway")],
    "vault-by-its-api": [("agents", "vault.inject"), ("gateway", "vault.seal")],
    "testing-is-a-leaf": [("gateway", "testing"), ("cli", "testing"), ("dialects", "testing")],
    "testing-needs-little": [("testing", "providers"), ("testing", "client"), ("testing", "gateway")],
}

ALLOWED = [
    ("dialects", "types"),
    ("providers", "dialects"),
    ("exchange", "resolve"),
    ("client", "exchange"),
    ("client", "calls"),
    ("gateway", "calls"),
    ("client", "routing"),
    ("gateway", "exchange"),
    ("gateway", "routing"),
    ("gateway", "control"),
    ("control", "gateway"),
    ("agents", "control"),
    ("agents", "vault.api"),
    ("vault.proxy", "vault.inject"),
    ("cli", "gateway"),
    ("cli", "client"),
    ("testing", "dialects"),
    ("testing", "types"),
    ("client", "httpx"),
]


def broken_by(folder: Path, *imports: tuple[str, str]) -> set[str]:
    """Write a package in which these modules import those; the names of the contracts that it breaks."""
    for importer, imported in imports:
        ours = imported.partition(".")[0] in our_modules()
        statement = f"import penstock.{imported}\n" if ours else f"import {imported}\n"
        with make_package(folder, importer).open("a") as file:
            file.write(statement)
        if ours:
            make_package(folder, imported)
    for container in ("dialects", "providers"):  # the containers of contracts must exist
        make_package(folder, container)
    shutil.copy(CONTRACTS, folder)
    program = "import sys; sys.path.insert(0, ''); from importlinter.cli import lint_imports_command as lint; lint()"
    done = subprocess.run([sys.executable, "-c", program, "--no-cache"], cwd=folder, capture_output=True, text=True)
    assert "Contracts: " in done.stdout, done.stdout + done.stderr
    return {name for name, title in titles().items() if re.search(re.escape(title) + r"\s*BROKEN", done.stdout)}


def make_package(folder: Path, name: str) -> Path:
    """The `__init__.py` of `penstock.NAME`, made with those of its parents."""
    package = folder / "penstock"
    for part in ("", *name.split(".")):
        package = package / part
        package.mkdir(exist_ok=True)
        (package / "__init__.py").touch()
    return package / "__init__.py"


def titles() -> dict[str, str]:
    parser = configparser.ConfigParser()
    parser.read(CONTRACTS)
    prefix = "importlinter:contract:"
    return {section.removeprefix(prefix): parser[section]["name"] for section in parser if section.startswith(prefix)}


def our_modules() -> set[str]:
    """Every module of ours that a contract names, without `penstock.`."""
    return set(re.findall(r"\(penstock\.(\w+)", CONTRACTS.read_text()))


@pytest.mark.parametrize(
    ("contract", "importer", "imported"),
    [(contract, *pair) for contract, pairs in VIOLATIONS.items() for pair in pairs],
)
def test_a_contract_is_broken_by_what_it_forbids(contract: str, importer: str, imported: str, tmp_path: Path) -> None:
    assert contract in broken_by(tmp_path, (importer, imported))


def test_no_contract_is_broken_by_what_the_design_allows(tmp_path: Path) -> None:
    assert broken_by(tmp_path, *ALLOWED) == set()


def test_every_contract_is_tried() -> None:
    assert set(titles()) == set(VIOLATIONS)


def test_every_module_has_its_layer() -> None:
    """A new package or module under src/penstock is named in the contracts on the day it arrives."""
    source = REPOSITORY / "src" / "penstock"
    packages = {path.parent.name for path in source.glob("*/__init__.py")}
    files = {path.stem for path in source.glob("*.py")} - {"__init__", "__main__"}
    assert packages | files <= our_modules()
