"""Whatever becomes of a call, the straight way leaves what the long way leaves: the same bytes for provider and client,
the same records, leases, metrics, lines of the log, and the same knowledge of the deployments.

Two gateways get the same requests, and the same happens to them; one has no lanes. Time stands still unless the script
lets it pass, so that nothing has to be compared "about".
"""

from __future__ import annotations

import asyncio
import gc
import json
import math
import re
import time
import weakref
from collections.abc import Callable, Iterator
from typing import Any, cast

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from penstock.exchange import Broken, Clock
from penstock.gateway import lanes, straight
from penstock.gateway.http.connection import Connection, Limits
from penstock.gateway.http.connections import Connections
from penstock.gateway.journal import JournalError
from penstock.gateway.keyring import Keyring
from penstock.gateway.lease_words import Grant, Name, Refusal
from penstock.gateway.leases import Leases
from penstock.gateway.log import Log
from penstock.gateway.made import MadeThings
from penstock.gateway.made_up import LONGEST_NAME
from penstock.gateway.metrics import Metrics
from penstock.gateway.observe import Observer
from penstock.gateway.plane import Plane, Shared
from penstock.gateway.policies.limits import Limits as LimitPolicy
from penstock.gateway.policies.model_access import ModelAccess
from penstock.gateway.principal import Principal, Quota, key_digest
from penstock.gateway.revoking import Revoking
from penstock.gateway.service import Service
from penstock.gateway.snapshot import RoutingSettings, Settings, Snapshot
from penstock.gateway.straight_translation import StraightTranslation
from penstock.gateway.surfaces.places import table
from penstock.gateway.upstream import Ongoing
from penstock.providers.registry import default_registry
from penstock.routing.deployment import Deployment
from penstock.types.errors import ErrorResponse
from penstock.types.retry import Backoff
from tests.support.wire import Wire

START = 1_800_000_000.0
LIMITS = {"tokens": 40_000, "requests": 12, "parallel": 2, "money": 10**11}


