"""The native form: what it comes to, and what is said of what is wrong: all at once, each at its line, no secret."""

from __future__ import annotations

import hashlib
import json
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.calls.options import timeouts_of
from penstock.control.config.load import load, load_bundle
from penstock.control.config.loaded import Loaded, groups_for
from penstock.control.config.native import Config, General, Model, Routing
from penstock.control.config.problems import ConfigErrors, Problem
from penstock.exchange import Timeouts
from penstock.gateway.snapshot import RoutingSettings, Settings, Snapshot
from tests.support.configs import bundle, loaded, refused
from tests.support.needs import REPOSITORY

SECRET = "sk-fake-not-to-be-shown-1234"
ENVIRONMENT = {"KEY": SECRET, "OPENAI_API_KEY": SECRET, "RPM": "60", "FLAG": "yes"}
GPT = "models: [{name: gpt, model: openai/gpt-5-mini, api_key: env:KEY}]\n"


# -- what it comes to -------------------------------------------------------------------------------------------------


def test_a_deployment() -> None:
    text = """
        models:
          - name: gpt
            model: azure/my-gpt
            api_base: https://example.openai.azure.com
            api_key: env:KEY
            api_version: 2024-10-21
            base_model: azure/gpt-4o
            order: 2
            weight: 3
            rpm: env:RPM
            tpm: 1e6
            max_parallel_requests: 10
            retries: 1
            cooldown: 1m
            timeout: 2m
            stream_timeout: 600
            tags: [paid]
            arguments: {temperature: 0.2}
            headers: {x-team: a}
            drop: user
            prices: {input: 0.25, output: 2, cache_read: "0.025"}
            facts: {mode: chat, max_input_tokens: 1000}
            network: {proxy: "http://proxy:8080", ca: /etc/ca.pem}
    """
    (deployment,) = loaded(text, ENVIRONMENT).snapshot.deployments
    assert deployment.arguments == {
        "model": "azure/my-gpt",
        "api_base": "https://example.openai.azure.com",
        "api_key": SECRET,
        "api_version": "2024-10-21",
        "base_model": "azure/gpt-4o",
        "temperature": 0.2,
        "extra_headers": {"x-team": "a"},
        "additional_drop_params": ["user"],
        "tags": ["paid"],
        "timeout": 120.0,
        "input_cost_per_token": "0.00000025",
        "output_cost_per_token": "0.000002",
        "cache_read_input_token_cost": "0.000000025",
        "model_info": {"mode": "chat", "max_input_tokens": 1000},
    }
    assert (deployment.order, deployment.weight, deployment.rpm, deployment.tpm) == (2, 3, 60, 1_000_000)
    assert (deployment.most_in_flight, deployment.retries, deployment.cooldown) == (10, 1, 60)
    assert deployment.stream_timeout == 600
    assert deployment.network == {"proxy": "http://proxy:8080", "ca_file": "/etc/ca.pem", "verify": True}
    assert (deployment.price, deployment.input_price) == (Decimal("2.25"), Decimal("0.25"))
    assert (deployment.cached_price, deployment.max_input) == (Decimal("0.025"), 1000)


def test_prices_and_windows_of_known_models_are_filled_in() -> None:
    (deployment,) = loaded(GPT, ENVIRONMENT).snapshot.deployments
    assert deployment.price == Decimal("2.25")
    assert deployment.max_input is not None
    assert deployment.max_input > 100_000


def test_timeouts_of_their_own_are_a_mapping_that_a_call_takes() -> None:
    text = "models: [{name: a, model: demo, connect_timeout: 2, first_token_timeout: 30s, timeout: 5m}]"
    given_timeouts = loaded(text).snapshot.deployments[0].arguments["timeout"]
    assert given_timeouts == {"connect": 2.0, "first_token": 30.0, "total": 300.0}
    assert timeouts_of(given_timeouts) == Timeouts(connect=2.0, first_token=30.0, total=300.0)


