"""Validate: a tree of nodes against the models of the native form, with every error at its place.

pydantic finds what is wrong; the words are ours: what is expected, what is there (never a secret), and for an unknown
key the nearest that there is, or the block that it belongs to.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from penstock.control.config.document import Node, child_path, plain
from penstock.control.config.native import Config
from penstock.control.config.problems import Problem, did_you_mean
from penstock.control.config.words import EXPECTED

_EXTENSION = "x-"
"""Top-level keys that begin so are the user's own: a place for YAML anchors."""
_OTHER_WORDS = {
    "model_name": "name",
    "num_retries": "retries",
    "max_retries": "retries",
    "cooldown_time": "cooldown",
    "base_url": "api_base",
    "url": "api_base",
    "routing_strategy": "strategy",
    "extra_headers": "headers",
    "litellm_params": "model, api_key and so on beside `name`",
    "model_info": "facts",
    "custom_llm_provider": "provider",
    "additional_drop_params": "drop",
    "model_group_alias": "aliases",
    "virtual_keys": "keys",
    "rpm": "rpm_limit",
    "tpm": "tpm_limit",
    "duration": "expires",
    "key_alias": "alias",
}
"""Names of other gateways that people will try -> ours."""


def validate(root: Node) -> tuple[Config | None, list[Problem]]:
    """The configuration, and what is wrong with it; None where something is."""
    given = {name: plain(node) for name, node in root.items.items() if not name.startswith(_EXTENSION)}
    try:
        return Config.model_validate(given), []
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False, include_context=True)
        problems = [_problem(root, each["loc"], each["type"], each.get("ctx") or {}) for each in found]
        return None, [problem for problem in problems if problem is not None]


def _problem(root: Node, way: Sequence[str | int], kind: str, context: dict[str, Any]) -> Problem | None:
    node, rest = at(root, way)
    if kind == "extra_forbidden":
        return node.problem(f"unknown key{_advice(way)}")
    if kind == "missing":
        return node.problem(f"`{way[-1]}` is missing")
    if node.unset or rest:
        return None if node.unset else node.problem(f"{way[-1]}: {context.get('what', kind)}")
    what = context.get("what") if kind == EXPECTED else _KINDS.get(kind)
    return node.problem(f"expected {what or kind}, got {node.shown}")


_KINDS = {
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "dict_type": "a mapping",
    "list_type": "a list (its entries begin with `-`)",
}


def at(root: Node, way: Sequence[str | int]) -> tuple[Node, Sequence[str | int]]:
    """The node there, or the last one on the way, with what is left of the way."""
    node = root
    for number, step in enumerate(way):
        found = node.items.get(str(step)) if not isinstance(step, int) else None
        if isinstance(step, int) and step < len(node.entries):
            found = node.entries[step]
        if found is None:
            return node, way[number:]
        node = found
    return node, ()


def _advice(way: Sequence[str | int]) -> str:
    """What to write in the place of an unknown key."""
    name = str(way[-1])
    fields = list(_model_at(way[:-1]).model_fields)
    if _OTHER_WORDS.get(name, "").split(",")[0] in fields:
        return f"; did you mean {_OTHER_WORDS[name]}?"
    near = did_you_mean(name, fields)
    if near:
        return near
    homes = [path for path, model in blocks() if name in model.model_fields]
    if homes:
        return f"; it belongs to {' or '.join(homes)}"
    return f"; there are: {', '.join(fields)}"


def _model_at(way: Sequence[str | int]) -> type[BaseModel]:
    model: type[BaseModel] = Config
    for step in way:
        field = model.model_fields.get(str(step))
        if field is not None:
            model = block_in(field.annotation) or model
    return model


def block_in(annotation: Any) -> type[BaseModel] | None:
    """The block that a field holds: itself, in a list, in a mapping, or perhaps."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = (block_in(each) for each in get_args(annotation))
    return next((each for each in found if each is not None), None)


def blocks(model: type[BaseModel] = Config, path: str = "") -> Iterator[tuple[str, type[BaseModel]]]:
    """All blocks with the path to them, the outermost first: ("", Config), ("models[]", Model) ..."""
    yield path, model
    for name, field in model.model_fields.items():
        inner = block_in(field.annotation)
        if inner is None:
            continue
        kind = str(field.annotation)
        ending = "[]" if "list[" in kind else ".<name>" if "dict[" in kind else ""
        yield from blocks(inner, f"{child_path(path, name) if not path.endswith(']') else f'{path}.{name}'}{ending}")
