"""What an environment is called, how it is installed, and what nobody may write into a list of packages."""

from __future__ import annotations

import pytest

from penstock.agents.environments.packages import AT, MARK, Packages, Registry, commands, union, variables
from penstock.agents.errors import Invalid
from penstock.agents.harnesses.registry import HARNESSES
from penstock.agents.installing import is_here

REGISTRIES = {
    "npm": Registry("https://npm.example.com/"),
    "pypi": Registry("https://python.example.com/simple", hosts=("files.example.com",)),
}


def test_the_name_comes_from_what_it_holds() -> None:
    one = Packages(npm=("a", "b"), pypi=("c",))
    assert one.name == Packages(npm=("b", "a", "a"), pypi=("c",)).name
    assert len({one.name, Packages(npm=("a", "b")).name, Packages(npm=("a", "b@1"), pypi=("c",)).name}) == 3
    assert Packages(npm=("a",)).name != Packages(pypi=("a",)).name


def test_the_ways_out_are_those_of_the_registry() -> None:
    assert REGISTRIES["npm"].rules == ("GET,HEAD https://npm.example.com/*",)
    assert REGISTRIES["pypi"].rules == ("GET,HEAD https://python.example.com/*", "GET,HEAD https://files.example.com/*")


def test_how_it_is_installed() -> None:
    *made, last = commands(Packages(npm=("@a/b@1.2.3",), pypi=("c==4",)), REGISTRIES)  # type: ignore[arg-type]
    assert [command[0] for command in made] == ["python3", f"{AT}/bin/pip", "npm"]
    assert made[1][-2:] == ["--", "c==4"] and made[2][-2:] == ["--", "@a/b@1.2.3"]
    assert last == ["touch", MARK]


@pytest.mark.parametrize(
    "name",
    [
        *(
            "--global",
            "-g",
            "../up",
            "/etc",
            "git+https://example.com/a",
            "https://example.com/a.tgz",
            "file:../a",
            "a b",
        ),
        *("a;b", "", "@/a", "a@git+ssh://b", "npm:a", "a@npm:b", "A@file:/x"),
    ],
)
def test_what_is_no_package_of_a_registry_is_refused(name: str) -> None:
    with pytest.raises(Invalid, match="is no package of npm"):
        Packages(npm=(name,))
    with pytest.raises(Invalid, match="is no package of pypi"):
        Packages(pypi=(name or "-",))


@pytest.mark.parametrize("name", ["aider-chat", "a[b,c]==1.0", "a>=1,<2", "a~=1.0", "A.b_c"])
def test_packages_of_pypi(name: str) -> None:
    assert Packages(pypi=(name,)).managers == ("pypi",)


@pytest.mark.parametrize("name", ["left-pad", "@scope/name", "@scope/name@1.2.3-beta.1", "a@^1.0", "a@latest"])
def test_packages_of_npm(name: str) -> None:
    assert Packages(npm=(name,)).managers == ("npm",)


def test_what_a_session_needs() -> None:
    own, harness = Packages(npm=("left-pad",), pypi=("attrs",)), HARNESSES["codex"].packages
    assert union((own, harness)) == Packages(npm=("left-pad", "@openai/codex"), pypi=("attrs",))
    assert not union((HARNESSES["loop"].packages, Packages()))


@pytest.mark.parametrize("name", sorted(HARNESSES))
def test_a_program_is_looked_for_by_its_own_name(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a machine with a shell and nothing else, all but ours have to be installed."""
    monkeypatch.setattr("shutil.which", lambda program, path: program if program.startswith("/bin/") else None)
    assert is_here(HARNESSES[name]) == (not HARNESSES[name].packages)


def test_an_environment_is_for_one_system() -> None:
    packages = Packages(npm=("greeter",))
    names = {packages.name_in(system) for system in ("", "sha256:one", "sha256:two")}
    assert len(names) == 3 and packages.name_in("") == packages.name
    assert variables("/opt/go/bin:/bin")["PATH"] == f"{AT}/bin:/opt/go/bin:/bin"
