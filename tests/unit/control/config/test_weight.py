"""Workers are told what a configuration comes to; none of them reads one, or loads what reading takes."""

from __future__ import annotations

from tests.support.fresh import watched


def test_a_worker_loads_nothing_that_reads_configurations() -> None:
    loaded = watched("import penstock.gateway.worker").modules
    assert [name for name in loaded if name.partition(".")[0] in ("pydantic", "yaml", "sqlalchemy", "fastapi")] == []
    assert [name for name in loaded if name.startswith("penstock.control.config")] == []
