"""Meaning: what must hold between the parts of a configuration: every name names something, and only once.

It looks at the nodes, so it finds what is wrong here also where something else is wrong there. A name that names
nothing is an error in the native form. In LiteLLM's, which starts with such fallbacks, it is a warning, and what it
asks for is left out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from difflib import get_close_matches
from functools import partial
from typing import Any, get_args
from urllib.parse import urlsplit

from msgspec.structs import replace

from penstock.calls.demo import NAMES as DEMO_NAMES
from penstock.calls.engine import Engine
from penstock.calls.options import Options, split
from penstock.control.config.document import Node, plain
from penstock.control.config.problems import Problem, did_you_mean
from penstock.providers.errors import ProviderError
from penstock.providers.prices import dollars, prices_of
from penstock.providers.ways import missing_variables
from penstock.routing.cascade import MalformedCascade, cascades_of
from penstock.routing.rules import MalformedRule, rule_sets
from penstock.routing.strategies import STRATEGIES
from penstock.types.errors import ErrorKind, MalformedError

BESIDE = {
    **{name: name for name in ("api_key", "api_base", "api_version", "base_model", "order", "weight", "rpm", "tpm")},
    **{name: name for name in ("max_parallel_requests", "timeout", "stream_timeout", "tags", "drop_params")},
    "base_url": "api_base",
    "custom_llm_provider": "provider",
    "max_retries": "retries",
    "num_retries": "retries",
    "request_timeout": "timeout",
    "cooldown_time": "cooldown",
    "additional_drop_params": "drop",
    "extra_headers": "headers",
    "model_info": "facts",
    "model": "model",
}
"""Arguments of a call that a model says beside its `arguments`, and how."""
ALL_MODELS = "all-proxy-models"
"""LiteLLM's name for all models, in the list of a key."""
ERROR_KINDS: tuple[str, ...] = get_args(ErrorKind)
FALLBACK_TABLES = ("fallbacks", "context_window_fallbacks", "content_policy_fallbacks")
_OF_TOKENS = ("_cost_per_token", "_token_cost")
"""Ends of the names of prices that are one figure and nothing else."""
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")