def test_ids_stay_when_the_list_is_sorted_anew_and_when_keys_change() -> None:
    one = "{name: gpt, model: openai/gpt-5-mini, api_key: env:KEY}"
    two = "{name: gpt, model: openai/gpt-5-mini, api_base: http://127.0.0.1:1, api_key: env:KEY}"
    here = [each.id for each in loaded(f"models: [{one}, {two}]", ENVIRONMENT).snapshot.deployments]
    there = [each.id for each in loaded(f"models: [{two}, {one}]", {"KEY": "another"}).snapshot.deployments]
    assert here == there[::-1]
    assert len(set(here)) == 2


def test_equal_deployments_have_ids_of_their_own() -> None:
    entry = "{name: a, model: demo}"
    ids = [each.id for each in loaded(f"models: [{entry}, {entry}, {entry}]").snapshot.deployments]
    assert len(set(ids)) == 3


def test_routing_and_general_are_passed_on() -> None:
    text = """
        models: [{name: a, model: demo}, {name: b, model: demo}]
        aliases: {best: a}
        routing:
          strategy: least-busy
          strategies: {a: cost-based-routing}
          retries: 5
          retry_policy: {rate_limit: 3}
          group_retry_policy: {b: {timeout: 0}}
          cooldown: 500ms
          cooldowns: off
          fallbacks: {a: b, "*": [a]}
          default_fallbacks: b
          timeout:
          sticky_seconds: 5m
          queue_size: 100
        general:
          max_body: 1MiB
          drain_seconds: 1m
          on_disconnect: drain
          litellm_headers: yes
          budget_status: 402
          forward_headers: [x-team]
          log_level: debug
          state_dir: /var/lib/penstock
          spend_log_retention: 90d
          key_defaults: {rpm_limit: 10}
    """
    found = loaded(text)
    routing, settings = found.snapshot.routing, found.snapshot.settings
    assert found.snapshot.aliases == {"best": "a"}
    assert (routing.strategy, routing.strategies) == ("least-busy", {"a": "cost-based-routing"})
    assert (routing.retries, routing.retry_policy) == (5, {"rate_limit": 3})
    assert routing.group_retry_policy == {"b": {"timeout": 0}}
    assert (routing.cooldown, routing.cooldowns, routing.timeout) == (0.5, False, None)
    assert routing.fallbacks == {"a": ("b",), "*": ("a",)}
    assert routing.default_fallbacks == ("b",)
    assert (routing.sticky_seconds, routing.queue_size) == (300, 100)
    assert (settings.max_body, settings.drain_seconds, settings.on_disconnect) == (1 << 20, 60, "drain")
    assert (settings.litellm_headers, settings.budget_status) == (True, 402)
    assert (settings.forward_headers, settings.log_level) == (("x-team",), "debug")
    assert found.control.state_dir == "/var/lib/penstock"
    assert found.control.spend_log_retention == 90 * 86400
    assert found.control.key_defaults == {"rpm_limit": 10}


def test_keys() -> None:
    digest = hashlib.sha256(b"sk-fake-b").hexdigest()
    text = f"""
        {GPT.strip()}
        keys:
          - key: env:KEY
            alias: team-a
            models: [gpt, beta, "claude-*"]
            expires: 2027-01-31T18:00:00+01:00
            rpm_limit: 600
            tpm_limit: 1e6
            max_parallel_requests: 0
            max_budget: 0.000000000001
            budget_duration: 1mo
            tags: [x]
            metadata: {{team: a, cost_center: 7}}
          - {{sha256: {digest.upper()}, blocked: true}}
    """.replace("models: [{name: gpt,", "models: [{access_groups: [beta], name: gpt,")
    found = loaded(text, ENVIRONMENT)
    first, second = found.keys
    assert first.token == hashlib.sha256(SECRET.encode()).hexdigest()
    assert (first.key_name, first.key_alias, first.source) == ("sk-...1234", "team-a", "config")
    assert first.expires == 1801414800.0
    assert (first.rpm_limit, first.tpm_limit, first.max_parallel_requests) == (600, 1_000_000, 0)
    assert (first.max_budget, first.budget_duration) == (1, "1mo")
    assert first.metadata == {"team": "a", "cost_center": 7}
    assert (second.token, second.blocked) == (digest, True)
    assert groups_for(first.models, found.access_groups) == ("gpt", "claude-*")


