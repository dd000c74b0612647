"""What a test needs from outside of the repository, and what happens when it is not there.

`PENSTOCK_CI=1` means: this machine was set up to run every test, so a missing tool is a fault of the set-up and fails.
`PENSTOCK_SHARED` names the folder of shared references when it does not lie beside the repository.
"""

import importlib.util
import os
import shutil
from pathlib import Path
from typing import NoReturn

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]

SHARED_ABSENT = "shared references not present"
"""The one reason to skip that CI accepts: the material lies beside the repository, not in it."""


def in_ci() -> bool:
    """True where every test is expected to run (`PENSTOCK_CI=1`)."""
    return os.environ.get("PENSTOCK_CI", "") not in ("", "0")


def need(*, command: str | None = None, module: str | None = None, hint: str = "") -> None:
    """Skip the test when a program or a Python module is missing; fail it in CI, where it must have been installed.

    `hint` says how to get it, such as "apt-get install postgresql".
    """
    if command is not None and shutil.which(command) is None:
        _missing(f"needs the program {command!r}", hint)
    if module is not None and importlib.util.find_spec(module) is None:
        _missing(f"needs the Python module {module!r}", hint)


def optional(*, command: str | None = None, module: str | None = None) -> None:
    """Skip the test when a large program or module is missing, in CI too: where it is there, it is used."""
    if command is not None and shutil.which(command) is None:
        pytest.skip(f"only on machines with {command}", allow_module_level=True)
    if module is not None and importlib.util.find_spec(module) is None:
        pytest.skip(f"only on machines with the Python module {module}", allow_module_level=True)


def shared_folder(*parts: str) -> Path:
    """The path of a shared reference, such as `shared_folder("provider-exchanges")`; skips when it is not there.

    It may be called in a test, in a fixture, or at the head of a module (then the whole module is skipped).
    """
    path = Path(os.environ.get("PENSTOCK_SHARED") or REPOSITORY.parent / "shared", *parts)
    if not path.exists():
        pytest.skip(f"{SHARED_ABSENT}: {'/'.join(parts) or 'shared'}", allow_module_level=True)
    return path


def _missing(what: str, hint: str) -> NoReturn:
    message = f"{what} ({hint})" if hint else what
    if in_ci():
        pytest.fail(f"{message}, and in CI it must be installed", pytrace=False)
    pytest.skip(message, allow_module_level=True)
