"""Plane: what all calls of a worker share under one snapshot. A call keeps the plane that it began with.

`Shared` outlives snapshots: leases, journal, connections, what is known of deployments' health. `Plane` is made anew
for each snapshot, and swapped in by reference.
"""

from __future__ import annotations

import asyncio
import itertools
import secrets
import time
from collections.abc import Mapping
from functools import cached_property
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from penstock.calls.async_world import AsyncWorld
from penstock.calls.engine import Engine
from penstock.calls.options import Options
from penstock.calls.world import SYSTEM_CLOCK
from penstock.dialects import registry, wire
from penstock.dialects.dialect import Dialect
from penstock.exchange import Clock, Timeouts
from penstock.gateway.client_words import FOR_THE_ROUTER, ClientWords
from penstock.gateway.http.heads import JSON, header_value, ids_of, retry_after
from penstock.gateway.http.inbound import Inbound
from penstock.gateway.inside import InsideRemover
from penstock.gateway.keyring import Keyring
from penstock.gateway.lanes import Lanes, may_have_lanes
from penstock.gateway.made import MadeThings
from penstock.gateway.made_up import LONGEST_NAME
from penstock.gateway.nearest import NearestNames
from penstock.gateway.policies import Policy
from penstock.gateway.principal import Principal, Quota
from penstock.gateway.redact import secrets_in
from penstock.gateway.refused import Refused
from penstock.gateway.router import Router
from penstock.gateway.samples import RequestSample
from penstock.gateway.snapshot import Snapshot
from penstock.gateway.surfaces.models import served
from penstock.gateway.targets import Target, Targets
from penstock.gateway.upstream import Upstream, UpstreamTransport
from penstock.gateway.waiting import WaitingRoom
from penstock.providers.endpoint import variables_of
from penstock.providers.registry import Registry
from penstock.providers.urls import host_of
from penstock.routing.deployment import Deployment
from penstock.routing.overrides import NO_OVERRIDES, Overrides
from penstock.routing.table import Elsewhere
from penstock.types.errors import ErrorResponse


class Shared(Struct, frozen=True, kw_only=True, eq=False):
    """What outlives snapshots."""

    registry: Registry
    environment: Mapping[str, str]
    upstream: Upstream
    leases: Any
    journal: Any
    keyring: Keyring
    made: MadeThings
    observer: Any
    policies: tuple[Policy, ...]
    elsewhere: Elsewhere | None = None


