"""What the routes work with. The keeper makes it; tests make it with what they need."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from starlette.requests import Request

from penstock.control.api.large_reads import LargeReads
from penstock.control.configuration import Configuration
from penstock.control.metrics import Gatherer
from penstock.control.store.base import Store
from penstock.control.virtual_keys import VirtualKeys
from penstock.gateway.principal import Principal


@dataclass(slots=True)
class Services:
    """draining: the gateway ends, and is not ready any more; workers: how many are connected; metrics: of all of them,
    where they are gathered; large_reads: reads of many rows, one after the other.
    """

    store: Store
    keys: VirtualKeys
    configuration: Configuration
    workers: Callable[[], int]
    draining: bool = False
    metrics: Gatherer | None = None
    large_reads: LargeReads = field(default_factory=LargeReads)


def services_of(request: Request) -> Services:
    """The services of the application that a request came to."""
    services: Services = request.app.state.services
    return services


def caller_of(request: Request) -> Principal:
    """Who the gate let in."""
    caller: Principal = request.scope["caller"]
    return caller


def name_of(request: Request) -> str:
    """Who the gate let in, for `created_by`."""
    caller = caller_of(request)
    return "master key" if caller.role == "master" else caller.alias or caller.label
