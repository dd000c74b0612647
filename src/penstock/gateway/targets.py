"""Targets: a deployment as it is asked from one surface. Made once, used for thousands of requests.

A target knows whether the surface's requests can be relayed to it (it speaks the same dialect and nothing is to be
added to bodies), and, where its key is a plain one, the address and headers of every request to it.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from penstock.calls.betas import accepted, joined
from penstock.calls.engine import Engine
from penstock.calls.mock import wants_mock
from penstock.calls.options import split
from penstock.calls.prepare import authorise, locate
from penstock.calls.pricing import prices_at
from penstock.exchange import HTTPRequest
from penstock.gateway.made_up import LONGEST_NAME
from penstock.gateway.tariff import Tariff, tariff_of
from penstock.gateway.upstream import NetworkSettings
from penstock.providers.auth.authorization import KeyAuthorization
from penstock.providers.auth.credentials import Borrowing
from penstock.providers.discover import undiscovered
from penstock.providers.endpoint import Endpoint, endpoint
from penstock.providers.prices import Prices
from penstock.providers.resolve_model import ResolvedModel
from penstock.routing.deployment import Deployment

NETWORK_ARGUMENTS = ("proxy", "ca_file", "cert", "verify", "ssl_verify", "ssl_certificate")
"""Arguments of a deployment that say how its host is reached."""
_NOT_FOR_A_MODEL = frozenset({"model", *NETWORK_ARGUMENTS})

_NO_KEY = "none"
"""What a mock has for a key: nobody is asked, but where it would be asked says what it costs."""


class Target:
    """One deployment, asked for one capability in one dialect.

    endpoint    where its requests go; None until a setting that only a file or a metadata server knows was found
    relays      whether bodies go on as they came
    reasons     False: the model is known, and cannot
    defaults    body parameters (in OpenAI's words) that hold where a request does not say otherwise
    max_output  tokens that the model gives at most; None: nobody knows
    """

    __slots__ = (
        "_betas",
        "_headers",
        "_url",
        "defaults",
        "deployment",
        "endpoint",
        "engine",
        "max_output",
        "name",
        "network",
        "options",
        "prices",
        "reasons",
        "relays",
        "resolved",
        "tariff",
    )

    def __init__(self, engine: Engine, deployment: Deployment) -> None:
        self.engine = engine
        self.deployment = deployment
        self.options, rest = split(deployment.arguments, engine.addresses, engine.defaults)
        self.defaults = {name: value for name, value in rest.items() if name not in _NOT_FOR_A_MODEL}
        self.resolved: ResolvedModel = engine.resolve(deployment.model, self.options)
        self.name = f"{self.resolved.provider.name}/{self.resolved.model}"
        self.network = network_of({**deployment.arguments, **deployment.network})
        self.endpoint: Endpoint | None = None
        self.relays = False
        self.reasons = True
        self.prices: Prices | None = None
        self.tariff: Tariff | None = None
        self.max_output: int | None = None
        self._url = ""
        self._headers: tuple[tuple[str, str], ...] | None = None
        self._betas: dict[str, tuple[tuple[str, str], ...]] = {}

    def facts(self, provider: str, model: str, wire_format: str) -> Mapping[str, Any]:
        """What is known of a model, for clients that were written for another one: Claude Code asks every model to
        think, and a provider refuses who asks one that cannot. So a model that is known, and not as one that reasons,
        is not asked to.
        """
        known = self.engine.model_facts(provider, model, wire_format)
        row = self.engine.facts.find(model, provider)
        return known if row is None or row.supports("reasoning") else {"reasoning": "none", **known}

    def find(self, capability: str, stream: bool, prefer: Sequence[str], dialect: str) -> None:
        """Find the endpoint, where nobody must be asked for it. Raises ProviderError."""
        provider, options, environment = self.resolved.provider, self.options, self.engine.environment
        if undiscovered(provider, self.resolved.model, options.address, environment):
            return
        address = {"api_key": _NO_KEY, **options.address} if wants_mock(options) else options.address
        found = endpoint(
            provider,
            capability,
            self.resolved.model,
            stream=stream,
            parameters=address,
            environment=environment,
            selector=self.resolved.selector,
            prefer=prefer,
            base_model=options.base_model or self.resolved.base_model,
            facts=self.facts,
            written=self.resolved.written,
        )
        self.found(found, dialect)

    def locate(
        self, capability: str, stream: bool, prefer: Sequence[str], dialect: str, now: float
    ) -> Generator[Any, Any, None]:
        """Find the endpoint by asking. Raises ProviderError."""
        engine = self.engine
        found = yield from locate(
            self.resolved,
            capability,
            self.options,
            engine.environment,
            stream=stream,
            prefer=prefer,
            facts=self.facts,
            memory=engine.credentials,
            now=now,
        )
        self.found(found, dialect)

    def found(self, endpoint: Endpoint, dialect: str) -> None:
        """The endpoint is known."""
        options = self.options
        self.endpoint = endpoint
        self.relays = (
            endpoint.format == dialect
            and endpoint.model_field == "model"
            and endpoint.framing is None
            and not (endpoint.body or endpoint.omit or self.defaults or options.extra_body)
            and not (options.additional_drop_params or options.strict or options.modify_params)
        )
        self.reasons = endpoint.profile.reasoning != "none"
        self.prices = prices_at(self.engine.facts, endpoint, options)
        self.tariff = None if endpoint.reports_cost or endpoint.residency else tariff_of(self.prices)
        self.max_output = self._most()
        if type(endpoint.auth) is KeyAuthorization:
            request = _first(authorise(endpoint, b"", options, Borrowing(self.engine.credentials), 0.0))
            self._url, self._headers = request.url, request.headers

    def _most(self) -> int | None:
        info = self.deployment.arguments.get("model_info")
        said = info.get("max_output_tokens") or info.get("max_tokens") if isinstance(info, Mapping) else None
        if isinstance(said, int):
            return said
        base = self.options.base_model or self.resolved.base_model
        row = self.engine.facts.find(self.resolved.model, self.resolved.provider.name, base_model=base)
        return None if row is None else row.limits.output

    @property
    def is_ready(self) -> bool:
        """Whether the head of its requests is known."""
        return self._headers is not None and self.endpoint is not None

    def request(self, body: bytes, betas: str | None, more: tuple[tuple[str, str], ...]) -> HTTPRequest | None:
        """The request with this body; None where its credential must be obtained, or each request is signed.

        `betas` is the client's header of that kind, `more` are further headers to add.
        """
        headers, found = self._headers, self.endpoint
        if headers is None or found is None:
            return None
        if betas and found.betas:
            headers = self._betas.get(betas) or self._with_betas(found, headers, betas)
        if more:
            names = {name for name, _ in more}
            headers = (*(each for each in headers if each[0].lower() not in names), *more)
        return HTTPRequest(found.method, self._url, headers, body)

    def authorised(self, request: HTTPRequest, lent: Borrowing, now: float) -> Generator[Any, Any, HTTPRequest]:
        """The request, signed or with a credential that must be obtained first."""
        found = self.endpoint
        assert found is not None, "what is authorised has an endpoint"
        if request.headers:
            found = replace(found, headers=joined(found.headers, dict(request.headers)))
        return (yield from authorise(found, request.body, self.options, lent, now))

    def _with_betas(
        self, found: Endpoint, headers: tuple[tuple[str, str], ...], betas: str
    ) -> tuple[tuple[str, str], ...]:
        names = accepted(betas, found, dict(headers).get(found.beta_header))
        others = tuple(each for each in headers if each[0].lower() != found.beta_header.lower())
        result = (*others, (found.beta_header, names)) if names else headers
        if len(self._betas) < 64:
            self._betas[betas] = result
        return result


def network_of(arguments: Mapping[str, Any]) -> NetworkSettings:
    """How a deployment's host is reached. (`ssl_verify` and `ssl_certificate` are LiteLLM's words.)"""
    verify = arguments.get("verify", arguments.get("ssl_verify", True))
    certificate = arguments.get("cert", arguments.get("ssl_certificate"))
    return NetworkSettings(
        proxy=arguments.get("proxy"),
        ca_file=arguments.get("ca_file") or (verify if isinstance(verify, str) else None),
        cert=tuple(certificate) if isinstance(certificate, list) else certificate,
        verify=verify is not False,
    )


def _first(flow: Generator[Any, Any, HTTPRequest]) -> HTTPRequest:
    """The request of a flow that asks for nothing."""
    try:
        next(flow)
    except StopIteration as done:
        request: HTTPRequest = done.value
        return request
    raise AssertionError("a plain key needs nothing to be obtained")


class Targets:
    """The targets of one snapshot, by deployment and surface."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._known: dict[tuple[str, str, str, str, bool], Target] = {}

    def of(self, deployment: Deployment, capability: str, dialect: str, prefer: Sequence[str], stream: bool) -> Target:
        """The target. Raises ProviderError."""
        key = (deployment.id, deployment.model, capability, dialect, stream)
        target = self._known.get(key)
        if target is None:
            target = Target(self._engine, deployment)
            target.find(capability, stream, prefer, dialect)
            if len(deployment.model) <= LONGEST_NAME:
                if len(self._known) >= _MOST:
                    self._known.clear()
                self._known[key] = target
        return target


_MOST = 4096
"""Targets that are kept at once."""
