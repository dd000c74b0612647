"""`penstock run command` as its user sees it: the program's own output and status, its signals, its folder; and nothing
left behind, whoever dies.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.recording_upstream import RecordingUpstream, recording_upstream
from tests.support.runs import Machine, machine, processes_with
from tests.support.sandboxes import need_sandboxes
from tests.support.waiting import until

TOKEN = "ghp_fakeRunB7nM2vC9xZ4lK6jH1gF8dS3aP5oI"


@pytest.fixture(scope="module")
def here() -> Iterator[Machine]:
    """One state folder for all; every test ends with nothing left of its runs."""
    need_sandboxes()
    with machine() as made:
        yield made


@pytest.fixture(autouse=True)
def nothing_left(here: Machine) -> Iterator[None]:
    yield
    until(lambda: not here.remains())


def inside(word: str) -> list[int]:
    """The processes on this machine, in whatever sandbox, that have a word among their arguments."""
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and word.encode() in (entry / "cmdline").read_bytes().split(b"\0"):
                found.append(int(entry.name))
    return found


# -- output, input, status --------------------------------------------------------------------------------------------


def test_streams_are_the_programs_own(here: Machine) -> None:
    data = bytes(range(256)) * 999
    done = here.run("--", "sh", "-c", "cat; echo to standard error >&2; exit 7", data=data)
    assert (done.returncode, done.stdout, done.stderr) == (7, data, b"to standard error\n")


STATUS = {
    "a signal": (["sh", "-c", "kill -KILL $$"], 137),
    "no such program": (["no-such-program"], 127),
    "no such path": (["/no/such/program"], 127),
    "not executable": (["/etc/passwd"], 126),
}


@pytest.mark.parametrize(("program", "status"), STATUS.values(), ids=STATUS.keys())
def test_status(here: Machine, program: list[str], status: int) -> None:
    done = here.run("--", *program)
    assert (done.returncode, done.stdout) == (status, b"")
    assert (status < 128) == bool(done.stderr)


def test_much_output_comes_whole_and_as_it_is_made(here: Machine) -> None:
    running = here.start("--", "sh", "-c", "echo first; read line; head -c 50000000 /dev/zero; echo $line")
    assert running.stdout is not None and running.stdin is not None
    assert running.stdout.readline() == b"first\n"  # before the program has ended
    running.stdin.write(b"last\n")
    running.stdin.flush()
    output, _ = running.communicate()
    assert (len(output), output[-6:], running.returncode) == (50_000_005, b"\0last\n", 0)


def test_a_reader_that_leaves_ends_the_program_as_it_would_without_us(here: Machine) -> None:
    running = here.start("--", "yes")
    assert running.stdout is not None
    assert running.stdout.readline() == b"y\n"
    running.stdout.close()
    assert running.wait(30) == 128 + signal.SIGPIPE
    running.communicate()


def test_output_that_cannot_be_written_is_an_error(here: Machine) -> None:
    with Path("/dev/full").open("wb") as full:
        command = here.command("run", "command", "--", "sh", "-c", "echo said; sleep 0.2; echo again")
        done = subprocess.run(command, env=here.environment, stdout=full, stderr=subprocess.PIPE)
    assert done.returncode != 0
    assert b"No space left" in done.stderr


def test_a_run_ends_with_its_program_whatever_that_left_running(here: Machine) -> None:
    done = here.run("--", "sh", "-c", "sleep 7654321 & echo over")
    assert (done.returncode, done.stdout) == (0, b"over\n")
    assert inside("7654321") == []


def test_two_runs_at_the_same_time(here: Machine) -> None:
    waiting = here.start("--", "sh", "-c", "echo ready; read line")
    assert waiting.stdout is not None
    assert waiting.stdout.readline() == b"ready\n"
    assert here.run("--", "echo", "second").stdout == b"second\n"
    waiting.communicate(b"\n")
    assert waiting.returncode == 0


# -- a terminal -------------------------------------------------------------------------------------------------------


def size(fd: int, rows: int, columns: int) -> None:
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def read_until(fd: int, wanted: bytes) -> bytes:
    """What a terminal shows, up to and with some bytes."""
    found = b""
    while wanted not in found:
        ready, _, _ = select.select([fd], [], [], 30)
        assert ready, found
        found += os.read(fd, 4096)
    return found


def test_a_terminal_with_its_size_and_its_keys(here: Machine) -> None:
    outer, inner = pty.openpty()
    size(inner, 33, 101)
    traps = "trap 'echo resized; stty size' WINCH; trap 'echo interrupted; exit 9' INT"
    script = f"stty size; {traps}; echo ready; while :; do read -t 0.05 line; done"
    command = here.command("run", "command", "--", "bash", "-c", script)
    environment = here.environment | {"TERM": "vt100"}
    running = subprocess.Popen(
        command, env=environment, stdin=inner, stdout=inner, stderr=inner, start_new_session=True
    )
    before = termios.tcgetattr(inner)
    try:
        assert b"33 101" in read_until(outer, b"ready")
        size(inner, 44, 77)
        running.send_signal(signal.SIGWINCH)
        read_until(outer, b"44 77")
        os.write(outer, b"\x03")
        read_until(outer, b"interrupted")
        assert running.wait(30) == 9
        assert termios.tcgetattr(inner)[:4] == before[:4]
    finally:
        running.kill()
        os.close(outer)
        os.close(inner)


# -- signals ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1])
def test_a_signal_is_the_programs(here: Machine, number: signal.Signals) -> None:
    name = number.name.removeprefix("SIG")
    running = here.start(
        "--", "bash", "-c", f"trap 'echo got {name}; exit 5' {name}; echo ready; while :; do read -t 0.05 line; done"
    )
    assert running.stdout is not None
    assert running.stdout.readline() == b"ready\n"
    running.send_signal(number)
    assert running.communicate() == (f"got {name}\n".encode(), b"")
    assert running.returncode == 5


def test_a_signal_before_the_program_begins_ends_the_run(here: Machine) -> None:
    running = here.start("--", "echo", "never")
    until(lambda: list((here.state / "runs").glob("run-*")))
    running.send_signal(signal.SIGTERM)
    output, _ = running.communicate()
    assert running.returncode in (128 + signal.SIGTERM, 0)
    assert (running.returncode == 0) == (output == b"never\n")


def test_a_killed_run_is_ended_by_the_next_and_its_copy_is_kept(here: Machine, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("before")
    script = "echo work > file; echo ready; sleep 6543210"
    running = here.start("--workspace", str(tmp_path), "--", "sh", "-c", script)
    assert running.stdout is not None
    assert running.stdout.readline() == b"ready\n"
    running.kill()
    running.communicate()
    assert len(inside("6543210")) > 0
    done = here.run("--", "echo", "next")
    assert (done.returncode, done.stdout, inside("6543210")) == (0, b"next\n", [])
    copy = Path(done.stderr.decode().split(" is in ")[1].split(": ")[0])
    assert ((copy / "file").read_text(), (tmp_path / "file").read_text()) == ("work\n", "before")
    assert here.run("--", "true").stderr == b"", "said once"
    subprocess.run(["rm", "-rf", str(copy.parents[2])], check=True)


# -- the vault --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RecordingUpstream]:
    folder = tmp_path_factory.mktemp("upstream")
    with recording_upstream(folder, "api.example.test", "127.0.0.1") as running:
        (folder / "ca.pem").write_text(running.ca_pem)
        running.problems = [str(folder / "ca.pem")]
        yield running


def test_a_secret_a_rule_a_pin_and_an_authority(here: Machine, upstream: RecordingUpstream) -> None:
    ca = upstream.problems[0]
    here.secret("TOKEN", TOKEN, "GET https://api.example.test/* header:authorization", env="TOKEN", upstream_ca=ca)
    script = f"""curl -sS -H "Authorization: Bearer $TOKEN" https://api.example.test/bound
