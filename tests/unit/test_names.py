"""Names of tests are the same in every process (tests/conftest.py): a parallel run compares them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.needs import REPOSITORY

CASE = "import pytest\n@pytest.mark.parametrize('value', [1, lambda: 1], ids={ids})\ndef test_it(value):\n    pass\n"


@pytest.mark.parametrize(("ids", "said"), [("str", "the same in every process"), ("['one', 'a function']", "2 passed")])
def test_a_name_with_an_address_in_memory_is_refused(tmp_path: Path, ids: str, said: str) -> None:
    (tmp_path / "test_case.py").write_text(CASE.format(ids=ids))
    options = ["-p", "tests.conftest", "-p", "no:cacheprovider", "-c", os.devnull, f"--rootdir={tmp_path}"]
    command = [sys.executable, "-m", "pytest", *options, str(tmp_path)]
    alone = {name: value for name, value in os.environ.items() if name != "PYTEST_ADDOPTS"}  # CI runs many at once
    done = subprocess.run(command, cwd=REPOSITORY, env=alone, capture_output=True, text=True)
    assert said in done.stdout + done.stderr
    assert (done.returncode == 0) is ("passed" in said)
