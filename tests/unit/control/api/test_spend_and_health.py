"""/spend/logs and /health: what the ledger has, for whom it is; and whether the gateway is ready."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest

from penstock.control.api import spend
from penstock.control.store.base import Batch, SpendQuery
from penstock.control.store.calls import Attempted, Call
from penstock.control.store.spend_logs import summary
from penstock.gateway.records import Closed, Opened
from penstock.types.usage import Usage
from tests.unit.control.api.conftest import Api

DAY = datetime(2026, 11, 3, 12, tzinfo=UTC).timestamp()


def call(call_id: str, token: str, at: float = DAY, cost: int = 250_000_000_000) -> Call:
    """A call of a key that cost a quarter of a dollar."""
    opened = Opened(
        call_id, 1, at, at, token, "chat", "/v1/chat/completions", "fast", "fast", "d1", "openai", "gpt", False
    )
    usage = Usage(input_tokens=10, output_tokens=5)
    closed = Closed(call_id, 1, at + 1, None, 200, "success", usage=usage, cost=cost, cost_text="0.25", last=True)
    return Call("1-1-00", call_id, token, [Attempted(opened, closed)])


def test_the_ledgers_rows_are_told_in_litellms_names(api: Api) -> None:
    key = api.post("/key/generate", user_id="ada")
    api.store.commit(Batch(calls=[call("a" * 32, key["token"])]))
    (row,) = api.get("/spend/logs")
    assert (row["request_id"], row["api_key"], row["spend"]) == ("a" * 32, key["token"], 0.25)
    assert (row["prompt_tokens"], row["completion_tokens"], row["total_tokens"]) == (10, 5, 15)
    assert row["metadata"]["cost"] == "0.25" and row["user"] == "ada"
    for asked in ({"request_id": "a" * 32}, {"api_key": key["key"]}, {"api_key": key["token"]}, {"user_id": "ada"}):
        assert api.get("/spend/logs", **asked) == [row], asked
    assert api.get("/spend/logs", request_id="b" * 32) == []
    assert api.get("/key/info", key=key["key"])["info"]["spend"] == 0.25


def test_days_are_summed_up(api: Api) -> None:
    key = api.post("/key/generate", user_id="ada")
    api.store.commit(Batch(calls=[call("a" * 32, key["token"]), call("b" * 32, key["token"], DAY + 86400)]))
    (day,) = api.get("/spend/logs", start_date="2026-11-03", end_date="2026-11-03")
    assert day["startTime"] == "2026-11-03" and day["spend"] == 0.25
    assert day["users"] == {"ada": 0.25} and day[key["token"]] == 0.25
    rows = api.get("/spend/logs", start_date="2026-11-03", end_date="2026-11-03", summarize=False)
    assert [row["request_id"] for row in rows] == ["a" * 32], "the last day is included, and the next is not"
    assert [row["request_id"] for row in api.get("/spend/logs", start_date="2026-11-04 00:00:00")] == ["b" * 32]
    far = api.http.get("/spend/logs", params={"start_date": "0001-01-01", "end_date": "9999-12-31"})
    assert far.status_code == 200 and len(far.json()) < 366, "no day is told that has not been"


def test_rows_come_in_pages(api: Api) -> None:
    key = api.post("/key/generate")
    api.store.commit(Batch(calls=[call(f"{number:032x}", key["token"], DAY + number) for number in range(5)]))
    page = api.get("/spend/logs/v2", page=2, page_size=2)
    assert (page["total"], page["page"], page["page_size"], page["total_pages"]) == (5, 2, 2, 3)
    assert [row["request_id"] for row in page["data"]] == [f"{2:032x}", f"{1:032x}"], "the newest come first"
    assert api.get("/spend/logs/v2", status_filter="failure")["data"] == []
    assert api.http.get("/spend/logs").headers["x-penstock-total"] == "5"


def test_many_rows_are_one_list_the_newest_first(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is read in slices reads as if it were not: the same rows, in the same order, and no more than are told."""
    monkeypatch.setattr(spend, "MOST_ROWS", 7)
    monkeypatch.setattr(spend, "SLICE", 3)
    key = api.post("/key/generate")
    api.store.commit(Batch(calls=[call(f"{number:032x}", key["token"], DAY + number % 5) for number in range(9)]))
    answer = api.http.get("/spend/logs")
    whole = api.store.requests(SpendQuery(), 1, 7)
    assert answer.content == msgspec.json.encode(whole.rows)
    assert (answer.headers["x-penstock-total"], answer.headers["content-type"]) == ("9", "application/json")
    assert len(api.get("/spend/logs", start_date="2026-11-03 12:00:04")) == 1
    assert api.http.get("/spend/logs", params={"request_id": "none"}).content == b"[]"


