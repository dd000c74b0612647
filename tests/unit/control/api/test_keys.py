"""/key/...: made, shown once, changed, blocked, given another secret, deleted; in LiteLLM's names."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from penstock.control.api.bodies import NOT_SUPPORTED
from penstock.control.store.keys import KeyRecord, masked, quotas_of
from penstock.gateway.principal import key_digest
from tests.unit.control.api.conftest import MASTER, Api

COLUMNS = {
    *("key_name", "key_alias", "spend", "expires", "models", "aliases", "config", "user_id", "team_id", "permissions"),
    *(
        "max_parallel_requests",
        "metadata",
        "tpm_limit",
        "rpm_limit",
        "max_budget",
        "budget_duration",
        "budget_reset_at",
    ),
    *("allowed_cache_controls", "model_spend", "model_max_budget", "blocked", "created_at", "created_by", "updated_at"),
    *("updated_by", "organization_id", "litellm_budget_table", "tags"),
}
"""What LiteLLM's clients look for in a key."""


def record(api: Api, key: str) -> KeyRecord:
    found = api.store.key(key_digest(key))
    assert found is not None
    return found


# -- making -----------------------------------------------------------------------------------------------------------


def test_a_key_is_made_and_shown_once(api: Api) -> None:
    made = api.post("/key/generate")
    assert re.fullmatch(r"sk-[\w-]{43}", made["key"]), "32 random bytes"
    assert made["token"] == made["token_id"] == key_digest(made["key"])
    assert made["key_name"] == f"sk-...{made['key'][-4:]}"
    assert made.keys() >= COLUMNS
    assert made["models"] == [] and made["spend"] == 0 and made["expires"] is None and made["max_budget"] is None
    everything = api.http.get("/key/list", params={"return_full_object": True}).text + repr(record(api, made["key"]))
    assert made["key"] not in everything


def test_each_key_is_another(api: Api) -> None:
    assert len({api.post("/key/generate")["key"] for _ in range(20)}) == 20


def test_what_is_asked_for_is_kept_and_told_again(api: Api) -> None:
    asked: dict[str, Any] = {
        "key_alias": "the website",
        "models": ["gpt-4o", "claude-*"],
        "aliases": {"fast": "gpt-4o-mini"},
        "max_budget": 12.5,
        "budget_duration": "30d",
        "rpm_limit": 60,
        "tpm_limit": 100_000,
        "max_parallel_requests": 3,
        "metadata": {"cost_center": {"id": 7}},
        "tags": ["web"],
        "user_id": "ada",
        "team_id": "t1",
        "organization_id": "o1",
    }
    made = api.post("/key/generate", duration="2h", **asked)
    assert {name: made[name] for name in asked} == asked
    info = api.get("/key/info", key=made["key"])
    assert info["key"] == made["key"]
    assert info["info"].keys() >= COLUMNS and "token" not in info["info"]
    assert {name: info["info"][name] for name in asked} == asked
    expires = datetime.fromisoformat(made["expires"])
    assert timedelta(hours=1) < expires - datetime.now(UTC) <= timedelta(hours=2)
    assert made["budget_reset_at"].endswith("-01T00:00:00.000Z"), "30d ends with the month, as with LiteLLM"
    kinds = {quota.kind: quota.limit for quota in quotas_of(record(api, made["key"]))}
    assert kinds == {"requests": 60, "tokens": 100_000, "parallel": 3, "money": 12_500_000_000_000}


@pytest.mark.parametrize(
    ("dollars", "picodollars"),
    [(0.1, 10**11), ("0.1", 10**11), ("0.000000000001", 1), (0, 0), (9_000_000, 9 * 10**18), ("0.30", 3 * 10**11)],
)
def test_a_budget_is_exact(api: Api, dollars: float | str, picodollars: int) -> None:
    assert record(api, api.post("/key/generate", max_budget=dollars)["key"]).max_budget == picodollars


def test_a_key_may_be_chosen(api: Api) -> None:
    chosen = "sk-fake-chosen-by-hand"
    assert api.post("/key/generate", key=chosen)["key"] == chosen
    assert "with this secret already" in api.refused(409, "/key/generate", key=chosen)["message"]
    assert api.refused(400, "/key/generate", key="sk-short")["param"] == "key"
    assert api.refused(400, "/key/generate", key=MASTER)["message"] == "this is the master key: choose another"


