"""The published schema: it says what the models say, and an editor that follows it lets through what is right."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest
import yaml

from penstock.control.config.schema import schema, schema_text
from tests.support.configs import loaded
from tests.support.needs import REPOSITORY


def errors(text: str) -> list[str]:
    validator = jsonschema.Draft202012Validator(schema())
    return [error.message for error in validator.iter_errors(yaml.safe_load(text))]


def test_it_is_published_as_it_is() -> None:
    published = REPOSITORY / "docs" / "reference" / "config.schema.json"
    assert published.read_text(encoding="utf-8") == schema_text(), "run: make docs"


def test_it_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(schema())


@pytest.mark.parametrize(
    "text",
    [
        "models: [{name: a, model: demo, rpm: 5, timeout: 30s, tags: x, drop_params: true, weight: 0.5}]",
        "models: [{name: a, model: demo, rpm: env:RPM, drop_params: env:FLAG, order: os.environ/RPM}]",
        "models: [{name: a, model: demo, prices: {input: 0.25}, network: {verify: false}, health_check: {every: 60}}]",
        "{models: [{name: a, model: demo}], aliases: {b: a}, x-mine: [1]}",
        "{models: [{name: a, model: demo}], routing: {fallbacks: {a: a}, strategy: least-busy, timeout: null}}",
        "keys: [{key: env:FLAG, alias: a, max_budget: 1.5, budget_duration: 30d, metadata: {a: [1]}}]",
        "general: {max_body: 1MiB, on_disconnect: drain, log_level: debug, otel_sample_ratio: 0.1}",
        "{pass_through: {openai: null}, endpoints: [{path: /a, target: 'http://a'}], environment_variables: {A: b}}",
    ],
)
def test_what_is_right_is_right(text: str) -> None:
    assert errors(text) == []
    loaded(text, {"RPM": "5", "FLAG": "yes", "OPENAI_API_KEY": "x"})


@pytest.mark.parametrize(
    "text",
    [
        "modles: []",
        "models: {}",
        "models: [{name: a}]",
        "models: [{name: a, model: demo, rpm: many}]",
        "models: [{name: a, model: demo, api_bas: x}]",
        "models: [{name: a, model: demo, timeout: soon}]",
        "general: {on_disconnect: wait}",
        "keys: [{max_budget: -1}]",
        "routing: {retries: 1.5}",
    ],
)
def test_what_is_wrong_is_wrong(text: str) -> None:
    assert errors(text)


def test_every_key_says_what_it_means() -> None:
    found: dict[str, Any] = schema()
    for name, block in {"": found, **found["$defs"]}.items():
        for key, field in block["properties"].items():
            assert field.get("description"), f"{name}.{key}"
