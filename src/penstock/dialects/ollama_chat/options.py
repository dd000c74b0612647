"""`options`: the runtime parameters of the model, one flat object inside of the body, both ways.

What has a field in the representation is read into it; all else (`num_ctx`, `min_p`, `repeat_penalty`,
`mirostat` ...) stays in `extras["options"]`. `num_predict` below zero means no limit (-1) or as much as fits (-2), and
is no number of tokens: it stays there too.

Source: https://docs.ollama.com/modelfile (parameters), and `Options` in api/types.go of ollama/ollama
"""

from __future__ import annotations

from typing import Any

from penstock.dialects import wire
from penstock.dialects.said import Said
from penstock.dialects.wire import Field, Fields

Object = dict[str, Any]


def _read_stop(value: Any) -> Any:
    return value if isinstance(value, str) else wire.strings(value)


FIELDS = Fields(
    Field("num_predict", wire.integer, "max_tokens"),
    Field("temperature", wire.number),
    Field("top_k", wire.number),
    Field("top_p", wire.number),
    Field("seed", wire.integer),
    Field("stop", _read_stop),
    Field("presence_penalty", wire.number),
    Field("frequency_penalty", wire.number),
)


def read_options(options: Object) -> tuple[Object, Object | None]:
    """(values by Request field, what is left)."""
    found = FIELDS.read(options)
    left: Object = found.pop("extras", {})
    if found.get("max_tokens", 0) < 0:
        left["num_predict"] = found.pop("max_tokens")
    if found.get("stop") == ():
        left["stop"] = list(found.pop("stop"))
    return found, left if left or not found else None


_SAID = Said(FIELDS.wire_names)


def write_options(request: Any) -> Object:
    """The options that the request's fields say."""
    return {key: list(value) if type(value) is tuple else value for _, key, value in _SAID.of(request)}
