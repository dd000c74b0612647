"""Responses through a real vault: an upstream says the secret wherever it can, breaks off, floods, issues tokens."""

from __future__ import annotations

import base64
import gzip
import json
import threading
import zlib
from collections.abc import Iterable, Iterator
from urllib.parse import quote

import brotli  # type: ignore[import-untyped]
import pytest
import zstandard

from tests.e2e.vault.conftest import HOST, OTHER, PASSWORD, SECRET, World
from tests.support.canary import Canary
from tests.support.recording_upstream import Asked, HangUp, answer, in_chunks
from tests.support.vaults import Answer, chunked, read_answer, request, until

TEXT = SECRET.decode()


def says(world: World, *parts: bytes) -> None:
    """Let the upstream say this, whatever it is asked."""
    world.upstream.answering = lambda asked: parts


# -- the secret in every place ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    [
        f"Location: https://{OTHER}/?key={quote(TEXT)}",
        f"Set-Cookie: t={TEXT}; Path=/",
        f"WWW-Authenticate: Bearer {TEXT}",
        f"X-Debug: {base64.b64encode(SECRET).decode()}",
        f"Link: <{TEXT}>; rel=next",
        f"ETag: {SECRET.hex()}",
    ],
    ids=lambda line: line.split(":")[0],
)
def test_a_secret_in_a_header_becomes_its_stub(world: World, line: str) -> None:
    says(world, answer(b"{}", "403 Forbidden", line))
    answered = world.ask()
    assert answered.status == 403 and answered.header(line.split(":")[0])


def test_what_was_scrubbed_of_a_response_is_counted_and_written_down(world: World) -> None:
    trailers = f"X-Token: {TEXT}\r\n"
    says(world, in_chunks(SECRET, b"-" + SECRET, trailers=trailers, headers=("Trailer: X-Token", f"X-Debug: {TEXT}")))
    assert world.ask().whole
    [row] = until(lambda: world.session.audit("scrub"))
    assert (row["findings"], row["destination"]) == (4, f"https://{HOST}:443")


def test_what_was_scrubbed_of_a_response_that_is_cut_is_written_down(world: World) -> None:
    def cut(asked: Asked) -> Iterator[bytes]:
        yield b"HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n" + SECRET + b"-" * 500
        raise HangUp()

    world.upstream.answering = cut
    assert not world.ask().whole
    [row] = until(lambda: world.session.audit("scrub"))
    assert row["findings"] == 1


def test_a_secret_in_reason_hints_trailers_and_errors_becomes_its_stub(world: World) -> None:
    hints = f"HTTP/1.1 103 Early Hints\r\nLink: <{TEXT}>\r\n\r\n".encode()
    says(world, hints + answer(SECRET, f"500 {TEXT}", "Content-Type: text/plain"))
    assert world.ask().body == world.stub.encode()
    says(world, in_chunks(b"data", trailers=f"X-Token: {TEXT}\r\n", headers=("Trailer: X-Token",)))
    with world.session.tls(HOST) as connection:
        connection.sendall(request(HOST, "/v1/x", f"Authorization: Bearer {world.stub}"))
        seen = b""
        while not seen.endswith(b"\r\n\r\n") or b"\r\n0\r\n" not in seen:
            seen += connection.recv(65536)
    world.seen.append(seen)
    assert seen.endswith(f"0\r\nx-token: {world.stub}\r\n\r\n".encode())


@pytest.mark.parametrize("name", [PASSWORD.decode(), f"X-{SECRET.hex()}"], ids=["as it is", "in hex"])
def test_a_secret_in_the_name_of_a_field_is_not_passed_on(world: World, name: str) -> None:
    says(world, answer(b"", "200 OK", f"{name}: 1"))
    assert world.ask().code == "secret_in_name"


@pytest.mark.parametrize("size", [1, 2, 7, 40])
def test_a_secret_in_chunks_of_any_size_becomes_its_stub(world: World, size: int) -> None:
    text = b"data: " + SECRET + b"\n\ndata: " + base64.b64encode(b"x" + SECRET) + b"\n\n"
    says(
        world,
        in_chunks(
            *(text[at : at + size] for at in range(0, len(text), size)), headers=("Content-Type: text/event-stream",)
        ),
    )
    answered = world.ask()
    assert answered.whole and len(answered.body) == len(text) and world.stub.encode() in answered.body


PACKED = {
    "gzip": gzip.compress, "deflate": zlib.compress, "br": brotli.compress,
    "zstd": lambda data: zstandard.ZstdCompressor().compress(data),
    "gzip, br": lambda data: brotli.compress(gzip.compress(data)),
}  # fmt: skip


@pytest.mark.parametrize("coding", PACKED)
def test_a_packed_body_is_unpacked_and_scrubbed(world: World, coding: str) -> None:
    says(world, answer(PACKED[coding](SECRET * 3), "200 OK", f"Content-Encoding: {coding}"))
    answered = world.ask("/v1/x", "Accept-Encoding: gzip, br, zstd")
    assert answered.whole and answered.body == world.stub.encode() * 3 and not answered.header("content-encoding")
    assert world.upstream.asked[0].header("accept-encoding") == ["identity"]


