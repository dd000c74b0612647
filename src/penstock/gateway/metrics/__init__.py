"""Metrics: what a worker counts in memory, what the keeper adds up over all workers, and how Prometheus reads it.

A request must not pay for being counted: a worker keeps one row of plain numbers for each combination of labels, finds
it with one look-up, and adds to it. Nothing is shared between processes while requests run. Each worker reports the
rows that changed to the keeper, once a second and when it is asked; the keeper adds the rows of all workers, alive and
dead, and writes the page. So a counter never goes down when a worker dies, and `kill -9` loses at most a second of
metrics.

tables.py       which families there are: the one table of names, types, labels and help
admission.py    which values a label may have
counting.py     the rows of one process, and the two calls that count a request and an attempt
reporting.py    a worker's reports to the keeper
merging.py      reports of processes, added up
exposition.py   the page, in Prometheus' text format or OpenMetrics
litellm.py      the same figures under LiteLLM's names

Why not prometheus_client: docs/decisions/0009-metrics-of-our-own.md.
"""

from penstock.gateway.metrics.counting import Counter, Metrics

__all__ = ["Counter", "Metrics"]