def test_an_alias_is_of_one_key_only(api: Api) -> None:
    api.post("/key/generate", key_alias="twice")
    error = api.refused(409, "/key/generate", key_alias="twice")
    assert error["param"] == "key_alias" and "'twice'" in error["message"]


@pytest.mark.parametrize(
    ("body", "param", "says"),
    [
        ({"modles": ["x"]}, "modles", "there is no field 'modles'; did you mean 'models'?"),
        ({"max_budget": "ten"}, "max_budget", "expected an amount of US dollars"),
        ({"max_budget": -1}, "max_budget", "greater than or equal to 0"),
        ({"max_budget": 9_000_001}, "max_budget", "9000000"),
        ({"max_budget": True}, "max_budget", "expected an amount"),
        ({"rpm_limit": 1.5}, "rpm_limit", "integer"),
        ({"rpm_limit": "5"}, "rpm_limit", "expected a whole number"),
        ({"tpm_limit": -1}, "tpm_limit", "greater than or equal to 0"),
        ({"duration": "soon"}, "duration", "should match pattern"),
        ({"duration": "0d"}, "duration", "should match pattern"),
        ({"budget_duration": "1y"}, "budget_duration", "should match pattern"),
        ({"expires": "2027-01-01T00:00:00"}, "expires", "timezone"),
        ({"models": "gpt-4o"}, "models", "list"),
        ({"models": [""]}, "models", "at least 1 character"),
        ({"key_alias": "two\nlines"}, "key_alias", "control characters"),
        ({"blocked": "yes"}, "blocked", "boolean"),
        ({"metadata": []}, "metadata", "dictionary"),
    ],
)
def test_what_is_wrong_is_named(api: Api, body: dict[str, Any], param: str, says: str) -> None:
    error = api.refused(400, "/key/generate", **body)
    assert error["param"] == param
    assert says in error["message"]
    assert api.get("/key/list")["total_count"] == 0


def test_fields_of_litellms_that_are_not_supported_are_taken_empty_and_refused_else(api: Api) -> None:
    said: Any
    for said in (None, [], {}, "", False):
        api.post("/key/generate", **dict.fromkeys(NOT_SUPPORTED, said))
    for name in NOT_SUPPORTED:
        for said in (0, ["x"], {"a": 1}, "x", True):
            error = api.refused(400, "/key/generate", **{name: said})
            assert error["message"] == f"{name} is not supported: leave it out" and error["param"] == name


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b'{"max_budget": NaN}', "the body is not JSON"),
        (b'{"key_alias": "\\ud800"}', "the body is not JSON"),
        (b'{"models": [', "the body is not JSON"),
        (b'{"key_alias": "\xff"}', "the body is not JSON"),
        (b"[" * 100_000, "the body is not JSON"),
        (b"[]", "a JSON object is needed"),
        (b"", "a JSON object is needed"),
    ],
)
def test_a_body_that_is_no_json_object_is_refused(api: Api, content: bytes, says: str) -> None:
    answer = api.http.post("/key/generate", content=content, headers={"content-type": "application/json"})
    assert answer.status_code == 400
    assert says in answer.json()["error"]["message"]


# -- what workers are told --------------------------------------------------------------------------------------------


def test_workers_forget_a_key_before_its_change_is_answered(api: Api) -> None:
    made = api.post("/key/generate")
    token = made["token"]
    assert api.told == [[token]], "they may remember that there was no such key"
    for path, body in (
        ("/key/update", {"key": made["key"], "rpm_limit": 1}),
        ("/key/block", {"key": made["key"]}),
        ("/key/unblock", {"key": token}),
    ):
        api.told.clear()
        api.post(path, **body)
        assert api.told == [[token]], path
    api.told.clear()
    again = api.post("/key/regenerate", key=made["key"])
    assert api.told == [[token, again["token"]]]
    api.told.clear()
    api.post("/key/delete", keys=[again["key"]])
    assert api.told == [[again["token"]]]


# -- changing ---------------------------------------------------------------------------------------------------------


