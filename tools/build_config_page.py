"""Builds docs/reference/configuration.md and config.schema.json from the models of the native form: every key, with
its default and its meaning, from the one place that says them.
"""

from __future__ import annotations

import inspect
import re
from typing import Any

from pydantic.fields import FieldInfo

from penstock.control.config import words
from penstock.control.config.litellm import advice
from penstock.control.config.validate import block_in, blocks
from tools.tables import code, table

_KINDS: dict[Any, str] = {
    words.text_of: "text",
    words.switch_of: "true, false",
    words.number_of: "number",
    words.share_of: "number, 0 to 1",
    words.whole_of: "whole number",
    words.positive_of: "whole number, 1 or more",
    words.amount_of: "US dollars",
    words.seconds_of: "seconds, or `30s`, `5m`, `2h`, `7d`",
    words.timeout_of: "seconds, or `30s`, `5m`, `2h`",
    words.bytes_of: "bytes, or `500kB`, `64MiB`",
    words.period_of: "period: `24h`, `7d`, `1mo`",
    words.moment_of: "date or time",
    words.names_of: "list of texts",
    words.mapping_of: "mapping",
    words.texts_of: "mapping of texts",
    words.counts_of: "mapping of whole numbers",
    words.table_of: "mapping of lists",
}


def page(note: str) -> str:
    """The reference of the native form."""
    parts = [
        "# Configuration\n",
        note,
        "What a configuration file may say. Unknown keys are errors. [How to use it](../how-to/configure.md); the same"
        " as a [JSON schema](config.schema.json); [LiteLLM's config.yaml](../how-to/from-litellm.md) is read, too.\n",
        "- Any value may be `env:NAME` or `os.environ/NAME`: that environment variable's. One that is not set is an"
        " error. (`env::text` is the text `env:text` itself.) In a header, it may be one word of the value.\n"
        "- A key without a value is one that was not given.\n"
        "- The YAML is that of version 1.2: `no` and `on` are texts, but where a switch is expected they are"
        " understood; `1e3` is a number. A key that stands twice is an error.\n"
        "- Top-level keys that begin with `x-` are yours: a place for anchors.\n",
    ]
    for path, model in blocks():
        heading = code(path) if path else "The file"
        text = " ".join(inspect.cleandoc(model.__doc__ or "").split())
        rows = [_row(name, field) for name, field in model.model_fields.items()]
        parts.append(f"## {heading}\n\n{text}\n")
        parts.append(table(("key", "value", "default", "meaning"), rows))
    return "\n".join(parts)


def _row(name: str, field: FieldInfo) -> tuple[str, str, str, str]:
    said = field.description or ""
    meaning, _, default = said.partition(". Default: ")
    return code(name), _kind(field), default or _default(field), meaning


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "needed"
    if field.default_factory is not None or field.default in (None, (), [], {}):
        return ""
    if isinstance(field.default, bool):
        return code(str(field.default).lower())
    return code(f"{field.default:g}" if isinstance(field.default, float) else str(field.default))


def _kind(field: FieldInfo) -> str:
    inner = block_in(field.annotation)
    if inner is not None:
        shape = str(field.annotation)
        return (
            "list" if shape.startswith("list[") else "mapping of mappings" if shape.startswith("dict[") else "mapping"
        )
    if str(field.annotation).startswith("list["):
        return "list of mappings"
    for function in _functions(field):
        if function in _KINDS:
            return _KINDS[function]
    schema = next((each for each in _schemas(field) if "enum" in each), {})
    return ", ".join(code(each) for each in schema.get("enum", ()))


def _all_metadata(annotation: Any) -> list[Any]:
    found = list(getattr(annotation, "__metadata__", ()))
    for each in getattr(annotation, "__args__", ()):
        found += _all_metadata(each)
    return found


def _functions(field: FieldInfo) -> list[Any]:
    return [getattr(each, "func", None) for each in (*field.metadata, *_all_metadata(field.annotation))]


def _schemas(field: FieldInfo) -> list[dict[str, Any]]:
    found = [getattr(each, "json_schema", None) for each in (*field.metadata, *_all_metadata(field.annotation))]
    return [each for each in found if each]


# -- what of LiteLLM's is not honoured --------------------------------------------------------------------------------

_BEGIN, _END = "<!-- begin: not honoured -->", "<!-- end: not honoured -->"


def not_honoured() -> str:
    """A table of LiteLLM's keys that are not honoured, for docs/how-to/from-litellm.md."""
    parts: list[str] = []
    for block, reasons in (
        ("litellm_params", advice.PARAMS),
        ("model_info", advice.INFO),
        ("router_settings", advice.ROUTER),
        ("litellm_settings", advice.SETTINGS),
        ("general_settings", advice.GENERAL),
        ("top level", advice.TOP),
    ):
        by_reason: dict[str, list[str]] = {}
        for name, reason in reasons.items():
            if reason:
                by_reason.setdefault(reason, []).append(code(name))
        rows = [(", ".join(sorted(names)), reason) for reason, names in by_reason.items()]
        parts.append(f"### {block}\n\n{table(('key', 'instead'), rows)}")
    return "\n".join(parts)


def with_not_honoured(page: str) -> str:
    """The page with the table between its marks."""
    text = f"{_BEGIN}\n\n{not_honoured()}\n{_END}"
    return re.sub(f"{_BEGIN}.*{_END}", lambda match: text, page, flags=re.DOTALL)
