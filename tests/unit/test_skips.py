"""What may be skipped: here anything with a reason, in CI only what cannot be installed (tests/conftest.py).

Each case is a test file of its own. One pytest runs them all as on a developer's machine, one as in CI.
"""

import os
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.support.needs import REPOSITORY

HEAD = "import pytest\nfrom tests.support import need, shared_folder\n"

UNWANTED = {
    "a plain skip": "def test_it():\n    pytest.skip('no time')",
    "a mark": "@pytest.mark.skip(reason='no time')\ndef test_it():\n    pass",
    "a missing program": "def test_it():\n    need(command='no-such-thing')",
    "a missing module": "def test_it():\n    need(module='no-such-thing')",
    "a missing module, by pytest": "def test_it():\n    pytest.importorskip('no-such-thing')",
    "a whole file": "pytest.skip('no time', allow_module_level=True)",
    "a whole file that needs": "need(command='no-such-thing')",
    "a fixture": "@pytest.fixture\ndef it():\n    pytest.skip('no time')\ndef test_it(it):\n    pass",
}
ACCEPTED = {
    "no shared references": "def test_it():\n    shared_folder('no-such-thing')",
    "no shared references, by fixture": "def test_it(shared):\n    shared('no-such-thing')",
    "no shared references, whole file": "shared_folder('no-such-thing')",
    "another platform": "@pytest.mark.skipif(True, reason='only on Windows')\ndef test_it():\n    pass",
    "an expected failure": "@pytest.mark.xfail\ndef test_it():\n    raise ValueError",
}
CASES = {**UNWANTED, **ACCEPTED}


def run_cases(folder: Path, **environment: str) -> dict[str, tuple[str, str]]:
    """Case -> (outcome, what was said): "skipped", "failure" or "error", as JUnit's XML calls them."""
    for number, body in enumerate(CASES.values()):
        (folder / f"test_{number}_.py").write_text(HEAD + body)
    options = ["-p", "tests.conftest", "-p", "no:cacheprovider", "-c", os.devnull, "--continue-on-collection-errors"]
    outer = {name: value for name, value in os.environ.items() if not name.startswith(("PENSTOCK", "PYTEST"))}
    subprocess.run(
        [sys.executable, "-m", "pytest", *options, f"--junitxml={folder}/out.xml", f"--rootdir={folder}", str(folder)],
        cwd=REPOSITORY,
        env={**outer, **environment},
        capture_output=True,
    )
    found = {}
    for case in ElementTree.parse(folder / "out.xml").iter("testcase"):
        file = re.search(r"test_(\d+)_", f"{case.get('classname')} {case.get('name')}")
        assert file, ElementTree.tostring(case)
        found[list(CASES)[int(file[1])]] = (case[0].tag, f"{case[0].get('message')} {case[0].text}")
    return found


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[str, str]]:
    return run_cases(tmp_path_factory.mktemp("here"))


@pytest.fixture(scope="module")
def in_ci(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[str, str]]:
    return run_cases(tmp_path_factory.mktemp("ci"), PENSTOCK_CI="1")


@pytest.mark.parametrize("case", CASES)
def test_outside_of_ci_a_skip_is_a_skip(case: str, here: dict[str, tuple[str, str]]) -> None:
    assert here[case][0] == "skipped"


@pytest.mark.parametrize("case", UNWANTED)
def test_in_ci_a_skip_fails_and_names_the_reason(case: str, in_ci: dict[str, tuple[str, str]]) -> None:
    outcome, said = in_ci[case]
    assert outcome in ("failure", "error")
    assert "no time" in said or "no-such-thing" in said


@pytest.mark.parametrize("case", ACCEPTED)
def test_in_ci_a_skip_that_nothing_could_mend_stays_one(case: str, in_ci: dict[str, tuple[str, str]]) -> None:
    assert in_ci[case][0] == "skipped"
