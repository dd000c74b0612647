"""The reference pages of the Python API and of the simulated providers, out of signatures and docstrings.
tools/build_reference.py writes them.

Names stand by topic, and a module's names together. A name and its twin for coroutines share one entry. Of a class the
page shows the arguments, the fields of its answers, and its methods; of a client, the calls behind its attributes.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from functools import cached_property
from typing import Any

import penstock
from penstock.calls.engine import Engine
from penstock.client.objects import Answer, Object
from penstock.client.resources import Call, Resource, Twins
from penstock.testing import providers as simulated
from tools import docstrings
from tools.signatures import signature
from tools.tables import code, table

TOPICS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("Chat", ("client.api",)),
    ("The same calls in other shapes", ("client.api_dialects",)),
    ("Embeddings, reranking, media, files, batches", ("client.api_operations",)),
    ("Clients", ("client.clients",)),
    ("Router", ("client.router",)),
    ("Streams", ("client.streams", "client.chunk_builder")),
    ("Tools", ("client.tool_loop", "calls.functions")),
    ("Callbacks", ("client.callbacks",)),
    ("Models and providers", ("client.information", "providers.registry")),
    ("Costs", ("client.costs",)),
    ("Tokens", ("calls.tokens", "client.provider_counts", "client.trimming")),
    ("Network", ("exchange", "calls.transport")),
    ("Answers", ("client.objects", "client.result_objects")),
)
"""Headings, and the modules whose public names stand below them. A public name of another module is an error."""

HEAD = """\
`from penstock import NAME`. A coroutine twin is called as its blocking namesake, with `await`. `**arguments` are the
parameters of the provider's API, [the options](options.md), and what says where to go and who pays
([providers](providers.md)). What calls raise stands on [a page of its own](exceptions.md).
"""


def page(note: str) -> str:
    """The whole page."""
    parts = ["# Python API\n", note, HEAD, _contents()]
    for title, modules in TOPICS:
        parts.append(f"## {title}\n")
        parts += [part for module in modules for part in _of_module(f"penstock.{module}")]
    return "\n".join(parts)


def names() -> dict[str, Any]:
    """The public names that have their place on this page."""
    public = {name: getattr(penstock, name) for name in penstock.__all__ if not name.startswith("__")}
    return {name: value for name, value in public.items() if not is_exception(value)}


def home(value: Any) -> str:
    """The module that a public value lives in. Raises ValueError for one that no topic names."""
    module = str(getattr(value, "__module__", None) or type(value).__module__)
    if not any(module == f"penstock.{each}" for _, modules in TOPICS for each in modules):
        raise ValueError(f"{module} stands under no heading: add it to TOPICS in {__file__}")
    return module


def is_exception(value: Any) -> bool:
    """Whether it stands on the page of the exceptions."""
    return isinstance(value, type) and issubclass(value, BaseException)


def _contents() -> str:
    lines = []
    for title, modules in TOPICS:
        found = [name for module in modules for name in _names_of(f"penstock.{module}")]
        anchor = title.lower().replace(",", "").replace(" ", "-")
        lines.append(f"- [{title}](#{anchor}): {', '.join(map(code, found))}")
    return "\n".join(lines) + "\n"


def _names_of(module: str) -> list[str]:
    """The public names of a module in the order of the alphabet; twins are left to their namesakes."""
    public = names()
    here = sorted((name for name, value in public.items() if home(value) == module), key=str.lower)
    return [name for name in here if not (name.startswith("a") and name[1:] in public)]


def _of_module(module: str) -> Iterator[str]:
    public = names()
    rows = []
    if module == "penstock.client.objects":
        yield _every_answer()
    for name in _names_of(module):
        if name.startswith("supports_"):
            rows.append((code(name), docstrings.summary(docstrings.of(public[name]))))
        else:
            yield entry(name, public[name], public.get(f"a{name}"))
    if module == "penstock.client.objects":
        yield _parts_of_answers()
    if rows:
        line = signature("supports_...", penstock.supports_vision)
        yield f"### supports\n\n```text\n{line}\n```\n\n{table(('name', 'what it says'), rows)}"


def entry(name: str, value: Any, twin: Any = None) -> str:
    """One name (and its twin): signature, docstring, members."""
    titles = [code(name), *([code(f"a{name}")] if twin is not None else [])]
    parts = [f"### {', '.join(titles)}"]
    if isinstance(value, type) and value.__name__ != name:
        return f"{parts[0]}\n\nAnother name of `{value.__name__}`.\n"
    if inspect.isroutine(value) or (isinstance(value, type) and not issubclass(value, dict | Exception)):
        parts.append(f"```text\n{signature(name, value)}\n```")
    parts.append(docstrings.markdown(doc_of(value)))
    if twin is not None and doc_of(twin) != f"`{name}` from a coroutine.":
        parts.append(f"`a{name}`: {docstrings.markdown(doc_of(twin))}")
    if isinstance(value, type):
        parts += _of_class(value)
    return "\n\n".join(part for part in parts if part) + "\n"


def doc_of(value: Any) -> str:
    """The docstring of a public value; of an object, its class's."""
    return docstrings.of(value if isinstance(value, type) or inspect.isroutine(value) else type(value))


SIMULATED_TOPICS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("The server", ("SimulatedProviders", "ReceivedRequest", "Headers")),
    ("Answers", ("Reply", "Usage", "UsagePlace", "ProviderError", "Delivery")),
    ("Parts of an answer", ("Text", "Thinking", "RedactedThinking", "ToolCall", "Refusal", "Structured")),
    ("Faults", ("Cut", "Truncated", "Stall", "Malformed", "NotJSON", "EmptyEvent", "ErrorEvent")),
    ("When a script is wrong", ("ScriptError",)),
)
_TABLES = {"DIALECTS", "MOUNTS", "OPERATIONS", "ROUTES"}
_TYPES = {"Fault", "Part", "Stop"}