def test_pass_through_endpoints_and_variables() -> None:
    text = """
        pass_through: {openai: {api_key: env:KEY}, anthropic: }
        endpoints:
          - path: /v1/search
            target: "https://search.example/v1"
            headers: {Authorization: Bearer env:KEY}
            methods: post
        environment_variables: {ANTHROPIC_API_KEY: env:KEY, PORT: 80}
    """
    snapshot = loaded(text, ENVIRONMENT).snapshot
    assert snapshot.pass_through == {"openai": {"api_key": SECRET}, "anthropic": {}}
    (endpoint,) = snapshot.endpoints
    assert (endpoint.path, endpoint.target, endpoint.methods) == ("/v1/search", "https://search.example/v1", ("POST",))
    assert endpoint.headers == {"Authorization": f"Bearer {SECRET}"}
    assert not endpoint.keyless
    assert snapshot.environment == {"ANTHROPIC_API_KEY": SECRET, "PORT": "80"}


def test_active_checks() -> None:
    text = """
        models:
          - {name: a, model: demo, id: one}
          - {name: b, model: demo, id: two, health_check: {timeout: 5}, facts: {mode: embedding}}
          - {name: c, model: demo, id: three, health_check: {enabled: false}}
          - {name: "openai/*", model: "openai/*", id: four, api_key: env:KEY}
        general: {health_check: {every: 1m}}
    """
    probes = loaded(text, ENVIRONMENT).probes
    assert set(probes) == {"one", "two"}
    assert (probes["two"].every, probes["two"].timeout, probes["two"].mode) == (60, 5, "embedding")


@pytest.mark.parametrize(
    ("text", "environment", "key", "source"),
    [
        ("general: {master_key: env:KEY}", ENVIRONMENT | {"PENSTOCK_MASTER_KEY": "x"}, SECRET, "penstock.yaml"),
        ("", {"PENSTOCK_MASTER_KEY": " a\n", "LITELLM_MASTER_KEY": "b"}, "a", "PENSTOCK_MASTER_KEY"),
        ("", {"LITELLM_MASTER_KEY": "b"}, "b", "LITELLM_MASTER_KEY"),
        ("environment_variables: {PENSTOCK_MASTER_KEY: c}", {"LITELLM_MASTER_KEY": "b"}, "c", "PENSTOCK_MASTER_KEY"),
        ("", {}, None, None),
    ],
)
def test_the_master_key(text: str, environment: dict[str, str], key: str | None, source: str | None) -> None:
    found = loaded(text, environment)
    assert (found.master_key, found.master_key_source) == (key, source)


def test_a_snapshot_crosses_the_channel() -> None:
    snapshot = loaded(GPT, ENVIRONMENT).snapshot
    again = msgspec.msgpack.decode(msgspec.msgpack.encode(snapshot), type=Snapshot)
    assert again == snapshot
    assert again.version == 0


@pytest.mark.parametrize(
    ("block", "settings"), [(Routing, RoutingSettings), (General, Settings)], ids=["routing", "general"]
)
def test_whatever_workers_can_be_told_can_be_configured(block: Any, settings: Any) -> None:
    """Of the same name and with the same default, so that no file and an empty one are the same."""
    assert set(settings.__struct_fields__) <= set(block.model_fields)
    defaults = settings()
    given_defaults = {name: getattr(block(), name) for name in settings.__struct_fields__}
    for name, value in given_defaults.items():
        assert (tuple(value) if isinstance(value, list) else value) == getattr(defaults, name), name


# -- the environment --------------------------------------------------------------------------------------------------


