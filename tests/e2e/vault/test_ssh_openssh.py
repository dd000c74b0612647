"""OpenSSH's client, through the vault, to OpenSSH's server: what works, what is refused, and that no key is ever seen.

Each test ends with the canary: the real key is nowhere on the client's side, in its files, in the audit or in a log.
"""

import asyncio
import fcntl
import logging
import os
import pty
import select
import socket
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncssh
import pytest
import uvloop

from penstock.vault.ssh import HostKeys, Limits, LineGate, Login, covers
from penstock.vault.ssh.identity import SSHIdentity
from tests.support.ssh import HOST, Client, Fixed, Loop, Replace, Rules, Sshd, VaultEnd, spellings


class World:
    """A server, the vault in front of it, a client; and all that the client has seen."""

    def __init__(self, folder: Path, loop: Loop, sshd: Sshd, *permitted: tuple[str, str], **more: Any) -> None:
        self.sshd = sshd
        self.seen = b""
        self.rules = Rules(sshd.login(), *[(sshd.user, kind, pattern) for kind, pattern in permitted])
        self.vault = VaultEnd(loop, self.rules, sshd.port, **more)
        home = folder / "home"
        home.mkdir()
        self.client = Client(home, self.vault)
        self.target = f"{sshd.user}@{HOST}"

    def ssh(self, *arguments: str, data: bytes = b"", **more: Any) -> subprocess.CompletedProcess[bytes]:
        return self.run("ssh", *arguments, data=data, **more)

    def run(self, program: str, *arguments: str, data: bytes = b"", **more: Any) -> subprocess.CompletedProcess[bytes]:
        done = self.client.run(program, *arguments, data=data, **more)
        self.seen += done.stdout + done.stderr
        return done


@pytest.fixture
def loop(request: pytest.FixtureRequest) -> Iterator[Loop]:
    running = Loop(getattr(request, "param", asyncio.new_event_loop)())
    yield running
    running.close()


@pytest.fixture
def sshd(tmp_path: Path) -> Iterator[Sshd]:
    server = Sshd(tmp_path / "sshd")
    yield server
    server.close()


@pytest.fixture
def world(tmp_path: Path, loop: Loop, sshd: Sshd, caplog: pytest.LogCaptureFixture) -> Iterator[Any]:
    worlds: list[World] = []
    caplog.set_level(logging.DEBUG)

    def make(*permitted: tuple[str, str], **more: Any) -> World:
        worlds.append(World(tmp_path, loop, sshd, *permitted, **more))
        return worlds[-1]

    yield make
    for one in worlds:
        one.vault.close()
        places = {
            "output": one.seen,
            "files": one.client.files(),
            "audit": repr(one.vault.rows).encode(),
            "log": caplog.text.encode(),
        }
        for place, text in places.items():
            for spelling in spellings(sshd.private):
                assert spelling not in text, f"the key is in the {place}"


def test_a_command_runs_with_its_output_error_output_input_and_status(world: Any) -> None:
    here = world(("exec", "*"))
    done = here.ssh(here.target, "cat; echo oops >&2; exit 7", data=b"through\0binary\xff" * 10_000)
    assert (done.returncode, done.stdout) == (7, b"through\0binary\xff" * 10_000)
    assert b"oops" in done.stderr
    assert [row["event"] for row in here.vault.rows] == ["ssh.login", "ssh.permitted", "ssh.connected"]
    assert here.vault.rows[1]["rule"] == "exec *"


def test_a_proxy_hands_over_a_transport_of_which_it_has_read(world: Any) -> None:
    here = world(("exec", "*"), transport=True)
    assert here.ssh(here.target, "echo fine").stdout == b"fine\n"


