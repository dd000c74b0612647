"""The specification of Penstock, as tests.

`unit` mirrors src; `golden` holds tables of inputs and exact outputs; `contract` holds the suites that every dialect,
store or sandbox must pass; `e2e` starts real processes. CONTRIBUTING.md says which kind to write when.
"""
