"""Translate: LiteLLM's config.yaml as the native form, node by node, so that every error still names the user's line.

What a key means there it means here. Where the file says nothing, what holds is Penstock's default, but for tags, which
there choose deployments only if `enable_tag_filtering` says so. What is not honoured becomes a warning, and what
LiteLLM does not know either becomes one with the nearest key that it knows. A parameter of a deployment that nobody
knows goes into the body of its requests, as there.

`router_settings` come before `litellm_settings` where both say the same. What only Penstock has may be said in such a
file too: fields of `general` in `general_settings`, fields of `routing` in `router_settings`, and `keys`.
"""

from __future__ import annotations

from collections.abc import Mapping

from penstock.control.config.bundle import INCLUDE
from penstock.control.config.document import Node
from penstock.control.config.litellm import advice
from penstock.control.config.litellm.models import ModelEntries
from penstock.control.config.litellm.nodes import Said, asks, made
from penstock.control.config.native import General, Routing
from penstock.control.config.problems import Problem, did_you_mean
from penstock.control.config.references import VARIABLES
from penstock.control.config.words import switch_of
from penstock.providers.registry import Registry
from penstock.routing.policies import kinds_of
from penstock.types.errors import MalformedError

_MEGABYTE = 1024 * 1024
_CACHE_SECONDS = 300.0
"""How long LiteLLM's `prompt_caching` check keeps a conversation with its deployment."""
_CLIENT_ARGUMENTS = ("api_key", "api_base", "base_url")
_CLIENT_HEADERS = ("x-*", "anthropic-beta")
"""What `forward_client_headers_to_llm_api` sends on."""
_PROBE = 300.0

ROUTING = {
    "routing_strategy": "strategy",
    "num_retries": "retries",
    "timeout": "timeout",
    "retry_after": "retry_after",
    "allowed_fails": "allowed_fails",
    "cooldown_time": "cooldown",
    "default_fallbacks": "default_fallbacks",
    "max_fallbacks": "max_fallbacks",
    "enable_pre_call_checks": "check_context_window",
    "enable_tag_filtering": "tag_filtering",
    "tag_filtering_match_any": "match_any_tag",
}
"""`router_settings` whose values are the same -> `routing`."""
FALLBACKS = ("fallbacks", "context_window_fallbacks", "content_policy_fallbacks")
SHARED = {
    "num_retries": "retries",
    "request_timeout": "timeout",
    "allowed_fails": "allowed_fails",
    "cooldown_time": "cooldown",
    "default_fallbacks": "default_fallbacks",
}
"""`litellm_settings` that are about routing -> `routing`."""
GENERAL = {
    "master_key": "master_key",
    "store_prompts_in_spend_logs": "store_prompts",
    "maximum_spend_logs_retention_period": "spend_log_retention",
}
"""`general_settings` whose values are the same -> `general`."""
FOR_EVERY_MODEL = ("modify_params", "enable_json_schema_validation")
"""`litellm_settings` that are options of each call."""
_SPECIAL_GENERAL = (
    *("pass_through_endpoints", "max_request_size_mb", "background_health_checks", "health_check_interval"),
    *("forward_client_headers_to_llm_api", "allow_client_side_credentials", "cancel_on_disconnect"),
    *("max_queued_requests_per_worker", "admission_queue_timeout_seconds"),
)
_SPECIAL_SETTINGS = (
    *("drop_params", "set_verbose", "turn_off_message_logging", "ssl_verify"),
    *("callbacks", "success_callback", "failure_callback", "default_key_generate_params"),
    *("upperbound_key_generate_params", "max_budget"),
)
_SPECIAL_ROUTER = (
    *("stream_timeout", "retry_policy", "model_group_retry_policy", "allowed_fails_policy", "disable_cooldowns"),
    *("model_group_alias", "optional_pre_call_checks", "default_litellm_params", "default_max_parallel_requests"),
    *("set_verbose", "debug_level"),
)


def translate(
    root: Node, registry: Registry, environment: Mapping[str, str]
) -> tuple[Node, list[Problem], list[Problem]]:
    """(the native form, errors, warnings). `environment` tells where OpenTelemetry's collector is."""
    translator = _Translator(root, registry, environment)
    return translator.translate(), translator.said.errors, translator.said.warnings


