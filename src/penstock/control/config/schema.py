"""Schema: the native form as a JSON Schema, for editors and for whoever generates configurations.

It is generated from the models and published as docs/reference/config.schema.json. Editors find it by a first line such
as `# yaml-language-server: $schema=...`. It says less than the gateway checks: that names name something, for one.
"""

from __future__ import annotations

import json
from typing import Any

from penstock.control.config.native import Config

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schema() -> dict[str, Any]:
    """The schema. A key without a value is one that was not given, so null may stand everywhere."""
    found = Config.model_json_schema()
    for block in (found, *found.get("$defs", {}).values()):
        block.pop("title", None)
        for field in block.get("properties", {}).values():
            field.pop("title", None)
    found["patternProperties"] = {"^x-": True}
    return {"$schema": DIALECT, "title": "Penstock configuration", **found}


def schema_text() -> str:
    """The schema as it is published."""
    return f"{json.dumps(schema(), indent=2, ensure_ascii=False)}\n"