@pytest.mark.parametrize("loop", [uvloop.new_event_loop], ids=["uvloop"], indirect=True)
@pytest.mark.parametrize("transport", [False, True], ids=["socket", "transport"])
def test_on_uvloop_it_is_the_same(world: Any, transport: bool) -> None:
    here = world(("exec", "*"), ("subsystem:sftp", "*"), transport=transport)
    data = os.urandom(1 << 20) * 8
    assert here.ssh(here.target, "cat", data=data).stdout == data
    command = here.client.command("ssh", here.target, "echo up; exec yes")
    client = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=here.client.environment)
    assert client.stdout is not None and client.stdout.read(3) == b"up\n"
    here.vault.loop.call(here.vault.terminators[1].close)
    client.communicate(timeout=20)
    assert client.returncode == 255


def test_a_unix_socket_serves_as_well(world: Any, tmp_path: Path) -> None:
    here = world(("exec", "*"), path=tmp_path / "vault.sock")
    relay = "import socket,sys,threading,os;s=socket.socket(socket.AF_UNIX);s.connect(sys.argv[1])\n"
    relay += "def up():\n while d:=os.read(0,65536): s.sendall(d)\n s.shutdown(1)\n"
    relay += "threading.Thread(target=up,daemon=True).start()\nwhile d:=s.recv(65536): os.write(1,d)\n"
    (tmp_path / "relay.py").write_text(relay)
    proxy = f"ProxyCommand={sys.executable} {tmp_path}/relay.py {tmp_path}/vault.sock"
    done = here.ssh("-o", proxy, here.target, "echo fine")
    assert done.stdout == b"fine\n", done.stderr


def test_the_upstreams_banner_is_passed_on(world: Any) -> None:
    here = world(("exec", "*"))
    assert b"Authorized people only" in here.ssh(here.target, "true").stderr


def test_a_signal_that_ended_the_program_is_told(world: Any) -> None:
    here = world(("exec", "*"))
    assert here.ssh(here.target, "kill -TERM $$").returncode == 255


def test_much_output_and_much_input_arrive_whole(world: Any) -> None:
    here = world(("exec", "*"))
    done = here.ssh(here.target, "head -c 30000000 /dev/zero")
    assert (done.returncode, len(done.stdout)) == (0, 30_000_000)
    done = here.ssh(here.target, "wc -c", data=b"x" * 20_000_000)
    assert done.stdout.split() == [b"20000000"]


def test_both_directions_at_once_do_not_block_each_other(world: Any) -> None:
    here = world(("exec", "*"))
    data = os.urandom(1 << 20) * 12
    assert here.ssh(here.target, "cat", data=data).stdout == data


def test_an_early_end_of_the_reader_ends_the_program(world: Any, tmp_path: Path) -> None:
    here = world(("exec", "*"))
    command = here.client.command("ssh", here.target, f"echo $$ > {tmp_path}/pid; exec yes")
    client = subprocess.Popen(command, stdout=subprocess.PIPE, env=here.client.environment)
    assert client.stdout is not None
    client.stdout.read(100)
    client.kill()
    client.wait()
    client.stdout.close()
    process = int((tmp_path / "pid").read_text())
    wait_until(lambda: not Path(f"/proc/{process}").exists())


@pytest.mark.parametrize(
    "command",
    [
        "show version; id",
        "show version && id",
        "show version | id",
        "show $(id)",
        "show `id`",
        "show version\nid",
        "show version > /tmp/x",
        "show version & id",
        "show 'x",
        "show {a,b}",
        "show \\; id",
        "showversion",
        "show",
        " show version",
        "id",
        "show \u00a0version",
    ],
)
def test_a_pattern_is_not_got_around(world: Any, command: str) -> None:
    here = world(("exec", "show *"))
    done = here.ssh(here.target, command)
    assert done.returncode == 126
    assert done.stdout == b""
    assert b"penstock vault: No rule permits exec" in done.stderr
    assert here.vault.dialled == 0
    assert here.vault.codes() == ["no_rule"]


