"""How far off token counts are: recorded requests, counted by `penstock.calls.tokens`, beside the usage that the
provider reported.

    python -m tools.measure_tokens ../shared/provider-exchanges [--worst]

Left out are requests that a count cannot know whole: media, provider-run tools, and what the provider remembers of
earlier calls. Each distinct request counts once. `--worst` lists the worst of each family.
"""

from __future__ import annotations

import argparse
import statistics
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from penstock.calls import tokenizers
from penstock.calls.token_families import family_of
from penstock.calls.tokens import count_request, load_of
from penstock.conformance.check import recognise
from penstock.conformance.recording import Exchange, read_folder
from penstock.dialects.dialect import Dialect
from penstock.types.errors import DialectError
from penstock.types.fold import fold
from penstock.types.notes import NO_MEMO
from penstock.types.request import Request
from penstock.types.response import Response

_REMEMBERED = frozenset(
    {"previous_response_id", "conversation", "prompt", "cachedContent", "container", "context_management"}
)


class Measured(Struct, frozen=True):
    """One recorded request: the provider's count and ours, with the extra and without it."""

    id: str
    family: str
    model: str
    reported: int
    counted: int
    exact: bool
    rough: int


def measure(folder: Path) -> list[Measured]:
    """Every distinct request whose count can be compared."""
    seen: set[tuple[str, int, int]] = set()
    found = []
    for exchange in read_folder(folder):
        for measured in _measured(exchange):
            key = (measured.family, measured.reported, measured.counted)
            if key not in seen:
                seen.add(key)
                found.append(measured)
    return found


def _measured(exchange: Exchange) -> Iterator[Measured]:
    read = _read(exchange)
    if read is None:
        return
    request, response = read
    model = _model(exchange, request, response)
    usage = response.usage
    if usage is None or not usage.input_tokens or (request.extras or {}).keys() & _REMEMBERED:
        return
    if load_of(request, model).guessed:
        return
    count = count_request(request, model)
    rough = without_the_extra(request, model)
    yield Measured(exchange.id, family_of(model).name, model, usage.input_tokens, int(count), count.exact, rough)


def _model(exchange: Exchange, request: Request, response: Response) -> str:
    """The model, with the host in front where hosts count differently."""
    model = response.model or request.model or exchange.path
    return f"vertex_ai/{model}" if exchange.path.startswith(("/v1/projects/", "/v1beta1/projects/")) else model


def _read(exchange: Exchange) -> tuple[Request, Response] | None:
    found = recognise(exchange)
    if found is None or exchange.status >= 400 or not isinstance(exchange.request_body, dict):
        return None
    dialect, match = found
    if not isinstance(dialect, Dialect):
        return None
    try:
        request = dialect.parse_request(exchange.request_body, match)
        if not isinstance(exchange.response_body, bytes):
            return request, dialect.parse_response(exchange.response_body, NO_MEMO)
        parser = dialect.stream_parser(NO_MEMO)
        return request, fold([*parser.feed(exchange.response_body), *parser.close()], dialect.name)
    except DialectError:
        return None


def without_the_extra(request: Request, model: str) -> int:
    """The count as it is where the tokenizers are not installed."""
    real = tokenizers.counter
    tokenizers.counter = lambda: None  # type: ignore[assignment]  # what the lack of the extra comes to
    try:
        return int(count_request(request, model))
    finally:
        tokenizers.counter = real


def errors(measured: list[Measured], rough: bool = False) -> list[float]:
    """The relative errors, smallest first."""
    return sorted(abs((each.rough if rough else each.counted) - each.reported) / each.reported for each in measured)


def quantile(values: list[float], share: float) -> float:
    """The value that this share of the (sorted) values does not exceed."""
    return values[min(len(values) - 1, max(0, -(-int(share * 1000) * len(values) // 1000) - 1))]


def rows(measured: list[Measured]) -> list[str]:
    """The table of docs/reference/tokens.md."""
    families: dict[str, list[Measured]] = defaultdict(list)
    for each in measured:
        families[each.family].append(each)
    lines = ["| family | requests | exact | median error | 9 of 10 below | without the extra: median | 9 of 10 below |"]
    lines.append("|---|---|---|---|---|---|---|")
    for name, members in [*sorted(families.items()), ("all", measured)]:
        exact = [each for each in members if each.exact]
        right = sum(each.counted == each.reported for each in exact)
        ours, rough = errors(members), errors(members, rough=True)
        figures = [f"{statistics.median(ours):.1%}", f"{quantile(ours, 0.9):.0%}"]
        figures += [f"{statistics.median(rough):.1%}", f"{quantile(rough, 0.9):.0%}"]
        lines.append(f"| {name} | {len(members)} | {right} of {len(exact)} | {' | '.join(figures)} |")
    return lines


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--worst", action="store_true")
    arguments = parser.parse_args()
    measured = measure(arguments.folder)
    print("\n".join(rows(measured)))
    if arguments.worst:
        for each in sorted(measured, key=lambda each: -abs(each.counted - each.reported) / each.reported)[:60]:
            print(f"{each.family:20} {each.model:40} reported {each.reported:6} counted {each.counted:6}  {each.id}")


if __name__ == "__main__":
    main()
