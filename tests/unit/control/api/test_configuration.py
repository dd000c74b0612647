"""/config/...: a change is a transaction; what is wrong changes nothing; nothing that is shown holds a secret."""

from __future__ import annotations

from typing import Any

from penstock.gateway.principal import key_digest
from tests.unit.control.api.conftest import Api

SECRET = "sk-fake-provider-secret-0123456789"
GOOD = f"""
models:
  - name: fast
    model: openai/gpt-4o-mini
    api_key: {SECRET}
keys:
  - key: sk-fake-listed-key-0123
    alias: listed
    max_budget: 3
"""


def bundle(text: str) -> dict[str, Any]:
    return {"main": "penstock.yaml", "files": {"penstock.yaml": text}}


def test_a_configuration_is_applied_as_a_whole(api: Api) -> None:
    assert api.get("/config")["source"] == "environment"
    checked = api.post("/config/check", **bundle(GOOD))
    assert checked["changes"] == [] and checked["version"] == 0
    compared = api.post("/config/diff", **bundle(GOOD))
    assert {change["path"] for change in compared["changes"]} >= {"models.fast", "keys.listed"}
    assert api.get("/config/status")["version"] == 0, "nothing was applied"
    applied = api.post("/config/apply", **bundle(GOOD))
    assert applied["version"] == 1 and applied["changes"] == compared["changes"]
    status = api.get("/config/status")
    assert (status["version"], status["source"], status["by"], status["refused"]) == (1, "api", "master key", None)
    assert status["workers"] == 2
    assert api.services.configuration.snapshot.deployments[0].group == "fast"


def test_one_that_is_wrong_changes_nothing_and_says_why(api: Api) -> None:
    api.post("/config/apply", **bundle(GOOD))
    answer = api.http.post("/config/apply", json=bundle("modls: []\nrouting: {retries: many}\n"))
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["type"] == "invalid_config"
    assert [(problem["line"], problem["file"]) for problem in error["problems"]] == [
        (1, "penstock.yaml"),
        (2, "penstock.yaml"),
    ]
    status = api.get("/config/status")
    assert status["version"] == 1 and "did you mean models?" in status["refused"]
    api.post("/config/apply", **bundle(GOOD))
    assert api.get("/config/status")["refused"] is None


def test_nothing_that_is_shown_holds_a_secret(api: Api) -> None:
    api.post("/config/apply", **bundle(GOOD))
    for path in ("/config", "/config/status", "/config/history", "/model/info", "/v1/model/info", "/model_group/info"):
        text = api.http.get(path).text
        assert SECRET not in text and "sk-fake-listed-key-0123" not in text, path
    assert api.get("/config")["config"]["deployments"][0]["arguments"] == {"model": "openai/gpt-4o-mini"}


def test_the_history_tells_when_and_by_whom(api: Api) -> None:
    for name in ("one", "two"):
        api.post("/config/apply", **bundle(GOOD.replace("fast", name)))
    rows = api.get("/config/history")["data"]
    assert [(row["version"], row["source"], row["by"], row["files"]) for row in rows] == [
        (2, "api", "master key", ["penstock.yaml"]),
        (1, "api", "master key", ["penstock.yaml"]),
    ]
    assert len(api.get("/config/history", limit=1)["data"]) == 1


def test_a_listed_key_is_a_key_that_is_changed_where_it_is_listed(api: Api) -> None:
    api.post("/config/apply", **bundle(GOOD))
    token = key_digest("sk-fake-listed-key-0123")
    info = api.get("/key/info", key=token)["info"]
    assert (info["key_alias"], info["max_budget"], info["source"]) == ("listed", 3, "config")
    for path, body in (
        ("/key/update", {"key": token, "rpm_limit": 1}),
        ("/key/block", {"key": token}),
        ("/key/regenerate", {"key": token}),
        ("/key/delete", {"keys": [token]}),
    ):
        assert "is listed in the configuration: change it there" in api.refused(400, path, **body)["message"]
    api.told.clear()
    api.post("/config/apply", **bundle(GOOD.replace("max_budget: 3", "max_budget: 4")))
    assert api.get("/key/info", key=token)["info"]["max_budget"] == 4
    assert api.told == [[token]]
    api.told.clear()
    api.post("/config/apply", **bundle(GOOD.partition("keys:")[0]))
    assert api.http.get("/key/info", params={"key": token}).status_code == 404
    assert api.told == [[token]], "it is refused everywhere when the call returns"


def test_a_listed_key_with_the_alias_of_another_is_refused_before_anything_changes(api: Api) -> None:
    made = api.post("/key/generate", key_alias="listed")
    answer = api.http.post("/config/apply", json=bundle(GOOD))
    assert answer.status_code == 400 and "has the alias 'listed'" in answer.json()["error"]["message"]
    assert api.get("/config/status")["version"] == 0 and api.get("/config/history")["data"] == []
    assert api.get("/key/list")["keys"] == [made["token"]]


def test_what_a_listed_key_spent_stays_spent(api: Api) -> None:
    api.post("/config/apply", **bundle(GOOD))
    token = key_digest("sk-fake-listed-key-0123")
    api.store.change_key(token, {"spend": 5}, at=0, by="a test")
    api.post("/config/apply", **bundle(GOOD.replace("max_budget: 3", "max_budget: 4")))
    found = api.store.key(token)
    assert found is not None and found.spend == 5


def test_the_configuration_bounds_new_keys(api: Api) -> None:
    bounds = "general: {key_defaults: {rpm_limit: 10}, key_bounds: {max_budget: 5, duration: 30d}}\n"
    api.post("/config/apply", **bundle(GOOD + bounds))
    made = api.post("/key/generate")
    assert (made["rpm_limit"], made["max_budget"]) == (10, 5) and made["expires"] is not None
    assert api.post("/key/generate", rpm_limit=20, max_budget=4.5, duration="2w")["rpm_limit"] == 20
    for body in ({"max_budget": 5.01}, {"duration": "2mo"}):
        error = api.refused(400, "/key/generate", **body)
        assert error["param"] == next(iter(body)) and "key_bounds" in error["message"]


def test_models_are_told_with_what_is_known_of_them(api: Api) -> None:
    api.post("/config/apply", **bundle(GOOD))
    for path in ("/model/info", "/v1/model/info"):
        (row,) = api.get(path)["data"]
        assert row["model_name"] == "fast" and row["litellm_params"]["model"] == "openai/gpt-4o-mini"
        assert row["model_info"]["db_model"] is False and row["model_info"]["input_cost_per_token"] > 0
    assert api.get("/model/info", litellm_model_id=row["model_info"]["id"])["data"] == [row]
    assert api.http.get("/model/info", params={"litellm_model_id": "nobody"}).status_code == 404
    (group,) = api.get("/model_group/info")["data"]
    assert group["model_group"] == "fast" and group["providers"] == ["openai"] and group["max_input_tokens"] > 0
    assert api.get("/model_group/info", model_group="nobody")["data"] == []
