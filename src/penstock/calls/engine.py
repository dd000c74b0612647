"""The engine: what all calls of one client share, and how a call becomes an exchange.

An engine holds the catalog, the environment to read keys from, the defaults, the hooks, the remembered credentials
and the two transports (made on first use). It is a value of its own: `Client(...)` has one, and the module's
functions share one that is made when the first of them is called.
"""

from __future__ import annotations

import os
import random
from collections.abc import Generator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

from penstock.calls.attempt import ChatAttempt
from penstock.calls.options import Options, split, timeouts_of
from penstock.calls.transport import AsyncHTTPXTransport, AsyncTransport, HTTPXTransport, Network, Transport
from penstock.calls.world import SYSTEM_CLOCK, World
from penstock.exchange import Attempt, Clock, Ladder, Plan, Success, exchange
from penstock.providers.auth.credentials import CredentialCache
from penstock.providers.facts import Facts, current_facts
from penstock.providers.facts.profile import profile_changes
from penstock.providers.parameters import parameter_names
from penstock.providers.registry import Registry, default_registry
from penstock.providers.resolve_model import ResolvedModel, resolve_model
from penstock.types.errors import ErrorKind
from penstock.types.request import Request
from penstock.types.retry import Backoff

if TYPE_CHECKING:
    from penstock.calls.async_world import AsyncWorld


class Planned(Protocol):
    """A call, as far as a plan must know it. `attempt` makes an attempt at it, with what a fallback or a deployment
    changes; `arguments` are the caller's own.
    """

    @property
    def model(self) -> str: ...
    @property
    def options(self) -> Options: ...
    @property
    def arguments(self) -> Mapping[str, Any]: ...
    def attempt(self, change: str | Mapping[str, Any] | None = None) -> Attempt[Any]: ...