class Plane:
    """What calls share."""

    def __init__(self, shared: Shared, snapshot: Snapshot, previous: Plane | None = None) -> None:
        self.shared = shared
        self.snapshot = snapshot
        self.upstream = shared.upstream
        self.leases = shared.leases
        self.journal = shared.journal
        self.observer = shared.observer
        self.policies = shared.policies
        self.clock: Clock = SYSTEM_CLOCK
        transport = UpstreamTransport(shared.upstream)
        environment = {**shared.environment, **snapshot.environment} if snapshot.environment else shared.environment
        self.engine = Engine(
            registry=shared.registry,
            environment=environment,
            defaults=Options(drop_params=snapshot.settings.drop_params),
            async_transport=transport,
        )
        self.targets = Targets(self.engine)
        self.words = ClientWords(self.engine.addresses, snapshot.settings.allowed_client_arguments, FOR_THE_ROUTER)
        self.router: Router = Router(
            snapshot,
            self.engine,
            previous=None if previous is None else previous.router,
            elsewhere=shared.elsewhere,
        )
        self._room: WaitingRoom | None = None if previous is None else previous._room
        if self._room is not None:
            self._room.use(self.router)
        self.redact = InsideRemover(
            secrets_of(shared.registry, environment, snapshot), hosts_of(shared.registry, environment, snapshot)
        )
        self._world = AsyncWorld(transport, transport)
        self._prefix = secrets.token_hex(8)
        self._place_lines: dict[tuple[str, str, int], bytes] = {}
        self._limit_lines: dict[str, tuple[Principal, tuple[Quota, ...], bytes]] = {}
        self._numbers = itertools.count(1)
        routing = snapshot.routing
        self.usual_timeouts = Timeouts(
            connect=routing.connect_timeout,
            first_token=routing.first_token_timeout,
            between_tokens=routing.between_tokens_timeout,
            total=routing.timeout,
        )

    @cached_property
    def bare_engine(self) -> Engine:
        """An engine to which the environment says nothing: no credential of the operator's is found by it."""
        engine = self.engine
        return Engine(
            registry=engine.registry, environment={}, defaults=engine.defaults, async_transport=engine.async_transport
        )

    def world(self) -> AsyncWorld:
        """Who does the rare commands of an exchange."""
        return self._world

    @cached_property
    def lanes(self) -> Lanes | None:
        """The straight way; None: no call can go it under this snapshot."""
        return Lanes(self) if may_have_lanes(self) else None

    def waiting_room(self) -> WaitingRoom | None:
        """Where requests wait for capacity; None: nobody waits."""
        if self._room is None and self.snapshot.routing.queue_size:
            self._room = WaitingRoom(self.router, asyncio.get_running_loop().call_later)
        return self._room

    def queued(self) -> int:
        """Requests that wait for capacity."""
        return 0 if self._room is None else len(self._room)

    @cached_property
    def nearest(self) -> NearestNames:
        """The names of all models that are served, for who asks for another."""
        return NearestNames(model.id for model in served(self))

    def next_id(self) -> str:
        """The id of a new call: 32 hex digits."""
        return f"{self._prefix}{next(self._numbers):016x}"

    def timeouts(self, deployment: Deployment, overrides: Overrides = NO_OVERRIDES, streams: bool = False) -> Timeouts:
        """The timeouts of an attempt at a deployment: the request's own, else the deployment's, else the router's."""
        arguments = deployment.arguments
        if overrides is NO_OVERRIDES and "timeout" not in arguments and deployment.stream_timeout is None:
            return self.usual_timeouts
        said = overrides.stream_timeout if streams and overrides.stream_timeout is not None else overrides.timeout
        if said is None:
            said = deployment.stream_timeout if streams and deployment.stream_timeout is not None else None
        if said is None:
            said = arguments.get("timeout")
        if isinstance(said, Mapping):  # connect, first_token ...: what is not in it is as usual
            return replace(self.usual_timeouts, **said)
        if not isinstance(said, int | float) or isinstance(said, bool) or said <= 0:
            return self.usual_timeouts
        usual = self.usual_timeouts
        connect = said if usual.connect is None else min(usual.connect, said)
        return Timeouts(connect=connect, first_token=said, between_tokens=usual.between_tokens, total=said)

    def total_timeout(self, call: Any) -> float | None:
        """Seconds for a whole call. Streams are limited by their silences, not by their length."""
        if call.peeked.stream:
            return None
        said = call.overrides.timeout
        return self.usual_timeouts.total if said is None else said

    def passed_on(self, call: Any) -> tuple[tuple[str, str], ...]:
        """Headers of the client that go on to the provider."""
        headers = call.inbound.headers
        patterns = self.snapshot.settings.forward_headers
        if b"traceparent" not in headers and not patterns:
            return ()
        names = ["traceparent", "tracestate", *(name.lower() for name in patterns if not name.endswith("*"))]
        prefixes = tuple(name[:-1].lower().encode() for name in patterns if name.endswith("*"))
        if prefixes:
            names += [name.decode("latin-1") for name in headers if name.startswith(prefixes)]
        found = ((name, call.inbound.header(name.encode())) for name in dict.fromkeys(names) if may_go_on(name))
        return tuple((name, value) for name, value in found if value and value.isascii() and value.isprintable())

    def unpriced(self, call: Any, target: Target) -> int:
        """What to reserve for a call to a model without a plain price. Raises Refused where it has none at all."""
        if target.prices is None and not target.resolved.provider.local:
            message = (
                f"the model {target.name} has no known price, so a key with a budget may not use it: set "
                "input_cost_per_token and output_cost_per_token for it"
            )
            raise Refused("billing", 400, message, type="model_cost_map_missing", param="model")
        picodollars: int = call.dearest(target)
        return picodollars

    def refusal(self, dialect: Dialect, error: ErrorResponse) -> tuple[int, bytes]:
        """An error in a client's dialect: status, and the body without secrets. One that a provider gave with a status
        that is none of errors gets one.
        """
        if not 400 <= error.status < 600:
            error = replace(error, status=502)
        status, body = (dialect.tell_error or dialect.render_error)(error)
        clean = self.redact.keys if error.native == "media" else self.redact
        return status, clean(wire.encode(body))

    def place_lines(self, group: str, deployment: str, hops: int) -> bytes:
        """The header lines that say who answered."""
        key = (group, deployment, hops)
        lines = self._place_lines.get(key)
        if lines is None:
            lines = (
                b"x-penstock-model-group: %b\r\nx-penstock-deployment: %b\r\nx-penstock-fallbacks: %d\r\n"
                b"x-penstock-cache: none\r\n" % (header_value(group), header_value(deployment), hops)
            )
            if len(self._place_lines) < 4096 and len(group) <= LONGEST_NAME:
                self._place_lines[key] = lines
        return lines

    def refuse(self, inbound: Inbound, refused: Refused) -> None:
        """Answer a request for which there is no call yet."""
        dialect = inbound.place.voice or registry.get("openai_chat")
        status, body = self.refusal(dialect, refused.error)
        if inbound.place.reads_array(inbound):
            body = b"[%b]" % body
        call_id, error = self.next_id(), refused.error
        sample = RequestSample(
            call_id=call_id, surface=dialect.name, method=inbound.method, path=inbound.path, client=inbound.address
        )
        sample.status, sample.error, sample.outcome = error.status, error.kind, "refused"
        self.observer.refused(sample, time.time())
        inbound.respond(status, JSON + ids_of(call_id) + retry_after(error.retry_after), body)

    def limit_headers(self, principal: Principal) -> bytes:
        """What is left of a key's limits."""
        known = self._limit_lines.get(principal.id)
        if known is None or known[0] is not principal:
            quotas = tuple(quota for quota in principal.quotas if quota.kind in _HEADERS)
            lines = b"".join(_LIMIT % (_HEADERS[quota.kind], quota.limit, _HEADERS[quota.kind]) for quota in quotas)
            if len(self._limit_lines) >= 65_536:
                self._limit_lines.clear()
            self._limit_lines[principal.id] = known = (principal, quotas, lines)
        left: tuple[int, ...] = self.leases.left(known[1])
        return known[2] % left


