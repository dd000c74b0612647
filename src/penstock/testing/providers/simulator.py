"""`SimulatedProviders`: the public face. Starts the server, holds the script, records what came.

    with SimulatedProviders() as provider:
        provider.script(Reply.error(429, retry_after=1), Reply.text("Hello"))
        client = openai.OpenAI(base_url=provider.url("openai_chat"), api_key="fake-key")
        ...
        assert provider.requests[-1].json["model"] == "gpt-4o"

Which reply a request gets: first the queue that is bound to its operation, then (if a model answers there) the common
queue, then the function given to `answer_with`, then the default answer. A request that the provider would refuse is
refused, with its native error, before a reply is taken.
"""

import threading
from collections import deque
from collections.abc import Callable, Mapping
from types import TracebackType

from penstock.testing.providers.delivery import Exchange, Step, Stream, deliver_body, deliver_stream, retry_after
from penstock.testing.providers.http import Head
from penstock.testing.providers.registry import DIALECTS, MOUNTS, OPERATIONS, Match, resolve_path
from penstock.testing.providers.script import ErrorEvent, ProviderError, Reply, ScriptError
from penstock.testing.providers.server import Plan, ServerThread
from penstock.testing.providers.state import World
from penstock.testing.providers.turns import default_reply, resolve
from penstock.testing.providers.wire import Ask, Body, Call, Headers, Operation, ReceivedRequest


