"""What a router is given in LiteLLM's words: numbers of retries from four places, policies by error, what says nothing,
what it has not; and what it says of itself.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from penstock import Router, exceptions
from penstock.testing.providers import Reply, SimulatedProviders
from penstock.types.retry import Backoff

SAY = [{"role": "user", "content": "Hello"}]


def deployment(group: str, name: str, base: str = "http://127.0.0.1:9", **params: Any) -> dict[str, Any]:
    usual = {"model": "openai/gpt-4o", "api_base": base, "api_key": f"fake-{name}"}
    return {"model_name": group, "litellm_params": {**usual, **params}, "model_info": {"id": name}}


def asked(own: dict[str, Any] | None = None, call: dict[str, Any] | None = None, **router: Any) -> int:
    """How often the only deployment of a group is asked, which fails with 500 each time."""
    with SimulatedProviders() as providers:
        providers.answer_with(lambda request: Reply.error(500))
        listed = [deployment("g", "a", providers.url("openai_chat"), **(own or {}))]
        made = Router(listed, environment={}, backoff=Backoff(initial=0.0), **router)
        with made, pytest.raises(exceptions.InternalServerError) as caught:
            made.completion("g", SAY, **(call or {}))
    assert len(caught.value.tried) == len(providers.requests)
    return len(providers.requests)


@pytest.mark.parametrize(
    ("given", "times"),
    [
        ({}, 3),
        ({"num_retries": 1}, 2),
        ({"own": {"num_retries": 0}}, 1),
        ({"own": {"max_retries": 1}, "num_retries": 4}, 2),
        ({"own": {"num_retries": 4}, "num_retries": 0}, 5),
        ({"own": {"num_retries": 4}, "call": {"num_retries": 0}}, 1),
        ({"own": {"num_retries": 4}, "call": {"max_retries": 1}}, 2),
        ({"own": {"num_retries": 4}, "retry_policy": {"InternalServerErrorRetries": 1}}, 2),
        ({"call": {"num_retries": 4}, "retry_policy": {"InternalServerErrorRetries": 0}}, 1),
        (
            {
                "retry_policy": {"InternalServerErrorRetries": 4},
                "model_group_retry_policy": {"g": {"InternalServerErrorRetries": 1}},
            },
            2,
        ),
        ({"num_retries": 0, "model_group_retry_policy": {"g": {"RateLimitErrorRetries": 3}}}, 1),
        ({"num_retries": None}, 3),
    ],
)
def test_a_number_of_retries_from_the_nearest_place(given: dict[str, Any], times: int) -> None:
    assert asked(**given) == times


def test_a_deployments_number_holds_while_it_is_the_one_that_failed() -> None:
    with SimulatedProviders() as providers:
        base = providers.url("openai_chat")
        providers.answer_with(lambda request: Reply.error(500))
        listed = [
            deployment("g", "a", base, num_retries=1, order=1),
            deployment("g", "b", base, num_retries=0, order=2),
        ]
        router = Router(listed, environment={}, backoff=Backoff(initial=0.0))
        with router, pytest.raises(exceptions.InternalServerError):
            router.completion("g", SAY)
    assert [each.headers["authorization"] for each in providers.requests] == ["Bearer fake-a", "Bearer fake-b"]


def test_allowed_fails_by_error() -> None:
    with SimulatedProviders() as providers:
        base = providers.url("openai_chat")
        providers.answer_with(
            lambda request: Reply.error(429 if request.headers["authorization"].endswith("a") else 400)
        )
        listed = [deployment("g", "a", base), deployment("g", "b", base)]
        policy = {"RateLimitErrorAllowedFails": 1, "BadRequestErrorAllowedFails": 0}
        with Router(listed, environment={}, num_retries=0, allowed_fails_policy=policy) as router:
            for name in ("a", "a", "b"):
                assert router.health(name).rests_until == 0.0
                with pytest.raises(exceptions.PenstockError):
                    router.completion(name, SAY)
            assert router.health("a").rests_until > 0.0, "the second failure is more than one"
            assert router.health("b").rests_until > 0.0, "the first is more than none"


def test_none_says_nothing() -> None:
    nothing: dict[str, Any] = dict.fromkeys(
        [
            "routing_strategy",
            "num_retries",
            "retry_policy",
            "model_group_retry_policy",
            "retry_after",
            "fallbacks",
            "context_window_fallbacks",
            "content_policy_fallbacks",
            "default_fallbacks",
            "max_fallbacks",
            "allowed_fails",
            "allowed_fails_policy",
            "cooldown_time",
            "disable_cooldowns",
            "timeout",
            "stream_timeout",
            "model_group_alias",
            "default_litellm_params",
            "default_max_parallel_requests",
        ]
    )
    router = Router([deployment("g", "a")], redis_host=None, cache_responses=False, caching_groups=[], **nothing)
    assert router.model_names == ["g"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"redis_host": "localhost"}, r"redis_host \(a router of the SDK shares nothing with other processes"),
        ({"enable_pre_call_checks": True}, r"enable_pre_call_checks \(this router does not check that"),
        ({"colour": "red"}, "Router takes no colour$"),
    ],
)
def test_what_it_has_not_is_refused_with_the_reason(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(TypeError, match=words):
        Router([deployment("g", "a")], **arguments)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"model_group_retry_policy": {"h": {}}}, "no model group 'h'"),
        ({"model_group_retry_policy": {"g": {"Whatever": 1}}}, r"RateLimitErrorRetries.*model_group_retry_policy"),
        ({"allowed_fails_policy": {"RateLimitErrorRetries": 1}}, "RateLimitErrorAllowedFails"),
        ({"allowed_fails_policy": {"RateLimitErrorAllowedFails": -1}}, "0 or more"),
        ({"default_litellm_params": 3}, "expected a dict, got int"),
        ({"default_max_parallel_requests": "many"}, "max_parallel_requests must be a whole number"),
        ({"fallbacks": [{"g": ["a"]}, 3]}, "no model group '3'"),
    ],
)
def test_what_is_not_right_is_told_when_it_is_made(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Router([deployment("g", "a")], **arguments)


# -- what it says of itself -------------------------------------------------------------------------------------------


def test_the_list_can_be_read_back() -> None:
    listed = [
        deployment("g", "a", weight=2, rpm=10, num_retries=1, timeout=3, stream_timeout=2, max_parallel_requests=4),
        deployment("h", "b", order=2),
    ]
    router = Router(listed, model_group_alias={"other": "h"})
    assert router.model_list == listed
    assert router.get_model_list() == listed
    assert router.get_model_list("other") == router.get_model_list("b") == listed[1:]
    assert router.get_model_list("nobody") == []
    assert router.get_model_names() == ["g", "h", "other"]


def test_the_deployment_that_a_call_would_go_to() -> None:
    listed = [deployment("g", "a", order=1), deployment("g", "b", order=2)]
    with SimulatedProviders() as providers:
        router = Router(
            [
                {**each, "litellm_params": {**each["litellm_params"], "api_base": providers.url("openai_chat")}}
                for each in listed
            ],
            environment={},
            num_retries=0,
        )
        assert router.get_available_deployment("g", messages=SAY)["model_info"]["id"] == "a"
        assert providers.requests == [], "nobody was asked"
        for name in ("a", "b"):
            assert router.get_available_deployment("g")["litellm_params"]["api_key"] == f"fake-{name}"
            providers.script(Reply.error(429))
            with pytest.raises(exceptions.RateLimitError):
                router.completion(name, SAY)
        with pytest.raises(exceptions.ServiceUnavailableError, match="resting") as caught:
            asyncio.run(router.async_get_available_deployment("g"))
        assert caught.value.retry_after is not None and caught.value.retry_after > 0
        with pytest.raises(exceptions.UnknownModelError, match="'nobody'"):
            router.get_available_deployment("nobody")
        router.close()


@pytest.mark.parametrize("level", ["INFO", "DEBUG"])
def test_it_says_what_it_tries_where_that_is_asked_for(level: str, caplog: pytest.LogCaptureFixture) -> None:
    with SimulatedProviders() as providers, caplog.at_level(logging.DEBUG, "penstock"):
        base = providers.url("openai_chat")
        listed = [deployment("g", "a", base, order=1), deployment("g", "b", base, order=2)]
        providers.script(Reply.error(500), Reply.text("Hi."))
        with Router(listed, environment={}, set_verbose=True, debug_level=level) as router:
            router.completion("g", SAY)
        said = [record.getMessage() for record in caplog.records]
    assert {record.levelname for record in caplog.records} == {level}
    assert [line.split(" after ")[0] for line in said] == [
        "a of 'g' (openai/gpt-4o) is asked",
        "a of 'g' (openai/gpt-4o) failed with server (500)",
        "b of 'g' (openai/gpt-4o) is asked",
        "b of 'g' (openai/gpt-4o) answered",
    ]
    assert "fake-" not in "".join(said)


def test_it_is_silent_otherwise(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "penstock"):
        Router([deployment("g", "a", mock_response="Hi.")]).completion("g", SAY)
    assert caplog.records == []
