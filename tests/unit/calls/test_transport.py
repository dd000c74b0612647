"""The transport over real sockets: what each kind of failure becomes, and what a connection goes through."""

from __future__ import annotations

import asyncio
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpcore
import httpx
import pytest

from penstock.calls.transport import (
    AsyncHTTPXTransport,
    HTTPXTransport,
    Network,
    StreamBroken,
    broken,
)
from penstock.exchange import Broken, HTTPRequest, Reply, Send, Timeouts
from penstock.testing.providers import Cut, SimulatedProviders, Stall
from penstock.testing.providers import Reply as Scripted
from tests.support import need

BODY = b'{"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}]}'
STREAMED = BODY.replace(b"}]}", b'}], "stream": true}')
_HEADERS = (("authorization", "Bearer sk-fake"), ("content-type", "application/json"))


def request(url: str, stream: bool = False, left: float | None = None, **timeouts: float | None) -> Send:
    body = STREAMED if stream else BODY
    return Send(HTTPRequest("POST", url, _HEADERS, body), stream, Timeouts(**timeouts), left)


def whole(reply: Reply) -> bytes:
    """The body of a reply, streamed or not."""
    if reply.stream is None:
        return reply.body
    try:
        return reply.body + b"".join(reply.stream)
    finally:
        reply.stream.close()


async def _asend(network: Network, send: Send, client: Any) -> Reply | Broken:
    transport = AsyncHTTPXTransport(client and httpx.AsyncClient(), network)
    try:
        reply = await transport.send(send)
        if isinstance(reply, Broken) or reply.stream is None:
            return reply
        try:
            body = reply.body + b"".join([piece async for piece in reply.stream])
        except StreamBroken as cut:
            return cut.broken
        finally:
            await reply.stream.aclose()
        return Reply(reply.status, reply.headers, body)
    finally:
        await transport.aclose()


def _send(network: Network, send: Send, client: Any) -> Reply | Broken:
    transport = HTTPXTransport(client and httpx.Client(), network)
    try:
        reply = transport.send(send)
        if isinstance(reply, Broken):
            return reply
        try:
            return Reply(reply.status, reply.headers, whole(reply))
        except StreamBroken as cut:
            return cut.broken
    finally:
        transport.close()


Ask = Callable[..., "Reply | Broken"]


@pytest.fixture(params=["blocking", "coroutine"])
def ask(request: pytest.FixtureRequest) -> Ask:
    """Send a request through a transport of its own, to the end of its answer: both kinds must agree."""

    def run(send: Send, network: Network | None = None, client: Any = None) -> Reply | Broken:
        network = network or Network(trust_environment=False)
        if request.param == "blocking":
            return _send(network, send, client)
        return asyncio.run(_asend(network, send, client))

    return run


@pytest.fixture
def providers() -> Iterator[SimulatedProviders]:
    with SimulatedProviders() as simulated:
        yield simulated


@pytest.fixture
def url(providers: SimulatedProviders) -> str:
    return providers.url("openai_chat") + "/chat/completions"


# -- what comes back --------------------------------------------------------------------------------------------------


def test_an_answer_of_any_status_is_a_reply(ask: Ask, providers: SimulatedProviders, url: str) -> None:
    providers.script(Scripted.error(429, retry_after=3), Scripted.text("Hi"))
    refused, answer = ask(request(url)), ask(request(url))
    assert isinstance(refused, Reply) and isinstance(answer, Reply)
    assert (refused.status, refused.headers["retry-after"], answer.status) == (429, "3", 200)
    assert b"Hi" in answer.body
    assert all(name == name.lower() for name in answer.headers)


def test_the_request_leaves_as_it_is(ask: Ask, providers: SimulatedProviders, url: str) -> None:
    ask(request(url))
    sent = providers.last
    assert (sent.method, sent.body, sent.headers["authorization"]) == ("POST", BODY, "Bearer sk-fake")
    assert sent.headers["content-length"] == str(len(BODY))


def test_a_stream_gives_every_byte_and_is_not_compressed(ask: Ask, providers: SimulatedProviders, url: str) -> None:
    providers.script(Scripted.text("one two three").delivered(writes=1))
    found = ask(request(url, stream=True))
    assert isinstance(found, Reply) and found.body.endswith(b"data: [DONE]\n\n")
    assert providers.last.headers["accept-encoding"] == "identity"


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_a_compressed_answer_is_unpacked(ask: Ask, providers: SimulatedProviders, url: str, encoding: Any) -> None:
    providers.script(Scripted.text("Hi").delivered(encoding=encoding))
    found = ask(request(url))
    assert isinstance(found, Reply) and b'"Hi"' in found.body


