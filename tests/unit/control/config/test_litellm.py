"""LiteLLM's config.yaml: each key means what it means there, or is said; what is wrong names the user's own line."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.control.config.bundle import LITELLMS_BLOCKS
from penstock.control.config.litellm import advice
from penstock.control.config.native import General, Routing
from penstock.control.config.problems import ConfigErrors
from tests.support.configs import loaded, refused

MODELS = """
model_list:
  - {model_name: a, litellm_params: {model: demo}}
  - {model_name: b, litellm_params: {model: demo}}
"""


def router(text: str) -> Any:
    return loaded(f"{MODELS}router_settings: {{{text}}}").snapshot.routing


def general(text: str) -> Any:
    return loaded(f"{MODELS}general_settings: {{{text}}}").snapshot.settings


def warnings(text: str, environment: dict[str, str] | None = None) -> list[str]:
    return [str(each) for each in loaded(text, environment).warnings]


# -- what is honoured -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "field", "value"),
    [
        ("routing_strategy: least-busy", "strategy", "least-busy"),
        ("num_retries: 5", "retries", 5),
        ("timeout: 30", "timeout", 30),
        ("retry_after: 2", "retry_after", 2),
        ("allowed_fails: 7", "allowed_fails", 7),
        ("cooldown_time: 12", "cooldown", 12),
        ("disable_cooldowns: true", "cooldowns", False),
        ("disable_cooldowns: false", "cooldowns", True),
        ("max_fallbacks: 1", "max_fallbacks", 1),
        ("enable_pre_call_checks: false", "check_context_window", False),
        ("enable_tag_filtering: true", "tag_filtering", True),
        ("num_retries: 1", "tag_filtering", False),
        ("tag_filtering_match_any: false", "match_any_tag", False),
        ("fallbacks: [{a: [b]}]", "fallbacks", {"a": ("b",)}),
        ("fallbacks: [{'*': [b]}]", "fallbacks", {"*": ("b",)}),
        ("fallbacks: [b]", "default_fallbacks", ("b",)),
        ("fallbacks: [{a: [{model: b}]}]", "fallbacks", {"a": ("b",)}),
        ("default_fallbacks: [b]", "default_fallbacks", ("b",)),
        ("context_window_fallbacks: [{a: [b]}]", "context_window_fallbacks", {"a": ("b",)}),
        ("content_policy_fallbacks: [{a: [b]}]", "content_policy_fallbacks", {"a": ("b",)}),
        ("retry_policy: {TimeoutErrorRetries: 2}", "retry_policy", {"timeout": 2}),
        ("allowed_fails_policy: {TimeoutErrorAllowedFails: 2}", "allowed_fails_policy", {"timeout": 2}),
        ("model_group_retry_policy: {a: {TimeoutErrorRetries: 2}}", "group_retry_policy", {"a": {"timeout": 2}}),
        ("optional_pre_call_checks: [prompt_caching]", "sticky_seconds", 300),
        ("sticky_seconds: 60", "sticky_seconds", 60),
        ("queue_size: 10", "queue_size", 10),
        ("routing_strategy: provider-budget-routing", "strategy", "simple-shuffle"),
    ],
)
def test_router_settings(text: str, field: str, value: Any) -> None:
    assert getattr(router(text), field) == value


@pytest.mark.parametrize(
    ("text", "field", "value"),
    [
        ("store_prompts_in_spend_logs: true", "store_prompts", True),
        ("max_request_size_mb: 10", "max_body", 10 << 20),
        ("max_request_size_mb: 0.5", "max_body", 1 << 19),
        ("cancel_on_disconnect: true", "on_disconnect", "abort"),
        ("cancel_on_disconnect: false", "on_disconnect", "drain"),
        ("allow_client_side_credentials: true", "allowed_client_arguments", ("api_key", "api_base", "base_url")),
        ("forward_client_headers_to_llm_api: true", "forward_headers", ("x-*", "anthropic-beta")),
        ("forward_client_headers_to_llm_api: false", "forward_headers", ()),
        ("litellm_headers: true", "litellm_headers", True),
        ("budget_status: 402", "budget_status", 402),
    ],
)
def test_general_settings(text: str, field: str, value: Any) -> None:
    assert getattr(general(text), field) == value


def test_queues_of_general_settings() -> None:
    text = "general_settings: {max_queued_requests_per_worker: 5, admission_queue_timeout_seconds: 3}"
    routing = loaded(f"{MODELS}{text}").snapshot.routing
    assert (routing.queue_size, routing.queue_seconds) == (5, 3)


@pytest.mark.parametrize(
    ("text", "field", "value"),
    [
        ("drop_params: true", "drop_params", True),
        ("drop_params: off", "drop_params", False),
        ("num_retries: 1", "drop_params", True),
        ("set_verbose: true", "log_level", "debug"),
        ("callbacks: [prometheus]", "litellm_metrics", True),
        ("callbacks: prometheus", "litellm_metrics", True),
        ("success_callback: [prometheus]", "litellm_metrics", True),
    ],
)
def test_litellm_settings(text: str, field: str, value: Any) -> None:
    assert getattr(loaded(f"{MODELS}litellm_settings: {{{text}}}").snapshot.settings, field) == value


def test_settings_about_routing_stand_back_for_the_routers() -> None:
    text = (
        f"{MODELS}litellm_settings: {{num_retries: 7, request_timeout: 9, fallbacks: [{{a: [b]}}], allowed_fails: 1}}"
    )
    routing = loaded(text).snapshot.routing
    assert (routing.retries, routing.timeout, routing.fallbacks) == (7, 9, {"a": ("b",)})
    both = f"{text}\nrouter_settings: {{num_retries: 1, timeout: 2, fallbacks: [{{b: [a]}}]}}"
    routing = loaded(both).snapshot.routing
    assert (routing.retries, routing.timeout, routing.fallbacks) == (1, 2, {"b": ("a",)})
    said = [each for each in warnings(both) if "comes before it" in each]
    assert len(said) == 3
    assert "litellm_settings.request_timeout, line 5 of penstock.yaml: router_settings.timeout comes before it" in said


def test_prompts_are_not_kept_where_messages_shall_not_be_logged() -> None:
    text = f"{MODELS}general_settings: {{store_prompts_in_spend_logs: true}}\n"
    assert not loaded(f"{text}litellm_settings: {{turn_off_message_logging: true}}").snapshot.settings.store_prompts
    assert loaded(f"{text}litellm_settings: {{turn_off_message_logging: false}}").snapshot.settings.store_prompts


@pytest.mark.parametrize(
    ("value", "network"),
    [
        ("false", {"verify": False}),
        ("true", {}),
        ("/ca.pem", {"ca_file": "/ca.pem", "verify": True}),
        ("no", {"verify": False}),
    ],
)
def test_how_providers_are_reached(value: str, network: dict[str, Any]) -> None:
    found = loaded(f"{MODELS}litellm_settings: {{ssl_verify: {value}}}").snapshot
    assert [each.network for each in found.deployments] == [network, network]


def params(text: str, info: str = "", more: str = "") -> Any:
    entry = f"{{model_name: a, litellm_params: {{model: openai/x, api_key: k, {text}}}, model_info: {{{info}}}}}"
    return loaded(f"model_list: [{entry}]\n{more}").snapshot.deployments[0]


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("api_base: http://127.0.0.1:1", "api_base", "http://127.0.0.1:1"),
        ("base_url: http://127.0.0.1:1", "api_base", "http://127.0.0.1:1"),
        ("organization: org-1", "organization", "org-1"),
        ("timeout: 3", "timeout", 3),
        ("temperature: 0.5", "temperature", 0.5),
        ("nobody_knows: {a: [1]}", "nobody_knows", {"a": [1]}),
        ("extra_body: {a: 1}", "extra_body", {"a": 1}),
        ("extra_headers: {a: b}", "extra_headers", {"a": "b"}),
        ("headers: {a: b}", "extra_headers", {"a": "b"}),
        ("drop_params: yes", "drop_params", True),
        ("additional_drop_params: [user]", "additional_drop_params", ["user"]),
        ("allowed_openai_params: [seed]", "allowed_openai_params", ["seed"]),
        ("tags: [x]", "tags", ["x"]),
        ("custom_llm_provider: openai", "custom_llm_provider", "openai"),
        ("input_cost_per_token: 0.1", "input_cost_per_token", 0.1),
        ("my_switch: on", "my_switch", True),
        ("my_switch: 'on'", "my_switch", "on"),
        ("modify_params: yes", "modify_params", True),
        ("mock_response: hi", "mock_response", "hi"),
    ],
)
def test_litellm_params(text: str, name: str, value: Any) -> None:
    assert params(text).arguments[name] == value


@pytest.mark.parametrize(
    ("text", "field", "value"),
    [
        ("rpm: 5", "rpm", 5),
        ('rpm: "5"', "rpm", 5),
        ("tpm: 1_000", "tpm", 1000),
        ("weight: 0.3", "weight", 0.3),
        ("order: 2", "order", 2),
        ("max_parallel_requests: 3", "most_in_flight", 3),
        ("max_retries: 3", "retries", 3),
        ("num_retries: 0", "retries", 0),
        ("cooldown_time: 0", "cooldown", 0),
        ("stream_timeout: 8", "stream_timeout", 8),
    ],
)
def test_litellm_params_about_routing(text: str, field: str, value: Any) -> None:
    deployment = params(text)
    assert getattr(deployment, field) == value
    assert text.partition(":")[0] not in deployment.arguments


def test_model_info() -> None:
    deployment = params("rpm: 1", "id: 7, base_model: gpt-4o, mode: chat, supports_vision: yes, max_input_tokens: 9")
    assert (deployment.id, deployment.max_input) == ("7", 9)
    assert deployment.arguments["base_model"] == "gpt-4o"
    assert deployment.arguments["model_info"] == {"mode": "chat", "supports_vision": True, "max_input_tokens": 9}


def test_defaults_of_the_router_hold_where_a_deployment_says_nothing() -> None:
    more = """
