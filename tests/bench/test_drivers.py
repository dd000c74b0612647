"""The drivers: that they count every answer and chunk once, however it arrives, and leave out no time of waiting."""

from __future__ import annotations

import os
import re
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from bench.gateway.drivers import paced, wrk
from bench.gateway.drivers.streams import Streams
from bench.gateway.peers.peer import Target
from bench.gateway.processes import Failed
from tests.support import need

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
HEAD = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


@contextmanager
def server(serve: Callable[[list[socket.socket]], None], connections: int) -> Iterator[Target]:
    """A target whose server is a function of the accepted connections, in a thread of its own."""
    listening = socket.create_server(("127.0.0.1", 0), backlog=128)

    def work() -> None:
        accepted = [listening.accept()[0] for _ in range(connections)]
        try:
            serve(accepted)
        finally:
            for each in accepted:
                each.close()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield Target(listening.getsockname()[1], "/", b"{}")
    finally:
        thread.join(30)
        listening.close()
        assert not thread.is_alive()


# -- paced ------------------------------------------------------------------------------------------------------------


def test_arrivals_are_the_same_each_time_and_about_as_many_as_asked_for() -> None:
    found = paced.arrivals(1000, 10.0, 1)
    assert found == paced.arrivals(1000, 10.0, 1) != paced.arrivals(1000, 10.0, 2)
    assert found == sorted(found) and found[-1] < 10
    assert 9_500 < len(found) < 10_500


def test_who_is_held_up_longer_has_waited_longer() -> None:
    """All are answered at one instant, so each has waited since it was due: the first most, the last least."""
    count = len(paced.arrivals(200, 0.2, 1))
    assert 20 < count < paced.CONNECTIONS

    def serve(connections: list[socket.socket]) -> None:
        asked = _those_with_a_request(connections, count)
        for each in asked:
            each.send(ANSWER)

    with server(serve, paced.CONNECTIONS) as target:
        found = paced.run(target, 200, 0.2)
    assert found.unanswered == 0
    waits = sorted(found.seconds, reverse=True)
    dues = paced.arrivals(200, 0.2, 1)
    spread = [waits[0] - wait for wait in waits]
    assert spread == pytest.approx([due - dues[0] for due in dues], abs=0.05)


def _those_with_a_request(connections: list[socket.socket], count: int) -> list[socket.socket]:
    import select

    asked: list[socket.socket] = []
    while len(asked) < count:
        waiting = [each for each in connections if each not in asked]
        for each in select.select(waiting, [], [])[0]:
            each.recv(65536)
            asked.append(each)
    return asked


def test_what_is_never_answered_is_no_quick_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paced, "_PATIENCE", 0.1)
    given_up = threading.Event()

    def serve(_: list[socket.socket]) -> None:
        given_up.wait(30)

    with server(serve, paced.CONNECTIONS) as target:
        found = paced.run(target, 100, 0.2)
        given_up.set()
    assert found.unanswered == len(paced.arrivals(100, 0.2, 1))
    assert found.quantile(0.5) == float("inf")


@pytest.mark.parametrize("size", range(1, len(ANSWER)))
def test_part_of_an_answer_is_none(size: int) -> None:
    whole = paced.complete(ANSWER[:size])
    assert not whole
    assert paced.complete(ANSWER)


def test_a_chunked_answer_ends_with_its_last_chunk() -> None:
    assert not paced.complete(HEAD + b"2\r\nok\r\n")
    assert paced.complete(HEAD + b"2\r\nok\r\n0\r\n\r\n")


def test_an_error_is_no_answer() -> None:
    with pytest.raises(Failed, match="429"):
        paced.complete(b"HTTP/1.1 429 Too Many Requests\r\n\r\n")


def test_quantiles() -> None:
    assert paced.Latencies([3.0, 1.0, 2.0, 4.0]).quantile(0.5) == 3.0
    assert paced.Latencies([float(number) for number in range(1000)]).quantile(0.99) == 990.0


# -- wrk --------------------------------------------------------------------------------------------------------------


def test_the_figures_of_wrk() -> None:
    printed = 'Running 1s test\n\n{"requests":500,"microseconds":2000000,"failed":0,"refused":3,"p50":150,"p99":2500}\n'
    found = wrk.read_report(printed)
    assert (found.requests, found.rate, found.refused, found.failed) == (500, 250.0, 3, 0)
    assert (found.p50, found.p99) == (0.00015, 0.0025)


def test_keys_take_turns(tmp_path: Path) -> None:
    need(command="wrk", hint="apt-get install wrk")
    seen: Counter[bytes] = Counter()

    def serve(connections: list[socket.socket]) -> None:
        with suppress(ConnectionResetError, BrokenPipeError):  # how wrk leaves when its time is over
            while data := connections[0].recv(65536):
                seen.update(re.findall(rb"Authorization: Bearer (\w+)\r\n", data))
                connections[0].send(ANSWER)

    # Its first connection is one that wrk only makes to see whether anybody listens.
    with server(lambda connections: serve(connections[1:]), 2) as target:
        core = min(os.sched_getaffinity(0))
        load = wrk.run(target, core, 1, 1, tmp_path, ["first", "second", "third"])
    assert load.requests > 3 and load.refused == 0
    assert set(seen) == {b"first", b"second", b"third"}
    assert max(seen.values()) - min(seen.values()) <= 1


# -- streams ----------------------------------------------------------------------------------------------------------


def chunk() -> bytes:
    """A stamped event."""
    event = b'data: {"choices":[{"delta":{"content":" %016x"}}]}\n\n' % time.monotonic_ns()
    return b"%x\r\n%b\r\n" % (len(event), event)


DONE = b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n"


@pytest.mark.parametrize("size", [1, 7, 64, 4096])
def test_every_chunk_counts_once_however_the_bytes_are_cut(size: int) -> None:
    def serve(connections: list[socket.socket]) -> None:
        connections[0].recv(65536)
        body = HEAD + b"".join(chunk() for _ in range(20)) + DONE
        for at in range(0, len(body), size):
            connections[0].send(body[at : at + size])
            time.sleep(0.0001)

    with server(serve, 1) as target:
        streams = Streams(target, 1, 1)
        delays: list[float] = []
        while True:
            seen = streams.watch(0.1)
            delays += seen.delays
            assert seen.chunks == len(seen.delays)
            if seen.ended:
                break
        assert streams.finish() == 0
    assert len(delays) == 20
    assert min(delays) >= 0


def test_a_stream_that_brings_nothing_is_starved_though_nobody_watches_it() -> None:
    over = threading.Event()

    def serve(connections: list[socket.socket]) -> None:
        for each in connections:
            each.recv(65536)
            each.send(HEAD + chunk())
        while not over.wait(0.05):  # the first two go on, the third does not
            for each in connections[:2]:
                each.send(chunk())

    with server(serve, 3) as target:
        streams = Streams(target, 3, 1)
        streams.wait_until_begun()
        seen = streams.watch(2.5)
        over.set()
        streams.close()
    assert seen.starved >= 1
    assert seen.ended == 0
    assert seen.chunks > len(seen.delays) > 0, "those that are drained are counted, and not timed"


@pytest.mark.parametrize("answer", [b"HTTP/1.1 503 Service Unavailable\r\n\r\n", b""])
def test_a_stream_that_is_refused_is_said(answer: bytes) -> None:
    def serve(connections: list[socket.socket]) -> None:
        connections[0].recv(65536)
        connections[0].send(answer)

    with server(serve, 1) as target:
        streams = Streams(target, 1, 1)
        with pytest.raises(Failed, match="refused"):
            streams.wait_until_begun()
        streams.close()
