"""One obtains a credential, the others wait: played like a script, step by step."""

from __future__ import annotations

from typing import Any

import pytest

from penstock.providers.auth.commands import Fetch, Fetched, Flow, Join, Joined, Unreachable, fetch
from penstock.providers.auth.credentials import Borrowing, Credential, CredentialCache, Token
from penstock.providers.auth.single_flight import obtain_once
from penstock.providers.errors import ProviderError

ASK = Fetch(method="POST", url="https://tokens.example/")
ANSWER = Fetched(200, {}, b"t")


def obtain(now: float) -> Flow[Credential]:
    answer = yield from fetch(ASK)
    if isinstance(answer, Unreachable):
        raise ProviderError("token_unreachable", "nobody is there", "wait")
    if answer.status != 200:
        raise ProviderError("token_refused", "no", "ask for the role", status=answer.status)
    return Token(answer.body.decode(), expires_at=now + 30)  # within the margin: spent at once


class Call:
    """One of the calls that need the credential."""

    def __init__(self, cache: CredentialCache) -> None:
        self._flow = obtain_once(Borrowing(cache), "key", obtain, 0.0)
        self.asks: Any = next(self._flow)

    def gets(self, outcome: Any) -> Any:
        """What the call does with an outcome: its next command, or the credential that it ends with."""
        try:
            self.asks = self._flow.send(outcome)
        except StopIteration as done:
            return done.value
        return self.asks

    def is_dropped(self) -> None:
        self._flow.close()


def test_what_one_brings_is_everybodys() -> None:
    cache = CredentialCache()
    first, second, third = Call(cache), Call(cache), Call(cache)
    assert first.asks == ASK
    assert isinstance(second.asks, Join) and isinstance(third.asks, Join)
    token = first.gets(ANSWER)
    assert [token, second.gets(Joined(True)), third.gets(Joined(True))] == [Token("t", 30.0)] * 3
    assert Call(cache).asks == ASK, "it was spent at once: who comes later needs another"


def test_an_error_is_everybodys_too() -> None:
    cache = CredentialCache()
    first, second = Call(cache), Call(cache)
    errors = []
    for call, outcome in ((first, Fetched(403, {}, b"")), (second, Joined(True))):
        with pytest.raises(ProviderError, match="no") as raised:
            call.gets(outcome)
        errors.append(raised.value)
    assert errors[0] is not errors[1], "each has a traceback of its own"
    assert errors[0].kind == errors[1].kind == "token_refused" and errors[1].fix == "ask for the role"
    assert Call(cache).asks == ASK, "the next one tries again"


def test_where_nobody_answered_one_of_those_who_wait_asks_once_more() -> None:
    """It may have been the first one's deadline only."""
    cache = CredentialCache()
    first, second, third = Call(cache), Call(cache), Call(cache)
    with pytest.raises(ProviderError, match="nobody is there"):
        first.gets(Unreachable("no answer within 0.1 s"))
    assert second.gets(Joined(True)) == ASK
    assert isinstance(third.gets(Joined(True)), Join)
    for call, outcome in ((second, Unreachable("no answer within 5 s")), (third, Joined(True))):
        with pytest.raises(ProviderError, match="nobody is there"):
            call.gets(outcome)


def test_who_gives_up_leaves_it_to_the_next() -> None:
    cache = CredentialCache()
    first, second, third = Call(cache), Call(cache), Call(cache)
    first.is_dropped()
    assert second.gets(Joined(True)) == ASK
    assert isinstance(third.gets(Joined(True)), Join), "only one of those who waited"
    assert second.gets(ANSWER) == third.gets(Joined(True)) == Token("t", 30.0)


def test_who_cannot_wait_asks_alone() -> None:
    cache = CredentialCache()
    first, second = Call(cache), Call(cache)
    assert second.gets(Joined(False)) == ASK
    assert second.gets(ANSWER) == Token("t", 30.0)
    assert first.gets(ANSWER) == Token("t", 30.0)


def test_other_keys_do_not_wait() -> None:
    cache = CredentialCache()
    Call(cache)
    other = obtain_once(cache, "another key", obtain, 0.0)
    assert next(other) == ASK