def test_an_unknown_user_does_not_come_in_and_is_told_why(world: Any) -> None:
    here = world(("exec", "*"))
    done = here.ssh(f"nobody-else@{HOST}", "true")
    assert done.returncode == 255
    assert b"No rule names the user" in done.stderr
    assert here.vault.dialled == 0


def test_a_client_that_trusts_another_session_refuses_this_one(world: Any) -> None:
    here = world(("exec", "*"))
    (here.client.home / "known_hosts").write_text(SSHIdentity("other", time.time(), [(HOST, 22)]).known_hosts())
    done = here.ssh(here.target, "true")
    assert done.returncode == 255
    assert b"Host key verification failed" in done.stderr or b"IDENTIFICATION HAS CHANGED" in done.stderr


@pytest.mark.parametrize("line", ["authority", "plain"])
def test_each_line_of_known_hosts_suffices(world: Any, line: str) -> None:
    here = world(("exec", "*"))
    authority, plain = here.vault.identity.known_hosts().splitlines()
    (here.client.home / "known_hosts").write_text((authority if line == "authority" else plain) + "\n")
    assert here.ssh(here.target, "echo fine").stdout == b"fine\n"


def test_a_host_with_another_key_gets_no_login(world: Any, sshd: Sshd) -> None:
    here = world(("exec", "*"))
    other = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode().strip()
    credential = Fixed("DEVICE_KEY", sshd.private)
    here.rules.login = Login("ssh-key", credential, HostKeys(f"{HOST} {other}"))
    done = here.ssh(here.target, "true")
    assert done.returncode == 255
    assert b"host key is not the one" in done.stderr
    here.rules.login = Login("ssh-key", credential, HostKeys())
    assert b"No host key of the upstream is known" in here.ssh(here.target, "true").stderr
    assert b"Accepted" not in (sshd.folder / "log").read_bytes()


def test_trust_on_first_use_is_asked_for_and_recorded(world: Any, sshd: Sshd) -> None:
    here = world(("exec", "*"))
    lines: list[str] = []
    here.rules.login = Login("ssh-key", Fixed("DEVICE_KEY", sshd.private), HostKeys(remember=lines.append))
    assert here.ssh(here.target, "echo fine").stdout == b"fine\n"
    assert lines == [f"{HOST} {' '.join(sshd.host_line.split()[:2])}"]
    here.rules.login = Login("ssh-key", Fixed("DEVICE_KEY", sshd.private), HostKeys(lines[0], lines.append))
    assert here.ssh(here.target, "echo fine").stdout == b"fine\n"
    assert len(lines) == 1


def test_a_key_with_a_passphrase_and_one_that_cannot_be_read(world: Any, sshd: Sshd) -> None:
    here = world(("exec", "*"))
    locked = sshd.key.export_private_key("pkcs8-pem", passphrase="a-fake-passphrase")
    keys = HostKeys(sshd.host_line)
    here.rules.login = Login("ssh-key", Fixed("DEVICE_KEY", locked), keys, Fixed("PHRASE", b"a-fake-passphrase"))
    assert here.ssh(here.target, "echo fine").stdout == b"fine\n"
    here.rules.login = Login("ssh-key", Fixed("DEVICE_KEY", locked), keys, Fixed("PHRASE", b"wrong-passphrase"))
    assert b"The SSH key DEVICE_KEY cannot be read" in here.ssh(here.target, "true").stderr
    here.rules.login = Login("ssh-key", Fixed("DEVICE_KEY", sshd.private[:80]), keys)
    assert b"The SSH key DEVICE_KEY cannot be read" in here.ssh(here.target, "true").stderr