SIMULATED_HEAD = """\
`from penstock.testing.providers import NAME`. [How to test with them](../how-to/testing.md). In a terminal:
`python -m penstock.testing.providers --help`.

`provider.url(NAME)` gives the base URL of a dialect, or of a mount: {mounts}.
"""


def simulated_page(note: str) -> str:
    """The simulated providers: every public name of `penstock.testing.providers` but its own tables."""
    placed = {name for _, names in SIMULATED_TOPICS for name in names}
    left = set(simulated.__all__) - placed - _TABLES - _TYPES
    if left:
        raise ValueError(
            f"{', '.join(sorted(left))} stand under no heading: add them to SIMULATED_TOPICS in {__file__}"
        )
    places = dict.fromkeys([*simulated.DIALECTS, *(mount.name for mount in simulated.MOUNTS)])
    words = ", ".join(map(code, places))
    parts = ["# Simulated providers\n", note, SIMULATED_HEAD.format(mounts=words)]
    for title, names in SIMULATED_TOPICS:
        parts.append(f"## {title}\n")
        parts += [entry(name, getattr(simulated, name)) for name in names]
    return "\n".join(parts)


# -- classes ----------------------------------------------------------------------------------------------------------


def _every_answer() -> str:
    text = f"{docstrings.markdown(docstrings.of(Object))}\n\n{docstrings.markdown(docstrings.of(Answer))}"
    return f"### What all answers have\n\n{text}\n\n{_members(Answer, (Object, Answer))}\n"


def _parts_of_answers() -> str:
    """What chat completions are made of."""
    found: list[type[Object]] = []

    def visit(kind: type[Object]) -> None:
        for part in kind.children.values():
            if part is not Object and part not in found:
                found.append(part)
                visit(part)

    visit(penstock.ModelResponse)
    visit(penstock.ModelResponseStream)
    lines = [f"- `{part.__name__}`: {docstrings.markdown(docstrings.of(part))} {_fields(part)}" for part in found]
    return "### Parts of a chat completion\n\n" + "\n".join(lines) + "\n"


def _of_class(kind: type) -> Iterator[str]:
    if issubclass(kind, Resource):
        yield table(("call", "gives", "what it does"), list(_calls(kind, "", issubclass(kind, penstock.AsyncClient))))
    elif issubclass(kind, Object):
        yield _fields(kind)
        yield _members(kind, [each for each in kind.__mro__ if each not in Answer.__mro__])
    else:
        yield _members(kind, [each for each in kind.__mro__ if each.__module__.startswith("penstock.")])
    if kind.__name__ == "Client":
        yield "What an engine takes:\n\n" + docstrings.markdown(
            "\n".join(f"{', '.join(given)}    {words}" for given, words in docstrings.entries(docstrings.of(Engine)))
        )


def _fields(kind: type[Object]) -> str:
    found: dict[str, str] = {}
    for each in reversed(kind.__mro__):
        found |= {
            name: str(words)
            for name, words in inspect.get_annotations(each).items()
            if not name.startswith("_") and "ClassVar" not in str(words)
        }
    return "Fields: " + ", ".join(f"`{name}: {words}`" for name, words in found.items()) + "." if found else ""


def _members(kind: type, owners: Any) -> str:
    """Public methods and properties that these classes define, each with its first sentence."""
    rows: list[tuple[str, str]] = []
    for owner in owners:
        for name, value in vars(owner).items():
            if name.startswith("_") or (name != "close" and any(f"`{name}" in row[0] for row in rows)):
                continue
            if inspect.isroutine(value) or isinstance(value, property | cached_property | classmethod):
                words = " ".join(_doc_of_member(value).split())
                rows.append((code(_call(name, value)), docstrings.escaped(words)))
    return table(("member", "what it is"), rows) if rows else ""


def _doc_of_member(value: Any) -> str:
    return inspect.cleandoc(getattr(value, "__doc__", None) or "")


def _call(name: str, value: Any) -> str:
    function = value.__func__ if isinstance(value, classmethod) else value
    if not inspect.isfunction(function):
        return name
    hidden = ("self", "cls", "ignored")
    given = [each for each in inspect.signature(function).parameters.values() if each.name not in hidden]
    return f"{name}({', '.join(str(each).split(':')[0].split(' =')[0] for each in given)})"


def _calls(kind: type, prefix: str, awaits: bool) -> Iterator[tuple[str, str, str]]:
    """(call, what it gives, what it does) of a client's attributes, the nested ones too."""
    for name, value in (item for each in reversed(kind.__mro__) for item in vars(each).items()):
        inner = _resource(value)
        if inner is not None:
            yield from _calls(inner, f"{prefix}{name}.", awaits or name == "achat")
        elif isinstance(value, Twins | Call):
            made = value._methods[awaits] if isinstance(value, Twins) else value._method
            gives = code(str(inspect.signature(made).return_annotation))
            yield code(_call(f"{prefix}{name}", made)), gives, docstrings.summary(_doc_of_member(made))
        elif not name.startswith("_") and (inspect.isroutine(value) or isinstance(value, property | cached_property)):
            yield code(_call(f"{prefix}{name}", value)), "", docstrings.summary(_doc_of_member(value))


def _resource(value: Any) -> type[Resource[Any]] | None:
    """The class of resource that an attribute of a client is."""
    if not isinstance(value, cached_property):
        return None
    said: Any = inspect.get_annotations(value.func, eval_str=True)["return"]
    kind = getattr(said, "__origin__", said)
    return kind if isinstance(kind, type) and issubclass(kind, Resource) else None
