"""The control plane: one process, the keeper. Configuration, keys, leases, the ledger and the management API.

Nothing here is on the way of a request: workers hold what they need, and ask here for more before they run out.
"""
