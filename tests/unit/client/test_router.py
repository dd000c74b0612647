"""The router over real sockets: what it does when deployments fail, rest, are slow or come back; and what it refuses
when it is made. Time is the test's own clock where rest is at stake.
"""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import penstock
from penstock import Router, exceptions
from penstock.exchange import Clock
from penstock.testing.providers import Cut, EmptyEvent, ErrorEvent, ProviderError, Reply, SimulatedProviders, Stall
from penstock.types.retry import Backoff

SAY = [{"role": "user", "content": "Hello"}]


class Time:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.clock = Clock(monotonic=lambda: self.now, unix=lambda: self.now)


@pytest.fixture
def providers() -> Iterator[SimulatedProviders]:
    with SimulatedProviders() as simulated:
        yield simulated


@pytest.fixture
def time() -> Time:
    return Time()


class Made:
    """Makes routers over the simulated providers, and closes them. The deployment's id is its key, so the server sees
    who was asked.
    """

    def __init__(self, providers: SimulatedProviders, time: Time) -> None:
        self.providers = providers
        self.time = time
        self.routers: list[Router] = []

    def deployment(self, group: str, name: str, **params: Any) -> dict[str, Any]:
        usual = {"model": "openai/gpt-4o", "api_base": self.providers.url("openai_chat"), "api_key": f"fake-{name}"}
        return {"model_name": group, "litellm_params": {**usual, **params}, "model_info": {"id": name}}

    def router(self, *names: str, **arguments: Any) -> Any:
        """`g.a` is deployment a of group g; those named first are asked first. (Any: what a call returns depends on
        `stream`.)
        """
        listed = [
            self.deployment(*name.split("."), order=order, **arguments.pop(name, {}))
            for order, name in enumerate(names)
        ]
        usual = {"environment": {}, "clock": self.time.clock, "backoff": Backoff(initial=0.0)}
        return self.listed(listed, **{**usual, **arguments})

    def listed(self, deployments: list[dict[str, Any]], **arguments: Any) -> Any:
        """A router over these."""
        router = Router(deployments, **{"environment": {}, **arguments})
        self.routers.append(router)
        return router

    @property
    def asked(self) -> list[str]:
        """The deployments that were asked, in order."""
        return [each.headers["authorization"].removeprefix("Bearer fake-") for each in self.providers.requests]


@pytest.fixture
def made(providers: SimulatedProviders, time: Time) -> Iterator[Made]:
    found = Made(providers, time)
    yield found
    for router in found.routers:
        router.close()


# -- failure, rest, recovery ------------------------------------------------------------------------------------------


def test_a_rate_limit_rests_a_deployment_until_it_is_over(made: Made) -> None:
    router = made.router("g.a", "g.b")
    made.providers.script(Reply.error(429), Reply.text("from b"))
    answer = router.completion("g", SAY)
    assert answer.choices[0].message.content == "from b"
    router.completion("g", SAY)
    assert made.asked == ["a", "b", "b"], "a rests"
    made.time.now += 5.0
    router.completion("g", SAY)
    assert made.asked[-1] == "a", "and is back"


def test_the_answer_says_who_gave_it(made: Made) -> None:
    router = made.router("g.a", "g.b", "f.c", fallbacks=[{"g": ["f"]}])
    made.providers.script(Reply.error(429), Reply.error(429))
    hidden = router.completion("g", SAY)._hidden_params
    assert (hidden["model_id"], hidden["model_group"], hidden["attempts"], hidden["fallbacks"]) == ("c", "f", 3, 1)


def test_a_retry_after_that_is_longer_than_the_rest_counts(made: Made) -> None:
    router = made.router("g.a", "g.b", cooldown_time=2)
    made.providers.script(Reply.error(429, retry_after=20))
    router.completion("g", SAY)
    made.time.now += 19
    router.completion("g", SAY)
    made.time.now += 1
    router.completion("g", SAY)
    assert made.asked == ["a", "b", "b", "a"]


def test_a_server_error_is_tried_elsewhere_and_does_not_rest_anybody(made: Made) -> None:
    router = made.router("g.a", "g.b")
    made.providers.script(Reply.error(500))
    router.completion("g", SAY)
    router.completion("g", SAY)
    assert made.asked == ["a", "b", "a"]


