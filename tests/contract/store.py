"""What every store must do: subclass `StoreContract`, give it a `store` fixture, and all of this is tested on it."""

import threading
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from penstock.control.store.base import (
    AliasTaken,
    AnotherReader,
    Batch,
    KeyExists,
    KeyFilter,
    Position,
    Rejected,
    SpendQuery,
    Spent,
    Store,
)
from penstock.control.store.calls import Attempted, Call
from penstock.control.store.keys import KeyRecord
from penstock.gateway.made import Made
from penstock.gateway.records import Closed, Ended, Opened
from penstock.types.usage import Usage

TOKEN, OTHER = "a" * 64, "b" * 64
NOON = 1_800_000_000.0  # some day in 2027
LARGEST = 2**63 - 1


def key(token: str = TOKEN, **fields: Any) -> KeyRecord:
    return KeyRecord(token=token, key_name="sk-...fake", created_at=NOON, updated_at=NOON, **fields)


def full_key() -> KeyRecord:
    """A key with something in every field."""
    return KeyRecord(
        token=TOKEN,
        key_name="sk-...fake",
        key_alias="team ü",
        source="config",
        models=("gpt-*", "claude"),
        aliases={"fast": "gpt-mini"},
        tags=("a", "b"),
        metadata={"cost center": 7, "deep": {"list": [1, None, True]}},
        blocked=True,
        expires=NOON + 0.123456,
        rpm_limit=0,
        tpm_limit=10**12,
        max_parallel_requests=3,
        max_budget=LARGEST,
        soft_budget=1,
        budget_duration="30d",
        budget_reset_at=NOON + 1,
        budget_period=4,
        spend=5,
        total_spend=6,
        user_id="u",
        team_id="t",
        organization_id="o",
        last_active=NOON - 1,
        created_at=NOON,
        created_by="who",
        updated_at=NOON + 2,
        updated_by="else",
        extra={"guardrails": ["x"]},
    )


def call(
    call_id: str = "c1",
    *,
    token: str = TOKEN,
    worker: str = "w1",
    at: float = NOON,
    cost: int | None = 7,
    quota: str | None = None,
    tokens: int = 8,
    outcome: str = "success",
    model: str = "gpt-4o-2024",
    **closed: Any,
) -> Call:
    """A call of one attempt that is over."""
    amounts = ((quota, 100),) if quota else ()
    opened = Opened(
        call_id, 1, at + 0.25, at, token, "chat", "/v1/chat/completions", "gpt-4o", "group", "d1", "openai", model,
        True, amounts, {"tags": ["x"], "requester": "192.0.2.1"},
    )  # fmt: skip
    usage = Usage(input_tokens=tokens - 3, output_tokens=3)
    end: dict[str, Any] = {
        "usage": usage, "cost": cost, "settled": ((quota, cost or 0),) if quota else (), "last": True,
        "finish_reason": "stop", "response_id": "resp-1", **closed,
    }  # fmt: skip
    return Call(worker, call_id, token, [Attempted(opened, Closed(call_id, 1, at + 2, 0.5, 200, outcome, **end))])


def refused(call_id: str = "r1", at: float = NOON) -> Call:
    """A call that was refused before it was sent."""
    ended = Ended(call_id, at, at, TOKEN, "chat", "/v1/x", "m", "g", 0, 429, "failure", "rate_limit", "too many")
    return Call("w1", call_id, TOKEN, [], ended)


def rows(store: Store, which: SpendQuery | None = None, **page: int) -> list[dict[str, Any]]:
    return store.requests(which or SpendQuery(), **page).rows