class Meaning:
    """What a tree of the native form means, as far as it can be read. `errors` and `warnings` are what was found.

    lenient  what names nothing is left out of the tree, with a warning
    """

    def __init__(self, root: Node, engine: Engine, lenient: bool) -> None:
        self.root = root
        self.engine = engine
        self.lenient = lenient
        self.errors: list[Problem] = []
        self.warnings: list[Problem] = []
        self._left_out: set[int] = set()
        self._look()

    def _look(self) -> None:
        """Read the names that there are."""
        self.models = _entries(self.root, "models")
        self.groups = tuple(dict.fromkeys(_texts(model.items.get("name") for model in self.models)))
        self.ids = tuple(_texts(model.items.get("id") for model in self.models))
        self.aliases = {name: node for name, node in _entry(self.root, "aliases").items() if node.text}
        self.tasks = self._task_names()
        self.access_groups = {
            text for model in self.models for text in _texts(_listed(model.items.get("access_groups")))
        }

    def check(self) -> None:
        """Look at everything. What is left out is out of the tree afterwards."""
        for model in self.models:
            self._model(model)
        self._leave_out()
        self._distinct(self.ids_nodes(), "id")
        self._aliases()
        self._leave_out()
        self._routing()
        self._keys()
        self._elsewhere()
        self._leave_out()

    def _leave_out(self) -> None:
        """Take what was found to name nothing out of the tree."""
        if self._left_out:
            for node in self.root.walk():
                if isinstance(node.value, dict):
                    node.value = {name: each for name, each in node.value.items() if id(each) not in self._left_out}
                elif isinstance(node.value, list):
                    node.value = [each for each in node.value if id(each) not in self._left_out]
            self._look()

    def _wrong(self, node: Node, message: str, whole: Node | None = None) -> None:
        """Something names nothing. `whole` is what is left out for it, where that is more than the name."""
        if not self.lenient:
            self.errors.append(node.problem(message))
            return
        self.warnings.append(node.problem(f"{message.removesuffix('.')}: it is left out"))
        self._left_out.add(id(node if whole is None else whole))

    def ids_nodes(self) -> list[Node]:
        """The ids that deployments are given."""
        return [model.items["id"] for model in self.models if "id" in model.items]

    # -- names --------------------------------------------------------------------------------------------------------

    def known(self, name: str) -> bool:
        """Whether a group, an alias, an id or a pattern has this name."""
        if name in self.groups or name in self.aliases or name in self.ids or name in self.tasks:
            return True
        return any(_fits(name, pattern) for pattern in self.groups if "*" in pattern)

    def _must_be_known(self, node: Node, name: str | None = None) -> None:
        name = node.text if name is None else name
        if name is None or self.known(name):
            return
        self._wrong(
            node, f"there is no model group {name!r}{did_you_mean(name, [*self.groups, *self.aliases, *self.tasks])}"
        )

    def _distinct(self, nodes: Iterable[Node], what: str) -> None:
        seen: dict[str, Node] = {}
        for node in nodes:
            if node.text is None:
                continue
            first = seen.setdefault(node.text, node)
            if first is not node:
                self.errors.append(node.problem(f"the same {what} as in {first.place}: give each its own"))

    # -- models -------------------------------------------------------------------------------------------------------

    def _model(self, model: Node) -> None:
        name, target = model.items.get("name"), model.items.get("model")
        self._headers(model.items.get("headers"))
        network = _entry(model, "network")
        if "key" in network and "cert" not in network:
            self.errors.append(network["key"].problem("it is the key of a certificate: give `cert`, too"))
        if target is None or target.text is None or not target.text.strip():
            return
        if "*" in target.text and name is not None and name.text is not None and "*" not in name.text:
            self._wrong(target, "a `*` stands for what stood in the name, and the name has none", model)
        options, body = self._arguments(model)
        arguments = _entry(model, "arguments")
        if options is None or "*" in target.text.partition("/")[0]:
            return
        if target.text in DEMO_NAMES or options.mock_response is not None:
            return
        provider = model.items.get("provider")
        try:
            self._resolve(target, provider, options)
        except ProviderError as error:
            named = provider is not None and error.kind == "unknown_provider"
            where = provider if named and provider is not None else target
            self._wrong(where, f"{error.message} {error.fix}".strip(), model)
            return
        known = sorted({*self.engine.addresses, *Options.__struct_fields__})
        for word in sorted(body & arguments.keys()):
            if near := get_close_matches(word, known, n=1, cutoff=0.85):
                said = f"it goes into the body of requests; or was {near[0]} meant?"
                self.warnings.append(arguments[word].problem(said))

    def _arguments(self, model: Node) -> tuple[Options | None, frozenset[str]]:
        """The options of calls to this model, and the names of what goes into the body of requests. None: something is
        wrong with them.
        """
        arguments = _entry(model, "arguments")
        beside = [name for name in arguments if name in BESIDE and not self.lenient]
        self.errors += [arguments[name].problem(f"write it as `{BESIDE[name]}`, beside `arguments`") for name in beside]
        try:
            options, body = split(_call_arguments(model), self.engine.addresses, Options())
        except MalformedError as error:
            where = arguments.get(error.path.partition("[")[0].partition(".")[0], model)
            self.errors.append(where.problem(error.message))
            return None, frozenset()
        return None if beside or self._odd_prices(model, options.prices) else options, frozenset(body)

    def _odd_prices(self, model: Node, prices: Mapping[str, Any]) -> bool:
        """Whether one of the model's own prices cannot be one."""
        places = {**_entry(model, "facts"), **_entry(model, "arguments")}
        before = len(self.errors)
        for name, value in prices.items():
            try:
                prices_of({name: value}, own=True)
                if name.endswith(_OF_TOKENS):
                    dollars(value, name)
            except ProviderError as error:
                self.errors.append(places.get(name, model).problem(f"{error.message} {error.fix}".strip()))
        return len(self.errors) > before

    def _resolve(self, target: Node, provider: Node | None, options: Options) -> None:
        name = provider.text if provider is not None else None
        found = self.engine.resolve(str(target.text), replace(options, custom_llm_provider=name))
        environment, given = self.engine.environment, options.address
        missing = missing_variables(found.provider, parameters=given, environment=environment, model=found.model)
        if missing:
            said = f"no key for {found.provider.name} is given (api_key) or set ({' and '.join(missing)})"
            self.warnings.append(target.problem(said))

    def _headers(self, node: Node | None) -> None:
        for name, value in (node.items if node else {}).items():
            if not _HEADER_NAME.fullmatch(name):
                self.errors.append(value.problem("this cannot be the name of a header"))
            if value.text is not None and not _HEADER_VALUE.fullmatch(value.text):
                self.errors.append(value.problem("a header's value is one line of Latin characters"))

    def _aliases(self) -> None:
        for name, node in self.aliases.items():
            way = [name]
            while (target := self.aliases.get(way[-1])) is not None and way[-1] not in self.groups:
                step = str(target.text)
                if step in way:
                    self.errors.append(node.problem(f"these aliases name each other: {' -> '.join([*way, step])}"))
                    break
                way.append(step)
            else:
                self._must_be_known(node)
            if name in self.groups:
                self.warnings.append(node.problem("a model group has this name: the alias is never used"))

    # -- routing ------------------------------------------------------------------------------------------------------

    def _routing(self) -> None:
        routing = self.root.items.get("routing")
        if routing is None:
            return
        self._strategy(routing.items.get("strategy"))
        for name, node in _entry(routing, "strategies").items():
            self._must_be_known(node, name)
            self._strategy(node)
        for table in FALLBACK_TABLES:
            for name, node in _entry(routing, table).items():
                if name != "*":
                    self._must_be_known(node, name)
                for each in _listed(node):
                    self._must_be_known(each)
        for each in _listed(routing.items.get("default_fallbacks")):
            self._must_be_known(each)
        self._policy(routing.items.get("retry_policy"))
        self._policy(routing.items.get("allowed_fails_policy"))
        for name, node in _entry(routing, "group_retry_policy").items():
            self._must_be_known(node, name)
            self._policy(node, whole=True)
        self._tasks(routing)

    def _task_names(self) -> frozenset[str]:
        """Names that choose a group by rules ("auto", where a rule names none), or by trying."""
        routing = self.root.items.get("routing", self.root)
        rules = _entries(routing, "rules")
        named = [text for rule in rules for text in _texts(_listed(rule.items.get("model")))]
        unnamed = ["auto" for rule in rules if isinstance(rule.value, dict) and "model" not in rule.value]
        return frozenset([*named, *unnamed, *_entry(routing, "cascades")])

    def _tasks(self, routing: Node) -> None:
        """Rules and cascades: `penstock.routing` reads them and says what is wrong; the places are found here."""
        rules = routing.items.get("rules")
        if rules is not None and rules.entries:
            self._read(rules, partial(rule_sets, plain(rules), rules.path))
            for rule in rules.entries:
                target = rule.items.get("to")
                if target is not None and target.text not in _entry(routing, "cascades"):
                    self._leads_somewhere(target)
        for name, node in _entry(routing, "cascades").items():
            self._read(node, partial(cascades_of, {name: plain(node)}, node.path.removesuffix(f".{name}")))
            for target in _listed(node.items.get("groups")):
                self._leads_somewhere(target)

    def _leads_somewhere(self, target: Node) -> None:
        """A rule or a cascade leads to a group, and not to rules again."""
        if target.text is not None and target.text in self.tasks and target.text not in self.groups:
            self.errors.append(target.problem("it must be a model group"))
        else:
            self._must_be_known(target)

    def _read(self, whole: Node, read: Callable[[], Any]) -> None:
        try:
            read()
        except (MalformedRule, MalformedCascade) as error:
            said = str(error)
            fitting = [node for node in whole.walk() if said.startswith(node.path)]
            where = max(fitting, key=lambda node: len(node.path), default=whole)
            self.errors.append(where.problem(said.removeprefix(where.path).lstrip(": .")))

    def _strategy(self, node: Node | None) -> None:
        if node is not None and node.text is not None and node.text not in STRATEGIES:
            near = did_you_mean(node.text, list(STRATEGIES))
            self.errors.append(node.problem(f"{node.text!r} is none of: {', '.join(STRATEGIES)}{near}"))

    def _policy(self, policy: Node | None, whole: bool = False) -> None:
        if policy is None:
            return
        if whole and not isinstance(policy.value, dict):
            self.errors.append(policy.problem(f"expected a mapping of kinds of errors to numbers, got {policy.shown}"))
        for kind, node in policy.items.items():
            if kind not in ERROR_KINDS:
                near = did_you_mean(kind, ERROR_KINDS) or f"; there are: {', '.join(ERROR_KINDS)}"
                self.errors.append(node.problem(f"there is no kind of error {kind!r}{near}"))
            if whole and (isinstance(node.value, bool) or not isinstance(node.value, int) or node.value < 0):
                self.errors.append(node.problem(f"expected a whole number of 0 or more, got {node.shown}"))

    # -- keys ---------------------------------------------------------------------------------------------------------

    def _keys(self) -> None:
        keys = _entries(self.root, "keys")
        master = _entry(self.root, "general").get("master_key")
        for key in keys:
            self._key(key, master.text if master else None)
        for field in ("key", "sha256", "alias"):
            self._distinct([key.items[field] for key in keys if field in key.items], field)

    def _key(self, key: Node, master: str | None) -> None:
        given = [field for field in ("key", "sha256") if field in key.items]
        if isinstance(key.value, dict) and len(given) != 1:
            self.errors.append(key.problem("give `key` (best as env:NAME) or `sha256`, one of them"))
        secret, digest = key.items.get("key"), key.items.get("sha256")
        if secret is not None and secret.text and secret.text == master:
            self.errors.append(secret.problem("it is the master key: give each its own"))
        if secret is not None and secret.text and re.search(r"[^\x21-\x7e]", secret.text):
            self.errors.append(secret.problem("a key is of visible ASCII characters, without spaces"))
        if digest is not None and digest.text is not None and not _SHA256.fullmatch(digest.text):
            self.errors.append(digest.problem("expected the SHA-256 of a key, 64 hex digits"))
        own = _entry(key, "aliases")
        for node in own.values():
            self._must_be_known(node)
        for node in _listed(key.items.get("models")):
            known = node.text is None or "*" in node.text or node.text in {*self.access_groups, *own, ALL_MODELS}
            if not known:
                self._must_be_known(node)

    # -- the rest -----------------------------------------------------------------------------------------------------

    def _elsewhere(self) -> None:
        for name, node in _entry(self.root, "pass_through").items():
            if self.engine.registry.find(name) is None:
                near = self.engine.registry.nearest(name)
                advice = f"; did you mean {near[0]}?" if near else ""
                self.errors.append(node.problem(f"there is no provider {name!r}{advice}"))
        endpoints = _entries(self.root, "endpoints")
        self._distinct([each.items["path"] for each in endpoints if "path" in each.items], "path")
        for each in endpoints:
            path, target = each.items.get("path"), each.items.get("target")
            self._headers(each.items.get("headers"))
            if path is not None and path.text and not re.fullmatch(r"/[^?#\s]*", path.text):
                self.errors.append(path.problem("a path begins with `/`, and has no query"))
            if target is not None and target.text:
                parts = urlsplit(target.text)
                if parts.scheme not in ("http", "https") or not parts.hostname:
                    self.errors.append(target.problem("expected a URL that begins with https:// or http://"))


def _call_arguments(model: Node) -> dict[str, Any]:
    """What a model of the list gives to a call, as far as it can be read. A variable that is not set is there."""
    found = {name: plain(node) for name, node in _entry(model, "arguments").items()}
    if "facts" in model.items:
        found["model_info"] = plain(model.items["facts"])
    for name in ("api_key", "api_base", "api_version"):
        if name in model.items:
            found[name] = model.items[name].value
    return found


def _fits(name: str, pattern: str) -> bool:
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), name) is not None


def _entry(node: Node, key: str) -> Mapping[str, Node]:
    found = node.items.get(key)
    return {} if found is None else found.items


def _entries(node: Node, key: str) -> list[Node]:
    found = node.items.get(key)
    return [] if found is None else found.entries


def _listed(node: Node | None) -> list[Node]:
    """The entries of a list; a text is a list of one."""
    if node is None:
        return []
    return [node] if isinstance(node.value, str) else node.entries


def _texts(nodes: Iterable[Node | None]) -> Iterator[str]:
    for node in nodes:
        if node is not None and node.text:
            yield node.text