router_settings:
  default_litellm_params: {timeout: 7, temperature: 1}
  stream_timeout: 8
  default_max_parallel_requests: 9
"""
    assert params("temperature: 0", "", more).arguments["temperature"] == 0
    deployment = params("rpm: 1", "", more)
    assert (deployment.arguments["timeout"], deployment.arguments["temperature"]) == (7, 1)
    assert (deployment.stream_timeout, deployment.most_in_flight) == (8, 9)


def test_credentials_by_name() -> None:
    more = "credential_list: [{credential_name: c, credential_values: {api_base: http://127.0.0.1:1, api_key: other}}]"
    deployment = params("litellm_credential_name: c", "", more)
    assert deployment.arguments["api_base"] == "http://127.0.0.1:1"
    assert deployment.arguments["api_key"] == "k"  # what the deployment says itself
    text = "model_list: [{model_name: a, litellm_params: {model: openai/x, litellm_credential_name: d}}]\n"
    assert any("there is no 'd' in credential_list" in line for line in refused(text + more))


def test_aliases() -> None:
    text = f"{MODELS}router_settings: {{model_group_alias: {{x: a, y: {{model: b, hidden: true}}}}}}"
    assert loaded(text).snapshot.aliases == {"x": "a", "y": "b"}


def test_keys_may_stand_in_such_a_file() -> None:
    (key,) = loaded(f"{MODELS}keys: [{{key: fake-key-1, models: [a]}}]").keys
    assert key.models == ("a",)


def test_pass_through_as_litellm_has_it() -> None:
    text = "model_list: [{model_name: a, litellm_params: {model: anthropic/x, api_key: k, use_in_pass_through: true}}]"
    assert loaded(text).snapshot.pass_through == {"anthropic": {"api_key": "k"}}
    found = loaded(text, {"COHERE_API_KEY": "fake", "OPENAI_API_KEY": ""}).snapshot.pass_through
    assert found == {"anthropic": {"api_key": "k"}, "cohere": {}}


def test_otel_needs_an_address() -> None:
    text = f"{MODELS}litellm_settings: {{callbacks: [otel]}}"
    assert any("otel: set OTEL_EXPORTER_OTLP_ENDPOINT" in line for line in warnings(text))
    found = loaded(text, {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"})
    assert found.snapshot.settings.otel_endpoint == "http://c:4318"
    assert found.warnings == ()


def test_included_files_replace_blocks_as_there() -> None:
    main = f"include: [more.yaml]\n{MODELS}litellm_settings: {{num_retries: 1, drop_params: false}}\n"
    more = "model_list: [{model_name: c, litellm_params: {model: demo}}]\nlitellm_settings: {num_retries: 5}\n"
    found = loaded(main, None, more_yaml=more)
    assert [each.group for each in found.snapshot.deployments] == ["a", "b", "c"]
    assert (found.snapshot.routing.retries, found.snapshot.settings.drop_params) == (5, True)
    assert any("litellm_settings" in str(each) and "replaced as a whole" in str(each) for each in found.warnings)


# -- what is not ------------------------------------------------------------------------------------------------------

BLOCKS = [
    ("general_settings", advice.GENERAL),
    ("litellm_settings", advice.SETTINGS),
    ("router_settings", advice.ROUTER),
]


@pytest.mark.parametrize(
    ("block", "name", "reason"),
    [(block, name, reason) for block, reasons in BLOCKS for name, reason in reasons.items() if reason],
)
def test_each_key_that_is_not_honoured_is_said_with_its_line(block: str, name: str, reason: str) -> None:
    (said,) = warnings(f"{MODELS}{block}:\n  {name}: some\n")
    assert said == f"{block}.{name}, line 6 of penstock.yaml: {reason}"


@pytest.mark.parametrize("name", advice.PARAMS)
def test_params_that_are_not_honoured_are_said_and_not_sent(name: str) -> None:
    text = f"model_list: [{{model_name: a, litellm_params: {{model: demo, {name}: some}}}}]"
    assert warnings(text) == [f"model_list[0].litellm_params.{name}, line 1 of penstock.yaml: {advice.PARAMS[name]}"]
    assert name not in loaded(text).snapshot.deployments[0].arguments


@pytest.mark.parametrize(
    "name", [name for name in advice.TOP if name in LITELLMS_BLOCKS or name == "callback_settings"]
)
def test_blocks_that_are_not_honoured_are_said(name: str) -> None:
    assert warnings(f"{MODELS}{name}: [x]") == [f"{name}, line 5 of penstock.yaml: {advice.TOP[name]}"]


@pytest.mark.parametrize("value", ["false", "", "[]", "{}", "''"])
def test_what_asks_for_nothing_is_not_said(value: str) -> None:
    assert warnings(f"{MODELS}general_settings: {{custom_auth: {value}}}\nguardrails: {value}") == []


def test_what_litellm_does_not_know_either_is_said_with_the_nearest() -> None:
    text = f"{MODELS}general_settings: {{mastr_key: x}}\nrouter_setings: {{a: 1}}\nlitellm_settings: {{drop_parms: 1}}"
    assert [each.partition(": ")[2] for each in warnings(text)] == [
        "unknown, to LiteLLM too; did you mean router_settings?",
        "unknown, to LiteLLM too; did you mean drop_params?",
        "unknown, to LiteLLM too; did you mean master_key?",
    ]


def test_a_variable_that_nothing_needs_may_be_missing() -> None:
    text = f"{MODELS}general_settings: {{database_url: os.environ/DATABASE_URL}}"
    assert len(warnings(text)) == 1
    (said,) = refused(f"{MODELS}general_settings: {{master_key: os.environ/NOT_SET}}")
    assert said == "general_settings.master_key, line 5 of penstock.yaml: the environment variable NOT_SET is not set"


def test_a_deployment_of_nobody_is_left_out() -> None:
    text = f"{MODELS}  - {{model_name: c, litellm_params: {{model: nobody/x}}}}\n"
    text += "router_settings: {fallbacks: [{a: [c, b]}]}"
    found = loaded(text).snapshot
    assert [each.group for each in found.deployments] == ["a", "b"]
    assert found.routing.fallbacks == {"a": ("b",)}
    assert [each.partition(",")[0] for each in warnings(text)] == [
        "model_list[2].litellm_params.model",
        "router_settings.fallbacks[0].a[0]",
    ]


def test_a_pattern_without_a_place_for_it_is_left_out() -> None:
    text = f"{MODELS}  - {{model_name: c, litellm_params: {{model: 'openai/*'}}}}\n"
    assert [each.group for each in loaded(text).snapshot.deployments] == ["a", "b"]
    assert "the name has none: it is left out" in warnings(text)[0]


def test_empty_blocks_ask_for_nothing() -> None:
    found = loaded("model_list:\ngeneral_settings:\nlitellm_settings:\nrouter_settings:\n")
    assert (found.snapshot.deployments, found.warnings) == ((), ())


# -- errors -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "model_list: {}",
            "model_list, line 1 of penstock.yaml: expected a list (its entries begin with `-`), got a mapping",
        ),
        ("model_list: [x]", "model_list[0], line 1 of penstock.yaml: expected a mapping, got 'x'"),
        (
            "model_list: [{litellm_params: {model: demo}}]",
            "model_list[0], line 1 of penstock.yaml: `model_name` is missing",
        ),
        ("model_list: [{model_name: a}]", "`litellm_params` with a `model`, such as openai/gpt-5-mini, is missing"),
        ("model_list: [{model_name: a, litellm_params: {model: }}]", "`litellm_params` with a `model`"),
        ("model_list: [{model_name: a, litellm_params: [x]}]", "`litellm_params` with a `model`"),
        (
            "model_list: [{model_name: a, litellm_params: {model: demo, rpm: many}}]",
            "model_list[0].litellm_params.rpm, line 1 of penstock.yaml: expected a number of 0 or more, got 'many'",
        ),
        (
            "{model_list: [], router_settings: {num_retries: x}}",
            "router_settings.num_retries, line 1 of penstock.yaml: exp",
        ),
        (
            "{model_list: [], router_settings: {fallbacks: x}}",
            "router_settings.fallbacks, line 1 of penstock.yaml: expected",
        ),
        (
            "{model_list: [], router_settings: {fallbacks: [3]}}",
            "router_settings.fallbacks[0], line 1 of penstock.yaml: exp",
        ),
        ("{model_list: [], router_settings: {routing_strategy: x}}", "'x' is none of: simple-shuffle"),
        ("{model_list: [], router_settings: []}", None),
        (
            "{model_list: [], router_settings: [x]}",
            "router_settings, line 1 of penstock.yaml: expected a mapping, got a list",
        ),
        (
            "{model_list: [], general_settings: {max_request_size_mb: big}}",
            "general_settings.max_request_size_mb, line 1",
        ),
        ("{model_list: [], litellm_settings: {set_verbose: maybe}}", "expected true or false, got 'maybe'"),
        ("{model_list: [], general_settings: {pass_through_endpoints: x}}", "expected a list"),
        ("{model_list: [], models: []}", "this key is of"),
        (
            "model_list: [{model_name: a, litellm_params: {model: openai/x, api_key: k, input_cost_per_token: [1]}}]",
            "model_list[0].litellm_params.input_cost_per_token, line 1 of penstock.yaml: ",
        ),
        (
            "model_list: [{model_name: a, litellm_params: {model: demo}, model_info: {output_cost_per_token: -1}}]",
            "model_list[0].model_info.output_cost_per_token, line 1 of penstock.yaml: ",
        ),
    ],
)
def test_what_is_wrong_names_the_key_as_it_is_written(text: str, said: str | None) -> None:
    if said is None:
        assert any("expected a mapping, got a list" in line for line in refused(text))
        return
    lines = refused(text)
    assert any(said in line for line in lines), lines
    assert not any("`?`" in line or "'?'" in line for line in lines)


def test_no_key_is_in_two_tables() -> None:
    """A key that is honoured is not also said not to be."""
    for reasons, fields in ((advice.GENERAL, General.model_fields), (advice.ROUTER, Routing.model_fields)):
        assert not reasons.keys() & fields.keys()


# -- properties -------------------------------------------------------------------------------------------------------

_names = sorted(
    {
        *(
            "model_list",
            "litellm_settings",
            "router_settings",
            "general_settings",
            "credential_list",
            "keys",
            "include",
        ),
        *("environment_variables", "model_name", "litellm_params", "model_info", "model", "credential_name", "path"),
        *("credential_values", "use_in_pass_through", "litellm_credential_name", "api_key", "headers", "target", "id"),
        *("pass_through_endpoints", "ssl_verify", "callbacks", "optional_pre_call_checks", "model_group_alias", "auth"),
        *(
            "default_litellm_params",
            "retry_policy",
            "model_group_retry_policy",
            "TimeoutErrorRetries",
            "cancel_on_disconnect",
        ),
        *("fallbacks", "default_fallbacks", "set_verbose", "turn_off_message_logging", "max_request_size_mb", "tags"),
        *("background_health_checks", "health_check_interval", "disable_background_health_check", "mode", "a", "rules"),
        *("modify_params", "stream_timeout", "default_max_parallel_requests", "routing_strategy", "cascades", "order"),
    }
)
_value = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 10**20)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["a", "demo", "openai/x", "*", "on", "os.environ/KEY", "os.environ/NONE", "prompt_caching", ""]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_names), inner, max_size=5),
    max_leaves=25,
)


@given(st.dictionaries(st.sampled_from(_names), _value, max_size=6))
def test_anything_is_read_or_refused_with_a_place(value: dict[str, Any]) -> None:
    text = json.dumps({"model_list": [], **value})
    try:
        found = loaded(text, {"KEY": "sk-fake-secret-value"})
    except ConfigErrors as errors:
        problems = errors.problems
    else:
        problems = found.warnings
        assert msgspec.msgpack.encode(found.snapshot)
    assert all(problem.place is not None for problem in problems)
    assert not any("sk-fake-secret-value" in str(problem) for problem in problems)
