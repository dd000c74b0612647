"""Facts of models: prices, limits and capabilities, by name. Packaged ones, loaded lazily, and those of the user over
them.

    names.py      how one model is written in many ways, and which of them may be exchanged
    packaged.py   the facts that come with the package
    row.py        what is known of one model
    facts.py      look-up
    default.py    the facts that the SDK's functions share
    profile.py    what of it a renderer must know
    table.py      the rows of `penstock models`
"""

from penstock.providers.facts.default import current_facts, register_facts
from penstock.providers.facts.facts import Facts
from penstock.providers.facts.row import Limits, Row

__all__ = ["Facts", "Limits", "Row", "current_facts", "register_facts"]
