"""What the vault's process does before anything else."""

import getpass

import pytest

from penstock.vault.__main__ import name_user


@pytest.mark.parametrize("error", [KeyError("uid not found"), OSError("no username")])
def test_a_user_without_a_name_gets_one(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """Containers run as numbers that no file names; asyncssh does not connect then."""

    def unknown() -> str:
        raise error

    monkeypatch.setattr(getpass, "getuser", unknown)
    environment: dict[str, str] = {}
    name_user(environment)
    assert environment == {"LOGNAME": "penstock"}


def test_a_user_with_a_name_keeps_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(getpass, "getuser", lambda: "somebody")
    environment = {"LOGNAME": "somebody"}
    name_user(environment)
    assert environment == {"LOGNAME": "somebody"}
