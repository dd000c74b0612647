"""Resources: what the attributes of a client are made of.

A method of a client is a call of the module (`client.files.create` is `penstock.create_file`) with the client's engine
in place of the usual one. So its parameters, its types for a type checker and its words in `help()` are that call's,
and are said once:

    class Files(Resource[M]):
        create = Twins(OperationDoor(FILE_CREATE), create_file, acreate_file)

The twins share one class: `Files[Blocking]` has the blocking calls, `Files[Awaited]` the coroutines; the client that a
resource belongs to says which. clients.py is the table of them.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from types import MethodType
from typing import Any, Generic, Protocol, TypeVar, cast, overload

from penstock.calls.engine import Engine
from penstock.client import chat
from penstock.client.operations import Operation, SimpleCall, arun_or_stream, run_or_stream
from penstock.client.shapes import Shape


class Blocking:
    """Says of a resource that its calls block."""


class Awaited:
    """Says of a resource that its calls are coroutines."""


M = TypeVar("M", Blocking, Awaited)
F = TypeVar("F", bound=Callable[..., Any])
G = TypeVar("G", bound=Callable[..., Any])
Arguments = dict[str, Any]


class Resource(Generic[M]):
    """Some calls of a client, under one name. `awaits`: whether they are coroutines."""

    def __init__(self, engine: Engine, awaits: bool = False) -> None:
        self._engine = engine
        self._awaits = awaits

    def _given(self, arguments: Arguments) -> Arguments:
        """The arguments of a call. Headers and query values of the client's and of the call go together."""
        for name in ("extra_headers", "extra_query"):
            usual = getattr(self._engine.defaults, name)
            if usual and arguments.get(name):
                arguments[name] = {**usual, **arguments[name]}
        return arguments


# -- doors: what is behind a method -----------------------------------------------------------------------------------


class Door(Protocol):
    """A kind of call, both ways."""

    def call(self, engine: Engine, arguments: Arguments) -> Any: ...
    async def acall(self, engine: Engine, arguments: Arguments) -> Any: ...


@dataclass(frozen=True, slots=True)
class OperationDoor:
    """An operation."""

    operation: Operation[Any]
    kind: type[SimpleCall[Any]] = SimpleCall

    def call(self, engine: Engine, arguments: Arguments) -> Any:
        return run_or_stream(engine, self.operation, arguments, self.kind)

    async def acall(self, engine: Engine, arguments: Arguments) -> Any:
        return await arun_or_stream(engine, self.operation, arguments, self.kind)


@dataclass(frozen=True, slots=True)
class ShapeDoor:
    """A chat call in some shape. `stream` is what the method's name says of it; None: the caller says."""

    shape: Shape[Any, Any]
    stream: bool | None = None

    def call(self, engine: Engine, arguments: Arguments) -> Any:
        return chat.call(engine, self.shape, self._said(arguments))

    async def acall(self, engine: Engine, arguments: Arguments) -> Any:
        return await chat.acall(engine, self.shape, self._said(arguments))

    def _said(self, arguments: Arguments) -> Arguments:
        return arguments if self.stream is None else {**arguments, "stream": self.stream}


@dataclass(frozen=True, slots=True)
class FunctionDoor:
    """A pair of functions that take an engine."""

    blocking: Callable[..., Any]
    awaited: Callable[..., Any]

    def call(self, engine: Engine, arguments: Arguments) -> Any:
        return self.blocking(engine, **arguments)

    async def acall(self, engine: Engine, arguments: Arguments) -> Any:
        return await self.awaited(engine, **arguments)


# -- methods ----------------------------------------------------------------------------------------------------------


class Call(Generic[F]):
    """A method that is the module's call `like`, with the resource's engine. It is a coroutine where `like` is one."""

    def __init__(self, door: Door, like: F) -> None:
        self._door, self._like = door, like

    def __set_name__(self, owner: type, name: str) -> None:
        self._method = method(self._door, self._like, owner, name)

    def __get__(self, resource: Resource[Any] | None, owner: type) -> F:
        return cast(F, self._method if resource is None else MethodType(self._method, resource))


class Twins(Generic[F, G]):
    """A method that is the module's call `blocking`, or `awaited`, as the resource is."""

    def __init__(self, door: Door, blocking: F, awaited: G) -> None:
        self._door, self._twins = door, (blocking, awaited)

    def __set_name__(self, owner: type, name: str) -> None:
        blocking, awaited = (method(self._door, each, owner, name) for each in self._twins)
        awaited.__doc__ = f"{blocking.__doc__}\n\nA coroutine: to be awaited."
        self._methods = (blocking, awaited)

    @overload
    def __get__(self, resource: Resource[Blocking], owner: type) -> F: ...
    @overload
    def __get__(self, resource: Resource[Awaited], owner: type) -> G: ...
    @overload
    def __get__(self, resource: None, owner: type) -> Callable[..., Any]: ...
    def __get__(self, resource: Resource[Any] | None, owner: type) -> Callable[..., Any]:
        if resource is None:
            return self._methods[0]
        return MethodType(self._methods[resource._awaits], resource)


def method(door: Door, like: Callable[..., Any], owner: type, name: str) -> Callable[..., Any]:
    """The function that a class has as its method: called like `like`, which says its parameters, types and words."""
    signature = inspect.signature(like)
    names = tuple(each.name for each in signature.parameters.values() if each.kind is each.POSITIONAL_OR_KEYWORD)

    def blocking(resource: Resource[Any], /, *positional: Any, **arguments: Any) -> Any:
        return door.call(resource._engine, resource._given(_named(name, names, positional, arguments)))

    async def awaited(resource: Resource[Any], /, *positional: Any, **arguments: Any) -> Any:
        return await door.acall(resource._engine, resource._given(_named(name, names, positional, arguments)))

    made: Any = awaited if inspect.iscoroutinefunction(like) else blocking
    receiver = inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    made.__signature__ = signature.replace(parameters=[receiver, *signature.parameters.values()])
    made.__name__, made.__qualname__, made.__module__ = name, f"{owner.__qualname__}.{name}", owner.__module__
    made.__doc__ = inspect.getdoc(like)
    return cast("Callable[..., Any]", made)


def _named(
    method: str, names: tuple[str, ...], positional: tuple[Any, ...], arguments: dict[str, Any]
) -> dict[str, Any]:
    """All arguments by name. Raises TypeError, as a call of the function would."""
    if not positional:
        return arguments
    if len(positional) > len(names):
        raise TypeError(f"{method}() takes at most {len(names)} positional arguments, got {len(positional)}")
    given = dict(zip(names, positional, strict=False))
    doubled = given.keys() & arguments.keys()
    if doubled:
        raise TypeError(f"{method}() got several values for {', '.join(sorted(doubled))}")
    return {**given, **arguments}
