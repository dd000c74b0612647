"""The dependency audit: what we ship, what we depend on, and on which terms. Run by `make audit`.

Each check is a function from what it looks at to a list of findings: sentences that say what is wrong and what to do.
`main` gathers the inputs, runs the checks, prints them and exits 1 if there was a finding. What is allowed and refused
is data, in audit.toml beside this file.

All checks but the last need no network. The last asks a public database for known vulnerabilities (`pip-audit`) and is
best effort: what could not be looked up is counted and said, and is no finding.
"""

import json
import re
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
OURS = "penstock"
LOCKS = ("requirements/runtime.txt", "requirements/dev.txt")

Findings = list[str]


@dataclass(frozen=True)
class Rules:
    """audit.toml: see the comments there."""

    base_packages_at_most: int
    wheel_bytes_at_most: int
    licences: frozenset[str]
    licence_spellings: Mapping[str, str]
    refused: Sequence[Mapping[str, Any]]

    @classmethod
    def load(cls, path: Path = ROOT / "tools" / "audit.toml") -> "Rules":
        """Read the rules; a missing or an unknown key raises TypeError."""
        data = tomllib.loads(path.read_text())
        return cls(**{**data, "licences": frozenset(data["licences"])})


# -- what pyproject.toml asks for -------------------------------------------------------------------------------------


def declared_requirements(pyproject: str) -> list[str]:
    """Every requirement in pyproject.toml: of the build, the base, the extras and the dependency groups."""
    data = tomllib.loads(pyproject)
    project = data.get("project", {})
    lists = [
        data.get("build-system", {}).get("requires", []),
        project.get("dependencies", []),
        *project.get("optional-dependencies", {}).values(),
        *data.get("dependency-groups", {}).values(),
    ]
    return [item for requirements in lists for item in requirements if isinstance(item, str)]


def check_reasons(pyproject: str) -> Findings:
    """A requirement bears the reason why it is there, as a comment on its own line."""
    return [
        f"pyproject.toml: {requirement!r} has no reason: add a comment on its line"
        for requirement in dict.fromkeys(declared_requirements(pyproject))
        for line in pyproject.splitlines()
        if f'"{requirement}"' in line and not re.search(r"#\s*\w+", line.rpartition('"')[2])
    ]


def check_build(pyproject: str, root: Path = ROOT) -> Findings:
    """Building and installing run no code of ours: a declarative backend, no hooks, no setup.py."""
    data = tomllib.loads(pyproject)
    findings = []
    if data.get("build-system", {}).get("build-backend") != "hatchling.build":
        findings.append("pyproject.toml: the build backend is not hatchling.build")
    if "hooks" in _keys(data.get("tool", {}).get("hatch", {})):
        findings.append("pyproject.toml: a hatch hook runs code while building: remove it")
    findings += [f"{name}: runs code while installing: remove it" for name in ("setup.py",) if (root / name).exists()]
    return findings


def _keys(tree: object) -> Iterator[str]:
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield key
            yield from _keys(value)


# -- what the lock files pin ------------------------------------------------------------------------------------------


def locked_entries(lock: str) -> Iterator[str]:
    """The logical lines of a lock file, continuation lines joined, comments and blanks left out."""
    text = re.sub(r"(?m)^\s*#.*$", "", lock).replace("\\\n", " ")
    yield from (line.strip() for line in text.splitlines() if line.strip())


def locked_versions(lock: str) -> dict[str, str]:
    """Package name (canonical) -> pinned version."""
    pins = (re.match(r"([\w.\-]+)(?:\[[^\]]*\])?==([^\s;]+)", entry) for entry in locked_entries(lock))
    return {canonicalize_name(pin[1]): pin[2] for pin in pins if pin}


def check_lock(name: str, lock: str) -> Findings:
    """Every line of a lock pins one version with its hashes, and no line says where packages come from."""
    findings = []
    for entry in locked_entries(lock):
        if not re.match(r"[\w.\-]+(\[[^\]]*\])?==[^\s*;]+(\s|$)", entry):
            findings.append(f"{name}: {entry[:60]!r} is not pinned with '==': run make lock")
        elif not re.search(r"--hash=sha256:[0-9a-f]{64}\b", entry):
            findings.append(f"{name}: {entry[:60]!r} has no hash: run make lock")
    if re.search(r"://|--(extra-)?index-url|--find-links", lock):
        findings.append(f"{name}: names a host or a path to install from: run make lock, which writes none")
    return findings


