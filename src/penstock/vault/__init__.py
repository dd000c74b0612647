"""The vault: the only way out of a sandbox, where stubs become secrets and secrets become stubs again.

It imports nothing of Penstock but its own modules, and others reach it through `penstock.vault.api` only: what guards
the secrets stays small enough to be read whole. docs/explanation/vault.md says what it promises and what it does not.
"""
