"""Catalog: the built-in rows, gathered from the files of `rows/`. Loaded when first asked for; adding a provider is
adding a row there.
"""

from __future__ import annotations

from penstock.providers.provider import Provider


def built_in_providers() -> tuple[Provider, ...]:
    """Every built-in row, in the order in which lists show them."""
    from penstock.providers.rows import (
        clouds,
        hosts,
        hyperscalers,
        labs,
        labs_china,
        local,
        routers,
        specialists,
    )

    files = (labs, labs_china, hyperscalers, clouds, hosts, routers, specialists, local)
    return tuple(row for file in files for row in file.ROWS)


def makers() -> frozenset[str]:
    """The names of the built-in providers that serve models of their own making."""
    from penstock.providers.rows import labs, labs_china

    return frozenset(row.name for row in (*labs.ROWS, *labs_china.ROWS))