def test_the_only_deployment_is_tried_again_and_never_rests(made: Made) -> None:
    router = made.router("g.a", num_retries=1)
    made.providers.script(*[Reply.error(429)] * 2)
    with pytest.raises(exceptions.RateLimitError) as caught:
        router.completion("g", SAY)
    assert [each.error.status for each in caught.value.tried] == [429, 429]
    router.completion("g", SAY)
    assert made.asked == ["a", "a", "a"]


def test_when_all_rest_it_is_503_and_says_when_to_come_again(made: Made) -> None:
    router = made.router("g.a", "g.b", num_retries=1)
    made.providers.script(Reply.error(429, retry_after=30), Reply.error(429, retry_after=20))
    with pytest.raises(exceptions.RateLimitError):
        router.completion("g", SAY)
    made.time.now += 8.0
    with pytest.raises(exceptions.ServiceUnavailableError) as caught:
        router.completion("g", SAY)
    error = caught.value
    assert (error.status_code, error.retry_after) == (503, 12.0)
    assert "'g'" in error.message and "b, is back in 12.0 s" in error.message
    assert not isinstance(error, exceptions.RateLimitError)
    assert len(made.asked) == 2, "nobody who rests is asked"


def test_nobody_rests_where_that_is_switched_off(made: Made) -> None:
    router = made.router("g.a", "g.b", disable_cooldowns=True)
    made.providers.script(Reply.error(429))
    router.completion("g", SAY)
    router.completion("g", SAY)
    assert made.asked == ["a", "b", "a"]


def test_errors_of_the_caller_are_not_tried_elsewhere(made: Made) -> None:
    router = made.router("g.a", "g.b")
    made.providers.script(Reply.error(400, "no"))
    with pytest.raises(exceptions.BadRequestError):
        router.completion("g", SAY)
    assert made.asked == ["a"]


def test_a_key_of_the_callers_own_that_fails_rests_nobody(made: Made) -> None:
    router = made.router("g.a", "g.b", num_retries=0)
    made.providers.script(Reply.error(401))
    with pytest.raises(exceptions.AuthenticationError):
        router.completion("g", SAY, api_key="fake-mine")
    router.completion("g", SAY)
    assert made.asked == ["mine", "a"]


def test_a_deployment_that_is_down_is_passed_over(made: Made) -> None:
    router = made.router("g.a", "g.b", **{"g.a": {"api_base": "http://127.0.0.1:9/v1"}})
    assert router.completion("g", SAY)._hidden_params["model_id"] == "b"


def test_a_deployment_without_a_key_is_passed_over_and_the_variable_named(made: Made) -> None:
    keyless: dict[str, Any] = {"g.a": {"api_key": None, "api_base": None}}
    router = made.router("g.a", "g.b", **keyless)
    assert router.completion("g", SAY)._hidden_params["model_id"] == "b"
    with pytest.raises(exceptions.AuthenticationError, match="OPENAI_API_KEY"):
        made.router("g.a", **keyless).completion("g", SAY)


# -- fallbacks --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("failure", "where"),
    [
        (Reply.error(400, kind="context_window"), "long"),
        (Reply.error(400, kind="content_policy"), "mild"),
        (Reply.error(400, "bad"), "other"),
    ],
)
def test_three_kinds_of_fallback(made: Made, failure: Reply, where: str) -> None:
    router = made.router(
        "g.a",
        "f.other",
        "big.long",
        "soft.mild",
        fallbacks=[{"g": ["f"]}],
        context_window_fallbacks=[{"g": ["big"]}],
        content_policy_fallbacks=[{"g": ["soft"]}],
    )
    made.providers.script(failure)
    assert router.completion("g", SAY)._hidden_params["model_id"] == where
    assert made.asked == ["a", where]


def test_default_fallbacks_aliases_and_ids_as_places_to_go(made: Made) -> None:
    router = made.router("g.a", "f.b", "h.c", default_fallbacks=["c"], model_group_alias={"alias": "g"})
    made.providers.script(Reply.error(400))
    assert router.completion("alias", SAY)._hidden_params["model_id"] == "c"