def test_no_part_of_a_body_is_asked_for(world: World) -> None:
    world.ask("/v1/x", "Range: bytes=0-19", 'If-Range: "1"')
    assert not world.upstream.asked[0].header("range") and not world.upstream.asked[0].header("if-range")


# -- what is not whole ------------------------------------------------------------------------------------------------

LONG = gzip.compress(bytes(range(256)) * 4000)


def _breaks(*parts: bytes, reset: bool = False) -> Iterable[bytes]:
    yield from parts
    raise HangUp(reset=reset)


HEAD = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize("reset", [False, True], ids=["end", "reset"])
@pytest.mark.parametrize(
    "parts",
    [
        (HEAD + b"Content-Length: 50\r\n\r\nhalf of it",),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhelloXX",),
        (
            HEAD + b"Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"%x\r\n" % 500 + LONG[:500] + b"\r\n0\r\n\r\n",
        ),
        (HEAD + b"Content-Encoding: gzip\r\nContent-Length: 600\r\n\r\n", LONG[:200] + b"corrupt!" * 50),
    ],
    ids=["length", "chunks", "bad chunk", "half a gzip", "corrupt gzip"],
)
def test_an_answer_that_breaks_off_never_looks_whole(world: World, parts: tuple[bytes, ...], reset: bool) -> None:
    world.upstream.answering = lambda asked: _breaks(*parts, reset=reset)
    answered = world.ask()
    assert not answered.whole or answered.code in ("bad_response", "upstream_gone", "bad_encoding"), answered


def test_a_bomb_is_cut_and_memory_stays_flat(world: World) -> None:
    zeros = zlib.compressobj(9, zlib.DEFLATED, 31)
    bomb = b"".join(zeros.compress(bytes(1 << 20)) for _ in range(200)) + zeros.flush()
    says(world, answer(bomb, "200 OK", "Content-Encoding: gzip"))
    world.ask("/v1/warm-up")
    before = world.vault.memory()
    answered = world.ask()
    assert not answered.whole and len(answered.body) < 100 << 20
    world.seen.clear()
    assert world.vault.memory() - before < 48 << 20


def test_an_answer_in_no_known_coding_is_refused(world: World) -> None:
    says(world, answer(b"what is this", "200 OK", "Content-Encoding: rot13"))
    assert world.ask().code == "bad_encoding"


# -- HTTP as clients know it ------------------------------------------------------------------------------------------


def test_what_has_no_body_keeps_what_is_said_of_it(world: World) -> None:
    says(world, HEAD + b"Content-Length: 1234\r\nETag: x\r\n\r\n")
    answered = world.ask(method="HEAD")
    assert (answered.status, answered.header("content-length"), answered.body) == (200, ["1234"], b"")
    says(world, b"HTTP/1.1 204 No Content\r\n\r\n")
    assert (answered := world.ask()).status == 204 and not answered.header("content-length")
    says(world, b"HTTP/1.1 304 Not Modified\r\nETag: x\r\n\r\n")
    assert (answered := world.ask()).status == 304 and answered.body == b"" and answered.whole


def test_several_requests_use_one_connection_each_way(world: World) -> None:
    before = world.upstream.connections
    says(world, in_chunks(b"a", b"b"))
    with world.session.tls(HOST) as connection:
        for number in range(3):
            connection.sendall(request(HOST, f"/v1/{number}", f"Authorization: Bearer {world.stub}"))
            assert read_answer(connection).body == b"ab"
    assert world.upstream.connections - before == 1


def test_a_client_of_http_1_0_gets_no_chunks(world: World) -> None:
    says(world, in_chunks(b"one", b"two"))
    with world.session.tls(HOST) as connection:
        connection.sendall(f"GET /v1/x HTTP/1.0\r\nHost: {HOST}\r\nAuthorization: Bearer {world.stub}\r\n\r\n".encode())
        seen = b""
        while data := connection.recv(65536):
            seen += data
    assert seen.endswith(b"\r\n\r\nonetwo") and b"chunked" not in seen


def test_a_client_that_waits_for_100_is_told_to_go_on_only_if_it_may(world: World) -> None:
    slot = f"Authorization: Bearer {world.stub}"
    with world.session.tls(HOST) as connection:
        connection.sendall(request(HOST, "/v1/x", slot, "Expect: 100-continue", "Content-Length: 5", method="PUT"))
        assert connection.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"hello")
        assert read_answer(connection).body.endswith(b"hello")
    assert not world.upstream.asked[0].header("expect")
    with world.session.tls(HOST) as connection:
        connection.sendall(request(HOST, "/v2/x", slot, "Expect: 100-continue", "Content-Length: 5", method="PUT"))
        assert read_answer(connection).code == "no_binding"
        assert connection.recv(65536) == b""