def test_a_whole_answer_to_a_request_for_a_stream_is_no_stream(providers: SimulatedProviders, url: str) -> None:
    providers.script(Scripted.native(b'{"choices": []}'), Scripted.error(400), Scripted.html(200))
    transport = HTTPXTransport(network=Network(trust_environment=False))
    for _ in range(3):
        reply = transport.send(request(url, stream=True))
        assert isinstance(reply, Reply) and reply.stream is None and reply.body
    transport.close()


def test_redirects_are_not_followed(ask: Ask, providers: SimulatedProviders, url: str) -> None:
    for status in (301, 302, 307, 308):
        elsewhere = Scripted.native(b"{}").delivered(status=status, headers=(("location", url),))
        providers.script(elsewhere)
        found = ask(request(url))
        assert isinstance(found, Reply) and found.status == status
    assert len(providers.requests) == 4


# -- connections ------------------------------------------------------------------------------------------------------


class Relay:
    """Counts the connections that are made through it, and passes bytes on."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.connections: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._run, daemon=True)]
        self._threads[0].start()

    def _run(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                target = socket.create_connection(("127.0.0.1", self._target))
                self.connections += [connection, target]
                for pair in ((connection, target), (target, connection)):
                    self._threads.append(threading.Thread(target=self._pass, args=pair, daemon=True))
                    self._threads[-1].start()

    @staticmethod
    def _pass(source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        for each in (self._listener, *self.connections):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)
        for each in (self._listener, *self.connections):
            each.close()


@pytest.fixture
def relay(providers: SimulatedProviders) -> Iterator[Relay]:
    made = Relay(providers.port)
    yield made
    made.close()


def test_a_connection_is_used_again_after_a_whole_answer_and_after_a_whole_stream(
    providers: SimulatedProviders, relay: Relay, url: str
) -> None:
    url = url.replace(str(providers.port), str(relay.port))
    transport = HTTPXTransport(network=Network(trust_environment=False))
    for stream in (False, True, True, False):
        reply = transport.send(request(url, stream=stream))
        assert isinstance(reply, Reply)
        whole(reply)
    assert len(relay.connections) == 2, "one, and its other side"
    transport.close()


def test_a_stream_that_is_left_early_gives_its_connection_up(providers: SimulatedProviders, url: str) -> None:
    providers.script(Scripted.text("one two three").with_faults(Stall(after=2)))
    transport = HTTPXTransport(network=Network(trust_environment=False))
    reply = transport.send(request(url, stream=True))
    assert isinstance(reply, Reply) and reply.stream is not None
    reply.stream.close()
    assert providers.wait_until(lambda each: each.last.outcome == "client left")
    transport.close()


def test_a_proxy_is_gone_through(ask: Ask, providers: SimulatedProviders, url: str) -> None:
    with _answering(_FINE) as proxy:
        found = ask(request(url), Network(proxy=f"http://127.0.0.1:{proxy.port}"))
    assert isinstance(found, Reply) and found.body == b"{}"
    assert proxy.asked[0].startswith(f"POST {url} HTTP/1.1".encode())
    assert providers.requests == []


def test_a_proxy_of_the_environment_counts_unless_it_must_not(
    ask: Ask, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("NO_PROXY", "no_proxy", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
    with _answering(_FINE) as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
        ask(request(url), Network(trust_environment=False))
        assert proxy.asked == []
        ask(request(url), Network())
        assert len(proxy.asked) == 1


def test_a_proxy_that_is_down_is_no_connection(ask: Ask, url: str) -> None:
    found = ask(request(url), Network(proxy="http://127.0.0.1:9"))
    assert isinstance(found, Broken) and (found.kind, found.sent) == ("connect", False)


def test_the_users_own_client_is_used_and_left_open(providers: SimulatedProviders, url: str) -> None:
    with httpx.Client(headers={"x-mine": "1"}, trust_env=False) as client:
        transport = HTTPXTransport(client)
        transport.send(request(url))
        transport.close()
        assert providers.last.headers["x-mine"] == "1"
        assert not client.is_closed


def test_the_users_own_client_for_coroutines_is_used_and_left_open(providers: SimulatedProviders, url: str) -> None:
    async def main() -> None:
        async with httpx.AsyncClient(headers={"x-mine": "1"}, trust_env=False) as client:
            transport = AsyncHTTPXTransport(client)
            await transport.send(request(url))
            await transport.aclose()
            assert not client.is_closed

    asyncio.run(main())
    assert providers.last.headers["x-mine"] == "1"


def test_one_client_for_many_threads(providers: SimulatedProviders, url: str) -> None:
    transport = HTTPXTransport(network=Network(trust_environment=False))
    barrier = threading.Barrier(8)
    seen: list[Any] = []

    def work() -> None:
        barrier.wait()
        seen.append(transport.client)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(each) for each in seen}) == 1
    transport.close()


def test_one_client_for_each_event_loop(providers: SimulatedProviders, url: str) -> None:
    """`asyncio.run` twice: the connections of the first loop are of no use to the second."""
    transport = AsyncHTTPXTransport(network=Network(trust_environment=False))

    async def main() -> int:
        first, second = await transport.send(request(url)), await transport.send(request(url))
        assert isinstance(first, Reply) and isinstance(second, Reply)
        await transport.aclose()
        return first.status + second.status

    assert [asyncio.run(main()) for _ in range(3)] == [400, 400, 400]


# -- what goes wrong --------------------------------------------------------------------------------------------------


def test_nobody_listens(ask: Ask) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    found = ask(request(f"http://127.0.0.1:{port}/v1"))
    assert isinstance(found, Broken) and (found.kind, found.sent) == ("connect", False)


def test_the_name_has_no_address(ask: Ask) -> None:
    found = ask(request("http://no-such-host.invalid/v1"))
    assert isinstance(found, Broken) and (found.kind, found.sent) == ("connect", False)
    assert found.message


@pytest.mark.parametrize("url", ["nonsense", "ftp://example.com/", "http://", "http://[::1/x"])
def test_an_address_that_is_none_is_no_connection(ask: Ask, url: str) -> None:
    found = ask(request(url))
    assert isinstance(found, Broken) and (found.kind, found.sent) == ("connect", False)


@pytest.mark.parametrize(
    ("fault", "kind"), [(Cut(after=0), "protocol"), (Cut(after=0, reset=True), "read")], ids=["closed", "reset"]
)
def test_the_connection_breaks(ask: Ask, providers: SimulatedProviders, url: str, fault: Any, kind: str) -> None:
    providers.script(Scripted.text("one two three").with_faults(fault))
    found = ask(request(url))
    assert isinstance(found, Broken) and found.sent
    assert found.kind in (kind, "protocol")


def test_what_is_no_http(ask: Ask) -> None:
    with _answering(b"220 smtp.example ESMTP\r\n") as server:
        found = ask(request(f"http://127.0.0.1:{server.port}/v1"))
    assert isinstance(found, Broken) and (found.kind, found.sent) == ("protocol", True)


_FINE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"


class Answering:
    """A server that says the same to everybody; `asked` is what they said."""

    def __init__(self, data: bytes, context: ssl.SSLContext | None = None) -> None:
        self.asked: list[bytes] = []
        self._data, self._context = data, context
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with suppress(OSError), connection, self._spoken(connection) as spoken:
                heard = b""
                while not heard.endswith(b"}") and (piece := spoken.recv(65536)):
                    heard += piece
                self.asked.append(heard)
                spoken.sendall(self._data)

    def _spoken(self, connection: socket.socket) -> socket.socket:
        return connection if self._context is None else self._context.wrap_socket(connection, server_side=True)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(10)
        self._listener.close()


@contextmanager
def _answering(data: bytes, context: ssl.SSLContext | None = None) -> Iterator[Answering]:
    made = Answering(data, context)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate that signs itself, for localhost."""
    need(command="openssl", hint="apt-get install openssl")
    folder = tmp_path_factory.mktemp("tls")
    made = (folder / "certificate.pem", folder / "key.pem")
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    command += ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-out", str(made[0]), "-keyout", str(made[1])]
    subprocess.run(command, check=True, capture_output=True)
    return made


