"""The arguments of a call, sorted: for us, for the address, for the bill, for the model."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from penstock.client.engine import Engine
from penstock.client.options import Options, is_price, split, timeouts_of
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
