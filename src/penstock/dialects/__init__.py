"""The wire formats, one folder each: pure, symmetric, and without knowledge of each other.

dialect.py says what a dialect is, wire.py and framing.py are its tools, errors.py classifies refusals, registry.py is
the one table in which all dialects stand. docs/explanation/dialects.md explains, CONTRIBUTING.md says how to add one.
"""