class StoreContract:
    """The contract. A subclass gives `store`: a new, empty one for each test."""

    @pytest.fixture
    def store(self) -> Iterator[Store]:
        raise NotImplementedError

    # -- keys ---------------------------------------------------------------------------------------------------------

    def test_a_key_comes_back_as_it_was(self, store: Store) -> None:
        store.add_key(full_key())
        store.add_key(key(OTHER))
        assert store.key(TOKEN) == full_key()
        assert store.key(OTHER) == key(OTHER)
        assert store.key("c" * 64) is None

    def test_a_key_is_added_once(self, store: Store) -> None:
        store.add_key(key())
        with pytest.raises(KeyExists, match="choose another"):
            store.add_key(key(key_alias="x"))

    def test_an_alias_is_unique_and_none_is_not_one(self, store: Store) -> None:
        store.add_key(key(key_alias="mine"))
        store.add_key(key(OTHER))
        store.add_key(key("c" * 64))
        with pytest.raises(AliasTaken, match="'mine'"):
            store.add_key(key("d" * 64, key_alias="mine"))
        with pytest.raises(AliasTaken):
            store.change_key(OTHER, {"key_alias": "mine"}, at=NOON, by=None)
        with pytest.raises(AliasTaken):
            store.put_key(key("d" * 64, key_alias="mine"))
        assert store.keys(KeyFilter()).total == 3

    def test_a_change_changes_what_it_names(self, store: Store) -> None:
        store.add_key(full_key())
        changes = {"blocked": False, "models": (), "max_budget": None, "metadata": {"new": 1}}
        changed = store.change_key(TOKEN, changes, at=NOON + 9, by="me")
        assert changed == msgspec.structs.replace(full_key(), updated_at=NOON + 9, updated_by="me", **changes)
        assert store.key(TOKEN) == changed
        assert store.change_key(OTHER, {"blocked": True}, at=NOON, by=None) is None

    @pytest.mark.parametrize(
        "changes", [{"nonsense": 1}, {"token": OTHER}, {"rpm_limit": "many"}, {"budget_period": 9}]
    )
    def test_a_change_that_cannot_be_changes_nothing(self, store: Store, changes: dict[str, Any]) -> None:
        store.add_key(key())
        with pytest.raises(ValueError, match="cannot be changed"):
            store.change_key(TOKEN, changes, at=NOON + 1, by="me")
        assert store.key(TOKEN) == key()

    def test_who_sets_the_spend_begins_a_new_period(self, store: Store) -> None:
        store.add_key(key(max_budget=100))
        changed = store.change_key(TOKEN, {"spend": 40}, at=NOON, by=None)
        assert changed is not None
        assert (changed.spend, changed.budget_period) == (40, 2)
        store.commit(Batch(calls=[call(quota=f"key:{TOKEN}:money:1", cost=9)]))
        found = store.key(TOKEN)
        assert found is not None
        assert (found.spend, found.total_spend) == (40, 9), "it was reserved before somebody said that it is 40"

    def test_a_long_batch_lets_others_run_between_its_rows(self, store: Store) -> None:
        pauses: list[int] = []
        calls = [call(f"{number:032x}") for number in range(100)]
        store.commit(Batch(calls=calls, pause=lambda: pauses.append(len(pauses))))
        assert len(pauses) >= len(calls) // 25
        assert len(rows(store, SpendQuery(api_key=TOKEN))) == 100

    def test_putting_a_key_again_keeps_what_it_came_to(self, store: Store) -> None:
        store.put_key(key(budget_duration="1d", budget_reset_at=NOON + 5))
        store.commit(Batch(calls=[call(cost=9)]))
        put = store.put_key(key(rpm_limit=4, budget_duration="1d", budget_reset_at=NOON + 99))
        assert store.key(TOKEN) == put
        assert (put.spend, put.rpm_limit, put.budget_reset_at) == (9, 4, NOON + 5)
        again = store.put_key(key(budget_duration="2d", budget_reset_at=NOON + 99))
        assert again.budget_reset_at == NOON + 99

    def test_keys_come_in_pages_filtered_and_sorted(self, store: Store) -> None:
        for number in range(7):
            token = f"{number}" * 64
            fields: dict[str, Any] = {"user_id": "even" if number % 2 == 0 else "odd", "key_alias": f"k{number}"}
            store.add_key(KeyRecord(token=token, key_name="sk-...", created_at=NOON + number, **fields))
        first = store.keys(KeyFilter(), page=1, size=3)
        assert ([each.key_alias for each in first.rows], first.total) == (["k6", "k5", "k4"], 7)
        last = store.keys(KeyFilter(), page=3, size=3)
        assert ([each.key_alias for each in last.rows], last.total) == (["k0"], 7)
        even = store.keys(KeyFilter(user_id="even", sort_by="key_alias", descending=False))
        assert [each.key_alias for each in even.rows] == ["k0", "k2", "k4", "k6"]
        assert store.keys(KeyFilter(key_alias="k3")).rows[0].token == "3" * 64
        assert store.keys(KeyFilter(tokens=("1" * 64, "x"))).total == 1
        with pytest.raises(ValueError, match="cannot be sorted"):
            store.keys(KeyFilter(sort_by="token; DROP TABLE keys"))

    def test_a_deleted_key_is_gone_and_its_requests_are_not(self, store: Store) -> None:
        store.add_key(key())
        store.commit(Batch(calls=[call()]))
        deleted = store.delete_keys([TOKEN, OTHER, TOKEN])
        assert [each.token for each in deleted] == [TOKEN]
        assert store.key(TOKEN) is None
        assert len(rows(store, SpendQuery(api_key=TOKEN))) == 1
        store.commit(Batch(calls=[call("late")]))
        assert len(rows(store, SpendQuery(api_key=TOKEN))) == 2

    def test_a_replaced_key_pays_for_what_the_old_one_comes_to(self, store: Store) -> None:
        store.add_key(key(key_alias="mine", max_budget=100))
        store.commit(Batch(calls=[call(cost=5)]))
        new = store.replace_key(TOKEN, OTHER, "sk-...new", at=NOON, by="me")
        assert new == store.key(OTHER)
        assert store.key(TOKEN) is None
        newest = store.replace_key(OTHER, "c" * 64, "sk-...newest", at=NOON, by="me")
        assert newest is not None
        assert (newest.key_alias, newest.spend, newest.key_name) == ("mine", 5, "sk-...newest")
        store.commit(
            Batch(calls=[call("late", cost=6, quota=f"key:{TOKEN}:money:1"), call("later", token=OTHER, cost=1)])
        )
        found = store.key("c" * 64)
        assert found is not None
        assert found.spend == 12
        assert store.replace_key(TOKEN, "d" * 64, "", at=NOON, by=None) is None
        with pytest.raises(KeyExists):
            store.replace_key("c" * 64, "c" * 64, "", at=NOON, by=None)

    def test_budgets_that_are_due_begin_again(self, store: Store) -> None:
        store.add_key(key(max_budget=10, budget_duration="1h", budget_reset_at=NOON, spend=9, total_spend=9))
        store.add_key(key(OTHER, max_budget=10, budget_duration="1h", budget_reset_at=NOON + 1, spend=9))
        store.add_key(key("c" * 64, max_budget=10, spend=9))
        (reset,) = store.reset_budgets(NOON)
        assert reset == store.key(TOKEN)
        assert (reset.spend, reset.total_spend, reset.budget_period) == (0, 9, 2)
        assert reset.budget_reset_at is not None
        assert NOON < reset.budget_reset_at <= NOON + 3600
        assert store.reset_budgets(NOON) == []

    # -- what calls cost ----------------------------------------------------------------------------------------------

    def test_what_calls_cost_is_added_to_their_keys(self, store: Store) -> None:
        store.add_key(key())
        store.add_key(key(OTHER))
        calls = [call("1", cost=5), call("2", token=OTHER, cost=10**15), call("3", cost=None), call("4", cost=6)]
        store.commit(Batch(calls=[*calls, call("5", token="c" * 64, cost=99), refused()]))
        mine, other = store.key(TOKEN), store.key(OTHER)
        assert mine is not None
        assert other is not None
        assert (mine.spend, mine.total_spend, mine.last_active) == (11, 11, NOON + 2)
        assert (other.spend, other.total_spend) == (10**15, 10**15)

    def test_what_was_reserved_in_a_past_period_is_not_spent_in_this_one(self, store: Store) -> None:
        store.add_key(key(max_budget=100, budget_period=3))
        old, new = f"key:{TOKEN}:money:2", f"key:{TOKEN}:money:3"
        store.commit(Batch(calls=[call("1", quota=old, cost=5), call("2", quota=new, cost=6), call("3", cost=7)]))
        found = store.key(TOKEN)
        assert found is not None
        assert (found.spend, found.total_spend) == (13, 18)
        assert store.spent(new) == 13
        assert store.spent(old) == store.spent(f"key:{OTHER}:money:1") == store.spent("odd") == 0

    def test_a_change_of_hands_holds_from_then_on(self, store: Store) -> None:
        store.add_key(key(user_id="first", key_alias="x"))
        store.commit(Batch(calls=[call("1")]))
        store.change_key(TOKEN, {"user_id": "second"}, at=NOON, by=None)
        store.commit(Batch(calls=[call("2")]))
        store.change_key(TOKEN, {"user_id": "first"}, at=NOON, by=None)
        store.commit(Batch(calls=[call("3")]))
        assert {row["request_id"] for row in rows(store, SpendQuery(user_id="first"))} == {"1", "3"}
        (row,) = rows(store, SpendQuery(user_id="second"))
        assert (row["request_id"], row["user"], row["metadata"]["user_api_key_alias"]) == ("2", "second", "x")

    def test_what_was_drained_of_a_worker_adds_up_until_it_is_forgotten(self, store: Store) -> None:
        for number in range(2):
            store.commit(Batch(calls=[call(f"{number}")], drained={("w1", "q1"): 5, ("w1", "q2"): 1, ("w2", "q1"): 9}))
        assert store.drained_of("w1") == {"q1": 10, "q2": 2}
        assert store.drained_of("w1", "q2") == {"q2": 2}
        store.forget_worker("w1")
        assert store.drained_of("w1") == {}
        assert store.drained_of("w2") == {"q1": 18}

    def test_what_the_dead_used_of_a_window(self, store: Store) -> None:
        calls = [
            call("1", worker="dead", at=NOON + 1, tokens=10), call("2", worker="dead", at=NOON - 1),
            call("3", worker="alive", at=NOON + 1), call("4", worker="dead", at=NOON + 1, token=OTHER),
            call("5", worker="dead too", at=NOON, tokens=11), refused(at=NOON + 1),
        ]  # fmt: skip
        store.commit(Batch(calls=calls))
        assert store.used_by_dead(f"key:{TOKEN}:requests", NOON, ["alive"]) == 2
        assert store.used_by_dead(f"key:{TOKEN}:tokens", NOON, ["alive"]) == 21
        assert store.used_by_dead(f"key:{TOKEN}:requests", NOON, ["alive", "dead", "dead too"]) == 0
        assert store.used_by_dead(f"key:{TOKEN}:parallel", NOON, []) == 0

    # -- rows ---------------------------------------------------------------------------------------------------------

    def test_a_row_has_litellms_fields(self, store: Store) -> None:
        store.add_key(key(user_id="u", team_id="t", organization_id="o"))
        store.commit(Batch(calls=[call(cost=1_500_000_000_000, cost_text="1.5000000000001", facts={"notes": ["n"]})]))
        (row,) = rows(store)
        metadata = row.pop("metadata")
        assert row == {
            "request_id": "c1", "call_type": "acompletion", "api_key": TOKEN, "spend": 1.5, "total_tokens": 8,
            "prompt_tokens": 5, "completion_tokens": 3, "startTime": "2027-01-15T08:00:00.000000Z",
            "endTime": "2027-01-15T08:00:02.000000Z", "completionStartTime": "2027-01-15T08:00:00.750000Z",
            "request_duration_ms": 2000, "model": "gpt-4o-2024", "model_id": "d1", "model_group": "group",
            "custom_llm_provider": "openai", "api_base": "", "user": "u", "team_id": "t", "organization_id": "o",
            "end_user": "", "request_tags": ["x"], "cache_hit": "None", "cache_key": "Cache OFF",
            "requester_ip_address": "192.0.2.1", "session_id": None, "status": "success", "messages": {},
            "response": {}, "proxy_server_request": {},
        }  # fmt: skip
        assert (metadata["cost"], metadata["outcome"], metadata["notes"]) == ("1.5000000000001", "success", ["n"])
        (attempt,) = metadata["attempts"]
        assert attempt["usage"] == {"input_tokens": 5, "output_tokens": 3}
        assert (attempt["finish_reason"], attempt["response_id"], attempt["status"]) == ("stop", "resp-1", 200)

    def test_a_call_of_several_attempts_is_one_row(self, store: Store) -> None:
        made = call(cost=5, outcome="failure", error="server", last=False)
        second = msgspec.structs.replace(
            made.attempts[0].opened, attempt=2, at=NOON + 3, deployment="d2", model="other"
        )
        end = Closed("c1", 2, NOON + 4, 0.5, 200, "success", usage=Usage(input_tokens=1), cost=6, last=True)
        made.attempts.append(Attempted(second, end))
        store.add_key(key())
        store.commit(Batch(calls=[made]))
        (row,) = rows(store)
        assert (row["model_id"], row["model"], row["status"], row["total_tokens"]) == ("d2", "other", "success", 9)
        assert (row["endTime"], row["completionStartTime"]) == (
            "2027-01-15T08:00:04.000000Z",
            "2027-01-15T08:00:03.500000Z",
        )
        assert row["metadata"]["cost"] == "0.000000000011"
        told = [
            (each["attempt"], each["model_id"], each["outcome"], each["cost"]) for each in row["metadata"]["attempts"]
        ]
        assert told == [(1, "d1", "failure", "0.000000000005"), (2, "d2", "success", "0.000000000006")]
        found = store.key(TOKEN)
        assert found is not None
        assert found.spend == 11

    def test_a_refused_call_is_a_row_without_attempts(self, store: Store) -> None:
        store.commit(Batch(calls=[refused()]))
        (row,) = rows(store)
        assert (row["status"], row["spend"], row["model"], row["metadata"]["attempts"]) == ("failure", 0.0, "m", [])
        error = {"error_class": "rate_limit", "error_code": "429", "error_message": "too many"}
        assert row["metadata"]["error_information"] == error
        assert row["metadata"]["cost"] is None

    def test_requests_are_found_by_all_that_a_query_can_say(self, store: Store) -> None:
        store.add_key(key(user_id="u", team_id="t"))
        calls = [call(f"{number}", at=NOON + number, model=f"m{number % 2}") for number in range(6)]
        store.commit(Batch(calls=[*calls, call("other", token=OTHER, outcome="broken")]))

        def found(**which: Any) -> list[str]:
            return [row["request_id"] for row in rows(store, SpendQuery(**which))]

        assert found(request_id="3") == ["3"]
        assert found(request_id="none") == []
        assert found(user_id="u") == found(team_id="t") == found(api_key=TOKEN) == ["5", "4", "3", "2", "1", "0"]
        assert found(api_key=OTHER) == found(status="failure") == ["other"]
        assert found(model="m1") == ["5", "3", "1"]
        assert found(start=NOON + 2, end=NOON + 4) == ["3", "2"]
        assert found(api_key=TOKEN, model="m0", start=NOON + 1) == ["4", "2"]
        page = store.requests(SpendQuery(api_key=TOKEN), page=2, size=4)
        assert ([row["request_id"] for row in page.rows], page.total) == (["1", "0"], 6)

    def test_many_requests_are_read_in_slices_of_one_moment(self, store: Store) -> None:
        store.commit(Batch(calls=[*(call(f"{number}", at=NOON + number) for number in range(7)), refused(at=NOON + 3)]))
        found = store.request_ids(SpendQuery(), size=6)
        whole = store.requests(SpendQuery(), size=6)
        store.commit(Batch(calls=[call("later", at=NOON + 9), call("late", at=NOON + 5)]))
        slices = [store.requests_by_id(found.rows[at : at + 4]) for at in (0, 4)]
        assert (len(found.rows), found.total, [len(each) for each in slices]) == (6, 8, [4, 2])
        assert slices[0] + slices[1] == whole.rows, "the same rows in the same order, and none that came meanwhile"
        assert store.requests_by_id(found.rows[::-1]) == whole.rows[::-1], "in the order in which they are named"
        second = store.request_ids(SpendQuery(api_key=TOKEN, end=NOON + 4), page=2, size=3)
        assert ([row["request_id"] for row in store.requests_by_id(second.rows)], second.total) == (["1", "0"], 5)

    def test_requests_that_were_deleted_meanwhile_are_left_out_of_a_slice(self, store: Store) -> None:
        store.commit(Batch(calls=[call(f"{number}", at=NOON + number) for number in range(4)]))
        found = store.request_ids(SpendQuery())
        store.prune(NOON + 2)
        assert [row["request_id"] for row in store.requests_by_id(found.rows)] == ["3", "2"]
        assert store.requests_by_id(found.rows[2:]) == store.requests_by_id([]) == []

    def test_days_on_which_there_were_requests(self, store: Store) -> None:
        day, today = 86400.0, int(NOON // 86400)
        start = today * day
        store.commit(
            Batch(calls=[call("1", at=start), call("2", at=start + day - 1e-6), call("3", at=start + 3 * day)])
        )
        store.commit(Batch(calls=[call("4", at=start + 5 * day, token=OTHER)]))
        assert store.request_days(SpendQuery()) == [today, today + 3, today + 5]
        assert store.request_days(SpendQuery(api_key=TOKEN, start=start + 1)) == [today, today + 3]
        assert store.request_days(SpendQuery(end=start)) == []

    def test_sums_by_day_key_user_and_model_are_exact(self, store: Store) -> None:
        store.add_key(key(user_id="u"))
        day, large = 86400.0, LARGEST // 2
        calls = [call("1", cost=large), call("2", cost=large), call("3", cost=large), call("4", at=NOON + day, cost=1)]
        store.commit(Batch(calls=[*calls, call("5", token=OTHER, cost=None), call("6", model="m2", cost=2)]))
        today = int(NOON // day)
        assert store.spend_by_day(SpendQuery()) == [
            Spent(today, TOKEN, "u", "gpt-4o-2024", 3 * large, 3),
            Spent(today, TOKEN, "u", "m2", 2, 1),
            Spent(today, OTHER, None, "gpt-4o-2024", 0, 1),
            Spent(today + 1, TOKEN, "u", "gpt-4o-2024", 1, 1),
        ]
        assert [each.cost for each in store.spend_by_day(SpendQuery(start=NOON + 1))] == [1]

    def test_a_sum_that_no_column_holds_stops_nothing(self, store: Store) -> None:
        store.add_key(key())
        store.commit(Batch(calls=[call("1", cost=LARGEST), call("2", cost=LARGEST)], drained={("w1", "q"): 2**70}))
        store.commit(Batch(calls=[call("3", cost=1)], drained={("w1", "q"): 1}))
        found = store.key(TOKEN)
        assert found is not None
        assert (found.spend, found.total_spend, store.drained_of("w1")) == (LARGEST, LARGEST, {"q": LARGEST})
        assert len(rows(store)) == 3

    def test_who_made_what_a_provider_keeps(self, store: Store) -> None:
        def at_path(name: str, path: str, response_id: str | None, **more: Any) -> Call:
            found = call(name, response_id=response_id, **more)
            found.attempts[0].opened = msgspec.structs.replace(found.attempts[0].opened, path=path)
            return found

        calls = [
            at_path("1", "/v1/responses", "resp_a"), at_path("2", "/v1/files", "file-b", token=OTHER),
            at_path("3", "/v1/chat/completions", "chatcmpl-c"), at_path("4", "/openai/v1/batches", "batch_d"),
            at_path("5", "/v1/responses", None), at_path("6", "/v1/responses", "x" * 300),
            at_path("7", "/v1/responses/resp_a", "resp_a", token=OTHER),
        ]  # fmt: skip
        store.commit(Batch(calls=calls))
        assert store.made("resp_a") == Made("d1", TOKEN), "who fetches it has not made it"
        assert store.made("file-b") == Made("d1", OTHER)
        assert store.made("batch_d") == Made("d1", TOKEN)
        assert store.made("chatcmpl-c") is store.made("x" * 300) is store.made("none") is None
        store.prune(NOON + 10)
        assert store.made("resp_a") is None

    def test_old_requests_go_a_few_at_a_time(self, store: Store) -> None:
        store.commit(Batch(calls=[call(f"{number}", at=NOON + number) for number in range(10)]))
        assert store.prune(NOON + 7, limit=4) == 4
        assert store.prune(NOON + 7, limit=4) == 3
        assert store.prune(NOON + 7, limit=4) == 0
        assert [row["request_id"] for row in rows(store)] == ["9", "8", "7"]
        store.commit(Batch(calls=[call("0", at=NOON + 20)]))
        assert len(rows(store)[0]["metadata"]["attempts"]) == 1

    # -- once, and only once ------------------------------------------------------------------------------------------

    def test_rows_and_positions_are_written_together_or_not_at_all(self, store: Store) -> None:
        store.add_key(key())
        store.commit(Batch(calls=[call("1")], positions=[Position("s1", "w1", 1, 500, 0)]))
        assert store.positions() == [Position("s1", "w1", 1, 500, 500)]
        again = Batch(calls=[call("2")], under_way=[call("3")], positions=[Position("s1", "w1", 1, 600, 0)])
        with pytest.raises(AnotherReader, match="stop one"):
            store.commit(again)
        with pytest.raises(AnotherReader):
            store.commit(Batch(calls=[call("2")], positions=[Position("s1", "w1", 1, 700, 400)]))
        assert [row["request_id"] for row in rows(store)] == ["1"]
        assert store.calls_under_way() == []
        found = store.key(TOKEN)
        assert found is not None
        assert found.spend == 7
        store.commit(Batch(calls=[call("2")], positions=[Position("s1", "w1", 1, 600, 500)]))
        assert store.positions() == [Position("s1", "w1", 1, 600, 600)]

    def test_positions_are_forgotten_with_their_segment_or_worker(self, store: Store) -> None:
        positions = [Position("s1", "w1", 1, 5, 0), Position("s2", "w1", 2, 5, 0), Position("s3", "w2", 1, 5, 0)]
        store.commit(Batch(positions=positions))
        store.forget_segments(["s1"])
        assert {each.segment for each in store.positions()} == {"s2", "s3"}
        store.forget_worker("w1")
        assert {each.segment for each in store.positions()} == {"s3"}

    def test_calls_under_way_are_kept_until_they_are_over(self, store: Store) -> None:
        one, two = call("1"), refused("2")
        one.attempts[0].closed = None
        store.commit(Batch(under_way=[one, two]))
        assert sorted(store.calls_under_way(), key=lambda each: each.call_id) == [one, two]
        changed = call("1", outcome="failure", last=False)
        store.commit(Batch(under_way=[changed], over=["2"]))
        assert store.calls_under_way() == [changed]

    def test_an_id_that_is_taken_loses_no_call(self, store: Store) -> None:
        store.add_key(key())
        store.commit(Batch(calls=[call("same", cost=1)]))
        store.commit(
            Batch(calls=[call("before", cost=2), call("same", cost=4), call("same", cost=8), call("after", cost=16)])
        )
        found = store.key(TOKEN)
        assert found is not None
        assert found.spend == 31
        ids = [row["request_id"] for row in rows(store)]
        assert len(set(ids)) == 5
        assert sorted(name.partition("~")[0] for name in ids) == ["after", "before", "same", "same", "same"]
        assert all(len(row["metadata"]["attempts"]) == 1 for row in rows(store))

    def test_a_call_that_fits_no_row_is_kept_aside_and_holds_up_no_other(self, store: Store) -> None:
        odd = call("odd")
        closed = odd.attempts[0].closed
        assert closed is not None
        odd.attempts[0].closed = msgspec.structs.replace(closed, status=2**63)
        store.commit(Batch(calls=[call("1"), odd, call("2")], rejected=[Rejected("w9", b"bytes", "why")]))
        assert {row["request_id"] for row in rows(store)} == {"1", "2"}
        kept = store.rejected()
        assert {(each.worker, each.why.partition(":")[0]) for each in kept} == {("w1", "OverflowError"), ("w9", "why")}
        payload = next(each.payload for each in kept if each.worker == "w1")
        assert msgspec.msgpack.decode(payload, type=Call) == odd

    def test_an_empty_batch_is_nothing(self, store: Store) -> None:
        store.commit(Batch())
        assert rows(store) == []

    def test_writers_wait_for_each_other(self, store: Store) -> None:
        """Keys are changed while the ledger writes, from many threads: nothing fails, nothing is lost."""
        store.add_key(key())
        failures: list[BaseException] = []

        def write(number: int) -> None:
            try:
                for step in range(10):
                    if number % 2:
                        store.commit(Batch(calls=[call(f"{number}-{step}", cost=1)]))
                    else:
                        store.change_key(TOKEN, {"rpm_limit": step}, at=NOON, by=f"{number}")
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=write, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []
        found = store.key(TOKEN)
        assert found is not None
        assert (found.spend, store.requests(SpendQuery()).total) == (30, 30)

    # -- configuration ------------------------------------------------------------------------------------------------

    def test_configurations_are_numbered_and_kept(self, store: Store) -> None:
        assert store.config() is None
        first = store.add_config("a: 1\n", at=NOON + 0.5, by="file")
        second = store.add_config("a: 2\n", at=NOON + 1, by="me")
        assert (first.version, first.at, second.version) == (1, NOON + 0.5, 2)
        assert store.config() == second
        assert store.config(1) == first
        assert store.config(3) is None
        assert store.configs() == [second, first]
        assert store.configs(limit=1) == [second]
        assert store.configs(before=2) == store.configs(1, before=2) == [first]
        assert store.configs(before=1) == []
