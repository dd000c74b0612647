"""The supervisor with real processes: births, deaths, signals and drains, over children that only answer."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest

from penstock.control.supervisor import FREE_RESTARTS, LONGEST_WAIT, _wait_after

STUB = Path(__file__).with_name("stub_gateway.py")
PATIENCE = 60.0
"""Seconds after which a test gives up waiting for what must happen."""

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="only on systems with fork")


@dataclass
class Gateway:
    process: subprocess.Popen[str]
    state: Path
    log: Path
    port: int
    keeper: int

    def get(self, path: str = "/") -> str:
        with self.connected(path) as connection:
            return answer_of(connection)

    def connected(self, path: str = "/") -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)
        connection.sendall(f"GET {path} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
        return connection

    def worker(self, index: int) -> int:
        """The process of a worker: ask until it is the one that answers."""
        return until(lambda: next((pid for at, pid in [self.who()] if at == index), 0))

    def who(self) -> tuple[int, int]:
        match = re.search(r"worker (\d+) \((\d+)\)", self.get())
        assert match is not None
        return int(match[1]), int(match[2])

    def notes(self) -> list[str]:
        file = self.state / "notes"
        return file.read_text().splitlines() if file.exists() else []

    def children(self) -> set[int]:
        listed = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return {int(pid) for pid in listed.split()}

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)


def answer_of(connection: socket.socket) -> str:
    """All that comes until the end; then the connection is closed."""
    pieces = []
    with connection:
        while piece := connection.recv(65536):
            pieces.append(piece)
    return b"".join(pieces).decode()


def until(found: Callable[[], object]) -> int:
    """Wait until something is so; what it is."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if result := found():
            return result  # type: ignore[return-value]  # who asks for a number finds one
        time.sleep(0.01)
    raise AssertionError("it never was so")


def refused(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=PATIENCE).close()
    except (ConnectionRefusedError, ConnectionResetError):
        return True
    return False


def start(folder: Path, workers: int = 2, way: str = "well", **environment: str) -> subprocess.Popen[str]:
    command = [sys.executable, str(STUB), str(folder / "state"), str(workers), way]
    with (folder / "log").open("a") as log:
        return subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=log, text=True, env={**os.environ, **environment}, cwd=folder
        )


@contextmanager
def running(folder: Path, workers: int = 2, way: str = "well", **environment: str) -> Iterator[Gateway]:
    process = start(folder, workers, way, **environment)
    assert process.stdout is not None
    try:
        said = process.stdout.readline()
        match = re.match(r"http://127.0.0.1:(\d+) keeper=(\d+)", said)
        assert match is not None, said + (folder / "log").read_text()
        yield Gateway(process, folder / "state", folder / "log", int(match[1]), int(match[2]))
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


# -- births and deaths ------------------------------------------------------------------------------------------------


def test_all_workers_serve_when_the_welcome_is_shown(tmp_path: Path) -> None:
    with running(tmp_path, 3) as gateway:
        assert len(gateway.children()) == 4
        assert {gateway.worker(index) for index in (1, 2, 3)} == gateway.children() - {gateway.keeper}
        assert gateway.stop() == 0


def test_a_worker_that_is_killed_is_born_again_and_its_neighbour_is_not(tmp_path: Path) -> None:
    with running(tmp_path) as gateway:
        first, second = gateway.worker(1), gateway.worker(2)
        os.kill(first, signal.SIGKILL)
        answers = [gateway.who() for _ in range(50)]
        assert {pid for index, pid in answers if index == 2} <= {second}
        assert gateway.worker(1) not in (first, second)
        assert gateway.worker(2) == second
        assert "the worker 1 was killed by SIGKILL; another takes its place" in gateway.log.read_text()


