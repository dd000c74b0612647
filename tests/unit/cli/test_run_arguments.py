"""What `penstock run` and `penstock secrets` say of arguments that are wrong, before anything is begun."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from penstock.cli import main
from penstock.cli.places import runs_directory, sandbox_directory, state_directory
from tests.support.fresh import watched

RUN = {
    "no program": ([], "name a program"),
    "a variable without a value": (["--env", "NAME", "--", "true"], "NAME=VALUE"),
    "a folder that is not there": (["--workspace", "/no/such/folder", "--", "true"], "no such folder"),
    "a pin to nothing": (["--pin", "a.example.com", "--", "true"], "HOST=ADDRESS"),
    "a pin to a name": (["--pin", "a.example.com=b.example.com", "--", "true"], "HOST=ADDRESS"),
    "a pin to no port": (["--pin", "a.example.com=10.0.0.1:99999", "--", "true"], "HOST=ADDRESS"),
    "a network of no host": (["--address", "10.0.0.0/8", "--", "true"], "HOST=CIDR"),
    "an authority that is none": (["--upstream-ca", "/etc/passwd", "--", "true"], "no certificate"),
    "an authority that is not there": (["--upstream-ca", "/no/such/file", "--", "true"], "No such file"),
}


@pytest.mark.parametrize(("words", "says"), RUN.values(), ids=RUN.keys())
def test_run(words: list[str], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "command", "--state-dir", str(tmp_path / "state"), *words]) == 1
    assert says in capsys.readouterr().err
    assert not (tmp_path / "state").exists()


GOOD = "ghp_fakeRunB7nM2vC9xZ4lK6jH1gF8dS3aP5oI"
BINDING = ["--binding", "GET https://api.example.com/* header:authorization"]
SECRETS = {
    "no value": ("", ["set", "ONE", *BINDING], "no value of ONE"),
    "only a line break": ("\n", ["set", "ONE", *BINDING], "no value of ONE"),
    "short": ("abc", ["set", "ONE", *BINDING], "Ask the service for a longer one"),
    "no binding": (GOOD, ["set", "ONE"], "--binding"),
    "a bad binding": (GOOD, ["set", "ONE", "--binding", "GET api.example.com header:x"], "scheme://host"),
    "a bad name": (GOOD, ["set", "a b", *BINDING], "name"),
    "a bad variable": (GOOD, ["set", "ONE", "--env", "1X", *BINDING], "variable"),
    "a variable that steers programs": (GOOD, ["set", "ONE", "--env", "PATH", *BINDING], "PATH"),
    "two lines": (f"{GOOD}\n{GOOD}\n", ["set", "ONE", *BINDING], "line feed"),
    "no certificate": (GOOD, ["set", "ONE", "--upstream-ca", "/etc/passwd", *BINDING], "no certificate"),
    "no network": (GOOD, ["set", "ONE", "--address", "api.example.com=300.1.2.3", *BINDING], "network"),
    "no kind": (GOOD, ["set", "ONE", "--kind", "nosuch", *BINDING], "static"),
    "no source": ("", ["set", "ONE", "--source", "bogus", *BINDING], "env:"),
    "rotate what is not there": (GOOD, ["rotate", "KEPD"], "Did you mean KEPT?"),
    "rotate to nothing": ("", ["rotate", "KEPT"], "no value of KEPT"),
    "show what is not there": ("", ["show", "OTHER"], "secrets list"),
    "revoke what is not there": ("", ["revoke", "OTHER"], "secrets list"),
    "delete what is not there": ("", ["delete", "OTHER"], "secrets list"),
}


class Input(io.TextIOWrapper):
    """Standard input that is a pipe with these bytes."""

    def __init__(self, text: str) -> None:
        super().__init__(io.BytesIO(text.encode()))


@pytest.mark.parametrize(("value", "words", "says"), SECRETS.values(), ids=SECRETS.keys())
def test_secrets(
    value: str,
    words: list[str],
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("PENSTOCK_STATE_DIR", str(tmp_path))
    monkeypatch.setattr(sys, "stdin", Input(GOOD))
    assert main(["secrets", "set", "KEPT", *BINDING]) == 0
    capsys.readouterr()
    monkeypatch.setattr(sys, "stdin", Input(value))
    assert main(["secrets", *words]) == 1
    assert says in capsys.readouterr().err
    assert main(["secrets", "list"]) == 0
    listed = capsys.readouterr().out
    assert "KEPT" in listed and "ONE" not in listed.replace("NONE", "")
    assert main(["secrets", "show", "KEPT"]) == 0
    assert "version      1" in capsys.readouterr().out


def test_a_value_never_comes_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PENSTOCK_STATE_DIR", str(tmp_path))
    for words in (["set", "ONE", "--env", "TOKEN", *BINDING, *BINDING], ["rotate", "ONE"], ["show", "ONE"], ["list"],
                  ["revoke", "ONE"], ["delete", "ONE"]):  # fmt: skip
        monkeypatch.setattr(sys, "stdin", Input(f"{GOOD}\n"))
        assert main(["secrets", *words]) == 0
    said = capsys.readouterr()
    assert GOOD not in said.out + said.err


def test_what_takes_time_to_import_is_left_to_who_needs_it() -> None:
    report = watched("import penstock.cli.run")
    needless = {"cryptography", "sqlalchemy", "pydantic", "fastapi", "httpx", "asyncssh"}
    assert not needless & report.modules


def test_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert state_directory(None, {"PENSTOCK_STATE_DIR": "/s", "XDG_STATE_HOME": "/x"}) == Path("/s")
    assert state_directory(None, {"XDG_STATE_HOME": "/x"}) == Path("/x/penstock")
    assert state_directory(tmp_path, {"PENSTOCK_STATE_DIR": "/s"}) == tmp_path
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert (runs_directory(tmp_path), sandbox_directory(tmp_path)) == (tmp_path / "runs", tmp_path / "sandboxes")
    monkeypatch.setattr("os.geteuid", lambda: 0)
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    one, other = runs_directory(closed / "one"), runs_directory(closed / "other")
    assert one != other and one.is_relative_to("/var/lib/penstock")