@pytest.fixture
def secure_port(certificate: tuple[Path, Path]) -> Iterator[int]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    with _answering(_FINE, context) as server:
        yield server.port


def test_a_certificate_that_nobody_vouches_for_is_no_connection(ask: Ask, secure_port: int) -> None:
    found = ask(request(f"https://127.0.0.1:{secure_port}/v1"))
    assert isinstance(found, Broken) and (found.kind, found.sent) == ("connect", False)
    assert "certificate" in found.message.lower()


@pytest.mark.parametrize("trust", ["file", "context", "nobody asked"])
def test_authorities_of_the_users_own(ask: Ask, secure_port: int, certificate: tuple[Path, Path], trust: str) -> None:
    path = str(certificate[0])
    verify: Any = {"file": path, "context": ssl.create_default_context(cafile=path), "nobody asked": False}[trust]
    found = ask(request(f"https://127.0.0.1:{secure_port}/v1"), Network(verify=verify, trust_environment=False))
    assert isinstance(found, Reply) and found.body == b"{}"


@pytest.mark.parametrize(
    ("verify", "checked"), [(True, ssl.CERT_REQUIRED), ("file", ssl.CERT_REQUIRED), (False, ssl.CERT_NONE)]
)
def test_who_shows_a_certificate_still_chooses_whose_to_trust(
    certificate: tuple[Path, Path], verify: Any, checked: ssl.VerifyMode
) -> None:
    own = (str(certificate[0]), str(certificate[1]))
    context = Network(verify=own[0] if verify == "file" else verify, cert=own).arguments()["verify"]
    assert (context.verify_mode, context.check_hostname) == (checked, verify is not False)


