"""Who gets which connection when a request must be repeated and all are taken: step by step, without sockets."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from penstock.exchange import Timeouts
from penstock.gateway.outbox import Outbox
from penstock.gateway.upstream import Limits, NetworkSettings
from penstock.gateway.upstream.connection import Connection
from penstock.gateway.upstream.dialling import Route
from penstock.gateway.upstream.heads import Start
from penstock.gateway.upstream.ongoing import Ongoing
from penstock.gateway.upstream.origins import parse
from penstock.gateway.upstream.pool import Pool
from penstock.gateway.upstream.timers import Wheel
from tests.support.upstream import OK, Heard, ask
from tests.support.wire import Wire

PLACE = parse("http://a.example/")


class Bench:
    """A pool of two connections at most, that are made when the test says so."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop, self.dials = loop, 0
        route = Route(PLACE.origin, None, NetworkSettings())
        self.pool = Pool(route, Limits(connections=2), Wheel(loop), Outbox(loop), lambda: 0.0, self.dial)

    def dial(self, pool: Pool, seconds: float | None) -> None:
        self.dials += 1

    def made(self) -> Connection:
        connection = Connection(self.pool)
        connection.connection_made(Wire())  # type: ignore[arg-type]  # as much of a transport as is asked
        self.dials -= 1
        self.pool.opened(connection)
        self.pool.outbox.send()
        return connection

    def send(self) -> tuple[Heard, Ongoing]:
        heard = Heard()
        head = Start("POST", PLACE).head([], {})
        ongoing = Ongoing(heard, ask("http://a.example/"), head, Timeouts(), float("inf"), self.loop)
        self.pool.send(ongoing, 0.0)
        self.pool.outbox.send()
        return heard, ongoing


@pytest.fixture
def bench() -> Iterator[Bench]:
    loop = asyncio.new_event_loop()
    yield Bench(loop)
    loop.close()


def test_a_repeated_request_takes_only_a_new_connection(bench: Bench) -> None:
    """One that comes back might be as dead as the one that was lost."""
    bench.send()
    bench.send()
    kept, busy = bench.made(), bench.made()
    kept.data_received(OK)
    repeated, ongoing = bench.send()
    kept.connection_lost(ConnectionResetError())
    assert (ongoing.connection, bench.dials, bench.pool.stats().repeated) == (None, 1, 1)
    busy.data_received(OK)
    assert ongoing.connection is None and bench.pool.idle == [busy]
    new = bench.made()
    assert ongoing.connection is new
    new.connection_lost(ConnectionResetError())
    assert repeated.told == ["broken"] and bench.pool.stats().repeated == 1


def test_room_is_made_for_a_repeated_request(bench: Bench) -> None:
    """Another who waited took the room of the connection that was lost: the next that comes back makes room."""
    bench.send()
    bench.send()
    kept, busy = bench.made(), bench.made()
    kept.data_received(OK)
    _, repeated = bench.send()
    _, other = bench.send()
    assert bench.dials == 0
    kept.connection_lost(ConnectionResetError())
    assert bench.dials == 1
    third = bench.made()
    assert (other.connection, repeated.connection) == (third, None)
    busy.data_received(OK)
    assert not busy.alive and bench.dials == 1
    new = bench.made()
    assert repeated.connection is new