def test_connections_that_wait_for_a_dead_worker_are_answered_by_its_successor(tmp_path: Path) -> None:
    with running(tmp_path, 1) as gateway:
        old = gateway.worker(1)
        os.kill(old, signal.SIGSTOP)
        waiting = [gateway.connected() for _ in range(20)]
        os.kill(old, signal.SIGKILL)
        answers = [answer_of(connection) for connection in waiting]
        assert all("200 OK" in answer and f"({old})" not in answer for answer in answers), answers


def test_a_keeper_that_is_killed_is_born_again(tmp_path: Path) -> None:
    with running(tmp_path) as gateway:
        workers = gateway.children() - {gateway.keeper}
        os.kill(gateway.keeper, signal.SIGKILL)
        until(lambda: len(gateway.children()) == 3 and gateway.keeper not in gateway.children())
        assert workers < gateway.children()


def test_who_keeps_dying_early_waits_longer_each_time_but_not_for_ever() -> None:
    waits = [_wait_after(lives) for lives in range(20)]
    assert waits[: FREE_RESTARTS + 1] == [0.0] * (FREE_RESTARTS + 1)
    growing = waits[FREE_RESTARTS:]
    assert all(one < other for one, other in pairwise(growing) if other < LONGEST_WAIT)
    assert waits[-1] == LONGEST_WAIT


def test_a_gateway_that_never_serves_gives_up_and_says_why(tmp_path: Path) -> None:
    process = start(tmp_path, 1, "worker-dies")
    assert process.communicate(timeout=PATIENCE)[0] == ""
    assert process.returncode == 1
    said = (tmp_path / "log").read_text()
    assert "the worker 1 ended with status 3 6 times before it served; giving up" in said


def test_a_keeper_that_cannot_start_is_not_tried_again(tmp_path: Path) -> None:
    process = start(tmp_path, 1, "keeper-cannot-start")
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert (tmp_path / "log").read_text() == "penstock: the configuration is wrong\n"


