"""Requests under a binding with `refs`: git's own, held to the rules; anything else that changes something, refused."""

import asyncio

import pytest

from penstock.vault.bodies import Whole, whole
from penstock.vault.git import packet
from penstock.vault.pushes import Push
from penstock.vault.rules import parse_binding
from penstock.vault.values import Refusal, RequestHead

BINDING = parse_binding("* https://git.example.com:443/owner/app* basic:password refs=refs/heads/agent/*", "GIT")
OLD, NEW = "0" * 40, "1" * 40


def head(method: str, target: str) -> RequestHead:
    return RequestHead(method, target, ())


def push(*refs: str) -> bytes:
    lines = [f"{OLD} {NEW} {ref}".encode() for ref in refs]
    return b"".join(packet(line + (b"\0 report-status" if not at else b"")) for at, line in enumerate(lines)) + b"0000"


def check(body: bytes) -> bytes:
    one = Push(BINDING, head("POST", "/owner/app.git/git-receive-pack"))
    assert one.has_commands
    return asyncio.run(_checked(one, body))


async def _checked(one: Push, body: bytes) -> bytes:
    return (await whole(await one.checked(Whole(body)), 1 << 20)).data


def test_a_push_passes_whole_or_not_at_all() -> None:
    body = push("refs/heads/agent/x") + b"PACK..."
    assert check(body) == body
    with pytest.raises(Refusal, match="refs/heads/main"):
        check(push("refs/heads/agent/x", "refs/heads/main") + b"PACK...")


def test_a_push_of_nothing_has_its_verdict_at_its_end() -> None:
    assert check(b"0000") == b"0000"
    with pytest.raises(Refusal):
        check(b"0000" + push("refs/heads/main"))
    with pytest.raises(Refusal):
        check(b"00")


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "PROPFIND", "MKCOL"])
def test_what_is_not_gits_and_changes_something_is_refused(method: str) -> None:
    with pytest.raises(Refusal) as refused:
        Push(BINDING, head(method, "/owner/app/branches/main/rename"))
    assert refused.value.code == "bad_git"


@pytest.mark.parametrize("target", ["/owner/app", "/owner/app.git/info/refs?service=git-receive-pack", "/owner/app/x"])
def test_reading_goes_on(target: str) -> None:
    assert not Push(BINDING, head("GET", target)).has_commands