def test_an_upstream_that_changes_the_protocol_unasked_is_refused(world: World) -> None:
    says(world, b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n")
    assert world.ask("/v1/x", "Connection: upgrade", "Upgrade: h2c").code == "bad_response"


@pytest.mark.parametrize(("method", "status"), [("GET", 200), ("POST", 502)])
def test_on_a_connection_that_closes_under_it_only_what_may_be_repeated_is(
    world: World, method: str, status: int
) -> None:
    count = iter(range(100))

    def answering(asked: Asked) -> Iterable[bytes]:
        if asked.target.endswith("again") and next(count) == 0:
            raise HangUp
        yield answer(b"here")

    world.upstream.answering = answering
    slot = f"Authorization: Bearer {world.stub}"
    with world.session.tls(HOST) as connection:
        connection.sendall(request(HOST, "/v1/first", slot))
        assert read_answer(connection).body == b"here"
        connection.sendall(request(HOST, "/v1/again", slot, method=method, body=b"{}" if method == "POST" else b""))
        answered = read_answer(connection)
    assert answered.status == status and answered.code == ("" if status == 200 else "upstream_gone")
    if answered.code:
        assert "closed the connection" in json.loads(answered.body)["error"]["message"]


def test_a_stream_is_passed_on_as_it_comes(world: World) -> None:
    go_on = threading.Event()

    def answering(asked: Asked) -> Iterable[bytes]:
        yield HEAD + b"Content-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n9\r\ndata: 1\n\n\r\n"
        assert go_on.wait(15)
        yield b"9\r\ndata: 2\n\n\r\n0\r\n\r\n"

    world.upstream.answering = answering
    with world.session.tls(HOST) as connection:
        connection.sendall(request(HOST, "/v1/x", f"Authorization: Bearer {world.stub}"))
        seen = b""
        while b"data: 1\n\n" not in seen:
            seen += connection.recv(65536)
        go_on.set()
        while b"data: 2\n\n" not in seen:
            seen += connection.recv(65536)


# -- tokens -----------------------------------------------------------------------------------------------------------

ACCESS, REFRESH = "fake-4ccess-9tRb7Wq2Lx", "fake-r3fresh-Kp5Vn8Zd1M"
FORM = "grant_type=authorization_code&code=1234&client_id=cli"


def _issues(asked: Asked) -> Iterable[bytes]:
    tokens = {"access_token": ACCESS, "refresh_token": REFRESH, "token_type": "bearer"}
    yield answer(json.dumps(tokens).encode(), "200 OK", "Content-Type: application/json")


def _login(world: World, *lines: str, body: bytes) -> Answer:
    answered = world.ask("/v1/oauth/token", *lines, method="POST", body=body)
    Canary(ACCESS.encode(), REFRESH.encode()).absent("the answer to a login", answered.all)
    return answered


@pytest.mark.parametrize(
    ("lines", "body"),
    [
        (("Content-Type: application/x-www-form-urlencoded",), FORM.encode()),
        (("Content-Type: application/json",), b'{"grant_type": "authorization_code", "code": "1"}'),
        (("Transfer-Encoding: chunked",), chunked(*(FORM[at : at + 3].encode() for at in range(0, len(FORM), 3)))),
        (("Content-Type: application/json",), b'{"pad": "' + b"x" * (1 << 20) + b'", "grant_type": "refresh_token"}'),
        (("Content-Encoding: gzip",), gzip.compress(FORM.encode())),
    ],
    ids=["form", "json", "chunked", "padded", "packed"],
)
def test_the_tokens_of_a_login_stay_in_the_vault(world: World, lines: tuple[str, ...], body: bytes) -> None:
    world.upstream.answering = _issues
    answered = _login(world, *lines, body=body)
    assert answered.status == 200
    token = json.loads(answered.body)["access_token"]
    assert token != ACCESS and len(token) == len(ACCESS)
    world.upstream.asked.clear()
    world.ask("/v1/me", f"Authorization: Bearer {token}", stub=False)
    assert world.upstream.asked[0].header("authorization") == [f"Bearer {ACCESS}"]


def test_a_stream_of_events_is_no_token_however_it_was_asked_for(world: World) -> None:
    says(world, in_chunks(b"data: 1\n\n", headers=("Content-Type: text/event-stream",)))
    assert (
        _login(world, "Transfer-Encoding: chunked", body=chunked(b'{"messages": "client_id"}')).body == b"data: 1\n\n"
    )


def test_an_answer_too_long_to_be_searched_is_refused_where_it_may_hold_a_token(world: World) -> None:
    says(world, answer(b'{"pad": "' + b"x" * (2 << 20) + b'"}', "200 OK", "Content-Type: application/json"))
    assert _login(world, "Content-Type: application/x-www-form-urlencoded", body=FORM.encode()).code == "capture_failed"