curl -sS https://127.0.0.1:{upstream.port}/open; curl -sS https://127.0.0.1:{upstream.port}/closed"""
    options = ["--pin", f"api.example.test=127.0.0.1:{upstream.port}", "--upstream-ca", ca]
    rule = f"GET https://127.0.0.1:{upstream.port}/open"
    done = here.run("--secret", "TOKEN", *options, "--allow", rule, "--env", "PLAIN=1", "--", "sh", "-c", script)
    assert done.returncode == 0, done.stderr
    assert [(each.target, each.header("authorization")) for each in upstream.asked] == [
        ("/bound", [f"Bearer {TOKEN}"]),
        ("/open", []),
    ]
    assert TOKEN.encode() not in done.stdout + done.stderr
    assert b"/closed" in done.stderr and b"--allow" in done.stderr, "the refusal says what would allow it"


def test_when_the_vault_dies_nothing_gets_out_and_the_program_goes_on(
    here: Machine, upstream: RecordingUpstream
) -> None:
    url = f"https://127.0.0.1:{upstream.port}/open"
    script = f"echo ready; read line; curl -sS -m 5 {url}; curl -sS -m 5 --noproxy '*' {url}; echo $?; exit 4"
    running = here.start("--allow", f"GET {url}", "--upstream-ca", upstream.problems[0], "--", "sh", "-c", script)
    assert running.stdout is not None
    assert running.stdout.readline() == b"ready\n"
    before = len(upstream.asked)
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            line = (entry / "cmdline").read_bytes()
            if entry.name.isdigit() and b"penstock.vault" in line and str(here.state).encode() in line:
                os.kill(int(entry.name), signal.SIGKILL)
    until(lambda: not [line for line in processes_with(here.state) if "penstock.vault" in line])
    output, error = running.communicate(b"\n")
    assert (running.returncode, output) == (4, b"7\n")
    assert b"the vault has ended" in error
    assert len(upstream.asked) == before