@pytest.mark.skipif(sys.platform != "linux", reason="only on Linux has loopback more than one address")
def test_a_certificate_for_another_name_is_refused(ask: Ask, secure_port: int, certificate: tuple[Path, Path]) -> None:
    network = Network(verify=str(certificate[0]), trust_environment=False)
    found = ask(request(f"https://127.0.0.2:{secure_port}/v1"), network)
    assert isinstance(found, Broken) and found.kind == "connect"


# -- time -------------------------------------------------------------------------------------------------------------
# The limits are short and what is waited for never comes: no test depends on how long anything takes.


def test_no_connection_in_time(ask: Ask) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server:
        port = server.getsockname()[1]
        filling = [socket.socket() for _ in range(8)]
        try:
            for each in filling:
                each.setblocking(False)
                each.connect_ex(("127.0.0.1", port))
            found = ask(request(f"http://127.0.0.1:{port}/v1", connect=0.2, first_token=5.0))
        finally:
            for each in filling:
                each.close()
    assert isinstance(found, Broken) and (found.kind, found.sent) == ("timeout", False)


@pytest.mark.parametrize(
    ("stream", "phase"), [(False, "before_headers"), (True, "before_headers"), (True, "before_first")]
)
def test_no_first_token_in_time(ask: Ask, providers: SimulatedProviders, url: str, stream: bool, phase: str) -> None:
    providers.script(Scripted.text("late").delivered(**{phase: 60.0}))
    found = ask(request(url, stream=stream, first_token=0.2, between_tokens=0.2))
    assert isinstance(found, Broken) and (found.kind, found.sent) == ("timeout", True)
    assert found.message == "nothing came for 0.2 s" or (
        phase == "before_first" and "nothing more came" in found.message
    )


def test_a_silence_between_tokens(ask: Ask, providers: SimulatedProviders, url: str) -> None:
    providers.script(Scripted.text("one two three").with_faults(Stall(after=2)))
    found = ask(request(url, stream=True, between_tokens=0.2))
    assert found == Broken("timeout", "nothing more came for 0.2 s")


def test_a_first_token_may_take_longer_than_the_ones_after_it(
    ask: Ask, providers: SimulatedProviders, url: str
) -> None:
    providers.script(Scripted.text("one two").delivered(before_headers=1.0))
    found = ask(request(url, stream=True, first_token=30.0, between_tokens=0.9))
    assert isinstance(found, Reply) and found.body.endswith(b"[DONE]\n\n")


def test_the_deadline_of_the_whole_call_ends_a_stream_that_never_falls_silent(
    ask: Ask, providers: SimulatedProviders, url: str
) -> None:
    providers.script(Scripted.text("word " * 2000).delivered(between=0.02))
    found = ask(request(url, stream=True, left=0.3))
    assert isinstance(found, Broken) and found.kind == "timeout"
    assert "deadline" in found.message


def test_no_limit_is_longer_than_what_is_left(ask: Ask, providers: SimulatedProviders, url: str) -> None:
    providers.script(Scripted.text("late").delivered(before_headers=60.0))
    found = ask(request(url, left=0.2, first_token=60.0))
    assert isinstance(found, Broken) and found.kind == "timeout"


# -- meanings ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "kind",
    [
        value
        for value in vars(httpx).values()
        if isinstance(value, type) and issubclass(value, httpx.TransportError | httpx.DecodingError)
    ],
)
def test_every_transport_error_of_httpx_has_a_meaning(kind: type[Exception]) -> None:
    found = broken(kind("it happened"))
    assert found is not None and "it happened" in found.message
    assert broken(kind("")) is not None, "also one without words"


