"""The side of HTTP/1.1 that faces the sandbox: who is slow is told so and left, and no request is answered twice."""

import asyncio
import socket
from collections.abc import Awaitable, Callable

import pytest

from penstock.vault import http1_client_side
from penstock.vault.http1_client_side import Asked, ClientSide
from penstock.vault.stream import Stream
from penstock.vault.values import Refusal, ResponseHead

Talking = Callable[[socket.socket], Awaitable[None]]


async def answer(asked: Asked) -> None:
    """Read the body, and say its size."""
    size = 0
    while data := await asked.body.read():
        size += len(data)
    body = b"%d" % size
    await asked.reply.head(ResponseHead(200, "OK", ()), len(body))
    await asked.reply.data(body)
    await asked.reply.end()


async def refuse_at_once(asked: Asked) -> None:
    await asked.reply.head(ResponseHead(403, "Forbidden", ()), 2)
    await asked.reply.data(b"no")
    await asked.reply.end()


def talk(talking: Talking, answering: Callable[[Asked], Awaitable[None]] = answer) -> tuple[bytes, list[Refusal]]:
    """Let a client talk to a served connection; return all that it was sent, and what was refused."""

    async def run() -> tuple[bytes, list[Refusal]]:
        ours, theirs = socket.socketpair()
        for each in (ours, theirs):
            each.setblocking(False)
        gone = asyncio.Event()
        stream, refused = Stream(gone.set), list[Refusal]()
        await asyncio.get_running_loop().connect_accepted_socket(lambda: stream, theirs)
        serving = asyncio.ensure_future(ClientSide(stream, refused.append).serve(answering))
        speaking = asyncio.ensure_future(talking(ours))
        seen = b""
        async with asyncio.timeout(10):
            while data := await asyncio.get_running_loop().sock_recv(ours, 65536):
                seen += data
            speaking.cancel()
            await asyncio.gather(serving, speaking, return_exceptions=True)
            await gone.wait()
        ours.close()
        return seen, refused

    return asyncio.run(run())


async def say(sock: socket.socket, *parts: bytes, pause: float = 0.0) -> None:
    for part in parts:
        await asyncio.get_running_loop().sock_sendall(sock, part)
        await asyncio.sleep(pause)


HEAD = b"POST / HTTP/1.1\r\nHost: a\r\n"


def test_a_head_that_comes_byte_by_byte_does_not_take_as_long_as_it_likes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http1_client_side, "HEAD_SECONDS", 0.2)
    endless = HEAD + b"X: " + b"a" * 5000
    seen, refused = talk(lambda sock: say(sock, *(endless[at : at + 1] for at in range(len(endless))), pause=0.01))
    assert seen.startswith(b"HTTP/1.1 408 Request Timeout\r\n") and [each.code for each in refused] == ["too_slow"]


def test_who_says_nothing_is_left_without_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http1_client_side, "IDLE_SECONDS", 0.05)
    assert talk(lambda sock: say(sock)) == (b"", [])
    seen, _ = talk(lambda sock: say(sock, HEAD + b"Content-Length: 0\r\n\r\n"))
    assert seen.count(b"HTTP/1.1 200 OK") == 1, "after an answer, too"


def test_a_body_that_brings_nothing_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http1_client_side, "BODY_SECONDS", 0.05)
    seen, _ = talk(lambda sock: say(sock, HEAD + b"Content-Length: 5\r\n\r\nabc"))
    assert seen.startswith(b"HTTP/1.1 408")


def test_after_a_refusal_a_broken_body_gets_no_second_answer() -> None:
    head = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
    rest = b"not a chunk\r\nGET /next HTTP/1.1\r\nHost: a\r\n\r\n"
    seen, refused = talk(lambda sock: say(sock, head, rest, pause=0.05), refuse_at_once)
    assert seen.count(b"HTTP/1.1 ") == 1 and not refused


def test_after_a_refusal_the_rest_of_a_body_is_no_request() -> None:
    inner = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
    request = HEAD + b"Content-Length: %d\r\n\r\n" % len(inner) + inner
    after = b"GET /after HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    seen, _ = talk(lambda sock: say(sock, request + after), refuse_at_once)
    assert seen.count(b"HTTP/1.1 403") == 2


def test_a_malformed_request_after_a_good_one_is_answered_and_ends_it() -> None:
    seen, refused = talk(lambda sock: say(sock, HEAD + b"Content-Length: 1\r\n\r\nxGET / HTTP/1.1\nHost: a\n\n"))
    assert seen.count(b"HTTP/1.1 200") == 1 and seen.count(b"HTTP/1.1 400") == 1 and len(refused) == 1
