"""The worker's router: who is asked, what is learnt, what outlives a snapshot. A clock and a source of chance that only
the test moves.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.calls.engine import Engine
from penstock.exchange import AttemptFailed, Broken, Clock
from penstock.gateway.circuits import Change
from penstock.gateway.route import Route, RouteRequest
from penstock.gateway.router import Router
from penstock.gateway.snapshot import RoutingSettings, Snapshot
from penstock.providers.errors import ProviderError
from penstock.providers.provider import RateLimitHeaders
from penstock.routing.deployment import Deployment
from penstock.routing.overrides import Overrides
from penstock.routing.situation import Need
from penstock.routing.table import Elsewhere
from penstock.types.errors import ErrorKind, ErrorResponse, MalformedError
from penstock.types.retry import Tried
from tests.support.counts import Counts


def deployment(group: str, name: str, **fields: Any) -> Deployment:
    model = fields.pop("model", "openai/no-such-model-1")
    return Deployment(group=group, arguments={"model": model, "api_key": "fake"}, id=name, **fields)


class Setting:
    """A router over some deployments; `ask` routes one request."""

    def __init__(self, *deployments: Deployment, elsewhere: Elsewhere | None = None, **settings: Any) -> None:
        self.now = 1000.0
        self.elsewhere = elsewhere
        clock = Clock(monotonic=lambda: self.now, unix=lambda: self.now + 1e9)
        self.engine = Engine(environment={}, clock=clock)
        self.random = random.Random(7)
        self.settings = settings
        self.router = self.make(*deployments)

    def make(self, *deployments: Deployment, previous: Router | None = None) -> Router:
        snapshot = Snapshot(version=1, deployments=deployments, routing=RoutingSettings(**self.settings))
        return Router(snapshot, self.engine, previous=previous, random=self.random.random, elsewhere=self.elsewhere)

    def route(self, group: str = "g", **fields: Any) -> Call:
        return Call(self.router.plan(RouteRequest(group, **fields), lambda deployment, group, hops: deployment.id))

    def asked(self, group: str = "g", **fields: Any) -> str:
        """Who is asked first; it answers at once."""
        call = self.route(group, **fields)
        name = call.begin()
        call.answered()
        return name

    def rest(self, name: str, kind: ErrorKind = "rate_limit") -> None:
        self.router.table.started(name, self.now)
        self.router.failed(name, error(kind))


class Call:
    """A call on its way: what the exchange does with a route."""

    def __init__(self, route: Route) -> None:
        self.route = route
        self.tried: list[Tried] = []

    def begin(self) -> str:
        again = self.route.after(self.tried)
        assert again is not None
        name: str = again.attempt
        self.route.began(again.attempt)
        return name

    def failed(self, kind: ErrorKind = "server", **fields: Any) -> None:
        wrong = error(kind, **fields)
        self.route.ended(self.route.first, 0.1, wrong, False)  # type: ignore[arg-type]  # attempts are names here
        self.tried.append(Tried("n", "p", "m", wrong, 0.1))

    def answered(self, seconds: float = 0.1, streams: bool = False) -> None:
        self.route.ended(self.route.first, seconds, None, streams)  # type: ignore[arg-type]  # likewise


def error(kind: ErrorKind, **fields: Any) -> ErrorResponse:
    return ErrorResponse(kind=kind, status=500, message=kind, **fields)


def two(**settings: Any) -> Setting:
    return Setting(deployment("g", "a"), deployment("g", "b"), **settings)


# -- who is asked -----------------------------------------------------------------------------------------------------


def test_a_group_of_one() -> None:
    setting = Setting(deployment("g", "a"))
    assert setting.asked() == "a"
    assert setting.router.table.get("a").in_flight == 0


def test_an_unknown_group_is_told_the_nearest() -> None:
    with pytest.raises(ProviderError, match="'gpt'"):
        Setting(deployment("gpt", "a")).asked("gtp")


def test_the_short_way_shuffles_by_weight_among_those_that_may_be_asked() -> None:
    setting = Setting(*(deployment("g", name, weight=weight) for name, weight in (("a", 1), ("b", 2), ("c", 3))))
    found = Counter(setting.asked() for _ in range(3000))
    for name, share in (("a", 1 / 6), ("b", 2 / 6), ("c", 3 / 6)):
        assert found[name] / 3000 == pytest.approx(share, abs=0.03)
    setting.rest("c")
    found = Counter(setting.asked() for _ in range(3000))
    assert found["c"] == 0
    assert found["a"] / 3000 == pytest.approx(1 / 3, abs=0.03), "c leaves its share to the others by their weights"


@pytest.mark.parametrize("strategy", ["least-busy", "lowest-latency", "most-headroom", "lowest-cost"])
def test_every_strategy_asks_somebody_of_few_and_of_many(strategy: str) -> None:
    for count in (2, 5, 60):
        setting = Setting(*(deployment("g", str(number)) for number in range(count)), strategy=strategy)
        found = Counter(setting.asked() for _ in range(40 * count))
        assert len(found) > count / 2


def test_two_choices_keep_many_about_evenly_busy() -> None:
    setting = Setting(*(deployment("g", str(number)) for number in range(100)), strategy="least-busy")
    for _ in range(1000):
        setting.route().begin()
    loads = [setting.router.table.get(str(number)).in_flight for number in range(100)]
    assert sum(loads) == 1000
    assert max(loads) <= 14, "at random the busiest of them would have about 20"


def test_the_cheapest_are_asked_by_turns_and_an_unknown_price_never() -> None:
    prices = {"a": Decimal(2), "b": Decimal(1), "c": Decimal(1), "d": None}
    setting = Setting(*(deployment("g", name, price=price) for name, price in prices.items()), strategy="cost")
    assert set(Counter(setting.asked() for _ in range(100))) == {"b", "c"}
    setting.rest("b")
    setting.rest("c")
    assert setting.asked() == "a"


def test_the_first_token_counts_for_streams_and_the_answer_for_others() -> None:
    setting = two(strategy="latency-based-routing")
    for name, seconds, streams in (("a", 1.0, True), ("b", 2.0, True), ("a", 9.0, False), ("b", 5.0, False)):
        setting.router.table.answered(name, setting.now, seconds, streams)
    assert setting.asked(stream=True) == "a"
    assert setting.asked(stream=False) == "b"


def test_limits_that_a_provider_told() -> None:
    setting = two(strategy="usage-based-routing-v2")

    class Target:
        deployment = Deployment(group="g", arguments={"model": "m"}, id="a")
        endpoint: Any = type("Endpoint", (), {"rate_limits": RateLimitHeaders()})

    headers = {
        "x-ratelimit-limit-requests": "100",
        "x-ratelimit-remaining-requests": "2",
        "x-ratelimit-reset-requests": "30s",
    }
    setting.router.learn(Target(), headers)
    assert setting.asked() == "b"
    setting.rest("b")
    assert [setting.asked(), setting.asked()] == ["a", "a"], "what is left is still there to be used"
    assert setting.router.busy_for(RouteRequest("g")) == pytest.approx(5.0), "until b is back"
    setting.now += 29
    setting.rest("b")
    assert setting.router.busy_for(RouteRequest("g")) == pytest.approx(1.0), "until a has more"
    setting.now += 1
    assert setting.router.busy_for(RouteRequest("g")) == 0.0


def test_a_deployment_over_its_own_rpm_comes_last() -> None:
    setting = Setting(deployment("g", "a", rpm=3), deployment("g", "b", rpm=3))
    assert Counter(setting.asked() for _ in range(6)) == {"a": 3, "b": 3}
    assert setting.router.busy_for(RouteRequest("g")) == pytest.approx(60.0)
    assert setting.asked() in "ab", "a share, and no limit: somebody is asked all the same"


# -- tags and windows -------------------------------------------------------------------------------------------------


def tagged(**tags: tuple[str, ...]) -> Setting:
    return Setting(*(deployment("g", name, tags=each) for name, each in tags.items()))


def test_a_tagged_deployment_gets_nothing_that_did_not_ask_for_it() -> None:
    setting = tagged(a=("eu",), b=())
    assert {setting.asked() for _ in range(50)} == {"b"}
    assert {setting.asked(tags=("eu",)) for _ in range(50)} == {"a"}
    with pytest.raises(AttemptFailed, match="default") as caught:
        setting.asked(tags=("us",))
    assert caught.value.error.status == 400


def test_default_is_for_whom_no_other_tag_fits() -> None:
    setting = tagged(a=("eu",), b=(), c=("default",))
    assert {setting.asked() for _ in range(50)} == {"c"}
    assert {setting.asked(tags=("us",)) for _ in range(50)} == {"c"}


@pytest.mark.parametrize(("any_tag", "asked"), [(True, {"a", "b"}), (False, {"b"})])
def test_any_tag_or_all(any_tag: bool, asked: set[str]) -> None:
    setting = Setting(
        deployment("g", "a", tags=("eu",)), deployment("g", "b", tags=("eu", "fast")), match_any_tag=any_tag
    )
    assert {setting.asked(tags=("eu", "fast")) for _ in range(50)} == asked


def test_tags_choose_nothing_where_that_is_switched_off() -> None:
    setting = Setting(deployment("g", "a", tags=("eu",)), deployment("g", "b"), tag_filtering=False)
    assert {setting.asked(tags=("us",)) for _ in range(50)} == {"a", "b"}


def test_where_nobody_is_tagged_tags_are_for_the_books() -> None:
    assert two().asked(tags=("job-7",)) in "ab"


def test_the_tags_of_overrides_count_too() -> None:
    setting = tagged(a=("eu",), b=())
    assert setting.asked(overrides=Overrides(tags=("eu",))) == "a"


def test_who_cannot_do_what_a_request_needs_is_passed_over() -> None:
    setting = Setting(deployment("g", "a", weight=1000), deployment("g", "b"), deployment("other", "c"))
    need = Need(lambda each: each.id != "a", "only here", "previous_response_id")
    assert {setting.asked(need=need) for _ in range(20)} == {"b"}
    nobody = Need(lambda each: False, "not here", "previous_response_id")
    with pytest.raises(AttemptFailed) as refused:
        setting.asked(need=nobody)
    told = refused.value.error
    assert (told.kind, told.status, told.message, told.param) == (
        "invalid_request",
        400,
        "not here",
        "previous_response_id",
    )
    assert setting.router.busy_for(RouteRequest("g", need=nobody)) == 0.0, "waiting would not help"


def windows(**settings: Any) -> Setting:
    return Setting(
        deployment("g", "small", max_input=100),
        deployment("g", "large", max_input=1000),
        deployment("huge", "huge", max_input=100_000),
        **settings,
    )


def test_who_is_too_small_is_left_out() -> None:
    setting = windows()
    assert {setting.asked(size=5000, tokens=lambda: 500) for _ in range(50)} == {"large"}
    assert {setting.asked(size=5000, tokens=lambda: 50) for _ in range(50)} == {"small", "large"}


def test_nobody_counts_the_tokens_of_a_short_request() -> None:
    def count() -> int:
        raise AssertionError("there are never more tokens than bytes")

    setting = windows()
    assert {setting.asked(size=100, tokens=count) for _ in range(20)} == {"small", "large"}


def test_all_too_small_falls_back_or_says_so_before_anything_is_sent() -> None:
    setting = windows(context_window_fallbacks={"g": ("huge",)})
    assert setting.asked(size=50_000, tokens=lambda: 5000) == "huge"
    with pytest.raises(AttemptFailed, match=r"about 5000 tokens.*takes 1000") as caught:
        windows().asked(size=50_000, tokens=lambda: 5000)
    assert (caught.value.error.kind, caught.value.error.status) == ("context_window", 400)
    assert windows(check_context_window=False).asked(size=50_000, tokens=lambda: 5000) in ("small", "large")


def test_the_window_of_a_known_model_is_known() -> None:
    setting = Setting(deployment("g", "a", model="openai/gpt-4"), deployment("g", "b", model="openai/gpt-4.1"))
    assert {setting.asked(size=200_000, tokens=lambda: 50_000) for _ in range(20)} == {"b"}


# -- failures ---------------------------------------------------------------------------------------------------------


def test_a_failure_goes_to_another_deployment_then_to_another_group() -> None:
    setting = Setting(
        deployment("g", "a", order=1), deployment("g", "b", order=2), deployment("f", "c"), fallbacks={"g": ("f",)}
    )
    call = setting.route()
    found = [call.begin()]
    for kind in ("rate_limit", "authentication"):
        call.failed(kind)
        found.append(call.begin())
    call.answered()
    assert found == ["a", "b", "c"]
    assert (call.route.asked, call.route.hops) == ("f", 1)
    assert all(setting.router.table.get(name).in_flight == 0 for name in "abc")


def test_a_caller_falls_back_only_to_where_it_may() -> None:
    setting = Setting(
        *(deployment(name, name) for name in ("g", "f", "h")), fallbacks={"g": ("f", "h")}, cooldowns=False
    )
    call = setting.route(may_use=lambda group: group != "f")
    call.begin()
    call.failed("invalid_request")
    assert call.begin() == "h"


def test_what_a_call_says_for_itself() -> None:
    setting = Setting(*(deployment(name, name) for name in ("g", "f", "h")), fallbacks={"g": ("f",)})
    own = setting.route(overrides=Overrides(fallbacks=("h",), retries=0))
    own.begin()
    own.failed("server")
    assert own.begin() == "h"
    none = setting.route(overrides=Overrides(disable_fallbacks=True, retries=0))
    none.begin()
    none.failed("server")
    assert none.route.after(none.tried) is None
    with pytest.raises(MalformedError, match="fallbacks") as raised:
        setting.route(overrides=Overrides(fallbacks=("nobody",)))
    assert str(raised.value) == "there is no model 'nobody' here to fall back to at fallbacks", (
        "and not which there are"
    )


def test_when_all_rest_it_is_503_and_when_to_come_again() -> None:
    setting = two()
    setting.rest("a")
    setting.now += 2
    setting.rest("b")
    with pytest.raises(AttemptFailed) as caught:
        setting.asked()
    assert (caught.value.error.status, caught.value.error.retry_after) == (503, 3.0)


def test_exactly_one_request_is_the_probe() -> None:
    setting = Setting(deployment("g", "a", order=1), deployment("g", "b", order=2))
    setting.rest("a")
    setting.now += 5
    calls = [setting.route() for _ in range(5)]
    assert [call.begin() for call in calls] == ["a", "b", "b", "b", "b"]
    calls[0].failed("server")
    assert setting.router.table.get("a").rests_until == setting.now + 10
    setting.now += 10
    assert setting.asked() == "a"
    assert [setting.route().begin() for _ in range(3)] == ["a", "a", "a"]


def test_after_a_wait_nobody_is_asked_who_rests_by_then() -> None:
    setting = Setting(deployment("g", "a"), deployment("g", "b"), deployment("f", "c"), fallbacks={"g": ("f",)})
    call = setting.route(overrides=Overrides(retries=5))
    for _ in range(2):
        call.begin()
        call.failed("server")
    waiting = call.route.after(call.tried)
    assert waiting is not None and waiting.wait > 0 and waiting.then is not None
    setting.rest("a")
    other = setting.route()
    assert other.begin() == "b"
    setting.rest("b")
    setting.now += waiting.wait
    instead = waiting.then()
    assert instead is not None and (instead.attempt, instead.wait) == ("c", 0.0)


def test_many_that_wait_for_a_rest_to_end_are_one_probe() -> None:
    setting = two(cooldown=3.0)
    calls = [setting.route() for _ in range(4)]
    for call in calls:
        for _ in range(2):
            try:
                call.begin()
            except AttemptFailed:
                break
            call.failed("rate_limit")
    waiting = [again for call in calls if call.tried and (again := call.route.after(call.tried)) is not None]
    assert waiting and all(again.then is not None and again.wait == 3.0 for again in waiting)
    setting.now += 3.0
    steps = [again.then() for again in waiting if again.then is not None]
    at_once = [again.attempt for again in steps if again is not None and not again.wait]
    assert len(at_once) == len(set(at_once)), "each deployment is probed by one"


def test_a_stream_is_under_way_until_it_is_done() -> None:
    setting = two()
    call = setting.route(stream=True)
    name = call.begin()
    call.answered(streams=True)
    assert setting.router.table.get(name).in_flight == 1
    call.route.done()
    call.route.done()
    assert setting.router.table.get(name).in_flight == 0


def test_a_stream_that_breaks_is_a_failure_of_its_deployment() -> None:
    setting = two()
    call = setting.route(stream=True)
    name = call.begin()
    call.answered(streams=True)
    call.route.broke(Broken("timeout", "no token for 60 s"))
    call.route.broke(None)
    health = setting.router.table.get(name)
    assert (health.in_flight, health.trips) == (0, 1)


def test_a_key_of_the_callers_own_says_nothing_about_a_deployment() -> None:
    setting = two()
    route = setting.router.plan(RouteRequest("g"), lambda deployment, group, hops: deployment.id, judges=False)
    call = Call(route)
    name = call.begin()
    call.failed("authentication")
    assert (setting.router.table.get(name).in_flight, setting.router.table.get(name).rests_until) == (0, 0.0)


# -- sessions ---------------------------------------------------------------------------------------------------------


def test_a_session_stays_and_every_worker_sends_it_to_the_same_place() -> None:
    def make() -> Setting:
        return Setting(*(deployment("g", str(number)) for number in range(8)), sticky_seconds=300.0)

    one, other = make(), make()
    other.random = random.Random(99)
    for session in map(str, range(40)):
        found = {one.asked(session=session) for _ in range(5)} | {other.asked(session=session)}
        assert len(found) == 1
    assert len({one.asked(session=str(number)) for number in range(200)}) == 8, "sessions are spread"


def test_a_session_leaves_a_deployment_that_rests_and_stays_where_it_went() -> None:
    setting = Setting(*(deployment("g", str(number)) for number in range(4)), sticky_seconds=300.0)
    home = setting.asked(session="s")
    setting.rest(home)
    away = setting.asked(session="s")
    assert away != home
    setting.now += 60
    assert {setting.asked(session="s") for _ in range(5)} == {away}, "there its cache is warm now"
    setting.now += 301
    assert setting.asked(session="s") == home


def test_a_session_stays_only_where_cached_input_is_cheaper() -> None:
    prices = {"input_price": Decimal(2), "cached_price": None}
    setting = Setting(*(deployment("g", str(number), **prices) for number in range(4)), sticky_seconds=300.0)
    assert len({setting.asked(session="s") for _ in range(50)}) == 4


def test_a_session_goes_with_its_group() -> None:
    setting = Setting(
        *(deployment("g", f"g{number}") for number in range(3)),
        *(deployment("f", f"f{number}") for number in range(3)),
        sticky_seconds=300.0,
    )
    assert setting.asked("g", session="s").startswith("g")
    assert setting.asked("f", session="s").startswith("f")


# -- snapshots and workers --------------------------------------------------------------------------------------------


def test_what_is_known_of_deployments_outlives_a_snapshot() -> None:
    setting = Setting(deployment("g", "a"), deployment("g", "b"), deployment("g", "c"), sticky_seconds=60.0)
    under_way = setting.route()
    first = under_way.begin()
    setting.rest("a")
    kept = tuple(deployment("g", name) for name in ("a", "d"))
    setting.router = setting.make(*kept, previous=setting.router)
    assert {setting.asked() for _ in range(20)} == {"d"}, "a rests still"
    under_way.answered()
    assert setting.router.table.get(first).in_flight == 0, "a call ends where it began"


def test_other_workers_hear_of_circuits() -> None:
    one, other = two(), two()
    one.rest("a")
    changes = one.router.export_events()
    assert changes == [Change("a", 5.0, 1)]
    assert one.router.export_events() == []
    for change in changes:
        other.router.apply_event(change)
    assert {other.asked() for _ in range(20)} == {"b"}
    assert other.router.export_events() == [], "what was heard is not told again"
    one.now += 5
    one.router.table.claim("a", one.now)
    one.router.answered("a", 0.1, False)
    for change in one.router.export_events():
        other.router.apply_event(change)
    assert {other.asked() for _ in range(20)} == {"a", "b"}


def test_changes_are_told_at_once_also_by_calls_that_began_under_an_older_snapshot() -> None:
    setting = Setting(deployment("g", "a"), deployment("g", "b"))
    told: list[Change] = []
    setting.router.changed = lambda: told.extend(setting.router.export_events())
    older = setting.router
    setting.router = setting.make(deployment("g", "a"), deployment("g", "b"), previous=older)
    older.failed("a", ErrorResponse(kind="rate_limit", status=429, message="too much"))
    assert [change.deployment for change in told] == ["a"]


def test_names_that_callers_make_up_are_not_all_remembered() -> None:
    setting = Setting(deployment("openai/*", "a", model="openai/*"))
    for number in range(3000):
        setting.asked(f"openai/model-{number}")
    assert len(setting.router._members) <= 1024


@given(st.lists(st.sampled_from(["begin", "answer", "fail", "stream", "done", "leave", "wait"]), max_size=80))
def test_nobody_is_under_way_when_all_is_over(steps: list[str]) -> None:
    """Whatever happens in whatever order: what began ends once."""
    setting = Setting(deployment("g", "a", most_in_flight=3), deployment("g", "b"), deployment("g", "c"))
    calls: list[Call] = []
    doing: dict[str, Callable[[Call], object]] = {
        "answer": lambda call: call.answered(),
        "fail": lambda call: call.failed("rate_limit"),
        "stream": lambda call: call.answered(streams=True),
        "done": lambda call: call.route.done(5),
        "leave": lambda call: call.route.left(None),  # type: ignore[arg-type]  # a router asks nothing of it
    }
    for step in steps:
        if step == "wait":
            setting.now += 3
        elif step == "begin":
            try:
                call = setting.route()
                call.begin()
                calls.append(call)
            except AttemptFailed:
                continue
        elif calls:
            call = calls.pop(0)
            doing[step](call)
            if step == "stream":
                calls.append(call)
        assert setting.router.table.get("a").in_flight <= 3
    for call in calls:
        call.route.done()
    assert all(setting.router.table.get(name).in_flight == 0 for name in "abc")


# -- several workers --------------------------------------------------------------------------------------------------


def workers(number: int, *deployments: Deployment) -> tuple[Counts, list[Setting]]:
    """Settings of workers that know what the others have under way."""
    counts = Counts()
    return counts, [Setting(*deployments, elsewhere=counts.seen_by(worker)) for worker in range(number)]


def test_the_last_place_is_one_workers_until_its_request_is_over() -> None:
    counts, (one, other) = workers(2, deployment("g", "a", most_in_flight=1))
    call = one.route()
    assert call.begin() == "a"
    with pytest.raises(AttemptFailed) as full:
        other.route().begin()
    assert (full.value.error.status, full.value.error.native) == (503, "resting")
    assert other.router.busy_for(RouteRequest("g")) == pytest.approx(0.02), "it is looked again soon"
    call.answered()
    assert counts.all("a") == 0 and other.asked() == "a" and other.router.busy_for(RouteRequest("g")) == 0.0


def test_who_was_chosen_and_never_asked_leaves_no_place_behind() -> None:
    counts, (one, _) = workers(2, deployment("g", "a", most_in_flight=1))
    route = one.route().route
    assert route.after([]) is not None and counts.all("a") == 1
    route.unclaim()
    route.unclaim()
    assert counts.all("a") == 0


def test_what_is_full_elsewhere_is_passed_over() -> None:
    counts, (one, other) = workers(2, deployment("g", "a", most_in_flight=1, order=1), deployment("g", "b", order=2))
    call = one.route()
    assert call.begin() == "a"
    assert [other.asked() for _ in range(3)] == ["b"] * 3
    call.failed("server")
    assert counts.all("a") == 0


def test_the_next_part_of_a_request_has_the_place_of_the_one_before() -> None:
    counts, (one, other) = workers(2, deployment("g", "a", most_in_flight=1))
    call = one.route()
    call.begin()
    for _ in range(3):
        call.route.pinned = True
        call.answered()
        assert counts.all("a") == 1
        with pytest.raises(AttemptFailed):
            other.route().begin()
        call.route.began(None)  # type: ignore[arg-type]  # which attempt it is does not matter
    call.route.pinned = False
    call.answered()
    assert counts.all("a") == 0


def test_a_limit_that_comes_holds_for_who_was_to_be_routed_before_it() -> None:
    counts = Counts()
    setting = Setting(deployment("g", "a"), elsewhere=counts.seen_by(0))
    before = setting.router
    setting.make(deployment("g", "a", most_in_flight=1), previous=before)
    assert setting.route().begin() == "a"
    with pytest.raises(AttemptFailed):
        setting.route().begin()
    assert counts.all("a") == 1


@given(st.lists(st.tuples(st.integers(0, 2), st.sampled_from(["ask", "answer", "fail", "leave"])), max_size=60))
def test_workers_together_never_have_more_than_a_deployment_takes(steps: list[tuple[int, str]]) -> None:
    counts, settings = workers(3, deployment("g", "a", most_in_flight=2), deployment("g", "b", most_in_flight=1))
    calls: list[list[Call]] = [[], [], []]
    for worker, step in steps:
        setting, under_way = settings[worker], calls[worker]
        if step == "ask":
            call = setting.route()
            try:
                call.begin()
            except AttemptFailed:
                assert counts.all("a") == 2 or counts.all("b") == 1
            else:
                under_way.append(call)
        elif under_way:
            call = under_way.pop(0)
            if step == "answer":
                call.answered()
            elif step == "fail":
                call.route.ended(None, 1.0, error("invalid_request"), False)  # type: ignore[arg-type]  # as above
            else:
                call.route.left(None)  # type: ignore[arg-type]  # as above
        assert counts.all("a") <= 2 and counts.all("b") <= 1
        assert counts.all("a") + counts.all("b") == sum(map(len, calls))
