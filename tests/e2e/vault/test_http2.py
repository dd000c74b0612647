"""HTTP/2 through a real vault: the same rules for each stream, and what only HTTP/2 has."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.vault.conftest import HOST, OTHER, SECRET, World
from tests.support.http2 import Answer2, Asked2, Client2, Fields, Http2Upstream, Said, echo, http2_upstream
from tests.support.vaults import Session, ended, until


class World2:
    """A session whose upstream speaks HTTP/2, and a client of it."""

    def __init__(self, world: World, upstream: Http2Upstream) -> None:
        self.world = world
        self.upstream = upstream
        there = f"127.0.0.1:{upstream.port}"
        self.session: Session = world.open(
            pins={HOST: there, OTHER: there}, upstream_cas={HOST: upstream.ca_pem, OTHER: upstream.ca_pem}
        )
        self.stub = self.session.env["TOKEN"]
        self.client = self.connect()

    def connect(self) -> Client2:
        return Client2(self.session.tls(HOST, 443, "h2"))

    def fields(self, path: str = "/v1/x", *more: tuple[str, str], method: str = "GET", host: str = HOST) -> Fields:
        pseudo = [(":method", method), (":scheme", "https"), (":authority", host), (":path", path)]
        return [*pseudo, ("authorization", f"Bearer {self.stub}"), *more]

    def ask(self, fields: Fields, body: bytes | None = None) -> Answer2:
        answered = self.client.ask(fields, body)
        self.world.seen.append(answered.all)
        return answered


@pytest.fixture(scope="module")
def upstream2(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Http2Upstream]:
    with http2_upstream(tmp_path_factory.mktemp("http2"), HOST, OTHER) as upstream:
        yield upstream


@pytest.fixture
def world2(world: World, upstream2: Http2Upstream) -> Iterator[World2]:
    upstream2.answering = echo
    upstream2.asked.clear()
    made = World2(world, upstream2)
    yield made
    made.session.close()


def test_streams_side_by_side_go_up_one_connection_with_the_secret(world2: World2) -> None:
    before = world2.upstream.connections
    numbers = [world2.client.begin(world2.fields(f"/v1/{each}")) for each in range(20)]
    for number in numbers:
        answered = world2.client.answer(number)
        assert answered.status == 200 and world2.stub.encode() in answered.body
        world2.world.seen.append(answered.all)
    assert world2.upstream.connections - before == 1
    assert {asked.field("authorization")[0] for asked in world2.upstream.asked} == {f"Bearer {SECRET.decode()}"}
    assert {asked.field("te")[0] for asked in world2.upstream.asked} == {"trailers"}, "gRPC servers insist on it"


def test_bodies_and_trailers_pass_both_ways(world2: World2) -> None:
    status = [("grpc-status", "0"), ("grpc-message", SECRET.decode())]
    world2.upstream.answering = lambda asked: Said([(":status", "200")], asked.body, status)
    answered = world2.ask(world2.fields("/v1/grpc", ("te", "trailers"), method="POST"), b"\0\0\0\0\5hello")
    assert answered.body == b"\0\0\0\0\5hello"
    assert answered.trailers == [("grpc-status", "0"), ("grpc-message", world2.stub)]


def test_a_secret_in_heads_and_bodies_becomes_its_stub(world2: World2) -> None:
    fields = [(":status", "401"), ("www-authenticate", f"Bearer {SECRET.decode()}")]
    world2.upstream.answering = lambda asked: Said(fields, SECRET.hex().encode())
    answered = world2.ask(world2.fields())
    assert answered.body == world2.stub.encode().hex().encode()


def test_each_stream_is_judged_by_its_own_authority_and_path(world2: World2) -> None:
    for fields, status in (
        (world2.fields(host=OTHER), 421),
        (world2.fields("/v2/x"), 403),
        (world2.fields("/v1/../v2"), 400),
        (world2.fields(method="TRACE"), 405),
    ):
        assert world2.ask(fields).status == status, fields
    assert not world2.upstream.asked
    assert world2.ask(world2.fields()).status == 200, "the other streams go on"


@pytest.mark.parametrize(
    "extra",
    [("Upper-Case", "x"), ("connection", "keep-alive"), ("transfer-encoding", "chunked"), ("x", "a\r\nb: c"),
     ("content-length", "5"), (":path", "/v1/other"), ("te", "gzip"), ("host", OTHER)],
    ids=lambda extra: extra[0],
)  # fmt: skip
def test_a_malformed_head_is_answered_or_reset_and_written_down(world2: World2, extra: tuple[str, str]) -> None:
    answered = world2.client.ask([*world2.fields(), extra])
    assert answered.status in (0, 400) and (answered.status or answered.reset is not None), answered
    assert not world2.upstream.asked
    assert until(lambda: world2.session.audit("deny"))


def test_a_body_of_another_length_than_was_said_is_no_request(world2: World2) -> None:
    number = world2.client.begin([*world2.fields(method="POST"), ("content-length", "9")], b"four")
    answered = world2.client.answer(number)
    assert answered.status == 400 or answered.reset is not None
    assert not world2.upstream.asked


def test_who_leaves_a_stream_ends_it_upstream(world2: World2) -> None:
    world2.upstream.answering = lambda asked: Said([(":status", "200")], b"and then", held=True)
    before = world2.upstream.resets
    number = world2.client.begin(world2.fields())
    until(lambda: world2.upstream.asked)
    world2.client.lib.reset_stream(number, 8)
    world2.client.flush()
    until(lambda: world2.upstream.resets > before)
    world2.upstream.answering = echo
    assert world2.ask(world2.fields()).status == 200


def test_a_stream_that_its_upstream_ends_never_looks_whole(world2: World2) -> None:
    def answering(asked: Asked2) -> Said | None:
        return None

    world2.upstream.answering = answering
    answered = world2.ask(world2.fields(method="POST"), b"x")
    assert answered.status == 502 or answered.reset is not None


def test_a_client_of_http2_reaches_an_upstream_of_http1(world: World) -> None:
    with world.session.tls(HOST, 443, "h2", "http/1.1") as stream:
        client = Client2(stream)
        fields = [(":method", "POST"), (":scheme", "https"), (":authority", HOST), (":path", "/v1/x"),
                  ("authorization", f"Bearer {world.stub}")]  # fmt: skip
        numbers = [client.begin(fields, b"body %d" % each) for each in range(5)]
        for each, number in enumerate(numbers):
            answered = client.answer(number)
            assert answered.status == 200 and b"body %d\r\n" % each in answered.body
            world.seen.append(answered.all)


def test_a_freeze_cuts_streams_on_both_sides(world2: World2) -> None:
    world2.upstream.answering = lambda asked: Said([(":status", "200")], b"and then", held=True)
    world2.client.begin(world2.fields())
    until(lambda: world2.upstream.asked)
    vault = world2.world.vault
    vault.run(vault.client.freeze(world2.session.id, "a test"))
    until(lambda: world2.upstream.open == 0)
    assert ended(world2.client.stream)


def test_a_websocket_over_http2_is_refused_in_words_and_the_connection_goes_on(world2: World2) -> None:
    """RFC 8441 is not announced; who tries it all the same gets an answer, no upgrade and no silence."""
    open_stream = world2.client.begin(world2.fields("/v1/slow", method="POST"), b"half", end=False)
    sockets = [("sec-websocket-version", "13"), ("sec-websocket-key", "AAAAAAAAAAAAAAAAAAAAAA==")]
    fields = [(":protocol", "websocket"), *world2.fields("/v1/live", *sockets, method="CONNECT")]
    number = world2.client.begin(fields, end=False)
    refused = world2.client.answer(number)
    assert refused.status == 405 and b"WebSocket over HTTP/2" in refused.body and b"HTTP/1.1" in refused.body
    assert not world2.upstream.asked
    world2.client.lib.send_data(open_stream, b" and half", end_stream=True)
    world2.client.flush()
    assert world2.client.answer(open_stream).body.endswith(b"half and half")
    assert world2.ask(world2.fields()).status == 200
    assert world2.client.lib.remote_settings.enable_connect_protocol == 0


def test_an_upgrade_within_http2_ends_its_stream_only(world2: World2) -> None:
    refused = world2.ask(world2.fields("/v1/live", ("upgrade", "websocket"), ("connection", "upgrade")))
    assert refused.status == 400 or refused.reset, refused
    assert world2.connect().ask(world2.fields()).status == 200
