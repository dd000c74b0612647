"""`penstock redteam` where its world cannot be made: it says what to do, once."""

from __future__ import annotations

import pytest

from penstock.agents.sandboxes.driver import HostLacks
from penstock.cli import main
from penstock.redteam import suite
from penstock.vault.api import Refusal

LACKS, FIX = "bubblewrap is not installed", "install the package bubblewrap"


@pytest.mark.parametrize("error", [HostLacks(LACKS, fix=FIX), Refusal("lacks", LACKS, fix=FIX), HostLacks(LACKS)])
def test_a_refusal_names_its_fix_once(
    error: HostLacks | Refusal, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def lacking(*arguments: object) -> None:
        raise error

    monkeypatch.setattr(suite, "run", lacking)
    assert main(["redteam"]) == 1
    said = capsys.readouterr().err
    assert said.count(LACKS) == 1
    assert said.count(FIX) == (1 if error.fix else 0)
