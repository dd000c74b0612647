"""What a provider may answer, and what it may not: each over a real socket."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from penstock.gateway.upstream.reading import MAX_HEAD
from tests.support.upstream import OK, Heard, Peer, ask, client, send, serving, turns

Run = Callable[[Any], None]
HEAD = b"HTTP/1.1 200 OK\r\n"


def answer(run: Run, *steps: bytes | float | str, method: str = "POST", again: bool = False) -> tuple[Heard, int]:
    """What is heard of these steps, and (`again`) how many connections two requests took."""

    async def provider(peer: Peer) -> None:
        while await peer.request() is not None:
            for step in steps:
                if isinstance(step, bytes):
                    peer.say(step)
                elif isinstance(step, float):
                    await asyncio.sleep(step)
                elif step == "reset":
                    await asyncio.sleep(0.02)  # what was said before has left
                    peer.reset()
                    return
                elif step == "close":
                    return

    found: list[Any] = []

    async def main() -> None:
        async with serving(provider) as server, client() as upstream:
            first = await send(upstream, ask(server.url, method=method)).over()
            if again:
                await asyncio.sleep(0.02)
                await send(upstream, ask(server.url, method=method)).over()
            found.extend([first, server.connections])
            assert all(not each.open or each.idle == each.open for each in upstream.stats())

    run(main)
    return found[0], found[1]


WHOLE: dict[str, tuple[Sequence[bytes | float | str], bytes]] = {
    "length": ((HEAD + b"content-length: 5\r\n\r\nhello",), b"hello"),
    "length in pieces": ((HEAD + b"content-length: 5\r\n", b"\r\nhe", 0.01, b"llo"), b"hello"),
    "no body": ((HEAD + b"content-length: 0\r\n\r\n",), b""),
    "chunked": ((HEAD + b"transfer-encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n",), b"hello"),
    "trailers": ((HEAD + b"Transfer-Encoding: Chunked\r\n\r\n5\r\nhello\r\n0\r\nx-a: b\r\n\r\n",), b"hello"),
    "until the end": ((HEAD + b"\r\nhel", 0.01, b"lo", "close"), b"hello"),
    "until the end, empty": ((HEAD + b"\r\n", "close"), b""),
    "HTTP/1.0": ((b"HTTP/1.0 200 OK\r\n\r\nhello", "close"), b"hello"),
    "204": ((b"HTTP/1.1 204 No Content\r\n\r\n",), b""),
    "204 with a length": ((b"HTTP/1.1 204 No Content\r\ncontent-length: 3\r\n\r\n",), b""),
    "304 with a length": ((b"HTTP/1.1 304 Not Modified\r\ncontent-length: 3\r\n\r\n",), b""),
    "100": ((b"HTTP/1.1 100 Continue\r\n\r\n" + HEAD + b"content-length: 5\r\n\r\nhello",), b"hello"),
    "103 and a pause": (
        (b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n", 0.01, HEAD + b"content-length: 2\r\n\r\nhi"),
        b"hi",
    ),
    "an error": ((b"HTTP/1.1 529 Overloaded\r\ncontent-length: 2\r\n\r\n{}",), b"{}"),
    "close": ((HEAD + b"connection: close\r\ncontent-length: 5\r\n\r\nhello", "close"), b"hello"),
    "upgrade offered": ((HEAD + b"connection: upgrade\r\nupgrade: h2c\r\ncontent-length: 2\r\n\r\nhi",), b"hi"),
}


@pytest.mark.parametrize("name", WHOLE)
def test_whole_answers(run: Run, name: str) -> None:
    steps, body = WHOLE[name]
    heard, _ = answer(run, *steps)
    assert (heard.told[0], heard.told[-1], heard.body) == ("head", "end", body)


DRIPPING: list[bytes | float | str] = [b"x-a: " + b"b" * 9000 + b"\r\n", 0.005] * 8
BROKEN: dict[str, tuple[Sequence[bytes | float | str], str, str]] = {
    "closed before the head": (("close",), "read", "before an answer"),
    "reset before the head": (("reset",), "read", "before an answer"),
    "closed in the head": ((HEAD + b"content-le", "close"), "read", "answer's head"),
    "reset in the head": ((HEAD + b"content-le", "reset"), "read", "answer's head"),
    "closed after an interim head": ((b"HTTP/1.1 100 Continue\r\n\r\n", "close"), "read", "answer's head"),
    "closed in the body": ((HEAD + b"content-length: 9\r\n\r\nhello", "close"), "read", "answer's body"),
    "reset in the body": ((HEAD + b"content-length: 9\r\n\r\nhello", "reset"), "read", "answer's body"),
    "closed between chunks": ((HEAD + b"transfer-encoding: chunked\r\n\r\n2\r\nhi\r\n", "close"), "read", "body"),
    "reset between chunks": ((HEAD + b"transfer-encoding: chunked\r\n\r\n2\r\nhi\r\n", "reset"), "read", "body"),
    "closed before the last chunk's end": (
        (HEAD + b"transfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n", "close"),
        "read",
        "body",
    ),
    "reset in a body until the end": ((HEAD + b"\r\nhello", "reset"), "read", "answer's body"),
    "two lengths": ((HEAD + b"content-length: 2\r\ncontent-length: 3\r\n\r\nhi",), "protocol", "Content-Length"),
    "a list of lengths": ((HEAD + b"content-length: 2, 3\r\n\r\nhi",), "protocol", "Content-Length"),
    "a length below zero": ((HEAD + b"content-length: -2\r\n\r\nhi",), "protocol", "Content-Length"),
    "length and chunked": (
        (HEAD + b"content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",),
        "protocol",
        "Content-Length",
    ),
    "chunked and length": (
        (HEAD + b"transfer-encoding: chunked\r\ncontent-length: 2\r\n\r\n0\r\n\r\n",),
        "protocol",
        "Transfer-Encoding",
    ),
    "gzip as transfer encoding": (
        (HEAD + b"transfer-encoding: gzip, chunked\r\n\r\n",),
        "protocol",
        "not just chunked",
    ),
    "chunked twice": (
        (HEAD + b"transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",),
        "protocol",
        "not just chunked",
    ),
    "an unknown transfer encoding": ((HEAD + b"transfer-encoding: xchunked\r\n\r\n",), "protocol", "not just chunked"),
    "a bad chunk size": ((HEAD + b"transfer-encoding: chunked\r\n\r\n0x2\r\nhi\r\n",), "protocol", "chunk size"),
    "a chunk longer than it says": ((HEAD + b"transfer-encoding: chunked\r\n\r\n2\r\nhip\r\n",), "protocol", "chunk"),
    "an endless chunk extension": (
        (HEAD + b"transfer-encoding: chunked\r\n\r\n2;" + b"x" * (2 * MAX_HEAD), 0.1, b"x" * MAX_HEAD, 0.1, b"x"),
        "protocol",
        "longer than",
    ),
    "NUL in a value": ((HEAD + b"x-a: b\0c\r\n\r\n",), "protocol", "header value"),
    "CR in a value": ((HEAD + b"x-a: b\rc\r\n\r\n",), "protocol", "header value"),
    "bare LF": ((HEAD + b"x-a: b\nx-c: d\r\n\r\n",), "protocol", "header value"),
    "a folded header": ((HEAD + b"x-a: b\r\n c\r\n\r\n",), "protocol", "whitespace"),
    "a space before the colon": ((HEAD + b"x-a : b\r\n\r\n",), "protocol", "header token"),
    "no HTTP": ((b"SSH-2.0-OpenSSH_9.6\r\n",), "protocol", "not HTTP/1.1"),
    "a switch of protocols": (
        (b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\nabc",),
        "protocol",
        "status is 101",
    ),
    "a status that is none": ((b"HTTP/1.1 099 Low\r\ncontent-length: 0\r\n\r\n",), "protocol", "status is 99"),
    "a long head": ((HEAD + b"x-a: " + b"b" * MAX_HEAD + b"\r\n\r\n",), "protocol", "longer than"),
    "a long head, drop by drop": ((HEAD, *DRIPPING), "protocol", "longer than"),
    "many small heads before the head": ((b"HTTP/1.1 100 Continue\r\n\r\n" * 4000,), "protocol", "longer than"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_answers(run: Run, name: str) -> None:
    """Kind and words, and that the provider may have read the request: it did."""
    steps, kind, words = BROKEN[name]
    heard, _ = answer(run, *steps)
    assert heard.why is not None and heard.told[-1] == "broken"
    assert (heard.why.kind, heard.why.sent) == (kind, True) and words in heard.why.message


def test_headers_as_told(run: Run) -> None:
    """Lower-case names, values without the spaces around them, all of them, in order; trailers are not among them."""
    heard, _ = answer(
        run,
        HEAD + b"X-A:  b \t\r\nSet-Cookie: 1\r\nset-cookie: 2\r\nEMPTY:\r\nX-Latin: \xfc\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n0\r\nX-Trailer: t\r\n\r\n",
    )
    assert heard.status == 200
    assert heard.headers == [
        (b"x-a", b"b"),
        (b"set-cookie", b"1"),
        (b"set-cookie", b"2"),
        (b"empty", b""),
        (b"x-latin", b"\xfc"),
        (b"transfer-encoding", b"chunked"),
    ]


@pytest.mark.parametrize("headers", [b"content-length: 7\r\n", b"", b"transfer-encoding: chunked\r\n"])
def test_head_has_no_body(run: Run, headers: bytes) -> None:
    heard, _ = answer(run, HEAD + headers + b"\r\n", method="HEAD", again=True)
    assert heard.told == ["head", "end"]


KEPT: dict[str, tuple[bytes, int]] = {
    "length": (OK, 1),
    "chunked": (HEAD + b"transfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nx-t: 1\r\n\r\n", 1),
    "204": (b"HTTP/1.1 204 No Content\r\n\r\n", 1),
    "100 before": (b"HTTP/1.1 100 Continue\r\n\r\n" + OK, 1),
    "HTTP/1.0 that says so": (b"HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 2\r\n\r\nhi", 1),
    "HTTP/1.0": (b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nhi", 2),
    "close": (HEAD + b"connection: close\r\ncontent-length: 2\r\n\r\nhi", 2),
    "bytes after the end": (OK + b"x", 2),
    "half an answer after the end": (OK + b"HTTP/1.1 200 OK\r\nx-injected: 1", 2),
    "an answer after the end": (OK + OK, 2),
    "a body after a 204": (b"HTTP/1.1 204 No Content\r\ncontent-length: 2\r\n\r\nhi", 2),
    "closes at once": (HEAD + b"keep-alive: timeout=1\r\ncontent-length: 2\r\n\r\nhi", 2),
    "leaves time": (HEAD + b"Keep-Alive: timeout=60, max=99\r\ncontent-length: 2\r\n\r\nhi", 1),
}


@pytest.mark.parametrize("name", KEPT)
def test_which_connections_are_kept(run: Run, name: str) -> None:
    said, connections = KEPT[name]
    heard, made = answer(run, said, again=True)
    assert (heard.told[-1], made) == ("end", connections)


def test_bytes_that_come_while_idle_end_the_connection(run: Run) -> None:
    """The answer to a request that nobody made is given to nobody."""

    async def provider(peer: Peer) -> None:
        await peer.request()
        peer.say(OK)
        await asyncio.sleep(0.02)
        peer.say(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil")
        await peer.gone()

    async def main() -> None:
        async with serving(provider) as server, client() as upstream:
            await send(upstream, server.url).over()
            await turns(lambda: upstream.stats()[0].open == 0)
            assert (await send(upstream, server.url).over()).body == b"hi"

    run(main)


def test_early_answer_while_the_body_is_sent(run: Run) -> None:
    """A 413 is heard although most of the body never left; the connection is not used again."""

    async def provider(peer: Peer) -> None:
        await peer.reader.readuntil(b"\r\n\r\n")
        peer.say(b"HTTP/1.1 413 Content Too Large\r\ncontent-length: 3\r\n\r\nbig")
        await peer.gone()

    async def main() -> None:
        async with serving(provider) as server, client() as upstream:
            heard = await send(upstream, ask(server.url, body=b"x" * 50_000_000)).over()
            assert (heard.status, heard.body, heard.told[-1]) == (413, b"big", "end")
            await turns(lambda: upstream.stats()[0].open == 0)

    run(main)


def test_early_answer_and_reset(run: Run) -> None:
    """The same, but the provider closes without reading on: what it said first is heard all the same."""

    async def provider(peer: Peer) -> None:
        await peer.reader.readuntil(b"\r\n\r\n")
        peer.say(b"HTTP/1.1 413 Content Too Large\r\nconnection: close\r\ncontent-length: 3\r\n\r\nbig")
        await asyncio.sleep(0.05)

    async def main() -> None:
        async with serving(provider) as server, client() as upstream:
            heard = await send(upstream, ask(server.url, body=b"x" * 50_000_000)).over()
            assert (heard.status, heard.body) == (413, b"big")

    run(main)