def test_fallbacks_of_a_call(made: Made) -> None:
    router = made.router("g.a", "f.b", "h.c", fallbacks=[{"g": ["f"]}])
    made.providers.script(Reply.error(400))
    assert router.completion("g", SAY, fallbacks=["h"])._hidden_params["model_id"] == "c"
    made.providers.script(Reply.error(400))
    assert router.completion("g", SAY, fallbacks=[{"g": ["h"]}])._hidden_params["model_id"] == "c"
    made.providers.script(Reply.error(400))
    changed = [{"model": "h", "messages": [{"role": "user", "content": "Shorter"}], "temperature": 0.25}]
    router.completion("g", SAY, fallbacks=changed)
    assert made.providers.last.json["messages"][0]["content"] == "Shorter"
    assert made.providers.last.json["temperature"] == 0.25


def test_fallbacks_may_be_switched_off(made: Made) -> None:
    router = made.router("g.a", "f.b", fallbacks=[{"g": ["f"]}])
    made.providers.script(Reply.error(400))
    with pytest.raises(exceptions.BadRequestError):
        router.completion("g", SAY, disable_fallbacks=True)
    assert made.asked == ["a"]


def test_one_deployment_by_its_id(made: Made) -> None:
    router = made.router("g.a", "g.b")
    router.completion("b", SAY)
    assert made.asked == ["b"]


def test_an_unknown_group_is_told_the_nearest(made: Made) -> None:
    with pytest.raises(exceptions.UnknownModelError, match="Did you mean 'gpt-4o'"):
        made.router("gpt-4o.a").completion("gpt4o", SAY)
    with pytest.raises(exceptions.BadRequestError, match="fallbacks"):
        made.router("g.a").completion("g", SAY, fallbacks=["nobody"])


def test_a_pattern_stands_for_many_names(made: Made) -> None:
    made.router("openai/*.a", **{"openai/*.a": {"model": "openai/*"}}).completion("openai/gpt-4o-mini", SAY)
    assert made.providers.last.json["model"] == "gpt-4o-mini"


# -- streams ----------------------------------------------------------------------------------------------------------


def content(stream: Any) -> str:
    return "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)


@pytest.mark.parametrize(
    "failure",
    [
        Reply.error(503),
        Reply.text("x").with_faults(Cut(after=0)),
        Reply.text("x").with_faults(ErrorEvent(ProviderError(500), after=0)),
    ],
    ids=["status", "cut", "error event"],
)
def test_a_stream_that_fails_before_its_first_token_begins_elsewhere(made: Made, failure: Reply) -> None:
    router = made.router("g.a", "g.b")
    made.providers.script(failure, Reply.text("Good morning"))
    stream = router.completion("g", SAY, stream=True)
    assert content(stream) == "Good morning"
    assert stream.response is not None and stream.response._hidden_params["model_id"] == "b"
    assert made.asked == ["a", "b"]


def test_a_stream_that_fails_later_raises_with_what_arrived(made: Made) -> None:
    router = made.router("g.a", "g.b")
    made.providers.script(Reply.text("one two three", pieces=["one ", "two ", "three"]).with_faults(Cut(after=3)))
    said: list[str] = []

    def listen() -> None:
        for chunk in router.completion("g", SAY, stream=True):
            said.extend(choice.delta.content or "" for choice in chunk.choices)

    with pytest.raises(exceptions.StreamInterruptedError) as caught:
        listen()
    assert "".join(said) == caught.value.partial.choices[0].message.content == "one two "
    assert made.asked == ["a"]
    health = router.health("a")
    assert (health.in_flight, health.failures) == (0, 1)


def test_a_stream_is_in_flight_until_nobody_reads_it(made: Made) -> None:
    router = made.router("g.a")
    made.providers.script(*[Reply.text("one two").with_faults(Stall(after=2))] * 3)
    for end in ("close", "forget"):
        stream = router.completion("g", SAY, stream=True)
        next(stream)
        assert router.health("a").in_flight == 1
        if end == "close":
            stream.close()
        del stream
        gc.collect()
        assert router.health("a").in_flight == 0
    with router.completion("g", SAY, stream=True):
        assert router.health("a").in_flight == 1, "also before anybody has read from it"
    assert router.health("a").in_flight == 0


