"""The welcome: what a gateway says once when it serves: its address, the key where it made one, what it serves, and a
line to try. Pure.
"""

from __future__ import annotations

import shlex

import msgspec

from penstock.control.configuration import FROM_ENVIRONMENT, InForce

_MOST_NAMES = 12
_DEMO = "demo"


def welcome(held: InForce, address: str, made_key: str | None) -> str:
    """What is shown. `made_key` is the master key where it was made for this run: it is shown here, and never again."""
    lines = [f"Penstock listens on {address}", ""]
    if made_key is not None:
        lines += [
            f"Master key, made for this run and shown only now: {made_key}",
            "(set PENSTOCK_MASTER_KEY to choose your own)",
            "",
        ]
    source = held.loaded.master_key_source or "PENSTOCK_MASTER_KEY"
    key = made_key or (f"${source}" if source.isidentifier() else "YOUR_MASTER_KEY")
    return "\n".join([*lines, *_models(held), "", "Try it:", "", _curl(address, key, held), ""])


def _models(held: InForce) -> list[str]:
    groups = list(dict.fromkeys(deployment.group for deployment in held.loaded.snapshot.deployments))
    if held.source != FROM_ENVIRONMENT:
        shown = ", ".join(groups[:_MOST_NAMES]) or "none"
        more = f" and {len(groups) - _MOST_NAMES} more" if len(groups) > _MOST_NAMES else ""
        files = "" if held.bundle is None else f", {held.bundle.main}"
        return [f"Models: {shown}{more} (configuration {held.version}{files})"]
    lines = [f"Models: {_DEMO} (offline, no key needed)"]
    local = [group for group in groups if group.startswith("ollama_chat/") and "*" not in group]
    if local:
        lines.append(f"        {', '.join(local)} (from the Ollama on this machine)")
    hosted = [group.removesuffix("*") for group in groups if group.endswith("/*") and not group.startswith("ollama")]
    if hosted:
        lines.append(f"        {', '.join(f'{name}...' for name in hosted)} (keys found in the environment)")
    else:
        lines.append(
            "        more with a provider's key in the environment, such as OPENAI_API_KEY or ANTHROPIC_API_KEY"
        )
    return lines


def _curl(address: str, key: str, held: InForce) -> str:
    groups = [deployment.group for deployment in held.loaded.snapshot.deployments if "*" not in deployment.group]
    model = _DEMO if _DEMO in groups or not groups else groups[0]
    said = {"model": model, "messages": [{"role": "user", "content": "Hello"}]}
    body = msgspec.json.encode(said).decode().replace('":', '": ').replace(',"', ', "')
    return (
        f"  curl {address}/v1/chat/completions \\\n"
        f'    -H "Authorization: Bearer {key}" -H "Content-Type: application/json" \\\n'
        f"    -d {shlex.quote(body)}"
    )
