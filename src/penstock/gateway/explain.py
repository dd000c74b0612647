"""Explain: where a request would go and why, without sending it.

It goes the way that a worker goes, over the same router: the rules, the group, who is meant, in which order, where it
would fall back to. What only traffic tells (health, latency, limits that are used up) is unknown here: all deployments
are taken to be well.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from msgspec import Struct

from penstock.calls.tokens import count_request
from penstock.dialects import registry, wire
from penstock.dialects.dialect import Dialect, PathMatch
from penstock.gateway.route import Members, RouteRequest
from penstock.gateway.router import Router
from penstock.routing.candidates import that_fit, with_tags
from penstock.routing.deployment import Deployment
from penstock.routing.overrides import overrides_of
from penstock.routing.rules import Decision
from penstock.routing.situation import Situation
from penstock.routing.strategies import ordered, simple_shuffle, weights_of
from penstock.routing.task import Task
from penstock.types.errors import ErrorKind, MalformedError
from penstock.types.request import Request

USUAL_PATH = "/v1/chat/completions"
_KINDS: tuple[ErrorKind, ...] = ("unavailable", "context_window", "content_policy")


class Placed(Struct, frozen=True, kw_only=True):
    """A deployment of the group. `place`: when it is asked (from 1); None: it is left out, and `why`. `chance`: how
    often it is the first, in percent. Costs in US dollars: of what goes in, and of the most that may come out.
    """

    deployment: str
    model: str
    place: int | None
    why: str
    chance: float | None = None
    input_cost: Decimal | None = None
    output_cost: Decimal | None = None


class Explanation(Struct, frozen=True, kw_only=True):
    """Why a request goes where it goes.

    asked        the name that it gave; `dialect` is how it was read, `task` what it is
    decision     what rules decided; None: the name has none
    cascade      the groups that are asked one after the other; None: it is none
    group        where it goes; `strategy` how its deployments are ordered
    placed       its deployments, in order; those that are left out last
    fallbacks    kind of error -> the groups after this one
    """

    asked: str
    dialect: str
    task: Mapping[str, Any]
    decision: Decision | None
    cascade: tuple[str, ...] | None
    group: str
    strategy: str
    placed: tuple[Placed, ...]
    fallbacks: Mapping[str, Sequence[str]]


def dialect_of(path: str) -> tuple[Dialect, PathMatch]:
    """The dialect that is spoken at a path. Raises MalformedError for a path of none."""
    for dialect in registry.dialects():
        match = dialect.match_path(path)
        if match is not None:
            return dialect, match
    usual = f"{USUAL_PATH}, /v1/messages, /v1/responses, /v1beta/models/MODEL:generateContent"
    raise MalformedError(f"no dialect is spoken at {path!r}; the usual paths are {usual}", "path")


def explain(
    router: Router,
    body: bytes,
    *,
    path: str = USUAL_PATH,
    headers: Mapping[str, str] | None = None,
    tags: tuple[str, ...] = (),
    key: str = "",
) -> Explanation:
    """Where the request with this body would go. `headers` have names in lower case; `key` is the alias of the key.

    Raises DialectError for a body that cannot be read, ProviderError for a name that there is not.
    """
    dialect, match = dialect_of(path)
    decoded = wire.decode(body)
    request = dialect.parse_request(decoded, match)
    if not request.model:
        raise MalformedError("`model` is missing", "model")
    overrides = overrides_of(headers or {}, decoded if isinstance(decoded, dict) else {})
    tags = tuple(dict.fromkeys((*tags, *overrides.tags)))
    tokens = int(count_request(request, request.model))
    task = Task(request, tags=tags, key=key, tokens=tokens)
    wanted = RouteRequest(
        request.model, task.stream, len(body), lambda: tokens, tags, overrides=overrides, task=lambda: task
    )
    cascade = router.choose(wanted)
    if cascade is not None:
        wanted.group = cascade.group_of_streams if task.stream else cascade.groups[0]
    members = router.members(wanted.group)
    return Explanation(
        asked=request.model,
        dialect=dialect.name,
        task=_described(task),
        decision=wanted.decision,
        cascade=None if cascade is None or task.stream else cascade.groups,
        group=wanted.group,
        strategy=router.strategy_name(wanted.group),
        placed=_placed(router, members, wanted, request, tokens),
        fallbacks={kind: router.fallbacks_after(wanted.group, kind, overrides) for kind in _KINDS},
    )


def _described(task: Task) -> dict[str, Any]:
    """What a request is, where that is not nothing."""
    found = {word: getattr(task, word) for word in _WORDS}
    return {word: value for word, value in found.items() if value}


_WORDS = (
    *("tokens", "characters", "messages", "language", "code", "tools", "images", "audio", "video", "files"),
    *("schema", "json", "reasoning", "stream", "max_tokens", "tags"),
)


def _placed(
    router: Router, members: Members, wanted: RouteRequest, request: Request, tokens: int
) -> tuple[Placed, ...]:
    situation = router.situation(wanted, members, tokens)
    meant = with_tags(members.deployments, situation)
    fitting = that_fit(meant, situation.tokens)
    order = ordered(members.strategy, fitting, {}, situation)
    chances = _chances(members, order)
    found = [
        _place(each, number, _reason(each, members, situation), chances.get(each.id), request, tokens)
        for number, each in enumerate(order, 1)
    ]
    for each in members.deployments:
        if each not in meant:
            why = f"its tags ({', '.join(each.tags) or 'none'}) are not those of the request"
            found.append(_place(each, None, why, None, request, tokens))
        elif each not in fitting:
            why = f"it takes {each.max_input} tokens, and there are about {tokens}"
            found.append(_place(each, None, why, None, request, tokens))
    return tuple(found)


def _chances(members: Members, order: Sequence[Deployment]) -> dict[str, float]:
    """How often each is the first under a shuffle, in percent."""
    if members.strategy is not simple_shuffle or not order:
        return {}
    first = [each for each in order if each.order == order[0].order]
    weights = weights_of(first)
    total = sum(weights)
    if not total:
        return {each.id: 100.0 / len(first) for each in first}
    return {each.id: round(100.0 * weight / total, 1) for each, weight in zip(first, weights, strict=True)}


def _reason(deployment: Deployment, members: Members, situation: Situation) -> str:
    words = [f"order {deployment.order}"] if len({each.order for each in members.deployments}) > 1 else []
    for name in ("weight", "rpm", "tpm"):
        value = getattr(deployment, name)
        if value is not None:
            words.append(f"{name} {value:g}")
    if deployment.price is not None:
        words.append(f"${deployment.price.normalize():f} a million tokens in and out")
    if situation.tokens is not None and deployment.max_input is not None:
        words.append(f"takes {deployment.max_input} tokens")
    return ", ".join(words) or "as good as any"


def _place(
    deployment: Deployment, place: int | None, why: str, chance: float | None, request: Request, tokens: int
) -> Placed:
    into, both = deployment.input_price, deployment.price
    out = both - into if both is not None and into is not None else None
    return Placed(
        deployment=deployment.id,
        model=deployment.model,
        place=place,
        why=why,
        chance=chance,
        input_cost=None if into is None else into * tokens / 1_000_000,
        output_cost=None if out is None or not request.max_tokens else out * request.max_tokens / 1_000_000,
    )