class StillClock:
    """Seconds that pass when they are told to."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now


class Providers:
    """All providers: what was sent to them, and who waits for an answer."""

    def __init__(self) -> None:
        self.sent: list[Any] = []
        self.waiting: list[Ongoing] = []

    def send(self, request: Any, timeouts: Any, left: float | None, network: Any, receiver: Any) -> Ongoing:
        self.sent.append((request.method, request.url, request.headers, request.body, timeouts, left))
        loop = asyncio.get_running_loop()
        ongoing = Ongoing(receiver, request, None, timeouts, math.inf, loop)
        self.waiting.append(ongoing)
        return ongoing

    def stats(self) -> list[Any]:
        return []

    def answer(self, what: Callable[[Any], None], place: int = 0) -> None:
        """Let something happen to the request that has waited for longest, or to one after it."""
        ongoing = self.waiting.pop(place % len(self.waiting))
        receiver = ongoing.receiver
        if receiver is not None:
            what(ongoing)


class Clients(Connections):
    """All connections, in the order in which they were made."""

    def __init__(self) -> None:
        super().__init__(asyncio.get_running_loop())
        self.ever: list[Any] = []

    def add(self, connection: Any) -> None:
        super().add(connection)
        self.ever.append(connection)

    def __iter__(self) -> Iterator[Any]:
        return iter([each for each in self.ever if each in self._open])


class Book:
    """A journal that is full from its `full`-th record on, until it is not."""

    def __init__(self) -> None:
        self.records: list[Any] = []
        self.full = False

    def opened(self, record: Any) -> None:
        if self.full:
            raise JournalError("no space left")
        self.records.append(record)

    closed = ended = opened


class Gateway:
    """A worker without sockets, a keeper that answers when asked to, and a client."""

    def __init__(self, clock: StillClock, lanes: bool, luck: float, on_disconnect: str) -> None:
        self.clock, self.said, self.lines = clock, list[tuple[str, Any]](), list[bytes]()
        self.left = dict(LIMITS)
        self.silent = False
        self.principals = dict(PRINCIPALS)
        self.leases = Leases("w", lambda kind, said: self.said.append((kind, said)), clock, self._later)
        self.leases.connected()
        self.providers, self.book = Providers(), Book()
        self.keyring = Keyring(lambda digest, then: then(self.principals.get(digest), None))
        metrics = Metrics(key_labels=True)
        log = Log(cast(Any, self), self._later)
        self.shared = Shared(
            registry=default_registry(),
            environment={},
            upstream=cast(Any, self.providers),
            leases=self.leases,
            journal=self.book,
            keyring=self.keyring,
            made=MadeThings(lambda name, then: then(None, None)),
            observer=Observer(metrics, log),
            policies=(ModelAccess(), LimitPolicy(self.leases)),
        )
        self.lanes, self.luck, self.lost = lanes, luck, 0
        self.plane: Any = None
        self.service = Service(table(), self.keyring)
        self.use(msgspec.structs.replace(SNAPSHOT, settings=Settings(on_disconnect=on_disconnect)))
        self.connections = Clients()
        self.revoking = Revoking(self.connections, self.keyring)
        self.sockets: list[Wire] = []
        self.clients: dict[int, tuple[Wire, Connection]] = {}
        self.turn_to(0)

    def use(self, snapshot: Snapshot) -> None:
        """Calls that begin from now on go by this snapshot."""
        self.plane = self.service.plane = Plane(self.shared, snapshot, self.plane)
        self.plane.observer.apply(snapshot, ())
        self.plane._prefix = f"{snapshot.version:016d}"
        self.plane.clock = Clock(self.clock, self.clock)
        router = self.plane.router
        router.now = router.unix = self.clock
        router.random = lambda: self.luck
        router._backoff = Backoff(initial=0.0)
        if not self.lanes:
            self.plane.__dict__["lanes"] = None

    def _later(self, seconds: float, function: Callable[[], None]) -> Any:
        return asyncio.get_running_loop().call_later(3600, function)

    def write(self, lines: bytes) -> None:
        self.lines.append(lines)

    def connect(self) -> None:
        """A new client, in the place of the one whose turn it is."""
        self.socket = Wire()
        self.sockets.append(self.socket)
        self.connection = Connection(self.service, Limits(), self.connections)
        self.connection.connection_made(self.socket)
        self.clients[self.place] = self.socket, self.connection

    def turn_to(self, place: int) -> None:
        """It is this client's turn."""
        self.place = place
        if place in self.clients:
            self.socket, self.connection = self.clients[place]
        else:
            self.connect()

    def keep(self) -> None:
        """Send what was written, and answer what the worker asked of the keeper."""
        self.connections.outbox.send()
        while not self.silent and any(kind != "hello" for kind, _ in self.said):
            said, self.said = self.said, []
            for kind, each in said:
                if kind == "draw":
                    self._grant(each)
                elif kind == "more":
                    self._grant_more(each)
                elif kind in ("back", "recalled"):
                    self._left_of(each.name, each.units)
                elif kind == "charge":
                    self._left_of(each.name, -each.units)

    def _left_of(self, name: str, units: int) -> None:
        self.left[name.partition(":")[2]] += units

    def _grant_more(self, said: Any) -> None:
        kind = said.name.partition(":")[2]
        units = max(0, self.left[kind]) // 2
        self.left[kind] -= units
        until = self.leases._leases[said.name].until
        self.leases.granted(Grant(said.name, said.start, until, units, self.left[kind], False, False, True))

    def _grant(self, draw: Any) -> None:
        quota = draw.quota
        start = self.clock.now // quota.window * quota.window if quota.window else 0.0
        until = start + quota.window if quota.window else math.inf
        left = self.left[quota.kind] + draw.back
        if left < draw.least:
            self.left[quota.kind] = left
            self.leases.refused(Refusal(quota.name, start, until, left, draw.least, 7.0))
            return
        units = min(left, max(draw.wanted, left // 2))
        self.left[quota.kind] = left - units
        self.leases.granted(Grant(quota.name, start, until, units, left - units, False, units < draw.wanted))

    def remains(self) -> dict[str, Any]:
        """All that is left of what happened."""
        self.plane.observer.log.flush()
        rows = self.plane.observer.metrics.report(full=True)
        leases = {name: (each.held, each.share, each.until) for name, each in self.leases._leases.items()}
        return _without_ids(
            {
                "clients": [each.written.decode("latin-1") for each in self.sockets],
                "over": [each.closed for each in self.sockets],
                "sent": self.providers.sent,
                "records": [msgspec.to_builtins(each) for each in self.book.records],
                "leases": leases,
                "left": self.left,
                "said": [(kind, msgspec.to_builtins(each)) for kind, each in self.said],
                "metrics": msgspec.to_builtins(rows),
                "log": [json.loads(line) for line in b"".join(self.lines).splitlines()],
                "healths": {name: msgspec.to_builtins(each) for name, each in self.plane.router.table.healths.items()},
                "made": dict(self.plane.shared.made._known),
            }
        )


def _without_ids(found: dict[str, Any]) -> dict[str, Any]:
    """The ids of calls by the order in which they turn up: which number a call gets is nobody's business."""
    names: dict[str, str] = {}

    def named(match: re.Match[str]) -> str:
        return names.setdefault(match[0], f"call {len(names)}")

    return {name: re.sub(r"0{15}[0-9][0-9a-f]{16}", named, repr(value)) for name, value in found.items()}


# -- what there is ----------------------------------------------------------------------------------------------------


def _quotas(name: str, *kinds: str) -> tuple[Quota, ...]:
    windows = {"requests": 60.0, "tokens": 60.0}
    return tuple(
        Quota(name=f"{name}:{kind}", kind=cast(Any, kind), limit=LIMITS[kind], window=windows.get(kind, 0.0))
        for kind in kinds
    )


def _principal(key: str, **more: Any) -> Principal:
    return Principal(id=key_digest(key), label="sk-...", **more)


PRINCIPALS = {
    each.id: each
    for each in (
        _principal("sk-free", alias="free"),
        _principal("sk-all", quotas=_quotas("all", "requests", "tokens", "parallel", "money")),
        _principal("sk-money", quotas=_quotas("money", "money")),
        _principal("sk-some", models=("one", "two*"), aliases={"uno": "one"}),
        _principal("sk-tags", tags=("blue",)),
        _principal("sk-master", role="master"),
    )
}
KEYS = ("sk-free", "sk-all", "sk-money", "sk-some", "sk-tags", "sk-master")


def _deployment(group: str, id: str, model: str, **more: Any) -> Deployment:
    fields = {name: more.pop(name) for name in ("order", "weight", "rpm") if name in more}
    arguments = {"model": model, "api_key": "sk-x", "api_base": f"http://127.0.0.1:1/{id}", **more}
    return Deployment(group=group, id=id, arguments=arguments, **fields)


SNAPSHOT = Snapshot(
    version=1,
    aliases={"alias": "one"},
    routing=RoutingSettings(retries=1, fallbacks={"one": ("other",), "two": ("one",)}, cooldown=5.0),
    deployments=(
        _deployment("one", "d1", "openai/gpt-4o-mini"),
        _deployment("two", "d2a", "openai/gpt-4o-mini"),
        _deployment("two", "d2b", "openai/gpt-4o", timeout=9),
        _deployment("mixed", "m1", "openai/gpt-4o-mini"),
        _deployment("mixed", "m2", "openai/nobody-knows-this"),
        _deployment("mixed", "m3", "anthropic/claude-sonnet-4-5"),
        _deployment("other", "d3", "anthropic/claude-sonnet-4-5"),
        _deployment("unknown", "d4", "openai/nobody-knows-this"),
        _deployment("priced", "d5", "openai/x", input_cost_per_token=1e-6, output_cost_per_token=2e-6),
        _deployment("with-defaults", "d6", "openai/gpt-4o-mini", temperature=0.5),
        _deployment("openai/*", "d7", "openai/*"),
        _deployment("gone", "d8", "demo"),
        _deployment("limited", "d9", "openai/gpt-4o-mini", rpm=2),
    ),
    settings=Settings(),
)
SNAPSHOTS: dict[str, Any] = {
    "the same": {},
    "impatient": {"routing": RoutingSettings(timeout=5.0, retries=0)},
    "fewer": {"deployments": tuple(each for each in SNAPSHOT.deployments if each.id not in ("d1", "d2a"))},
    "dearer": {"deployments": (_deployment("one", "d1", "openai/gpt-4o"), *SNAPSHOT.deployments[1:])},
    "in a line": {"routing": RoutingSettings(queue_size=5, queue_seconds=2.0)},
    "with rules": {"routing": RoutingSettings(rules=({"model": "ruled", "to": "other"},))},
    "busiest": {"routing": RoutingSettings(strategy="least-busy")},
}
NAMES = ("one", "two", "other", "unknown", "priced", "with-defaults", "openai/gpt-4o", "gpt-4o", "gone", "alias", "uno")
MORE_NAMES = ("mixed", "limited", "nobody", "d1", "")


def _nested(depth: int) -> list[Any]:
    found: list[Any] = []
    for _ in range(depth):
        found = [found]
    return found


MEMBERS: tuple[dict[str, Any], ...] = (
    {},
    {"max_tokens": 50},
    {"max_completion_tokens": 50, "n": 3},
    {"stream": False, "temperature": 0.1},
    {"stream": True},
    {"user": "somebody"},
    {"metadata": {"a": "b"}},
    {"max_tokens": 10**7},
    {"max_tokens": "many"},
    {"tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]},
    {"reasoning_effort": "low"},
    {"timeout": 3},
    {"tags": ["blue"]},
    {"mock_response": "no"},
    {"prompt_cache_key": "k"},
    {"max_tokens": 50, "pad": "word " * 4000, "deep": _nested(600)},
)
HEADS = (
    "",
    "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n",
    "x-penstock-tags: blue\r\n",
    "anthropic-beta: x\r\n",
)
ANSWER: dict[str, Any] = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "gpt-4o-mini-2024-07-18",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "hello"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 50, "completion_tokens": 40, "total_tokens": 90},
}
CHAT, MESSAGES, RESPONSES = "/v1/chat/completions", "/v1/messages", "/v1/responses"
JSON = [(b"content-type", b"application/json")]


def answer(status: int = 200, pieces: int = 1, headers: Any = (), **changes: Any) -> Callable[[Any], None]:
    body = json.dumps({name: each for name, each in {**ANSWER, **changes}.items() if each is not None}).encode()
    return raw(status, body, pieces, headers)


def raw(status: int, body: bytes, pieces: int = 1, headers: Any = ()) -> Callable[[Any], None]:
    size = max(1, -(-len(body) // pieces))

    def happens(ongoing: Any) -> None:
        # As a connection does: who takes over in the middle hears the rest.
        ongoing.receiver.head(status, [*JSON, *headers])
        for at in range(0, len(body), size):
            if ongoing.receiver is not None:
                ongoing.receiver.data(body[at : at + size])
        receiver, ongoing.receiver = ongoing.receiver, None
        if receiver is not None:
            receiver.end()

    return happens


def breaks(*why: Any, body: bytes = b"") -> Callable[[Any], None]:
    def happens(ongoing: Any) -> None:
        if body:
            ongoing.receiver.head(200, JSON)
            ongoing.receiver.data(body)
        ongoing.fail(Broken(*why))

    return happens


def error(status: int, message: str, headers: Any = (), **more: Any) -> Callable[[Any], None]:
    return raw(status, json.dumps({"error": {"message": message, **more}}).encode(), headers=headers)


def claude(**changes: Any) -> Callable[[Any], None]:
    content = [{"type": "text", "text": "hello"}]
    usage = {"input_tokens": 5, "output_tokens": 7}
    said = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5", "content": content}
    return raw(200, json.dumps({**said, "stop_reason": "end_turn", "usage": usage, **changes}).encode())


CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
HAPPENS: dict[str, Callable[[Any], None]] = {
    "answer": answer(),
    "in pieces": answer(pieces=7),
    "in many pieces": answer(pieces=90),
    "created": answer(status=201),
    "other name": answer(model="something-else"),
    "own name": answer(model="one"),
    "no name": answer(model=None, id=None),
    "no usage": answer(usage=None),
    "cached": answer(usage={**ANSWER["usage"], "prompt_tokens_details": {"cached_tokens": 10}}),
    "sound": answer(usage={**ANSWER["usage"], "prompt_tokens_details": {"audio_tokens": 10}}),
    "thoughts apart": answer(usage={"prompt_tokens": 5, "completion_tokens": 4, "total_tokens": 20}),
    "counts of JavaScript": answer(usage={"prompt_tokens": 5.0, "completion_tokens": 4.0, "total_tokens": 9.0}),
    "parts of tokens": answer(usage={"prompt_tokens": 5.5, "completion_tokens": 4, "total_tokens": 9.5}),
    "too much": answer(usage={"prompt_tokens": 50_000, "completion_tokens": 4_000, "total_tokens": 54_000}),
    "counts of fractions": answer(usage={"prompt_tokens": 5.0, "completion_tokens": 4, "total_tokens": 9}),
    "no character": answer(id="\ud800", model="\ud800"),
    "counts too large": answer(usage={"prompt_tokens": 10**30, "completion_tokens": 4, "total_tokens": 10**30 + 4}),
    "deep": raw(200, b'{"a":' + b"[" * 5000 + b"]" * 5000 + b"}"),
    "tier": answer(service_tier="flex"),
    "default tier": answer(service_tier="default"),
    "tools": answer(choices=[{"index": 0, "message": {"tool_calls": [CALL]}, "finish_reason": "tool_calls"}]),
    "no choice": answer(choices=[]),
    "no JSON": raw(200, b"<html>busy</html>"),
    "nothing": raw(200, b""),
    "error in 200": error(200, "busy", type="server_error"),
    "moved": raw(302, b"", headers=[(b"location", b"http://127.0.0.2/")]),
    "bad": error(400, "no", type="invalid_request_error"),
    "context": error(400, "too long", code="context_length_exceeded"),
    "policy": error(400, "no", code="content_policy_violation"),
    "key": error(401, "no key"),
    "busy": error(429, "later", headers=[(b"retry-after", b"0")]),
    "server": error(500, "oh"),
    "overloaded": raw(503, b"upstream connect error"),
    "refuses": breaks("connect", "refused", False),
    "resets": breaks("read", "reset"),
    "in the body": breaks("read", "reset", body=b'{"id":'),
    "late": breaks("timeout", "the answer did not come"),
    "no HTTP": breaks("protocol", "bad"),
    "message": claude(),
    "cached message": claude(usage={"input_tokens": 5, "output_tokens": 7, "cache_creation_input_tokens": 9}),
    "message of a tool": claude(content=[{"type": "tool_use", "id": "t", "name": "f", "input": {}}]),
    "fractions of a message": claude(usage={"input_tokens": 5.0, "output_tokens": 7}),
    "message with counts of JavaScript": claude(usage={"input_tokens": 5.0, "output_tokens": 7.0}),
    "cut message": claude(stop_reason="max_tokens", stop_sequence=None),
    "with a remark": answer(x_groq={"id": "1"}, moderation=[{"deep": [1]}]),
    "with logprobs": answer(choices=[{**ANSWER["choices"][0], "logprobs": {"content": []}}]),
    "several": answer(choices=[ANSWER["choices"][0], {**ANSWER["choices"][0], "index": 1}]),
}
CHANGES: dict[str, dict[str, Any] | None] = {
    "gone": None,
    "blocked": {"blocked": True},
    "again": {"blocked": False, "models": ()},
    "other models": {"models": ("two",)},
    "no quotas": {"quotas": ()},
    "a budget": {"quotas": _quotas("all", "money")},
}
REVOKED = ErrorResponse(kind="authentication", status=401, message="this key was revoked")


# -- the script -------------------------------------------------------------------------------------------------------


def request_of(name: str, members: dict[str, Any], key: str, head: str, path: str = CHAT) -> bytes:
    messages = [{"role": "user", "content": "hello " * 30}]
    body = json.dumps({**({"model": name} if name else {}), "messages": messages, **members}).encode()
    lines = f"host: h\r\ncontent-type: application/json\r\nauthorization: Bearer {key}\r\n{head}"
    return f"POST {path} HTTP/1.1\r\n{lines}content-length: {len(body)}\r\n\r\n".encode() + body


Step = tuple[Any, ...]


def play(script: list[Step], gateway: Gateway, clock: StillClock) -> None:
    for step in script:
        kind, *rest = step
        if kind in ("ask", "ask twice"):
            if gateway.connection.current is not None or gateway.socket.closed:
                continue
            gateway.connection.data_received(request_of(*rest) * (1 if kind == "ask" else 2))
        elif kind == "happens":
            if gateway.providers.waiting:
                gateway.providers.answer(HAPPENS[rest[0]], *rest[1:])
        elif kind == "passes":
            clock.now += rest[0]
        elif kind == "turn":
            gateway.turn_to(rest[0])
        elif kind == "leaves":
            gateway.connection.connection_lost(None)
            gateway.connect()
        elif kind == "revoked":
            current = gateway.connection.current
            if current is not None and current.answering is not None:
                current.answering.cut(REVOKED)
        elif kind == "full":
            gateway.book.full = rest[0]
        else:
            happens_to_the_worker(gateway, kind, *rest)
        gateway.keep()


def happens_to_the_worker(gateway: Gateway, kind: str, *rest: Any) -> None:
    """What comes from the keeper, or from an operator."""
    leases = gateway.leases
    if kind == "snapshot":
        version, settings = gateway.plane.snapshot.version + 1, gateway.plane.snapshot.settings
        gateway.use(msgspec.structs.replace(SNAPSHOT, version=version, settings=settings, **SNAPSHOTS[rest[0]]))
    elif kind == "key":
        digest, changes = key_digest(rest[0]), CHANGES[rest[1]]
        found = gateway.principals.pop(digest, PRINCIPALS[digest])
        if changes is not None:
            gateway.principals[digest] = msgspec.structs.replace(found, **changes)
        gateway.keyring.forget([digest])
        gateway.revoking.check(frozenset([digest]))
    elif kind == "recalled":
        for name in [name for name in leases._leases if name.endswith(rest[0])]:
            leases.recall(Name(name))
    elif kind == "silent":
        gateway.silent = rest[0]
    elif kind == "patience":
        for lease in leases._leases.values():
            if lease.waiting:
                leases._give_up(lease)
    elif kind == "drains":
        gateway.connections.drain()


def remains_of(script: list[Step], lanes: bool, luck: float = 0.25, on_disconnect: str = "abort") -> dict[str, Any]:
    clock = StillClock()

    async def run() -> dict[str, Any]:
        patch = pytest.MonkeyPatch()
        for name in ("time", "perf_counter", "monotonic"):
            patch.setattr(time, name, clock)
        try:
            gateway = Gateway(clock, lanes, luck, on_disconnect)
            play(script, gateway, clock)
            return gateway.remains()
        finally:
            patch.undo()

    return asyncio.run(run())


asks = st.tuples(
    st.just("ask"),
    st.one_of(st.sampled_from(("one", "two", "priced")), st.sampled_from(NAMES), st.sampled_from(MORE_NAMES)),
    st.one_of(st.sampled_from(MEMBERS[:4]), st.sampled_from(MEMBERS)),
    st.one_of(st.just("sk-all"), st.sampled_from(KEYS)),
    st.one_of(st.just(""), st.just(""), st.sampled_from(HEADS)),
    st.sampled_from((CHAT, CHAT, MESSAGES, RESPONSES)),
)
steps = st.one_of(
    asks,
    asks,
    st.tuples(st.just("happens"), st.just("answer")),
    st.tuples(st.just("happens"), st.sampled_from(sorted(HAPPENS))),
    st.tuples(st.just("happens"), st.sampled_from(sorted(HAPPENS))),
    st.tuples(st.just("passes"), st.sampled_from((0.01, 0.3, 6.0, 61.0, 601.0))),
    st.tuples(st.just("leaves")),
    st.tuples(st.just("revoked")),
    st.tuples(st.just("full"), st.booleans()),
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(steps, min_size=1, max_size=14), st.sampled_from((0.25, 0.75)), st.sampled_from(("abort", "drain")))
@example([("ask", "one", {}, "sk-all", ""), ("happens", "answer")], 0.25, "abort")
@example([("ask", "two", {}, "sk-all", ""), ("happens", "answer")], 0.75, "abort")
def test_both_ways_leave_the_same(script: list[Step], luck: float, on_disconnect: str) -> None:
    straight_way = remains_of(script, True, luck, on_disconnect)
    long_way = remains_of(script, False, luck, on_disconnect)
    for name, remains in long_way.items():
        assert straight_way[name] == remains, name


others = st.one_of(
    st.tuples(st.just("turn"), st.sampled_from((0, 1, 2))),
    st.tuples(st.just("turn"), st.sampled_from((0, 1, 2))),
    st.tuples(st.just("happens"), st.sampled_from(sorted(HAPPENS)), st.sampled_from((0, 1, 2))),
    asks.map(lambda step: ("ask twice", *step[1:])),
    st.tuples(st.just("snapshot"), st.sampled_from(sorted(SNAPSHOTS))),
    st.tuples(st.just("key"), st.sampled_from(KEYS), st.sampled_from(sorted(CHANGES))),
    st.tuples(st.just("recalled"), st.sampled_from(sorted(LIMITS))),
    st.tuples(st.just("silent"), st.booleans()),
    st.tuples(st.just("patience")),
    st.tuples(st.just("drains")),
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.one_of(steps, others), min_size=2, max_size=24), st.sampled_from((0.25, 0.75)))
def test_both_ways_leave_the_same_among_others(script: list[Step], luck: float) -> None:
    """Several clients, requests that come together, new snapshots, keys that change, a keeper that wants units back."""
    straight_way, long_way = remains_of(script, True, luck), remains_of(script, False, luck)
    for name, remains in long_way.items():
        assert straight_way[name] == remains, name


ASKED: Step = ("ask", "one", {"max_tokens": 50}, "sk-all", "", CHAT)
LONG: Step = ("ask", "one", {"max_tokens": 50, "tags": []}, "sk-all", "", CHAT)
ANSWERED: Step = ("happens", "answer")
STRANGE: Step = ("happens", "tier")
BEGUN: list[Step] = [ASKED, ANSWERED]
IN_BETWEEN: dict[str, list[Step]] = {
    "nothing": [],
    "the minute ends": [("passes", 61.0)],
    "the minute ends, and another has begun": [("passes", 61.0), ("turn", 1), LONG, ANSWERED, ("turn", 0)],
    "the minute ends before the call does": [ASKED, ("passes", 61.0), ANSWERED],
    "the minute ends before a call that is taken over does": [ASKED, ("passes", 61.0), STRANGE],
    "another minute has begun before the call ends": [
        ASKED,
        ("passes", 61.0),
        ("turn", 1),
        LONG,
        ("happens", "answer", 1),
        ("turn", 0),
        ANSWERED,
    ],
    "requests are recalled": [("recalled", "requests")],
    "tokens are recalled": [("recalled", "tokens")],
    "money is recalled": [("recalled", "money")],
    "money is recalled during the call": [ASKED, ("recalled", "money"), ANSWERED],
    "tokens are recalled during a call that is taken over": [ASKED, ("recalled", "tokens"), STRANGE],
    "the keeper is silent": [("silent", True), ("recalled", "money")],
    "nobody answers in time": [("silent", True), ("recalled", "money"), ASKED, ("patience",), ("silent", False)],
    "all that may be at once are": [("turn", 1), ASKED, ("turn", 2), ASKED, ("turn", 0), ASKED, ANSWERED, ANSWERED],
    "the minute's requests are spent": [ASKED, ANSWERED] * 12,
    "the minute's tokens are spent": [ASKED, ("happens", "too much")],
    "the key has a budget only": [("key", "sk-all", "a budget")],
    "the key has no limits": [("key", "sk-all", "no quotas")],
    "the key loses its limits during the call": [ASKED, ("key", "sk-all", "no quotas"), ANSWERED],
    "the key may use other models": [("key", "sk-all", "other models")],
    "the key is blocked": [("key", "sk-all", "blocked")],
    "the key is blocked during the call": [ASKED, ("key", "sk-all", "blocked"), ANSWERED],
    "the key is deleted during the call": [ASKED, ("key", "sk-all", "gone"), ANSWERED],
    "the client leaves": [ASKED, ("leaves",), ANSWERED],
    "the worker drains": [ASKED, ("drains",), ANSWERED],
    "two requests come together": [("ask twice", *ASKED[1:]), ANSWERED, ANSWERED],
    "two come, and the client leaves": [("ask twice", *ASKED[1:]), ANSWERED, ("leaves",), ANSWERED],
    "the journal is full": [("full", True), ASKED, ("full", False)],
    "the journal is full when the answer comes": [ASKED, ("full", True), ANSWERED, ("full", False)],
    **{f"a snapshot: {name}": [("snapshot", name)] for name in SNAPSHOTS},
    **{f"a snapshot during the call: {name}": [ASKED, ("snapshot", name), ANSWERED] for name in SNAPSHOTS},
    **{
        f"a snapshot during a call that fails: {name}": [
            ASKED,
            ("snapshot", name),
            ("happens", "server"),
            ANSWERED,
        ]
        for name in SNAPSHOTS
    },
}


@pytest.mark.parametrize("between", IN_BETWEEN)
@pytest.mark.parametrize("on_disconnect", ["abort", "drain"])
def test_what_happens_between_two_calls_leaves_the_same(between: str, on_disconnect: str) -> None:
    script = [*BEGUN, *BEGUN, *IN_BETWEEN[between], *BEGUN, *BEGUN]
    straight_way = remains_of(script, lanes=True, on_disconnect=on_disconnect)
    long_way = remains_of(script, lanes=False, on_disconnect=on_disconnect)
    for name, remains in long_way.items():
        assert straight_way[name] == remains, name


@pytest.mark.parametrize("happens", sorted(HAPPENS))
@pytest.mark.parametrize("key", ["sk-free", "sk-all"])
@pytest.mark.parametrize(("path", "name"), [(CHAT, "one"), (MESSAGES, "one"), (CHAT, "other"), (RESPONSES, "one")])
def test_each_thing_that_may_happen_leaves_the_same(happens: str, key: str, path: str, name: str) -> None:
    asked: Step = ("ask", name, {"max_tokens": 50}, key, "", path)
    script: list[Step] = [asked, ("happens", "answer"), asked, ("passes", 0.2), ("happens", happens)]
    script += [("happens", "answer"), ("happens", "answer")]
    straight_way, long_way = remains_of(script, lanes=True), remains_of(script, lanes=False)
    for name, remains in long_way.items():
        assert straight_way[name] == remains, name


@pytest.mark.parametrize("members", range(len(MEMBERS)))
@pytest.mark.parametrize("key", ["sk-free", "sk-all"])
@pytest.mark.parametrize("path", [CHAT, MESSAGES])
def test_each_thing_that_may_be_asked_leaves_the_same(members: int, key: str, path: str) -> None:
    asked: Step = ("ask", "one", {"max_tokens": 50}, key, "", path)
    script: list[Step] = [asked, ("happens", "answer"), (*asked[:2], MEMBERS[members], *asked[3:])]
    script += [("passes", 0.2), ("happens", "answer"), asked, ("happens", "answer")]
    straight_way, long_way = remains_of(script, lanes=True), remains_of(script, lanes=False)
    for name, remains in long_way.items():
        assert straight_way[name] == remains, name


@pytest.mark.parametrize("late", [("happens", each) for each in sorted(HAPPENS)] + [("leaves",), ("revoked",)])
@pytest.mark.parametrize("name", ["one", "other"])
def test_what_happens_when_the_time_of_the_call_is_over_leaves_the_same(late: Step, name: str) -> None:
    asked: Step = ("ask", name, {"max_tokens": 50}, "sk-all", "", CHAT)
    answered: Step = ("happens", "message" if name == "other" else "answer")
    script: list[Step] = [asked, answered, asked, ("passes", 601.0), late, answered, asked, answered]
    straight_way, long_way = remains_of(script, lanes=True), remains_of(script, lanes=False)
    for name, remains in long_way.items():
        assert straight_way[name] == remains, name


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether each call that tried to go the straight way went it."""
    found: list[bool] = []
    begin = straight.StraightCall.begin

    def told(self: straight.StraightCall) -> bool:
        found.append(begin(self))
        return found[-1]

    monkeypatch.setattr(straight.StraightCall, "begin", told)
    return found


@pytest.mark.parametrize("name", ["one", "two", "priced", "alias", "openai/gpt-4o", "other", "with-defaults"])
@pytest.mark.parametrize("key", ["sk-free", "sk-master", "sk-all", "sk-money"])
@pytest.mark.parametrize("path", [CHAT, MESSAGES])
def test_usual_calls_go_the_straight_way(taken: list[bool], name: str, key: str, path: str) -> None:
    asked: Step = ("ask", name, {"max_tokens": 50}, key, "", path)
    answered: Step = ("happens", "message" if name == "other" else "answer")
    remains_of([asked, answered, asked, answered], lanes=True)
    assert taken[-1:] == [True]


@pytest.mark.parametrize(
    ("name", "members", "head", "path"),
    [
        ("one", {}, HEADS[1], CHAT),
        ("one", {"stream": True}, "", CHAT),
        ("one", {"user": "somebody"}, "", CHAT),
        ("one", {"timeout": 3}, "", CHAT),
        ("unknown", {}, "", CHAT),
        ("gone", {}, "", CHAT),
        ("one", {"max_tokens": 5, "tools": []}, "", MESSAGES),
    ],
)
def test_others_do_not(taken: list[bool], name: str, members: dict[str, Any], head: str, path: str) -> None:
    remains_of([("ask", name, members, "sk-free", head, path), ("happens", "answer")], lanes=True)
    assert taken == []


@pytest.mark.parametrize("method", ["generateContent", "streamGenerateContent"])
@pytest.mark.parametrize("lanes", [True, False])
def test_where_the_path_names_the_model_the_body_does_not(taken: list[bool], method: str, lanes: bool) -> None:
    path = f"/v1beta/models/two:{method}"
    found = remains_of([("ask", "one", {"contents": []}, "sk-free", "", path), ("happens", "answer")], lanes=lanes)
    assert taken == []
    assert "/d2a" in found["sent"] or "/d2b" in found["sent"]


def test_what_a_snapshot_leaves_behind_is_freed_at_once() -> None:
    async def run() -> None:
        gateway = Gateway(StillClock(), True, 0.25, "abort")
        script: list[Step] = [("ask", "one", {}, "sk-free", ""), ("happens", "answer")]
        play([*script, *script], gateway, cast(Any, gateway.clock))
        before = weakref.ref(gateway.plane)
        assert gateway.plane.lanes is not None
        gc.disable()
        try:
            gateway.plane = gateway.service.plane = Plane(gateway.plane.shared, SNAPSHOT, gateway.plane)
            assert before() is None
        finally:
            gc.enable()

    asyncio.run(run())


def streams(*, whole: bool) -> Callable[[Any], None]:
    """The beginning of a stream, or all of it."""

    def frame(delta: dict[str, Any], reason: str | None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        said = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
        return b"data: " + json.dumps(said, separators=(",", ":")).encode() + b"\n\n"

    def happens(ongoing: Any) -> None:
        ongoing.receiver.head(200, [(b"content-type", b"text/event-stream")])
        for piece in (frame({"content": "hello"}, None), frame({"content": " you"}, None)):
            ongoing.receiver.data(piece)
        if whole:
            ongoing.receiver.data(frame({}, "stop") + b"data: [DONE]\n\n")
            receiver, ongoing.receiver = ongoing.receiver, None
            receiver.end()

    return happens


@pytest.mark.parametrize("path", [CHAT, MESSAGES])
@pytest.mark.parametrize("end", ["whole", "broken", "leaves", "revoked"])
def test_a_stream_is_freed_when_it_is_over(end: str, path: str) -> None:
    """At once, with its request's body, and not when the collector comes: that may be thousands of streams later."""

    async def run() -> None:
        gateway = Gateway(StillClock(), True, 0.25, "abort")
        asked = request_of("one", {"stream": True, "max_tokens": 5}, "sk-free", "", path)
        gateway.connection.data_received(asked)
        left = weakref.ref(gateway.connection.current)
        (ongoing,) = gateway.providers.waiting
        gateway.providers.answer(streams(whole=end == "whole"))
        assert (gateway.connection.current is None) == (end == "whole")
        if end == "broken":
            ongoing.fail(Broken("read", "reset"))
        elif end == "leaves":
            play([("leaves",)], gateway, gateway.clock)
        elif end == "revoked":
            play([("revoked",)], gateway, gateway.clock)
        gateway.keep()
        del ongoing
        assert left() is None

    gc.disable()
    try:
        asyncio.run(run())
    finally:
        gc.enable()


def test_names_that_clients_make_up_are_not_kept_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes, "MOST_GROUPS", 20)

    async def run() -> None:
        gateway = Gateway(StillClock(), True, 0.25, "abort")
        for number in range(100):
            name = f"openai/{number}" if number % 2 else f"openai/{number}{'x' * LONGEST_NAME}"
            play([("ask", name, {}, "sk-free", ""), ("happens", "answer")], gateway, cast(Any, gateway.clock))
        assert len(gateway.providers.sent) == 100
        kept = gateway.plane.lanes
        assert kept is not None
        assert 0 < len(kept._lanes) <= 20
        assert 0 < len(kept._ways) <= 20
        assert max(len(raw) for _, _, raw in kept._lanes) <= LONGEST_NAME

    asyncio.run(run())


@pytest.mark.parametrize(
    ("name", "members", "key", "drawn"),
    [
        ("mixed", {}, "sk-free", ("m1", "m2", "m3")),
        ("mixed", {"max_tokens": 5, "tools": []}, "sk-free", ("m1", "m2", "m3")),
        ("mixed", {"max_tokens": 5, "reasoning_effort": "low"}, "sk-free", ("m1", "m2", "m3")),
        ("two", {}, "sk-all", ("d2a", "d2b")),
    ],
)
def test_a_call_that_cannot_go_straight_goes_where_it_was_drawn(
    name: str, members: dict[str, Any], key: str, drawn: tuple[str, ...]
) -> None:
    """To draw again would give the share of a deployment that needs the long way to those that do not."""

    async def asked(place: int) -> str:
        gateway = Gateway(StillClock(), True, (place + 0.5) / len(drawn), "abort")
        chances = iter([(place + 0.5) / len(drawn)])
        gateway.plane.router.random = lambda: next(chances)
        gateway.connection.data_received(request_of(name, members, key, ""))
        gateway.keep()
        return str(gateway.providers.sent[0][1])

    for place, id in enumerate(drawn):
        assert f"/{id}/" in asyncio.run(asked(place))


@pytest.mark.parametrize("fails", ["_read", "_closed"])
@pytest.mark.parametrize(("path", "name"), [(CHAT, "one"), (MESSAGES, "one"), (CHAT, "other")])
def test_a_fault_of_the_straight_way_is_left_to_the_long_way(
    monkeypatch: pytest.MonkeyPatch, fails: str, path: str, name: str
) -> None:
    """Nobody waits for ever for an answer that the straight way could not give."""

    def fail(*arguments: Any) -> None:
        raise ValueError("a fault")

    for kind in (straight.StraightRelay, StraightTranslation):
        monkeypatch.setattr(kind, fails, fail)
    asked: Step = ("ask", name, {"max_tokens": 50}, "sk-all", "", path)
    answered: Step = ("happens", "message" if name == "other" else "answer")
    script = [asked, answered, asked, answered]
    straight_way, long_way = remains_of(script, lanes=True), remains_of(script, lanes=False)
    for name, remains in long_way.items():
        assert straight_way[name] == remains, name


@pytest.mark.parametrize("happens", ["parts of tokens", "counts of JavaScript", "counts too large"])
@pytest.mark.parametrize("path", [CHAT, MESSAGES])
@pytest.mark.parametrize("lanes", [True, False])
def test_odd_counts_are_no_reason_to_keep_an_answer_from_its_client(happens: str, path: str, lanes: bool) -> None:
    asked: Step = ("ask", "one", {"max_tokens": 50}, "sk-all", "", path)
    found = remains_of([asked, ("happens", "answer"), asked, ("happens", happens)], lanes=lanes)
    assert found["clients"].count("HTTP/1.1 200 OK") == 2


@pytest.mark.parametrize("lanes", [True, False])
def test_names_that_nobody_would_give_a_model_are_not_kept(lanes: bool) -> None:
    async def run() -> None:
        gateway = Gateway(StillClock(), lanes, 0.25, "abort")
        asked: Step = ("ask", "openai/" + "n" * 100_000, {}, "sk-free", "")
        play([asked, ("happens", "answer")] * 3, gateway, cast(Any, gateway.clock))
        assert len(gateway.providers.sent) == 3
        plane = gateway.plane
        kept = (plane.router._members, plane.targets._known, plane._place_lines, plane.lanes and plane.lanes._lanes)
        assert "nnn" not in repr([list(each or ()) for each in kept])

    asyncio.run(run())
