"""The arguments of a call, sorted: for us, for the address, for the bill, for the model."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from penstock.calls.engine import Engine
from penstock.calls.options import Options, is_price, split, timeouts_of
from penstock.exchange import Timeouts
from penstock.types.errors import MalformedError

ADDRESSES = Engine(environment={}).addresses


def sort(defaults: Options | None = None, **arguments: Any) -> tuple[Options, dict[str, Any]]:
    return split(arguments, ADDRESSES, defaults or Options())


def test_each_argument_goes_to_its_place() -> None:
    options, body = sort(
        model="m",
        temperature=0.5,
        api_key="sk-fake",
        aws_region_name="eu-west-1",
        num_retries=1,
        input_cost_per_token=1e-6,
        anything_else={"a": 1},
    )
    assert body == {"model": "m", "temperature": 0.5, "anything_else": {"a": 1}}
    assert options.address == {"api_key": "sk-fake", "aws_region_name": "eu-west-1"}
    assert options.prices == {"input_cost_per_token": 1e-6}
    assert options.num_retries == 1


@pytest.mark.parametrize(
    "name",
    [
        "api_key",
        "api_base",
        "base_url",
        "api_version",
        "aws_access_key_id",
        "aws_secret_access_key",
        "aws_session_token",
        "aws_web_identity_token",
        "vertex_credentials",
        "vertex_project",
        "azure_ad_token",
        "client_secret",
        "tenant_id",
    ],
)
def test_nothing_about_keys_is_for_the_model(name: str) -> None:
    options, body = split({name: "fake"}, ADDRESSES, Options())
    assert body == {} and options.address == {name: "fake"}


def test_none_was_not_given() -> None:
    defaults = Options(num_retries=7)
    assert sort(defaults, num_retries=None, temperature=None, api_key=None) == (defaults, {})


@pytest.mark.parametrize(
    ("word", "field", "value"),
    [
        ("max_retries", "num_retries", 4),
        ("headers", "extra_headers", {"a": "b"}),
        ("request_timeout", "timeout", 3),
        ("call_id", "litellm_call_id", "x"),
        ("http_client", "client", object()),
    ],
)
def test_other_words_for_the_same(word: str, field: str, value: Any) -> None:
    options, body = sort(**{word: value})
    assert getattr(options, field) == value and body == {}


def test_a_call_says_over_its_client() -> None:
    defaults = Options(num_retries=7, drop_params=True, address={"api_key": "a", "api_base": "b"})
    options, _ = sort(defaults, num_retries=0, api_key="c")
    assert (options.num_retries, options.drop_params) == (0, True)
    assert options.address == {"api_key": "c", "api_base": "b"}
    assert defaults.address == {"api_key": "a", "api_base": "b"}, "and changes nothing of it"


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("num_retries", "2"),
        ("num_retries", -1),
        ("num_retries", True),
        ("max_retries", 1.5),
        ("drop_params", "yes"),
        ("disable_fallbacks", 1),
        ("modify_params", 1),
        ("strict", "no"),
        ("fallbacks", "gpt-4o"),
        ("fallbacks", {"model": "x"}),
        ("tags", "a"),
        ("additional_drop_params", "seed"),
        ("extra_headers", ["a"]),
        ("headers", "a: b"),
        ("extra_body", "{}"),
        ("metadata", 3),
    ],
)
def test_a_wrong_type_names_the_argument_as_it_was_written(name: str, wrong: Any) -> None:
    with pytest.raises(MalformedError) as caught:
        sort(**{name: wrong})
    assert caught.value.path == name


@pytest.mark.parametrize(
    ("name", "priced"),
    [
        ("input_cost_per_token", True),
        ("output_cost_per_image", True),
        ("cache_read_input_token_cost", True),
        ("cache_creation_input_token_cost_above_1hr", True),
        ("input_cost_per_token_batches", True),
        ("max_tokens", False),
        ("cost", False),
    ],
)
def test_which_arguments_are_prices(name: str, priced: bool) -> None:
    assert is_price(name) is priced


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, Timeouts()),
        (5, Timeouts(connect=5, first_token=5, between_tokens=5, total=5.0)),
        (60.5, Timeouts(connect=10.0, first_token=60.5, between_tokens=60.5, total=60.5)),
        (Timeouts(total=3.0), Timeouts(total=3.0)),
        (httpx.Timeout(7.0, connect=2.0), Timeouts(connect=2.0, first_token=7.0, between_tokens=7.0)),
        (httpx.Timeout(None), Timeouts(connect=None, first_token=None, between_tokens=None)),
    ],
)
def test_timeouts(given: Any, expected: Timeouts) -> None:
    assert timeouts_of(given) == expected


@pytest.mark.parametrize("wrong", [0, -1, True, "5", [], float("nan"), float("inf")])
def test_a_timeout_is_some_seconds(wrong: Any) -> None:
    with pytest.raises(MalformedError) as caught:
        timeouts_of(wrong)
    assert caught.value.path == "timeout"


def test_options_show_no_values() -> None:
    options, _ = sort(api_key="sk-hush", extra_headers={"authorization": "hush"}, mock_response="hush", num_retries=1)
    assert repr(options) == "Options(num_retries, extra_headers, mock_response, address)"


def test_model_info_is_a_price_list_and_a_base_model() -> None:
    info = {"id": "one", "base_model": "gpt-4o", "mode": "chat", "input_cost_per_token": 1.0, "tiered_pricing": [1]}
    options, body = sort(model="m", model_info=info, input_cost_per_token=2.0)
    assert body == {"model": "m"}
    assert options.base_model == "gpt-4o"
    assert options.prices == {"mode": "chat", "input_cost_per_token": 2.0, "tiered_pricing": [1]}
    options, _ = sort(model_info={"id": "one", "mode": "chat", "base_model": "gpt-4o"}, base_model="gpt-4.1")
    assert (options.prices, options.base_model) == ({}, "gpt-4.1")
    with pytest.raises(MalformedError, match="model_info"):
        sort(model_info="gpt-4o")


# -- LiteLLM's own words ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "field", "value"),
    [
        ({"stream_timeout": 3, "stream": True}, "timeout", 3),
        ({"stream_timeout": 3, "stream": True, "timeout": 5}, "timeout", 5),
        ({"stream_timeout": 3}, "timeout", None),
        ({"context_window_fallback_dict": {"small": "large"}}, "context_window_fallbacks", ("large",)),
        ({"context_window_fallback_dict": {"other": "large"}}, "context_window_fallbacks", ()),
        (
            {"context_window_fallback_dict": {"small": "large"}, "context_window_fallbacks": ["huge"]},
            "context_window_fallbacks",
            ("huge",),
        ),
        ({"litellm_metadata": {"a": 1}}, "metadata", {"team": "x", "a": 1}),
        ({"litellm_metadata": {"a": 1}, "metadata": {"a": 0, "b": 2}}, "metadata", {"a": 1, "b": 2}),
        (
            {"litellm_trace_id": "t", "litellm_session_id": "s"},
            "metadata",
            {"team": "x", "trace_id": "t", "session_id": "s"},
        ),
    ],
)
def test_words_of_litellm(given: dict[str, Any], field: str, value: Any) -> None:
    options, body = split({"model": "small", **given}, frozenset(), Options(metadata={"team": "x"}))
    assert getattr(options, field) == value
    assert body.keys() == {"model", "stream"} & {"model", *given}


@pytest.mark.parametrize("name", ["caching", "cache", "verbose"])
def test_what_asks_for_nothing_here(name: str) -> None:
    assert split({name: True}, frozenset(), Options()) == (Options(), {})


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("shared_session", object(), "give an httpx client as `client`"),
        ("logger_fn", print, "penstock.Callback"),
        ("model_list", [{}], "penstock.Router"),
        ("ssl_verify", "/ca.pem", "penstock.Network"),
        ("merge_reasoning_content_in_choices", True, "reasoning_content"),
    ],
)
def test_what_is_done_otherwise_here(name: str, value: Any, words: str) -> None:
    with pytest.raises(MalformedError, match=words) as caught:
        split({name: value}, frozenset(), Options())
    assert caught.value.path == name
    assert split({name: None}, frozenset(), Options()) == (Options(), {})