def check_lock_is_current(name: str, lock: str, requirements: Iterable[str]) -> Findings:
    """What pyproject.toml asks for is in the lock, at a version that it accepts. An extra that names another of ours
    (`penstock[gateway]`) asks for what that one asks for.
    """
    pins = locked_versions(lock)
    findings = []
    for requirement in map(Requirement, requirements):
        if requirement.name == OURS:
            continue
        pinned = pins.get(canonicalize_name(requirement.name))
        if pinned is None or not requirement.specifier.contains(pinned, prereleases=True):
            findings.append(f"{name}: has {pinned or 'nothing'} for {str(requirement)!r}: run make lock")
    return findings


def check_refused(versions: Mapping[str, str], rules: Rules, where: str) -> Findings:
    """No release that is known to be bad."""
    findings = []
    for rule in rules.refused:
        name, version = rule["package"], versions.get(canonicalize_name(rule["package"]))
        if version and any(SpecifierSet(bad).contains(version, prereleases=True) for bad in rule["versions"]):
            findings.append(f"{where}: {name} {version} is refused ({rule['why']}): pin another version")
    return findings


# -- what is installed ------------------------------------------------------------------------------------------------

Requires = Callable[[str], Sequence[str] | None]
"""Package name -> its requirements as written in its metadata; `importlib.metadata.requires`."""


def closure(package: str, requires: Requires = metadata.requires, python: str = "3.11") -> set[str]:
    """What `pip install PACKAGE` brings besides itself, read from installed metadata.

    Markers are read as on `python`; the oldest needs the most, so that is the default.
    """
    seen: set[tuple[str, frozenset[str]]] = set()
    waiting = [(package, frozenset[str]())]
    while waiting:
        name, extras = waiting.pop()
        for requirement in map(Requirement, requires(name) or ()):
            needed = (canonicalize_name(requirement.name), frozenset(requirement.extras))
            if needed not in seen and _applies(requirement, extras, python):
                seen.add(needed)
                waiting.append(needed)
    return {name for name, _ in seen}


def _applies(requirement: Requirement, extras: frozenset[str], python: str) -> bool:
    marker = requirement.marker
    environment = {"python_version": python, "python_full_version": f"{python}.0"}
    return marker is None or any(marker.evaluate({**environment, "extra": extra}) for extra in extras | {""})


def check_base(packages: set[str], rules: Rules) -> Findings:
    """A plain install stays small enough to be read."""
    if len(packages) <= rules.base_packages_at_most:
        return []
    return [
        f"a plain install brings {len(packages)} packages, at most {rules.base_packages_at_most} are allowed: "
        + ", ".join(sorted(packages))
    ]


def licence_terms(package: metadata.PackageMetadata, rules: Rules) -> str:
    """The licence as an SPDX expression: from License-Expression, else the License field, else the classifiers.

    Classifiers are joined by OR, as packages with several mean a choice. Unknown spellings come back as written.
    """
    fields = package.get_all("License-Expression") or package.get_all("License") or []
    classifiers = [line.rpartition(" :: ")[2] for line in package.get_all("Classifier") or [] if "License ::" in line]
    stated = [" ".join(field.split()) for field in fields if 0 < len(field) < 60]
    for candidates in (stated, classifiers):
        terms = [rules.licence_spellings.get(candidate.lower(), candidate) for candidate in candidates]
        if terms and any(_allowed(term, rules.licences) for term in terms):
            return " OR ".join(terms)
    return " OR ".join(stated or classifiers) or "none stated"


def check_licences(packages: Iterable[metadata.PackageMetadata], rules: Rules) -> Findings:
    """Every installed package may be used, changed and passed on."""
    findings = []
    for package in packages:
        terms = licence_terms(package, rules)
        if not any(_allowed(side, rules.licences) for side in terms.split(" OR ")):
            findings.append(
                f"{package['Name']}: licence {terms!r} is not in tools/audit.toml: review it, or do without"
            )
    return findings


def _allowed(expression: str, licences: frozenset[str]) -> bool:
    sides = re.split(r"\s+OR\s+", expression.strip("() "))
    return any(all(term.strip("() ") in licences for term in re.split(r"\s+AND\s+", side)) for side in sides)


# -- what we ship -----------------------------------------------------------------------------------------------------


