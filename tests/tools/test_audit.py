"""The dependency audit finds what it is there to find, and passes what is fine (tools/audit.py)."""

import json
import zipfile
from email.message import Message
from importlib import metadata
from pathlib import Path
from typing import cast

import pytest

from tools import audit

RULES = audit.Rules.load()
HASH = "--hash=sha256:" + "0" * 64


def package(**fields: str | list[str]) -> metadata.PackageMetadata:
    message = Message()
    for name, values in fields.items():
        for value in [values] if isinstance(values, str) else values:
            message[name.replace("_", "-")] = value
    return cast(metadata.PackageMetadata, message)


# -- pyproject.toml ---------------------------------------------------------------------------------------------------

PYPROJECT = """
[build-system]
requires = ["backend"]  # builds
[project]
dependencies = [
    "one>=1",  # because
    "two[extra]; python_version < '4'",  # because
]
[project.optional-dependencies]
more = ["three"]  # because
[dependency-groups]
test = ["four"]  # because
all = [{ include-group = "test" }]
"""


def test_requirements_are_found_in_all_four_places() -> None:
    expected = ["backend", "one>=1", "two[extra]; python_version < '4'", "three", "four"]
    assert audit.declared_requirements(PYPROJECT) == expected


def test_a_reason_for_each_is_enough() -> None:
    assert audit.check_reasons(PYPROJECT) == []


@pytest.mark.parametrize("requirement", ["backend", "one>=1", "two[extra]; python_version < '4'", "three", "four"])
@pytest.mark.parametrize("without", ["", "  #", "  # "])
def test_a_requirement_without_a_reason_is_named(requirement: str, without: str) -> None:
    text = "\n".join(
        line.partition("  #")[0] + without if f'"{requirement}"' in line else line for line in PYPROJECT.splitlines()
    )
    assert audit.check_reasons(text) == [
        f"pyproject.toml: {requirement!r} has no reason: add a comment on its line",
    ]


@pytest.mark.parametrize(
    ("text", "file", "finding"),
    [
        ('[build-system]\nbuild-backend = "setuptools.build_meta"', "", "the build backend is not hatchling.build"),
        (
            '[build-system]\nbuild-backend="hatchling.build"\n[tool.hatch.build.hooks.custom]\n',
            "",
            "a hatch hook runs code",
        ),
        (
            '[build-system]\nbuild-backend="hatchling.build"\n[tool.hatch.metadata.hooks.custom]\n',
            "",
            "a hatch hook runs code",
        ),
        ('[build-system]\nbuild-backend="hatchling.build"\n', "setup.py", "setup.py: runs code while installing"),
    ],
)
def test_code_at_build_or_install_is_found(text: str, file: str, finding: str, tmp_path: Path) -> None:
    if file:
        (tmp_path / file).touch()
    (found,) = audit.check_build(text, tmp_path)
    assert finding in found


# -- lock files -------------------------------------------------------------------------------------------------------


def test_a_pinned_and_hashed_lock_passes() -> None:
    first = f"one==1.0 ; python_version < '3.12' \\\n    {HASH} \\\n    {HASH}\n    # via two\n"
    lock = f"# by make lock\n{first}two==2 \\\n    {HASH}\n"
    assert audit.check_lock("lock", lock) == []
    assert audit.locked_versions(lock) == {"one": "1.0", "two": "2"}


@pytest.mark.parametrize(
    ("lock", "finding"),
    [
        (f"one>=1.0 {HASH}", "is not pinned"),
        (f"one {HASH}", "is not pinned"),
        (f"one==1.* {HASH}", "is not pinned"),
        (f"-e . {HASH}", "is not pinned"),
        ("one==1.0", "has no hash"),
        ("one==1.0 --hash=md5:00", "has no hash"),
        (f"one==1.0 {HASH}\n# from https://somewhere", "names a host"),
        (f"--index-url somewhere\none==1.0 {HASH}", "names a host"),
        (f"--find-links wheels\none==1.0 {HASH}", "names a host"),
    ],
)
def test_a_loose_lock_is_found(lock: str, finding: str) -> None:
    assert any(finding in found for found in audit.check_lock("lock", lock))


def test_a_lock_that_pyproject_has_outgrown_is_found() -> None:
    lock = f"one==1.0 {HASH}\nTwo_Too==2 {HASH}"
    assert audit.check_lock_is_current("lock", lock, ["one>=1", "two-too; python_version < '4'"]) == []
    assert audit.check_lock_is_current("lock", lock, ["penstock[gateway]"]) == []
    assert audit.check_lock_is_current("lock", lock, ["one>=2", "three"]) == [
        "lock: has 1.0 for 'one>=2': run make lock",
        "lock: has nothing for 'three': run make lock",
    ]


@pytest.mark.parametrize(("name", "version"), [("litellm", "1.82.7"), ("litellm", "1.82.8"), ("h11", "0.14.0")])
def test_a_refused_release_is_named_with_its_reason(name: str, version: str) -> None:
    (found,) = audit.check_refused({name: version, "other": "1"}, RULES, "lock")
    assert f"{name} {version} is refused" in found


