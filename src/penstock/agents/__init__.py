"""The agent platform: agents that run in sandboxes which hold only stubs, in sessions that outlive every process.

It reaches models like any customer, over HTTP with a key, and real secrets never: those are the vault's.
"""
