"""Models: LiteLLM's `model_list` as the native list: what an entry says of routing, of the address, of the model, and
the rest, which is arguments of the call.
"""

from __future__ import annotations

from collections.abc import Mapping

from penstock.calls.litellm_words import LITELLMS
from penstock.control.config.document import Node
from penstock.control.config.litellm import advice
from penstock.control.config.litellm.nodes import Said, as_yaml_1_1, asks, made
from penstock.control.config.problems import did_you_mean
from penstock.providers.registry import Registry
from penstock.providers.ways import missing_variables

SAME = {
    "model": "model",
    "custom_llm_provider": "provider",
    "api_key": "api_key",
    "api_base": "api_base",
    "base_url": "api_base",
    "api_version": "api_version",
    "base_model": "base_model",
    "order": "order",
    "weight": "weight",
    "rpm": "rpm",
    "tpm": "tpm",
    "max_parallel_requests": "max_parallel_requests",
    "max_retries": "retries",
    "num_retries": "retries",
    "cooldown_time": "cooldown",
    "timeout": "timeout",
    "request_timeout": "timeout",
    "stream_timeout": "stream_timeout",
    "tags": "tags",
    "drop_params": "drop_params",
    "additional_drop_params": "drop",
}
"""`litellm_params` that the native form has by name."""
_OPTIONS = frozenset({"mock_response", "mock_tool_calls", "mock_timeout", "mock_delay", "allowed_openai_params"})
_SPECIAL = frozenset(
    {"litellm_credential_name", "use_in_pass_through", "extra_headers", "headers", "use_litellm_proxy"}
)
_HEALTH = {"health_check_model": "model", "health_check_timeout": "timeout"}
_INFO = frozenset({"id", "base_model", "access_groups", "disable_background_health_check", *_HEALTH})


