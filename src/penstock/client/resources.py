"""Resources: what the attributes of a client are made of.

A resource (`client.files`) holds its client's engine; its methods are descriptors, each a door to an operation or to a
chat call in some shape. clients.py is the table of them.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Generic, Literal, Protocol, TypeVar, cast, overload

from penstock.client import chat
from penstock.client.engine import Engine
from penstock.client.operations import Operation, SimpleCall, arun_or_stream, run_or_stream
from penstock.client.shapes import Shape

R = TypeVar("R")
A = TypeVar("A", covariant=True)
S = TypeVar("S", covariant=True)


class Resource:
    """Some calls of a client, under one name."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def _given(self, names: tuple[str, ...], positional: tuple[Any, ...], arguments: dict[str, Any]) -> dict[str, Any]:
        """The arguments of a call by name. Headers and query values of the client's and of the call go together."""
        if len(positional) > len(names):
            raise TypeError(f"expected at most {len(names)} positional arguments, got {len(positional)}")
        given = {**dict(zip(names, positional, strict=False)), **arguments}
        for name in ("extra_headers", "extra_query"):
            usual = getattr(self._engine.defaults, name)
            if usual and given.get(name):
                given[name] = {**usual, **given[name]}
        return given


class Method(Generic[R]):
    """A blocking method: the operation behind it, and the names of its positional arguments."""

    def __init__(self, operation: Operation[Any], *names: str, call: type[SimpleCall[Any]] = SimpleCall) -> None:
        self._operation, self._names, self._call = operation, names, call

    def __get__(self, resource: Resource, owner: type[Resource]) -> Callable[..., R]:
        def method(*positional: Any, **arguments: Any) -> R:
            given = resource._given(self._names, positional, arguments)
            answer: Any = run_or_stream(resource._engine, self._operation, given, self._call)
            return cast(R, answer)

        return method


class AsyncMethod(Generic[R]):
    """The same for a coroutine."""

    def __init__(self, operation: Operation[Any], *names: str, call: type[SimpleCall[Any]] = SimpleCall) -> None:
        self._operation, self._names, self._call = operation, names, call

    def __get__(self, resource: Resource, owner: type[Resource]) -> Callable[..., Coroutine[Any, Any, R]]:
        async def method(*positional: Any, **arguments: Any) -> R:
            given = resource._given(self._names, positional, arguments)
            answer: Any = await arun_or_stream(resource._engine, self._operation, given, self._call)
            return cast(R, answer)

        return method


class ShapeMethod(Generic[R]):
    """A blocking method that is a chat call in some shape. `always` are arguments that the method's name says."""

    def __init__(self, shape: Shape[Any, Any], *names: str, **always: Any) -> None:
        self._shape, self._names, self._always = shape, names, always

    def __get__(self, resource: Resource, owner: type[Resource]) -> Callable[..., R]:
        def method(*positional: Any, **arguments: Any) -> R:
            given = {**resource._given(self._names, positional, arguments), **self._always}
            answer: Any = chat.call(resource._engine, self._shape, given)
            return cast(R, answer)

        return method


class AsyncShapeMethod(Generic[R]):
    """The same for a coroutine."""

    def __init__(self, shape: Shape[Any, Any], *names: str, **always: Any) -> None:
        self._shape, self._names, self._always = shape, names, always

    def __get__(self, resource: Resource, owner: type[Resource]) -> Callable[..., Coroutine[Any, Any, R]]:
        async def method(*positional: Any, **arguments: Any) -> R:
            given = {**resource._given(self._names, positional, arguments), **self._always}
            answer: Any = await chat.acall(resource._engine, self._shape, given)
            return cast(R, answer)

        return method


# -- methods whose answer may be streamed: the same, with the type that `stream` says ---------------------------------


class Streaming(Protocol[A, S]):
    """A blocking call: an answer `A`, or with `stream=True` a stream `S`."""

    @overload
    def __call__(self, *positional: Any, stream: Literal[False] | None = None, **arguments: Any) -> A: ...
    @overload
    def __call__(self, *positional: Any, stream: Literal[True], **arguments: Any) -> S: ...
    @overload
    def __call__(self, *positional: Any, stream: bool | None, **arguments: Any) -> A | S: ...


class AsyncStreaming(Protocol[A, S]):
    """The same for a coroutine."""

    @overload
    def __call__(
        self, *positional: Any, stream: Literal[False] | None = None, **arguments: Any
    ) -> Coroutine[Any, Any, A]: ...
    @overload
    def __call__(self, *positional: Any, stream: Literal[True], **arguments: Any) -> Coroutine[Any, Any, S]: ...
    @overload
    def __call__(self, *positional: Any, stream: bool | None, **arguments: Any) -> Coroutine[Any, Any, A | S]: ...


class StreamingMethod(Method[Any], Generic[A, S]):
    """A `Method` that streams on request."""

    def __get__(self, resource: Resource, owner: type[Resource]) -> Streaming[A, S]:
        return super().__get__(resource, owner)


class AsyncStreamingMethod(AsyncMethod[Any], Generic[A, S]):
    """The same for a coroutine."""

    def __get__(self, resource: Resource, owner: type[Resource]) -> AsyncStreaming[A, S]:
        return super().__get__(resource, owner)


class StreamingShapeMethod(ShapeMethod[Any], Generic[A, S]):
    """A `ShapeMethod` that streams on request."""

    def __get__(self, resource: Resource, owner: type[Resource]) -> Streaming[A, S]:
        return super().__get__(resource, owner)


class AsyncStreamingShapeMethod(AsyncShapeMethod[Any], Generic[A, S]):
    """The same for a coroutine."""

    def __get__(self, resource: Resource, owner: type[Resource]) -> AsyncStreaming[A, S]:
        return super().__get__(resource, owner)