def test_a_coroutine_that_is_cancelled_leaves_nobody_busy(made: Made) -> None:
    router = made.router("g.a")
    made.providers.script(Reply.text("late").delivered(before_headers=30.0))

    async def main() -> None:
        task = asyncio.create_task(router.acompletion("g", SAY))
        await asyncio.to_thread(made.providers.wait_until, lambda provider: len(provider.requests) == 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await router.aclose()

    asyncio.run(main())
    assert router.health("a").in_flight == 0


def test_streams_of_coroutines(made: Made) -> None:
    router = made.router("g.a", "g.b")
    made.providers.script(Reply.error(429), Reply.text("Good morning").with_faults(EmptyEvent(after=1)))

    async def main() -> str:
        stream = await router.acompletion("g", SAY, stream=True)
        said = [chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices]
        await router.aclose()
        return "".join(said)

    assert asyncio.run(main()) == "Good morning"
    assert (router.health("a").in_flight, router.health("b").in_flight) == (0, 0)
    assert made.asked == ["a", "b"]


# -- who is asked -----------------------------------------------------------------------------------------------------


def test_the_least_busy_is_asked(made: Made) -> None:
    listed = [made.deployment("g", "a"), made.deployment("g", "b")]
    router = made.listed(listed, routing_strategy="least-busy")
    made.providers.answer_with(lambda request: Reply.text("one two").with_faults(Stall(after=1)))
    streams = [router.completion("g", SAY, stream=True) for _ in range(6)]
    assert (made.asked.count("a"), made.asked.count("b")) == (3, 3)
    for stream in streams:
        stream.close()


def test_the_fastest_is_asked(made: Made) -> None:
    listed = [made.deployment("g", "a"), made.deployment("g", "b")]

    def answer(request: Any) -> Reply:
        made.time.now += 2.0 if request.headers["authorization"].endswith("a") else 1.0
        return Reply.text("x")

    made.providers.answer_with(answer)
    router = made.listed(listed, routing_strategy="latency-based-routing", clock=made.time.clock)
    for _ in range(6):
        router.completion("g", SAY)
    assert made.asked.count("a") == 1, "each is measured once, then the fastest is taken"
    assert (router.health("a").latency, router.health("b").latency) == (2.0, 1.0)


def test_the_cheapest_is_asked(made: Made) -> None:
    listed = [
        made.deployment("g", "dear", model="openai/gpt-4o"),
        made.deployment("g", "cheap", model="openai/gpt-4o-mini"),
        made.deployment("g", "unknown", model="openai/some-model-of-ours"),
        made.deployment("g", "own", model="openai/another", input_cost_per_token=1e-9, output_cost_per_token=1e-9),
    ]
    router = made.listed(listed, routing_strategy="cost-based-routing")
    answer = router.completion("g", SAY)
    assert made.asked == ["own"]
    usage = answer.usage
    assert answer._hidden_params["response_cost"] == pytest.approx(usage.total_tokens * 1e-9)
    assert [each.price is None for each in router.deployments] == [False, False, True, False]


def test_a_deployment_with_as_many_requests_as_it_takes_is_passed_over(made: Made) -> None:
    router = made.router("g.a", "g.b", **{"g.a": {"max_parallel_requests": 1}, "g.b": {"max_parallel_requests": 1}})
    made.providers.answer_with(lambda request: Reply.text("one two").with_faults(Stall(after=1)))
    with router.completion("g", SAY, stream=True), router.completion("g", SAY, stream=True):
        assert made.asked == ["a", "b"]
        with pytest.raises(exceptions.ServiceUnavailableError, match="max_parallel_requests"):
            router.completion("g", SAY)


def test_many_threads_count_right(made: Made) -> None:
    listed = [made.deployment("g", name) for name in "abc"]
    barrier = threading.Barrier(8)
    router = made.listed(listed, routing_strategy="least-busy")

    def work(number: int) -> str:
        barrier.wait()
        return str(router.completion("g", SAY)._hidden_params["model_id"])

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(work, range(48)))
    healths = [router.health(name) for name in "abc"]
    assert sum(each.successes for each in healths) == len(found) == 48
    assert [each.in_flight for each in healths] == [0, 0, 0]