def test_a_rotated_key_is_tried_once_more_and_a_wrong_one_is_named(world: Any, sshd: Sshd) -> None:
    here = world(("exec", "*"))
    old = asyncssh.generate_private_key("ssh-ed25519").export_private_key()
    rotating = Fixed("DEVICE_KEY", old, newer=sshd.private)
    here.rules.login = Login("ssh-key", rotating, HostKeys(sshd.host_line))
    assert here.ssh(here.target, "echo fine").stdout == b"fine\n"
    assert rotating.asked == 2
    here.rules.login = Login("ssh-key", Fixed("DEVICE_KEY", old), HostKeys(sshd.host_line))
    done = here.ssh(here.target, "true")
    assert done.returncode == 255
    assert b"penstock secrets set DEVICE_KEY" in done.stderr


def test_output_and_error_output_are_scrubbed_wherever_they_are_split(world: Any) -> None:
    here = world(("exec", "*"), scrubber=Replace({b"fake-secret-0123456789": b"stub-secret-9876543210"}))
    command = "for i in fa ke-sec ret-01 234567 89; do printf %s $i; printf %s $i >&2; sleep 0.05; done; echo; echo >&2"
    done = here.ssh(here.target, command)
    assert done.stdout == b"stub-secret-9876543210\n"
    assert b"stub-secret-9876543210\n" in done.stderr
    assert b"fake-secret" not in done.stdout + done.stderr


def test_output_that_ends_in_the_middle_of_a_secret_is_not_lost(world: Any) -> None:
    here = world(("exec", "*"), scrubber=Replace({b"fake-secret-0123456789": b"stub-secret-9876543210"}))
    assert here.ssh(here.target, "printf 'this is fake-sec'").stdout == b"this is fake-sec"


def test_a_scrubber_that_fails_ends_the_channel(world: Any) -> None:
    here = world(("exec", "*"))
    done = here.ssh(here.target, "echo corrupt-the-scrubber; sleep 1; echo more")
    assert (done.returncode, done.stdout) == (255, b"")
    assert b"could not be scrubbed" in done.stderr


def test_forwarding_is_refused_in_every_form(world: Any, tmp_path: Path) -> None:
    here = world(("exec", "*"), ("shell", "*"))
    done = here.ssh("-W", "127.0.0.1:22", here.target)
    assert done.returncode == 255 and b"open failed" in done.stderr
    done = here.ssh("-o", "ExitOnForwardFailure=yes", "-R", "0:127.0.0.1:22", here.target, "true")
    assert done.returncode == 255 and b"forwarding failed" in done.stderr
    done = here.ssh("-o", "ExitOnForwardFailure=yes", "-R", f"{tmp_path}/sock:127.0.0.1:22", here.target, "true")
    assert done.returncode == 255
    done = here.ssh("-A", here.target, "echo [$SSH_AUTH_SOCK]")
    assert done.stdout == b"[]\n"
    done = here.ssh("-X", "-o", "ForwardX11=yes", here.target, "echo [$DISPLAY]", environment={"DISPLAY": ":0"})
    assert done.stdout == b"[]\n"
    assert here.vault.codes().count("forwarding") == 3
    assert {row["kind"] for row in here.vault.rows if row.get("code") == "forwarding"} == {
        "direct-tcpip",
        "tcpip-forward",
        "streamlocal-forward",
    }


def test_only_languages_pass_of_the_environment(world: Any) -> None:
    here = world(("exec", "*"))
    names = ["LC_TIME", "LANG", "LD_PRELOAD", "BASH_ENV", "GIT_SSH_COMMAND", "GIT_PROTOCOL"]
    command = " ".join(f"${{{name}:-none}}" for name in names)
    done = here.ssh(
        *[part for name in names for part in ("-o", f"SendEnv={name}")],
        here.target,
        f"echo {command}",
        environment={
            "LC_TIME": "C",
            "LANG": "C.UTF-8",
            "LD_PRELOAD": "",
            "BASH_ENV": "/evil",
            "GIT_SSH_COMMAND": "evil",
        },
    )
    assert done.stdout.split() == [b"C", b"C.UTF-8", b"none", b"none", b"none", b"none"]