def test_every_value_may_be_a_variable_and_all_that_are_missing_are_named() -> None:
    text = """
        models:
          - name: env:NAME
            model: os.environ/MODEL
            rpm: env:RPM
            tags: [env:TAG]
            headers: {Authorization: Bearer os.environ/TOKEN}
        general: {litellm_headers: env:FLAG, master_key: 'env:'}
    """
    assert refused(text, ENVIRONMENT) == [
        "models[0].name, line 3 of penstock.yaml: the environment variable NAME is not set",
        "models[0].model, line 4 of penstock.yaml: the environment variable MODEL is not set",
        "models[0].tags[0], line 6 of penstock.yaml: the environment variable TAG is not set",
        "models[0].headers.Authorization, line 7 of penstock.yaml: the environment variable TOKEN is not set",
        "general.master_key, line 8 of penstock.yaml: it names no environment variable (a second colon makes it a"
        " text)",
    ]
    more = {"NAME": "gpt", "MODEL": "demo", "TAG": "t", "TOKEN": "x"}
    found = loaded(text.replace(", master_key: 'env:'", ""), ENVIRONMENT | more)
    assert found.snapshot.deployments[0].rpm == 60
    assert found.snapshot.deployments[0].arguments["extra_headers"] == {"Authorization": "Bearer x"}
    assert found.snapshot.settings.litellm_headers


def test_a_text_that_only_looks_like_a_variable() -> None:
    text = "models: [{name: a, model: demo, tags: ['env::prod'], arguments: {user: see env:HERE}}]"
    (deployment,) = loaded(text).snapshot.deployments
    assert deployment.tags == ("env:prod",)
    assert deployment.arguments["user"] == "see env:HERE"


# -- errors -----------------------------------------------------------------------------------------------------------


