"""Playbooks: a remembered credential that the host refuses is forgotten, and a fresh one is tried, once."""

import json
from typing import Any

import pytest

from penstock.calls.engine import Engine
from penstock.client.chat import ChatCall
from penstock.client.shapes import CHAT_SHAPE
from penstock.exchange import Clock, ExchangeFailed, Reply, Send, Success
from penstock.providers.auth.commands import Fetch, Fetched
from penstock.providers.auth.credentials import Borrowing, CredentialCache, Token

ANSWER = {"choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}]}
ENVIRONMENT = {
    "DATABRICKS_HOST": "https://fake.cloud.databricks.com",
    "DATABRICKS_CLIENT_ID": "fake-client",
    "DATABRICKS_CLIENT_SECRET": "fake-secret",
}


class _Host:
    """A token service that hands out token after token, and a model host that says `statuses` in turn."""

    def __init__(self) -> None:
        self.engine = Engine(environment=ENVIRONMENT, clock=Clock(lambda: 0.0, lambda: 1_800_000_000.0))
        self.tokens = 0
        self.seen: list[str] = []

    def ask(self, *statuses: int) -> Any:
        """One call, without retries of its own."""
        arguments = {"model": "databricks/m", "messages": [{"role": "user", "content": "Hello"}], "num_retries": 0}
        call = ChatCall.of(self.engine, CHAT_SHAPE, arguments)
        run = self.engine.exchange(call.plan(), call.options)
        answers = list(statuses)
        outcome: Any = None
        try:
            while True:
                step = run.send(outcome)
                outcome = self._token() if isinstance(step, Fetch) else self._reply(step, answers.pop(0))
        except StopIteration as done:
            assert not answers, "the host was asked less often than expected"
            return done.value

    def _token(self) -> Fetched:
        self.tokens += 1
        return Fetched(200, {}, json.dumps({"access_token": f"t{self.tokens}", "expires_in": 3600}).encode())

    def _reply(self, step: Any, status: int) -> Reply:
        assert isinstance(step, Send)
        self.seen.append(dict(step.request.headers)["Authorization"])
        body = ANSWER if status == 200 else {"error": {"message": "no"}}
        return Reply(status, {"content-type": "application/json"}, json.dumps(body).encode())


@pytest.mark.parametrize("status", [401, 403])
def test_a_remembered_credential_that_is_refused_is_renewed(status: int) -> None:
    host = _Host()
    assert isinstance(host.ask(200), Success)
    found = host.ask(status, 200)
    assert isinstance(found, Success)
    assert found.tried == ()
    assert host.seen == ["Bearer t1", "Bearer t1", "Bearer t2"]
    host.ask(200)
    assert host.seen[-1] == "Bearer t2"


def test_it_is_renewed_only_once() -> None:
    host = _Host()
    host.ask(200)
    with pytest.raises(ExchangeFailed) as raised:
        host.ask(401, 401)
    assert [failure.error.kind for failure in raised.value.tried] == ["authentication"]
    assert host.tokens == 2


def test_a_fresh_credential_that_is_refused_is_final() -> None:
    host = _Host()
    with pytest.raises(ExchangeFailed):
        host.ask(401)
    assert (host.tokens, host.seen) == (1, ["Bearer t1"])


def test_other_refusals_are_not_about_the_credential() -> None:
    host = _Host()
    host.ask(200)
    with pytest.raises(ExchangeFailed):
        host.ask(400)
    assert host.tokens == 1


def test_what_somebody_else_has_renewed_meanwhile_is_kept() -> None:
    cache = CredentialCache()
    cache.put("k", Token("old"))
    borrowing = Borrowing(cache)
    assert borrowing.get("k", 0.0) == Token("old")
    cache.put("k", Token("new"))
    assert borrowing.refused()
    assert cache.get("k", 0.0) == Token("new")
    assert not borrowing.refused()