@pytest.mark.parametrize(
    ("error", "kind", "message", "sent"),
    [
        (httpx.ConnectError("refused"), "connect", "no connection could be made (refused)", False),
        (httpx.ConnectTimeout("timed out"), "timeout", "the connection was not made in time", False),
        (httpx.ReadError(""), "read", "the connection broke while the answer was read", True),
        (httpx.RemoteProtocolError("no head"), "protocol", "no head", True),
        (httpx.RequestError(""), "read", "RequestError", True),
        (httpcore.ConnectError("refused"), "connect", "no connection could be made (refused)", False),
        (httpcore.RemoteProtocolError("no head"), "protocol", "no head", True),
    ],
    ids=repr,
)
def test_what_happened_is_said_in_words(error: Exception, kind: Any, message: str, sent: bool) -> None:
    assert broken(error) == Broken(kind, message, sent)


@pytest.mark.parametrize("kind", [ValueError, type("ConnectError", (Exception,), {"__module__": "somebody.else"})])
def test_other_exceptions_are_none_of_its_business(kind: type[Exception]) -> None:
    assert broken(kind("x")) is None


def test_an_address_that_is_not_there_is_named_without_its_secrets(ask: Ask) -> None:
    found = ask(request("http://user:secret@127.0.0.1:9/v1?key=secret"))
    assert isinstance(found, Broken) and found.message.endswith(": is http://127.0.0.1:9 the right address?")
    assert "secret" not in found.message


# -- whose connections end when ---------------------------------------------------------------------------------------

_ALL_ENDS = """
import asyncio, gc, os, sys
import penstock
from penstock import Client
from penstock.testing.providers import SimulatedProviders

SAY = [{"role": "user", "content": "Hello"}]

def open_files():
    return len(os.listdir("/dev/fd"))

async def whole():
    await penstock.acompletion("openai/gpt-4o", SAY, **to)

async def half():
    stream = await penstock.acompletion("openai/gpt-4o", SAY, stream=True, **to)
    await anext(aiter(stream))
    left.append(stream)

async def cancelled():
    stream = await penstock.acompletion("openai/gpt-4o", SAY, stream=True, **to)
    async def read():
        async for chunk in stream:
            await asyncio.sleep(60)
    reading = asyncio.create_task(read())
    await asyncio.sleep(0.05)
    reading.cancel()
    await asyncio.wait([reading])

with SimulatedProviders() as providers:
    to = {"api_base": providers.url("openai_chat"), "api_key": "fake", "num_retries": 0}
    left = []
    asyncio.run(whole())
    before = open_files()
    for each in (whole, half, cancelled, whole):
        asyncio.run(each())
    assert open_files() <= before + 1, (before, open_files())
    penstock.completion("openai/gpt-4o", SAY, **to)
    stream = Client(**to).chat.completions.create(model="openai/gpt-4o", messages=SAY, stream=True)
    gc.collect()
    assert list(stream) and stream.response.choices[0].message.content
    next(Client(**to).chat.completions.create(model="openai/gpt-4o", messages=SAY, stream=True))
    penstock.configure()
    gc.collect()
print("through")
"""


def test_no_connection_outlives_its_loop_its_client_or_the_program() -> None:
    """Calls in several event loops, one after the other; streams left half read, or cancelled; clients forgotten while
    their stream is read: with all warnings as errors, nothing is said of sockets left open.
    """
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", _ALL_ENDS], capture_output=True, text=True, check=False
    )
    said = "\n".join(line for line in done.stderr.splitlines() if not line.startswith("Executing <"))
    assert (done.stdout.strip(), said, done.returncode) == ("through", "", 0)


class _Link:
    """A transport to the metadata services that notes when it is closed."""

    closed = 0

    def send(self, send: Send) -> Reply | Broken:
        return Reply(200, {}, b"{}")

    def close(self) -> None:
        self.closed += 1


def test_an_engine_asks_metadata_services_over_one_transport_and_closes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    from penstock.calls import engine as module
    from penstock.providers.auth.commands import Fetch

    made: list[_Link] = []

    def make(**arguments: Any) -> _Link:
        made.append(_Link())
        return made[-1]

    monkeypatch.setattr(module, "HTTPXTransport", make)
    engine = module.Engine(environment={})

    def twice() -> Any:
        for _ in range(2):
            yield Fetch(method="GET", url="http://169.254.169.254/latest", direct=True)

    engine.world().drive(twice())
    engine.close()
    assert [each.closed for each in made] == [1, 1]