def test_all_errors_of_a_file_at_once() -> None:
    text = """
        models:
          - name: gpt
            model: openai/gpt-5-mini
            api_bas: x
            rpm: many
          - modle: demo
            name: 5
            model_name: x
          - text
        aliases: [a]
        routing: {strategy: fast, fallbacks: {gpt: gtp}, retry_policy: {ratelimit: 3}}
        rpm: 4
        general: {max_body: huge, log: debug}
    """
    assert refused(text, ENVIRONMENT) == [
        "models[0].api_bas, line 5 of penstock.yaml: unknown key; did you mean api_base?",
        "models[0].rpm, line 6 of penstock.yaml: expected a number of 0 or more, got 'many'",
        "models[1], line 7 of penstock.yaml: `model` is missing",
        "models[1].modle, line 7 of penstock.yaml: unknown key; did you mean model?",
        "models[1].name, line 8 of penstock.yaml: expected a text (put it in quotes), got the number 5",
        "models[1].model_name, line 9 of penstock.yaml: unknown key; did you mean name?",
        "models[2], line 10 of penstock.yaml: expected a mapping, got 'text'",
        "aliases, line 11 of penstock.yaml: expected a mapping of names to texts, got a list",
        "routing.fallbacks.gpt, line 12 of penstock.yaml: there is no model group 'gtp'; did you mean gpt?",
        "routing.retry_policy.ratelimit, line 12 of penstock.yaml: there is no kind of error 'ratelimit'; did you mean"
        " rate_limit?",
        *[each for each in refused(text, ENVIRONMENT) if each.startswith("routing.strategy")],
        "rpm, line 13 of penstock.yaml: unknown key; it belongs to models[]",
        "general.log, line 14 of penstock.yaml: unknown key; did you mean log_level?",
        "general.max_body, line 14 of penstock.yaml: expected bytes, or a size such as 500kB, 64MB, 1GiB, got 'huge'",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("modles: []", "modles, line 1 of penstock.yaml: unknown key; did you mean models?"),
        ("models: {}", "models, line 1 of penstock.yaml: expected a list (its entries begin with `-`), got a mapping"),
        ("models: 3", "expected a list (its entries begin with `-`), got the number 3"),
        ("general: []", "general, line 1 of penstock.yaml: expected a mapping, got a list"),
        ("models: [{name: a, model: demo, order: 0}]", "expected a whole number of 1 or more, got the number 0"),
        ("models: [{name: a, model: demo, order: 1.5}]", "expected a whole number of 1 or more, got the number 1.5"),
        ("models: [{name: a, model: demo, order: true}]", "expected a whole number of 1 or more, got true"),
        ("models: [{name: a, model: demo, rpm: -1}]", "expected a number of 0 or more, got the number -1"),
        ("models: [{name: a, model: demo, rpm: .inf}]", "expected a number of 0 or more"),
        ("models: [{name: a, model: demo, tags: [1]}]", "expected a list of texts (put what is none in quotes)"),
        ("models: [{name: a, model: demo, timeout: 0}]", "expected seconds above 0"),
        (
            "models: [{name: a, model: demo, timeout: soon}]",
            "expected seconds, or a time such as 500ms, 30s, 5m, 2h, 7d",
        ),
        ("models: [{name: '', model: demo}]", "expected a text that is not empty, got ''"),
        ("models: [{name: a, model: demo, drop_params: maybe}]", "expected true or false, got 'maybe'"),
        ("models: [{name: a, model: demo, headers: {x: 1}}]", "that of x is none (put it in quotes)"),
        ("models: [{name: a, model: demo, headers: {x y: a}}]", "this cannot be the name of a header"),
        ('models: [{name: a, model: demo, headers: {x: "a\\r\\nb: c"}}]', "a header's value is one line"),
        ("models: [{name: a, model: nobody-knows-it}]", "No provider is known for the model 'nobody-knows-it'"),
        ("models: [{name: a, model: opnai/x}]", "models[0].model, line 1 of penstock.yaml: No provider is known"),
        ("models: [{name: a, model: x, provider: opnai}]", "models[0].provider, line 1 of penstock.yaml:"),
        ("models: [{name: a, model: 'openai/*'}]", "a `*` stands for what stood in the name, and the name has none"),
        ("models: [{name: a, model: demo, arguments: {my_password: x}}]", "it is called like a credential"),
        (
            "models: [{name: a, model: demo, arguments: {num_retries: x}}]",
            "num_retries, line 1 of penstock.yaml: write it as `retries`",
        ),
        ("models: [{name: a, model: demo, id: x}, {name: b, model: demo, id: x}]", "the same id as in line 1"),
        ("aliases: {a: b, b: a}", "these aliases name each other: a -> b -> a"),
        ("aliases: {a: a}", "these aliases name each other: a -> a"),
        ("aliases: {a: b}", "there is no model group 'b'"),
        (
            "keys: [{alias: x}]",
            "keys[0], line 1 of penstock.yaml: give `key` (best as env:NAME) or `sha256`, one of them",
        ),
        ("keys: [{sha256: abc}]", "expected the SHA-256 of a key, 64 hex digits"),
        ("keys: [{key: a b}]", "a key is of visible ASCII characters, without spaces"),
        ("keys: [{key: k1, models: [x]}]", "keys[0].models[0], line 1 of penstock.yaml: there is no model group 'x'"),
        ("keys: [{key: k1, budget_duration: monthly}]", "expected a period such as 60s, 30m, 24h, 7d, 1mo"),
        ("keys: [{key: k1, expires: tomorrow}]", "expected a date or a time"),
        ("keys: [{key: k1, max_budget: -1}]", "expected an amount of US dollars, 0 or more"),
        ("keys: [{key: k1, rpm: 5}]", "unknown key; did you mean rpm_limit?"),
        ("keys: [{key: k1}, {key: k1}]", "keys[1].key, line 1 of penstock.yaml: the same key as in line 1"),
        ("keys: [{key: k1, alias: a}, {key: k2, alias: a}]", "the same alias as in line 1"),
        ("{keys: [{key: k1}], general: {master_key: k1}}", "it is the master key: give each its own"),
        ("pass_through: {opnai: }", "there is no provider 'opnai'; did you mean openai?"),
        ("endpoints: [{path: v1, target: 'https://x'}]", "a path begins with `/`"),
        (
            "endpoints: [{path: /v1, target: 'file:///etc/passwd'}]",
            "expected a URL that begins with https:// or http://",
        ),
        ("general: {on_disconnect: wait}", "expected one of abort, drain, got 'wait'"),
        ("general: {otel_sample_ratio: 2}", "expected a number from 0 to 1"),
        ("routing: {group_retry_policy: {'*': 3}}", "expected a mapping of kinds of errors to numbers"),
        ("environment_variables: [a]", "expected a mapping"),
        ("environment_variables: {A: [b]}", "expected a text"),
    ],
)
def test_what_is_wrong_is_said(text: str, said: str) -> None:
    lines = refused(text, ENVIRONMENT)
    assert any(said in line for line in lines), lines


