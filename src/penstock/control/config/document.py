"""Document: a YAML file as a tree of nodes, of which each knows the line where it stands.

The YAML is that of version 1.2 (its core schema), so that values are what they look like: `no`, `on` and `off` are
texts, as are dates and `1:30`; `1e3` is a number; 010 is ten. (PyYAML's own table is that of 1.1, which LiteLLM's
users know too: where a switch is expected, `yes`, `no`, `on` and `off` are understood.)
Refused, since they are mistakes or attacks: a key that is written twice, a key that is no text, tags that would make
objects, several documents, an alias within itself, and aliases that would expand to hundreds of thousands of nodes.
Merge keys (`<<`) are understood.

Source: https://yaml.org/spec/1.2.2/#103-core-schema
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import yaml
from msgspec import Struct

from penstock.control.config.problems import ConfigErrors, Place, Problem

Plain = None | bool | int | float | str | dict[str, Any] | list[Any]
MOST_NODES = 200_000
"""Nodes of one file, with those that aliases stand for."""
MOST_DEPTH = 64
_HIDDEN = "(not shown)"


class Node(Struct):
    """A value with its place.

    value    None, bool, int, float, str, {key: Node} or [Node]
    place    where it stands: the line of its key, or of its beginning
    path     how its file spells the way to it: "models[2].api_base"
    secret   it must not be shown
    unset    it names an environment variable that is not set: nothing else can be said of it
    bare     a scalar without quotes
    """

    value: Any
    place: Place
    path: str = ""
    secret: bool = False
    unset: bool = False
    bare: bool = False

    def __repr__(self) -> str:
        return f"Node({self.path}, {self.place})"

    @property
    def items(self) -> dict[str, Node]:
        """The entries of a mapping; none where it is none."""
        return self.value if isinstance(self.value, dict) else {}

    @property
    def entries(self) -> list[Node]:
        """The entries of a list; none where it is none."""
        return self.value if isinstance(self.value, list) else []

    @property
    def text(self) -> str | None:
        """The text; None where it is none."""
        return self.value if isinstance(self.value, str) and not self.unset else None

    @property
    def shown(self) -> str:
        """What is there, in words that may be shown."""
        if self.secret and isinstance(self.value, str | int | float) and not isinstance(self.value, bool):
            return "a text that is not shown" if isinstance(self.value, str) else "a number that is not shown"
        if isinstance(self.value, bool):
            return "true" if self.value else "false"
        if isinstance(self.value, int | float):
            return f"the number {self.value}"
        if isinstance(self.value, str):
            return repr(self.value if len(self.value) <= 60 else f"{self.value[:57]}...")
        if self.value is None:
            return "nothing"
        return "a mapping" if isinstance(self.value, dict) else "a list"

    def problem(self, message: str) -> Problem:
        """A problem with this value. What must not be shown is taken out of the message."""
        return Problem(self._without_secret(message), self.path, self.place)

    def _without_secret(self, message: str) -> str:
        if not self.secret or not isinstance(self.value, str):
            return message
        message = message.replace(repr(self.value), _HIDDEN)
        return message.replace(self.value, _HIDDEN) if len(self.value) > 3 else message

    def walk(self) -> Iterator[Node]:
        """This node and all below it."""
        yield self
        for child in (*self.items.values(), *self.entries):
            yield from child.walk()


def plain(node: Node) -> Any:
    """The value without its places."""
    if isinstance(node.value, dict):
        return {key: plain(child) for key, child in node.value.items()}
    if isinstance(node.value, list):
        return [plain(child) for child in node.value]
    return node.value


def child_path(path: str, key: str | int) -> str:
    """The path of an entry. A key that would read as several is put in brackets and quotes."""
    if isinstance(key, int):
        return f"{path}[{key}]"
    if not re.fullmatch(r"[\w-]+", key):
        return f"{path}[{key!r}]"
    return f"{path}.{key}" if path else key


# -- the core schema --------------------------------------------------------------------------------------------------

_TAG = "tag:yaml.org,2002:"
_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(
    r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
    r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
)
_BOOLS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_NULLS = ("", "~", "null", "Null", "NULL")

_Base: Any = getattr(yaml, "CBaseLoader", yaml.BaseLoader)


class _Loader(_Base):  # type: ignore[misc]  # one of two classes: the fast one is not in every build of PyYAML
    """PyYAML's parser with the table of YAML 1.2. It composes nodes, and never constructs objects."""

    yaml_implicit_resolvers: dict[str, Any] = {}


for _kind, _pattern, _first in (
    ("bool", r"^(?:true|True|TRUE|false|False|FALSE)$", "tTfF"),
    ("int", f"^(?:{_INT.pattern})$", "-+0123456789"),
    ("float", f"^(?:{_FLOAT.pattern})$", "-+.0123456789"),
    ("null", r"^(?:~|null|Null|NULL|)$", ["~", "n", "N", ""]),
    ("merge", r"^(?:<<)$", "<"),
):
    _Loader.add_implicit_resolver(f"{_TAG}{_kind}", re.compile(_pattern), list(_first))


def _integer(text: str) -> int:
    return int(text, 0) if text[:2] in ("0o", "0x") else int(text)


def _number(text: str) -> float:
    text = text.lower()
    return float(text.replace(".", "", 1) if text.endswith(("inf", "nan")) else text)


_SCALARS: dict[str, Callable[[str], Any]] = {
    "str": str,
    "int": _integer,
    "float": _number,
    "bool": _BOOLS.__getitem__,
    "null": dict.fromkeys(_NULLS).__getitem__,
    "merge": str,
}


