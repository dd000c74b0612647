"""WebSockets through a real vault: the handshake is a request like any other, its frames are looked at both ways."""

from __future__ import annotations

import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.sync.server import ServerConnection, serve

from tests.e2e.vault.conftest import HOST, SECRET, World
from tests.support.certificates import certificate, write
from tests.support.vaults import Session, until

Handling = Callable[[ServerConnection], None]


def echo(connection: ServerConnection) -> None:
    """Say back the login, then every message."""
    assert connection.request is not None
    connection.send(connection.request.headers["Authorization"])
    for message in connection:
        connection.send(message)


class Sockets:
    """A server of WebSockets, and what it heard."""

    def __init__(self) -> None:
        self.handling: Handling = echo
        self.logins: list[str] = []
        self.heard: list[str | bytes] = []
        self.open = 0
        self.port = 0
        self.ca_pem = ""

    def handle(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        self.logins.append(connection.request.headers["Authorization"])
        self.open += 1
        try:
            self.handling(connection)
        finally:
            self.open -= 1


@contextmanager
def running(folder: Path) -> Iterator[Sockets]:
    authority = certificate("Test WebSocket Authority")
    public, private = write(folder, "websocket", certificate("websocket", authority, HOST))
    sockets = Sockets()
    sockets.ca_pem = Path(write(folder, "websocket-ca", authority)[0]).read_text()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(public, private)
    with serve(sockets.handle, "127.0.0.1", 0, ssl=context) as server:
        sockets.port = server.socket.getsockname()[1]
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield sockets
        server.shutdown()
        thread.join(5)


@pytest.fixture(scope="module")
def sockets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sockets]:
    with running(tmp_path_factory.mktemp("websockets")) as sockets:
        yield sockets


@pytest.fixture
def session(world: World, sockets: Sockets) -> Iterator[Session]:
    sockets.handling = echo
    sockets.logins.clear()
    session = world.open(pins={HOST: f"127.0.0.1:{sockets.port}"}, upstream_cas={HOST: sockets.ca_pem})
    yield session
    session.close()


def client(session: Session, path: str = "/v1/live") -> ClientConnection:
    login = {"Authorization": f"Bearer {session.env['TOKEN']}"}
    return connect(f"ws://{HOST}:443{path}", sock=session.tls(HOST), additional_headers=login)


def test_the_handshake_carries_the_secret_and_frames_the_stub(session: Session, sockets: Sockets) -> None:
    with client(session) as connection:
        assert connection.recv(10) == f"Bearer {session.env['TOKEN']}"
        connection.send("hello")
        assert connection.recv(10) == "hello"
        connection.send(b"\0\1" * 100_000)
        assert connection.recv(10) == b"\0\1" * 100_000
    assert sockets.logins == [f"Bearer {SECRET.decode()}"]
    assert session.audit("swap")


def test_a_handshake_that_no_binding_covers_is_refused(session: Session, sockets: Sockets) -> None:
    with pytest.raises(InvalidStatus) as refused:
        client(session, "/v2/live")
    assert refused.value.response.status_code == 403 and not sockets.logins


def test_a_secret_over_several_frames_with_a_ping_between_becomes_its_stub(session: Session, sockets: Sockets) -> None:
    text = SECRET.decode()

    def leaks(connection: ServerConnection) -> None:
        connection.send([text[:9], text[9:10], text[10:], " and ", text])
        connection.socket.sendall(_frame(0x1, text[:20].encode(), fin=False))
        connection.ping(text.encode())
        connection.socket.sendall(_frame(0x0, text[20:].encode(), fin=True))
        connection.recv(10)

    sockets.handling = leaks
    stub = session.env["TOKEN"]
    with client(session) as connection:
        assert connection.recv(10) == f"{stub} and {stub}"
        assert connection.recv(10) == stub
        connection.send("done")


def _frame(opcode: int, payload: bytes, *, fin: bool) -> bytes:
    assert len(payload) < 126
    return struct.pack("!BB", opcode | (0x80 if fin else 0), len(payload)) + payload


@pytest.mark.parametrize("with_a_ping", [False, True])
def test_a_stub_over_several_frames_is_an_alarm(session: Session, with_a_ping: bool) -> None:
    stub = session.env["TOKEN"]
    with client(session) as connection:
        connection.recv(10)
        connection.socket.sendall(_masked(0x1, stub[:17].encode(), fin=False))
        if with_a_ping:
            connection.socket.sendall(_masked(0x9, b"are you there", fin=True))
        connection.socket.sendall(_masked(0x0, stub[17:].encode(), fin=True))
        assert connection.recv(10) == stub
    assert [row["reason"] for row in session.audit("alarm")] == ["websocket"]


def test_a_stub_in_a_ping_is_an_alarm(session: Session) -> None:
    with client(session) as connection:
        connection.recv(10)
        connection.ping(session.env["TOKEN"])
        until(lambda: session.audit("alarm"))


def _masked(opcode: int, payload: bytes, *, fin: bool) -> bytes:
    assert len(payload) < 126
    mask = b"\x11\x22\x33\x44"
    data = bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))
    return struct.pack("!BB", opcode | (0x80 if fin else 0), 0x80 | len(payload)) + mask + data


def test_frames_that_break_the_rules_end_it_and_are_written_down(session: Session) -> None:
    with client(session) as connection:
        connection.recv(10)
        connection.socket.sendall(_frame(0x1, b"not masked", fin=True))
        with pytest.raises(ConnectionClosed):
            connection.recv(10)
    assert until(lambda: session.audit("deny"))[0]["code"] == "bad_websocket"


def test_revocation_cuts_it_on_both_sides(world: World, sockets: Sockets) -> None:
    world.vault.set("LIVE", b"fake-live-t0ken-8Wn3", f"* https://{HOST}/live/* header:authorization")
    session = world.open(
        secrets=("LIVE",), pins={HOST: f"127.0.0.1:{sockets.port}"}, upstream_cas={HOST: sockets.ca_pem}
    )
    login = {"Authorization": f"Bearer {session.env['LIVE']}"}
    with connect(f"ws://{HOST}:443/live/x", sock=session.tls(HOST), additional_headers=login) as connection:
        connection.recv(10)
        world.vault.revoke("LIVE")
        with pytest.raises(ConnectionClosed):
            connection.recv(10)
        until(lambda: sockets.open == 0)
    session.close()
