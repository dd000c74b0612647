"""How long a body may keep its reader waiting, over real sockets: nothing here would end without the limit."""

from __future__ import annotations

import gzip
import ssl
import threading
from pathlib import Path

import pytest

from penstock.calls.body_limits import WholeBody
from penstock.calls.transport import Network
from penstock.exchange import Broken, Reply
from tests.support.raw_server import HOLD, saying
from tests.unit.calls.test_transport import Ask, ask, certificate, request

__all__ = ["ask", "certificate"]

STREAM = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"
WHOLE = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n"
PIECE = b"data: {}\n\n"


@pytest.mark.parametrize("body", [(STREAM, HOLD), (STREAM, PIECE, HOLD), (WHOLE, HOLD), (WHOLE, b"{", HOLD)])
def test_the_deadline_ends_a_silence_however_long_one_may_last(ask: Ask, body: tuple[bytes, ...]) -> None:
    with saying(*body) as server:
        found = ask(request(server.url, stream=STREAM in body, left=0.5))
    assert found == Broken("timeout", "the deadline for the whole call is over", sent=True)


def test_the_deadline_counts_from_the_request_and_not_from_the_head(ask: Ask) -> None:
    drip = [step for _ in range(40) for step in (PIECE, 0.05)]
    with saying(0.7, STREAM, *drip) as server:
        found = ask(request(server.url, stream=True, left=1.0))
    assert found == Broken("timeout", "the deadline for the whole call is over", sent=True)


def test_the_first_token_has_a_limit_of_its_own_behind_the_head_too(ask: Ask) -> None:
    with saying(STREAM, HOLD) as server:
        found = ask(request(server.url, stream=True, first_token=0.3, between_tokens=60.0))
    assert found == Broken("timeout", "nothing came for 0.3 s", sent=True)


def test_a_first_token_may_take_its_time_behind_the_head(ask: Ask) -> None:
    with saying(STREAM, 0.6, PIECE) as server:
        found = ask(request(server.url, stream=True, first_token=60.0, between_tokens=0.2))
    assert isinstance(found, Reply) and found.body == PIECE


@pytest.mark.parametrize("first", [60.0, 0.3])
def test_a_silence_in_the_middle_says_how_long_it_was(ask: Ask, first: float) -> None:
    with saying(STREAM, PIECE, HOLD) as server:
        found = ask(request(server.url, stream=True, first_token=first, between_tokens=0.3))
    assert found == Broken("timeout", "nothing more came for 0.3 s", sent=True)


def test_an_encrypted_connection_is_ended_too(ask: Ask, certificate: tuple[Path, Path]) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    trusted = Network(trust_environment=False, verify=str(certificate[0]))
    with saying(STREAM, PIECE, HOLD, tls=context) as server:
        found = ask(request(server.url, stream=True, left=0.5), trusted)
    assert found == Broken("timeout", "the deadline for the whole call is over", sent=True)


ENDLESS = [b"x" * 65536] * 100_000


def test_of_an_error_without_an_end_the_beginning_is_read(ask: Ask) -> None:
    with saying(b"HTTP/1.1 500 X\r\ncontent-type: text/plain\r\n\r\n", *ENDLESS) as server:
        found = ask(request(server.url))
    assert isinstance(found, Reply) and found.status == 500
    assert set(found.body) == {ord("x")} and len(found.body) < 2 * 1024 * 1024


@pytest.mark.parametrize("packed", [False, True])
def test_an_answer_without_an_end_is_left(ask: Ask, monkeypatch: pytest.MonkeyPatch, packed: bool) -> None:
    monkeypatch.setattr(WholeBody, "LONGEST", 4 * 1024 * 1024)
    head, body = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n", ENDLESS
    if packed:
        head, body = head + b"content-encoding: gzip\r\n", [gzip.compress(b" " * 50_000_000)]
    with saying(head + b"\r\n", *body) as server:
        found = ask(request(server.url))
    assert found == Broken("protocol", "the answer is longer than 4,194,304 bytes", sent=True)


def test_nobody_watches_when_all_is_over(ask: Ask) -> None:
    with saying(STREAM, PIECE) as server:
        assert isinstance(ask(request(server.url, stream=True, left=60.0)), Reply)
    for thread in threading.enumerate():
        if thread.name == "penstock-watchdog":
            thread.join(10)
            assert not thread.is_alive()
