"""Bundle: a configuration file with all that it includes, as texts; and the one tree that they come to.

`include` is a list of files, relative to the file that names them. A bundle can be sent to a gateway as it is, which
reads nothing from its own disk for it. How files are put together:

    native form     lists are joined in the order of the files, the including one first; mappings are joined; a value
                    that two files give is an error: there is no question of which wins
    LiteLLM's form  as LiteLLM does it: lists are joined, any other block of an included file takes the place of the
                    including one's, which is a warning
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from penstock.control.config.document import Node, parse
from penstock.control.config.problems import ConfigErrors, Place, Problem

INCLUDE = "include"
MOST_FILES = 100
MOST_BYTES = 16 * 1024 * 1024
LITELLMS_BLOCKS = frozenset(
    {
        *("model_list", "litellm_settings", "router_settings", "general_settings", "credential_list", "guardrails"),
        *("mcp_servers", "mcp_toolsets", "search_tools", "vector_store_registry", "prompts", "policies", "agents"),
        *("policy_attachments", "callback_settings", "assistant_settings", "finetune_settings", "files_settings"),
    }
)
"""Top-level keys of LiteLLM's config.yaml that a native file has not. (Both have `include` and
`environment_variables`.) One of them is what tells LiteLLM's form."""


class Bundle(Struct, frozen=True):
    """name of a file -> its text; `main` is the one to begin with. Names are relative to its folder, with `/`."""

    main: str
    files: Mapping[str, str]

    def __repr__(self) -> str:
        """No texts: keys may stand in them."""
        return f"Bundle({self.main}, {len(self.files)} files)"


def read_bundle(path: Path) -> Bundle:
    """The file with all that it includes, as far as it can be read. Raises ConfigErrors where one cannot."""
    files: dict[str, str] = {}
    problems: list[Problem] = []
    waiting: list[tuple[str, Problem | None]] = [(path.name, None)]
    while waiting:
        name, asked = waiting.pop(0)
        if name in files or len(files) >= MOST_FILES:
            continue
        try:
            files[name] = _read(path.parent / name, name)
            waiting += [(each, node.problem("")) for each, node in _included(parse(files[name], name), name)]
        except OSError as error:
            problems.append(_unreadable(name, error, asked))
        except ConfigErrors as error:
            problems += error.problems
    if problems:
        raise ConfigErrors(problems)
    return Bundle(path.name, files)


def _read(path: Path, name: str) -> str:
    with path.open("rb") as file:
        content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise ConfigErrors([Problem(f"it is larger than {MOST_BYTES >> 20} MB", "", Place(name, 1))])
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigErrors([Problem("it is not UTF-8 text", "", Place(name, 1))]) from None


def _unreadable(name: str, error: OSError, asked: Problem | None) -> Problem:
    said = f"{name} cannot be read: {error.strerror or error}"
    return Problem(said) if asked is None else Problem(said, asked.path, asked.place)


def _included(root: Node, name: str) -> list[tuple[str, Node]]:
    """The files that a document includes, named as the bundle names them, with the nodes that say so."""
    given = root.items.get(INCLUDE)
    if given is None or given.value is None:
        return []
    listed = [given] if isinstance(given.value, str) else given.entries
    wrong = [node for node in listed if not isinstance(node.value, str) or not node.value]
    if not isinstance(given.value, str | list) or wrong:
        raise ConfigErrors([node.problem("expected a list of files") for node in wrong or [given]])
    folder = posixpath.dirname(name)
    return [(posixpath.normpath(posixpath.join(folder, str(node.value))), node) for node in listed]


class Tree(Struct, frozen=True):
    """What a bundle comes to. `litellm`: it is in LiteLLM's form. `files`: the names of those that took part."""

    root: Node
    litellm: bool
    files: tuple[str, ...]
    warnings: tuple[Problem, ...] = ()


def tree_of(bundle: Bundle) -> Tree:
    """All files as one tree. Raises ConfigErrors."""
    joiner = _Joiner(bundle)
    root = joiner.file(bundle.main, None, ())
    if joiner.problems or root is None:
        raise ConfigErrors(joiner.problems)
    return Tree(root, bool(joiner.litellm), tuple(joiner.done), tuple(joiner.warnings))


class _Joiner:
    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle
        self.problems: list[Problem] = []
        self.warnings: list[Problem] = []
        self.done: list[str] = []
        self.litellm: bool | None = None

    def file(self, name: str, asked: Node | None, way: tuple[str, ...]) -> Node | None:
        """One file with what it includes; None where it gives nothing."""
        if name in way:
            cycle = " -> ".join((*way[way.index(name) :], name))
            self._say(asked, f"these files include each other: {cycle}")
            return None
        if name in self.done:
            return None
        if len(self.done) >= MOST_FILES:
            self._say(asked, f"more than {MOST_FILES} files")
            return None
        if name not in self.bundle.files:
            self._say(asked, f"{name} is not among the files that were given")
            return None
        self.done.append(name)
        try:
            root = parse(self.bundle.files[name], name)
            included = _included(root, name)
        except ConfigErrors as error:
            self.problems += error.problems
            return None
        root.value = {key: node for key, node in root.items.items() if key != INCLUDE}
        self._form(root)
        for other, node in included:
            found = self.file(other, node, (*way, name))
            if found is not None:
                self._join(root, found)
        return root

    def _say(self, asked: Node | None, message: str) -> None:
        self.problems.append(Problem(message) if asked is None else asked.problem(message))

    def _form(self, root: Node) -> None:
        """All files must be of one form; a file with neither's keys says nothing."""
        foreign = [node for key, node in root.items.items() if key in LITELLMS_BLOCKS]
        own = [node for key, node in root.items.items() if key in NATIVE_BLOCKS]
        for kind, nodes in ((True, foreign), (False, own)):
            if not nodes:
                continue
            if self.litellm is None:
                self.litellm = kind
            if self.litellm is not kind:
                says = "LiteLLM's form" if kind else "Penstock's own form"
                other = "Penstock's own" if kind else "LiteLLM's"
                self.problems.append(nodes[0].problem(f"this key is of {says}, and the rest is in {other}: use one"))

    def _join(self, into: Node, other: Node) -> None:
        for key, node in other.items.items():
            mine = into.items.get(key)
            if mine is None or mine.value is None:
                into.value[key] = node
            elif isinstance(mine.value, list) and isinstance(node.value, list):
                mine.value = [*mine.value, *node.value]
            elif self.litellm:
                into.value[key] = node
                self.warnings.append(mine.problem(f"replaced as a whole by {node.place}, as LiteLLM does"))
            elif isinstance(mine.value, dict) and isinstance(node.value, dict):
                self._join(mine, node)
            else:
                self.problems.append(node.problem(f"it is also given in {mine.place}: keep one"))


NATIVE_BLOCKS = frozenset({"models", "aliases", "routing", "general", "pass_through"})
"""Top-level keys of the native form that may not stand in a file of LiteLLM's. (`keys` and `endpoints` may.)"""
