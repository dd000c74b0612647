"""The plan of one call: a table of cases, and what must hold for any sequence of failures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.routing.candidates import Candidates
from penstock.routing.deployment import Deployment
from penstock.routing.fallbacks import Fallbacks
from penstock.routing.plan import NothingToAsk, Retries, RouterPlan
from penstock.types.errors import ErrorKind, ErrorResponse
from penstock.types.retry import Again, Backoff, Tried

GROUPS = {"g": ("g1", "g2"), "f": ("f1",), "h": ("h1", "h2", "h3"), "only": ("only1",)}


class Asked(NamedTuple):
    """What the plan made: whom, for which group, after how many groups."""

    name: str
    group: str
    hops: int


class Setting:
    """A plan over GROUPS in the order of the table, with some deployments that rest for so many seconds."""

    def __init__(self, group: str = "g", resting: dict[str, float] | None = None, **fields: Any) -> None:
        self.resting = dict(resting or {})
        self.full = False
        fallbacks = fields.pop("fallbacks", Fallbacks())
        self.plan = RouterPlan(
            group,
            self.candidates,
            lambda deployment, group, hops: Asked(deployment.id, group, hops),
            fallbacks=lambda group, kind: fallbacks.after((group,), kind),
            most=fallbacks.most,
            retries=fields.pop("retries", Retries(general=2)),
            backoff=fields.pop("backoff", Backoff(jitter=0.0)),
            random=lambda: 0.0,
            **fields,
        )
        self.tried: list[Tried] = []

    def candidates(self, group: str) -> Candidates:
        names = () if self.full else GROUPS[group]
        everyone = [Deployment(group=group, arguments={"model": name}, id=name) for name in names]
        ready = tuple(each for each in everyone if each.id not in self.resting)
        back = sorted((self.resting[each.id], each.id, each) for each in everyone if each.id in self.resting)
        return Candidates(ready, back[0][2], back[0][0]) if back else Candidates(ready)

    def next(self) -> Again | None:
        return self.plan.after(self.tried)

    def fails(self, kind: ErrorKind, retry_after: float | None = None, rests: float | None = None) -> Again | None:
        """What comes after the last attempt failed so; with `rests`, it rests from now on."""
        asked = self.plan.after(self.tried)
        assert asked is not None, "a plan that gave up has nothing left to fail"
        if rests is not None:
            self.resting[asked.attempt.name] = rests
        error = ErrorResponse(kind=kind, status=500, message=kind, retry_after=retry_after)
        self.tried.append(Tried(asked.attempt.name, "p", "m", error, 0.1))
        return self.next()


def times(kind: ErrorKind, count: int) -> list[ErrorKind]:
    """So many errors of a kind."""
    return [kind] * count


def names(setting: Setting, *kinds: ErrorKind) -> list[str | None]:
    """Whom the plan asks while these errors come."""
    first = setting.next()
    found: list[str | None] = [first.attempt.name if first else None]
    for kind in kinds:
        step = setting.fails(kind)
        found.append(step.attempt.name if step else None)
        if step is None:
            break
    return found


@pytest.mark.parametrize(
    ("group", "kinds", "asked"),
    [
        ("g", ("server",), ["g1", "g2"]),
        ("g", ("server", "server"), ["g1", "g2", "g1"]),
        ("g", ("server", "server", "server"), ["g1", "g2", "g1", None]),
        ("h", ("rate_limit", "overloaded", "timeout"), ["h1", "h2", "h3", None]),
        ("g", ("authentication",), ["g1", "g2"]),
        ("g", ("authentication", "authentication"), ["g1", "g2", None]),
        ("g", ("quota", "not_found"), ["g1", "g2", None]),
        ("g", ("unsupported",), ["g1", "g2"]),
        ("g", ("invalid_request",), ["g1", None]),
        ("g", ("context_window",), ["g1", None]),
        ("g", ("content_policy",), ["g1", None]),
        ("g", ("too_large",), ["g1", None]),
        ("only", ("server", "server", "server"), ["only1", "only1", "only1", None]),
        ("only", ("permission",), ["only1", None]),
    ],
)
def test_within_a_group(group: str, kinds: tuple[ErrorKind, ...], asked: list[str | None]) -> None:
    assert names(Setting(group), *kinds) == asked


def test_a_group_that_is_full_meanwhile_is_not_waited_for() -> None:
    """None is ready, and none rests: nobody knows when one will take more."""
    setting = Setting("only")
    setting.next()
    setting.full = True
    assert setting.fails("server") is None


def test_another_deployment_is_asked_at_once_and_the_same_one_after_a_wait() -> None:
    setting = Setting()
    waits = [step.wait for step in (setting.next(), setting.fails("server"), setting.fails("server")) if step]
    assert waits == [0.0, 0.0, 0.5]


def test_the_wait_is_as_long_as_the_one_who_is_asked_again_said() -> None:
    setting = Setting("only")
    step = setting.fails("rate_limit", retry_after=7)
    assert step is not None and step.wait == 7


def test_a_wait_that_is_too_long_ends_the_group() -> None:
    assert Setting("only").fails("rate_limit", retry_after=3600) is None


def test_the_router_may_ask_for_a_longer_wait() -> None:
    step = Setting("only", least_wait=3.0).fails("server")
    assert step is not None and step.wait == 3.0


def test_no_retries_means_one_attempt() -> None:
    assert names(Setting(retries=Retries(general=0)), "server") == ["g1", None]


def test_retries_by_kind() -> None:
    told = Retries(general=0, by_kind={"rate_limit": 3, "invalid_request": 1})
    assert names(Setting(retries=told), *times("rate_limit", 4)) == ["g1", "g2", "g1", "g2", None]
    assert names(Setting(retries=told), "server") == ["g1", None]
    assert names(Setting(retries=told), "invalid_request", "invalid_request") == ["g1", "g2", None]


FALLBACKS = Fallbacks(
    general={"g": ["f"], "f": ["h"]}, context_window={"g": ["h"]}, content_policy={"g": ["only"]}, default=["only"]
)


@pytest.mark.parametrize(
    ("kind", "where"),
    [("context_window", "h1"), ("content_policy", "only1"), ("invalid_request", "f1"), ("too_large", "f1")],
)
def test_the_kind_of_the_error_says_where_to(kind: ErrorKind, where: str) -> None:
    assert names(Setting(fallbacks=FALLBACKS), kind) == ["g1", where]


def test_without_a_list_of_its_own_a_kind_takes_the_general_one() -> None:
    assert names(Setting("f", fallbacks=FALLBACKS), "context_window") == ["f1", "h1"]


def test_the_default_is_for_groups_without_a_list() -> None:
    assert names(Setting("h", fallbacks=FALLBACKS), "invalid_request") == ["h1", "only1"]


def test_a_star_is_for_all_groups_before_the_default() -> None:
    table = Fallbacks(general={"*": ["f"]}, default=["only"])
    assert names(Setting(fallbacks=table), "invalid_request") == ["g1", "f1"]


def test_fallbacks_of_fallbacks_come_first_and_no_group_comes_twice() -> None:
    table = Fallbacks(general={"g": ["f", "only"], "f": ["h", "g"], "h": ["f"]})
    assert names(Setting(fallbacks=table), *times("invalid_request", 4)) == ["g1", "f1", "h1", "only1", None]


def test_fallbacks_have_an_end() -> None:
    table = Fallbacks(general={"g": ["f", "h", "only"]}, most=1)
    assert names(Setting(fallbacks=table), "invalid_request", "invalid_request") == ["g1", "f1", None]


def test_a_fallback_group_has_retries_of_its_own_and_knows_how_far_it_came() -> None:
    setting = Setting(fallbacks=Fallbacks(general={"g": ["h"]}))
    for _ in range(3):
        step = setting.fails("server")
    assert step is not None and step.attempt == Asked("h1", "h", 1)
    assert [setting.fails("server"), setting.fails("server")][-1] is not None
    assert setting.fails("server") is None


def test_one_that_rests_is_passed_over() -> None:
    assert names(Setting(resting={"g1": 4.0}), "server") == ["g2", "g2"]


def test_a_group_that_rests_falls_back_at_once() -> None:
    setting = Setting(resting={"g1": 4.0, "g2": 5.0}, fallbacks=Fallbacks(general={"g": ["f"]}))
    step = setting.next()
    assert step is not None and step.attempt == Asked("f1", "f", 1)


def test_nothing_to_ask_says_who_is_back_next_and_when() -> None:
    setting = Setting(resting={"g1": 9.0, "g2": 4.0})
    with pytest.raises(NothingToAsk, match=r"'g'.*g2.*4\.0 s") as caught:
        setting.next()
    assert caught.value.seconds == 4.0


def test_one_that_goes_to_rest_is_not_asked_again_while_another_is_awake() -> None:
    setting = Setting()
    second = setting.fails("rate_limit", rests=5.0)
    third = setting.fails("server")
    assert second is not None and third is not None
    assert (second.attempt.name, third.attempt.name) == ("g2", "g2")


def test_when_all_went_to_rest_the_call_waits_for_the_first_if_it_is_back_soon() -> None:
    setting = Setting()
    setting.fails("rate_limit", rests=3.0)
    step = setting.fails("rate_limit", rests=5.0)
    assert step is not None and (step.attempt.name, step.wait) == ("g1", 3.0)


@pytest.mark.parametrize(("kind", "rest"), [("rate_limit", 60.0), ("authentication", 3.0)])
def test_it_does_not_wait_long_nor_for_what_does_not_pass(kind: ErrorKind, rest: float) -> None:
    setting = Setting()
    setting.fails(kind, rests=rest)
    assert setting.fails(kind, rests=rest) is None


def test_it_falls_back_rather_than_wait() -> None:
    setting = Setting(fallbacks=Fallbacks(general={"g": ["f"]}))
    setting.fails("rate_limit", rests=3.0)
    step = setting.fails("rate_limit", rests=3.0)
    assert step is not None and step.attempt.name == "f1"


def test_the_same_history_has_the_same_answer() -> None:
    setting = Setting()
    first = setting.next()
    second = setting.fails("server")
    assert setting.plan.after([]) is first
    assert setting.plan.after(setting.tried) is second


_KINDS: Sequence[ErrorKind] = get_args(ErrorKind)
_FAILURES = st.lists(
    st.tuples(st.sampled_from(_KINDS), st.none() | st.floats(0, 100), st.none() | st.floats(0.1, 100)),
    min_size=60,
    max_size=60,
)
_TABLES = st.dictionaries(st.sampled_from(sorted(GROUPS)), st.lists(st.sampled_from(sorted(GROUPS)), max_size=4))


@given(
    st.sampled_from(sorted(GROUPS)),
    st.dictionaries(st.sampled_from([name for each in GROUPS.values() for name in each]), st.floats(0.1, 100)),
    _TABLES,
    _TABLES,
    st.integers(0, 4),
    st.integers(0, 5),
    _FAILURES,
)
def test_any_sequence_of_failures(
    group: str,
    resting: dict[str, float],
    general: dict[str, list[str]],
    window: dict[str, list[str]],
    retries: int,
    most: int,
    failures: list[tuple[ErrorKind, float | None, float | None]],
) -> None:
    """It ends; nobody who rests is asked without waiting for the end of that rest; groups come once; limits hold."""
    table = Fallbacks(general=general, context_window=window, most=most)
    setting = Setting(group, resting, fallbacks=table, retries=Retries(general=retries))
    path: list[Asked] = []
    try:
        step = setting.next()
    except NothingToAsk:
        assert all(name in resting for name in GROUPS[group])
        return
    for kind, retry_after, rests in failures:
        if step is None:
            break
        asked: Asked = step.attempt
        assert step.wait >= setting.resting.get(asked.name, 0.0)
        setting.resting.pop(asked.name, None)
        path.append(asked)
        step = setting.fails(kind, retry_after, rests)
    assert step is None, "it ends: at most (retries + 1) attempts in each of (most + 1) groups"
    groups = [asked.group for asked in path]
    runs = [name for place, name in enumerate(groups) if place == 0 or groups[place - 1] != name]
    assert len(runs) == len(set(runs)) <= most + 1
    assert all(groups.count(name) <= retries + 1 for name in runs)
    assert all(asked.name in GROUPS[asked.group] for asked in path)
    assert all(asked.hops == runs.index(asked.group) + (runs[0] != group) for asked in path)
