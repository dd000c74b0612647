"""A call that had to wait for a lease, and whose client has gone meanwhile, takes nothing of what came."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

from penstock.gateway.call import Call, Wait
from penstock.gateway.principal import Principal, Quota

SLOTS = Quota(name="k:parallel", kind="parallel", limit=1)


class Slots:
    """Leases that make the first call wait; and the policy that takes from them."""

    def __init__(self) -> None:
        self.taken = 0
        self.then: Callable[[], None] | None = None

    def draw(self, quota: Quota, wanted: int, least: int, then: Callable[[], None]) -> None:
        self.then = then

    def admit(self, call: Any) -> Wait | None:
        if self.then is None:
            return Wait(SLOTS, 1, 1)
        self.taken += 1
        return None


def test_what_comes_after_the_client_has_gone_is_left_where_it_is() -> None:
    slots = Slots()
    plane = SimpleNamespace(policies=(slots,), leases=slots, next_id=lambda: "1")
    inbound = SimpleNamespace(method="POST", path="/v1/chat/completions")
    call = Call(cast(Any, plane), cast(Any, inbound), Principal(id="1", label="sk-...1"))
    call.admit()
    assert slots.then is not None
    assert inbound.client_left == call.client_left, "so that it hears of it while it waits"
    call.over = True
    slots.then()
    assert slots.taken == 0