def test_a_model_without_a_key_is_a_warning() -> None:
    (warning,) = loaded("models: [{name: a, model: anthropic/claude-sonnet-4-5}]").warnings
    said = "no key for anthropic is given (api_key) or set (ANTHROPIC_API_KEY)"
    assert str(warning) == f"models[0].model, line 1 of penstock.yaml: {said}"
    assert loaded("environment_variables: {OPENAI_API_KEY: x}\nmodels: [{name: a, model: openai/gpt-5}]").warnings == ()


def test_a_key_for_all_models_may_say_so() -> None:
    assert loaded("keys: [{key: fake-key-1, models: [all-proxy-models]}]").keys[0].models == ("all-proxy-models",)


def test_an_argument_that_may_be_misspelt_is_a_warning() -> None:
    text = "models: [{name: a, model: bedrock/x, arguments: {aws_regoin_name: eu, temperature: 1}}]"
    warnings = [str(each) for each in loaded(text).warnings]
    assert any("arguments.aws_regoin_name" in each and "or was aws_region_name meant?" in each for each in warnings)
    assert not any("temperature" in each for each in warnings)


TASKS = """
models: [{name: gpt, model: demo}, {name: cheap, model: demo}]
aliases: {other: auto}
keys: [{key: fake-key-1, models: [auto, smart]}]
routing:
  fallbacks: {smart: [gpt]}
  rules:
    - {name: code, when: {code: true}, to: smart}
    - {model: auto, to: gpt}
  cascades:
    smart: {groups: [cheap, gpt]}
"""


def test_rules_and_cascades_are_names_like_groups() -> None:
    routing = loaded(TASKS).snapshot.routing
    assert routing.rules[1] == {"model": "auto", "to": "gpt"}
    assert routing.cascades == {"smart": {"groups": ["cheap", "gpt"]}}


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("code: true", "cod: true", "routing.rules[0], line 8 of penstock.yaml: (code).when has no 'cod'"),
        (
            "to: smart",
            "to: smrt",
            "routing.rules[0].to, line 8 of penstock.yaml: there is no model group 'smrt'; did you",
        ),
        ("to: smart", "to: auto", "routing.rules[0].to, line 8 of penstock.yaml: it must be a model group"),
        ("    - {model: auto, to: gpt}\n", "", "routing.rules, line 7 of penstock.yaml: 'auto' needs a last rule"),
        ("[cheap, gpt]", "[cheap]", "routing.cascades.smart.groups, line 11 of penstock.yaml: must be two"),
        ("[cheap, gpt]", "[cheap, x]", "routing.cascades.smart.groups[1], line 11 of penstock.yaml: there is no model"),
        (
            "groups: [c",
            "chcks: 1, groups: [c",
            "routing.cascades.smart, line 11 of penstock.yaml: has no 'chcks'; did you",
        ),
    ],
)
def test_rules_and_cascades_that_are_wrong_are_said_at_their_place(old: str, new: str, said: str) -> None:
    assert old in TASKS
    lines = refused(TASKS.replace(old, new))
    assert any(line.startswith(said) for line in lines), lines


# -- secrets ----------------------------------------------------------------------------------------------------------

