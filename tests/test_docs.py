"""Documentation that is wrong fails: every Python block runs, every link leads somewhere, every command exists.

tests/support/page.py says how a page's blocks share their names and how a block is shown without being run.
"""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import page
from tests.support.fresh import clean_environment
from tests.support.needs import REPOSITORY

DOCS = REPOSITORY / "docs"
PAGES = sorted([*REPOSITORY.glob("*.md"), *DOCS.rglob("*.md")])
WITH_PYTHON = [path for path in PAGES if "```py" in path.read_text(encoding="utf-8")]


def name_of(path: Path) -> str:
    return path.relative_to(REPOSITORY).as_posix()


def run_page(path: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a page in a clean interpreter, in an empty folder, with no keys in the environment."""
    command = [sys.executable, "-I", "-W", "error", page.__file__, str(path)]
    return subprocess.run(command, cwd=folder, env=clean_environment(folder), capture_output=True, text=True)


@pytest.mark.parametrize("path", WITH_PYTHON, ids=name_of)
def test_the_python_of_a_page_runs(path: Path, tmp_path: Path) -> None:
    done = run_page(path, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_links_lead_somewhere(path: Path) -> None:
    """Links inside of the repository: to a file that is there, and to a heading that is there."""
    prose = re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", prose):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        linked = path.parent / file if file else path
        assert linked.exists(), f"{name_of(path)}: {target} leads nowhere"
        if anchor:
            assert anchor in anchors(linked), f"{name_of(path)}: {name_of(linked.resolve())} has no heading #{anchor}"


def anchors(path: Path) -> set[str]:
    """The headings of a page, as the usual renderers spell them in links."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", [path for path in PAGES if DOCS in path.parents], ids=name_of)
def test_a_page_can_be_found(path: Path) -> None:
    """Every page of docs/ is linked from the index of its folder, and every index from docs/README.md."""
    index = path.parent / "README.md" if path.name != "README.md" else path.parent.parent / "README.md"
    assert f"({path.relative_to(index.parent).as_posix()})" in index.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_files_that_a_page_names_exist(path: Path) -> None:
    named = set(
        re.findall(r"`((?:src|tests|tools|docs|requirements|\.ci)/[\w./-]+\.\w+)`", path.read_text(encoding="utf-8"))
    )
    assert {name for name in named if not (REPOSITORY / name).exists()} == set()


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_tests_that_a_page_names_exist(path: Path) -> None:
    """SECURITY.md names the tests that hold its promises: `tests/.../test_x.py::test_y`."""
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", path.read_text(encoding="utf-8"))
    assert [name for file, name in named if f"def {name}(" not in (REPOSITORY / file).read_text(encoding="utf-8")] == []


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_make_commands_exist(path: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"(?:^|`)make ([a-z-]+)", path.read_text(encoding="utf-8"), re.MULTILINE))
    assert named <= targets


# -- the runner itself ------------------------------------------------------------------------------------------------


def written(folder: Path, text: str) -> Path:
    path = folder / "page.md"
    path.write_text(text)
    return path


def test_blocks_share_names_until_a_fresh_one(tmp_path: Path) -> None:
    text = "```python\nx = 1\n```\nprose\n```python\nx += 1\nprint(x)\n```\n"
    text += "```python fresh\nprint('x' in globals())\n```\n"
    assert run_page(written(tmp_path, text), tmp_path).stdout == "2\nFalse\n"


def test_a_failure_points_at_the_line_of_the_page(tmp_path: Path) -> None:
    path = written(tmp_path, "# Title\n\n```python\nx = 1\nraise ValueError(x)\n```\n")
    done = run_page(path, tmp_path)
    assert done.returncode != 0
    assert f'"{path}", line 5' in done.stderr


def test_a_block_in_a_list_is_run(tmp_path: Path) -> None:
    assert (
        run_page(written(tmp_path, "1. do\n\n   ```python\n   if True:\n       print(1)\n   ```\n"), tmp_path).stdout
        == "1\n"
    )


def test_other_languages_and_marked_blocks_are_not_run(tmp_path: Path) -> None:
    text = "```bash\nexit 1\n```\n```python no-run: costs money\n1 / 0\n```\n```\n1 / 0\n```\n"
    assert run_page(written(tmp_path, text), tmp_path).returncode == 0


@pytest.mark.parametrize("word", ["norun", "no-run", "no-run:", "Fresh"])
def test_a_word_that_means_nothing_is_an_error(word: str) -> None:
    with pytest.raises(page.PageError, match=r"line 1: .* is none of"):
        list(page.blocks(f"```python {word}\n1 / 0\n```\n"))


@pytest.mark.parametrize(
    "reach",
    ["socket.create_connection(('192.0.2.1', 1))", "socket.getaddrinfo('provider.example', 443)"],
)
def test_a_page_has_no_network(reach: str, tmp_path: Path) -> None:
    done = run_page(written(tmp_path, f"```python\nimport socket\n{reach}\n```\n"), tmp_path)
    assert "examples run without a network" in done.stderr


def test_a_page_may_speak_to_this_machine(tmp_path: Path) -> None:
    code = "import socket\nserver = socket.create_server(('127.0.0.1', 0))\n"
    code += "socket.create_connection(server.getsockname()).close()\nserver.close()"
    assert run_page(written(tmp_path, f"```python\n{code}\n```\n"), tmp_path).returncode == 0