class _Translator:
    def __init__(self, root: Node, registry: Registry, environment: Mapping[str, str]) -> None:
        self.root = root
        self.registry = registry
        self.environment = environment
        self.said = Said()
        self.general_settings = self._block("general_settings")
        self.settings = self._block("litellm_settings")
        self.router = self._block("router_settings")
        self.routing: dict[str, Node] = {}
        self.general: dict[str, Node] = {}
        self.native: dict[str, Node] = {}

    def _block(self, name: str) -> Mapping[str, Node]:
        node = self.root.items.get(name)
        if node is not None and node.value is not None and not isinstance(node.value, dict):
            self.said.refuse(node, f"expected a mapping, got {node.shown}")
        return {} if node is None else {key: each for key, each in node.items.items() if each.value is not None}

    def translate(self) -> Node:
        """The native form."""
        self._top()
        self._routing()
        self._settings()
        self._general()
        self._models()
        self.native["routing"] = made(self.routing, self.root.items.get("router_settings", self.root))
        self.native["general"] = made(self.general, self.root.items.get("general_settings", self.root))
        return Node(self.native, self.root.place)

    # -- what is not honoured -----------------------------------------------------------------------------------------

    def _left(self, block: Mapping[str, Node], honoured: set[str], reasons: Mapping[str, str]) -> None:
        """Say of every key that is not honoured why, and of one that nobody knows the nearest. Keys of one reason are
        said together.
        """
        together: dict[str, list[str]] = {}
        for name, node in block.items():
            reason = reasons.get(name)
            if name in honoured:
                continue
            if reason is None:
                self.said.warn(node, f"unknown, to LiteLLM too{did_you_mean(name, [*honoured, *reasons])}")
            elif reason and asks(node):
                together.setdefault(reason, []).append(name)
        for reason, names in together.items():
            others = f" (also {', '.join(names[1:])})" if names[1:] else ""
            self.said.warn(block[names[0]], f"{reason}{others}")

    def _top(self) -> None:
        known = {"model_list", "litellm_settings", "router_settings", "general_settings", "credential_list"}
        known |= {VARIABLES, INCLUDE, "keys", "endpoints"}
        extensions = {name for name in self.root.items if name.startswith("x-")}
        self._left(self.root.items, known | extensions, advice.TOP)
        for name in (VARIABLES, "keys", "endpoints"):
            if name in self.root.items:
                self.native[name] = self.root.items[name]

    # -- routing ------------------------------------------------------------------------------------------------------

    def _routing(self) -> None:
        self.routing["tag_filtering"] = Node(False, self.root.place)
        self._said_twice()
        sources = [(self.settings, SHARED), (self.router, ROUTING)]
        for block, names in sources:
            self.routing |= {ours: block[theirs] for theirs, ours in names.items() if theirs in block}
        for name in FALLBACKS:
            for block in (self.settings, self.router):
                if name in block:
                    self._fallbacks(name, block[name])
        self._strategy()
        if "disable_cooldowns" in self.router:
            self._switch(self.routing, "cooldowns", self.router["disable_cooldowns"], opposite=True)
        self._policy("retry_policy", "Retries")
        self._policy("allowed_fails_policy", "AllowedFails")
        if "model_group_retry_policy" in self.router:
            groups = self.router["model_group_retry_policy"]
            policies = {name: made(self._kinds(node, "Retries"), node) for name, node in groups.items.items()}
            self.routing["group_retry_policy"] = made(policies, groups)
        self._aliases()
        self._checks()
        honoured = {*ROUTING, *FALLBACKS, *_SPECIAL_ROUTER}
        own = Routing.model_fields.keys() - honoured
        self.routing |= {name: node for name, node in self.router.items() if name in own}
        self._left(self.router, {*honoured, *own}, advice.ROUTER)

    def _said_twice(self) -> None:
        """What both blocks say is what `router_settings` says, as in LiteLLM."""
        ours = {here: there for there, here in ROUTING.items()}
        for name, here in (*SHARED.items(), *((each, each) for each in FALLBACKS)):
            there = self.router.get(ours.get(here, here))
            if name in self.settings and there is not None:
                self.said.warn(self.settings[name], f"{there.path} comes before it")

    def _strategy(self) -> None:
        node = self.router.get("routing_strategy")
        if node is not None and node.value == "provider-budget-routing":
            del self.routing["strategy"]
            self.said.warn(node, advice.ROUTER["provider_budget_config"])

    def _fallbacks(self, name: str, node: Node) -> None:
        """`[{group: [groups]}, ...]` as one table; a name that stands alone is for every group."""
        table: dict[str, Node] = {}
        entries = [node] if isinstance(node.value, dict) else node.entries
        if not entries and node.value not in ([], {}):
            self.said.refuse(node, f'expected a list such as [{{"gpt": ["claude"]}}], got {node.shown}')
        everyone: list[Node] = []
        for entry in entries:
            if isinstance(entry.value, str):
                everyone.append(entry)
            elif isinstance(entry.value, dict):
                table |= {group: self._targets(group, others) for group, others in entry.items.items()}
            else:
                self.said.refuse(entry, f'expected {{"group": ["other"]}}, got {entry.shown}')
        if everyone and name == "fallbacks":
            self.routing["default_fallbacks"] = made(everyone, node)
        elif everyone:
            table["*"] = made(everyone, node)
        self.routing[name] = made(table, node)

    def _targets(self, group: str, node: Node) -> Node:
        """Names; of an entry that is a mapping with `model`, that name: what else it changes is not honoured."""
        targets: list[Node] = []
        for each in node.entries:
            if isinstance(each.value, dict) and "model" in each.items:
                more = [name for name in each.items if name != "model"]
                if more:
                    self.said.warn(each, f"a fallback is a group here; {', '.join(more)} is not changed for it")
                each = each.items["model"]
            targets.append(each)
        return made(targets, node) if isinstance(node.value, list) else node

    def _policy(self, name: str, ending: str) -> None:
        if name in self.router:
            node = self.router[name]
            self.routing[name] = made(self._kinds(node, ending), node)

    def _kinds(self, policy: Node, ending: str) -> dict[str, Node]:
        """A policy by LiteLLM's names of errors as one by kinds."""
        found: dict[str, Node] = {}
        for name, node in policy.items.items():
            try:
                kinds = kinds_of(name, ending)
            except MalformedError as error:
                self.said.warn(node, error.message)
                continue
            if node.value is not None:
                found |= dict.fromkeys(kinds, node)
        return found

    def _aliases(self) -> None:
        node = self.router.get("model_group_alias")
        if node is None:
            return
        targets = {name: each.items.get("model", each) for name, each in node.items.items()}
        self.native["aliases"] = made(targets, node) if isinstance(node.value, dict) else node

    def _checks(self) -> None:
        node = self.router.get("optional_pre_call_checks")
        for each in node.entries if node is not None else ():
            if each.value == "prompt_caching":
                self.routing["sticky_seconds"] = made(_CACHE_SECONDS, each)
            elif (said := advice.CHECKS.get(str(each.value), "there is no such check")) != "":
                self.said.warn(each, f"{each.value}: {said}")

    # -- litellm_settings ---------------------------------------------------------------------------------------------

    def _settings(self) -> None:
        given = self.settings
        if "drop_params" in given:
            self.general["drop_params"] = given["drop_params"]
        if self._is_on(given.get("set_verbose")) or self._is_on(self.router.get("set_verbose")):
            node = given.get("set_verbose") or self.router["set_verbose"]
            self.general["log_level"] = made("debug", node)
        for name, ours in (
            ("default_key_generate_params", "key_defaults"),
            ("upperbound_key_generate_params", "key_bounds"),
        ):
            if name in given:
                self.general[ours] = given[name]
        self._callbacks()
        honoured = {*SHARED, *FALLBACKS, *FOR_EVERY_MODEL, *_SPECIAL_SETTINGS} - {"max_budget"}
        self._left(given, honoured, advice.SETTINGS)

    def _callbacks(self) -> None:
        for name in ("callbacks", "success_callback", "failure_callback"):
            node = self.settings.get(name)
            if node is None:
                continue
            for each in [node] if isinstance(node.value, str) else node.entries:
                self._callback(each, str(each.value))

    def _callback(self, node: Node, name: str) -> None:
        if name in ("otel", "opentelemetry"):
            variables = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_ENDPOINT")
            found = next((self.environment[each] for each in variables if self.environment.get(each)), None)
            if found is not None:
                self.general["otel_endpoint"] = made(found, node)
            else:
                self.said.warn(node, f"otel: set {variables[1]} to the address of your collector")
        elif name == "prometheus":
            self.general["litellm_metrics"] = made(True, node)
        elif (said := advice.CALLBACKS.get(name, advice.OTHER_CALLBACK)) != "":
            self.said.warn(node, f"{name} {said}" if name not in advice.CALLBACKS else f"{name}: {said}")

    # -- general_settings ---------------------------------------------------------------------------------------------

    def _general(self) -> None:
        given = self.general_settings
        self.general |= {ours: given[theirs] for theirs, ours in GENERAL.items() if theirs in given}
        if "max_request_size_mb" in given:
            node = given["max_request_size_mb"]
            self.general["max_body"] = self._megabytes(node)
        if self._is_on(given.get("background_health_checks")):
            node = given["background_health_checks"]
            every = given.get("health_check_interval") or made(_PROBE, node)
            self.general["health_check"] = made({"every": every}, node)
        if self._is_on(given.get("forward_client_headers_to_llm_api")):
            self.general["forward_headers"] = made(list(_CLIENT_HEADERS), given["forward_client_headers_to_llm_api"])
        if self._is_on(given.get("allow_client_side_credentials")):
            self.general["allowed_client_arguments"] = made(
                list(_CLIENT_ARGUMENTS), given["allow_client_side_credentials"]
            )
        if "cancel_on_disconnect" in given:
            node = given["cancel_on_disconnect"]
            self.general["on_disconnect"] = made("abort" if self._is_on(node) else "drain", node)
        for theirs, ours in (
            ("max_queued_requests_per_worker", "queue_size"),
            ("admission_queue_timeout_seconds", "queue_seconds"),
        ):
            if theirs in given:
                self.routing[ours] = given[theirs]
        self._private_prompts()
        self._endpoints()
        own = General.model_fields.keys() - {*GENERAL, *_SPECIAL_GENERAL}
        self.general |= {name: node for name, node in given.items() if name in own}
        self._left(given, {*GENERAL, *_SPECIAL_GENERAL, *own}, advice.GENERAL)

    def _private_prompts(self) -> None:
        """`turn_off_message_logging` is the stronger wish."""
        node = self.settings.get("turn_off_message_logging")
        stored = self.general.get("store_prompts")
        if self._is_on(node) and stored is not None and self._is_on(stored):
            self.said.warn(stored, "turn_off_message_logging says that prompts are not kept: they are not")
            self.general["store_prompts"] = made(False, stored)

    def _megabytes(self, node: Node) -> Node:
        try:
            size = int(float(node.value) * _MEGABYTE)
        except (TypeError, ValueError, OverflowError):
            return node
        return made(size, node)

    def _endpoints(self) -> None:
        node = self.general_settings.get("pass_through_endpoints")
        if node is None:
            return
        if not isinstance(node.value, list):
            self.said.refuse(node, f"expected a list, got {node.shown}")
        known = ("path", "target", "headers", "methods", "include_subpath", "auth")
        endpoints: list[Node] = []
        for entry in node.entries:
            found = {name: each for name, each in entry.items.items() if name in known and each.value is not None}
            if "forward_headers" in entry.items:
                found["forward_headers"] = entry.items["forward_headers"]
            if "auth" not in found:
                self.said.warn(entry, "callers need a key here; `auth: false` opens it to everybody")
            honoured = {*known, "forward_headers", "id"}
            self._left(entry.items, honoured, _ENDPOINT)
            endpoints.append(made(found, entry))
        own = self.native.get("endpoints", made([], node))
        self.native["endpoints"] = made([*own.entries, *endpoints], node)

    # -- models -------------------------------------------------------------------------------------------------------

    def _models(self) -> None:
        defaults = dict(self._items("default_litellm_params", self.router))
        if "stream_timeout" in self.router:
            defaults.setdefault("stream_timeout", self.router["stream_timeout"])
        if "default_max_parallel_requests" in self.router:
            defaults.setdefault("max_parallel_requests", self.router["default_max_parallel_requests"])
        defaults |= {name: self.settings[name] for name in FOR_EVERY_MODEL if name in self.settings}
        checked = self._is_on(self.general_settings.get("background_health_checks"))
        entries = ModelEntries(self.root, defaults, self.registry, self.said, self._network(), checked)
        if "model_list" in self.root.items:
            self.native["models"] = entries.models()
        self.native["pass_through"] = entries.pass_through(self.environment)

    def _items(self, name: str, block: Mapping[str, Node]) -> Mapping[str, Node]:
        node = block.get(name)
        return {} if node is None else node.items

    def _network(self) -> Node | None:
        """`ssl_verify`: false, or a file of authorities."""
        node = self.settings.get("ssl_verify")
        if node is None or node.value is True:
            return None
        if isinstance(node.value, str) and node.value.strip().lower() not in (
            "false",
            "no",
            "off",
            "true",
            "yes",
            "on",
        ):
            return made({"ca": node.value}, node)
        return made({"verify": node}, node)

    # -- values -------------------------------------------------------------------------------------------------------

    def _is_on(self, node: Node | None) -> bool:
        if node is None or node.unset:
            return False
        try:
            return switch_of(node.value)
        except ValueError:
            self.said.refuse(node, f"expected true or false, got {node.shown}")
            return False

    def _switch(self, into: dict[str, Node], name: str, node: Node, opposite: bool) -> None:
        into[name] = made(self._is_on(node) is not opposite, node)


_ENDPOINT: Mapping[str, str] = {
    "cost_per_request": "calls of such endpoints are not priced",
    "guardrails": "NOT enforced: there are no guardrails yet",
    "default_query_params": "write them into the target",
    "merge_query_params": "the caller's query goes along",
    "is_from_config": "",
}
"""Keys of a pass-through endpoint that are not honoured."""