PLACES = [
    "models: [{name: a, model: %s}]",
    "models: [{name: a, model: demo, api_key: [%s]}]",
    "models: [{name: a, model: demo, rpm: %s}]",
    "models: [{name: a, model: demo, headers: {Authorization: [%s]}}]",
    "models: [{name: a, model: demo, timeout: %s}]",
    "models: [{name: a, model: demo, drop_params: %s}]",
    "models: [{name: a, model: demo, prices: {input: %s}}]",
    "models: [{name: a, model: demo, arguments: {num_retries: %s}}]",
    "keys: [{sha256: %s}]",
    "keys: [{key: k1, expires: %s}]",
    "keys: [{key: k1, budget_duration: %s}]",
    "general: {max_body: %s, on_disconnect: %s}",
    "routing: {strategy: %s}",
    "routing: {fallbacks: {a: %s}}",
    "aliases: {a: %s}",
    "endpoints: [{path: %s, target: %s}]",
]


@pytest.mark.parametrize("text", PLACES)
def test_no_error_shows_what_came_from_the_environment(text: str) -> None:
    for line in refused(text.replace("%s", "env:KEY"), ENVIRONMENT):
        assert SECRET not in line


@pytest.mark.parametrize(
    "text",
    [
        f"models: [{{name: a, model: demo, api_key: [{SECRET}]}}]",
        f"models: [{{name: a, model: demo, arguments: {{aws_secret_access_key: {SECRET}, num_retries: x}}}}]",
        f"models: [{{name: a, model: demo, headers: {{x-api-key: {{a: {SECRET}}}}}}}]",
        f"general: {{master_key: {{a: {SECRET}}}}}",
        f"keys: [{{key: '{SECRET} x'}}]",
        f"keys: [{{key: {SECRET}, oops: {SECRET}}}, {{key: {SECRET}}}]",
    ],
)
def test_no_error_shows_a_secret_that_stands_in_the_file(text: str) -> None:
    for line in refused(text):
        assert SECRET not in line


def test_nothing_that_is_loaded_shows_a_secret() -> None:
    found = loaded(f"{GPT}general: {{master_key: {SECRET}}}", ENVIRONMENT)
    shown = f"{found!r} {found.snapshot!r} {found.snapshot.deployments!r} {bundle(SECRET)!r} {Config()!r} {Model}"
    assert SECRET not in shown
    assert SECRET not in repr(Model(name="a", model="demo", api_key=SECRET))
    assert found.secrets == (SECRET,)


# -- files ------------------------------------------------------------------------------------------------------------


def test_a_file_is_read_with_what_it_includes(tmp_path: Path) -> None:
    (tmp_path / "teams").mkdir()
    (tmp_path / "penstock.yaml").write_text("include: [models.yaml, teams/keys.yaml]\naliases: {best: a}\n")
    (tmp_path / "models.yaml").write_text("models: [{name: a, model: demo}]\n")
    (tmp_path / "teams" / "keys.yaml").write_text("include: more.yaml\nkeys: [{key: fake-1}]\n")
    (tmp_path / "teams" / "more.yaml").write_text("keys: [{key: fake-2}]\n")
    found = load(tmp_path / "penstock.yaml", {})
    assert len(found.snapshot.deployments) == 1
    assert len(found.keys) == 2
    assert found.files == ("penstock.yaml", "models.yaml", "teams/keys.yaml", "teams/more.yaml")


def test_errors_name_the_file_that_they_are_in(tmp_path: Path) -> None:
    (tmp_path / "penstock.yaml").write_text("include: [a.yaml, b.yaml]\nmodels: [{name: a}]\n")
    (tmp_path / "a.yaml").write_text("\nmodels: [{model: demo}]\n")
    (tmp_path / "b.yaml").write_text("x: 1\n")
    with pytest.raises(ConfigErrors) as caught:
        load(tmp_path / "penstock.yaml", {})
    assert [str(each) for each in caught.value.problems][:3] == [
        "models[0], line 2 of a.yaml: `name` is missing",
        "x, line 1 of b.yaml: unknown key; there are: " + ", ".join(Config.model_fields),
        "models[0], line 2 of penstock.yaml: `model` is missing",
    ]


