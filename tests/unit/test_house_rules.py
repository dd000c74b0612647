"""The house rules that a machine can check. Each is a lesson; CONTRIBUTING.md gives the reasons."""

import ast
import importlib
import inspect
import pkgutil
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest

import penstock
from tests.support.needs import REPOSITORY

SOURCE = REPOSITORY / "src" / "penstock"
SOURCES = sorted(SOURCE.rglob("*.py"))
PURE = (
    *("types", "dialects", "routing", "providers/cost.py"),
    *(f"agents/{name}.py" for name in ("machine", "events", "types", "log", "limits", "loops", "approvals", "access")),
    *(f"agents/{name}.py" for name in ("reconciler", "ids", "tokens", "requests", "errors")),
    *(f"vault/{name}.py" for name in ("names", "paths", "rules", "slots", "carriers", "policy", "inject", "stubs")),
    *(f"vault/{name}.py" for name in ("websocket", "hello", "capture", "git", "http_parts")),
    *("vault/scrub", "vault/http1", "vault/http2"),
)


def name_of(path: Path) -> str:
    return path.relative_to(REPOSITORY).as_posix()


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def rooms_of(path: Path) -> str:
    """What a package says of itself."""
    return ast.get_docstring(tree_of(path)) or ""


def pure_sources() -> list[Path]:
    return [path for path in SOURCES if path.relative_to(SOURCE).as_posix().startswith(PURE)]


def project_files() -> Iterator[Path]:
    """Every text file of the project: what git tracks, or, without git, all but hidden and generated folders."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, text=True)
    names = listed.stdout.split("\0") if listed.returncode == 0 else _walked()
    for path in (REPOSITORY / name for name in names if name):
        if path.is_file() and b"\0" not in path.read_bytes()[:8192]:
            yield path


def _walked() -> list[str]:
    files = (path.relative_to(REPOSITORY) for path in REPOSITORY.rglob("*"))
    return [str(path) for path in files if not any(part.startswith((".", "__py")) for part in path.parts)]


# -- every file -------------------------------------------------------------------------------------------------------

REGISTRY = re.compile(r"(?<![\w-])(?:[\w-]+\.)*(?:pypi|pythonhosted|npmjs|debian|ubuntu|crates)\.(?:org|com|io)\b")
SECRET = re.compile(
    r"\b(?:sk-(?:proj-|ant-api03-)?[A-Za-z0-9]{32,}|AKIA[A-Z2-7]{16}|AIza[\w-]{35}|gh[po]_[A-Za-z0-9]{36})\b"
)


def test_no_file_names_a_package_registry() -> None:
    """Where packages come from is the machine's own set-up, never the project's."""
    assert [name_of(path) for path in project_files() if REGISTRY.search(path.read_text(errors="replace"))] == []


def test_no_file_holds_what_looks_like_a_real_key() -> None:
    """Fake keys in tests say that they are fake (`sk-fake-...`), so that no scanner and no reader has to wonder."""
    found = [(path, SECRET.search(path.read_text(errors="replace"))) for path in project_files()]
    assert [f"{name_of(path)}: {match[0][:8]}..." for path, match in found if match] == []


@pytest.mark.parametrize(
    "host", ["https://py" + "pi.org/simple", "files.python" + "hosted.org", "registry.npm" + "js.org"]
)
def test_the_pattern_knows_a_registry(host: str) -> None:
    assert REGISTRY.search(host)


# -- every source file ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_a_file_states_its_rule_in_its_first_lines(path: Path) -> None:
    docstring = ast.get_docstring(tree_of(path))
    assert docstring, "begin the file with a docstring: what belongs here, and by which rule"
    assert len(docstring.split()) >= 4, "say the rule of the file in a sentence"


def test_no_branch_on_a_providers_name() -> None:
    """A quirk is a documented field with a default: `profile.max_tokens_field`, not `if provider == "x"`."""
    found = [
        f"{name_of(path)}:{node.lineno}"
        for path in SOURCES
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Compare)
        and re.search(r"(^|[._])provider(_name|\.name)?$", ast.unparse(node.left))
        and any(isinstance(other, ast.Constant) and isinstance(other.value, str) for other in node.comparators)
        and any(isinstance(operator, ast.Eq | ast.NotEq) for operator in node.ops)
    ]
    assert found == []


def test_pure_modules_ask_no_clock() -> None:
    """`datetime` is a value type that they may use; asking it for the time is not."""
    found = [
        f"{name_of(path)}:{node.lineno}"
        for path in pure_sources()
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Attribute) and node.attr in ("now", "utcnow", "today")
    ]
    assert found == []


def test_pure_modules_open_no_file() -> None:
    found = [
        f"{name_of(path)}:{node.lineno}"
        for path in pure_sources()
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("open", "input", "print")
    ]
    assert found == []


# -- every public name ------------------------------------------------------------------------------------------------


def modules() -> list[str]:
    """Every module of the package but programs: importing those would run them."""
    found = pkgutil.walk_packages(penstock.__path__, "penstock.", onerror=lambda name: None)
    return ["penstock", *(module.name for module in found if not module.name.endswith("__main__"))]


@pytest.mark.parametrize("name", modules())
def test_a_list_of_public_names_is_true(name: str) -> None:
    """Where a module has `__all__`: every name is there, once. Where users import from (a package, or a module right
    below ours), all that it defines in public is listed; a module further in may list less.
    """
    module = importlib.import_module(name)
    if not hasattr(module, "__all__"):
        return
    listed = list(module.__all__)
    assert sorted(set(listed)) == sorted(listed), "listed twice"
    assert [missing for missing in listed if not hasattr(module, missing)] == [], "listed, but not there"
    if hasattr(module, "__path__") or name.count(".") == 1:
        assert defined_in(module) - set(listed) == set(), "public, but not listed"


MAPS = [path for path in SOURCES if path.name == "__init__.py" and re.search(r"\b[a-z_]+\.py\b", rooms_of(path))]


@pytest.mark.parametrize("path", MAPS, ids=name_of)
def test_what_a_package_says_of_its_modules_is_true(path: Path) -> None:
    """The first thing that a newcomer reads of a package is where what is. (Names with a folder are another's.)"""
    listed = set(re.findall(r"(?<![\w./])([a-z_]+\.py)\b", rooms_of(path)))
    assert {name for name in listed if not (path.parent / name).exists()} == set()


def test_the_package_lists_all_that_it_shows() -> None:
    shown = {name for name, value in vars(penstock).items() if not name.startswith("_") and not inspect.ismodule(value)}
    assert shown <= {*getattr(penstock, "__all__", ()), "annotations", "TYPE_CHECKING"}


def defined_in(module: ModuleType) -> set[str]:
    """The public functions and classes that a module defines itself."""
    return {
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and getattr(value, "__module__", None) == module.__name__
    }