class SimulatedProviders:
    """One HTTP server on this machine that speaks as every model provider at once.

    - `keys`: the API keys that are let in; None lets any key in, but never none at all.
    - `models`: the models that exist; None means every name does.
    - `aws_secrets`: access key id -> secret; given, every AWS signature is recomputed and compared.
    - `strict`: refuse what the provider would refuse. False answers anything that reaches an endpoint.
    - `any_signature`: let thinking signatures in that this server did not give out.

    Use it as a context manager, or call `start` and `close`. It lives in its own thread, so synchronous and
    asynchronous tests use it alike.
    """

    def __init__(
        self,
        *,
        keys: Mapping[str, str] | set[str] | frozenset[str] | list[str] | None = None,
        models: set[str] | frozenset[str] | list[str] | None = None,
        aws_secrets: Mapping[str, str] | None = None,
        strict: bool = True,
        any_signature: bool = False,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self.requests: list[ReceivedRequest] = []
        self._world = World(
            keys=None if keys is None else frozenset(keys),
            models=None if models is None else frozenset(models),
            aws_secrets=aws_secrets,
            any_signature=any_signature,
        )
        self._strict = strict
        self._queue: deque[Reply] = deque()
        self._bound: dict[str, deque[Reply]] = {}
        self._function: Callable[[ReceivedRequest], Reply | None] | None = None
        self._failures: list[ScriptError] = []
        self._kept: int | None = None
        self._number = 0
        self._changed = threading.Condition()
        self._host = host
        self._server = ServerThread(self._respond, host, port)

    # -- life

    def start(self) -> "SimulatedProviders":
        """Listen. OSError if the port is taken."""
        self._server.start()
        return self

    def close(self) -> None:
        """Stop listening, end every connection, and raise the ScriptError of a reply that could not be written."""
        self._server.stop()
        if self._failures:
            raise self._failures[0]

    def __enter__(self) -> "SimulatedProviders":
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.stop()
        if kind is None and self._failures:
            raise self._failures[0]

    # -- addresses

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return self._server.port

    @property
    def origin(self) -> str:
        """Scheme, host and port; every provider's paths also work right under it."""
        return f"http://{self._host}:{self.port}"

    def url(self, name: str) -> str:
        """The base URL of a dialect ("openai_chat", "gemini", ...) or provider ("groq", "voyage", ...).

        It has the form in which that provider's official client takes it: OpenAI's ends in /v1, Anthropic's does not.
        Gemini's paths also work right under it, without a version. KeyError names what there is.
        """
        mount = {mount.name: mount for mount in MOUNTS}.get(DIALECTS.get(name, name))
        if mount is None:
            known = sorted([*DIALECTS, *(mount.name for mount in MOUNTS)])
            raise KeyError(f"no simulated provider is called {name!r}; there are: {', '.join(known)}")
        return self.origin + mount.base

    # -- the script

    def script(self, *replies: Reply, on: str | None = None) -> None:
        """Queue replies: for the next requests that a model answers, or (`on`) for one operation, such as
        "anthropic_messages" or "openai_files"."""
        if on is not None and on not in OPERATIONS:
            raise ScriptError(f"there is no operation {on!r}; there are: {', '.join(sorted(OPERATIONS))}")
        with self._changed:
            (self._queue if on is None else self._bound.setdefault(on, deque())).extend(replies)

    def answer_with(self, function: Callable[[ReceivedRequest], Reply | None] | None) -> None:
        """Ask this function for the reply when no queue has one; None from it means the default answer."""
        self._function = function

    def clear(self) -> None:
        """Forget what is scripted and what was recorded; uploads and stored responses stay."""
        with self._changed:
            self._queue.clear()
            self._bound.clear()
            self._function = None
            self.requests.clear()

    @property
    def pending(self) -> int:
        """How many queued replies no request has taken yet."""
        with self._changed:
            return len(self._queue) + sum(map(len, self._bound.values()))

    # -- what came

    @property
    def last(self) -> ReceivedRequest:
        """The latest request; IndexError if none came."""
        return self.requests[-1]

    def keep_requests(self, latest: int) -> None:
        """Record only the latest requests, so that a long run does not fill the memory. Default: all are kept."""
        self._kept = max(1, latest)

    def wait_until(self, holds: Callable[["SimulatedProviders"], bool], seconds: float = 10.0) -> bool:
        """Wait until a condition holds, such as `lambda provider: provider.last.outcome == "client left"`; False if it
        does not within the time. Checked whenever a request arrives or ends."""
        with self._changed:
            return self._changed.wait_for(lambda: holds(self), seconds)

    # -- answering (in the server's thread)

    def _respond(self, head: Head, body: bytes) -> Plan:
        with self._changed:
            self._number += 1
            request = ReceivedRequest(self._number, head.method, head.target, Headers(head.headers), body)
            self.requests.append(request)
            if self._kept is not None:
                del self.requests[: -self._kept]
            self._changed.notify_all()
        exchange = Exchange(keep_alive=head.keeps_alive, head_only=head.method == "HEAD")
        try:
            steps = self._steps(request, exchange)
        except ScriptError as error:
            steps = self._script_failure(error, exchange)
        except Exception as error:  # a handler or a test's function failed: the test must hear of it
            steps = self._script_failure(ScriptError(f"{type(error).__name__}: {error}"), exchange, error)
        return Plan(steps, lambda outcome: self._finished(request, outcome), exchange.keep_alive)

    def _finished(self, request: ReceivedRequest, outcome: str) -> None:
        with self._changed:
            request.outcome = outcome
            self._changed.notify_all()

    def _script_failure(self, error: ScriptError, exchange: Exchange, cause: Exception | None = None) -> list[Step]:
        error.__cause__ = cause
        self._failures.append(error)
        text = f"penstock.testing.providers: the script failed: {error}\n".encode()
        return deliver_body(Body(text, "text/plain; charset=utf-8", 500), Reply(), (), exchange)

    def _steps(self, request: ReceivedRequest, exchange: Exchange) -> list[Step]:
        match = resolve_path(request)
        call = Call(request, self._world, match.mount.flavour, match.params)
        request.mount = match.mount.name
        if match.operation is None:
            body = match.refusal(call)
            request.refused = f"{body.status} at {request.method} {request.path}"
            return deliver_body(body, Reply(), (), exchange)
        request.operation = match.operation.name
        if refusal := self._refusal(match, call):
            request.refused = refusal.message or f"error {refusal.status}"
            return _error_steps(refusal, Reply(), match.operation, call, exchange)
        return self._answer(match.operation, call, exchange)

    def _refusal(self, match: Match, call: Call) -> ProviderError | None:
        assert match.operation is not None
        if error := match.operation.family.authenticate(call):
            return error
        return match.operation.validate(call) if self._strict else None

    def _answer(self, operation: Operation, call: Call, exchange: Exchange) -> list[Step]:
        ask = operation.asks(call) if operation.asks else Ask()
        reply = self._reply(operation, call.request, ask)
        if reply.failure is not None:
            return _error_steps(reply.failure, reply, operation, call, exchange)
        if operation.streaming is not None and ask.stream and reply.body is None:
            return _stream_steps(reply, operation, call, ask, exchange)
        if reply.body is not None:
            body = Body(reply.body)
        elif in_body := next((fault for fault in reply.faults if isinstance(fault, ErrorEvent)), None):
            native = operation.family.error(in_body.error, call)
            body = Body(native.content, native.content_type)
        else:
            body = operation.answer(resolve(reply, ask), call)
        return deliver_body(body, reply, operation.family.headers(call), exchange)

    def _reply(self, operation: Operation, request: ReceivedRequest, ask: Ask) -> Reply:
        with self._changed:
            if bound := self._bound.get(operation.name):
                return bound.popleft()
            if operation.asks is not None and self._queue:
                return self._queue.popleft()
        if self._function is not None and (reply := self._function(request)) is not None:
            return reply
        return default_reply(ask)


def _error_steps(
    error: ProviderError, reply: Reply, operation: Operation, call: Call, exchange: Exchange
) -> list[Step]:
    body = operation.family.error(error, call)
    headers = (*operation.family.headers(call), *retry_after(error))
    return deliver_body(body, reply, headers, exchange)


def _stream_steps(reply: Reply, operation: Operation, call: Call, ask: Ask, exchange: Exchange) -> list[Step]:
    streaming = operation.streaming
    assert streaming is not None
    if reply.events is not None:
        events = [streaming.name_event(payload) for payload in reply.events]
    else:
        events = streaming.events(resolve(reply, ask), call)
    stream = Stream(
        events,
        streaming.framing(call),
        lambda error: streaming.error_events(error, call),
        streaming.empty_event(call),
        call.flavour.comment,
    )
    return deliver_stream(stream, reply, operation.family.headers(call), exchange)