def build_wheel(folder: Path, root: Path = ROOT) -> Path:
    """Build our wheel into `folder` with the locked backend, offline; its path."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=root, check=True, capture_output=True)
    return next(folder.glob("*.whl"))


def check_wheel(wheel: Path, rules: Rules) -> Findings:
    """The wheel is small, typed, holds our package alone, and nothing in it runs before somebody imports it."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    findings = [
        f"{wheel.name}: {name} would run code at start-up or install: remove it"
        for name in names
        if name.endswith(".pth") or ".data/" in name or Path(name).name in ("sitecustomize.py", "usercustomize.py")
    ]
    strangers = {name.split("/")[0] for name in names if not re.match(r"penstock(-[^/]+\.dist-info)?/", name)}
    findings += [f"{wheel.name}: {name} is not of our package: remove it" for name in sorted(strangers)]
    if "penstock/py.typed" not in names:
        findings.append(f"{wheel.name}: penstock/py.typed is missing, so users would lose our types")
    if (size := wheel.stat().st_size) > rules.wheel_bytes_at_most:
        findings.append(f"{wheel.name}: {size:,} bytes, at most {rules.wheel_bytes_at_most:,} are allowed")
    return findings


# -- what the world knows ---------------------------------------------------------------------------------------------


def read_pip_audit(report: str) -> tuple[Findings, str]:
    """The findings in a JSON report of pip-audit, and a line that says how much could be looked up."""
    try:
        packages = json.loads(report)["dependencies"]
    except (ValueError, KeyError):
        packages = []
    skipped = [package["name"] for package in packages if "skip_reason" in package]
    findings = [
        f"{package['name']} {package['version']}: {bug['id']}, mended in {', '.join(bug['fix_versions']) or 'none yet'}"
        for package in packages
        for bug in package.get("vulns", [])
    ]
    if len(skipped) == len(packages):
        return findings, "NOT looked up: no database of vulnerabilities answered here"
    said = f"{len(packages) - len(skipped)} packages looked up"
    return findings, f"{said}; NOT looked up: {', '.join(skipped)}" if skipped else said


def run_pip_audit(lock: Path) -> str:
    """pip-audit's JSON report on a lock file; empty when it could not be made."""
    command = [sys.executable, "-m", "pip_audit", "--require-hashes", "--disable-pip", "--progress-spinner=off"]
    try:
        done = subprocess.run(
            [*command, "--timeout=10", "--format=json", f"--requirement={lock}"],
            capture_output=True,
            text=True,
            timeout=120,
        )
    except subprocess.TimeoutExpired:
        return ""
    return done.stdout


# -- all together -----------------------------------------------------------------------------------------------------


def offline_checks(rules: Rules) -> Iterator[tuple[str, Findings]]:
    """Each offline check by name, with its findings."""
    pyproject = (ROOT / "pyproject.toml").read_text()
    locks = {name: (ROOT / name).read_text() for name in LOCKS}
    pins = {name: locked_versions(lock) for name, lock in locks.items()}
    base = closure("penstock")
    installed = [package.metadata for package in metadata.distributions()]
    locked = {package for versions in pins.values() for package in versions}
    yield "every requirement has a reason", check_reasons(pyproject)
    yield "no code runs at build or install", check_build(pyproject)
    yield "locks are pinned and hashed", [f for name, lock in locks.items() for f in check_lock(name, lock)]
    yield "locks are current", check_lock_is_current(LOCKS[1], locks[LOCKS[1]], declared_requirements(pyproject))
    yield "no refused release", [f for name, versions in pins.items() for f in check_refused(versions, rules, name)]
    yield f"a plain install brings {len(base)} packages", check_base(base, rules)
    yield (
        "licences are on the list",
        check_licences([package for package in installed if canonicalize_name(package["Name"]) in locked], rules),
    )
    with tempfile.TemporaryDirectory() as folder:
        wheel = build_wheel(Path(folder))
        yield f"the wheel ({wheel.stat().st_size:,} bytes) is clean", check_wheel(wheel, rules)


def main() -> int:
    """Run every check, print the outcome; 1 if there was a finding."""
    failed = False
    for name, findings in offline_checks(Rules.load()):
        failed = _print(name, findings) or failed
    findings, said = read_pip_audit(run_pip_audit(ROOT / LOCKS[1]))
    return int(_print(f"known vulnerabilities ({said})", findings) or failed)


def _print(name: str, findings: Findings) -> bool:
    print(f"{'FAILED' if findings else 'ok':<7}{name}")
    for finding in findings:
        print(f"       - {finding}")
    return bool(findings)


if __name__ == "__main__":
    sys.exit(main())
