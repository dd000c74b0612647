"""Git's configuration of a session, read by git itself: which stub it says where, to the letter."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from penstock.vault.credentials.static import Static
from penstock.vault.git_config import git_config
from penstock.vault.held import Held
from penstock.vault.records import SecretRecord
from penstock.vault.values import Secret

HOST = "git.example.com"


def held(name: str, *bindings: str) -> Held:
    record = SecretRecord(name=name, version=1, env=name, bindings=bindings)
    return Held(record, Static(Secret(name, b"fake-secret-value")), b"", {})


def asked(folder: Path, secrets: list[Held], path: str, **stubs: str) -> dict[str, str]:
    """What git finds for a remote; nothing where it would ask its user."""
    config = folder / "config"
    config.write_text(git_config(secrets))
    environment = {
        "PATH": os.environ["PATH"], "GIT_CONFIG_GLOBAL": str(config), "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0", "HOME": str(folder), **stubs,
    }  # fmt: skip
    question = f"protocol=https\nhost={HOST}\npath={path}\n\n"
    done = subprocess.run(
        ["git", "credential", "fill"], input=question, capture_output=True, text=True, env=environment
    )
    return dict(line.split("=", 1) for line in done.stdout.splitlines())


@pytest.mark.parametrize("stub", ["ghp_plain0123", "a\\tb\\c\\\\ *  d", "\"e\" $HOME `id` 'f' %s", "-n x"])
@pytest.mark.parametrize("half", ["user", "password"])
def test_a_stub_is_said_to_the_letter(tmp_path: Path, stub: str, half: str) -> None:
    secrets = [held("TOKEN", f"* https://{HOST}/* basic:{half}")]
    said = asked(tmp_path, secrets, "team/app.git", TOKEN=stub)
    assert said[{"user": "username", "password": "password"}[half]] == stub
    assert len(said) == 4


def test_of_two_secrets_at_one_host_each_has_its_repositories(tmp_path: Path) -> None:
    secrets = [
        held("ONE", f"* https://{HOST}/team/one.git/* basic:password"),
        held("TWO", f"GET https://{HOST}/team/two.git/info/refs basic:password",
             f"POST https://{HOST}/team/two.git/git-upload-pack basic:password"),
        held("THREE", f"* https://{HOST}/others/* basic:password"),
    ]  # fmt: skip
    for path, stub in (("team/one.git", "stub-1"), ("team/two.git", "stub-2"), ("others/any.git", "stub-3")):
        assert asked(tmp_path, secrets, path, ONE="stub-1", TWO="stub-2", THREE="stub-3")["password"] == stub
    assert "password" not in asked(tmp_path, secrets, "nobody/s.git", ONE="stub-1", TWO="stub-2", THREE="stub-3")


def test_one_secret_logs_in_at_its_host_whatever_its_paths_are(tmp_path: Path) -> None:
    secrets = [held("ONE", f"GET https://{HOST}/a/info/refs basic:password", f"* https://{HOST}/b/* basic:password")]
    for path in ("a", "b", "c"):
        assert asked(tmp_path, secrets, path, ONE="stub-1")["password"] == "stub-1"


def test_hosts_that_are_not_known_and_other_slots_have_no_helper() -> None:
    bindings = (f"* https://{HOST}/* header:authorization", "* https://*.example.com/* basic:password")
    assert not git_config([held("ONE", *bindings)])