def test_days_are_summed_up_one_by_one_as_they_are_together(api: Api) -> None:
    one, other = api.post("/key/generate", user_id="ada"), api.post("/key/generate", user_id="bob")
    tokens = (one["token"], other["token"])
    calls = [call(f"{n:032x}", tokens[n % 2], DAY + 86400 * (n % 4) ** 2 + 1000 * n) for n in range(40)]
    api.store.commit(Batch(calls=calls))
    start, end = datetime(2026, 11, 3, 13, tzinfo=UTC), datetime(2026, 11, 12, 14, tzinfo=UTC)
    for users in ({}, {"user_id": "ada"}):
        asked = {"start_date": str(start)[:19], "end_date": str(end)[:19], **users}
        spent = api.store.spend_by_day(SpendQuery(start=start.timestamp(), end=end.timestamp(), **users))
        answer = api.http.get("/spend/logs", params=asked)
        assert answer.content == msgspec.json.encode(summary(spent, min(end, datetime.now(UTC)).date()))


def test_a_virtual_key_sees_its_own_requests(api: Api) -> None:
    mine, other = api.post("/key/generate"), api.post("/key/generate")
    api.store.commit(Batch(calls=[call("a" * 32, mine["token"]), call("b" * 32, other["token"])]))
    headers = api.as_caller(mine["key"])
    for path in ("/spend/logs", f"/spend/logs?api_key={mine['token']}", "/spend/logs?user_id="):
        rows = api.http.get(path, headers=headers).json()
        assert [row["request_id"] for row in rows] in (["a" * 32], []), path
    assert api.http.get("/spend/logs", headers=headers).json()[0]["request_id"] == "a" * 32
    assert api.http.get(f"/spend/logs?request_id={'b' * 32}", headers=headers).json() == []
    assert [row["request_id"] for row in api.http.get("/spend/logs/v2", headers=headers).json()["data"]] == ["a" * 32]


def test_readiness_needs_no_key_and_says_when_the_gateway_ends(api: Api) -> None:
    nobody = {"authorization": ""}
    answer = api.http.get("/health/readiness", headers=nobody)
    assert answer.status_code == 200 and answer.json()["status"] == "healthy" and answer.json()["db"] == "connected"
    assert api.http.get("/health/liveliness", headers=nobody).text == "I'm alive!"
    api.services.draining = True
    answer = api.http.get("/health/readiness", headers=nobody)
    assert answer.status_code == 503 and answer.json()["status"] == "shutting down"


def test_the_backlog_needs_no_key(api: Api) -> None:
    assert api.http.get("/health/backlog", headers={"authorization": ""}).status_code == 200


def test_readiness_waits_for_a_worker(api: Api) -> None:
    api.services.workers = lambda: 0
    answer = api.http.get("/health/readiness")
    assert answer.status_code == 503 and answer.json()["status"] == "starting"


def test_health_calls_each_deployment(api: Api) -> None:
    text = "models:\n  - {name: good, model: demo}\n"
    text += "  - {name: bad, model: openai/x, api_base: 'http://user:pass@127.0.0.1:1', api_key: sk-fake-0123456789}\n"
    api.post("/config/apply", main="a.yaml", files={"a.yaml": text})
    told = api.get("/health")
    assert (told["healthy_count"], told["unhealthy_count"]) == (1, 1)
    assert told["healthy_endpoints"][0]["model_group"] == "good"
    (bad,) = told["unhealthy_endpoints"]
    assert bad["model_group"] == "bad" and bad["error"] and "pass" not in bad["error"] and "sk-fake" not in bad["error"]
    assert api.get("/health", model="good")["unhealthy_count"] == 0