def test_an_update_changes_what_it_names_and_nothing_else(api: Api) -> None:
    made = api.post("/key/generate", models=["a"], max_budget=1, rpm_limit=5, duration="1h", metadata={"x": 1})
    changed = api.post("/key/update", key=made["key"], rpm_limit=7, max_budget=None)
    assert changed["rpm_limit"] == 7 and changed["max_budget"] is None
    kept = ("models", "metadata", "expires", "key_alias", "created_at")
    assert {name: changed[name] for name in kept} == {name: made[name] for name in kept}
    assert changed["key"] == made["key"]


def test_an_expiry_is_changed_and_taken_away(api: Api) -> None:
    made = api.post("/key/generate", duration="1h")
    assert api.post("/key/update", key=made["key"], duration=None)["expires"] == made["expires"]
    assert api.post("/key/update", key=made["key"], duration="2d")["expires"] > made["expires"]
    assert api.post("/key/update", key=made["key"], duration="-1")["expires"] is None
    moment = "2099-01-01T00:00:00.000Z"
    assert api.post("/key/update", key=made["key"], expires=moment)["expires"] == moment


def test_a_key_is_named_by_itself_or_by_its_token(api: Api) -> None:
    made = api.post("/key/generate", key_alias="a")
    for name in (made["key"], made["token"]):
        assert api.get("/key/info", key=name)["info"]["key_alias"] == "a"
        api.post("/key/update", key=name, rpm_limit=1)


@pytest.mark.parametrize("path", ["/key/update", "/key/block", "/key/unblock", "/key/regenerate"])
def test_a_key_that_is_not_there_cannot_be_changed(api: Api, path: str) -> None:
    error = api.refused(404, path, key="sk-fake-nobody-has-this")
    assert error["message"] == "there is no such key" and error["param"] == "key"


def test_a_key_gets_another_secret_and_keeps_all_else(api: Api) -> None:
    made = api.post("/key/generate", key_alias="a", max_budget=5, spend=2)
    again = api.post("/key/regenerate", key=made["key"], rpm_limit=9)
    assert again["key"] != made["key"] and again["token"] == key_digest(again["key"])
    assert (again["key_alias"], again["max_budget"], again["spend"], again["rpm_limit"]) == ("a", 5, 2, 9)
    assert api.http.get("/key/info", params={"key": made["key"]}).status_code == 404
    third = api.post(f"/key/{again['token']}/regenerate", new_key="sk-fake-chosen-again")
    assert third["key"] == "sk-fake-chosen-again"
    assert api.http.post(f"/key/{third['token']}/regenerate").status_code == 200, "the body may be missing"


def test_keys_are_deleted_by_themselves_and_by_their_aliases(api: Api) -> None:
    one, other = api.post("/key/generate"), api.post("/key/generate", key_alias="b")
    assert api.post("/key/delete", keys=[one["key"]], key_aliases=["b"]) == {"deleted_keys": [one["key"], "b"]}
    assert api.get("/key/list")["keys"] == []
    assert other["token"] not in api.get("/key/list")["keys"]


def test_all_keys_are_deleted_or_none(api: Api) -> None:
    made = api.post("/key/generate")
    api.refused(404, "/key/delete", keys=[made["key"], "sk-fake-nobody-has-this"])
    assert api.refused(404, "/key/delete", key_aliases=["nobody"])["param"] == "key_aliases"
    assert "say which" in api.refused(400, "/key/delete")["message"]
    assert api.get("/key/list")["keys"] == [made["token"]]


# -- reading ----------------------------------------------------------------------------------------------------------


def test_a_list_has_pages(api: Api) -> None:
    tokens = [api.post("/key/generate", key_alias=f"k{number}")["token"] for number in range(5)]
    first = api.get("/key/list", size=2)
    assert (first["total_count"], first["current_page"], first["total_pages"]) == (5, 1, 3)
    pages = [api.get("/key/list", size=2, page=page)["keys"] for page in (1, 2, 3, 4)]
    assert [len(page) for page in pages] == [2, 2, 1, 0]
    assert {token for page in pages for token in page} == set(tokens)
    ordered = api.get("/key/list", sort_by="key_alias", sort_order="asc", return_full_object=True)
    assert [row["key_alias"] for row in ordered["keys"]] == ["k0", "k1", "k2", "k3", "k4"]
    assert ordered["keys"][0].keys() >= COLUMNS | {"token"}


