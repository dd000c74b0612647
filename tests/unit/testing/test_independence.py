"""A peer, not a mirror: the simulated providers import nothing of Penstock's, and nothing but the standard library.

The simulated devices speak SSH, which the library has not: they may import asyncssh besides.
"""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import penstock.testing

FOLDER = Path(next(iter(penstock.testing.__path__)))
SOURCES = sorted(FOLDER.rglob("*.py"))


def imported(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
    return found


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(FOLDER).as_posix())
def test_only_the_standard_library_and_itself(path: Path) -> None:
    allowed = {"asyncssh"} if "devices" in path.relative_to(FOLDER).parts else set[str]()
    foreign = {
        name
        for name in imported(path)
        if not name.startswith("penstock.testing") and name.partition(".")[0] not in sys.stdlib_module_names | allowed
    }
    assert foreign == set()


def test_importing_it_loads_none_of_the_layers() -> None:
    """Whatever `import penstock` loads by itself, the simulated providers add only themselves and the library."""
    program = (
        "import sys, penstock; before = set(sys.modules)\n"
        "import penstock.testing.providers\n"
        "added = {name for name in set(sys.modules) - before if not name.startswith('penstock.testing')}\n"
        "print(sorted(name for name in added if name.partition('.')[0] not in sys.stdlib_module_names))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