class ModelEntries:
    """The entries of a `model_list`.

    `defaults` are `litellm_params` of those that do not say otherwise; `network` is how all are reached; `checked`:
    there are active health checks.
    """

    def __init__(
        self,
        root: Node,
        defaults: Mapping[str, Node],
        registry: Registry,
        said: Said,
        network: Node | None,
        checked: bool,
    ) -> None:
        self.root = root
        self.defaults = defaults
        self.registry = registry
        self.said = said
        self.network = network
        self.checked = checked
        self.credentials = self._credentials()
        self._passed: dict[str, Node] = {}

    def models(self) -> Node:
        """The native list."""
        listed = self.root.items["model_list"]
        if not isinstance(listed.value, list):
            return listed
        return made([self._model(entry) for entry in listed.value], listed)

    def pass_through(self, environment: Mapping[str, str]) -> Node:
        """Providers whose own paths are served: those of deployments with `use_in_pass_through`, and, as LiteLLM has
        it, all whose key is in the environment.
        """
        found = dict(self._passed)
        for provider in self.registry:
            keyed = any(environment.get(name, "").strip() for name in provider.key_environment)
            if keyed and provider.name not in found and not missing_variables(provider, environment=environment):
                found[provider.name] = made({}, self.root)
        return made(found, self.root)

    def _credentials(self) -> dict[str, Node]:
        node = self.root.items.get("credential_list")
        found: dict[str, Node] = {}
        for entry in node.entries if node is not None else ():
            name, values = entry.items.get("credential_name"), entry.items.get("credential_values")
            if name is None or name.text is None or values is None or not isinstance(values.value, dict):
                self.said.refuse(entry, "a credential has `credential_name` and `credential_values`")
            else:
                found[name.text] = values
        return found

    def _model(self, entry: Node) -> Node:
        if not isinstance(entry.value, dict):
            return entry
        params = self._sound(entry)
        given = {key: node for key, node in params.items.items() if node.value is not None}
        given = {**self.defaults, **self._of_credential(given), **given}
        found = {"name": entry.items.get("model_name", made("?", entry)), "model": made("demo", entry)}
        found |= self._params(given, params)
        found |= self._info(entry.items.get("model_info"), found)
        if self.network is not None:
            found["network"] = self.network
        self._pass(given, found, params)
        return made(found, entry)

    def _sound(self, entry: Node) -> Node:
        """The `litellm_params` of an entry; empty ones where it has none. Says what is missing."""
        known = ("model_name", "litellm_params", "model_info")
        for name, node in entry.items.items():
            if name not in known:
                self.said.warn(node, f"unknown, to LiteLLM too{did_you_mean(name, known)}")
        if "model_name" not in entry.items:
            self.said.refuse(entry, "`model_name` is missing: the name that callers use")
        params = entry.items.get("litellm_params", made({}, entry))
        if params.items.get("model", made(None, entry)).value is None:
            self.said.refuse(params, "`litellm_params` with a `model`, such as openai/gpt-5-mini, is missing")
        return params if isinstance(params.value, dict) else made({}, params)

    def _of_credential(self, given: Mapping[str, Node]) -> Mapping[str, Node]:
        node = given.get("litellm_credential_name")
        if node is None or node.text is None:
            return {}
        found = self.credentials.get(node.text)
        if found is None:
            near = did_you_mean(node.text, list(self.credentials))
            self.said.refuse(node, f"there is no {node.text!r} in credential_list{near}")
            return {}
        return {key: each for key, each in found.items.items() if each.value is not None}

    def _params(self, given: Mapping[str, Node], params: Node) -> dict[str, Node]:
        found: dict[str, Node] = {}
        arguments: dict[str, Node] = {}
        headers: dict[str, Node] = {}
        for name, node in given.items():
            if name in SAME:
                found[SAME[name]] = node
            elif name in ("extra_headers", "headers"):
                headers |= node.items
            elif name in _SPECIAL:
                continue
            elif (said := self._refused(name)) is not None:
                if asks(node):
                    self.said.warn(node, said)
            else:
                arguments[name] = as_yaml_1_1(node)
        if arguments:
            found["arguments"] = made(arguments, params)
        if headers:
            found["headers"] = made(headers, params)
        return found

    def _refused(self, name: str) -> str | None:
        """Why a parameter is not honoured; None: it is."""
        if name in advice.PARAMS:
            return advice.PARAMS[name]
        if name in LITELLMS and name not in _OPTIONS:
            return advice.OF_THE_SDK.get(name, "this gateway does not take it")
        return None

    def _info(self, info: Node | None, params: Mapping[str, Node]) -> dict[str, Node]:
        if info is None or info.value is None:
            return {}
        found: dict[str, Node] = {}
        for name in ("id", "base_model", "access_groups"):
            node = info.items.get(name)
            if node is not None and node.value is not None and name not in params:
                number = isinstance(node.value, int) and not isinstance(node.value, bool)
                found[name] = made(str(node.value), node) if number else node
        facts = {
            name: as_yaml_1_1(node)
            for name, node in info.items.items()
            if name not in _INFO and name not in advice.INFO
        }
        for name, node in info.items.items():
            if name in advice.INFO and asks(node):
                self.said.warn(node, advice.INFO[name])
        if facts:
            found["facts"] = made(facts, info)
        check = {ours: info.items[theirs] for theirs, ours in _HEALTH.items() if theirs in info.items}
        if "disable_background_health_check" in info.items:
            off = info.items["disable_background_health_check"]
            check["enabled"] = made(off.value in (False, "false", None), off)
        if check and self.checked:
            found["health_check"] = made(check, info)
        return found

    def _pass(self, given: Mapping[str, Node], model: Mapping[str, Node], params: Node) -> None:
        """Remember the credentials of a deployment that lends them to its provider's own paths."""
        wanted, name = given.get("use_in_pass_through"), model["model"].text
        if wanted is None or wanted.value not in (True, "true", "True") or name is None:
            return
        provider = self.registry.find(str(model["provider"].value) if "provider" in model else name.partition("/")[0])
        if provider is None:
            self.said.warn(wanted, "no provider can be told from the model: its own paths are not served")
            return
        credentials = {key: model[key] for key in ("api_key", "api_base", "arguments") if key in model}
        self._passed.setdefault(provider.name, made(credentials, params))
