"""`penstock secrets` as its user types it, with what is wrong: each says what to do, and nothing is stored or lost."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from penstock.cli.places import vault_directory
from penstock.vault.api import open_secrets
from tests.support.runs import Machine

VALUE = "ghp_fakeRunB7nM2vC9xZ4lK6jH1gF8dS3aP5oI"
OTHER = "ghp_fakeTwoQ2wE4rT6yU8iO0pA1sD3fG5hJ7kL"
PLACE = "GET https://api.example.com/* header:authorization"


@pytest.fixture
def here(tmp_path: Path) -> Machine:
    return Machine(tmp_path / "state")


def names(here: Machine) -> list[str]:
    """The secrets that are kept, read without a process: most tests ask."""
    with open_secrets(vault_directory(here.state)) as secrets:
        return [record.name for record in secrets.list()]


def refusal(done: subprocess.CompletedProcess[bytes]) -> str:
    """What a command says that refuses: one line, no traceback."""
    said = done.stderr.decode()
    assert done.returncode in (1, 2) and not done.stdout, said
    assert said.startswith("penstock secrets: ") and said.count("\n") == 1, said
    return said


VALUES = {
    "nothing": (b"", 'printf %s "$TOKEN" |'),
    "only a line feed": (b"\n", 'printf %s "$TOKEN" |'),
    "two lines": (f"{VALUE}\nsecond\n".encode(), "line feed"),
    "a zero byte": (VALUE.encode() + b"\0x", "control character"),
    "short": (b"abc", "Ask the service for a longer one"),
    "uniform": (b"a" * 40, "Ask the service for a longer one"),
}


@pytest.mark.parametrize(("value", "says"), VALUES.values(), ids=VALUES.keys())
def test_a_value_that_is_none(here: Machine, value: bytes, says: str) -> None:
    assert says in refusal(here.call("secrets", "set", "TOKEN", "--binding", PLACE, data=value))
    assert names(here) == []


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_a_line_break_at_the_end_is_not_of_the_value(here: Machine, end: str) -> None:
    here.secret("PLAIN", VALUE, PLACE)
    here.secret("TOKEN", VALUE + end, PLACE)
    shown = [here.call("secrets", "show", name).stdout.decode() for name in ("PLAIN", "TOKEN")]
    prints = [line for text in shown for line in text.splitlines() if line.startswith("fingerprint")]
    assert len(prints) == 2 and len(set(prints)) == 1


def test_no_standard_input_at_all(here: Machine) -> None:
    command = here.command("secrets", "set", "TOKEN", "--binding", PLACE)
    done = subprocess.run(["sh", "-c", 'exec "$@" <&-', "sh", *command], env=here.environment, capture_output=True)
    assert "standard input" in refusal(done)


def test_a_variable_is_where_the_stub_will_be_and_not_where_the_value_is_from(here: Machine) -> None:
    words = ("secrets", "set", "TOKEN", "--env", "GH_TOKEN", "--binding", PLACE)
    said = refusal(here.call(*words, GH_TOKEN=VALUE))
    assert 'printf %s "$GH_TOKEN" |' in said and "nothing is read from GH_TOKEN" in said


def test_a_source_that_is_not_here_is_kept_and_told(here: Machine, tmp_path: Path) -> None:
    for name, source, missing in (("A", "env:NOT_SET", "NOT_SET"), ("B", f"file:{tmp_path}/none", f"{tmp_path}/none")):
        done = here.call("secrets", "set", name, "--source", source, "--binding", PLACE)
        assert done.returncode == 0 and missing in done.stderr.decode()
    done = here.call("secrets", "set", "C", "--source", "env:TOKEN", "--binding", PLACE, TOKEN=VALUE)
    assert (done.returncode, done.stderr) == (0, b"")


NAMES = {
    "a space": ["a name"],
    "nothing": [""],
    "a variable that is none": ["TOKEN", "--env", "1-x"],
}


@pytest.mark.parametrize("words", NAMES.values(), ids=NAMES.keys())
def test_a_name_that_is_none(here: Machine, words: list[str]) -> None:
    assert "letters, digits" in refusal(here.call("secrets", "set", *words, "--binding", PLACE, data=VALUE.encode()))
    assert names(here) == []


BINDINGS = {
    "": "METHOD",
    "GET": "`GET https://api.example.com/v1/*`",
    "https://api.example.com/* header:authorization": "METHOD",
    "FETCH https://api.example.com/* header:authorization": "Did you mean",
    "GET api.example.com header:authorization": "https://api.example.com",
    "GET ftp://api.example.com/ header:authorization": "https, http, ssh",
    "GET https:///x header:authorization": "host",
    "GET https://*.com/* header:authorization": "a domain of one owner",
    "GET https://me:word@api.example.com/x header:authorization": "basic:password",
    "GET https://api.example.com:99999/* header:authorization": "1 to 65535",
    "GET https://api.example.com/%2e%2e/* header:authorization": "as clients send it",
    "GET https://api.example.com/?a=b header:authorization": "Leave out what follows",
    "GET https://api.example.com/*": "header:authorization",
    "GET https://api.example.com/* header": "header:authorization",
    "GET https://api.example.com/* header:host": "the header of the credential",
    "GET https://api.example.com/* basic:pass": "basic:password",
    "GET https://api.example.com/* query:": "query:key",
    "GET https://api.example.com/* json:token": "RFC 6901",
    "GET https://api.example.com/* cookies:x": "cookie:session",
    "GET https://api.example.com/* header:authorization header:x-key": "one place",
    "GET https://api.example.com/* ssh": "slot",
}


@pytest.mark.parametrize(("binding", "says"), BINDINGS.items())
def test_a_binding_with_a_wrong_part(here: Machine, binding: str, says: str) -> None:
    done = here.call("secrets", "set", "TOKEN", "--binding", PLACE, "--binding", binding, data=VALUE.encode())
    assert says in refusal(done)
    assert names(here) == []


OPTIONS = {
    "no binding": ([], "--binding 'GET"),
    "an unknown kind": (["--binding", PLACE, "--kind", "oauth"], "oauth-refresh"),
    "no kind like it": (["--binding", PLACE, "--kind", "zzz"], "The kinds are: static"),
    "an unknown kind with a source": (["--binding", PLACE, "--kind", "zzz", "--source", "env:X"], "The kinds are"),
    "an option of no kind": (["--binding", PLACE, "--option", "scope=x"], "leave it out"),
    "an option without a value": (["--binding", PLACE, "--option", "scope"], "NAME=VALUE"),
    "a source of no kind": (["--binding", PLACE, "--source", "keychain:x"], "env:GITHUB_TOKEN"),
    "a source that is none": (["--binding", PLACE, "--source", "file:here"], "file:/run/secrets"),
    "a network that is none": (["--binding", PLACE, "--address", "api.example.com=10.0.0"], "10.1.2.0/24"),
    "a network of nothing": (["--binding", PLACE, "--address", "10.0.0.0/8"], "HOST=CIDR"),
    "a network of a host that is not bound": (["--binding", PLACE, "--address", "db.example=10.0.0.0/8"], "db.example"),
    "an authority that is not there": (["--binding", PLACE, "--upstream-ca", "/none"], "No such file"),
    "an authority that is none": (["--binding", PLACE, "--upstream-ca", "/etc/hostname"], "certificate"),
}


@pytest.mark.parametrize(("words", "says"), OPTIONS.values(), ids=OPTIONS.keys())
def test_an_option_that_is_wrong(here: Machine, words: list[str], says: str) -> None:
    assert says in refusal(here.call("secrets", "set", "TOKEN", *words, data=VALUE.encode()))
    assert names(here) == []


def test_a_second_set_replaces_and_one_that_is_refused_loses_nothing(here: Machine) -> None:
    here.secret("TOKEN", VALUE, PLACE, env="FIRST")
    before = here.call("secrets", "show", "TOKEN").stdout
    refusal(here.call("secrets", "set", "TOKEN", "--binding", PLACE, data=b"x"))
    refusal(here.call("secrets", "set", "TOKEN", "--binding", "GET", data=VALUE.encode()))
    refusal(here.call("secrets", "rotate", "TOKEN", data=b""))
    refusal(here.call("secrets", "rotate", "TOKEN", data=b"short"))
    assert here.call("secrets", "show", "TOKEN").stdout == before
    here.secret("TOKEN", OTHER, PLACE.replace("api", "two"), env="SECOND")
    after = here.call("secrets", "show", "TOKEN").stdout.decode()
    assert "version      2\n" in after and "two.example.com" in after and "SECOND" in after
    assert "api.example.com" not in after and "FIRST" not in after


@pytest.mark.parametrize("action", ["show", "rotate", "revoke", "delete"])
def test_a_secret_that_is_not_there(here: Machine, action: str) -> None:
    here.secret("TOKEN", VALUE, PLACE)
    assert "Did you mean TOKEN?" in refusal(here.call("secrets", action, "TOKNE", data=VALUE.encode()))
    assert names(here) == ["TOKEN"]


def test_what_sessions_keep_for_themselves_is_not_listed(here: Machine) -> None:
    assert here.call("secrets", "list").stdout == b"No secrets are kept.\n"
    here.secret("TOKEN", VALUE, PLACE)
    with open_secrets(vault_directory(here.state)) as secrets:
        secrets.set("session-gateway-key", OTHER.encode(), bindings=[PLACE], owner="session/ses_1")
    listed = here.call("secrets", "list").stdout.decode()
    assert [line.split()[0] for line in listed.splitlines()] == ["NAME", "TOKEN"]
    assert "no secret" in refusal(here.call("secrets", "show", "session-gateway-key"))


def test_words_that_are_missing(here: Machine) -> None:
    for words in (("secrets",), ("secrets", "set"), ("secrets", "forget")):
        done = here.call(*words)
        assert done.returncode == 2 and b"usage: penstock secrets" in done.stderr


def test_no_value_is_ever_said(here: Machine) -> None:
    here.secret("TOKEN", VALUE, PLACE, env="TOKEN")
    said = b"".join(
        done.stdout + done.stderr
        for done in (
            here.call("secrets", "list"),
            here.call("secrets", "show", "TOKEN"),
            here.call("secrets", "set", "TOKEN", "--binding", "GET", data=VALUE.encode()),
            here.call("secrets", "revoke", "TOKEN"),
            here.call("secrets", "rotate", "TOKEN", data=OTHER.encode()),
        )
    )
    assert VALUE.encode() not in said and OTHER.encode() not in said
    assert not [path for path in here.state.rglob("*") if path.is_file() and VALUE.encode() in path.read_bytes()]
    assert list(here.state.iterdir())