# -- arguments --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("on", "tags", "asked"),
    [(True, ["eu"], {"a"}), (True, None, {"b"}), (True, ["eu", "x"], {"a"}), (False, ["eu"], {"a", "b"})],
)
def test_tags_choose_where_that_is_switched_on(made: Made, on: bool, tags: list[str] | None, asked: set[str]) -> None:
    listed = [made.deployment("g", "a", tags=["eu"]), made.deployment("g", "b")]
    router = made.listed(listed, enable_tag_filtering=on)
    for _ in range(20):
        router.completion("g", SAY, tags=tags)
    assert set(made.asked) == asked


def test_tags_that_nobody_has_are_refused(made: Made) -> None:
    router = made.listed([made.deployment("g", "a", tags=["eu"])], enable_tag_filtering=True)
    with pytest.raises(exceptions.BadRequestError, match="has the tags of this request"):
        router.completion("g", SAY, tags=["moon"])


def test_a_deployment_has_arguments_of_its_own_and_those_of_the_call_come_first(made: Made) -> None:
    router = made.router("g.a", **{"g.a": {"temperature": 0.25, "max_tokens": 7, "extra_headers": {"x-one": "1"}}})
    router.completion("g", SAY, temperature=0.75)
    sent = made.providers.last
    assert (sent.json["temperature"], sent.json["max_tokens"], sent.headers["x-one"]) == (0.75, 7, "1")
    assert sent.json["model"] == "gpt-4o"


def test_arguments_that_all_deployments_share(made: Made) -> None:
    router = made.router("g.a", "g.b", default_litellm_params={"seed": 4}, **{"g.b": {"seed": 5}})
    for name in "ab":
        router.completion(name, SAY)
    assert [request.json["seed"] for request in made.providers.requests] == [4, 5]


@pytest.mark.parametrize(("stream", "fails"), [(True, True), (False, False)])
def test_a_stream_may_have_a_timeout_of_its_own(made: Made, stream: bool, fails: bool) -> None:
    router = made.router("g.a", num_retries=0, **{"g.a": {"stream_timeout": 0.05}})
    made.providers.script(Reply.text("late").delivered(before_first=0.5))
    if fails:
        with pytest.raises(exceptions.Timeout):
            router.completion("g", SAY, stream=stream)
    else:
        router.completion("g", SAY, stream=stream)


def test_retries_by_error(made: Made) -> None:
    router = made.router("g.a", num_retries=0, retry_policy={"RateLimitErrorRetries": 2})
    made.providers.script(Reply.error(429), Reply.error(429))
    router.completion("g", SAY)
    made.providers.script(Reply.error(500))
    with pytest.raises(exceptions.InternalServerError):
        router.completion("g", SAY)
    assert len(made.asked) == 4


def test_mocks_stand_among_deployments(made: Made) -> None:
    router = made.router(
        "g.a", "g.b", **{"g.a": {"mock_response": "penstock.RateLimitError"}, "g.b": {"mock_response": "scripted"}}
    )
    answer = router.completion("g", SAY)
    assert (answer.choices[0].message.content, answer._hidden_params["model_id"]) == ("scripted", "b")
    assert content(router.completion("g", SAY, stream=True)) == "scripted"
    with pytest.raises(exceptions.ContentPolicyViolationError):
        router.completion("g", SAY, mock_response=exceptions.ContentPolicyViolationError("no"))
    assert made.asked == []


def test_the_demo_model_is_a_deployment_like_any_other(made: Made) -> None:
    router = made.listed([{"model_name": "g", "litellm_params": {"model": "demo"}}])
    assert "Hello" in router.completion("g", SAY).choices[0].message.content