class Engine:
    """What the calls of one client share.

    registry       the providers; default: the process-wide registry
    environment    where keys and settings are read; default: the process environment, read at each call
    defaults       Options that hold where a call says nothing
    facts          prices, limits and capabilities of models; default: the packaged ones and what was registered. A dict
                   as `register_model` takes it (the caller's own prices) is laid over these
    network        proxy, certificate authorities, client certificate
    transport, async_transport    instead of our own over httpx
    clock          for tests
    backoff        how long to wait between retries
    """

    def __init__(
        self,
        *,
        registry: Registry | None = None,
        environment: Mapping[str, str] | None = None,
        defaults: Options | None = None,
        facts: Facts | Mapping[str, Mapping[str, Any]] | None = None,
        network: Network | None = None,
        transport: Transport | None = None,
        async_transport: AsyncTransport | None = None,
        clock: Clock = SYSTEM_CLOCK,
        backoff: Backoff | None = None,
    ) -> None:
        self.registry = registry or default_registry()
        self.environment: Mapping[str, str] = os.environ if environment is None else environment
        self.defaults = defaults or Options()
        self.network = network or Network()
        self.clock = clock
        self.backoff = backoff or Backoff()
        self.credentials = CredentialCache()
        self._given_facts = current_facts().with_rows(facts) if isinstance(facts, Mapping) else facts
        self.transport: Transport = transport or HTTPXTransport(network=self.network)
        self.async_transport: AsyncTransport = async_transport or AsyncHTTPXTransport(network=self.network)
        self._owned = (transport is None, async_transport is None)
        on_the_link = Network(trust_environment=False)
        self._direct = HTTPXTransport(network=on_the_link)
        self._async_direct = AsyncHTTPXTransport(network=on_the_link)

    @cached_property
    def addresses(self) -> frozenset[str]:
        """The names of all call arguments that say where to go and who pays."""
        return parameter_names(self.registry)

    @property
    def facts(self) -> Facts:
        """What is known of models. Without facts of its own, an engine follows what is registered in the process."""
        return self._given_facts or current_facts()

    def resolve(self, model: str, options: Options) -> ResolvedModel:
        """The provider and its model. Raises ProviderError."""
        base = options.address.get("api_base") or options.address.get("base_url")
        return resolve_model(
            model,
            self.registry,
            provider=options.custom_llm_provider,
            api_base=base,
            lookup=self.facts.provider_of,
            known_models=lambda: self.facts,
        )

    def chat_attempt(self, request: Request, model: str, options: Options) -> ChatAttempt:
        """One attempt at a chat call. Raises ProviderError where no provider can be told from the name."""
        resolved = self.resolve(model, options)
        return ChatAttempt(request, resolved, options, self.environment, self.credentials, self.model_facts)

    def model_facts(self, provider: str, model: str, wire_format: str) -> Mapping[str, Any]:
        """What the fact sheet knows of a model that its renderer must know (profile fields)."""
        row = self.facts.find(model, provider)
        return {} if row is None else profile_changes(row, wire_format)

    routes = False
    """Whether the model of a call is chosen by this engine (a router's), and not by the caller."""

    def plan(self, call: Planned) -> Plan:
        """The model, then its fallbacks; the kinds of errors that have fallbacks of their own go there instead."""
        options = call.options
        if options.disable_fallbacks:
            return self.ladder([call.attempt()], options)
        attempts = [call.attempt(), *map(call.attempt, options.fallbacks)]
        alternatives: dict[ErrorKind, Sequence[Attempt[Any]]] = {}
        if options.context_window_fallbacks:
            alternatives["context_window"] = [call.attempt(each) for each in options.context_window_fallbacks]
        if options.content_policy_fallbacks:
            alternatives["content_policy"] = [call.attempt(each) for each in options.content_policy_fallbacks]
        return self.ladder(attempts, options, alternatives)

    def eligible(self, call: Planned) -> Sequence[Attempt[Any]]:
        """Every attempt that the call may come to, for what must hold for all of them."""
        fallbacks = () if call.options.disable_fallbacks else call.options.fallbacks
        return [call.attempt(), *map(call.attempt, fallbacks)]

    def leading(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments of the attempt that comes first, for what is decided before any is made."""
        return dict(arguments)

    def rest_of(self, success: Success[Any]) -> Any:
        """The rest of a stream that has begun; None where it is whole."""
        return success.reply.stream

    def ladder(
        self,
        attempts: Sequence[Attempt[Any]],
        options: Options,
        alternatives: dict[ErrorKind, Sequence[Attempt[Any]]] | None = None,
    ) -> Ladder:
        """The plan of a call: these attempts in turn, each with its retries."""
        return Ladder(
            attempts,
            retries=options.num_retries,
            backoff=self.backoff,
            random=random.random,  # jitter, no secret
            alternatives=alternatives,
        )

    def exchange(self, plan: Plan, options: Options) -> Generator[Any, Any, Success[Any]]:
        """The generator to drive."""
        return exchange(plan, self.clock, timeouts_of(options.timeout).total)

    def world(self, client: Any = None) -> World:
        """Who does things for a blocking call, through the user's own client where one is given."""
        transport = self.transport if client is None else HTTPXTransport(client)
        return World(transport, self._direct)

    def async_world(self, client: Any = None) -> AsyncWorld:
        """Who does things for a coroutine."""
        from penstock.calls.async_world import AsyncWorld  # asyncio is loaded for those who use it

        transport = self.async_transport if client is None else AsyncHTTPXTransport(client)
        return AsyncWorld(transport, self._async_direct)

    def close(self) -> None:
        """Close the connections of the blocking transports that are ours."""
        self._direct.close()
        if self._owned[0]:
            self.transport.close()

    async def aclose(self) -> None:
        """Close the connections of the async transports that are ours."""
        await self._async_direct.aclose()
        if self._owned[1]:
            await self.async_transport.aclose()


ENGINE_ARGUMENTS = (
    "registry",
    "environment",
    "facts",
    "network",
    "transport",
    "async_transport",
    "clock",
    "backoff",
)
"""The arguments of `Engine`, without `defaults`."""


def engine_with(arguments: Mapping[str, Any], unknown: str) -> Engine:
    """An engine with these arguments: its own, and options that hold for every call (`default_headers` and
    `default_query`: to send with each). Raises TypeError in the words of `unknown` (with `{}` for their names) for
    others.
    """
    given = {_DEFAULTS.get(name, name): value for name, value in arguments.items()}
    made = {name: given.pop(name) for name in ENGINE_ARGUMENTS if name in given}
    engine = Engine(**made)
    engine.defaults, others = split(given, engine.addresses, Options())
    if others:
        raise TypeError(unknown.format(", ".join(sorted(others))))
    return engine


_DEFAULTS = {"default_headers": "extra_headers", "default_query": "extra_query"}
"""Names of the `openai` package's clients -> options."""


def arguments_of(fallback: str | Mapping[str, Any]) -> dict[str, Any]:
    """A fallback as arguments of a call: a model's name, or a dict with `model` and whatever else shall differ."""
    return {"model": fallback} if isinstance(fallback, str) else dict(fallback)