def test_a_list_can_be_narrowed(api: Api) -> None:
    made = api.post("/key/generate", user_id="ada", key_alias="a")
    api.post("/key/generate", user_id="bob")
    for narrowed in ({"user_id": "ada"}, {"key_alias": "a"}, {"key_hash": made["token"]}):
        assert api.get("/key/list", **narrowed)["keys"] == [made["token"]]


def test_a_list_takes_no_word_that_it_does_not_know(api: Api) -> None:
    for odd in ({"limit": 5}, {"page": 0}, {"size": 100_000}, {"sort_by": "token; drop table keys"}):
        answer = api.http.get("/key/list", params=odd)
        assert answer.status_code == 400
        assert answer.json()["error"]["param"] == next(iter(odd))


def test_several_keys_are_told_at_once(api: Api) -> None:
    made = [api.post("/key/generate") for _ in range(3)]
    answer = api.post("/v2/key/info", keys=[made[0]["key"], made[2]["token"], "sk-fake-nobody-has-this"])
    assert {row["token"] for row in answer["info"]} == {made[0]["token"], made[2]["token"]}


# -- who may ----------------------------------------------------------------------------------------------------------


def test_a_virtual_key_may_ask_about_itself_and_nothing_else(api: Api) -> None:
    mine, other = api.post("/key/generate", key_alias="mine"), api.post("/key/generate")
    headers = api.as_caller(mine["key"])
    assert api.http.get("/key/info", headers=headers).json()["info"]["key_alias"] == "mine"
    assert api.http.get("/key/info", params={"key": mine["key"]}, headers=headers).status_code == 200
    for method, path in (
        ("GET", f"/key/info?key={other['token']}"),
        ("GET", f"/spend/logs?api_key={other['token']}"),
        ("GET", "/key/list"),
        ("GET", "/config"),
        ("GET", "/model/info"),
        ("GET", "/health"),
        ("GET", "/nothing/here"),
        ("POST", "/key/generate"),
        ("POST", "/key/info"),
        ("POST", "/key/update"),
        ("POST", "/config/apply"),
    ):
        answer = api.http.request(method, path, headers=headers, json={} if method == "POST" else None)
        assert answer.status_code == 403, path
        assert answer.json()["error"]["type"] == "auth_error"


@pytest.mark.parametrize(
    "header", ["authorization", "x-api-key", "api-key", "x-goog-api-key", "x-litellm-api-key", "X-API-KEY"]
)
def test_a_key_is_taken_from_where_clients_put_it(api: Api, header: str) -> None:
    value = f"Bearer {MASTER}" if header == "authorization" else MASTER
    headers = {"authorization": "", header: value}
    assert api.http.get("/key/list", headers=headers).status_code == 200


@pytest.mark.parametrize(
    "value", ["", "Bearer", "Basic c2s6", "Bearer sk-fake-wrong", f"Bearer {MASTER}x", "Bearer \xff"]
)
def test_nobody_without_a_good_key_is_let_in(api: Api, value: str) -> None:
    for method, path in (("GET", "/key/list"), ("POST", "/key/generate"), ("GET", "/nothing/here")):
        answer = api.http.request(method, path, headers=[(b"authorization", value.encode("latin-1"))], content=b"{")
        assert answer.status_code == 401
        assert answer.json()["error"]["code"] == "401"
        assert answer.headers["www-authenticate"] == "Bearer"


def test_a_key_that_is_blocked_or_over_is_let_in_no_more(api: Api) -> None:
    made = api.post("/key/generate")
    headers = api.as_caller(made["key"])
    for change in ({"blocked": True}, {"blocked": False, "expires": "2001-01-01T00:00:00Z"}):
        api.post("/key/update", key=made["key"], **change)
        assert api.http.get("/key/info", headers=headers).status_code == 401


def test_a_masked_key_tells_little() -> None:
    assert masked("sk-fake-0123456789abcd") == "sk-...abcd"
