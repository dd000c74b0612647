"""Own endpoints: paths of the gateway that lead to addresses of the operator's own (`endpoints`, LiteLLM's
`pass_through_endpoints`). What goes on is the body, the query and the headers that the configuration sets; the
client's own headers only where it says so, and never those that bear its key.
"""

from __future__ import annotations

from collections.abc import Generator
from types import SimpleNamespace
from typing import Any

from penstock.exchange import HTTPRequest, Reply, exchange
from penstock.gateway.forward import Destination, ForwardCall, headers_of, with_query
from penstock.gateway.http.inbound import Inbound
from penstock.gateway.plans import NoRoute, Once
from penstock.gateway.principal import Principal
from penstock.gateway.snapshot import Endpoint, Snapshot
from penstock.gateway.surfaces.table import Place, Table
from penstock.gateway.upstream import NetworkSettings
from penstock.routing.deployment import Deployment
from penstock.types.errors import ErrorResponse

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
NOBODY = Principal(id="", label="nobody")
"""Who calls an endpoint that needs no key."""


def own_table(snapshot: Snapshot) -> Table | None:
    """The table of a configuration's own endpoints; None where it has none."""
    if not snapshot.endpoints:
        return None
    return Table(_place(endpoint) for endpoint in sorted(snapshot.endpoints, key=lambda each: -len(each.path)))


def _place(endpoint: Endpoint) -> Place:
    def begin(plane: Any, inbound: Inbound, principal: Principal | None) -> None:
        OwnCall(plane, inbound, principal or NOBODY, endpoint).admit()

    path = endpoint.path.rstrip("/") or "/"
    paths = (path, f"{path.rstrip('/')}/{{rest:path}}") if endpoint.subpaths else (path,)
    return Place(paths, endpoint.methods or METHODS, begin, needs_key=not endpoint.keyless)


class OwnCall(ForwardCall):
    """One request to such an endpoint."""

    def __init__(self, plane: Any, inbound: Inbound, principal: Principal, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        deployment = Deployment(group=endpoint.path, arguments={"model": "endpoint/-"}, id=endpoint.path)
        super().__init__(plane, inbound, principal, Destination(deployment, "", below=()))

    def go(self) -> None:
        self.inbound.client_left = self.client_left
        self.route = NoRoute()
        self.drive(exchange(Once(self.attempt_made()), self.plane.clock, None, self))

    def attempt_made(self) -> Any:
        return OwnAttempt(self, self._endpoint)


class OwnAttempt:
    """The attempt. An `exchange.Attempt`; whatever comes is the answer."""

    local = None
    stream = True
    provider, model = "endpoint", "-"

    def __init__(self, call: OwnCall, endpoint: Endpoint) -> None:
        deployment = call.destination.deployment
        self.call = call
        self.name = endpoint.path
        self.target: Any = SimpleNamespace(
            deployment=deployment,
            resolved=SimpleNamespace(provider=SimpleNamespace(name=self.provider), model=self.model),
            network=NetworkSettings(),
            name=endpoint.path,
        )
        self.timeouts = call.plane.timeouts(deployment, call.overrides, call.peeked.stream)
        self.facts = {"made": self, "fallbacks": 0, "model_id": deployment.id}
        self.refused: Reply | None = None
        self._endpoint = endpoint

    def renew(self) -> bool:
        """There is no credential that could be old."""
        return False

    def prepare(self, now: float) -> HTTPRequest | Generator[Any, Any, HTTPRequest]:
        """The request to the operator's address."""
        inbound, endpoint = self.call.inbound, self._endpoint
        rest = inbound.target.partition(b"?")[0].decode("latin-1")
        below = rest[len(endpoint.path.rstrip("/")) :] if endpoint.subpaths else ""
        url = with_query(_below(endpoint.target, below), inbound.query, frozenset({"key"}))
        headers = headers_of(inbound) if endpoint.forward_headers else {}
        for name in ("content-type", "accept"):
            if value := inbound.header(name.encode()):
                headers[name] = value
        set_here = {name.lower(): value for name, value in endpoint.headers.items()}
        return HTTPRequest(inbound.method, url, tuple({**headers, **set_here}.items()), inbound.body)

    def read(self, reply: Reply) -> Reply:
        """Whatever comes."""
        return reply

    def read_error(self, reply: Reply) -> ErrorResponse:
        """The refusal, which goes to the client as it came."""
        self.refused = reply
        error: ErrorResponse = self.call.voice().parse_error(reply.status, reply.headers, reply.body)
        return error


def _below(target: str, rest: str) -> str:
    """What stands below a target; its own query stays at the end."""
    if not rest.strip("/"):
        return target
    base, question, query = target.partition("?")
    return f"{base.rstrip('/')}{rest}{question}{query}"