_LIMIT = b"x-ratelimit-limit-%b: %d\r\nx-ratelimit-remaining-%b: %%d\r\n"
_HEADERS = {"requests": b"requests", "tokens": b"tokens"}


_OURS = ("x-penstock-", "x-litellm-", "x-stainless-")
_KEYS = frozenset({"authorization", "x-api-key", "api-key", "x-goog-api-key", "x-litellm-api-key", "cookie"})


def may_go_on(name: str) -> bool:
    """Whether a client's header may be passed on: none that bears its key for this gateway, or is meant for it."""
    return name not in _KEYS and not name.startswith(_OURS)


def secrets_of(registry: Registry, environment: Mapping[str, str], snapshot: Snapshot) -> tuple[str, ...]:
    """Values that must not leave: keys in the environment, and those that the configuration gives."""
    names = {name for provider in registry for name in variables_of(provider)}
    found = [environment[name] for name in sorted(names) if environment.get(name)]
    for arguments in _arguments(snapshot):
        found += _named_as_keys(arguments)
        found += secrets_in(arguments)
    for endpoint in snapshot.endpoints:
        found += secrets_in({"headers": endpoint.headers})
    return tuple(
        dict.fromkeys([*found, *(value.partition(" ")[2] for value in found if value[:7].lower() == "bearer ")])
    )


def _arguments(snapshot: Snapshot) -> list[Mapping[str, Any]]:
    """What says where requests go and who pays."""
    return [*(each.arguments for each in snapshot.deployments), *snapshot.pass_through.values()]


def _named_as_keys(arguments: Mapping[str, Any]) -> list[str]:
    marks = ("key", "token", "secret", "password", "credential")
    return [
        value
        for name, value in arguments.items()
        if isinstance(value, str) and any(mark in name.lower() for mark in marks) and "max" not in name
    ]


def hosts_of(registry: Registry, environment: Mapping[str, str], snapshot: Snapshot) -> tuple[str, ...]:
    """The hosts that environment and configuration give as addresses: nobody's business outside."""
    names = {name for provider in registry for name in provider.base_environment}
    given = [environment[name] for name in sorted(names) if environment.get(name)]
    given += [each[name] for each in _arguments(snapshot) for name in ("api_base", "base_url") if each.get(name)]
    given += [endpoint.target for endpoint in snapshot.endpoints]
    return tuple({host for address in given if (host := host_of(str(address)))})
