"""Connections of a real vault: cut at once on both sides, wherever they are; capped; and nothing of them is left."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from tests.e2e.vault.conftest import HOST, OTHER, World
from tests.support.recording_upstream import Asked, Silence, answer, recording_upstream
from tests.support.vaults import Session, ended, read_answer, request, until

HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.fixture
def bound(world: World) -> Iterator[Session]:
    """A session over a secret of its own, LIVE, that a test may revoke."""
    world.vault.set("LIVE", b"fake-live-t0ken-8Wn3xQ", f"* https://{HOST}/v1/* header:authorization")
    session = world.open(secrets=("LIVE",))
    until(lambda: world.upstream.open == 0)
    yield session
    session.close()


def _ask(session: Session, connection: socket.socket, method: str = "GET", *lines: str) -> None:
    connection.sendall(request(HOST, "/v1/x", f"Authorization: Bearer {session.env['LIVE']}", *lines, method=method))


def _in_a_stream(world: World, session: Session) -> socket.socket:
    """The upstream has begun to answer and goes on for ever."""

    def answering(asked: Asked) -> Iterable[bytes]:
        yield HEAD + b"5\r\nhello\r\n"
        raise Silence

    world.upstream.answering = answering
    connection = session.tls(HOST)
    _ask(session, connection)
    seen = b""
    while b"hello" not in seen:
        seen += connection.recv(65536)
    return connection


def _while_the_upstream_thinks(world: World, session: Session) -> socket.socket:
    """It has the secret, and says nothing."""

    def answering(asked: Asked) -> Iterable[bytes]:
        raise Silence

    world.upstream.answering = answering
    connection = session.tls(HOST)
    _ask(session, connection)
    until(lambda: world.upstream.asked)
    return connection


def _blocked_in_writing(world: World, session: Session) -> socket.socket:
    """The upstream floods, the client does not read."""

    def answering(asked: Asked) -> Iterable[bytes]:
        yield HEAD
        while True:
            yield b"10000\r\n" + bytes(65536) + b"\r\n"

    world.upstream.answering = answering
    connection = session.tls(HOST)
    _ask(session, connection)
    until(lambda: world.upstream.asked)
    return connection


def _in_an_upload(world: World, session: Session) -> socket.socket:
    """The client has sent a head and half a body."""
    connection = session.tls(HOST)
    _ask(session, connection, "PUT", "Transfer-Encoding: chunked")
    connection.sendall(b"5\r\nhello\r\n")
    until(lambda: world.upstream.open)
    return connection


PLACES: dict[str, Callable[[World, Session], socket.socket]] = {
    "stream": _in_a_stream,
    "thinking": _while_the_upstream_thinks,
    "flood": _blocked_in_writing,
    "upload": _in_an_upload,
}
WAYS: dict[str, Callable[[World, Session], None]] = {
    "revoke": lambda world, session: world.vault.revoke("LIVE"),
    "freeze": lambda world, session: world.vault.run(world.vault.client.freeze(session.id, "a test")),
    "close": lambda world, session: world.vault.run(world.vault.client.close(session.id)),
    "leave": lambda world, session: None,
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("place", PLACES)
def test_a_connection_is_cut_on_both_sides_wherever_it_is(world: World, bound: Session, place: str, way: str) -> None:
    connection = PLACES[place](world, bound)
    WAYS[way](world, bound)
    if way == "leave":
        connection.close()
    else:
        assert ended(connection)
    until(lambda: world.upstream.open == 0)


def _says_nothing(session: Session) -> socket.socket:
    return session.raw()


def _half_a_connect(session: Session) -> socket.socket:
    connection = session.raw()
    connection.sendall(b"CONNECT api.exam")
    return connection


def _tunnel(session: Session) -> socket.socket:
    return session.connect(f"{HOST}:443")[0]


def _half_a_handshake(session: Session) -> socket.socket:
    connection = _tunnel(session)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    stream = session.trust().wrap_bio(incoming, outgoing, server_hostname=HOST)
    with pytest.raises(ssl.SSLWantReadError):
        stream.do_handshake()
    connection.sendall(outgoing.read())
    assert connection.recv(1)  # the server's side has come, and ours does not go
    return connection


@pytest.mark.parametrize("stage", [_says_nothing, _half_a_connect, _tunnel, _half_a_handshake])
def test_a_freeze_cuts_what_has_not_begun_yet(world: World, stage: Callable[[Session], socket.socket]) -> None:
    connection = stage(world.session)
    until(lambda: _connections(world))
    world.vault.run(world.vault.client.freeze(world.session.id, "a test"))
    assert ended(connection)
    until(lambda: not _connections(world))
    world.vault.run(world.vault.client.thaw(world.session.id))
    with world.session.tls(HOST) as again:  # the number of the descriptor is used anew, and somebody waits on it
        again.sendall(request(HOST, "/v1/x", f"Authorization: Bearer {world.stub}"))
        assert read_answer(again).status == 200


def _connections(world: World) -> int:
    rows = world.vault.run(world.vault.client.sessions())
    return int(next(row["connections"] for row in rows if row["id"] == world.session.id))


def test_one_more_connection_than_allowed_is_told_so_and_nothing_leaks(world: World) -> None:
    world.ask()
    until(lambda: not _connections(world) and not world.upstream.open)
    before = world.vault.descriptors()
    kept = [world.session.raw() for _ in range(512)]
    until(lambda: _connections(world) == 512)
    for _ in range(3):
        connection, answered = world.session.connect(f"{HOST}:443")
        connection.close()
        assert (answered.status, answered.code) == (503, "too_many_connections")
    for each in kept:
        each.close()
    until(lambda: not _connections(world))
    assert world.ask().status == 200
    until(lambda: world.vault.descriptors() <= before)


def test_who_is_told_that_there_are_too_many_costs_no_more_than_a_few(world: World) -> None:
    """A refused client may take its time to read why; further ones wait outside, and cost the vault nothing."""
    before = world.vault.descriptors()
    kept = [world.session.raw() for _ in range(512)]
    until(lambda: _connections(world) == 512)
    more = [world.session.raw() for _ in range(400)]
    assert read_answer(more[0]).code == "too_many_connections"
    assert read_answer(more[50]).code == "too_many_connections"
    assert _connections(world) == 512
    assert world.vault.descriptors() - before < 512 + 100
    for each in (*kept, *more):
        each.close()
    assert world.ask().status == 200
    until(lambda: world.vault.descriptors() <= before)


def test_a_client_that_reads_nothing_is_counted_and_cut_though_its_answer_was_sent(
    world: World, tmp_path: Path
) -> None:
    with recording_upstream(tmp_path, OTHER, tls=False, answering=lambda asked: [answer(bytes(400_000))]) as upstream:
        there = f"127.0.0.1:{upstream.port}"
        session = world.open(secrets=(), rules=(f"GET http://{OTHER}:80/*",), pins={OTHER: there}, upstream_cas={})
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)  # so that most of it waits in the vault
            world.vault.run(world.vault.client.listen(session.id, [("proxy", listener)]))
            address = listener.getsockname()
        before = world.vault.descriptors()
        with socket.socket() as connection:
            connection.settimeout(20)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.connect(address)
            connection.sendall(request(OTHER, f"http://{OTHER}/x", "Connection: close"))
            until(lambda: upstream.connections and not upstream.open)
            rows = world.vault.run(world.vault.client.sessions(session.id))
            assert rows[0]["connections"] == 1, "the vault still holds what the client does not take"
            session.close()
            until(lambda: world.vault.descriptors() < before)


def test_thousands_of_server_names_leave_memory_flat(world: World) -> None:
    session = world.open(secrets=(), rules=("* https://*.example.org:443/*",), pins={}, upstream_cas={})
    context = session.trust()

    def shake(number: int) -> None:
        connection, _ = session.connect(f"host{number}.example.org:443")
        with context.wrap_socket(connection, server_hostname=f"host{number}.example.org"):
            pass

    for number in range(130):  # more than the contexts that are kept
        shake(number)
    before = world.vault.memory()
    for number in range(130, 260):
        shake(number)
    assert world.vault.memory() - before < 8 << 20
    session.close()


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "application/json"])
def test_bodies_that_never_end_are_not_held_without_end(world: World, kind: str) -> None:
    """A form must be read whole, so the ninth of eight million bytes is refused; JSON need not, and is passed on."""
    size = 8_000_000 if "form" in kind else 1_000_000
    before = world.vault.memory()
    slot = f"Authorization: Bearer {world.stub}"
    lines = (slot, f"Content-Type: {kind}", f"Content-Length: {size}")
    kept = []
    for _ in range(9 if "form" in kind else 80):
        connection = world.session.tls(HOST)
        connection.sendall(request(HOST, "/v1/x", *lines, method="POST") + b"a" * (size - 1))
        kept.append(connection)
    if "form" in kind:
        assert read_answer(kept[-1]).code == "too_much_at_once"
    else:
        until(lambda: world.upstream.open >= 80 - 67)
    assert world.vault.memory() - before < 160 << 20
    for each in kept:
        each.close()
    until(lambda: not _connections(world))
    assert world.ask("/v1/x", f"Content-Type: {kind}", method="POST", body=b"a" * 1000).status == 200


def test_huge_heads_are_refused_without_being_kept(world: World) -> None:
    for head in (b"GET /v1/x HTTP/1.1\r\nHost: api.example.com\r\nX: " + b"a" * (1 << 20), b"G" * (1 << 20)):
        with world.session.tls(HOST) as connection:
            try:
                connection.sendall(head)
                status = read_answer(connection).status
            except OSError:
                status = 0  # it was cut while it went on
            assert status in (0, 400, 414, 431)


def test_a_plain_client_may_ask_for_several_hosts_on_one_connection(world: World) -> None:
    session = world.open(rules=(f"GET http://{OTHER}:80/*", "GET http://third.example.org:80/*"))
    with session.raw() as connection:
        for host in (OTHER, "nowhere.example.org", OTHER):
            connection.sendall(request(host, f"http://{host}/x"))
            assert read_answer(connection).status in (502, 403)  # the upstream speaks TLS only
    session.close()


def test_who_reads_slowly_holds_back_the_upstream(world: World, bound: Session) -> None:
    sent = 0

    def answering(asked: Asked) -> Iterable[bytes]:
        nonlocal sent
        yield HEAD
        for _ in range(2000):
            yield b"10000\r\n" + bytes(65536) + b"\r\n"
            sent += 65536

    world.upstream.answering = answering
    before = world.vault.memory()
    connection = bound.tls(HOST)
    _ask(bound, connection)
    until(lambda: sent > 0)
    quiet = threading.Event()
    last = -1
    while last != sent:
        last = sent
        quiet.wait(0.3)
    assert sent < 64 << 20 and world.vault.memory() - before < 32 << 20
    connection.close()
    until(lambda: world.upstream.open == 0)


def test_an_upstream_that_answers_before_it_was_asked_all_is_heard(world: World, bound: Session) -> None:
    world.upstream.answering = lambda asked: [answer(b"enough", "413 Content Too Large", "Connection: close")]
    with bound.tls(HOST) as connection:
        _ask(bound, connection, "PUT", "Content-Length: 3")
        connection.sendall(b"abc")
        assert read_answer(connection).status == 413
