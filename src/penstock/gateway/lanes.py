"""Lanes: what all calls of one principal for one model have in common, found out once.

Nearly every call needs one attempt at a deployment that is drawn, and its answer comes whole. What decides over that is
the same for thousands of calls: the settings of the snapshot, what the principal may use and draws on, the group behind
the name, whether a deployment speaks the client's dialect or the call is translated. A lane holds the answers, and
`Lanes.take` sends such a call on the straight way (straight.py). It refuses nobody and decides nothing anew: a call
that is anything but usual is not taken, and goes the long way (`ChatCall`), which knows every case.

A lane is bound to its snapshot and to its principal as it was when the lane was made. tests/unit/gateway/
test_straight.py sends the same calls both ways, and compares all that is left of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from msgspec import Struct

from penstock.calls.demo import NAMES as DEMO_NAMES
from penstock.calls.mock import wants_mock
from penstock.dialects.dialect import PathMatch
from penstock.exchange import Timeouts
from penstock.gateway.http.inbound import Inbound
from penstock.gateway.made_up import LONGEST_NAME
from penstock.gateway.old_paths import OLD_PATHS
from penstock.gateway.policies.model_access import allowed
from penstock.gateway.principal import Principal, Quota
from penstock.gateway.relay import Members, Peeked, text
from penstock.gateway.route import Members as Group
from penstock.gateway.routed import TOOLS
from penstock.gateway.samples import RequestSample
from penstock.gateway.straight import StraightCall, StraightRelay
from penstock.gateway.straight_translation import StraightTranslation
from penstock.gateway.surfaces.chat import ChatSurface
from penstock.gateway.targets import Target
from penstock.gateway.tariff import Tariff
from penstock.providers.errors import ProviderError
from penstock.routing.deployment import Deployment
from penstock.routing.overrides import said_in_headers
from penstock.routing.tasks import NO_TASKS

if TYPE_CHECKING:
    from penstock.gateway.plane import Plane

MOST = 65_536
"""Lanes that are kept."""
MOST_GROUPS = 2048
"""Groups and surfaces whose ways are kept: with wildcards clients choose the names, and each has targets of its own."""
_HEADERS_THAT_SAY_MORE = frozenset({b"traceparent", b"anthropic-beta"})
_MEMBERS_THAT_SAY_MORE = frozenset({"previous_response_id", "conversation"})

_NOTHING_SAID = PathMatch()
_NONE: frozenset[str] = frozenset()


class Way(Struct, frozen=True, eq=False):
    """A deployment, as it is asked for whole answers.

    tariff    what its answers cost, where they are plain
    timeouts  how long it may take
    place     the header lines that say who answered
    call      how: relayed, or translated
    unusual   members that make a request one for the long way
    """

    deployment: Deployment
    target: Target
    tariff: Tariff
    timeouts: Timeouts
    place: bytes
    call: type[StraightCall]
    unusual: frozenset[str]


class Lane(Struct, frozen=True, eq=False):
    """One principal's calls for one name, from one surface.

    requested  the name as the client gives it; `group` what is asked for under it
    usual_output  tokens that may come out of a call that does not say how many
    once       quotas of which each call takes one; `tokens` those of tokens, `budgets` those of money
    sample     what their lines in the log have in common
    ways       deployments that were asked already, for all lanes to this group; None: no call goes straight to it
    """

    principal: Principal
    surface: ChatSurface
    requested: str
    group: Group
    usual_output: int
    once: tuple[tuple[Quota, int], ...]
    tokens: tuple[Quota, ...]
    budgets: tuple[Quota, ...]
    sample: RequestSample
    ways: dict[str, Way | None]


class Lanes:
    """The lanes of one snapshot. Its plane has them, and they have no plane: else only the collector, which seldom
    comes, would free what a snapshot leaves behind.
    """

    def __init__(self, plane: Plane) -> None:
        self._words = plane.words.names | _MEMBERS_THAT_SAY_MORE
        self._lanes: dict[tuple[str, str, bytes], Lane] = {}
        self._ways: dict[tuple[str, str], dict[str, Way | None]] = {}

    def take(
        self, plane: Plane, inbound: Inbound, principal: Principal, surface: ChatSurface, members: Members
    ) -> bool:
        """Make the call, if it can go the straight way. Raises MalformedError."""
        raw = members.get("model")
        if raw is None or not surface.names_model_in_body or not self._words.isdisjoint(members):
            return False
        if inbound.plain is None:
            inbound.plain = is_plain(inbound.headers) and not inbound.path.startswith(OLD_PATHS)
        if not inbound.plain:
            return False
        key = (principal.id, surface.dialect.name, bytes(raw))
        lane = self._lanes.get(key)
        if lane is None or lane.principal is not principal:
            lane = self._made(plane, principal, surface, members)
            if lane is None:
                return False
            self._lanes[key] = lane
        peeked = surface.peek(members, _NOTHING_SAID)
        if peeked.stream or peeked.user is not None:
            return False
        way = self._way(plane, inbound, lane, peeked, members)
        return way is not None and way.call(plane, inbound, lane, way, members, peeked).begin()

    def _way(self, plane: Plane, inbound: Inbound, lane: Lane, peeked: Peeked, members: Members) -> Way | None:
        """The way to a deployment that may be asked without a second thought. It is drawn once: a call that goes the
        long way after all goes to it, too.
        """
        group, router = lane.group, plane.router
        if len(inbound.body) > group.smallest:
            return None
        inbound.drawn = chosen = group.draw(router.table.healths, router.now(), router.random)
        if chosen is None or router.table.is_limited(chosen.id):
            return None
        way = lane.ways[chosen.id] if chosen.id in lane.ways else _made_way(plane, lane, chosen)
        if way is None or (way.target.max_output is None and peeked.max_output is None and lane.budgets):
            return None
        return way if way.unusual.isdisjoint(members) else None

    def _made(self, plane: Plane, principal: Principal, surface: ChatSurface, members: Members) -> Lane | None:
        """The lane of these calls; None: they are not usual."""
        name = text(members, "model")
        if not name or len(members["model"]) > LONGEST_NAME or principal.tags:
            return None
        group = principal.aliases.get(name, name)
        if not allowed(principal, name, group):
            return None
        try:
            found = plane.router.members(group)
        except ProviderError:
            return None
        if not found.plain:
            return None
        once = tuple((quota, 1) for quota in principal.quotas if quota.kind not in ("money", "tokens"))
        tokens, money = (
            tuple(quota for quota in principal.quotas if quota.kind == kind) for kind in ("tokens", "money")
        )
        usual = plane.snapshot.settings.default_max_output
        if len(self._lanes) >= MOST or len(self._ways) >= MOST_GROUPS:
            self._lanes.clear()
            self._ways.clear()
        ways = self._ways.setdefault((found.name, surface.dialect.name), {})
        sample = RequestSample(
            surface=surface.dialect.name,
            operation="chat",
            status=200,
            outcome="success",
            key_id=principal.id,
            key_alias=principal.alias,
            requested=name,
            model_group=found.name,
            attempts=1,
        )
        return Lane(principal, surface, name, found, usual, once, tokens, money, sample, ways)


def is_plain(headers: Mapping[bytes, bytes]) -> bool:
    """Whether the head of a request says nothing about how it is to be served."""
    return _HEADERS_THAT_SAY_MORE.isdisjoint(headers) and not said_in_headers(headers)


def may_have_lanes(plane: Plane) -> bool:
    """Whether there are usual calls under a snapshot: where nothing is asked of each call besides."""
    settings, router = plane.snapshot.settings, plane.router
    return (
        all(policy.straight for policy in plane.policies)
        and router.tasks is NO_TASKS
        and router.sticky is None
        and not router.learns
        and plane.waiting_room() is None
        and plane.observer.tracer is None
        and not (settings.store_prompts or settings.litellm_headers or settings.forward_headers)
    )


def _made_way(plane: Plane, lane: Lane, deployment: Deployment) -> Way | None:
    """The way to a deployment; None: what is sent to it must be made first."""
    surface = lane.surface
    if deployment.model in DEMO_NAMES:
        return None
    prefer = (surface.dialect.name,) if surface.prefers else ()
    try:
        target = plane.targets.of(deployment, "chat", surface.dialect.name, prefer, False)
    except ProviderError:
        return None
    if target.endpoint is None:  # a first call will find out where it is
        return None
    way: Way | None = None
    if target.is_ready and target.tariff is not None and not wants_mock(target.options):
        call, unusual = (StraightTranslation, TOOLS) if not target.relays else (StraightRelay, _NONE)
        if target.relays and not target.reasons:
            unusual = surface.reasoning
        place = plane.place_lines(lane.group.name, deployment.id, 0)
        way = Way(deployment, target, target.tariff, plane.timeouts(deployment), place, call, unusual)
    lane.ways[deployment.id] = way
    return way
