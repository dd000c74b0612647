"""The gateway beside its peers: `python -m bench gateway [SCENARIO ...] --peers nginx,penstock`, and `make
bench-gateway` for all of it. docs/benchmarks.md has the method and the figures of the last full run.

A *peer* is a gateway under test, pinned to a core of its own. The *mock* answers in the provider's place, from another
core, and is faster than everything under test. A *driver* is the load. A *scenario* is one line of the table: it drives
every peer in turns (A B C, A B C ...), since the machine's speed drifts, and compares medians.
"""
