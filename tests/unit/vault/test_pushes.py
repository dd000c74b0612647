"""Requests under a binding with `refs`: git's own, held to the rules; anything else that changes something, refused."""

import asyncio
from collections.abc import Sequence

import pytest

from penstock.vault.bodies import Whole, whole
from penstock.vault.git import PushCheck, RefUpdate, packet, parse_ref_rule
from penstock.vault.pushes import Push
from penstock.vault.rules import parse_binding
from penstock.vault.ssh.bound import PushGate
from penstock.vault.values import Headers, Refusal, RequestHead

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


# -- pushes that somebody is asked about ------------------------------------------------------------------------------


class Pieces:
    """A body in pieces, which knows how many were read."""

    length = None
    trailers: Headers = ()

    def __init__(self, *pieces: bytes) -> None:
        self.pieces = pieces
        self.read_so_far = 0

    async def read(self) -> bytes:
        self.read_so_far += 1
        return self.pieces[self.read_so_far - 1] if self.read_so_far <= len(self.pieces) else b""


class Somebody:
    """Who is asked, and answers when told to."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.is_asked = asyncio.Event()
        self.answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    async def __call__(self, updates: Sequence[RefUpdate], refusal: Refusal) -> None:
        self.asked += [f"{each.action} {each.ref}" for each in updates]
        self.is_asked.set()
        if not await self.answer:
            raise refusal


@pytest.mark.parametrize("allowed", [True, False])
def test_no_more_is_read_while_somebody_is_asked(allowed: bool) -> None:
    async def run() -> None:
        somebody = Somebody()
        commands = push("refs/heads/agent/x", "refs/heads/main")
        body = Pieces(commands[:50], commands[50:] + b"PACK", b"x" * 10, b"y" * 10)
        one = Push(BINDING, head("POST", "/owner/app.git/git-receive-pack"), somebody)
        checking = asyncio.ensure_future(one.checked(body))
        await somebody.is_asked.wait()
        assert (somebody.asked, body.read_so_far) == (["create refs/heads/main"], 2)
        somebody.answer.set_result(allowed)
        if allowed:
            assert (await whole(await checking, 1 << 20)).data == b"".join(body.pieces)
            return
        with pytest.raises(Refusal, match="refs/heads/main"):
            await checking
        assert body.read_so_far == 2

    asyncio.run(run())


def test_over_ssh_the_commands_wait_and_all_else_is_not_taken() -> None:
    async def run() -> None:
        somebody = Somebody()
        gate = PushGate(PushCheck([parse_ref_rule("refs/heads/agent/*")]), somebody)
        assert gate.feed(push("refs/heads/main") + b"PACK") == b""
        question = gate.question()
        assert question is not None and gate.question() is None
        somebody.answer.set_result(True)
        assert await question() == push("refs/heads/main") + b"PACK"
        assert [each.line for each in gate.decisions()] == ["create refs/heads/main"]
        assert gate.feed(b"more") == b"more"

    asyncio.run(run())


def test_over_ssh_a_no_sends_nothing() -> None:
    async def run() -> None:
        gate = PushGate(PushCheck([parse_ref_rule("refs/heads/agent/*")]))
        assert gate.feed(push("refs/heads/main")) == b""
        question = gate.question()
        assert question is not None
        with pytest.raises(Refusal) as refused:
            await question()
        assert b"ng refs/heads/main refused by penstock (ref_not_allowed)" in gate.answer(refused.value)
        assert gate.end() == b"" and not gate.decisions()

    asyncio.run(run())