@pytest.mark.skipif(sys.platform != "linux", reason="only on Linux")
def test_processes_bear_names(tmp_path: Path) -> None:
    with running(tmp_path) as gateway:
        titles = {Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0") for pid in gateway.children()}
        assert titles == {b"penstock: worker 1", b"penstock: worker 2", b"penstock: keeper"}
        names = {Path(f"/proc/{pid}/comm").read_text() for pid in gateway.children()}
        assert names == {"penstock-w1\n", "penstock-w2\n", "penstock-keeper\n"}


# -- signals ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_drain_ends_calls_under_way_refuses_new_ones_and_then_the_keeper_ends(tmp_path: Path, number: int) -> None:
    with running(tmp_path) as gateway:
        slow = gateway.connected("/slow")
        until(lambda: "slow" in gateway.notes())
        gateway.process.send_signal(number)
        until(lambda: refused(gateway.port))
        assert "keeper: draining" in gateway.notes()
        assert "keeper: ended" not in gateway.notes()
        (gateway.state / "go").touch()
        assert "worker" in answer_of(slow)
        assert gateway.process.wait(PATIENCE) == 0
        assert gateway.notes()[-1] == "keeper: ended"


def test_a_second_interrupt_ends_at_once(tmp_path: Path) -> None:
    with running(tmp_path) as gateway:
        children = gateway.children()
        slow = gateway.connected("/slow")
        until(lambda: "slow" in gateway.notes())
        gateway.process.send_signal(signal.SIGINT)
        until(lambda: refused(gateway.port))
        assert gateway.stop(signal.SIGINT) == 130
        assert all(gone(pid) for pid in children)
        assert "worker" not in answer_of(slow)


def test_a_worker_that_does_not_end_is_killed_when_its_time_is_over(tmp_path: Path) -> None:
    with running(tmp_path, 1, "deaf", STUB_DRAIN="0.1") as gateway:
        assert gateway.stop() == 0
        assert "the worker 1 did not end in time and is killed" in gateway.log.read_text()
        assert gateway.notes()[-1] == "keeper: ended"


def test_a_keeper_that_dies_while_workers_drain_is_born_again(tmp_path: Path) -> None:
    with running(tmp_path, 1) as gateway:
        slow = gateway.connected("/slow")
        until(lambda: "slow" in gateway.notes())
        gateway.process.send_signal(signal.SIGTERM)
        until(lambda: refused(gateway.port))
        os.kill(gateway.keeper, signal.SIGKILL)
        until(lambda: len(gateway.children()) == 2 and gateway.keeper not in gateway.children())
        (gateway.state / "go").touch()
        assert "worker" in answer_of(slow)
        assert gateway.process.wait(PATIENCE) == 0


def test_a_hang_up_makes_the_keeper_read_again(tmp_path: Path) -> None:
    with running(tmp_path) as gateway:
        gateway.process.send_signal(signal.SIGHUP)
        until(lambda: "keeper: reads again" in gateway.notes())
        assert "200 OK" in gateway.get()


def test_an_interrupt_of_the_whole_terminal_does_not_cut_calls(tmp_path: Path) -> None:
    """Ctrl-C goes to every process of the group: only the supervisor may take it."""
    with running(tmp_path) as gateway:
        slow = gateway.connected("/slow")
        until(lambda: "slow" in gateway.notes())
        for pid in (*gateway.children(), gateway.process.pid):
            os.kill(pid, signal.SIGINT)
        until(lambda: refused(gateway.port))
        (gateway.state / "go").touch()
        assert "worker" in answer_of(slow)
        assert gateway.process.wait(PATIENCE) == 0


# -- the supervisor itself is killed ----------------------------------------------------------------------------------


def test_children_of_a_supervisor_that_is_killed_end_by_themselves(tmp_path: Path) -> None:
    with running(tmp_path) as gateway:
        children = gateway.children()
        gateway.stop(signal.SIGKILL)
        until(lambda: all(gone(pid) for pid in children))
        assert refused(gateway.port)


def test_the_next_gateway_waits_for_the_calls_of_one_that_was_killed(tmp_path: Path) -> None:
    with running(tmp_path) as gateway:
        slow = gateway.connected("/slow")
        until(lambda: "slow" in gateway.notes())
        gateway.stop(signal.SIGKILL)
        following = start(tmp_path)
        until(lambda: "waiting for the calls of a gateway that was killed" in gateway.log.read_text())
        (gateway.state / "go").touch()
        assert "worker" in answer_of(slow)
        assert following.stdout is not None
        assert following.stdout.readline().startswith("http://")
        following.terminate()
        following.communicate(timeout=PATIENCE)
        assert following.returncode == 0


def test_a_second_gateway_on_the_same_state_is_refused(tmp_path: Path) -> None:
    with running(tmp_path) as gateway:
        second = subprocess.run([sys.executable, str(STUB), str(gateway.state), "1"], capture_output=True, text=True)
        assert f"another gateway (process {gateway.process.pid}) runs on {gateway.state}" in second.stderr
        assert "200 OK" in gateway.get()


def test_a_second_gateway_on_the_same_port_is_refused(tmp_path: Path) -> None:
    """With SO_REUSEPORT alone both would listen, and share the calls."""
    with running(tmp_path) as gateway:
        second = subprocess.run(
            [sys.executable, str(STUB), str(tmp_path / "other"), "1"],
            capture_output=True,
            text=True,
            env={**os.environ, "STUB_PORT": str(gateway.port)},
        )
        assert f"port {gateway.port} of 127.0.0.1 cannot be had (Address already in use)" in second.stderr


def test_the_state_is_private_and_the_sockets_are_gone_at_the_end(tmp_path: Path) -> None:
    folders = {*Path(os.environ.get("TMPDIR", "/tmp")).glob("penstock-*")}
    with running(tmp_path) as gateway:
        assert gateway.state.stat().st_mode & 0o777 == 0o700
        assert gateway.stop() == 0
    assert {*Path(os.environ.get("TMPDIR", "/tmp")).glob("penstock-*")} - folders == set()