def test_sftp_and_scp_need_the_rule(world: Any, tmp_path: Path) -> None:
    here = world(("exec", "*"))
    (tmp_path / "file").write_bytes(os.urandom(3_000_000))
    refused = here.run("scp", "-s", str(tmp_path / "file"), f"{here.target}:{tmp_path}/copy")
    assert refused.returncode != 0
    assert b"No rule permits subsystem:sftp" in refused.stderr
    assert not (tmp_path / "copy").exists()
    here.rules.permitted += ((here.sshd.user, "subsystem:sftp", "*"),)
    for number, mode in enumerate(["-s", "-O"]):
        done = here.run("scp", mode, str(tmp_path / "file"), f"{here.target}:{tmp_path}/copy{number}")
        assert done.returncode == 0, done.stderr
        done = here.run("scp", mode, f"{here.target}:{tmp_path}/copy{number}", str(tmp_path / f"back{number}"))
        assert done.returncode == 0, done.stderr
        assert (tmp_path / f"back{number}").read_bytes() == (tmp_path / "file").read_bytes()
    done = here.run("sftp", "-b", "-", here.target, data=f"ls -1 {tmp_path}\n".encode())
    assert b"copy0" in done.stdout


def test_a_terminal_with_its_size_and_resize(world: Any) -> None:
    here = world(("exec", "*"), ("shell", "*"))
    terminal = Terminal(here.client.command("ssh", "-tt", here.target, "stty size; read x; stty size"), here)
    terminal.until(b"24 80")
    terminal.resize(50, 132)
    time.sleep(0.3)
    terminal.send(b"\n")
    terminal.until(b"50 132")
    assert terminal.wait() == 0


def test_an_interactive_shell(world: Any) -> None:
    here = world(("shell", "*"))
    terminal = Terminal(here.client.command("ssh", "-tt", here.target), here)
    terminal.send(b"echo $((6*7))-$TERM\n")
    terminal.until(b"42-xterm-test")
    terminal.send(b"exit 3\n")
    assert terminal.wait() == 3


def test_a_checked_shell_sends_no_line_that_is_not_permitted(world: Any) -> None:
    here = world(("shell", "*"))
    here.rules.checks["shell"] = lambda: LineGate(lambda line: covers("echo *", line) or line == "exit")
    done = here.ssh(
        "-T", here.target, data=b"echo one\nid; echo two\nec\x7fho\tthree\n\necho four; id\r\necho five\nexit\necho no"
    )
    assert done.stdout.split() == [b"one", b"five"]
    assert done.stderr.count(b"not sent") >= 3
    assert b"'id; echo two': no rule permits it" in done.stderr
    lines = [(row["event"], row["line"]) for row in here.vault.rows if "line" in row]
    assert ("ssh.line", "echo one") in lines
    assert ("ssh.line_refused", "id; echo two") in lines


def test_many_commands_on_one_connection_and_no_more_channels_than_permitted(world: Any) -> None:
    here = world(("exec", "*"), limits=Limits(channels=3))
    control = ["-o", f"ControlPath={here.client.home}/mux"]
    command = here.client.command("ssh", *control, "-M", "-N", here.target)
    master = subprocess.Popen(command, env=here.client.environment, stdin=subprocess.DEVNULL)
    sleepers: list[subprocess.Popen[bytes]] = []
    try:
        wait_until(lambda: (here.client.home / "mux").exists())
        for number in range(5):
            assert here.ssh(*control, here.target, f"echo {number}").stdout == f"{number}\n".encode()
        assert here.vault.dialled == 1
        sleepers += [
            subprocess.Popen(
                here.client.command("ssh", *control, here.target, "echo up; cat"),
                env=here.client.environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
            for _ in range(3)
        ]
        assert [one.stdout.read(3) for one in sleepers if one.stdout] == [b"up\n"] * 3
        assert b"refused by peer" in here.ssh(*control, here.target, "true").stderr
        assert here.vault.codes() == ["too_many_channels"]
    finally:
        for one in sleepers:
            one.communicate(timeout=20)
        master.terminate()
        master.wait(10)


def test_close_cuts_a_running_session_at_once(world: Any, tmp_path: Path) -> None:
    here = world(("exec", "*"))
    command = here.client.command("ssh", here.target, f"echo $$ > {tmp_path}/pid; echo up; exec yes")
    client = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=here.client.environment)
    assert client.stdout is not None and client.stdout.read(3) == b"up\n"
    here.vault.loop.call(here.vault.terminators[0].close)
    client.communicate(timeout=20)
    assert client.returncode == 255
    process = int((tmp_path / "pid").read_text())
    wait_until(lambda: not Path(f"/proc/{process}").exists())


