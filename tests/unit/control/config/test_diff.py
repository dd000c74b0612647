"""What a change comes to, in words, and never with a secret."""

from __future__ import annotations

import pytest

from penstock.control.config.diff import diff
from penstock.control.config.payloads import bundle_of, bundle_payload, refusal, report
from penstock.control.config.problems import ConfigErrors, Place, Problem
from tests.support.configs import bundle, loaded

SECRET, OTHER = "sk-fake-secret-old-1", "sk-fake-secret-new-2"
BASE = """
models:
  - {name: gpt, id: one, model: openai/gpt-5-mini, api_key: env:KEY, rpm: 600, headers: {x-team: env:KEY}}
  - {name: claude, model: anthropic/claude-sonnet-4-5, api_key: env:KEY}
aliases: {best: claude}
routing: {retries: 2, fallbacks: {gpt: [claude]}}
keys:
  - {key: env:KEY, alias: team-a, max_budget: 100, budget_duration: 1mo}
general: {master_key: env:MASTER}
pass_through: {openai: {api_key: env:KEY}}
environment_variables: {SOME: env:KEY}
endpoints: [{path: /x, target: "https://a.example", headers: {authorization: env:KEY}}]
"""
ENVIRONMENT = {"KEY": SECRET, "MASTER": "sk-fake-master-1"}


def changes(old: str, new: str, environment: dict[str, str] | None = None) -> list[str]:
    return [str(each) for each in diff(loaded(old, ENVIRONMENT), loaded(new, environment or ENVIRONMENT))]


def test_the_same_has_no_changes() -> None:
    assert changes(BASE, BASE) == []


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("rpm: 600", "rpm: 900", ["~ models.gpt[one].rpm: 600 -> 900"]),
        (", rpm: 600", "", ["~ models.gpt[one].rpm: 600 -> nothing"]),
        ("gpt-5-mini", "gpt-5", ["~ models.gpt[one].model: openai/gpt-5-mini -> openai/gpt-5"]),
        ("best: claude", "best: gpt", ["~ aliases.best: claude -> gpt"]),
        ("{best: claude}", "{best: claude, fast: gpt}", ["+ aliases.fast: gpt"]),
        ("{best: claude}", "{}", ["- aliases.best: claude"]),
        ("retries: 2", "retries: 5", ["~ routing.retries: 2 -> 5"]),
        ("{gpt: [claude]}", "{gpt: [best, claude]}", ["~ routing.fallbacks.gpt: [claude] -> [best, claude]"]),
        ("max_budget: 100", "max_budget: 0.1", ["~ keys.team-a.max_budget: 100 USD -> 0.1 USD"]),
        ("alias: team-a", "alias: team-b", ["~ keys.team-b.key_alias: team-a -> team-b"]),
        ("api_key: env:KEY, rpm", "api_key: x, rpm", ["~ models.gpt[one].api_key: changed"]),
        ("{x-team: env:KEY}", "{x-team: y, x-b: z}", ["~ models.gpt[one].extra_headers.x-team: changed"]),
        ("https://a.example", "https://u:p@b.example", ["https://a.example -> https://...@b.example"]),
        (
            "{SOME: env:KEY}",
            "{SOME: b, NEW: c}",
            ["~ environment_variables.SOME: changed", "+ environment_variables.NEW"],
        ),
        (
            "  - {name: claude,",
            "  - {name: new, id: two, model: demo}\n  - {name: claude,",
            ["+ models.new: demo (two)"],
        ),
    ],
)
def test_each_change_is_said(old: str, new: str, said: list[str]) -> None:
    assert old in BASE
    found = changes(BASE, BASE.replace(old, new))
    assert all(any(part in line for line in found) for part in said), found
    assert len(found) <= 2


def test_a_deployment_that_is_gone() -> None:
    old = "models: [{name: a, id: x, model: demo}, {name: b, id: y, model: demo}]"
    assert changes(old, "models: [{name: a, id: x, model: demo}]") == ["- models.b: demo (y)"]


def test_a_deployment_of_another_id_is_known_by_group_and_model() -> None:
    old = "models: [{name: a, model: openai/gpt-5, api_key: k, api_base: http://a.example}]"
    found = changes(old, old.replace("a.example", "b.example"))
    assert any("http://a.example -> http://b.example" in line for line in found)
    assert not any(line.startswith(("+", "-")) for line in found)


def test_no_change_shows_a_secret() -> None:
    found = changes(BASE, BASE, {"KEY": OTHER, "MASTER": OTHER + "m"})
    assert found
    assert not any(SECRET in line or OTHER in line for line in found)
    assert "~ general.master_key: changed" in found
    assert "~ keys.team-a.key: changed" in found
    assert "~ pass_through.openai.api_key: changed" in found
    assert "~ endpoints./x.headers.authorization: changed" in found
    for text in (BASE.replace("api_key: env:KEY, rpm: 600", "rpm: 5"), "models: [{name: a, model: demo}]"):
        for line in [*changes(text, BASE), *changes(BASE, text)]:
            assert SECRET not in line


# -- as JSON ----------------------------------------------------------------------------------------------------------


def test_a_bundle_goes_there_and_back() -> None:
    given = bundle("include: [a.yaml]", a_yaml="models: []")
    assert bundle_of(bundle_payload(given)) == given


@pytest.mark.parametrize(
    "payload", [None, [], {}, {"main": "a"}, {"main": 1, "files": {}}, {"main": "a", "files": {"a": 1}}, {"files": {}}]
)
def test_what_is_no_bundle_is_refused(payload: object) -> None:
    with pytest.raises(ConfigErrors):
        bundle_of(payload)


def test_answers() -> None:
    old, new = loaded("routing: {retries: 2}"), loaded("routing: {retries: 3}")
    warning = Problem("not honoured", "x", Place("f", 3))
    body = report(4, diff(old, new), [warning])
    assert body == {
        "version": 4,
        "changes": [
            {"kind": "changed", "path": "routing.retries", "old": "2", "new": "3", "text": "~ routing.retries: 2 -> 3"}
        ],
        "warnings": [
            {"path": "x", "file": "f", "line": 3, "message": "not honoured", "text": "x, line 3 of f: not honoured"}
        ],
    }
    refused = refusal(ConfigErrors([warning]))["error"]
    assert refused["message"] == "x, line 3 of f: not honoured"
    assert refused["problems"] == body["warnings"]