# -- reading ----------------------------------------------------------------------------------------------------------


def parse(text: str | bytes, file: str) -> Node:
    """The document in `text`; an empty one is an empty mapping. Raises ConfigErrors."""
    try:
        text = text.decode("utf-8-sig") if isinstance(text, bytes) else text.removeprefix("\ufeff")
        _refuse_depth(text, file)
        root = yaml.compose(text, Loader=_Loader)
    except UnicodeError:  # a lone surrogate, where the text came as JSON
        raise ConfigErrors([Problem("it is not UTF-8 text", "", Place(file, 1))]) from None
    except yaml.YAMLError as error:
        raise ConfigErrors([_syntax(error, file)]) from None
    reader = _Reader(file)
    if root is None:
        return Node({}, Place(file, 1))
    found = reader.node(root, "", None, 0)
    if found.value is None:
        found.value = {}
    if not isinstance(found.value, dict):
        reader.problems.append(found.problem("a configuration is a mapping: `models:` with a list below it, and so on"))
    if reader.problems:
        raise ConfigErrors(reader.problems)
    return found


def _refuse_depth(text: str, file: str) -> None:
    """The parser itself has no bounds, and composing nodes recurses, in C: what is too deep must be seen before."""
    depth = 0
    event: Any
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth, line = depth + 1, _line(event)
            if depth > MOST_DEPTH:
                raise ConfigErrors([Problem("it is nested too deeply", "", Place(file, line))])
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _syntax(error: yaml.YAMLError, file: str) -> Problem:
    mark: Any = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    said = getattr(error, "problem", None) or getattr(error, "reason", None) or "it is not YAML"
    if "cannot start any token" in said:
        said = f"{said} (a tab cannot indent; a text that begins with @, ` or % needs quotes)"
    if "expected a single document" in str(error):
        said = "a second document begins here (`---`): put all in one, or name other files in `include`"
    return Problem(f"not valid YAML: {said}", "", Place(file, mark.line + 1 if mark else 1))


def _line(found: Any) -> int:
    """The line (from 1) where a YAML node begins."""
    return int(found.start_mark.line) + 1


class _Reader:
    """Makes nodes of one file's YAML nodes, and notes what is wrong with them."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.problems: list[Problem] = []
        self._made = 0
        self._open: set[int] = set()

    def node(self, found: yaml.Node, path: str, line: int | None, depth: int) -> Node:
        """The node, at the line of its key where it has one."""
        made = Node(None, Place(self.file, _line(found) if line is None else line), path)
        self._made += 1
        if id(found) in self._open or depth > MOST_DEPTH or self._made > MOST_NODES:
            why = "an alias stands within what it names" if id(found) in self._open else "it is too large, or too deep"
            if self._made <= MOST_NODES + 1:
                self.problems.append(made.problem(why))
            return made
        if isinstance(found, yaml.ScalarNode):
            made.value, made.bare = self._scalar(found, made), not found.style
            return made
        if found.tag not in (f"{_TAG}map", f"{_TAG}seq"):
            self.problems.append(made.problem(f"the tag {found.tag} is not supported"))
            return made
        self._open.add(id(found))
        if isinstance(found, yaml.MappingNode):
            made.value = self._mapping(found, path, depth)
        else:
            entries = enumerate(found.value)
            made.value = [self.node(each, child_path(path, number), None, depth + 1) for number, each in entries]
        self._open.discard(id(found))
        return made

    def _scalar(self, found: yaml.ScalarNode, made: Node) -> Any:
        read = _SCALARS.get(found.tag.removeprefix(_TAG))
        if read is None:
            self.problems.append(made.problem(f"the tag {found.tag} is not supported"))
            return None
        try:
            return read(found.value)
        except (ValueError, KeyError):
            kind = found.tag.removeprefix(_TAG)
            self.problems.append(made.problem(f"{found.value[:40]!r} is marked as {kind} and is none"))
            return None

    def _mapping(self, found: yaml.MappingNode, path: str, depth: int) -> dict[str, Node]:
        merged: dict[str, Node] = {}
        own: dict[str, Node] = {}
        for key, value in found.value:
            line = _line(key)
            if key.tag == f"{_TAG}merge":
                merged = {**self._merged(value, path, line, depth), **merged}
            elif not isinstance(key, yaml.ScalarNode):
                self.problems.append(Problem("a key must be a text", path, Place(self.file, line)))
            else:
                self._entry(own, key.value, value, path, line, depth)
        return {**merged, **own}

    def _entry(self, own: dict[str, Node], name: str, value: yaml.Node, path: str, line: int, depth: int) -> None:
        where = child_path(path, name)
        if name in own:
            first = own[name].place.line
            self.problems.append(
                Problem(f"the key stands twice, first in line {first}: keep one", where, Place(self.file, line))
            )
            return
        own[name] = self.node(value, where, line, depth + 1)

    def _merged(self, value: yaml.Node, path: str, line: int, depth: int) -> dict[str, Node]:
        """What `<<` brings: of several mappings, the first that has a key gives it."""
        brought: dict[str, Node] = {}
        for each in value.value if isinstance(value, yaml.SequenceNode) else [value]:
            if not isinstance(each, yaml.MappingNode):
                self.problems.append(Problem("`<<` merges mappings only", path, Place(self.file, line)))
                continue
            for name, node in self.node(each, path, line, depth + 1).items.items():
                brought.setdefault(name, node)
        return brought