# -- every kind of call -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "arguments", "on"),
    [
        ("completion", ("g", SAY), "openai_chat"),
        ("responses", ("g", "Hello"), "openai_responses"),
        ("messages", ("g", SAY), "openai_chat"),
        ("generate_content", ("g", "Hello"), "openai_chat"),
        ("text_completion", ("g", "Hello"), "openai_completions"),
        ("embedding", ("e", ["one", "two"]), "openai_embeddings"),
        ("image_generation", ("A cat", "i"), "openai_images"),
        ("moderation", ("m", "Hello"), "openai_moderations"),
        ("speech", ("s", "Hello", "alloy"), "openai_speech"),
    ],
)
def test_every_kind_of_call_finds_another_deployment(
    made: Made, call: str, arguments: tuple[Any, ...], on: str
) -> None:
    models = {
        "g": "gpt-4o",
        "e": "text-embedding-3-small",
        "i": "dall-e-3",
        "m": "omni-moderation-latest",
        "s": "tts-1",
    }
    names = [f"{group}.{group}{number}" for group in models for number in (1, 2)]
    router = made.router(*names, **{name: {"model": f"openai/{models[name[0]]}"} for name in names})
    group = next(each for each in arguments if each in models)
    extra = {"max_tokens": 9} if call == "messages" else {}
    for operation in ("", "a"):
        made.time.now += 100.0
        made.providers.requests.clear()
        made.providers.clear()
        made.providers.script(Reply.error(429), on=on)
        function = getattr(router, operation + call)
        answer = (
            asyncio.run(_closing(router, function(*arguments, **extra))) if operation else function(*arguments, **extra)
        )
        assert answer._hidden_params["model_id"] == f"{group}2"
        assert [request.operation for request in made.providers.requests] == [on, on]


async def _closing(router: Router, call: Any) -> Any:
    try:
        return await call
    finally:
        await router.aclose()


def test_the_parts_of_a_long_embedding_come_from_one_deployment(made: Made) -> None:
    router = made.router("g.a", "g.b", **{name: {"model": "openai/text-embedding-3-small"} for name in ("g.a", "g.b")})
    made.providers.script(Reply.error(429), on="openai_embeddings")
    answer = router.embedding("g", [f"text {number}" for number in range(3000)])
    assert len(answer.data) == 3000
    assert made.asked == ["a", "b", "b"]


def test_the_names_of_a_client_work_too(made: Made) -> None:
    router = made.router("g.a")
    assert router.chat.completions.create(model="g", messages=SAY)._hidden_params["model_id"] == "a"


# -- what is refused --------------------------------------------------------------------------------------------------

ONE = {"model_name": "g", "litellm_params": {"model": "openai/gpt-4o"}}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"model_list": []}, "empty"),
        ({"model_list": [{"model_name": "g", "litellm_params": {"model": "opneai/gpt-4o"}}]}, "openai/gpt-4o"),
        ({"routing_strategy": "fastest"}, "routing_strategy"),
        ({"fallbacks": ["nobody"]}, "nobody"),
        ({"fallbacks": "g"}, "fallbacks"),
        ({"fallbacks": [{"g": "h"}]}, "list of group names"),
        ({"fallbacks": [{"g": ["nobody"]}]}, "nobody"),
        ({"context_window_fallbacks": [{"g": ["nobody"]}]}, "nobody"),
        ({"default_fallbacks": ["nobody"]}, "nobody"),
        ({"model_group_alias": {"x": "nobody"}}, "nobody"),
        ({"model_group_alias": {"x": 3}}, "'x'"),
        ({"max_fallbacks": -1}, "max_fallbacks"),
        ({"allowed_fails": "3"}, "allowed_fails"),
        ({"cooldown_time": "5"}, "cooldown_time"),
        ({"num_retries": -1}, "num_retries"),
        ({"timeout": "soon"}, "timeout"),
        ({"retry_policy": {"Whatever": 2}}, "RateLimitErrorRetries"),
    ],
)
def test_what_is_not_right_is_told_when_the_router_is_made(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Router(**{"model_list": [ONE], "environment": {}, **arguments})


def test_an_argument_that_there_is_not() -> None:
    with pytest.raises(TypeError, match="redis_host"):
        Router([ONE], environment={}, redis_host="localhost")


def test_it_is_public() -> None:
    assert penstock.Router is Router