def test_a_secret_that_is_none_and_a_rule_that_is_none(here: Machine) -> None:
    here.secret("TOKEN", TOKEN, "GET https://api.example.test/* header:authorization")
    for words, says in ((["--secret", "TOKNE"], b"Did you mean TOKEN?"), (["--allow", "api.example.com"], b"METHOD")):
        done = here.run(*words, "--", "echo", "ran")
        assert (done.returncode, done.stdout) == (1, b"")
        assert says in done.stderr and b"Traceback" not in done.stderr, done.stderr


def test_a_secret_that_was_revoked(here: Machine) -> None:
    here.secret("GONE", TOKEN, "GET https://gone.example.test/* header:authorization")
    assert here.call("secrets", "revoke", "GONE").returncode == 0
    done = here.run("--secret", "GONE", "--", "echo", "ran")
    assert (done.returncode, done.stdout) == (1, b"")
    assert b"revoked" in done.stderr


# -- a folder ---------------------------------------------------------------------------------------------------------


def test_work_on_a_folder_comes_back_from_a_program_that_fails(here: Machine, tmp_path: Path) -> None:
    folder = tmp_path / "project"
    (folder / "sub").mkdir(parents=True)
    (folder / "kept").write_text("kept")
    (folder / "gone").write_text("gone")
    before = (folder / "kept").stat().st_mtime_ns
    hostile = "mkdir -p .git/hooks; echo evil > .git/hooks/pre-commit; ln -s /etc out"
    script = f"pwd; rm gone; echo new > sub/new; {hostile}; exit 3"
    done = here.run("--workspace", str(folder), "--", "sh", "-c", script)
    assert (done.returncode, done.stdout) == (3, b"/workspace\n")
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir())
    assert names == ["kept", "sub/new"]
    assert (folder / "kept").stat().st_mtime_ns == before
    assert b".git/hooks" in done.stderr and b"out" in done.stderr


def test_a_file_that_its_user_changed_meanwhile_stays_and_the_copy_is_kept(here: Machine, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("before")
    running = here.start("--workspace", str(tmp_path), "--", "sh", "-c", "echo ready; read line; echo theirs > file")
    assert running.stdout is not None
    assert running.stdout.readline() == b"ready\n"
    (tmp_path / "file").write_text("the user's own")
    _, error = running.communicate(b"\n")
    copy = Path(error.decode().split(" is in ")[1].split(": ")[0])
    assert ((tmp_path / "file").read_text(), (copy / "file").read_text()) == ("the user's own", "theirs\n")
    subprocess.run(["rm", "-rf", str(copy.parents[2])], check=True)


def test_root_may_keep_the_state_where_only_root_can_go(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        return  # others have no such folder: what they can enter, their sandboxes can
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    with contextlib.closing(_Removed(Machine(closed / "state"))) as made:
        done = made.machine.run("--", "id", "-u")
        assert (done.returncode, done.stdout) == (0, b"1000\n"), done.stderr


class _Removed:
    """A machine whose sandboxes are elsewhere."""

    def __init__(self, made: Machine) -> None:
        self.machine = made

    def close(self) -> None:
        from penstock.cli.places import runs_directory

        place: Callable[[Path], Path] = runs_directory
        subprocess.run(["rm", "-rf", str(place(self.machine.state).parent)], check=True)