def test_other_releases_of_the_same_package_pass() -> None:
    assert audit.check_refused({"litellm": "1.82.9", "h11": "0.16.0"}, RULES, "lock") == []


# -- installed packages -----------------------------------------------------------------------------------------------


def test_closure_follows_markers_extras_and_circles() -> None:
    world = {
        "root": ["A[fast]>=1", "windows; sys_platform == 'nowhere'", "docs; extra == 'docs'"],
        "a": ["quick; extra == 'fast'", "slow; extra == 'slow'", "old; python_version < '3.12'", "root"],
    }
    assert audit.closure("root", world.get) == {"a", "quick", "old", "root"}
    assert audit.closure("root", world.get, python="3.14") == {"a", "quick", "root"}


def test_a_plain_install_brings_at_most_eight_packages() -> None:
    brought = audit.closure("penstock")
    assert {"msgspec", "httpx"} <= brought
    assert len(brought) <= 8, sorted(brought)


def test_nine_would_be_too_many() -> None:
    (found,) = audit.check_base({f"p{n}" for n in range(9)}, RULES)
    assert "9 packages, at most 8" in found


@pytest.mark.parametrize(
    ("fields", "terms"),
    [
        ({"License_Expression": "MIT"}, "MIT"),
        ({"License_Expression": "GPL-3.0-only OR MIT"}, "GPL-3.0-only OR MIT"),
        ({"License_Expression": "(MIT AND BSD-3-Clause)"}, "(MIT AND BSD-3-Clause)"),
        ({"License": "Apache License, Version 2.0"}, "Apache-2.0"),
        ({"License": "x" * 500, "Classifier": "License :: OSI Approved :: MIT License"}, "MIT"),
        ({"License": "Dual License", "Classifier": "License :: OSI Approved :: BSD License"}, "BSD-3-Clause"),
    ],
)
def test_allowed_licences_are_read_wherever_they_stand(fields: dict[str, str], terms: str) -> None:
    found = package(Name="p", **fields)
    assert audit.licence_terms(found, RULES) == terms
    assert audit.check_licences([found], RULES) == []


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"License_Expression": "AGPL-3.0-only"},
        {"License_Expression": "MIT AND SSPL-1.0"},
        {"License": "Proprietary"},
        {"License": "", "Classifier": "License :: OSI Approved :: GNU General Public License v3 (GPLv3)"},
    ],
)
def test_other_licences_are_found(fields: dict[str, str]) -> None:
    (found,) = audit.check_licences([package(Name="p", **fields)], RULES)
    assert found.startswith("p: licence ")


# -- the wheel --------------------------------------------------------------------------------------------------------


def wheel(folder: Path, *names: str, padding: int = 0) -> Path:
    path = folder / "penstock-1-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("penstock/__init__.py", "penstock-1.dist-info/METADATA", *names):
            archive.writestr(name, b"0" * padding)
    return path


def test_a_clean_wheel_passes(tmp_path: Path) -> None:
    assert audit.check_wheel(wheel(tmp_path, "penstock/py.typed"), RULES) == []


@pytest.mark.parametrize(
    ("name", "finding"),
    [
        ("penstock-start.pth", "would run code"),
        ("penstock/nested/evil.pth", "would run code"),
        ("penstock-1.data/scripts/run", "would run code"),
        ("sitecustomize.py", "would run code"),
        ("tests/__init__.py", "tests is not of our package"),
    ],
)
def test_a_wheel_with_a_stowaway_is_found(name: str, finding: str, tmp_path: Path) -> None:
    assert any(finding in found for found in audit.check_wheel(wheel(tmp_path, "penstock/py.typed", name), RULES))


def test_a_wheel_without_types_or_too_big_is_found(tmp_path: Path) -> None:
    missing, large = audit.check_wheel(wheel(tmp_path, padding=1_500_001), RULES)
    assert "py.typed is missing" in missing
    assert "at most 3,000,000 are allowed" in large


# -- vulnerabilities --------------------------------------------------------------------------------------------------


def test_a_known_vulnerability_is_found_and_what_was_not_looked_up_is_said() -> None:
    report = {
        "dependencies": [
            {"name": "one", "version": "1", "vulns": [{"id": "CVE-1", "fix_versions": ["2"]}]},
            {"name": "two", "version": "1", "vulns": []},
            {"name": "three", "skip_reason": "not there"},
        ]
    }
    findings, said = audit.read_pip_audit(json.dumps(report))
    assert findings == ["one 1: CVE-1, mended in 2"]
    assert said == "2 packages looked up; NOT looked up: three"


@pytest.mark.parametrize("report", ["", "no network", '{"dependencies": [{"name": "one", "skip_reason": "x"}]}'])
def test_no_database_is_no_finding_but_is_said(report: str) -> None:
    assert audit.read_pip_audit(report) == ([], "NOT looked up: no database of vulnerabilities answered here")