@pytest.mark.parametrize(
    ("main", "others", "said"),
    [
        (
            "include: [a.yaml]",
            {"a_yaml": "include: [penstock.yaml]"},
            "include each other: penstock.yaml -> a.yaml -> pen",
        ),
        ("include: [penstock.yaml]", {}, "include each other"),
        ("include: [no.yaml]", {}, "include[0], line 1 of penstock.yaml: no.yaml is not among the files"),
        ("include: {a: b}", {}, "expected a list of files"),
        ("include: [3]", {}, "expected a list of files"),
        (
            "include: [a.yaml]\ngeneral: {max_body: 1}",
            {"a_yaml": "general: {max_body: 2}"},
            "also given in line 2 of penst",
        ),
        ("include: [a.yaml]\nmodels: []", {"a_yaml": "model_list: []"}, "this key is of LiteLLM's form"),
        ("include: [a.yaml]", {"a_yaml": "a: [", "b_yaml": ""}, "of a.yaml: not valid YAML"),
    ],
)
def test_includes_that_are_wrong(main: str, others: dict[str, str], said: str) -> None:
    assert any(said in line for line in refused(main, None, **others))


def test_one_file_that_two_include_counts_once() -> None:
    found = loaded("include: [a.yaml, b.yaml]", a_yaml="include: b.yaml", b_yaml="keys: [{key: fake-1}]")
    assert len(found.keys) == 1


def test_mappings_of_files_are_joined() -> None:
    text = "include: [a.yaml]\nmodels: [{name: a, model: demo}]\nrouting: {retries: 3}\naliases: {x: a}"
    found = loaded(text, a_yaml="routing: {cooldown: 1}\naliases: {y: a}")
    assert (found.snapshot.routing.retries, found.snapshot.routing.cooldown) == (3, 1)
    assert found.snapshot.aliases == {"x": "a", "y": "a"}


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigErrors, match=r"none\.yaml cannot be read: No such file"):
        load(tmp_path / "none.yaml", {})
    with pytest.raises(ConfigErrors, match="cannot be read: Is a directory"):
        load(tmp_path, {})


def test_what_is_loaded_from_a_bundle_needs_no_disk() -> None:
    """A gateway reads nothing for whoever sends it a configuration."""
    with pytest.raises(ConfigErrors, match="is not among the files that were given"):
        load_bundle(bundle("include: [/etc/passwd, ../x.yaml]"), {})


def test_anchors_have_a_place() -> None:
    text = "x-usual: &usual {model: demo, rpm: 5}\nmodels: [{<<: *usual, name: a}, {<<: *usual, name: b, rpm: 6}]"
    assert [each.rpm for each in loaded(text).snapshot.deployments] == [5, 6]


# -- properties -------------------------------------------------------------------------------------------------------

_key = st.sampled_from([*Config.model_fields, *Model.model_fields, *General.model_fields, "x", "model_list"])
_value = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 10**20)
    | st.floats()
    | st.sampled_from(["a", "demo", "1h", "env:KEY", ""]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_key, inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(_key, _value, max_size=5))
def test_anything_is_read_or_refused_with_a_place(value: dict[str, Any]) -> None:
    problems, found = read(re.sub(r"-?\b(Infinity|NaN)\b", ".nan", json.dumps(value)))
    assert all(problem.place is not None for problem in problems)
    assert not any(SECRET in str(problem) for problem in problems)
    if found is not None:
        assert msgspec.msgpack.encode(found.snapshot)


def read(text: str) -> tuple[tuple[Problem, ...], Loaded | None]:
    try:
        return (), loaded(text, ENVIRONMENT)
    except ConfigErrors as errors:
        return errors.problems, None


# -- what is published ------------------------------------------------------------------------------------------------


def test_the_example_of_the_documentation_is_right() -> None:
    page = (REPOSITORY / "docs" / "how-to" / "configure.md").read_text(encoding="utf-8")
    example = page.partition("```yaml\n")[2].partition("```")[0]
    names = set(re.findall(r"env:(\w+)", example))
    found = loaded(example, {name: f"sk-fake-{name}" for name in names})
    assert found.warnings == ()
    assert [key.key_alias for key in found.keys] == ["team-a"]