def test_an_idle_connection_is_closed(world: Any) -> None:
    here = world(("exec", "*"), limits=Limits(idle_seconds=0.5))
    done = here.ssh("-o", "ServerAliveInterval=0", here.target, "sleep 60")
    assert done.returncode == 255
    assert here.vault.rows[-1]["event"] == "ssh.idle"


def test_what_is_no_ssh_is_dropped(world: Any) -> None:
    here = world(("exec", "*"), limits=Limits(login_seconds=1))
    for data in (b"GET / HTTP/1.1\r\n\r\n", b"SSH-2.0-x\r\n" + b"\xff" * 70_000, b"SSH-1.5-old\r\n", b""):
        with socket.create_connection(("127.0.0.1", here.vault.port), 10) as sock:
            sock.sendall(data)
            while sock.recv(65536):
                pass
    assert here.vault.dialled == 0


def test_a_decision_that_cannot_be_recorded_does_not_happen(world: Any) -> None:
    here = world(("exec", "*"))

    class Full(list[Any]):
        def append(self, row: Any) -> None:
            super().append(row)
            if row["event"] == "ssh.permitted":
                raise OSError("disk full")

    here.vault.rows = Full()
    done = here.ssh(here.target, "echo fine")
    assert (done.returncode, done.stdout) == (255, b"")
    assert here.vault.dialled == 0


def test_the_explicit_mode_names_the_host_in_the_user_name(world: Any) -> None:
    here = world(("exec", "*"), explicit=True)
    at = ["-o", "HostKeyAlias=vault", "-o", "HostName=127.0.0.1", "-o", f"Port={here.vault.port}"]
    done = here.ssh(*at, "-l", f"{here.sshd.user}@{HOST}:22", "the-vault", "echo fine")
    assert done.stdout == b"fine\n", done.stderr
    done = here.ssh(*at, "-l", f"{here.sshd.user}@elsewhere.example", "the-vault", "true")
    assert done.returncode == 255 and b"No rule names the host" in done.stderr
    done = here.ssh(*at, "-l", here.sshd.user, "the-vault", "true")
    assert b"The user name names no host" in done.stderr


class Terminal:
    """A program on a pseudo-terminal."""

    def __init__(self, command: list[str], world: World) -> None:
        self._world = world
        self._pid, self._fd = pty.fork()
        if self._pid == 0:
            os.execvpe(command[0], command, {**world.client.environment, "TERM": "xterm-test"})
        self.resize(24, 80)
        self.output = b""

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self._fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def send(self, data: bytes) -> None:
        os.write(self._fd, data)

    def until(self, expected: bytes) -> None:
        """Read until this was seen, or the program is over."""
        deadline = time.monotonic() + 20
        while expected not in self.output:
            assert time.monotonic() < deadline, self.output
            if select.select([self._fd], [], [], 1)[0]:
                data = self._read()
                assert data, self.output
                self._world.seen += data
                self.output += data

    def _read(self) -> bytes:
        try:
            return os.read(self._fd, 65536)
        except OSError:
            return b""

    def wait(self) -> int:
        while data := self._read():
            self._world.seen += data
        os.close(self._fd)
        return os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])


def wait_until(condition: Any) -> None:
    for _ in range(200):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("it did not happen")
