"""Which engines are spoken to, in which version, and what is said when one refuses or is none."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from penstock.agents.sandboxes.docker import DockerDriver
from penstock.agents.sandboxes.docker.engine import NEWEST, Engine, Refused, Version, chosen, named, socket_of
from penstock.agents.sandboxes.driver import HostLacks

VERSION = b'{"Version":"20.10.24","ApiVersion":"1.41","MinAPIVersion":"1.12","Platform":{"Name":""}}'


@pytest.mark.parametrize(
    ("least", "most", "version"),
    [
        ("1.12", "1.41", "1.41"),  # 20.10
        ("1.24", "1.47", "1.47"),
        ("1.12", "1.99", ".".join(map(str, NEWEST))),  # newer than we know, but speaks what we know
        ("1.60", "1.99", "1.60"),  # has forgotten what we know: the oldest that it has is the nearest
        ("", "1.44", "1.44"),
    ],
)
def test_the_newest_version_that_both_know(least: str, most: str, version: str) -> None:
    assert chosen(Version(api_version=most, min_a_p_i_version=least)) == version


@pytest.mark.parametrize("most", ["1.40", "1.9", "0.99", "", "x.y", "1", "1.4.1"])
def test_an_engine_too_old_or_without_a_version_is_refused(most: str) -> None:
    with pytest.raises(HostLacks):
        chosen(Version(api_version=most))


def test_an_engine_is_named_by_its_socket() -> None:
    assert socket_of("/run/docker.sock") == socket_of("unix:///run/docker.sock") == "/run/docker.sock"


@pytest.mark.parametrize(
    "address", ["tcp://10.0.0.1:2376", "ssh://host", "http://host", "docker.sock", "", "npipe://x"]
)
def test_an_engine_on_another_machine_is_refused(address: str, tmp_path: Path) -> None:
    with pytest.raises(HostLacks, match="another machine"):
        DockerDriver(tmp_path, engine=address)


def test_a_name_stays_one_step_of_a_path() -> None:
    assert named("a/../b?c", "/json") == "/containers/a%2F..%2Fb%3Fc/json"


@asynccontextmanager
async def answering(folder: Path, *answers: bytes) -> AsyncIterator[tuple[Engine, list[str]]]:
    """An engine that gives these answers, one a request, and then hangs up; the list has what was asked."""
    asked: list[str] = []
    left = list(answers)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        asked.append(head.split(b" HTTP", 1)[0].decode())
        writer.write(left.pop(0) if left else b"")
        await writer.drain()
        writer.close()

    server = await asyncio.start_unix_server(serve, folder / "socket")
    engine = Engine(str(folder / "socket"))
    try:
        yield engine, asked
    finally:
        await engine.close()
        server.close()


def reply(body: bytes, status: str = "200 OK") -> bytes:
    return b"HTTP/1.1 %s\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%s" % (status.encode(), len(body), body)


def ask(folder: Path, *answers: bytes, **query: str) -> tuple[Any, list[str]]:
    async def run() -> tuple[Any, list[str]]:
        async with answering(folder, *answers) as (engine, asked):
            return await engine.ask("POST", "/thing", {"A": 1}, **query), asked

    return asyncio.run(run())


def test_questions_carry_the_version_that_was_agreed_on(tmp_path: Path) -> None:
    said, asked = ask(tmp_path, reply(VERSION), reply(b'{"Id":"x"}'), name="a b&c")
    assert said == {"Id": "x"}
    assert asked == ["GET /version", "POST /v1.41/thing?name=a+b%26c"]


def test_an_empty_answer_is_none(tmp_path: Path) -> None:
    assert ask(tmp_path, reply(VERSION), reply(b"", "204 No Content"))[0] is None


@pytest.mark.parametrize(
    ("answer", "status", "words"),
    [
        (reply(b'{"message":"no such image: x"}', "404 Not Found"), 404, "no such image: x"),
        (reply(b"<html>", "502 Bad Gateway"), 502, "status 502"),
        (reply(b"[1]", "500 Oops"), 500, "status 500"),
        (reply(b'{"message":null}', "500 Oops"), 500, "status 500"),
    ],
)
def test_what_an_engine_refuses_is_told_in_its_words(tmp_path: Path, answer: bytes, status: int, words: str) -> None:
    with pytest.raises(Refused, match=words) as caught:
        ask(tmp_path, reply(VERSION), answer)
    assert caught.value.answered == status


@pytest.mark.parametrize("answers", [[], [b"\0\0\0"], [reply(b"hello")], [reply(VERSION)], [reply(b'["x"]')]])
def test_what_is_no_engine_or_hangs_up_is_said(tmp_path: Path, answers: list[bytes]) -> None:
    with pytest.raises(HostLacks, match="engine"):
        ask(tmp_path, *answers)
